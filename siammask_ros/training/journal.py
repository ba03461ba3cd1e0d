# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run tells while it runs: progress on standard error, metrics in files."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.text import Text

from siammask_ros.training.config import TrainingConfig
from siammask_ros.training.datasets import Reading
from siammask_ros.training.losses import LossParts, LossTerm
from siammask_ros.training.metrics import Events, Metrics, MetricsFile

LINE_SECONDS = 60.0
"""Time between lines where there is no terminal."""
SHOWN = ("loss", "score", "box", "mask", "mask_iou")


@contextmanager
def reading_display(*, wanted: bool = True) -> Iterator[Callable[[Reading], None]]:
    """Show on standard error how far the data sets are read, on lines that go when it is done.

    Where there is no terminal, a line a minute is printed and stays.

    Args:
        wanted: False for silence.

    Yields:
        What `read_sources` tells.
    """
    console = Console(stderr=True, quiet=not wanted)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not (wanted and console.is_terminal)
    ) as bar:
        tasks: dict[str, TaskID] = {}
        said = time.monotonic()

        def show(reading: Reading) -> None:
            nonlocal said
            work, done, total = reading
            if work not in tasks:
                tasks[work] = bar.add_task(work, total=total)
            bar.update(tasks[work], completed=done)
            now = time.monotonic()
            if not console.is_terminal and now - said >= LINE_SECONDS:
                said = now
                console.print(f"{work}: {done} of {total}", highlight=False, markup=False)

        yield show


class ProgressDisplay:
    """Shows step, loss parts, samples a second and the time that is left, on standard error.

    Args:
        name: of the run.
        step, steps: where it begins, and all of them.
        wanted: False for silence.
    """

    def __init__(self, name: str, *, step: int, steps: int, wanted: bool = True) -> None:
        self._console = Console(stderr=True, quiet=not wanted)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
        )
        self._bar = Progress(*columns)
        self._task = self._bar.add_task(name, total=steps, completed=step, speed="")
        self._losses = Text()
        self._live: Live | None = None
        if wanted and self._console.is_terminal:
            lines = Group(self._bar, self._losses)
            self._live = Live(lines, console=self._console, transient=True)
        self._name, self._first, self._step, self._steps = name, step, step, steps
        self._began = self._said = time.monotonic()

    def __enter__(self) -> ProgressDisplay:  # noqa: PYI034 - Self is of Python 3.11
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.stop()

    def advance(self, step: int) -> None:
        """Show a step."""
        self._step = step
        self._bar.update(self._task, completed=step)

    def show(self, metrics: Metrics, step: int) -> None:
        """Show a step and its line of the metrics file."""
        self.advance(step)
        speed = f"{metrics.pairs_per_second:.1f} pairs/s, {self._left()} left"
        self._bar.update(self._task, speed=speed)
        self._losses.plain = describe(metrics)
        now = time.monotonic()
        if self._live is None and (now - self._said >= LINE_SECONDS or step == self._steps):
            self._said = now
            line = f"{self._name}: step {step} of {self._steps}, {self._losses.plain}, {speed}"
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _left(self) -> str:
        done = max(self._step - self._first, 1)
        seconds = (time.monotonic() - self._began) / done * (self._steps - self._step)
        return str(timedelta(seconds=round(seconds)))


def describe(metrics: Metrics) -> str:
    """The losses in a few words."""
    values = ((name, getattr(metrics, name)) for name in SHOWN)
    return " ".join(f"{name} {value:.3f}" for name, value in values if not math.isnan(value))


class StepOutcome(NamedTuple):
    """What one step gave, for the joint batch."""

    loss: float
    parts: LossParts
    gradient_norm: float
    learning_rate: float


class Journal:
    """Takes the outcome of each step; shows it, and keeps it in the metrics file and events.

    Args:
        config: of the run.
        metrics_path: the CSV file.
        events_path: folder of TensorBoard events.
        step: where the run begins.
        is_active: False in processes that neither show nor write anything.
        show_progress: whether anything is shown.
        say: takes lines for the user.
    """

    def __init__(
        self,
        config: TrainingConfig,
        metrics_path: Path,
        events_path: Path,
        *,
        step: int,
        is_active: bool = True,
        show_progress: bool = True,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._config = config
        self._since = step
        self._clock = time.monotonic()
        self._numbers: list[tuple[float, ...]] = []
        wanted = is_active and show_progress
        self._display = ProgressDisplay(config.name, step=step, steps=config.steps, wanted=wanted)
        self._file = MetricsFile(metrics_path, step=step) if is_active else None
        self._events = Events(events_path, step=step, say=say) if is_active else None

    def __enter__(self) -> Journal:  # noqa: PYI034 - Self is of Python 3.11
        self._display.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._display.__exit__(*exception)
        if self._events is not None:
            self._events.close()

    def add(self, outcome: StepOutcome, step: int) -> None:
        """Take a step's outcome; `step` is the number of steps done with it."""
        if self._file is None or self._events is None:
            return
        parts = (_number(part) for part in outcome.parts)
        self._numbers.append((outcome.loss, *parts, outcome.gradient_norm))
        if step % self._config.log_steps == 0 or step == self._config.steps:
            metrics = self._metrics(outcome.learning_rate, step)
            self._file.add(metrics)
            self._events.add(metrics)
            self._display.show(metrics, step)
        else:
            self._display.advance(step)

    def _metrics(self, rate: float, step: int) -> Metrics:
        """Means since the last line, which begin anew."""
        now = time.monotonic()
        samples = (step - self._since) * self._config.batch_size
        per_second = samples / max(now - self._clock, 1e-9)
        means = [_mean(column) for column in zip(*self._numbers, strict=True)]
        self._numbers, self._since, self._clock = [], step, now
        epoch = step / self._config.steps_per_epoch
        return Metrics._make([time.time(), step, epoch, rate, *means, per_second])


def _number(term: LossTerm) -> float:
    """A loss as a number, NaN where there was nothing to compare."""
    return float(term.value) if bool(term.counts.any()) else math.nan


def _mean(values: tuple[float, ...]) -> float:
    """The mean of those that are numbers, NaN if none is."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan
