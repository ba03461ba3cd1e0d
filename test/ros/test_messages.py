# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Results as messages."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from made_results import SIZE_WH, entry, found, lost
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_typestore
from std_msgs.msg import Header

from siammask_msgs.msg import RotatedBox as RotatedBoxMessage
from siammask_ros.bags.message_types import (
    EVENT_INFO,
    definitions,
    recorded_header,
    recorded_messages,
    register_message_types,
    result_typestore,
)
from siammask_ros.bags.topics import SourceHeader
from siammask_ros.engine import Timings
from siammask_ros.longterm import TargetResult
from siammask_ros.ros import messages
from siammask_ros.target_status import TargetStatus
from siammask_ros.tracked import label_image, mask_image, overlay_item

STAMP_NS = 1_700_000_000_123_456_789


def test_state_numbers_are_those_of_the_message():
    for status in TargetStatus:
        assert getattr(RotatedBoxMessage, status.name) == status.value


def test_box_of_a_tracked_target():
    message = messages.rotated_box(entry(5, found(), "dog"))
    assert (message.target_id, message.label, message.state) == (5, "dog", 1)
    assert (message.center_x, message.center_y) == (8.0, 8.5)
    assert (message.size_x, message.size_y, message.theta) == (8.0, 5.0, 0.0)
    assert message.mask_area == 40
    roi = message.roi
    assert (roi.x_offset, roi.y_offset, roi.width, roi.height) == (4, 6, 8, 5)
    assert not roi.do_rectify


def test_theta_is_clockwise_on_screen_and_the_corners_agree():
    """Turned by +30 degrees, the box's x axis points right and down (y grows downward)."""
    theta = math.pi / 6
    message = messages.rotated_box(entry(1, found(theta=theta)))
    corners = np.array([(corner.x, corner.y) for corner in message.corners])
    along_x = corners[1] - corners[0]
    along_y = corners[3] - corners[0]
    assert along_x == pytest.approx([8 * math.cos(theta), 8 * math.sin(theta)], abs=1e-4)
    assert along_x[1] > 0
    assert along_y == pytest.approx([-5 * math.sin(theta), 5 * math.cos(theta)], abs=1e-4)
    assert corners.mean(axis=0) == pytest.approx([message.center_x, message.center_y], abs=1e-4)
    assert message.theta == pytest.approx(theta)


def test_lost_target_has_no_box_but_its_age_and_confidence():
    message = messages.rotated_box(entry(7, lost(age=9), "dog"))
    assert (message.target_id, message.label, message.state, message.age) == (7, "dog", 3, 9)
    assert message.confidence == pytest.approx(0.25)
    lengths = [message.center_x, message.center_y, message.size_x, message.size_y, message.theta]
    lengths += [number for corner in message.corners for number in (corner.x, corner.y)]
    lengths += [message.roi.width, message.roi.height, message.mask_area]
    assert not any(lengths)


def test_no_message_carries_nan():
    result = TargetResult(TargetStatus.LOST, None, float("nan"), 0)
    assert messages.rotated_box(entry(1, result)).confidence == 0.0
    assert list(messages.confidence(Header(), [entry(1, result)]).confidences) == [0.0]


def test_empty_mask_has_an_empty_region():
    result = found()
    result.result.mask_in_roi[:] = False
    roi = messages.rotated_box(entry(1, result)).roi
    assert (roi.x_offset, roi.y_offset, roi.width, roi.height) == (0, 0, 0, 0)


def test_arrays_are_parallel_and_carry_the_header():
    header = Header(frame_id="left")
    entries = [entry(2, found()), entry(9, lost())]
    confidence = messages.confidence(header, entries)
    assert list(confidence.target_ids) == [2, 9]
    assert list(confidence.confidences) == [0.75, 0.25]
    assert list(confidence.states) == [1, 3]
    boxes = messages.rotated_box_array(header, entries, Timings(1.0, 2.0, 3.0), 4.0)
    assert boxes.header == confidence.header == header
    assert [box.target_id for box in boxes.boxes] == [2, 9]
    assert (boxes.queue_ms, boxes.decode_ms, boxes.inference_ms, boxes.publish_ms) == (1, 2, 3, 4)


def in_both(build):
    """Build a message of rclpy's classes and of the bag library's; both must read the same."""
    header = Header(frame_id="left", stamp=messages.ns_to_stamp(STAMP_NS))
    live = build(messages, header)
    recorded = build(recorded_messages(), recorded_header(SourceHeader(STAMP_NS, "left")))
    data = result_typestore().serialize_cdr(recorded, recorded.__msgtype__)
    # There and back, for numbers of 32 bits.
    live = deserialize_message(serialize_message(live), type(live))
    return live, deserialize_message(bytes(data), type(live))


@pytest.mark.parametrize("entries", [
    [],
    [entry(2, found(theta=0.5), "dog"), entry(9, lost()), entry(200, found(8, 8), "größer")],
])  # fmt: skip
def test_bag_and_node_say_the_same(entries):
    live, recorded = in_both(
        lambda build, header: build.rotated_box_array(header, entries, Timings(1.0, 2.0, 3.0), 4.0)
    )
    assert recorded == live
    live, recorded = in_both(lambda build, header: build.confidence(header, entries))
    assert recorded == live
    labels = label_image(entries, SIZE_WH)
    live, recorded = in_both(lambda build, header: build.image(labels, "mono8", header))
    assert recorded == live
    assert bytes(live.data) == labels.tobytes()
    assert (live.width, live.height, live.step) == (*SIZE_WH, SIZE_WH[0])


def test_registered_types_are_those_that_ros_compiled():
    """Type hashes (RIHS01) of the bag library's definitions against those that rosidl made."""
    share = next(
        (
            Path(prefix, "share/siammask_msgs")
            for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
            if Path(prefix, "share/siammask_msgs/msg").is_dir()
        ),
        None,
    )
    if share is None:
        pytest.skip("siammask_msgs is not on AMENT_PREFIX_PATH (make test sets it up)")
    described = [json.loads(path.read_text()) for path in share.glob("*/*.json")]
    if not described:
        pytest.skip("this ROS has no type hashes (before Iron)")
    compiled = {
        item["type_name"]: item["hash_string"] for file in described for item in file["type_hashes"]
    }
    store = get_typestore(Stores.LATEST)
    register_message_types(store)
    # The library takes the `char` of this message for a character; to rosidl it is a uint8.
    constants, fields = store.fielddefs[EVENT_INFO]
    bytes_16 = (Nodetype.ARRAY, ((Nodetype.BASE, ("uint8", 0)), 16))
    corrected = {**dict(fields), "client_gid": bytes_16}
    store.fielddefs[EVENT_INFO] = (constants, list(corrected.items()))
    assert len(definitions()) == 14
    for name in definitions():
        assert store.hash_rihs01(name) == compiled[name], name


def test_mask_and_label_image():
    entries = [entry(3, found()), entry(200, found(8, 8)), entry(9, lost())]
    labels = label_image(entries, SIZE_WH)
    expected = np.zeros((30, 40), dtype=np.uint8)
    expected[6:11, 4:12] = 3
    expected[8:13, 8:16] = 200
    assert np.array_equal(labels, expected)
    mask = mask_image(entries, SIZE_WH)
    assert np.array_equal(mask, np.where(expected, 255, 0))
    assert mask.dtype == labels.dtype == np.uint8


def test_overlay_item_follows_the_image_s_scale():
    item = overlay_item(entry(3, found(), "dog"), 0.5)
    assert item.corners == pytest.approx(found().result.corners * 0.5)
    assert item.mask.shape == item.mask_roi[:1:-1]
    assert overlay_item(entry(3, lost()), 0.5).mask is None


def test_stamps_keep_every_nanosecond():
    assert messages.stamp_to_ns(messages.ns_to_stamp(STAMP_NS)) == STAMP_NS
