# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Targets in space as messages and markers, and transforms through tf2."""

from __future__ import annotations

import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose, Transform, TransformStamped
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from siammask_msgs.msg import RotatedBox, TargetPose
from siammask_ros.localization.clouds import read_points
from siammask_ros.localization.localizer import Located, Source
from siammask_ros.localization.space import RigidTransform, rotation_matrix
from siammask_ros.ros import transforms
from siammask_ros.ros.localizer_messages import (
    OutputFrame,
    PlacedTarget,
    has_position,
    point_cloud,
    target_markers,
    target_pose,
    transform,
)
from siammask_ros.target_status import TargetStatus

HEADER = Header(frame_id="camera_optical", stamp=Time(sec=7, nanosec=9))
OPTICAL = OutputFrame("camera_optical", RigidTransform.identity(), np.array([0.0, -1.0, 0.0]))
POSITION = np.array([0.6, -0.2, 3.0])
COVARIANCE = np.diag([0.01, 0.02, 0.09])


def placed(source=Source.DEPTH, position=POSITION, **fields):
    box = RotatedBox(target_id=4, label="dog", state=RotatedBox.TRACKING, confidence=0.5)
    bearing = POSITION / np.linalg.norm(POSITION)
    values = {"position": position, "position_covariance": COVARIANCE, "bearing": bearing,
              "velocity": np.array([0.5, 0.0, -0.25]), "velocity_covariance": COVARIANCE * 2,
              "samples": 123, "age_s": 0.0}  # fmt: skip
    return PlacedTarget(box, Located(4, source, **(values | fields)))


def point_of(message):
    return np.array([message.x, message.y, message.z])


def turn_of(pose):
    turn = pose.pose.pose.orientation
    return rotation_matrix((turn.x, turn.y, turn.z, turn.w))


def test_sources_and_states_have_the_numbers_of_the_message():
    assert {source.name: int(source) for source in Source} == {
        name: getattr(TargetPose, name) for name in Source.__members__
    }
    assert [int(status) for status in TargetStatus] == [
        getattr(RotatedBox, status.name) for status in TargetStatus
    ]


def test_a_target_in_the_optical_frame():
    pose = target_pose(placed(), OPTICAL)
    assert point_of(pose.pose.pose.position) == pytest.approx(POSITION)
    assert turn_of(pose) @ [1, 0, 0] == pytest.approx(POSITION / np.linalg.norm(POSITION))
    assert (turn_of(pose) @ [0, 0, 1])[1] < -0.9  # its z axis is up, which is -y
    covariance = np.reshape(pose.pose.covariance, (6, 6))
    assert covariance[:3, :3] == pytest.approx(COVARIANCE)
    assert (np.diag(covariance)[3:] > 0).all()
    assert point_of(pose.velocity.twist.linear) == pytest.approx([0.5, 0.0, -0.25])
    assert np.reshape(pose.velocity.covariance, (6, 6))[:3, :3] == pytest.approx(2 * COVARIANCE)
    assert (pose.source, pose.samples, pose.age) == (TargetPose.DEPTH, 123, 0.0)
    assert (pose.target_id, pose.label, pose.state, pose.confidence) == (4, "dog", 1, 0.5)


def test_a_target_in_a_fixed_frame():
    """The camera is 1 m up at x = 2 and looks along the fixed frame's y axis."""
    turned = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
    camera = RigidTransform(turned, np.array([2.0, 0.0, 1.0]))
    frame = OutputFrame("odom", camera, np.array([0.0, 0.0, 1.0]))
    pose = target_pose(placed(), frame)
    assert point_of(pose.pose.pose.position) == pytest.approx([2.6, 3.0, 1.2])
    assert point_of(pose.velocity.twist.linear) == pytest.approx([0.5, -0.25, 0.0])
    assert turn_of(pose) @ [1, 0, 0] == pytest.approx(
        np.array([0.6, 3.0, 0.2]) / math.sqrt(0.36 + 9 + 0.04)
    )
    assert np.reshape(pose.pose.covariance, (6, 6))[:3, :3] == pytest.approx(
        np.diag([0.01, 0.09, 0.02])
    )
    assert point_of(pose.bearing) == pytest.approx(POSITION / np.linalg.norm(POSITION))
    unknown = target_pose(placed(), OutputFrame("odom", None, frame.up))
    assert (unknown.source, unknown.pose) == (TargetPose.BEARING, TargetPose().pose)


@pytest.mark.parametrize("source", [Source.NONE, Source.BEARING])
def test_without_a_position_all_is_zero(source):
    bearing = None if source is Source.NONE else np.array([0.0, 0.0, 1.0])
    target = placed(source, None, bearing=bearing, samples=0)
    pose = target_pose(target, OPTICAL)
    assert (pose.pose, pose.velocity) == (TargetPose().pose, TargetPose().velocity)
    assert not has_position(pose)
    assert point_of(pose.bearing).any() == (source is Source.BEARING)


def test_a_target_as_a_frame():
    message = transform(HEADER, target_pose(placed(), OPTICAL), "target_4")
    assert (message.header, message.child_frame_id) == (HEADER, "target_4")
    assert point_of(message.transform.translation) == pytest.approx(POSITION)
    assert message.transform.rotation == target_pose(placed(), OPTICAL).pose.pose.orientation


# --- Points


@pytest.mark.parametrize("count", [0, 1, 500])
def test_clouds_hold_the_points(count):
    points = np.random.default_rng(2).normal(size=(count, 3))
    message = point_cloud(HEADER, points)
    assert (message.header, message.width, message.height) == (HEADER, count, 1)
    assert np.array_equal(read_points(message).reshape(-1, 3), points.astype(np.float32))


def test_clouds_are_those_of_sensor_msgs_py():
    library = pytest.importorskip(
        "sensor_msgs_py.point_cloud2", reason="sensor_msgs_py is not installed"
    )
    points = np.random.default_rng(2).normal(size=(50, 3)).astype(np.float32)
    assert point_cloud(HEADER, points) == library.create_cloud_xyz32(HEADER, points)


# --- Markers


def test_markers_of_targets():
    poses = [
        target_pose(placed(), OPTICAL),
        target_pose(placed(Source.PREDICTED, velocity=np.zeros(3)), OPTICAL),
        target_pose(placed(Source.BEARING, None), OPTICAL),
        target_pose(placed(Source.NONE, None, bearing=None), OPTICAL),
    ]
    camera = ("camera_optical", RigidTransform.identity())
    first, *rest = target_markers(HEADER, poses, camera, 1.5).markers
    assert first.action == Marker.DELETEALL
    assert [marker.ns for marker in rest] == [
        "position", "velocity", "label", "position", "label", "bearing",
    ]  # fmt: skip
    assert all((m.lifetime.sec, m.lifetime.nanosec) == (1, 500_000_000) for m in rest)
    ball, arrow, label, guess, guessed, bearing = rest
    assert point_of(ball.pose.position) == pytest.approx(POSITION)
    assert point_of(arrow.points[1]) - point_of(arrow.points[0]) == pytest.approx([0.5, 0, -0.25])
    away = np.linalg.norm(POSITION)
    assert label.text == f"4 dog {away:.2f} m"
    assert guessed.text == f"4 dog {away:.2f} m predicted"
    assert (ball.color.a, guess.color.a) == (1.0, 0.5)
    assert point_of(bearing.points[1]) == pytest.approx(POSITION / away)


# --- tf2, by doubles: it is no PyPI package


class TransformException(Exception):  # noqa: N818 - named as in tf2_ros
    """As tf2_ros has it."""


class Buffer:
    """Knows one transform, from a time on."""

    def __init__(self, cache_time):
        assert cache_time.nanoseconds == 10_000_000_000

    def lookup_transform(self, target, source, time):
        if (target, source) != ("odom", "camera") or time.nanoseconds < 5:
            raise TransformException("it is in the past")
        found = Transform()
        found.translation.x, found.rotation.w = 3.0, 1.0
        return TransformStamped(transform=found)


class Listener:
    """Remembers whether it listens."""

    def __init__(self, buffer, node):
        self.node = node
        node.append(self)

    def unregister(self):
        self.node.clear()


@pytest.fixture
def tf2(monkeypatch):
    module = SimpleNamespace(
        Buffer=Buffer, TransformListener=Listener, TransformException=TransformException
    )
    monkeypatch.setitem(sys.modules, "tf2_ros", module)


def test_transforms_of_tf2(tf2):
    listeners = []
    subject = transforms.Transforms(listeners)
    assert len(listeners) == 1
    assert subject.between("odom", "camera", 5).translation == pytest.approx([3, 0, 0])
    words = "no transform from lidar to odom: it is in the past"
    assert subject.between("odom", "lidar", 5) == words
    subject.destroy()
    subject.destroy()
    assert not listeners


def test_what_is_not_installed_is_said(monkeypatch):
    for name in ("tf2_ros", "tf2_msgs.msg"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(transforms.TransformsMissing, match=r"tf2_ros is not installed.*apt"):
        transforms.Transforms(None)
    with pytest.raises(transforms.TransformsMissing, match="tf2_msgs is not installed"):
        transforms.TransformOutput(None)


def test_a_pose_that_is_none_is_refused():
    pose = Pose()
    pose.orientation.w = 0.0
    with pytest.raises(ValueError, match="is no rotation"):
        transforms.transform_of_pose(pose)
