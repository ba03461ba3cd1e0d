# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start the tracker on a camera.

ros2 launch siammask_ros tracker.launch.py image:=/camera/image_raw
ros2 launch siammask_ros tracker.launch.py cameras:=left,right image:=/{camera}/image_raw
"""

from __future__ import annotations

from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from siammask_ros.ros.launch_files import (
    SHARE,
    description_of,
    is_true,
    own_node,
    transport_actions,
    values_of,
)

NODE_NAME = "siammask_tracker"

ARGUMENTS = (
    ("image", "image", "image topic; {camera} in it stands for each of `cameras`"),
    ("cameras", "", "camera names, separated by commas; none: a single camera"),
    ("weights", "", "checkpoint: a path or a name"),
    ("device", "", "auto, cpu, cuda or cuda:N"),
    ("backend", "", "what runs the network: auto, eager, openvino, onnxruntime, ..."),
    ("precision", "", "auto, float32, bfloat16, float16 or int8"),
    ("image_transport", "", "raw or compressed"),
    ("processing", "", "realtime (newest frame) or every_frame"),
    ("detections", "", "topic of a detector's boxes; {camera} as in image"),
    ("detections_policy", "", "which detections start targets: manual, first, best_class or all"),
    ("detections_class", "", "class of the detections that are read"),
    ("click", "", "topic of clicks with a stamp (PointStamped) that start targets"),
    ("click_point", "", "topic of clicks without one (Point), as rqt_image_view publishes them"),
    ("max_targets", "", "targets that a camera may have"),
    ("camera_info", "", "topic of the camera's calibration; {camera} as in image; none: not read"),
    (
        "service_introspection",
        "",
        "disabled, metadata or contents: calls on topics, for bags",
    ),
    ("params_file", "", "YAML file of parameters, read after config/tracker.yaml"),
    ("namespace", "", "namespace of the node"),
    ("use_sim_time", "", "true: take the time from /clock, for bags played with --clock"),
    ("autostart", "true", "true: configure and activate; false: leave it to a lifecycle manager"),
    ("rviz", "false", "true: start rviz2 with config/tracker.rviz"),
    ("rviz_frame", "", "frame_id of the images, for rviz; empty: the file's own, camera"),
    ("log_level", "info", "debug, info, warn, error or fatal"),
)
"""Name, default, description. An empty value leaves the parameter to the YAML files."""

TEXT_PARAMETERS = (
    *("weights", "device", "backend", "precision", "image_transport", "processing"),
    *("detections_policy", "detections_class", "camera_info", "service_introspection"),
)
NUMBER_PARAMETERS = ("max_targets",)
INPUT_TOPICS = ("image", "detections", "click", "click_point")
SWITCHES = ("autostart", "use_sim_time")
DISPLAYED_TOPICS = ("overlay", "mask", "markers")


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the rest needs their values."""
    return description_of(ARGUMENTS, start)


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Build the actions from the values of the arguments."""
    values = values_of(context, ARGUMENTS)
    cameras = [name.strip() for name in values["cameras"].split(",") if name.strip()]
    tracker = own_node(
        "tracker_node",
        NODE_NAME,
        "tracker.yaml",
        values,
        given_parameters(values, cameras),
        input_remappings(values, cameras),
    )
    actions = [*transport_actions(), tracker]
    if is_true("rviz", values["rviz"]):
        actions.append(rviz(values, cameras))
    return actions


def given_parameters(values: dict[str, str], cameras: list[str]) -> dict[str, object]:
    """Return the parameters that the arguments set."""
    parameters: dict[str, object] = {name: values[name] for name in TEXT_PARAMETERS if values[name]}
    parameters.update({name: int(values[name]) for name in NUMBER_PARAMETERS if values[name]})
    parameters.update({name: is_true(name, values[name]) for name in SWITCHES if values[name]})
    if cameras:
        parameters["cameras"] = cameras
    return parameters


def input_remappings(values: dict[str, str], cameras: list[str]) -> list[tuple[str, str]]:
    """Map the topics that the node reads to those that are given."""
    given = {name: values[name] for name in INPUT_TOPICS if values[name]}
    if not cameras:
        return list(given.items())
    for name, topic in given.items():
        if "{camera}" not in topic and name != "image":
            raise ValueError(f"{name}:={topic}: with several cameras it needs {{camera}} in it")
    return [
        (f"{camera}/{name}", topic.replace("{camera}", camera))
        for name, topic in given.items()
        if "{camera}" in topic
        for camera in cameras
    ]


def full_image_topics(values: dict[str, str], cameras: list[str]) -> list[str]:
    """Return the full names of the topics of images, one a camera."""
    topic = values["image"]
    topics = [topic]
    if cameras:
        topics = [
            topic.replace("{camera}", camera) if "{camera}" in topic else f"{camera}/image"
            for camera in cameras
        ]
    namespace = values["namespace"].strip("/")
    prefix = f"/{namespace}/" if namespace else "/"
    return [name if name.startswith("/") else f"{prefix}{name}" for name in topics]


def rviz(values: dict[str, str], cameras: list[str]) -> Node:
    """Start rviz2 on this node's topics; of several cameras, on those of the first."""
    namespace = values["namespace"].strip("/")
    prefix = f"/{namespace}" if namespace else ""
    node, camera = f"/{NODE_NAME}", f"/{cameras[0]}" if len(cameras) > 1 else ""
    remappings = [
        (f"{node}/{topic}", f"{prefix}{node}{camera}/{topic}") for topic in DISPLAYED_TOPICS
    ]
    image = full_image_topics(values, cameras)[0]
    frame = ["-f", values["rviz_frame"]] if values["rviz_frame"] else []
    simulated = values["use_sim_time"]
    return Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", str(SHARE / "config" / "tracker.rviz"), *frame],
        parameters=[{"use_sim_time": is_true("use_sim_time", simulated)}] if simulated else [],
        remappings=[*remappings, ("/image", image)],
    )
