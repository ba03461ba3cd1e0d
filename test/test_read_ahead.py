# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Items that are made in another thread."""

from __future__ import annotations

import threading
import time

import pytest

from siammask_ros.read_ahead import read_ahead


def test_the_items_come_in_their_order():
    with read_ahead(iter(range(50)), 3) as items:
        assert list(items) == list(range(50))


def test_they_are_made_elsewhere_and_only_a_few_ahead():
    made, threads = [], set()

    def source():
        for number in range(100):
            made.append(number)
            threads.add(threading.current_thread())
            yield number

    with read_ahead(source(), 3) as items:
        assert next(items) == 0
        time.sleep(0.2)
        assert len(made) <= 1 + 3 + 1  # taken, waiting, and the one that finds no room
    assert threading.current_thread() not in threads
    assert not any(thread.is_alive() for thread in threads)


def test_an_error_comes_after_the_items_before_it():
    def source():
        yield 1
        raise ValueError("no more")

    with read_ahead(source(), 3) as items:
        assert next(items) == 1
        with pytest.raises(ValueError, match="no more"):
            next(items)


def test_an_error_of_the_block_ends_the_thread():
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), read_ahead(iter(range(1000)), 2) as items:
        1 / next(items)
    assert threading.active_count() == before
