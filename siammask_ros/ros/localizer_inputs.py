# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node `target_localizer` reads, matched image by image."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, PointCloud2

from siammask_msgs.msg import RotatedBoxArray
from siammask_ros.frames import NANOSECONDS_PER_SECOND
from siammask_ros.localization.camera import Sight, guessed_sight
from siammask_ros.localization.clouds import read_points
from siammask_ros.localization.depth import (
    CloudDepth,
    DepthError,
    DepthView,
    ImageDepth,
    LabelImage,
    decode_depth,
)
from siammask_ros.localization.history import PoseHistory
from siammask_ros.localization.localizer import Observation, Source, TargetView
from siammask_ros.localization.matching import FrameMatcher, Matched
from siammask_ros.localization.space import RigidTransform
from siammask_ros.ros.camera_info import CameraInfoSource
from siammask_ros.ros.localizer_parameters import LocalizerSettings
from siammask_ros.ros.messages import stamp_to_ns
from siammask_ros.ros.source import ImageSource
from siammask_ros.ros.transforms import Transforms, transform_of_pose
from siammask_ros.target_status import TargetStatus

LABEL_ENCODINGS = ("mono8", "8uc1")
BYTES_PER_MEGABYTE = 1_000_000
SOURCE_DEPTH = 10
"""Messages that the middleware keeps of each topic."""
ODOMETRY_QOS = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Fits every publisher's offer."""
FOLLOWED = (TargetStatus.TRACKING, TargetStatus.UNCERTAIN)
DepthMessage = Image | PointCloud2
DepthFactory = Callable[[LabelImage, Sight], DepthView]


@dataclass(frozen=True)
class SourceOptions:
    """What an `ImageSource` reads of a node's settings."""

    qos_reliability: str
    silence_seconds: float
    image_transport: str = "raw"
    subscription_depth: int = SOURCE_DEPTH


class LocalizerInputs:
    """Subscriptions of the node, and what is known of the camera."""

    def __init__(
        self,
        node: Node,
        settings: LocalizerSettings,
        transforms: Transforms | None,
        on_change: Callable[[], None],
    ) -> None:
        """Subscribe.

        Args:
            node: subscribes.
            settings: may be replaced later.
            transforms: of tf2; None where it is not asked for.
            on_change: called after something has come that boxes may have waited for.
        """
        self._node = node
        self.settings = settings
        self._transforms = transforms
        self._on_change = on_change
        self.counts: Counter[str] = Counter()
        """How many messages of each kind have come."""
        self.odometry = PoseHistory()
        self._odometry_fault = ""
        self._image_size_wh: tuple[int, int] | None = None
        self.matcher: FrameMatcher[RotatedBoxArray, Image, DepthMessage] = FrameMatcher(
            tolerance_ns=0, patience_s=0.0, buffer_ns=0, buffer_bytes=0,
            needs_depth=settings.depth_source != "none", is_complete=self._knows_camera_at,
        )  # fmt: skip
        self.apply(settings)
        self.sources: dict[str, ImageSource] = {}
        self._listen("rotated_boxes", RotatedBoxArray, "box array", self._on_boxes)
        self._listen("label_image", Image, "label image", self._on_labels)
        if settings.depth_source == "image":
            self._listen("depth/image", Image, "depth image", self._on_depth)
        elif settings.depth_source == "points":
            self._listen("points", PointCloud2, "point cloud", self._on_depth)
        image_topic = "image_rect" if settings.rectified else "image"
        self._camera = CameraInfoSource(node, node.resolve_topic_name("camera_info"), image_topic)
        self._depth_camera = CameraInfoSource(
            node, node.resolve_topic_name("depth/camera_info"), "depth"
        )
        self._odometry_subscription = None
        if settings.fixed_frame and settings.fixed_frame_from == "odometry":
            self._odometry_subscription = node.create_subscription(
                Odometry, "odometry", self._on_odometry, ODOMETRY_QOS
            )

    def apply(self, settings: LocalizerSettings) -> None:
        """Take over settings that may change while the node runs."""
        self.settings = settings
        self.matcher.tolerance_ns = round(settings.depth_tolerance * NANOSECONDS_PER_SECOND)
        self.matcher.patience_s = settings.wait_seconds
        self.matcher.buffer_ns = round(settings.buffer_seconds * NANOSECONDS_PER_SECOND)
        self.matcher.buffer_bytes = settings.buffer_megabytes * BYTES_PER_MEGABYTE

    def take(self) -> list[Matched[RotatedBoxArray, Image, DepthMessage]]:
        """The images that need not wait any longer, oldest first."""
        return self.matcher.take(time.monotonic())

    def explain_silence(self) -> str:
        """Why boxes, masks or depth do not come; empty as long as they do.

        Masks and depth matter only while targets are followed.
        """
        for name, source in self.sources.items():
            silence = source.explain_silence()
            if silence:
                return f"{source.topic}: {silence}"
            if name == "rotated_boxes" and not self.counts["followed"]:
                return ""
        return ""

    def adapt(self) -> None:
        """Ask for what publishers offer."""
        for source in self.sources.values():
            source.adapt()

    def destroy(self) -> None:
        """Unsubscribe."""
        for source in (*self.sources.values(), self._camera, self._depth_camera):
            source.destroy()
        self.sources.clear()
        if self._odometry_subscription is not None:
            self._node.destroy_subscription(self._odometry_subscription)
            self._odometry_subscription = None

    # What comes

    def _listen(self, name: str, kind: type, what: str, take: Callable[[Any], None]) -> None:
        def receive(message: Any) -> None:
            self.counts[name] += 1
            take(message)
            self._on_change()

        options = SourceOptions(self.settings.qos_reliability, self.settings.silence_seconds)
        self.sources[name] = ImageSource(
            self._node, name, options, receive, message_type=kind, what=what
        )

    def _on_boxes(self, message: RotatedBoxArray) -> None:
        try:
            followed = any(TargetStatus(box.state) in FOLLOWED for box in message.boxes)
        except ValueError as error:
            self._node.get_logger().error(f"boxes not used: {error}", throttle_duration_sec=5.0)
            return
        self.counts["followed"] += followed
        stamp_ns = stamp_to_ns(message.header.stamp)
        if self.matcher.add_boxes(stamp_ns, message, time.monotonic(), needs_more=followed):
            self.counts["time_jumps"] += 1

    def _on_labels(self, message: Image) -> None:
        self.matcher.add_labels(stamp_to_ns(message.header.stamp), message)

    def _on_depth(self, message: DepthMessage) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        self.matcher.add_depth(stamp_ns, message, len(message.data))

    def _on_odometry(self, message: Odometry) -> None:
        self.counts["odometry"] += 1
        if message.header.frame_id != self.settings.fixed_frame:
            self._odometry_fault = (
                f"odometry is in frame {message.header.frame_id!r}, not in "
                f"{self.settings.fixed_frame!r}"
            )
            return
        try:
            pose = transform_of_pose(message.pose.pose)
        except ValueError as error:
            self._odometry_fault = f"odometry: {error}"
            return
        self._odometry_fault = ""
        self.odometry.add(stamp_to_ns(message.header.stamp), pose)
        self._on_change()

    # What is known of an image

    def observation(self, matched: Matched[RotatedBoxArray, Image, DepthMessage]) -> Observation:
        """All that is known of one image."""
        boxes: RotatedBoxArray = matched.boxes
        labels: LabelImage | None = None
        fault = ""
        if matched.labels is not None:
            try:
                labels = decode_labels(matched.labels)
            except DepthError as error:
                fault = str(error)
        depth = fault or self._depth(boxes.header.frame_id, matched)
        return Observation(
            stamp_ns=matched.stamp_ns,
            targets=[
                TargetView(box.target_id, TargetStatus(box.state), (box.center_x, box.center_y))
                for box in boxes.boxes
            ],
            labels=labels,
            sight=self._sight(labels),
            depth=depth,
            depth_source=(
                Source.POINTS if self.settings.depth_source == "points" else Source.DEPTH
            ),
            ground=self.settings.ground,
            camera_in_fixed=self.camera_in_fixed(boxes.header.frame_id, matched.stamp_ns),
        )

    def camera_in_fixed(self, camera_frame: str, stamp_ns: int) -> RigidTransform | str | None:
        """Where the camera is in the fixed frame; None where there is none, or why not."""
        settings = self.settings
        if not settings.fixed_frame:
            return None
        if settings.fixed_frame_from == "tf":
            assert self._transforms is not None
            return self._transforms.between(settings.fixed_frame, camera_frame, stamp_ns)
        base = self.odometry.at(stamp_ns)
        if isinstance(base, str):
            return self._odometry_fault or base
        return base.after(settings.camera_on_base)

    def _knows_camera_at(self, stamp_ns: int) -> bool:
        """Whether the fixed frame need not be waited for."""
        settings = self.settings
        if not settings.fixed_frame:
            return True
        if settings.fixed_frame_from == "odometry":
            return bool(self._odometry_fault) or self.odometry.has_passed(stamp_ns)
        assert self._transforms is not None
        frame = self.matcher.boxes_at(stamp_ns).header.frame_id
        return not isinstance(self.camera_in_fixed(frame, stamp_ns), str)

    def _sight(self, labels: LabelImage | None) -> Sight | str:
        if labels is not None:
            self._image_size_wh = (labels.shape[1], labels.shape[0])
        sizes = self._camera.sizes_wh
        size_wh = self._image_size_wh or (sizes[-1] if sizes else None)
        if size_wh is None:
            return f"no CameraInfo has come on {self._camera.topic}"
        found = self._camera.calibration(size_wh)
        if isinstance(found, str) and self.settings.field_of_view > 0:
            return guessed_sight(size_wh, self.settings.field_of_view)
        if isinstance(found, str) and not sizes:
            return f"no CameraInfo has come on {self._camera.topic}"
        return found

    def _depth(
        self, camera_frame: str, matched: Matched[RotatedBoxArray, Image, DepthMessage]
    ) -> DepthFactory | str:
        """What finds targets in the depth, or why there is none."""
        settings = self.settings
        if settings.depth_source == "none":
            return "no depth is read (parameter depth_source)"
        message = matched.depth
        if message is None:
            name = "depth/image" if settings.depth_source == "image" else "points"
            come = "" if self.counts[name] else ", and none has come at all"
            return (
                f"no depth within {settings.depth_tolerance:g} s of the image on "
                f"{self.sources[name].topic}{come}"
            )
        own_frame = message.header.frame_id
        is_strange = settings.check_frames and own_frame != camera_frame
        if isinstance(message, PointCloud2):
            to_camera = None
            if is_strange:
                to_camera = self._to_camera(camera_frame, own_frame, matched)
                if isinstance(to_camera, str):
                    return to_camera
            return partial(_cloud_depth, message, to_camera)
        if is_strange:
            return (
                f"depth is in frame {own_frame!r}, the image in {camera_frame!r}: register it "
                "(depth_image_proc, align_depth), or set check_frames to false"
            )
        return partial(self._image_depth, message)

    def _to_camera(
        self, camera_frame: str, own_frame: str, matched: Matched[Any, Any, Any]
    ) -> RigidTransform | str:
        if self._transforms is None:
            return (
                f"points are in frame {own_frame!r}, the image in {camera_frame!r}, and tf2_ros "
                "is not installed; set check_frames to false if they are the same"
            )
        stamp_ns = matched.stamp_ns + matched.depth_offset_ns
        return self._transforms.between(camera_frame, own_frame, stamp_ns)

    def _image_depth(self, message: Image, labels: LabelImage, sight: Sight) -> DepthView:
        image = decode_depth(message, self.settings.depth_unit)
        found = self._depth_camera.calibration(image.size_wh)
        own = found if isinstance(found, Sight) and self._depth_camera.sizes_wh else None
        if own is not None and image.size_wh == labels.shape[::-1] and own.sees_like(sight):
            own = None
        return ImageDepth(image, labels, sight, own)


def _cloud_depth(
    message: PointCloud2, to_camera: RigidTransform | None, labels: LabelImage, sight: Sight
) -> DepthView:
    return CloudDepth(
        read_points(message), labels, sight, to_camera=to_camera, is_of_image=message.height > 1
    )


def decode_labels(message: Image) -> LabelImage:
    """The ids of a label image, without a copy.

    Raises:
        DepthError: it is no image of 8-bit numbers.
    """
    width, height, step = message.width, message.height, message.step
    if message.encoding.lower() not in LABEL_ENCODINGS or width == 0 or height == 0:
        raise DepthError(f"a label image of {width}x{height} pixels {message.encoding} is none")
    if step < width or len(message.data) < step * (height - 1) + width:
        raise DepthError(
            f"a label image of {width}x{height} pixels cannot have step {step} and "
            f"{len(message.data)} bytes"
        )
    labels: NDArray[np.uint8] = np.ndarray(
        (height, width), np.uint8, message.data, strides=(step, 1)
    )
    return labels
