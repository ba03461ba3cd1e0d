# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From search patches to chosen anchors and masks on the device, in buffers that stay in place.

Nothing here waits for the device between upload and result, makes a shape depend on a number, or
looks at one: so a CUDA graph can hold it. On a CPU it is the same, without pinned memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from siammask_ros.backends.device_choice import (
    CHOICE_NUMBERS,
    REGION_NUMBERS,
    DeviceChoice,
    DeviceChoices,
    read_choices,
    region_numbers,
)
from siammask_ros.backends.device_memory import Download, Upload
from siammask_ros.network import ExemplarKernels, gather_windows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from siammask_ros.anchors import AnchorGrid
    from siammask_ros.backends.device_crop import DeviceCrops
    from siammask_ros.backends.device_launch import Launch
    from siammask_ros.choice import Choice, SearchRegion
    from siammask_ros.masks import FloatMask
    from siammask_ros.network import SiamMask
    from siammask_ros.step_clock import StepPart
    from siammask_ros.tracker_config import MaskUse, TrackerConfig

_CHANNELS = 3
_FLOAT64_BYTES = np.dtype(np.float64).itemsize

Find = tuple["Choice", "FloatMask | None"]
"""A target's choice, and its mask window (M, M) where masks are predicted."""


class StepShape(NamedTuple):
    """What decides the shapes and the operations of a step; its numbers may change freely."""

    targets: int
    scales: int
    """Search regions of a target."""
    search_size: int
    grid: AnchorGrid
    """`without_shapes` of a network without boxes."""
    masks: MaskUse

    @property
    def regions(self) -> int:
        """Patches in one pass."""
        return self.targets * self.scales

    @classmethod
    def of(cls, config: TrackerConfig, regions: int, *, has_boxes: bool) -> StepShape:
        """The smallest shape for so many regions: targets are padded to a power of two."""
        scales = len(config.search_scales)
        targets = 1 << max(-(-regions // scales) - 1, 0).bit_length()
        grid = config.anchors if has_boxes else config.anchors.without_shapes
        return cls(targets, scales, config.search_size, grid, config.masks)


class DeviceStep(nn.Module):
    """The step of some shape as one function of tensors.

    Args:
        network: fused, in any precision; its scores and boxes should be float32.
        shape: of the step.
    """

    def __init__(self, network: SiamMask, shape: StepShape) -> None:
        super().__init__()
        self.network = network
        self.shape = shape
        self.choice = DeviceChoice(shape.grid, scales=shape.scales)
        self.dtype = next(network.parameters()).dtype

    def forward(self, patches: Tensor, kernels: ExemplarKernels, regions: Tensor) -> Tensor:
        """Search, choose, and predict masks at what was chosen.

        Args:
            patches: (N, S, S, 3) uint8 BGR.
            kernels: of the N patches.
            regions: (N, 6) float64, see `region_numbers`.

        Returns:
            (T, B) uint8: the bytes of 15 float64 numbers of each choice, and of its mask's
            probabilities, (M, M) float32, or float16 where the network is in half precision.
        """
        images = patches.permute(0, 3, 1, 2).to(self.dtype)  # (N, 3, S, S), channels last
        output = self.network.search(images, kernels)
        choices: DeviceChoices = self.choice(output.score_logits, output.box_deltas, regions)
        numbers = choices.numbers.view(torch.uint8)
        cells = choices.rows, choices.columns, choices.samples
        if self.shape.masks == "none" or output.mask_responses is None:
            return numbers
        if self.shape.masks == "coarse":
            logits = self.network.coarse_mask_at(output.mask_responses, *cells)
        else:
            logits = self.network.mask_at(output, *cells, cut=gather_windows)
        probabilities = torch.sigmoid(logits.float()).to(mask_dtype(self.dtype))
        return torch.cat([numbers, probabilities.flatten(1).view(torch.uint8)], dim=1)


def mask_dtype(network_dtype: torch.dtype) -> torch.dtype:
    """How mask probabilities are copied back; float16 holds them to 0.0003."""
    return torch.float32 if network_dtype == torch.float32 else torch.float16


class StepBuffers:
    """One shape of the step with its inputs and outputs in memory that stays in place.

    Args:
        step: on the device, in eval mode.
        kernels: of one target, which tell the sizes of the kernels.
        crops: cuts the patches that are not cut yet.
        launch: how the step is run.
    """

    def __init__(
        self, step: DeviceStep, kernels: ExemplarKernels, crops: DeviceCrops, launch: Launch
    ) -> None:
        shape, device = step.shape, kernels.score.device
        self.shape = shape
        patch_shape = (shape.regions, shape.search_size, shape.search_size, _CHANNELS)
        # The numbers come first: they must lie at a multiple of eight bytes.
        self._numbers_bytes = shape.regions * REGION_NUMBERS * _FLOAT64_BYTES
        split = self._numbers_bytes
        self._inputs = Upload(split + int(np.prod(patch_shape)), device)
        self._numbers = self._inputs.host[:split].view(np.float64).reshape(-1, REGION_NUMBERS)
        self._numbers[:] = 1.0  # of targets that are not there: of no size would divide by zero
        self._inputs.send()
        self._patches = self._inputs.host[split:].reshape(patch_shape)
        self._device_patches = self._inputs.device[split:].view(patch_shape)
        self._kernels = _empty_kernels(kernels, shape.regions, step.dtype)
        self._present: list[ExemplarKernels | None] = [None] * shape.regions
        numbers = self._inputs.device[:split].view(torch.float64).view(-1, REGION_NUMBERS)
        inputs = self._device_patches, self._kernels, numbers
        self._run = launch(lambda: step(*inputs))
        self._crops = crops
        self._results = Download()
        self._mask_dtype = np.float32 if step.dtype == torch.float32 else np.float16

    def find(
        self,
        regions: Sequence[SearchRegion],
        config: TrackerConfig,
        mark: Callable[[StepPart], None],
    ) -> list[Find]:
        """The choice and mask of each target; see `DeviceNetwork.find`."""
        self._upload(regions, config)
        mark("upload")
        packed = self._run()
        mark("network")
        finds = self._read(self._results.fetch(packed), regions)
        mark("mask")
        return finds

    def _upload(self, regions: Sequence[SearchRegion], config: TrackerConfig) -> None:
        """Everything but the kernels by one copy; kernels only where a target has changed."""
        self._inputs.wait()
        self._numbers[: len(regions)] = region_numbers(regions, config)
        uncut = []
        for index, region in enumerate(regions):
            if region.patch is None:
                uncut.append(index)
            else:
                np.copyto(self._patches[index], region.patch)
            if self._present[index] is not region.state.kernels:
                self._present[index] = region.state.kernels
                for kept, own in zip(self._kernels, region.state.kernels, strict=True):
                    if kept is not None and own is not None:
                        kept[index].copy_(own[0])
        self._inputs.send(self._numbers_bytes if len(uncut) == len(regions) else None)
        for index, patch in zip(
            uncut, self._crops.cut([regions[index] for index in uncut], config), strict=True
        ):
            self._device_patches[index].copy_(patch)

    def _read(self, packed: npt.NDArray[np.uint8], regions: Sequence[SearchRegion]) -> list[Find]:
        targets = len(regions) // self.shape.scales
        numbers_bytes = CHOICE_NUMBERS * _FLOAT64_BYTES
        numbers = np.ascontiguousarray(packed[:targets, :numbers_bytes]).view(np.float64)
        choices = read_choices(numbers, regions, self.shape.grid)
        if packed.shape[1] == numbers_bytes:
            return [(choice, None) for choice in choices]
        masks = np.ascontiguousarray(packed[:targets, numbers_bytes:]).view(self._mask_dtype)
        side = round(masks.shape[1] ** 0.5)
        windows = masks.astype(np.float32).reshape(targets, side, side)
        return list(zip(choices, windows, strict=True))


def _empty_kernels(one: ExemplarKernels, count: int, dtype: torch.dtype) -> ExemplarKernels:
    """Zeros for the kernels of so many targets, of the sizes of that of one."""
    score, box, mask = (
        None if part is None else part.new_zeros((count, *part.shape[1:]), dtype=dtype)
        for part in one
    )
    assert score is not None  # every network has scores
    return ExemplarKernels(score, box, mask)
