# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What became of each target over a run: its course in numbers, and every change of its state.

A frame costs 72 bytes a target, so that a run of hours fits in memory.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from siammask_ros.target_status import TargetStatus

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from siammask_ros.tracked import TargetEntry, TrackedFrame


class StateChange(NamedTuple):
    """A target that is in another state than in the frame before.

    Attributes:
        frame: number of the frame in its source.
        time_s: the frame's time in seconds from the start of the source.
        target_id, label: the target, and the word given for it.
        before: its state until then; None where the target is new.
        after: its state from then on; None where it is followed no more.
    """

    frame: int
    time_s: float
    target_id: int
    label: str
    before: TargetStatus | None
    after: TargetStatus | None

    @property
    def is_loss(self) -> bool:
        """The target was lost."""
        return self.after is TargetStatus.LOST

    @property
    def is_return(self) -> bool:
        """The target was lost until now, and is found or given anew."""
        return self.before is TargetStatus.LOST and self.after is not None

    @property
    def name(self) -> str:
        """The target's label, or its id."""
        return self.label or f"#{self.target_id}"

    @property
    def words(self) -> str:
        """What became of the target: `lost`, `found again`, `given`, or its new state."""
        if self.after is None:
            return "removed"
        if self.after is TargetStatus.INITIALIZING:
            return "given" if self.before is None else "given again"
        return "found again" if self.is_return else self.after.name.lower()


class StateWatch:
    """Tells the changes of state from one frame to the next."""

    def __init__(self) -> None:
        self._states: dict[int, TargetStatus] = {}
        self._labels: dict[int, str] = {}

    def changes(self, tracked: TrackedFrame) -> list[StateChange]:
        """The changes that a frame brings, by rising id."""
        frame = tracked.frame
        now = {entry.target_id: entry.result.status for entry in tracked.entries}
        self._labels |= {entry.target_id: entry.label for entry in tracked.entries}
        changed = [i for i in sorted(now | self._states) if now.get(i) != self._states.get(i)]
        found = [
            StateChange(
                frame.index, frame.time_s, i, self._labels[i], self._states.get(i), now.get(i)
            )
            for i in changed
        ]
        self._states = now
        return found


def target_name(target_id: int, label: str) -> str:
    """`#id label`, or the id alone."""
    return f"#{target_id} {label}".rstrip()


def counted(number: int, what: str) -> str:
    """`1 frame`, `2 frames`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _column() -> array[float]:
    return array("d")


@dataclass
class TargetCourse:
    """The course of one target, a value a frame. Lengths are pixels of the image.

    Attributes:
        target_id, label: the target, and the word given for it.
        orders: number of each frame in the run, from 0; one is left out where it is not followed.
        times_s: time of each frame.
        states: numbers of `TargetStatus`.
        confidences: 0 to 1; NaN in the frame that it was given in.
        centers_x, centers_y: centre of the rotated box; NaN where there is none, as the next three.
        widths, heights: its sides.
        angles: its angle in radians, clockwise on screen.
    """

    target_id: int
    label: str
    orders: array[float] = field(default_factory=_column)
    times_s: array[float] = field(default_factory=_column)
    states: array[float] = field(default_factory=_column)
    confidences: array[float] = field(default_factory=_column)
    centers_x: array[float] = field(default_factory=_column)
    centers_y: array[float] = field(default_factory=_column)
    widths: array[float] = field(default_factory=_column)
    heights: array[float] = field(default_factory=_column)
    angles: array[float] = field(default_factory=_column)

    @property
    def name(self) -> str:
        """See `target_name`."""
        return target_name(self.target_id, self.label)

    def add(self, order: int, time_s: float, entry: TargetEntry) -> None:
        """Append a frame."""
        found = entry.result.result
        missing = (math.nan, math.nan)
        box = None if found is None else found.rotated_box
        self.label = entry.label
        self.orders.append(order)
        self.times_s.append(time_s)
        self.states.append(entry.result.status)
        started = entry.result.status is TargetStatus.INITIALIZING
        self.confidences.append(math.nan if started else entry.result.confidence)
        center_xy = missing if box is None else box.center_xy
        size_wh = missing if box is None else box.size_wh
        self.centers_x.append(center_xy[0])
        self.centers_y.append(center_xy[1])
        self.widths.append(size_wh[0])
        self.heights.append(size_wh[1])
        self.angles.append(math.nan if box is None else box.theta)


class TargetSummary(NamedTuple):
    """A target's run in numbers.

    Attributes:
        target_id, label: the target, and the word given for it.
        frames: frames that it was followed or searched for in, the first, given one not counted.
        tracked_share, uncertain_share, lost_share: of those frames, 0 to 1; NaN without a frame.
        losses: times that it was lost.
        returns: times that it was found again.
        median_confidence: over the frames in which it was not lost; NaN without any.
    """

    target_id: int
    label: str
    frames: int
    tracked_share: float
    uncertain_share: float
    lost_share: float
    losses: int
    returns: int
    median_confidence: float


class StateSpan(NamedTuple):
    """A state that lasts: from one index in the course to before another."""

    first: int
    end: int
    state: TargetStatus


class History:
    """The courses of all targets of a run, and its changes of state.

    Attributes:
        courses: by target id.
        changes: in the order of the frames.
        frames: frames so far.
        first_time_s, last_time_s: times of the first and of the latest.
        size_wh: width and height of the latest image.
    """

    def __init__(self) -> None:
        self.courses: dict[int, TargetCourse] = {}
        self.changes: list[StateChange] = []
        self.frames = 0
        self.first_time_s = self.last_time_s = 0.0
        self.size_wh = (0, 0)
        self._watch = StateWatch()

    def add(self, tracked: TrackedFrame) -> list[StateChange]:
        """Append a frame; returns the changes of state that it brings."""
        frame = tracked.frame
        for entry in tracked.entries:
            course = self.courses.setdefault(
                entry.target_id, TargetCourse(entry.target_id, entry.label)
            )
            course.add(self.frames, frame.time_s, entry)
        changes = self._watch.changes(tracked)
        self.changes += changes
        if not self.frames:
            self.first_time_s = frame.time_s
        self.frames += 1
        self.last_time_s = frame.time_s
        self.size_wh = tracked.size_wh
        return changes

    def summaries(self) -> list[TargetSummary]:
        """A summary of each target, by rising id."""
        return [self._summary(self.courses[i]) for i in sorted(self.courses)]

    def _summary(self, course: TargetCourse) -> TargetSummary:
        states = np.asarray(course.states)
        counted = states != TargetStatus.INITIALIZING
        confidences = np.asarray(course.confidences)[counted & (states != TargetStatus.LOST)]
        changes = [change for change in self.changes if change.target_id == course.target_id]
        return TargetSummary(
            target_id=course.target_id,
            label=course.label,
            frames=int(counted.sum()),
            tracked_share=_share(states[counted], TargetStatus.TRACKING),
            uncertain_share=_share(states[counted], TargetStatus.UNCERTAIN),
            lost_share=_share(states[counted], TargetStatus.LOST),
            losses=sum(change.is_loss for change in changes),
            returns=sum(change.is_return for change in changes),
            median_confidence=float(np.median(confidences)) if len(confidences) else math.nan,
        )


def _share(states: NDArray[np.float64], state: TargetStatus) -> float:
    return float(np.mean(states == state)) if len(states) else math.nan


def state_spans(course: TargetCourse) -> list[StateSpan]:
    """The runs of equal states of a target, without those of frames that it was not followed in."""
    spans: list[StateSpan] = []
    first = 0
    for index in range(1, len(course.states) + 1):
        ends = index == len(course.states)
        if (
            ends
            or course.states[index] != course.states[first]
            or course.orders[index] != course.orders[index - 1] + 1
        ):
            spans.append(StateSpan(first, index, TargetStatus(int(course.states[first]))))
            first = index
    return spans
