# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Motion on the ground: scripted walks, and a robot with the motion of a unicycle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from siammask_ros.scenes.arrays import check_between
from siammask_ros.scenes.pinhole import Pose2D

_STEP_S = 0.01


class Leg(NamedTuple):
    """A part of a walk.

    Attributes:
        seconds: how long it takes.
        speed: m/s.
        turn: rad/s, from x toward y.
    """

    seconds: float
    speed: float
    turn: float = 0.0


class Footing(NamedTuple):
    """Where a walker is at a time.

    Attributes:
        pose: place and heading.
        speed: m/s along the heading.
        walked: metres since the start.
    """

    pose: Pose2D
    speed: float
    walked: float


@dataclass(frozen=True, eq=False)
class Walk:
    """A walk over legs, with speed and turn changed softly; at rest before it, gone on after it.

    Make one with `Walk.over`.
    """

    _rows: NDArray[np.float64]
    """By time step: x, y, heading, speed, walked."""

    @classmethod
    def over(cls, start: Pose2D, legs: Sequence[Leg], *, settle_s: float = 0.5) -> Walk:
        """Walk the legs from a place.

        Args:
            start: where and which way.
            legs: one after the other.
            settle_s: time constant of changes of speed and turn.

        Raises:
            ValueError: there is no leg, or one of no time.
        """
        if not legs or any(leg.seconds <= 0 for leg in legs):
            raise ValueError(f"legs must take time, got {list(legs)}")
        check_between("settle_s", settle_s, 0.0, 10.0)
        share = 1.0 - math.exp(-_STEP_S / settle_s) if settle_s > 0 else 1.0
        x, y, heading = start
        speed = turn = walked = 0.0
        rows = [(x, y, heading, speed, walked)]
        for leg in legs:
            for _ in range(round(leg.seconds / _STEP_S)):
                speed += share * (leg.speed - speed)
                turn += share * (leg.turn - turn)
                heading += turn * _STEP_S
                x += speed * math.cos(heading) * _STEP_S
                y += speed * math.sin(heading) * _STEP_S
                walked += speed * _STEP_S
                rows.append((x, y, heading, speed, walked))
        return cls(np.array(rows))

    @property
    def duration(self) -> float:
        """Seconds."""
        return (len(self._rows) - 1) * _STEP_S

    def at(self, time_s: float) -> Footing:
        """Where the walker is; before the start at its start, after the end at its end."""
        place = min(max(time_s / _STEP_S, 0.0), len(self._rows) - 1.0)
        index = min(int(place), len(self._rows) - 2)
        row = self._rows[index] + (place - index) * (self._rows[index + 1] - self._rows[index])
        x, y, heading, speed, walked = (float(value) for value in row)
        over = time_s < 0.0 or time_s > self.duration
        return Footing(Pose2D(x, y, heading), 0.0 if over else speed, walked)


class Motion(NamedTuple):
    """Speed along the heading in m/s, and turn in rad/s."""

    speed: float
    turn: float


@dataclass(frozen=True)
class Drive:
    """What the robot's motors can do, whatever they are told.

    Attributes:
        speed: m/s, forward and back.
        turn: rad/s.
        acceleration: m/s^2.
        turn_acceleration: rad/s^2.
        delay_s: from a command to its effect.
        timeout_s: after which, without a new command, the robot stops.
    """

    speed: float = 2.0
    turn: float = 2.5
    acceleration: float = 2.0
    turn_acceleration: float = 6.0
    delay_s: float = 0.05
    timeout_s: float = 0.5

    def __post_init__(self) -> None:
        for name in ("speed", "turn", "acceleration", "turn_acceleration", "timeout_s"):
            check_between(name, getattr(self, name), 1e-3, 100.0)
        check_between("delay_s", self.delay_s, 0.0, 5.0)


class Unicycle:
    """A robot that drives along its heading and turns: the motion of a differential drive.

    Args:
        pose: where it stands at time 0.
        drive: what it can do.
    """

    def __init__(self, pose: Pose2D, drive: Drive | None = None) -> None:
        self.drive = drive or Drive()
        self.pose = pose
        self.motion = Motion(0.0, 0.0)
        self.time_s = 0.0
        self._commands: list[tuple[float, Motion]] = []
        """With the time at which each takes effect, in order."""

    def command(self, motion: Motion, time_s: float) -> None:
        """Take a command that arrives at a time; it takes effect after the drive's delay.

        Raises:
            ValueError: it is not finite.
        """
        if not all(math.isfinite(value) for value in motion):
            raise ValueError(f"command {motion} is not finite")
        self._commands.append((time_s + self.drive.delay_s, motion))

    def drive_until(self, time_s: float) -> Pose2D:
        """Go on to a time and return the pose there; a time that has passed changes nothing."""
        while self.time_s < time_s - 1e-9:
            step = min(_STEP_S, time_s - self.time_s)
            self._step(step)
            self.time_s += step
        return self.pose

    def _step(self, seconds: float) -> None:
        wanted = self._wanted()
        drive = self.drive
        speed = _approach(
            self.motion.speed, _limit(wanted.speed, drive.speed), drive.acceleration * seconds
        )
        turn = _approach(
            self.motion.turn, _limit(wanted.turn, drive.turn), drive.turn_acceleration * seconds
        )
        self.motion = Motion(speed, turn)
        x, y, heading = self.pose
        middle = heading + turn * seconds / 2
        self.pose = Pose2D(
            x + speed * math.cos(middle) * seconds,
            y + speed * math.sin(middle) * seconds,
            heading + turn * seconds,
        )

    def _wanted(self) -> Motion:
        """The newest command in effect, or rest where there is none or it is too old."""
        due = [entry for entry in self._commands if entry[0] <= self.time_s + 1e-9]
        if not due:
            return Motion(0.0, 0.0)
        since, motion = due[-1]
        self._commands = self._commands[len(due) - 1 :]
        return motion if self.time_s - since <= self.drive.timeout_s else Motion(0.0, 0.0)


def _approach(value: float, goal: float, step: float) -> float:
    return value + _limit(goal - value, step)


def _limit(value: float, most: float) -> float:
    return max(-most, min(most, value))
