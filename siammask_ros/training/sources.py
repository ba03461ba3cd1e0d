# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training targets: an image and where in it the target is, in clips, in data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from siammask_ros.training.warp import Uint8Array

if TYPE_CHECKING:  # config imports samples, which import this module
    from siammask_ros.training.config import SourceConfig


class DatasetError(ValueError):
    """A training data set is incomplete or not laid out as expected."""


@dataclass(frozen=True)
class MaskedTarget:
    """One target in one image.

    Attributes:
        image_bgr: HxWx3 uint8, shared by all targets of the image.
        mask_crop: uint8 {0, 255}, the mask inside its tight box; all 255 without a mask.
        origin_xy: top-left pixel of `mask_crop` in the image.
        has_mask: False where only the box is known.
    """

    image_bgr: Uint8Array
    mask_crop: Uint8Array
    origin_xy: tuple[int, int]
    has_mask: bool = True

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
    """The same target in one or more frames, in order of time.

    Attributes:
        name: of the target, unique in its data set.
        frames: decoded when they are asked for, or before. None where that shows that the
            target cannot be seen, or is too small.
        is_video: whether the frames are of a video; else there is one.
        scene: the image or video that the target is in, perhaps with others; its name if empty.
    """

    name: str
    frames: Sequence[MaskedTarget | None]
    is_video: bool
    scene: str = ""


@dataclass(frozen=True)
class Source:
    """A data set that has been read.

    Attributes:
        name: from the configuration.
        config: what was asked for.
        clips: its targets; none of them has no frames.
        images: number of different images.
        left_out: targets in single frames that were too small, empty or marked as crowds.
        has_masks: False where only boxes are known.
    """

    name: str
    config: SourceConfig
    clips: tuple[Clip, ...]
    images: int = 0
    left_out: int = 0
    has_masks: bool = True

    @property
    def targets(self) -> int:
        """Number of targets in single frames."""
        return sum(len(clip.frames) for clip in self.clips)


def masked_target(image_bgr: Uint8Array, mask: npt.NDArray[np.bool_]) -> MaskedTarget | None:
    """Return the target that `mask` (HxW bool) shows, None where the mask is empty."""
    columns = np.flatnonzero(mask.any(axis=0))
    if columns.size == 0:
        return None
    rows = np.flatnonzero(mask.any(axis=1))
    x, y = int(columns[0]), int(rows[0])
    crop = mask[y : int(rows[-1]) + 1, x : int(columns[-1]) + 1]
    return MaskedTarget(image_bgr, crop.astype(np.uint8) * 255, (x, y))


def boxed_target(image_bgr: Uint8Array, box_xyxy: tuple[int, int, int, int]) -> MaskedTarget | None:
    """Return the target inside a box, None where no pixel of it is in the image.

    Args:
        image_bgr: HxWx3 uint8.
        box_xyxy: first and last column and row (x0, y0, x1, y1), both inside the target.
    """
    height, width = image_bgr.shape[:2]
    x0, y0 = max(box_xyxy[0], 0), max(box_xyxy[1], 0)
    x1, y1 = min(box_xyxy[2], width - 1), min(box_xyxy[3], height - 1)
    if x1 < x0 or y1 < y0:
        return None
    filled = np.full((y1 - y0 + 1, x1 - x0 + 1), 255, np.uint8)
    return MaskedTarget(image_bgr, filled, (x0, y0), has_mask=False)
