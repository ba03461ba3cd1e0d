# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node reports on /diagnostics."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from siammask_ros.engine import CameraCounters, Timings
from siammask_ros.step_clock import STEP_PARTS, StepTimes

NODE_NAME = "siammask_tracker"


class LogGate:
    """Decides whether a fault that may come with every image is worth a line in the log."""

    REPEAT_S = 30.0
    """The same text comes again after so long."""
    CHANGE_S = 0.5
    """Another text about the same subject comes after so long."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, str]] = {}

    def lets_pass(self, subject: str, text: str) -> bool:
        """True where `text` is to be logged now."""
        now_s = time.monotonic()
        then_s, last = self._last.get(subject, (-self.REPEAT_S, ""))
        if now_s - then_s < (self.REPEAT_S if text == last else self.CHANGE_S):
            return False
        self._last[subject] = (now_s, text)
        return True


@dataclass(frozen=True)
class FrameCost:
    """Means over the frames of a period, in milliseconds, and their rate in Hz."""

    rate_hz: float = 0.0
    queue_ms: float = 0.0
    decode_ms: float = 0.0
    inference_ms: float = 0.0
    publish_ms: float = 0.0
    step: StepTimes = field(default_factory=StepTimes)
    """Parts of `inference_ms`."""


_WHOLE_PARTS = 3
"""Queue, decode and inference; publishing is the fourth."""
_NOTHING = (0.0,) * (_WHOLE_PARTS + 1 + len(STEP_PARTS))


class FrameMeter:
    """Sums up what frames cost between two reports. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums = list(_NOTHING)
        self._frames = 0
        self._since_s = time.monotonic()

    def add(self, timings: Timings, publish_ms: float) -> None:
        """Count one frame."""
        with self._lock:
            costs = (*timings[:_WHOLE_PARTS], publish_ms, *timings.step)
            self._sums = [total + cost for total, cost in zip(self._sums, costs, strict=True)]
            self._frames += 1

    def take(self) -> FrameCost:
        """The means since the last call."""
        with self._lock:
            now_s = time.monotonic()
            frames, sums, since_s = self._frames, self._sums, self._since_s
            self._frames, self._sums, self._since_s = 0, list(_NOTHING), now_s
        if frames == 0:
            return FrameCost()
        elapsed_s = max(now_s - since_s, 1e-9)
        means = [total / frames for total in sums]
        wholes, parts = means[: _WHOLE_PARTS + 1], means[_WHOLE_PARTS + 1 :]
        return FrameCost(frames / elapsed_s, *wholes, step=StepTimes(*parts))


@dataclass(frozen=True)
class CameraReport:
    """The state of one camera.

    Attributes:
        name: the camera's name, may be empty.
        topic: what it is read from.
        cost: rate and latency parts.
        counters: running totals.
        targets: number of targets.
        lost: images that the middleware reported lost.
        paused: its images are not processed.
        camera_info: what the markers know of the camera's calibration.
        fault: why there is no image, or the last error; empty when all is well.
    """

    name: str
    topic: str
    cost: FrameCost
    counters: CameraCounters
    targets: int
    lost: int
    paused: bool
    camera_info: str
    fault: str

    def status(self, device: str) -> DiagnosticStatus:
        """As one entry of the diagnostics."""
        cost, counters = self.cost, self.counters
        activity = f"{cost.rate_hz:.1f} frames/s, {self.targets} targets"
        if self.paused:
            activity = f"paused, {self.targets} targets"
        total_ms = cost.queue_ms + cost.decode_ms + cost.inference_ms + cost.publish_ms
        return DiagnosticStatus(
            level=DiagnosticStatus.WARN if self.fault else DiagnosticStatus.OK,
            name=f"{NODE_NAME}: camera {self.name}".rstrip(),
            hardware_id=device,
            message=self.fault or activity,
            values=diagnostic_values(
                topic=self.topic,
                rate_hz=f"{cost.rate_hz:.2f}",
                latency_ms=f"{total_ms:.2f}",
                queue_ms=f"{cost.queue_ms:.2f}",
                decode_ms=f"{cost.decode_ms:.2f}",
                inference_ms=f"{cost.inference_ms:.2f}",
                publish_ms=f"{cost.publish_ms:.2f}",
                crop_ms=f"{cost.step.crop:.2f}",
                upload_ms=f"{cost.step.upload:.2f}",
                network_ms=f"{cost.step.network:.2f}",
                choice_ms=f"{cost.step.choice:.2f}",
                mask_ms=f"{cost.step.mask:.2f}",
                paste_ms=f"{cost.step.paste:.2f}",
                targets=self.targets,
                received=counters.received,
                processed=counters.processed,
                dropped=counters.dropped,
                unusable=counters.unusable,
                lost_by_middleware=self.lost,
                time_jumps=counters.time_jumps,
                paused=counters.paused,
                detections=counters.detections,
                camera_info=self.camera_info,
            ),
        )


def node_status(
    state: str, *, device: str, weights: str, processing: str, fault: str
) -> DiagnosticStatus:
    """The entry of the node itself.

    Args:
        state: lifecycle state.
        device: where the network runs, empty before it is loaded.
        weights: the checkpoint.
        processing: how frames are taken.
        fault: why it could not be configured, or empty.
    """
    if fault:
        level, message = DiagnosticStatus.ERROR, fault
    elif state == "active":
        level, message = DiagnosticStatus.OK, f"active on {device}"
    else:
        level, message = DiagnosticStatus.WARN, f"not tracking: {state}"
    return DiagnosticStatus(
        level=level,
        name=f"{NODE_NAME}: node",
        hardware_id=device,
        message=message,
        values=diagnostic_values(
            state=state, device=device, weights=weights, processing=processing
        ),
    )


def diagnostic_array(stamp: Time, statuses: list[DiagnosticStatus]) -> DiagnosticArray:
    """The message."""
    return DiagnosticArray(header=Header(stamp=stamp), status=statuses)


def diagnostic_values(**values: object) -> list[KeyValue]:
    """The table of an entry."""
    return [KeyValue(key=key, value=str(value)) for key, value in values.items()]
