# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a list of what shall be measured to the report: open, time in turns, measure memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TypeAlias

from siammask_ros.benchmark.latency import BenchmarkReport, benchmark_subjects, total_steps
from siammask_ros.benchmark.memory import MemoryUse, measure_memory
from siammask_ros.benchmark.subjects import (
    NanoOptions,
    OfficialOptions,
    OwnOptions,
    Subject,
    SubjectOptions,
    network_of,
)

Progress: TypeAlias = Callable[[str, int], AbstractContextManager[Callable[[object], None]]]
"""Shows how far something has come: its name and steps in, what is called after each step out."""


def run_benchmark(
    own: Sequence[OwnOptions],
    others: Sequence[OfficialOptions | NanoOptions] = (),
    *,
    sizes: Sequence[tuple[int, int]],
    targets: Sequence[int],
    steps: int,
    warm_up: int,
    threads: int = 0,
    memory: bool = True,
    progress: Progress | None = None,
) -> BenchmarkReport:
    """Measure trackers of this package, and others beside them.

    Args:
        own: at least one. What cannot be, such as a precision that a backend lacks, is left out
            and named in the report, unless it is the only one.
        others: the official code, NanoTrack.
        sizes, targets, steps, warm_up: as of `benchmark_subjects`.
        threads: of torch and OpenCV; 0 leaves them alone.
        memory: whether a process of its own is started for each, to measure its memory.
        progress: shows how far it is.

    Raises:
        ValueError, ImportError, RuntimeError: something cannot be opened.
    """
    progress = progress or (lambda _, __: nullcontext(lambda _: None))
    opened: list[tuple[SubjectOptions, Subject]] = []
    left_out: list[str] = []
    with progress("open", len(own) + len(others)) as advance:
        _open_own(own, opened, left_out, advance)
        for options in others:
            opened.append((options, options.open()))
            advance(options)
    count = total_steps(
        sizes=sizes, targets=targets, steps=steps, warm_up=warm_up, subjects=len(opened)
    )
    with progress("steps", count) as advance:
        report = benchmark_subjects(
            [subject for _, subject in opened],
            sizes=sizes,
            targets=targets,
            steps=steps,
            warm_up=warm_up,
            threads=threads or None,
            on_step=lambda: advance(None),
        )
    uses: list[MemoryUse] = []
    if memory:
        cases = _ends(sizes, targets)
        with progress("memory", len(opened)) as advance:
            for each, _ in opened:
                uses += measure_memory(each, cases, threads=threads or None)
                advance(each)
    return replace(report, memory=tuple(uses), left_out=tuple(left_out))


def _open_own(
    own: Sequence[OwnOptions],
    opened: list[tuple[SubjectOptions, Subject]],
    left_out: list[str],
    advance: Callable[[object], None],
) -> None:
    """Open all that can be; a network is loaded once."""
    for weights in dict.fromkeys(options.weights for options in own):
        of_weights = [options for options in own if options.weights == weights]
        network = network_of(weights, of_weights[0].device)
        for options in of_weights:
            asked = f"{weights}, {options.backend}, {options.precision}"
            asked += ", crop on device" if options.crop_on_device else ""
            try:
                subject = options.open(network)
            except (ValueError, ImportError) as error:
                if len(own) == 1:
                    raise
                left_out.append(f"{asked}: {error}")
            else:
                if any(subject.names == each.names for _, each in opened):
                    left_out.append(f"{asked}: is {', '.join(subject.names)}, measured already")
                else:
                    opened.append((options, subject))
            advance(options)
    if not opened:
        raise ValueError("nothing to measure: " + "; ".join(left_out))


def _ends(
    sizes: Sequence[tuple[int, int]], targets: Sequence[int]
) -> list[tuple[tuple[int, int], int]]:
    """The cases in which memory is measured: least and most of targets and of size."""
    small, large = min(sizes, key=math.prod), max(sizes, key=math.prod)
    few, many = min(targets), max(targets)
    return list(dict.fromkeys([(small, few), (large, few), (small, many)]))
