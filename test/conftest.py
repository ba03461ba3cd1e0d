# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What all tests share: the ROS graph of this run, and the shared data."""

from __future__ import annotations

import importlib.util
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
# Above 101 the ports of a domain are among those that the kernel hands out.
LAST_SAFE_DOMAIN = 101


def prepare_environment() -> None:
    """Keep the run's ROS graph to itself, here and in child processes.

    Runs before rclpy is imported. Children find the present source first.
    """
    # Threads that wait for each other on busy cores make small networks many times slower.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # What was started in the background ignores Ctrl-C, and so would the processes of tests.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["ROS_DOMAIN_ID"] = str(random.SystemRandom().randint(1, LAST_SAFE_DOMAIN))
    if os.environ.get("ROS_DISTRO") == "humble":
        os.environ["ROS_LOCALHOST_ONLY"] = "1"
    else:
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    old = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    others = [entry for entry in old if entry != str(REPOSITORY)]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), *others])
    names = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
    if not any(os.environ.get(name) for name in names):
        old_name = os.environ.get("ROS_DISTRO") in {"humble", "iron", "jazzy"}
        os.environ[names[old_name]] = str(REPOSITORY / "config" / "fastdds.xml")


prepare_environment()


class ModuleWithoutRos(pytest.Module):
    """A module of ROS tests where there is no ROS: skipped, with the reason."""

    def collect(self):
        pytest.skip("rclpy is not installed here (make test sets it up)", allow_module_level=True)


def pytest_pycollect_makemodule(module_path, parent):
    """Skip what is in test/ros without ROS."""
    in_ros = module_path.parent.name == "ros"
    if in_ros and importlib.util.find_spec("rclpy") is None:
        return ModuleWithoutRos.from_parent(parent, path=module_path)
    return None


@pytest.fixture(autouse=True)
def usual_interrupt() -> Iterator[None]:
    """Ctrl-C as it was: a node's `main` changes it for the process that it is meant to run in."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder of golden values and data sets: SIAMMASK_SHARED, or `shared` beside the repository."""
    named = os.environ.get("SIAMMASK_SHARED")
    folder = Path(named) if named else REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"no shared data: {folder} is no folder (SIAMMASK_SHARED names another)")
    return folder
