# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""VOT experiments and their analyses: the toolkit runs and measures, this collects what it says."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from siammask_ros.evaluation.vot.toolkit import (
    Untyped,
    execute,
    toolkit_errors,
    toolkit_module,
    toolkit_version,
    with_single_target,
)
from siammask_ros.evaluation.vot.workspace import TRACKERS_FILE
from siammask_ros.interruption import Interruption

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

FRAMES_OF_RATE = 100
"""The published robustness of VOT2016 to VOT2019 is the number of failures in so many frames."""
_CACHED_RESULTS = 1000

Progress: TypeAlias = Callable[[str, float, int], None]
"""Called with the experiment's name, the sequences done, in parts too, and their number."""


class Measure(NamedTuple):
    """A number that an analysis of the stack gives."""

    analysis: str
    name: str
    value: float


class SequenceResult(NamedTuple):
    """One sequence in one experiment; NaN for what its analyses do not measure."""

    sequence: str
    frames: int
    accuracy: float
    """Mean overlap."""
    robustness: float
    """Failures in supervised experiments; in anchor-based ones the tracked share of frames."""


@dataclass(frozen=True)
class ExperimentResult:
    """What the analyses of an experiment say of a tracker; NaN for what they do not measure.

    Attributes:
        experiment: its name in the stack, e.g. `baseline`.
        kind: `supervised`, `multistart` (anchor-based) or `unsupervised`.
        accuracy: mean overlap while the target is tracked.
        robustness: of supervised experiments the failures in 100 frames, as published; of
            anchor-based ones the share of frames until the tracker fails.
        eao: expected average overlap.
        failures: mean number of failures in a run through all sequences.
        measures: every number of the stack's analyses, unchanged.
        sequences: the same by sequence.
    """

    experiment: str
    kind: str
    accuracy: float
    robustness: float
    eao: float
    failures: float
    measures: tuple[Measure, ...]
    sequences: tuple[SequenceResult, ...]

    @property
    def frames(self) -> int:
        """Frames of all sequences."""
        return sum(sequence.frames for sequence in self.sequences)


@dataclass(frozen=True)
class VotEvaluation:
    """A tracker in the experiments of a stack.

    Attributes:
        tracker: its name in the workspace.
        settings: what it is, in words (`entrant_words`).
        stack: name of the stack as in the workspace's configuration.
        title: the stack's title.
        toolkit: version of the toolkit.
        experiments: the results, in the order of the stack.
    """

    tracker: str
    settings: str
    stack: str
    title: str
    toolkit: str
    experiments: tuple[ExperimentResult, ...]


# --- Experiments


def evaluate_vot(
    folder: str | os.PathLike[str],
    name: str,
    *,
    experiments: Sequence[str] = (),
    sequences: Sequence[str] = (),
    force: bool = False,
    on_progress: Progress | None = None,
) -> VotEvaluation:
    """Run a tracker of the workspace through experiments, and analyse the results.

    What has results already is not run again, so an interrupted evaluation goes on.

    Args:
        folder: a workspace (`prepare_workspace`).
        name: the tracker's in `trackers.ini`.
        experiments: names to run; all of the stack if empty.
        sequences: names to run on; all of the data set if empty.
        force: run again what has results.
        on_progress: told how far an experiment is.

    Raises:
        ValueError: an unknown tracker, experiment or sequence, or one without anchors.
        RuntimeError: the tracker failed, or the toolkit; a tracker's words are in a file of `logs`
            that the message names.
        KeyboardInterrupt: Ctrl-C; what is complete stays.
    """
    # The toolkit waits for a tracker in C code, where Python loses a KeyboardInterrupt.
    with toolkit_errors(), Interruption() as interruption:
        workspace = toolkit_module("vot.workspace").Workspace.load(str(folder))
        if name not in workspace.registry:
            raise ValueError(f"{TRACKERS_FILE} of {folder} has no tracker {name!r}")
        tracker = with_single_target(workspace.registry[name], interruption.check)
        chosen = _chosen(workspace.stack, experiments, "experiment", lambda each: each.identifier)
        videos = _chosen(workspace.dataset, sequences, "sequence", lambda each: each.name)
        for experiment in chosen:
            _run(experiment, tracker, videos, force, interruption, on_progress)
    with toolkit_errors():
        return VotEvaluation(
            tracker=name,
            settings=str(tracker.metadata("settings") or ""),
            stack=str(workspace.stack.name),
            title=str(workspace.stack.title),
            toolkit=toolkit_version(),
            experiments=tuple(_analyse(each, tracker, videos) for each in chosen),
        )


def _chosen(
    held: Iterable[Untyped], names: Sequence[str], what: str, name_of: Callable[[Untyped], str]
) -> list[Untyped]:
    """Those of the held that are named, in their own order; all if none is named."""
    by_name = {name_of(each): each for each in held}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        known = ", ".join(by_name)
        raise ValueError(f"no {what} {', '.join(unknown)} in the workspace; there are {known}")
    return [each for name, each in by_name.items() if not names or name in names]


def _run(
    experiment: Untyped,
    tracker: Untyped,
    videos: list[Untyped],
    force: bool,  # noqa: FBT001 - private
    interruption: Interruption,
    on_progress: Progress | None,
) -> None:
    report = on_progress or (lambda *_: None)
    trackers = toolkit_module("vot.tracker")
    parts = experiment.transform(videos)
    for number, sequence in enumerate(parts):

        def tell(part: float, done: int = number) -> None:
            report(experiment.identifier, done + part, len(parts))

        try:
            execute(experiment, tracker, sequence, force=force, on_progress=tell)
        except trackers.TrackerException as error:
            interruption.check()  # the tracker gets a Ctrl-C of the terminal, too
            raise RuntimeError(_failure(experiment, tracker, sequence, error)) from error
        tell(1.0)


def _failure(experiment: Untyped, tracker: Untyped, sequence: Untyped, error: Untyped) -> str:
    """What went wrong, in a line; the tracker's own words go to a file."""
    said = f"{tracker.identifier} failed in {experiment.identifier}, {sequence.name}: {error}"
    if not error.log:
        return said
    with experiment.log(tracker.identifier) as file:
        file.write(error.log)
    return f"{said} (its output: {file.name})"


# --- Analyses


def _analyse(experiment: Untyped, tracker: Untyped, videos: list[Untyped]) -> ExperimentResult:
    """Run the stack's analyses of an experiment. Nothing is cached, so no result is stale."""
    sequences = experiment.transform(videos)
    kind = _kind(experiment)
    found: list[Measure] = []
    summary: dict[str, float] = {}
    rows: list[tuple[float, float]] = []
    whole = toolkit_module("vot.analysis").Axes.TRACKERS
    for analysis in (each for each in experiment.analyses if each.axes == whole):
        grid = _compute(analysis, experiment, tracker, sequences)
        if grid is None:
            continue
        numbers = _measures(analysis, grid[0, 0])
        found += [Measure(analysis.title, name, value) for name, _, value in numbers]
        summary |= {short: value for _, short, value in numbers if short}
        if kind == "unsupervised" and [short for _, short, _ in numbers] == [""]:
            summary["A"] = numbers[0][2]
        part = getattr(analysis, "analysis", None)  # of the mean over sequences: what is averaged
        if part is not None and not rows:
            rows = _by_sequence(part, experiment, tracker, sequences)
    rows = rows or [(math.nan, math.nan)] * len(sequences)
    frames = [len(sequence) for sequence in sequences]
    failures, robustness = math.nan, summary.get("R", math.nan)
    if kind == "supervised":
        count = toolkit_module("vot.analysis.failures").CumulativeFailureCount()
        failures = float(_compute(count, experiment, tracker, sequences)[0, 0][0])
        robustness = FRAMES_OF_RATE * failures / sum(frames)
    return ExperimentResult(
        experiment=experiment.identifier,
        kind=kind,
        accuracy=summary.get("A", math.nan),
        robustness=robustness,
        eao=summary.get("EAO", math.nan),
        failures=failures,
        measures=tuple(found),
        sequences=tuple(
            SequenceResult(sequence.name, length, *row)
            for sequence, length, row in zip(sequences, frames, rows, strict=True)
        ),
    )


def _kind(experiment: Untyped) -> str:
    module = toolkit_module("vot.experiment")
    kinds = {
        "supervised": module.SupervisedExperiment,
        "multistart": module.MultiStartExperiment,
        "unsupervised": module.UnsupervisedExperiment,
    }
    return next((name for name, kind in kinds.items() if isinstance(experiment, kind)), "other")


def _compute(
    analysis: Untyped, experiment: Untyped, tracker: Untyped, sequences: list[Untyped]
) -> Untyped:
    """The analysis' grid, a row a tracker; None if the analysis is not of this experiment.

    Raises:
        RuntimeError: it failed.
    """
    module = toolkit_module("vot.analysis")
    if not analysis.compatible(experiment):
        return None
    executor = toolkit_module("vot.utilities").ThreadPoolExecutor(1)
    cache = toolkit_module("cachetools").LRUCache(_CACHED_RESULTS)
    try:
        with warnings.catch_warnings(), module.AnalysisProcessor(executor, cache) as processor:
            # An EAO is NaN, and warned of, where all runs are shorter than its interval.
            warnings.simplefilter("ignore", RuntimeWarning)
            return processor.run(analysis, experiment, [tracker], sequences)
    except toolkit_module("vot.analysis.processor").AnalysisError as error:
        raise RuntimeError(f"analysis {analysis.title}: {error.root_cause}") from error
    finally:
        executor.shutdown(wait=True)


def _measures(analysis: Untyped, values: Untyped) -> list[tuple[str, str, float]]:
    """Name, abbreviation and value of the plain numbers among what an analysis gives."""
    kind = toolkit_module("vot.analysis").Measure
    return [
        (about.name, about.abbreviation, float(value))
        for about, value in zip(analysis.describe(), values, strict=False)
        if isinstance(about, kind)
    ]


def _by_sequence(
    analysis: Untyped,
    experiment: Untyped,
    tracker: Untyped,
    sequences: list[Untyped],
) -> list[tuple[float, float]]:
    """Accuracy and robustness of each sequence; nothing if this analysis has other measures."""
    abbreviations = [getattr(about, "abbreviation", None) for about in analysis.describe()]
    grid = _compute(analysis, experiment, tracker, sequences)
    if grid is None or abbreviations[0] not in {"A", ""}:
        return []
    rows = []
    for index in range(len(sequences)):
        values = _measures(analysis, grid[0, index])
        accuracy = values[0][2]
        rows.append((accuracy, values[1][2] if len(values) > 1 else math.nan))
    return rows
