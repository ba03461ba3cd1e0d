# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A network that finds targets on its device, with one copy there and one small copy back."""

from __future__ import annotations

import threading
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import torch

from siammask_ros.backends.device_crop import DeviceCrops
from siammask_ros.backends.device_launch import Launch, directly
from siammask_ros.backends.device_step import DeviceStep, Find, StepBuffers, StepShape
from siammask_ros.backends.eager import EagerNetwork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from siammask_ros.choice import SearchRegion
    from siammask_ros.network import ExemplarKernels, SiamMask
    from siammask_ros.step_clock import StepPart
    from siammask_ros.tracker_config import TrackerConfig

PREPARED_TARGETS = (1, 2, 4, 8, 16)
"""Numbers of targets that the step is made for; others are padded to the next power of two."""


class DeviceNetwork(EagerNetwork):
    """Search, choice and mask in one go on the device; the rest as in torch as it is.

    One step at a time runs in the buffers, so threads that share it wait for each other.

    Args:
        network: see `PreparedNetwork`.
        backend, precision: names for people and reports.
        launch: how steps are run.
    """

    def __init__(
        self, network: SiamMask, *, backend: str, precision: str, launch: Launch = directly
    ) -> None:
        super().__init__(network, precision=precision, threads=torch.get_num_threads())
        self.backend = backend
        self._launch = launch
        self._buffers: dict[StepShape, StepBuffers] = {}
        self._crops = DeviceCrops(self.device, launch)
        self._lock = threading.Lock()

    def find(
        self,
        regions: Sequence[SearchRegion],
        config: TrackerConfig,
        mark: Callable[[StepPart], None] = lambda _part: None,
    ) -> list[Find]:
        """What `SiamMaskTracker` finds in search regions: the choice and mask of each target.

        Args:
            regions: at least one; those of a target (`config.search_scales`) lie together.
            config: the tracker's settings.
            mark: told when a part of the step ends; choice and mask are part of the network.

        Raises:
            RuntimeError: a patch has no finite proposal (broken weights).
        """
        with self._running():
            buffers = self._buffers_for(
                StepShape.of(config, len(regions), has_boxes=self.has_boxes),
                regions[0].state.kernels,
            )
            return buffers.find(regions, config, mark)

    def make_ready(
        self,
        config: TrackerConfig,
        kernels: ExemplarKernels,
        *,
        targets: Sequence[int] = PREPARED_TARGETS,
    ) -> None:
        """Make the steps for so many targets now, not when they first come; takes seconds.

        Args:
            config: the tracker's settings.
            kernels: of any one target.
            targets: numbers of targets.
        """
        scales = len(config.search_scales)
        with self._running():
            for count in targets:
                shape = StepShape.of(config, count * scales, has_boxes=self.has_boxes)
                self._buffers_for(shape, kernels)

    @contextmanager
    def _running(self) -> Iterator[None]:
        """The device is this thread's."""
        device = torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext()
        with self._lock, device, torch.inference_mode():
            yield

    def _buffers_for(self, shape: StepShape, kernels: ExemplarKernels) -> StepBuffers:
        if shape not in self._buffers:
            step = DeviceStep(self._network_of_a_step(), shape).to(self.device)
            self._buffers[shape] = StepBuffers(step, kernels, self._crops, self._launch)
        return self._buffers[shape]

    def _network_of_a_step(self) -> SiamMask:
        """What runs in a step of one shape."""
        return self.reduced
