# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reader of DAVIS folders: Perazzi et al., CVPR 2016, and Pont-Tuset et al., 2017."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from siammask_ros.evaluation.protocol import LabelledFrame

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

_RESOLUTION = "480p"
_SET_YEARS = ("", _RESOLUTION, "2016", "2017")
"""Folders of ImageSets that may hold the list of a split."""


@dataclass(frozen=True)
class DavisSequence:
    """One DAVIS sequence; frames are read when asked for.

    Attributes:
        name: name of its folder.
        images: paths of its frames, in order.
        annotations: paths of their masks; every non-zero pixel is foreground, so the instances
            of DAVIS-2017 count as one target, as in DAVIS-2016.
    """

    name: str
    images: tuple[Path, ...]
    annotations: tuple[Path, ...]

    def __post_init__(self) -> None:
        if not self.images or len(self.images) != len(self.annotations):
            raise ValueError(
                f"sequence {self.name}: {len(self.images)} frames, {len(self.annotations)} masks"
            )

    def __len__(self) -> int:
        return len(self.images)

    def frame(self, index: int) -> LabelledFrame:
        """Read a frame and its mask.

        Raises:
            ValueError: a file is no image, or image and mask differ in size.
        """
        image = cv2.imread(str(self.images[index]), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f"not an image: {self.images[index]}")
        # In colour: a palette entry may be dark, but only the background is black.
        annotation = cv2.imread(str(self.annotations[index]), cv2.IMREAD_COLOR)
        if annotation is None:
            raise ValueError(f"not an image: {self.annotations[index]}")
        if annotation.shape != image.shape:
            raise ValueError(
                f"{self.annotations[index]} has shape {annotation.shape[:2]}, "
                f"its image {image.shape[:2]}"
            )
        return LabelledFrame(np.asarray(image, np.uint8), np.asarray(annotation.any(axis=2)))


def read_davis(
    root: str | os.PathLike[str],
    sequences: Iterable[str] | None = None,
    *,
    split: str | None = None,
) -> list[DavisSequence]:
    """Find the sequences of a DAVIS folder.

    Both layouts are understood: `JPEGImages/NAME` with `Annotations/NAME`, and the original
    `JPEGImages/480p/NAME` with `Annotations/480p/NAME`.

    Args:
        root: the folder that holds `JPEGImages` and `Annotations`.
        sequences: names to read, in this order; all (or those of the split), sorted, if None.
        split: list in `ImageSets` to take the names from, for example `val`.

    Raises:
        ValueError: not such a folder, an unknown sequence or split, or frames without masks.
    """
    base = Path(root)
    images, annotations = base / "JPEGImages", base / "Annotations"
    if (images / _RESOLUTION).is_dir():
        images, annotations = images / _RESOLUTION, annotations / _RESOLUTION
    if not images.is_dir() or not annotations.is_dir():
        raise ValueError(f"not a DAVIS folder (no JPEGImages and Annotations): {base}")
    held = sorted(folder.name for folder in annotations.iterdir() if folder.is_dir())
    if sequences is None:
        names = held if split is None else _read_split(base, split)
    else:
        names = list(sequences)
    unknown = [name for name in names if name not in held]
    if unknown:
        raise ValueError(f"no such sequence in {base}: {', '.join(unknown)}")
    return [_read_sequence(name, images / name, annotations / name) for name in names]


def _read_sequence(name: str, images: Path, annotations: Path) -> DavisSequence:
    frames = sorted(images.glob("*.jpg"))
    masks = tuple(annotations / f"{frame.stem}.png" for frame in frames)
    missing = [mask.name for mask in masks if not mask.is_file()]
    if missing:
        raise ValueError(
            f"sequence {name}: {len(missing)} frames without a mask, from {missing[0]}"
        )
    return DavisSequence(name, tuple(frames), masks)


def _read_split(base: Path, split: str) -> list[str]:
    """Names in a list of ImageSets: one a line, or (DAVIS-2016) the paths of every frame."""
    candidates = [base / "ImageSets" / year / f"{split}.txt" for year in _SET_YEARS]
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise ValueError(f"no list {split}.txt in {base / 'ImageSets'}")
    names: dict[str, None] = {}
    for line in found.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words:
            path = Path(words[0])
            names[path.parent.name if path.suffix else path.name] = None
    return list(names)
