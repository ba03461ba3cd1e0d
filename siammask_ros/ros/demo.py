# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The main job, end to end, on real ROS 2 topics: camera, tracker and consumer, three processes.

    python -m siammask_ros.ros.demo --output demo_output
    python -m siammask_ros.ros.demo --video clip.mp4 --box 120,80,60,90
    python -m siammask_ros.ros.demo --bag recording --box 120,80,60,90

A video becomes a camera stream, the tracker node is configured and activated from outside as a
launch file would do it, the target is set through the node's service on the stamp of the first
image, and a subscriber writes what it receives: overlay videos, one contact sheet, one CSV.
With nothing given it shows a rendered clip, whose masks are known exactly, and real footage.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from siammask_ros.drawing import SheetSection, contact_sheet, evenly_spaced
from siammask_ros.geometry import Box, parse_box_xywh
from siammask_ros.interruption import Interruption
from siammask_ros.results import ResultRow, frame_caption, read_results, write_results
from siammask_ros.ros.demo_clips import (
    RENDERED_FRAMES,
    Clip,
    FootageError,
    TargetRequest,
    fetch_footage,
    footage_clips,
    mean_overlap,
    rendered_clip,
)
from siammask_ros.ros.processes import (
    NodeProcess,
    ProcessError,
    prepare_environment,
)
from siammask_ros.ros.video_camera import CameraOptions, read_source
from siammask_ros.video import open_video

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rclpy.node import Node
    from typing_extensions import Self

TRACKER = "/siammask_tracker"
RECORDER = "/demo_recorder"
CAMERA = "/camera"
IMAGE_TOPIC = f"{CAMERA}/image_raw"
IMAGE_REMAPS = {"image": IMAGE_TOPIC, "image/compressed": f"{IMAGE_TOPIC}/compressed"}
RECORDED_TOPICS = ("overlay", "mask", "label_image", "rotated_boxes", "confidence")

START_TIMEOUT_S = 120.0
"""For a process to appear on the graph: Python, rclpy and torch are imported meanwhile."""
CONFIGURE_TIMEOUT_S = 180.0
"""For the network to be loaded and warmed up."""
CALL_TIMEOUT_S = 20.0
RETRY_S = 0.2
REFUSAL_PATIENCE_S = 3.0
"""An image may still be on its way to the tracker when the target is set on it."""
SILENCE_TIMEOUT_S = 30.0
"""For the results of a running stream to come."""
SPIN_S = 0.05

OVERLAY_FILE, RESULTS_FILE, REPORT_FILE = "overlay.mp4", "results.csv", "report.json"
MASKS_FOLDER = "masks"

SHEET_COLUMNS = 4
SHEET_ROWS_ONE_CLIP = 2
EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


class DemoError(RuntimeError):
    """The demo cannot go on; the message is the one line that the user reads."""


@dataclass(frozen=True)
class DemoOptions:
    """What the command line says."""

    output: Path
    video: str
    bag: str
    topic: str
    box: Box | None
    label: str
    start: int
    weights: str
    preset: str
    device: str
    processing: str
    lossless: bool
    compressed: bool
    frames: int
    footage: bool
    verbose: bool


@dataclass(frozen=True)
class ClipResult:
    """What a clip left: files in the work folder, numbers, and J where the truth is known."""

    clip: Clip
    video: Path
    rows: list[ResultRow]
    report: dict[str, Any]
    overlap: tuple[float, ...]

    def summary(self) -> str:
        """Counts, rate, latency and J on one line."""
        report = self.report
        work_ms = {part: report[f"{part}_ms"] for part in ("decode", "inference", "publish")}
        split = ", ".join(f"{part} {value:.1f}" for part, value in work_ms.items())
        parts = [
            f"{report['rate_hz']:.1f} frames/s (camera {report['camera_hz']:.1f})",
            f"{report['results']} of {report['sent']} images answered",
            f"{sum(work_ms.values()):.0f} ms of work a frame ({split})",
            f"latency {report['latency_p50_ms']:.0f} ms (95 % {report['latency_p95_ms']:.0f} ms)",
        ]
        if self.overlap:
            parts.append("J " + ", ".join(f"{value:.3f}" for value in self.overlap))
        return ", ".join(parts)


class Demo:
    """Runs clips through one tracker node. A context manager: nothing is left running."""

    def __init__(self, options: DemoOptions, work: Path, interruption: Interruption) -> None:
        self._options = options
        self._interruption = interruption
        self._work = work
        self._processes: list[NodeProcess] = []
        self._node: Node = None

    def __enter__(self) -> Self:
        import rclpy
        from rclpy.signals import SignalHandlerOptions

        prepare_environment()
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node("siammask_demo")
        return self

    def __exit__(self, *exception: object) -> None:
        import rclpy

        for process in reversed(self._processes):
            process.stop()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def start_tracker(self) -> None:
        """Start the tracker node's process."""
        parameters: dict[str, object] = {
            "weights": self._options.weights,
            "device": self._options.device,
            "processing": self._options.processing,
        }
        if self._options.preset:
            parameters["preset"] = self._options.preset
        if self._options.compressed:
            parameters["image_transport"] = "compressed"
        self._start("tracker_node", "siammask_ros.ros.node", parameters, IMAGE_REMAPS)

    def activate_tracker(self) -> None:
        """Drive the tracker node to active as a launch file or manager would."""
        from lifecycle_msgs.msg import Transition

        self._change_state(Transition.TRANSITION_CONFIGURE, "configure", CONFIGURE_TIMEOUT_S)
        self._change_state(Transition.TRANSITION_ACTIVATE, "activate", CALL_TIMEOUT_S)

    def run(self, clip: Clip) -> ClipResult:
        """Play one clip into the camera's topic and collect what the tracker makes of it."""
        folder = self._work / clip.name
        folder.mkdir()
        recorder = self._start_recorder(clip, folder)
        camera = self._start_camera(clip)
        self._wait_for_recorder(clip)
        self._set_targets(clip)
        self._start_stream()
        # The recorder ends by itself: after the last image, or when nothing comes any more.
        recorder.wait(math.inf, self._check)
        camera.wait(CALL_TIMEOUT_S, self._check)
        self._processes = [p for p in self._processes if p not in (camera, recorder)]
        self._clear_targets()
        return collect(clip, folder)

    def _start(
        self, name: str, module: str, parameters: dict[str, object], remaps: dict[str, str]
    ) -> NodeProcess:
        process = NodeProcess(name, module, folder=self._work, parameters=parameters, remaps=remaps)
        self._processes.append(process)
        return process

    def _start_recorder(self, clip: Clip, folder: Path) -> NodeProcess:
        in_order = self._options.processing == "every_frame"
        parameters: dict[str, object] = {
            "clip": clip.name,
            "video": str(folder / OVERLAY_FILE),
            "csv": str(folder / RESULTS_FILE),
            "masks": str(folder / MASKS_FOLDER) if clip.truth is not None else "",
            "report": str(folder / REPORT_FILE),
            "fps": clip.rate or source_fps(clip) if in_order else 0.0,
            "patience": SILENCE_TIMEOUT_S,
        }
        remaps = {topic: f"{TRACKER}/{topic}" for topic in RECORDED_TOPICS}
        remaps["sent"] = f"{CAMERA}/video_camera/sent"
        # Every clip has a recorder, and "ready" is that of this clip's alone.
        remaps["~/ready"] = recorder_topic(clip)
        name = f"recorder_{clip.name}"
        return self._start(name, "siammask_ros.ros.demo_recorder", parameters, remaps)

    def _start_camera(self, clip: Clip) -> NodeProcess:
        parameters: dict[str, object] = {
            "source": clip.source,
            "topic": clip.topic,
            "rate": float(clip.rate),
            "start": clip.start,
            "stop": clip.stop,
            "compressed": self._options.compressed,
            "lossless": self._options.lossless,
            "wait_for_subscribers": 1,
            "wait_for_start": True,
        }
        remaps = {**IMAGE_REMAPS, "__ns": CAMERA, "rotated_boxes": f"{TRACKER}/rotated_boxes"}
        name = f"camera_{clip.name}"
        return self._start(name, "siammask_ros.ros.video_camera", parameters, remaps)

    def _wait_for_recorder(self, clip: Clip) -> None:
        """Wait until the held image has come through every topic to the recorder."""
        from std_msgs.msg import Empty

        from siammask_ros.ros.demo_recorder import READY_QOS

        topic = recorder_topic(clip)
        with LatestMessage(self._node, Empty, topic, READY_QOS) as ready:
            self._wait_until(
                lambda: ready.message is not None, "results to arrive", START_TIMEOUT_S
            )

    def _set_targets(self, clip: Clip) -> None:
        """Set the clip's targets on exactly the image they were drawn on, the first one."""
        from std_msgs.msg import Header

        from siammask_msgs.msg import TargetBox
        from siammask_msgs.srv import SetTargets
        from siammask_ros.ros.video_camera import SENT_QOS

        targets = [
            TargetBox(
                id=number,
                label=target.label,
                x=float(target.box.x),
                y=float(target.box.y),
                width=float(target.box.width),
                height=float(target.box.height),
            )
            for number, target in enumerate(clip.targets, start=1)
        ]
        with LatestMessage(self._node, Header, f"{CAMERA}/video_camera/sent", SENT_QOS) as sent:
            # A repetition that is brand new leaves time to set the target and to start.
            self._spin_for(RETRY_S)
            old = sent.message
            self._wait_until(lambda: sent.message is not old, "the first image", START_TIMEOUT_S)
            deadline = time.monotonic() + REFUSAL_PATIENCE_S
            while True:
                stamp = sent.message.stamp
                request = SetTargets.Request(stamp=stamp, targets=targets, replace=True)
                answer = self._call(f"{TRACKER}/set_targets", SetTargets, request)
                if answer.success:
                    return
                if time.monotonic() > deadline:
                    raise DemoError(f"the target was refused: {answer.message}")
                self._spin_for(RETRY_S)

    def _start_stream(self) -> None:
        from std_srvs.srv import Trigger

        self._call(f"{CAMERA}/video_camera/start", Trigger, Trigger.Request())

    def _clear_targets(self) -> None:
        from siammask_msgs.srv import ClearTargets

        answer = self._call(f"{TRACKER}/clear_targets", ClearTargets, ClearTargets.Request())
        if not answer.success:
            raise DemoError(f"the targets could not be cleared: {answer.message}")

    def _change_state(self, transition: int, word: str, timeout_s: float) -> None:
        from lifecycle_msgs.msg import Transition
        from lifecycle_msgs.srv import ChangeState

        request = ChangeState.Request(transition=Transition(id=transition))
        answer = self._call(f"{TRACKER}/change_state", ChangeState, request, timeout_s=timeout_s)
        if not answer.success:
            tracker = self._processes[0]
            raise DemoError(f"the tracker did not {word}: {tracker.last_words()}")

    def _call(
        self, service: str, kind: Any, request: Any, *, timeout_s: float = CALL_TIMEOUT_S
    ) -> Any:
        """Call a service and wait for the answer, while watching that everything still runs."""
        client = self._node.create_client(kind, service)
        try:
            self._wait_until(client.service_is_ready, f"the service {service}", START_TIMEOUT_S)
            future = client.call_async(request)
            self._wait_until(future.done, f"an answer of {service}", timeout_s)
            return future.result()
        finally:
            self._node.destroy_client(client)

    def _wait_until(self, condition: Callable[[], bool], what: str, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            self._check()
            if time.monotonic() > deadline:
                raise DemoError(f"waited {timeout_s:.0f} s for {what}, in vain")
            self._spin(SPIN_S)

    def _check(self) -> None:
        self._interruption.check()
        for process in self._processes:
            process.check()

    def _spin_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._spin(left)

    def _spin(self, seconds: float) -> None:
        import rclpy

        rclpy.spin_once(self._node, timeout_sec=seconds)


class LatestMessage:
    """Keeps the newest message of a topic while in its `with` block."""

    def __init__(self, node: Node, kind: Any, topic: str, qos: Any) -> None:
        self.message: Any = None
        self._node = node
        self._subscription = node.create_subscription(kind, topic, self._take, qos)

    def _take(self, message: Any) -> None:
        self.message = message

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._node.destroy_subscription(self._subscription)


def recorder_topic(clip: Clip) -> str:
    """Where the recorder of a clip says that it is ready; its name fit for a topic."""
    return f"{RECORDER}/ready_{re.sub('[^A-Za-z0-9_]', '_', clip.name)}"


def source_fps(clip: Clip) -> float:
    """Frames a second of a clip's source, 0 for a bag, whose images carry their own times."""
    if clip.is_bag:
        return 0.0
    with open_video(clip.source) as video:
        return video.fps


def check_source(clip: Clip) -> None:
    """Read a clip's first frame, so that a bad source is known before anything waits for it.

    Raises:
        ValueError, OSError: it cannot be read; the message says why.
    """
    options = CameraOptions(source=clip.source, topic=clip.topic, start=clip.start, stop=clip.stop)
    with ExitStack() as stack:
        frames, _ = read_source(options, stack)
        if next(frames, None) is None:
            raise ValueError(f"no frame {clip.start} in {clip.source}")


def collect(clip: Clip, folder: Path) -> ClipResult:
    """What the recorder left of a clip.

    Raises:
        DemoError: there is no result in it.
    """
    report = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))
    if not report["results"] or not report["overlays"]:
        raise DemoError(f"{clip.name}: no result with a target and an overlay was received")
    overlap: tuple[float, ...] = ()
    if clip.truth is not None:
        ids = range(1, len(clip.targets) + 1)
        overlap = tuple(mean_overlap(folder / MASKS_FOLDER, clip.truth, i) for i in ids)
    return ClipResult(
        clip, folder / OVERLAY_FILE, read_results(folder / RESULTS_FILE), report, overlap
    )


def publish_results(results: Sequence[ClipResult], output: Path) -> list[Path]:
    """Put the overlay videos, one contact sheet and one CSV where the user wants them."""
    output.mkdir(parents=True, exist_ok=True)
    written = []
    for result in results:
        video = output / f"{result.clip.name}.mp4"
        shutil.move(result.video, video)
        written.append(video)
    rows = SHEET_ROWS_ONE_CLIP if len(results) == 1 else 1
    sections = [
        sheet_section(result, video, rows * SHEET_COLUMNS)
        for result, video in zip(results, written, strict=True)
    ]
    sheet = output / "contact_sheet.png"
    if not cv2.imwrite(str(sheet), contact_sheet(sections, columns=SHEET_COLUMNS)):
        raise DemoError(f"cannot write {sheet}")
    table = output / RESULTS_FILE
    write_results(table, [row for result in results for row in result.rows])
    return [*written, sheet, table]


def sheet_section(result: ClipResult, video: Path, count: int) -> SheetSection:
    """Frames spread evenly over a clip's overlay video, each with what was found in it."""
    numbers = result.report["overlay_frames"]
    # The first frame is the one the target was given on, so it shows no result.
    chosen = {1 + position for position in evenly_spaced(len(numbers) - 1, count)}
    frames, captions = [], []
    with open_video(video) as overlays:
        for position, overlay in enumerate(overlays):
            if position in chosen:
                frames.append(overlay.image_bgr)
                captions.append(frame_caption(result.rows, numbers[position]))
    return SheetSection(result.clip.title, frames, captions, result.summary())


def choose_clips(options: DemoOptions, work: Path) -> list[Clip]:
    """The user's clip, or the rendered one and the real footage as far as it can be had."""
    if options.video or options.bag:
        source = options.bag or options.video
        assert options.box is not None
        name = Path(source).expanduser().resolve().stem or "clip"
        target = TargetRequest(options.label, options.box)
        stop = options.start + options.frames if options.frames else 0
        clip = Clip(name, Path(source).name, source, (target,), options.start, stop, options.topic)
        check_source(clip)
        return [clip]
    clips = [rendered_clip(work / "rendered_source", frames=options.frames or RENDERED_FRAMES)]
    if options.footage:
        try:
            clips += footage_clips(fetch_footage(), frames=options.frames)
        except FootageError as error:
            say(f"going on without the real footage: {error}")
    return clips


def run_demo(options: DemoOptions, interruption: Interruption) -> None:
    """Run all clips and leave the results in the output folder.

    Raises:
        DemoError, ProcessError, ValueError, OSError: it failed; the message says at what.
        KeyboardInterrupt: it was asked to end; nothing is left running.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="siammask_demo_") as name:
        work = Path(name)
        try:
            with Demo(options, work, interruption) as demo:
                demo.start_tracker()
                clips = choose_clips(options, work)
                demo.activate_tracker()
                say(f"tracker active after {time.monotonic() - began:.1f} s")
                results = []
                for clip in clips:
                    results.append(demo.run(clip))
                    say(f"{clip.name}: {results[-1].summary()}")
        except (DemoError, ProcessError):
            keep_logs(work, options.output)
            raise
        finally:
            if options.verbose:
                show_logs(work)
        for path in publish_results(results, options.output):
            say(f"  {path}")
    say(f"done in {time.monotonic() - began:.1f} s")


def keep_logs(work: Path, output: Path) -> None:
    """Save the processes' output next to the results, for whoever looks into a failure."""
    folder = output / "log"
    folder.mkdir(parents=True, exist_ok=True)
    for log in work.glob("*.log"):
        shutil.copy(log, folder / log.name)


def show_logs(work: Path) -> None:
    """Print what the processes said."""
    for log in sorted(work.glob("*.log")):
        text = log.read_text(encoding="utf-8", errors="replace").rstrip()
        say(f"--- {log.stem}\n{text}")


def say(text: str) -> None:
    """Tell the user, at once."""
    print(text, flush=True)  # noqa: T201 - this is a command


def parse_box(text: str) -> Box:
    """A box from `x,y,width,height`; what lies outside the image only the tracker can tell."""
    try:
        return parse_box_xywh(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parse_arguments(arguments: Sequence[str] | None) -> DemoOptions:
    """The options of the command line; exits with status 2 on wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m siammask_ros.ros.demo",
        description="A camera stream, the tracker node and a consumer on real ROS 2 topics.",
        epilog="example: python -m siammask_ros.ros.demo --video clip.mp4 --box 120,80,60,90",
    )
    add = parser.add_argument
    add("--output", type=Path, default=Path("demo_output"), help="folder for the results")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--video", default="", help="your video file or folder of images")
    source.add_argument("--bag", default="", help="your rosbag, played into the camera topic")
    add(
        "--image-topic",
        dest="topic",
        default="",
        help="the bag's image topic, where it has several",
    )
    add("--box", type=parse_box, help="the target in the first frame: x,y,width,height")
    add("--label", default="target", help="a word for the target")
    add("--start", type=int, default=0, help="first frame of your video or bag")
    add("--frames", type=int, default=0, help="frames of each clip; 0: all")
    add("--weights", default="compact", help="checkpoint: a name or a file")
    add("--preset", default="", help="tracker preset; by default the one of the weights")
    add("--device", default="auto", help="cpu, cuda, or auto")
    add(
        "--processing",
        choices=("every_frame", "realtime"),
        default="every_frame",
        help="every_frame answers all images in order, realtime the newest and drops the rest",
    )
    add("--lossless", action="store_true", help="the camera waits for each result: no deadline")
    add("--compressed", action="store_true", help="publish JPEG images")
    add("--no-footage", dest="footage", action="store_false", help="only the rendered clip")
    add("--verbose", action="store_true", help="show what the processes say")
    options = DemoOptions(**vars(parser.parse_args(arguments)))
    if (options.video or options.bag) and options.box is None:
        parser.error("--video and --bag need the target in the first frame: --box x,y,w,h")
    if options.box is not None and not (options.video or options.bag):
        parser.error("--box belongs to --video or --bag")
    if options.frames < 0 or options.start < 0:
        parser.error("--frames and --start must not be negative")
    return options


def exit_status(run: Callable[[Interruption], None]) -> int:
    """Run a demo that may be interrupted: 0, 1 with a line that says at what it failed, or 130."""
    try:
        with Interruption() as interruption:
            run(interruption)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201
        return EXIT_INTERRUPTED
    except (DemoError, ProcessError, ValueError, OSError, ImportError) as error:
        print(f"demo failed: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_FAILED
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; exit status 0, 1 (it failed, and one line says at what), 2 (wrong usage)."""
    return exit_status(partial(run_demo, parse_arguments(arguments)))


if __name__ == "__main__":
    sys.exit(main())
