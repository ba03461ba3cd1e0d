# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the evaluation needs of a tracker, of its results and of a labelled video.

A tracker has `initialize` and `track`, for one target. One that follows several targets in one
pass has `initialize_batch` and `track_batch` besides; of others, each target gets one of its own.
`as_batch` gives both kinds the same face.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from siammask_ros.label_images import Labels

ImageBgr: TypeAlias = NDArray[np.uint8]
Mask: TypeAlias = NDArray[np.bool_]
BoxXywh: TypeAlias = Sequence[float]


class Result(Protocol):
    """What a tracker says of one frame; `siammask_ros.tracker.TrackResult` is one.

    Where masks of several targets overlap, a result's `mask_probability`, (H, W) float32 in
    [0, 1], decides; one that has none is sure of its mask.
    """

    @property
    def box_xywh(self) -> tuple[float, float, float, float]:
        """Axis-aligned box: left, top, width, height in pixels."""

    @property
    def mask(self) -> Mask:
        """(H, W) bool."""

    @property
    def confidence(self) -> float:
        """How sure the tracker is; NaN if it does not say."""


State = TypeVar("State")


class Tracker(Protocol[State]):
    """A tracker that holds no target: states go in and come out."""

    def initialize(self, image_bgr: ImageBgr, box_xywh: BoxXywh) -> State:
        """Start on the target in a box of an (H, W, 3) uint8 image."""

    def track(self, image_bgr: ImageBgr, state: State) -> tuple[State, Result]:
        """Find the target in the next image."""


@runtime_checkable
class BatchTracker(Protocol[State]):
    """A tracker of several targets in one pass."""

    def initialize_batch(self, targets: Sequence[tuple[ImageBgr, BoxXywh]]) -> list[State]:
        """Start on targets, each given by image and box."""

    def track_batch(
        self, targets: Sequence[tuple[ImageBgr, State]]
    ) -> Sequence[tuple[State, Result]]:
        """Find each target in its next image."""


class OneByOne(Generic[State]):
    """Trackers of one target each, asked in turn; a tracker may keep its target to itself."""

    def __init__(self, make_tracker: Callable[[], Tracker[State]]) -> None:
        self._make_tracker = make_tracker

    def initialize_batch(
        self, targets: Sequence[tuple[ImageBgr, BoxXywh]]
    ) -> list[tuple[Tracker[State], State]]:
        """Start a tracker on each; a state is that tracker and its own state."""
        trackers = [self._make_tracker() for _ in targets]
        return [
            (tracker, tracker.initialize(image_bgr, box_xywh))
            for tracker, (image_bgr, box_xywh) in zip(trackers, targets, strict=True)
        ]

    def track_batch(
        self, targets: Sequence[tuple[ImageBgr, tuple[Tracker[State], State]]]
    ) -> list[tuple[tuple[Tracker[State], State], Result]]:
        """Find each."""
        found = []
        for image_bgr, (tracker, state) in targets:
            following, result = tracker.track(image_bgr, state)
            found.append(((tracker, following), result))
        return found


def as_batch(make_tracker: Callable[[], Tracker[Any]]) -> BatchTracker[Any]:
    """A tracker of several targets: what is made, if it is one; else one is made for each."""
    tracker = make_tracker()
    return tracker if isinstance(tracker, BatchTracker) else OneByOne(make_tracker)


class LabelledFrame(NamedTuple):
    """An image and where its targets are."""

    image_bgr: ImageBgr
    """(H, W, 3) uint8."""
    labels: Labels | Mask | None
    """(H, W) uint8: the number of the target at each pixel, 0 for none; or bool, of the only
    target, whose number is then 1. None where the frame has no truth."""
    given: Labels | None = None
    """(H, W) uint8: the targets to start on here, in a data set that says so apart from the
    truth; None if the truth says it."""

    @property
    def mask(self) -> Mask:
        """(H, W) bool: all targets together, all False where none is to be seen.

        Raises:
            ValueError: the frame has no truth.
        """
        if self.labels is None:
            raise ValueError("the frame has no truth")
        return np.asarray(self.labels, dtype=bool)

    def starts(self, known: Container[int]) -> dict[int, Mask]:
        """Masks of the targets to start on here, by their numbers: those not known yet."""
        labels = self.labels if self.given is None else self.given
        return {} if labels is None else new_targets(labels, known)


def new_targets(labels: Labels | Mask, known: Container[int]) -> dict[int, Mask]:
    """Masks of the targets of a label image that are not known, by their numbers, rising."""
    # A histogram, much faster than np.unique() over all pixels.
    counts = cv2.calcHist([labels.view(np.uint8)], [0], None, [256], [0, 256])
    numbers = (np.flatnonzero(counts[1:]) + 1).tolist()
    return {number: labels == number for number in numbers if number not in known}


class LabelledSequence(Protocol):
    """A video with its targets, in order, frame by frame."""

    @property
    def name(self) -> str:
        """Short name, unique in its data set."""

    def __len__(self) -> int:
        """Number of frames."""

    def frame(self, index: int) -> LabelledFrame:
        """Read one frame, 0 <= index < len."""


class MaskedSequence(LabelledSequence, Protocol):
    """A sequence of a data set that says how results are stored as label images."""

    def labels(self, index: int) -> Labels | None:
        """Read the truth of a frame without its image."""

    def result_path(self, index: int) -> Path | None:
        """Where in a folder of results a frame's masks lie; None if they are not asked for."""

    def encode_result(self, labels: Labels) -> bytes:
        """Masks as the content of such a file, as the data set has it."""

    def read_result(self, folder: Path, index: int) -> Labels | None:
        """Masks of such a folder; None where they are not asked for."""


TrackerFactory: TypeAlias = Callable[[LabelledSequence], Tracker[Any]]
"""Makes the tracker for a sequence. With several jobs it is pickled."""
