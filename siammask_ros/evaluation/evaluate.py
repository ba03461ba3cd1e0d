# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run a tracker over labelled sequences and score every frame."""

from __future__ import annotations

import math
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from siammask_ros.evaluation.davis import read_davis
from siammask_ros.evaluation.measures import box_overlap, region_similarity, separation_auc
from siammask_ros.geometry import Box

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from siammask_ros.evaluation.protocol import LabelledSequence, TrackerFactory

LOST_BELOW = 0.1
"""A frame counts as lost where J is less than this."""
FINE_FROM = 0.5
"""A frame counts as fine where J is at least this."""


class Convention(Enum):
    """Which frames enter the means. The first is always given, so it never does."""

    DAVIS = "davis"
    """As the official DAVIS-2016 evaluation: the last frame does not count either."""
    TRACKED = "tracked"
    """Every frame after the first."""

    @property
    def words(self) -> str:
        """The convention in a sentence, for reports."""
        if self is Convention.DAVIS:
            return "first and last frame not counted (DAVIS-2016)"
        return "first frame not counted, last frame counted"


class FrameScore(NamedTuple):
    """One tracked frame.

    Attributes:
        frame: its number, from 1 (frame 0 is given).
        region_similarity: J, 0 to 1.
        box_iou: overlap of the boxes, 0 to 1; NaN where the target is not to be seen.
        confidence: the tracker's; NaN if it does not say.
        milliseconds: time of `track` and of the full-size mask.
        counted: whether it enters the means.
    """

    frame: int
    region_similarity: float
    box_iou: float
    confidence: float
    milliseconds: float
    counted: bool


@dataclass(frozen=True)
class SequenceScore:
    """Scores of a sequence; means are over the counted frames."""

    name: str
    frames: tuple[FrameScore, ...]
    initialize_ms: float

    @cached_property
    def counted(self) -> tuple[FrameScore, ...]:
        """The frames that enter the means."""
        return tuple(frame for frame in self.frames if frame.counted)

    @property
    def region_similarity(self) -> float:
        """Mean J."""
        return _mean(frame.region_similarity for frame in self.counted)

    @property
    def box_iou(self) -> float:
        """Mean box overlap over the frames that show the target."""
        return _mean(frame.box_iou for frame in self.counted)

    @property
    def confidence(self) -> float:
        """Mean confidence; NaN if the tracker has none."""
        return _mean(frame.confidence for frame in self.counted)

    @property
    def milliseconds(self) -> float:
        """Median time of a frame."""
        return float(np.median([frame.milliseconds for frame in self.frames]))

    @property
    def lost_share(self) -> float:
        """Share of counted frames with J under `LOST_BELOW`."""
        return _mean(float(frame.region_similarity < LOST_BELOW) for frame in self.counted)


@dataclass(frozen=True)
class Evaluation:
    """Scores of a tracker on a data set; the means weigh every sequence alike, as DAVIS does."""

    tracker: str
    dataset: str
    convention: Convention
    sequences: tuple[SequenceScore, ...]

    @property
    def region_similarity(self) -> float:
        """Mean over sequences of mean J."""
        return _mean(score.region_similarity for score in self.sequences)

    @property
    def box_iou(self) -> float:
        """Mean over sequences of mean box overlap."""
        return _mean(score.box_iou for score in self.sequences)

    @property
    def milliseconds(self) -> float:
        """Median time over all frames."""
        times = [frame.milliseconds for score in self.sequences for frame in score.frames]
        return float(np.median(times))

    @property
    def lost_share(self) -> float:
        """Mean over sequences of the share of lost frames."""
        return _mean(score.lost_share for score in self.sequences)

    @property
    def confidence_fine(self) -> NDArray[np.float64]:
        """Confidences of the counted frames with J of at least `FINE_FROM`."""
        return self._confidences(FINE_FROM, math.inf)

    @property
    def confidence_lost(self) -> NDArray[np.float64]:
        """Confidences of the counted frames with J under `LOST_BELOW`."""
        return self._confidences(-math.inf, LOST_BELOW)

    @property
    def confidence_auc(self) -> float:
        """Chance that a fine frame has a higher confidence than a lost one; NaN without either."""
        return separation_auc(self.confidence_fine, self.confidence_lost)

    def _confidences(self, low: float, high: float) -> NDArray[np.float64]:
        return np.array(
            [
                frame.confidence
                for score in self.sequences
                for frame in score.counted
                if low <= frame.region_similarity < high
            ],
            np.float64,
        )


def evaluate_sequence(
    sequence: LabelledSequence,
    tracker_factory: TrackerFactory,
    *,
    convention: Convention = Convention.DAVIS,
) -> SequenceScore:
    """Start a tracker on the box around the first mask, follow, and score every frame.

    The box is the smallest around the mask's pixels, width and height counted in pixels, as
    `cv2.boundingRect` gives it to the official code.

    Raises:
        ValueError: the first mask is empty, or no frame is left to count.
    """
    least = 3 if convention is Convention.DAVIS else 2
    if len(sequence) < least:
        raise ValueError(f"sequence {sequence.name}: {len(sequence)} frames, at least {least}")
    tracker = tracker_factory(sequence)
    first = sequence.frame(0)
    box = Box.from_mask(first.mask)
    if box is None:
        raise ValueError(f"sequence {sequence.name}: the mask of the first frame is empty")
    started = time.perf_counter()
    state = tracker.initialize(first.image_bgr, box.xywh)
    initialize_ms = _milliseconds_since(started)
    frames = []
    for index in range(1, len(sequence)):
        image_bgr, truth = sequence.frame(index)
        started = time.perf_counter()
        state, result = tracker.track(image_bgr, state)
        mask = result.mask
        elapsed = _milliseconds_since(started)
        frames.append(
            FrameScore(
                index,
                region_similarity(mask, truth),
                box_overlap(result.box_xywh, truth),
                float(result.confidence),
                elapsed,
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
        on_sequence: called with each score as it comes, in any order.

    Raises:
        ValueError: no sequences, one named twice, fewer than one job, or a sequence that cannot be
            scored.
    """
    if not sequences:
        raise ValueError("no sequences to evaluate")
    names = [sequence.name for sequence in sequences]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"sequence names must differ, found twice: {', '.join(twice)}")
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
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
    ordered = tuple(by_name[sequence.name] for sequence in sequences)
    return Evaluation(tracker_name, dataset_name, convention, ordered)


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


def _milliseconds_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000.0


def _mean(values: Iterable[float]) -> float:
    """Mean without NaNs; NaN of nothing."""
    kept = [value for value in values if not math.isnan(value)]
    return math.fsum(kept) / len(kept) if kept else math.nan
