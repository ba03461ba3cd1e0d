# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ImageNet-VID and -DET (ILSVRC 2015), which know boxes only: Russakovsky et al., IJCV 2015."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from siammask_ros.training.config import SourceConfig
from siammask_ros.training.datasets.files import chosen_names, folder_names, require_files
from siammask_ros.training.datasets.tracks import (
    BoxTrack,
    ImageReader,
    ListedTarget,
    Listing,
    Watch,
)
from siammask_ros.training.sources import DatasetError

BoxXYXY = tuple[int, int, int, int]


class LabelledBox(NamedTuple):
    """A box, first and last column and row, and the number of its track, "" in DET."""

    track: str
    box_xyxy: BoxXYXY


def list_imagenet_vid(config: SourceConfig, _: ImageReader, watch: Watch) -> Listing:
    """List the tracks of ImageNet-VID, all annotations of a split's videos, but no image.

    Folders are `Data/VID/SPLIT/.../VIDEO` and `Annotations/VID/SPLIT/.../VIDEO`, split train if
    none is named; between the two there may be folders, as train has.
    """
    images, labels = _folders(config, "VID")
    videos = {folder.name: (folder, stems) for folder, stems in _labelled(labels)}
    targets: list[ListedTarget] = []
    count, left_out = 0, 0
    names = chosen_names(
        sorted(videos), include=config.include, exclude=config.exclude, where=labels
    )
    for name in watch(names):
        folder, stems = videos[name]
        pictures = images / folder.relative_to(labels)
        require_files(pictures, [f"{stem}.JPEG" for stem in stems], "image")
        tracks: dict[str, list[tuple[str, BoxXYXY]]] = {}
        for stem in stems:
            for track, box in read_boxes(folder / f"{stem}.xml"):
                if _is_large_enough(box, config.min_side):
                    tracks.setdefault(track, []).append((sys.intern(f"{stem}.JPEG"), box))
                else:
                    left_out += 1
        count += len(stems)
        targets += [
            ListedTarget(f"{name}/{track}", _box_track(pictures, frames), name)
            for track, frames in tracks.items()
        ]
    return Listing(targets, True, count, left_out, has_masks=False)


def list_imagenet_det(config: SourceConfig, _: ImageReader, watch: Watch) -> Listing:
    """List the boxes of ImageNet-DET, each a target of one frame.

    Folders are `Data/DET/SPLIT/...` and `Annotations/DET/SPLIT/...`, split train if none is
    named. All annotations are read, but no image.
    """
    images, labels = _folders(config, "DET")
    folders = {stem: folder for folder, stems in _labelled(labels) for stem in stems}
    targets: list[ListedTarget] = []
    count, left_out = 0, 0
    names = chosen_names(
        sorted(folders), include=config.include, exclude=config.exclude, where=labels
    )
    by_folder: dict[Path, list[str]] = {}
    for name in names:
        by_folder.setdefault(folders[name], []).append(name)
    for folder, stems in watch(list(by_folder.items())):
        pictures = images / folder.relative_to(labels)
        require_files(pictures, [f"{stem}.JPEG" for stem in stems], "image")
        for stem in stems:
            boxes = [box for _, box in read_boxes(folder / f"{stem}.xml")]
            large = [box for box in boxes if _is_large_enough(box, config.min_side)]
            targets += [
                ListedTarget(f"{stem}/{i}", _box_track(pictures, [(f"{stem}.JPEG", box)]), stem)
                for i, box in enumerate(large)
            ]
            left_out += len(boxes) - len(large)
        count += len(stems)
    return Listing(targets, False, count, left_out, has_masks=False)


def read_boxes(path: Path) -> list[LabelledBox]:
    """Read the boxes of an annotation file."""
    try:
        objects = ET.parse(path).getroot().iter("object")  # noqa: S314 - the user's own data
        return [_box(entry) for entry in objects]
    except (OSError, ET.ParseError, ValueError) as error:
        raise DatasetError(f"{path}: {error}") from error


def _box(entry: ET.Element) -> LabelledBox:
    sides = [entry.findtext(f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")]
    if None in sides:
        raise ValueError("an object without a whole bndbox")
    x0, y0, x1, y1 = (round(float(side or "")) for side in sides)
    return LabelledBox(entry.findtext("trackid") or "", (x0, y0, x1, y1))


def _folders(config: SourceConfig, kind: str) -> tuple[Path, Path]:
    parts = Path(kind, config.split or "train")
    return Path(config.root) / "Data" / parts, Path(config.root) / "Annotations" / parts


def _labelled(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders with annotation files below (or at) a folder, and the files' stems, sorted."""
    names = sorted(folder_names(folder))
    stems = [name[:-4] for name in names if name.endswith(".xml")]
    if stems:
        yield folder, stems
    else:
        for name in names:
            if (folder / name).is_dir():
                yield from _labelled(folder / name)


def _is_large_enough(box_xyxy: BoxXYXY, min_side: int) -> bool:
    x0, y0, x1, y1 = box_xyxy
    return min(x1 - x0, y1 - y0) + 1 >= min_side


def _box_track(folder: Path, frames: list[tuple[str, BoxXYXY]]) -> BoxTrack:
    boxes = np.array([box for _, box in frames], dtype=np.int32)
    return BoxTrack(folder, tuple(name for name, _ in frames), boxes)
