# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Detections as the real vision_msgs/Detection2DArray, over DDS; skipped where it is not installed.

The layouts of the releases that there are no packages of here are in `test_detection_messages.py`.
"""

from __future__ import annotations

import math

import pytest
from ros_operator import FIRST_XY, SECOND_XY, Operator, box_at, place, stamp_of

from siammask_msgs.msg import RotatedBox
from siammask_ros.geometry import Box, box_iou
from siammask_ros.ros.detections import read_detections
from siammask_ros.ros.messages import ns_to_stamp

vision = pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not installed")


def detection(box, *hypotheses, theta=0.0):
    """A Detection2D whose upright hull is `box` where theta is 0 or a quarter turn."""
    entry = vision.Detection2D()
    center = getattr(entry.bbox.center, "position", entry.bbox.center)  # a Pose2D before release 4
    center.x, center.y = box.center_xy
    entry.bbox.center.theta = theta
    entry.bbox.size_x, entry.bbox.size_y = box.size_wh[:: -1 if theta else 1]
    for label, score in hypotheses:
        result = vision.ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = label, score
        entry.results.append(result)
    return entry


class Detector:
    """Publishes Detection2DArray beside an operator's camera."""

    def __init__(self, operator):
        self.operator = operator

    def detect(self, stamp_ns, *entries):
        message = vision.Detection2DArray(detections=list(entries))
        message.header.stamp = ns_to_stamp(stamp_ns)
        self.operator.say(self.operator.detections, message)


@pytest.fixture
def make_detector(make_tracker, make_client):
    """A node that reads what is installed, its operator, and its detector."""

    def make(namespace, **parameters):
        node = make_tracker(
            namespace, weights="compact", lost_below=0.3, uncertain_below=0.55,
            processing="every_frame", **parameters,
        )  # fmt: skip
        operator = Operator(make_client(namespace), detections_type=vision.Detection2DArray)
        return node, operator, Detector(operator)

    return make


def test_the_best_of_a_class_starts_a_target_on_the_image_of_its_stamp(make_detector):
    _, operator, detector = make_detector(
        "vision", detections_policy="best_class", detections_class="block"
    )
    stamps = [stamp_of(operator.show(FIRST_XY)) for _ in range(3)]
    detector.detect(stamps[1])  # nothing was found
    detector.detect(stamps[1], detection(box_at(SECOND_XY), ("cat", 0.9), ("block", 0.3)))
    detector.detect(stamps[1], detection(box_at(FIRST_XY), ("block", 0.4)))
    assert not operator.show(FIRST_XY).boxes
    detector.detect(
        stamps[1],
        detection(box_at(SECOND_XY), ("block", 0.6)),
        detection(box_at(FIRST_XY), ("cat", 0.05), ("block", 0.9), ("dog", 0.05)),
    )
    found = operator.show_until(FIRST_XY, lambda boxes: boxes and boxes[0].size_x > 0)
    assert [(box.target_id, box.label) for box in found.boxes] == [(1, "block")]
    assert found.boxes[0].state == RotatedBox.TRACKING
    assert box_iou(place(found.boxes[0]), box_at(FIRST_XY)) > 0.6


def test_turned_boxes_and_boxes_without_a_hypothesis_start_targets(make_detector):
    _, operator, detector = make_detector("vision_all", detections_policy="all")
    stamp_ns = stamp_of(operator.show(FIRST_XY))
    detector.detect(stamp_ns, detection(box_at(FIRST_XY), theta=math.pi / 2))
    found = operator.show_until(FIRST_XY, lambda boxes: boxes and boxes[0].size_x > 0)
    assert [(box.target_id, box.label) for box in found.boxes] == [(1, "")]
    assert box_iou(place(found.boxes[0]), box_at(FIRST_XY)) > 0.6


def test_a_lost_target_comes_back_where_a_detection_shows_it(make_detector):
    node, operator, detector = make_detector("vision_back")
    operator.show(FIRST_XY)
    assert operator.client.set_targets(box_at(FIRST_XY).xywh, ids=[7]).success
    operator.show_until(FIRST_XY, lambda boxes: boxes and boxes[0].size_x > 0)
    operator.show_until(None, lambda boxes: boxes[0].state == RotatedBox.LOST)
    notices = []
    node._engine._on_notice = lambda _camera, text: notices.append(text)
    shown = [stamp_of(operator.show(None)), stamp_of(operator.show(FIRST_XY))]
    detector.detect(shown[1], detection(box_at(FIRST_XY), ("block", 0.8)))
    back = operator.show_until(FIRST_XY, lambda boxes: boxes[0].state == RotatedBox.TRACKING)
    assert [box.target_id for box in back.boxes] == [7]
    assert box_iou(place(back.boxes[0]), box_at(FIRST_XY)) > 0.6


@pytest.mark.parametrize("broken", ["place", "size", "theta", "score"])
def test_numbers_that_are_none_are_refused_with_a_warning(make_detector, broken):
    node, operator, detector = make_detector(f"vision_{broken}", detections_policy="all")
    texts = []
    node._warn = lambda subject, text: texts.append(f"{subject}: {text}")
    stamp_ns = stamp_of(operator.show(FIRST_XY))
    bad = {
        "place": detection(Box(math.nan, 0.0, 60.0, 50.0), ("block", 0.9)),
        "size": detection(Box(0.0, 0.0, math.inf, 10.0), ("block", 0.9)),
        "theta": detection(box_at(FIRST_XY), ("block", 0.9), theta=math.nan),
        "score": detection(box_at(FIRST_XY), ("block", 0.9), ("cat", math.nan)),
    }[broken]
    detector.detect(stamp_ns, bad, detection(box_at(FIRST_XY), ("block", 0.9)))
    operator.client.wait(lambda: texts, "a warning")
    assert texts[0].startswith(f"/vision_{broken}/detections: detections not used: ")
    assert "not finite" in texts[0]
    assert not operator.show(FIRST_XY).boxes


def test_a_default_message_reads_as_an_empty_box():
    (found,) = read_detections(vision.Detection2DArray(detections=[vision.Detection2D()]))
    assert found.box == Box(0, 0, 0, 0)
    assert read_detections(vision.Detection2DArray()) == []
