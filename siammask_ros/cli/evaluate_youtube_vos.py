# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`siammask eval youtube-vos`: results for the server of YouTube-VOS, and scores where known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from siammask_ros.cli.candidates import (
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
    from collections.abc import Collection

    from siammask_ros.evaluation import Evaluation, YoutubeVosSequence

REPORT_FOLDER = "report"


def evaluate_youtube_vos(  # noqa: PLR0917 - typer calls it by name
    root: Annotated[
        Path, typer.Argument(help="Folder of a split: JPEGImages, Annotations, meta.json.")
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder for Annotations/NAME/00000.png and reports."),
    ],
    videos: Annotated[
        str, typer.Option("--videos", help="Names, separated by commas; by default all.")
    ] = "",
    all_frames: Annotated[
        Path | None,
        typer.Option("--all-frames", help="Folder with JPEGImages of every frame, to track in."),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option("--truth", help="Folder with the true masks, where ROOT has only the first."),
    ] = None,
    seen: Annotated[
        Path | None,
        typer.Option(
            "--seen",
            help="Categories of the training split: its meta.json, or a text file of one a line.",
        ),
    ] = None,
    weights: CheckpointsOption = None,
    preset: PresetOption = Preset.auto,
    settings: SettingsOption = None,
    device: DeviceOption = "cpu",
    backend: BackendOption = Backend.auto,
    precision: PrecisionOption = Precision.auto,
    tracker: TrackersOption = None,
    tracker_weights: TrackerWeightsOption = "",
    results: Annotated[
        Path | None,
        typer.Option("--results", help="Folder of Annotations to score without tracking."),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Videos at a time.")] = 1,
    threads: ThreadsOption = 1,
) -> None:
    """Masks for the server of YouTube-VOS; J and F where the truth is at hand."""
    from siammask_ros import evaluation

    placement = Placement(device, backend.value, precision.value, threads)
    request = Request.of(tracker, tracker_weights, weights, preset, settings, placement)
    if results is not None:
        request.refuse()
    names = parse_list(videos)
    with wrong_usage():
        found = evaluation.read_youtube_vos(root, names or None, all_frames=all_frames, truth=truth)
        categories = _seen_categories(found, seen)
    task = ScoringTask(found, "YouTube-VOS", evaluation.Convention.TRACKED, jobs)
    scores: list[Evaluation] = []
    if results is not None:
        scores.append(task.score_results(results.resolve().name, results))
        _report(scores[-1], found, categories, output)
    for candidate in () if results is not None else candidates(request):
        scores.append(task.score(candidate, threads, output / candidate.folder))
        _report(scores[-1], found, categories, output / candidate.folder)
    compare([score for score in scores if score.sequences], output / REPORT_FOLDER)


def _seen_categories(found: list[YoutubeVosSequence], seen: Path | None) -> Collection[str] | None:
    """The categories of `--seen`; read before the work, so that what is wrong shows at once.

    Raises:
        ValueError: the file names none, or a video's own are not known.
    """
    if seen is None:
        return None
    from siammask_ros import evaluation

    unknown = [sequence.name for sequence in found if not sequence.categories]
    if unknown:
        raise ValueError(f"--seen needs a meta.json with the categories of {', '.join(unknown)}")
    return evaluation.read_seen_categories(seen)


def _report(
    score: Evaluation,
    found: list[YoutubeVosSequence],
    seen: Collection[str] | None,
    output: Path,
) -> None:
    from siammask_ros import evaluation

    if not score.sequences:
        typer.echo(f"{len(found)} videos, none with a truth to score")
        return
    typer.echo(evaluation.evaluation_markdown(score))
    say_all(evaluation.write_report(output / REPORT_FOLDER, score))
    if seen is None:
        return
    divided = evaluation.by_category(score, found, seen)
    typer.echo(evaluation.seen_unseen_markdown(divided))
    say_all([evaluation.write_seen_unseen(output / REPORT_FOLDER, divided)])
