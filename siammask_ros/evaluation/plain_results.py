# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Results of trackers that know a box or a mask, but not both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from siammask_ros.geometry import Box

if TYPE_CHECKING:
    from siammask_ros.evaluation.protocol import Mask


@dataclass(frozen=True, eq=False)
class BoxResult:
    """A box as a result; its mask is the filled box."""

    box_xywh: tuple[float, float, float, float]
    image_size_wh: tuple[int, int]
    confidence: float = float("nan")

    @cached_property
    def mask(self) -> Mask:
        """(H, W) bool: pixels whose centre lies in the box, x - 0.5 <= column < x + w - 0.5."""
        width, height = self.image_size_wh
        left, top, box_width, box_height = self.box_xywh
        columns = (np.arange(width) >= left - 0.5) & (np.arange(width) < left + box_width - 0.5)
        rows = (np.arange(height) >= top - 0.5) & (np.arange(height) < top + box_height - 0.5)
        return np.asarray(rows[:, None] & columns[None])


@dataclass(frozen=True, eq=False)
class MaskResult:
    """A mask as a result; its box is the smallest around it (zeros where it is empty)."""

    mask: Mask
    confidence: float = float("nan")

    @property
    def box_xywh(self) -> tuple[float, float, float, float]:
        """Left, top, width, height in pixels."""
        box = Box.from_mask(self.mask)
        return box.xywh if box else (0.0, 0.0, 0.0, 0.0)
