# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What detections say, in the layouts of all releases of vision_msgs and in our own."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from siammask_ros.detection_messages import read_detections
from siammask_ros.geometry import Box
from siammask_ros.handover import Detection

RELEASES = (2, 3, 4)
"""Foxy; Galactic; Humble and later."""


def hypothesis(name, score, release):
    if release == 2:
        return SimpleNamespace(id=name, score=score)
    return SimpleNamespace(hypothesis=SimpleNamespace(class_id=name, score=score))


def detection(center_xy, size_wh, hypotheses=(), *, theta=0.0, release=4):
    """A `vision_msgs/Detection2D` of a release."""
    place = SimpleNamespace(x=center_xy[0], y=center_xy[1])
    center = place if release < 4 else SimpleNamespace(position=place)
    center.theta = theta
    return SimpleNamespace(
        bbox=SimpleNamespace(center=center, size_x=size_wh[0], size_y=size_wh[1]),
        results=[hypothesis(name, score, release) for name, score in hypotheses],
    )


def read(*entries):
    return read_detections(SimpleNamespace(detections=list(entries)))


def own(boxes, scores=()):
    return SimpleNamespace(
        boxes=[
            SimpleNamespace(x=x, y=y, width=width, height=height, label="block")
            for x, y, width, height in boxes
        ],
        scores=list(scores),
    )


@pytest.mark.parametrize("release", RELEASES)
def test_the_best_hypothesis_of_a_box_counts(release):
    scores = [("cat", 0.2), ("dog", 0.7), ("cow", 0.1)]
    found = read(detection((50.0, 40.0), (20.0, 10.0), scores, release=release))
    assert found == [Detection(Box(40, 35, 20, 10), "dog", 0.7)]


@pytest.mark.parametrize("release", RELEASES)
def test_a_turned_box_becomes_the_upright_one_around_it(release):
    turned = math.radians(30)
    (found,) = read(detection((50.0, 40.0), (20.0, 10.0), theta=turned, release=release))
    corners = [
        (x * math.cos(turned) - y * math.sin(turned), x * math.sin(turned) + y * math.cos(turned))
        for x in (-10, 10)
        for y in (-5, 5)
    ]
    expected = [2 * max(abs(corner[axis]) for corner in corners) for axis in (0, 1)]
    assert found.box.size_wh == pytest.approx(expected)
    assert found.box.center_xy == pytest.approx((50, 40))


def test_a_box_without_a_hypothesis_has_no_label_and_is_certain():
    assert read(detection((50.0, 40.0), (20.0, 10.0))) == [Detection(Box(40, 35, 20, 10), "", 1.0)]


@pytest.mark.parametrize("number", [0, "0"])
def test_classes_that_are_numbers_are_read_as_text(number):
    (found,) = read(detection((50.0, 40.0), (20.0, 10.0), [(number, 0.5)], release=2))
    assert found.label == "0"


def test_nothing_found_is_no_detection():
    assert read() == []
    assert read_detections(own([])) == []


def test_our_own_boxes_have_scores_for_all_or_none():
    boxes = [(1.0, 2.0, 3.0, 4.0), (5.0, 6.0, 7.0, 8.0)]
    assert [entry.score for entry in read_detections(own(boxes))] == [1.0, 1.0]
    found = read_detections(own(boxes, [0.25, 0.5]))
    assert found[1] == Detection(Box(5, 6, 7, 8), "block", 0.5)
    with pytest.raises(ValueError, match="2 boxes and 1 scores"):
        read_detections(own(boxes, [0.5]))


@pytest.mark.parametrize(
    "message",
    [
        SimpleNamespace(detections=[detection((math.nan, 40.0), (20.0, 10.0))]),
        SimpleNamespace(detections=[detection((50.0, 40.0), (math.inf, 10.0))]),
        SimpleNamespace(detections=[detection((50.0, 40.0), (20.0, 10.0), theta=math.nan)]),
        SimpleNamespace(
            detections=[detection((50.0, 40.0), (20.0, 10.0), [("cat", 0.9), ("dog", math.nan)])]
        ),
        own([(math.nan, 2.0, 3.0, 4.0)]),
        own([(1.0, 2.0, 3.0, 4.0)], [math.inf]),
    ],
    ids=["place", "size", "theta", "hypothesis", "own place", "own score"],
)
def test_numbers_that_are_none_are_refused(message):
    with pytest.raises(ValueError, match="a detection is not finite"):
        read_detections(message)
