# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera and consumer that talk to a tracker node over DDS, for the tests in `ros/`."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from siammask_msgs.msg import Confidence, RotatedBoxArray, TargetBox
from siammask_msgs.srv import ClearTargets, SetTargets
from siammask_ros.ros.images import encode_image
from siammask_ros.ros.messages import ns_to_stamp, stamp_to_ns

PATIENCE_S = 30.0
FRAME_PERIOD_NS = 40_000_000
FIRST_STAMP_NS = 1_000_000_000_000
SIZE_WH = (160, 120)
TARGET_BOX = (40.0, 30.0, 50.0, 40.0)
PROFILE = Path(__file__).parents[1] / "config" / "fastdds.xml"


def node_environment():
    """Variables for a node in a process of its own: the transport profile, and one thread."""
    result = dict(os.environ)
    result["FASTDDS_DEFAULT_PROFILES_FILE"] = str(PROFILE)
    if result.get("ROS_DISTRO") in {"humble", "iron", "jazzy"}:
        result["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(PROFILE)
    result["OMP_NUM_THREADS"] = "1"
    return result


def picture(number, size_wh=SIZE_WH):
    width, height = size_wh
    image = np.random.default_rng(5).integers(0, 60, (height, width, 3), dtype=np.uint8)
    left = 40 + number % 10
    image[30:70, left : left + 50] = (40, 180, 250)
    return image


class Spinner:
    """Spins a node in a thread of its own, until closed."""

    def __init__(self, node):
        self.node = node
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(node)
        self._stop = False
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self):
        while not self._stop:
            self.executor.spin_once(timeout_sec=0.1)

    def close(self):
        """End the thread first: a node is closed by the thread that spins it."""
        self._stop = True
        self._thread.join()
        if hasattr(self.node, "close"):
            self.node.close()
        self.executor.shutdown()
        self.node.destroy_node()


def in_its_thread(node, function, *arguments):
    """What a function of a node returns, called by the thread that spins the node.

    Transitions and changed parameters come to a node as requests, between its other callbacks.
    """
    future = node.executor.create_task(function, *arguments)
    wait_until(future.done, str(function))
    return future.result()


def wait_until(condition, what="condition", patience_s=PATIENCE_S):
    """Go on when something is so, which has to be soon."""
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.005)


class Client:
    """A camera and a consumer of one tracker node, in a node of their own."""

    def __init__(self, namespace="", *, cameras=("",), reliable=True):
        self.namespace = namespace
        self.cameras = cameras
        self.messages = defaultdict(list)
        self.stamp_ns = FIRST_STAMP_NS
        self.node = rclpy.create_node("client", namespace=namespace)
        self.qos = QoSProfile(
            depth=10,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        )
        self.publishers = {}
        several = len(cameras) > 1
        for name in cameras:
            prefix = f"{name}/" if name else ""
            self.publishers[name] = self.node.create_publisher(Image, f"{prefix}image", self.qos)
            outputs = f"siammask_tracker/{prefix if several else ''}"
            self.listen(RotatedBoxArray, f"{outputs}rotated_boxes", f"{prefix}boxes")
            self.listen(Confidence, f"{outputs}confidence", f"{prefix}confidence")
        self.listen(DiagnosticArray, "/diagnostics", "diagnostics")
        self.set_service = self.node.create_client(
            SetTargets, "siammask_tracker/set_targets", qos_profile=QoSProfile(depth=200)
        )
        self.clear_service = self.node.create_client(ClearTargets, "siammask_tracker/clear_targets")
        self.spinner = Spinner(self.node)

    def listen(self, message_type, topic, key):
        return self.node.create_subscription(
            message_type, topic, self.messages[key].append, QoSProfile(depth=100)
        )

    def close(self):
        self.spinner.close()

    wait = staticmethod(wait_until)

    def call(self, service, request):
        assert service.wait_for_service(timeout_sec=PATIENCE_S)
        future = service.call_async(request)
        self.wait(future.done, "an answer")
        return future.result()

    def set_targets(self, *boxes, stamp_ns=0, camera="", replace=False, ids=None):
        targets = [
            TargetBox(id=target_id, label=f"box {target_id}", x=x, y=y, width=width, height=height)
            for target_id, (x, y, width, height) in zip(ids or [0] * len(boxes), boxes, strict=True)
        ]
        request = SetTargets.Request(
            camera=camera, stamp=ns_to_stamp(stamp_ns), targets=targets, replace=replace
        )
        return self.call(self.set_service, request)

    def clear_targets(self, *ids, camera=""):
        return self.call(self.clear_service, ClearTargets.Request(camera=camera, target_ids=ids))

    def send(self, image=None, *, camera="", message=None):
        """Publish an image (or a message) with the next stamp, which is returned."""
        self.stamp_ns += FRAME_PERIOD_NS
        number = self.stamp_ns // FRAME_PERIOD_NS
        if message is None:
            array = picture(number) if image is None else image
            message = encode_image(array, "bgr8", Header(frame_id="camera_optical"))
        message.header.stamp = ns_to_stamp(self.stamp_ns)
        self.wait(lambda: self.publishers[camera].get_subscription_count() > 0, "the subscription")
        self.publishers[camera].publish(message)
        return self.stamp_ns

    def received(self, key, stamp_ns):
        """The message of a topic with this stamp, waited for."""

        def matching():
            return [m for m in self.messages[key] if stamp_to_ns(m.header.stamp) == stamp_ns]

        self.wait(matching, f"{key} of {stamp_ns}")
        return matching()[-1]

    def process(self, image=None, *, camera=""):
        """Send an image and wait for its boxes."""
        key = f"{camera}/boxes" if camera else "boxes"
        return self.received(key, self.send(image, camera=camera))

    def diagnostics(self, name, condition=lambda status: True):
        """The next status whose name contains `name` and that meets the condition."""
        begin = len(self.messages["diagnostics"])

        def matching():
            return [
                status
                for message in self.messages["diagnostics"][begin:]
                for status in message.status
                if name in status.name and condition(status)
            ]

        self.wait(matching, f"diagnostics of {name}")
        return matching()[-1]
