# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Calibrations that come beside the images, over DDS."""

from __future__ import annotations

import time

import pytest
from ros_graph import SIZE_WH, TARGET_BOX
from sensor_msgs.msg import CameraInfo
from visualization_msgs.msg import MarkerArray

from siammask_ros.ros.camera_info import SIZES_KEPT, CameraInfoSource, camera_info_topic


def values_of(status):
    return {entry.key: entry.value for entry in status.values}


def boxes_and_outline(client):
    """Of the image that is sent now: the boxes, and the outline of their only target."""
    boxes = client.process()

    def markers():
        return [array.markers for array in client.messages["markers"]
                if array.markers[0].header == boxes.header]  # fmt: skip

    client.wait(markers, "markers")
    (found,) = [marker for marker in markers()[0] if marker.ns == "outline"]
    assert found.header == boxes.header
    return boxes, [(point.x, point.y, point.z) for point in found.points]


def assert_seen(boxes, outline, focal_px):
    """A pinhole at the image's centre sees the outline where the box is."""
    (box,) = boxes.boxes
    assert outline[0] == outline[-1]
    for (x, y, z), corner in zip(outline[:4], box.corners, strict=True):
        assert focal_px * x / z + (SIZE_WH[0] - 1) / 2 == pytest.approx(corner.x, abs=1e-3)
        assert focal_px * y / z + (SIZE_WH[1] - 1) / 2 == pytest.approx(corner.y, abs=1e-3)
        assert z == 4.0


def test_markers_follow_the_calibration_beside_the_image(make_tracker, make_client):
    make_tracker("sight", marker_field_of_view=90, marker_distance=4)
    client = make_client("sight")
    client.listen(MarkerArray, "siammask_tracker/markers", "markers")
    publisher = client.node.create_publisher(CameraInfo, "camera_info", client.qos)
    client.wait(lambda: publisher.get_subscription_count() > 0, "the subscription")
    time.sleep(0.5)  # until the node knows the subscription of the markers
    client.process()
    assert client.set_targets(TARGET_BOX, ids=[1]).success
    client.process()

    def told(words):
        client.diagnostics("camera", lambda s: values_of(s)["camera_info"] == words)

    told("none on /sight/camera_info")
    width, height = SIZE_WH
    assert_seen(*boxes_and_outline(client), focal_px=width / 2)  # 90 degrees
    focal_px, centre_xy = 300.0, ((width - 1) / 2, (height - 1) / 2)
    info = CameraInfo(width=width, height=height, distortion_model="plumb_bob")
    info.k = [focal_px, 0.0, centre_xy[0], 0.0, focal_px, centre_xy[1], 0.0, 0.0, 1.0]
    publisher.publish(info)
    told("/sight/camera_info")
    assert_seen(*boxes_and_outline(client), focal_px=focal_px)
    info.d, info.distortion_model = [0.1, 0.0, 0.0, 0.0, 0.0], "curved"
    publisher.publish(info)
    told("not used: /sight/camera_info: distortion model 'curved' is not known")
    assert_seen(*boxes_and_outline(client), focal_px=width / 2)


def test_calibrations_of_several_cameras_and_of_another_size(make_tracker, make_client):
    make_tracker("sights", cameras=["left", "right"], camera_info="/sights/{camera}/calibration")
    client = make_client("sights", cameras=("left", "right"))
    info = CameraInfo(width=2 * SIZE_WH[0], height=SIZE_WH[1])
    publisher = client.node.create_publisher(CameraInfo, "right/calibration", client.qos)
    client.wait(lambda: publisher.get_subscription_count() > 0, "the subscription")
    publisher.publish(info)
    client.process(camera="right")
    words = "is of images of 320x120, these have 160x120"
    client.diagnostics("camera right", lambda s: words in values_of(s)["camera_info"])
    words = "none on /sights/left/calibration"
    client.diagnostics("camera left", lambda s: words == values_of(s)["camera_info"])


def test_calibration_can_be_left_alone(make_tracker, make_client):
    node = make_tracker("blind", camera_info="none")
    client = make_client("blind")
    words = "not read: parameter camera_info is none"
    client.diagnostics("camera", lambda s: values_of(s)["camera_info"] == words)
    kinds = [subscription.msg_type for subscription in node.subscriptions]
    assert CameraInfo not in kinds


class Subscriber:
    """A node whose only subscription is driven by hand."""

    def create_subscription(self, kind, topic, callback, qos):
        assert (kind, topic) == (CameraInfo, "/camera/camera_info")
        self.send = callback
        return self

    def destroy_subscription(self, subscription):
        del self.send


def calibration(width, height, focal_px):
    info = CameraInfo(width=width, height=height)
    info.k = [focal_px, 0.0, 0.0, 0.0, focal_px, 0.0, 0.0, 0.0, 1.0]
    info.p = [focal_px / 2, 0.0, 0.0, 0.0, 0.0, focal_px / 2, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    return info


def test_the_latest_calibration_of_the_image_s_size_counts():
    node = Subscriber()
    source = CameraInfoSource(node, "/camera/camera_info", "/camera/image_raw")
    guess = source.sight((640, 480), 90.0)
    assert guess.matrix[0, 0] == pytest.approx(320.0)
    node.send(calibration(640, 480, 100.0))
    node.send(calibration(640, 480, 200.0))
    node.send(calibration(320, 240, 50.0))
    assert source.sight((640, 480), 90.0).matrix[0, 0] == 200.0
    assert source.sight((320, 240), 90.0).matrix[0, 0] == 50.0
    assert source.explain((320, 240)) == "/camera/camera_info"
    assert source.explain((64, 48)) == (
        "not used: /camera/camera_info is of images of 320x240, these have 64x48"
    )
    node.send(calibration(640, 480, 0.0))
    assert source.sight((640, 480), 90.0).matrix[0, 0] == pytest.approx(320.0)
    assert "not calibrated" in source.explain((640, 480))
    for width in range(1, 100):  # a publisher that makes sizes up
        node.send(calibration(width, 480, 10.0))
    assert len(source._latest) == SIZES_KEPT
    source.destroy()
    source.destroy()


def test_rectified_images_are_known_by_their_name():
    node = Subscriber()
    source = CameraInfoSource(node, "/camera/camera_info", "/camera/image_rect")
    node.send(calibration(640, 480, 100.0))
    assert source.sight((640, 480), 90.0).matrix[0, 0] == 50.0
    assert source.explain((640, 480)) == "/camera/camera_info, rectified"


class Resolver:
    """Names as a node in namespace `/robot` resolves them."""

    def __init__(self, **remapped):
        self.remapped = remapped

    def resolve_topic_name(self, name, *, only_expand=False):
        known = {} if only_expand else self.remapped
        return known.get(name, name if name.startswith("/") else f"/robot/{name}")


@pytest.mark.parametrize(
    ("wish", "prefix", "remapped", "topic"),
    [
        ("auto", "", {}, "/camera/color/camera_info"),
        ("auto", "left/", {}, "/camera/color/camera_info"),
        ("auto", "", {"camera_info": "/elsewhere"}, "/elsewhere"),
        ("none", "", {}, ""),
        ("calibration", "", {}, "/robot/calibration"),
        ("/rig/{camera}/info", "left/", {}, "/rig/left/info"),
    ],
)
def test_where_the_calibration_is_read(wish, prefix, remapped, topic):
    node = Resolver(**remapped)
    assert camera_info_topic(node, wish, prefix, "/camera/color/image_raw") == topic
