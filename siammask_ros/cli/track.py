# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`siammask track`: follow targets through a video."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from siammask_ros.cli.common import (
    DeviceOption,
    Preset,
    PresetOption,
    SettingsOption,
    ThreadsOption,
    WeightsOption,
    load_follower,
    parse_box,
    with_progress,
)

if TYPE_CHECKING:
    from siammask_ros.drawing import Image
    from siammask_ros.tracked import TrackedFrame

SHEET_FRAMES = 8
"""Frames on the contact sheet of a video."""


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
    threads: ThreadsOption = 0,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="A word for each target, in order.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Video with the results drawn on it (MP4)."),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Table of boxes and confidence.")
    ] = None,
    masks: Annotated[
        Path | None, typer.Option("--masks", help="Folder for a label image (PNG) a frame.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="One picture (PNG) with frames of the run.")
    ] = None,
    start: Annotated[int, typer.Option("--start", min=0, help="First frame.")] = 0,
    frames: Annotated[int, typer.Option("--frames", min=0, help="Number of frames; 0: all.")] = 0,
) -> None:
    """Follow targets through a video; without any output named, write VIDEO_tracked.mp4."""
    from siammask_ros.offline import follow
    from siammask_ros.video import open_video

    boxes = [parse_box(text) for text in box]
    labels = label or []
    if labels and len(labels) != len(boxes):
        raise typer.BadParameter(f"{len(labels)} labels for {len(boxes)} boxes")
    if output is None and csv is None and masks is None and sheet is None:
        output = Path(f"{video.resolve().stem}_tracked.mp4")
    with open_video(video, start=start, stop=start + frames if frames else None) as source:
        follower = load_follower(weights, preset, device, threads, settings or ())
        with _Results(source.name, source.fps, output, csv, masks, sheet) as results:
            began = time.perf_counter()
            shown = with_progress(source, source.frame_count, source.name)
            for tracked in follow(shown, follower, boxes, labels=labels):
                results.add(tracked)
            seconds = time.perf_counter() - began
    count = results.frames
    typer.echo(f"{count} frames in {seconds:.1f} s ({count / seconds:.1f} frames/s)")
    for path in results.written:
        typer.echo(f"  {path}")


class _Results:
    """The files that `track` was asked for; a video appears only when it is complete."""

    def __init__(
        self,
        name: str,
        fps: float,
        video: Path | None,
        csv: Path | None,
        masks: Path | None,
        sheet: Path | None,
    ) -> None:
        from siammask_ros.video import VideoWriter

        self.frames = 0
        self.written = [path for path in (video, csv, masks, sheet) if path is not None]
        self._name = name
        self._csv, self._masks, self._sheet = csv, masks, sheet
        self._writer = None if video is None else VideoWriter(video, fps=fps)
        self._rows: list[Any] = []
        self._shown: list[tuple[Image, str]] = []
        self._stride = 1
        if masks is not None:
            masks.mkdir(parents=True, exist_ok=True)

    def add(self, tracked: TrackedFrame) -> None:
        """Take the results of a frame."""
        import cv2

        from siammask_ros.drawing import draw_overlay
        from siammask_ros.results import frame_caption

        rows = tracked.rows(self._name)
        if self._csv is not None:
            self._rows += rows
        if self._masks is not None:
            path = self._masks / f"{tracked.frame.index:06d}.png"
            if not cv2.imwrite(str(path), tracked.label_image()):
                raise OSError(f"cannot write {path}")
        if self._writer is not None or self._sheet is not None:
            overlay = draw_overlay(tracked.frame.image_bgr, tracked.items())
            if self._writer is not None:
                self._writer.write(overlay)
            if self._sheet is not None and self.frames % self._stride == 0:
                self._keep(overlay, frame_caption(rows, tracked.frame.index))
        self.frames += 1

    def _keep(self, overlay: Image, caption: str) -> None:
        """Keep some frames for the sheet, evenly spaced, however long the video is."""
        self._shown.append((overlay, caption))
        if len(self._shown) >= 4 * SHEET_FRAMES:
            self._shown = self._shown[::2]
            self._stride *= 2

    def __enter__(self) -> _Results:  # noqa: PYI034 - Self is of Python 3.11
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        if kind is not None:
            if self._writer is not None:
                self._writer.abort()
            return
        if self._writer is not None:
            self._writer.close()
        if self._csv is not None:
            from siammask_ros.results import write_results

            write_results(self._csv, self._rows)
        if self._sheet is not None:
            self._write_sheet(self._sheet)

    def _write_sheet(self, path: Path) -> None:
        from siammask_ros.drawing import SheetSection, contact_sheet, evenly_spaced
        from siammask_ros.pictures import write_png

        chosen = [self._shown[i] for i in evenly_spaced(len(self._shown), SHEET_FRAMES)]
        frames = [overlay for overlay, _ in chosen]
        section = SheetSection(self._name, frames, [caption for _, caption in chosen])
        write_png(path, contact_sheet([section]))
