# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A benchmark of the tracker as Markdown, JSON and charts; each file is written whole or not."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from siammask_ros.benchmark.document import (
    BenchmarkDocument,
    CaseEntry,
    document_json,
    write_document,
)
from siammask_ros.benchmark.environment import environment_text
from siammask_ros.benchmark.growth import growth_charts, growth_markdown
from siammask_ros.files import markdown_table, write_whole
from siammask_ros.plots import write_chart
from siammask_ros.step_clock import STEP_PARTS

if TYPE_CHECKING:
    import os

    from siammask_ros.benchmark.agreement import Agreement
    from siammask_ros.benchmark.latency import BenchmarkReport, CaseResult
    from siammask_ros.benchmark.memory import MemoryUse

_NAMES = ("network", "backend", "precision")
_EXPLANATION = """\
Time of a tracking step for all targets of an image, masks in full size included. Cases take turns.
"Of the reference": of the time of the first row with the same network (of the first row of all, if
there is none); "of one by one": of as many steps with one target. Median, first to third quartile
of the rounds."""
_AGREEMENT_EXPLANATION = """\
Decisions on the same images from the same states; where the anchor is the same, the largest
differences of the box and the least IoU of the masks:"""


def benchmark_markdown(report: BenchmarkReport) -> str:
    """The whole step with percentiles, the median of each part, agreement, memory and growth."""
    networks = "\n".join(
        f"- {info.names.network}, {info.names.backend}, {info.names.precision}"
        + (f": {info.parameters:,} parameters" if info.parameters else "")
        + (f", preset {info.preset}" if info.preset else "")
        for info in report.subjects
    )
    texts = [
        "# Tracking step",
        environment_text(report.environment),
        networks,
        _EXPLANATION,
        _whole_table(report).rstrip("\n"),
    ]
    with_parts = [case for case in report.cases if case.parts]
    if with_parts:
        texts += ["Median of each part in ms:", _parts_table(with_parts).rstrip("\n")]
    if report.agreements:
        texts += [
            _AGREEMENT_EXPLANATION,
            _agreement_table(report.agreements).rstrip("\n"),
        ]
    if report.memory:
        texts += [
            "Memory of a process that does nothing else, in MiB:",
            _memory_table(report.memory).rstrip("\n"),
        ]
    growth = growth_markdown(report)
    if growth:
        texts += ["## Cost growth", growth.rstrip("\n")]
    if report.left_out:
        texts += ["Left out:", "\n".join(f"- {reason}" for reason in report.left_out)]
    return "\n\n".join(texts) + "\n"


def benchmark_document(
    report: BenchmarkReport, settings: dict[str, object] | None = None
) -> BenchmarkDocument:
    """Everything that was measured, and where, as a document that `compare_documents` takes."""
    return BenchmarkDocument(
        kind="tracker",
        environment=report.environment,
        cases=tuple(_entry(report, case) for case in report.cases),
        settings={
            **(settings or {}),
            "presets": {" ".join(info.names): info.preset for info in report.subjects},
            "parameters": {" ".join(info.names): info.parameters for info in report.subjects},
        },
        notes=report.left_out,
    )


def benchmark_json(report: BenchmarkReport, settings: dict[str, object] | None = None) -> str:
    """The document as JSON."""
    return document_json(benchmark_document(report, settings))


def write_benchmark(
    directory: str | os.PathLike[str],
    report: BenchmarkReport,
    settings: dict[str, object] | None = None,
) -> list[Path]:
    """Write benchmark.md, benchmark.json and charts of what grows; returns their paths."""
    folder = Path(directory)
    return [
        write_whole(folder / "benchmark.md", benchmark_markdown(report)),
        write_document(folder / "benchmark.json", benchmark_document(report, settings)),
        *(write_chart(folder / name, chart) for name, chart in growth_charts(report).items()),
    ]


def _entry(report: BenchmarkReport, case: CaseResult) -> CaseEntry:
    numbers = {"frames_per_second": case.frames_per_second, "steps": float(case.steps)}
    for name, quartiles in (
        ("of_reference", case.ratio_quartiles),
        ("of_one_by_one", case.share_quartiles),
    ):
        if quartiles is not None:
            numbers[name] = quartiles[1]
            numbers[f"{name}_first_quartile"] = quartiles[0]
            numbers[f"{name}_third_quartile"] = quartiles[2]
    for use in report.memory:
        if (use.subject, use.size_wh, use.targets) == (case.subject, case.size_wh, case.targets):
            numbers["ready_mb"], numbers["peak_mb"] = use.ready_mb, use.peak_mb
            numbers["gpu_peak_mb"] = use.gpu_peak_mb
    for each in report.agreements:
        if each.subject == case.subject:
            numbers["same_anchor_share"] = each.same_anchor / each.decisions
            numbers["least_mask_iou"] = each.least_mask_iou
    return CaseEntry(
        case={**case.subject._asdict(), "image": _size(case.size_wh), "targets": case.targets},
        times_ms={"step": case.step, "start": case.initialize, **case.parts},
        numbers=numbers,
    )


def _whole_table(report: BenchmarkReport) -> str:
    head = (*_NAMES, "image", "targets", "fps", "mean ms", "p50", "p90", "p99", "start ms")
    return markdown_table(
        (*head, "of the reference", "of one by one"),
        [
            (
                *_place(case),
                f"{case.frames_per_second:.1f}",
                *(f"{value:.2f}" for value in case.step[:4]),
                f"{case.initialize.p50:.1f}",
                _quartiles(case.ratio_quartiles),
                _quartiles(case.share_quartiles),
            )
            for case in report.cases
        ],
    )


def _parts_table(cases: list[CaseResult]) -> str:
    return markdown_table(
        (*_NAMES, "image", "targets", *STEP_PARTS),
        [
            (*_place(case), *(f"{case.parts[name].p50:.2f}" for name in STEP_PARTS))
            for case in cases
        ],
    )


def _agreement_table(agreements: tuple[Agreement, ...]) -> str:
    return markdown_table(
        (*_NAMES, "compared with", "same anchor", "centre px", "size px", "mask IoU"),
        [
            (
                *each.subject,
                " ".join(each.reference[1:]),
                f"{each.same_anchor} of {each.decisions}",
                *map(_number, (each.center_px, each.size_px)),
                "-" if math.isnan(each.least_mask_iou) else f"{each.least_mask_iou:.4f}",
            )
            for each in agreements
        ],
    )


def _memory_table(uses: tuple[MemoryUse, ...]) -> str:
    head = ("image", "targets", "libraries", "with network", "at most", "GPU at most")
    return markdown_table(
        (*_NAMES, *head),
        [
            (
                *use.subject,
                _size(use.size_wh),
                str(use.targets),
                *(f"{value:.0f}" for value in (use.start_mb, use.ready_mb, use.peak_mb)),
                f"{use.gpu_peak_mb:.0f}" if use.gpu_peak_mb else "-",
            )
            for use in uses
        ],
    )


def _place(case: CaseResult) -> tuple[str, ...]:
    return (*case.subject, _size(case.size_wh), str(case.targets))


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1e}"


def _quartiles(quartiles: tuple[float, float, float] | None) -> str:
    if quartiles is None:
        return "-"
    first, median, third = quartiles
    return f"{median:.3f} ({first:.3f} to {third:.3f})"


def _size(size_wh: tuple[int, int]) -> str:
    return f"{size_wh[0]}x{size_wh[1]}"
