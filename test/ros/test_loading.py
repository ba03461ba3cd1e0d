# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many threads a network gets."""

from __future__ import annotations

import os

import pytest

from siammask_ros.backends import names, prepare_network
from siammask_ros.network import build_network
from siammask_ros.ros.loading import precision_hint, suitable_threads


def parameters(architecture):
    return sum(p.numel() for p in build_network(architecture).parameters())


def test_the_small_network_has_one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert suitable_threads(parameters("compact")) == 1


def test_a_large_network_has_what_the_machine_or_the_user_gives(monkeypatch):
    large = parameters("siammask_r50_refine")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert suitable_threads(large) == 3
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert suitable_threads(large) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("precision", "hardware", "said"),
    [
        ("float32", True, "precision: bfloat16"),
        ("float32", False, ""),
        ("bfloat16", True, ""),
        ("bfloat16", False, "precision: float32"),
    ],
)
def test_a_faster_precision_is_named(precision, hardware, said, monkeypatch):
    monkeypatch.setattr(names, "multiplies_bfloat16", lambda: hardware)
    network = prepare_network(build_network("compact"), backend="eager", precision=precision)
    hint = precision_hint(network)
    assert said in hint
    assert bool(hint) == bool(said)
