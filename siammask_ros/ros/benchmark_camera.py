# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The camera of the benchmarks: sends what it is told, so many images at such a rate.

    python -m siammask_ros.ros.benchmark_camera --ros-args -p width:=1280 -p height:=720

Its images are a few of a rendered scene, back and forth; they are messages before the first is
sent, so that sending costs no more than a driver's. Each order comes on `benchmark/run`, its answer
goes to `benchmark/sent` (std_msgs/String, JSON of `Run` and `Sent`).
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass, fields
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String

from siammask_ros.frames import MILLISECONDS_PER_SECOND
from siammask_ros.memory import hold_freed_memory
from siammask_ros.ros.messages import ns_to_stamp
from siammask_ros.ros.video_camera import NANOSECONDS, to_image, to_jpeg

RUN_TOPIC, SENT_TOPIC = "/benchmark/run", "/benchmark/sent"
ORDER_QOS = QoSProfile(
    depth=10,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""Of both topics: nobody is too late for an order."""
RENDERED_FRAMES = 6
IMAGE_DEPTH = 5
NS_PER_MS = 1e6
SPIN_S = 0.05


@dataclass(frozen=True)
class Run:
    """An order to all cameras.

    Attributes:
        number: rising, so that none is done twice.
        rate_hz: images a second.
        images: how many.
        begin_ns: when to begin, by the system's clock.
    """

    number: int
    rate_hz: float
    images: int
    begin_ns: int


@dataclass(frozen=True)
class Sent:
    """What a camera did of an order.

    Attributes:
        camera: its name.
        run: number of the order.
        stamps_ns: of each image: when its sending began, by the system's clock.
        publish_ms: what each call of `publish` took.
        cpu_ms: processor time of the camera's process for one image, all its threads together.
    """

    camera: str
    run: int
    stamps_ns: list[int]
    publish_ms: list[float]
    cpu_ms: float = 0.0

    @property
    def rate_hz(self) -> float:
        """Images a second in truth; 0 for a single image."""
        if len(self.stamps_ns) < 2:
            return 0.0
        span_ns = self.stamps_ns[-1] - self.stamps_ns[0]
        return (len(self.stamps_ns) - 1) * NANOSECONDS / span_ns


def to_text(order: Run | Sent) -> String:
    """An order or its answer as a message."""
    return String(data=json.dumps(asdict(order)))


def read_run(message: String) -> Run:
    """The order of a message."""
    return Run(**json.loads(message.data))


def read_sent(message: String) -> Sent:
    """The answer of a message."""
    return Sent(**json.loads(message.data))


@dataclass(frozen=True)
class PictureOptions:
    """The node's parameters: what its images are.

    Attributes:
        camera: its name in the answers.
        width, height: in pixels.
        seed: of the rendered scene.
        compressed: publish image/compressed (JPEG) instead of image.
        jpeg_quality: 1 to 100.
        phase: share of a period by which its images come later, 0 to 1.
        reliable: offer reliable delivery, otherwise best effort.
        kept_memory: keep freed memory, as the node does.
    """

    camera: str = ""
    width: int = 1280
    height: int = 720
    seed: int = 0
    compressed: bool = False
    jpeg_quality: int = 90
    phase: float = 0.0
    reliable: bool = True
    kept_memory: bool = True


def rendered_messages(options: PictureOptions) -> list[Image | CompressedImage]:
    """The images of a short rendered scene, there and back, ready to be sent over and over."""
    from siammask_ros.scenes import render_sequence

    size_wh = (options.width, options.height)
    frames = render_sequence(options.seed, frames=RENDERED_FRAMES, size_wh=size_wh)
    there = [
        to_jpeg(frame.image_bgr, options.jpeg_quality)
        if options.compressed
        else to_image(frame.image_bgr)
        for frame in frames
    ]
    return [*there, *there[-2:0:-1]]


class BenchmarkCamera(Node):
    """Sends images when it is told to."""

    def __init__(self, options: PictureOptions | None = None, **node_options: Any) -> None:
        """With `options` it has no parameters."""
        super().__init__("benchmark_camera", **node_options)
        self._options = options or PictureOptions(
            **{entry.name: self._declare(entry) for entry in fields(PictureOptions)}
        )
        if self._options.kept_memory:
            hold_freed_memory()
        self._messages = rendered_messages(self._options)
        self._run: Run | None = None
        self._last_number = 0
        self._made_ns = time.time_ns()
        reliability = (
            ReliabilityPolicy.RELIABLE if self._options.reliable else ReliabilityPolicy.BEST_EFFORT
        )
        kind, topic = Image, "image"
        if self._options.compressed:
            kind, topic = CompressedImage, "image/compressed"
        qos = QoSProfile(depth=IMAGE_DEPTH, reliability=reliability)
        self._publisher = self.create_publisher(kind, topic, qos)
        self._answers = self.create_publisher(String, SENT_TOPIC, ORDER_QOS)
        self.create_subscription(String, RUN_TOPIC, self._take_order, ORDER_QOS)
        # Says that it is there.
        self._answers.publish(to_text(Sent(self._options.camera, 0, [], [])))

    def work(self) -> None:
        """Do the order that has come, if one has."""
        run, self._run = self._run, None
        if run is not None:
            self._answers.publish(to_text(self._send(run)))

    def _take_order(self, message: String) -> None:
        run = read_run(message)
        if run.number > self._last_number and run.begin_ns > self._made_ns:
            self._last_number = run.number
            self._run = run

    def _send(self, run: Run) -> Sent:
        stamps, costs = [], []
        cpu_s = time.process_time()
        for index in range(run.images):
            offset_s = (index + self._options.phase) / run.rate_hz
            _sleep_until(run.begin_ns + round(offset_s * NANOSECONDS))
            message = self._messages[index % len(self._messages)]
            stamp_ns = time.time_ns()
            message.header.stamp = ns_to_stamp(stamp_ns)
            self._publisher.publish(message)
            costs.append((time.time_ns() - stamp_ns) / NS_PER_MS)
            stamps.append(stamp_ns)
        cpu_ms = (time.process_time() - cpu_s) * MILLISECONDS_PER_SECOND / run.images
        return Sent(self._options.camera, run.number, stamps, costs, cpu_ms)

    def _declare(self, option: Any) -> Any:
        return self.declare_parameter(option.name, option.default).value


def _sleep_until(moment_ns: int) -> None:
    while (left_ns := moment_ns - time.time_ns()) > 0:
        time.sleep(left_ns / NANOSECONDS)


def main(args: list[str] | None = None) -> int:
    """Run until it is interrupted."""
    rclpy.init(args=args)
    try:
        camera = BenchmarkCamera()
        while rclpy.ok():
            rclpy.spin_once(camera, timeout_sec=SPIN_S)
            camera.work()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
