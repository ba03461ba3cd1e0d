# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Commands that follow a target: within every limit, toward the target, and still in time."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from siammask_ros.following import (
    FollowerConfig,
    Limits,
    Observation,
    Pilot,
    Profile,
    Reason,
    Sighting,
    Velocity,
    steer,
)

PERIOD = 0.05
CONFIG = FollowerConfig()
LIMITS = Limits(speed=0.8, reverse_speed=0.3, acceleration=0.8, jerk=4.0, stop_acceleration=2.0)
SLACK = 1e-9


# --- Limits


def random_limits(rng):
    low, high = np.array([0.1, 0.0, 0.1, 0.3, 0.1]), np.array([3.0, 3.0, 5.0, 60.0, 9.0])
    return Limits(*(float(number) for number in rng.uniform(low, high)))


@pytest.mark.parametrize("seed", range(40))
def test_no_velocity_is_ever_beyond_a_limit(seed):
    rng = np.random.default_rng(seed)
    limits, period = random_limits(rng), float(rng.choice([0.01, 0.02, 0.05, 0.1]))
    profile = Profile(period)
    velocity = acceleration = wanted = 0.0
    stops = False
    for _ in range(2000):
        if rng.random() < 0.1:
            wanted = float(rng.choice([rng.normal(0, 2), 0.0, 1e9, -1e9, math.inf]))
        was_stopping, stops = stops, rng.random() < (0.8 if stops else 0.02)
        new = profile.stop(limits) if stops else profile.toward(wanted, limits)
        change = (new - velocity) / period
        assert -limits.reverse_speed - SLACK <= new <= limits.speed + SLACK
        if stops:
            assert abs(change) <= limits.stop_acceleration + SLACK / period
            assert abs(new) <= abs(velocity)
        else:
            assert abs(change) <= limits.acceleration + SLACK / period
        if not stops and not was_stopping:
            assert abs(change - acceleration) / period <= limits.jerk + 4 * SLACK / period**2
        velocity, acceleration = new, change


@pytest.mark.parametrize("wanted", [0.8, 0.123, -0.3, 5.0, -5.0])
def test_a_velocity_is_reached_without_passing_it(wanted):
    profile = Profile(PERIOD)
    velocities = [profile.toward(wanted, LIMITS) for _ in range(200)]
    aim = LIMITS.clamped(wanted)
    assert velocities[-1] == pytest.approx(aim, abs=1e-9)
    assert max(abs(v) for v in velocities) <= abs(aim) + SLACK
    assert all(abs(b) >= abs(a) - SLACK for a, b in pairwise(velocities))
    # Not much slower than acceleration alone would allow: the ramps of jerk take 0.2 s each.
    arrived = next(n for n, v in enumerate(velocities) if abs(v - aim) < 0.01)
    assert arrived * PERIOD < abs(aim) / LIMITS.acceleration + 2 * 0.2 + 2 * PERIOD


def test_a_lowered_limit_is_reached_by_braking():
    profile = Profile(PERIOD)
    for _ in range(200):
        profile.toward(1.0, LIMITS)
    low = replace(LIMITS, speed=0.2)
    velocities = [profile.toward(1.0, low) for _ in range(60)]
    assert velocities[0] > 0.7
    assert velocities[-1] == pytest.approx(0.2)
    assert min(velocities) >= 0.2 - SLACK


def test_a_stop_is_as_quick_as_is_allowed_and_ends_still():
    profile = Profile(PERIOD)
    for _ in range(200):
        profile.toward(1.0, LIMITS)
    velocities = [profile.stop(LIMITS) for _ in range(12)]
    assert velocities[6] == pytest.approx(0.8 - 7 * 2.0 * PERIOD)
    assert velocities[7:] == [pytest.approx(0, abs=1e-12)] * 5


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"speed": -1.0}, "speed must be at least 0, got -1"),
        ({"reverse_speed": math.nan}, "reverse_speed must be at least 0, got nan"),
        ({"acceleration": 0.0}, "acceleration must be positive, got 0"),
        ({"jerk": math.inf}, "jerk must be positive, got inf"),
        ({"stop_acceleration": -2.0}, "stop_acceleration must be positive, got -2"),
    ],
)
def test_limits_that_make_no_sense_are_refused(changed, words):
    with pytest.raises(ValueError, match=words):
        replace(LIMITS, **changed)


def test_what_is_no_number_moves_nothing():
    profile = Profile(PERIOD)
    profile.toward(1.0, LIMITS)
    before = profile.velocity, profile.acceleration
    with pytest.raises(ValueError, match="not a number"):
        profile.toward(math.nan, LIMITS)
    assert (profile.velocity, profile.acceleration) == before
    with pytest.raises(ValueError, match="period must be positive, got 0"):
        Profile(0.0)


# --- Steering


def at(distance, bearing=0.0, **more):
    place = distance * math.cos(bearing), distance * math.sin(bearing)
    return Observation(bearing, place, **more)


def test_a_target_in_its_place_needs_nothing():
    for error in (0.0, 0.04, -0.04):
        assert steer(at(CONFIG.distance + error, 0.01), CONFIG)[:3] == (0, 0, 0)


def test_distance_and_direction_are_corrected_by_the_right_sign():
    far_left = steer(at(2.5, 0.3), CONFIG)
    assert far_left.forward == pytest.approx((1.0 - 0.05) * math.cos(0.3))
    assert far_left.turn == pytest.approx(2.0 * (0.3 - 0.02))
    assert far_left.left == 0
    near_right = steer(at(1.0, -0.3), CONFIG)
    assert near_right.forward < 0
    assert near_right.turn == pytest.approx(-far_left.turn)


def test_a_holonomic_base_goes_straight_to_the_target():
    wish = steer(at(2.5, 0.5), replace(CONFIG, base="holonomic"))
    assert math.atan2(wish.left, wish.forward) == pytest.approx(0.5)
    assert math.hypot(wish.left, wish.forward) == pytest.approx(0.95)


def test_the_motion_of_the_target_is_added():
    ahead = steer(at(1.5, velocity_xy=(0.5, 0.0)), CONFIG)
    assert ahead.forward == pytest.approx(0.5)
    across = steer(at(1.5, velocity_xy=(0.0, 0.6)), CONFIG)
    assert across.turn == pytest.approx(0.6 / 1.5)
    assert across.forward == 0
    assert steer(at(1.5, velocity_xy=(0.5, 0.6)), replace(CONFIG, feed_forward=0))[:3] == (0, 0, 0)


def test_the_base_can_stop_before_it_is_too_near():
    config = replace(CONFIG, distance=0.61, distance_gain=100.0)
    for distance in (0.61, 0.7, 1.0, 2.0):
        speed = steer(at(distance), config).forward
        needed = speed**2 / (2 * config.linear.stop_acceleration)
        assert needed <= distance - config.min_distance + 1e-9


def test_it_turns_before_it_goes():
    wish = steer(at(3.0, 1.2), CONFIG)
    assert (wish.forward, wish.left) == (0, 0)
    assert wish.turn > 0


def test_uncertain_targets_are_approached_slowly():
    sure, unsure = steer(at(2.5, 0.2), CONFIG), steer(at(2.5, 0.2, is_uncertain=True), CONFIG)
    assert [b / a for a, b in zip(sure, unsure, strict=True) if isinstance(a, float) and a] == [
        pytest.approx(0.5)
    ] * 2


def test_a_direction_alone_turns_the_base():
    wish = steer(Observation(-0.4), CONFIG)
    assert (wish.forward, wish.left, wish.reason) == (0, 0, Reason.NO_DISTANCE)
    assert wish.turn == pytest.approx(-2.0 * 0.38)


@pytest.mark.parametrize("distance", [0.0, 0.3, 0.599])
def test_too_near_is_zeros(distance):
    assert steer(at(distance), CONFIG) == (0, 0, 0, Reason.TOO_NEAR)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"base": "legs"}, "base must be one of differential, holonomic, got 'legs'"),
        ({"distance": 0.5}, "0 <= min_distance < distance must hold, got 0.6 and 0.5"),
        ({"distance_gain": -1.0}, "distance_gain must be at least 0, got -1"),
        ({"bearing_gain": math.nan}, "bearing_gain must be at least 0, got nan"),
        ({"stale_after": 0.0}, "stale_after must be positive, got 0"),
        ({"watchdog": math.inf}, "watchdog must be positive, got inf"),
        ({"feed_forward": 1.5}, r"feed_forward must be in \[0, 1\], got 1.5"),
        ({"uncertain_speed": -0.1}, r"uncertain_speed must be in \[0, 1\], got -0.1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changed, words):
    with pytest.raises(ValueError, match=words):
        replace(CONFIG, **changed)


# --- The pilot


def seen(time_s, distance=2.5, bearing=0.0, **more):
    place = distance * math.cos(bearing), distance * math.sin(bearing)
    return Sighting(time_s, time_s, bearing, place, **more)


def enabled(**changed):
    pilot = Pilot(PERIOD, replace(CONFIG, **changed))
    pilot.is_enabled = True
    return pilot


def run(pilot, start_s=0.0, seconds=3.0, sight=seen):
    """Commands of a time, with a fresh message before each; the time of the next."""
    commands = []
    for tick in range(round(seconds / PERIOD)):
        now_s = start_s + tick * PERIOD
        if sight is not None:
            pilot.hear(sight(now_s))
        commands.append(pilot.tick(now_s, now_s))
    return commands, start_s + seconds


def test_nothing_moves_until_it_is_enabled():
    pilot = Pilot(PERIOD)
    commands, now_s = run(pilot)
    assert {command.reason for command in commands} == {Reason.DISABLED}
    assert all(command.is_still for command in commands)
    pilot.is_enabled = True
    commands, _ = run(pilot, now_s)
    assert commands[-1].velocity.forward > 0.7


def test_without_a_target_it_stands():
    (command, *_), _ = run(enabled(), sight=None)
    assert (command.is_still, command.reason) == (True, Reason.NO_TARGET)


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        (lambda now_s: seen(now_s, is_lost=True), Reason.LOST),
        (lambda now_s: seen(now_s, distance=0.4), Reason.TOO_NEAR),
        (lambda now_s: seen(now_s)._replace(stamp_s=now_s - 1.0), Reason.STALE),
        (lambda now_s: seen(now_s)._replace(stamp_s=now_s + 1.0), Reason.STALE),
        (None, Reason.SILENT),
    ],
    ids=["lost", "too near", "stale", "from the future", "silent"],
)
def test_it_stops_within_half_a_second(then, reason):
    pilot = enabled(watchdog=0.1) if then is None else enabled()
    commands, now_s = run(pilot, seconds=4.0, sight=lambda at_s: seen(at_s, 3.0, 0.3))
    assert commands[-1].velocity.forward > 0.6
    if reason is Reason.STALE:
        pilot.forget()
    commands, _ = run(pilot, now_s, seconds=1.0, sight=then)
    assert commands[-1].reason is reason
    since = 0.1 if then is None else 0.0
    moving = [n * PERIOD - since for n, command in enumerate(commands) if not command.is_still]
    assert max(moving) + PERIOD <= 0.5


def test_disabling_stops_it():
    pilot = enabled()
    _, now_s = run(pilot)
    pilot.is_enabled = False
    commands, _ = run(pilot, now_s, seconds=0.6)
    assert commands[-1].is_still


def test_a_direction_alone_turns_and_brakes_gently():
    pilot = enabled()
    _, now_s = run(pilot)
    commands, _ = run(pilot, now_s, sight=lambda at_s: Sighting(at_s, at_s, 0.3))
    assert {command.reason for command in commands} == {Reason.NO_DISTANCE}
    changes = [b.velocity.forward - a.velocity.forward for a, b in pairwise(commands)]
    assert min(changes) >= -CONFIG.linear.acceleration * PERIOD - SLACK
    assert commands[-1].velocity.forward == 0
    assert commands[-1].velocity.turn > 0.3


@pytest.mark.parametrize("seed", range(20))
def test_no_command_is_beyond_a_limit_whatever_is_heard(seed):
    rng = np.random.default_rng(seed)
    config = replace(
        CONFIG,
        base=str(rng.choice(["differential", "holonomic"])),
        linear=random_limits(rng),
        lateral=random_limits(rng),
        turning=random_limits(rng),
    )
    pilot = Pilot(PERIOD, config)
    before, stopped_before = Velocity(0, 0, 0), True
    changes_before = (0.0, 0.0, 0.0)
    for tick in range(1500):
        now_s = tick * PERIOD
        if rng.random() < 0.05:
            pilot.is_enabled = bool(rng.random() < 0.8)
        if rng.random() < 0.7:
            place = tuple(rng.normal(0, 3, 2)) if rng.random() < 0.8 else None
            speed = tuple(rng.normal(0, 20, 2)) if rng.random() < 0.8 else None
            pilot.hear(
                Sighting(
                    now_s - rng.exponential(0.2), now_s, rng.uniform(-4, 4), place, speed,
                    is_lost=bool(rng.random() < 0.1), is_uncertain=bool(rng.random() < 0.2),
                )
            )  # fmt: skip
        command = pilot.tick(now_s, now_s)
        stopped = command.reason not in (Reason.FOLLOWING, Reason.NO_DISTANCE)
        axes = zip((config.linear, config.lateral, config.turning), command.velocity, before,
                   changes_before, strict=True)  # fmt: skip
        changes = []
        for limits, new, old, old_change in axes:
            change = (new - old) / PERIOD
            assert -limits.reverse_speed - SLACK <= new <= limits.speed + SLACK
            allowed = limits.stop_acceleration if stopped else limits.acceleration
            assert abs(change) <= allowed + SLACK / PERIOD
            if not stopped and not stopped_before:
                assert abs(change - old_change) <= limits.jerk * PERIOD + 4 * SLACK / PERIOD
            changes.append(change)
        before, changes_before, stopped_before = command.velocity, changes, stopped


def test_numbers_that_are_not_finite_are_refused():
    pilot = enabled()
    pilot.hear(seen(1.0))
    for bad in (
        seen(2.0)._replace(bearing=math.nan),
        seen(2.0)._replace(position_xy=(math.inf, 0.0)),
        seen(2.0)._replace(velocity_xy=(0.0, math.nan)),
        seen(math.nan),
    ):
        with pytest.raises(ValueError, match="not a finite number"):
            pilot.hear(bad)
    assert pilot.tick(1.0, 1.0).distance == pytest.approx(2.5)


def test_messages_out_of_order_and_time_that_jumps_back():
    pilot = enabled()
    pilot.hear(seen(100.0, distance=3.0))
    pilot.hear(seen(99.9, distance=2.0))
    assert pilot.tick(100.0, 100.0).distance == pytest.approx(3.0)
    pilot.hear(seen(5.0, distance=2.0)._replace(heard_s=100.05))
    assert pilot.tick(5.0, 100.05).distance == pytest.approx(2.0)


def test_what_is_seen_late_is_carried_on_to_the_present():
    pilot = enabled()
    pilot.hear(seen(10.0, distance=2.0, velocity_xy=(-1.0, 0.0)))
    assert pilot.tick(10.2, 10.2).distance == pytest.approx(1.8)
    pilot.forget()
    pilot.hear(seen(20.0, distance=2.0, velocity_xy=(-1.0, 0.0)))
    assert pilot.tick(20.45, 20.45).distance == pytest.approx(1.7)  # not without end


# --- In a world


class Plane:
    """A unicycle and a target on a plane; the base obeys at once, the eyes are late."""

    def __init__(self, late_s=0.1):
        self.x = self.y = self.heading = 0.0
        self.late = round(late_s / PERIOD)
        self.seen = []

    def look(self, now_s, target_xy):
        dx, dy = target_xy[0] - self.x, target_xy[1] - self.y
        cos, sin = math.cos(self.heading), math.sin(self.heading)
        self.seen.append((now_s, (cos * dx + sin * dy, -sin * dx + cos * dy)))
        if len(self.seen) <= self.late + 1:
            return None
        (then_s, before), (stamp_s, place) = self.seen[-2 - self.late], self.seen[-1 - self.late]
        speed = tuple((b - a) / (stamp_s - then_s) for a, b in zip(before, place, strict=True))
        return Sighting(stamp_s, now_s, math.atan2(place[1], place[0]), place, speed)

    def move(self, velocity):
        self.heading += velocity.turn * PERIOD
        cos, sin = math.cos(self.heading), math.sin(self.heading)
        self.x += (velocity.forward * cos - velocity.left * sin) * PERIOD
        self.y += (velocity.forward * sin + velocity.left * cos) * PERIOD


def follow(pilot, path, seconds):
    """Distances and bearings over time."""
    plane, history = Plane(), []
    for tick in range(round(seconds / PERIOD)):
        now_s = tick * PERIOD
        sighting = plane.look(now_s, path(now_s))
        if sighting is not None:
            pilot.hear(sighting)
        plane.move(pilot.tick(now_s, now_s).velocity)
        _, (ahead, left) = plane.seen[-1]
        history.append((now_s, math.hypot(ahead, left), math.atan2(left, ahead)))
    return np.array(history)


@pytest.mark.parametrize("base", ["differential", "holonomic"])
def test_a_target_that_walks_on_is_followed_without_a_lag(base):
    history = follow(enabled(base=base), lambda t: (1.5 + 0.6 * t, 0.2), 20)
    late = history[history[:, 0] > 8]
    assert np.abs(late[:, 1] - 1.5).max() < 0.12
    assert np.abs(late[:, 2]).max() < 0.05


def test_turns_and_changes_of_speed_are_followed():
    def path(time_s):
        angle = 0.25 * time_s
        return 3.0 * math.sin(angle) + 1.5, 3.0 * (1 - math.cos(angle))

    history = follow(enabled(), path, 50)
    late = history[history[:, 0] > 6]
    assert np.abs(late[:, 1] - 1.5).max() < 0.3
    assert np.abs(late[:, 2]).max() < math.radians(20)


def test_a_target_that_comes_nearer_is_given_way():
    history = follow(enabled(), lambda t: (max(3.0 - 0.25 * t, 1.0), 0.0), 15)
    assert history[:, 1].min() > CONFIG.min_distance
    assert history[-1, 1] == pytest.approx(1.5, abs=0.08)


def test_velocities_of_a_frame_that_stands_still_are_the_targets_own():
    class Still(Plane):
        """Tells the velocity of the target along the base's axes."""

        def look(self, now_s, target_xy):
            sighting = super().look(now_s, target_xy)
            turned = -self.heading
            own = 0.6 * math.cos(turned), 0.6 * math.sin(turned)
            return sighting and sighting._replace(velocity_xy=own, is_relative=False)

    plane, pilot = Still(), enabled()
    for tick in range(400):
        now_s = tick * PERIOD
        sighting = plane.look(now_s, (1.5 + 0.6 * now_s, 0.2))
        if sighting is not None:
            pilot.hear(sighting)
        plane.move(pilot.tick(now_s, now_s).velocity)
    assert math.hypot(*plane.seen[-1][1]) == pytest.approx(1.5, abs=0.12)


def test_own_motion_is_told_from_the_targets():
    """A target that stands still seems to move when the base does."""
    pilot = enabled()
    plane = Plane(late_s=0.0)
    for tick in range(100):
        now_s = tick * PERIOD
        sighting = plane.look(now_s, (4.0, 1.0))
        if sighting is not None:
            pilot.hear(sighting)
        pilot.tick(now_s, now_s)
        assert math.hypot(*pilot._motion.velocity_xy) < 0.12
        plane.move(pilot.velocity)
