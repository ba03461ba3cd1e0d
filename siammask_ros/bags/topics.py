# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a bag holds, as plain data: topics, messages, and the header of an image."""

from __future__ import annotations

from typing import Any, NamedTuple


class SourceHeader(NamedTuple):
    """Header of a recorded image, which everything that is said of it repeats.

    Attributes:
        stamp_ns: time of acquisition in nanoseconds.
        frame_id: the camera's coordinate frame.
    """

    stamp_ns: int
    frame_id: str


class BagTopic(NamedTuple):
    """A topic of a bag.

    Attributes:
        name: with its namespace, such as `/camera/image_raw`.
        type_name: in the form of ROS 2, such as `sensor_msgs/msg/Image`.
        definition: text of the type and of those in it; empty where the bag has none.
        definition_format: `ros2msg`, `ros2idl`, or empty without a definition.
        digest: the type's hash (`RIHS01_...`); empty where the bag has none.
        message_count: messages of the topic; 0 where only reading all would tell.
        qos: the publishers' offers, as `rosbags.interfaces.Qos`.
    """

    name: str
    type_name: str
    definition: str = ""
    definition_format: str = ""
    digest: str = ""
    message_count: int = 0
    qos: tuple[Any, ...] = ()


class BagMessage(NamedTuple):
    """A message as it lies in the bag.

    Attributes:
        topic: where it was published.
        log_ns: when it was recorded, in nanoseconds.
        data: its bytes.
    """

    topic: BagTopic
    log_ns: int
    data: bytes
