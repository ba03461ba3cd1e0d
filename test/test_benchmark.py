# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tracker's benchmark: cases that take turns, parts that add up, ratios, reports, growth."""

from __future__ import annotations

import json
import time

import cv2
import numpy as np
import pytest
import torch

from siammask_ros.benchmark import (
    BenchmarkReport,
    CaseResult,
    Found,
    StepTimes,
    SubjectInfo,
    SubjectNames,
    Summary,
    benchmark_document,
    benchmark_json,
    benchmark_markdown,
    benchmark_subjects,
    benchmark_tracker,
    describe_environment,
    target_boxes,
    total_steps,
    write_benchmark,
)
from siammask_ros.benchmark.growth import (
    cost_of_one_more,
    growth_by_size,
    growth_by_targets,
    growth_charts,
    growth_markdown,
    largest_parts,
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
    assert len(four.shares) == 1  # of one round
    first, median, third = four.share_quartiles
    assert 0.2 < first <= median <= third < 0.9


def test_report_names_network_and_place(network, report):
    (subject,) = report.subjects
    assert subject.names == ("compact", "eager", "float32")
    assert subject.parameters == sum(weights.numel() for weights in network.parameters())
    assert subject.preset == network.default_preset
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
        ({"steps": 2, "sizes": ((9, 9),)}, r"\(9, 9\)"),
    ],
)
def test_bad_arguments_are_named(network, changes, words):
    with pytest.raises(ValueError, match=words):
        benchmark_tracker(network, **changes)


def test_reports_hold_the_numbers(tmp_path, report):
    content = json.loads(benchmark_json(report))
    case = content["cases"][1]
    names = ("compact", "eager", "float32", "96x72", 3)
    keys = ("network", "backend", "precision", "image", "targets")
    assert case["case"] == dict(zip(keys, names, strict=True))
    assert case["times_ms"]["step"]["p90"] == pytest.approx(report.cases[1].step.p90)
    assert set(case["times_ms"]) == {"step", "start", *StepTimes._fields}
    crop = report.cases[1].parts["crop"]
    assert case["times_ms"]["crop"]["p50"] == pytest.approx(crop.p50)
    assert content["environment"]["device"] == "cpu"
    text = benchmark_markdown(report)
    start = "| compact | eager | float32 | 160x120 | 3 |"
    line = next(line for line in text.splitlines() if line.startswith(start))
    assert f" {report.cases[3].frames_per_second:.1f} " in line
    first, median, third = report.cases[3].share_quartiles
    assert f"| {median:.3f} ({first:.3f} to {third:.3f}) |" in line
    assert case["numbers"]["of_one_by_one"] == report.cases[1].share_quartiles[1]
    assert [path.name for path in write_benchmark(tmp_path / "new", report)] == [
        "benchmark.md",
        "benchmark.json",
        "cost_by_targets.png",
        "cost_by_size.png",
    ]
    assert (tmp_path / "new" / "benchmark.md").read_text() == text
    assert cv2.imread(str(tmp_path / "new" / "cost_by_size.png")).std() > 5


# --- Several subjects in one run


class Pretended:
    """A subject whose steps take what it is told, by a clock that nothing else moves."""

    device = torch.device("cpu")
    preset = ""
    parameters = 0
    has_parts = False

    def __init__(self, names, milliseconds=0.0, *, diary=None, found=None):
        self.names = SubjectNames(*names)
        self.milliseconds = milliseconds
        self.diary = [] if diary is None else diary
        self.found = found or Found((5.0, 6.0), (3.0, 4.0), 7, np.eye(4, dtype=bool))

    def start(self, image_bgr, boxes_xywh):
        return len(boxes_xywh)

    def step(self, image_bgr, states, clock=None):
        self.diary.append(self.names.network)
        Watch.seconds += self.milliseconds / 1000
        return [self.found] * states


class Watch:
    seconds = 0.0

    @classmethod
    def perf_counter(cls):
        return cls.seconds


@pytest.fixture
def _watch(monkeypatch):
    monkeypatch.setattr("siammask_ros.benchmark.latency.time", Watch)


def test_subjects_take_turns_on_every_case():
    diary = []
    subjects = [Pretended((name, "b", "p"), diary=diary) for name in ("one", "two")]
    report = benchmark_subjects(subjects, sizes=((64, 64),), targets=(1, 2), steps=25, warm_up=0)
    assert [case.steps for case in report.cases] == [25] * 4
    turns = [11, 11, 11, 11] * 2 + [6, 6, 6, 6]  # one that is not timed, then ten; the rest
    timed = diary[-sum(turns) :]
    for turn, name in zip(turns, ["one", "two"] * 6, strict=True):
        assert timed[:turn] == [name] * turn
        timed = timed[turn:]


@pytest.mark.usefixtures("_watch")
def test_ratios_are_to_the_first_of_the_same_network():
    names = [("net", "a", "p"), ("other", "a", "p"), ("net", "b", "p"), ("other", "b", "p")]
    times = [2, 6, 8, 18]
    subjects = [Pretended(name, time) for name, time in zip(names, times, strict=True)]
    lone = Pretended(("lone", "", ""), 4)
    report = benchmark_subjects([*subjects, lone], sizes=((64, 64),), steps=3, warm_up=0)
    quartiles = [case.ratio_quartiles for case in report.cases]
    assert quartiles[0] is None
    assert quartiles[1] is None
    assert quartiles[2] == pytest.approx((4, 4, 4))
    assert quartiles[3] == pytest.approx((3, 3, 3))
    assert quartiles[4] == pytest.approx((2, 2, 2))
    assert report.cases[4].step.p99 == pytest.approx(4)


def test_equal_subjects_are_refused():
    subjects = [Pretended(("net", "a", "p"))] * 2
    with pytest.raises(ValueError, match="subjects must differ"):
        benchmark_subjects(subjects, sizes=((64, 64),))


def test_decisions_are_compared():
    mask = np.zeros((4, 4), bool)
    mask[:2] = True
    smaller = mask.copy()
    smaller[0, 0] = False
    subjects = [
        Pretended(("net", "a", "p"), found=Found((5.0, 6.0), (3.0, 4.0), 7, mask)),
        Pretended(("net", "b", "p"), found=Found((5.0, 6.5), (3.0, 4.25), 7, smaller)),
        Pretended(("net", "c", "p"), found=Found((5.0, 6.0), (3.0, 4.0), 8, mask)),
        Pretended(("lone", "c", "p")),
    ]
    report = benchmark_subjects(subjects, sizes=((64, 64),), targets=(1, 3), steps=1, warm_up=0)
    near, other = report.agreements
    assert near.reference == other.reference == ("net", "a", "p")
    assert (near.subject.backend, near.decisions, near.same_anchor) == ("b", 48, 48)
    assert (near.center_px, near.size_px, near.least_mask_iou) == (0.5, 0.25, 7 / 8)
    assert (other.subject.backend, other.decisions, other.same_anchor) == ("c", 48, 0)
    text = benchmark_markdown(report)
    assert "| net | b | p | a p | 48 of 48 | 5.0e-01 | 2.5e-01 | 0.8750 |" in text
    assert "| net | c | p | a p | 0 of 48 | - | - | - |" in text
    numbers = benchmark_document(report).cases[1].numbers
    assert numbers["same_anchor_share"] == 1
    assert numbers["least_mask_iou"] == 7 / 8


@pytest.mark.usefixtures("_watch")
def test_a_gpu_is_not_waited_for_in_timed_steps(monkeypatch):
    """As if: what a clock does to a step must not be part of the step's time."""
    plain = describe_environment("cpu")
    monkeypatch.setattr("siammask_ros.benchmark.latency.describe_environment", lambda _: plain)
    subject = Pretended(("net", "a", "p"))
    subject.device, subject.has_parts = torch.device("cuda"), True
    clocks = []

    def step(image_bgr, states, clock=None):
        clocks.append(clock)
        if clock is not None:
            clock.begin()
            time.sleep(0.001)
            clock.mark("network")
            Watch.seconds += 5
        return []

    subject.step = step
    (case,) = benchmark_subjects([subject], sizes=((64, 64),), steps=12, warm_up=0).cases
    assert case.steps == 12
    assert case.step.mean == 0
    assert case.parts["network"].minimum >= 1
    assert [clock is not None for clock in clocks] == [
        *[False] * 11, *[True] * 3, *[False] * 3, *[True] * 3
    ]  # fmt: skip


# --- Cost growth


def grown_report():
    """A step of 2 ms and 3 ms a target, of which the network takes 2; a tenth a kilopixel more."""
    names = SubjectNames("net", "eager", "float32")

    def summary(value):
        return Summary(*[value] * 5)

    def case(size_wh, targets):
        crop = size_wh[0] * size_wh[1] / 10_000
        step = 2 + crop + 3 * targets
        parts = {name: summary(0.0) for name in StepTimes._fields}
        parts |= {"crop": summary(2 + crop), "network": summary(2.0 * targets)}
        parts["paste"] = summary(1.0 * targets)
        return CaseResult(names, size_wh, targets, 9, summary(step), parts, summary(1.0))

    sizes = ((200, 100), (100, 50))
    cases = tuple(case(size, targets) for size in sizes for targets in (8, 1))
    info = SubjectInfo(names, "", 0)
    return BenchmarkReport(describe_environment(), (info,), cases)


def test_growth_is_of_one_thing_at_a_time():
    report = grown_report()
    (by_targets,) = growth_by_targets(report)
    assert [(case.size_wh, case.targets) for case in by_targets.cases] == [
        ((100, 50), 1),
        ((100, 50), 8),
    ]
    assert cost_of_one_more(by_targets) == pytest.approx(3)
    (by_size,) = growth_by_size(report)
    assert [(case.size_wh, case.targets) for case in by_size.cases] == [
        ((100, 50), 1),
        ((200, 100), 1),
    ]


def test_what_bounds_a_case_are_its_largest_parts():
    report = grown_report()
    assert largest_parts(growth_by_targets(report)[0].cases[1]) == "network 60%, paste 30%"
    text = growth_markdown(report)
    assert "| net eager float32 | 5.5 | 26.5 | 3.0 | crop 45%, network 36%, paste 18% |" in text
    assert "| subject | 100x50 | 200x100 |" in text


def test_charts_only_of_what_grows(report):
    assert set(growth_charts(grown_report())) == {"cost_by_targets.png", "cost_by_size.png"}
    one = BenchmarkReport(report.environment, report.subjects, report.cases[:1])
    assert growth_charts(one) == {}
    assert growth_markdown(one) == ""
