# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node target_localizer over DDS: boxes, masks and depth in, targets in space out."""

from __future__ import annotations

import math
import sys
import time
from collections import defaultdict

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rendered_depth import Board, World, angle_between, spoiled
from ros_graph import Spinner, in_its_thread, wait_until
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from siammask_msgs.msg import RotatedBox, RotatedBoxArray, TargetPose, TargetPoseArray
from siammask_ros.localization.clouds import read_points
from siammask_ros.localization.space import camera_on_base
from siammask_ros.ros.images import encode_image
from siammask_ros.ros.localizer import TargetLocalizerNode
from siammask_ros.ros.localizer_messages import point_cloud
from siammask_ros.ros.messages import ns_to_stamp, stamp_to_ns
from siammask_ros.ros.run_node import start

FRAME = "camera_optical"
PERIOD_NS = 40_000_000
TARGET = Board(1, ahead=3.0, left=0.3, bottom=0.0, width=0.6, height=1.4)
WORLD = World((TARGET,), height=1.0)
TYPES = {
    "rotated_boxes": RotatedBoxArray, "label_image": Image, "depth/image": Image,
    "points": PointCloud2, "camera_info": CameraInfo, "depth/camera_info": CameraInfo,
    "odometry": Odometry,
}  # fmt: skip


def depth_message(depth, header):
    """A float32 or uint16 array as an image."""
    message = Image(header=header, height=depth.shape[0], width=depth.shape[1],
                    encoding={"f": "32FC1", "u": "16UC1"}[depth.dtype.kind],
                    step=depth.strides[0])  # fmt: skip
    message.data.frombytes(depth.tobytes())
    return message


def info_of(world):
    plain = world.camera_info()
    info = CameraInfo(width=plain.width, height=plain.height, distortion_model="plumb_bob")
    info.k, info.p = plain.k, plain.p
    return info


class Robot:
    """A tracker, a depth camera and a consumer, in a node of their own."""

    def __init__(self, namespace):
        self.node = rclpy.create_node("robot", namespace=namespace)
        self.stamp_ns = 1_000_000_000_000
        self.node_name = f"/{namespace}/target_localizer"
        self.messages = defaultdict(list)
        self.publishers = {}
        self.listen(TargetPoseArray, "target_localizer/targets", "targets")
        self.listen(DiagnosticArray, "/diagnostics", "diagnostics")
        self.spinner = Spinner(self.node)

    def listen(self, kind, topic, key):
        self.node.create_subscription(kind, topic, self.messages[key].append, QoSProfile(depth=200))

    def close(self):
        self.spinner.close()

    wait = staticmethod(wait_until)

    def say(self, topic, message):
        if topic not in self.publishers:
            publisher = self.node.create_publisher(TYPES[topic], topic, QoSProfile(depth=50))
            self.publishers[topic] = publisher
        publisher = self.publishers[topic]
        self.wait(lambda: publisher.get_subscription_count() > 0, f"a reader of {topic}")
        publisher.publish(message)

    def header(self, offset_ns=0, frame=FRAME):
        return Header(stamp=ns_to_stamp(self.stamp_ns + offset_ns), frame_id=frame)

    def boxes(self, *targets):
        """(id, state) of each target."""
        boxes = [
            RotatedBox(target_id=target_id, state=state, label=f"box {target_id}", confidence=0.75)
            for target_id, state in targets or ((1, RotatedBox.TRACKING),)
        ]
        return RotatedBoxArray(header=self.header(), boxes=boxes)

    def send(self, world=WORLD, *targets, depth=None, labels=True, offset_ns=0):
        """One image: labels, depth and boxes; waits for its targets."""
        self.stamp_ns += PERIOD_NS
        true_depth, true_labels = world.render()
        if depth is None:
            depth = true_depth.astype(np.float32)
        if labels:
            self.say("label_image", encode_image(true_labels, "mono8", self.header()))
        if depth is not False:
            self.say("depth/image", depth_message(depth, self.header(offset_ns)))
        self.say("rotated_boxes", self.boxes(*targets))
        return self.targets()

    def targets(self):
        """The array of the present stamp."""
        return self.received("targets", self.stamp_ns)

    def received(self, key, stamp_ns):
        def matching():
            return [m for m in self.messages[key] if stamp_to_ns(m.header.stamp) == stamp_ns]

        self.wait(matching, f"{key} of {stamp_ns}")
        return matching()[-1]

    def diagnosed(self, name, condition=lambda status: True):
        begin = len(self.messages["diagnostics"])

        def matching():
            return [
                status
                for message in self.messages["diagnostics"][begin:]
                for status in message.status
                if (status.name, status.hardware_id)
                == (f"target_localizer: {name}", self.node_name)
                and condition(status)
            ]

        self.wait(matching, f"diagnostics of {name}")
        return matching()[-1]


@pytest.fixture(scope="module")
def make(request):
    """A node under test and its robot, in a namespace."""
    things = []

    def build(namespace, *, active=True, calibrated=True, **parameters):
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        node = TargetLocalizerNode(namespace=namespace, parameter_overrides=overrides)
        if active:
            start(node)
        spinner = Spinner(node)
        robot = Robot(namespace)
        things.extend([spinner, robot])
        if active and calibrated:
            robot.say("camera_info", info_of(WORLD))
        return node, robot

    yield build
    for thing in things:
        thing.close()


def place_of(pose):
    point = pose.pose.pose.position
    return np.array([point.x, point.y, point.z])


def test_a_target_in_depth(make):
    _, robot = make("depth")
    for topic, kind in (("pose", PoseStamped), ("pose_with_covariance", PoseWithCovarianceStamped),
                        ("points", PointCloud2)):  # fmt: skip
        robot.listen(kind, f"target_localizer/target_1/{topic}", topic)
    robot.listen(MarkerArray, "target_localizer/markers", "markers")
    draw = np.random.default_rng(4)
    depth, _ = WORLD.render()
    true = WORLD.in_camera(TARGET.middle)
    robot.send(depth=spoiled(depth, draw))  # the topics of the target are offered from now on
    time.sleep(1.0)
    found = robot.send(depth=spoiled(depth, draw))
    assert (found.header.frame_id, found.camera_frame) == (FRAME, FRAME)
    (pose,) = found.targets
    assert (pose.target_id, pose.label, pose.state) == (1, "box 1", RotatedBox.TRACKING)
    assert (pose.source, pose.age) == (TargetPose.DEPTH, 0.0)
    assert pose.confidence == 0.75
    assert pose.samples > 1000
    assert place_of(pose)[2] == pytest.approx(true[2], rel=0.03)
    assert angle_between(place_of(pose), true) < 0.5
    bearing = (pose.bearing.x, pose.bearing.y, pose.bearing.z)
    assert angle_between(bearing, true) < 0.5
    assert np.linalg.norm(bearing) == pytest.approx(1.0)
    covariance = np.reshape(pose.pose.covariance, (6, 6))
    assert np.linalg.eigvalsh(covariance).min() > 0
    assert not np.reshape(pose.velocity.covariance, (6, 6))[3:].any()
    # The same on the topics of the target, with the stamp and frame of the image.
    stamped = robot.received("pose", robot.stamp_ns)
    assert (stamped.header, stamped.pose) == (found.header, pose.pose.pose)
    assert robot.received("pose_with_covariance", robot.stamp_ns).pose == pose.pose
    points = read_points(robot.received("points", robot.stamp_ns))
    assert points.shape == (1, pose.samples, 3)
    assert np.median(points[0, :, 2]) == pytest.approx(3.0, rel=0.01)
    markers = robot.messages["markers"][-1].markers
    kinds = {marker.ns: marker for marker in markers[1:]}
    assert markers[0].action == Marker.DELETEALL
    assert kinds["position"].pose.position == pose.pose.pose.position
    assert kinds["label"].text == f"1 box 1 {np.linalg.norm(place_of(pose)):.2f} m"
    status = robot.diagnosed("target 1")
    values = {entry.key: entry.value for entry in status.values}
    assert values["source"] == "DEPTH"
    assert 0.1 < float(values["holes"]) < 0.3


def test_a_lost_target_has_no_pose(make):
    _, robot = make("lost")
    robot.listen(PoseStamped, "target_localizer/target_1/pose", "pose")
    robot.send()
    time.sleep(0.5)
    robot.send()
    robot.received("pose", robot.stamp_ns)
    for state in (RotatedBox.LOST, RotatedBox.INITIALIZING):
        (pose,) = robot.send(WORLD, (1, state), labels=False, depth=False).targets
        assert (pose.source, pose.state) == (TargetPose.NONE, state)
        assert pose.pose == TargetPose().pose
        assert pose.velocity == TargetPose().velocity
        assert pose.bearing == TargetPose().bearing
        lost_ns = robot.stamp_ns
    robot.diagnosed("target 1", lambda s: s.message == "no position: it is INITIALIZING")
    assert lost_ns not in [stamp_to_ns(m.header.stamp) for m in robot.messages["pose"]]
    (pose,) = robot.send().targets
    assert pose.source == TargetPose.DEPTH


def test_whatever_comes_last_is_waited_for(make):
    node, robot = make("order", wait_seconds=10.0)
    depth, labels = WORLD.render()
    parts = {
        "label_image": lambda: encode_image(labels, "mono8", robot.header()),
        "depth/image": lambda: depth_message(depth.astype("f4"), robot.header(15_000_000)),
        "rotated_boxes": robot.boxes,
    }
    for last in parts:
        robot.stamp_ns += PERIOD_NS
        for topic in sorted(parts, key=lambda topic: topic == last):
            robot.say(topic, parts[topic]())
        assert robot.targets().targets[0].source == TargetPose.DEPTH
    assert not node._inputs.matcher.is_waiting


def test_depth_that_is_missing_or_in_another_frame_is_said(make):
    _, robot = make("missing", prediction_seconds=0.0)
    (pose,) = robot.send(depth=False).targets
    assert pose.source == TargetPose.BEARING
    assert pose.bearing.z > 0.5
    words = "no position: no depth within 0.02 s of the image on /missing/depth/image, and none"
    assert robot.diagnosed("target 1").message.startswith(words)
    (pose,) = robot.send(offset_ns=-30_000_000).targets
    assert pose.source == TargetPose.BEARING
    robot.stamp_ns += PERIOD_NS
    depth, labels = WORLD.render()
    robot.say("label_image", encode_image(labels, "mono8", robot.header()))
    robot.say("depth/image", depth_message(depth.astype("f4"), robot.header(frame="infrared")))
    robot.say("rotated_boxes", robot.boxes())
    assert robot.targets().targets[0].source == TargetPose.BEARING
    words = "depth is in frame 'infrared', the image in 'camera_optical': register it"
    assert words in robot.diagnosed("target 1").message
    values = {v.key: v.value for v in robot.diagnosed("inputs").values}
    assert (values["images"], values["without_depth"], values["without_mask"]) == ("3", "2", "0")


def test_without_a_calibration_it_says_so_unless_it_may_guess(make):
    node, robot = make("uncalibrated", calibrated=False, prediction_seconds=0.0)
    (pose,) = robot.send().targets
    assert pose.source == TargetPose.NONE
    words = "no position: no CameraInfo has come on /uncalibrated/camera_info"
    robot.diagnosed("target 1", lambda s: s.message == words)
    field_of_view = 2 * math.degrees(math.atan(160 / 275))
    done = in_its_thread(
        node, node.set_parameters, [Parameter("field_of_view", value=field_of_view)]
    )
    assert done[0].successful, done
    (pose,) = robot.send().targets
    assert pose.source == TargetPose.DEPTH
    assert place_of(pose)[2] == pytest.approx(3.0, rel=0.01)


def test_millimetres_of_another_size_and_camera(make):
    """A depth image with its own calibration, which sees the same in other pixels."""
    other = World(
        (TARGET,), height=1.0, size_wh=(212, 120), focal_px=130.0, center_xy=(105.0, 60.0)
    )
    _, robot = make("other")
    depth, _ = other.render()
    millimetres = np.where(depth < 60, depth * 1000, 0).astype(np.uint16)
    (pose,) = robot.send(depth=millimetres).targets
    assert pose.source == TargetPose.BEARING  # the shapes differ
    words = "depth of 212x120 is not of the shape of the image, 320x240"
    assert words in robot.diagnosed("target 1").message
    robot.say("depth/camera_info", info_of(other))
    (pose,) = robot.send(depth=millimetres).targets
    assert pose.source == TargetPose.DEPTH
    assert place_of(pose) == pytest.approx(WORLD.in_camera(TARGET.middle), abs=0.05)


def test_point_clouds(make):
    _, robot = make("cloud", depth_source="points")
    depth, labels = WORLD.render()
    columns, rows = np.meshgrid(np.arange(320), np.arange(240))
    points = np.stack([(columns - 158) / 275 * depth, (rows - 121) / 275 * depth, depth], axis=-1)
    robot.stamp_ns += PERIOD_NS
    robot.say("label_image", encode_image(labels, "mono8", robot.header()))
    robot.say("points", point_cloud(robot.header(), points.reshape(-1, 3)[::5]))
    robot.say("rotated_boxes", robot.boxes())
    (pose,) = robot.targets().targets
    assert pose.source == TargetPose.POINTS
    assert place_of(pose) == pytest.approx(WORLD.in_camera(TARGET.middle), abs=0.03)
    robot.stamp_ns += PERIOD_NS
    robot.say("label_image", encode_image(labels, "mono8", robot.header()))
    robot.say("points", point_cloud(robot.header(frame="lidar"), points.reshape(-1, 3)[::5]))
    robot.say("rotated_boxes", robot.boxes())
    (pose,) = robot.targets().targets
    assert pose.source == TargetPose.PREDICTED
    assert "points are in frame 'lidar'" in robot.diagnosed("target 1").message


def test_the_ground_without_depth(make):
    target = Board(1, 3.0, 0.3, 0.0, 0.4, 0.8)
    world = World((target,), height=1.2, pitch=0.2)
    _, robot = make("ground", depth_source="none", ground_plane=True, camera_z=1.2,
                    camera_pitch=0.2)  # fmt: skip
    (pose,) = robot.send(world, depth=False).targets
    assert pose.source == TargetPose.GROUND
    true = world.in_camera(target.middle)
    assert np.linalg.norm(place_of(pose)) == pytest.approx(np.linalg.norm(true), rel=0.03)
    assert angle_between(place_of(pose), true) < 0.5


@pytest.mark.parametrize("output", ["camera", "fixed"])
def test_motion_in_the_frame_of_odometry(make, output):
    """The robot drives at 0.5 m/s past a target that stands."""
    _, robot = make(f"odometry_{output}", fixed_frame="odom", fixed_frame_from="odometry",
                    camera_z=1.0, camera_x=0.2, output_frame=output)  # fmt: skip
    for frame in range(12):
        gone = 0.5 * frame * 0.04
        world = World((Board(1, 3.0 - gone, 0.3, 0.0, 0.6, 1.4),), height=1.0)
        odometry = Odometry(header=Header(frame_id="odom"))
        odometry.header.stamp = ns_to_stamp(robot.stamp_ns + PERIOD_NS)
        odometry.pose.pose.position.x = gone
        odometry.pose.pose.orientation.w = 1.0
        robot.say("odometry", odometry)
        found = robot.send(world)
    (pose,) = found.targets
    speed = pose.velocity.twist.linear
    assert np.linalg.norm([speed.x, speed.y, speed.z]) < 0.05
    if output == "camera":
        assert found.header.frame_id == FRAME
        expected = world.in_camera(world.boards[0].middle)
    else:
        assert (found.header.frame_id, found.camera_frame) == ("odom", FRAME)
        expected = camera_on_base(0.2, 0.0, 1.0, 0.0, 0.0).points(WORLD.in_camera(TARGET.middle))
    assert place_of(pose) == pytest.approx(expected, abs=0.03)


def test_odometry_of_another_frame_is_not_taken(make):
    _, robot = make("odometry_wrong", fixed_frame="map", fixed_frame_from="odometry")
    odometry = Odometry(header=Header(frame_id="odom"))
    robot.say("odometry", odometry)
    (pose,) = robot.send().targets
    assert pose.source == TargetPose.DEPTH
    words = "odometry is in frame 'odom', not in 'map'"
    robot.diagnosed("target 1", lambda s: words in s.message)


def test_time_that_jumps_back_begins_anew(make):
    _, robot = make("jump")
    robot.send()
    robot.stamp_ns -= 100 * PERIOD_NS
    (pose,) = robot.send().targets
    assert pose.source == TargetPose.DEPTH
    values = {v.key: v.value for v in robot.diagnosed("inputs").values}
    assert values["time_jumps"] == "1"


def test_silence_is_explained(make):
    _, robot = make("silent", calibrated=False, silence_seconds=0.5)
    status = robot.diagnosed("inputs", lambda s: "no box array" in s.message)
    assert status.message == (
        "/silent/rotated_boxes: no box array for more than 0.5 s: nobody publishes it; check the "
        "name and the remapping of the topic"
    )


def test_life_cycle_and_parameters(make):
    node, robot = make("life", active=False)
    robot.diagnosed("node", lambda s: s.message == "not locating: unconfigured")
    in_its_thread(
        node,
        node.set_parameters,
        [Parameter("min_range", value=3), Parameter("max_range", value=20.0)],
    )
    (done,) = in_its_thread(node, node.set_parameters, [Parameter("max_range", value=2.0)])
    assert done.reason == "min_range 3 is not below max_range 2"
    in_its_thread(node, start, node)
    robot.say("camera_info", info_of(WORLD))
    near = World((Board(1, 2.0, 0.0, 0.3, 0.6, 1.0),), height=1.0)
    (pose,) = robot.send(near).targets
    assert pose.source == TargetPose.BEARING
    assert in_its_thread(node, node.set_parameters, [Parameter("min_range", value=0.5)])[
        0
    ].successful
    (pose,) = robot.send(near).targets
    assert pose.source == TargetPose.DEPTH
    (done,) = in_its_thread(node, node.set_parameters, [Parameter("depth_source", value="points")])
    assert "depth_source can only be changed while the node is unconfigured" in done.reason
    success = TransitionCallbackReturn.SUCCESS
    assert in_its_thread(node, node.trigger_deactivate) == success
    robot.diagnosed("node", lambda s: s.message == "not locating: inactive")
    assert in_its_thread(node, node.trigger_activate) == success
    robot.say("camera_info", info_of(WORLD))
    (pose,) = robot.send(near).targets
    assert pose.source == TargetPose.DEPTH
    assert in_its_thread(node, node.trigger_deactivate) == success
    assert in_its_thread(node, node.trigger_cleanup) == success
    robot.diagnosed("node", lambda s: s.message == "not locating: unconfigured")


def test_targets_are_frames_where_tf2_is_installed(make):
    tf2 = pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs is not installed")
    _, robot = make("frames", publish_tf=True, tf_prefix="front_")
    robot.listen(tf2.TFMessage, "/tf", "tf")
    robot.send()  # the topic is offered from now on
    time.sleep(1.0)
    found = robot.send()
    robot.wait(lambda: robot.messages["tf"], "a transform")
    (frame,) = robot.messages["tf"][-1].transforms
    assert (frame.header, frame.child_frame_id) == (found.header, "front_target_1")
    place = frame.transform.translation
    assert [place.x, place.y, place.z] == pytest.approx(place_of(found.targets[0]))
    robot.messages["tf"].clear()
    robot.send(WORLD, (1, RotatedBox.LOST), labels=False, depth=False)
    robot.send()
    robot.wait(lambda: robot.messages["tf"], "a transform")
    assert len(robot.messages["tf"]) == 1


def test_without_tf2_frames_are_left_out_and_it_is_said_once(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2_msgs.msg", None)
    node, robot = make("frameless", publish_tf=True)
    for _ in range(2):
        assert robot.send().targets[0].source == TargetPose.DEPTH
    assert "tf2_msgs is not installed" in node._outputs._no_transforms


def test_a_fixed_frame_needs_tf2_or_odometry(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2_ros", None)  # as if it were not installed
    node, robot = make("fixed", calibrated=False, fixed_frame="map")
    assert node.state_name == "unconfigured"
    status = robot.diagnosed("node", lambda s: "cannot configure" in s.message)
    assert status.message.startswith("cannot configure: fixed_frame is 'map', but tf2_ros is not")
    assert "fixed_frame_from to odometry" in status.message
