# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node's benchmarks are run with: cameras in processes of their own, and the consumer.

The consumer is this process: it gives the orders and notes when results come.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from std_msgs.msg import String

from siammask_ros.ros.benchmark_camera import (
    ORDER_QOS,
    RUN_TOPIC,
    SENT_TOPIC,
    Run,
    Sent,
    read_sent,
    to_text,
)
from siammask_ros.ros.messages import stamp_to_ns
from siammask_ros.ros.processes import NodeProcess, ProcessError
from siammask_ros.ros.video_camera import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from typing_extensions import Self

START_TIMEOUT_S = 180.0
"""For processes to appear: Python and torch are imported, images are rendered meanwhile."""
CALL_TIMEOUT_S = 60.0
POLL_S = 0.02
LEAD_S = 0.3
"""Between an order and its first image, so that every camera has it by then."""
SETTLE_S = 0.5
"""Without a result for so long after the last image, none is expected any more."""
IMAGE_DEPTH, RESULT_DEPTH = 5, 100


class BenchmarkError(RuntimeError):
    """The benchmark cannot go on; the message says why."""


class Rig:
    """Cameras, a node under test, and a consumer. A context manager: nothing is left running."""

    def __init__(self, folder: Path) -> None:
        """`folder` takes the logs of the processes."""
        self._folder = folder
        self._processes: list[NodeProcess] = []
        self._answers: dict[int, dict[str, Sent]] = defaultdict(dict)
        self._number = 0
        self.received: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
        """When the message of a stamp came (ns), by what it is and by camera."""

    def __enter__(self) -> Self:
        self._context = rclpy.Context()
        self._context.init(args=[])
        self.node = rclpy.create_node("benchmark", context=self._context)
        self._orders = self.node.create_publisher(String, RUN_TOPIC, ORDER_QOS)
        self.node.create_subscription(String, SENT_TOPIC, self._take_answer, ORDER_QOS)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._open = True
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        for process in reversed(self._processes):
            process.stop()
        self._open = False
        self._thread.join()
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()

    def start(
        self,
        name: str,
        module: str,
        parameters: dict[str, object],
        *,
        remaps: dict[str, str] | None = None,
        environment: dict[str, str] | None = None,
    ) -> NodeProcess:
        """Start a node in a process of its own."""
        process = NodeProcess(
            name,
            module,
            folder=self._folder,
            parameters=parameters,
            remaps=remaps or {},
            environment=environment,
        )
        self._processes.append(process)
        return process

    def stop(self, process: NodeProcess) -> None:
        """End one of the processes."""
        process.stop()
        self._processes.remove(process)

    def start_cameras(
        self, names: Sequence[str], size_wh: tuple[int, int], **options: object
    ) -> list[NodeProcess]:
        """Start cameras, each in the namespace of its name, and wait for them.

        Args:
            names: of the cameras.
            size_wh: of their images.
            options: other fields of `PictureOptions`.
        """
        self._answers[0].clear()
        cameras = []
        for index, name in enumerate(names):
            parameters: dict[str, object] = {
                "camera": name,
                "width": size_wh[0],
                "height": size_wh[1],
                "seed": index,
                "phase": index / len(names),
                **options,
            }
            cameras.append(
                self.start(
                    f"camera_{name}",
                    "siammask_ros.ros.benchmark_camera",
                    parameters,
                    remaps={"__ns": f"/{name}"},
                )
            )
        self.wait(lambda: len(self._answers[0]) == len(names), "the cameras", START_TIMEOUT_S)
        return cameras

    def listen(self, kind: type, topic: str, what: str, camera: str, *, depth: int) -> None:
        """Note when messages of a topic come."""
        note = partial(self._note, self.received[what, camera])
        self.node.create_subscription(kind, topic, note, QoSProfile(depth=depth))

    def run(self, cameras: Sequence[str], rate_hz: float, seconds: float) -> dict[str, Sent]:
        """Let all cameras send at a rate for so long; returns when all is quiet again."""
        self._number += 1
        number = self._number
        begin_ns = time.time_ns() + round(LEAD_S * NANOSECONDS)
        images = max(round(rate_hz * seconds), 1)
        self._orders.publish(to_text(Run(number, rate_hz, images, begin_ns)))
        answers = self._answers[number]
        timeout_s = 4 * images / rate_hz + CALL_TIMEOUT_S
        self.wait(lambda: len(answers) == len(cameras), "the images", timeout_s)
        self._settle()
        return dict(answers)

    def call(self, kind: Any, name: str, request: Any) -> Any:
        """Call a service and wait for its answer."""
        client = self.node.create_client(kind, name)
        self.wait(client.service_is_ready, f"the service {name}", START_TIMEOUT_S)
        future = client.call_async(request)
        self.wait(future.done, f"an answer of {name}", CALL_TIMEOUT_S)
        self.node.destroy_client(client)
        return future.result()

    def wait(self, condition: Callable[[], bool], what: str, timeout_s: float) -> None:
        """Wait for something, while watching that all processes still run.

        Raises:
            BenchmarkError: it did not come, or a process has failed.
        """
        deadline = time.monotonic() + timeout_s
        while not condition():
            try:
                for process in self._processes:
                    process.check()
            except ProcessError as error:
                raise BenchmarkError(str(error)) from error
            if time.monotonic() > deadline:
                raise BenchmarkError(f"waited {timeout_s:.0f} s for {what}, in vain")
            time.sleep(POLL_S)

    def _settle(self) -> None:
        seen, since = -1, time.monotonic()
        while time.monotonic() - since < SETTLE_S:
            count = sum(len(stamps) for stamps in self.received.values())
            if count != seen:
                seen, since = count, time.monotonic()
            time.sleep(POLL_S)

    def _take_answer(self, message: String) -> None:
        sent = read_sent(message)
        self._answers[sent.run][sent.camera] = sent

    @staticmethod
    def _note(stamps: dict[int, int], message: Any) -> None:
        stamps[stamp_to_ns(message.header.stamp)] = time.time_ns()

    def _spin(self) -> None:
        while self._open:
            self._executor.spin_once(timeout_sec=0.1)
