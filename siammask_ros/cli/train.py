# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`siammask train`: train a network as a YAML file says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from siammask_ros.cli.common import (
    EXIT_INTERRUPTED,
    DeviceOption,
    ThreadsOption,
    complain,
    set_threads,
)


def train(
    config: Annotated[Path, typer.Argument(help="YAML file of the run.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for checkpoints, metrics and pictures.")
    ] = Path("runs"),
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting that wins over the file's: name=value. Repeatable."),
    ] = None,
    check: Annotated[  # noqa: FBT002 - typer calls it by name
        bool,
        typer.Option("--check", help="Read everything, show a batch as a picture, train nothing."),
    ] = False,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
) -> None:
    """Train a network; a run that was interrupted goes on from its last checkpoint."""
    from siammask_ros import training

    set_threads(threads)
    loaded = training.load_training_config(config, overrides=settings or [])
    if check:
        typer.echo(f"  {training.check(loaded, output)}")
        return
    result = training.train(loaded, output, device=device, say=complain)
    if result.files:  # of several processes one has them, and speaks
        typer.echo(f"{result.steps} of {loaded.steps} steps, {result.samples} samples")
        for path in result.files:
            typer.echo(f"  {path}")
        if not result.is_complete:
            complain(f"siammask: interrupted; the same command goes on from step {result.steps}")
    if not result.is_complete:
        raise typer.Exit(EXIT_INTERRUPTED)
