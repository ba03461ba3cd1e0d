# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node target_follower over DDS: what it hears, what it sends, and when it stops."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import time
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import pytest
import rclpy
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Point, Twist, TwistStamped, Vector3
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from ros_graph import Spinner, in_its_thread, node_environment
from std_srvs.srv import SetBool

from siammask_msgs.msg import FollowerState, RotatedBox, TargetPose, TargetPoseArray
from siammask_ros.following import Reason
from siammask_ros.ros.follower import FollowerNode
from siammask_ros.ros.follower_parameters import FollowerSettings
from siammask_ros.ros.run_node import start

CONFIG = Path(__file__).parents[2] / "config" / "follower.yaml"
PATIENCE_S = 30.0
OPTICAL = "camera_optical"


def pose(target_id=1, position=(0.0, 0.0, 2.5), **more):
    """A target in the optical frame, seen well."""
    result = TargetPose(target_id=target_id, state=RotatedBox.TRACKING, source=TargetPose.DEPTH)
    x, y, z = position
    result.pose.pose.position = Point(x=x, y=y, z=z)
    length = math.hypot(x, y, z) or 1.0
    result.bearing = Vector3(x=x / length, y=y / length, z=z / length)
    for name, value in more.items():
        setattr(result, name, value)
    return result


LOST = {"state": RotatedBox.LOST, "source": TargetPose.NONE}


class Operator:
    """Says where targets are, enables, and hears commands."""

    def __init__(self, namespace, *, stamped=True):
        self.node = rclpy.create_node("operator", namespace=namespace)
        self.commands, self.states, self.reports = [], [], []
        self.targets = self.node.create_publisher(TargetPoseArray, "targets", 10)
        kind, deep = TwistStamped if stamped else Twist, QoSProfile(depth=1000)
        self.node.create_subscription(kind, "cmd_vel", self.commands.append, deep)
        self.node.create_subscription(
            FollowerState, "target_follower/state", self.states.append, deep
        )
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self.reports.append, 10)
        self.enabling = self.node.create_client(SetBool, "target_follower/enable")
        self.spinner = Spinner(self.node)

    def enable(self, *, wanted=True):
        assert self.enabling.wait_for_service(timeout_sec=PATIENCE_S)
        future = self.enabling.call_async(SetBool.Request(data=wanted))
        self.wait(future.done)
        return future.result()

    def say(self, *targets, frame=OPTICAL, age_s=0.0):
        message = TargetPoseArray(camera_frame=OPTICAL, targets=list(targets))
        now = self.node.get_clock().now()
        message.header.stamp = (now - rclpy.duration.Duration(seconds=age_s)).to_msg()
        message.header.frame_id = frame
        self.targets.publish(message)

    def keep_saying(self, *targets, until, **more):
        """Go on until something is so."""
        self.wait(until, lambda: self.say(*targets, **more))

    def wait(self, condition, meanwhile=lambda: None):
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, f"waited in vain, {self.states[-1:]}"
            meanwhile()
            time.sleep(0.02)

    def is_reason(self, reason):
        return lambda: bool(self.states) and self.states[-1].reason == reason.value

    def goes(self):
        return bool(self.states) and self.states[-1].command.linear.x > 0.3

    def stands(self):
        command = self.states[-1].command
        return command.linear.x == command.linear.y == command.angular.z == 0


@pytest.fixture
def make(request):
    made = []

    def start_both(*, active=True, **parameters):
        namespace = f"follow_{abs(hash(request.node.name)) % 10**8}"
        node = FollowerNode(
            namespace=namespace,
            parameter_overrides=[
                Parameter(name, value=value) for name, value in parameters.items()
            ],
        )
        if active:
            start(node)
        operator = Operator(namespace, stamped=parameters.get("stamped", True))
        made.extend([Spinner(node), operator.spinner])
        if active:
            operator.wait(lambda: operator.targets.get_subscription_count() == 1)
            operator.wait(lambda: operator.states)
        return node, operator

    yield start_both
    for spinner in made:
        spinner.close()


def test_it_starts_disabled_and_follows_when_enabled(make):
    _, operator = make(camera_x=0.5)
    operator.keep_saying(pose(), until=lambda: len(operator.states) > 20)
    assert operator.is_reason(Reason.DISABLED)()
    assert not operator.commands
    response = operator.enable()
    assert (response.success, response.message) == (True, "enabled")
    operator.keep_saying(pose(position=(-0.5, 0.0, 2.5)), until=operator.goes)
    state, command = operator.states[-1], operator.commands[-1]
    assert (state.enabled, state.target_id, state.reason) == (True, 1, "following")
    assert state.distance == pytest.approx(math.hypot(3.0, 0.5))  # from the base's origin
    assert state.bearing == pytest.approx(math.atan2(0.5, 3.0))  # to the left
    assert state.image_stamp.sec > 0
    assert command.header.frame_id == "base_link"
    assert command.twist.angular.z > 0


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ([pose(**LOST)], Reason.LOST),
        ([], Reason.LOST),
        ([pose(position=(0.0, 0.0, 0.4))], Reason.TOO_NEAR),
        (None, Reason.SILENT),
    ],
    ids=["lost", "gone", "too near", "silent"],
)
def test_it_stops(make, said, reason):
    _, operator = make()
    operator.enable()
    operator.keep_saying(pose(), until=operator.goes)
    if said is None:
        operator.wait(operator.is_reason(reason))
    else:
        operator.keep_saying(*said, until=operator.is_reason(reason))
    operator.wait(operator.stands, lambda: said is not None and operator.say(*said))
    operator.keep_saying(pose(), until=operator.goes)  # and it goes on


def test_an_old_image_moves_nothing(make):
    _, operator = make()
    operator.enable()
    operator.keep_saying(pose(), age_s=2.0, until=operator.is_reason(Reason.STALE))
    assert operator.stands()


def test_disabling_ends_in_zeros_and_then_in_silence(make):
    _, operator = make()
    operator.enable()
    operator.keep_saying(pose(), until=operator.goes)
    assert operator.enable(wanted=False).message == "disabled"
    operator.wait(operator.stands)
    operator.wait(lambda: len(operator.states) > 3)
    told = len(operator.states)
    operator.wait(lambda: len(operator.states) > told + 60)  # more than a second
    sent = len(operator.commands)
    assert operator.commands[-1].twist == Twist()
    operator.wait(lambda: len(operator.states) > told + 80)
    assert len(operator.commands) == sent


def test_a_direction_alone_turns(make):
    _, operator = make()
    operator.enable()
    right = pose(position=(1.0, 0.0, 2.0), source=TargetPose.BEARING)
    operator.keep_saying(
        right, until=lambda: operator.states and operator.states[-1].command.angular.z < -0.3
    )
    state = operator.states[-1]
    assert (state.command.linear.x, state.reason) == (0, Reason.NO_DISTANCE.value)
    assert math.isnan(state.distance)


def test_targets_in_the_frame_of_the_base(make):
    _, operator = make(camera_pitch=0.5)
    operator.enable()
    operator.keep_saying(
        pose(position=(3.0, -1.0, 0.2)),
        frame="base_link",
        until=operator.is_reason(Reason.FOLLOWING),
    )
    assert operator.states[-1].distance == pytest.approx(math.hypot(3, 1))
    assert operator.states[-1].bearing == pytest.approx(-math.atan2(1, 3))


def test_targets_in_another_frame_are_not_followed(make):
    _, operator = make()
    operator.enable()
    operator.keep_saying(pose(), frame="map", until=lambda: len(operator.states) > 30)
    assert operator.is_reason(Reason.NO_TARGET)()


@pytest.mark.parametrize(("velocity_of", "own"), [("relative", 0.0), ("ground", 0.6)])
def test_velocities_against_the_ground_are_the_targets_own(make, velocity_of, own):
    """A target that stays in its place, seen from a base that has learned to keep up with it."""
    _, operator = make(velocity_of=velocity_of)
    operator.enable()
    target = pose(position=(0.0, 0.0, 1.5))
    target.velocity.twist.linear.z = 0.6 if velocity_of == "ground" else 0.0
    operator.keep_saying(target, until=lambda: len(operator.states) > 150)
    assert operator.states[-1].command.linear.x == pytest.approx(own, abs=0.05)


def test_which_target(make):
    node, operator = make()
    operator.enable()
    here, there = pose(4, (0.0, 0.0, 2.0)), pose(2, (0.0, 0.0, 3.0))
    followed = lambda number: lambda: operator.states[-1].target_id == number  # noqa: E731
    operator.keep_saying(here, until=followed(4))
    operator.keep_saying(there, here, until=lambda: len(operator.states) > 60)
    assert operator.states[-1].target_id == 4  # as long as there is one
    operator.keep_saying(there, until=followed(2))
    in_its_thread(node, node.set_parameters, [Parameter("target_id", value=4)])
    operator.keep_saying(there, until=operator.is_reason(Reason.LOST))
    operator.keep_saying(there, here, until=followed(4))


def test_no_command_that_was_sent_is_beyond_a_limit(make):
    settings = FollowerSettings()
    _, operator = make()
    operator.enable()
    for position in ((0.0, 0.0, 9.0), (4.0, 0.0, 3.0), (-4.0, 0.0, 1.0), (0.0, 0.0, 0.9)):
        heard = len(operator.states) + 50
        operator.keep_saying(pose(position=position), until=lambda: len(operator.states) > heard)  # noqa: B023
    commands = [state.command for state in operator.states]
    assert max(command.linear.x for command in commands) <= settings.max_speed
    assert min(command.linear.x for command in commands) >= -settings.max_reverse_speed
    assert max(abs(command.angular.z) for command in commands) <= settings.max_turn_rate
    change = settings.max_acceleration * settings.period + 1e-9
    assert all(abs(b.linear.x - a.linear.x) <= change for a, b in pairwise(commands))
    assert max(command.linear.x for command in commands) > 0.5


def test_commands_without_a_stamp(make):
    _, operator = make(stamped=False)
    operator.enable()
    operator.keep_saying(pose(), until=operator.goes)
    assert isinstance(operator.commands[-1], Twist)


def test_deactivating_stops_the_base_and_disables(make):
    node, operator = make()
    operator.enable()
    operator.keep_saying(pose(), until=operator.goes)
    in_its_thread(node, node.trigger_deactivate)
    operator.wait(lambda: operator.states[-1].command == Twist())
    assert operator.commands[-1].twist == Twist()
    refused = operator.enable()
    assert (refused.success, refused.message) == (False, "refused: the node is not active")
    in_its_thread(node, node.trigger_activate)
    told = len(operator.states)
    operator.keep_saying(pose(), until=lambda: len(operator.states) > told + 20)
    assert operator.is_reason(Reason.DISABLED)()


def test_live_changes_are_all_or_nothing(make):
    node, operator = make()
    (answer,) = in_its_thread(node, node.set_parameters, [Parameter("min_distance", value=2.0)])
    assert answer.reason == "0 <= min_distance < distance must hold, got 2.0 and 1.5"
    (answer,) = in_its_thread(node, node.set_parameters, [Parameter("base", value="holonomic")])
    assert answer.reason.startswith("base can only be changed while the node is unconfigured")
    answer = in_its_thread(
        node,
        node.set_parameters_atomically,
        [Parameter("distance", value=3), Parameter("max_speed", value=0.2)],
    )
    assert answer.successful
    operator.enable()
    operator.keep_saying(
        pose(position=(0.0, 0.0, 9.0)),
        until=lambda: operator.states[-1].command.linear.x == pytest.approx(0.2),
    )


def test_diagnostics_say_why(make):
    _, operator = make()
    operator.enable()
    operator.keep_saying(
        pose(**LOST),
        until=lambda: any(
            status.message == Reason.LOST.value
            for report in operator.reports
            for status in report.status
        ),
    )


def test_a_bad_start_is_refused(make):
    node, _ = make(active=False, min_distance=5.0)
    in_its_thread(node, node.trigger_configure)
    assert node.state_name == "unconfigured"
    assert "min_distance < distance" in node.fault


def test_the_file_of_defaults_is_the_table():
    values = yaml.safe_load(CONFIG.read_text())["/**"]["ros__parameters"]
    assert values == {entry.name: entry.default for entry in fields(FollowerSettings)}
    text = " ".join(line.strip(" #") for line in CONFIG.read_text().splitlines())
    for name, rule in FollowerSettings.rules().items():
        assert rule.description.endswith("."), name
        assert rule.description in text, name


def test_as_a_process_it_ends_at_an_interrupt():
    process = subprocess.Popen(
        [sys.executable, "-m", "siammask_ros.ros.follower", "--ros-args", "-p", "autostart:=true"],
        stderr=subprocess.PIPE, text=True, env=node_environment(), cwd=Path.cwd(),
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if "waiting for targets" in line:
            break
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=PATIENCE_S) == 0
    assert "Traceback" not in process.stderr.read()
    wrong = subprocess.run(
        [sys.executable, "-m", "siammask_ros.ros.follower", "--ros-args", "-p", "rate:=many"],
        capture_output=True, text=True, env=node_environment(), check=False,
    )  # fmt: skip
    assert wrong.returncode == 1
    assert "rate" in wrong.stderr
