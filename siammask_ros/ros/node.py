# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node `siammask_tracker`: translates between ROS and the tracking engine."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import SetBool

from siammask_msgs.srv import ClearTargets, SetTargets
from siammask_ros.clicks import Click
from siammask_ros.engine import (
    RequestError,
    TargetRequest,
    Timings,
    TrackingEngine,
)
from siammask_ros.frames import Frame
from siammask_ros.reduced_images import ReducibleJpeg
from siammask_ros.ros.camera_info import NOT_USED, CameraInfoSource, camera_info_topic
from siammask_ros.ros.detections import HintSource, detections_message, read_detections
from siammask_ros.ros.diagnostics import (
    NODE_NAME,
    CameraReport,
    FrameMeter,
    LogGate,
    diagnostic_array,
    node_status,
)
from siammask_ros.ros.foxglove import PACKAGE as FOXGLOVE_PACKAGE
from siammask_ros.ros.foxglove import foxglove_messages
from siammask_ros.ros.images import ImageError, check_image, decode_compressed, decode_image
from siammask_ros.ros.introspection import check_introspection, introspect
from siammask_ros.ros.loading import (
    build_tracker,
    choose_device,
    load_for_tracking,
    precision_hint,
    warm_up,
)
from siammask_ros.ros.managed_node import ManagedNode
from siammask_ros.ros.messages import ns_to_stamp, stamp_to_ns
from siammask_ros.ros.outputs import CameraOutputs
from siammask_ros.ros.pacing import ReplyPacer
from siammask_ros.ros.parameters import Settings
from siammask_ros.ros.run_node import interrupt_once, run_node
from siammask_ros.ros.source import ImageSource

if TYPE_CHECKING:
    from siammask_ros.backends import PreparedNetwork
    from siammask_ros.tracked import TargetEntry

REPORT_PERIOD_S = 1.0
SERVICE_QOS = QoSProfile(depth=1000)
"""The usual ten calls that may wait are few when many clients call at once: others are lost."""


class SiamMaskNode(ManagedNode):
    """Tracks targets of one or several cameras.

    Configuring loads the network and offers services and topics, activating subscribes to the
    cameras. Targets are kept while inactive, and forgotten by cleaning up.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(NODE_NAME, **options)
        Settings.declare(self)
        self.settings = Settings()
        self._network: PreparedNetwork | None = None
        self._engine: TrackingEngine | None = None
        self._device = ""
        self._outputs: dict[str, CameraOutputs] = {}
        self._sources: dict[str, ImageSource] = {}
        self._hints: dict[str, HintSource] = {}
        self._meters: dict[str, FrameMeter] = {}
        self._camera_faults: dict[str, str] = {}
        self._services_offered: list[Any] = []
        self._log_gate = LogGate()
        self._reply_pacer = ReplyPacer()
        self.add_on_set_parameters_callback(self._change_parameters)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        # Reports go on while simulated time stands still.
        self._timer = self.create_timer(
            REPORT_PERIOD_S, self._report, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def configure(self) -> None:
        """Read the parameters, load the network, and offer services and topics."""
        self.settings = settings = Settings.read(self)
        detections_message(settings.detections_type)
        check_introspection(settings.service_introspection)
        self._device = choose_device(settings.device)
        self._network = load_for_tracking(settings, self._device, self.get_logger().info)
        tracker = build_tracker(self._network, settings)
        warm_up(tracker)
        self._engine = TrackingEngine(
            tracker,
            settings.camera_names,
            settings.engine_options,
            on_result=self._on_result,
            on_error=self._on_error,
            on_notice=self._on_notice,
        )
        self._services_offered = [
            self.create_service(
                SetTargets, "~/set_targets", self._set_targets, qos_profile=SERVICE_QOS
            ),
            self.create_service(
                ClearTargets, "~/clear_targets", self._clear_targets, qos_profile=SERVICE_QOS
            ),
        ]
        self._introspect(settings.service_introspection)
        if foxglove_messages() is None:
            self.get_logger().info(f"{FOXGLOVE_PACKAGE} is not installed: no ~/annotations")
        several = len(settings.camera_names) > 1
        for name in settings.camera_names:
            prefix = f"~/{name}/" if several else "~/"
            self._outputs[name] = CameraOutputs(self, prefix, settings)
            self._meters[name] = FrameMeter()
            self._services_offered.append(
                self.create_service(SetBool, f"{prefix}pause", partial(self._pause, name))
            )
        self.get_logger().info(
            f"{self._network.architecture} of {settings.weights!r} runs on {self._device} "
            f"(device: {settings.device}) in {self._network.description}"
        )
        hint = precision_hint(self._network)
        if hint:
            self.get_logger().info(hint)

    def activate(self) -> None:
        """Subscribe to the cameras and start to track."""
        assert self._engine is not None
        self._engine.start()
        for name in self.settings.camera_names:
            prefix = f"{name}/" if name else ""
            on_image = partial(self._on_image, name)
            source = ImageSource(self, f"{prefix}image", self.settings, on_image)
            self._sources[name] = source
            self._outputs[name].camera_info = CameraInfoSource(
                self,
                camera_info_topic(self, self.settings.camera_info, prefix, source.base_topic),
                source.base_topic,
            )
            self._hints[name] = HintSource(
                self,
                prefix,
                self.settings.detections_type,
                partial(self._on_detections, name),
                partial(self._on_click, name),
            )
            self.get_logger().info(f"waiting for images on {source.topic}")

    def deactivate(self) -> None:
        """Leave the cameras; targets are kept."""
        for source in (*self._sources.values(), *self._hints.values()):
            source.destroy()
        for outputs in self._outputs.values():
            if outputs.camera_info is not None:
                outputs.camera_info.destroy()
        self._sources.clear()
        self._hints.clear()
        self._camera_faults.clear()
        if self._engine is not None:
            self._engine.stop()

    def clean_up(self) -> None:
        """Forget targets and network."""
        for service in self._services_offered:
            self.destroy_service(service)
        self._services_offered.clear()
        for outputs in self._outputs.values():
            outputs.destroy()
        self._outputs.clear()
        self._meters.clear()
        self._engine = None
        self._network = None
        self._device = ""

    # Images in, results out

    def _on_image(self, camera: str, message: Image | CompressedImage) -> None:
        assert self._engine is not None
        try:
            decode = _decoder(message)
        except ImageError as error:
            self._engine.counters(camera).unusable += 1
            self._on_error(camera, error)
            return
        stamp_ns = stamp_to_ns(message.header.stamp)
        if self._engine.add_frame(
            camera,
            stamp_ns=stamp_ns,
            header=message.header,
            decode=decode,
            data_bytes=len(message.data),
            reducible=self._reducible(camera, message),
        ):
            self._warn(self._sources[camera].topic, "time jumped back, older images are forgotten")

    def _reducible(self, camera: str, message: Image | CompressedImage) -> ReducibleJpeg | None:
        """What may be decoded at less than its size: nobody looks at the image itself."""
        if not self.settings.reduced_decode or isinstance(message, Image):
            return None
        if self._outputs[camera].draws_overlay(self.settings):
            return None
        return ReducibleJpeg.of(message.data)

    def _on_result(
        self, camera: str, frame: Frame, entries: list[TargetEntry], timings: Timings
    ) -> None:
        """Called in the inference thread."""
        publish_ms = self._outputs[camera].publish(frame, entries, timings, self.settings)
        self._meters[camera].add(timings, publish_ms)
        self._camera_faults.pop(camera, None)

    def _on_detections(self, camera: str, message: Any) -> None:
        assert self._engine is not None
        try:
            stamp_ns = stamp_to_ns(message.header.stamp)
            self._engine.add_detections(camera, stamp_ns, read_detections(message))
        except ValueError as error:
            self._warn(self._hints[camera].detections_topic, f"detections not used: {error}")

    def _on_click(self, camera: str, click: Click) -> None:
        assert self._engine is not None
        try:
            self._engine.add_click(camera, click)
        except RequestError as error:
            self.get_logger().warning(f"camera {camera}: click refused: {error}")

    def _on_notice(self, camera: str, text: str) -> None:
        """Called in the inference thread: what detections or a click have changed."""
        if self.context.ok():
            self.get_logger().info(f"{camera}: {text}" if camera else text)

    def _on_error(self, camera: str, error: Exception) -> None:
        """An image that is unusable, or a fault in the inference thread (without a camera)."""
        if not self.context.ok():
            return  # interrupted; nothing can be published any more
        if isinstance(error, ImageError):
            self._camera_faults[camera] = f"image not usable: {error}"
            self._warn(f"image {camera}".rstrip(), str(error))
            return
        text = "".join(traceback.format_exception(error)).rstrip()
        if self._log_gate.lets_pass("tracking", text):
            self.get_logger().error(f"tracking failed: {text}")

    def _warn(self, subject: str, text: str) -> None:
        if self._log_gate.lets_pass(subject, text):
            self.get_logger().warning(f"{subject}: {text}")

    # Services

    def _set_targets(
        self, request: SetTargets.Request, response: SetTargets.Response
    ) -> SetTargets.Response:
        self._reply_pacer.wait()
        boxes = [
            TargetRequest(box.id, box.label, (box.x, box.y, box.width, box.height))
            for box in request.targets
        ]
        try:
            assert self._engine is not None
            accepted = self._engine.set_targets(
                request.camera, stamp_to_ns(request.stamp), boxes, replace=request.replace
            )
        except RequestError as error:
            response.message = f"refused: {error}"
            self.get_logger().warning(f"set_targets {response.message}")
            return response
        response.success = True
        response.target_ids = accepted.target_ids
        response.stamp = ns_to_stamp(accepted.stamp_ns)
        response.message = f"tracking targets {', '.join(map(str, accepted.target_ids))}"
        return response

    def _clear_targets(
        self, request: ClearTargets.Request, response: ClearTargets.Response
    ) -> ClearTargets.Response:
        self._reply_pacer.wait()
        try:
            assert self._engine is not None
            gone = self._engine.clear_targets(request.camera, request.target_ids)
        except RequestError as error:
            response.message = f"refused: {error}"
            self.get_logger().warning(f"clear_targets {response.message}")
            return response
        response.success = True
        response.message = f"cleared targets {', '.join(map(str, gone)) or '(there were none)'}"
        return response

    def _pause(
        self, camera: str, request: SetBool.Request, response: SetBool.Response
    ) -> SetBool.Response:
        self._reply_pacer.wait()
        try:
            assert self._engine is not None
            self._engine.set_paused(camera, paused=request.data)
        except RequestError as error:
            response.message = f"refused: {error}"
            return response
        response.success = True
        response.message = "paused" if request.data else "running"
        return response

    # Parameters and diagnostics

    def _change_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        values = {parameter.name: parameter.value for parameter in parameters}
        try:
            settings = Settings.read(self).changed(values, configured=self._engine is not None)
            self._apply(settings)
        except ValueError as error:
            Settings.restore_types(self)
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply(self, settings: Settings) -> None:
        """Take over settings, all or none.

        Raises:
            ValueError: they do not go with the network.
        """
        if self._engine is not None and self._network is not None:
            tracker = build_tracker(self._network, settings)
            if (settings.preset, settings.masks) != (self.settings.preset, self.settings.masks):
                try:
                    warm_up(tracker)
                except (ValueError, RuntimeError) as error:
                    raise ValueError(
                        f"preset {settings.preset} with masks {settings.masks} does not go with "
                        f"{self._network.architecture}: {error}"
                    ) from error
            check_introspection(settings.service_introspection)
            self._engine.configure(settings.engine_options)
            self._engine.tracker = tracker
            if settings.service_introspection != self.settings.service_introspection:
                self._introspect(settings.service_introspection)
        self.settings = settings

    def _introspect(self, wish: str) -> None:
        for service in self._services_offered:
            if service.srv_type in (SetTargets, ClearTargets):
                introspect(service, wish, self.get_clock())

    def _report(self) -> None:
        for source in self._sources.values():
            source.adapt()
        statuses = [
            node_status(
                self.state_name,
                device=self._device,
                weights=self.settings.weights,
                processing=self.settings.processing,
                fault=self.fault,
            )
        ]
        statuses += [
            self._camera_report(name, source).status(self._device)
            for name, source in self._sources.items()
        ]
        stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(diagnostic_array(stamp, statuses))

    def _camera_report(self, name: str, source: ImageSource) -> CameraReport:
        assert self._engine is not None
        silence = source.explain_silence()
        if silence:
            self._warn(source.topic, silence)
        misread = self._hints[name].explain_silence()
        if misread:
            self._warn(self._hints[name].detections_topic, misread)
        outputs = self._outputs[name]
        camera_info = outputs.explain_camera_info()
        if camera_info.startswith(NOT_USED) and outputs.wants_sight:
            self._warn(source.topic, f"camera_info {camera_info}")
        return CameraReport(
            name=name,
            topic=source.topic,
            cost=self._meters[name].take(),
            counters=self._engine.counters(name),
            targets=self._engine.target_count(name),
            lost=source.lost,
            paused=self._engine.is_paused(name),
            camera_info=camera_info,
            fault=silence or self._camera_faults.get(name, ""),
        )


def _decoder(message: Image | CompressedImage) -> Callable[[], Any]:
    """What decodes a message later.

    Raises:
        ImageError: that cannot succeed.
    """
    if isinstance(message, CompressedImage):
        return partial(decode_compressed, message)
    check_image(message)
    return partial(decode_image, message)


def main(args: list[str] | None = None) -> int:
    """Run the node until it is interrupted; 1 if its parameters are not acceptable."""
    interrupt_once()
    rclpy.init(args=args)
    return run_node(SiamMaskNode, NODE_NAME)


if __name__ == "__main__":
    sys.exit(main())
