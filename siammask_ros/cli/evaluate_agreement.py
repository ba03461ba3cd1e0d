# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`siammask eval agreement`: does a backend decide as torch in float32 does?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    SettingsOption,
    ThreadsOption,
    WeightsOption,
    config_of,
    load_network,
    parse_list,
    progress_bar,
    wrong_usage,
)


def evaluate_agreement(
    root: Annotated[Path, typer.Argument(help="Folder with JPEGImages and Annotations.")],
    sequences: Annotated[
        str, typer.Option("--sequences", help="Names, separated by commas; by default all.")
    ] = "",
    weights: WeightsOption = "compact",
    preset: PresetOption = Preset.auto,
    settings: SettingsOption = None,
    device: DeviceOption = "auto",
    backend: BackendOption = Backend.auto,
    precision: PrecisionOption = Precision.auto,
    threads: ThreadsOption = 1,
) -> None:
    """Compare a backend and a precision with torch in float32, step by step from the same state."""
    from siammask_ros.evaluation import read_davis
    from siammask_ros.evaluation.agreement import agreement_markdown, measure_agreement

    with wrong_usage():
        found = read_davis(root, parse_list(sequences) or None)
    compared = load_network(weights, Placement(device, backend.value, precision.value, threads))
    plain = load_network(weights, Placement(device, "eager", "float32", threads))
    config = config_of(plain, preset, settings or ())
    total = sum(len(sequence) - 1 for sequence in found)
    with progress_bar(compared.description, total) as advance:
        agreement = measure_agreement(found, plain, compared, config, on_frame=advance)
    typer.echo(agreement_markdown(compared.description, agreement))
