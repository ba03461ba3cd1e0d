# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Progress of replays on the terminal: images, rate, and the time that is left."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Task

    from siammask_ros.interruption import Interruption


class RateColumn(ProgressColumn):
    """Images a second."""

    def render(self, task: Task) -> Text:
        """The rate, once it is known."""
        rate = task.finished_speed or task.speed
        return Text(f"{rate:.1f} images/s" if rate else "")


@contextmanager
def replay_progress() -> Iterator[Progress]:
    """Bars on the terminal's error stream, gone at the end."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield progress


class Bar:
    """A `Watcher` that shows a bar, and stops when asked to."""

    def __init__(
        self, progress: Progress, name: str, interruption: Interruption, *, visible: bool = True
    ) -> None:
        self._progress, self._interruption = progress, interruption
        self._task = progress.add_task(escape(name), total=None, visible=visible)

    def begin(self, total: int) -> None:
        """See `Watcher`."""
        self._progress.reset(self._task, total=total or None, visible=True)

    def move(self, total: int, advanced: int) -> None:
        """What a worker tells: a beginning with a total, or images that are done."""
        if advanced:
            self._progress.advance(self._task, advanced)
        else:
            self.begin(total)

    def advance(self) -> None:
        """See `Watcher`."""
        self._progress.advance(self._task)

    def is_stopped(self) -> bool:
        """See `Watcher`."""
        return self._interruption.requested
