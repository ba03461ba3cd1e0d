# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two benchmarks side by side: what the second takes of the first."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, NamedTuple

from siammask_ros.benchmark.environment import Environment
from siammask_ros.files import markdown_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siammask_ros.benchmark.document import BenchmarkDocument, CaseEntry

_PERCENTILES = ("p50", "p90", "p99")
_LEAST_MS = 0.05
"""Times below this, in both, say nothing as a ratio."""
_VARIABLE = frozenset({"load_average"})


class Ratio(NamedTuple):
    """One number of a case in both documents."""

    case: str
    name: str
    """Such as `step p50` or `frames_per_second`."""
    first: float
    second: float

    @property
    def ratio(self) -> float:
        """The second over the first; NaN where the first is zero."""
        return self.second / self.first if self.first else float("nan")


class Comparison(NamedTuple):
    """What two documents have in common, and what not."""

    ratios: tuple[Ratio, ...]
    only_first: tuple[str, ...]
    """Cases that the second lacks."""
    only_second: tuple[str, ...]
    differences: tuple[str, ...]
    """What differs in the environments, in words."""


def compare_documents(first: BenchmarkDocument, second: BenchmarkDocument) -> Comparison:
    """Compare the cases that are in both, number by number.

    Raises:
        ValueError: they measured different things, or have no case in common.
    """
    if first.kind != second.kind:
        raise ValueError(f"one measured the {first.kind}, the other the {second.kind}")
    firsts, seconds = _by_case(first), _by_case(second)
    common = [key for key in firsts if key in seconds]
    if not common:
        raise ValueError("the benchmarks have no case in common")
    return Comparison(
        ratios=tuple(ratio for key in common for ratio in _ratios(firsts[key], seconds[key])),
        only_first=tuple(case.name for key, case in firsts.items() if key not in seconds),
        only_second=tuple(case.name for key, case in seconds.items() if key not in firsts),
        differences=_differences(first.environment, second.environment),
    )


def comparison_markdown(comparison: Comparison) -> str:
    """A table with a row for each number, and what differs otherwise."""
    table = markdown_table(
        ("case", "number", "first", "second", "second / first"),
        [
            (each.case, each.name, f"{each.first:.2f}", f"{each.second:.2f}", f"{each.ratio:.3f}")
            for each in comparison.ratios
        ],
    )
    paragraphs = [table.rstrip("\n")]
    for what, texts in (
        ("The environments differ", comparison.differences),
        ("Only in the first", comparison.only_first),
        ("Only in the second", comparison.only_second),
    ):
        if texts:
            paragraphs.append(f"{what}:\n\n" + "\n".join(f"- {text}" for text in texts))
    return "\n\n".join(paragraphs) + "\n"


def _by_case(document: BenchmarkDocument) -> dict[frozenset[tuple[str, object]], CaseEntry]:
    return {frozenset(case.case.items()): case for case in document.cases}


def _ratios(first: CaseEntry, second: CaseEntry) -> list[Ratio]:
    found = []
    for name, times in first.times_ms.items():
        other = second.times_ms.get(name)
        if other is None or max(times.p50, other.p50) < _LEAST_MS:
            continue
        found += [
            Ratio(first.name, f"{name} {which} ms", getattr(times, which), getattr(other, which))
            for which in _PERCENTILES
        ]
    numbers: Mapping[str, float] = second.numbers
    found += [
        Ratio(first.name, name, number, numbers[name])
        for name, number in first.numbers.items()
        if name in numbers
    ]
    return found


def _differences(first: Environment, second: Environment) -> tuple[str, ...]:
    pairs = [
        (entry.name, getattr(first, entry.name), getattr(second, entry.name))
        for entry in fields(Environment)
        if entry.name not in _VARIABLE
    ]
    return tuple(f"{name}: {one}, {other}" for name, one, other in pairs if one != other)
