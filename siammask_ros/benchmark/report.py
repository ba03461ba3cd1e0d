# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A benchmark as Markdown and JSON; each file is written whole or not at all."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from siammask_ros.files import markdown_table, write_whole
from siammask_ros.step_clock import StepTimes

if TYPE_CHECKING:
    import os

    from siammask_ros.benchmark.latency import BenchmarkReport


def benchmark_markdown(report: BenchmarkReport) -> str:
    """Two tables: the whole step with percentiles, and the median of each part."""
    place = report.environment
    whole = markdown_table(
        ("image", "targets", "fps", "mean ms", "p50", "p90", "p99", "start ms", "of one by one"),
        [
            (
                _size(case.size_wh),
                str(case.targets),
                f"{case.frames_per_second:.1f}",
                *(f"{value:.1f}" for value in case.step[:4]),
                f"{case.initialize.p50:.1f}",
                _share(case.share_quartiles),
            )
            for case in report.cases
        ],
    )
    parts = markdown_table(
        ("image", "targets", *StepTimes._fields),
        [
            (
                _size(case.size_wh),
                str(case.targets),
                *(f"{case.parts[name].p50:.2f}" for name in StepTimes._fields),
            )
            for case in report.cases
        ],
    )
    return (
        f"# {report.network}, preset {report.preset}\n\n"
        f"{report.parameters:,} parameters on {place.device} ({place.device_name}, "
        f"{place.cpu_count} cores), {place.torch_threads} torch and {place.opencv_threads} OpenCV "
        f"threads, load average {place.load_average:.1f}. Python {place.python}, "
        f"torch {place.torch}, OpenCV {place.opencv}, NumPy {place.numpy}, {place.system}.\n\n"
        "Time of a tracking step for all targets of an image, masks in full size included, and\n"
        "its share of the time of their steps one by one (median, first to third quartile):\n\n"
        f"{whole}\nMedian of each part in ms:\n\n{parts}"
    )


def benchmark_json(report: BenchmarkReport) -> str:
    """Everything that was measured, and where."""
    content = asdict(report)
    for entry, case in zip(content["cases"], report.cases, strict=True):
        entry["frames_per_second"] = case.frames_per_second
        entry["step"] = case.step._asdict()
        entry["initialize"] = case.initialize._asdict()
        entry["parts"] = {name: summary._asdict() for name, summary in case.parts.items()}
    return json.dumps(content, indent=1) + "\n"


def write_benchmark(directory: str | os.PathLike[str], report: BenchmarkReport) -> list[Path]:
    """Write benchmark.md and benchmark.json; returns their paths."""
    folder = Path(directory)
    return [
        write_whole(folder / "benchmark.md", benchmark_markdown(report)),
        write_whole(folder / "benchmark.json", benchmark_json(report)),
    ]


def _share(quartiles: tuple[float, float, float] | None) -> str:
    if quartiles is None:
        return "-"
    first, median, third = quartiles
    return f"{median:.3f} ({first:.3f} to {third:.3f})"


def _size(size_wh: tuple[int, int]) -> str:
    return f"{size_wh[0]}x{size_wh[1]}"
