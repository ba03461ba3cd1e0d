# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start the localizer, which says where a tracker's targets are.

ros2 launch siammask_ros localizer.launch.py \
    depth:=/camera/aligned_depth_to_color/image_raw camera_info:=/camera/color/camera_info
"""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from siammask_ros.ros.launch_files import (
    description_of,
    is_true,
    own_node,
    transport_actions,
    values_of,
)

NODE_NAME = "target_localizer"

ARGUMENTS = (
    (
        "tracker",
        "/siammask_tracker",
        "the tracker's node; of several cameras, with the camera's name",
    ),
    ("camera_info", "camera_info", "topic of the calibration of the tracker's images"),
    ("depth", "", "topic of the depth image that is registered to them"),
    ("depth_camera_info", "", "topic of the depth image's own calibration, where it has another"),
    ("points", "", "topic of a point cloud, in place of a depth image"),
    ("odometry", "", "topic of odometry, for fixed_frame_from odometry"),
    ("fixed_frame", "", "frame in which motion is smoothed"),
    ("fixed_frame_from", "", "tf or odometry"),
    ("ground_plane", "", "true: without depth, from camera_z and camera_pitch"),
    ("camera_z", "", "metres of the camera above the ground"),
    ("camera_pitch", "", "radians that the camera looks down"),
    ("publish_tf", "", "true: frames target_ID on /tf"),
    ("params_file", "", "YAML file of parameters, read after config/localizer.yaml"),
    ("namespace", "", "namespace of the node"),
    ("use_sim_time", "", "true: take the time from /clock"),
    ("autostart", "true", "true: configure and activate; false: leave it to a lifecycle manager"),
    ("log_level", "info", "debug, info, warn, error or fatal"),
)
"""Name, default, description. An empty value leaves the parameter to the YAML files."""

KINDS = {
    "fixed_frame": str,
    "fixed_frame_from": str,
    "ground_plane": lambda text: is_true("ground_plane", text),
    "camera_z": float,
    "camera_pitch": float,
    "publish_tf": lambda text: is_true("publish_tf", text),
    "use_sim_time": lambda text: is_true("use_sim_time", text),
    "autostart": lambda text: is_true("autostart", text),
}
"""The arguments that are parameters, and what makes their values of texts."""

TOPICS = {
    "camera_info": "camera_info",
    "depth": "depth/image",
    "depth_camera_info": "depth/camera_info",
    "points": "points",
    "odometry": "odometry",
}
"""The arguments that are topics, and their names in the node."""


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the rest needs their values."""
    return description_of(ARGUMENTS, start)


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Build the node from the values of the arguments."""
    values = values_of(context, ARGUMENTS)
    given = {name: kind(values[name]) for name, kind in KINDS.items() if values[name]}
    if source := depth_source(values):
        given["depth_source"] = source
    tracker = values["tracker"].rstrip("/")
    remappings = [(name, f"{tracker}/{name}") for name in ("rotated_boxes", "label_image")]
    remappings += [
        (name, values[argument]) for argument, name in TOPICS.items() if values[argument]
    ]
    node = own_node("localizer_node", NODE_NAME, "localizer.yaml", values, given, remappings)
    return [*transport_actions(), node]


def depth_source(values: dict[str, str]) -> str:
    """Read what is given; nothing leaves it to the YAML files, unless the ground is enough."""
    if values["depth"] and values["points"]:
        raise ValueError("depth and points: give one of them")
    if values["depth"]:
        return "image"
    if values["points"]:
        return "points"
    only_ground = values["ground_plane"] and is_true("ground_plane", values["ground_plane"])
    return "none" if only_ground and not values["params_file"] else ""
