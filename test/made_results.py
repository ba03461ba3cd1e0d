# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Results of tracking that are made up, for tests of what is done with them."""

from __future__ import annotations

import numpy as np

from siammask_ros.geometry import Box, RotatedBox
from siammask_ros.longterm import TargetResult
from siammask_ros.masks import ImageRegion
from siammask_ros.target_status import TargetStatus
from siammask_ros.tracked import TargetEntry, TrackedFrame
from siammask_ros.tracker import TrackResult
from siammask_ros.video import VideoFrame

SIZE_WH = (40, 30)
FRAMES_PER_SECOND = 10.0


def found(x=4, y=6, width=8, height=5, *, theta=0.0, status=TargetStatus.TRACKING, size_wh=SIZE_WH):
    """A target whose mask is a filled rectangle inside a larger region of interest."""
    mask = np.zeros((height + 4, width + 4), dtype=np.bool_)
    mask[2:-2, 2:-2] = True
    result = TrackResult(
        box=Box(x, y, width, height),
        rotated_box=RotatedBox((x + width / 2, y + height / 2), (width, height), theta),
        has_mask_box=True,
        confidence=0.75,
        mask_roi=ImageRegion(x - 2, y - 2, width + 4, height + 4),
        probability_in_roi=mask.astype(np.float32),
        mask_in_roi=mask,
        image_size_wh=size_wh,
        anchor_index=0,
        anchor_position=None,
    )
    return TargetResult(status, result, 0.75, 0)


def lost(age=9):
    return TargetResult(TargetStatus.LOST, None, 0.25, age)


def entry(target_id, result, label=""):
    return TargetEntry(target_id, label, result)


def tracked_frame(index, size_wh=SIZE_WH):
    """A frame of noise with a target that moves to the right, and one that is lost."""
    width, height = size_wh
    image = np.random.default_rng(index).integers(0, 256, (height, width, 3), np.uint8)
    moving = found(4 + index % (width - 16), 6, theta=0.1, size_wh=size_wh)
    entries = (entry(2, moving, "dog"), entry(9, lost(age=index)))
    return TrackedFrame(VideoFrame(index, index / FRAMES_PER_SECOND, image), entries)
