# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A consumer of the tracker's topics: writes what it receives and measures rate and latency.

Subscribes `overlay`, `mask`, `label_image`, `rotated_boxes` and `confidence` of the tracker and
`sent` of the camera (remap them). Publishes `~/ready` (std_msgs/Empty, late subscribers get it)
when each of them has delivered something. Records from the image that the targets are given on
until the camera says that it has ended and its last image is answered. Then it writes the overlay
video, the CSV and a JSON report, and exits with status 0; 1 and one line where nothing came.
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import rclpy
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time as ClockTime
from sensor_msgs.msg import Image
from std_msgs.msg import Empty, Header

from siammask_msgs.msg import Confidence, RotatedBox, RotatedBoxArray
from siammask_ros.memory import hold_freed_memory
from siammask_ros.results import ResultRow, write_results
from siammask_ros.ros.video_camera import END_OF_STREAM, NANOSECONDS, SENT_QOS
from siammask_ros.sinks import label_image_name
from siammask_ros.target_status import TargetStatus
from siammask_ros.video import VideoWriter

if TYPE_CHECKING:
    from numpy.typing import NDArray

READY_QOS = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""Of the topic `~/ready`: published once, when every topic has delivered its first message."""
RESULT_DEPTH = 100
IMAGE_DEPTH = 30
SETTLE_S = 0.3
"""Time for the last overlay and masks after the last boxes."""
MAX_STILL_S = 0.5
"""Longest time one frame is shown in a video whose frames come with their own times."""
PERCENTILES = (50, 95)
MIN_FOR_RATE = 2
NS_PER_MS = 1e6


@dataclass
class Tally:
    """What came of the camera's images, by stamp in nanoseconds; no ROS in it.

    The camera may send its first image several times while it waits for the start; what counts
    begins after the last of these, which is the one that the targets are given on.
    """

    sent: dict[int, int] = field(default_factory=dict)
    boxes: dict[int, RotatedBoxArray] = field(default_factory=dict)
    received_ns: dict[int, int] = field(default_factory=dict)
    confidences: set[int] = field(default_factory=set)
    masks: set[int] = field(default_factory=set)
    overlays: list[int] = field(default_factory=list)
    given_ns: int | None = None
    last_sent_ns: int | None = None
    moving: bool = False
    ended: bool = False

    def add_sent(self, stamp_ns: int, frame: int) -> None:
        """Take note that the camera sent an image, by its number in the source."""
        first = next(iter(self.sent.values()), frame)
        self.moving = self.moving or frame != first
        if not self.moving:
            self.given_ns = stamp_ns
        self.sent[stamp_ns] = frame
        self.last_sent_ns = stamp_ns

    def add_boxes(self, stamp_ns: int, message: RotatedBoxArray, now_ns: int) -> None:
        """Take a result, the later one where an image has two."""
        self.boxes[stamp_ns] = message
        self.received_ns[stamp_ns] = now_ns

    def is_settled(self, stamp_ns: int) -> bool:
        """True when it is known whether an image counts."""
        return stamp_ns in self.sent and (self.moving or self.is_still(stamp_ns))

    def is_still(self, stamp_ns: int) -> bool:
        """True for an image from before the last repetition of the first one."""
        return self.given_ns is not None and stamp_ns < self.given_ns

    def counted(self) -> list[int]:
        """Stamps of the images whose results count, in order: those after the given one."""
        return [s for s in self.sent if self.given_ns is not None and s > self.given_ns]

    @property
    def complete(self) -> bool:
        """True when the camera has ended and its last image is answered."""
        return self.ended and self.last_sent_ns is not None and self.last_sent_ns in self.boxes

    def report(self) -> Report:
        """The run in numbers."""
        counted = self.counted()
        answered = [stamp for stamp in counted if stamp in self.boxes]
        order = sorted(answered, key=self.received_ns.__getitem__)
        latencies = [(self.received_ns[s] - s) / NS_PER_MS for s in order]
        p50, p95 = np.percentile(latencies, PERCENTILES) if latencies else (0.0, 0.0)
        return Report(
            sent=len(counted),
            results=len(answered),
            with_target=sum(bool(self.boxes[stamp].boxes) for stamp in answered),
            overlays=len(self.overlays),
            masks=sum(stamp in self.masks for stamp in counted),
            confidences=sum(stamp in self.confidences for stamp in counted),
            rate_hz=_rate([self.received_ns[stamp] for stamp in order]),
            camera_hz=_rate(counted),
            latency_p50_ms=float(p50),
            latency_p95_ms=float(p95),
            decode_ms=self._mean("decode_ms", answered),
            inference_ms=self._mean("inference_ms", answered),
            publish_ms=self._mean("publish_ms", answered),
            queue_ms=self._mean("queue_ms", answered),
            overlay_frames=[self.sent.get(stamp, -1) for stamp in self.overlays],
        )

    def rows(self, clip: str) -> list[ResultRow]:
        """One row a target and frame, in the order of the frames."""
        first = self.given_ns or 0
        return [
            to_row(
                box,
                clip=clip,
                frame=self.sent[stamp],
                time_s=(stamp - first) / NANOSECONDS,
                latency_ms=(self.received_ns[stamp] - stamp) / NS_PER_MS,
            )
            for stamp in self.counted()
            if stamp in self.boxes
            for box in self.boxes[stamp].boxes
        ]

    def _mean(self, name: str, stamps: list[int]) -> float:
        values = [getattr(self.boxes[stamp], name) for stamp in stamps]
        return float(np.mean(values)) if values else 0.0


@dataclass(frozen=True)
class Report:
    """A recorded run in numbers; rates in frames a second, times in milliseconds.

    `overlay_frames` are the numbers, in the camera's source, of the overlay video's frames.
    """

    sent: int
    results: int
    with_target: int
    overlays: int
    masks: int
    confidences: int
    rate_hz: float
    camera_hz: float
    latency_p50_ms: float
    latency_p95_ms: float
    decode_ms: float
    inference_ms: float
    publish_ms: float
    queue_ms: float
    overlay_frames: list[int]


def to_row(
    box: RotatedBox, *, clip: str, frame: int, time_s: float, latency_ms: float
) -> ResultRow:
    """A box message as a row of the table."""
    corners = [value for corner in box.corners for value in (corner.x, corner.y)]
    return ResultRow(
        clip,
        frame,
        time_s,
        box.target_id,
        box.label,
        TargetStatus(box.state).name,
        box.confidence,
        box.center_x,
        box.center_y,
        box.size_x,
        box.size_y,
        box.theta,
        *corners,
        mask_area=box.mask_area,
        age=box.age,
        latency_ms=latency_ms,
    )


def _described(default: Any, text: str) -> Any:
    return field(default=default, metadata={"text": text})


@dataclass(frozen=True)
class RecorderOptions:
    """The node's parameters, each with its default and meaning."""

    clip: str = _described("clip", "name of the clip in the CSV")
    video: str = _described("", "overlay video to write (MP4); empty: none")
    csv: str = _described("", "table of boxes and confidence to write; empty: none")
    masks: str = _described("", "folder for the label images (PNG by frame number); empty: none")
    report: str = _described("", "JSON file for rate, latency and counts; empty: none")
    fps: float = _described(25.0, "frames a second of the video; 0: as the stamps say")
    patience: float = _described(30.0, "seconds without any message after which to give up")


class DemoRecorder(Node):
    """Receives the tracker's results. `run` returns when the camera's last image is answered."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__("demo_recorder", **node_options)
        values = {}
        for option in fields(RecorderOptions):
            text = ParameterDescriptor(description=option.metadata["text"], read_only=True)
            values[option.name] = self.declare_parameter(option.name, option.default, text).value
        self.options = RecorderOptions(**values)
        self.tally = Tally()
        self._heard = time.monotonic()
        self._waiting: deque[tuple[int, NDArray[np.uint8]]] = deque()
        self._video_time_s = 0.0
        self._video_stamp_ns: int | None = None
        self._writer: VideoWriter | None = None
        self._unheard = {"rotated_boxes", "confidence", "mask"}
        if self.options.masks:
            self._unheard.add("label_image")
        if self.options.video:
            self._unheard.add("overlay")
        if self.options.masks:
            Path(self.options.masks).mkdir(parents=True, exist_ok=True)
        self._subscribe()

    def _subscribe(self) -> None:
        # Best effort fits every offer; the depth covers what a slow moment leaves waiting.
        images = QoSProfile(depth=IMAGE_DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT)
        results = QoSProfile(depth=RESULT_DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._ready = self.create_publisher(Empty, "~/ready", READY_QOS)
        self.create_subscription(Header, "sent", self._on_sent, SENT_QOS)
        self.create_subscription(RotatedBoxArray, "rotated_boxes", self._on_boxes, results)
        self.create_subscription(Confidence, "confidence", self._on_confidence, results)
        self.create_subscription(Image, "mask", self._on_mask, images)
        if self.options.masks:
            self.create_subscription(Image, "label_image", self._on_labels, images)
        if self.options.video:
            self.create_subscription(Image, "overlay", self._on_overlay, images)

    def run(self) -> None:
        """Receive until the stream has ended.

        Raises:
            TimeoutError: nothing came for `patience` seconds and there is no result at all.
        """
        self._heard = time.monotonic()
        while not self.tally.complete:
            rclpy.spin_once(self, timeout_sec=0.1)
            if time.monotonic() - self._heard > self.options.patience:
                if not self.tally.boxes:
                    raise TimeoutError(f"no result within {self.options.patience:g} s")
                self.get_logger().warning("the last image was never answered")
                break
        end = time.monotonic() + SETTLE_S
        while (left := end - time.monotonic()) > 0:
            rclpy.spin_once(self, timeout_sec=left)

    def save(self) -> None:
        """Write the files asked for."""
        self._write_overlays()
        if self._writer is not None:
            self._writer.close()
        if self.options.csv:
            write_results(self.options.csv, self.tally.rows(self.options.clip))
        if self.options.report:
            text = json.dumps(asdict(self.tally.report()), indent=2)
            Path(self.options.report).write_text(text + "\n", encoding="utf-8")

    def abort(self) -> None:
        """Leave no half-written video."""
        if self._writer is not None:
            self._writer.abort()

    def _hear(self, topic: str) -> None:
        """Say once, when every topic has delivered something, that nothing will be missed."""
        self._heard = time.monotonic()
        if topic in self._unheard:
            self._unheard.remove(topic)
            if not self._unheard:
                self._ready.publish(Empty())

    def _on_sent(self, message: Header) -> None:
        self._heard = time.monotonic()
        if message.frame_id == END_OF_STREAM:
            self.tally.ended = True
        else:
            self.tally.add_sent(_nanoseconds(message), int(message.frame_id))
            self._write_overlays()

    def _on_boxes(self, message: RotatedBoxArray) -> None:
        self._hear("rotated_boxes")
        now = self.get_clock().now().nanoseconds
        self.tally.add_boxes(_nanoseconds(message.header), message, now)

    def _on_confidence(self, message: Confidence) -> None:
        self._hear("confidence")
        self.tally.confidences.add(_nanoseconds(message.header))

    def _on_mask(self, message: Image) -> None:
        self._hear("mask")
        self.tally.masks.add(_nanoseconds(message.header))

    def _on_labels(self, message: Image) -> None:
        self._hear("label_image")
        frame = self.tally.sent.get(_nanoseconds(message.header))
        if frame is not None:
            path = Path(self.options.masks) / label_image_name(frame)
            cv2.imwrite(str(path), pixels(message, channels=1))

    def _on_overlay(self, message: Image) -> None:
        self._hear("overlay")
        self._waiting.append((_nanoseconds(message.header), pixels(message, channels=3)))
        self._write_overlays()

    def _write_overlays(self) -> None:
        """Write the overlays whose images are known to count, the given one included."""
        while self._waiting and self.tally.is_settled(self._waiting[0][0]):
            stamp, image = self._waiting.popleft()
            if not self.tally.is_still(stamp):
                self._write(stamp, image)

    def _write(self, stamp: int, image: NDArray[np.uint8]) -> None:
        if self._writer is None:
            self._writer = VideoWriter(self.options.video, fps=self.options.fps or 1.0)
        if self._video_stamp_ns is not None:
            elapsed = (stamp - self._video_stamp_ns) / NANOSECONDS
            self._video_time_s += min(elapsed, MAX_STILL_S)
        self._video_stamp_ns = stamp
        time_s = None if self.options.fps else self._video_time_s
        self._writer.write(image, time_s=time_s)
        self.tally.overlays.append(stamp)


def _rate(times_ns: list[int]) -> float:
    """Events a second, from the first to the last of them; 0 for fewer than two."""
    if len(times_ns) < MIN_FOR_RATE or times_ns[-1] <= times_ns[0]:
        return 0.0
    return (len(times_ns) - 1) * NANOSECONDS / (times_ns[-1] - times_ns[0])


def pixels(message: Image, *, channels: int) -> NDArray[np.uint8]:
    """The pixels of an 8-bit image message of the tracker, (H, W) or (H, W, 3), as a copy."""
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    plane = rows[:, : message.width * channels].copy()
    return plane if channels == 1 else plane.reshape(message.height, message.width, channels)


def _nanoseconds(header: Header) -> int:
    return ClockTime.from_msg(header.stamp).nanoseconds


def main(args: list[str] | None = None) -> int:
    """Entry point; Ctrl-C ends the recording and keeps what was received."""
    rclpy.init(args=args)
    hold_freed_memory()
    node: DemoRecorder | None = None
    try:
        node = DemoRecorder()
        try:
            node.run()
        except (KeyboardInterrupt, ExternalShutdownException):
            if not node.tally.boxes:
                return 1
        node.save()
    except (ValueError, OSError, ImportError) as error:
        print(f"demo_recorder: {error}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        if node is not None:
            node.abort()
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
