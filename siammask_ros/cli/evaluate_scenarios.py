# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`siammask eval scenarios`: losses, returns and ids in clips made for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from siammask_ros.cli.common import (
    Backend,
    BackendOption,
    DeviceOption,
    Placement,
    Precision,
    PrecisionOption,
    Preset,
    PresetOption,
    ThreadsOption,
    WeightsOption,
    load_network,
    parse_list,
    progress_bar,
    say_all,
    tracker_of,
    wrong_usage,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siammask_ros.evaluation import LifeClip


def evaluate_scenarios(  # noqa: PLR0917 - typer calls it by name
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            "--scenario",
            "-s",
            help="A rendered scenario, or davis_plain, davis_gap, davis_painted_out. Repeatable; "
            "by default all that a target's life is about.",
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", min=0, help="Clips of each rendered scenario.")
    ] = 3,
    first_seed: Annotated[
        int, typer.Option("--first-seed", min=0, help="Seed of the first of them.")
    ] = 0,
    davis: Annotated[
        Path | None, typer.Option("--davis", help="DAVIS folder, for the clips of real video.")
    ] = None,
    sequences: Annotated[
        str,
        typer.Option(
            "--sequences",
            help="DAVIS sequences, separated by commas; by default those that the bundled "
            "network was not trained on.",
        ),
    ] = "",
    cut_outs: Annotated[  # noqa: FBT002 - typer calls it by name
        bool,
        typer.Option(
            "--cut-outs", help="Render real targets, cut out of the DAVIS folder, on real frames."
        ),
    ] = False,
    weights: WeightsOption = "compact",
    preset: PresetOption = Preset.auto,
    device: DeviceOption = "auto",
    backend: BackendOption = Backend.auto,
    precision: PrecisionOption = Precision.auto,
    threads: ThreadsOption = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for tables, traces and the worst clip."),
    ] = None,
) -> None:
    """How soon a loss is said, how soon a target is back, and whether it is the right one."""
    from siammask_ros import evaluation
    from siammask_ros.longterm import LongTermTracker

    chosen = range(first_seed, first_seed + seeds)
    clips = _clips(scenario or [], chosen, davis, sequences, cut_outs=cut_outs)
    placement = Placement(device, backend.value, precision.value, threads)
    follower = LongTermTracker(tracker_of(load_network(weights, placement), preset))
    worst = evaluation.WorstClip()
    with progress_bar("frames", sum(len(clip) - 1 for clip in clips)) as advance:

        def on_frame(clip: LifeClip, frame: object, results: object) -> None:
            if output is not None:
                worst.on_frame(clip, frame, results)  # type: ignore[arg-type]
            advance(frame)

        report = evaluation.run_scenarios(
            clips,
            follower,
            tracker_name=Path(weights).stem,
            on_frame=on_frame,
            on_clip=worst.on_clip,
        )
    typer.echo(evaluation.life_markdown(report))
    if output is not None:
        say_all(evaluation.write_life(output, report, worst.sheet()))


def _clips(
    wanted: Sequence[str], seeds: range, davis: Path | None, sequences: str, *, cut_outs: bool
) -> list[LifeClip]:
    """The clips that the options name.

    Raises:
        typer.BadParameter: an unknown scenario or sequence, or a folder that is missing.
    """
    from siammask_ros import evaluation

    with wrong_usage():
        found = []
        if davis is not None:
            names = parse_list(sequences)
            found = evaluation.read_davis(davis, names or evaluation.HELD_OUT)
        return evaluation.choose_clips(
            wanted, len(seeds), found, first_seed=seeds.start, cut_outs=cut_outs
        )
