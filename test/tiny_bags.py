# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags of a few small images, written with the bag library."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from rosbags import rosbag1, rosbag2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from siammask_ros.bags.message_types import register_message_types

SECOND = 1_000_000_000
START_NS = 1_700_000_000 * SECOND
PERIOD_NS = SECOND // 25
LATENCY_NS = 3_000_000
"""From the stamp of an image to its recording."""
SIZE_WH = (64, 48)
IMAGES = "/camera/image_raw"
BOX = (20.0, 14.0, 16.0, 12.0)


def stamp_ns(number):
    return START_NS + number * PERIOD_NS


def log_ns(number):
    return stamp_ns(number) + LATENCY_NS


def picture(number, size_wh=SIZE_WH):
    """A bright rectangle that moves a pixel a frame; the frame's number is in a corner."""
    width, height = size_wh
    image = np.random.default_rng(number).integers(0, 50, (height, width, 3), dtype=np.uint8)
    left = 20 + number % 8
    image[14:26, left : left + 16] = (40, 180, 250)
    image[0, 0] = number % 251
    return image


@dataclass
class TinyBag:
    """Messages to be written; each a topic, a time of recording, a type and the message."""

    is_ros1: bool = False
    entries: list = field(default_factory=list)

    def __post_init__(self):
        self.store = get_typestore(Stores.ROS1_NOETIC if self.is_ros1 else Stores.LATEST)
        if not self.is_ros1:
            register_message_types(self.store)

    def make(self, type_name, **values):
        return self.store.types[type_name](**values)

    def time(self, time_ns):
        seconds, nanoseconds = divmod(time_ns, SECOND)
        return self.make("builtin_interfaces/msg/Time", sec=seconds, nanosec=nanoseconds)

    def define(self, type_name, text):
        """Add a type that the library does not know."""
        self.store.register(get_types_from_msg(text, type_name))

    def header(self, time_ns, frame_id="camera_optical"):
        values = {"seq": 0} if self.is_ros1 else {}
        stamp = self.time(time_ns)
        return self.make("std_msgs/msg/Header", stamp=stamp, frame_id=frame_id, **values)

    def add(self, topic, time_ns, type_name, message):
        self.entries.append((topic, time_ns, type_name, message))

    def add_image(self, number, *, topic=IMAGES, image=None, stamp=None, encoding="bgr8"):
        pixels = picture(number) if image is None else image
        message = self.make(
            "sensor_msgs/msg/Image",
            header=self.header(stamp_ns(number) if stamp is None else stamp),
            height=pixels.shape[0],
            width=pixels.shape[1],
            encoding=encoding,
            is_bigendian=0,
            step=pixels.nbytes // pixels.shape[0],
            data=pixels.ravel(),
        )
        self.add(topic, log_ns(number), "sensor_msgs/msg/Image", message)

    def add_compressed(self, number, *, topic=f"{IMAGES}/compressed", suffix=".png"):
        data = cv2.imencode(suffix, picture(number))[1].ravel()
        kind = "sensor_msgs/msg/CompressedImage"
        header = self.header(stamp_ns(number))
        self.add(
            topic, log_ns(number), kind, self.make(kind, header=header, format="png", data=data)
        )

    def add_text(self, number, *, topic="/notes", time_ns=None):
        kind = "std_msgs/msg/String"
        time_ns = log_ns(number) + 1 if time_ns is None else time_ns
        self.add(topic, time_ns, kind, self.make(kind, data=f"note {number}"))

    def add_call(
        self, kind, time_ns, number, *, request=None, response=None, client=False, topic=None
    ):
        """The events of a call of SetTargets or ClearTargets, seen by the server or a client."""
        name = {"SetTargets": "set_targets", "ClearTargets": "clear_targets"}[kind]
        topic = topic or f"/siammask_tracker/{name}/_service_event"
        for event_type, part in ((0 if client else 1, request), (3 if client else 2, response)):
            if event_type > 1 and part is None:
                continue  # the answer was not recorded
            info = self.make(
                "service_msgs/msg/ServiceEventInfo",
                event_type=event_type,
                stamp=self.time(time_ns),
                client_gid=np.full(16, 7, dtype=np.uint8),
                sequence_number=number,
            )
            held = [] if part is None else [part]
            asked = event_type < 2
            event = self.make(
                f"siammask_msgs/srv/{kind}_Event",
                info=info,
                request=held if asked else [],
                response=[] if asked else held,
            )
            self.add(topic, time_ns + event_type, f"siammask_msgs/srv/{kind}_Event", event)

    def set_request(self, *boxes, stamp=0, replace=False, camera=""):
        """A request; each box as (id, label, x, y, width, height)."""
        names = ("id", "label", "x", "y", "width", "height")
        kind = "siammask_msgs/msg/TargetBox"
        targets = [self.make(kind, **dict(zip(names, box, strict=True))) for box in boxes]
        return self.make(
            "siammask_msgs/srv/SetTargets_Request",
            camera=camera,
            stamp=self.time(stamp),
            targets=targets,
            replace=replace,
        )

    def set_response(self, *ids, stamp=0, success=True):
        return self.make(
            "siammask_msgs/srv/SetTargets_Response",
            success=success,
            message="",
            target_ids=np.array(ids, dtype=np.uint8),
            stamp=self.time(stamp),
        )

    def clear_request(self, *ids, camera=""):
        ids = np.array(ids, dtype=np.uint8)
        return self.make("siammask_msgs/srv/ClearTargets_Request", camera=camera, target_ids=ids)

    def add_boxes(self, number, *boxes, topic="/detections", scores=()):
        """Detections in the image of a number, recorded late; each as (label, x, y, w, h)."""
        names = ("label", "x", "y", "width", "height")
        kind = "siammask_msgs/msg/TargetBox"
        made = [self.make(kind, id=0, **dict(zip(names, box, strict=True))) for box in boxes]
        kind = "siammask_msgs/msg/TargetBoxArray"
        scores = np.array(scores, dtype=np.float32)
        header = self.header(stamp_ns(number))
        message = self.make(kind, header=header, boxes=made, scores=scores)
        self.add(topic, log_ns(number) + 3 * PERIOD_NS, kind, message)

    def write(self, path, *, storage="mcap", compression=""):
        """Write a folder of ROS 2, or a file of ROS 1; returns its path."""
        if self.is_ros1:
            self._write_ros1(path, compression)
            return path
        plugin = rosbag2.StoragePlugin[storage.upper()]
        writer = rosbag2.Writer(path, version=9, storage_plugin=plugin)
        if compression:
            mode = rosbag2.CompressionMode[compression.upper()]
            writer.set_compression(mode, rosbag2.CompressionFormat.ZSTD)
        with writer:
            self._write(writer, self.store.serialize_cdr)
        return path

    def _write_ros1(self, path, compression):
        writer = rosbag1.Writer(path)
        if compression:
            writer.set_compression(rosbag1.Writer.CompressionFormat[compression.upper()])
        with writer:
            self._write(writer, self.store.serialize_ros1)

    def _write(self, writer, serialize):
        connections = {}
        for topic, time_ns, kind, message in sorted(self.entries, key=lambda entry: entry[1]):
            if topic not in connections:
                known = {"typestore": self.store}
                if "/srv/" in kind:  # the library has no text for these
                    known = {"msgdef": "", "rihs01": "RIHS01_" + 64 * "0"}
                connections[topic] = writer.add_connection(topic, kind, **known)
            data = message if isinstance(message, bytes) else serialize(message, kind)
            writer.write(connections[topic], time_ns, data)


def camera_bag(path, frames=6, *, is_ros1=False, storage="mcap", compression="", notes=True):
    """A recording of one camera and of another topic."""
    bag = TinyBag(is_ros1=is_ros1)
    for number in range(frames):
        bag.add_image(number)
        if notes:
            bag.add_text(number)
    return bag.write(Path(path), storage=storage, compression=compression)


def cut(path, share):
    """Cut off the end of a file, as a recorder that is killed does."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path
