# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the node `target_follower`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from siammask_ros.following import BASES, FollowerConfig, Limits
from siammask_ros.localization.space import RigidTransform, camera_on_base
from siammask_ros.ros.parameter_table import Changes, ParameterTable, parameter

_DEFAULT = FollowerConfig()
_FAST, _FURIOUS = 20.0, 1000.0
"""Greatest velocities and accelerations, and jerks, that a parameter can have."""


def _live(default: Any, description: str, most: float, *, least: float = 0.0) -> Any:
    """A number that may change at any time."""
    return parameter(default, description, changes=Changes.ANY_TIME, between=(least, most))


@dataclass(frozen=True)
class FollowerSettings(ParameterTable):
    """Every parameter of the node with its default, description and range."""

    autostart: bool = parameter(
        False,
        "Configure and activate without a lifecycle manager; following.launch.py sets it.",
        changes=Changes.NEVER,
    )
    base: str = parameter(
        _DEFAULT.base,
        "What the base can do: go ahead and turn (differential), or to the side too (holonomic).",
        choices=BASES,
    )
    base_frame: str = parameter("base_link", "Frame of the base, in the headers of commands.")
    stamped: bool = parameter(
        True, "Send TwistStamped; false: Twist, for bases that want it without a stamp."
    )
    rate: float = parameter(50.0, "Commands a second.", between=(5.0, 200.0))
    camera_x: float = parameter(
        0.0, "Place of the camera ahead of the base's origin, in metres.", between=(-10.0, 10.0)
    )
    camera_y: float = parameter(
        0.0, "Place of the camera to the left of it, in metres.", between=(-10.0, 10.0)
    )
    camera_z: float = parameter(
        0.0, "Place of the camera above it, in metres.", between=(-10.0, 10.0)
    )
    camera_roll: float = parameter(
        0.0, "Turn of the camera about its axis, in radians.", between=(-3.1416, 3.1416)
    )
    camera_pitch: float = parameter(
        0.0, "Tilt of the camera in radians, positive down.", between=(-1.5708, 1.5708)
    )
    camera_yaw: float = parameter(
        0.0, "Turn of the camera in radians, positive to the left.", between=(-3.1416, 3.1416)
    )
    velocity_of: str = parameter(
        "relative",
        "What the targets' velocities are against: the moving camera (relative), or the ground, as "
        "the localizer gives them with a fixed frame.",
        choices=("relative", "ground"),
    )
    target_id: int = parameter(
        0,
        "Target to follow; 0: the one with the lowest id, as long as there is one.",
        changes=Changes.ANY_TIME,
        between=(0, 255),
    )
    distance: float = _live(_DEFAULT.distance, "Distance to keep, in metres.", 100.0)
    min_distance: float = _live(
        _DEFAULT.min_distance, "Distance under which the base stops, in metres.", 100.0
    )
    distance_gain: float = _live(
        _DEFAULT.distance_gain, "Speed for each metre of error, in 1/s.", 20.0
    )
    bearing_gain: float = _live(
        _DEFAULT.bearing_gain, "Rate of turning for each radian of error, in 1/s.", 20.0
    )
    distance_dead_band: float = _live(
        _DEFAULT.distance_dead_band, "Error of distance that is let be, in metres.", 10.0
    )
    bearing_dead_band: float = _live(
        _DEFAULT.bearing_dead_band, "Error of direction that is let be, in radians.", 1.0
    )
    feed_forward: float = _live(
        _DEFAULT.feed_forward, "Share of the target's own motion that is added.", 1.0
    )
    velocity_smoothing: float = _live(
        _DEFAULT.velocity_smoothing, "Time over which that motion is averaged, in seconds.", 10.0
    )
    turn_first: float = _live(
        _DEFAULT.turn_first,
        "Direction beyond which the base turns before it goes, in radians.",
        3.1416,
    )
    uncertain_speed: float = _live(
        _DEFAULT.uncertain_speed, "Share of the speed while the target is UNCERTAIN.", 1.0
    )
    stale_after: float = _live(
        _DEFAULT.stale_after,
        "Age of an image, by its stamp, at which the base stops, in seconds.",
        10.0,
        least=0.01,
    )
    watchdog: float = _live(
        _DEFAULT.watchdog,
        "Time without a message after which the base stops, in seconds.",
        10.0,
        least=0.01,
    )
    extrapolation: float = _live(
        _DEFAULT.extrapolation,
        "Time at most over which what was seen is carried on to the present, in seconds.",
        2.0,
    )
    max_speed: float = _live(_DEFAULT.linear.speed, "Greatest speed ahead, in m/s.", _FAST)
    max_reverse_speed: float = _live(
        _DEFAULT.linear.reverse_speed, "Greatest speed backward, in m/s; 0: never.", _FAST
    )
    max_acceleration: float = _live(
        _DEFAULT.linear.acceleration, "Greatest acceleration, in m/s2.", _FAST, least=0.01
    )
    max_jerk: float = _live(_DEFAULT.linear.jerk, "Greatest jerk, in m/s3.", _FURIOUS, least=0.01)
    stop_acceleration: float = _live(
        _DEFAULT.linear.stop_acceleration,
        "Deceleration of a stop, in m/s2; jerk is not limited then.",
        _FAST,
        least=0.01,
    )
    max_lateral_speed: float = _live(
        _DEFAULT.lateral.speed, "Greatest speed to either side (holonomic), in m/s.", _FAST
    )
    max_turn_rate: float = _live(
        _DEFAULT.turning.speed, "Greatest rate of turning, in rad/s.", _FAST
    )
    max_turn_acceleration: float = _live(
        _DEFAULT.turning.acceleration,
        "Greatest change of that rate, in rad/s2.",
        _FAST,
        least=0.01,
    )
    max_turn_jerk: float = _live(
        _DEFAULT.turning.jerk, "Greatest jerk of turning, in rad/s3.", _FURIOUS, least=0.01
    )
    stop_turn_acceleration: float = _live(
        _DEFAULT.turning.stop_acceleration,
        "Deceleration of turning in a stop, in rad/s2.",
        _FAST,
        least=0.01,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.base_frame:
            raise ValueError("base_frame is empty: name the frame of the base")
        self.config  # noqa: B018  checks the values against each other

    @property
    def period(self) -> float:
        """Seconds between two commands."""
        return 1 / self.rate

    @property
    def config(self) -> FollowerConfig:
        """How to follow."""
        shared = {entry.name for entry in fields(FollowerConfig)} & self.rules().keys()
        linear = Limits(
            self.max_speed,
            self.max_reverse_speed,
            self.max_acceleration,
            self.max_jerk,
            self.stop_acceleration,
        )
        sideways = self.max_lateral_speed if self.base == "holonomic" else 0.0
        turning = Limits(
            self.max_turn_rate,
            self.max_turn_rate,
            self.max_turn_acceleration,
            self.max_turn_jerk,
            self.stop_turn_acceleration,
        )
        return FollowerConfig(
            linear=linear,
            lateral=Limits(
                sideways, sideways, self.max_acceleration, self.max_jerk, self.stop_acceleration
            ),
            turning=turning,
            **{name: getattr(self, name) for name in shared},
        )

    @property
    def camera(self) -> RigidTransform:
        """From the camera's optical frame to that of the base."""
        return camera_on_base(
            self.camera_x,
            self.camera_y,
            self.camera_z,
            self.camera_pitch,
            self.camera_yaw,
            self.camera_roll,
        )
