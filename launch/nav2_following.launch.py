# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start Nav2's following server on the pose of a target; needs the package opennav_following.

ros2 launch siammask_ros nav2_following.launch.py pose:=/target_localizer/target_1/pose
"""

from __future__ import annotations

import json

from launch.actions import ExecuteProcess, TimerAction
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from siammask_ros.ros.launch_files import description_of, is_true, values_of

SERVER = "following_server"

ARGUMENTS = (
    ("pose", "/target_localizer/target_1/pose", "topic of the target's pose"),
    ("cmd_vel", "cmd_vel", "topic of the base's velocity; a collision monitor's input, best"),
    ("base_frame", "base_link", "frame of the base"),
    ("fixed_frame", "odom", "frame that stands still"),
    ("distance", "1.5", "distance to keep, in metres"),
    ("detection_timeout", "2.0", "seconds without a pose after which a try has failed"),
    ("params_file", "", "YAML file of the server's parameters, read first"),
    ("start", "false", "true: send the goal too; false: leave it to an application"),
    ("delay", "5.0", "seconds until the goal is sent"),
)
"""Name, default, description."""


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the rest needs their values."""
    return description_of(ARGUMENTS, start)


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Build the server, what brings it up, and the goal, from the values of the arguments."""
    values = values_of(context, ARGUMENTS)
    given = {
        "base_frame": values["base_frame"],
        "fixed_frame": values["fixed_frame"],
        "desired_distance": float(values["distance"]),
        "detection_timeout": float(values["detection_timeout"]),
    }
    server = Node(
        package="opennav_following",
        executable="opennav_following",
        name=SERVER,
        parameters=[*([values["params_file"]] if values["params_file"] else []), given],
        remappings=[("cmd_vel", values["cmd_vel"])],
        output="screen",
    )
    manager = Node(
        package="nav2_lifecycle_manager",
        executable="lifecycle_manager",
        name="lifecycle_manager_following",
        parameters=[{"autostart": True, "node_names": [SERVER]}],
        output="screen",
    )
    if not is_true("start", values["start"]):
        return [server, manager]
    goal = ExecuteProcess(
        cmd=[
            *("ros2", "action", "send_goal", "follow_object", "nav2_msgs/action/FollowObject"),
            json.dumps({"pose_topic": values["pose"]}),
        ],
        output="screen",
    )
    return [server, manager, TimerAction(period=float(values["delay"]), actions=[goal])]
