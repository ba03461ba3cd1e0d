# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the evaluation needs of a tracker, of its results and of a labelled video."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

ImageBgr: TypeAlias = NDArray[np.uint8]
Mask: TypeAlias = NDArray[np.bool_]


class Result(Protocol):
    """What a tracker says of one frame; `siammask_ros.tracker.TrackResult` is one."""

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

    def initialize(self, image_bgr: ImageBgr, box_xywh: Sequence[float]) -> State:
        """Start on the target in a box of an (H, W, 3) uint8 image."""

    def track(self, image_bgr: ImageBgr, state: State) -> tuple[State, Result]:
        """Find the target in the next image."""


class LabelledFrame(NamedTuple):
    """An image and the true mask of its target."""

    image_bgr: ImageBgr
    """(H, W, 3) uint8."""
    mask: Mask
    """(H, W) bool, all False where the target is not to be seen."""


class LabelledSequence(Protocol):
    """A video of one target, in order, frame by frame."""

    @property
    def name(self) -> str:
        """Short name, unique in its data set."""

    def __len__(self) -> int:
        """Number of frames."""

    def frame(self, index: int) -> LabelledFrame:
        """Read one frame, 0 <= index < len."""


TrackerFactory: TypeAlias = Callable[[LabelledSequence], Tracker[Any]]
"""Makes the tracker for a sequence. With several jobs it is pickled."""
