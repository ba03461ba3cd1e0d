# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trackers to compare with: a box that never moves, the truth, OpenCV's, and a user's own.

A tracker without masks is scored with its filled box.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from siammask_ros.evaluation.opencv_trackers import OPENCV_TRACKERS, OpenCvTracker
from siammask_ros.evaluation.own_tracker import OwnTracker, names_own_tracker
from siammask_ros.evaluation.plain_results import BoxResult, MaskResult
from siammask_ros.geometry import Box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siammask_ros.evaluation.protocol import (
        ImageBgr,
        LabelledSequence,
        Tracker,
        TrackerFactory,
    )

REFERENCE_TRACKERS = ("never-moves", "truth", *OPENCV_TRACKERS)
"""Names that `reference_factory` knows, besides those of a user's own trackers."""


class NeverMoves:
    """Says for ever what it was told first; its state is the box."""

    def initialize(
        self, image_bgr: ImageBgr, box_xywh: Sequence[float]
    ) -> tuple[float, float, float, float]:
        """Remember the box."""
        del image_bgr
        left, top, width, height = (float(value) for value in box_xywh)
        return (left, top, width, height)

    def track(
        self, image_bgr: ImageBgr, state: tuple[float, float, float, float]
    ) -> tuple[tuple[float, float, float, float], BoxResult]:
        """The same box, whatever the image shows."""
        return state, BoxResult(state, (image_bgr.shape[1], image_bgr.shape[0]))


@dataclass(frozen=True)
class TruthReplay:
    """Replays the true masks of a sequence, so it scores 1.0.

    Its state is a frame and the number of the target that it was started on there.
    """

    sequence: LabelledSequence

    def initialize(self, image_bgr: ImageBgr, box_xywh: Sequence[float]) -> tuple[int, int]:
        """Stand at the first frame that gives a target in this box.

        Raises:
            ValueError: there is none.
        """
        del image_bgr
        known: set[int] = set()
        for index in range(len(self.sequence)):
            starts = self.sequence.frame(index).starts(known)
            for target_id, mask in starts.items():
                box = Box.from_mask(mask)
                if box is not None and box.xywh == tuple(box_xywh):
                    return index, target_id
            known |= starts.keys()
        raise ValueError(f"sequence {self.sequence.name}: no target in the box {box_xywh}")

    def track(
        self, image_bgr: ImageBgr, state: tuple[int, int]
    ) -> tuple[tuple[int, int], MaskResult]:
        """The truth of the next frame; an empty mask where there is none."""
        following, target_id = state[0] + 1, state[1]
        labels = self.sequence.frame(following).labels
        mask = np.zeros(image_bgr.shape[:2], bool) if labels is None else labels == target_id
        return (following, target_id), MaskResult(mask, confidence=1.0)


@dataclass(frozen=True)
class Always:
    """A factory that gives every sequence the same tracker. Pickles if the tracker does."""

    tracker: Tracker[Any]

    def __call__(self, sequence: LabelledSequence) -> Tracker[Any]:
        """The tracker."""
        del sequence
        return self.tracker


def reference_factory(name: str, weights: Sequence[str] = ()) -> TrackerFactory:
    """The factory of a tracker to compare with.

    Args:
        name: one of `REFERENCE_TRACKERS`, or `module:name` or `file.py:name` of a user's own
            (`OwnTracker`).
        weights: paths of the tracker's network files, if it takes any.

    Raises:
        ValueError: unknown name, another number of files, or a file is not there.
        RuntimeError: this OpenCV lacks the tracker, or cannot read its files.
    """
    if names_own_tracker(name):
        return OwnTracker(name, tuple(weights))
    if name in OPENCV_TRACKERS:
        return Always(OpenCvTracker(name, tuple(weights)))
    if name not in REFERENCE_TRACKERS:
        known = ", ".join(REFERENCE_TRACKERS)
        raise ValueError(f"unknown tracker {name!r}, there are {known}, and module:name")
    if weights:
        raise ValueError(f"{name} needs no files, got {len(weights)}")
    return TruthReplay if name == "truth" else Always(NeverMoves())
