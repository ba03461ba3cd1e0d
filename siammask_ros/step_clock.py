# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the time of a tracking step goes."""

from __future__ import annotations

import time
from typing import Literal, NamedTuple, get_args

StepPart = Literal["crop", "upload", "network", "choice", "mask", "paste"]
STEP_PARTS: tuple[StepPart, ...] = get_args(StepPart)


class StepTimes(NamedTuple):
    """The parts of one tracking step in milliseconds; together they are the step.

    Where a backend finds choice and mask on the device in one go, they are part of `network`.

    Attributes:
        crop: check the image, cut the search patches.
        upload: make the batches and take them to the device.
        network: backbone, correlation and heads.
        choice: fetch scores and boxes, decode, penalise, choose.
        mask: the mask head or refiner at the chosen responses, and the masks fetched.
        paste: paste the masks, fit boxes, update.
    """

    crop: float = 0.0
    upload: float = 0.0
    network: float = 0.0
    choice: float = 0.0
    mask: float = 0.0
    paste: float = 0.0

    @property
    def total(self) -> float:
        """The whole step in milliseconds."""
        return sum(self)


class StepClock:
    """Adds up what the parts of tracking steps take; for one thread.

    Give it to a tracker and `take` the times after a step, or after several.
    """

    def __init__(self) -> None:
        self._seconds = dict.fromkeys(STEP_PARTS, 0.0)
        self._last = time.perf_counter()

    def begin(self) -> None:
        """A step begins: what has passed since the last mark belongs to none of its parts."""
        self._last = time.perf_counter()

    def mark(self, part: StepPart) -> None:
        """A part ends: what has passed since the last mark is its."""
        now = time.perf_counter()
        self._seconds[part] += now - self._last
        self._last = now

    def take(self) -> StepTimes:
        """The times since they were taken last."""
        times = StepTimes(**{part: 1000.0 * spent for part, spent in self._seconds.items()})
        self._seconds = dict.fromkeys(STEP_PARTS, 0.0)
        return times
