# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`siammask eval davis`: score trackers on a data set laid out like DAVIS."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from siammask_ros.cli.common import (
    DeviceOption,
    Preset,
    PresetOption,
    ThreadsOption,
    load_network,
    progress_bar,
    say_all,
    set_threads,
    tracker_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siammask_ros.evaluation import DavisSequence, SequenceGroup


class DatasetConvention(str, Enum):
    """Which frames of a sequence count."""

    davis = "davis"
    tracked = "tracked"


class EvaluatedTracker(str, Enum):
    """SiamMask, or a tracker to compare with."""

    siammask = "siammask"
    never_moves = "never-moves"
    truth = "truth"
    csrt = "csrt"
    kcf = "kcf"
    mil = "mil"


def evaluate_davis(  # noqa: PLR0917 - typer calls it by name
    root: Annotated[Path, typer.Argument(help="Folder with JPEGImages and Annotations.")],
    sequences: Annotated[
        str, typer.Option("--sequences", help="Names, separated by commas; by default all.")
    ] = "",
    split: Annotated[str, typer.Option("--split", help="A list of ImageSets, e.g. val.")] = "",
    groups: Annotated[
        str,
        typer.Option(
            "--groups",
            help="Sequences with means of their own: NAME=a,b;NAME=c or a YAML file. "
            "Only these are read, unless --sequences or --split says which.",
        ),
    ] = "",
    weights: Annotated[
        list[str] | None,
        typer.Option(
            "--weights",
            "-w",
            help="Checkpoint: a name such as compact (the default), or a file. "
            "Repeatable: several are compared.",
        ),
    ] = None,
    preset: PresetOption = Preset.auto,
    device: DeviceOption = "cpu",
    tracker: Annotated[
        EvaluatedTracker, typer.Option("--tracker", help="What to score.")
    ] = EvaluatedTracker.siammask,
    convention: Annotated[
        DatasetConvention, typer.Option("--convention", help="davis: the last frame is left out.")
    ] = DatasetConvention.davis,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Sequences at a time.")] = 1,
    threads: ThreadsOption = 1,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for report and tables.")
    ] = None,
    failures: Annotated[
        Path | None, typer.Option("--failures", help="Folder for pictures of the worst frames.")
    ] = None,
) -> None:
    """Region similarity J and box overlap on DAVIS, the first frame's mask given as a box."""
    from siammask_ros import evaluation

    found, chosen = _sequences_to_score(root, sequences, split, groups)
    scores = []
    for candidate in _candidates(tracker, weights or [], preset, device, threads):
        with progress_bar(candidate.name, len(found)) as advance:
            score = evaluation.evaluate(
                found,
                candidate.factory,
                tracker_name=candidate.name,
                dataset_name="DAVIS",
                convention=evaluation.Convention(convention.value),
                jobs=jobs,
                threads=threads or None,
                device=candidate.device,
                groups=chosen,
                on_sequence=advance,
            )
        scores.append(replace(score, training_step=candidate.training_step))
        if not candidate.folder:
            typer.echo(evaluation.evaluation_markdown(scores[-1]))
        if output is not None:
            say_all(evaluation.write_report(output / candidate.folder, scores[-1]))
        if failures is not None:
            worst = evaluation.find_failures(scores[-1], found, candidate.factory)
            say_all(evaluation.write_failures(failures / candidate.folder, worst))
    if len(scores) > 1:
        typer.echo(evaluation.comparison_markdown(scores))
        if output is not None:
            say_all(evaluation.write_comparison(output, scores))


def _sequences_to_score(
    root: Path, sequences: str, split: str, groups: str
) -> tuple[list[DavisSequence], tuple[SequenceGroup, ...]]:
    """The sequences that the options name, and their groups."""
    from siammask_ros import evaluation

    try:
        chosen = evaluation.parse_groups(groups) if groups else ()
        names = [name for name in sequences.split(",") if name]
        if not names and not split:
            names = list(dict.fromkeys(name for group in chosen for name in group.sequences))
        found = evaluation.read_davis(root, names or None, split=split or None)
        evaluation.check_groups(chosen, [sequence.name for sequence in found])
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return found, chosen


class _Candidate(NamedTuple):
    """A tracker to score; one of several has a folder of its own for its report."""

    name: str
    factory: Any
    device: str = ""
    training_step: int | None = None
    folder: str = ""


def _candidates(
    tracker: EvaluatedTracker, weights: list[str], preset: Preset, device: str, threads: int
) -> Iterator[_Candidate]:
    """The trackers to score, each loaded when it is its turn; all files are read before."""
    from siammask_ros import evaluation
    from siammask_ros.benchmark import device_name
    from siammask_ros.network import read_checkpoint
    from siammask_ros.network.checkpoints import BUNDLED

    if tracker is not EvaluatedTracker.siammask:
        if weights:
            raise typer.BadParameter(f"--weights mean nothing to --tracker {tracker.value}")
        yield _Candidate(tracker.value, evaluation.reference_factory(tracker.value))
        return
    names = weights or ["compact"]
    if len(set(names)) < len(names):
        raise typer.BadParameter("a checkpoint is given twice")
    set_threads(threads)
    read = [read_checkpoint(BUNDLED.get(name, Path(name))).metadata for name in names]
    steps = [evaluation.training_step(metadata) for metadata in read]
    stems = [Path(name).stem for name in names]
    for name, stem, step in zip(names, stems, steps, strict=True):
        shown = stem if stems.count(stem) == 1 else name
        folder = "" if len(names) == 1 else shown.strip("/").replace("/", "-")
        network = load_network(name, device)
        place = next(network.parameters()).device
        factory = evaluation.Always(tracker_of(network, preset))
        yield _Candidate(shown, factory, f"{place.type} ({device_name(place)})", step, folder)
