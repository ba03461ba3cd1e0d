# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch file's own decisions. launch is no PyPI package: doubles stand in for it."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from types import SimpleNamespace

import ament_index_python.packages
import pytest

from siammask_ros.ros.parameters import parameter_rules

REPOSITORY = Path(__file__).parents[2]


class Recorded(SimpleNamespace):
    """An action that remembers its arguments."""

    def __init__(self, *args, **options):
        super().__init__(args=args, **options)


@pytest.fixture
def launch_file(monkeypatch):
    for module, names in {
        "launch": ("LaunchContext", "LaunchDescription", "LaunchDescriptionEntity"),
        "launch.actions": ("DeclareLaunchArgument", "OpaqueFunction", "SetEnvironmentVariable"),
        "launch_ros": (),
        "launch_ros.actions": ("Node",),
    }.items():
        double = types.ModuleType(module)
        for name in names:
            setattr(double, name, type(name, (Recorded,), {}))
        monkeypatch.setitem(sys.modules, module, double)
    monkeypatch.setattr(
        ament_index_python.packages, "get_package_share_directory", lambda name: str(REPOSITORY)
    )
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        monkeypatch.delenv(name, raising=False)
    path = REPOSITORY / "launch" / "tracker.launch.py"
    spec = importlib.util.spec_from_file_location("tracker_launch", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def started(launch_file, **arguments):
    """The actions by type name."""
    values = {name: default for name, default, _ in launch_file.ARGUMENTS} | arguments
    actions = launch_file.start(SimpleNamespace(launch_configurations=values))
    return {type(action).__name__: action for action in actions}


def test_plain_start(launch_file):
    node = started(launch_file, image="/camera/image_raw")["Node"]
    assert node.executable == "tracker_node"
    assert node.remappings == [("image", "/camera/image_raw")]
    assert node.parameters[0] == str(REPOSITORY / "config" / "tracker.yaml")
    assert node.parameters[-1] == {"autostart": True}


def test_arguments_become_parameters(launch_file, tmp_path):
    own_file = str(tmp_path / "own.yaml")
    node = started(
        launch_file,
        weights="a.pth", device="cpu", processing="every_frame", image_transport="compressed",
        cameras="left, right", image="/{camera}/image_raw", use_sim_time="True",
        autostart="false", params_file=own_file, namespace="robot", log_level="debug",
    )["Node"]  # fmt: skip
    assert node.parameters[1] == own_file
    assert node.parameters[2] == {
        "weights": "a.pth", "device": "cpu", "processing": "every_frame",
        "image_transport": "compressed", "cameras": ["left", "right"],
        "use_sim_time": True, "autostart": False,
    }  # fmt: skip
    assert set(node.parameters[2]) <= {"use_sim_time", *parameter_rules()}
    assert node.remappings == [
        ("left/image", "/left/image_raw"),
        ("right/image", "/right/image_raw"),
    ]
    assert (node.namespace, node.ros_arguments) == ("robot", ["--log-level", "debug"])


def test_a_detector_and_clicks(launch_file):
    given = {"detections": "/yolo/{camera}", "click": "/{camera}/clicked", "max_targets": "5",
             "detections_policy": "best_class", "detections_class": "cup"}  # fmt: skip
    node = started(launch_file, cameras="left,right", **given)["Node"]
    assert node.remappings == [
        ("left/detections", "/yolo/left"),
        ("right/detections", "/yolo/right"),
        ("left/click", "/left/clicked"),
        ("right/click", "/right/clicked"),
    ]
    parameters = node.parameters[-1]
    assert parameters["detections_policy"] == "best_class"
    assert (parameters["detections_class"], parameters["max_targets"]) == ("cup", 5)
    node = started(launch_file, detections="/yolo", click_point="/image_mouse_left")["Node"]
    assert node.remappings[1:] == [("detections", "/yolo"), ("click_point", "/image_mouse_left")]
    with pytest.raises(ValueError, match=r"click:=/clicks: with several cameras it needs .camera."):
        started(launch_file, cameras="left,right", click="/clicks")


def test_a_switch_that_is_no_switch_is_refused(launch_file):
    with pytest.raises(ValueError, match="autostart:=maybe: must be true or false"):
        started(launch_file, autostart="maybe")


@pytest.mark.parametrize(
    ("distro", "variable"),
    [
        ("humble", "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("jazzy", "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("kilted", "FASTDDS_DEFAULT_PROFILES_FILE"),
    ],
)
def test_transport_profile_is_set_unless_the_user_has_one(
    launch_file, monkeypatch, distro, variable
):
    monkeypatch.setenv("ROS_DISTRO", distro)
    name, value = started(launch_file)["SetEnvironmentVariable"].args
    assert name == variable
    assert Path(value) == REPOSITORY / "config" / "fastdds.xml"
    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", "own.xml")
    assert "SetEnvironmentVariable" not in started(launch_file)


def test_rviz_shows_the_topics_of_the_namespace(launch_file):
    values = {name: default for name, default, _ in launch_file.ARGUMENTS}
    values |= {"rviz": "true", "namespace": "robot", "image": "/camera/image_raw"}
    rviz = launch_file.start(SimpleNamespace(launch_configurations=values))[-1]
    assert rviz.executable == "rviz2"
    assert ("/siammask_tracker/mask", "/robot/siammask_tracker/mask") in rviz.remappings
    assert ("/image", "/camera/image_raw") in rviz.remappings
    config = Path(rviz.arguments[1]).read_text()
    for shown, _ in rviz.remappings:
        assert f"Value: {shown}\n" in config


def test_every_argument_is_declared(launch_file):
    description = launch_file.generate_launch_description()
    declared = {action.args[0] for action in description.args[0][:-1]}
    assert {"image", "cameras", "weights", "device", "params_file", "rviz", "image_transport",
            "processing", "namespace", "use_sim_time", "log_level"} <= declared  # fmt: skip
