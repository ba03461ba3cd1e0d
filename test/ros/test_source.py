# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Quality of service, and the reasons for silence."""

from __future__ import annotations

import re

import pytest
from rclpy.qos import ReliabilityPolicy

from siammask_ros.ros.source import PublisherOffer, choose_reliability, explain_silence

IMAGE = "sensor_msgs/msg/Image"
RELIABLE = PublisherOffer("/camera", IMAGE, reliable=True)
BEST_EFFORT = PublisherOffer("/driver", IMAGE, reliable=False)
OTHER_TYPE = PublisherOffer("/camera", "sensor_msgs/msg/CompressedImage", reliable=True)


@pytest.mark.parametrize(
    ("wish", "offers", "expected"),
    [
        ("auto", [], "reliable"),
        ("auto", [RELIABLE], "reliable"),
        ("auto", [RELIABLE, BEST_EFFORT], "best_effort"),
        ("auto", [BEST_EFFORT], "best_effort"),
        ("reliable", [BEST_EFFORT], "reliable"),
        ("best_effort", [RELIABLE], "best_effort"),
    ],
)
def test_reliability_follows_the_offers_unless_it_is_given(wish, offers, expected):
    assert choose_reliability(wish, offers) is ReliabilityPolicy[expected.upper()]


@pytest.mark.parametrize(
    ("offers", "reliable", "words"),
    [
        ([], True, "nobody publishes it"),
        ([OTHER_TYPE], True, "/camera publishes sensor_msgs/msg/CompressedImage, not"),
        ([BEST_EFFORT], True, "incompatible quality of service: /driver offers best effort"),
        ([BEST_EFFORT], False, "config/fastdds.xml"),
        ([RELIABLE], True, "/camera is matched.*FASTDDS_DEFAULT_PROFILES_FILE.*config/fastdds.xml"),
    ],
)
def test_reason_for_silence(offers, reliable, words):
    reason = explain_silence(IMAGE, offers, reliable_requested=reliable, seconds=3.0)
    assert reason.startswith("no image for more than 3 s: ")
    assert re.search(words, reason)


def test_other_incompatible_policies_are_named():
    reason = explain_silence(
        IMAGE, [RELIABLE], reliable_requested=True, seconds=3.0,
        incompatible_policy="durability",
    )  # fmt: skip
    assert reason.startswith("no image for more than 3 s: incompatible")
    assert reason.endswith("/camera: durability")
