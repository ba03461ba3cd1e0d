# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a robot moves to keep a target at a distance and in front of it. Knows no ROS."""

from siammask_ros.following.controller import (
    BASES,
    FollowerConfig,
    Observation,
    Reason,
    Wish,
    steer,
)
from siammask_ros.following.limits import Limits, Profile
from siammask_ros.following.pilot import Command, Pilot, Sighting, Velocity

__all__ = [
    "BASES",
    "Command",
    "FollowerConfig",
    "Limits",
    "Observation",
    "Pilot",
    "Profile",
    "Reason",
    "Sighting",
    "Velocity",
    "Wish",
    "steer",
]
