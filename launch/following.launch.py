# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start the follower, which commands a base; it starts disabled.

ros2 launch siammask_ros following.launch.py targets:=/target_localizer/targets cmd_vel:=/cmd_vel
"""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from siammask_ros.ros.launch_files import description_of, is_true, own_node, values_of

NODE_NAME = "target_follower"

ARGUMENTS = (
    ("targets", "/target_localizer/targets", "topic of where targets are"),
    ("cmd_vel", "cmd_vel", "topic of the base's velocity"),
    ("base", "", "differential or holonomic"),
    ("base_frame", "", "frame of the base"),
    ("stamped", "", "true: TwistStamped; false: Twist"),
    ("target_id", "", "target to follow; 0: the one with the lowest id"),
    ("distance", "", "distance to keep, in metres"),
    ("max_speed", "", "greatest speed, in m/s"),
    ("params_file", "", "YAML file of parameters, read after config/follower.yaml"),
    ("namespace", "", "namespace of the node"),
    ("use_sim_time", "", "true: take the time from /clock"),
    ("autostart", "true", "true: configure and activate; false: leave it to a lifecycle manager"),
    ("log_level", "info", "debug, info, warn, error or fatal"),
)
"""Name, default, description. An empty value leaves the parameter to the YAML files."""

KINDS = {
    "base": str,
    "base_frame": str,
    "stamped": lambda text: is_true("stamped", text),
    "target_id": int,
    "distance": float,
    "max_speed": float,
    "use_sim_time": lambda text: is_true("use_sim_time", text),
    "autostart": lambda text: is_true("autostart", text),
}
"""The arguments that are parameters, and what makes their values of texts."""


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the rest needs their values."""
    return description_of(ARGUMENTS, start)


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Build the node from the values of the arguments."""
    values = values_of(context, ARGUMENTS)
    given = {name: kind(values[name]) for name, kind in KINDS.items() if values[name]}
    return [
        own_node(
            "follower_node",
            NODE_NAME,
            "follower.yaml",
            values,
            given,
            [(topic, values[topic]) for topic in ("targets", "cmd_vel")],
        )
    ]
