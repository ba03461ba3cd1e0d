# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What goes into a tracking step and comes out of it, for one target."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from siammask_ros.geometry import BoolArray, Box, RotatedBox

if TYPE_CHECKING:
    from siammask_ros.anchors import AnchorPosition
    from siammask_ros.crop import PaddingBgr
    from siammask_ros.masks import FloatMask, ImageRegion
    from siammask_ros.network import ExemplarKernels


@dataclass(frozen=True, eq=False)
class TrackerState:
    """All the tracker knows about one target. Use `dataclasses.replace` to move it.

    Attributes:
        center_xy: centre of the target in image pixels.
        size_wh: its width and height in pixels.
        kernels: the network's kernels of the target, batch size 1.
        padding_bgr: colour of pixels outside the image, from the first frame.
        image_size_wh: size of the last image seen.
    """

    center_xy: tuple[float, float]
    size_wh: tuple[float, float]
    kernels: ExemplarKernels
    padding_bgr: PaddingBgr
    image_size_wh: tuple[int, int]

    def __post_init__(self) -> None:
        numbers = (*self.center_xy, *self.size_wh)
        if not all(map(math.isfinite, numbers)) or min(self.size_wh) <= 0:
            raise ValueError(
                "target must have a finite centre and a positive size, got "
                f"center_xy={self.center_xy}, size_wh={self.size_wh}"
            )

    @property
    def box(self) -> Box:
        """The axis-aligned box of the target."""
        return Box.from_center(self.center_xy, self.size_wh)


class RunnerUp(NamedTuple):
    """The best proposal for something else than the target, in the same search region."""

    box: Box
    """As predicted, not smoothed."""
    confidence: float
    """Its foreground probability."""


@dataclass(frozen=True, eq=False)
class TrackResult:
    """Where a target is in one frame.

    Attributes:
        box: axis-aligned box: the predicted one, smoothed, centre and size limited to the image;
            or that of the mask (`reported_box`).
        rotated_box: rectangle fitted to the mask's largest part (`box_fit`), theta in
            [-pi/4, pi/4); or the axis-aligned box if the mask is too small or none is predicted.
        has_mask_box: whether `rotated_box` comes from the mask.
        confidence: foreground probability of the chosen anchor, in [0, 1]; of the chosen response
            without anchors.
        mask_roi: the part of the image that the mask window touches. Where no mask is predicted,
            the axis-aligned box, and the mask is that box, filled.
        probability_in_roi: mask probability there, (height, width) float32, in [0, 1].
        mask_in_roi: mask there, (height, width) bool: probability above the threshold.
        image_size_wh: width and height of the image.
        anchor_index: flat index of the chosen anchor; of the response without anchors.
        anchor_position: the same as (anchor, row, column); anchor 0 without anchors.
        runner_up: what else looks like the target nearby; None if there is no place for it.
    """

    box: Box
    rotated_box: RotatedBox
    has_mask_box: bool
    confidence: float
    mask_roi: ImageRegion
    probability_in_roi: FloatMask
    mask_in_roi: BoolArray
    image_size_wh: tuple[int, int]
    anchor_index: int
    anchor_position: AnchorPosition
    runner_up: RunnerUp | None = None

    @property
    def box_xywh(self) -> tuple[float, float, float, float]:
        """Axis-aligned box: left, top, width, height in pixels."""
        return self.box.xywh

    @property
    def corners(self) -> npt.NDArray[np.float64]:
        """Corners of the rotated box (4, 2): top left in its own frame first, clockwise."""
        return self.rotated_box.corners

    @property
    def response_rc(self) -> tuple[int, int]:
        """Row and column of the chosen response."""
        return self.anchor_position.row, self.anchor_position.column

    @cached_property
    def mask(self) -> BoolArray:
        """(H, W) bool over the whole image, made on first use."""
        mask = np.zeros(self.image_size_wh[::-1], dtype=np.bool_)
        mask[self.mask_roi.slices] = self.mask_in_roi
        return mask

    @cached_property
    def mask_probability(self) -> FloatMask:
        """(H, W) float32 over the whole image, 0 outside the window, made on first use."""
        probability = np.zeros(self.image_size_wh[::-1], dtype=np.float32)
        probability[self.mask_roi.slices] = self.probability_in_roi
        return probability

    @cached_property
    def mask_area(self) -> int:
        """Number of mask pixels."""
        return int(np.count_nonzero(self.mask_in_roi))
