# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The clock of a tracking step, alone and in the tracker."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from siammask_ros import step_clock
from siammask_ros.network import build_network
from siammask_ros.step_clock import STEP_PARTS, StepClock, StepTimes
from siammask_ros.tracker import SiamMaskTracker, TrackerConfig


class _Recorder(StepClock):
    """A clock that keeps what it is told."""

    def __init__(self):
        super().__init__()
        self.told = []

    def begin(self):
        self.told.append("begin")

    def mark(self, part):
        self.told.append(part)


@pytest.fixture
def at(monkeypatch):
    """Return a function that sets the time in seconds."""
    now = [0.0]
    monkeypatch.setattr(step_clock.time, "perf_counter", lambda: now[0])
    return lambda seconds: now.__setitem__(0, seconds)


def test_times_belong_to_the_part_that_ends(at):
    clock = StepClock()
    at(10.0)  # between the steps
    clock.begin()
    for seconds, part in ((10.001, "crop"), (10.003, "network"), (10.007, "mask")):
        at(seconds)
        clock.mark(part)
    at(20.0)
    clock.begin()
    at(20.008)
    clock.mark("network")
    times = clock.take()
    assert times == pytest.approx((1.0, 0.0, 10.0, 0.0, 4.0, 0.0))
    assert times.total == pytest.approx(15.0)
    assert clock.take() == StepTimes()


def test_times_are_named_as_the_parts():
    assert StepTimes._fields == STEP_PARTS


@pytest.mark.parametrize("masks", ["best", "none"])
def test_the_tracker_marks_its_parts_in_order(masks):
    torch.manual_seed(0)
    network = build_network("compact", channels=(8, 8, 8), blocks=(1, 1, 1)).eval()
    clock = _Recorder()
    config = TrackerConfig.preset("compact", masks=masks)
    tracker = SiamMaskTracker(network, config, largest_batch=2, clock=clock)
    image = np.zeros((72, 96, 3), np.uint8)
    states = tracker.initialize_batch([(image, (20, 20, 20, 20))] * 3)
    assert clock.told == []
    tracker.track_batch([(image, state) for state in states])
    one_pass = ["upload", "network", "choice", "mask"]
    assert clock.told == ["begin", "crop", *one_pass, *one_pass, "paste"]
