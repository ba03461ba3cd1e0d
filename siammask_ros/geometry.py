# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Boxes, rotated boxes and polygons in image pixels.

Everywhere in the package pixel (0, 0) is the centre of the top-left pixel, x grows to the right
and y downwards. Sizes and positions are in pixels, angles in radians from +x toward +y, which is
clockwise on screen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]

MIN_BOX_SIDE = 4
"""Smallest side, in pixels, of a box that a target can be started on."""


@dataclass(frozen=True)
class Box:
    """Axis-aligned box: left and top edge, width and height, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @classmethod
    def from_center(cls, center_xy: Sequence[float], size_wh: Sequence[float]) -> Box:
        """Box around `center_xy`: the inverse of `center_xy` and `size_wh`."""
        (center_x, center_y), (width, height) = center_xy, size_wh
        return cls(center_x - width / 2, center_y - height / 2, width, height)

    @classmethod
    def from_xyxy(cls, left: float, top: float, right: float, bottom: float) -> Box:
        """Box from its edges."""
        return cls(left, top, right - left, bottom - top)

    @classmethod
    def from_mask(cls, mask: BoolArray) -> Box | None:
        """Smallest box that holds all True pixels of a mask (H, W); None when there are none.

        A single pixel gives a box of width and height 1, as `cv2.boundingRect` does.
        """
        rows = np.flatnonzero(mask.any(axis=1))
        if rows.size == 0:
            return None
        columns = np.flatnonzero(mask.any(axis=0))
        return cls(
            float(columns[0]),
            float(rows[0]),
            float(columns[-1] - columns[0] + 1),
            float(rows[-1] - rows[0] + 1),
        )

    @property
    def xywh(self) -> tuple[float, float, float, float]:
        """(left, top, width, height)."""
        return (self.x, self.y, self.width, self.height)

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom)."""
        return (self.x, self.y, self.x + self.width, self.y + self.height)

    @property
    def center_xy(self) -> tuple[float, float]:
        """Centre, x + width / 2 and y + height / 2."""
        return (self.x + self.width / 2, self.y + self.height / 2)

    @property
    def size_wh(self) -> tuple[float, float]:
        """(width, height)."""
        return (self.width, self.height)

    @property
    def area(self) -> float:
        """Width times height, 0 for an inverted box."""
        return max(self.width, 0.0) * max(self.height, 0.0)

    @property
    def corners(self) -> npt.NDArray[np.float64]:
        """(4, 2): top left, top right, bottom right, bottom left."""
        left, top, right, bottom = self.xyxy
        return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])

    def clipped(self, image_size_wh: Sequence[float]) -> Box:
        """The part of the box inside an image (width, height); empty (0 wide or high) if none."""
        left, top, right, bottom = self.xyxy
        image_width, image_height = image_size_wh
        left, right = (min(max(edge, 0.0), image_width) for edge in (left, right))
        top, bottom = (min(max(edge, 0.0), image_height) for edge in (top, bottom))
        return Box.from_xyxy(left, top, max(left, right), max(top, bottom))


def wrap_theta(theta: float) -> float:
    """The angle of the same undirected line, in [-pi/2, pi/2)."""
    wrapped = math.remainder(theta, math.pi)  # in [-pi/2, pi/2]
    return -math.pi / 2 if wrapped >= math.pi / 2 else wrapped


@dataclass(frozen=True)
class RotatedBox:
    """Rotated rectangle: centre, side lengths in its own frame, and angle.

    `theta` is the angle in radians of the width axis from image +x toward +y; it is wrapped into
    [-pi/2, pi/2), which turns the rectangle by 180 degrees at most and leaves its shape.
    """

    center_xy: tuple[float, float]
    size_wh: tuple[float, float]
    theta: float = 0.0

    def __post_init__(self) -> None:
        numbers = (*self.center_xy, *self.size_wh, self.theta)
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError(f"rotated box must be finite, got {numbers}")
        if min(self.size_wh) < 0:
            raise ValueError(f"size of a rotated box must not be negative, got {self.size_wh}")
        object.__setattr__(self, "theta", wrap_theta(self.theta))

    @classmethod
    def from_box(cls, box: Box) -> RotatedBox:
        """The same rectangle with theta 0."""
        return cls(box.center_xy, box.size_wh, 0.0)

    @classmethod
    def from_corners(cls, corners: npt.ArrayLike) -> RotatedBox:
        """Rectangle through four corners (4, 2), given in order around it, either way round.

        The side from the first to the second corner is the width. For a quadrilateral that is not
        quite a rectangle, opposite sides are averaged.
        """
        points = np.asarray(corners, dtype=np.float64)
        if points.shape != (4, 2):
            raise ValueError(f"corners must have shape (4, 2), got {points.shape}")
        along_width = (points[1] - points[0] + points[2] - points[3]) / 2
        along_height = (points[2] - points[1] + points[3] - points[0]) / 2
        width, height = math.hypot(*along_width), math.hypot(*along_height)
        if width > 0:
            theta = math.atan2(along_width[1], along_width[0])
        else:  # a segment: its direction is that of the height axis, a quarter turn further
            theta = math.atan2(along_height[1], along_height[0]) - math.pi / 2
        center_x, center_y = points.mean(axis=0)
        return cls((float(center_x), float(center_y)), (width, height), theta)

    @property
    def corners(self) -> npt.NDArray[np.float64]:
        """(4, 2): top-left corner in the box's own frame first, then clockwise on screen."""
        half_width, half_height = self.size_wh[0] / 2, self.size_wh[1] / 2
        cosine, sine = math.cos(self.theta), math.sin(self.theta)
        along_width = np.array([cosine, sine]) * half_width
        along_height = np.array([-sine, cosine]) * half_height
        center = np.array(self.center_xy)
        return np.stack(
            [
                center - along_width - along_height,
                center + along_width - along_height,
                center + along_width + along_height,
                center - along_width + along_height,
            ]
        )

    @property
    def area(self) -> float:
        """Width times height."""
        return self.size_wh[0] * self.size_wh[1]

    @property
    def bounding_box(self) -> Box:
        """Smallest axis-aligned box around the corners."""
        return corners_to_box(self.corners)

    def upright(self) -> RotatedBox:
        """The same rectangle, sides named so that theta is in [-pi/4, pi/4).

        With this choice a target that stands straight has theta near 0 whichever of its sides is
        longer, and the numbers do not jump where they are used most.
        """
        if -math.pi / 4 <= self.theta < math.pi / 4:
            return self
        width, height = self.size_wh
        return RotatedBox(self.center_xy, (height, width), self.theta - math.pi / 2)


def corners_to_box(corners: npt.ArrayLike) -> Box:
    """Smallest axis-aligned box around points (N, 2)."""
    points = np.asarray(corners, dtype=np.float64)
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return Box.from_xyxy(float(left), float(top), float(right), float(bottom))


def polygon_area(points: npt.ArrayLike) -> float:
    """Area of a simple polygon (N, 2), in square pixels, for either direction of its points."""
    x, y = np.asarray(points, dtype=np.float64).T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def vot_region_to_box(region: npt.ArrayLike) -> Box:
    """Start box from a VOT region, as the official evaluation makes it.

    Args:
        region: 8 numbers (four corners) or 4 numbers (x, y, width, height).

    Returns:
        For corners, a box at their mean whose sides are those of their extent, scaled so that its
        area is that of the rotated region, plus one pixel.
    """
    numbers = np.asarray(region, dtype=np.float64)
    if numbers.shape == (4,):
        return Box(*(float(number) for number in numbers))
    if numbers.shape != (8,):
        raise ValueError(f"a VOT region has 4 or 8 numbers, got shape {numbers.shape}")
    points = numbers.reshape(4, 2)
    extent = corners_to_box(points)
    if extent.area == 0:
        raise ValueError(f"VOT region has no area: {numbers.tolist()}")
    region_area = math.dist(points[0], points[1]) * math.dist(points[1], points[2])
    shrink = math.sqrt(region_area / extent.area)
    center_x, center_y = points.mean(axis=0)
    size_wh = (shrink * extent.width + 1, shrink * extent.height + 1)
    return Box.from_center((float(center_x), float(center_y)), size_wh)


def box_iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes, in [0, 1]; 0 when either is empty."""
    return float(box_iou_xyxy(np.array(first.xyxy), np.array(second.xyxy)))


def box_iou_xyxy(first_xyxy: FloatArray, second_xyxy: FloatArray) -> FloatArray:
    """Intersection over union of boxes (..., 4) given by their edges, with broadcasting.

    Returns:
        Array of the broadcast leading shape, in [0, 1]; 0 where the union is empty.
    """
    top_left = np.maximum(first_xyxy[..., :2], second_xyxy[..., :2])
    bottom_right = np.minimum(first_xyxy[..., 2:], second_xyxy[..., 2:])
    intersection = np.clip(bottom_right - top_left, 0, None).prod(axis=-1)
    first_area = np.clip(first_xyxy[..., 2:] - first_xyxy[..., :2], 0, None).prod(axis=-1)
    second_area = np.clip(second_xyxy[..., 2:] - second_xyxy[..., :2], 0, None).prod(axis=-1)
    union = first_area + second_area - intersection
    overlap: FloatArray = np.where(union > 0, intersection / np.where(union > 0, union, 1), 0.0)
    return overlap


def parse_box_xywh(text: str) -> Box:
    """The box that a person typed as `x,y,width,height`, in pixels.

    Raises:
        ValueError: not four finite numbers, or a side is not positive; the text is named.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != len(fields(Box)) or not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"{text!r} is not x,y,width,height in pixels")
    box = Box(*numbers)
    if box.width <= 0 or box.height <= 0:
        raise ValueError(f"the box {text!r} has no area")
    return box


def validate_box_xywh(
    box_xywh: Sequence[float] | npt.ArrayLike,
    image_size_wh: tuple[int, int],
    min_side: float = MIN_BOX_SIDE,
) -> Box:
    """Check a box that a target is to be started on.

    A box may stick out of the image as long as `min_side` pixels of each side are inside.

    Args:
        box_xywh: left, top, width, height in pixels.
        image_size_wh: width and height of the image.
        min_side: smallest side in pixels.

    Returns:
        The box as floats.

    Raises:
        ValueError: not four finite numbers; empty, inverted or smaller than `min_side`; larger
            than the image; outside the image. The message names the value.
    """
    try:
        numbers = np.asarray(box_xywh, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"box must be four numbers x, y, width, height: {box_xywh!r}") from error
    if numbers.shape != (4,):
        raise ValueError(f"box must be four numbers x, y, width, height: {box_xywh!r}")
    box = Box(*(float(number) for number in numbers))
    image_width, image_height = image_size_wh
    if not np.isfinite(numbers).all():
        raise ValueError(f"box must be finite, got x, y, width, height = {box.xywh}")
    if box.width <= 0 or box.height <= 0:
        raise ValueError(f"box is empty or inverted: width {box.width:g}, height {box.height:g}")
    if min(box.size_wh) < min_side:
        raise ValueError(
            f"box is too small: {box.width:g}x{box.height:g} pixels, "
            f"each side must be at least {min_side:g}"
        )
    if box.width > image_width or box.height > image_height:
        raise ValueError(
            f"box is larger than the image: {box.width:g}x{box.height:g} pixels "
            f"in {image_width}x{image_height}"
        )
    if min(box.clipped(image_size_wh).size_wh) < min_side:
        raise ValueError(
            f"box is outside the image: x, y, width, height = {box.xywh} "
            f"in {image_width}x{image_height}"
        )
    return box
