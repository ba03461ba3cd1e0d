# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reader of DAVIS folders: Perazzi et al., CVPR 2016, and Pont-Tuset et al., 2017.

In 2016 all that moves is one target, and masks are 0 or 255; in 2017 targets have numbers, which
masks hold as palette indices. Results of a method lie as `NAME/00000.png`, in the same formats.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from siammask_ros.evaluation.protocol import LabelledFrame
from siammask_ros.label_images import (
    Labels,
    encode_label_image,
    is_indexed_png,
    read_foreground,
    read_label_image,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from siammask_ros.evaluation.protocol import ImageBgr

DAVIS_YEARS = (2016, 2017)
_RESOLUTION = "480p"
_SET_FOLDERS = {2016: ("2016", _RESOLUTION, "", "2017"), 2017: ("2017", "", "2016", _RESOLUTION)}
"""Folders of ImageSets that may hold the list of a split, the best first."""


@dataclass(frozen=True)
class DavisSequence:
    """One DAVIS sequence; frames are read when asked for.

    Attributes:
        name: name of its folder.
        images: paths of its frames, in order.
        annotations: paths of their masks.
        year: 2016: every pixel that is not black is the one target; 2017: pixels are the numbers
            of targets.
    """

    name: str
    images: tuple[Path, ...]
    annotations: tuple[Path, ...]
    year: int = 2016

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
        image, labels = read_image(self.images[index]), self.labels(index)
        check_size(self.annotations[index], labels, image.shape[:2])
        return LabelledFrame(image, labels)

    def labels(self, index: int) -> Labels:
        """Read the mask of a frame, (H, W) uint8: numbers of targets.

        Raises:
            ValueError: the file is no such image.
        """
        return self._read(self.annotations[index])

    def result_path(self, index: int) -> Path:
        """`NAME/00000.png`."""
        return Path(self.name, self.annotations[index].name)

    def encode_result(self, labels: Labels) -> bytes:
        """As the annotations: 0 and 255 in 2016, indices of a palette in 2017."""
        if self.year == 2017:
            return encode_label_image(labels)
        done, data = cv2.imencode(".png", np.where(labels > 0, 255, 0).astype(np.uint8))
        if not done:
            raise OSError(f"OpenCV cannot write PNG pictures of shape {labels.shape}")
        return data.tobytes()

    def read_result(self, folder: Path, index: int) -> Labels:
        """Read the masks of a method in a frame.

        Raises:
            ValueError: there is no such file, or it is no such image.
        """
        path = folder / self.result_path(index)
        if not path.is_file():
            raise ValueError(f"sequence {self.name}: no result {path}")
        return self._read(path)

    def _read(self, path: Path) -> Labels:
        if self.year == 2017:
            return read_label_image(path)
        return read_foreground(path).view(np.uint8)


def read_image(path: Path) -> ImageBgr:
    """Read an image as (H, W, 3) uint8 BGR.

    Raises:
        ValueError: it does not decode.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"not an image: {path}")
    return np.asarray(image, np.uint8)


def check_size(path: Path, labels: Labels, shape: tuple[int, ...]) -> None:
    """Make sure that a mask has its image's height and width.

    Raises:
        ValueError: naming both.
    """
    if labels.shape != shape:
        raise ValueError(f"{path} has shape {labels.shape}, its image {shape}")


def read_davis(
    root: str | os.PathLike[str],
    sequences: Iterable[str] | None = None,
    *,
    split: str | None = None,
    year: int | None = None,
) -> list[DavisSequence]:
    """Find the sequences of a DAVIS folder.

    Both layouts are understood: `JPEGImages/NAME` with `Annotations/NAME`, and the original
    `JPEGImages/480p/NAME` with `Annotations/480p/NAME`.

    Args:
        root: the folder that holds `JPEGImages` and `Annotations`.
        sequences: names to read, in this order; all (or those of the split), sorted, if None.
        split: list in `ImageSets` to take the names from, for example `val`.
        year: 2016 or 2017 (see `DavisSequence`). By default 2017 if the first mask of the folder
            has a palette.

    Raises:
        ValueError: not such a folder, an unknown sequence, split or year, or frames without masks.
    """
    base = Path(root)
    images, annotations = base / "JPEGImages", base / "Annotations"
    if (images / _RESOLUTION).is_dir():
        images, annotations = images / _RESOLUTION, annotations / _RESOLUTION
    if not images.is_dir() or not annotations.is_dir():
        raise ValueError(f"not a DAVIS folder (no JPEGImages and Annotations): {base}")
    held = sorted(folder.name for folder in annotations.iterdir() if folder.is_dir())
    year = year or _year_of(annotations, held)
    if year not in DAVIS_YEARS:
        raise ValueError(f"year must be one of {DAVIS_YEARS}, got {year}")
    if sequences is None:
        names = held if split is None else _read_split(base, split, year)
    else:
        names = list(sequences)
    unknown = [name for name in names if name not in held]
    if unknown:
        raise ValueError(f"no such sequence in {base}: {', '.join(unknown)}")
    return [_read_sequence(name, images / name, annotations / name, year) for name in names]


def davis_name(sequences: Sequence[DavisSequence], split: str | None = None) -> str:
    """The data set's name for a report, such as `DAVIS-2017 val`; `DAVIS` without sequences."""
    year = [f"-{sequence.year}" for sequence in sequences[:1]]
    return "".join(("DAVIS", *year, f" {split}" if split else ""))


def _year_of(annotations: Path, names: Iterable[str]) -> int:
    masks = (mask for name in names for mask in sorted((annotations / name).glob("*.png")))
    first = next(masks, None)
    return 2017 if first is not None and is_indexed_png(first) else 2016


def _read_sequence(name: str, images: Path, annotations: Path, year: int) -> DavisSequence:
    frames = sorted(images.glob("*.jpg"))
    masks = tuple(annotations / f"{frame.stem}.png" for frame in frames)
    missing = [mask.name for mask in masks if not mask.is_file()]
    if missing:
        raise ValueError(
            f"sequence {name}: {len(missing)} frames without a mask, from {missing[0]}"
        )
    return DavisSequence(name, tuple(frames), masks, year)


def _read_split(base: Path, split: str, year: int) -> list[str]:
    """Names in a list of ImageSets: one a line, or (DAVIS-2016) the paths of every frame."""
    candidates = [base / "ImageSets" / name / f"{split}.txt" for name in _SET_FOLDERS[year]]
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
