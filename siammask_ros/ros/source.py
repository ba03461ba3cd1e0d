# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A subscription of images or of what goes with them: its quality, and why nothing arrives."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import (
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
)
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from siammask_ros.ros.parameters import AUTO, Settings

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError

TRANSPORT_PROFILE = "config/fastdds.xml"


@dataclass(frozen=True)
class PublisherOffer:
    """What the graph says of a publisher.

    Attributes:
        node_name: node with its namespace.
        type_name: as in `sensor_msgs/msg/Image`.
        reliable: it offers reliable delivery.
    """

    node_name: str
    type_name: str
    reliable: bool


class ImageSource:
    """Subscribes to one topic of images and keeps an eye on what its publishers offer."""

    def __init__(
        self,
        node: Node,
        topic: str,
        settings: Settings,
        on_message: Callable[[Any], None],
        *,
        message_type: type | None = None,
        what: str = "image",
    ) -> None:
        """Subscribe to `topic`, or with that transport to `topic/compressed`, remapped.

        Args:
            node: subscribes.
            topic: of images.
            settings: transport, quality of service and how long silence may be.
            on_message: takes each message.
            message_type: of messages that are no images.
            what: the messages in words, one of them.
        """
        self._node = node
        self._settings = settings
        self._on_message = on_message
        self._what = what
        compressed = settings.image_transport == "compressed"
        image_type = CompressedImage if compressed else Image
        self._message_type: type = message_type or image_type
        self._type_name = f"sensor_msgs/msg/{self._message_type.__name__}"
        self._topic = (
            compressed_topic(node, topic) if compressed else node.resolve_topic_name(topic)
        )
        self._last_arrival_s = time.monotonic()
        self.received = 0
        self.lost = 0
        self.incompatible_policy = ""
        self._subscription: Subscription | None = None
        self._subscribe(choose_reliability(settings.qos_reliability, self._offers()))

    @property
    def topic(self) -> str:
        """Full name of the topic, remapped."""
        return self._topic

    @property
    def base_topic(self) -> str:
        """Name of the topic of raw images, whichever transport is read."""
        if self._message_type is CompressedImage:
            return self._topic.removesuffix("/compressed")
        return self._topic

    @property
    def seconds_silent(self) -> float:
        """Time since the last image, or since the subscription was made."""
        return time.monotonic() - self._last_arrival_s

    def adapt(self) -> bool:
        """Ask for best effort instead if a publisher cannot offer more.

        Only this direction: a best-effort request that is met brings images already.

        Returns:
            True where the subscription was changed.
        """
        wanted = choose_reliability(self._settings.qos_reliability, self._offers())
        if wanted is self._reliability or wanted is ReliabilityPolicy.RELIABLE:
            return False
        self._node.get_logger().info(
            f"{self._topic}: a publisher offers best effort only, subscribing with best effort"
        )
        self.destroy()
        self._subscribe(wanted)
        return True

    def explain_silence(self) -> str:
        """Why no image arrives; empty as long as they do."""
        if self.seconds_silent < self._settings.silence_seconds:
            return ""
        return explain_silence(
            self._type_name,
            self._offers(),
            reliable_requested=self._reliability is ReliabilityPolicy.RELIABLE,
            seconds=self._settings.silence_seconds,
            incompatible_policy=self.incompatible_policy,
            what=self._what,
        )

    def destroy(self) -> None:
        """Unsubscribe."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def _subscribe(self, reliability: ReliabilityPolicy) -> None:
        self._reliability = reliability
        self.incompatible_policy = ""
        qos = QoSProfile(
            history=qos_profile_sensor_data.history,
            durability=qos_profile_sensor_data.durability,
            depth=self._settings.subscription_depth,
            reliability=reliability,
        )
        events = SubscriptionEventCallbacks(
            incompatible_qos=self._note_incompatible, message_lost=self._note_lost
        )
        subscribe = partial(
            self._node.create_subscription, self._message_type, self._topic, self._receive, qos
        )
        try:
            self._subscription = subscribe(event_callbacks=events)
        except UnsupportedEventTypeError:  # a middleware that does not tell
            self._subscription = subscribe()

    def _receive(self, message: Any) -> None:
        self._last_arrival_s = time.monotonic()
        self.received += 1
        self._on_message(message)

    def _note_incompatible(self, event: Any) -> None:
        if self.adapt():
            return
        self.incompatible_policy = QoSPolicyKind(int(event.last_policy_kind)).name.lower()
        self._node.get_logger().warning(
            f"{self._topic}: a publisher's quality of service does not fit: "
            f"policy {self.incompatible_policy}"
        )

    def _note_lost(self, event: Any) -> None:
        self.lost = int(event.total_count)
        self._node.get_logger().warning(
            f"{self._topic}: the middleware lost {event.total_count_change} messages "
            f"({event.total_count} in all)",
            throttle_duration_sec=5.0,
        )

    def _offers(self) -> list[PublisherOffer]:
        return [
            PublisherOffer(
                f"{info.node_namespace.rstrip('/')}/{info.node_name}",
                info.topic_type,
                info.qos_profile.reliability is not ReliabilityPolicy.BEST_EFFORT,
            )
            for info in self._node.get_publishers_info_by_topic(self._topic)
        ]


def compressed_topic(node: Node, topic: str) -> str:
    """Full name of `topic/compressed`, by its own remapping, else by that of `topic`."""
    name = f"{topic}/compressed"
    remapped = node.resolve_topic_name(name)
    if remapped != node.resolve_topic_name(name, only_expand=True):
        return remapped
    return f"{node.resolve_topic_name(topic)}/compressed"


def choose_reliability(wish: str, offers: list[PublisherOffer]) -> ReliabilityPolicy:
    """Reliability to ask for: what the user wishes, else as much as every publisher offers.

    With no publisher yet it is reliable: where that does not fit, the middleware says so and the
    request is lowered, while large images lost on a best-effort link are lost in silence.
    """
    if wish == AUTO:
        wish = "reliable" if all(offer.reliable for offer in offers) else "best_effort"
    return ReliabilityPolicy.RELIABLE if wish == "reliable" else ReliabilityPolicy.BEST_EFFORT


def explain_silence(
    type_name: str,
    offers: list[PublisherOffer],
    *,
    reliable_requested: bool,
    seconds: float,
    incompatible_policy: str = "",
    what: str = "image",
) -> str:
    """The likely reason why a topic has brought no image for `seconds`, for the user to read."""
    since = f"no {what} for more than {seconds:g} s"
    if not offers:
        return f"{since}: nobody publishes it; check the name and the remapping of the topic"
    names = ", ".join(offer.node_name for offer in offers)
    of_type = [offer for offer in offers if offer.type_name == type_name]
    if not of_type:
        types = ", ".join(sorted({offer.type_name for offer in offers}))
        advice = "; check image_transport" if what == "image" else ""
        return f"{since}: {names} publishes {types}, not {type_name}{advice}"
    if reliable_requested and not any(offer.reliable for offer in of_type):
        return (
            f"{since}: incompatible quality of service: {names} offers best effort, "
            "qos_reliability asks for reliable"
        )
    if incompatible_policy:
        return f"{since}: incompatible quality of service of {names}: {incompatible_policy}"
    return (
        f"{since}: its publisher {names} is matched, so it sends nothing or the transport loses "
        f"its messages: start it with FASTDDS_DEFAULT_PROFILES_FILE (Humble, Jazzy: "
        f"FASTRTPS_DEFAULT_PROFILES_FILE) set to {TRANSPORT_PROFILE} of this package"
    )
