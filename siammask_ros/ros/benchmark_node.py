# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tracker node as it is, and a line in a file for every image: when it came, what it cost.

The file is named by the environment variable SIAMMASK_TRACE.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rclpy

from siammask_ros.ros.diagnostics import NODE_NAME
from siammask_ros.ros.messages import stamp_to_ns
from siammask_ros.ros.node import SiamMaskNode
from siammask_ros.ros.run_node import interrupt_once, run_node
from siammask_ros.step_clock import StepTimes

if TYPE_CHECKING:
    from siammask_ros.engine import Timings
    from siammask_ros.frames import Frame
    from siammask_ros.tracked import TargetEntry

TRACE_VARIABLE = "SIAMMASK_TRACE"
"""Environment variable that names the file."""
BYTES_PER_MEGABYTE = 1e6
KEPT_ARRIVALS = 1000


@dataclass(frozen=True)
class TraceEntry:
    """One image on its way through the node; moments by the system's clock.

    Attributes:
        camera: its camera.
        stamp_ns: its stamp.
        arrival_ns: when its callback began.
        results_ns: when its results came out of the inference.
        published_ns: when all of them were published.
        queue_ms, decode_ms, inference_ms: as the node reports them.
        parts: parts of the inference.
        gpu_mb: the most memory that torch has had on the GPU, 0 without one.
    """

    camera: str
    stamp_ns: int
    arrival_ns: int
    results_ns: int
    published_ns: int
    queue_ms: float
    decode_ms: float
    inference_ms: float
    parts: StepTimes
    gpu_mb: float


def read_trace(path: Path) -> list[TraceEntry]:
    """The entries of a file; the last line may be cut short."""
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            values = json.loads(line)
            entries.append(TraceEntry(**{**values, "parts": StepTimes(*values["parts"])}))
    return entries


class TracedNode(SiamMaskNode):
    """The node under test."""

    def __init__(self, trace: Path | None = None, **options: Any) -> None:
        """Write to `trace`, by default to the file that the environment names."""
        path = trace or Path(os.environ[TRACE_VARIABLE])
        self._trace = path.open("w", encoding="utf-8", buffering=1)
        self._arrivals: dict[tuple[str, int], int] = {}
        super().__init__(**options)

    def close(self) -> None:
        """Stop, and end the file."""
        super().close()
        self._trace.close()

    def _on_image(self, camera: str, message: Any) -> None:
        arrival_ns = time.time_ns()
        if len(self._arrivals) >= KEPT_ARRIVALS:  # of images that were dropped
            self._arrivals = dict(list(self._arrivals.items())[KEPT_ARRIVALS // 2 :])
        self._arrivals[camera, stamp_to_ns(message.header.stamp)] = arrival_ns
        super()._on_image(camera, message)

    def _on_result(
        self, camera: str, frame: Frame, entries: list[TargetEntry], timings: Timings
    ) -> None:
        results_ns = time.time_ns()
        super()._on_result(camera, frame, entries, timings)
        published_ns = time.time_ns()
        arrival_ns = self._arrivals.pop((camera, frame.stamp_ns), None)
        if arrival_ns is None:
            return
        entry = TraceEntry(
            camera=camera,
            stamp_ns=frame.stamp_ns,
            arrival_ns=arrival_ns,
            results_ns=results_ns,
            published_ns=published_ns,
            queue_ms=timings.queue_ms,
            decode_ms=timings.decode_ms,
            inference_ms=timings.inference_ms,
            parts=timings.step,
            gpu_mb=_gpu_megabytes(),
        )
        self._trace.write(json.dumps(asdict(entry)) + "\n")


def _gpu_megabytes() -> float:
    import torch

    if not torch.cuda.is_initialized():
        return 0.0
    return torch.cuda.max_memory_allocated() / BYTES_PER_MEGABYTE


def main(args: list[str] | None = None) -> int:
    """Run the node as its own `main` does."""
    interrupt_once()
    rclpy.init(args=args)
    return run_node(TracedNode, NODE_NAME)


if __name__ == "__main__":
    sys.exit(main())
