# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How much memory a subject needs, in a process of its own.

In the process that measures times all subjects lie side by side, so it says nothing about one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from siammask_ros.benchmark.subjects import (
    NanoOptions,
    OfficialOptions,
    OwnOptions,
    Subject,
    SubjectNames,
    SubjectOptions,
)
from siammask_ros.benchmark.targets import rendered_images, target_boxes

if TYPE_CHECKING:
    from collections.abc import Sequence

_KINDS: dict[str, Any] = {
    kind.__name__: kind for kind in (OwnOptions, OfficialOptions, NanoOptions)
}
_STEPS = 3
_MEGABYTE = 1 << 20
_STATUS = Path("/proc/self/status")
_RESET_PEAK = Path("/proc/self/clear_refs")
_COMMAND = "from siammask_ros.benchmark.memory import main; main()"


class MemoryUse(NamedTuple):
    """Memory of a process that does nothing else, in MiB.

    Attributes:
        subject: what runs in it.
        size_wh: image size.
        targets: targets in a step.
        start_mb: of the process with its libraries, before a network is loaded.
        ready_mb: with the network loaded.
        peak_mb: the most while it tracks.
        gpu_peak_mb: the most that torch held of the GPU's memory; 0 on the CPU.
    """

    subject: SubjectNames
    size_wh: tuple[int, int]
    targets: int
    start_mb: float
    ready_mb: float
    peak_mb: float
    gpu_peak_mb: float


def measure_memory(
    options: SubjectOptions,
    cases: Sequence[tuple[tuple[int, int], int]],
    *,
    threads: int | None = None,
) -> list[MemoryUse]:
    """Open a subject in a process of its own and track in it.

    Args:
        options: the subject.
        cases: sizes and numbers of targets, in rising order: freed memory stays with the process.
        threads: as of `benchmark_subjects`.

    Raises:
        RuntimeError: the process failed; with the last line of what it said.
    """
    request = {
        "kind": type(options).__name__,
        "options": asdict(options),
        "cases": list(cases),
        "threads": threads,
    }
    package_home = str(Path(__file__).resolve().parents[2])
    paths = [package_home, *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise RuntimeError(f"the process that measures memory failed: {last}")
    answers: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return [
        MemoryUse(
            **{
                **answer,
                "subject": SubjectNames(*answer["subject"]),
                "size_wh": tuple(answer["size_wh"]),
            }
        )
        for answer in answers
    ]


def main() -> None:
    """What the process does: a request on its input, the answer on the last line of its output."""
    request = json.loads(sys.stdin.read())
    values = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in request["options"].items()
    }
    options: SubjectOptions = _KINDS[request["kind"]](**values)
    cases = [((width, height), count) for (width, height), count in request["cases"]]
    if request["threads"]:
        torch.set_num_threads(request["threads"])
    uses = _measure(options, cases)
    sys.stdout.write("\n" + json.dumps([use._asdict() for use in uses]) + "\n")


def _measure(
    options: SubjectOptions, cases: Sequence[tuple[tuple[int, int], int]]
) -> list[MemoryUse]:
    start_mb = _resident_mb("VmRSS")
    subject: Subject = options.open()
    ready_mb = _resident_mb("VmRSS")
    uses = []
    for size_wh, count in cases:
        image = rendered_images(size_wh, frames=1)[0]
        _forget_peaks(subject.device)
        states = subject.start(image, target_boxes(size_wh, count))
        for _ in range(_STEPS):
            subject.step(image, states)
        uses.append(
            MemoryUse(
                subject.names,
                size_wh,
                count,
                start_mb,
                ready_mb,
                _resident_mb("VmHWM"),
                _gpu_peak_mb(subject.device),
            )
        )
    return uses


def _resident_mb(entry: str) -> float:
    """Memory of this process that is in use (VmRSS), or was at most (VmHWM); NaN if unknown."""
    if _STATUS.is_file():
        for line in _STATUS.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name == entry:
                return int(value.split()[0]) / 1024  # the file has kB
    return float("nan")


def _forget_peaks(device: torch.device) -> None:
    with suppress(OSError):  # forbidden in some containers: then it is the peak of its life
        _RESET_PEAK.write_text("5", encoding="ascii")
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _gpu_peak_mb(device: torch.device) -> float:
    if device.type != "cuda":
        return 0.0
    return torch.cuda.max_memory_reserved(device) / _MEGABYTE
