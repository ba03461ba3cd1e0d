# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The output topics of one camera."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from siammask_msgs.msg import Confidence, RotatedBoxArray
from siammask_ros.drawing import draw_overlay
from siammask_ros.engine import Timings
from siammask_ros.frames import MILLISECONDS_PER_SECOND, Frame
from siammask_ros.localization.camera import Sight, guessed_sight
from siammask_ros.masks import ImageRegion
from siammask_ros.ros import messages
from siammask_ros.ros.camera_info import CameraInfoSource
from siammask_ros.ros.foxglove import foxglove_messages, image_annotations
from siammask_ros.ros.images import ImageCanvas
from siammask_ros.ros.markers import CaptionPlaces, markers
from siammask_ros.ros.parameters import Settings
from siammask_ros.tracked import TargetEntry, overlay_item, paint_labels, paint_masks

OUTPUT_DEPTH = 5


class TargetsImage:
    """A mono8 message of one level a target; only what the last frame painted is wiped."""

    def __init__(
        self, paint: Callable[[NDArray[np.uint8], list[TargetEntry]], list[ImageRegion]]
    ) -> None:
        """`paint` draws targets on an image of zeros, and says where: `paint_masks`, for one."""
        self._paint = paint
        self._canvas = ImageCanvas("mono8")
        self._painted: list[ImageRegion] = []

    def message(
        self, header: Header, entries: list[TargetEntry], size_wh: tuple[int, int]
    ) -> Image:
        """The targets of a frame, in a message that is valid until the next call."""
        pixels = self._canvas.pixels(size_wh)
        for region in self._painted:
            pixels[region.slices] = 0
        self._painted = self._paint(pixels, entries)
        return self._canvas.message(header)


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
        self._mask_image = TargetsImage(paint_masks)
        self._labels = TargetsImage(paint_labels)
        self._canvas = ImageCanvas("bgr8", 3)
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
            self._mask.publish(self._mask_image.message(header, entries, size_wh))
        if settings.publish_label_image and self._is_wanted(self._label_image):
            self._label_image.publish(self._labels.message(header, entries, size_wh))
        if self.draws_overlay(settings):
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
        boxes = messages.rotated_box_array(header, entries, timings, _milliseconds_since(began))
        self._rotated_boxes.publish(boxes)
        return _milliseconds_since(began)

    def draws_overlay(self, settings: Settings) -> bool:
        """Someone looks at the overlay."""
        return settings.publish_overlay and self._is_wanted(self._overlay)

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
            image_bgr = np.asarray(cv2.resize(image_bgr, None, fx=scale, fy=scale), np.uint8)
        items = [overlay_item(entry, scale) for entry in entries]
        height, width = image_bgr.shape[:2]
        draw_overlay(image_bgr, items, out=self._canvas.pixels((width, height)))
        self._overlay.publish(self._canvas.message(frame.header))

    @staticmethod
    def _is_wanted(publisher: Any) -> bool:
        return publisher is not None and bool(publisher.get_subscription_count() > 0)


def _milliseconds_since(began_s: float) -> float:
    return (time.perf_counter() - began_s) * MILLISECONDS_PER_SECOND
