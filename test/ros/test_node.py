# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node as its users see it: topics, services, parameters and diagnostics, over DDS."""

from __future__ import annotations

import importlib
import re
import time

import cv2
import numpy as np
import pytest
import rclpy
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from ros_graph import FIRST_STAMP_NS, SIZE_WH, TARGET_BOX, in_its_thread, picture
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from siammask_msgs.msg import RotatedBox, TargetBox
from siammask_msgs.srv import ClearTargets, SetTargets
from siammask_ros.ros import introspection
from siammask_ros.ros.foxglove import foxglove_messages
from siammask_ros.ros.images import encode_image
from siammask_ros.ros.messages import ns_to_stamp, stamp_to_ns


@pytest.fixture(scope="module")
def node(make_tracker):
    return make_tracker("one")


@pytest.fixture(scope="module")
def client(node, make_client):
    return make_client("one")


@pytest.fixture
def tracking(client):
    """A client whose node follows target 1 and nothing else."""
    client.process()
    assert client.set_targets(TARGET_BOX, ids=[1], replace=True).success
    client.process()
    return client


def set_parameters(client, node, **values):
    service = client.node.create_client(
        SetParametersAtomically, f"{node.get_fully_qualified_name()}/set_parameters_atomically"
    )
    parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
    result = client.call(service, SetParametersAtomically.Request(parameters=parameters)).result
    client.node.destroy_client(service)
    return result


def test_before_the_first_image(client):
    response = client.set_targets(TARGET_BOX)
    assert not response.success
    assert "no image has arrived yet" in response.message
    assert len(response.target_ids) == 0


def test_frames_without_targets_are_answered(client):
    boxes = client.process()
    assert list(boxes.boxes) == []
    assert boxes.header.frame_id == "camera_optical"


def test_frames_that_wait_count_with_their_data(node, client):
    stamp_ns = stamp_to_ns(client.process().header.stamp)
    held = node._engine._cameras[""].buffer.find(stamp_ns)
    assert held.data_bytes == SIZE_WH[0] * SIZE_WH[1] * 3


def test_target_is_reported_with_the_image_s_header(tracking):
    boxes = tracking.process()
    assert [box.target_id for box in boxes.boxes] == [1]
    box = boxes.boxes[0]
    assert box.label == "box 1"
    assert box.state == RotatedBox.TRACKING
    assert 0 <= box.confidence <= 1
    assert box.size_x > 0
    assert boxes.inference_ms > 0
    confidence = tracking.received("confidence", stamp_to_ns(boxes.header.stamp))
    assert confidence.header == boxes.header
    assert list(confidence.target_ids) == [1]
    assert list(confidence.confidences) == [box.confidence]
    assert list(confidence.states) == [RotatedBox.TRACKING]


def test_image_outputs_match_the_input(tracking):
    for name in ("mask", "label_image", "overlay"):
        tracking.listen(Image, f"siammask_tracker/{name}", name)
    tracking.listen(MarkerArray, "siammask_tracker/markers", "markers")
    time.sleep(0.5)  # until the publishers know the subscriptions
    second = tracking.set_targets((90.0, 50.0, 40.0, 40.0), ids=[200])
    assert second.success
    boxes = tracking.process()
    stamp_ns = stamp_to_ns(boxes.header.stamp)
    received = {name: tracking.received(name, stamp_ns) for name in ("mask", "label_image")}
    for message in received.values():
        assert (message.width, message.height, message.step) == (*SIZE_WH, SIZE_WH[0])
        assert message.encoding == "mono8"
        assert message.header == boxes.header
    mask = np.frombuffer(received["mask"].data, np.uint8)
    labels = np.frombuffer(received["label_image"].data, np.uint8)
    assert set(np.unique(mask)) <= {0, 255}
    assert set(np.unique(labels)) <= {0, 1, 200}
    assert np.array_equal(mask > 0, labels > 0)
    areas = {box.target_id: box.mask_area for box in boxes.boxes}
    assert np.count_nonzero(labels == 200) == areas[200]
    overlay = tracking.received("overlay", stamp_ns)
    assert (overlay.width, overlay.height, overlay.encoding) == (*SIZE_WH, "bgr8")
    drawn = np.frombuffer(overlay.data, np.uint8).reshape(SIZE_WH[1], SIZE_WH[0], 3)
    assert not np.array_equal(drawn, picture(stamp_ns // 40_000_000))
    tracking.wait(lambda: tracking.messages["markers"], "markers")
    markers = tracking.messages["markers"][-1].markers
    assert {marker.id for marker in markers[1:]} == {1, 200}
    assert markers[1].header == boxes.header


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((500.0, 20.0, 30.0, 30.0), "outside the image"),
        ((10.0, 10.0, 0.0, 0.0), "empty or inverted"),
        ((50.0, 50.0, -20.0, -20.0), "inverted: width -20, height -20"),
        ((float("nan"), 10.0, 30.0, 30.0), "nan"),
        ((10.0, 10.0, float("inf"), 30.0), "inf"),
        ((10.0, 10.0, 3.0, 30.0), "too small: 3x30"),
        ((0.0, 0.0, 1000.0, 1000.0), "larger than the image: 1000x1000"),
    ],
)
def test_bad_boxes_are_refused(tracking, box, words):
    response = tracking.set_targets((60.0, 40.0, 30.0, 30.0), box, ids=[1, 2])
    assert not response.success
    assert words in response.message
    assert [b.target_id for b in tracking.process().boxes] == [1]


def test_stamps_that_are_not_held_are_refused_with_the_range(tracking):
    newest = tracking.stamp_ns
    for stamp_ns, word in ((FIRST_STAMP_NS // 2, "no longer held"), (newest * 2, "in the future")):
        response = tracking.set_targets(TARGET_BOX, stamp_ns=stamp_ns)
        assert not response.success
        assert word in response.message
        assert f"{newest // 10**9}." in response.message


def test_unknown_camera_and_unknown_target(tracking):
    response = tracking.set_targets(TARGET_BOX, camera="rear")
    assert "no camera 'rear'" in response.message
    response = tracking.clear_targets(1, 77)
    assert not response.success
    assert "no target 77, targets are: 1" in response.message
    assert [box.target_id for box in tracking.process().boxes] == [1]


def test_ids_out_of_range_and_too_many_targets(tracking):
    response = tracking.set_targets(TARGET_BOX, ids=[300])
    assert not response.success
    assert "id 300 is out of range" in response.message
    response = tracking.set_targets(*[TARGET_BOX] * 256, replace=True)
    assert not response.success
    assert "256 new targets are too many" in response.message
    assert [box.target_id for box in tracking.process().boxes] == [1]


def test_target_set_on_an_older_image(tracking):
    stamps = [stamp_to_ns(tracking.process().header.stamp) for _ in range(4)]
    response = tracking.set_targets(TARGET_BOX, stamp_ns=stamps[1])
    assert response.success
    assert stamp_to_ns(response.stamp) == stamps[1]
    assert list(response.target_ids) == [2]
    tracking.process()
    assert [box.target_id for box in tracking.process().boxes] == [1, 2]
    assert tracking.clear_targets().success
    assert list(tracking.process().boxes) == []


def test_a_hundred_calls_at_once_are_all_answered(tracking):
    requests = [SetTargets.Request() for _ in range(100)]
    for number, request in enumerate(requests):
        request.camera = "" if number % 2 else "nowhere"
        request.targets = [tracking_box(number)]
    futures = [tracking.set_service.call_async(request) for request in requests]
    for number in range(20):
        tracking.send()
        if number % 5 == 0:
            time.sleep(0.02)
    tracking.wait(lambda: all(future.done() for future in futures), "100 answers")
    answers = [future.result().success for future in futures]
    assert answers == [bool(number % 2) for number in range(100)]
    tracking.process()
    assert tracking.clear_targets().success


def tracking_box(number):
    return TargetBox(id=1 + number % 3, x=40.0, y=30.0, width=40.0, height=40.0)


def broken(**changes):
    message = encode_image(picture(0), "bgr8", Header(frame_id="camera_optical"))
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def float_image():
    depth = np.full((4, 6), np.nan, dtype=np.float32)
    message = encode_image(depth.view(np.uint8), "32FC1", Header())
    message.width = 6
    return message


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (Image(encoding="bgr8"), "the image is empty: 0x0"),
        (broken(step=7), "step 7 is too short"),
        (broken(height=500), "data is too short"),
        (broken(encoding="jpeg2"), "encoding 'jpeg2' is not supported"),
        (float_image(), "encoding '32FC1' is not supported"),
    ],
)
def test_unusable_images_are_named_and_the_next_one_is_processed(tracking, message, words):
    tracking.send(message=message)
    status = tracking.diagnostics("camera", lambda status: words in status.message)
    assert status.level == b"\x01"
    assert [box.target_id for box in tracking.process().boxes] == [1]
    tracking.diagnostics("camera", lambda status: status.level == b"\x00")


def test_sixteen_bit_and_other_encodings_are_processed(tracking):
    gray = np.full((SIZE_WH[1], SIZE_WH[0]), 40000, dtype=np.uint16)
    message = encode_image(gray.view(np.uint8), "mono16", Header())
    message.width = SIZE_WH[0]
    assert len(tracking.received("boxes", tracking.send(message=message)).boxes) == 1


def test_resolution_may_change_in_mid_stream(tracking):
    for size_wh in ((320, 200), (64, 48), SIZE_WH):
        boxes = tracking.process(cv2.resize(picture(0), size_wh))
        assert [box.target_id for box in boxes.boxes] == [1]
        roi = boxes.boxes[0].roi
        assert roi.x_offset + roi.width <= size_wh[0]
        assert roi.y_offset + roi.height <= size_wh[1]


def test_time_that_jumps_back_is_survived(tracking):
    later = tracking.stamp_ns
    tracking.stamp_ns = FIRST_STAMP_NS // 3
    assert [box.target_id for box in tracking.process().boxes] == [1]
    response = tracking.set_targets(TARGET_BOX, stamp_ns=later)
    assert not response.success
    assert "in the future" in response.message
    status = tracking.diagnostics("camera")
    assert int({v.key: v.value for v in status.values}["time_jumps"]) >= 1
    tracking.stamp_ns = later


def test_parameters_change_live_or_not_at_all(tracking, node):
    assert set_parameters(tracking, node, overlay_scale=0.5, mask_threshold=0.9).successful
    assert node.settings.overlay_scale == 0.5
    assert node._engine.tracker.tracker.config.mask_threshold == 0.9
    result = set_parameters(tracking, node, overlay_scale=1.0, lost_below=0.99)
    assert not result.successful
    assert "lost_below" in result.reason
    assert node.settings.overlay_scale == 0.5
    result = set_parameters(tracking, node, weights="other.pth")
    assert "weights can only be changed while the node is unconfigured" in result.reason
    result = set_parameters(tracking, node, autostart=True)
    assert "read-only" in result.reason
    result = set_parameters(tracking, node, overlay_scale=70.0)
    assert "70" in result.reason
    assert set_parameters(tracking, node, overlay_scale=1.0, mask_threshold=-1.0).successful
    assert len(tracking.process().boxes) == 1


@pytest.mark.parametrize(
    "values",
    [
        {"preset": "vot", "window_influence": 0.3, "box_fit": "min_max"},
        {"masks": "none", "mask_threshold": 0.2},
        {"publish_mask": False, "publish_overlay": False, "overlay_scale": 0.25},
        {"buffer_frames": 3, "buffer_seconds": 2.0, "buffer_megabytes": 5, "queue_size": 2},
        {"max_targets": 2, "catch_up_steps": 5, "searches_per_frame": 2},
        {"detections_policy": "best_class", "detections_class": "cup", "detections_iou": 0.3},
        {"uncertain_below": 0.7, "certain_above": 0.8},  # only together
    ],
)
def test_what_changes_while_it_runs(tracking, node, values):
    before = {name: getattr(node.settings, name) for name in values}
    assert set_parameters(tracking, node, **values).successful
    assert {name: getattr(node.settings, name) for name in values} == values
    assert len(tracking.process().boxes) == 1
    engine = node._engine
    assert engine.options == node.settings.engine_options
    assert engine.tracker.config == node.settings.longterm_config
    assert engine.tracker.tracker.config == node.settings.tracker_config("compact")
    assert set_parameters(tracking, node, **before).successful
    assert len(tracking.process().boxes) == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"max_targets": 300}, "max_targets"),
        ({"max_targets": 0}, "max_targets"),
        ({"detections_policy": "best_class"}, "best_class needs a detections_class"),
        ({"detections_policy": "best"}, "one of manual, first, best_class, all, got 'best'"),
        ({"detections_type": "vision_msgs"}, "only be changed while the node is unconfigured"),
        ({"preset": "davs"}, "preset must be one of"),
        ({"mask_threshold": 1.0}, "mask_threshold must be in .0, 1., got 1.0"),
        ({"overlay_scale": float("nan")}, "nan"),
        ({"overlay_scale": "half"}, "overlay_scale must be a number, got .half."),
        ({"certain_above": 0.1, "uncertain_below": 0.3}, "must hold"),
        ({"max_targets": 1.5}, "max_targets must be a whole number, got 1.5"),
        ({"publish_mask": 1}, "publish_mask must be true or false, got 1"),
        ({"detections_class": 7}, "detections_class must be text, got 7"),
        ({"overlay_scale": None}, "overlay_scale must be a number, got None"),
        ({"mask_threshold": -0.5}, "mask_threshold must be 0 or more, or -1 .* got -0.5"),
        ({"service_introspection": "off"}, "one of disabled, metadata, contents, got 'off'"),
        ({"service_introspection": False}, "service_introspection must be text, got False"),
        ({"camera_info": "none"}, "only be changed while the node is unconfigured"),
        ({"marker_lifetime": 0}, "marker_lifetime .* 0.1, .* 0.0"),
    ],
)
def test_a_change_that_is_refused_says_why_and_changes_nothing(tracking, node, values, words):
    before = node.settings
    tracker = node._engine.tracker
    result = set_parameters(tracking, node, publish_markers=False, **values)
    assert not result.successful
    assert re.search(words, result.reason)
    assert node.settings == before
    assert node._engine.tracker is tracker
    assert node.get_parameter("publish_markers").value is True
    for name in values:
        assert node.describe_parameter(name).type == node.get_parameter(name).type_.value


def test_a_whole_number_will_do_for_a_number(tracking, node):
    assert set_parameters(tracking, node, marker_distance=2, change_penalty=0).successful
    assert node.settings.marker_distance == 2.0
    assert node.get_parameter("marker_distance").value == 2.0
    assert isinstance(node.get_parameter("marker_distance").value, float)
    assert set_parameters(tracking, node, marker_distance=1.0, change_penalty=-1.0).successful


def test_a_preset_that_does_not_go_with_the_network_is_refused(tracking, node, monkeypatch):
    def warm_up(tracker):
        raise RuntimeError("sizes do not match")

    monkeypatch.setattr("siammask_ros.ros.node.warm_up", warm_up)
    result = set_parameters(tracking, node, preset="vot", overlay_scale=0.5)
    assert result.reason == (
        "preset vot with masks auto does not go with compact: sizes do not match"
    )
    assert (node.settings.preset, node.settings.overlay_scale) == ("auto", 1.0)


def test_annotations_for_foxglove(tracking, node):
    messages = foxglove_messages()
    if messages is None:
        pytest.skip("foxglove_msgs is not installed here")
    tracking.listen(messages.ImageAnnotations, "siammask_tracker/annotations", "annotations")
    time.sleep(0.5)  # until the publisher knows the subscription
    boxes = tracking.process()
    found = tracking.messages["annotations"]
    tracking.wait(lambda: found and found[-1].timestamp == boxes.header.stamp, "annotations")
    (line,), (text,) = found[-1].points, found[-1].texts
    corners = [(corner.x + 0.5, corner.y + 0.5) for corner in boxes.boxes[0].corners]
    assert [(p.x, p.y) for p in line.points] == [pytest.approx(xy, abs=1e-3) for xy in corners]
    assert text.text == f"#1 box 1 {boxes.boxes[0].confidence:.2f}"


def test_calls_can_be_recorded(tracking, node):
    if introspection.ServiceIntrospectionState is None:
        pytest.skip("this ROS 2 does not publish calls of services")
    kinds_of_event = importlib.import_module("service_msgs.msg").ServiceEventInfo
    kinds = {"set_targets": SetTargets, "clear_targets": ClearTargets}
    for name, kind in kinds.items():
        tracking.listen(kind.Event, f"siammask_tracker/{name}/_service_event", name)

    def events(name, change):
        """What is heard of a call after a change of the parameter."""
        assert set_parameters(tracking, node, service_introspection=change).successful
        if change != "disabled":
            topic = f"/one/siammask_tracker/{name}/_service_event"
            tracking.wait(lambda: tracking.node.count_publishers(topic) > 0, "the publisher")
            time.sleep(0.3)  # until it knows the subscription
        tracking.messages[name].clear()
        call = {"set_targets": lambda: tracking.set_targets(TARGET_BOX, ids=[1]),
                "clear_targets": lambda: tracking.clear_targets(1)}[name]  # fmt: skip
        assert call().success
        if change != "disabled":
            tracking.wait(lambda: len(tracking.messages[name]) == 2, "two events")
        time.sleep(0.2)
        return tracking.messages[name]

    asked, answered = events("set_targets", "contents")
    assert (asked.info.event_type, answered.info.event_type) == (
        kinds_of_event.REQUEST_RECEIVED, kinds_of_event.RESPONSE_SENT,
    )  # fmt: skip
    (request,), (response,) = asked.request, answered.response
    (target,) = request.targets
    assert (target.id, target.x, target.y, target.width, target.height) == (1, *TARGET_BOX)
    assert list(response.target_ids) == [1]
    assert response.stamp.sec > 0  # of the image, for who replays it
    asked, _ = events("clear_targets", "metadata")
    assert list(asked.request) == []
    assert asked.info.event_type == kinds_of_event.REQUEST_RECEIVED
    assert events("set_targets", "disabled") == []


def test_diagnostics_give_rate_and_latency(tracking):
    for _ in range(5):
        tracking.process()
    status = tracking.diagnostics("camera", lambda status: "frames/s" in status.message)
    values = {entry.key: entry.value for entry in status.values}
    assert values["topic"] == "/one/image"
    assert status.hardware_id == "cpu"
    for key in ("rate_hz", "queue_ms", "decode_ms", "inference_ms", "publish_ms", "latency_ms"):
        assert float(values[key]) >= 0
    assert int(values["processed"]) <= int(values["received"])
    assert tracking.diagnostics("node").message == "active on cpu"


def test_several_cameras(make_tracker, make_client):
    make_tracker("two", cameras=["left", "right"], use_sim_time=True)  # and no clock
    client = make_client("two", cameras=("left", "right"))
    client.process(camera="left")
    assert "no camera ''" in client.set_targets(TARGET_BOX).message
    assert client.set_targets(TARGET_BOX, camera="left", ids=[9]).success
    assert "no image" in client.set_targets(TARGET_BOX, camera="right").message
    client.process(camera="right")
    assert client.set_targets(TARGET_BOX, camera="right").success
    client.process(camera="left")
    assert [box.target_id for box in client.process(camera="left").boxes] == [9]
    client.process(camera="right")
    assert [box.target_id for box in client.process(camera="right").boxes] == [1]


def test_every_frame_in_order_from_compressed_images(make_tracker, make_client):
    make_tracker("three", processing="every_frame", image_transport="compressed")
    client = make_client("three")
    publisher = client.node.create_publisher(CompressedImage, "image/compressed", client.qos)
    client.wait(lambda: publisher.get_subscription_count() > 0, "the subscription")
    data = cv2.imencode(".jpg", picture(0))[1].tobytes()
    stamps = []
    for number in range(12):
        message = CompressedImage(format="jpeg")
        message.data.frombytes(data if number != 5 else b"no jpeg")
        message.header.stamp = ns_to_stamp(FIRST_STAMP_NS + number * 1000)
        publisher.publish(message)
        stamps.append(FIRST_STAMP_NS + number * 1000)
    client.received("boxes", stamps[-1])
    del stamps[5]
    assert [stamp_to_ns(m.header.stamp) for m in client.messages["boxes"]] == stamps


def test_best_effort_cameras_are_heard(make_tracker, make_client):
    make_tracker("four")
    client = make_client("four", reliable=False)
    assert list(client.process().boxes) == []


def test_silence_is_explained(make_tracker, make_client):
    make_tracker("five", silence_seconds=0.5)
    client = make_client("six")

    def camera(words):
        return client.diagnostics(
            "camera",
            lambda status: (
                words in status.message
                and any(entry.value == "/five/image" for entry in status.values)
            ),
        )

    assert camera("nobody publishes it").level == b"\x01"
    other = rclpy.Context()
    other.init()
    driver = rclpy.create_node("driver", context=other)
    driver.create_publisher(CompressedImage, "/five/image", 5)
    camera("/driver publishes sensor_msgs/msg/CompressedImage, not sensor_msgs/msg/Image")
    driver.destroy_node()
    publisher = client.node.create_publisher(Image, "/five/image", 5)
    camera("config/fastdds.xml")
    client.node.destroy_publisher(publisher)
    other.shutdown()


def test_quality_of_service_that_does_not_fit_is_explained(make_tracker, make_client):
    make_tracker("seven", silence_seconds=0.5, qos_reliability="reliable")
    client = make_client("seven", reliable=False)
    status = client.diagnostics("camera", lambda s: "/seven/client offers best effort" in s.message)
    assert "incompatible quality of service" in status.message


def test_without_foxglove_msgs_there_are_no_annotations(make_tracker, monkeypatch, capfd):
    for module in ("node", "outputs"):
        monkeypatch.setattr(f"siammask_ros.ros.{module}.foxglove_messages", lambda: None)
    node = make_tracker("plain", cameras=["left", "right"])
    topics = [publisher.topic_name for publisher in node.publishers]
    assert "/plain/siammask_tracker/left/markers" in topics
    assert not [topic for topic in topics if "annotations" in topic]
    assert capfd.readouterr().err.count("foxglove_msgs is not installed: no ~/annotations") == 1


def test_introspection_that_ros_does_not_offer_is_refused(make_tracker, monkeypatch):
    monkeypatch.setattr(introspection, "ServiceIntrospectionState", None)
    node = make_tracker("old", active=False, service_introspection="contents")
    in_its_thread(node, node.trigger_configure)
    assert "service_introspection is contents, which this ROS 2 does not offer" in node.fault
    in_its_thread(node, node.set_parameters, [Parameter("service_introspection", value="disabled")])
    assert in_its_thread(node, node.trigger_configure) == TransitionCallbackReturn.SUCCESS
