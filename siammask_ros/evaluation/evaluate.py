# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Score trackers, and stored results, on labelled sequences, frame by frame."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

import cv2
import numpy as np

from siammask_ros.evaluation.davis import davis_name, read_davis
from siammask_ros.evaluation.groups import check_groups, repeated
from siammask_ros.evaluation.measures import box_overlap, contour_accuracy, region_similarity
from siammask_ros.evaluation.scores import (
    Conditions,
    Convention,
    Evaluation,
    FrameScore,
    SequenceScore,
)
from siammask_ros.evaluation.tracking import Outcome, read_masks, track_sequence, write_masks

if TYPE_CHECKING:
    from siammask_ros.evaluation.groups import SequenceGroup
    from siammask_ros.evaluation.protocol import (
        LabelledSequence,
        MaskedSequence,
        TrackerFactory,
    )

Source: TypeAlias = Callable[[Any], Iterable[Outcome]]
"""What there is to score of a sequence, frame by frame. With several jobs it is pickled."""


@dataclass(frozen=True)
class Tracking:
    """A tracker's results, also written to a folder if one is named."""

    tracker_factory: TrackerFactory
    masks: Path | None = None

    def __call__(self, sequence: LabelledSequence) -> Iterator[Outcome]:
        """Track."""
        tracked = track_sequence(sequence, self.tracker_factory)
        if self.masks is None:
            return tracked
        return write_masks(tracked, cast("MaskedSequence", sequence), self.masks)


@dataclass(frozen=True)
class StoredMasks:
    """The results in a folder."""

    folder: Path

    def __call__(self, sequence: MaskedSequence) -> Iterator[Outcome]:
        """Read."""
        return read_masks(sequence, self.folder)


def score_targets(
    sequence: LabelledSequence,
    outcomes: Iterable[Outcome],
    *,
    convention: Convention = Convention.DAVIS,
) -> tuple[SequenceScore, ...]:
    """Score each target of a sequence in every frame after the one that gives it.

    Frames without truth have no score, and targets that are in no counted frame none either.

    Raises:
        ValueError: the sequence is too short.
    """
    least = 3 if convention is Convention.DAVIS else 2
    if len(sequence) < least:
        raise ValueError(f"sequence {sequence.name}: {len(sequence)} frames, at least {least}")
    frames: dict[int, list[FrameScore]] = {}
    initialize_ms: dict[int, float] = {}
    for outcome in outcomes:
        counted = convention is Convention.TRACKED or outcome.frame < len(sequence) - 1
        if outcome.truth is not None:
            for target_id, scores in frames.items():
                scores.append(_frame_score(outcome, target_id, counted=counted))
        for target_id in outcome.started:
            frames[target_id] = []
            initialize_ms[target_id] = outcome.initialize_ms
    return tuple(
        SequenceScore(sequence.name, tuple(scores), initialize_ms[target_id], target_id)
        for target_id, scores in frames.items()
        if any(score.counted for score in scores)
    )


def _frame_score(outcome: Outcome, target_id: int, *, counted: bool) -> FrameScore:
    predicted = outcome.labels == target_id
    truth = np.asarray(outcome.truth == target_id)
    result = outcome.results[target_id]
    return FrameScore(
        outcome.frame,
        region_similarity(predicted, truth),
        contour_accuracy(predicted, truth),
        box_overlap(result.box_xywh, truth),
        float(result.confidence),
        outcome.milliseconds,
        counted,
    )


def evaluate_sequence(
    sequence: LabelledSequence,
    tracker_factory: TrackerFactory,
    *,
    convention: Convention = Convention.DAVIS,
) -> SequenceScore:
    """Track a sequence of one target, and score every frame; see `score_targets`.

    Raises:
        ValueError: it has several targets or none, or no frame is left to count.
    """
    tracked = track_sequence(sequence, tracker_factory)
    scores = score_targets(sequence, tracked, convention=convention)
    if len(scores) != 1:
        raise ValueError(f"sequence {sequence.name}: {len(scores)} targets to score, expected 1")
    return scores[0]


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
    masks: str | os.PathLike[str] | None = None,
    on_sequence: Callable[[str], None] | None = None,
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
        masks: folder to write the results to, as the data set has them (`MaskedSequence`).
        on_sequence: called with the name of each sequence that is done, in any order.

    Raises:
        ValueError: no sequences, one named twice, a group of others, fewer than one job, or a
            sequence that cannot be tracked.
    """
    source = Tracking(tracker_factory, None if masks is None else Path(masks))
    return _evaluate(
        sequences,
        source,
        tracker_name=tracker_name,
        dataset_name=dataset_name,
        convention=convention,
        jobs=jobs,
        threads=threads,
        device=device,
        groups=groups,
        on_sequence=on_sequence,
    )


def evaluate_results(
    sequences: Sequence[MaskedSequence],
    folder: str | os.PathLike[str],
    *,
    tracker_name: str,
    dataset_name: str,
    convention: Convention = Convention.DAVIS,
    jobs: int = 1,
    groups: Sequence[SequenceGroup] = (),
    on_sequence: Callable[[str], None] | None = None,
) -> Evaluation:
    """Score the results in a folder, without tracking; see `evaluate`.

    Raises:
        ValueError: as there, or a result is missing or of another size than the truth.
    """
    return _evaluate(
        sequences,
        StoredMasks(Path(folder)),
        tracker_name=tracker_name,
        dataset_name=dataset_name,
        convention=convention,
        jobs=jobs,
        threads=1,
        groups=groups,
        on_sequence=on_sequence,
    )


def _evaluate(
    sequences: Sequence[LabelledSequence],
    source: Source,
    *,
    tracker_name: str,
    dataset_name: str,
    convention: Convention,
    jobs: int,
    threads: int | None,
    device: str = "",
    groups: Sequence[SequenceGroup],
    on_sequence: Callable[[str], None] | None,
) -> Evaluation:
    _check_arguments([sequence.name for sequence in sequences], groups, jobs)
    load_average = os.getloadavg()[0]
    if jobs == 1:
        _limit_threads(threads)
        scores = _in_this_process(sequences, _Job(source, convention))
    else:
        scores = _in_processes(sequences, _Job(source, convention), jobs, threads or 1)
    by_name: dict[str, tuple[SequenceScore, ...]] = {}
    for name, of_sequence in scores:
        by_name[name] = of_sequence
        if on_sequence is not None:
            on_sequence(name)
    return Evaluation(
        tracker_name,
        dataset_name,
        convention,
        tuple(score for sequence in sequences for score in by_name[sequence.name]),
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
    year: int | None = None,
    convention: Convention = Convention.DAVIS,
    jobs: int = 1,
    threads: int | None = None,
    device: str = "",
    groups: Sequence[SequenceGroup] = (),
    masks: str | os.PathLike[str] | None = None,
    on_sequence: Callable[[str], None] | None = None,
) -> Evaluation:
    """Score a tracker on a DAVIS folder; see `read_davis` and `evaluate`."""
    found = read_davis(root, sequences, split=split, year=year)
    return evaluate(
        found,
        tracker_factory,
        tracker_name=tracker_name,
        dataset_name=davis_name(found, split),
        convention=convention,
        jobs=jobs,
        threads=threads,
        device=device,
        groups=groups,
        masks=masks,
        on_sequence=on_sequence,
    )


class _Job(NamedTuple):
    """What every worker process needs, sent once."""

    source: Source
    convention: Convention

    def scores(self, sequence: LabelledSequence) -> tuple[str, tuple[SequenceScore, ...]]:
        """The name of a sequence and the scores of its targets."""
        outcomes = self.source(sequence)
        return sequence.name, score_targets(sequence, outcomes, convention=self.convention)


_job: _Job | None = None


def _in_this_process(
    sequences: Sequence[LabelledSequence], job: _Job
) -> Iterator[tuple[str, tuple[SequenceScore, ...]]]:
    for sequence in sequences:
        yield job.scores(sequence)


def _in_processes(
    sequences: Sequence[LabelledSequence], job: _Job, jobs: int, threads: int
) -> Iterator[tuple[str, tuple[SequenceScore, ...]]]:
    # Spawned, not forked: torch and OpenCV hold threads that a fork would break.
    with ProcessPoolExecutor(
        min(jobs, len(sequences)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(job, threads),
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


def _score_in_worker(sequence: LabelledSequence) -> tuple[str, tuple[SequenceScore, ...]]:
    if _job is None:
        raise RuntimeError("the worker was not started")
    return _job.scores(sequence)


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
