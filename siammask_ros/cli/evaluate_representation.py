# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`siammask eval representation`: how well boxes fitted to masks agree with true ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from siammask_ros.cli.common import parse_list, progress_bar, say_all, wrong_usage


def evaluate_representation(
    root: Annotated[
        Path, typer.Argument(help="Folder of NAME/groundtruth.txt and masks, or a DAVIS folder.")
    ],
    sequences: Annotated[
        str, typer.Option("--sequences", help="Names, separated by commas; by default all.")
    ] = "",
    masks: Annotated[
        Path | None,
        typer.Option("--masks", help="Folder of NAME/*.png: masks to score instead of the true."),
    ] = None,
    truth: Annotated[
        str,
        typer.Option(
            "--truth", help="Fit of the true boxes where none are given: min_max, mbr or opt."
        ),
    ] = "mbr",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the table, also as CSV.")
    ] = None,
) -> None:
    """How well boxes fitted to masks, and oracles, agree with rotated true boxes."""
    from siammask_ros import evaluation
    from siammask_ros.masks import BOX_FITS

    fit = next((fit for fit in BOX_FITS if fit == truth), None)
    if fit is None:
        raise typer.BadParameter(f"--truth must be one of {', '.join(BOX_FITS)}, got {truth!r}")
    names = parse_list(sequences)
    with wrong_usage():
        found = evaluation.read_mask_sequences(root, names or None, predictions=masks)
    with progress_bar("boxes", len(found)) as advance:
        study = evaluation.study_representation(found, truth_fit=fit, on_sequence=advance)
    typer.echo(evaluation.representation_markdown(study))
    if output is not None:
        say_all(evaluation.write_representation(output, study))
