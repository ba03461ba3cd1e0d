# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch files' own decisions. launch is no PyPI package: doubles stand in for it."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from types import SimpleNamespace

import ament_index_python.packages
import pytest

from siammask_ros.ros.follower_parameters import FollowerSettings
from siammask_ros.ros.localizer_parameters import LocalizerSettings
from siammask_ros.ros.parameters import Settings

REPOSITORY = Path(__file__).parents[2]


class Recorded(SimpleNamespace):
    """An action that remembers its arguments."""

    def __init__(self, *args, **options):
        super().__init__(args=args, **options)


MODULES = {
    "launch": ("LaunchContext", "LaunchDescription", "LaunchDescriptionEntity"),
    "launch.actions": (
        *("DeclareLaunchArgument", "ExecuteProcess", "LogInfo", "OpaqueFunction"),
        *("RegisterEventHandler", "SetEnvironmentVariable", "Shutdown", "TimerAction"),
    ),
    "launch.event_handlers": ("OnProcessExit",),
    "launch.launch_description_sources": (),
    "launch_ros": (),
    "launch_ros.actions": ("Node",),
    "launch_ros.ros_adapters": (),
}


def load(path):
    spec = importlib.util.spec_from_file_location(Path(path).name.replace(".", "_"), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def graph():
    """What launch's own node sees: the names of the nodes that read a topic."""
    readers = {}

    def subscriptions(topic):
        return [SimpleNamespace(node_name=name) for name in readers.get(topic, ())]

    return SimpleNamespace(readers=readers, get_subscriptions_info_by_topic=subscriptions)


@pytest.fixture
def doubles(monkeypatch, graph):
    for module, names in MODULES.items():
        double = types.ModuleType(module)
        for name in names:
            setattr(double, name, type(name, (Recorded,), {}))
        monkeypatch.setitem(sys.modules, module, double)
    monkeypatch.delitem(sys.modules, "siammask_ros.ros.launch_files", raising=False)
    sys.modules["launch.launch_description_sources"].load_python_launch_file_as_module = load
    sys.modules["launch_ros.ros_adapters"].get_ros_node = lambda context: graph
    monkeypatch.setattr(
        ament_index_python.packages, "get_package_share_directory", lambda name: str(REPOSITORY)
    )
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def launch_file(doubles):
    return load(REPOSITORY / "launch" / "tracker.launch.py")


@pytest.fixture
def replay_file(doubles):
    return load(REPOSITORY / "launch" / "replay.launch.py")


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
        weights="a.pth", device="cpu", backend="eager", precision="bfloat16",
        processing="every_frame", image_transport="compressed",
        cameras="left, right", image="/{camera}/image_raw", use_sim_time="True",
        autostart="false", params_file=own_file, namespace="robot", log_level="debug",
    )["Node"]  # fmt: skip
    assert node.parameters[1] == own_file
    assert node.parameters[2] == {
        "weights": "a.pth", "device": "cpu", "backend": "eager", "precision": "bfloat16",
        "processing": "every_frame",
        "image_transport": "compressed", "cameras": ["left", "right"],
        "use_sim_time": True, "autostart": False,
    }  # fmt: skip
    assert set(node.parameters[2]) <= {"use_sim_time", *Settings.rules()}
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
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)  # the sources', not an installed copy
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


def test_calibration_and_introspection_become_parameters(launch_file):
    given = {"camera_info": "/{camera}/calibration", "service_introspection": "contents"}
    parameters = started(launch_file, cameras="left,right", **given)["Node"].parameters[-1]
    assert {name: parameters[name] for name in given} == given
    assert set(parameters) <= set(Settings.rules())


def rviz_of(launch_file, **arguments):
    values = {name: default for name, default, _ in launch_file.ARGUMENTS}
    values |= {"rviz": "true", **arguments}
    return launch_file.start(SimpleNamespace(launch_configurations=values))[-1]


def test_rviz_shows_the_first_of_several_cameras(launch_file):
    rviz = rviz_of(launch_file, cameras="left,right", image="/{camera}/image_raw", namespace="bot")
    remapped = dict(rviz.remappings)
    assert remapped["/siammask_tracker/mask"] == "/bot/siammask_tracker/left/mask"
    assert remapped["/image"] == "/left/image_raw"
    named = dict(rviz_of(launch_file, cameras="left", namespace="bot").remappings)
    assert named["/siammask_tracker/mask"] == "/bot/siammask_tracker/mask"
    assert named["/image"] == "/bot/left/image"


def test_rviz_takes_the_frame_and_the_time(launch_file):
    rviz = rviz_of(launch_file, rviz_frame="optical", use_sim_time="true")
    assert rviz.arguments[2:] == ["-f", "optical"]
    assert rviz.parameters == [{"use_sim_time": True}]
    assert len(rviz_of(launch_file).arguments) == 2


# --- replay.launch.py


@pytest.fixture
def bag(tmp_path):
    folder = tmp_path / "drive"
    folder.mkdir()
    return str(folder)


def replayed(replay_file, **arguments):
    values = {name: default for name, default, _ in replay_file.arguments()} | arguments
    return replay_file.start(SimpleNamespace(launch_configurations=values))


def player_of(actions):
    """What is started once the tracker reads the images."""
    return actions[-1].function.args[-1]


def test_replay_processes_every_frame_by_the_bag_s_time(replay_file, bag):
    actions = replayed(replay_file, bag=bag, image="/camera/image_raw", weights="a.pth")
    kinds = [type(action).__name__ for action in actions]
    assert kinds.index("SetEnvironmentVariable") < kinds.index("Node")  # for the player as well
    node = next(action for action in actions if type(action).__name__ == "Node")
    assert node.executable == "tracker_node"
    assert node.remappings == [("image", "/camera/image_raw")]
    assert node.parameters[-1] == {
        "weights": "a.pth", "processing": "every_frame", "autostart": True, "use_sim_time": True,
    }  # fmt: skip
    assert player_of(actions).cmd == [
        *("ros2", "bag", "play", bag, "--wait-for-all-acked", "10000"),
        *("--clock", "100.0", "--rate", "1.0", "--delay", "3.0"),
    ]


def test_options_of_the_player(replay_file, bag):
    actions = replayed(replay_file, bag=bag, rate="0.5", start="3", loop="true", clock="200",
                       delay="0", topics="/camera/image_raw  /tf", rviz="true")  # fmt: skip
    assert player_of(actions).cmd[6:] == [
        *("--clock", "200.0", "--rate", "0.5", "--start-offset", "3.0"),
        *("--loop", "--topics", "/camera/image_raw", "/tf"),
    ]
    assert "rviz2" in [getattr(action, "executable", "") for action in actions]


def test_the_bag_waits_until_the_tracker_reads_every_camera(replay_file, bag, graph):
    actions = replayed(replay_file, bag=bag, cameras="left,right", image="/{camera}/raw",
                       image_transport="compressed")  # fmt: skip
    look = actions[-1].function
    graph.readers["/left/raw/compressed"] = ["rviz", "siammask_tracker"]
    graph.readers["/right/raw/compressed"] = ["rviz"]
    (timer,) = look(None)
    assert type(timer).__name__ == "TimerAction"
    graph.readers["/right/raw/compressed"] = ["siammask_tracker"]
    (again,) = timer.actions
    assert again.function(None) == [player_of(actions)]


def test_all_ends_with_the_tracker(replay_file, bag):
    actions = replayed(replay_file, bag=bag)
    (handler,) = [a.args[0] for a in actions if type(a).__name__ == "RegisterEventHandler"]
    assert handler.target_action.executable == "tracker_node"
    (action,) = handler.on_exit(None, SimpleNamespace(is_shutdown=False))
    assert type(action).__name__ == "Shutdown"
    assert handler.on_exit(None, SimpleNamespace(is_shutdown=True)) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"bag": ""}, "bag is missing: name the bag with bag:=PATH"),
        ({"bag": "/no/such/bag"}, "bag:=/no/such/bag: there is no such file or folder"),
        ({"rate": "0"}, "rate:=0: must be above 0"),
        ({"rate": "fast"}, "rate:=fast: must be a number"),
        ({"rate": "nan"}, "rate:=nan: must be above 0"),
        ({"start": "-2"}, "start:=-2: must not be below 0"),
        ({"loop": "maybe"}, "loop:=maybe: must be true or false"),
    ],
)
def test_arguments_of_replay_that_are_refused(replay_file, bag, arguments, words):
    with pytest.raises(ValueError, match=words):
        replayed(replay_file, **({"bag": bag} | arguments))


def test_a_bag_of_ros_1_is_refused(replay_file, tmp_path):
    path = tmp_path / "drive.bag"
    path.touch()
    with pytest.raises(ValueError, match="plays no ROS 1 bags"):
        replayed(replay_file, bag=str(path))


def test_every_argument_of_replay_is_declared(replay_file, launch_file):
    description = replay_file.generate_launch_description()
    declared = {action.args[0] for action in description.args[0][:-1]}
    assert {"bag", "rate", "loop", "start", "topics", "clock", "delay"} <= declared
    assert {name for name, _, _ in launch_file.ARGUMENTS} <= declared


@pytest.mark.parametrize("name", ["localizer", "following", "nav2_following"])
def test_every_argument_of_following_is_declared(doubles, name):
    file = load(REPOSITORY / "launch" / f"{name}.launch.py")
    description = file.generate_launch_description()
    declared = {action.args[0]: action.default_value for action in description.args[0][:-1]}
    assert declared == {name: default for name, default, _ in file.ARGUMENTS}


def test_the_localizer_is_started_with_what_is_given(doubles):
    file = load(REPOSITORY / "launch" / "localizer.launch.py")
    plain = started(file)["Node"]
    assert (plain.executable, plain.name) == ("localizer_node", "target_localizer")
    assert plain.parameters == [str(REPOSITORY / "config" / "localizer.yaml"), {"autostart": True}]
    assert plain.remappings == [
        ("rotated_boxes", "/siammask_tracker/rotated_boxes"),
        ("label_image", "/siammask_tracker/label_image"),
        ("camera_info", "camera_info"),
    ]
    node = started(
        file, tracker="/robot/siammask_tracker/left/", depth="/depth", depth_camera_info="/info",
        odometry="/odom", fixed_frame="odom", fixed_frame_from="odometry", camera_z="0.4",
        ground_plane="true", publish_tf="True", params_file="own.yaml", namespace="robot",
    )["Node"]  # fmt: skip
    assert node.parameters[1:] == [
        "own.yaml",
        {
            "fixed_frame": "odom", "fixed_frame_from": "odometry", "camera_z": 0.4,
            "ground_plane": True, "publish_tf": True, "autostart": True, "depth_source": "image",
        },
    ]  # fmt: skip
    assert set(node.parameters[2]) <= LocalizerSettings.rules().keys()
    assert node.remappings[0] == ("rotated_boxes", "/robot/siammask_tracker/left/rotated_boxes")
    assert node.remappings[3:] == [
        ("depth/image", "/depth"), ("depth/camera_info", "/info"), ("odometry", "/odom"),
    ]  # fmt: skip
    assert started(file, points="/p")["Node"].parameters[1]["depth_source"] == "points"
    assert started(file, ground_plane="true")["Node"].parameters[1]["depth_source"] == "none"
    with pytest.raises(ValueError, match="depth and points: give one of them"):
        started(file, points="/p", depth="/d")
    with pytest.raises(ValueError, match="publish_tf:=maybe: must be true or false"):
        started(file, publish_tf="maybe")
    assert "SetEnvironmentVariable" in started(file)


def test_the_follower_is_started_with_what_is_given(doubles):
    file = load(REPOSITORY / "launch" / "following.launch.py")
    plain = started(file)["Node"]
    assert (plain.executable, plain.name) == ("follower_node", "target_follower")
    assert plain.parameters == [str(REPOSITORY / "config" / "follower.yaml"), {"autostart": True}]
    node = started(
        file, targets="/t", cmd_vel="/base/cmd_vel", base="holonomic", stamped="false",
        target_id="3", distance="2", max_speed="0.4", namespace="robot", params_file="own.yaml",
    )["Node"]  # fmt: skip
    assert node.parameters[1:] == [
        "own.yaml",
        {
            "base": "holonomic", "stamped": False, "target_id": 3, "distance": 2.0,
            "max_speed": 0.4, "autostart": True,
        },
    ]  # fmt: skip
    assert set(node.parameters[2]) <= FollowerSettings.rules().keys()
    assert node.remappings == [("targets", "/t"), ("cmd_vel", "/base/cmd_vel")]
    with pytest.raises(ValueError, match="stamped:=maybe: must be true or false"):
        started(file, stamped="maybe")


def test_the_demo_of_following_ends_with_its_director(doubles, tmp_path):
    file = load(REPOSITORY / "launch" / "follow_demo.launch.py")
    values = {name: default for name, default, _ in file.ARGUMENTS}
    context = SimpleNamespace(launch_configurations=values | {"output": str(tmp_path)})
    profile, *nodes = file.start(context)
    assert Path(profile.args[1]).name == "fastdds.xml"
    assert [node.executable for node in nodes] == [
        *("world_simulator", "tracker_node", "localizer_node", "follower_node", "follow_director"),
    ]
    assert [node.on_exit is None for node in nodes] == [True] * 4 + [False]
    assert nodes[-1].parameters[0]["output"] == str(tmp_path)
    values["video"] = "perhaps"
    with pytest.raises(ValueError, match="video:=perhaps: must be true or false"):
        file.start(SimpleNamespace(launch_configurations=values))


def test_nav2_is_given_the_pose(doubles):
    file = load(REPOSITORY / "launch" / "nav2_following.launch.py")
    values = {name: default for name, default, _ in file.ARGUMENTS}
    context = SimpleNamespace(launch_configurations=values)
    server, manager = file.start(context)
    assert (server.package, server.executable) == ("opennav_following", "opennav_following")
    assert server.parameters[-1]["desired_distance"] == 1.5
    assert manager.parameters == [{"autostart": True, "node_names": [server.name]}]
    values |= {"start": "true", "pose": "/p", "params_file": "own.yaml"}
    server, _, later = file.start(context)
    assert server.parameters[0] == "own.yaml"
    (goal,) = later.actions
    assert goal.cmd[-1] == '{"pose_topic": "/p"}'
    values["start"] = "now"
    with pytest.raises(ValueError, match="start:=now: must be true or false"):
        file.start(context)
