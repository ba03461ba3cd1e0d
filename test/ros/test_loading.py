# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a network is made ready for the node: threads, precision, and what is made before."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
import torch

from siammask_ros.backends import names, prepare_network
from siammask_ros.backends.device_network import DeviceNetwork
from siammask_ros.network import build_network, fuse_for_inference, load_network
from siammask_ros.ros.loading import (
    build_tracker,
    load_for_tracking,
    precision_hint,
    suitable_threads,
    warm_up,
)
from siammask_ros.ros.parameters import Settings


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


def test_steps_for_several_targets_are_made_before_the_first_image(weights):
    """As on a GPU, where a capture takes a second."""
    fused = fuse_for_inference(load_network(weights))
    network = DeviceNetwork(fused, backend="cuda_graphs", precision="float32")
    made = []
    real = network.make_ready
    network.make_ready = lambda config, kernels: made.append(real(config, kernels, targets=(1, 2)))
    warm_up(build_tracker(network, Settings(weights=weights)))
    assert made == [None]


def test_torch_keeps_one_thread_where_another_library_runs_the_network(weights):
    pytest.importorskip("openvino")
    before = torch.get_num_threads()
    try:
        said = []
        settings = Settings(weights=weights, backend="openvino", threads=2)
        network = load_for_tracking(settings, "cpu", said.append)
        assert (network.backend, network.threads, torch.get_num_threads()) == ("openvino", 2, 1)
        assert said == []
        load_for_tracking(replace(settings, backend="eager"), "cpu")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
