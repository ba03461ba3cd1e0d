# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of a target from frame to frame, and what is said of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from siammask_ros.search import target_size
from siammask_ros.target_status import TargetStatus

if TYPE_CHECKING:
    from siammask_ros.appearance import Appearance
    from siammask_ros.search import Candidate
    from siammask_ros.tracker_state import RunnerUp, TrackerState, TrackResult

_REFUSAL_RANGE = 1.0
"""Target sizes that what was refused moves at most from one frame with it to the next."""


class Meeting(NamedTuple):
    """What a target was when another thing was found in its place: where, going where, and how."""

    center_xy: tuple[float, float]
    velocity_xy: tuple[float, float]
    area: float
    """Of its mask, in pixels."""
    appearance: Appearance | None
    frames: int = 0
    """Since then."""
    frames_apart: int = 0
    """Since it was last found where another thing was."""

    @property
    def expected_xy(self) -> tuple[float, float]:
        """Where it is now, if it has gone on like that."""
        x, y = self.center_xy
        return x + self.frames * self.velocity_xy[0], y + self.frames * self.velocity_xy[1]


class Refusal(NamedTuple):
    """Something that looks like a target to the network and has other colours: no rival of it."""

    center_xy: tuple[float, float]
    """Where it was last."""
    frames: int = 0
    """Since it was looked at."""

    def is_at(self, runner_up: RunnerUp, target: Target) -> bool:
        """Whether something is what has been looked at, as far as its place tells."""
        away = math.dist(self.center_xy, runner_up.box.center_xy)
        return away <= _REFUSAL_RANGE * target_size(target.tracker_state)


@dataclass(frozen=True)
class Target:
    """All that is known of one target between two frames.

    Attributes:
        tracker_state: where it is followed; while LOST, where it was last seen.
        status: its state.
        age: frames since it was last seen (evidence from `uncertain_below`).
        last_seen: tracker state of the last frame in which it was TRACKING.
        weak_frames: frames in a row under `uncertain_below`.
        blind_frames: frames in a row under `lost_below`.
        strong_frames: frames in a row from `certain_above`.
        frames: frames in which it has been followed.
        uncertain_frames: frames since it became UNCERTAIN.
        eclipsed_frames: frames in a row in which another target was found in its place.
        searches: search regions tried since it was lost.
        candidates: finds that may be it, while LOST.
        rivals: what else looks like it nearby, while it is followed: each a target of its own, so
            that the two can be told apart when they meet.
        refusals: what has been looked at lately, and is no rival.
        appearance: its colours; None until it has been seen well.
        velocity_xy: pixels a frame; while LOST, as it was when the target was lost.
        steady_velocity_xy: the same over more frames.
        meeting: with what was found in its place lately.
        usual_size_wh: its width and height over many frames, in pixels; (0, 0) before the first.
        usual_area: pixels of its mask in the last few frames; 0 before the first.
    """

    tracker_state: TrackerState
    status: TargetStatus = TargetStatus.INITIALIZING
    age: int = 0
    last_seen: TrackerState | None = None
    weak_frames: int = 0
    blind_frames: int = 0
    strong_frames: int = 0
    frames: int = 0
    uncertain_frames: int = 0
    eclipsed_frames: int = 0
    searches: int = 0
    candidates: tuple[Candidate, ...] = ()
    rivals: tuple[Target, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    appearance: Appearance | None = None
    velocity_xy: tuple[float, float] = (0.0, 0.0)
    steady_velocity_xy: tuple[float, float] = (0.0, 0.0)
    meeting: Meeting | None = None
    usual_size_wh: tuple[float, float] = (0.0, 0.0)
    usual_area: float = 0.0

    @property
    def speed(self) -> float:
        """Target sizes a frame."""
        return math.hypot(*self.steady_velocity_xy) / target_size(self.tracker_state)

    @property
    def last_place(self) -> TrackerState:
        """Where it was seen last."""
        return self.last_seen or self.tracker_state

    @property
    def usual_place(self) -> TrackerState:
        """The same with its usual size; at last it may have been hidden in part, or merged."""
        if not all(self.usual_size_wh):
            return self.last_place
        return replace(self.last_place, size_wh=self.usual_size_wh)

    @cached_property
    def expected_state(self) -> TrackerState:
        """Where it should be in the next frame, if it goes on as before."""
        (x, y), (speed_x, speed_y) = self.tracker_state.center_xy, self.velocity_xy
        return replace(self.tracker_state, center_xy=(x + speed_x, y + speed_y))


@dataclass(frozen=True)
class TargetResult:
    """What is said of one target in one frame.

    Attributes:
        status: its state after the frame.
        result: its mask and boxes; None while LOST or INITIALIZING.
        confidence: that of the result; while LOST, of the best region searched.
        age: frames since it was last seen.
    """

    status: TargetStatus
    result: TrackResult | None
    confidence: float
    age: int
