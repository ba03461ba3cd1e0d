# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The way of frames through the node, over DDS: none starves, none is decoded more than needed."""

from __future__ import annotations

import threading
import time

import cv2
import numpy as np
import pytest
from ros_graph import FIRST_STAMP_NS, TARGET_BOX
from sensor_msgs.msg import CompressedImage, Image

from siammask_ros.reduced_images import ReducedImage
from siammask_ros.ros.messages import ns_to_stamp

LARGE_WH = (640, 480)
LARGE_BOX = (180.0, 120.0, 260.0, 220.0)


@pytest.mark.parametrize("rates_hz", [(30, 30), (90, 30)])
def test_two_cameras_get_their_turns(make_tracker, make_client, rates_hz):
    """With a tracker that is slower than either of them."""
    namespace = f"turns_{rates_hz[0]}"
    node = make_tracker(namespace, cameras=["left", "right"])
    client = make_client(namespace, cameras=("left", "right"))
    for camera in client.cameras:
        client.process(camera=camera)
        assert client.set_targets(TARGET_BOX, camera=camera).success
    tracker = node._engine.tracker
    whole_step, steps = tracker.step, []

    def slow_step(targets):
        steps.append(len(targets))
        time.sleep(0.15)
        return whole_step(targets)

    tracker.step = slow_step
    before = {camera: len(client.messages[f"{camera}/boxes"]) for camera in client.cameras}
    stop = threading.Event()

    def stream(camera, period_s):
        while not stop.wait(period_s):
            client.send(camera=camera)

    cameras = [
        threading.Thread(target=stream, args=(camera, 1 / rate_hz))
        for camera, rate_hz in zip(client.cameras, rates_hz, strict=True)
    ]
    for camera in cameras:
        camera.start()
    client.wait(lambda: len(steps) >= 20, "turns")
    stop.set()
    for camera in cameras:
        camera.join()
    time.sleep(0.5)  # what is under way arrives
    got = [len(client.messages[f"{camera}/boxes"]) - before[camera] for camera in client.cameras]
    assert min(got) >= 0.7 * max(got)
    assert sum(steps) >= 1.5 * len(steps)  # mostly both in one pass


@pytest.fixture(scope="module")
def reducing(make_tracker):
    return make_tracker("reducing", image_transport="compressed", reduced_decode=True)


@pytest.fixture(scope="module")
def camera(reducing, make_client):
    """A client that sends JPEGs with the next stamp, and gives back frame and boxes."""
    client = make_client("reducing")
    publisher = client.node.create_publisher(CompressedImage, "image/compressed", client.qos)
    client.wait(lambda: publisher.get_subscription_count() > 0, "the subscription")
    rng = np.random.default_rng(2)
    picture = cv2.resize(rng.integers(0, 256, (30, 40, 3), np.uint8), LARGE_WH)
    data = cv2.imencode(".jpg", picture)[1].tobytes()

    def send():
        client.stamp_ns += 1_000_000
        message = CompressedImage(format="jpeg")
        message.data.frombytes(data)
        message.header.stamp = ns_to_stamp(client.stamp_ns)
        publisher.publish(message)
        boxes = client.received("boxes", client.stamp_ns)
        return reducing._engine._cameras[""].buffer.find(client.stamp_ns), boxes

    client.stamp_ns = FIRST_STAMP_NS
    client.send_jpeg = send
    return client


def test_a_jpeg_is_decoded_as_far_as_targets_need_it(camera):
    frame, boxes = camera.send_jpeg()
    assert not boxes.boxes
    assert frame.image_for([]).reduction == 8
    assert camera.set_targets(LARGE_BOX, ids=[1], replace=True).success
    masks = camera.listen(Image, "siammask_tracker/mask", "mask")
    time.sleep(0.5)  # until the publisher knows the subscription
    frame, boxes = camera.send_jpeg()
    assert [box.target_id for box in boxes.boxes] == [1]
    image = frame.image_for([])
    assert isinstance(image, ReducedImage)
    assert image.reduction in (2, 4)
    mask = camera.received("mask", camera.stamp_ns)
    assert (mask.width, mask.height) == LARGE_WH
    assert np.count_nonzero(mask.data) == boxes.boxes[0].mask_area
    camera.node.destroy_subscription(masks)


def test_a_small_target_needs_the_whole_image(camera):
    camera.send_jpeg()
    assert camera.set_targets((300.0, 200.0, 30.0, 30.0), ids=[2], replace=True).success
    frame, _ = camera.send_jpeg()
    assert isinstance(frame.image_for([]), np.ndarray)


def test_the_overlay_shows_the_whole_image(camera):
    camera.send_jpeg()
    assert camera.set_targets(LARGE_BOX, ids=[1], replace=True).success
    subscription = camera.listen(Image, "siammask_tracker/overlay", "overlay")
    time.sleep(0.5)
    frame, _ = camera.send_jpeg()
    assert isinstance(frame.image_for([]), np.ndarray)
    overlay = camera.received("overlay", camera.stamp_ns)
    assert (overlay.width, overlay.height) == LARGE_WH
    camera.node.destroy_subscription(subscription)
