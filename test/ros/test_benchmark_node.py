# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the whole node: what it counts, and one short run of it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from siammask_ros.benchmark import (
    BenchmarkDocument,
    CaseEntry,
    NodeOptions,
    Summary,
    describe_environment,
)
from siammask_ros.ros import benchmark
from siammask_ros.ros.benchmark import Latency, Trial, find_peak, node_parameters
from siammask_ros.ros.benchmark_camera import (
    PictureOptions,
    Run,
    Sent,
    read_run,
    read_sent,
    rendered_messages,
    to_text,
)
from siammask_ros.ros.benchmark_node import TraceEntry, read_trace
from siammask_ros.ros.benchmark_report import node_charts, node_markdown
from siammask_ros.ros.benchmark_rig import BenchmarkError, Rig
from siammask_ros.ros.images import decode_image
from siammask_ros.step_clock import StepTimes

MS = 1_000_000
ENTRY = TraceEntry(
    camera="left",
    stamp_ns=1_000 * MS,
    arrival_ns=1_003 * MS,
    results_ns=1_024 * MS,
    published_ns=1_026 * MS,
    queue_ms=0.5,
    decode_ms=0.25,
    inference_ms=20.0,
    parts=StepTimes(crop=1.0, network=17.0),
    gpu_mb=0.0,
)


@pytest.mark.parametrize("limit_hz", [3.0, 19.0, 27.0, 41.0])
def test_peak_is_found_by_halving(limit_hz):
    tried = []

    def passes(rate_hz):
        tried.append(rate_hz)
        return rate_hz <= limit_hz

    peak_hz = find_peak(passes, 22.0)
    assert 0.9 * limit_hz < peak_hz <= limit_hz
    assert peak_hz in tried
    assert max(tried) < 44.0
    assert len(set(tried)) <= 8
    assert max(map(tried.count, tried)) <= 2


def test_one_disturbance_does_not_lower_the_peak():
    tried = []

    def passes(rate_hz):
        tried.append(rate_hz)
        return rate_hz <= 30.0 and tried.count(rate_hz) == 2

    assert 28.0 < find_peak(passes, 22.0) <= 30.0


def test_no_rate_may_pass_and_all_may():
    assert find_peak(lambda rate_hz: False, 20.0) == 0.0
    assert 38.0 <= find_peak(lambda rate_hz: True, 20.0) < 40.0


def test_parts_of_a_latency_make_the_whole():
    latency = Latency.of(ENTRY, received_ns=1_027 * MS, mask_ns=1_028 * MS)
    assert latency == Latency(
        total=27.0, transport_in=3.0, own=3.0, publish=2.0, transport_out=1.0, mask=28.0
    )
    assert latency.transport_in + latency.own + ENTRY.inference_ms + latency.transport_out == 27.0
    assert Latency.of(ENTRY, 1_027 * MS, None).mask is None


@pytest.mark.parametrize(
    ("rate_hz", "dropped", "passes"), [(30.0, 0.04, True), (30.0, 0.05, False), (28.0, 0.0, False)]
)
def test_a_rate_passes_if_it_was_sent_and_answered(rate_hz, dropped, passes):
    assert Trial(30.0, rate_hz, dropped, 9, 9.0, {}).passes is passes


def test_orders_and_answers_pass_as_text():
    run = Run(3, 12.5, 40, 1_700_000_000_000_000_001)
    sent = Sent("left", 3, [10, 20], [0.5, 0.25])
    assert read_run(to_text(run)) == run
    assert read_sent(to_text(sent)) == sent
    assert Sent("left", 3, [0, 50 * MS, 100 * MS], []).rate_hz == 20.0
    assert Sent("left", 3, [0], []).rate_hz == 0.0


def test_images_go_there_and_back():
    messages = rendered_messages(PictureOptions(width=96, height=64, seed=4))
    images = [decode_image(message) for message in messages]
    assert {image.shape for image in images} == {(64, 96, 3)}
    for number in range(1, len(images)):
        np.testing.assert_array_equal(images[number], images[-number])
    assert not np.array_equal(images[0], images[1])
    jpegs = rendered_messages(PictureOptions(width=96, height=64, seed=4, compressed=True))
    assert [bytes(jpeg.data[:2]) for jpeg in jpegs] == [b"\xff\xd8"] * len(images)


def test_a_trace_that_is_being_written_can_be_read(tmp_path):
    path = tmp_path / "trace.jsonl"
    line = json.dumps({**vars(ENTRY), "parts": list(ENTRY.parts)})
    path.write_text(f"{line}\n{line[:30]}")
    assert read_trace(path) == [ENTRY]


def test_settings_are_the_nodes_parameters():
    parameters = node_parameters(
        NodeOptions(settings=("masks=none", "most_rivals=0"), threads=2, compressed=True)
    )
    assert (parameters["masks"], parameters["most_rivals"], parameters["threads"]) == ("none", 0, 2)
    assert parameters["image_transport"] == "compressed"
    assert not {"preset", "backend"} & set(parameters)
    assert node_parameters(NodeOptions(backend="eager"))["backend"] == "eager"
    with pytest.raises(ValueError, match="the node has no parameter mask_size"):
        node_parameters(NodeOptions(settings=("mask_size=3",)))


def test_a_short_run(weights, monkeypatch):
    monkeypatch.setattr(benchmark, "WARM_UP_S", 0.2)
    options = NodeOptions(
        weights=weights, device="cpu", threads=1, sizes=((160, 120),), cameras=(2,), targets=(1, 2),
        rate=5.0, seconds=1.0, peak=False,
    )  # fmt: skip
    names = []
    report = benchmark.run_node_benchmark(options, names.append)
    assert names == ["160x120, 2 cameras, 1 targets", "160x120, 2 cameras, 2 targets"]
    assert report.document.kind == "node"
    for targets, case in zip((1, 2), report.document.cases, strict=True):
        assert case.case == {
            "network": weights, "backend": "auto", "precision": "auto", "image": "160x120",
            "cameras": 2, "targets": targets,
        }  # fmt: skip
        assert case.numbers["sent_hz"] == pytest.approx(5.0, rel=0.5)
        assert 0.0 <= case.numbers["dropped"] < 1.0
        assert 50.0 < case.numbers["rss_mb"] <= case.numbers["peak_rss_mb"]
        times = case.times_ms
        assert 0.0 < case.numbers["cpu_ms"] < 5000.0
        assert {"total", "own", "transport in", "mask total"} <= set(times)
        whole = (times[n].mean for n in ("transport in", "own", "inference", "transport out"))
        assert sum(whole) == pytest.approx(times["total"].mean)
        assert times["publish"].mean <= times["own"].mean
    assert "| 160x120 | 2 | 2 |" in report.markdown


def document(*cameras):
    """A document with two sizes; the node answers 24 images a second, however many cameras."""
    cases = [
        CaseEntry(
            {"network": "n", "image": image, "cameras": count, "targets": 1},
            {name: Summary.of([10.0 * count]) for name in ("total", "own", "inference")},
            {"peak_hz": 24.0 / count, "dropped": 0.0, "rss_mb": 400.0, "peak_rss_mb": 420.0},
        )
        for count in cameras
        for image in ("640x480", "1280x720")
    ]
    settings = {"rate_hz": 15.0, "transport": "raw", "parameters": {"weights": "n"}}
    return BenchmarkDocument("node", describe_environment(), tuple(cases), settings)


def test_growth_with_cameras_is_told_and_drawn():
    report = document(1, 2, 4)
    text = node_markdown(report)
    assert "| 1280x720, 1 targets a camera | 24.0 | 24.0 | 24.0 |" in text
    assert "| 1280x720, 1 targets a camera | 10.0 | 20.0 | 40.0 |" in text
    assert "| 640x480 | 4 | 1 | 6.0 | 0.0 % | 40.0 | 40.0 | 40.0 | 40.00 | - | 400 | 420 |" in text
    charts = node_charts(report)
    assert set(charts) == {"peak_by_cameras.png", "latency_by_cameras.png"}
    lines = charts["latency_by_cameras.png"].axes[0].lines
    assert [list(line.get_xdata()) for line in lines[:1]] == [[1, 2, 4]]
    assert [list(line.get_ydata()) for line in lines[:1]] == [[10.0, 20.0, 40.0]]
    assert node_charts(document(2)) == {}


def test_a_process_that_fails_is_named(tmp_path):
    with Rig(tmp_path) as rig:
        rig.start("odd", "siammask_ros.no_such_module", {})
        with pytest.raises(BenchmarkError, match=r"odd failed: .*no_such_module"):
            rig.wait(lambda: False, "nothing", 30.0)
