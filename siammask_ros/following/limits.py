# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Velocities that change only as fast as a base may: limits of acceleration and jerk."""

from __future__ import annotations

import math
from dataclasses import dataclass

_ROUNDING = 1e-9
"""Differences of velocity that come from rounding."""


@dataclass(frozen=True)
class Limits:
    """Limits of one axis, in metres or radians.

    Attributes:
        speed: greatest velocity forward (or to the left), per second, at least 0.
        reverse_speed: the same the other way.
        acceleration: greatest change of velocity, per second squared, positive.
        jerk: greatest change of acceleration, per second cubed, positive.
        stop_acceleration: the same as `acceleration`, for a stop that cannot wait; jerk is not
            limited then.

    Raises:
        ValueError: a limit is negative or not finite, or one that must be positive is 0.
    """

    speed: float
    reverse_speed: float
    acceleration: float
    jerk: float
    stop_acceleration: float

    def __post_init__(self) -> None:
        for name in ("speed", "reverse_speed"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        for name in ("acceleration", "jerk", "stop_acceleration"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")

    def clamped(self, velocity: float) -> float:
        """The nearest velocity that is allowed."""
        return min(max(velocity, -self.reverse_speed), self.speed)


class Profile:
    """The velocity of one axis from tick to tick.

    Between two ticks it changes by at most `acceleration * period`, and that change by at most
    `jerk * period**2`, but for a stop. It never passes the speed limits, since it begins in time
    to level off; where they are lowered, it goes on from above them.

    Args:
        period: time between two ticks in seconds.
    """

    def __init__(self, period: float) -> None:
        if not 0 < period < math.inf:
            raise ValueError(f"period must be positive, got {period}")
        self.period = period
        self.velocity = 0.0
        self.acceleration = 0.0

    def toward(self, wanted: float, limits: Limits) -> float:
        """The velocity of the next tick, on the way to a wanted one.

        Raises:
            ValueError: the wanted velocity is not a number.
        """
        if math.isnan(wanted):
            raise ValueError("the wanted velocity is not a number")
        gap = limits.clamped(wanted) - self.velocity
        step = limits.jerk * self.period
        best = math.copysign(_leveling(abs(gap), self.period, step), gap)
        # Within one step of the acceleration before.
        best = min(max(best, self.acceleration - step), self.acceleration + step)
        self.acceleration = min(max(best, -limits.acceleration), limits.acceleration)
        velocity = self.velocity + self.acceleration * self.period
        if abs(velocity - limits.clamped(velocity)) < _ROUNDING:
            velocity = limits.clamped(velocity)
        self.velocity = 0.0 if abs(velocity) < _ROUNDING else velocity
        return self.velocity

    def stop(self, limits: Limits) -> float:
        """The velocity of the next tick of a stop."""
        change = limits.stop_acceleration * self.period
        self.velocity -= min(max(self.velocity, -change), change)
        self.acceleration = 0.0  # whatever comes next begins gently
        return self.velocity


def _leveling(gap: float, period: float, step: float) -> float:
    """The greatest acceleration from which a velocity levels off within a gap.

    From tick to tick the acceleration can fall by `step`: a, a - step, a - 2 step, ... With n full
    steps the velocity grows by period * ((n + 1) a - step n (n + 1) / 2) until it is 0.
    """
    if gap == 0:
        return 0.0
    unit = step * period  # velocity of one step
    steps = math.floor((math.sqrt(1 + 8 * gap / unit) - 1) / 2)
    return (gap / period + step * steps * (steps + 1) / 2) / (steps + 1)
