# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files that a run was asked for, opened together.

paths = OutputPaths(video=Path("out.mp4"), report=Path("out.html"))
with open_outputs(paths, Run("clip", fps=25.0)) as outputs:
    for tracked in follow(frames, follower, boxes):
        outputs.add(tracked)
print(outputs.written)
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from functools import partial
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

from siammask_ros.report import ReportSink
from siammask_ros.rerun_file import RerunSink
from siammask_ros.sinks import LabelImageSink, PlotSink, SheetSink, TableSink, VideoSink

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from siammask_ros.sinks import FileSink
    from siammask_ros.tracked import TrackedFrame


WAITING_FRAMES = 8
"""Frames that wait for the sinks at most; more would only take memory."""


@dataclass(frozen=True)
class OutputPaths:
    """Where each kind of output goes; None: not wanted.

    Attributes:
        video: the results drawn on the frames (MP4, H.264).
        csv: a table of boxes and confidence.
        masks: a folder of label images (PNG).
        sheet: one picture with frames of the run (PNG).
        plot: confidence, states, size, angle and path over time (PNG).
        report: one page with video, charts and tables (HTML).
        rerun: a recording for the Rerun viewer (RRD).
    """

    video: Path | None = None
    csv: Path | None = None
    masks: Path | None = None
    sheet: Path | None = None
    plot: Path | None = None
    report: Path | None = None
    rerun: Path | None = None

    @property
    def wanted(self) -> list[Path]:
        """Those that are wanted."""
        return [path for path in astuple(self) if path is not None]

    @property
    def existing(self) -> list[Path]:
        """Those that would take the place of a file, or come into a folder, that is there."""
        return [path for path in self.wanted if path.exists()]


class Run(NamedTuple):
    """What the outputs say about the run.

    Attributes:
        name: of the clip or recording, for titles and the table.
        fps: frames a second of the source, above 0.
        settings: names and values for the report, such as weights and command.
    """

    name: str
    fps: float
    settings: Sequence[tuple[str, str]] = ()


class Outputs:
    """Several sinks as one, fed in a thread of their own, so that tracking goes on meanwhile.

    Each finishes even if another fails to. After an exception all are dropped; see `FileSink` for
    Ctrl-C. A frame must not be changed after it was added.

    Attributes:
        frames: frames taken so far.
        written: the files and folders that were finished; known after the `with` block.
    """

    def __init__(self, sinks: Sequence[FileSink]) -> None:
        self.frames = 0
        self.written: list[Path] = []
        self._sinks = list(sinks)
        self._queue: Queue[TrackedFrame | None] = Queue(WAITING_FRAMES)
        self._failure: BaseException | None = None
        self._thread = Thread(target=self._feed, name="outputs", daemon=True)

    def add(self, tracked: TrackedFrame) -> None:
        """Take the next frame; waits where the sinks are far behind.

        Raises:
            Exception: what a sink raised at one of the frames before.
        """
        if self._failure is not None:
            raise self._failure
        self._queue.put(tracked)
        self.frames += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._queue.put(None)
            self._thread.join()
        except KeyboardInterrupt as again:  # the frames that wait are let go
            self._failure = self._failure or again
            self._queue.put(None)
            self._thread.join()
        if self._failure is not None:
            kind, error = type(self._failure), self._failure
        failures = [
            _failure(sink, partial(sink.__exit__, kind, error, trace)) for sink in self._sinks
        ]
        self.written = [sink.path for sink in self._sinks if sink.finished]
        for failure in (self._failure, *failures):
            if failure is not None:
                raise failure

    def _feed(self) -> None:
        """Hand the frames on until the end; after a failure they are let go."""
        while (tracked := self._queue.get()) is not None:
            failure = self._hand_on(tracked) if self._failure is None else None
            if failure is not None:  # a second Ctrl-C may have been noted meanwhile
                self._failure = failure

    def _hand_on(self, tracked: TrackedFrame) -> BaseException | None:
        """Give a frame to each sink, until one fails."""
        for sink in self._sinks:
            if (failure := _failure(sink, partial(sink.add, tracked))) is not None:
                return failure
        return None


def _failure(sink: FileSink, action: Callable[[], None]) -> BaseException | None:
    """What an action of a sink raises, so that it can be raised elsewhere or later."""
    try:
        action()
    except Exception as problem:  # noqa: BLE001
        return _naming(problem, sink.path)
    except BaseException as problem:  # noqa: BLE001
        return problem
    return None


def _naming(problem: Exception, path: Path) -> Exception:
    """An error of the system tells of the file that was asked for, not of its temporary name."""
    if isinstance(problem, OSError) and problem.strerror:
        return OSError(problem.errno, problem.strerror, str(path))
    return problem


def open_outputs(paths: OutputPaths, run: Run, *, keep_interrupted: bool = False) -> Outputs:
    """Open the files that are wanted.

    Args:
        paths: where they go.
        run: what they say about the run.
        keep_interrupted: finish them also when Ctrl-C ends the block, with the frames until then.

    Raises:
        ImportError: a package that one of them needs is not installed.
        ValueError: the frame rate is not positive.
    """
    keep = keep_interrupted
    sinks: list[FileSink] = []
    if paths.video is not None:
        sinks.append(VideoSink(paths.video, fps=run.fps, keep_interrupted=keep))
    if paths.csv is not None:
        sinks.append(TableSink(paths.csv, name=run.name, keep_interrupted=keep))
    if paths.masks is not None:
        sinks.append(LabelImageSink(paths.masks, keep_interrupted=keep))
    if paths.sheet is not None:
        sinks.append(SheetSink(paths.sheet, name=run.name, keep_interrupted=keep))
    if paths.plot is not None:
        sinks.append(PlotSink(paths.plot, name=run.name, keep_interrupted=keep))
    if paths.report is not None:
        sinks.append(
            ReportSink(
                paths.report,
                name=run.name,
                fps=run.fps,
                settings=run.settings,
                keep_interrupted=keep,
            )
        )
    if paths.rerun is not None:
        sinks.append(RerunSink(paths.rerun, name=run.name, keep_interrupted=keep))
    return Outputs(sinks)
