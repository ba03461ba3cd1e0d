# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The whole node under load: camera, node and consumer in processes of their own.

As ros2_benchmark does it: the latency at a fixed rate, and the highest rate at which under 5 % of
the images stay without an answer, found by halving. The node is the one that is shipped, with
`lost_below` and `uncertain_below` at zero, so that nothing is searched for in more than one place.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from siammask_ros.benchmark import (
    BenchmarkDocument,
    CaseEntry,
    Summary,
    describe_environment,
    target_boxes,
)
from siammask_ros.frames import MILLISECONDS_PER_SECOND
from siammask_ros.memory import hold_freed_memory
from siammask_ros.ros.benchmark_camera import NS_PER_MS
from siammask_ros.ros.benchmark_node import TRACE_VARIABLE, TraceEntry, read_trace
from siammask_ros.ros.benchmark_report import MOST_DROPPED, node_charts, node_markdown
from siammask_ros.ros.benchmark_rig import IMAGE_DEPTH, RESULT_DEPTH, BenchmarkError, Rig
from siammask_ros.ros.parameters import Settings
from siammask_ros.ros.processes import prepare_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from matplotlib.figure import Figure

    from siammask_ros.benchmark import NodeOptions
    from siammask_ros.ros.benchmark_camera import Sent
    from siammask_ros.ros.processes import NodeProcess

NODE = "/siammask_tracker"
RESOLUTION = 0.05
"""The peak rate is known to this share."""
MOST_TRIALS = 8
WARM_UP_S = 1.0
WARM_UP_HZ = 10.0
KILOBYTES_PER_MEGABYTE = 1e3
RESET_PEAK = "5"
"""What makes Linux forget the most memory that a process has had (proc(5), clear_refs)."""


@dataclass(frozen=True)
class Latency:
    """Where one image was for how long, in milliseconds.

    Attributes:
        total: from its stamp, when its sending began, to the receipt of its boxes.
        transport_in: to the entry of the node's callback, the camera's `publish` included.
        own: from there until all is published, less the inference: what the node itself takes.
        publish: from the results to the end of publishing.
        transport_out: from there to the consumer's callback.
        mask: from the stamp to the receipt of the mask; None if that did not come.
    """

    total: float
    transport_in: float
    own: float
    publish: float
    transport_out: float
    mask: float | None

    @classmethod
    def of(cls, entry: TraceEntry, received_ns: int, mask_ns: int | None) -> Latency:
        """From what the node and the consumer noted."""
        inside_ms = (entry.published_ns - entry.arrival_ns) / NS_PER_MS
        return cls(
            total=(received_ns - entry.stamp_ns) / NS_PER_MS,
            transport_in=(entry.arrival_ns - entry.stamp_ns) / NS_PER_MS,
            own=inside_ms - entry.inference_ms,
            publish=(entry.published_ns - entry.results_ns) / NS_PER_MS,
            transport_out=(received_ns - entry.published_ns) / NS_PER_MS,
            mask=None if mask_ns is None else (mask_ns - entry.stamp_ns) / NS_PER_MS,
        )


@dataclass(frozen=True)
class Trial:
    """One rate tried.

    Attributes:
        wanted_hz: images a second and camera.
        rate_hz: what the slowest camera sent in truth.
        dropped: share of images without an answer, of the camera that has most of them.
        answered: images of all cameras that were answered,
        answered_hz: and in a second.
        sent: what each camera sent.
    """

    wanted_hz: float
    rate_hz: float
    dropped: float
    answered: int
    answered_hz: float
    sent: Mapping[str, Sent]

    @property
    def passes(self) -> bool:
        """The rate was sent, and answered."""
        return self.dropped < MOST_DROPPED and self.rate_hz > (1 - MOST_DROPPED) * self.wanted_hz


@dataclass(frozen=True)
class NodeReport:
    """What was measured: as data, to read, and as charts by the names of their files."""

    document: BenchmarkDocument
    markdown: str
    charts: dict[str, Figure]


def find_peak(passes: Callable[[float], bool], estimate_hz: float) -> float:
    """The highest rate that passes, to within RESOLUTION; 0 if none does.

    One that does not pass is tried again: another process may have had a processor just then.

    Args:
        passes: tries a rate.
        estimate_hz: where it may be; twice as much is never tried.
    """
    low_hz, high_hz, rate_hz = 0.0, 2 * estimate_hz, estimate_hz
    for _ in range(MOST_TRIALS):
        if passes(rate_hz) or passes(rate_hz):
            low_hz = rate_hz
        else:
            high_hz = rate_hz
        if high_hz - low_hz < RESOLUTION * high_hz:
            break
        rate_hz = (low_hz + high_hz) / 2
    return low_hz


def run_node_benchmark(
    options: NodeOptions, on_case: Callable[[str], None] | None = None
) -> NodeReport:
    """Measure the node with every number of cameras, image size and number of targets.

    Args:
        options: what to measure.
        on_case: called with the name of each case before it is measured.

    Raises:
        BenchmarkError: a process failed; the message is what it said last.
        ValueError: a setting that the node does not have.
    """
    prepare_environment()
    hold_freed_memory()
    cases: list[CaseEntry] = []
    for cameras in options.cameras:
        with tempfile.TemporaryDirectory(prefix="siammask_bench_") as folder:
            names = [f"camera{number}" for number in range(cameras)]
            with Rig(Path(folder)) as rig:
                bench = _NodeBench(rig, names, options, Path(folder))
                cases += bench.measure(on_case or (lambda _name: None))
    settings = {
        "rate_hz": options.rate,
        "seconds": options.seconds,
        "parameters": node_parameters(options),
        "transport": "compressed" if options.compressed else "raw",
    }
    environment = describe_environment(_torch_device(options.device))
    document = BenchmarkDocument("node", environment, tuple(cases), settings)
    return NodeReport(document, node_markdown(document), node_charts(document))


def node_parameters(options: NodeOptions) -> dict[str, object]:
    """The node's parameters for the options; nothing may count as lost.

    Raises:
        ValueError: a setting is no parameter of the node.
    """
    known = Settings.rules()
    parameters: dict[str, object] = {
        "weights": options.weights,
        "device": options.device,
        "threads": options.threads,
        "lost_below": 0.0,
        "uncertain_below": 0.0,
    }
    for name in ("preset", "backend", "precision"):
        if getattr(options, name) != "auto":
            parameters[name] = getattr(options, name)
    for setting in options.settings:
        name, _, value = setting.partition("=")
        parameters[name] = yaml.safe_load(value)
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise ValueError(f"the node has no parameter {', '.join(unknown)}")
    if options.compressed:
        parameters["image_transport"] = "compressed"
    return parameters


class _NodeBench:
    """One node with its cameras, through all sizes and numbers of targets."""

    def __init__(
        self, rig: Rig, cameras: Sequence[str], options: NodeOptions, folder: Path
    ) -> None:
        from sensor_msgs.msg import Image

        from siammask_msgs.msg import RotatedBoxArray

        self._rig = rig
        self._cameras = cameras
        self._options = options
        self._trace = folder / "trace.jsonl"
        self._process = rig.start(
            "tracker_node",
            "siammask_ros.ros.benchmark_node",
            {**node_parameters(options), "cameras": list(cameras), "autostart": True},
            environment={TRACE_VARIABLE: str(self._trace)},
        )
        for name in cameras:
            prefix = f"{NODE}/{name}/" if len(cameras) > 1 else f"{NODE}/"
            rig.listen(RotatedBoxArray, f"{prefix}rotated_boxes", "boxes", name, depth=RESULT_DEPTH)
            rig.listen(Image, f"{prefix}mask", "mask", name, depth=IMAGE_DEPTH)

    def measure(self, on_case: Callable[[str], None]) -> Iterator[CaseEntry]:
        """All cases."""
        options = self._options
        for size_wh in options.sizes:
            cameras = self._rig.start_cameras(self._cameras, size_wh, compressed=options.compressed)
            self._wait_for_results()
            for targets in options.targets:
                size = f"{size_wh[0]}x{size_wh[1]}"
                case = {
                    "network": options.weights,
                    "backend": options.backend,
                    "precision": options.precision,
                    "image": size,
                    "cameras": len(self._cameras),
                    "targets": targets,
                }
                on_case(f"{size}, {len(self._cameras)} cameras, {targets} targets")
                self._set_targets(size_wh, targets)
                yield self._measure_case(case)
            for camera in cameras:
                self._rig.stop(camera)

    def _measure_case(self, case: dict[str, str | int | float]) -> CaseEntry:
        reset_peak_memory(self._process)
        self._rig.run(self._cameras, WARM_UP_HZ, WARM_UP_S)
        cpu_s = processor_seconds(self._process)
        trial = self._try(self._options.rate)
        cpu_s = processor_seconds(self._process) - cpu_s
        times, estimate_hz, gpu_mb = self._summarise(trial)
        numbers = {
            "sent_hz": trial.rate_hz,
            "answered_hz": trial.answered_hz,
            "dropped": trial.dropped,
            "cpu_ms": cpu_s * MILLISECONDS_PER_SECOND / max(trial.answered, 1),
        }
        if self._options.peak:
            rates: dict[float, Trial] = {}

            def passes(rate_hz: float) -> bool:
                rates[rate_hz] = self._try(rate_hz)
                return rates[rate_hz].passes

            peak_hz = find_peak(passes, estimate_hz)
            numbers["peak_hz"] = rates[peak_hz].rate_hz if peak_hz else 0.0
        rss_mb, most_rss_mb = memory_megabytes(self._process)
        numbers |= {"rss_mb": rss_mb, "peak_rss_mb": most_rss_mb, "gpu_mb": gpu_mb}
        return CaseEntry(case, times, numbers)

    def _try(self, rate_hz: float) -> Trial:
        sent = self._rig.run(self._cameras, rate_hz, self._options.seconds)
        answered = {
            name: sum(stamp in self._rig.received["boxes", name] for stamp in sent[name].stamps_ns)
            for name in self._cameras
        }
        dropped = [1 - answered[name] / len(sent[name].stamps_ns) for name in self._cameras]
        return Trial(
            wanted_hz=rate_hz,
            rate_hz=min(each.rate_hz for each in sent.values()),
            dropped=max(dropped),
            answered=sum(answered.values()),
            answered_hz=sum(answered.values()) / self._options.seconds,
            sent=sent,
        )

    def _summarise(self, trial: Trial) -> tuple[dict[str, Summary], float, float]:
        """Times of a trial, an estimate of the peak rate of a camera, and the GPU's memory."""
        trace = {(entry.camera, entry.stamp_ns): entry for entry in read_trace(self._trace)}
        entries, latencies = [], []
        for name, sent in trial.sent.items():
            boxes, masks = self._rig.received["boxes", name], self._rig.received["mask", name]
            for stamp in sent.stamps_ns:
                entry = trace.get((name, stamp))
                if entry is not None and stamp in boxes:
                    entries.append(entry)
                    latencies.append(Latency.of(entry, boxes[stamp], masks.get(stamp)))
        if not entries:
            raise BenchmarkError(f"no image of {trial.wanted_hz:g} a second was answered")
        camera_ms = [cost for sent in trial.sent.values() for cost in sent.publish_ms]
        work_ms = [
            entry.decode_ms + entry.inference_ms + latency.publish
            for entry, latency in zip(entries, latencies, strict=True)
        ]
        estimate_hz = 1e3 / float(np.median(work_ms))
        gpu_mb = max(entry.gpu_mb for entry in entries)
        return summaries(entries, latencies, camera_ms), estimate_hz, gpu_mb

    def _wait_for_results(self) -> None:
        """Let the cameras send until every one is answered."""
        received = self._rig.received
        for name in self._cameras:
            received["boxes", name].clear()
        for _ in range(60):
            self._rig.run(self._cameras, WARM_UP_HZ, WARM_UP_S)
            if all(received["boxes", name] for name in self._cameras):
                return
        raise BenchmarkError(f"no result of the node came: {self._process.last_words()}")

    def _set_targets(self, size_wh: tuple[int, int], count: int) -> None:
        from siammask_msgs.msg import TargetBox
        from siammask_msgs.srv import SetTargets

        boxes = [
            TargetBox(id=number, label="", x=x, y=y, width=width, height=height)
            for number, (x, y, width, height) in enumerate(target_boxes(size_wh, count), start=1)
        ]
        for name in self._cameras:
            request = SetTargets.Request(camera=name, targets=boxes, replace=True)
            answer = self._rig.call(SetTargets, f"{NODE}/set_targets", request)
            if not answer.success:
                raise BenchmarkError(f"the targets were refused: {answer.message}")


def summaries(
    entries: Sequence[TraceEntry], latencies: Sequence[Latency], camera_ms: Sequence[float]
) -> dict[str, Summary]:
    """The times of a case by name."""
    times = {
        "total": [latency.total for latency in latencies],
        "own": [latency.own for latency in latencies],
        "camera": list(camera_ms),
        "transport in": [latency.transport_in for latency in latencies],
        "queue": [entry.queue_ms for entry in entries],
        "decode": [entry.decode_ms for entry in entries],
        "inference": [entry.inference_ms for entry in entries],
        "publish": [latency.publish for latency in latencies],
        "transport out": [latency.transport_out for latency in latencies],
        "mask total": [latency.mask for latency in latencies if latency.mask is not None],
    }
    for part in entries[0].parts._fields:
        values = [getattr(entry.parts, part) for entry in entries]
        if any(values):
            times[part] = values
    return {name: Summary.of(values) for name, values in times.items() if values}


def memory_megabytes(process: NodeProcess) -> tuple[float, float]:
    """Resident memory of a process now, and the most of it since `reset_peak_memory`."""
    lines = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines()
    values = dict(line.split(":", 1) for line in lines)
    now, most = (float(values[name].split()[0]) for name in ("VmRSS", "VmHWM"))
    return now / KILOBYTES_PER_MEGABYTE, most / KILOBYTES_PER_MEGABYTE


def processor_seconds(process: NodeProcess) -> float:
    """Processor time that a process has had, all its threads together."""
    text = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8")
    user, system = text.rsplit(")", 1)[1].split()[11:13]  # fields 14 and 15 of proc(5)
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def reset_peak_memory(process: NodeProcess) -> None:
    """Begin anew to note the most memory of a process, where the system lets us."""
    try:
        Path(f"/proc/{process.pid}/clear_refs").write_text(RESET_PEAK, encoding="utf-8")
    except OSError:
        return


def _torch_device(wish: str) -> Any:
    from siammask_ros.network import checked_device

    return checked_device(wish)
