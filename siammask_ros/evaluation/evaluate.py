# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run a tracker over labelled sequences and score every frame."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TYPE_CHECKING, NamedTuple

import cv2

from siammask_ros.evaluation.davis import read_davis
from siammask_ros.evaluation.groups import check_groups, repeated
from siammask_ros.evaluation.measures import box_overlap, region_similarity
from siammask_ros.evaluation.scores import (
    Conditions,
    Convention,
    Evaluation,
    FrameScore,
    SequenceScore,
)
from siammask_ros.geometry import Box

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from siammask_ros.evaluation.groups import SequenceGroup
    from siammask_ros.evaluation.protocol import (
        LabelledFrame,
        LabelledSequence,
        Result,
        TrackerFactory,
    )


class TrackedFrame(NamedTuple):
    """A frame and what the tracker made of it.

    Attributes:
        frame: its number; 0 is the one the tracker was started on.
        labelled: image and true mask.
        result: the tracker's; None for the frame it was started on.
        milliseconds: time of `track` and of the full-size mask, or of `initialize`.
    """

    frame: int
    labelled: LabelledFrame
    result: Result | None
    milliseconds: float


def track_sequence(
    sequence: LabelledSequence, tracker_factory: TrackerFactory
) -> Iterator[TrackedFrame]:
    """Start a tracker on the box around the first mask and follow; one item a frame.

    The box is the smallest around the mask's pixels, width and height counted in pixels, as
    `cv2.boundingRect` gives it to the official code.

    Raises:
        ValueError: the first mask is empty.
    """
    tracker = tracker_factory(sequence)
    first = sequence.frame(0)
    box = Box.from_mask(first.mask)
    if box is None:
        raise ValueError(f"sequence {sequence.name}: the mask of the first frame is empty")
    started = time.perf_counter()
    state = tracker.initialize(first.image_bgr, box.xywh)
    yield TrackedFrame(0, first, None, _milliseconds_since(started))
    for index in range(1, len(sequence)):
        labelled = sequence.frame(index)
        started = time.perf_counter()
        state, result = tracker.track(labelled.image_bgr, state)
        _ = result.mask  # made on first use, and part of the work
        yield TrackedFrame(index, labelled, result, _milliseconds_since(started))


def evaluate_sequence(
    sequence: LabelledSequence,
    tracker_factory: TrackerFactory,
    *,
    convention: Convention = Convention.DAVIS,
) -> SequenceScore:
    """Track a sequence as `track_sequence` does, and score every frame.

    Raises:
        ValueError: the first mask is empty, or no frame is left to count.
    """
    least = 3 if convention is Convention.DAVIS else 2
    if len(sequence) < least:
        raise ValueError(f"sequence {sequence.name}: {len(sequence)} frames, at least {least}")
    initialize_ms = 0.0
    frames = []
    for index, labelled, result, milliseconds in track_sequence(sequence, tracker_factory):
        if result is None:
            initialize_ms = milliseconds
            continue
        frames.append(
            FrameScore(
                index,
                region_similarity(result.mask, labelled.mask),
                box_overlap(result.box_xywh, labelled.mask),
                float(result.confidence),
                milliseconds,
                convention is Convention.TRACKED or index < len(sequence) - 1,
            )
        )
    return SequenceScore(sequence.name, tuple(frames), initialize_ms)


def evaluate(
    sequences: Sequence[LabelledSequence],
    tracker_factory: TrackerFactory,
    *,
    tracker_name: str,
    dataset_name: str,
    convention: Convention = Convention.DAVIS,
    jobs: int = 1,
    threads: int | None = None,
    device: str = "",
    groups: Sequence[SequenceGroup] = (),
    on_sequence: Callable[[SequenceScore], None] | None = None,
) -> Evaluation:
    """Score a tracker on sequences.

    Args:
        sequences: what to track, each with a name of its own.
        tracker_factory: makes the tracker of a sequence (`Always(tracker)` for one that is
            stateless). With more than one job it must pickle, and the calling script needs the
            usual `if __name__ == "__main__"`.
        tracker_name: for the report.
        dataset_name: for the report.
        convention: which frames count.
        jobs: processes; 1 runs in this one. Timings of several jobs disturb each other.
        threads: threads of OpenCV and torch in each process; left alone if None and jobs is 1,
            else 1.
        device: what the tracker computes on, for the report.
        groups: sequences that get means of their own.
        on_sequence: called with each score as it comes, in any order.

    Raises:
        ValueError: no sequences, one named twice, a group of others, fewer than one job, or a
            sequence that cannot be scored.
    """
    _check_arguments([sequence.name for sequence in sequences], groups, jobs)
    load_average = os.getloadavg()[0]
    if jobs == 1:
        _limit_threads(threads)
        scores = _in_this_process(sequences, tracker_factory, convention)
    else:
        scores = _in_processes(sequences, tracker_factory, convention, jobs, threads or 1)
    by_name: dict[str, SequenceScore] = {}
    for score in scores:
        by_name[score.name] = score
        if on_sequence is not None:
            on_sequence(score)
    return Evaluation(
        tracker_name,
        dataset_name,
        convention,
        tuple(by_name[sequence.name] for sequence in sequences),
        Conditions(device, _threads() if jobs == 1 else threads or 1, jobs, load_average),
        tuple(groups),
    )


def _check_arguments(names: Sequence[str], groups: Sequence[SequenceGroup], jobs: int) -> None:
    if not names:
        raise ValueError("no sequences to evaluate")
    twice = repeated(names)
    if twice:
        raise ValueError(f"sequence names must differ, found twice: {', '.join(twice)}")
    check_groups(groups, names)
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")


def evaluate_davis(
    root: str | os.PathLike[str],
    tracker_factory: TrackerFactory,
    *,
    tracker_name: str = "tracker",
    sequences: Iterable[str] | None = None,
    split: str | None = None,
    convention: Convention = Convention.DAVIS,
    jobs: int = 1,
    threads: int | None = None,
    device: str = "",
    groups: Sequence[SequenceGroup] = (),
    on_sequence: Callable[[SequenceScore], None] | None = None,
) -> Evaluation:
    """Score a tracker on a DAVIS folder; see `read_davis` and `evaluate`."""
    return evaluate(
        read_davis(root, sequences, split=split),
        tracker_factory,
        tracker_name=tracker_name,
        dataset_name="DAVIS",
        convention=convention,
        jobs=jobs,
        threads=threads,
        device=device,
        groups=groups,
        on_sequence=on_sequence,
    )


class _Job(NamedTuple):
    """What every worker process needs, sent once."""

    tracker_factory: TrackerFactory
    convention: Convention


_job: _Job | None = None


def _in_this_process(
    sequences: Sequence[LabelledSequence], tracker_factory: TrackerFactory, convention: Convention
) -> Iterator[SequenceScore]:
    for sequence in sequences:
        yield evaluate_sequence(sequence, tracker_factory, convention=convention)


def _in_processes(
    sequences: Sequence[LabelledSequence],
    tracker_factory: TrackerFactory,
    convention: Convention,
    jobs: int,
    threads: int,
) -> Iterator[SequenceScore]:
    # Spawned, not forked: torch and OpenCV hold threads that a fork would break.
    with ProcessPoolExecutor(
        min(jobs, len(sequences)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(_Job(tracker_factory, convention), threads),
    ) as pool:
        # The longest first, so that no process is left alone with one at the end.
        longest_first = sorted(sequences, key=len, reverse=True)
        pending = [pool.submit(_score_in_worker, sequence) for sequence in longest_first]
        try:
            for done in as_completed(pending):
                yield done.result()
        finally:
            for future in pending:
                future.cancel()


def _start_worker(job: _Job, threads: int) -> None:
    global _job  # noqa: PLW0603 - a process's own constant
    _job = job
    _limit_threads(threads)


def _score_in_worker(sequence: LabelledSequence) -> SequenceScore:
    if _job is None:
        raise RuntimeError("the worker was not started")
    return evaluate_sequence(sequence, _job.tracker_factory, convention=_job.convention)


def _limit_threads(threads: int | None) -> None:
    if threads is None:
        return
    cv2.setNumThreads(threads)
    # Torch is the tracker's business; where it is loaded, it obeys too.
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)


def _threads() -> int:
    """Threads that the tracker computes with here."""
    torch = sys.modules.get("torch")
    return int(cv2.getNumThreads() if torch is None else torch.get_num_threads())


def _milliseconds_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000.0
