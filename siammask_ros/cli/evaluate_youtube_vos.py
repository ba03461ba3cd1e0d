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
    DeviceOption,
    Preset,
    PresetOption,
    SettingsOption,
    ThreadsOption,
    parse_list,
    progress_bar,
    say_all,
    wrong_usage,
)

if TYPE_CHECKING:
    from siammask_ros.evaluation import Evaluation, YoutubeVosSequence


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

    request = Request.of(tracker, tracker_weights, weights, preset, settings, device, threads)
    if results is not None and (tracker or weights):
        raise typer.BadParameter("--results are scored as they are, without a tracker")
    names = parse_list(videos)
    with wrong_usage():
        found = evaluation.read_youtube_vos(root, names or None, all_frames=all_frames, truth=truth)
    convention, dataset = evaluation.Convention.TRACKED, "YouTube-VOS"
    if results is not None:
        with progress_bar(results.name, len(found)) as advance:
            score = evaluation.evaluate_results(
                found,
                results,
                tracker_name=results.resolve().name,
                dataset_name=dataset,
                convention=convention,
                jobs=jobs,
                on_sequence=advance,
            )
        _report(score, found, seen, output)
        return
    for candidate in candidates(request):
        with progress_bar(candidate.name, len(found)) as advance:
            score = evaluation.evaluate(
                found,
                candidate.factory,
                tracker_name=candidate.name,
                dataset_name=dataset,
                convention=convention,
                jobs=jobs,
                threads=threads or None,
                device=candidate.device,
                masks=output / candidate.folder,
                on_sequence=advance,
            )
        _report(score, found, seen, output / candidate.folder)


def _report(
    score: Evaluation, found: list[YoutubeVosSequence], seen: Path | None, output: Path
) -> None:
    from siammask_ros import evaluation

    if not score.sequences:
        typer.echo(f"{len(found)} videos tracked, none with a truth to score; masks in {output}")
        return
    typer.echo(evaluation.evaluation_markdown(score))
    say_all(evaluation.write_report(output / "report", score))
    if seen is None:
        return
    divided = evaluation.by_category(score, found, evaluation.read_seen_categories(seen))
    typer.echo(evaluation.seen_unseen_markdown(divided))
    say_all([evaluation.write_seen_unseen(output / "report", divided)])
