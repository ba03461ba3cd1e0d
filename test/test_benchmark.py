# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tracker's benchmark: cases, parts that add up, percentiles, reports."""

from __future__ import annotations

import json
import time

import cv2
import numpy as np
import pytest
import torch

from siammask_ros.benchmark import (
    StepTimes,
    Summary,
    benchmark_json,
    benchmark_markdown,
    benchmark_tracker,
    target_boxes,
    total_steps,
    write_benchmark,
)
from siammask_ros.network import build_network

SIZES = ((96, 72), (160, 120))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_network("compact", channels=(8, 8, 8), blocks=(1, 1, 1)).eval()


@pytest.fixture(scope="module")
def report(network):
    return benchmark_tracker(network, sizes=SIZES, targets=(1, 3), steps=4, warm_up=1)


def test_every_case_is_measured(report):
    measured = [(case.size_wh, case.targets) for case in report.cases]
    assert measured == [(size, count) for size in SIZES for count in (1, 3)]
    assert all(case.steps == 4 for case in report.cases)
    assert all(case.initialize.minimum > 0 for case in report.cases)


def test_parts_add_up_to_the_step(report):
    for case in report.cases:
        assert list(case.parts) == list(StepTimes._fields)
        total = sum(summary.mean for summary in case.parts.values())
        assert total == pytest.approx(case.step.mean)
        assert all(summary.minimum > 0 for summary in case.parts.values())
        assert case.frames_per_second == pytest.approx(1000 / case.step.mean)


def test_a_slow_part_shows_where_it_is(network):
    slow_seconds = 0.05
    quick_search = network.search

    def slow_search(*arguments):
        time.sleep(slow_seconds)
        return quick_search(*arguments)

    network.search = slow_search
    try:
        (case,) = benchmark_tracker(network, sizes=SIZES[:1], steps=3, warm_up=0).cases
    finally:
        del network.search
    assert case.parts["network"].minimum >= slow_seconds * 1000
    others = sum(case.parts[name].p50 for name in StepTimes._fields if name != "network")
    assert case.step.p50 - others >= slow_seconds * 1000 * 0.9


def test_a_batch_is_compared_with_its_targets_one_by_one(network):
    """With a network that takes a pause in each pass, however many patches it is given."""
    quick_search = network.search

    def search(*arguments):
        time.sleep(0.03)
        return quick_search(*arguments)

    network.search = search
    try:
        one, four = benchmark_tracker(
            network, sizes=SIZES[:1], targets=(1, 4), steps=3, warm_up=1
        ).cases
    finally:
        del network.search
    assert one.shares == ()
    assert one.share_quartiles is None
    assert len(four.shares) == 3
    first, median, third = four.share_quartiles
    assert 0.2 < first <= median <= third < 0.9


def test_report_names_network_and_place(network, report):
    assert report.network == "compact"
    assert report.parameters == sum(weights.numel() for weights in network.parameters())
    assert report.preset == network.default_preset
    place = report.environment
    assert place.device == "cpu"
    assert place.device_name
    assert (place.torch, place.opencv) == (str(torch.__version__), cv2.__version__)


def test_summary_by_hand():
    summary = Summary.of([5.0, 1.0, 2.0, 4.0, 3.0])
    assert summary == (3.0, 3.0, pytest.approx(4.6), pytest.approx(4.96), 1.0)


@pytest.mark.parametrize("count", [1, 2, 5, 16, 64])
@pytest.mark.parametrize("size_wh", [(854, 480), (1280, 720), (480, 854)])
def test_boxes_lie_apart_in_the_image(size_wh, count):
    boxes = np.array(target_boxes(size_wh, count))
    assert boxes.shape == (count, 4)
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, :2] + boxes[:, 2:] <= size_wh).all()
    assert (boxes[:, 2:] >= 4).all()
    covered = np.zeros(size_wh[::-1], int)
    for x, y, width, height in boxes.astype(int):
        covered[y : y + height, x : x + width] += 1
    assert covered.max() == 1


def test_progress_is_told_in_advance(network):
    calls = []
    options = {"sizes": SIZES[:1], "targets": (1, 2), "steps": 2, "warm_up": 1}
    benchmark_tracker(network, on_step=lambda: calls.append(1), **options)
    assert len(calls) == total_steps(**options) == 6


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"warm_up": -1}, "-1"),
        ({"targets": (1, 0)}, "targets"),
        ({"targets": ()}, "targets"),
        ({"threads": 0}, "threads"),
        ({"sizes": ()}, "no image sizes"),
        ({"sizes": ((640, 20),)}, r"\(640, 20\)"),
    ],
)
def test_bad_arguments_are_named(network, changes, words):
    with pytest.raises(ValueError, match=words):
        benchmark_tracker(network, **changes)


def test_reports_hold_the_numbers(tmp_path, report):
    content = json.loads(benchmark_json(report))
    case = content["cases"][1]
    assert case["size_wh"] == [96, 72]
    assert case["targets"] == 3
    assert case["step"]["p90"] == pytest.approx(report.cases[1].step.p90)
    assert set(case["parts"]) == set(StepTimes._fields)
    assert case["parts"]["crop"]["p50"] == pytest.approx(report.cases[1].parts["crop"].p50)
    assert content["environment"]["device"] == "cpu"
    text = benchmark_markdown(report)
    line = next(line for line in text.splitlines() if line.startswith("| 160x120 | 3 |"))
    assert f" {report.cases[3].frames_per_second:.1f} " in line
    first, median, third = report.cases[3].share_quartiles
    assert f"| {median:.3f} ({first:.3f} to {third:.3f}) |" in line
    assert case["shares"] == list(report.cases[1].shares)
    assert [path.name for path in write_benchmark(tmp_path / "new", report)] == [
        "benchmark.md",
        "benchmark.json",
    ]
    assert (tmp_path / "new" / "benchmark.md").read_text() == text
