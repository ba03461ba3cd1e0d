# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bag replayed without ROS, and played into the node over DDS, give the same masks and boxes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from rclpy.qos import QoSProfile
from ros_graph import FIRST_STAMP_NS, TARGET_BOX, Client, node_environment
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from tiny_bags import TinyBag, stamp_ns

from siammask_msgs.srv import ClearTargets, SetTargets
from siammask_ros.bags.reader import open_bag
from siammask_ros.image_messages import decode_image
from siammask_ros.ros.messages import stamp_to_ns
from siammask_ros.ros.video_camera import SENT_QOS
from siammask_ros.scenes import render_sequence, scenario

FRAMES = 30
SIZE_WH = (320, 240)
RATE = 5.0
"""Images a second: slow enough for a busy machine to set the target between two of them."""
MASK = "siammask_tracker/mask"
PATIENCE_S = 120
INITIALIZING = 0


def scene_bag(path):
    """A bag of a rendered scene; returns the box of a target in its first image."""
    clip = render_sequence(7, frames=FRAMES, size_wh=SIZE_WH, options=scenario("plain"))
    bag = TinyBag()
    frames = list(clip)
    for number, frame in enumerate(frames):
        bag.add_image(number, image=frame.image_bgr)
    bag.write(path)
    return frames[0].boxes[1].xywh


@pytest.fixture
def start():
    processes = []

    def run(*command):
        words = [sys.executable, "-m", *map(str, command)]
        processes.append(subprocess.Popen(words, env=node_environment()))
        return processes[-1]

    yield run
    for process in processes:
        process.kill()
        process.wait()


def replayed(folder, bag, box, start):
    """Masks and boxes by number of the image, from a replay."""
    command = (
        "siammask_ros.cli", "replay", bag, "--box", ",".join(map(str, box)), "--output", folder,
        "--device", "cpu", "--threads", "1",
    )  # fmt: skip
    assert start(*command).wait(PATIENCE_S) == 0
    numbers = {stamp_ns(number): number for number in range(FRAMES)}
    masks, boxes = {}, {}
    with open_bag(folder) as opened:
        for message in opened.messages(opened.topics):
            decoded = opened.decode(message)
            number = numbers[opened.types.header_stamp_ns(message)]
            if message.topic.name.endswith("/mask"):
                masks[number] = decode_image(decoded)[..., 0]
            elif message.topic.name.endswith("/rotated_boxes"):
                boxes[number] = decoded.boxes
    return masks, boxes


def played(bag, box, start):
    """The same from the node: the bag is played, the target set on its first image."""
    start(
        "siammask_ros.ros.node", "--ros-args", "-r", "__ns:=/live", "-p", "autostart:=true",
        "-p", "processing:=every_frame", "-p", "device:=cpu", "-p", "output_reliability:=reliable",
    )  # fmt: skip
    client = Client("live")
    try:
        client.listen(Image, MASK, "masks")
        sent = client.messages["sent"]
        client.node.create_subscription(Header, "/live/video_camera/sent", sent.append, SENT_QOS)
        assert client.set_service.wait_for_service(timeout_sec=PATIENCE_S)
        start(
            "siammask_ros.ros.video_camera", "--ros-args", "-r", "__ns:=/live",
            "-p", f"source:={bag}", "-p", f"rate:={RATE}", "-p", "wait_for_subscribers:=1",
        )  # fmt: skip
        client.wait(lambda: client.messages["boxes"], "the first image")
        first_ns = stamp_to_ns(client.messages["boxes"][0].header.stamp)
        assert client.set_targets(box, stamp_ns=first_ns).success
        client.wait(lambda: any(header.frame_id == "end" for header in sent), "the end")
        numbers = {stamp_to_ns(h.stamp): int(h.frame_id) for h in sent if h.frame_id != "end"}
        assert numbers[first_ns] == 0
        last_ns = max(numbers)
        client.received("masks", last_ns)
        client.received("boxes", last_ns)
        masks = {numbers[stamp_to_ns(m.header.stamp)]: m for m in client.messages["masks"]}
        boxes = {numbers[stamp_to_ns(m.header.stamp)]: m.boxes for m in client.messages["boxes"]}
    finally:
        client.close()
    return {number: decode_image(mask)[..., 0] for number, mask in masks.items()}, boxes


def test_recorded_calls_of_the_node_start_the_same_targets(
    tmp_path, make_tracker, make_client, weights, start
):
    """What a recorder stores are the bytes of the messages."""
    make_tracker("recorded", processing="every_frame", service_introspection="contents")
    client = make_client("recorded")
    bag = TinyBag()

    def record(kind, type_name, topic):
        def store(data):
            bag.add(f"/recorded/{topic}", FIRST_STAMP_NS + len(bag.entries), type_name, data)

        client.node.create_subscription(kind, topic, store, QoSProfile(depth=100), raw=True)

    record(Image, "sensor_msgs/msg/Image", "image")
    for service in (SetTargets, ClearTargets):
        name = {SetTargets: "set_targets", ClearTargets: "clear_targets"}[service]
        type_name = f"siammask_msgs/srv/{service.__name__}_Event"
        record(service.Event, type_name, f"siammask_tracker/{name}/_service_event")
    stamps = [stamp_to_ns(client.process().header.stamp) for _ in range(3)]
    assert client.set_targets(TARGET_BOX, stamp_ns=stamps[1], ids=[7]).success
    assert not client.set_targets((900.0, 900.0, 9.0, 9.0), stamp_ns=stamps[1]).success
    stamps += [stamp_to_ns(client.process().header.stamp) for _ in range(2)]
    assert client.clear_targets(7).success
    stamps += [stamp_to_ns(client.process().header.stamp) for _ in range(2)]
    client.wait(lambda: len(bag.entries) >= len(stamps) + 6, "images, and two events of each call")
    command = (
        "siammask_ros.cli", "replay", bag.write(tmp_path / "bag"), "--weights", weights,
        "--output", tmp_path / "out",
    )  # fmt: skip
    assert start(*command).wait(PATIENCE_S) == 0
    with open_bag(tmp_path / "out") as opened:
        boxes = opened.messages([opened.topic("/siammask_tracker/rotated_boxes")])
        found = [
            (
                opened.types.header_stamp_ns(message),
                [b.target_id for b in opened.decode(message).boxes],
            )
            for message in boxes
        ]
    ids = [[], [7], [7], [7], [7], [], []]
    assert found == list(zip(stamps, ids, strict=True))


def described(box):
    """All that a message says of a target."""
    corners = [(corner.x, corner.y) for corner in box.corners]
    numbers = (box.center_x, box.center_y, box.size_x, box.size_y, box.theta, box.confidence)
    return box.target_id, box.state, box.age, box.mask_area, numbers, corners


def test_a_bag_gives_the_same_masks_offline_and_live(tmp_path, start):
    target = scene_bag(tmp_path / "bag")
    offline_masks, offline_boxes = replayed(tmp_path / "results", tmp_path / "bag", target, start)
    assert set(offline_masks) == set(offline_boxes) == set(range(FRAMES))
    live_masks, live_boxes = played(tmp_path / "bag", target, start)
    # Images before the request are answered without the target; none after it may be missing.
    known = sorted(
        number for number, boxes in live_boxes.items() if boxes and boxes[0].state != INITIALIZING
    )
    assert known == list(range(known[0], FRAMES))
    assert len(known) >= FRAMES * 2 // 3
    assert np.count_nonzero(offline_masks[FRAMES - 1]) > 100
    for number in known:
        assert np.array_equal(live_masks[number], offline_masks[number]), number
        (live,), (offline,) = live_boxes[number], offline_boxes[number]
        assert described(live) == described(offline), number
