# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot that follows in a rendered world: its numbers, its simulator, and all of it once."""

from __future__ import annotations

import csv
import json
import math
import os
import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rclpy.parameter import Parameter
from ros_graph import Spinner, wait_until
from sensor_msgs.msg import CameraInfo, Image, TimeReference
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from siammask_msgs.msg import TargetBoxArray, TargetPoseArray
from siammask_ros.ros import follow_demo
from siammask_ros.ros.follow_director import LIMITS, DirectorSettings
from siammask_ros.ros.follow_pictures import Map, follow_chart, overlay, side_by_side
from siammask_ros.ros.follow_record import Command, Moment, Record, truth_row, write_table
from siammask_ros.ros.follow_summary import find_stops, summarise, summary_lines, write_summary
from siammask_ros.ros.follower_parameters import FollowerSettings
from siammask_ros.ros.images import decode_image
from siammask_ros.ros.localizer_parameters import LocalizerSettings
from siammask_ros.ros.messages import stamp_to_ns
from siammask_ros.ros.parameters import Settings
from siammask_ros.ros.processes import PROFILE_VARIABLES
from siammask_ros.ros.world_parameters import SimulatorSettings
from siammask_ros.ros.world_simulator import WorldSimulator, depth_message
from siammask_ros.scenes.follow_world import DISTANCE_M, START, TARGET, follow_world, target_walk
from siammask_ros.scenes.pinhole import Pose2D
from siammask_ros.scenes.walks import Motion
from siammask_ros.target_status import TargetStatus
from siammask_ros.video import open_video

SIZE = {"width": 320, "height": 240}
CAMERA = SimulatorSettings(**SIZE).camera
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def world():
    return follow_world(camera=CAMERA)


def moment(world, time_s, *, state=TargetStatus.TRACKING, behind=DISTANCE_M, speed=0.5, aside=0.0):
    """An image whose results are right, from a robot behind the target."""
    there = target_walk().at(time_s).pose
    base = Pose2D(*there.carry(-behind, aside), there.heading)
    result = Moment(time_s, base, Motion(speed, 0.0), state, 0.9)
    result.boxes_ms, result.targets_ms, result.command_ms = 20.0, 30.0, 40.0
    if state in (TargetStatus.TRACKING, TargetStatus.UNCERTAIN):
        frame = world.render(time_s, base)
        result.mask = np.packbits(frame.mask(TARGET))
        result.position = frame.middle_in_camera(TARGET)
        x, y, width, height = frame.box(TARGET).xywh
        corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
        result.corners = np.array(corners)
        result.source = 1
    return result


# --- Numbers


def test_a_faultless_run_has_no_errors(world):
    record = Record(
        [moment(world, time_s) for time_s in (3.0, 3.5, 4.0, 4.5)],
        [Command(3.0 + 0.02 * index, Motion(0.5, 0.0)) for index in range(75)],
    )
    rows = [truth_row(record, each, world) for each in record.moments]
    limits = {"rate": 50.0, "max_speed": 0.8, "max_turn_rate": 1.0, "max_acceleration": 1.0}
    summary = summarise(record, rows, limits)
    assert summary.images == summary.answered == 4
    assert summary.rate_hz == pytest.approx(2.0)
    assert (summary.in_view, summary.tracked, summary.visible) == (1.0, 1.0, 1.0)
    assert summary.distance_error_mean == pytest.approx(0.0, abs=1e-6)
    assert summary.depth_error_p95 == pytest.approx(0.0, abs=1e-9)
    assert summary.bearing_error_p95_deg == pytest.approx(0.0, abs=1e-9)
    assert summary.mask_iou == 1.0
    assert (summary.command_ms_p50, summary.command_ms_p99) == (40.0, 40.0)
    assert summary.commands_above_limits == 0
    assert summary.losses == 0
    assert any("in view 100.0%" in line for line in summary_lines(summary))


def test_errors_are_those_that_were_made(world):
    record = Record(
        [moment(world, 4.0, behind=DISTANCE_M + 0.5), moment(world, 4.5, behind=DISTANCE_M - 0.3)],
        [Command(4.0, Motion(0.0, 0.0))],
    )
    first, second = record.moments
    first.position = first.position * 1.02
    second.position[0] += second.position[2] * math.tan(math.radians(0.4))
    rows = [truth_row(record, each, world) for each in record.moments]
    summary = summarise(record, rows, {})
    assert [row.distance for row in rows] == pytest.approx([2.7, 1.9])
    assert summary.distance_error_mean == pytest.approx(0.4)
    assert rows[0].found_depth / rows[0].depth == pytest.approx(1.02)
    assert rows[1].bearing_error_deg == pytest.approx(0.4, abs=0.01)
    behind = truth_row(record, Moment(4.0, Pose2D(9.0, 0.0, 0.0), Motion(0, 0)), world)
    assert not behind.in_view
    assert math.cos(behind.bearing) < 0


def test_commands_beyond_their_limits_are_counted(world):
    limits = {
        "rate": 50.0, "max_speed": 1.0, "max_reverse_speed": 0.2, "max_turn_rate": 1.0,
        "max_acceleration": 1.0, "stop_acceleration": 2.0,
    }  # fmt: skip
    rows = [truth_row(Record(), moment(world, 4.0), world)] * 2

    def above(*motions):
        commands = [Command(4.0 + 0.02 * i, Motion(*motion)) for i, motion in enumerate(motions)]
        return summarise(Record([], commands), rows, limits).commands_above_limits

    assert above((1.0, -1.0), (0.98, -1.0), (0.94, -1.0)) == 0
    assert above((1.01, 0.0), (1.01, 0.0)) == 2
    assert above((-0.21, 0.0)) == 1
    assert above((0.0, 1.01)) == 1
    assert above((0.5, 0.0), (0.55, 0.0)) == 1  # 2.5 m/s2


def test_a_stop_is_timed_from_the_first_lost_image(world):
    moments = [
        moment(world, 4.0),
        moment(world, 4.1, state=TargetStatus.LOST, speed=0.4),
        moment(world, 4.2, state=TargetStatus.LOST, speed=0.2),
        moment(world, 4.3, state=TargetStatus.LOST, speed=0.0),
        moment(world, 4.4),
        moment(world, 4.5, state=TargetStatus.LOST, speed=0.3),
        moment(world, 4.6, speed=0.3),
    ]
    speeds = [(4.0, 0.5), (4.12, 0.3), (4.18, 0.0), (4.4, 0.3), (4.6, 0.3)]
    commands = [Command(time_s, Motion(speed, 0.0)) for time_s, speed in speeds]
    record = Record(moments, commands)
    rows = [truth_row(record, each, world) for each in moments]
    first, second = find_stops(commands, rows)
    assert first == pytest.approx((4.1, 0.02, 0.2, 0.08, 0.3))
    assert second.lost_s == 4.5
    assert math.isnan(second.robot_s)  # it was found again before the robot stood
    summary = summarise(record, rows, {})
    assert (summary.losses, summary.losses_without_stop) == (2, 1)
    assert summary.longest_stop_s == pytest.approx(0.2)
    assert summary.longest_stop_said_s == pytest.approx(0.18)
    assert [row.command_speed for row in rows][:4] == [0.5, 0.5, 0.0, 0.0]


def test_no_run_is_no_summary():
    with pytest.raises(ValueError, match="no run"):
        summarise(Record(), [], {})


def test_files_of_a_run(world, tmp_path):
    record = Record(
        [
            moment(world, 4.0),
            moment(world, 4.1, state=TargetStatus.LOST),
            Moment(4.2, START, Motion(0, 0)),
        ],
        [Command(4.0, Motion(0.5, 0.1))],
    )
    rows = [truth_row(record, each, world) for each in record.moments]
    with write_table(tmp_path / "follow.csv", rows).open() as stream:
        table = list(csv.DictReader(stream))
    assert [row["state"] for row in table] == ["TRACKING", "LOST", ""]
    assert float(table[0]["distance"]) == pytest.approx(DISTANCE_M, abs=1e-4)
    summary = summarise(record, rows, {"max_speed": 1.0})
    read = json.loads(write_summary(tmp_path / "summary.json", summary).read_text())
    assert read["images"] == 3
    assert read["stops"][0]["lost_s"] == 4.1
    assert read["stops"][0]["robot_s"] == pytest.approx(0.1)
    pictures = list(side_by_side(world, record.moments, rows))
    assert {picture.shape for picture in pictures} == {(240, 640, 3)}
    figure = follow_chart(rows, {"max_speed": 1.0, "max_turn_rate": 1.0}, 43.0)
    assert len(figure.axes) == 4


def test_the_overlay_shows_what_was_found_and_no_more(world):
    found = moment(world, 4.0)
    frame = world.render(4.0, found.base)
    changed = (overlay(found, frame) != frame.image_bgr).any(axis=2)
    assert changed[frame.mask(TARGET)].mean() > 0.9
    unanswered = Moment(4.0, found.base, Motion(0, 0))
    assert np.array_equal(overlay(unanswered, frame), frame.image_bgr)


def test_the_map_is_to_scale(world):
    record = Record([moment(world, time_s) for time_s in (3.0, 6.0)])
    rows = [truth_row(record, each, world) for each in record.moments]
    above = Map(world, rows)
    place = above._pixels(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    right, up = place[1] - place[0], place[2] - place[0]
    assert right[0] == pytest.approx(-up[1], abs=1)
    assert (right[1], up[0]) == (0, 0)


# --- The simulator


def test_depth_messages_say_where_there_is_no_depth():
    depth = np.array([[1.2344, np.nan], [3.0, 0.5]], np.float32)
    whole = depth_message(depth, "16UC1", Header())
    assert np.frombuffer(whole.data, np.uint16).tolist() == [1234, 0, 3000, 500]
    exact = depth_message(depth, "32FC1", Header())
    assert np.array_equal(
        np.frombuffer(exact.data, np.float32).reshape(2, 2), depth, equal_nan=True
    )


class Robot:
    """Hears the simulator and drives it."""

    def __init__(self):
        self.node = rclpy.create_node("robot")
        self.heard = {}
        for kind, topic in (
            (Image, "camera/image_raw"),
            (Image, "camera/depth/image_raw"),
            (CameraInfo, "camera/camera_info"),
            (Odometry, "odom"),
            (TargetPoseArray, "world_simulator/truth"),
            (TargetBoxArray, "world_simulator/boxes"),
            (TimeReference, "world_simulator/time"),
        ):
            self.heard[topic] = {}
            self.node.create_subscription(kind, topic, self._keep(topic), 20)
        self.commands = self.node.create_publisher(TwistStamped, "cmd_vel", 10)
        self.start = self.node.create_client(Trigger, "world_simulator/start")
        self.spinner = Spinner(self.node)

    def _keep(self, topic):
        def keep(message):
            self.heard[topic][stamp_to_ns(message.header.stamp)] = message

        return keep

    def whole(self):
        """Stamps of which every topic has been heard, in order."""
        return sorted(set.intersection(*map(set, self.heard.values())))

    def wait(self, condition, what):
        wait_until(condition, what, PATIENCE_S)

    def world_time(self, stamp):
        return stamp_to_ns(self.heard["world_simulator/time"][stamp].time_ref) / 1e9


@pytest.fixture
def robot():
    node = WorldSimulator(
        parameter_overrides=[
            Parameter(name, value=value) for name, value in {**SIZE, "rate": 10.0}.items()
        ]
    )
    spinner = Spinner(node)
    thread = threading.Thread(target=node.run, daemon=True)
    thread.start()
    result = Robot()
    yield result
    node.close()
    thread.join()
    result.spinner.close()
    spinner.close()


def test_the_simulator_shows_where_it_says_things_are(robot):
    robot.wait(lambda: len(robot.whole()) > 1, "images")
    stamp = robot.whole()[-1]
    heard = {topic: messages[stamp] for topic, messages in robot.heard.items()}
    info = heard["camera/camera_info"]
    (target,) = heard["world_simulator/truth"].targets
    place = target.pose.pose.position
    column = place.x / place.z * info.k[0] + info.k[2]
    row = place.y / place.z * info.k[4] + info.k[5]
    (box,) = heard["world_simulator/boxes"].boxes
    assert column == pytest.approx(box.x + box.width / 2, abs=1.5)
    assert row == pytest.approx(box.y + box.height / 2, abs=3)
    image = decode_image(heard["camera/image_raw"])
    assert image.shape == (240, 320, 3)
    depth = np.frombuffer(heard["camera/depth/image_raw"].data, np.uint16).reshape(240, 320) / 1000
    inside = depth[round(row) - 8 : round(row) + 8, round(column) - 4 : round(column) + 4]
    assert np.median(inside[inside > 0]) == pytest.approx(place.z, rel=0.02)
    # The vest is red.
    blue, green, red = image[round(row) - 20, round(column) - 8].astype(int)
    assert red > blue + 40
    assert red > green
    assert heard["odom"].pose.pose.position.x == START.x
    assert target.confidence == pytest.approx(1.0, abs=0.06)
    assert robot.world_time(stamp) == 0.0


def test_the_simulated_robot_drives_as_it_is_told_once_the_world_goes(robot):
    robot.wait(robot.whole, "images")
    ahead = TwistStamped()
    ahead.twist.linear.x = 0.5
    robot.commands.publish(ahead)
    assert robot.start.wait_for_service(timeout_sec=PATIENCE_S)
    answer = robot.start.call_async(Trigger.Request())
    robot.wait(answer.done, "an answer")
    assert answer.result().success

    def pushed():
        robot.commands.publish(ahead)
        return any(robot.world_time(stamp) > 2.0 for stamp in robot.whole())

    robot.wait(pushed, "two seconds in the world")
    again = robot.start.call_async(Trigger.Request())
    robot.wait(again.done, "an answer")
    assert not again.result().success
    stamps = [stamp for stamp in robot.whole() if robot.world_time(stamp) > 0]
    places = [robot.heard["odom"][stamp].pose.pose.position.x for stamp in stamps]
    speeds = [robot.heard["odom"][stamp].twist.twist.linear.x for stamp in stamps]
    assert places == sorted(places)
    assert places[-1] > 0.1
    assert max(speeds) == pytest.approx(0.5, abs=1e-6)
    times = [robot.world_time(stamp) for stamp in stamps]
    assert np.diff(times) == pytest.approx(np.diff(stamps) / 1e9)


# --- All of it


def options(tmp_path, **changes):
    values = {
        "output": tmp_path / "out", "seconds": 12.0, "seed": 1, "rate": 10.0, "size": "320x240",
        "weights": "compact", "video": True, "verbose": False, **changes,
    }  # fmt: skip
    return follow_demo.FollowDemoOptions(**values)


def test_nodes_of_the_demo_have_the_parameters_they_are_given(tmp_path):
    tables = {
        "world_simulator": SimulatorSettings,
        "tracker_node": Settings,
        "follower_node": FollowerSettings,
        "follow_director": DirectorSettings,
        "localizer_node": LocalizerSettings,
    }
    nodes = {node.executable: node for node in follow_demo.demo_nodes(options(tmp_path))}
    for name, table in tables.items():
        assert set(nodes[name].parameters) <= table.rules().keys()
        table(**nodes[name].parameters)
    assert set(LIMITS) <= FollowerSettings.rules().keys()


@pytest.mark.parametrize(
    "arguments", [["--size", "big"], ["--seconds", "0"], ["--seconds", "nan"], ["--rate", "x"]]
)
def test_wrong_usage_exits_with_2(arguments):
    with pytest.raises(SystemExit) as error:
        follow_demo.parse_arguments(arguments)
    assert error.value.code == 2


def run_demo(*arguments):
    """The demo as a command, on a domain of its own."""
    environment = {
        name: value for name, value in os.environ.items() if name not in PROFILE_VARIABLES
    }
    environment.pop("ROS_DOMAIN_ID", None)
    return subprocess.run(
        [sys.executable, "-m", "siammask_ros.ros.follow_demo", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=400,
        env=environment,
        check=False,
    )


def test_a_node_that_does_not_come_to_work_ends_the_demo(tmp_path):
    output, weights = tmp_path / "out", tmp_path / "nowhere.pth"
    done = run_demo("--output", output, "--weights", weights, "--size", "64x48")
    assert done.returncode == 1
    assert done.stderr.startswith("demo failed: tracker_node: cannot configure")
    assert "nowhere.pth" in done.stderr
    assert (output / "log" / "tracker_node.log").is_file()


@pytest.mark.slow
def test_a_robot_follows(tmp_path):
    output = tmp_path / "out"
    done = run_demo("--output", output, "--seconds", 12, "--rate", 10, "--size", "320x240")
    assert done.returncode == 0, done.stderr + done.stdout
    summary = json.loads((output / "summary.json").read_text())
    assert 10.0 < summary["seconds"] <= 12.0
    assert summary["answered"] > 10
    assert summary["commands_above_limits"] == 0
    assert summary["greatest_speed"] <= summary["limits"]["max_speed"] + 1e-6
    assert f"{summary['images']} images answered" in done.stdout
    with (output / "follow.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == summary["images"]
    # It came after the target, at whatever rate this machine could look.
    assert float(rows[-1]["robot_x"]) > 1.0
    with open_video(output / "follow.mp4") as video:
        shapes = {frame.image_bgr.shape for frame in video}
    assert shapes == {(240, 640, 3)}
    for name in ("contact_sheet.png", "follow.png"):
        assert cv2.imread(str(output / name)) is not None
