# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trackers to compare with: a box that never moves, the truth, and those of OpenCV.

A tracker without masks is scored with its filled box.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from siammask_ros.geometry import Box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siammask_ros.evaluation.protocol import (
        ImageBgr,
        LabelledSequence,
        Mask,
        Tracker,
        TrackerFactory,
    )

_OPENCV_TRACKERS = {"csrt": "TrackerCSRT", "kcf": "TrackerKCF", "mil": "TrackerMIL"}

REFERENCE_TRACKERS = ("never-moves", "truth", *_OPENCV_TRACKERS)
"""Names that `reference_factory` knows."""


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
class OpenCvTracker:
    """A tracker of OpenCV by name (`csrt`, `kcf`, `mil`); its state is OpenCV's own object.

    Raises:
        ValueError: unknown name.
        RuntimeError: this OpenCV lacks it.
    """

    kind: str

    def __post_init__(self) -> None:
        self._create()

    def initialize(self, image_bgr: ImageBgr, box_xywh: Sequence[float]) -> _OpenCvState:
        """Start a new OpenCV tracker on the box, rounded to whole pixels."""
        tracker = self._create()
        left, top, width, height = (round(value) for value in box_xywh)
        tracker.init(image_bgr, (left, top, width, height))
        return _OpenCvState(tracker, (float(left), float(top), float(width), float(height)))

    def track(self, image_bgr: ImageBgr, state: _OpenCvState) -> tuple[_OpenCvState, BoxResult]:
        """The box in the next image; the last one, with confidence 0, where it was not found."""
        found, box = state.tracker.update(image_bgr)
        if found:
            left, top, width, height = (float(value) for value in box)
            state = _OpenCvState(state.tracker, (left, top, width, height))
        size_wh = (image_bgr.shape[1], image_bgr.shape[0])
        return state, BoxResult(state.box_xywh, size_wh, 1.0 if found else 0.0)

    def _create(self) -> Any:  # noqa: ANN401 - OpenCV's trackers have no common type
        if self.kind not in _OPENCV_TRACKERS:
            known = ", ".join(_OPENCV_TRACKERS)
            raise ValueError(f"unknown OpenCV tracker {self.kind!r}, there are {known}")
        name = _OPENCV_TRACKERS[self.kind]
        # OpenCV 4 contrib keeps some in cv2.legacy; the class's own create came with 4.5.1.
        for home in (cv2, getattr(cv2, "legacy", None)):
            make = getattr(getattr(home, name, None), "create", None)
            if make is not None:
                return make()
        raise RuntimeError(
            f"OpenCV {cv2.__version__} as installed has no {name}; opencv-contrib-python 4 has it"
        )


@dataclass(frozen=True, eq=False)
class _OpenCvState:
    tracker: Any
    box_xywh: tuple[float, float, float, float]


@dataclass(frozen=True)
class Always:
    """A factory that gives every sequence the same tracker. Pickles if the tracker does."""

    tracker: Tracker[Any]

    def __call__(self, sequence: LabelledSequence) -> Tracker[Any]:
        """The tracker."""
        del sequence
        return self.tracker


def reference_factory(name: str) -> TrackerFactory:
    """The factory of a reference tracker: one of `REFERENCE_TRACKERS`.

    Raises:
        ValueError: unknown name.
        RuntimeError: this OpenCV lacks the tracker.
    """
    if name == "truth":
        return TruthReplay
    if name == "never-moves":
        return Always(NeverMoves())
    if name in _OPENCV_TRACKERS:
        return Always(OpenCvTracker(name))
    raise ValueError(f"unknown tracker {name!r}, there are {', '.join(REFERENCE_TRACKERS)}")
