# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where training targets come from: images and videos with a mask for each target.

Every reader lists and checks its files first (a missing one is an error with its path), then
decodes all of them once into memory; workers that are forked later share the pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from siammask_ros.training.warp import Uint8Array


class DatasetError(ValueError):
    """A training data set is incomplete or not laid out as expected."""


@dataclass(frozen=True)
class MaskedTarget:
    """One target in one image.

    Attributes:
        image_bgr: HxWx3 uint8, shared by all targets of the image.
        mask_crop: uint8 {0, 255}, the mask inside its tight box.
        origin_xy: top-left pixel of `mask_crop` in the image.
    """

    image_bgr: Uint8Array
    mask_crop: Uint8Array
    origin_xy: tuple[int, int]

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the tight box, pixels."""
        return self.mask_crop.shape[1], self.mask_crop.shape[0]

    @property
    def center_xy(self) -> tuple[float, float]:
        """Centre of the tight box; pixel (0, 0) is the centre of the top-left pixel."""
        width, height = self.size_wh
        return self.origin_xy[0] + (width - 1) / 2, self.origin_xy[1] + (height - 1) / 2

    @property
    def area(self) -> int:
        """Number of mask pixels."""
        return int(np.count_nonzero(self.mask_crop))

    @property
    def image_crop(self) -> Uint8Array:
        """The image inside the tight box (a view)."""
        x, y = self.origin_xy
        return self.image_bgr[y : y + self.mask_crop.shape[0], x : x + self.mask_crop.shape[1]]


@dataclass(frozen=True)
class Clip:
    """The same target in one or more frames, in order of time."""

    name: str
    frames: tuple[MaskedTarget, ...]
    is_video: bool


def masked_target(image_bgr: Uint8Array, mask: npt.NDArray[np.bool_]) -> MaskedTarget | None:
    """Return the target that `mask` (HxW bool) shows, None where the mask is empty."""
    columns = np.flatnonzero(mask.any(axis=0))
    if columns.size == 0:
        return None
    rows = np.flatnonzero(mask.any(axis=1))
    x, y = int(columns[0]), int(rows[0])
    crop = mask[y : int(rows[-1]) + 1, x : int(columns[-1]) + 1]
    return MaskedTarget(image_bgr, crop.astype(np.uint8) * 255, (x, y))


def read_image(path: Path) -> Uint8Array:
    """Read a colour image as HxWx3 uint8 BGR; a file that does not decode is an error."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DatasetError(f"cannot read image {path}")
    return np.asarray(image, dtype=np.uint8)


def read_davis_clips(
    root: Path, *, sequences: Sequence[str] | None = None, exclude: Sequence[str] = ()
) -> list[Clip]:
    """Read DAVIS-2016 sequences: `JPEGImages/<name>/*.jpg`, `Annotations/<name>/*.png`.

    Args:
        root: folder that holds `JPEGImages` and `Annotations`.
        sequences: names to read, all when None.
        exclude: names to leave out (held out for evaluation).
    """
    images_root = root / "JPEGImages"
    if not images_root.is_dir():
        raise DatasetError(f"no folder {images_root}")
    names = sorted(p.name for p in images_root.iterdir() if p.is_dir())
    unknown = sorted((set(sequences or ()) | set(exclude)) - set(names))
    if unknown:
        raise DatasetError(f"no sequence {', '.join(unknown)} in {images_root}")
    chosen = [n for n in (sequences or names) if n not in set(exclude)]
    pairs = {name: _frame_pairs(root, name) for name in chosen}
    return [_read_davis_clip(name, pairs[name]) for name in chosen]


def _frame_pairs(root: Path, name: str) -> list[tuple[Path, Path]]:
    images = sorted((root / "JPEGImages" / name).glob("*.jpg"))
    if not images:
        raise DatasetError(f"no frames in {root / 'JPEGImages' / name}")
    pairs = [(path, root / "Annotations" / name / f"{path.stem}.png") for path in images]
    for _, mask_path in pairs:
        if not mask_path.is_file():
            raise DatasetError(f"missing mask {mask_path}")
    return pairs


def _read_davis_clip(name: str, pairs: Sequence[tuple[Path, Path]]) -> Clip:
    targets = []
    for image_path, mask_path in pairs:
        mask = cv2.imread(str(mask_path), cv2.IMREAD_GRAYSCALE)
        if mask is None:
            raise DatasetError(f"cannot read mask {mask_path}")
        target = masked_target(read_image(image_path), np.asarray(mask) > 0)
        if target is not None:
            targets.append(target)
    return Clip(name, tuple(targets), is_video=True)


def read_polygon_clips(root: Path, *, min_side: int) -> list[Clip]:
    """Read images with polygon labels: `images/*.jpg`, `labels/*.txt`, one clip an instance.

    A label line is a class index and x y pairs divided by image width and height (the layout of
    COCO128-seg). An image without a label file gives no target.

    Args:
        root: folder that holds `images` and `labels`.
        min_side: instances whose box is narrower or lower than this are left out, pixels.
    """
    images = sorted((root / "images").glob("*.jpg"))
    if not images:
        raise DatasetError(f"no images in {root / 'images'}")
    clips = []
    for image_path in images:
        label_path = root / "labels" / f"{image_path.stem}.txt"
        if not label_path.is_file():
            continue
        image = read_image(image_path)
        for index, line in enumerate(label_path.read_text().splitlines()):
            target = masked_target(image, _polygon_mask(line, image.shape, label_path))
            if target is not None and min(target.size_wh) >= min_side:
                clips.append(Clip(f"{image_path.stem}/{index}", (target,), is_video=False))
    return clips


def _polygon_mask(line: str, shape: tuple[int, ...], path: Path) -> npt.NDArray[np.bool_]:
    values = np.array(line.split()[1:], dtype=np.float64)
    if values.size < 6 or values.size % 2:
        raise DatasetError(f"{path}: a polygon needs 3 or more x y pairs, got {values.size} values")
    height, width = shape[:2]
    points = np.round(values.reshape(-1, 2) * [width, height]).astype(np.int32)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [points], 1)
    return mask.astype(bool)
