# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The output topics of the node `target_localizer`."""

from __future__ import annotations

from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from siammask_msgs.msg import TargetPose, TargetPoseArray
from siammask_ros.localization.localizer import Observation
from siammask_ros.localization.space import RigidTransform
from siammask_ros.ros import localizer_messages as messages
from siammask_ros.ros.localizer_messages import OutputFrame, PlacedTarget
from siammask_ros.ros.localizer_parameters import LocalizerSettings
from siammask_ros.ros.outputs import OUTPUT_DEPTH
from siammask_ros.ros.transforms import TransformOutput, TransformsMissing

TARGET_TOPICS = (
    ("pose", PoseStamped),
    ("pose_with_covariance", PoseWithCovarianceStamped),
    ("points", PointCloud2),
)
UP_IN_FIXED = np.array([0.0, 0.0, 1.0])


class LocalizerOutputs:
    """Publishers of all targets together, and of each one that has been seen."""

    def __init__(self, node: LifecycleNode, settings: LocalizerSettings) -> None:
        self._node = node
        self._qos = QoSProfile(
            depth=OUTPUT_DEPTH,
            reliability=ReliabilityPolicy.RELIABLE
            if settings.output_reliability == "reliable"
            else ReliabilityPolicy.BEST_EFFORT,
        )
        create = node.create_lifecycle_publisher
        self._targets = create(TargetPoseArray, "~/targets", self._qos)
        self._markers = create(MarkerArray, "~/markers", self._qos)
        self._of_target: dict[int, dict[str, Any]] = {}
        self._transforms: TransformOutput | None = None
        self._no_transforms = ""

    def publish(
        self,
        stamped: Header,
        targets: list[PlacedTarget],
        observation: Observation,
        settings: LocalizerSettings,
    ) -> list[TargetPose]:
        """Publish the targets of an image; returns them.

        Args:
            stamped: the header of the image.
            targets: all of them, where they are in its frame.
            observation: what they were found in.
            settings: of the node.
        """
        frame = _output_frame(stamped.frame_id, observation, settings)
        header = Header(stamp=stamped.stamp, frame_id=frame.frame_id)
        poses = [messages.target_pose(target, frame) for target in targets]
        self._targets.publish(messages.target_pose_array(header, stamped.frame_id, poses))
        for target, pose in zip(targets, poses, strict=True):
            self._publish_target(header, stamped, target, pose, settings)
        if settings.publish_markers and self._markers.get_subscription_count() > 0:
            camera = (stamped.frame_id, frame.from_camera)
            markers = messages.target_markers(header, poses, camera, settings.marker_lifetime)
            self._markers.publish(markers)
        if settings.publish_tf:
            self._publish_transforms(header, poses, settings.tf_prefix)
        return poses

    def forget_targets(self) -> None:
        """Leave the topics of single targets."""
        for publishers in self._of_target.values():
            for publisher in publishers.values():
                self._node.destroy_publisher(publisher)
        self._of_target.clear()

    def destroy(self) -> None:
        """Remove all publishers from the node."""
        self.forget_targets()
        for publisher in (self._targets, self._markers):
            self._node.destroy_lifecycle_publisher(publisher)
        if self._transforms is not None:
            self._transforms.destroy()
            self._transforms = None

    def _publish_target(
        self,
        header: Header,
        stamped: Header,
        target: PlacedTarget,
        pose: TargetPose,
        settings: LocalizerSettings,
    ) -> None:
        topics = self._of_target.get(pose.target_id)
        if topics is None:
            topics = self._of_target[pose.target_id] = {
                name: self._node.create_publisher(
                    kind, f"~/target_{pose.target_id}/{name}", self._qos
                )
                for name, kind in TARGET_TOPICS
            }
        if not messages.has_position(pose):
            return
        if settings.publish_poses:
            topics["pose"].publish(messages.pose_stamped(header, pose))
            topics["pose_with_covariance"].publish(messages.pose_with_covariance(header, pose))
        measured = target.located.measured is not None
        if settings.publish_points and measured and topics["points"].get_subscription_count() > 0:
            points = messages.point_cloud(stamped, target.located.points())
            topics["points"].publish(points)

    def _publish_transforms(self, header: Header, poses: list[TargetPose], prefix: str) -> None:
        if self._transforms is None and not self._no_transforms:
            try:
                self._transforms = TransformOutput(self._node)
            except TransformsMissing as error:
                self._no_transforms = f"no frames on /tf: {error}"
                self._node.get_logger().error(self._no_transforms)
        if self._transforms is not None:
            self._transforms.publish([
                messages.transform(header, pose, f"{prefix}target_{pose.target_id}")
                for pose in poses
                if messages.has_position(pose)
            ])  # fmt: skip


def _output_frame(
    camera_frame: str, observation: Observation, settings: LocalizerSettings
) -> OutputFrame:
    camera = observation.camera_in_fixed
    if settings.output_frame == "fixed":
        known = camera if isinstance(camera, RigidTransform) else None
        return OutputFrame(settings.fixed_frame, known, UP_IN_FIXED)
    up = settings.camera_on_base.rotation[2]
    return OutputFrame(camera_frame, RigidTransform.identity(), up)
