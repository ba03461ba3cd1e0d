# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files that `track` and `replay` leave: their options, and what a report says of the run."""

from __future__ import annotations

import platform
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from siammask_ros.cli.common import package_version, preset_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siammask_ros.backends import PreparedNetwork
    from siammask_ros.cli.common import Preset
    from siammask_ros.outputs import Outputs

VIDEO_HELP = "Video with the results drawn on it (MP4, H.264)."
VideoOption = Annotated[Path | None, typer.Option("--video", help=VIDEO_HELP)]
CsvOption = Annotated[Path | None, typer.Option("--csv", help="Table of boxes and confidence.")]
MasksOption = Annotated[
    Path | None, typer.Option("--masks", help="Folder for a label image (PNG) a frame.")
]
SheetOption = Annotated[
    Path | None,
    typer.Option("--sheet", help="One picture (PNG) with frames of the run, losses and returns."),
]
PlotOption = Annotated[
    Path | None,
    typer.Option("--plot", help="Chart (PNG) of confidence, states, size, angle and path."),
]
ReportOption = Annotated[
    Path | None,
    typer.Option("--report", help="One page (HTML) with video, charts and tables; works offline."),
]
RerunOption = Annotated[
    Path | None,
    typer.Option("--rerun", help="Recording (RRD) for the Rerun viewer; needs rerun-sdk."),
]


def run_settings(
    network: PreparedNetwork, weights: str, preset: Preset, changed: Sequence[str] = ()
) -> list[tuple[str, str]]:
    """What a report says of how a run was made: names and values.

    Args:
        network: what `load_network` made of the weights.
        weights, preset, changed: as `--weights`, `--preset` and `--set` give them.
    """
    import cv2
    import torch

    from siammask_ros.network.checkpoints import BUNDLED
    from siammask_ros.weights import file_sha256

    checkpoint = Path(BUNDLED.get(weights, weights))
    return [
        ("command", shlex.join(["siammask", *sys.argv[1:]])),
        ("weights", weights),
        ("SHA-256 of the weights", file_sha256(checkpoint)),
        ("network", network.architecture),
        ("preset", preset_name(network, preset)),
        ("changed settings", ", ".join(changed) or "none"),
        ("device", f"{network.device}, {network.threads} threads"),
        ("backend, precision", network.description),
        ("siammask_ros", package_version()),
        ("PyTorch, OpenCV", f"{torch.__version__}, {cv2.__version__}"),
        ("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
    ]


def say_written(outputs: Outputs) -> None:
    """Name the files that are there, indented, a line each."""
    for path in outputs.written:
        typer.echo(f"  {path}")
