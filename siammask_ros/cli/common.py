# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the commands share: options, loading, progress and words on the terminal."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from siammask_ros.backends.names import AUTO, BACKENDS, PRECISIONS
from siammask_ros.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from pathlib import Path

    from siammask_ros.backends import PreparedNetwork
    from siammask_ros.geometry import Box
    from siammask_ros.tracker import SiamMaskTracker
    from siammask_ros.tracker_config import TrackerConfig

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130

if TYPE_CHECKING:

    class Preset(str, Enum):
        """Names of the tracker's settings: `auto`, those of the checkpoint, and all of PRESETS."""

        auto = "auto"

    class Backend(str, Enum):
        """What runs the network: all of BACKENDS."""

        auto = "auto"

    class Precision(str, Enum):
        """What numbers it computes in: all of PRECISIONS."""

        auto = "auto"
else:  # type checkers cannot count what a table names
    Preset = Enum("Preset", {name: name for name in ("auto", *PRESETS)}, type=str)
    Backend = Enum("Backend", {name: name for name in BACKENDS}, type=str)
    Precision = Enum("Precision", {name: name for name in PRECISIONS}, type=str)

WeightsOption = Annotated[
    str, typer.Option("--weights", "-w", help="Checkpoint: a name such as compact, or a file.")
]
PresetOption = Annotated[
    Preset, typer.Option("--preset", help="Tracker settings; auto: those of the checkpoint.")
]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="A setting of the tracker that wins over the preset's, such as masks=none or "
        "box_fit=opt_fast: NAME=VALUE. Repeatable.",
    ),
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
BackendOption = Annotated[
    Backend,
    typer.Option("--backend", help="What runs the network; auto: the fastest that is installed."),
]
PrecisionOption = Annotated[
    Precision,
    typer.Option(
        "--precision", help="Numbers that the network computes in; auto: float32 on a CPU."
    ),
]
ThreadsOption = Annotated[int, typer.Option("--threads", min=0, help="CPU threads; 0: all cores.")]


def package_version() -> str:
    """The version of this package, where it is installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("siammask_ros")
    except PackageNotFoundError:
        return "(source tree, not installed)"


@contextmanager
def wrong_usage() -> Iterator[None]:
    """Where a ValueError means that the command was given something wrong: exit status 2."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def parse_list(text: str) -> list[str]:
    """Words that are separated by commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def parse_box(text: str) -> Box:
    """`x,y,width,height` in pixels.

    Raises:
        typer.BadParameter: the text is something else, or a side is not positive.
    """
    from siammask_ros.geometry import parse_box_xywh

    with wrong_usage():
        return parse_box_xywh(text)


def parse_size(text: str) -> tuple[int, int]:
    """`WIDTHxHEIGHT` in pixels.

    Raises:
        typer.BadParameter: the text is something else.
    """
    width, _, height = text.strip().lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise typer.BadParameter(f"{text!r} is not WIDTHxHEIGHT, e.g. 640x480")
    return int(width), int(height)


def parse_count(text: str) -> int:
    """A number of at least 1.

    Raises:
        typer.BadParameter: the text is something else.
    """
    if not text.strip().isdecimal() or int(text) < 1:
        raise typer.BadParameter(f"{text!r} is not a number of targets")
    return int(text)


class Placement(NamedTuple):
    """Where and how a network runs, as the options say it."""

    device: str = AUTO
    backend: str = AUTO
    precision: str = AUTO
    threads: int = 0


def tracker_of(
    network: PreparedNetwork, preset: Preset, settings: Sequence[str] = ()
) -> SiamMaskTracker:
    """The tracker of a network; see `config_of`."""
    from siammask_ros.tracker import SiamMaskTracker

    return SiamMaskTracker(network, config_of(network, preset, settings))


def config_of(
    network: PreparedNetwork, preset: Preset, settings: Sequence[str] = ()
) -> TrackerConfig:
    """The preset, or that of the network, with what `--set` says.

    Raises:
        typer.BadParameter: a setting is unknown, or its value is not allowed.
    """
    from siammask_ros.tracker_config import TrackerConfig, parse_settings

    with wrong_usage():
        return TrackerConfig.preset(preset_name(network, preset), **parse_settings(settings))


def preset_name(network: PreparedNetwork, preset: Preset) -> str:
    """The name of the preset that is taken."""
    return network.default_preset if preset is Preset.auto else preset.value


def load_network(weights: str, placement: Placement) -> PreparedNetwork:
    """A network that is ready to track; torch itself uses as many threads as it does.

    Raises:
        typer.BadParameter: it cannot run in that way.
    """
    from siammask_ros.backends import load_prepared
    from siammask_ros.backends.names import chosen_way
    from siammask_ros.network import checked_device

    device, backend, precision, threads = placement
    set_threads(threads)
    place = checked_device(device)
    with wrong_usage():
        chosen_way(backend, precision, place.type)
    return load_prepared(
        weights, device=place, backend=backend, precision=precision, threads=threads
    )


def set_threads(threads: int) -> None:
    """Let torch use so many CPU threads; 0 leaves it as it is."""
    if threads:
        import torch

        torch.set_num_threads(threads)


def with_progress(items: Iterable[Any], total: int | None, what: str) -> Generator[Any, None, None]:
    """The items, with a progress bar on the terminal's error stream while they are taken."""
    with progress_bar(what, total) as advance:
        for item in items:
            yield item
            advance(item)


@contextmanager
def progress_bar(what: str, total: int | None) -> Iterator[Callable[[object], None]]:
    """A progress bar on the terminal's error stream, and what moves it on."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(escape(what), total=total)
        yield lambda _: progress.advance(task)


def say_all(paths: Iterable[Path]) -> None:
    """Name written files, a line each."""
    for path in paths:
        typer.echo(path)


def complain(text: str) -> None:
    """Say something on the error stream, which results on the output are not mixed with."""
    print(text, file=sys.stderr)  # noqa: T201 - this is a command
