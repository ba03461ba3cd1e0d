# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Detections, clicks and pauses as users send them, over DDS, with the bundled network."""

from __future__ import annotations

import importlib
import math
import sys
import types
from types import SimpleNamespace

import pytest
import rclpy
from geometry_msgs.msg import Point, PointStamped
from rclpy.parameter import Parameter
from ros_graph import TARGET_BOX, in_its_thread, picture
from ros_operator import (
    FIRST_XY,
    SECOND_XY,
    Operator,
    box_at,
    place,
    scene,
    stamp_of,
)

from siammask_msgs.msg import RotatedBox, TargetBoxArray
from siammask_ros.geometry import Box, box_iou
from siammask_ros.ros.detections import detections_message


@pytest.fixture
def make_operator(make_tracker, make_client):
    """A node and its operator, each test in a namespace of its own."""

    def make(namespace, *, cameras=("",), **parameters):
        options = {
            "weights": "compact", "lost_below": 0.3, "uncertain_below": 0.55,
            "processing": "every_frame", "detections_type": "siammask_msgs", **parameters,
        }  # fmt: skip
        node = make_tracker(namespace, cameras=list(cameras), **options)
        client = make_client(namespace, cameras=cameras)
        operators = [Operator(client, f"{name}/" if name else "") for name in cameras]
        return (node, *operators)

    return make


def test_a_detection_starts_a_target_on_the_image_of_its_stamp(make_operator):
    _, operator = make_operator("start", detections_policy="best_class", detections_class="block")
    stamps = [stamp_of(operator.show(FIRST_XY)) for _ in range(3)]
    operator.detect(stamps[1], box_at(SECOND_XY), label="cat")
    operator.detect(stamps[1], box_at(FIRST_XY), label="block", scores=[0.4])
    assert not operator.show(FIRST_XY).boxes
    operator.detect(stamps[1], box_at(SECOND_XY), box_at(FIRST_XY), scores=[0.6, 0.9])
    found = operator.show_until(FIRST_XY, lambda boxes: boxes and boxes[0].size_x > 0)
    assert [(box.target_id, box.label) for box in found.boxes] == [(1, "block")]
    assert found.boxes[0].state == RotatedBox.TRACKING
    assert box_iou(place(found.boxes[0]), box_at(FIRST_XY)) > 0.6


def test_a_lost_target_comes_back_under_its_id_where_a_detection_shows_it(make_operator):
    # By itself the tracker finds nothing again here: no evidence is enough for it.
    node, operator = make_operator("back", certain_above=1.0, found_above=1.0)
    operator.show(FIRST_XY)
    assert operator.client.set_targets(box_at(FIRST_XY).xywh, ids=[7]).success
    operator.show_until(FIRST_XY, lambda boxes: boxes and boxes[0].size_x > 0)
    gone = operator.show_until(None, lambda boxes: boxes[0].state == RotatedBox.LOST)
    assert gone.boxes[0].size_x == 0
    thresholds = {"certain_above": 0.6, "found_above": 0.7}
    changed = [Parameter(name, value=value) for name, value in thresholds.items()]
    assert node.set_parameters_atomically(changed).successful
    notices = []
    node._engine._on_notice = lambda _camera, text: notices.append(text)
    operator.detect(stamp_of(operator.show()), box_at(FIRST_XY))  # a false alarm
    operator.show()
    assert operator.show().boxes[0].state == RotatedBox.LOST
    operator.detect(stamp_of(operator.show(FIRST_XY)), box_at(FIRST_XY))
    operator.client.wait(lambda: notices, "the restart")
    assert notices == ["a detection restarted target 7"]
    back = operator.show_until(FIRST_XY, lambda boxes: boxes[0].state == RotatedBox.TRACKING)
    assert [box.target_id for box in back.boxes] == [7]
    assert box_iou(place(back.boxes[0]), box_at(FIRST_XY)) > 0.6


def test_what_detections_cannot_be(make_operator):
    node, operator = make_operator("refused", detections_policy="all")
    stamp_ns = stamp_of(operator.show(FIRST_XY))
    texts = []
    node._warn = lambda subject, text: texts.append(f"{subject}: {text}")
    operator.detect(stamp_ns - 1, box_at(FIRST_XY))
    operator.detect(stamp_ns, box_at(FIRST_XY), scores=[0.5, 0.6])
    operator.detect(stamp_ns, Box(math.nan, 0, 10, 10))
    operator.client.wait(lambda: len(texts) >= 3, "three warnings")
    for text, words in zip(
        texts, ("no longer held", "1 boxes and 2 scores", "not finite"), strict=True
    ):
        assert text.startswith("/refused/detections: detections not used: ")
        assert words in text
    assert not operator.show(FIRST_XY).boxes


def test_detections_of_the_other_type_are_noticed(make_operator):
    node, operator = make_operator("types", silence_seconds=600.0)
    texts = []
    node._warn = lambda subject, text: texts.append(f"{subject}: {text}")
    operator.client.node.destroy_publisher(operator.detections)
    other = rclpy.Context()  # one participant cannot have two types of one topic
    other.init()
    detector = rclpy.create_node("detector", context=other)
    detector.create_publisher(PointStamped, "/types/detections", 10)
    operator.client.wait(lambda: any("check detections_type" in text for text in texts), "words")
    assert "come as geometry_msgs/msg/PointStamped, not as siammask_msgs/msg/Target" in texts[-1]
    detector.destroy_node()
    other.shutdown()


def test_a_click_starts_a_target_with_a_grown_box(make_operator):
    _, operator = make_operator("click")
    stamp_ns = stamp_of(operator.show(SECOND_XY))
    operator.click(500.0, 10.0)
    operator.click(10.0, -30.0, stamp_ns)
    operator.show(SECOND_XY)
    assert not operator.show(SECOND_XY).boxes
    operator.click(SECOND_XY[0] + 30.0, SECOND_XY[1] + 25.0, stamp_ns + 5)
    found = operator.show_until(SECOND_XY, lambda boxes: boxes and boxes[0].size_x > 0)
    assert [box.target_id for box in found.boxes] == [1]
    assert box_iou(place(found.boxes[0]), box_at(SECOND_XY)) > 0.6


def test_places_of_rviz_are_refused_with_a_reason(make_operator):
    """Its Publish Point tool sends metres in its fixed frame, with the time of the click."""
    node, operator = make_operator("world")
    stamp_ns = stamp_of(operator.show(SECOND_XY))
    texts = []
    node.get_logger = lambda: SimpleNamespace(warning=texts.append, info=lambda _: None)
    operator.click(1.5, 0.25, stamp_ns, z=0.001, frame_id="map")
    operator.click(1.5, 0.25, stamp_ns, z=2.0, frame_id="camera_optical")
    operator.client.wait(lambda: len(texts) >= 2, "two warnings")
    assert "click refused: it is a place in frame 'map', not a pixel of the image" in texts[0]
    assert "click refused: it is a place in the world, not a pixel of the image: z = 2" in texts[1]
    assert not operator.show(SECOND_XY).boxes
    operator.click(
        SECOND_XY[0] + 30.0, SECOND_XY[1] + 25.0, stamp_ns + 5, frame_id="camera_optical"
    )
    operator.show_until(SECOND_XY, lambda boxes: boxes and boxes[0].size_x > 0)


def test_a_click_without_a_stamp_is_on_the_newest_image(make_operator):
    _, operator = make_operator("point")
    publisher = operator.client.node.create_publisher(Point, "click_point", 10)
    operator.show(FIRST_XY)
    operator.show(SECOND_XY)
    operator.say(publisher, Point(x=SECOND_XY[0] + 30.0, y=SECOND_XY[1] + 25.0))
    found = operator.show_until(SECOND_XY, lambda boxes: boxes and boxes[0].size_x > 0)
    assert box_iou(place(found.boxes[0]), box_at(SECOND_XY)) > 0.6


def test_each_camera_has_its_own_hints_and_its_own_pause(make_operator):
    _, left, right = make_operator("pair", cameras=("left", "right"), detections_policy="first")
    for operator in (left, right):
        stamp_ns = stamp_of(operator.show(FIRST_XY))
    right.detect(stamp_ns, box_at(FIRST_XY))
    right.show_until(FIRST_XY, lambda boxes: boxes and boxes[0].size_x > 0)
    assert not left.show(FIRST_XY).boxes
    response = right.pause(True)
    assert (response.success, response.message) == (True, "paused")
    right.client.send(scene(FIRST_XY), camera="right")
    before = len(right.client.messages["right/boxes"])
    for _ in range(3):
        left.show(FIRST_XY)
    status = right.client.diagnostics("camera right", lambda s: s.message == "paused, 1 targets")
    assert status.level == b"\x00"
    assert {entry.key: entry.value for entry in status.values}["paused"] == "1"
    assert len(right.client.messages["right/boxes"]) == before
    assert right.pause(False).message == "running"
    assert [box.target_id for box in right.show(FIRST_XY).boxes] == [1]


def test_a_pause_needs_an_active_node(make_operator):
    node, operator = make_operator("idle")
    in_its_thread(node, node.trigger_deactivate)
    response = operator.pause(True)
    assert not response.success
    assert response.message == "refused: the node is not active"


def test_the_hints_of_a_node_that_finds_nothing(make_tracker, make_client):
    """Random weights: whatever comes, the node goes on."""
    make_tracker("random", detections_policy="all", max_targets=2, detections_type="siammask_msgs")
    client = make_client("random")
    operator = Operator(client)
    boxes = client.process(picture(1))
    operator.click(60.0, 50.0)
    operator.detect(stamp_of(boxes), *[Box(30.0 * n, 60, 28, 30) for n in range(4)])
    client.wait(lambda: len(client.process().boxes) == 2, "two targets")
    assert "max_targets allows 2 a camera" in client.set_targets(TARGET_BOX).message


def test_the_type_of_detections(monkeypatch):
    monkeypatch.setitem(sys.modules, "vision_msgs", None)
    monkeypatch.delitem(sys.modules, "vision_msgs.msg", raising=False)
    assert detections_message("siammask_msgs") is TargetBoxArray
    assert detections_message("auto") is TargetBoxArray
    with pytest.raises(ValueError, match="vision_msgs, which is not installed here"):
        detections_message("vision_msgs")
    monkeypatch.setitem(sys.modules, "vision_msgs", types.ModuleType("vision_msgs"))
    messages = types.ModuleType("vision_msgs.msg")
    messages.Detection2DArray = type("Detection2DArray", (), {})
    monkeypatch.setitem(sys.modules, "vision_msgs.msg", messages)
    assert importlib.import_module("vision_msgs.msg") is messages
    for wish in ("auto", "vision_msgs"):
        assert detections_message(wish) is messages.Detection2DArray
