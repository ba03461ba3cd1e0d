# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The trackers that an evaluation is asked for: checkpoints of SiamMask, and others by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from siammask_ros.cli.common import (
    Placement,
    Preset,
    load_network,
    parse_list,
    tracker_of,
    wrong_usage,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from siammask_ros.evaluation import TrackerFactory

SIAMMASK = "siammask"

CheckpointsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--weights",
        "-w",
        help="Checkpoint: a name such as compact (the default), or a file. "
        "Repeatable: several are compared.",
    ),
]
TrackersOption = Annotated[
    list[str] | None,
    typer.Option(
        "--tracker",
        help="What to score: siammask (the default), never-moves, truth, OpenCV's csrt, kcf, mil, "
        "nano, vit, dasiamrpn, or your own as module:name or file.py:name. Repeatable: several "
        "are compared.",
    ),
]
TrackerWeightsOption = Annotated[
    str,
    typer.Option(
        "--tracker-weights", help="Network files of a tracker other than siammask: a.onnx,b.onnx."
    ),
]


class Candidate(NamedTuple):
    """A tracker to score; one of several has a folder of its own for its report."""

    name: str
    factory: TrackerFactory
    device: str = ""
    training_step: int | None = None
    folder: str = ""


@dataclass(frozen=True)
class Request:
    """What the options say."""

    trackers: Sequence[str]
    tracker_weights: str
    checkpoints: Sequence[str]
    preset: Preset
    settings: Sequence[str]
    placement: Placement

    @classmethod
    def of(  # noqa: D102 - as the options come
        cls,
        trackers: list[str] | None,
        tracker_weights: str,
        checkpoints: list[str] | None,
        preset: Preset,
        settings: list[str] | None,
        placement: Placement,
    ) -> Request:
        return cls(
            trackers or [SIAMMASK],
            tracker_weights,
            checkpoints or [],
            preset,
            settings or [],
            placement,
        )

    @property
    def others(self) -> list[str]:
        """Trackers that are not SiamMask."""
        return [name for name in self.trackers if name != SIAMMASK]

    @property
    def has_settings(self) -> bool:
        """Whether there is anything that only SiamMask understands."""
        return bool(self.checkpoints or self.settings or self.preset is not Preset.auto)

    def refuse(self) -> None:
        """Stored results are scored: whatever describes a tracker is wrong.

        Raises:
            typer.BadParameter: there is something.
        """
        if self.others or self.tracker_weights or self.has_settings:
            raise typer.BadParameter("--results are scored as they are, without a tracker")


def candidates(request: Request) -> Iterator[Candidate]:
    """The trackers to score, each loaded when it is its turn; all files are read before.

    Raises:
        typer.BadParameter: an option means nothing, or a tracker is unknown or given twice.
    """
    from siammask_ros import evaluation

    _check(request)
    files = parse_list(request.tracker_weights)
    with wrong_usage():
        factories = [evaluation.reference_factory(name, files) for name in request.others]
    others = iter(zip(request.others, factories, strict=True))
    several = len(request.trackers) > 1
    checkpoints = _read_checkpoints(request) if SIAMMASK in request.trackers else []
    for tracker in request.trackers:
        if tracker == SIAMMASK:
            yield from _of_checkpoints(request, checkpoints, several=several)
            continue
        name, factory = next(others)
        yield Candidate(name, factory, folder=_folder(name) if several else "")


def _check(request: Request) -> None:
    others, checkpoints = request.others, request.checkpoints
    if SIAMMASK not in request.trackers and request.has_settings:
        raise typer.BadParameter(
            f"--weights, --preset and --set mean nothing to --tracker {others[0]}"
        )
    if request.tracker_weights and len(others) != 1:
        raise typer.BadParameter("--tracker-weights are for one --tracker other than siammask")
    if len(set(request.trackers)) < len(request.trackers):
        raise typer.BadParameter("a tracker is given twice")
    if len(set(checkpoints)) < len(checkpoints):
        raise typer.BadParameter("a checkpoint is given twice")


class _Checkpoint(NamedTuple):
    file: str
    shown: str
    training_step: int | None


def _read_checkpoints(request: Request) -> list[_Checkpoint]:
    from siammask_ros import evaluation
    from siammask_ros.network import read_checkpoint
    from siammask_ros.network.checkpoints import BUNDLED

    files = request.checkpoints or ["compact"]
    read = [read_checkpoint(BUNDLED.get(file, Path(file))).metadata for file in files]
    stems = [Path(file).stem for file in files]
    return [
        _Checkpoint(
            file, stem if stems.count(stem) == 1 else file, evaluation.training_step(metadata)
        )
        for file, stem, metadata in zip(files, stems, read, strict=True)
    ]


def _of_checkpoints(
    request: Request, checkpoints: Sequence[_Checkpoint], *, several: bool
) -> Iterator[Candidate]:
    from siammask_ros import evaluation
    from siammask_ros.benchmark import device_name

    for file, shown, step in checkpoints:
        network = load_network(file, request.placement)
        place = network.device
        factory = evaluation.Always(tracker_of(network, request.preset, request.settings))
        folder = _folder(shown) if several or len(checkpoints) > 1 else ""
        yield Candidate(shown, factory, f"{place.type} ({device_name(place)})", step, folder)


def _folder(name: str) -> str:
    return name.strip("/").replace("/", "-").replace(":", "-")
