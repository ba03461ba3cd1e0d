# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How cost grows with targets and resolution, as tables and charts, and what bounds it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from siammask_ros.files import markdown_table
from siammask_ros.plots import Series, line_chart

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from siammask_ros.benchmark.latency import BenchmarkReport, CaseResult
    from siammask_ros.benchmark.subjects import SubjectNames

_PIXELS_PER_MEGAPIXEL = 1e6


class Growth(NamedTuple):
    """What one subject costs over targets or sizes."""

    subject: SubjectNames
    cases: tuple[CaseResult, ...]
    """In rising order of what grows."""


def growth_by_targets(report: BenchmarkReport) -> list[Growth]:
    """Of each subject the cases with the smallest image; those with several numbers of targets."""
    smallest = min((case.size_wh for case in report.cases), key=math.prod)
    return _growths(
        report, [case for case in report.cases if case.size_wh == smallest], by_targets=True
    )


def growth_by_size(report: BenchmarkReport) -> list[Growth]:
    """Of each subject the cases with the fewest targets; those with several image sizes."""
    fewest = min(case.targets for case in report.cases)
    return _growths(
        report, [case for case in report.cases if case.targets == fewest], by_targets=False
    )


def growth_markdown(report: BenchmarkReport) -> str:
    """Tables of both; empty if nothing grows."""
    texts = []
    for growths, what in (
        (growth_by_targets(report), "targets"),
        (growth_by_size(report), "image"),
    ):
        if growths:
            texts.append(_table(growths, what))
    return "\n".join(texts)


def growth_charts(report: BenchmarkReport) -> dict[str, Figure]:
    """Charts by the name of their file; none where nothing grows."""
    charts = {}
    if growths := growth_by_targets(report):
        targets = sorted({case.targets for growth in growths for case in growth.cases})
        width, height = growths[0].cases[0].size_wh
        charts["cost_by_targets.png"] = line_chart(
            [_series(growth, len(targets)) for growth in growths],
            targets,
            title=f"A tracking step at {width}x{height}",
            x_label="targets",
            y_label="ms, median",
            from_zero=True,
        )
    if growths := growth_by_size(report):
        sizes = sorted({case.size_wh for growth in growths for case in growth.cases}, key=math.prod)
        count = growths[0].cases[0].targets
        charts["cost_by_size.png"] = line_chart(
            [_series(growth, len(sizes)) for growth in growths],
            [math.prod(size_wh) / _PIXELS_PER_MEGAPIXEL for size_wh in sizes],
            title=f"A tracking step with {count} target{'s' if count > 1 else ''}",
            x_label="megapixels of the image",
            y_label="ms, median",
            from_zero=True,
        )
    return charts


def cost_of_one_more(growth: Growth) -> float:
    """Milliseconds for each target more, over the whole range (median steps)."""
    first, last = growth.cases[0], growth.cases[-1]
    return (last.step.p50 - first.step.p50) / (last.targets - first.targets)


def largest_parts(case: CaseResult) -> str:
    """The parts that take a tenth of the step and more, with their shares."""
    total = sum(summary.p50 for summary in case.parts.values())
    if not total:
        return "-"
    shares = {name: summary.p50 / total for name, summary in case.parts.items()}
    return ", ".join(
        f"{name} {share:.0%}"
        for name, share in sorted(shares.items(), key=lambda item: -item[1])
        if share >= 0.1
    )


def _growths(report: BenchmarkReport, cases: list[CaseResult], *, by_targets: bool) -> list[Growth]:
    growths = []
    for info in report.subjects:
        own = sorted(
            (case for case in cases if case.subject == info.names),
            key=lambda case: case.targets if by_targets else math.prod(case.size_wh),
        )
        if len(own) > 1:
            growths.append(Growth(info.names, tuple(own)))
    return growths


def _table(growths: list[Growth], what: str) -> str:
    def name(case: CaseResult) -> str:
        return str(case.targets) if what == "targets" else f"{case.size_wh[0]}x{case.size_wh[1]}"

    columns = [name(case) for case in growths[0].cases]
    rows = []
    for growth in growths:
        more = f"{cost_of_one_more(growth):.1f}" if what == "targets" else "-"
        rows.append(
            (
                " ".join(growth.subject),
                *(f"{case.step.p50:.1f}" for case in growth.cases),
                more,
                largest_parts(growth.cases[0]),
                largest_parts(growth.cases[-1]),
            )
        )
    head = ("subject", *columns, "each more", f"bound at {columns[0]}", f"bound at {columns[-1]}")
    return f"Median step in ms by {what}:\n\n{markdown_table(head, rows)}"


def _series(growth: Growth, count: int) -> Series:
    values = [case.step.p50 for case in growth.cases]
    return Series(" ".join(growth.subject), values + [math.nan] * (count - len(values)))
