# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run would do, told before it does anything: `siammask train CONFIG --check`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from torch import nn

from siammask_ros.network import SiamMask, build_network, load_initial_weights
from siammask_ros.pictures import write_png
from siammask_ros.training.config import TrainedPart, TrainingConfig
from siammask_ros.training.datasets import read_sources
from siammask_ros.training.distributed import Processes
from siammask_ros.training.journal import reading_display
from siammask_ros.training.labels import TrainingGrid
from siammask_ros.training.loop import (
    check_settings,
    initial_weights_line,
    labelled,
    sample_dataset,
)
from siammask_ros.training.parts import EVERYTHING, build_optimizer, set_modes
from siammask_ros.training.pictures import sample_sheet
from siammask_ros.training.sources import Source

SAMPLES_SHOWN = 24


class TrainedCount(NamedTuple):
    """How much of a network a part is."""

    part: TrainedPart
    parameters: int


def check(config: TrainingConfig, output: Path, *, console: Console | None = None) -> Path:
    """Read all that a run would read, print what it would do, and draw one batch.

    Args:
        config: the run.
        output: folder for the picture; made if it is missing.
        console: where tables go.

    Returns:
        The picture: up to 24 augmented samples with their labels.

    Raises:
        ValueError: the settings do not fit each other.
        DatasetError: a data set is incomplete.
        CheckpointError: the initial weights do not fit.
    """
    console = console or Console()
    network = build_network(config.architecture, **config.architecture_options)
    check_settings(config, network, Processes())
    build_optimizer(network, config)  # names modules that are not there
    set_modes(network, config, 0.0)
    if config.initial_weights:
        random = load_initial_weights(network, config.initial_weights)
        console.print(initial_weights_line(config.initial_weights, random), markup=False)
    with reading_display() as show:
        sources = read_sources(config.data, on_progress=show)
    grid = TrainingGrid(config.samples.search_size, has_anchors=network.has_boxes)
    dataset = sample_dataset(config, sources)
    shown = min(config.batch_size, SAMPLES_SHOWN)
    batch = labelled([dataset[number] for number in range(shown)], grid=grid, config=config)
    for table in (
        sources_table(config, sources),
        parts_table(config, network),
        course_table(config),
    ):
        console.print(table)
    console.print(
        f"{config.steps} steps of {config.batch_size} samples: {config.epochs:g} epochs of "
        f"{config.steps_per_epoch} steps",
        highlight=False,
    )
    sheet = sample_sheet(f"{config.name}, first samples", *batch, grid, shown=shown)
    return write_png(output / f"{config.name}_check.png", sheet)


def sources_table(config: TrainingConfig, sources: Sequence[Source]) -> Table:
    """What has been read of each data set: targets are counted in single images."""
    columns = ("source", "kind", "images", "clips", "targets", "left out", "masks", "share")
    table = Table(*columns, title="Data: share of pairs, of cut-outs", title_justify="left")
    pair_weights = sum(source.config.weight for source in sources) or 1.0
    cutout_weights = sum(source.config.cutout_weight for source in sources) or 1.0
    for source in sources:
        table.add_row(
            source.name,
            source.config.kind,
            str(source.images),
            str(len(source.clips)),
            str(source.targets),
            str(source.left_out),
            "yes" if source.has_masks else "boxes",
            f"{source.config.weight / pair_weights:.0%}, "
            f"{source.config.cutout_weight / cutout_weights:.0%}",
        )
    for name in sorted(config.data.sources.keys() - {source.name for source in sources}):
        table.add_row(name, config.data.sources[name].kind, "not read", *[""] * 4, "none")
    if config.data.rendered:
        table.add_row("rendered", "drawn")
    return table


def parts_table(config: TrainingConfig, network: SiamMask) -> Table:
    """What trains, and from when."""
    table = Table("trained", "parameters", "from epoch", "rate", title_justify="left")
    table.title = f"Network {config.architecture}, {_count(network):,} parameters"
    for part, parameters in trained_counts(config, network):
        names = ", ".join(part.modules) if part.modules != EVERYTHING.modules else "everything"
        table.add_row(names, f"{parameters:,}", f"{part.from_epoch:g}", f"x {part.rate:g}")
    return table


def trained_counts(config: TrainingConfig, network: nn.Module) -> list[TrainedCount]:
    """Number of parameters of each trained part."""
    modules = dict(network.named_modules())
    tensors = dict(network.named_parameters())
    return [
        TrainedCount(
            part,
            sum(
                _count(modules[name]) if name in modules else tensors[name].numel()
                for name in part.modules
            ),
        )
        for part in config.trained or (EVERYTHING,)
    ]


def course_table(config: TrainingConfig) -> Table:
    """The learning rate's phases."""
    table = Table("epochs", "learning rate", "shape", title="Schedule", title_justify="left")
    begin = 0.0
    for phase in config.schedule:
        shape = phase.shape + (", by epoch" if phase.by_epoch else "")
        rates = f"{phase.start:g}"
        if phase.start != phase.end:
            rates += f" to {phase.end:g}" + ("" if phase.reaches_end else " (exclusive)")
        table.add_row(f"{begin:g} to {begin + phase.epochs:g}", rates, shape)
        begin += phase.epochs
    return table


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
