# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs that are made up: a target that moves, is lost and comes back as a script says."""

from __future__ import annotations

import numpy as np
from made_results import found

from siammask_ros.geometry import Box
from siammask_ros.longterm import TargetResult
from siammask_ros.target_status import TargetStatus
from siammask_ros.tracked import TargetEntry, TrackedFrame
from siammask_ros.video import VideoFrame

STATES = {
    "I": TargetStatus.INITIALIZING,
    "T": TargetStatus.TRACKING,
    "U": TargetStatus.UNCERTAIN,
    "L": TargetStatus.LOST,
}
SIZE_WH = (96, 64)
FPS = 20.0


def run(*scripts, labels=(), size_wh=SIZE_WH, times=None):
    """A frame for each letter of the scripts; target i has the i-th script and id i + 1.

    The letters are those of STATES; at a blank the target is not there. In frame k of target i the
    box is 10 + i wide and 20 high, its centre at (k + 10, 3 * i + 14), turned by 0.01 * k until it
    starts again from the left; its confidence is k / frames.
    """
    frames = max(map(len, scripts))
    for k in range(frames):
        image = np.full((size_wh[1], size_wh[0], 3), 40 + k % 160, np.uint8)
        entries = []
        for i, script in enumerate(scripts):
            letter = script[k] if k < len(script) else " "
            if letter != " ":
                label = labels[i] if i < len(labels) else ""
                entries.append(_entry(i, label, STATES[letter], k, k / frames, size_wh))
        time_s = k / FPS if times is None else times[k]
        yield TrackedFrame(VideoFrame(k, time_s, image), tuple(entries))


def _entry(i, label, status, k, confidence, size_wh):
    place = k % max(size_wh[0] - 40, 1)
    width = 10 + i
    left, top = place + 10 - width / 2, 3 * i + 4
    if status is TargetStatus.INITIALIZING:
        given = TargetResult(status, None, confidence, 0)
        return TargetEntry(i + 1, label, given, Box(left, top, width, 20))
    if status is TargetStatus.LOST:
        return TargetEntry(i + 1, label, TargetResult(status, None, confidence, 3))
    seen = found(int(left), top, width, 20, theta=0.01 * place, size_wh=size_wh)
    return TargetEntry(i + 1, label, TargetResult(status, seen.result, confidence, 0))
