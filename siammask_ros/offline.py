# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Targets followed through a recorded video, frame by frame, without ROS."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from siammask_ros.drawing import Image, OverlayItem
from siammask_ros.longterm import MAX_TARGETS, Target, TargetResult
from siammask_ros.results import ResultRow
from siammask_ros.target_status import TargetStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from siammask_ros.crop import ImageBgr
    from siammask_ros.geometry import Box
    from siammask_ros.video import VideoFrame


class Follower(Protocol):
    """What follows the targets; `LongTermTracker` does."""

    def start_batch(self, targets: Sequence[tuple[ImageBgr, Sequence[float]]]) -> list[Target]:
        """Start on targets given by image and box."""

    def step(self, targets: Sequence[tuple[ImageBgr, Target]]) -> list[tuple[Target, TargetResult]]:
        """Follow them into the next image."""


@dataclass(frozen=True)
class TrackedFrame:
    """A frame and what was found in it.

    Attributes:
        frame: the frame as it came.
        results: one a target, in order; target i has id i + 1. In the first frame, which the
            boxes were drawn on, INITIALIZING.
        labels: the targets' words.
    """

    frame: VideoFrame
    results: tuple[TargetResult, ...]
    labels: tuple[str, ...]

    def items(self) -> list[OverlayItem]:
        """What `draw_overlay` needs."""
        items = []
        for target_id, (found, label) in enumerate(
            zip(self.results, self.labels, strict=True), start=1
        ):
            result = found.result
            items.append(
                OverlayItem(
                    target_id=target_id,
                    state=int(found.status),
                    confidence=found.confidence,
                    label=label,
                    corners=None if result is None else result.corners,
                    mask=None if result is None else result.mask_in_roi,
                    mask_roi=None if result is None else result.mask_roi,
                    age=found.age,
                )
            )
        return items

    def rows(self, clip: str) -> list[ResultRow]:
        """The frame's part of the table of results."""
        return [
            _row(clip, self.frame, target_id, label, found)
            for target_id, (found, label) in enumerate(
                zip(self.results, self.labels, strict=True), start=1
            )
        ]

    def label_image(self) -> Image:
        """(H, W) uint8: the target's id at each pixel, 0 elsewhere; the last of them wins."""
        labels = np.zeros(self.frame.image_bgr.shape[:2], np.uint8)
        for target_id, found in enumerate(self.results, start=1):
            if found.result is not None:
                region = labels[found.result.mask_roi.slices]
                region[found.result.mask_in_roi] = target_id
        return labels


def follow(
    frames: Iterable[VideoFrame],
    follower: Follower,
    boxes: Sequence[Box],
    *,
    labels: Sequence[str] = (),
) -> Iterator[TrackedFrame]:
    """Follow targets from the first frame on.

    Args:
        frames: the video.
        follower: does the work; holds no target itself.
        boxes: the targets in the first frame.
        labels: a word for each target, or none at all.

    Raises:
        ValueError: no target or more than 255, not as many labels, or a bad box; no frame.
    """
    if not 0 < len(boxes) <= MAX_TARGETS:
        raise ValueError(f"{len(boxes)} targets, there must be 1 to {MAX_TARGETS}")
    words = tuple(labels) or ("",) * len(boxes)
    if len(words) != len(boxes):
        raise ValueError(f"{len(words)} labels for {len(boxes)} targets")
    targets: list[Target] = []
    for frame in frames:
        image = frame.image_bgr
        if not targets:
            targets = follower.start_batch([(image, box.xywh) for box in boxes])
            given = TargetResult(TargetStatus.INITIALIZING, None, 1.0, 0)
            yield TrackedFrame(frame, (given,) * len(boxes), words)
            continue
        steps = follower.step([(image, target) for target in targets])
        targets = [target for target, _ in steps]
        yield TrackedFrame(frame, tuple(result for _, result in steps), words)
    if not targets:
        raise ValueError("the video has no frame")


def _row(
    clip: str, frame: VideoFrame, target_id: int, label: str, found: TargetResult
) -> ResultRow:
    row = ResultRow(
        clip=clip,
        frame=frame.index,
        time_s=frame.time_s,
        target_id=target_id,
        label=label,
        state=found.status.name,
        confidence=found.confidence,
        age=found.age,
    )
    if found.result is None:
        return row
    box = found.result.rotated_box
    x1, y1, x2, y2, x3, y3, x4, y4 = found.result.corners.ravel().tolist()
    return replace(
        row,
        center_x=box.center_xy[0],
        center_y=box.center_xy[1],
        size_x=box.size_wh[0],
        size_y=box.size_wh[1],
        theta=box.theta,
        x1=x1,
        y1=y1,
        x2=x2,
        y2=y2,
        x3=x3,
        y3=y3,
        x4=x4,
        y4=y4,
        mask_area=found.result.mask_area,
    )
