# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes under test, spun in this process."""

from __future__ import annotations

import pytest
import rclpy
import torch
from rclpy.parameter import Parameter
from ros_graph import Client, Spinner

from siammask_ros.network import build_network, save_network
from siammask_ros.ros.node import SiamMaskNode
from siammask_ros.ros.run_node import start


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A checkpoint with random numbers: it finds nothing, but it runs."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    save_network(build_network("compact"), path, metadata={})
    return str(path)


@pytest.fixture(scope="package", autouse=True)
def ros():
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture(scope="module")
def make_tracker(weights):
    """Nodes under test, spun in threads; with random weights nothing may count as lost."""
    spinners = []

    def make(namespace="", *, active=True, **parameters):
        values = {
            "weights": weights, "device": "cpu", "lost_below": 0.0, "uncertain_below": 0.0,
            "backend": "eager",  # made ready at once; others take seconds
            **parameters,
        }  # fmt: skip
        node = SiamMaskNode(
            namespace=namespace,
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
        )
        if active:
            start(node)
        spinners.append(Spinner(node))
        return node

    yield make
    for spinner in spinners:
        spinner.close()


@pytest.fixture(scope="module")
def make_client():
    clients = []

    def make(*args, **options):
        clients.append(Client(*args, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()
