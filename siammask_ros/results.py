# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Results of a run as a table: one row a target and frame, written as CSV, whole or not at all."""

from __future__ import annotations

import csv
import io
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from siammask_ros.files import whole_file
from siammask_ros.target_status import TargetStatus

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable


@dataclass(frozen=True)
class ResultRow:
    """What was found of one target in one frame. Lengths are pixels of the image.

    Attributes:
        clip: the video's name.
        frame: number of the frame in it, from 0.
        time_s: the frame's time in seconds since the first row's frame.
        target_id, label: the target, and the word given for it.
        state: name of a `TargetStatus`.
        confidence: 0 to 1.
        center_x, center_y, size_x, size_y, theta: rotated box, theta in radians, clockwise on
            screen; zeros where the target has none.
        x1 to y4: its corners, top-left of the box's own frame first, clockwise on screen.
        mask_area: pixels of the mask.
        age: frames since the target was last seen.
        latency_ms: from the image's stamp to the receipt of its result; None without a stream.
    """

    clip: str
    frame: int
    time_s: float
    target_id: int
    label: str
    state: str
    confidence: float
    center_x: float = 0.0
    center_y: float = 0.0
    size_x: float = 0.0
    size_y: float = 0.0
    theta: float = 0.0
    x1: float = 0.0
    y1: float = 0.0
    x2: float = 0.0
    y2: float = 0.0
    x3: float = 0.0
    y3: float = 0.0
    x4: float = 0.0
    y4: float = 0.0
    mask_area: int = 0
    age: int = 0
    latency_ms: float | None = None


def frame_caption(rows: Iterable[ResultRow], frame: int) -> str:
    """One line on a frame: its number, and each target with its confidence and unusual state."""
    said = targets_caption(row for row in rows if row.frame == frame)
    return f"frame {frame}   {said}" if said else f"frame {frame}"


def targets_caption(rows: Iterable[ResultRow]) -> str:
    """The targets of one frame, each with its confidence and unusual state."""
    words = []
    for row in rows:
        name = row.label or f"#{row.target_id}"
        said = [name]
        if row.state != TargetStatus.INITIALIZING.name:
            said.append(f"{row.confidence:.2f}")
        if row.state != TargetStatus.TRACKING.name:
            said.append(row.state.lower())
        words.append(" ".join(said))
    return "   ".join(words)


def states_caption(rows: Iterable[ResultRow]) -> str:
    """How many targets of one frame are in each state."""
    states = [row.state for row in rows]
    counts = [(states.count(state.name), state.name.lower()) for state in TargetStatus]
    return "   ".join(f"{count} {name}" for count, name in counts if count)


class ResultsWriter:
    """Writes rows as CSV, UTF-8, after a header line.

    Args:
        stream: where to, as bytes; it is left open.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._text = io.TextIOWrapper(stream, "utf-8", newline="")
        self._writer = csv.writer(self._text)
        self._writer.writerow([f.name for f in fields(ResultRow)])

    def add(self, rows: Iterable[ResultRow]) -> None:
        """Append rows."""
        self._writer.writerows([_cell(value) for value in astuple(row)] for row in rows)

    def finish(self) -> None:
        """Hand the last bytes to the stream; nothing can be added after."""
        self._text.flush()
        self._text.detach()


def write_results(path: str | os.PathLike[str], rows: Iterable[ResultRow]) -> None:
    """Write the rows as CSV with a header line; the file appears only when it is complete."""
    with whole_file(Path(path)) as stream:
        writer = ResultsWriter(stream)
        writer.add(rows)
        writer.finish()


def read_results(path: str | os.PathLike[str]) -> list[ResultRow]:
    """Read a file of `write_results` back.

    Raises:
        ValueError: the header line is not that of such a file.
    """
    kinds = {"str": str, "int": int, "float": float}
    with Path(path).open(newline="", encoding="utf-8") as stream:
        reader = csv.reader(stream)
        names = next(reader, [])
        if names != [f.name for f in fields(ResultRow)]:
            raise ValueError(f"not a results file: {path} begins with {','.join(names)!r}")
        converters = [kinds.get(str(f.type), _optional_float) for f in fields(ResultRow)]
        rows = []
        for cells in reader:
            values: list[Any] = [c(v) for c, v in zip(converters, cells, strict=True)]
            rows.append(ResultRow(*values))
        return rows


def _cell(value: object) -> object:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else value


def _optional_float(text: str) -> float | None:
    return float(text) if text else None
