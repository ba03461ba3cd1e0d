# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transitions: over and over, with parameters that cannot work, and in the middle of things."""

from __future__ import annotations

import pickle
import threading

import pytest
import rclpy
import torch
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.parameter import Parameter
from ros_graph import TARGET_BOX, in_its_thread

from siammask_ros.ros import node as node_module
from siammask_ros.ros.node import SiamMaskNode

ROUNDS = 20


class Malicious:
    """Unpickling it would run code."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('code of the checkpoint ran')",))


@pytest.fixture(scope="module")
def node(make_tracker):
    return make_tracker("cycle", active=False)


@pytest.fixture(scope="module")
def client(node, make_client):
    return make_client("cycle")


def transition(client, name):
    service = client.node.create_client(ChangeState, "siammask_tracker/change_state")
    number = getattr(Transition, f"TRANSITION_{name.upper()}")
    answer = client.call(service, ChangeState.Request(transition=Transition(id=number)))
    client.node.destroy_client(service)
    return answer.success


@pytest.fixture
def change(client):
    return lambda name: transition(client, name)


def state(client):
    service = client.node.create_client(GetState, "siammask_tracker/get_state")
    number = client.call(service, GetState.Request()).current_state.id
    client.node.destroy_client(service)
    return number


def test_twenty_rounds_leave_nothing_behind(node, client, change):
    def entities():
        return (
            threading.active_count(),
            len(list(node.subscriptions)),
            len(list(node.publishers)),
            len(list(node.services)),
            len(list(node.timers)),
            len(node._managed_entities),
        )

    before = None
    for _ in range(ROUNDS):
        assert change("configure")
        assert change("activate")
        if before is None:
            client.process()
            assert client.set_targets(TARGET_BOX).success
            assert len(client.process().boxes) == 1
        assert change("deactivate")
        assert change("cleanup")
        before = before or entities()
        assert entities() == before
    assert state(client) == State.PRIMARY_STATE_UNCONFIGURED


def test_inactive_node_refuses_and_keeps_its_targets(client, change):
    assert change("configure")
    response = client.set_targets(TARGET_BOX)
    assert not response.success
    assert "not active" in response.message
    assert change("activate")
    client.process()
    assert client.set_targets(TARGET_BOX, ids=[4]).success
    client.process()
    assert change("deactivate")
    assert "not active" in client.clear_targets(4).message
    assert change("activate")
    assert [box.target_id for box in client.process().boxes] == [4]
    assert change("deactivate")
    assert change("cleanup")
    assert change("configure")
    assert change("activate")
    assert list(client.process().boxes) == []
    assert change("deactivate")
    assert change("cleanup")


def other_network(folder):
    path = folder / "other.pth"
    torch.save({"state_dict": {"conv1.weight": torch.zeros(3, 3)}}, path)
    return path


def malicious_pickle(folder):
    path = folder / "malicious.pth"
    path.write_bytes(pickle.dumps(Malicious()))
    return path


def text_file(folder):
    path = folder / "text.pth"
    path.write_text("no checkpoint")
    return path


@pytest.mark.parametrize(
    "make_file",
    [lambda folder: folder / "missing.pth", lambda folder: folder, text_file, other_network,
     malicious_pickle],
    ids=["missing", "folder", "text", "other network", "code in a pickle"],
)  # fmt: skip
def test_weights_that_cannot_be_loaded_fail_configuring(node, client, change, tmp_path, make_file):
    good = node.get_parameter("weights").value
    path = str(make_file(tmp_path))
    in_its_thread(node, node.set_parameters, [Parameter("weights", value=path)])
    assert not change("configure")
    assert state(client) == State.PRIMARY_STATE_UNCONFIGURED
    status = client.diagnostics("node", lambda status: path in status.message)
    assert status.level == b"\x02"
    assert "cannot configure" in status.message
    in_its_thread(node, node.set_parameters, [Parameter("weights", value=good)])


@pytest.mark.parametrize(
    ("name", "bad", "words"),
    [
        ("cameras", ["left", "left"], "two cameras have the name 'left'"),
        ("cameras", ["no good"], "'no good' is not a valid ROS name"),
        ("device", "gpu", "device must be auto, cpu, cuda or cuda:N, got 'gpu'"),
        ("processing", "fast", "processing must be one of realtime, every_frame"),
    ],
)
def test_bad_parameters_are_refused_with_the_reason(node, name, bad, words):
    [result] = in_its_thread(node, node.set_parameters, [Parameter(name, value=bad)])
    assert not result.successful
    assert words in result.reason


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is here")
def test_cuda_that_is_absent_fails_configuring(node, client, change):
    in_its_thread(node, node.set_parameters, [Parameter("device", value="cuda:0")])
    assert not change("configure")
    status = client.diagnostics("node", lambda status: "cuda" in status.message)
    assert "0 CUDA devices" in status.message
    in_its_thread(node, node.set_parameters, [Parameter("device", value="auto")])
    assert change("configure")
    assert client.diagnostics("node", lambda status: status.hardware_id).hardware_id == "cpu"
    assert change("cleanup")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"cameras": ["left", "left"]}, "two cameras have the name 'left'"),
        ({"lost_below": 0.95}, "lost_below"),
        ({"image_transport": "theora"}, "image_transport must be one of raw, compressed"),
    ],
)
def test_bad_values_given_at_start_fail_configuring(make_tracker, overrides, words):
    node = make_tracker("start", active=False, **overrides)
    in_its_thread(node, node.trigger_configure)
    assert words in node.fault
    assert node._engine is None


@pytest.mark.parametrize(
    ("overrides", "error"),
    [
        ({"overlay_scale": 9.0}, InvalidParameterValueException),
        ({"threads": "many"}, InvalidParameterTypeException),
    ],
)
def test_values_out_of_range_end_the_process_with_a_line(overrides, error, monkeypatch, capfd):
    [(name, value)] = overrides.items()
    parameters = [Parameter(name, value=value)]
    with pytest.raises(error, match=name):
        SiamMaskNode(namespace="range", parameter_overrides=parameters)
    # `main` around the same failure, in the context of this test run.
    monkeypatch.setattr(rclpy, "init", lambda args=None: None)
    monkeypatch.setattr(rclpy, "try_shutdown", lambda: None)
    monkeypatch.setattr(
        node_module, "SiamMaskNode", lambda: SiamMaskNode(parameter_overrides=parameters)
    )
    assert node_module.main() == 1
    assert name in capfd.readouterr().err


def test_calls_while_it_shuts_down_are_refused_or_unanswered(make_tracker, make_client):
    node = make_tracker("end")
    client = make_client("end")
    client.process()
    assert client.set_targets(TARGET_BOX).success
    assert transition(client, "active_shutdown")
    assert not any(thread.name == "siammask_inference" for thread in threading.enumerate())
    assert not client.set_service.service_is_ready()
    assert state(client) == State.PRIMARY_STATE_FINALIZED
    assert node._engine is None
