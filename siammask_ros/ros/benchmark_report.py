# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A benchmark of the node as Markdown, and charts of what grows with cameras and targets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from siammask_ros.benchmark import environment_text
from siammask_ros.files import markdown_table
from siammask_ros.plots import Series, line_chart

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.figure import Figure

    from siammask_ros.benchmark import BenchmarkDocument, CaseEntry

MOST_DROPPED = 0.05
"""Share of images without an answer at which a rate is too high, as in ros2_benchmark."""
SPLIT = (
    *("camera", "transport in", "queue", "decode", "crop", "upload", "network", "choice", "mask"),
    *("paste", "inference", "publish", "transport out"),
)
"""Columns of the table of parts; the parts of the inference stand before it."""


def node_markdown(document: BenchmarkDocument) -> str:
    """A report to read: rates and latency, then the parts of the latency."""
    rate_hz = document.settings["rate_hz"]
    whole = markdown_table(
        (
            *("image", "cameras", "targets", "peak Hz a camera", "dropped", "latency p50 ms"),
            *("p90", "p99", "the node's own p50", "CPU ms", "RSS MB", "most MB"),
        ),
        [
            (
                *_case_cells(case),
                _cell(case.numbers.get("peak_hz")),
                f"{100 * case.numbers['dropped']:.1f} %",
                *(f"{value:.1f}" for value in case.times_ms["total"][1:4]),
                f"{case.times_ms['own'].p50:.2f}",
                _cell(case.numbers.get("cpu_ms")),
                f"{case.numbers['rss_mb']:.0f}",
                f"{case.numbers['peak_rss_mb']:.0f}",
            )
            for case in document.cases
        ],
    )
    names = [name for name in SPLIT if any(name in case.times_ms for case in document.cases)]
    parts = markdown_table(
        ("image", "cameras", "targets", *names),
        [
            (
                *_case_cells(case),
                *(
                    f"{case.times_ms[name].p50:.2f}" if name in case.times_ms else "-"
                    for name in names
                ),
            )
            for case in document.cases
        ],
    )
    growth = "".join(
        f"\n{kind.title}, by cameras:\n\n{_growth_table(document, kind)}"
        for kind in _KINDS
        if _lines(document, kind)
    )
    return (
        f"# The node, {document.settings['parameters']['weights']}\n\n"
        f"{environment_text(document.environment)}\n\n"
        f"Camera, node and consumer in processes of their own, {document.settings['transport']} "
        f"images, masks subscribed. Latency and drops at {rate_hz:g} images a second and camera; "
        f"peak: the highest rate with under {100 * MOST_DROPPED:g} % of any camera's images "
        f"unanswered. CPU: processor time of the node for an image.\n\n{whole}\n"
        f"Median of each part in ms; camera: the call of publish, which "
        f"is part of transport in:\n\n{parts}{growth}"
    )


def _case_cells(case: CaseEntry) -> tuple[str, str, str]:
    return str(case.case["image"]), str(case.case["cameras"]), str(case.case["targets"])


def _cell(number: float | None) -> str:
    return "-" if number is None else f"{number:.1f}"


class _Kind(NamedTuple):
    """What grows, or falls, with the number of cameras."""

    file: str
    title: str
    unit: str
    value: Callable[[CaseEntry], float]


_KINDS = (
    _Kind(
        "peak_by_cameras.png",
        "Peak rate of all cameras together",
        "images a second",
        lambda case: case.numbers.get("peak_hz", math.nan) * float(case.case["cameras"]),
    ),
    _Kind(
        "latency_by_cameras.png",
        "Latency at the fixed rate",
        "ms, median",
        lambda case: case.times_ms["total"].p50,
    ),
)


def node_charts(document: BenchmarkDocument) -> dict[str, Figure]:
    """Charts over the number of cameras, by the names of their files; none with one number."""
    cameras = _cameras(document)
    return {
        kind.file: line_chart(
            [Series(name, values) for name, values in _lines(document, kind).items()],
            cameras,
            title=kind.title,
            x_label="cameras",
            y_label=kind.unit,
            from_zero=True,
        )
        for kind in _KINDS
        if _lines(document, kind)
    }


def _cameras(document: BenchmarkDocument) -> list[int]:
    return sorted({int(case.case["cameras"]) for case in document.cases})


def _lines(document: BenchmarkDocument, kind: _Kind) -> dict[str, list[float]]:
    """Values by the number of cameras, of each image size with each number of targets."""
    cameras = _cameras(document)
    if len(cameras) == 1:
        return {}
    lines: dict[str, list[float]] = {}
    for case in document.cases:
        name = f"{case.case['image']}, {case.case['targets']} targets a camera"
        values = lines.setdefault(name, [math.nan] * len(cameras))
        values[cameras.index(int(case.case["cameras"]))] = kind.value(case)
    return {name: values for name, values in lines.items() if not all(map(math.isnan, values))}


def _growth_table(document: BenchmarkDocument, kind: _Kind) -> str:
    rows: Sequence[Sequence[str]] = [
        (name, *(f"{value:.1f}" for value in values))
        for name, values in _lines(document, kind).items()
    ]
    return markdown_table((kind.unit, *map(str, _cameras(document))), rows)
