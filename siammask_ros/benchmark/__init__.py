# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Latency of the tracker: whole step and parts, by image size and number of targets."""

from siammask_ros.benchmark.latency import (
    DEFAULT_SIZES,
    BenchmarkReport,
    CaseResult,
    Environment,
    Summary,
    benchmark_tracker,
    device_name,
    target_boxes,
    total_steps,
)
from siammask_ros.benchmark.report import benchmark_json, benchmark_markdown, write_benchmark
from siammask_ros.step_clock import StepTimes

__all__ = [
    "DEFAULT_SIZES",
    "BenchmarkReport",
    "CaseResult",
    "Environment",
    "StepTimes",
    "Summary",
    "benchmark_json",
    "benchmark_markdown",
    "benchmark_tracker",
    "device_name",
    "target_boxes",
    "total_steps",
    "write_benchmark",
]
