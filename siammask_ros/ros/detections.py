# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Detections and clicks from topics."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from geometry_msgs.msg import Point, PointStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Header

from siammask_msgs.msg import TargetBoxArray
from siammask_ros.clicks import Click
from siammask_ros.detection_messages import read_detections
from siammask_ros.ros.messages import stamp_to_ns
from siammask_ros.ros.parameters import AUTO

__all__ = ["HintSource", "detections_message", "read_click", "read_detections"]

DETECTIONS_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Fits every publisher's offer."""
CLICKS_QOS = QoSProfile(depth=10)


def detections_message(wish: str) -> type:
    """The message type that parameter `detections_type` stands for.

    Raises:
        ValueError: vision_msgs is wanted, and not installed.
    """
    if wish != "siammask_msgs":
        try:
            return importlib.import_module("vision_msgs.msg").Detection2DArray  # type: ignore[no-any-return]
        except ImportError as error:
            if wish != AUTO:
                raise ValueError(
                    f"detections_type is vision_msgs, which is not installed here ({error})"
                ) from error
    return TargetBoxArray


def read_click(point: Point, header: Header | None = None) -> Click:
    """A click, of a `PointStamped` or of a `Point`, which has no header."""
    if header is None:
        return Click((point.x, point.y), z=point.z)
    return Click((point.x, point.y), stamp_to_ns(header.stamp), header.frame_id, point.z)


class HintSource:
    """The topics beside one camera's images: `detections`, `click` and `click_point`."""

    def __init__(
        self,
        node: Node,
        prefix: str,
        detections_type: str,
        on_detections: Callable[[Any], None],
        on_click: Callable[[Click], None],
    ) -> None:
        """Subscribe to `PREFIXdetections`, `PREFIXclick` and `PREFIXclick_point`, remapped.

        Args:
            node: subscribes.
            prefix: of the camera, such as `left/`.
            detections_type: see `detections_message`.
            on_detections: takes each message of detections.
            on_click: takes each click.

        Raises:
            ValueError: as `detections_message`.
        """
        self._node = node
        self._type = detections_message(detections_type)
        self.detections_topic = node.resolve_topic_name(f"{prefix}detections")
        self._subscriptions = [
            node.create_subscription(
                self._type, self.detections_topic, on_detections, DETECTIONS_QOS
            ),
            node.create_subscription(
                PointStamped,
                f"{prefix}click",
                lambda message: on_click(read_click(message.point, message.header)),
                CLICKS_QOS,
            ),
            node.create_subscription(
                Point, f"{prefix}click_point", lambda point: on_click(read_click(point)), CLICKS_QOS
            ),
        ]

    def explain_silence(self) -> str:
        """Why detections that are published cannot be read; empty if they can."""
        package = self._type.__module__.split(".")[0]
        own = f"{package}/msg/{self._type.__name__}"
        offers = self._node.get_publishers_info_by_topic(self.detections_topic)
        others = sorted({offer.topic_type for offer in offers} - {own})
        if not others or any(offer.topic_type == own for offer in offers):
            return ""
        return f"detections come as {', '.join(others)}, not as {own}; check detections_type"

    def destroy(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()
