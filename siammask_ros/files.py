# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files that appear whole or not at all, and tables as Markdown and CSV."""

from __future__ import annotations

import csv
import io
import math
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_MODE = 0o644
"""Others may read it; what `mkstemp` makes is its owner's only."""


class PartialFile:
    """An empty file beside the one that it becomes when it is complete; makes missing folders.

    Attributes:
        path: the name that it gets.
        partial: the temporary name under which it is written.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=".part")
        os.close(handle)
        self.path = path
        self.partial = Path(name)

    def finish(self) -> None:
        """Give it its name, in place of a file that has it."""
        self.partial.chmod(_MODE)
        self.partial.replace(self.path)

    def drop(self) -> None:
        """Remove it if it is not finished; a file that has its name stays as it is."""
        self.partial.unlink(missing_ok=True)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which is there complete at the end of the block.

    After an error it is as it was before. Makes missing folders.
    """
    file = PartialFile(path)
    try:
        with file.partial.open("wb") as stream:
            yield stream
        file.finish()
    finally:
        file.drop()


def write_whole(path: Path, content: str | bytes) -> Path:
    """Write a file as `whole_file` does, text as UTF-8; returns the path."""
    with whole_file(path) as stream:
        stream.write(content.encode("utf-8") if isinstance(content, str) else content)
    return path


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table: first column to the left, the others, numbers, to the right."""
    lines = ["| " + " | ".join(header) + " |"]
    lines.append("| --- |" + " ---: |" * (len(header) - 1))
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def csv_table(header: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """A table as CSV: numbers with six digits, empty for NaN; true is 1 and false 0."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_csv_cell(value) for value in row] for row in rows)
    return stream.getvalue()


def _csv_cell(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return value
