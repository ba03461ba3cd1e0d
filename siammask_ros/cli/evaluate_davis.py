# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`siammask eval davis`: score trackers on a data set laid out like DAVIS."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from siammask_ros.cli.candidates import (
    Candidate,
    CheckpointsOption,
    Request,
    TrackersOption,
    TrackerWeightsOption,
    candidates,
)
from siammask_ros.cli.common import (
    Backend,
    BackendOption,
    DeviceOption,
    Placement,
    Precision,
    PrecisionOption,
    Preset,
    PresetOption,
    SettingsOption,
    ThreadsOption,
    parse_list,
    say_all,
    wrong_usage,
)
from siammask_ros.cli.scoring import ScoringTask, compare

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from siammask_ros.evaluation import DavisSequence, Evaluation, SequenceGroup

MASKS = "masks"
"""Folder of result files beside a report."""


class DatasetConvention(str, Enum):
    """Which frames of a sequence count."""

    davis = "davis"
    tracked = "tracked"


class DavisYear(str, Enum):
    """Which of the two benchmarks."""

    auto = "auto"
    year_2016 = "2016"
    year_2017 = "2017"


def evaluate_davis(  # noqa: PLR0917 - typer calls it by name
    root: Annotated[Path, typer.Argument(help="Folder with JPEGImages and Annotations.")],
    sequences: Annotated[
        str, typer.Option("--sequences", help="Names, separated by commas; by default all.")
    ] = "",
    split: Annotated[str, typer.Option("--split", help="A list of ImageSets, e.g. val.")] = "",
    year: Annotated[
        DavisYear,
        typer.Option(
            "--year",
            help="2016: all that is not black is one target; 2017: masks number the targets; "
            "auto: 2017 if the masks have a palette.",
        ),
    ] = DavisYear.auto,
    groups: Annotated[
        str,
        typer.Option(
            "--groups",
            help="Sequences with means of their own: NAME=a,b;NAME=c or a YAML file. "
            "Only these are read, unless --sequences or --split says which.",
        ),
    ] = "",
    weights: CheckpointsOption = None,
    preset: PresetOption = Preset.auto,
    settings: SettingsOption = None,
    device: DeviceOption = "cpu",
    backend: BackendOption = Backend.auto,
    precision: PrecisionOption = Precision.auto,
    tracker: TrackersOption = None,
    tracker_weights: TrackerWeightsOption = "",
    results: Annotated[
        list[Path] | None,
        typer.Option(
            "--results",
            help="Folder of results, NAME/00000.png, to score without tracking. Repeatable: "
            "several are compared.",
        ),
    ] = None,
    convention: Annotated[
        DatasetConvention, typer.Option("--convention", help="davis: the last frame is left out.")
    ] = DatasetConvention.davis,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Sequences at a time.")] = 1,
    threads: ThreadsOption = 1,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for report, tables and masks.")
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option("--masks", help="Folder for the masks; by default masks in the output."),
    ] = None,
    failures: Annotated[
        Path | None, typer.Option("--failures", help="Folder for pictures of the worst frames.")
    ] = None,
) -> None:
    """J and F on DAVIS: the first frame's masks are given as boxes, all targets in one pass."""
    from siammask_ros import evaluation

    placement = Placement(device, backend.value, precision.value, threads)
    request = Request.of(tracker, tracker_weights, weights, preset, settings, placement)
    if results:
        request.refuse()
    if results and (failures or masks):
        raise typer.BadParameter("--failures and --masks need a tracker, not --results")
    found, chosen = _sequences_to_score(root, sequences, split, groups, year)
    dataset = evaluation.davis_name(found, split or None)
    counted = evaluation.Convention(convention.value)
    task = ScoringTask(found, dataset, counted, jobs, chosen)
    scores: list[Evaluation] = []
    for name, folder in _stored(results or []):
        scores.append(task.score_results(name, folder))
        _report(scores[-1], output, "" if len(results or []) == 1 else name)
    for candidate in () if results else candidates(request):
        scores.append(task.score(candidate, threads, _masks_folder(candidate, output, masks)))
        _report(scores[-1], output, candidate.folder)
        if failures is not None:
            worst = evaluation.find_failures(scores[-1], found, candidate.factory)
            say_all(evaluation.write_failures(failures / candidate.folder, worst))
    compare(scores, output)


def _masks_folder(candidate: Candidate, output: Path | None, masks: Path | None) -> Path | None:
    """Where the masks of a tracker go; None if they are not kept."""
    if masks is not None:
        return masks / candidate.folder
    return None if output is None else output / candidate.folder / MASKS


def _stored(folders: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Names of results and their folders; the path, where two have one name."""
    names = [folder.resolve().name for folder in folders]
    for name, folder in zip(names, folders, strict=True):
        yield name if names.count(name) == 1 else str(folder).strip("/").replace("/", "-"), folder


def _report(score: Evaluation, output: Path | None, folder: str) -> None:
    """One of several has a folder, and its numbers are shown with the others'."""
    from siammask_ros import evaluation

    if not folder:
        typer.echo(evaluation.evaluation_markdown(score))
    if output is not None:
        say_all(evaluation.write_report(output / folder, score))


def _sequences_to_score(
    root: Path, sequences: str, split: str, groups: str, year: DavisYear
) -> tuple[list[DavisSequence], tuple[SequenceGroup, ...]]:
    """The sequences that the options name, and their groups."""
    from siammask_ros import evaluation

    with wrong_usage():
        chosen = evaluation.parse_groups(groups) if groups else ()
        names = parse_list(sequences)
        if not names and not split:
            names = list(dict.fromkeys(name for group in chosen for name in group.sequences))
        found = evaluation.read_davis(
            root,
            names or None,
            split=split or None,
            year=None if year is DavisYear.auto else int(year.value),
        )
        evaluation.check_groups(chosen, [sequence.name for sequence in found])
    return found, chosen
