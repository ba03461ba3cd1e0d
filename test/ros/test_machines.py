# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera, tracker and consumer as on three machines: participants that share no memory.

They talk by UDP, through the loopback.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
import rclpy
from std_msgs.msg import String

PROFILE = """<?xml version="1.0" encoding="UTF-8"?>
<dds xmlns="http://www.eprosima.com">
  <profiles>
    <transport_descriptors>
      <transport_descriptor>
        <transport_id>between_machines</transport_id>
        <type>UDPv4</type>
      </transport_descriptor>
    </transport_descriptors>
    <participant profile_name="without_shared_memory" is_default_profile="true">
      <rtps>
        <userTransports>
          <transport_id>between_machines</transport_id>
        </userTransports>
        <useBuiltinTransports>false</useBuiltinTransports>
      </rtps>
    </participant>
  </profiles>
</dds>
"""
RANGE, PEERS = "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_STATIC_PEERS"
PATIENCE_S = 10.0
QUIET_S = 2.0
RUN = """
import json, sys
from siammask_ros.benchmark import NodeOptions
from siammask_ros.ros.benchmark import run_node_benchmark
report = run_node_benchmark(
    NodeOptions(weights=sys.argv[1], device="cpu", threads=1, sizes=((640, 360),), rate=5.0,
                seconds=2.0, peak=False, compressed=sys.argv[2] == "jpeg"))
case, = report.document.cases
print(json.dumps({**case.numbers, **{name: t.p50 for name, t in case.times_ms.items()}}))
"""

pytestmark = pytest.mark.skipif(
    os.environ.get("ROS_DISTRO") == "humble", reason="Humble has no range of discovery"
)


@pytest.mark.parametrize("transport", ["raw", "jpeg"])
def test_three_machines(weights, tmp_path, transport):
    profile = tmp_path / "udp.xml"
    profile.write_text(PROFILE)
    environment = dict(os.environ)
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        environment.pop(name, None)
    old = os.environ.get("ROS_DISTRO") in {"iron", "jazzy"}
    environment[("FASTDDS", "FASTRTPS")[old] + "_DEFAULT_PROFILES_FILE"] = str(profile)
    done = subprocess.run(
        [sys.executable, "-c", RUN, weights, transport],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    # An image of 691 kB takes eleven datagrams or more; reliable delivery brings them all.
    assert found["dropped"] <= 0.3
    assert found["answered_hz"] > 0
    assert found["mask total"] > 0  # masks came back, with the stamps of the images
    assert found["total"] >= found["transport in"] + found["inference"] > 0


class Machine:
    """A participant of its own with one node."""

    def __init__(self, name):
        self.context = rclpy.Context()
        self.context.init()
        self.node = rclpy.create_node(name, context=self.context)

    def close(self):
        self.node.destroy_node()
        self.context.try_shutdown()


@pytest.fixture
def machine(monkeypatch):
    machines = []

    def make(name, *, discovery, peers=""):
        monkeypatch.setenv(RANGE, discovery)
        monkeypatch.setenv(PEERS, peers)
        machines.append(Machine(name))
        return machines[-1]

    yield make
    for each in machines:
        each.close()


def sees(machine, topic, patience_s):
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if machine.node.count_publishers(topic):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(("peers", "found"), [("127.0.0.1", True), ("", False)])
def test_range_of_discovery(machine, peers, found):
    """A range of OFF ends all discovery, named peers included; the peers of LOCALHOST count."""
    discovery = "LOCALHOST" if found else "OFF"
    camera = machine("camera", discovery=discovery, peers=peers)
    camera.node.create_publisher(String, "/camera/image", 1)
    tracker = machine("tracker", discovery=discovery, peers=peers)
    assert sees(tracker, "/camera/image", PATIENCE_S if found else QUIET_S) is found
