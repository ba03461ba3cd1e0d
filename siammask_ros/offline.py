# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Targets followed through a recorded video, frame by frame, without ROS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from siammask_ros.longterm import MAX_TARGETS, Target, TargetResult
from siammask_ros.target_status import TargetStatus
from siammask_ros.tracked import TargetEntry, TrackedFrame

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

    Yields:
        Each frame with its results; target i has id i + 1. In the first frame, which the boxes were
        drawn on, all are INITIALIZING.

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
            started = TargetResult(TargetStatus.INITIALIZING, None, 0.0, 0)
            given = zip(words, boxes, strict=True)
            entries = [TargetEntry(i, word, started, box) for i, (word, box) in enumerate(given, 1)]
        else:
            steps = follower.step([(image, target) for target in targets])
            targets = [target for target, _ in steps]
            found = zip(words, steps, strict=True)
            entries = [
                TargetEntry(i, word, result) for i, (word, (_, result)) in enumerate(found, 1)
            ]
        yield TrackedFrame(frame, tuple(entries))
    if not targets:
        raise ValueError("the video has no frame")
