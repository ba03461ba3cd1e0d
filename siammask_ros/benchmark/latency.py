# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long a tracking step takes, and where the time goes."""

from __future__ import annotations

import os
import platform
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch

from siammask_ros.scenes import SceneOptions, render_sequence
from siammask_ros.step_clock import StepClock, StepTimes
from siammask_ros.tracker import SiamMaskTracker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from siammask_ros.network import SiamMask
    from siammask_ros.tracker import TrackerState
    from siammask_ros.tracker_config import TrackerConfig

DEFAULT_SIZES = ((854, 480), (1280, 720))
"""Image sizes of a benchmark (width, height): 480p and 720p."""
_RENDERED_FRAMES = 12
# Targets are squares of this share of the image's height, on a grid.
_TARGET_SHARE = 0.2


class Summary(NamedTuple):
    """Times of many steps in milliseconds."""

    mean: float
    p50: float
    p90: float
    p99: float
    minimum: float

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> Summary:
        """Summary of at least one time; percentiles are interpolated between times."""
        p50, p90, p99 = (float(value) for value in np.percentile(milliseconds, (50, 90, 99)))
        return cls(statistics.fmean(milliseconds), p50, p90, p99, min(milliseconds))


@dataclass(frozen=True)
class CaseResult:
    """Times of one image size and number of targets.

    Attributes:
        size_wh: image size in pixels.
        targets: targets in one forward pass.
        steps: how many steps were timed.
        step: the whole step, for all targets.
        parts: summary of each part, named as in `StepTimes`.
        initialize: start of all targets.
        shares: time of each step relative to that of its targets one by one, measured right after
            it; empty for one target.
    """

    size_wh: tuple[int, int]
    targets: int
    steps: int
    step: Summary
    parts: dict[str, Summary]
    initialize: Summary
    shares: tuple[float, ...]

    @property
    def frames_per_second(self) -> float:
        """Frames that this process tracks in a second, from the mean time."""
        return 1000.0 / self.step.mean

    @property
    def share_quartiles(self) -> tuple[float, float, float] | None:
        """First quartile, median and third quartile of `shares`; None for one target."""
        if not self.shares:
            return None
        first, median, third = (float(value) for value in np.percentile(self.shares, (25, 50, 75)))
        return first, median, third


@dataclass(frozen=True)
class Environment:
    """Where and with what was measured."""

    device: str
    device_name: str
    cpu_count: int
    torch_threads: int
    opencv_threads: int
    load_average: float
    python: str
    torch: str
    opencv: str
    numpy: str
    system: str


@dataclass(frozen=True)
class BenchmarkReport:
    """Results of `benchmark_tracker`."""

    network: str
    parameters: int
    preset: str
    environment: Environment
    cases: tuple[CaseResult, ...]


def benchmark_tracker(
    network: SiamMask,
    *,
    config: TrackerConfig | None = None,
    preset_name: str | None = None,
    sizes: Sequence[tuple[int, int]] = DEFAULT_SIZES,
    targets: Sequence[int] = (1,),
    steps: int = 100,
    warm_up: int = 10,
    threads: int | None = None,
    seed: int = 0,
    on_step: Callable[[], None] | None = None,
) -> BenchmarkReport:
    """Time the tracker's step on rendered video, for each image size and number of targets.

    Every step begins from the state after initialisation, so the load does not depend on how
    well the network tracks. Results include the masks in full size.

    Args:
        network: in eval mode, on the device to measure.
        config: settings; the preset that the network names if None.
        preset_name: for the report; the network's own if None.
        sizes: image sizes (width, height), at least 64 px a side.
        targets: numbers of targets tracked in one forward pass, each at least 1; with more than
            one each step is followed by the steps of its targets one by one, to compare.
        steps: timed steps a case, at least 1.
        warm_up: steps before that are not timed, at least 0.
        threads: threads of torch and OpenCV; left alone if None.
        seed: of the rendered video.
        on_step: called after each step, for a progress bar; `total_steps` says how often.

    Raises:
        ValueError: an argument out of range.
    """
    _check_arguments(sizes, targets, steps, warm_up, threads)
    if threads is not None:
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
    clock = StepClock()
    tracker = SiamMaskTracker(network, config, clock=clock)
    cases = []
    for size_wh in sizes:
        options = SceneOptions()
        rendered = render_sequence(seed, frames=_RENDERED_FRAMES, size_wh=size_wh, options=options)
        images = [frame.image_bgr for frame in rendered]
        cases += [
            _measure(tracker, clock, images, count, steps, warm_up, on_step) for count in targets
        ]
    return BenchmarkReport(
        network=network.architecture,
        parameters=sum(weights.numel() for weights in network.parameters()),
        preset=preset_name or network.default_preset,
        environment=_environment(tracker.device),
        cases=tuple(cases),
    )


def _check_arguments(
    sizes: Sequence[tuple[int, int]],
    targets: Sequence[int],
    steps: int,
    warm_up: int,
    threads: int | None,
) -> None:
    for name, values, least in (
        ("targets", targets, 1),
        ("steps", (steps,), 1),
        ("warm_up", (warm_up,), 0),
        ("threads", (1 if threads is None else threads,), 1),
    ):
        if not values or min(values) < least:
            raise ValueError(f"{name} must be at least {least}, got {values}")
    if not sizes:
        raise ValueError("no image sizes to measure")


def total_steps(
    *, sizes: Sequence[tuple[int, int]], targets: Sequence[int], steps: int, warm_up: int
) -> int:
    """How often `benchmark_tracker` calls `on_step`."""
    return len(sizes) * len(targets) * (steps + warm_up)


def _measure(
    tracker: SiamMaskTracker,
    clock: StepClock,
    images: list[NDArray[np.uint8]],
    count: int,
    steps: int,
    warm_up: int,
    on_step: Callable[[], None] | None,
) -> CaseResult:
    """Time one case."""
    size_wh = (images[0].shape[1], images[0].shape[0])
    starts = [(images[0], box) for box in target_boxes(size_wh, count)]
    initialize_ms, states = _time_initialize(tracker, starts)
    times: list[StepTimes] = []
    shares: list[float] = []
    for index in range(warm_up + steps):
        image = images[index % len(images)]
        step_times = _time_step(tracker, clock, image, states)
        if index >= warm_up:
            times.append(step_times)
        if index >= warm_up and count > 1:
            one_by_one = [_time_step(tracker, clock, image, [state]) for state in states]
            shares.append(step_times.total / sum(each.total for each in one_by_one))
        if on_step is not None:
            on_step()
    return CaseResult(
        size_wh,
        count,
        steps,
        Summary.of([each.total for each in times]),
        {name: Summary.of([getattr(each, name) for each in times]) for name in StepTimes._fields},
        Summary.of(initialize_ms),
        tuple(shares),
    )


def _time_initialize(
    tracker: SiamMaskTracker,
    starts: list[tuple[NDArray[np.uint8], tuple[float, float, float, float]]],
    *,
    repeats: int = 5,
) -> tuple[list[float], list[TrackerState]]:
    states = tracker.initialize_batch(starts)
    milliseconds = []
    for _ in range(repeats):
        begun = time.perf_counter()
        states = tracker.initialize_batch(starts)
        if tracker.device.type == "cuda":
            torch.cuda.synchronize(tracker.device)
        milliseconds.append((time.perf_counter() - begun) * 1000.0)
    return milliseconds, states


def _time_step(
    tracker: SiamMaskTracker,
    clock: StepClock,
    image: NDArray[np.uint8],
    states: list[TrackerState],
) -> StepTimes:
    clock.take()
    results = tracker.track_batch([(image, state) for state in states])
    for _, result in results:
        _ = result.mask
    clock.mark("paste")
    return clock.take()


def target_boxes(size_wh: tuple[int, int], count: int) -> list[tuple[float, float, float, float]]:
    """Boxes (x, y, width, height) of equal squares on a grid that fills the image."""
    width, height = size_wh
    columns = int(np.ceil(np.sqrt(count * width / height)))
    rows = -(-count // columns)
    side = min(_TARGET_SHARE * height, 0.8 * width / columns, 0.8 * height / rows)
    boxes = []
    for index in range(count):
        center_x = (index % columns + 0.5) * width / columns
        center_y = (index // columns + 0.5) * height / rows
        boxes.append((center_x - side / 2, center_y - side / 2, side, side))
    return boxes


def device_name(device: torch.device) -> str:
    """The name of the hardware: the GPU's, or the processor's."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name()


def _environment(device: torch.device) -> Environment:
    return Environment(
        device=str(device),
        device_name=device_name(device),
        cpu_count=os.cpu_count() or 1,
        torch_threads=torch.get_num_threads(),
        opencv_threads=cv2.getNumThreads(),
        load_average=os.getloadavg()[0],
        python=platform.python_version(),
        torch=str(torch.__version__),
        opencv=cv2.__version__,
        numpy=np.__version__,
        system=platform.platform(),
    )


def _cpu_name() -> str:
    """The processor's name as Linux states it."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
