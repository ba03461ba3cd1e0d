# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images with a text file of polygons each, as COCO128-seg."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from siammask_ros.training.config import SourceConfig
from siammask_ros.training.datasets.files import chosen_names, folder_names
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

_PERSON = "0"  # class


@dataclass(frozen=True)
class PolygonTrack(Track):
    """A target inside polygons, each (N, 2) int32 pixels."""

    image: Path
    polygons: tuple[npt.NDArray[np.int32], ...]
    min_side: int

    def __len__(self) -> int:
        return 1

    def decode(self, index: int, read: ImageReader) -> MaskedTarget | None:  # noqa: ARG002
        """Read the image and fill the polygons."""
        image = read(self.image)
        mask = filled(self.polygons, image.shape)
        return large_enough(masked_target(image, mask), self.min_side)


def list_polygons(config: SourceConfig, read: ImageReader, watch: Watch) -> Listing:
    """List the targets in `images/*.jpg` and `labels/*.txt`, each a clip of one frame.

    A label line is a class index and x y pairs divided by image width and height. An image
    without a label file gives no target. Images are read for their sizes.

    With `join_people` every person together with each thing that it touches is one more target:
    riders and their bicycles are one target in DAVIS.
    """
    root = Path(config.root)
    images, labels = root / "images", root / "labels"
    stems = sorted(name[:-4] for name in folder_names(images) if name.endswith(".jpg"))
    labelled = folder_names(labels)
    targets: list[ListedTarget] = []
    count, left_out = 0, 0
    chosen = chosen_names(stems, include=config.include, exclude=config.exclude, where=images)
    for stem in watch(chosen):
        if f"{stem}.txt" not in labelled:
            continue
        found, small = _targets(images / f"{stem}.jpg", labels / f"{stem}.txt", config, read)
        targets += found
        count += 1
        left_out += small
    return Listing(targets, False, count, left_out)


def _targets(
    image: Path, label: Path, config: SourceConfig, read: ImageReader
) -> tuple[list[ListedTarget], int]:
    """Targets of an image, and how many were too small."""
    shape = read(image).shape
    lines = [line for line in label.read_text().splitlines() if line.strip()]
    polygons = [_polygon(line, shape, label) for line in lines]
    groups: dict[str, tuple[npt.NDArray[np.int32], ...]]
    groups = {str(index): (polygon,) for index, polygon in enumerate(polygons)}
    if config.join_people:
        masks = [filled([polygon], shape) for polygon in polygons]
        pairs = touching_people([line.split()[0] == _PERSON for line in lines], masks)
        groups |= {f"{p}+{t}": (polygons[p], polygons[t]) for p, t in pairs}
    targets = [
        ListedTarget(
            f"{image.stem}/{name}", PolygonTrack(image, group, config.min_side), image.stem
        )
        for name, group in groups.items()
        if min(_size_inside(filled(group, shape))) >= config.min_side
    ]
    return targets, len(groups) - len(targets)


def filled(
    polygons: Sequence[npt.NDArray[np.int32]], shape: tuple[int, ...]
) -> npt.NDArray[np.bool_]:
    """Return HxW bool, true in any of the polygons, their outlines included."""
    mask = np.zeros(shape[:2], np.uint8)
    for polygon in polygons:
        cv2.fillPoly(mask, [polygon], 1)
    return mask.astype(bool)


def _size_inside(mask: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Width and height of the box round a mask."""
    columns, rows = (np.flatnonzero(mask.any(axis=axis)) for axis in (0, 1))
    if columns.size == 0:
        return 0, 0
    return int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)


def _polygon(line: str, shape: tuple[int, ...], path: Path) -> npt.NDArray[np.int32]:
    try:
        values = np.array(line.split()[1:], dtype=np.float64)
    except ValueError as error:
        raise DatasetError(f"{path}: {error}") from None
    if values.size < 6 or values.size % 2:
        raise DatasetError(f"{path}: a polygon needs 3 or more x y pairs, got {values.size} values")
    height, width = shape[:2]
    return np.round(values.reshape(-1, 2) * [width, height]).astype(np.int32)
