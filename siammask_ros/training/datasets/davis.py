# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""DAVIS: Perazzi et al., CVPR 2016, and Pont-Tuset et al., 2017."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from siammask_ros.training.config import SourceConfig
from siammask_ros.training.datasets.files import (
    chosen_names,
    folder_names,
    read_foreground,
    read_indices,
    require_files,
)
from siammask_ros.training.datasets.tracks import (
    ImageReader,
    ListedTarget,
    Listing,
    MaskTrack,
    Watch,
)
from siammask_ros.training.sources import DatasetError

_RESOLUTION = "480p"


def list_davis(config: SourceConfig, _: ImageReader, watch: Watch) -> Listing:
    """List the targets of DAVIS: one a sequence in 2016, one a number in the masks in 2017.

    Folders are `JPEGImages/480p/NAME` and `Annotations/480p/NAME`, or the same without `480p`.
    Sequences are those of the split's list in `ImageSets`, train if none is named; all of them
    where there is no `ImageSets` and no split is named. Masks are read, images are not.
    """
    root = Path(config.root)
    images, masks = root / "JPEGImages", root / "Annotations"
    if (images / _RESOLUTION).is_dir():
        images, masks = images / _RESOLUTION, masks / _RESOLUTION
    there = sorted(name for name in folder_names(images) if (images / name).is_dir())
    names = _split_names(root, config) or there
    chosen = chosen_names(names, include=config.include, exclude=config.exclude, where=images)
    stems = {name: _stems(images / name, masks / name) for name in chosen}
    targets: list[ListedTarget] = []
    left_out = 0
    for name in watch(chosen):
        tracks, small = _tracks(images / name, masks / name, stems[name], config)
        targets += [
            ListedTarget(f"{name}/{t.number}" if t.number else name, t, name) for t in tracks
        ]
        left_out += small
    return Listing(targets, True, sum(map(len, stems.values())), left_out)


def _split_names(root: Path, config: SourceConfig) -> list[str]:
    """Sequences in the split's list, none where there are no lists and none is asked for."""
    sets = root / "ImageSets"
    if not sets.is_dir() and not config.split:
        return []
    years = [str(config.year)] if config.year == 2017 else ["2016", _RESOLUTION]
    paths = [sets / year / f"{config.split or 'train'}.txt" for year in years]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise DatasetError(f"no list {' or '.join(map(str, paths))}")
    lines = [line.split()[0] for line in path.read_text().splitlines() if line.strip()]
    # 2016 lists each frame ("/JPEGImages/480p/bear/00000.jpg ..."), later lists name sequences.
    names = [Path(line).parent.name if "/" in line else line for line in lines]
    return list(dict.fromkeys(names))


def _stems(images: Path, masks: Path) -> tuple[str, ...]:
    stems = sorted(name[:-4] for name in folder_names(images) if name.endswith(".jpg"))
    if not stems:
        raise DatasetError(f"no frames in {images}")
    require_files(masks, [f"{stem}.png" for stem in stems], "mask")
    return tuple(stems)


def _tracks(
    images: Path, masks: Path, stems: Sequence[str], config: SourceConfig
) -> tuple[list[MaskTrack], int]:
    """Tracks of a sequence's targets, and how many times one was too small or not there."""
    seen: dict[int | None, list[str]] = {}
    left_out = 0
    for stem in stems:
        for number, mask in _numbered_masks(masks / f"{stem}.png", config.year):
            if min(mask.any(axis=0).sum(), mask.any(axis=1).sum()) < config.min_side:
                left_out += 1
            else:
                seen.setdefault(number, []).append(stem)
    tracks = [MaskTrack(images, masks, tuple(s), n, config.min_side) for n, s in seen.items()]
    return tracks, left_out


def _numbered_masks(path: Path, year: int) -> list[tuple[int | None, npt.NDArray[np.bool_]]]:
    if year == 2016:
        return [(None, read_foreground(path))]
    numbers = read_indices(path)
    return [(number, numbers == number) for number in np.unique(numbers[numbers > 0]).tolist()]
