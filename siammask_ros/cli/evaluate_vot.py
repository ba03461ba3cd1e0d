# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`siammask eval vot`: run and score a tracker with the official VOT toolkit."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from siammask_ros.cli.common import (
    Backend,
    BackendOption,
    DeviceOption,
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPORT_FOLDER = "report"


def evaluate_vot(  # noqa: PLR0917 - typer calls it by name
    workspace: Annotated[
        Path, typer.Argument(help="Folder of the VOT workspace; made if there is none.")
    ],
    stack: Annotated[
        str,
        typer.Option(
            "--stack",
            help="What to run: vot2016, vot2018, vot2019, vot2020, vot2021, vot2022, another name "
            "of the toolkit's, or a YAML file. Needed for a new workspace.",
        ),
    ] = "",
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder of the sequences, if not WORKSPACE/sequences."),
    ] = None,
    download: Annotated[  # noqa: FBT002 - typer calls it by name
        bool,
        typer.Option("--download", help="Let the toolkit fetch the data set (gigabytes)."),
    ] = False,
    weights: Annotated[
        str,
        typer.Option("--weights", "-w", help="Checkpoint: a name (default compact), or a file."),
    ] = "",
    preset: PresetOption = Preset.auto,
    settings: SettingsOption = None,
    device: DeviceOption = "cpu",
    backend: BackendOption = Backend.auto,
    precision: PrecisionOption = Precision.auto,
    threads: ThreadsOption = 1,
    tracker: Annotated[
        str,
        typer.Option(
            "--tracker",
            help="What to score: siammask, truth, never-moves, a tracker of OpenCV such as csrt, "
            "or module:name of your own.",
        ),
    ] = "siammask",
    tracker_weights: Annotated[
        str,
        typer.Option(
            "--tracker-weights", help="Network files of another tracker, separated by commas."
        ),
    ] = "",
    region: Annotated[
        str,
        typer.Option(
            "--region",
            help="What the tracker reports: polygon (the rotated box), rectangle or mask.",
        ),
    ] = "polygon",
    name: Annotated[
        str, typer.Option("--name", help="The tracker's name in the workspace; made up if none.")
    ] = "",
    experiments: Annotated[
        str,
        typer.Option("--experiments", help="Names, separated by commas; by default all."),
    ] = "",
    sequences: Annotated[
        str, typer.Option("--sequences", help="Names, separated by commas; by default all.")
    ] = "",
    force: Annotated[  # noqa: FBT002 - typer calls it by name
        bool, typer.Option("--force", help="Run again what has results.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for the report; else WORKSPACE/report/NAME."),
    ] = None,
) -> None:
    """Accuracy, robustness and expected average overlap by the VOT toolkit; resumable."""
    from siammask_ros.evaluation import vot

    if tracker != vot.SIAMMASK and (weights or preset is not Preset.auto or settings):
        raise typer.BadParameter(f"--weights, --preset and --set mean nothing to {tracker}")
    if tracker == vot.SIAMMASK and tracker_weights:
        raise typer.BadParameter("--tracker-weights are for a --tracker other than siammask")
    with wrong_usage():
        options = vot.EntrantOptions(
            tracker=tracker,
            weights=tuple(parse_list(weights or tracker_weights)),
            preset=preset.value,
            settings=tuple(settings or ()),
            region=region,  # type: ignore[arg-type] # it is checked there
            device=device,
            backend=backend.value,
            precision=precision.value,
            threads=threads,
        )
        vot.entrant_words(options)
    folder = vot.prepare_workspace(workspace, stack=stack, data=data, download=download)
    chosen = name or vot.entrant_name(options)
    vot.register_entrant(folder, chosen, options)
    with _bars() as advance:
        evaluation = vot.evaluate_vot(
            folder,
            chosen,
            experiments=parse_list(experiments),
            sequences=parse_list(sequences),
            force=force,
            on_progress=advance,
        )
    typer.echo(vot.vot_markdown(evaluation))
    say_all(vot.write_vot(output or workspace / REPORT_FOLDER / chosen, evaluation))


@contextmanager
def _bars() -> Iterator[Callable[[str, float, int], None]]:
    """A progress bar an experiment on the terminal's error stream, and what moves them on."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    bars: dict[str, Any] = {}
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:

        def advance(experiment: str, done: float, total: int) -> None:
            if experiment not in bars:
                bars[experiment] = progress.add_task(experiment, total=total)
            progress.update(bars[experiment], completed=done)

        yield advance
