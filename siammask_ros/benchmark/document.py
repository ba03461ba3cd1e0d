# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A benchmark as JSON: cases with names, times and numbers; the tracker's and the node's alike."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from siammask_ros.benchmark.environment import Environment
from siammask_ros.files import write_whole

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

FORMAT = "siammask benchmark 1"


class Summary(NamedTuple):
    """Times of many steps in milliseconds."""

    mean: float
    p50: float
    p90: float
    p99: float
    minimum: float

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> Summary:
        """Summary of at least one time; percentiles are interpolated between times."""
        p50, p90, p99 = (float(value) for value in np.percentile(milliseconds, (50, 90, 99)))
        return cls(statistics.fmean(milliseconds), p50, p90, p99, min(milliseconds))


@dataclass(frozen=True)
class CaseEntry:
    """What was measured in one case.

    Attributes:
        case: what tells it from the others, such as network, image and targets; equal in two
            documents where they measured the same.
        times_ms: times by name.
        numbers: other numbers by name, such as frames a second and memory.
    """

    case: Mapping[str, str | int | float]
    times_ms: Mapping[str, Summary]
    numbers: Mapping[str, float]

    @property
    def name(self) -> str:
        """The case in words."""
        return ", ".join(
            f"{value} {key}" if isinstance(value, int | float) else value
            for key, value in self.case.items()
        )


@dataclass(frozen=True)
class BenchmarkDocument:
    """All that a benchmark leaves.

    Attributes:
        kind: what was measured.
        environment: where.
        cases: in the order of the report.
        settings: how, as plain values.
        notes: what the reader has to know, a sentence each.
    """

    kind: Literal["tracker", "node"]
    environment: Environment
    cases: tuple[CaseEntry, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def document_json(document: BenchmarkDocument) -> str:
    """A document as JSON; numbers that are not finite are null."""
    content: dict[str, Any] = {"format": FORMAT, **asdict(document)}
    for entry, case in zip(content["cases"], document.cases, strict=True):
        entry["times_ms"] = {name: times._asdict() for name, times in case.times_ms.items()}
        entry["numbers"] = {
            name: number if math.isfinite(number) else None for name, number in case.numbers.items()
        }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def write_document(path: str | os.PathLike[str], document: BenchmarkDocument) -> Path:
    """Write a document as JSON, whole or not at all; returns the path.

    Raises:
        OSError: it cannot be written.
    """
    return write_whole(Path(path), document_json(document))


def read_document(path: str | os.PathLike[str]) -> BenchmarkDocument:
    """Read what `write_document` wrote.

    Raises:
        ValueError: it is something else; the message names the file.
        OSError: it cannot be read.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        _require_format(content["format"])
        place = content["environment"]
        known = {entry.name for entry in fields(Environment)}
        place = {name: value for name, value in place.items() if name in known}
        place["cpu_features"] = tuple(place["cpu_features"])
        return BenchmarkDocument(
            kind=content["kind"],
            environment=Environment(**place),
            cases=tuple(_read_case(entry) for entry in content["cases"]),
            settings=content["settings"],
            notes=tuple(content["notes"]),
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no benchmark of this version: {error}") from error


def _require_format(name: str) -> None:
    if name != FORMAT:
        raise ValueError(f"its format is {name!r}, not {FORMAT!r}")


def _read_case(entry: Mapping[str, Any]) -> CaseEntry:
    return CaseEntry(
        case=entry["case"],
        times_ms={name: Summary(**times) for name, times in entry["times_ms"].items()},
        numbers={
            name: math.nan if number is None else number
            for name, number in entry["numbers"].items()
        },
    )
