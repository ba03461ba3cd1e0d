# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`siammask replay`: follow targets through recorded bags."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from siammask_ros.cli.common import (
    EXIT_INTERRUPTED,
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
    complain,
    parse_box,
    wrong_usage,
)
from siammask_ros.cli.outputs import (
    CsvOption,
    MasksOption,
    PlotOption,
    ReportOption,
    RerunOption,
    SheetOption,
    VideoOption,
)
from siammask_ros.interruption import Interruption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siammask_ros.cli.replay_job import Outcome, ReplayJob
    from siammask_ros.outputs import OutputPaths

SUFFIX = "_tracked"


class FromBag(str, Enum):
    """What is read from the bag itself."""

    auto = "auto"
    requests = "requests"
    detections = "detections"
    both = "both"


class Policy(str, Enum):
    """Which detections start targets; see `siammask_ros.handover`."""

    manual = "manual"
    first = "first"
    best_class = "best_class"
    all = "all"


class StorageKind(str, Enum):
    """Formats of rosbag2."""

    mcap = "mcap"
    sqlite3 = "sqlite3"


class Compression(str, Enum):
    """Compressions of the result bag."""

    auto = "auto"
    none = "none"
    zstd = "zstd"


def replay(  # noqa: PLR0917 - typer calls it by name
    bags: Annotated[
        list[Path],
        typer.Argument(
            metavar="BAG...", help="Bags of ROS 2 or ROS 1, or folders of bags.", show_default=False
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Result bag, a folder; with several bags the folder of all result bags. "
            "Default: BAG_tracked.",
        ),
    ] = None,
    topic: Annotated[
        str, typer.Option("--topic", "-t", help="Topic with the images; needed if several.")
    ] = "",
    box: Annotated[
        list[str] | None,
        typer.Option("--box", "-b", help="Target in the first image: x,y,w,h. Repeatable."),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="A word for each box, in order.")
    ] = None,
    targets: Annotated[
        Path | None,
        typer.Option("--targets", help="Targets and their images (YAML); see the docs."),
    ] = None,
    from_bag: Annotated[
        FromBag,
        typer.Option(
            "--from-bag",
            help="Targets that the bag tells of: recorded requests, detections; auto: whichever "
            "it has, if no target is given.",
        ),
    ] = FromBag.auto,
    camera: Annotated[
        str, typer.Option("--camera", help="Whose recorded requests, if for several.")
    ] = "",
    detections: Annotated[
        str, typer.Option("--detections", help="Topic with detections; needed if several.")
    ] = "",
    policy: Annotated[
        Policy | None,
        typer.Option(
            "--policy",
            help="Detections that start targets. Default: first, if nothing else starts one.",
        ),
    ] = None,
    detection_class: Annotated[
        str, typer.Option("--detection-class", help="Only detections of this class.")
    ] = "",
    detection_score: Annotated[
        float, typer.Option("--detection-score", min=0, max=1, help="Least score of a detection.")
    ] = 0.5,
    detection_iou: Annotated[
        float,
        typer.Option("--detection-iou", help="Overlap from which a detection is on a target."),
    ] = 0.5,
    weights: WeightsOption = "compact",
    preset: PresetOption = Preset.auto,
    settings: SettingsOption = None,
    device: DeviceOption = "auto",
    backend: BackendOption = Backend.auto,
    precision: PrecisionOption = Precision.auto,
    threads: ThreadsOption = 0,
    storage: Annotated[
        StorageKind, typer.Option("--storage", help="Format of the result bag.")
    ] = StorageKind.mcap,
    compression: Annotated[
        Compression,
        typer.Option("--compression", help="Of the result bag; auto: zstd in MCAP, else none."),
    ] = Compression.auto,
    overlay: Annotated[  # noqa: FBT002
        bool, typer.Option("--overlay", help="Also write images with the results drawn on them.")
    ] = False,
    copy: Annotated[
        list[str] | None,
        typer.Option("--copy", help="Topic that comes into the result bag too. Repeatable."),
    ] = None,
    video: VideoOption = None,
    csv: CsvOption = None,
    masks: MasksOption = None,
    sheet: SheetOption = None,
    plot: PlotOption = None,
    report: ReportOption = None,
    rerun: RerunOption = None,
    start: Annotated[int, typer.Option("--start", min=0, help="First image.")] = 0,
    stop: Annotated[
        int, typer.Option("--stop", min=0, help="Image before which to end; 0: the end.")
    ] = 0,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, help="Bags that are replayed at the same time.")
    ] = 1,
    force: Annotated[  # noqa: FBT002
        bool, typer.Option("--force", help="Make results anew, and replace what is there.")
    ] = False,
) -> None:
    """Follow targets through recorded bags, every image in order, and write what is found as a bag.

    No ROS is needed. Targets come from --box, from a list with --targets, or from requests and
    detections that the bag holds. Results that are up to date are not made again.
    """
    from siammask_ros.cli.replay_job import NetworkChoice, ReplayJob, TargetChoice
    from siammask_ros.handover import HandoverConfig
    from siammask_ros.outputs import OutputPaths
    from siammask_ros.presets import PRESETS
    from siammask_ros.replay import ReplayRange
    from siammask_ros.tracker_config import TrackerConfig, parse_settings

    for text in box or ():
        parse_box(text)
    with wrong_usage():
        if len(label or ()) not in {0, len(box or ())}:
            raise ValueError(f"{len(label or ())} labels for {len(box or ())} boxes")
        ReplayRange(start, stop or None)
        chosen = policy.value if policy else Policy.manual.value
        HandoverConfig(chosen, detection_class, detection_score, detection_iou)
        known = next(iter(PRESETS)) if preset is Preset.auto else preset.value
        TrackerConfig.preset(known, **parse_settings(settings or ()))
    choice = TargetChoice(
        boxes=tuple(box or ()),
        labels=tuple(label or ()),
        targets=targets,
        from_bag=from_bag.value,
        camera=camera,
        detections=detections,
        policy=policy.value if policy else "",
        wanted_class=detection_class,
        min_score=detection_score,
        iou=detection_iou,
    )
    placement = Placement(device, backend.value, precision.value, threads)
    files = OutputPaths(video, csv, masks, sheet, plot, report, rerun)
    found = find_all(bags)
    several = len(found) > 1 or found != bags
    plans = [
        ReplayJob(
            bag=bag,
            output=_result_path(bag, output, several=several),
            files=_named(files, bag) if several else files,
            network=NetworkChoice(weights, preset, tuple(settings or ()), placement),
            targets=choice,
            topic=topic,
            start=start,
            stop=stop,
            copy=tuple(copy or ()),
            storage=storage.value,
            compression=compression.value,
            overlay=overlay,
            force=force,
        )
        for bag in found
    ]
    with Interruption() as interruption:
        if several:
            from siammask_ros.cli.replay_many import run_many

            status = run_many(plans, jobs, interruption)
        else:
            status = run_one(plans[0], interruption)
    if status:
        raise typer.Exit(status)


def main() -> None:
    """Entry point of `ros2 run siammask_ros replay`: the command without the word before it."""
    from siammask_ros.cli.app import main as siammask

    siammask(["replay", *sys.argv[1:]])


def find_all(paths: Sequence[Path]) -> list[Path]:
    """The bags that paths stand for: themselves, or what lies in a folder of bags.

    Raises:
        FileNotFoundError: there is no such path.
        ValueError: it is not a bag, and has none in it; or two bags have one name.
    """
    from siammask_ros.bags.reader import find_bags, is_bag

    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"no such bag: {path}")
        inner = [] if is_bag(path) or path.is_file() else _sources(find_bags(path))
        found += inner or [path]
    names = [_name_of(path) for path in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two bags have the name {twice[0]}, so their results would have one too")
    return found


def run_one(job: ReplayJob, interruption: Interruption) -> int:
    """Replay one bag with a progress bar; returns the exit status."""
    from siammask_ros.cli.replay_job import run_job
    from siammask_ros.cli.replay_progress import Bar, replay_progress

    with replay_progress() as progress:
        outcome = run_job(job, Bar(progress, job.bag.name, interruption))
    say(outcome)
    return EXIT_INTERRUPTED if outcome.status == "interrupted" else 0


def say(outcome: Outcome) -> None:
    """What became of a job, for people."""
    for text in outcome.notices:
        complain(f"siammask: {text}")
    for text in outcome.warnings:
        complain(f"siammask: warning: {text}")
    if outcome.passed_over:
        complain(f"siammask: warning: {outcome.passed_over} images could not be decoded")
    if outcome.status == "up to date":
        typer.echo(f"{outcome.bag} is up to date (--force makes the results anew)")
        return
    if outcome.status == "interrupted":
        complain(f"siammask: interrupted; {outcome.images} images are done and kept")
    typer.echo(
        f"{outcome.images} images in {outcome.seconds:.1f} s ({outcome.rate:.1f} images/s), "
        f"targets: {', '.join(map(str, sorted(outcome.targets))) or 'none'}"
    )
    for path in outcome.written:
        typer.echo(f"  {path}")


def _sources(bags: Sequence[Path]) -> list[Path]:
    """The bags that are not results of a replay."""
    from siammask_ros.cli.replay_job import RECORD

    return [bag for bag in bags if not (bag / RECORD).exists()]


def _name_of(bag: Path) -> str:
    return bag.resolve().name if bag.is_dir() else bag.name.partition(".")[0]


def _result_path(bag: Path, output: Path | None, *, several: bool) -> Path:
    name = f"{_name_of(bag)}{SUFFIX}"
    if output is None:
        return Path(name)
    return output / name if several else output


def _named(files: OutputPaths, bag: Path) -> OutputPaths:
    """The same files for one of several bags: its name comes before theirs."""
    from dataclasses import fields, replace

    paths = {field.name: getattr(files, field.name) for field in fields(files)}
    changed = {
        kind: path.with_name(f"{_name_of(bag)}_{path.name}") for kind, path in paths.items() if path
    }
    return replace(files, **changed)
