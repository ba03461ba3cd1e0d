# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera made of a recording: publishes a video, a folder, a rendered scene or a bag.

    ros2 run siammask_ros video_camera --ros-args -p source:=clip.mp4 -r image:=/camera/image_raw

Publishes `image` (sensor_msgs/Image), or `image/compressed` with `compressed: true`, and on
`~/sent` (std_msgs/Header, late subscribers get all of it) the stamp of every image with its number
in the source as frame_id; after the last image a header with frame_id "end". With
`wait_for_start: true` the first image is repeated until `~/start` (std_srvs/Trigger) is called.
With `lossless: true` the next image waits until `rotated_boxes` has answered the last one.
"""

from __future__ import annotations

import itertools
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time as ClockTime
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from siammask_msgs.msg import RotatedBoxArray
from siammask_ros.bags.reader import is_bag, open_bag
from siammask_ros.memory import hold_freed_memory
from siammask_ros.video import open_video

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builtin_interfaces.msg import Time
    from numpy.typing import NDArray

END_OF_STREAM = "end"
SCENE_PREFIX = "scene:"
SCENE_FRAMES = 150
SCENE_FPS = 25.0
SCENE_SIZE_WH = (640, 360)
SETTLE_S = 0.3
"""Time between the first subscriber's discovery and the first image."""
REPEAT_S = 0.5
"""Period at which the first image is repeated while waiting for the start."""
LINGER_S = 1.0
"""Time the publisher stays after the last image: what is in its shared memory dies with it."""
SENT_QOS = QoSProfile(
    depth=10_000,
    history=HistoryPolicy.KEEP_LAST,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""Of the topic `~/sent`: whoever comes late still learns of all images."""
IMAGE_DEPTH = 10
NANOSECONDS = 1_000_000_000


def _described(default: Any, text: str) -> Any:
    return field(default=default, metadata={"text": text})


@dataclass(frozen=True)
class CameraOptions:
    """The node's parameters, each with its default and meaning."""

    source: str = _described("", "video file, folder of images, bag, or scene:SEED (rendered)")
    topic: str = _described("", "the bag's image topic; empty: its only one")
    rate: float = _described(0.0, "images a second; 0: the source's own")
    start: int = _described(0, "first frame of the source to publish")
    stop: int = _described(0, "frame before which to end; 0: the source's end")
    loop: bool = _described(False, "start again at the end")
    frame_id: str = _described("camera", "frame_id of the images")
    compressed: bool = _described(False, "publish image/compressed (JPEG) instead of image")
    jpeg_quality: int = _described(90, "quality of the JPEG, 1 to 100")
    wait_for_subscribers: int = _described(0, "subscribers of the image to wait for at the start")
    wait_for_start: bool = _described(False, "repeat the first image until ~/start is called")
    lossless: bool = _described(False, "send the next image when rotated_boxes answered the last")
    timeout: float = _described(60.0, "seconds to wait for subscribers, the start, an answer")

    def __post_init__(self) -> None:
        if not self.source:
            raise ValueError("parameter source is empty: give a video, folder, bag or scene:SEED")
        if self.rate < 0 or self.timeout <= 0 or self.wait_for_subscribers < 0:
            raise ValueError("rate and wait_for_subscribers must be >= 0, timeout > 0")
        if not 1 <= self.jpeg_quality <= 100:
            raise ValueError(f"jpeg_quality {self.jpeg_quality} is not in 1 to 100")


@dataclass(frozen=True)
class CameraFrame:
    """A frame ready to publish: its number, its time in the source (s), and what it shows.

    `content` is an (H, W, 3) uint8 BGR image, or a ROS message whose header is still to be set.
    """

    index: int
    time_s: float
    content: NDArray[np.uint8] | Image | CompressedImage


def read_source(options: CameraOptions, stack: ExitStack) -> tuple[Iterator[CameraFrame], float]:
    """Open the source.

    Returns:
        its frames, and its frames a second (0 where the frames' own times are to be kept).

    Raises:
        ValueError, FileNotFoundError: there is nothing to publish; the message names it.
    """
    stop = options.stop or None
    if options.source.startswith(SCENE_PREFIX):
        return read_scene(options.source, start=options.start, stop=stop), SCENE_FPS
    path = Path(options.source).expanduser()
    if is_bag(path):
        return read_bag(path, options.topic, start=options.start, stop=stop), 0.0
    video = stack.enter_context(open_video(path, start=options.start, stop=stop))
    frames = (CameraFrame(f.index, f.time_s, f.image_bgr) for f in video)
    return frames, video.fps


def read_scene(source: str, *, start: int = 0, stop: int | None = None) -> Iterator[CameraFrame]:
    """Frames of the rendered scene that `scene:SEED` names."""
    from siammask_ros.scenes import render_sequence

    seed = source.removeprefix(SCENE_PREFIX)
    if not seed.isdigit():
        raise ValueError(f"{source!r} is no scene: the seed after 'scene:' must be a number")
    count = SCENE_FRAMES if stop is None else stop
    sequence = render_sequence(int(seed), frames=count, size_wh=SCENE_SIZE_WH)
    for index, frame in enumerate(sequence):
        if index >= start:
            yield CameraFrame(index, (index - start) / SCENE_FPS, frame.image_bgr)


def read_bag(
    path: Path, topic: str = "", *, start: int = 0, stop: int | None = None
) -> Iterator[CameraFrame]:
    """The images of one topic of a bag, with the times at which they were recorded.

    Raises:
        FileNotFoundError: there is no such bag.
        ValueError: it cannot be read, or has no (or more than one) image topic and none is named.
    """
    with open_bag(path) as bag:
        messages = bag.messages([bag.image_topic(topic)])
        first_ns = None
        for index, message in enumerate(itertools.islice(messages, start, stop), start):
            first_ns = message.log_ns if first_ns is None else first_ns
            time_s = (message.log_ns - first_ns) / NANOSECONDS
            yield CameraFrame(index, time_s, to_ros(bag.decode(message)))
        for warning in bag.warnings:
            print(f"video_camera: {warning}", file=sys.stderr)  # noqa: T201


def to_ros(message: Any) -> Image | CompressedImage:
    """An image message of the bag library as one of rclpy; the data is copied once."""
    if hasattr(message, "format"):
        compressed = CompressedImage(format=message.format)
        compressed.data.frombytes(memoryview(message.data).cast("B"))
        return compressed
    image = Image(
        height=int(message.height),
        width=int(message.width),
        encoding=message.encoding,
        is_bigendian=int(message.is_bigendian),
        step=int(message.step),
    )
    image.data.frombytes(memoryview(message.data).cast("B"))
    return image


class VideoCamera(Node):
    """Publishes the frames of a source at a rate. `run` does the work and drives the callbacks."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__("video_camera", **node_options)
        self.options = CameraOptions(**{f.name: self._declare(f) for f in fields(CameraOptions)})
        self.started = not self.options.wait_for_start
        self._answered = 0
        image_qos = QoSProfile(depth=IMAGE_DEPTH, reliability=ReliabilityPolicy.RELIABLE)
        if self.options.compressed:
            self._images = self.create_publisher(CompressedImage, "image/compressed", image_qos)
        else:
            self._images = self.create_publisher(Image, "image", image_qos)
        self._sent = self.create_publisher(Header, "~/sent", SENT_QOS)
        self.create_service(Trigger, "~/start", self._on_start)
        if self.options.lossless:
            self.create_subscription(
                RotatedBoxArray,
                "rotated_boxes",
                self._on_boxes,
                QoSProfile(depth=IMAGE_DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT),
            )

    def run(self) -> int:
        """Publish the whole source; returns the number of images sent."""
        with ExitStack() as stack:
            count = 0
            while True:
                frames, source_rate = read_source(self.options, stack)
                rate = self.options.rate or source_rate
                count += self._publish_all(frames, rate, first_run=count == 0)
                if not self.options.loop:
                    break
                stack.close()
        self._sent.publish(Header(frame_id=END_OF_STREAM))
        self._spin_for(LINGER_S)
        return count

    def _publish_all(self, frames: Iterator[CameraFrame], rate: float, *, first_run: bool) -> int:
        count = 0
        start_ns = 0
        for frame in frames:
            if count == 0:
                if first_run:
                    self._wait_for_subscribers()
                start_ns = self._publish_first(frame)
            else:
                offset_s = count / rate if rate else frame.time_s
                stamp_ns = start_ns + round(offset_s * NANOSECONDS)
                stamp_ns = self._wait_until(stamp_ns)
                self._publish(frame, stamp_ns)
            count += 1
        if count == 0:
            raise ValueError(f"no frame in {self.options.source}")
        # The last image lasts as long as the others, also before a loop begins again.
        self._wait_until(start_ns + round((count / rate if rate else 0) * NANOSECONDS))
        return count

    def _publish_first(self, frame: CameraFrame) -> int:
        """Send the first frame, again and again until the start; the last stamp given to it."""
        deadline = time.monotonic() + self.options.timeout
        while True:
            stamp_ns = self._now_ns()
            self._publish(frame, stamp_ns)
            if self.started:
                return stamp_ns
            repeat_at = time.monotonic() + REPEAT_S
            while not self.started and time.monotonic() < repeat_at:
                rclpy.spin_once(self, timeout_sec=REPEAT_S / 20)
            if self.started:
                return self._now_ns()
            if time.monotonic() > deadline:
                raise TimeoutError(f"~/start was not called within {self.options.timeout:g} s")

    def _publish(self, frame: CameraFrame, stamp_ns: int) -> None:
        stamp = ClockTime(nanoseconds=stamp_ns).to_msg()
        message = self._message(frame)
        message.header = Header(stamp=stamp, frame_id=self.options.frame_id)
        self._images.publish(message)
        self._sent.publish(Header(stamp=stamp, frame_id=str(frame.index)))
        if self.options.lossless and self.started:
            self._wait_for_answer(stamp)

    def _message(self, frame: CameraFrame) -> Image | CompressedImage:
        content = frame.content
        if self.options.compressed:
            if isinstance(content, CompressedImage):
                return content
            image = content if isinstance(content, np.ndarray) else decode_image(content)
            return to_jpeg(image, self.options.jpeg_quality)
        if isinstance(content, Image):
            return content
        image = content if isinstance(content, np.ndarray) else decode_image(content)
        return to_image(image)

    def _wait_for_subscribers(self) -> None:
        wanted = self.options.wait_for_subscribers
        if wanted == 0:
            return
        deadline = time.monotonic() + self.options.timeout
        while self._images.get_subscription_count() < wanted:
            rclpy.spin_once(self, timeout_sec=0.05)
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{self._images.get_subscription_count()} of {wanted} subscribers of "
                    f"{self._images.topic_name} after {self.options.timeout:g} s"
                )
        self._spin_for(SETTLE_S)

    def _wait_for_answer(self, stamp: Time) -> None:
        wanted = ClockTime.from_msg(stamp).nanoseconds
        deadline = time.monotonic() + self.options.timeout
        while self._answered < wanted:
            rclpy.spin_once(self, timeout_sec=0.05)
            if time.monotonic() > deadline:
                raise TimeoutError(f"no answer to an image within {self.options.timeout:g} s")

    def _wait_until(self, stamp_ns: int) -> int:
        """Serve callbacks until the time of a stamp; lossless, there is no time to keep."""
        if self.options.lossless:
            return self._now_ns()
        while (left_ns := stamp_ns - self._now_ns()) > 0:
            rclpy.spin_once(self, timeout_sec=left_ns / NANOSECONDS)
        return stamp_ns

    def _spin_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            rclpy.spin_once(self, timeout_sec=left)

    def _now_ns(self) -> int:
        return self.get_clock().now().nanoseconds

    def _declare(self, option: Any) -> Any:
        from rcl_interfaces.msg import ParameterDescriptor

        descriptor = ParameterDescriptor(description=option.metadata["text"], read_only=True)
        kind = Parameter.Type.from_parameter_value(option.default)
        descriptor.type = kind.value
        return self.declare_parameter(option.name, option.default, descriptor).value

    def _on_start(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.started = True
        response.success = True
        response.message = f"publishing {self.options.source}"
        return response

    def _on_boxes(self, message: RotatedBoxArray) -> None:
        stamp = ClockTime.from_msg(message.header.stamp).nanoseconds
        self._answered = max(self._answered, stamp)


def to_image(image_bgr: NDArray[np.uint8]) -> Image:
    """A BGR image as a message, filled in the one way that is cheap in rclpy."""
    height, width = image_bgr.shape[:2]
    message = Image(height=height, width=width, encoding="bgr8", step=width * 3)
    message.data.frombytes(memoryview(np.ascontiguousarray(image_bgr)).cast("B"))
    return message


def to_jpeg(image_bgr: NDArray[np.uint8], quality: int) -> CompressedImage:
    """A BGR image as a JPEG message."""
    done, encoded = cv2.imencode(".jpg", image_bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"cannot encode an image of shape {image_bgr.shape}")
    message = CompressedImage(format="bgr8; jpeg compressed bgr8")
    message.data.frombytes(memoryview(encoded).cast("B"))
    return message


def decode_image(message: Image | CompressedImage) -> NDArray[np.uint8]:
    """The pixels of a message as BGR."""
    from siammask_ros.ros import images

    if isinstance(message, CompressedImage):
        return images.decode_compressed(message)
    return images.decode_image(message)


def main(args: list[str] | None = None) -> int:
    """Entry point of the executable; exit status 0 when all was sent, 1 when it failed."""
    rclpy.init(args=args)
    hold_freed_memory()
    node: VideoCamera | None = None
    try:
        node = VideoCamera()
        count = node.run()
        node.get_logger().info(f"sent {count} images of {node.options.source}")
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except (ValueError, OSError, ImportError) as error:
        print(f"video_camera: {error}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
