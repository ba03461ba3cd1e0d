# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot with a camera in a rendered world, on real topics: the node `world_simulator`.

    ros2 run siammask_ros world_simulator --ros-args -r cmd_vel:=/cmd_vel

Publishes what the robot's camera sees, `camera/image_raw`, `camera/depth/image_raw` and
`camera/camera_info`, and its odometry, `odom`; drives as `cmd_vel` (TwistStamped) says. All of an
image have its stamp, which is the time at which the robot is where it is seen from. What a real
robot would not know: `~/truth` (where the target is, as a localizer would say it), `~/boxes` (its
box) and `~/time` (seconds in the world at an image's stamp). The world stands still until
`~/start` (std_srvs/Trigger) is called.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import TwistStamped, Vector3
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, TimeReference
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from siammask_msgs.msg import RotatedBox, TargetBox, TargetBoxArray, TargetPose, TargetPoseArray
from siammask_ros.frames import NANOSECONDS_PER_SECOND
from siammask_ros.ros.messages import image as image_message
from siammask_ros.ros.messages import ns_to_stamp
from siammask_ros.ros.run_node import interrupt_once
from siammask_ros.ros.world_parameters import SimulatorSettings
from siammask_ros.scenes.follow_world import LABEL, START, TARGET, follow_world
from siammask_ros.scenes.pinhole import Pinhole, Pose2D
from siammask_ros.scenes.walks import Drive, Motion, Unicycle
from siammask_ros.scenes.world import DepthSensor, WorldFrame

NODE_NAME = "world_simulator"
CAMERA_FRAME, BASE_FRAME, ODOM_FRAME = "camera_optical", "base_link", "odom"
DELAY_S = 0.06
"""From a command to its effect; an image is rendered so long before its stamp."""
RENDER_AHEAD_S = 0.05
"""Where the robot is when an image is due is certain that long before."""
MM_PER_M = 1000.0


class WorldSimulator(Node):
    """Renders and publishes in the thread of `run`; commands come in that of an executor."""

    def __init__(self, **options: Any) -> None:
        super().__init__(NODE_NAME, **options)
        SimulatorSettings.declare(self)
        self.settings = SimulatorSettings.read(self)
        self._world = follow_world(self.settings.seed, camera=self.settings.camera)
        self._sensor = DepthSensor(self.settings.depth_noise, self.settings.depth_holes)
        self._robot = Unicycle(START, Drive(delay_s=DELAY_S))
        self._lock = threading.Lock()
        self._start_wanted = threading.Event()
        self._closed = threading.Event()
        self._start_ns: int | None = None
        self._last: tuple[int, NDArray[np.float64]] | None = None
        """Of the image before: its stamp, and where the target's middle was."""
        self.late = 0
        """Images that came after their stamp by more than half a period."""
        advertise = self.create_publisher
        self._image = advertise(Image, "camera/image_raw", 5)
        self._depth = advertise(Image, "camera/depth/image_raw", 5)
        self._camera_info = advertise(CameraInfo, "camera/camera_info", 5)
        self._odom = advertise(Odometry, "odom", 20)
        self._truth = advertise(TargetPoseArray, "~/truth", 20)
        self._boxes = advertise(TargetBoxArray, "~/boxes", 20)
        self._time = advertise(TimeReference, "~/time", 20)
        self.create_subscription(TwistStamped, "cmd_vel", self._on_command, 20)
        self.create_service(Trigger, "~/start", self._start)

    def run(self) -> None:
        """Publish images until `close` is called or the context is shut down."""
        period_ns = round(NANOSECONDS_PER_SECOND / self.settings.rate)
        # The first image builds what is kept, and takes longer.
        self._world.render(0.0, START)
        stamp_ns = self._now_ns() + period_ns
        while self._goes_on():
            ahead_s = (stamp_ns - self._now_ns()) / NANOSECONDS_PER_SECOND - RENDER_AHEAD_S
            if ahead_s > 0:
                time.sleep(ahead_s)
            publish = self._prepare(stamp_ns)
            left_s = (stamp_ns - self._now_ns()) / NANOSECONDS_PER_SECOND
            if left_s > 0:
                time.sleep(left_s)
            if not self._goes_on():
                return
            publish()
            # What a slow machine cannot show in time is left out: the world goes on.
            behind = max((self._now_ns() - stamp_ns) // period_ns, 0)
            self.late += behind
            stamp_ns += period_ns * (1 + behind)

    def close(self) -> None:
        """End `run` with the next image; called from another thread."""
        self._closed.set()

    def _goes_on(self) -> bool:
        return bool(self.context.ok()) and not self._closed.is_set()

    def _prepare(self, stamp_ns: int) -> Any:
        """Render an image that is due soon; returns what publishes it."""
        if self._start_ns is None and self._start_wanted.is_set():
            self._start_ns = stamp_ns
        elapsed_ns = 0 if self._start_ns is None else stamp_ns - self._start_ns
        time_s = elapsed_ns / NANOSECONDS_PER_SECOND
        with self._lock:
            base, motion = self._robot.drive_until(time_s), self._robot.motion
        frame = self._world.render(time_s, base)
        depth = self._sensor.sense(frame.depth_m, stamp_ns)
        optical = Header(stamp=ns_to_stamp(stamp_ns), frame_id=CAMERA_FRAME)
        messages = [
            (
                self._time,
                TimeReference(header=optical, time_ref=ns_to_stamp(elapsed_ns), source="world"),
            ),
            (self._odom, odometry(base, motion, optical.stamp)),
            (self._image, image_message(frame.image_bgr, "bgr8", optical)),
            (self._depth, depth_message(depth, self.settings.depth_encoding, optical)),
            (self._camera_info, camera_info(self._world.camera, optical)),
            (self._truth, self._truth_of(frame, stamp_ns, optical)),
            (self._boxes, target_box(frame, optical)),
        ]

        def publish() -> None:
            for publisher, message in messages:
                publisher.publish(message)

        return publish

    def _truth_of(self, frame: WorldFrame, stamp_ns: int, header: Header) -> TargetPoseArray:
        middle = frame.middle_in_camera(TARGET)
        last_ns, last = self._last or (stamp_ns, middle)
        self._last = (stamp_ns, middle)
        elapsed_s = max(stamp_ns - last_ns, 1) / NANOSECONDS_PER_SECOND
        return truth(frame, (middle - last) / elapsed_s, header)

    def _on_command(self, message: TwistStamped) -> None:
        twist = message.twist
        motion = Motion(float(twist.linear.x), float(twist.angular.z))
        if not all(map(math.isfinite, motion)):
            self.get_logger().warning(f"command {motion} is not finite: not used")
            return
        start_ns = self._start_ns
        if start_ns is None:
            return
        with self._lock:
            self._robot.command(motion, (self._now_ns() - start_ns) / NANOSECONDS_PER_SECOND)

    def _start(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = not self._start_wanted.is_set()
        response.message = "the world goes on" if response.success else "it is going already"
        self._start_wanted.set()
        return response

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)


def depth_message(depth_m: NDArray[np.float32], encoding: str, header: Header) -> Image:
    """Depth in metres, NaN where there is none, as a message of an encoding."""
    if encoding == "32FC1":
        return image_message(depth_m, encoding, header)
    millimetres = np.nan_to_num(depth_m * np.float32(MM_PER_M), nan=0.0)
    return image_message(np.rint(millimetres).astype(np.uint16), encoding, header)


def camera_info(camera: Pinhole, header: Header) -> CameraInfo:
    """The calibration of a camera without distortion."""
    x, y = camera.center_xy
    focal = camera.focal_px
    return CameraInfo(
        header=header,
        width=camera.width,
        height=camera.height,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=[focal, 0.0, x, 0.0, focal, y, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[focal, 0.0, x, 0.0, 0.0, focal, y, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


def odometry(base: Pose2D, motion: Motion, stamp: Any) -> Odometry:
    """Where the base stands and how it moves."""
    message = Odometry(header=Header(stamp=stamp, frame_id=ODOM_FRAME), child_frame_id=BASE_FRAME)
    pose, twist = message.pose.pose, message.twist.twist
    pose.position.x, pose.position.y = base.x, base.y
    pose.orientation.z, pose.orientation.w = math.sin(base.heading / 2), math.cos(base.heading / 2)
    twist.linear.x, twist.angular.z = motion
    return message


def truth(frame: WorldFrame, velocity: NDArray[np.float64], header: Header) -> TargetPoseArray:
    """Where the target is; `confidence` is the share of it that is to be seen.

    Args:
        frame: of the world.
        velocity: (3,) of its middle in the optical frame, m/s.
        header: of the image.
    """
    middle = frame.middle_in_camera(TARGET)
    x, y, z = (float(value) for value in middle)
    target = TargetPose(
        target_id=TARGET,
        label=LABEL,
        state=RotatedBox.TRACKING,
        source=TargetPose.DEPTH,
        confidence=frame.visible_share[TARGET],
        samples=int(np.count_nonzero(frame.mask(TARGET))),
    )
    position, linear = target.pose.pose.position, target.velocity.twist.linear
    position.x, position.y, position.z = x, y, z
    linear.x, linear.y, linear.z = (float(value) for value in velocity)
    length = math.sqrt(x * x + y * y + z * z)
    target.bearing = Vector3(x=x / length, y=y / length, z=z / length)
    return TargetPoseArray(header=header, camera_frame=CAMERA_FRAME, targets=[target])


def target_box(frame: WorldFrame, header: Header) -> TargetBoxArray:
    """The box round what is seen of the target; none where nothing is."""
    box = frame.box(TARGET)
    if box is None:
        return TargetBoxArray(header=header)
    x, y, width, height = (float(value) for value in box.xywh)
    found = TargetBox(id=TARGET, label=LABEL, x=x, y=y, width=width, height=height)
    return TargetBoxArray(header=header, boxes=[found])


def main(args: list[str] | None = None) -> int:
    """Run the node until it is interrupted; 1 if its parameters are not acceptable."""
    interrupt_once()
    rclpy.init(args=args)
    try:
        node = WorldSimulator()
    except (ValueError, rclpy.exceptions.ParameterException) as error:
        print(f"{NODE_NAME}: {error}", file=sys.stderr)  # noqa: T201
        rclpy.try_shutdown()
        return 1
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=_spin, args=(executor,), daemon=True)
    thread.start()
    try:
        node.run()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()
        thread.join(timeout=1.0)
        node.destroy_node()
    return 0


def _spin(executor: SingleThreadedExecutor) -> None:
    try:
        executor.spin()
    except ExternalShutdownException:
        return


if __name__ == "__main__":
    sys.exit(main())
