# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transforms between frames: tf2 where it is installed, and what to say where it is not."""

from __future__ import annotations

import importlib
from typing import Any

from geometry_msgs.msg import Pose, Transform
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time

from siammask_ros.localization.space import RigidTransform

TF_QOS_DEPTH = 100
"""As of tf2_ros."""
NOT_INSTALLED = "is not installed: on a ROS installation, sudo apt install"


class TransformsMissing(ValueError):  # noqa: N818 - it is what is the matter
    """tf2 is asked for where it is not installed."""


class Transforms:
    """What is on /tf and /tf_static, through tf2_ros."""

    def __init__(self, node: Node) -> None:
        """Listen.

        Raises:
            TransformsMissing: tf2_ros is not installed.
        """
        try:
            self._tf2 = importlib.import_module("tf2_ros")
        except ImportError as error:
            raise TransformsMissing(
                f"tf2_ros {NOT_INSTALLED} ros-$ROS_DISTRO-tf2-ros-py ({error})"
            ) from error
        self._buffer = self._tf2.Buffer(Duration(seconds=10))
        self._listener: Any | None = self._tf2.TransformListener(self._buffer, node)

    def between(self, target: str, source: str, stamp_ns: int) -> RigidTransform | str:
        """From frame `source` to frame `target` at a time, or why that is not known (yet)."""
        try:
            found = self._buffer.lookup_transform(target, source, Time(nanoseconds=stamp_ns))
            return transform_of(found.transform)
        except (self._tf2.TransformException, ValueError) as error:
            return f"no transform from {source} to {target}: {error}"

    def destroy(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.unregister()
            self._listener = None


class TransformOutput:
    """Publishes frames on /tf, where tf2_msgs is installed."""

    def __init__(self, node: Node) -> None:
        """Announce the topic.

        Raises:
            TransformsMissing: tf2_msgs is not installed.
        """
        try:
            self._messages = importlib.import_module("tf2_msgs.msg")
        except ImportError as error:
            raise TransformsMissing(
                f"tf2_msgs {NOT_INSTALLED} ros-$ROS_DISTRO-tf2-msgs ({error})"
            ) from error
        self._node = node
        self._publisher = node.create_publisher(self._messages.TFMessage, "/tf", TF_QOS_DEPTH)

    def publish(self, transforms: list[Any]) -> None:
        """Publish `geometry_msgs/TransformStamped`."""
        if transforms:
            self._publisher.publish(self._messages.TFMessage(transforms=transforms))

    def destroy(self) -> None:
        """Leave the topic."""
        self._node.destroy_publisher(self._publisher)


def transform_of(message: Transform) -> RigidTransform:
    """A message as a transform.

    Raises:
        ValueError: it is none.
    """
    turn, move = message.rotation, message.translation
    return RigidTransform.of((turn.x, turn.y, turn.z, turn.w), (move.x, move.y, move.z))


def transform_of_pose(message: Pose) -> RigidTransform:
    """From the frame of what has the pose to the frame that the pose is in.

    Raises:
        ValueError: it is none.
    """
    turn, place = message.orientation, message.position
    return RigidTransform.of((turn.x, turn.y, turn.z, turn.w), (place.x, place.y, place.z))
