# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Paste a predicted mask into the image, and fit a rotated box to it (SiamMask, sec. 3.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from siammask_ros.geometry import BoolArray, Box, RotatedBox

if TYPE_CHECKING:
    from collections.abc import Sequence

FloatMask = npt.NDArray[np.float32]

OFFICIAL_BORDER_VALUE = -1.0
"""What the official code interpolates towards outside the mask window; PySOT uses 0."""


_ROUNDS_FROM_LEFT_EDGE = int(cv2.__version__.split(".", maxsplit=1)[0]) < 5
"""OpenCV 4 rounds the positions of columns to 1/1024 pixel, counted from the output's left edge."""


class ImageRegion(NamedTuple):
    """Whole pixels of an image: left, top, width, height. Empty when width or height is 0."""

    x: int
    y: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an image with."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)


@dataclass(frozen=True)
class MaskPlacement:
    """Where the pixels of a mask window lie in the image: image = origin + scale * mask.

    Attributes:
        origin_xy: image position of the centre of mask pixel (0, 0).
        scale_xy: image pixels per mask pixel.
    """

    origin_xy: tuple[float, float]
    scale_xy: tuple[float, float]

    @classmethod
    def official(
        cls,
        window_xy: tuple[float, float],
        window_side: float,
        mask_size: int,
        image_size_wh: tuple[int, int],
    ) -> MaskPlacement:
        """Placement as the official code and PySOT do it.

        They map an image of W pixels on W - 1, which shrinks the mask about the image's origin
        by (W - 1) / W, a pixel at most, and take a corner for the centre of the first pixel.

        Args:
            window_xy: top-left corner of the mask window in the image.
            window_side: its side in image pixels.
            mask_size: its side in mask pixels.
            image_size_wh: the image's width and height.
        """
        shrink_x, shrink_y = ((side - 1) / side for side in image_size_wh)
        pitch = window_side / mask_size
        return cls(
            (window_xy[0] * shrink_x, window_xy[1] * shrink_y), (pitch * shrink_x, pitch * shrink_y)
        )

    def region(self, mask_size: int, image_size_wh: tuple[int, int]) -> ImageRegion:
        """Image pixels less than one mask pixel away from the mask's pixel centres."""
        starts, sides = [], []
        for origin, scale, image_side in zip(
            self.origin_xy, self.scale_xy, image_size_wh, strict=True
        ):
            start = max(0, math.floor(origin - scale))
            stop = min(image_side, math.ceil(origin + mask_size * scale) + 1)
            starts.append(min(start, image_side))
            sides.append(max(0, stop - start))
        if 0 in sides:
            sides = [0, 0]
        return ImageRegion(starts[0], starts[1], sides[0], sides[1])


def place_mask_roi(
    mask_probability: FloatMask,
    placement: MaskPlacement,
    image_size_wh: tuple[int, int],
    *,
    border_value: float = OFFICIAL_BORDER_VALUE,
) -> tuple[ImageRegion, FloatMask]:
    """Enlarge a mask window to image pixels, only where it touches the image.

    Args:
        mask_probability: (M, M) float32, in [0, 1].
        placement: where it lies.
        image_size_wh: the image's width and height.
        border_value: value that the outermost mask pixels fade towards, over one mask pixel.

    Returns:
        The region that the window touches, and the values in it, (height, width) float32; the
        values everywhere else are `border_value`.
    """
    region = placement.region(mask_probability.shape[0], image_size_wh)
    if region.width == 0:
        return region, np.zeros((0, 0), dtype=np.float32)
    left = 0 if _ROUNDS_FROM_LEFT_EDGE else region.x  # the same pixels as in a full-frame paste
    mask_to_region = np.array(
        [
            [placement.scale_xy[0], 0, placement.origin_xy[0] - left],
            [0, placement.scale_xy[1], placement.origin_xy[1] - region.y],
        ]
    )
    placed = cv2.warpAffine(
        mask_probability,
        mask_to_region,
        (region.x - left + region.width, region.height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=border_value,
    )
    return region, np.ascontiguousarray(placed[:, region.x - left :], dtype=np.float32)


@dataclass(frozen=True)
class MaskOutline:
    """Boxes around the largest connected part of a mask.

    Attributes:
        rotated_box: rectangle of smallest area, theta in [-pi/4, pi/4).
        box: axis-aligned min-max box, a single pixel being 1 wide.
        area: area inside the outline through pixel centres, holes included.
    """

    rotated_box: RotatedBox
    box: Box
    area: float


def outline_mask(
    mask: BoolArray, *, offset_xy: Sequence[int] = (0, 0), min_area: float = 0.0
) -> MaskOutline | None:
    """Fit boxes to the largest connected part of a mask.

    Args:
        mask: (H, W) bool, C-contiguous.
        offset_xy: position of the mask's first pixel in the image, added to the results.
        min_area: the part must be larger than this, in square pixels.

    Returns:
        The boxes in image pixels, or None when no part is large enough.
    """
    if mask.size == 0:
        return None
    contours, _ = cv2.findContours(
        mask.view(np.uint8),
        cv2.RETR_EXTERNAL,
        cv2.CHAIN_APPROX_NONE,
        offset=(int(offset_xy[0]), int(offset_xy[1])),
    )
    if not contours:
        return None
    areas = [cv2.contourArea(contour) for contour in contours]
    largest = int(np.argmax(areas))
    if areas[largest] <= min_area:
        return None
    corners = cv2.boxPoints(cv2.minAreaRect(contours[largest]))
    box = Box(*(float(number) for number in cv2.boundingRect(contours[largest])))
    return MaskOutline(RotatedBox.from_corners(corners).upright(), box, float(areas[largest]))
