# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`siammask export`: a network as ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from siammask_ros.cli.common import (
    Preset,
    PresetOption,
    SettingsOption,
    WeightsOption,
    package_version,
    wrong_usage,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siammask_ros.backends.onnx_files import Export
    from siammask_ros.tracker_config import TrackerConfig

BYTES_PER_MEGABYTE = 1e6


def export(
    output: Annotated[Path, typer.Argument(help="Folder for the files; made if it is missing.")],
    weights: WeightsOption = "compact",
    preset: PresetOption = Preset.auto,
    settings: SettingsOption = None,
    batch: Annotated[
        int, typer.Option("--batch", min=0, help="Targets that the files take; 0: any number.")
    ] = 0,
    check: Annotated[
        bool | None,
        typer.Option(
            "--check/--no-check",
            help="Compare the files with torch in ONNX Runtime; by default where it is installed.",
        ),
    ] = None,
    overwrite: Annotated[  # noqa: FBT002 - typer calls it by name
        bool, typer.Option("--overwrite", help="Replace files that are there.")
    ] = False,
) -> None:
    """Write a network as ONNX files, for TensorRT, OpenVINO and others."""
    from siammask_ros.backends.onnx_files import export_onnx
    from siammask_ros.network import load_network

    network = load_network(weights)
    name = network.default_preset if preset is Preset.auto else preset.value
    config = _config(name, settings or ())
    export = export_onnx(
        network,
        output,
        batch=batch or None,
        exemplar_size=config.exemplar_size,
        search_size=config.search_size,
        check=check,
        overwrite=overwrite,
        metadata={
            "producer": f"siammask_ros {package_version()}",
            "weights": Path(weights).name,
            "preset": name,
            "settings": _plain_settings(config),
        },
    )
    _say(export)


def _config(preset: str, settings: Sequence[str]) -> TrackerConfig:
    from siammask_ros.tracker_config import TrackerConfig, parse_settings

    with wrong_usage():
        return TrackerConfig.preset(preset, **parse_settings(settings))


def _plain_settings(config: TrackerConfig) -> dict[str, object]:
    """All settings of the tracker: who uses the files needs them, the anchors first of all."""
    from dataclasses import asdict

    return asdict(config)


def _say(export: Export) -> None:
    for file in export.files:
        inputs = ", ".join(tensor.name for tensor in file.inputs)
        outputs = ", ".join(tensor.name for tensor in file.outputs)
        typer.echo(f"{file.path}: {file.size_bytes / BYTES_PER_MEGABYTE:.1f} MB")
        typer.echo(f"  {inputs} -> {outputs}")
        if file.error is None:
            typer.echo("  not compared with torch: pip install onnxruntime")
        else:
            typer.echo(f"  differs from torch by {file.error:.0e} of the largest value at most")
    typer.echo(export.description)
