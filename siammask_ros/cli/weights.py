# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`siammask weights`: fetch, check and convert weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from siammask_ros.cli.common import complain

if TYPE_CHECKING:
    from siammask_ros.weights import VerifiedFile

BYTES_PER_MEGABYTE = 1e6


def list_weights() -> None:
    """Show the published weights that can be fetched, their terms, and which are in the cache."""
    from rich.console import Console
    from rich.table import Table

    from siammask_ros import weights

    table = Table("name", "preset", "size", "in the cache", "description and terms")
    for entry in weights.list_weights():
        known = entry.known
        size = "unknown" if known.size_bytes is None else _megabytes(known.size_bytes)
        place = "no" if entry.cached is None else str(entry.cached)
        table.add_row(known.name, known.preset, size, place, f"{known.description}\n{known.terms}")
    Console().print(table)


def fetch_weights(
    name: Annotated[str, typer.Argument(help="A name of `siammask weights list`.")],
    sha256: Annotated[
        str, typer.Option("--sha256", help="The hash you expect, where none is known.")
    ] = "",
    address: Annotated[str, typer.Option("--address", help="Another place to download it.")] = "",
) -> None:
    """Download weights into the cache; they are used only when size and hash are right."""
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

    from siammask_ros import weights

    columns = (*Progress.get_default_columns(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(name, total=None)

        def confirm(file: weights.FetchedFile) -> bool:
            progress.stop()
            typer.echo(f"{file.path}: {file.size_bytes} bytes, sha256 {file.sha256}")
            return typer.confirm("No hash is known for this file. Is this the one you expect?")

        path = weights.fetch(
            name,
            confirm=confirm,
            sha256=sha256 or None,
            address=address or None,
            progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )
    typer.echo(path)


def verify_weights(
    path: Annotated[Path, typer.Argument(help="A checkpoint file.")],
) -> None:
    """Read a checkpoint, account for every key of it, and say what it is. Offline."""
    from siammask_ros import weights

    _describe_weights(weights.verify(path))


def convert_weights(
    source: Annotated[Path, typer.Argument(help="An official, a PySOT or our own checkpoint.")],
    target: Annotated[Path, typer.Argument(help="The file to write, in our own format.")],
    overwrite: Annotated[  # noqa: FBT002 - typer calls it by name
        bool, typer.Option("--overwrite", help="Replace a file that is there.")
    ] = False,
) -> None:
    """Write a checkpoint in this package's format. Offline."""
    from siammask_ros import weights

    _describe_weights(weights.convert(source, target, overwrite=overwrite))


def _describe_weights(verified: VerifiedFile) -> None:
    checkpoint = verified.checkpoint
    typer.echo(f"{verified.path}: {verified.size_bytes} bytes, sha256 {verified.sha256}")
    typer.echo(f"  {checkpoint.architecture}, {checkpoint.layout} format")
    typer.echo(f"  {verified.parameter_count:,} parameters in {len(checkpoint.state_dict)} tensors")
    typer.echo(f"  preset {checkpoint.default_preset}")
    if verified.known_as is not None:
        typer.echo(f"  known as {verified.known_as}")
    for key, value in checkpoint.metadata.items():
        typer.echo(f"  {key}: {value}")
    if verified.warning is not None:
        complain(f"siammask: warning: {verified.warning}")


def _megabytes(size: int) -> str:
    return f"{size / BYTES_PER_MEGABYTE:.1f} MB"
