# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`siammask track`: follow targets through a video."""

from __future__ import annotations

import time
from contextlib import closing
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
    complain,
    load_network,
    parse_box,
    tracker_of,
    with_progress,
)
from siammask_ros.cli.outputs import (
    VIDEO_HELP,
    CsvOption,
    MasksOption,
    PlotOption,
    ReportOption,
    RerunOption,
    SheetOption,
    run_settings,
    say_written,
)
from siammask_ros.interruption import Interruption


def track(  # noqa: PLR0917 - typer calls it by name
    video: Annotated[Path, typer.Argument(help="Video file, or folder of images.")],
    box: Annotated[
        list[str],
        typer.Option(
            "--box", "-b", help="Target in the first frame: x,y,width,height. Repeatable."
        ),
    ],
    weights: WeightsOption = "compact",
    preset: PresetOption = Preset.auto,
    settings: SettingsOption = None,
    device: DeviceOption = "auto",
    backend: BackendOption = Backend.auto,
    precision: PrecisionOption = Precision.auto,
    threads: ThreadsOption = 0,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="A word for each target, in order.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", "--video", help=VIDEO_HELP)
    ] = None,
    csv: CsvOption = None,
    masks: MasksOption = None,
    sheet: SheetOption = None,
    plot: PlotOption = None,
    report: ReportOption = None,
    rerun: RerunOption = None,
    start: Annotated[int, typer.Option("--start", min=0, help="First frame.")] = 0,
    frames: Annotated[int, typer.Option("--frames", min=0, help="Number of frames; 0: all.")] = 0,
) -> None:
    """Follow targets through a video; without any output named, write VIDEO_tracked.mp4."""
    from siammask_ros.longterm import LongTermTracker
    from siammask_ros.offline import follow
    from siammask_ros.outputs import OutputPaths, Run, open_outputs
    from siammask_ros.video import open_video

    boxes = [parse_box(text) for text in box]
    labels = label or []
    if labels and len(labels) != len(boxes):
        raise typer.BadParameter(f"{len(labels)} labels for {len(boxes)} boxes")
    paths = OutputPaths(output, csv, masks, sheet, plot, report, rerun)
    if not paths.wanted:
        paths = OutputPaths(video=Path(f"{video.resolve().stem}_tracked.mp4"))
    with open_video(video, start=start, stop=start + frames if frames else None) as source:
        placement = Placement(device, backend.value, precision.value, threads)
        network = load_network(weights, placement)
        follower = LongTermTracker(tracker_of(network, preset, settings or ()))
        run = Run(source.name, source.fps, run_settings(network, weights, preset, settings or ()))
        outputs = open_outputs(paths, run, keep_interrupted=True)
        try:
            began = time.perf_counter()
            bar = with_progress(source, source.frame_count, source.name)
            with Interruption() as interruption, outputs, closing(bar) as shown:
                for tracked in follow(shown, follower, boxes, labels=labels):
                    outputs.add(tracked)
                    interruption.check()
        except KeyboardInterrupt:
            complain("interrupted; the files have the frames until then")
            raise
        finally:
            if outputs.written:
                seconds = time.perf_counter() - began
                rate = outputs.frames / seconds
                typer.echo(f"{outputs.frames} frames in {seconds:.1f} s ({rate:.1f} frames/s)")
                say_written(outputs)
