# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Let a simulated robot follow somebody for a minute, and leave a video beside a map.

ros2 launch siammask_ros follow_demo.launch.py output:=follow_output
"""

from __future__ import annotations

from pathlib import Path

from launch.actions import Shutdown
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from siammask_ros.ros.follow_demo import FollowDemoOptions, demo_nodes
from siammask_ros.ros.launch_files import description_of, is_true, transport_actions, values_of

ARGUMENTS = (
    ("output", "follow_output", "folder for video, contact sheet, chart, table and summary"),
    ("seconds", "60", "how long the robot follows"),
    ("seed", "1", "of textures and noise"),
    ("rate", "20", "images a second"),
    ("size", "640x480", "of the images: WIDTHxHEIGHT"),
    ("weights", "compact", "checkpoint: a path or a name"),
    ("video", "true", "true: write video and contact sheet; false: chart, table and summary"),
)
"""Name, default, description."""


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the rest needs their values."""
    return description_of(ARGUMENTS, start)


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Start the nodes; when the director has written its files, all end."""
    values = values_of(context, ARGUMENTS)
    options = FollowDemoOptions(
        output=Path(values["output"]),
        seconds=float(values["seconds"]),
        seed=int(values["seed"]),
        rate=float(values["rate"]),
        size=values["size"],
        weights=values["weights"],
        video=is_true("video", values["video"]),
        verbose=False,
    )
    *others, director = demo_nodes(options)
    nodes = [
        Node(
            package="siammask_ros",
            executable=node.executable,
            parameters=[node.parameters],
            remappings=list(node.remaps.items()),
            output="screen",
            emulate_tty=True,
            on_exit=Shutdown() if node is director else None,
        )
        for node in (*others, director)
    ]
    return [*transport_actions(), *nodes]
