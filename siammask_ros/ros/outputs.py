# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The output topics of one camera."""

from __future__ import annotations

import time
from typing import Any

import cv2
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from visualization_msgs.msg import MarkerArray

from siammask_msgs.msg import Confidence, RotatedBoxArray
from siammask_ros.drawing import draw_overlay
from siammask_ros.engine import Timings
from siammask_ros.frames import MILLISECONDS_PER_SECOND, Frame
from siammask_ros.localization.camera import Sight, guessed_sight
from siammask_ros.ros import messages
from siammask_ros.ros.camera_info import CameraInfoSource
from siammask_ros.ros.foxglove import foxglove_messages, image_annotations
from siammask_ros.ros.images import encode_image
from siammask_ros.ros.markers import CaptionPlaces, markers
from siammask_ros.ros.parameters import Settings
from siammask_ros.tracked import TargetEntry, label_image, mask_image, overlay_item

OUTPUT_DEPTH = 5


class CameraOutputs:
    """Publishers of one camera; images and markers are made only while someone subscribes."""

    def __init__(self, node: LifecycleNode, prefix: str, settings: Settings) -> None:
        """Create the publishers below `prefix`, such as `~/` or `~/left/`."""
        self._node = node
        qos = QoSProfile(
            depth=OUTPUT_DEPTH,
            reliability=ReliabilityPolicy.RELIABLE
            if settings.output_reliability == "reliable"
            else ReliabilityPolicy.BEST_EFFORT,
        )

        def create(message_type: type, name: str) -> Any:
            return node.create_lifecycle_publisher(message_type, f"{prefix}{name}", qos)

        self._mask = create(Image, "mask")
        self._label_image = create(Image, "label_image")
        self._rotated_boxes = create(RotatedBoxArray, "rotated_boxes")
        self._confidence = create(Confidence, "confidence")
        self._overlay = create(Image, "overlay")
        self._markers = create(MarkerArray, "markers")
        self._foxglove = foxglove_messages()
        self._annotations: Any | None = None
        if self._foxglove is not None:
            ImageAnnotations = self._foxglove.ImageAnnotations  # noqa: N806 it is a class
            self._annotations = create(ImageAnnotations, "annotations")
        self._places = CaptionPlaces()
        self.camera_info: CameraInfoSource | None = None
        """Where the camera's pixels look; None until the node was active."""
        self._image_size_wh: tuple[int, int] | None = None

    def publish(
        self, frame: Frame, entries: list[TargetEntry], timings: Timings, settings: Settings
    ) -> float:
        """Publish one frame's results; returns the milliseconds that took."""
        began = time.perf_counter()
        header, size_wh = frame.header, frame.size_wh
        self._image_size_wh = size_wh
        self._confidence.publish(messages.confidence(header, entries))
        if settings.publish_mask and self._is_wanted(self._mask):
            mask = mask_image(entries, size_wh)
            self._mask.publish(encode_image(mask, "mono8", header))
        if settings.publish_label_image and self._is_wanted(self._label_image):
            labels = label_image(entries, size_wh)
            self._label_image.publish(encode_image(labels, "mono8", header))
        if settings.publish_overlay and self._is_wanted(self._overlay):
            self._publish_overlay(frame, entries, settings.overlay_scale)
        places = self._places.update(entries, size_wh)
        if settings.publish_markers and self._is_wanted(self._markers):
            marker_array = markers(
                header,
                entries,
                places,
                self._sight(size_wh, settings.marker_field_of_view),
                distance_m=settings.marker_distance,
                lifetime_s=settings.marker_lifetime,
            )
            self._markers.publish(marker_array)
        if settings.publish_annotations and self._is_wanted(self._annotations):
            annotations = image_annotations(self._foxglove, header, entries, places, size_wh)
            self._annotations.publish(annotations)
        publish_ms = (time.perf_counter() - began) * MILLISECONDS_PER_SECOND
        boxes = messages.rotated_box_array(header, entries, timings, publish_ms)
        self._rotated_boxes.publish(boxes)
        return publish_ms

    @property
    def wants_sight(self) -> bool:
        """Someone looks at the markers."""
        return self._is_wanted(self._markers)

    def explain_camera_info(self) -> str:
        """What the markers know of the camera, to read."""
        return self.camera_info.explain(self._image_size_wh) if self.camera_info else ""

    def destroy(self) -> None:
        """Remove the publishers from the node."""
        for publisher in (
            self._mask,
            self._label_image,
            self._rotated_boxes,
            self._confidence,
            self._overlay,
            self._markers,
            self._annotations,
        ):
            if publisher is not None:
                self._node.destroy_lifecycle_publisher(publisher)

    def _sight(self, size_wh: tuple[int, int], field_of_view_deg: float) -> Sight:
        camera_info = self.camera_info
        if camera_info is None:
            return guessed_sight(size_wh, field_of_view_deg)
        return camera_info.sight(size_wh, field_of_view_deg)

    def _publish_overlay(self, frame: Frame, entries: list[TargetEntry], scale: float) -> None:
        image_bgr = frame.image_bgr
        if scale != 1.0:
            image_bgr = cv2.resize(image_bgr, None, fx=scale, fy=scale)
        items = [overlay_item(entry, scale) for entry in entries]
        overlay = draw_overlay(image_bgr, items)
        self._overlay.publish(encode_image(overlay, "bgr8", frame.header))

    @staticmethod
    def _is_wanted(publisher: Any) -> bool:
        return publisher is not None and bool(publisher.get_subscription_count() > 0)
