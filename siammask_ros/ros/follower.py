# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node `target_follower`: commands a base so that it follows a target.

It starts disabled. It knows nothing of obstacles: see docs/following.md.
"""

from __future__ import annotations

import math
import sys
import time
from typing import Any

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import Twist, TwistStamped, Vector3
from numpy.typing import NDArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.parameter import Parameter
from std_msgs.msg import Header
from std_srvs.srv import SetBool

from siammask_msgs.msg import FollowerState, RotatedBox, TargetPose, TargetPoseArray
from siammask_ros.following import Command, Pilot, Reason, Sighting, Velocity
from siammask_ros.ros.diagnostics import LogGate, diagnostic_array, diagnostic_values
from siammask_ros.ros.follower_parameters import FollowerSettings
from siammask_ros.ros.managed_node import ManagedNode
from siammask_ros.ros.messages import stamp_to_ns
from siammask_ros.ros.run_node import interrupt_once, run_node

NODE_NAME = "target_follower"
REPORT_PERIOD_S = 1.0
FAREWELL_S = 0.5
"""How long zeros are sent after the base stands and before the topic is left to others."""
NANOSECONDS = 1e9
ANY_TARGET = 0
TRACKING_STATE = RotatedBox.TRACKING


class FrameError(ValueError):
    """It is not known how a frame lies to that of the base."""


class FollowerNode(ManagedNode):
    """Hears where targets are and sends velocities.

    Configuring offers topics and the service, activating begins to listen; commands are sent only
    while enabled, and for a moment after.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(NODE_NAME, **options)
        FollowerSettings.declare(self)
        self.settings = FollowerSettings()
        self._camera = self.settings.camera
        self._pilot: Pilot | None = None
        self._target_id = ANY_TARGET
        self._image_stamp = Time()
        self._command = Command(Velocity(0.0, 0.0, 0.0), Reason.DISABLED)
        self._still_since_s = -math.inf
        self._messages = 0
        self._entities: list[Any] = []
        self._subscription: Any = None
        self._timer: Any = None
        self._log_gate = LogGate()
        self.add_on_set_parameters_callback(self._change_parameters)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._reports = self.create_timer(REPORT_PERIOD_S, self._report, clock=self._steady)

    def configure(self) -> None:
        """Read the parameters, and offer topics and the service."""
        self.settings = settings = FollowerSettings.read(self)
        self._camera = settings.camera
        self._pilot = Pilot(settings.period, settings.config)
        kind = TwistStamped if settings.stamped else Twist
        self._commands = self.create_publisher(kind, "cmd_vel", 10)
        self._states = self.create_publisher(FollowerState, "~/state", 10)
        self._service = self.create_service(SetBool, "~/enable", self._enable)

    def activate(self) -> None:
        """Listen to targets; the base stays disabled."""
        self._subscription = self.create_subscription(
            TargetPoseArray, "targets", self._on_targets, 5
        )
        self._timer = self.create_timer(self.settings.period, self._tick, clock=self._steady)
        self.get_logger().info(
            f"waiting for targets on {self._subscription.topic_name}; disabled until ~/enable"
        )

    def deactivate(self) -> None:
        """Bring the base to a stand, then send and hear nothing; enabling is needed anew."""
        if self._timer is None:
            return
        self.destroy_timer(self._timer)
        self.destroy_subscription(self._subscription)
        self._timer = self._subscription = None
        assert self._pilot is not None
        self._pilot.is_enabled = False
        while self.context.ok():
            self._send(self._pilot.tick(self._now_s(), time.monotonic()))
            if self._command.is_still:
                break
            time.sleep(self.settings.period)
        self._pilot.forget()
        self._target_id = ANY_TARGET

    def clean_up(self) -> None:
        """Give up topics and service."""
        if self._pilot is None:
            return
        self._pilot = None
        self.destroy_publisher(self._commands)
        self.destroy_publisher(self._states)
        self.destroy_service(self._service)

    # Targets in, commands out

    def _on_targets(self, message: TargetPoseArray) -> None:
        assert self._pilot is not None
        self._messages += 1
        target = self._chosen(message)
        heard_s = time.monotonic()
        stamp_s = stamp_to_ns(message.header.stamp) / NANOSECONDS
        if target is None:
            sighting = Sighting(stamp_s, heard_s, is_lost=True)
        else:
            try:
                sighting = self._sighting(message, target, stamp_s, heard_s)
            except FrameError as error:
                self._warn("transform", str(error))
                return
        try:
            self._pilot.hear(sighting)
        except ValueError as error:
            self._warn("targets", f"message not used: {error}")
            return
        if target is not None and target.source != TargetPose.NONE:
            self._image_stamp = message.header.stamp

    def _chosen(self, message: TargetPoseArray) -> TargetPose | None:
        """The target that is followed; of any, the one of before as long as there is one."""
        targets = {target.target_id: target for target in message.targets}
        wanted = self.settings.target_id or self._target_id
        if wanted not in targets:
            if self.settings.target_id or not targets:
                return None
            wanted = min(targets)
        if wanted != self._target_id:
            assert self._pilot is not None
            self._pilot.forget()
            self._target_id = wanted
            self.get_logger().info(f"target {wanted} is the one to follow")
        return targets[wanted]

    def _sighting(
        self, message: TargetPoseArray, target: TargetPose, stamp_s: float, heard_s: float
    ) -> Sighting:
        """What a message says of a target, in the frame of the base.

        Raises:
            FrameError: it is not known how that frame lies to the message's.
        """
        if target.source == TargetPose.NONE:
            return Sighting(stamp_s, heard_s, is_lost=True)
        is_guess = target.source == TargetPose.PREDICTED
        sighting = Sighting(
            stamp_s, heard_s, is_uncertain=is_guess or target.state != TRACKING_STATE
        )
        camera = self._camera
        if target.source == TargetPose.BEARING:
            x, y, _ = camera.directions(_numbers(target.bearing)).tolist()
            return sighting._replace(bearing=math.atan2(y, x))
        position, velocity = target.pose.pose.position, target.velocity.twist.linear
        if message.header.frame_id == message.camera_frame:
            x, y, _ = camera.points(_numbers(position)).tolist()
            speed_x, speed_y, _ = camera.directions(_numbers(velocity)).tolist()
        elif message.header.frame_id == self.settings.base_frame:
            x, y, speed_x, speed_y = position.x, position.y, velocity.x, velocity.y
        else:
            raise FrameError(
                f"targets are in {message.header.frame_id!r}, wanted are those in the camera's "
                f"frame {message.camera_frame!r} or in base_frame {self.settings.base_frame!r}"
            )
        return sighting._replace(
            bearing=math.atan2(y, x),
            position_xy=(x, y),
            velocity_xy=(speed_x, speed_y),
            is_relative=self.settings.velocity_of == "relative",
        )

    def _tick(self) -> None:
        assert self._pilot is not None
        command = self._pilot.tick(self._now_s(), time.monotonic())
        if command.reason is not self._command.reason:
            self.get_logger().info(f"{command.reason.value}")
        self._send(command)

    def _send(self, command: Command) -> None:
        """Send a command, unless the base has been left to others."""
        self._command = command
        now_s = time.monotonic()
        if not command.is_still or command.reason is not Reason.DISABLED:
            self._still_since_s = now_s
        stamp = self.get_clock().now().to_msg()
        header = Header(stamp=stamp, frame_id=self.settings.base_frame)
        twist = _twist(command.velocity)
        if now_s - self._still_since_s <= FAREWELL_S:
            self._commands.publish(
                TwistStamped(header=header, twist=twist) if self.settings.stamped else twist
            )
        self._states.publish(
            FollowerState(
                header=header,
                image_stamp=self._image_stamp,
                enabled=self._pilot is not None and self._pilot.is_enabled,
                target_id=self._target_id,
                reason=command.reason.value,
                distance=command.distance,
                bearing=command.bearing,
                command=twist,
            )
        )

    # Enabling, parameters and diagnostics

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if self._timer is None or self._pilot is None:
            response.message = "refused: the node is not active"
            return response
        self._pilot.is_enabled = bool(request.data)
        response.success = True
        response.message = "enabled" if request.data else "disabled"
        self.get_logger().info(response.message)
        return response

    def _change_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        values = {given.name: given.value for given in parameters}
        try:
            self.settings = FollowerSettings.read(self).changed(
                values, configured=self._pilot is not None
            )
        except ValueError as error:
            FollowerSettings.restore_types(self)
            return SetParametersResult(successful=False, reason=str(error))
        if self._pilot is not None:
            self._pilot.config = self.settings.config
        return SetParametersResult(successful=True)

    def _report(self) -> None:
        level, text = DiagnosticStatus.OK, self._command.reason.value
        if self.fault:
            level, text = DiagnosticStatus.ERROR, self.fault
        elif self.state_name != "active":
            level, text = DiagnosticStatus.WARN, f"not following: {self.state_name}"
        elif self._command.reason not in (Reason.FOLLOWING, Reason.DISABLED):
            level = DiagnosticStatus.WARN
        velocity = self._command.velocity
        status = DiagnosticStatus(
            level=level,
            name=f"{NODE_NAME}: node",
            message=text,
            values=diagnostic_values(
                state=self.state_name,
                enabled=self._pilot is not None and self._pilot.is_enabled,
                target_id=self._target_id,
                messages=self._messages,
                distance=f"{self._command.distance:.3f}",
                bearing=f"{self._command.bearing:.3f}",
                forward=f"{velocity.forward:.3f}",
                left=f"{velocity.left:.3f}",
                turn=f"{velocity.turn:.3f}",
            ),
        )
        self._diagnostics.publish(diagnostic_array(self.get_clock().now().to_msg(), [status]))

    def _warn(self, subject: str, text: str) -> None:
        if self._log_gate.lets_pass(subject, text):
            self.get_logger().warning(text)

    def _now_s(self) -> float:
        return float(self.get_clock().now().nanoseconds) / NANOSECONDS


def _numbers(vector: Any) -> NDArray[np.float64]:
    return np.array([vector.x, vector.y, vector.z])


def _twist(velocity: Velocity) -> Twist:
    return Twist(
        linear=Vector3(x=velocity.forward, y=velocity.left, z=0.0),
        angular=Vector3(x=0.0, y=0.0, z=velocity.turn),
    )


def main(args: list[str] | None = None) -> int:
    """Run the node until it is interrupted; 1 if its parameters are not acceptable."""
    interrupt_once()
    rclpy.init(args=args)
    return run_node(FollowerNode, NODE_NAME)


if __name__ == "__main__":
    sys.exit(main())
