# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files that a run leaves: each takes the frames one by one, and appears whole or not at all.

    with VideoSink("out.mp4", fps=25) as sink:
        for tracked in follow(frames, follower, boxes):
            sink.add(tracked)

`siammask_ros.outputs` opens several of them at once.
"""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Generic, NamedTuple, Protocol, TypeVar

from siammask_ros.drawing import (
    STATE_COLOURS,
    SheetSection,
    contact_sheet,
    evenly_spaced,
)
from siammask_ros.files import PartialFile
from siammask_ros.history import History, StateChange, StateWatch, counted
from siammask_ros.pictures import encode_png, write_png
from siammask_ros.plots import write_chart
from siammask_ros.results import ResultsWriter, states_caption, targets_caption
from siammask_ros.run_plots import run_figure
from siammask_ros.target_status import TargetStatus
from siammask_ros.video import VideoClock, VideoWriter

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from typing_extensions import Self

    from siammask_ros.drawing import Colour, Image
    from siammask_ros.tracked import TrackedFrame

Item = TypeVar("Item")

SHEET_FRAMES = 8
"""Evenly spaced frames on a contact sheet; the last one comes to them."""
SHEET_MOMENTS = 24
"""At most so many frames with losses and returns on it."""
SHEET_COLUMNS = 4
SHEET_CELL_WIDTH = 400
SHEET_NAMED_TARGETS = 3
"""Of more targets in a frame the states are counted."""
THINNING = 3
"""Of so many kept things one stays; odd, so that of losses and returns in turn both stay."""
SPARE = 4
"""An `EvenSample` keeps up to so many times as many as are wanted: the finer, the more even."""


class FrameSink(Protocol):
    """Takes the frames of a run with what was found in them, in order; a context manager.

    What it makes appears, whole, at the end of the `with` block. After an exception nothing is
    left, and what was there before is as it was.
    """

    def add(self, tracked: TrackedFrame) -> None:
        """Take the next frame."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish, or after an exception drop everything."""


class FileSink(ABC):
    """A `FrameSink` of one file or folder.

    Args:
        path: what is written; missing folders above it are made.
        keep_interrupted: finish also when Ctrl-C ends the block, with the frames until then.

    Attributes:
        path: what is written.
        finished: it is there, complete.
    """

    def __init__(self, path: str | os.PathLike[str], *, keep_interrupted: bool = False) -> None:
        self.path = Path(path)
        self.finished = False
        self._keep_interrupted = keep_interrupted

    @abstractmethod
    def add(self, tracked: TrackedFrame) -> None:
        """Take the next frame."""

    @abstractmethod
    def finish(self) -> bool:
        """Write what is left and give the file its name.

        Returns:
            False where no frame came, and so nothing appears.
        """

    def drop(self) -> None:  # noqa: B027  some hold nothing open
        """Let go of everything unfinished; called at the end, also after `finish`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        try:
            if kind is None or (interrupted and self._keep_interrupted):
                self.finished = self.finish()
        finally:
            self.drop()


class VideoSink(FileSink):
    """An H.264 video with the results drawn on it, at the times of the frames.

    Args:
        path: the MP4 file.
        fps: frames a second where the times of frames do not tell.
        keep_interrupted: see `FileSink`.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, fps: float, keep_interrupted: bool = False
    ) -> None:
        super().__init__(path, keep_interrupted=keep_interrupted)
        self._writer = VideoWriter(path, fps=fps)
        self._clock = VideoClock(fps)

    def add(self, tracked: TrackedFrame) -> None:
        """Take the next frame."""
        self._writer.write(tracked.overlay, time_s=self._clock.next(tracked.frame.time_s))

    def finish(self) -> bool:
        """Close the video."""
        self._writer.close()
        return self._writer.frames > 0

    def drop(self) -> None:
        """Remove a video that is not finished."""
        self._writer.abort()


class TableSink(FileSink):
    """A table (CSV) of `ResultRow`, a row a target and frame.

    Args:
        path: the file.
        name: the clip's name in the table.
        keep_interrupted: see `FileSink`.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, name: str, keep_interrupted: bool = False
    ) -> None:
        super().__init__(path, keep_interrupted=keep_interrupted)
        self._name = name
        self._file: PartialFile | None = None
        self._stream: BinaryIO | None = None
        self._writer: ResultsWriter | None = None

    def add(self, tracked: TrackedFrame) -> None:
        """Take the next frame."""
        if self._writer is None:
            self._file = PartialFile(self.path)
            self._stream = self._file.partial.open("wb")
            self._writer = ResultsWriter(self._stream)
        self._writer.add(tracked.rows(self._name))

    def finish(self) -> bool:
        """Close the table."""
        if self._writer is None or self._stream is None or self._file is None:
            return False
        self._writer.finish()
        self._stream.close()
        self._file.finish()
        return True

    def drop(self) -> None:
        """Remove a table that is not finished."""
        if self._file is not None:
            self._file.drop()


class LabelImageSink(FileSink):
    """A folder with a label image for each frame: the target's id at each pixel, 0 on none.

    The files are 8-bit grey PNGs, `000000.png` by the frame's number. Others that are in the folder
    stay there.
    """

    def __init__(self, path: str | os.PathLike[str], *, keep_interrupted: bool = False) -> None:
        super().__init__(path, keep_interrupted=keep_interrupted)
        self._partial: Path | None = None

    def add(self, tracked: TrackedFrame) -> None:
        """Take the next frame."""
        if self._partial is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            prefix = f".{self.path.name}-"
            self._partial = Path(tempfile.mkdtemp(dir=self.path.parent, prefix=prefix))
        name = label_image_name(tracked.frame.index)
        (self._partial / name).write_bytes(encode_png(tracked.label_image()))

    def finish(self) -> bool:
        """Move the pictures to the folder."""
        if self._partial is None:
            return False
        self.path.mkdir(exist_ok=True)
        for file in self._partial.iterdir():
            file.replace(self.path / file.name)
        return True

    def drop(self) -> None:
        """Remove what is not finished."""
        if self._partial is not None:
            shutil.rmtree(self._partial, ignore_errors=True)


def label_image_name(frame: int) -> str:
    """File name of a frame's label image."""
    return f"{frame:06d}.png"


class EvenSample(Generic[Item]):
    """Some of the things that pass by, evenly spaced, however many come.

    Args:
        wanted: how many at most; a few times as many are kept meanwhile.
    """

    def __init__(self, wanted: int) -> None:
        self.count = 0
        self._wanted = wanted
        self._kept: list[Item] = []
        self._stride = 1

    def offer(self, make: Callable[[], Item]) -> None:
        """Take note of one more; it is made only if it is kept."""
        if self.count % self._stride == 0:
            self._kept.append(make())
            if len(self._kept) >= SPARE * self._wanted:
                self._kept = self._kept[::THINNING]
                self._stride *= THINNING
        self.count += 1

    def nearest(self, indices: Iterable[int]) -> list[Item]:
        """The kept things that are nearest to some of all that came, each once, in order."""
        last = len(self._kept) - 1
        chosen = {min(round(index / self._stride), last) for index in indices}
        return [self._kept[i] for i in sorted(chosen)]


class _Cell(NamedTuple):
    """A frame as it is on the sheet; `order` counts the frames of the run."""

    order: int
    image: Image
    caption: str
    mark: Colour | None


class SheetSink(FileSink):
    """A contact sheet (PNG): evenly spaced frames, the last one, and each loss and return.

    Frames in which a target is lost or found again, or is new, have a frame of the state's colour.
    Of more than `SHEET_MOMENTS` such frames, evenly spaced ones are shown, and the title says so.
    Some dozens of small pictures are kept in memory, however long the run is.

    Args:
        path: the file.
        name: the title.
        keep_interrupted: see `FileSink`.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, name: str, keep_interrupted: bool = False
    ) -> None:
        super().__init__(path, keep_interrupted=keep_interrupted)
        self._name = name
        self._watch = StateWatch()
        self._even: EvenSample[_Cell] = EvenSample(SHEET_FRAMES)
        self._moments: EvenSample[_Cell] = EvenSample(SHEET_MOMENTS)
        self._last: TrackedFrame | None = None
        self._losses = self._returns = 0

    def add(self, tracked: TrackedFrame) -> None:
        """Take the next frame."""
        order = self._even.count
        changes = self._watch.changes(tracked)
        self._losses += sum(change.is_loss for change in changes)
        self._returns += sum(change.is_return for change in changes)
        moments = [change for change in changes if order and _is_moment(change)]
        self._even.offer(lambda: _cell(order, tracked, moments))
        if moments:
            self._moments.offer(lambda: _cell(order, tracked, moments))
        self._last = tracked

    def finish(self) -> bool:
        """Lay out the sheet."""
        if self._last is None:
            return False
        moments = self._moments.nearest(evenly_spaced(self._moments.count, SHEET_MOMENTS))
        *first, last = evenly_spaced(self._even.count, SHEET_FRAMES)
        even = [*self._even.nearest(first), _cell(last, self._last, [])]
        cells = {cell.order: cell for cell in (*even, *moments)}
        ordered = [cells[order] for order in sorted(cells)]
        section = SheetSection(
            self._name,
            [cell.image for cell in ordered],
            [cell.caption for cell in ordered],
            self._subtitle(sum(cell.mark is not None for cell in ordered)),
            [cell.mark for cell in ordered],
        )
        columns = min(SHEET_COLUMNS, len(ordered))
        sheet = contact_sheet([section], columns=columns, cell_width=SHEET_CELL_WIDTH)
        write_png(self.path, sheet)
        return True

    def _subtitle(self, shown: int) -> str:
        words = [counted(self._even.count, "frame"), f"lost {counted(self._losses, 'time')}"]
        words.append(f"found again {counted(self._returns, 'time')}")
        if shown < self._moments.count:
            words.append(f"{shown} of {self._moments.count} such moments are shown")
        return ", ".join(words)


def _is_moment(change: StateChange) -> bool:
    given = change.after is TargetStatus.INITIALIZING
    return change.is_loss or change.is_return or given


def _cell(order: int, tracked: TrackedFrame, moments: list[StateChange]) -> _Cell:
    image = tracked.overlay_at(SHEET_CELL_WIDTH)
    mark = None
    if moments:
        # Of several changes in one frame the worst decides.
        states = [change.after for change in moments if change.after is not None]
        mark = STATE_COLOURS[max(states)]
    rows = tracked.rows(clip="")
    told = "   ".join(f"{change.name} {change.words}" for change in moments)
    when = f"frame {tracked.frame.index}  {tracked.frame.time_s:.1f} s   "
    if not told:
        told = targets_caption(rows) if len(rows) <= SHEET_NAMED_TARGETS else states_caption(rows)
    return _Cell(order, image, when + told, mark)


class PlotSink(FileSink):
    """A chart (PNG) of each target's confidence, states, size, angle and path over time.

    Args:
        path: the file.
        name: the title.
        keep_interrupted: see `FileSink`.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, name: str, keep_interrupted: bool = False
    ) -> None:
        super().__init__(path, keep_interrupted=keep_interrupted)
        self._name = name
        self._history = History()

    def add(self, tracked: TrackedFrame) -> None:
        """Take the next frame."""
        self._history.add(tracked)

    def finish(self) -> bool:
        """Draw the chart."""
        if not self._history.frames:
            return False
        write_chart(self.path, run_figure(self._history, title=self._name))
        return True
