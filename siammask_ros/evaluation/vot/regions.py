# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Regions of VOT: a rectangle, corners or a mask, as the truth is written and results are reported.

Coordinates are taken as they are, as the official evaluation does.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from siammask_ros.geometry import Box, corners_to_box, vot_region_to_box

if TYPE_CHECKING:
    from siammask_ros.evaluation.protocol import Mask, Result

RegionKind = Literal["polygon", "rectangle", "mask"]
REGION_KINDS: tuple[RegionKind, ...] = get_args(RegionKind)
_CORNERS_OF_A_BOX = 4
_RECTANGLE_NUMBERS = 4
_MASK_HEADER = 4
_SHOWN = 80
"""Characters of a line that an error shows."""


class MaskRegion(NamedTuple):
    """A part of an image's mask."""

    mask: Mask
    """(h, w) bool, at least one pixel large."""
    left_top: tuple[int, int]
    """Column and row of its first pixel in the image."""


Corners: TypeAlias = npt.NDArray[np.float64]
Region: TypeAlias = Box | Corners | MaskRegion
"""What TraX carries: a rectangle, a polygon (N, 2), or a mask."""


def start_box(region: Region) -> Box:
    """The box that a tracker is started on.

    Of four corners, the box of their mean area as in the official evaluation
    (`vot_region_to_box`); of other polygons and of masks, the smallest around them.

    Raises:
        ValueError: an empty mask, or corners without area.
    """
    if isinstance(region, Box):
        return region
    if isinstance(region, MaskRegion):
        box = Box.from_mask(region.mask)
        if box is None:
            raise ValueError("the start mask is empty")
        left, top = region.left_top
        return Box(box.x + left, box.y + top, box.width, box.height)
    if len(region) == _CORNERS_OF_A_BOX:
        return vot_region_to_box(region.ravel())
    return corners_to_box(region)


def reported_region(result: Result, kind: RegionKind) -> Region:
    """A tracker's result as a region; its box stands for corners that it does not have."""
    if kind == "mask":
        return cut_mask(result.mask)
    box = Box(*result.box_xywh)
    if kind == "rectangle":
        return box
    corners = getattr(result, "corners", None)
    return box.corners if corners is None else np.asarray(corners, np.float64)


def cut_mask(mask: Mask) -> MaskRegion:
    """The part of a mask (H, W) that holds all its pixels; one empty pixel if there are none."""
    box = Box.from_mask(mask)
    if box is None:
        return MaskRegion(np.zeros((1, 1), np.bool_), (0, 0))
    left, top, right, bottom = (int(edge) for edge in box.xyxy)
    return MaskRegion(mask[top:bottom, left:right], (left, top))


def parse_region(line: str) -> Region:
    """A line of a VOT truth: corners, a rectangle, or a mask.

    A mask is `m`, left, top, width, height and its runs of pixels, row by row, outside ones first.
    A single number (the target is not to be seen) and NaN give an empty rectangle.

    Raises:
        ValueError: the line is something else.
    """
    text = line.strip()
    try:
        numbers = [float(part) for part in text.removeprefix("m").split(",")]
    except ValueError:
        numbers = []
    if text.startswith("m") and len(numbers) > _MASK_HEADER:
        return _parse_mask([int(number) for number in numbers])
    if len(numbers) == 1 or not all(map(math.isfinite, numbers)):
        return Box(0.0, 0.0, 0.0, 0.0)
    if len(numbers) == _RECTANGLE_NUMBERS:
        return Box(*numbers)
    if len(numbers) > _RECTANGLE_NUMBERS and len(numbers) % 2 == 0:
        return np.array(numbers).reshape(-1, 2)
    raise ValueError(f"not a VOT region: {text[:_SHOWN]!r}")


def _parse_mask(numbers: list[int]) -> MaskRegion:
    left, top, width, height = numbers[:_MASK_HEADER]
    runs = np.array(numbers[_MASK_HEADER:])
    pixels = np.repeat(np.arange(runs.size) % 2 == 1, runs)
    mask = np.zeros(max(width * height, 1), np.bool_)
    mask[: pixels.size] = pixels[: mask.size]  # outside pixels at the end may be left out
    return MaskRegion(mask.reshape(max(height, 1), max(width, 1)), (left, top))
