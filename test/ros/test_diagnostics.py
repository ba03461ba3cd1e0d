# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reports, and what keeps logs and answers at a bearable pace."""

from __future__ import annotations

import time

import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from siammask_ros.engine import CameraCounters, Timings
from siammask_ros.ros import diagnostics
from siammask_ros.ros.diagnostics import (
    CameraReport,
    FrameCost,
    FrameMeter,
    LogGate,
    node_status,
)
from siammask_ros.ros.pacing import ReplyPacer
from siammask_ros.step_clock import StepTimes


class Clock:
    """Time that passes when it is told to."""

    def __init__(self):
        self.now_s = 100.0

    def monotonic(self):
        return self.now_s


@pytest.fixture
def clock(monkeypatch):
    result = Clock()
    monkeypatch.setattr(diagnostics, "time", result)
    return result


def test_meter_gives_means_and_rate_of_the_period(clock):
    meter = FrameMeter()
    meter.add(Timings(1.0, 2.0, 10.0), 3.0)
    meter.add(Timings(3.0, 2.0, 20.0), 5.0)
    clock.now_s += 0.5
    assert meter.take() == FrameCost(4.0, 2.0, 2.0, 15.0, 4.0)
    assert meter.take() == FrameCost()


def test_meter_gives_means_of_the_parts_of_a_step(clock):
    meter = FrameMeter()
    meter.add(Timings(1.0, 2.0, 10.0, StepTimes(crop=1.0, network=6.0)), 3.0)
    meter.add(Timings(1.0, 2.0, 20.0, StepTimes(crop=2.0, paste=4.0)), 3.0)
    cost = meter.take()
    assert (cost.queue_ms, cost.publish_ms) == (1.0, 3.0)
    assert cost.step == StepTimes(crop=1.5, network=3.0, paste=2.0)
    report = CameraReport("", "/image", cost, CameraCounters(), 1, 0, False, "none", "")
    values = {entry.key: entry.value for entry in report.status("cpu").values}
    assert (values["crop_ms"], values["network_ms"], values["mask_ms"]) == ("1.50", "3.00", "0.00")
    assert values["latency_ms"] == "21.00"  # the parts are not counted twice


@pytest.mark.parametrize("fault", ["", "no image for more than 3 s: nobody publishes it"])
def test_report_of_a_camera(fault):
    counters = CameraCounters(received=9, processed=7, dropped=2)
    report = CameraReport(
        "left", "/left/image", FrameCost(30.0, 1.0), counters, 2, 3, False, "none", fault
    )
    status = report.status("cpu")
    assert status.name == "siammask_tracker: camera left"
    assert status.hardware_id == "cpu"
    assert status.level == (DiagnosticStatus.WARN if fault else DiagnosticStatus.OK)
    assert status.message == (fault or "30.0 frames/s, 2 targets")
    values = {entry.key: entry.value for entry in status.values}
    assert (values["dropped"], values["lost_by_middleware"], values["latency_ms"]) == (
        "2", "3", "1.00",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("state", "fault", "level"),
    [
        ("active", "", DiagnosticStatus.OK),
        ("inactive", "", DiagnosticStatus.WARN),
        ("unconfigured", "cannot configure: no file", DiagnosticStatus.ERROR),
    ],
)
def test_report_of_the_node(state, fault, level):
    status = node_status(state, device="cpu", weights="w", processing="realtime", fault=fault)
    assert status.level == level
    assert (fault or state) in status.message


def test_faults_are_logged_once_and_again_when_they_change(clock):
    gate = LogGate()
    assert gate.lets_pass("image", "step 7")
    assert not gate.lets_pass("image", "step 7")
    assert not gate.lets_pass("image", "step 8")  # not with every image
    assert gate.lets_pass("other image", "step 7")
    clock.now_s += LogGate.CHANGE_S
    assert gate.lets_pass("image", "step 8")
    clock.now_s += LogGate.REPEAT_S
    assert gate.lets_pass("image", "step 8")


def test_a_burst_passes_and_the_rest_is_spaced():
    pacer = ReplyPacer(burst=5, period_s=0.02)
    began = time.monotonic()
    for _ in range(5):
        pacer.wait()
    assert time.monotonic() - began < 0.02
    for _ in range(5):
        pacer.wait()
    assert time.monotonic() - began >= 0.09
