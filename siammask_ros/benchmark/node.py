# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is asked of a benchmark of the whole node, which `siammask_ros.ros` makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from siammask_ros.benchmark.document import BenchmarkDocument

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class NodeOptions:
    """How the node is run and what is measured.

    Attributes:
        weights, preset, settings, device, backend, precision, threads: as of `OwnOptions`.
        sizes: image sizes (width, height).
        cameras: numbers of cameras.
        targets: numbers of targets in each camera.
        rate: frames a second of each camera where latency is measured.
        seconds: how long each case is measured.
        compressed: whether the cameras send JPEG.
        peak: whether the highest rate with few drops is looked for too.
    """

    weights: str = "compact"
    preset: str = "auto"
    settings: tuple[str, ...] = ()
    device: str = "auto"
    backend: str = "auto"
    precision: str = "auto"
    threads: int = 0
    sizes: tuple[tuple[int, int], ...] = ((1280, 720),)
    cameras: tuple[int, ...] = (1,)
    targets: tuple[int, ...] = (1,)
    rate: float = 15.0
    seconds: float = 10.0
    compressed: bool = False
    peak: bool = True


class NodeReport(Protocol):
    """What a benchmark of the node leaves."""

    @property
    def document(self) -> BenchmarkDocument:
        """All numbers."""

    @property
    def markdown(self) -> str:
        """The same for people."""

    @property
    def charts(self) -> dict[str, Figure]:
        """Charts by the names of their files."""
