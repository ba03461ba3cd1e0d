# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What it takes to bring an image from a camera to whoever tracks in it, way by way.

python -m siammask_ros.ros.benchmark_transport --sizes 1280x720,1920x1080

Each way has a process of its own for camera and receiver (but the last: both in one). The time is
from the stamp, just before `publish`, to pixels in an array in the receiver's callback. Rounds
alternate between the ways, so that other load falls on all of them; processor time (of both, for
one image) hardly depends on it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from siammask_ros.files import markdown_table
from siammask_ros.frames import MILLISECONDS_PER_SECOND
from siammask_ros.memory import hold_freed_memory
from siammask_ros.ros.benchmark_camera import NS_PER_MS, BenchmarkCamera, PictureOptions
from siammask_ros.ros.benchmark_rig import CALL_TIMEOUT_S, Rig
from siammask_ros.ros.messages import stamp_to_ns
from siammask_ros.ros.processes import (
    PROFILE_VARIABLES,
    prepare_environment,
    profile_variable,
    transport_profile,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

BUILTIN_VARIABLE = "FASTDDS_BUILTIN_TRANSPORTS"
CAMERA = "camera0"
PERCENTILES = (50, 90, 99)
WARM_UP_HZ, WARM_UP_S = 10.0, 1.0
SPIN_S = 0.05


@dataclass(frozen=True)
class Way:
    """One way for images to take.

    Attributes:
        name: for people.
        profile: with the package's transport profile; otherwise as the middleware comes.
        builtin: value of FASTDDS_BUILTIN_TRANSPORTS.
        compressed: as JPEG; decoding is counted.
        reliable: delivery.
        kept_memory: both processes keep freed memory (`siammask_ros.memory`).
        one_process: camera and receiver are nodes of one process.
    """

    name: str
    profile: bool = True
    builtin: str = ""
    compressed: bool = False
    reliable: bool = True
    kept_memory: bool = True
    one_process: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """The variables of its processes."""
        variables = dict(os.environ)
        for name in (*PROFILE_VARIABLES, BUILTIN_VARIABLE):
            variables.pop(name, None)
        if self.builtin:
            variables[BUILTIN_VARIABLE] = self.builtin
        profile = transport_profile()
        if self.profile and profile is not None:
            variables[profile_variable()] = str(profile)
        return variables


WAYS = (
    Way("as the middleware comes, best effort", profile=False, reliable=False, kept_memory=False),
    Way("as the middleware comes", profile=False, kept_memory=False),
    Way("LARGE_DATA", profile=False, builtin="LARGE_DATA"),
    Way("UDP alone", profile=False, builtin="UDPv4"),
    Way("profile, memory given back", kept_memory=False),
    Way("profile, best effort", reliable=False),
    Way("profile"),
    Way("profile, JPEG", compressed=True),
    Way("one process", one_process=True),
)


@dataclass(frozen=True)
class Case:
    """What a receiver's process is to measure."""

    way: Way
    size_wh: tuple[int, int]
    rate_hz: float
    seconds: float


@dataclass(frozen=True)
class Arrivals:
    """What it measured, times in milliseconds.

    Attributes:
        sent: images.
        latency_ms: of each that was received.
        publish_ms: of each that was sent.
        cpu_ms: processor time for one image, of camera and receiver together.
    """

    sent: int
    latency_ms: list[float]
    publish_ms: list[float]
    cpu_ms: float


def measure(case: Case) -> Arrivals:
    """Measure one case, in this process and those that it starts."""
    if case.way.kept_memory:
        hold_freed_memory()
    with tempfile.TemporaryDirectory(prefix="siammask_bench_") as folder, Rig(Path(folder)) as rig:
        received: dict[int, float] = {}
        subscribe(rig, case.way, received)
        if case.way.one_process:
            width, height = case.size_wh
            options = PictureOptions(camera=CAMERA, width=width, height=height)
            camera = BenchmarkCamera(options, namespace=CAMERA, context=rig.node.context)
            stop = threading.Event()
            thread = threading.Thread(target=_serve, args=(camera, stop), daemon=True)
            thread.start()
        else:
            rig.start_cameras(
                [CAMERA],
                case.size_wh,
                compressed=case.way.compressed,
                reliable=case.way.reliable,
                kept_memory=case.way.kept_memory,
            )
        rig.run([CAMERA], WARM_UP_HZ, WARM_UP_S)
        cpu_s = time.process_time()
        sent = rig.run([CAMERA], case.rate_hz, case.seconds)[CAMERA]
        cpu_ms = (time.process_time() - cpu_s) * MILLISECONDS_PER_SECOND / len(sent.stamps_ns)
        if not case.way.one_process:
            cpu_ms += sent.cpu_ms
        if case.way.one_process:
            stop.set()
            thread.join()
            camera.destroy_node()
    latencies = [received[stamp] for stamp in sent.stamps_ns if stamp in received]
    return Arrivals(len(sent.stamps_ns), latencies, sent.publish_ms, cpu_ms)


def subscribe(rig: Rig, way: Way, received: dict[int, float]) -> None:
    """Note for every image (by its stamp) how long it was on its way, in milliseconds."""
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from sensor_msgs.msg import CompressedImage, Image

    from siammask_ros.ros.images import decode_compressed, decode_image

    decode = decode_compressed if way.compressed else decode_image

    def receive(message: Any) -> None:
        decode(message)
        stamp_ns = stamp_to_ns(message.header.stamp)
        received[stamp_ns] = (time.time_ns() - stamp_ns) / NS_PER_MS

    reliability = ReliabilityPolicy.RELIABLE if way.reliable else ReliabilityPolicy.BEST_EFFORT
    kind, topic = (CompressedImage, "image/compressed") if way.compressed else (Image, "image")
    qos = QoSProfile(depth=5, reliability=reliability)
    rig.node.create_subscription(kind, f"/{CAMERA}/{topic}", receive, qos)


def _serve(camera: BenchmarkCamera, stop: threading.Event) -> None:
    from rclpy.executors import SingleThreadedExecutor

    executor = SingleThreadedExecutor(context=camera.context)
    executor.add_node(camera)
    while not stop.is_set():
        executor.spin_once(timeout_sec=SPIN_S)
        camera.work()
    executor.shutdown()


def measure_apart(case: Case) -> Arrivals:
    """Measure one case in a process of its own, with the environment of its way.

    Raises:
        RuntimeError: it failed.
    """
    words = [sys.executable, "-m", "siammask_ros.ros.benchmark_transport", "--case"]
    done = subprocess.run(
        [*words, json.dumps(asdict(case))],
        env=case.way.environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=2 * CALL_TIMEOUT_S + 10 * case.seconds,
    )
    if done.returncode:
        raise RuntimeError(f"{case.way.name}: exit status {done.returncode}")
    return Arrivals(**json.loads(done.stdout.splitlines()[-1]))


def read_case(text: str) -> Case:
    """A case from the command line."""
    values = json.loads(text)
    values["way"] = Way(**values["way"])
    values["size_wh"] = tuple(values["size_wh"])
    return Case(**values)


def compare(
    sizes: Sequence[tuple[int, int]],
    ways: Sequence[Way],
    *,
    rate_hz: float,
    seconds: float,
    rounds: int,
) -> str:
    """Measure all ways, in turns, and make a Markdown table of it."""
    found: dict[tuple[tuple[int, int], Way], list[Arrivals]] = defaultdict(list)
    for size_wh in sizes:
        for _ in range(rounds):
            for way in ways:
                case = Case(way, size_wh, rate_hz, seconds)
                found[size_wh, way].append(measure_apart(case))
    rows = []
    for (size_wh, way), all_arrivals in found.items():
        latencies = [value for arrivals in all_arrivals for value in arrivals.latency_ms]
        publish_ms = [value for arrivals in all_arrivals for value in arrivals.publish_ms]
        values = np.percentile(latencies, PERCENTILES) if latencies else [np.nan] * len(PERCENTILES)
        sent = sum(arrivals.sent for arrivals in all_arrivals)
        rows.append(
            (
                f"{size_wh[0]}x{size_wh[1]}",
                way.name,
                f"{len(latencies)} of {sent}",
                *(f"{value:.2f}" for value in values),
                f"{np.median(publish_ms):.2f}",
                f"{np.median([arrivals.cpu_ms for arrivals in all_arrivals]):.1f}",
            )
        )
    return markdown_table(
        ("image", "way", "received", "p50 ms", "p90", "p99", "publish p50 ms", "CPU ms"), rows
    )


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def main(words: list[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Time images from camera to array, way by way.")
    parser.add_argument("--sizes", default="1280x720", help="image sizes, separated by commas")
    parser.add_argument("--rate", type=float, default=30.0, help="images a second")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=2, help="how often each way is measured")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.case:
        print(json.dumps(asdict(measure(read_case(given.case)))))  # noqa: T201
        return 0
    prepare_environment()
    sizes = [_size(text) for text in given.sizes.split(",")]
    text = compare(sizes, WAYS, rate_hz=given.rate, seconds=given.seconds, rounds=given.rounds)
    print(text)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
