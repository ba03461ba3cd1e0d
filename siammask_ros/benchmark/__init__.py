# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Latency, memory and cost growth of the tracker, beside others in the same run.

`siammask_ros.ros` measures the whole node and leaves documents of the same form.
"""

from siammask_ros.benchmark.agreement import Agreement
from siammask_ros.benchmark.compare import (
    Comparison,
    Ratio,
    compare_documents,
    comparison_markdown,
)
from siammask_ros.benchmark.document import (
    BenchmarkDocument,
    CaseEntry,
    Summary,
    document_json,
    read_document,
    write_document,
)
from siammask_ros.benchmark.environment import (
    Environment,
    describe_environment,
    device_name,
    environment_text,
    source_commit,
)
from siammask_ros.benchmark.latency import (
    DEFAULT_SIZES,
    BenchmarkReport,
    CaseResult,
    SubjectInfo,
    benchmark_subjects,
    benchmark_tracker,
    total_steps,
)
from siammask_ros.benchmark.memory import MemoryUse, measure_memory
from siammask_ros.benchmark.node import NodeOptions, NodeReport
from siammask_ros.benchmark.random_weights import RANDOM_PREFIX, random_network
from siammask_ros.benchmark.report import (
    benchmark_document,
    benchmark_json,
    benchmark_markdown,
    write_benchmark,
)
from siammask_ros.benchmark.run import run_benchmark
from siammask_ros.benchmark.subjects import (
    Found,
    NanoOptions,
    OfficialOptions,
    OwnOptions,
    OwnSubject,
    Subject,
    SubjectNames,
    SubjectOptions,
)
from siammask_ros.benchmark.targets import rendered_images, target_boxes
from siammask_ros.step_clock import StepTimes

__all__ = [
    "DEFAULT_SIZES",
    "RANDOM_PREFIX",
    "Agreement",
    "BenchmarkDocument",
    "BenchmarkReport",
    "CaseEntry",
    "CaseResult",
    "Comparison",
    "Environment",
    "Found",
    "MemoryUse",
    "NanoOptions",
    "NodeOptions",
    "NodeReport",
    "OfficialOptions",
    "OwnOptions",
    "OwnSubject",
    "Ratio",
    "StepTimes",
    "Subject",
    "SubjectInfo",
    "SubjectNames",
    "SubjectOptions",
    "Summary",
    "benchmark_document",
    "benchmark_json",
    "benchmark_markdown",
    "benchmark_subjects",
    "benchmark_tracker",
    "compare_documents",
    "comparison_markdown",
    "describe_environment",
    "device_name",
    "document_json",
    "environment_text",
    "measure_memory",
    "random_network",
    "read_document",
    "rendered_images",
    "run_benchmark",
    "source_commit",
    "target_boxes",
    "total_steps",
    "write_benchmark",
    "write_document",
]
