# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node `target_localizer`: where targets are in space, from masks and depth."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.parameter import Parameter

from siammask_msgs.msg import RotatedBoxArray
from siammask_ros.localization.localizer import Localizer, Source
from siammask_ros.localization.matching import Matched
from siammask_ros.memory import hold_freed_memory
from siammask_ros.ros.diagnostics import LogGate, diagnostic_array
from siammask_ros.ros.localizer_diagnostics import (
    LOCALIZER_NAME,
    inputs_status,
    localizer_status,
    target_status,
)
from siammask_ros.ros.localizer_inputs import LocalizerInputs
from siammask_ros.ros.localizer_messages import PlacedTarget
from siammask_ros.ros.localizer_outputs import LocalizerOutputs
from siammask_ros.ros.localizer_parameters import LocalizerSettings
from siammask_ros.ros.managed_node import ManagedNode
from siammask_ros.ros.messages import stamp_to_ns
from siammask_ros.ros.run_node import interrupt_once, run_node
from siammask_ros.ros.transforms import Transforms, TransformsMissing

REPORT_PERIOD_S = 1.0
PATIENCE_CHECK_S = 0.02
"""How often it is looked whether boxes have waited long enough, while some wait."""


class TargetLocalizerNode(ManagedNode):
    """Finds the targets of one tracker's camera in depth.

    Configuring offers topics, activating subscribes. Motions are kept while active only.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(LOCALIZER_NAME, **options)
        LocalizerSettings.declare(self)
        self.settings = LocalizerSettings()
        self._outputs: LocalizerOutputs | None = None
        self._inputs: LocalizerInputs | None = None
        self._transforms: Transforms | None = None
        self._localizer = Localizer(self.settings.config)
        self._latest: list[PlacedTarget] = []
        self._counts: Counter[str] = Counter()
        self._ages_s: list[float] = []
        self._log_gate = LogGate()
        self.add_on_set_parameters_callback(self._change_parameters)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._report_timer = self.create_timer(REPORT_PERIOD_S, self._report, clock=steady)
        self._patience_timer = self.create_timer(PATIENCE_CHECK_S, self._work, clock=steady)
        self._patience_timer.cancel()

    def configure(self) -> None:
        """Read the parameters and offer topics."""
        self.settings = LocalizerSettings.read(self)
        self._localizer = Localizer(self.settings.config)
        self._listen_to_transforms()
        self._outputs = LocalizerOutputs(self, self.settings)
        hold_freed_memory()  # each depth image is a new block

    def activate(self) -> None:
        """Subscribe."""
        self._inputs = LocalizerInputs(self, self.settings, self._transforms, self._work)
        for source in self._inputs.sources.values():
            self.get_logger().info(f"reads {source.topic}")

    def _listen_to_transforms(self) -> None:
        """Use tf2 where it is asked for or may be of use."""
        settings = self.settings
        needed = bool(settings.fixed_frame) and settings.fixed_frame_from == "tf"
        if not needed and settings.depth_source != "points":
            return
        try:
            self._transforms = Transforms(self)
        except TransformsMissing as error:
            if needed:
                raise ValueError(
                    f"fixed_frame is {settings.fixed_frame!r}, but {error}; or set "
                    "fixed_frame_from to odometry, or fixed_frame to nothing"
                ) from error

    def deactivate(self) -> None:
        """Unsubscribe, and forget motions."""
        self._patience_timer.cancel()
        if self._inputs is not None:
            self._inputs.destroy()
            self._inputs = None
        if self._outputs is not None:
            self._outputs.forget_targets()
        self._localizer.forget()
        self._latest = []

    def clean_up(self) -> None:
        """Leave the topics."""
        if self._outputs is not None:
            self._outputs.destroy()
            self._outputs = None
        if self._transforms is not None:
            self._transforms.destroy()
            self._transforms = None

    # Images in, targets out

    def _work(self) -> None:
        """Locate the targets of the images that need not wait any longer."""
        inputs = self._inputs
        if inputs is None:
            return  # a last message of a subscription that is gone
        if inputs.counts.pop("time_jumps", 0):
            self._counts["time_jumps"] += 1
            self._localizer.forget()
            self.get_logger().warning("time jumped back, motions are forgotten")
        for matched in inputs.take():
            self._locate(inputs, matched)
        if inputs.matcher.is_waiting:
            self._patience_timer.reset()
        else:
            self._patience_timer.cancel()

    def _locate(self, inputs: LocalizerInputs, matched: Matched[RotatedBoxArray, Any, Any]) -> None:
        assert self._outputs is not None
        boxes = matched.boxes
        observation = inputs.observation(matched)
        found = self._localizer.locate(observation)
        targets = [
            PlacedTarget(box, located) for box, located in zip(boxes.boxes, found, strict=True)
        ]
        self._outputs.publish(boxes.header, targets, observation, self.settings)
        self._latest = targets
        self._counts["images"] += 1
        self._counts["without_mask"] += matched.labels is None and inputs.counts["followed"] > 0
        self._counts["without_depth"] += matched.depth is None and inputs.counts["followed"] > 0
        now_ns = self.get_clock().now().nanoseconds
        self._ages_s.append((now_ns - stamp_to_ns(boxes.header.stamp)) * 1e-9)
        self._warn_of(targets)

    def _warn_of(self, targets: list[PlacedTarget]) -> None:
        for target in targets:
            located = target.located
            if located.source in (Source.BEARING, Source.NONE) and located.bearing is not None:
                self._warn(f"target {located.target_id}", f"no position: {located.reason}")

    def _warn(self, subject: str, text: str) -> None:
        if self._log_gate.lets_pass(subject, text):
            self.get_logger().warning(f"{subject}: {text}")

    # Parameters and diagnostics

    def _change_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        values = {parameter.name: parameter.value for parameter in parameters}
        try:
            configured = self._outputs is not None
            settings = LocalizerSettings.read(self).changed(values, configured=configured)
        except ValueError as error:
            LocalizerSettings.restore_types(self)
            return SetParametersResult(successful=False, reason=str(error))
        self.settings = settings
        self._localizer.config = settings.config
        if self._inputs is not None:
            self._inputs.apply(settings)
        return SetParametersResult(successful=True)

    def _report(self) -> None:
        silence = ""
        if self._inputs is not None:
            self._inputs.adapt()
            silence = self._inputs.explain_silence()
            if silence:
                self._warn("inputs", silence)
        statuses = [localizer_status(self.state_name, fault=self.fault)]
        if self._inputs is not None:
            ages_s, self._ages_s = self._ages_s, []
            statuses.append(inputs_status(self._inputs.counts, self._counts, ages_s, silence))
            statuses += [target_status(target) for target in self._latest]
        for status in statuses:  # there may be a localizer for each of several cameras
            status.hardware_id = self.get_fully_qualified_name()
        stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(diagnostic_array(stamp, statuses))


def main(args: list[str] | None = None) -> int:
    """Run the node until it is interrupted; 1 if its parameters are not acceptable."""
    interrupt_once()
    rclpy.init(args=args)
    return run_node(TargetLocalizerNode, LOCALIZER_NAME)


if __name__ == "__main__":
    sys.exit(main())
