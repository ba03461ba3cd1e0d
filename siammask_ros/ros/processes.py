# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Child processes of the demo: each a ROS node, none of which outlives us."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CHILD = "siammask_ros.ros.child"
GRACE_S = 5.0
"""Time a process has to end after each of SIGINT and SIGTERM, before it is killed."""
POLL_S = 0.05
OLD_PROFILE_DISTRIBUTIONS = frozenset({"humble", "iron", "jazzy"})
"""Distributions whose Fast DDS reads the profile from the older variable."""
PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
DOMAINS = 100
"""ROS domains that are safe on every system: 0 to 100."""


class ProcessError(RuntimeError):
    """A child process ended when it should not, or did not end; the message says why."""


class NodeProcess:
    """A node run as a child process, its output in a log file.

    Args:
        name: for messages and the log's file name.
        module: Python module that is run.
        folder: where the log and the parameter file are written.
        parameters: the node's parameters.
        remaps: topic names, old to new.
        environment: variables that it has beside ours.
    """

    def __init__(
        self,
        name: str,
        module: str,
        *,
        folder: Path,
        parameters: Mapping[str, object],
        remaps: Mapping[str, str],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        file = folder / f"{name}.yaml"
        file.write_text(parameter_file(parameters), encoding="utf-8")
        # Code between fork and exec could wait for a lock that a thread of the middleware held.
        command = [sys.executable, "-m", CHILD, str(os.getpid()), module]
        command += ["--ros-args", "--params-file", str(file)]
        for old, new in remaps.items():
            command += ["-r", f"{old}:={new}"]
        with self.log.open("wb") as stream:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone, and we end the children
            )

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Exit status, None while it runs."""
        return self._process.poll()

    def check(self) -> None:
        """Raise ProcessError if the process has ended with a failure."""
        if self.status not in (None, 0):
            raise ProcessError(f"{self.name} failed: {self.last_words()}")

    def wait(self, timeout_s: float, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Wait for the process to end well.

        Raises:
            ProcessError: it failed, or did not end in time; or whatever `meanwhile` raises.
        """
        deadline = time.monotonic() + timeout_s
        while self.status is None:
            meanwhile()
            if time.monotonic() > deadline:
                raise ProcessError(f"{self.name} did not end within {timeout_s:.0f} s")
            time.sleep(POLL_S)
        self.check()

    def last_words(self) -> str:
        """The line of its output that says best what went wrong."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        errors = [line for line in lines if "ERROR" in line or "FATAL" in line]
        if errors:
            return errors[-1].split("]: ", 1)[-1]
        return lines[-1] if lines else f"no output, exit status {self.status}"

    def stop(self) -> None:
        """End the process and everything it started: asked first, killed at last."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if self.status is not None:
                return
            self._signal(number)
            try:
                self._process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                continue

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return


def parameter_file(parameters: Mapping[str, object]) -> str:
    """Parameters for any node as a ROS parameter file; JSON strings are YAML strings too."""
    lines = ["/**:", "  ros__parameters:"]
    lines += [f"    {name}: {json.dumps(value)}" for name, value in parameters.items()]
    return "\n".join(lines) + "\n"


def transport_profile() -> Path | None:
    """The package's `config/fastdds.xml`, from an installation or from the source tree."""
    shares = [
        Path(prefix) / "share" / "siammask_ros"
        for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
        if prefix
    ]
    for folder in [*shares, Path(__file__).resolve().parents[2]]:
        profile = folder / "config" / "fastdds.xml"
        if profile.is_file():
            return profile
    return None


def profile_variable() -> str:
    """The environment variable in which this distribution's Fast DDS looks for a profile."""
    return PROFILE_VARIABLES[os.environ.get("ROS_DISTRO", "") in OLD_PROFILE_DISTRIBUTIONS]


def profile_setting() -> dict[str, str]:
    """The variable that names the transport profile, nothing where the user has set one."""
    profile = transport_profile()
    if profile is None or any(map(os.environ.get, PROFILE_VARIABLES)):
        return {}
    return {profile_variable(): str(profile)}


def prepare_environment() -> None:
    """Set what the processes inherit, each only where the user has not set it.

    A transport with which whole images pass between processes, and a domain of our own on this
    machine, so that nothing else on the network sees or disturbs the demo.
    """
    os.environ.update(profile_setting())
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % DOMAINS))
    if os.environ.get("ROS_DISTRO") == "humble":
        os.environ.setdefault("ROS_LOCALHOST_ONLY", "1")
    else:
        os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
