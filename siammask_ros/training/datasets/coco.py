# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""COCO: Lin et al., ECCV 2014."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from siammask_ros.training.config import SourceConfig
from siammask_ros.training.datasets.files import chosen_names, read_json, require_files
from siammask_ros.training.datasets.people import touching_people
from siammask_ros.training.datasets.tracks import (
    ImageReader,
    ListedTarget,
    Listing,
    Track,
    Watch,
    large_enough,
)
from siammask_ros.training.sources import DatasetError, MaskedTarget, masked_target

_PERSON = 1  # category


@dataclass(frozen=True)
class RunLengthTrack(Track):
    """A target in one image, its mask as COCO's compressed run lengths."""

    image: Path
    size_hw: tuple[int, int]
    counts: bytes
    min_side: int

    def __len__(self) -> int:
        return 1

    def decode(self, index: int, read: ImageReader) -> MaskedTarget | None:  # noqa: ARG002
        """Read the image and unpack the mask."""
        image = read(self.image)
        if image.shape[:2] != self.size_hw:
            raise DatasetError(
                f"{self.image} has shape {image.shape[:2]}, its annotations say {self.size_hw}"
            )
        return large_enough(masked_target(image, self.mask()), self.min_side)

    def mask(self) -> npt.NDArray[np.bool_]:
        """Return the mask, HxW."""
        packed = {"size": list(self.size_hw), "counts": self.counts}
        return np.asarray(_coco_masks().decode(packed), dtype=np.bool_)

    def joined(self, other: RunLengthTrack) -> RunLengthTrack:
        """Return this target together with another of the same image."""
        both = [{"size": list(t.size_hw), "counts": t.counts} for t in (self, other)]
        counts = _coco_masks().merge(both)["counts"]
        return RunLengthTrack(self.image, self.size_hw, counts, self.min_side)

    @property
    def is_large_enough(self) -> bool:
        """Whether its box has at least `min_side` pixels each way."""
        packed = {"size": list(self.size_hw), "counts": self.counts}
        return bool(_coco_masks().toBbox(packed)[2:].min() >= self.min_side)


def list_coco(config: SourceConfig, _: ImageReader, watch: Watch) -> Listing:
    """List the instances in `annotations/instances_SPLIT.json`, crowds apart.

    Images are in `images/SPLIT` or `SPLIT`, split train2017 if none is named; they are not read.
    With `join_people` every person together with each thing that it touches is one more target.

    Raises:
        DatasetError: pycocotools is not installed, a file is missing, or the annotations are
            not as COCO has them.
    """
    root, split = Path(config.root), config.split or "train2017"
    index = root / "annotations" / f"instances_{split}.json"
    folder = root / "images" / split
    folder = folder if folder.is_dir() else root / split
    content = read_json(index)
    try:
        images = {Path(image["file_name"]).stem: image for image in content["images"]}
        instances: dict[int, list[Mapping[str, Any]]] = {i["id"]: [] for i in images.values()}
        for instance in content["annotations"]:
            instances[instance["image_id"]].append(instance)
        chosen = [
            images[name]
            for name in chosen_names(
                sorted(images), include=config.include, exclude=config.exclude, where=index
            )
            if instances[images[name]["id"]]
        ]
        require_files(folder, [image["file_name"] for image in chosen], "image")
        targets: list[ListedTarget] = []
        left_out = 0
        for image in watch(chosen):
            found, others = _targets(folder, image, instances[image["id"]], config)
            targets += found
            left_out += others
    except DatasetError:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{index}: not as COCO has it: {error!r}") from error
    return Listing(targets, is_video=False, images=len(chosen), left_out=left_out)


def _targets(
    folder: Path,
    image: Mapping[str, Any],
    instances: Sequence[Mapping[str, Any]],
    config: SourceConfig,
) -> tuple[list[ListedTarget], int]:
    """Targets of an image, and how many were crowds or too small."""
    path, size_hw = folder / image["file_name"], (image["height"], image["width"])
    single = [instance for instance in instances if not instance["iscrowd"]]
    tracks = {
        str(instance["id"]): RunLengthTrack(
            path, size_hw, _run_lengths(instance, size_hw), config.min_side
        )
        for instance in single
    }
    is_person = [instance["category_id"] == _PERSON for instance in single]
    if config.join_people and 0 < sum(is_person) < len(is_person):
        names = list(tracks)
        for person, thing in touching_people(is_person, [t.mask() for t in tracks.values()]):
            joined = tracks[names[person]].joined(tracks[names[thing]])
            tracks[f"{names[person]}+{names[thing]}"] = joined
    targets = [
        ListedTarget(f"{path.stem}/{name}", track, path.stem)
        for name, track in tracks.items()
        if track.is_large_enough
    ]
    return targets, len(instances) - len(single) + len(tracks) - len(targets)


def _run_lengths(instance: Mapping[str, Any], size_hw: tuple[int, int]) -> bytes:
    """The mask of an instance, given as polygons or as run lengths, as compressed run lengths."""
    shape = instance["segmentation"]
    if isinstance(shape, list):
        lengths = [len(polygon) for polygon in shape]
        if not lengths or min(lengths) < 6 or any(length % 2 for length in lengths):
            raise ValueError(
                f"annotation {instance['id']}: a polygon needs 3 or more x y pairs, "
                f"got {lengths} values"
            )
        polygons = _coco_masks().frPyObjects(shape, *size_hw)
        return bytes(_coco_masks().merge(polygons)["counts"])
    if tuple(shape["size"]) != tuple(size_hw):
        raise ValueError(
            f"annotation {instance['id']}: a mask of {shape['size']} in an image of {size_hw}"
        )
    if isinstance(shape["counts"], str):
        return shape["counts"].encode()
    return bytes(_coco_masks().frPyObjects(shape, *size_hw)["counts"])


@functools.cache
def _coco_masks() -> Any:  # noqa: ANN401 - a module without types
    try:
        return importlib.import_module("pycocotools.mask")
    except ImportError as error:
        raise DatasetError("data sets of kind coco need the package pycocotools") from error
