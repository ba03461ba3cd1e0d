# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`siammask bench`: what a tracking step costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from siammask_ros.cli.common import (
    DeviceOption,
    Placement,
    Preset,
    PresetOption,
    SettingsOption,
    ThreadsOption,
    WeightsOption,
    config_of,
    load_network,
    parse_count,
    parse_list,
    parse_size,
    preset_name,
    say_all,
)


def bench(
    weights: WeightsOption = "compact",
    preset: PresetOption = Preset.auto,
    settings: SettingsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    sizes: Annotated[
        str, typer.Option("--sizes", help="Image sizes, separated by commas; by default some.")
    ] = "",
    targets: Annotated[
        str, typer.Option("--targets", help="Numbers of targets, separated by commas.")
    ] = "1",
    steps: Annotated[int, typer.Option("--steps", min=1, help="Timed steps a case.")] = 100,
    warm_up: Annotated[int, typer.Option("--warm-up", min=0, help="Untimed steps before.")] = 10,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the report and its JSON.")
    ] = None,
) -> None:
    """Measure what a tracking step costs on this machine, as a whole and by its parts."""
    from rich.console import Console
    from rich.progress import Progress

    from siammask_ros import benchmark

    wanted_sizes = [parse_size(text) for text in parse_list(sizes)]
    wanted_sizes = wanted_sizes or list(benchmark.DEFAULT_SIZES)
    counts = [parse_count(text) for text in parse_list(targets)]
    prepared = load_network(weights, Placement(device, "eager", "float32"))
    network = prepared.network
    config = config_of(prepared, preset, settings or ())
    total = benchmark.total_steps(sizes=wanted_sizes, targets=counts, steps=steps, warm_up=warm_up)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("steps", total=total)
        report = benchmark.benchmark_tracker(
            network,
            config=config,
            preset_name=", ".join((preset_name(prepared, preset), *(settings or ()))),
            sizes=wanted_sizes,
            targets=counts,
            steps=steps,
            warm_up=warm_up,
            threads=threads or None,
            on_step=lambda: progress.advance(bar),
        )
    typer.echo(benchmark.benchmark_markdown(report))
    if output is not None:
        say_all(benchmark.write_benchmark(output, report))
