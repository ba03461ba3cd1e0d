# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A client that points at things: detections, clicks and pauses, for the tests in `ros/`."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point, PointStamped
from std_msgs.msg import Header
from std_srvs.srv import SetBool

from siammask_msgs.msg import TargetBox, TargetBoxArray
from siammask_ros.geometry import Box
from siammask_ros.ros.messages import ns_to_stamp, stamp_to_ns

SIZE_WH = (320, 240)
SIDE_WH = (60, 50)
FIRST_XY, SECOND_XY = (60, 90), (200, 60)
SIDES = ("x", "y", "width", "height")


def scene(left_top=None):
    """A coloured block on a plain background, or the background alone."""
    image = np.full((SIZE_WH[1], SIZE_WH[0], 3), (90, 110, 100), dtype=np.uint8)
    image += np.random.default_rng(3).integers(0, 12, image.shape, dtype=np.uint8)
    if left_top is not None:
        (left, top), (width, height) = left_top, SIDE_WH
        image[top : top + height, left : left + width] = (40, 60, 220)
        image[top + 15 : top + 30, left + 10 : left + 40] = (240, 230, 60)
    return image


def box_at(left_top):
    return Box(*map(float, left_top), *map(float, SIDE_WH))


def detections(stamp_ns, *boxes, label="block", scores=None):
    return TargetBoxArray(
        header=Header(stamp=ns_to_stamp(stamp_ns)),
        boxes=[
            TargetBox(label=label, **dict(zip(SIDES, map(float, box.xywh), strict=True)))
            for box in boxes
        ],
        scores=scores or [],
    )


class Operator:
    """A client that can point at things."""

    def __init__(self, client, prefix="", *, detections_type=TargetBoxArray):
        self.client = client
        self.camera = prefix.rstrip("/")
        node = client.node
        self.detections = node.create_publisher(detections_type, f"{prefix}detections", 10)
        self.clicks = node.create_publisher(PointStamped, f"{prefix}click", 10)
        self.pause_service = node.create_client(SetBool, f"siammask_tracker/{prefix}pause")

    def say(self, publisher, message):
        self.client.wait(lambda: publisher.get_subscription_count() > 0, "the subscription")
        publisher.publish(message)

    def detect(self, stamp_ns, *boxes, **options):
        self.say(self.detections, detections(stamp_ns, *boxes, **options))

    def click(self, x, y, stamp_ns=0, *, z=0.0, frame_id=""):
        header = Header(stamp=ns_to_stamp(stamp_ns), frame_id=frame_id)
        self.say(self.clicks, PointStamped(header=header, point=Point(x=x, y=y, z=z)))

    def pause(self, paused):
        return self.client.call(self.pause_service, SetBool.Request(data=paused))

    def show(self, left_top=None):
        return self.client.process(scene(left_top), camera=self.camera)

    def show_until(self, left_top, condition, *, frames=60):
        for _ in range(frames):
            boxes = self.show(left_top)
            if condition(boxes.boxes):
                return boxes
        raise AssertionError(f"waited in vain, the last boxes are {boxes.boxes}")


def stamp_of(boxes):
    return stamp_to_ns(boxes.header.stamp)


def place(box):
    return Box.from_center((box.center_x, box.center_y), (box.size_x, box.size_y))
