# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long a tracking step takes, and where the time goes, of several subjects in one run.

What else a machine does changes from minute to minute, so that times of different minutes do not
compare. Here all cases take turns, a few steps each, round after round, and ratios are taken
within a round.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch

from siammask_ros.benchmark.agreement import Agreement, agreement_of
from siammask_ros.benchmark.document import Summary
from siammask_ros.benchmark.environment import Environment, describe_environment
from siammask_ros.benchmark.subjects import Found, OwnSubject, Subject, SubjectNames
from siammask_ros.benchmark.targets import rendered_images, target_boxes
from siammask_ros.step_clock import STEP_PARTS, StepClock, StepTimes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from siammask_ros.benchmark.memory import MemoryUse
    from siammask_ros.tracker import TrackingNetwork
    from siammask_ros.tracker_config import TrackerConfig

DEFAULT_SIZES = ((854, 480), (1280, 720))
"""Image sizes of a benchmark (width, height): 480p and 720p."""
_TURN = 10
"""Timed steps of a case until it is the next one's turn; one more before them is not timed."""
_PARTS_OF_TURN = 3
"""Steps of a turn by parts where that makes a step slower; the whole step's times are others."""
_STARTS = 5
"""How often the start of targets is timed."""


@dataclass(frozen=True)
class CaseResult:
    """Times of one subject, image size and number of targets.

    Attributes:
        subject: what was timed.
        size_wh: image size in pixels.
        targets: targets in one step.
        steps: how many steps were timed.
        step: the whole step, for all targets.
        parts: summary of each part, named as in `StepTimes`; empty if the subject has none.
        initialize: start of all targets.
        ratios: time relative to the reference's (`BenchmarkReport.reference`) in each round, same
            size and targets; empty for the reference.
        shares: time relative to that of as many steps with one target, in each round; empty for
            one target, or if one target was not measured.
    """

    subject: SubjectNames
    size_wh: tuple[int, int]
    targets: int
    steps: int
    step: Summary
    parts: dict[str, Summary]
    initialize: Summary
    ratios: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()

    @property
    def frames_per_second(self) -> float:
        """Frames that this process tracks in a second, from the mean time."""
        return 1000.0 / self.step.mean

    @property
    def ratio_quartiles(self) -> tuple[float, float, float] | None:
        """First quartile, median and third quartile of `ratios`; None if there are none."""
        return _quartiles(self.ratios)

    @property
    def share_quartiles(self) -> tuple[float, float, float] | None:
        """First quartile, median and third quartile of `shares`; None if there are none."""
        return _quartiles(self.shares)


@dataclass(frozen=True)
class SubjectInfo:
    """What a report tells of a subject besides its times."""

    names: SubjectNames
    preset: str
    parameters: int


@dataclass(frozen=True)
class BenchmarkReport:
    """Results of `benchmark_subjects`.

    Attributes:
        environment: where.
        subjects: what was timed.
        cases: by size, then targets, then subject.
        agreements: whether subjects of one network choose the same.
        memory: what processes of their own need; empty if it was not measured.
        left_out: what was asked for and cannot be, with the reason.
    """

    environment: Environment
    subjects: tuple[SubjectInfo, ...]
    cases: tuple[CaseResult, ...]
    agreements: tuple[Agreement, ...] = ()
    memory: tuple[MemoryUse, ...] = ()
    left_out: tuple[str, ...] = ()

    def reference(self, subject: SubjectNames) -> SubjectNames:
        """What a subject is compared with: the first one of its network, or else the first."""
        return _reference(subject, [info.names for info in self.subjects])


def benchmark_tracker(
    network: TrackingNetwork,
    *,
    config: TrackerConfig | None = None,
    preset_name: str | None = None,
    **options: Any,  # noqa: ANN401 - passed on
) -> BenchmarkReport:
    """Time the step of one network's tracker; see `benchmark_subjects`.

    Args:
        network: in eval mode, on the device to measure; or a prepared one.
        config: settings; the preset that the network names if None.
        preset_name: for the report; the network's own if None.
        options: those of `benchmark_subjects`.

    Raises:
        ValueError: an argument out of range.
    """
    return benchmark_subjects([OwnSubject(network, config, preset=preset_name)], **options)


def benchmark_subjects(
    subjects: Sequence[Subject],
    *,
    sizes: Sequence[tuple[int, int]] = DEFAULT_SIZES,
    targets: Sequence[int] = (1,),
    steps: int = 100,
    warm_up: int = 10,
    threads: int | None = None,
    seed: int = 0,
    on_step: Callable[[], None] | None = None,
) -> BenchmarkReport:
    """Time the step of several subjects on rendered video, for each size and number of targets.

    Every step begins from the state after initialisation, so the load does not depend on how
    well the network tracks. Results include the masks in full size. Cases take turns.

    Args:
        subjects: what to time; the first is what others are compared with.
        sizes: image sizes (width, height), at least 64 px a side.
        targets: numbers of targets in one step, each at least 1.
        steps: timed steps a case, at least 1.
        warm_up: steps before that are not timed, at least 0.
        threads: threads of torch and OpenCV; left alone if None.
        seed: of the rendered video.
        on_step: called after each step, for a progress bar; `total_steps` says how often.

    Raises:
        ValueError: an argument out of range.
    """
    _check_arguments(subjects, sizes, targets, steps, warm_up, threads)
    if threads is not None:
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
    environment = describe_environment(subjects[0].device)
    clips = [rendered_images(size_wh, seed=seed) for size_wh in sizes]
    lanes = [
        _Lane(subject, images, count)
        for images in clips
        for count in targets
        for subject in subjects
    ]
    for lane in lanes:
        lane.prepare(warm_up, on_step)
    agreements = agreement_of([subject.names for subject in subjects], _found(lanes))
    left = steps
    while left > 0:
        for lane in lanes:
            lane.take_turn(min(_TURN, left), on_step)
        left -= _TURN
    return BenchmarkReport(
        environment=environment,
        subjects=tuple(map(_info, subjects)),
        cases=_results(lanes),
        agreements=agreements,
    )


def _check_arguments(
    subjects: Sequence[Subject],
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
    names = [subject.names for subject in subjects]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"subjects must differ, and be at least one, got {names}")


def total_steps(
    *,
    sizes: Sequence[tuple[int, int]],
    targets: Sequence[int],
    steps: int,
    warm_up: int,
    subjects: int = 1,
) -> int:
    """How often `benchmark_subjects` calls `on_step`."""
    return subjects * len(sizes) * len(targets) * (steps + warm_up)


@dataclass
class _Lane:
    """One case while it is measured."""

    subject: Subject
    images: list[NDArray[np.uint8]]
    count: int
    states: Any = None
    steps_ms: list[float] = field(default_factory=list)
    turns_ms: list[float] = field(default_factory=list)
    """The median step of each turn."""
    parts_ms: list[StepTimes] = field(default_factory=list)
    starts_ms: list[float] = field(default_factory=list)
    clock: StepClock = field(default_factory=StepClock)

    @property
    def size_wh(self) -> tuple[int, int]:
        return self.images[0].shape[1], self.images[0].shape[0]

    @property
    def is_slowed_by_clock(self) -> bool:
        """A GPU has to be waited for at the end of each part."""
        return self.subject.device.type == "cuda"

    def prepare(self, warm_up: int, on_step: Callable[[], None] | None) -> None:
        """Start the targets, and take the steps that are not timed."""
        boxes = target_boxes(self.size_wh, self.count)
        self.subject.start(self.images[0], boxes)
        for _ in range(_STARTS):
            begun = time.perf_counter()
            self.states = self.subject.start(self.images[0], boxes)
            self.starts_ms.append((time.perf_counter() - begun) * 1000.0)
        for index in range(warm_up):
            self._step(index)
            if on_step is not None:
                on_step()

    def find(self, index: int) -> list[Found]:
        """What the subject finds in an image."""
        return self.subject.step(self.images[index], self.states)

    def take_turn(self, steps: int, on_step: Callable[[], None] | None) -> None:
        """Time some steps, after one that is not timed: it brings back what others displaced."""
        done = len(self.steps_ms)
        self._step(done)
        by_parts = self.subject.has_parts and not self.is_slowed_by_clock
        for index in range(done, done + steps):
            self.steps_ms.append(self._step(index, by_parts=by_parts))
            if on_step is not None:
                on_step()
        self.turns_ms.append(statistics.median(self.steps_ms[done:]))
        if self.subject.has_parts and self.is_slowed_by_clock:
            for index in range(_PARTS_OF_TURN):
                self._step(done + index, by_parts=True)

    def _step(self, index: int, *, by_parts: bool = False) -> float:
        """The time of one step in ms."""
        image = self.images[index % len(self.images)]
        if by_parts:
            self.clock.take()
            self.subject.step(image, self.states, self.clock)
            self.parts_ms.append(self.clock.take())
            return self.parts_ms[-1].total
        begun = time.perf_counter()
        self.subject.step(image, self.states)
        return (time.perf_counter() - begun) * 1000.0


def _found(lanes: Sequence[_Lane]) -> Iterator[dict[SubjectNames, list[Found]]]:
    """What all subjects find in each image of each case."""
    cases: dict[tuple[tuple[int, int], int], list[_Lane]] = {}
    for lane in lanes:
        cases.setdefault((lane.size_wh, lane.count), []).append(lane)
    for together in cases.values():
        if len(together) > 1:
            for index in range(len(together[0].images)):
                yield {lane.subject.names: lane.find(index) for lane in together}


def _results(lanes: Sequence[_Lane]) -> tuple[CaseResult, ...]:
    """The case of each lane, with its ratios to others."""
    turns = {
        (lane.subject.names, lane.size_wh, lane.count): np.array(lane.turns_ms) for lane in lanes
    }
    all_names = list(dict.fromkeys(lane.subject.names for lane in lanes))
    cases = []
    for lane in lanes:
        names = lane.subject.names
        own = turns[names, lane.size_wh, lane.count]
        reference = _reference(names, all_names)
        single = turns.get((names, lane.size_wh, 1))
        ratios = own / turns[reference, lane.size_wh, lane.count] if reference != names else ()
        shares = own / (lane.count * single) if lane.count > 1 and single is not None else ()
        cases.append(
            CaseResult(
                subject=names,
                size_wh=lane.size_wh,
                targets=lane.count,
                steps=len(lane.steps_ms),
                step=Summary.of(lane.steps_ms),
                parts=_parts(lane.parts_ms),
                initialize=Summary.of(lane.starts_ms),
                ratios=tuple(float(ratio) for ratio in ratios),
                shares=tuple(float(share) for share in shares),
            )
        )
    return tuple(cases)


def _parts(times: Sequence[StepTimes]) -> dict[str, Summary]:
    if not times:
        return {}
    return {name: Summary.of([getattr(each, name) for each in times]) for name in STEP_PARTS}


def _reference(subject: SubjectNames, all_names: Sequence[SubjectNames]) -> SubjectNames:
    """The first subject with the same network, which may be itself; a lone one has the first."""
    of_network = [names for names in all_names if names.network == subject.network]
    return of_network[0] if len(of_network) > 1 else all_names[0]


def _quartiles(values: Sequence[float]) -> tuple[float, float, float] | None:
    if not values:
        return None
    first, median, third = (float(value) for value in np.percentile(values, (25, 50, 75)))
    return first, median, third


def _info(subject: Subject) -> SubjectInfo:
    return SubjectInfo(subject.names, subject.preset, subject.parameters)
