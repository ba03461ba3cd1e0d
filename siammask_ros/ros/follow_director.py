# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs and records the demo of a robot that follows: the node `follow_director`.

It gives the tracker its target, the simulated person's box, waits until its position is known,
enables the follower and lets the world go. It hears everything for a minute, disables the follower,
and writes video, contact sheet, chart, table and summary. Then it exits: 0, or 1 and one line.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rcl_interfaces.srv import GetParameters
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, TimeReference
from std_srvs.srv import SetBool, Trigger

from siammask_msgs.msg import (
    FollowerState,
    RotatedBox,
    RotatedBoxArray,
    TargetBoxArray,
    TargetPose,
    TargetPoseArray,
)
from siammask_msgs.srv import SetTargets
from siammask_ros.plots import write_chart
from siammask_ros.ros.follow_pictures import follow_chart, write_pictures
from siammask_ros.ros.follow_record import Command, Moment, Record, truth_row, write_table
from siammask_ros.ros.follow_summary import summarise, summary_lines, write_summary
from siammask_ros.ros.messages import stamp_to_ns
from siammask_ros.ros.parameter_table import Changes, ParameterTable, parameter
from siammask_ros.ros.world_parameters import SimulatorSettings
from siammask_ros.scenes.follow_world import SECONDS, TARGET, follow_world
from siammask_ros.scenes.pinhole import Pose2D
from siammask_ros.scenes.walks import Motion
from siammask_ros.target_status import TargetStatus

NODE_NAME = "follow_director"
NANOSECONDS = 1e9
NS_PER_MS = 1e6
SPIN_S = 0.05
RETRY_S = 0.5
START_TIMEOUT_S = 180.0
"""For all nodes to appear, the network to be loaded and the target to be located."""
SILENCE_S = 20.0
"""Without a result for so long, the run is given up."""
SETTLE_S = 0.5
"""For the last results to come."""
LIMITS = (
    *("rate", "max_speed", "max_reverse_speed", "max_turn_rate", "max_acceleration"),
    *("max_turn_acceleration", "stop_acceleration", "stop_turn_acceleration"),
)
"""Parameters of the follower that the commands are held against."""
_FIXED = Changes.NEVER


class DirectorError(RuntimeError):
    """The demo cannot go on; the message is the line that the user reads."""


@dataclass(frozen=True)
class DirectorSettings(ParameterTable):
    """Every parameter of the node with its default, description and range."""

    output: str = parameter("follow_output", "Folder for the results.", changes=_FIXED)
    seconds: float = parameter(
        SECONDS, "How long the robot follows.", changes=_FIXED, between=(1.0, 600.0)
    )
    seed: int = parameter(
        1, "That of the simulator, to render its images anew.", changes=_FIXED, between=(0, 2**31)
    )
    width: int = parameter(640, "That of the simulator.", changes=_FIXED, between=(64, 4096))
    height: int = parameter(480, "That of the simulator.", changes=_FIXED, between=(48, 4096))
    video: bool = parameter(True, "Write video and contact sheet.", changes=_FIXED)
    video_rate: float = parameter(
        10.0, "Images a second of the video, at most all.", changes=_FIXED, between=(1.0, 60.0)
    )


class FollowDirector(Node):
    """Hears all topics of the demo; `run` does what the module says."""

    def __init__(self, **options: Any) -> None:
        super().__init__(NODE_NAME, **options)
        DirectorSettings.declare(self)
        self.settings = DirectorSettings.read(self)
        self._box: TargetBoxArray | None = None
        self._world_ns: dict[int, int] = {}
        """By stamp of an image, the time in the world."""
        self._odometry: dict[int, Odometry] = {}
        self._boxes: dict[int, tuple[RotatedBox, float]] = {}
        self._masks: dict[int, Any] = {}
        self._targets: dict[int, tuple[TargetPose, float]] = {}
        self._first_command_ns: dict[int, int] = {}
        self._reasons: list[tuple[int, str]] = []
        self._commands: list[tuple[int, Motion]] = []
        self._heard_s = time.monotonic()
        self._subscribe()

    def _subscribe(self) -> None:
        results = QoSProfile(depth=200, reliability=ReliabilityPolicy.BEST_EFFORT)
        for kind, topic, heard in (
            (TimeReference, "time", self._on_time),
            (TargetBoxArray, "true_boxes", self._on_true_box),
            (Odometry, "odom", self._on_odometry),
            (RotatedBoxArray, "rotated_boxes", self._on_boxes),
            (Image, "label_image", self._on_labels),
            (TargetPoseArray, "targets", self._on_targets),
            (FollowerState, "follower_state", self._on_state),
            (TwistStamped, "cmd_vel", self._on_command),
        ):
            self.create_subscription(kind, topic, heard, results)

    def run(self) -> list[str]:
        """Do all of it; returns what is to be said of the run.

        Raises:
            DirectorError: a node does not come, refuses, or falls silent.
            OSError: a file cannot be written.
        """
        self._give_target()
        self._wait(self._is_located, "a position of the target", START_TIMEOUT_S)
        limits = self._limits()
        self._call("enable_follower", SetBool, SetBool.Request(data=True))
        self._call("start_world", Trigger, Trigger.Request())
        self.get_logger().info(f"following for {self.settings.seconds:g} s")
        self._heard_s = time.monotonic()
        self._wait(self._is_over, "the end", math.inf)
        self._call("enable_follower", SetBool, SetBool.Request(data=False))
        self._spin_for(SETTLE_S)
        return self._save(limits)

    def _give_target(self) -> None:
        """Set the target by the newest true box, until the tracker takes it."""
        self._wait(lambda: self._box is not None, "images of the world", START_TIMEOUT_S)
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            self._spin_for(RETRY_S)
            box = self._box
            assert box is not None
            request = SetTargets.Request(stamp=box.header.stamp, targets=box.boxes, replace=True)
            answer = self._call("set_targets", SetTargets, request)
            if answer.success:
                return
            if time.monotonic() > deadline:
                raise DirectorError(f"the target was refused: {answer.message}")

    def _is_located(self) -> bool:
        return any(
            target.source not in (TargetPose.NONE, TargetPose.BEARING)
            for target, _ in self._targets.values()
        )

    def _limits(self) -> dict[str, float]:
        answer = self._call(
            "follower_parameters", GetParameters, GetParameters.Request(names=list(LIMITS))
        )
        values = zip(LIMITS, answer.values, strict=True)
        return {name: value.double_value for name, value in values}

    def _is_over(self) -> bool:
        if time.monotonic() - self._heard_s > SILENCE_S:
            raise DirectorError(f"no result of the tracker for {SILENCE_S:g} s")
        newest_ns = max(self._world_ns.values(), default=0)
        return newest_ns / NANOSECONDS >= self.settings.seconds

    def _call(self, service: str, kind: Any, request: Any) -> Any:
        client = self.create_client(kind, service)
        try:
            self._wait(client.service_is_ready, f"the service {client.srv_name}", START_TIMEOUT_S)
            future = client.call_async(request)
            self._wait(future.done, f"an answer of {client.srv_name}", START_TIMEOUT_S)
            answer = future.result()
        finally:
            self.destroy_client(client)
        if not getattr(answer, "success", True) and kind is not SetTargets:
            raise DirectorError(f"{client.srv_name}: {answer.message}")
        return answer

    def _wait(self, condition: Callable[[], bool], what: str, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise DirectorError(f"waited {timeout_s:.0f} s for {what}, in vain")
            rclpy.spin_once(self, timeout_sec=SPIN_S)

    def _spin_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            rclpy.spin_once(self, timeout_sec=left)

    # What is heard

    def _on_time(self, message: TimeReference) -> None:
        self._world_ns[stamp_to_ns(message.header.stamp)] = stamp_to_ns(message.time_ref)

    def _on_true_box(self, message: TargetBoxArray) -> None:
        if message.boxes:
            self._box = message

    def _on_odometry(self, message: Odometry) -> None:
        self._odometry[stamp_to_ns(message.header.stamp)] = message

    def _on_boxes(self, message: RotatedBoxArray) -> None:
        self._heard_s = time.monotonic()
        stamp_ns = stamp_to_ns(message.header.stamp)
        for box in message.boxes:
            if box.target_id == TARGET:
                self._boxes[stamp_ns] = (box, self._ms_since(stamp_ns))

    def _on_labels(self, message: Image) -> None:
        labels = np.frombuffer(message.data, np.uint8)
        if message.step != message.width:
            labels = labels.reshape(message.height, message.step)[:, : message.width]
        self._masks[stamp_to_ns(message.header.stamp)] = np.packbits(labels == TARGET)

    def _on_targets(self, message: TargetPoseArray) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        for target in message.targets:
            if target.target_id == TARGET:
                self._targets[stamp_ns] = (target, self._ms_since(stamp_ns))

    def _on_state(self, message: FollowerState) -> None:
        image_ns = stamp_to_ns(message.image_stamp)
        self._first_command_ns.setdefault(image_ns, self._now_ns())
        self._reasons.append((stamp_to_ns(message.header.stamp), message.reason))

    def _on_command(self, message: TwistStamped) -> None:
        twist = message.twist
        motion = Motion(float(twist.linear.x), float(twist.angular.z))
        self._commands.append((stamp_to_ns(message.header.stamp), motion))

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _ms_since(self, stamp_ns: int) -> float:
        return (self._now_ns() - stamp_ns) / NS_PER_MS

    # What is left

    def record(self) -> Record:
        """What was heard since the world was let go."""
        end_ns = self.settings.seconds * NANOSECONDS
        going = {stamp: ns for stamp, ns in self._world_ns.items() if 0 < ns <= end_ns}
        if not going:
            return Record()
        start_ns = min(stamp - ns for stamp, ns in going.items())
        reasons = iter([*self._reasons, (sys.maxsize, "")])
        reason, (next_ns, next_reason) = "", next(reasons)
        moments = []
        for stamp_ns in sorted(going):
            # A command follows its image: what the robot did at an image was said before it.
            while next_ns <= stamp_ns:
                reason, (next_ns, next_reason) = next_reason, next(reasons)
            if stamp_ns in self._odometry:
                moments.append(self._moment(stamp_ns, going[stamp_ns] / NANOSECONDS, reason))
        commands = [
            Command((at_ns - start_ns) / NANOSECONDS, motion)
            for at_ns, motion in self._commands
            if start_ns <= at_ns <= start_ns + end_ns
        ]
        return Record(moments, commands)

    def _moment(self, stamp_ns: int, time_s: float, reason: str) -> Moment:
        odometry = self._odometry[stamp_ns]
        pose, twist = odometry.pose.pose, odometry.twist.twist
        heading = 2 * math.atan2(pose.orientation.z, pose.orientation.w)
        moment = Moment(
            time_s,
            Pose2D(pose.position.x, pose.position.y, heading),
            Motion(twist.linear.x, twist.angular.z),
            reason=reason,
        )
        if stamp_ns in self._boxes:
            box, moment.boxes_ms = self._boxes[stamp_ns]
            moment.state = TargetStatus(box.state)
            moment.confidence = box.confidence
            if box.state in (RotatedBox.TRACKING, RotatedBox.UNCERTAIN):
                moment.corners = np.array([(corner.x, corner.y) for corner in box.corners])
                moment.mask = self._masks.get(stamp_ns)
        if stamp_ns in self._targets:
            target, moment.targets_ms = self._targets[stamp_ns]
            moment.source = target.source
            if target.source not in (TargetPose.NONE, TargetPose.BEARING):
                place = target.pose.pose.position
                moment.position = np.array([place.x, place.y, place.z])
        if stamp_ns in self._first_command_ns:
            moment.command_ms = (self._first_command_ns[stamp_ns] - stamp_ns) / NS_PER_MS
        return moment

    def _save(self, limits: dict[str, float]) -> list[str]:
        record = self.record()
        settings = self.settings
        camera = SimulatorSettings(width=settings.width, height=settings.height).camera
        world = follow_world(settings.seed, camera=camera)
        rows = [truth_row(record, moment, world) for moment in record.moments]
        try:
            summary = summarise(record, rows, limits)
        except ValueError as error:
            raise DirectorError(str(error)) from error
        folder = Path(settings.output)
        folder.mkdir(parents=True, exist_ok=True)
        lines = summary_lines(summary)
        view_deg = math.degrees(math.atan(camera.width / 2 / camera.focal_px))
        written = [
            write_summary(folder / "summary.json", summary),
            write_table(folder / "follow.csv", rows),
            write_chart(folder / "follow.png", follow_chart(rows, limits, view_deg)),
        ]
        if settings.video:
            step = max(round(len(rows) / summary.seconds / settings.video_rate), 1)
            rate = len(rows) / summary.seconds / step
            written += write_pictures(
                folder,
                world,
                record.moments[::step],
                rows[::step],
                rate=rate,
                title=lines[1],
            )
        return [*lines, *(f"  {path}" for path in written)]


def main(args: list[str] | None = None) -> int:
    """Run the demo once; exit status 0, or 1 and one line that says at what it failed."""
    rclpy.init(args=args)
    node: FollowDirector | None = None
    try:
        node = FollowDirector()
        for line in node.run():
            print(line, flush=True)  # noqa: T201 - this is what it is for
    except (KeyboardInterrupt, ExternalShutdownException):
        return 1
    except (DirectorError, ValueError, OSError, ImportError) as error:
        print(f"{NODE_NAME}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
