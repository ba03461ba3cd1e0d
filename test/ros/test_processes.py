# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera, tracker and consumer as processes of their own, with the transport profile."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from ros_graph import Client, node_environment

FRAMES = 40
WAIT_S = 60

CAMERA = """
import sys, time
import numpy as np, rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from siammask_ros.ros.images import encode_image
from siammask_ros.ros.messages import ns_to_stamp

frames = int(sys.argv[1])
rclpy.init()
node = rclpy.create_node("camera")
publisher = node.create_publisher(Image, "/pipeline/image", qos_profile_sensor_data)
while publisher.get_subscription_count() < 1:
    time.sleep(0.05)
time.sleep(0.5)
image = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), dtype=np.uint8)
for number in range(1, frames + 1):
    message = encode_image(image, "bgr8", Header(stamp=ns_to_stamp(number * 100_000_000)))
    publisher.publish(message)
    time.sleep(0.1)
time.sleep(2)
"""


@pytest.fixture
def start():
    processes = []

    def run(*command):
        process = subprocess.Popen(
            [sys.executable, *command],
            env=node_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.wait()


def test_whole_images_pass_from_process_to_process(start, weights):
    tracker = start(
        "-m", "siammask_ros.ros.node", "--ros-args", "-r", "__ns:=/pipeline",
        "-p", "autostart:=true", "-p", f"weights:={weights}", "-p", "processing:=every_frame",
    )  # fmt: skip
    client = Client("pipeline")
    try:
        camera = start("-c", CAMERA, str(FRAMES))
        assert camera.wait(WAIT_S) == 0, camera.stdout.read()
        # Best effort: a busy machine loses some, but images that do not fit would lose nearly all.
        client.wait(lambda: len(client.messages["boxes"]) >= FRAMES * 3 // 4, "the boxes")
        stamps = [m.header.stamp.sec * 10 + m.header.stamp.nanosec // 10**8
                  for m in client.messages["boxes"]]  # fmt: skip
    finally:
        client.close()
    assert stamps == sorted(set(stamps))
    for _ in range(3):  # as a terminal and launch do, each for itself
        tracker.send_signal(signal.SIGINT)
        time.sleep(0.01)
    output = tracker.communicate(timeout=WAIT_S)[0]
    assert tracker.returncode == 0, output
    assert "runs on cpu (device: auto)" in output
    assert "Traceback" not in output


def test_process_ends_with_a_line_when_a_parameter_is_out_of_range(start):
    process = start("-m", "siammask_ros.ros.node", "--ros-args", "-p", "overlay_scale:=9.0")
    output = process.communicate(timeout=WAIT_S)[0]
    assert process.returncode == 1
    assert "parameter not acceptable" in output
    assert "overlay_scale" in output
    assert "Traceback" not in output


def test_autostart_that_fails_leaves_a_node_that_can_be_configured(start):
    tracker = start(
        "-m", "siammask_ros.ros.node", "--ros-args", "-r", "__ns:=/failing",
        "-p", "autostart:=true", "-p", "weights:=/nowhere/missing.pth",
    )  # fmt: skip
    client = Client("failing")
    try:
        status = client.diagnostics("node", lambda status: "missing.pth" in status.message)
    finally:
        client.close()
    assert status.level == b"\x02"
    assert tracker.poll() is None
    tracker.send_signal(signal.SIGTERM)
    output = tracker.communicate(timeout=WAIT_S)[0]
    assert tracker.returncode == 0, output
    assert "/nowhere/missing.pth" in output
