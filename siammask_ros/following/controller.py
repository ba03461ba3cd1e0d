# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The velocities at which a base would follow a target, before limits of acceleration.

The target is in the base's frame: x forward, y to the left, metres and radians. Distance and
direction are each kept by a proportional rule with a dead band; what the target itself moves at is
added, so that a target in steady motion is followed without a lag.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from siammask_ros.following.limits import Limits

BASES = ("differential", "holonomic")
"""What a base can do: go ahead and turn, or go to the side as well."""


class Reason(Enum):
    """Why a base does what it does."""

    DISABLED = "not enabled"
    NO_TARGET = "no target yet"
    SILENT = "nothing is heard of the target"
    STALE = "what is known of the target is too old"
    LOST = "the target is lost"
    TOO_NEAR = "the target is too near"
    NO_DISTANCE = "only the direction is known"
    FOLLOWING = "following"


class Observation(NamedTuple):
    """The target, seen from the base.

    Attributes:
        bearing: direction in radians, positive to the left.
        position_xy: where it is, in metres; None if only the direction is known.
        velocity_xy: what the target itself moves at, m/s along the base's axes.
        is_uncertain: the evidence for it is weak.
    """

    bearing: float
    position_xy: tuple[float, float] | None = None
    velocity_xy: tuple[float, float] = (0.0, 0.0)
    is_uncertain: bool = False

    @property
    def distance(self) -> float:
        """In metres; not a number if it is not known."""
        return math.nan if self.position_xy is None else math.hypot(*self.position_xy)


class Wish(NamedTuple):
    """Velocities that a base should have: m/s ahead and to the left, rad/s to the left."""

    forward: float
    left: float
    turn: float
    reason: Reason


@dataclass(frozen=True)
class FollowerConfig:
    """How a target is followed.

    Attributes:
        base: one of `BASES`.
        distance: metres to keep from the target, from the base's origin.
        min_distance: nearer than that, the base stops.
        distance_gain: m/s for each metre of error.
        bearing_gain: rad/s for each radian of error.
        distance_dead_band: metres of error that are let be.
        bearing_dead_band: radians of error that are let be.
        feed_forward: share of the target's own motion that is added.
        velocity_smoothing: seconds over which that motion is averaged.
        turn_first: radians beyond which the base turns before it goes.
        uncertain_speed: share of the speed while the target is UNCERTAIN.
        stale_after: seconds after its stamp from which an observation counts for nothing.
        watchdog: seconds without a message after which the base stops.
        extrapolation: seconds at most that an observation is carried on to the present.
        linear: limits of going ahead (and back).
        lateral: limits of going to the side.
        turning: limits of turning.

    Raises:
        ValueError: a number out of range.
    """

    base: str = "differential"
    distance: float = 1.5
    min_distance: float = 0.6
    distance_gain: float = 1.0
    bearing_gain: float = 2.0
    distance_dead_band: float = 0.05
    bearing_dead_band: float = 0.02
    feed_forward: float = 1.0
    velocity_smoothing: float = 0.4
    turn_first: float = 1.0
    uncertain_speed: float = 0.5
    stale_after: float = 0.5
    watchdog: float = 0.5
    extrapolation: float = 0.3
    linear: Limits = field(default_factory=lambda: Limits(0.8, 0.3, 0.8, 4.0, 2.0))
    lateral: Limits = field(default_factory=lambda: Limits(0.4, 0.4, 0.8, 4.0, 2.0))
    turning: Limits = field(default_factory=lambda: Limits(1.2, 1.2, 2.5, 20.0, 5.0))

    def __post_init__(self) -> None:
        if self.base not in BASES:
            raise ValueError(f"base must be one of {', '.join(BASES)}, got {self.base!r}")
        if not 0 <= self.min_distance < self.distance < math.inf:
            raise ValueError(
                "0 <= min_distance < distance must hold, got "
                f"{self.min_distance} and {self.distance}"
            )
        for name in (
            *("distance_gain", "bearing_gain", "distance_dead_band", "bearing_dead_band"),
            *("velocity_smoothing", "extrapolation", "turn_first"),
        ):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        for name in ("stale_after", "watchdog"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("feed_forward", "uncertain_speed"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")


def steer(seen: Observation, config: FollowerConfig) -> Wish:
    """What a base should do about a target that it sees now.

    Not a limit of acceleration is regarded, nor how old the observation is. A target nearer than
    `min_distance` gives zeros.
    """
    share = config.uncertain_speed if seen.is_uncertain else 1.0
    turn = config.bearing_gain * _outside(seen.bearing, config.bearing_dead_band)
    if seen.position_xy is None:
        return Wish(0.0, 0.0, share * turn, Reason.NO_DISTANCE)
    distance = seen.distance
    if distance < config.min_distance or distance == 0:
        return Wish(0.0, 0.0, 0.0, Reason.TOO_NEAR)
    ahead_x, ahead_y = (each / distance for each in seen.position_xy)
    velocity_x, velocity_y = seen.velocity_xy
    receding = velocity_x * ahead_x + velocity_y * ahead_y
    crossing = velocity_y * ahead_x - velocity_x * ahead_y
    turn += config.feed_forward * crossing / distance
    speed = config.distance_gain * _outside(distance - config.distance, config.distance_dead_band)
    speed += config.feed_forward * receding
    speed = min(speed, _braking_speed(distance, receding, config))
    if abs(seen.bearing) > config.turn_first:
        return Wish(0.0, 0.0, share * turn, Reason.FOLLOWING)
    if config.base == "holonomic":
        forward, left = speed * ahead_x, speed * ahead_y
    else:
        forward, left = speed * max(math.cos(seen.bearing), 0.0), 0.0
    return Wish(share * forward, share * left, share * turn, Reason.FOLLOWING)


def _braking_speed(distance: float, receding: float, config: FollowerConfig) -> float:
    """The speed from which the base can stop before it is too near."""
    room = distance - config.min_distance
    return math.sqrt(2 * config.linear.stop_acceleration * room) + max(receding, 0.0)


def _outside(error: float, dead_band: float) -> float:
    """What of an error is outside the dead band."""
    return math.copysign(max(abs(error) - dead_band, 0.0), error)
