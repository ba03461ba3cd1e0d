# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run says about itself: a CSV table, and TensorBoard events where that is installed."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from siammask_ros.files import write_whole


class Metrics(NamedTuple):
    """A line of the metrics file: means over the steps since the line before.

    Losses are those of the joint batch before weighting; NaN where nothing was trained on, as the
    mask loss of negatives.
    """

    time: float
    """Seconds since 1970."""
    step: int
    epoch: float
    learning_rate: float
    """Of the last step, before the factors of the trained parts."""
    loss: float
    """Weighted sum of the losses (paper, equation 5)."""
    score: float
    box: float
    mask: float
    mask_overlap: float
    mask_iou: float
    """Of the thresholded masks with the truth, in training batches."""
    gradient_norm: float
    """Before clipping."""
    pairs_per_second: float
    """Of all processes together."""


class MetricsFile:
    """A CSV table that grows by a line at a time.

    Args:
        path: the file.
        step: the run's step; lines of later steps (written after the checkpoint that the run
            goes on from) are taken out, all of them at step 0.

    Raises:
        ValueError: the file is there with other columns.
    """

    def __init__(self, path: Path, *, step: int) -> None:
        self.path = path
        kept = [row for row in read_metrics(path) if row.step <= step] if step else []
        write_whole(path, _lines([Metrics._fields, *map(_cells, kept)]))

    def add(self, metrics: Metrics) -> None:
        """Append a line."""
        with self.path.open("a", newline="", encoding="utf-8") as file:
            file.write(_lines([_cells(metrics)]))


def read_metrics(path: Path) -> list[Metrics]:
    """Read a metrics file; of one that is not there, no line.

    Raises:
        ValueError: the file has other columns.
    """
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if not rows or tuple(rows[0]) != Metrics._fields:
        raise ValueError(f"{path}: not the metrics of this version: move it away")
    return [_metrics(row) for row in rows[1:] if len(row) == len(Metrics._fields)]


def _metrics(cells: list[str]) -> Metrics:
    values = [float(cell) if cell else math.nan for cell in cells]
    row = Metrics(*values)  # type: ignore[arg-type] # the step is made whole below
    return row._replace(step=int(row.step))


def _cells(metrics: Metrics) -> list[str]:
    return [_cell(value) for value in metrics]


def _cell(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return "" if math.isnan(value) else f"{value:.10g}"


def _lines(rows: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


class Events:
    """TensorBoard events: a curve for each number of `Metrics`.

    Without TensorBoard nothing is written, and `say` is told so once.

    Args:
        folder: where event files go.
        step: the run's step; later events of an earlier run are hidden.
        say: takes lines for the user.
    """

    def __init__(self, folder: Path, *, step: int, say: Callable[[str], None]) -> None:
        self._writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - optional
        except ImportError:
            say("TensorBoard is not installed: no event files")
            return
        self._writer = SummaryWriter(str(folder), purge_step=step + 1)

    def add(self, metrics: Metrics) -> None:
        """Write a point of each curve."""
        if self._writer is None:
            return
        for name, value in _curves(metrics).items():
            self._writer.add_scalar(name, value, metrics.step, walltime=metrics.time)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()


def _curves(metrics: Metrics) -> Mapping[str, float]:
    values = metrics._asdict()
    del values["time"], values["step"]
    return {name: value for name, value in values.items() if not math.isnan(value)}
