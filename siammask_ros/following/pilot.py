# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From what is heard of a target to commands that keep every limit, tick by tick."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from siammask_ros.following.controller import (
    FollowerConfig,
    Observation,
    Reason,
    Wish,
    steer,
)
from siammask_ros.following.limits import Profile

_MEMORY_S = 3.0
"""How long own velocities are remembered, and how late a message may be."""


class Sighting(NamedTuple):
    """What a message says of the target, in the base's frame at its stamp.

    Attributes:
        stamp_s: when it was seen, by the clock of `Pilot.tick`'s `now_s`.
        heard_s: when the message came, by the clock of its `steady_s`.
        bearing: direction in radians, positive to the left.
        position_xy: metres; None if it is not known.
        velocity_xy: m/s along the base's axes; None if it is not known.
        is_relative: that velocity is how the position changes as the moving base sees it, with the
            base's own motion in it; else it is what the target itself moves at.
        is_lost: it is not seen.
        is_uncertain: the evidence for it is weak.
    """

    stamp_s: float
    heard_s: float
    bearing: float = 0.0
    position_xy: tuple[float, float] | None = None
    velocity_xy: tuple[float, float] | None = None
    is_relative: bool = True
    is_lost: bool = False
    is_uncertain: bool = False


class Velocity(NamedTuple):
    """Of the base: m/s ahead and to the left, rad/s to the left."""

    forward: float
    left: float
    turn: float


class Command(NamedTuple):
    """What a base shall do until the next tick.

    Attributes:
        velocity: within the limits.
        reason: why.
        distance: of the target now, in metres; not a number if it is not known.
        bearing: its direction now, radians; not a number if it is not known.
    """

    velocity: Velocity
    reason: Reason
    distance: float = math.nan
    bearing: float = math.nan

    @property
    def is_still(self) -> bool:
        """Whether the base shall stand."""
        return not any(self.velocity)


_STOPS = frozenset(Reason) - {Reason.FOLLOWING, Reason.NO_DISTANCE}


@dataclass
class _Motion:
    """The target's own velocity, averaged."""

    velocity_xy: tuple[float, float] = (0.0, 0.0)
    stamp_s: float = -math.inf

    def add(self, velocity_xy: tuple[float, float], stamp_s: float, smoothing_s: float) -> None:
        """Take in a measurement; the first one, and one after a gap, begin from rest."""
        passed = stamp_s - self.stamp_s
        if passed == 0:
            return
        self.stamp_s = stamp_s
        if not 0 < passed < _MEMORY_S:
            self.velocity_xy = (0.0, 0.0)
            return
        rate = 1 - math.exp(-passed / smoothing_s) if smoothing_s else 1.0
        (x, y), (old_x, old_y) = velocity_xy, self.velocity_xy
        self.velocity_xy = (old_x + rate * (x - old_x), old_y + rate * (y - old_y))


class Pilot:
    """Follows one target. It is told the time, and knows no clock.

    Args:
        period: time between two ticks in seconds.
        config: how to follow; may be exchanged at any time.
    """

    def __init__(self, period: float, config: FollowerConfig | None = None) -> None:
        self.config = config or FollowerConfig()
        self.is_enabled = False
        self._forward, self._left, self._turn = (Profile(period) for _ in range(3))
        self._sighting: Sighting | None = None
        self._motion = _Motion()
        self._own: deque[tuple[float, Velocity]] = deque(
            maxlen=max(2, math.ceil(_MEMORY_S / period))
        )

    @property
    def velocity(self) -> Velocity:
        """What was commanded last."""
        return Velocity(self._forward.velocity, self._left.velocity, self._turn.velocity)

    def forget(self) -> None:
        """Forget the target, as if nothing had been heard of it."""
        self._sighting = None
        self._motion = _Motion()

    def hear(self, sighting: Sighting) -> None:
        """Take in a message. One that is a little older than the last one is left out.

        One that is much older means that time has jumped back: it counts.

        Raises:
            ValueError: a number is not finite.
        """
        numbers = [sighting.stamp_s, sighting.heard_s, sighting.bearing]
        numbers += [*(sighting.position_xy or ()), *(sighting.velocity_xy or ())]
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError(f"not a finite number in {sighting}")
        last_s = sighting.stamp_s if self._sighting is None else self._sighting.stamp_s
        if 0 < last_s - sighting.stamp_s < _MEMORY_S:
            return
        self._sighting = sighting
        if sighting.is_lost or sighting.position_xy is None:
            self._motion = _Motion()
        elif sighting.velocity_xy is not None:
            x, y = sighting.velocity_xy
            if sighting.is_relative:
                own_x, own_y = self._apparent(sighting.position_xy, sighting.stamp_s)
                x, y = x - own_x, y - own_y
            self._motion.add((x, y), sighting.stamp_s, self.config.velocity_smoothing)

    def tick(self, now_s: float, steady_s: float) -> Command:
        """The command for the time until the next tick.

        Args:
            now_s: the time by the clock of stamps.
            steady_s: the time by a clock that never jumps.
        """
        if self._own and now_s < self._own[-1][0]:  # time has jumped back
            self._own.clear()
        reason = self._reason_to_stop(now_s, steady_s)
        seen = None if reason else self._observation(now_s)
        if seen is None:
            return self._stopped(now_s, reason or Reason.NO_TARGET)
        wish = steer(seen, self.config)
        if wish.reason in _STOPS:
            return self._stopped(now_s, wish.reason)._replace(
                distance=seen.distance, bearing=seen.bearing
            )
        self._move(wish)
        self._own.append((now_s, self.velocity))
        return Command(self.velocity, wish.reason, seen.distance, seen.bearing)

    def _reason_to_stop(self, now_s: float, steady_s: float) -> Reason | None:
        sighting = self._sighting
        if not self.is_enabled:
            return Reason.DISABLED
        if sighting is None:
            return Reason.NO_TARGET
        if steady_s - sighting.heard_s > self.config.watchdog:
            return Reason.SILENT
        if abs(now_s - sighting.stamp_s) > self.config.stale_after:
            return Reason.STALE
        return Reason.LOST if sighting.is_lost else None

    def _observation(self, now_s: float) -> Observation | None:
        """The target as it should be now."""
        sighting = self._sighting
        if sighting is None:
            return None
        if sighting.position_xy is None:
            return Observation(sighting.bearing, is_uncertain=sighting.is_uncertain)
        passed = min(max(now_s - sighting.stamp_s, 0.0), self.config.extrapolation)
        (x, y), (speed_x, speed_y) = sighting.position_xy, sighting.velocity_xy or (0.0, 0.0)
        if not sighting.is_relative:
            own_x, own_y = self._apparent(sighting.position_xy, sighting.stamp_s)
            speed_x, speed_y = speed_x + own_x, speed_y + own_y
        x, y = x + passed * speed_x, y + passed * speed_y
        return Observation(
            math.atan2(y, x), (x, y), self._motion.velocity_xy, sighting.is_uncertain
        )

    def _apparent(self, position_xy: tuple[float, float], stamp_s: float) -> tuple[float, float]:
        """How a thing that stands still moves, seen from the base as it moved then."""
        own, (x, y) = self._own_velocity(stamp_s), position_xy
        return own.turn * y - own.forward, -own.turn * x - own.left

    def _own_velocity(self, stamp_s: float) -> Velocity:
        """What was commanded at a time."""
        times = [time_s for time_s, _ in self._own]
        index = bisect_right(times, stamp_s) - 1
        return self._own[index][1] if index >= 0 else Velocity(0.0, 0.0, 0.0)

    def _move(self, wish: Wish) -> None:
        config = self.config
        self._forward.toward(wish.forward, config.linear)
        self._left.toward(wish.left, config.lateral)
        self._turn.toward(wish.turn, config.turning)

    def _stopped(self, now_s: float, reason: Reason) -> Command:
        config = self.config
        self._forward.stop(config.linear)
        self._left.stop(config.lateral)
        self._turn.stop(config.turning)
        self._own.append((now_s, self.velocity))
        return Command(self.velocity, reason)
