# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where something was at a time, by poses that come now and then, such as odometry."""

from __future__ import annotations

from bisect import bisect_right, insort

from siammask_ros.localization.space import RigidTransform, between

HISTORY_NS = 10_000_000_000
LARGEST_GAP_NS = 200_000_000
"""Poses farther apart are no line between."""
LARGEST_LEAD_NS = 50_000_000
"""The last pose stands for so much time after it."""


class PoseHistory:
    """The poses of the last seconds, by stamp."""

    def __init__(self) -> None:
        self._stamps: list[int] = []
        self._poses: dict[int, RigidTransform] = {}

    def add(self, stamp_ns: int, pose: RigidTransform) -> None:
        """A pose has come; after a jump back in time those before it are forgotten."""
        if self._stamps and stamp_ns < self._stamps[-1] - HISTORY_NS:
            self.clear()
        if stamp_ns not in self._poses:
            insort(self._stamps, stamp_ns)
        self._poses[stamp_ns] = pose
        while self._stamps[0] < self._stamps[-1] - HISTORY_NS:
            del self._poses[self._stamps.pop(0)]

    def clear(self) -> None:
        """Forget all of them."""
        self._stamps.clear()
        self._poses.clear()

    def has_passed(self, stamp_ns: int) -> bool:
        """A pose of that time or later has come, so that no better one is to be expected."""
        return bool(self._stamps) and self._stamps[-1] >= stamp_ns

    def at(self, stamp_ns: int) -> RigidTransform | str:
        """The pose at a time, or why it is not known."""
        place = bisect_right(self._stamps, stamp_ns)
        if place == 0:
            come = bool(self._stamps)
            return "all odometry is newer than the image" if come else "no odometry has come"
        before = self._stamps[place - 1]
        if place == len(self._stamps):
            lead_ns = stamp_ns - before
            if lead_ns <= LARGEST_LEAD_NS:
                return self._poses[before]
            return f"the last odometry is {lead_ns * 1e-9:.3f} s older than the image"
        after = self._stamps[place]
        if after - before > LARGEST_GAP_NS:
            return f"the odometry has a gap of {(after - before) * 1e-9:.3f} s"
        share = (stamp_ns - before) / (after - before)
        return between(self._poses[before], self._poses[after], share)
