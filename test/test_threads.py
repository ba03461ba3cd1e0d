# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Work in threads: same results, same order, same errors."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest
import torch

from siammask_ros.network import build_network
from siammask_ros.threads import in_threads
from siammask_ros.tracker import SiamMaskTracker


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 3, 4, 40])
def test_results_come_in_order(threads: int, count: int) -> None:
    assert in_threads(lambda item: item**2, range(count), threads) == [
        item**2 for item in range(count)
    ]


def test_threads_run_side_by_side() -> None:
    """Each waits until all are there."""
    meeting = threading.Barrier(4, timeout=20)
    assert len(in_threads(lambda _: meeting.wait(), range(4), 4)) == 4


def test_few_items_stay_in_the_thread() -> None:
    for items, threads in ((range(3), 4), (range(9), 1)):
        names = in_threads(lambda _: threading.current_thread().name, items, threads)
        assert set(names) == {threading.current_thread().name}


def test_an_error_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda item: 1 / item, [1, 2, 0, 4], 2)


def test_targets_are_found_alike_by_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = build_network("compact", channels=(8, 8, 8), blocks=(1, 1, 1)).eval()
    tracker = SiamMaskTracker(network)
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    boxes = [(10 + 12 * number, 20 + 3 * number, 20, 25) for number in range(6)]
    states = tracker.initialize_batch([(image, box) for box in boxes])
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(SiamMaskTracker, "_threads", threads)
        found.append(tracker.track_batch([(image, state) for state in states]))
    for (state, one), (other_state, other) in zip(*found, strict=True):
        assert one.box_xywh == other.box_xywh
        assert state.center_xy == other_state.center_xy
        np.testing.assert_array_equal(one.mask, other.mask)


def test_a_forked_process_has_threads_of_its_own() -> None:
    """The parent's do not exist there: nothing would ever be done."""
    assert in_threads(lambda item: item, range(8), 2) == list(range(8))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = in_threads(lambda item: item, range(8), 2) != list(range(8))
        finally:
            os._exit(code)
    deadline = time.monotonic() + 20
    while not (done := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < deadline:
        time.sleep(0.02)
    if not done[0]:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert done == (child, 0)
