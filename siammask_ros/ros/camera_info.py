# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Calibrations as they come on topics; what they mean is in `localization.camera`.

That rectified images are named `image_rect` is taken from image_proc.
"""

from __future__ import annotations

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo

from siammask_ros.localization.camera import (
    Sight,
    calibrated_sight,
    guessed_sight,
    image_size_of,
)
from siammask_ros.ros.parameters import AUTO, CAMERA_PLACE, NO_CAMERA_INFO

RECTIFIED_NAME = "image_rect"
NOT_USED = "not used"
"""What explains a calibration begins with it where there is one that cannot be used."""
SIZES_KEPT = 8
CAMERA_INFO_QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Fits every publisher's offer."""


def camera_info_topic(node: Node, wish: str, prefix: str, image_topic: str) -> str:
    """Full name of the topic of a camera's calibration; empty where it is not read.

    Args:
        node: resolves names.
        wish: parameter `camera_info`: auto, none or a topic, with {camera} for the camera's name.
        prefix: of the camera's topics, such as `left/`.
        image_topic: full name, as the camera's driver gives it.
    """
    if wish == NO_CAMERA_INFO:
        return ""
    if wish != AUTO:
        return node.resolve_topic_name(wish.replace(CAMERA_PLACE, prefix.rstrip("/")))
    own = f"{prefix}camera_info"
    remapped = node.resolve_topic_name(own)
    if remapped != node.resolve_topic_name(own, only_expand=True):
        return remapped
    return f"{image_topic.rpartition('/')[0]}/camera_info"


def is_rectified(image_topic: str) -> bool:
    """The name of an image topic says that its images are without distortion."""
    return image_topic.rpartition("/")[2].startswith(RECTIFIED_NAME)


class CameraInfoSource:
    """One camera's calibration as it comes; the latest of each size of image counts."""

    def __init__(self, node: Node, topic: str, image_topic: str) -> None:
        """Subscribe to `topic`; to nothing where that is empty."""
        self.topic = topic
        self._node = node
        self._rectified = is_rectified(image_topic)
        self._latest: dict[tuple[int, int], CameraInfo] = {}
        self._known: tuple[CameraInfo, Sight | str] | None = None
        self._subscription = (
            node.create_subscription(CameraInfo, topic, self._receive, CAMERA_INFO_QOS)
            if topic
            else None
        )

    def sight(self, image_size_wh: tuple[int, int], field_of_view_deg: float) -> Sight:
        """Of images of this size; the guess as long as no calibration of theirs can be used."""
        found = self.calibration(image_size_wh)
        if isinstance(found, Sight):
            return found
        return guessed_sight(image_size_wh, field_of_view_deg)

    def explain(self, image_size_wh: tuple[int, int] | None) -> str:
        """What is used for images of this size (None: there was no image yet), to read."""
        if not self.topic:
            return "not read: parameter camera_info is none"
        if not self._latest:
            return f"none on {self.topic}"
        if image_size_wh is None:
            return self.topic
        found = self.calibration(image_size_wh)
        if isinstance(found, Sight):
            return f"{self.topic}, rectified" if self._rectified else self.topic
        return f"{NOT_USED}: {found}"

    def destroy(self) -> None:
        """Unsubscribe."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def _receive(self, message: CameraInfo) -> None:
        size_wh = image_size_of(message)
        held = self._latest.get(size_wh)
        if held is not None and _same_camera(held, message):
            return  # what was made of it stays good
        latest = dict(self._latest)  # another thread reads it
        latest.pop(size_wh, None)
        while len(latest) >= SIZES_KEPT:
            del latest[next(iter(latest))]
        self._latest = {**latest, size_wh: message}

    @property
    def sizes_wh(self) -> list[tuple[int, int]]:
        """The sizes of images that calibrations have come for."""
        return list(self._latest)

    def calibration(self, image_size_wh: tuple[int, int]) -> Sight | str:
        """What is known of images of this size, or why nothing is."""
        latest = self._latest
        info = latest.get(image_size_wh)
        if info is None:
            if not latest:
                return "none has come"
            width, height = next(reversed(latest))
            return "{} is of images of {}x{}, these have {}x{}".format(
                self.topic, width, height, *image_size_wh
            )
        known = self._known
        if known is None or known[0] is not info:
            try:
                known = (info, calibrated_sight(info, rectified=self._rectified))
            except ValueError as error:
                known = (info, f"{self.topic}: {error}")
            self._known = known
        return known[1]


def _same_camera(first: CameraInfo, second: CameraInfo) -> bool:
    """Whether two messages, of the same size, say the same but for their headers."""
    numbers = ("d", "k", "r", "p")
    plain = ("distortion_model", "binning_x", "binning_y", "roi", "width", "height")
    return all(getattr(first, name) == getattr(second, name) for name in plain) and all(
        list(getattr(first, name)) == list(getattr(second, name)) for name in numbers
    )
