# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network as graphs of plain tensors, for exporters and other libraries.

Three graphs make a tracker: `exemplar` once a target, `search` once a frame, and `mask` at the
response that the tracker has chosen. What a network lacks (boxes, masks, a refiner) its graphs do
not have among their inputs and outputs.
"""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from siammask_ros.network import ExemplarKernels, SearchOutput, fuse_for_inference
from siammask_ros.network.heads import CorrelationBranch

if TYPE_CHECKING:
    from collections.abc import Callable

    from siammask_ros.network import SiamMask

EXEMPLAR_SIZE, SEARCH_SIZE = 127, 255
"""Sides of the patches in pixels."""
PATCH = "patch"
SCORE_KERNEL, BOX_KERNEL, MASK_KERNEL = "score_kernel", "box_kernel", "mask_kernel"
SCORE_LOGITS, BOX_DELTAS, MASK_RESPONSES = "score_logits", "box_deltas", "mask_responses"
PYRAMID = ("pyramid_2", "pyramid_4", "pyramid_8")
"""The backbone's maps that the refiner reads, by stride."""
ROWS, COLUMNS, MASK_LOGITS = "rows", "columns", "mask_logits"


class Graph(NamedTuple):
    """A part of the network as a function of tensors, all with the batch as first dimension."""

    name: str
    """exemplar, search or mask."""
    module: nn.Module
    """Takes the inputs in order and returns a tuple of the outputs."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    example: tuple[Tensor, ...]
    """Inputs of such a batch as was asked for."""


class ExemplarGraph(nn.Module):
    """(N, 3, 127, 127) patches -> kernels of score, box and mask; see `ExemplarKernels`."""

    def __init__(self, network: SiamMask) -> None:
        super().__init__()
        self.network = network

    def forward(self, patch: Tensor) -> tuple[Tensor, ...]:
        """Those kernels that the network has."""
        return plain_kernels(self.network.exemplar(patch))


class SearchGraph(nn.Module):
    """(N, 3, 255, 255) patches and kernels -> what `SearchOutput` has, without what is absent."""

    def __init__(self, network: SiamMask) -> None:
        super().__init__()
        self.network = network

    def forward(self, patch: Tensor, *kernels: Tensor) -> tuple[Tensor, ...]:
        """Scores, boxes, responses of the mask, and the maps for the refiner."""
        return plain_output(self.network.search(patch, self._named(kernels)))

    def _named(self, kernels: tuple[Tensor, ...]) -> ExemplarKernels:
        rest = iter(kernels)
        return ExemplarKernels(
            score=next(rest),
            box=next(rest) if self.network.has_boxes else None,
            mask=next(rest) if self.network.has_masks else None,
        )


class MaskGraph(nn.Module):
    """Rows and columns of one response each, (N,) integers, and what is needed -> mask logits.

    It needs the responses of the mask and, with a refiner, the backbone's maps.
    """

    def __init__(self, network: SiamMask) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, rows: Tensor, columns: Tensor, mask_responses: Tensor, *pyramid: Tensor
    ) -> tuple[Tensor]:
        """(N, 127, 127) logits, or (N, 63, 63) of a network without a refiner."""
        output = SearchOutput(mask_responses, None, mask_responses, pyramid)
        cell = rows.long(), columns.long()
        return (self.network.mask_at(output, *cell, cut=gather_flat_windows),)


def plain_kernels(kernels: ExemplarKernels) -> tuple[Tensor, ...]:
    """The kernels that there are, in the order of the graphs' inputs."""
    return tuple(kernel for kernel in kernels if kernel is not None)


def plain_output(output: SearchOutput) -> tuple[Tensor, ...]:
    """What there is of an output, in the order of `search_outputs`."""
    maps = (output.score_logits, output.box_deltas, output.mask_responses, *output.pyramid)
    return tuple(level for level in maps if level is not None)


def kernel_names(network: SiamMask) -> tuple[str, ...]:
    """Names of the kernels that a network has."""
    has = (True, network.has_boxes, network.has_masks)
    return _those((SCORE_KERNEL, BOX_KERNEL, MASK_KERNEL), has)


def search_outputs(network: SiamMask) -> tuple[str, ...]:
    """Names of what the search graph returns."""
    has = (True, network.has_boxes, network.has_masks)
    pyramid = PYRAMID if network.has_refiner else ()
    return (*_those((SCORE_LOGITS, BOX_DELTAS, MASK_RESPONSES), has), *pyramid)


def _those(names: tuple[str, ...], there: tuple[bool, ...]) -> tuple[str, ...]:
    return tuple(name for name, is_there in zip(names, there, strict=True) if is_there)


def graphs_of(
    network: SiamMask,
    *,
    exemplar_size: int = EXEMPLAR_SIZE,
    search_size: int = SEARCH_SIZE,
    batch: int = 2,
) -> tuple[Graph, ...]:
    """The graphs of a network: exemplar, search and, if it has masks, mask.

    Args:
        network: any, fused or not; it stays as it is.
        exemplar_size, search_size: sides of the patches in pixels.
        batch: that of the examples; the graphs take any.
    """
    portable = portable_network(network)
    generator = torch.Generator().manual_seed(0)
    exemplar_patch, search_patch = (
        torch.rand((batch, 3, size, size), generator=generator) * 255
        for size in (exemplar_size, search_size)
    )
    search = SearchGraph(portable)
    with torch.no_grad():
        kernels = plain_kernels(portable.exemplar(exemplar_patch))
        found = search(search_patch, *kernels)
    names, outputs = kernel_names(network), search_outputs(network)
    graphs = [
        Graph("exemplar", ExemplarGraph(portable), (PATCH,), names, (exemplar_patch,)),
        Graph("search", search, (PATCH, *names), outputs, (search_patch, *kernels)),
    ]
    if network.has_masks:
        start = outputs.index(MASK_RESPONSES)
        side = found[start].shape[3]
        cells = torch.randint(side, (2, batch), generator=generator, dtype=torch.int32)
        inputs = (ROWS, COLUMNS, *outputs[start:])
        example = (*cells, *found[start:])
        graphs.append(Graph("mask", MaskGraph(portable), inputs, (MASK_LOGITS,), example))
    for graph in graphs:
        graph.module.eval()
    return tuple(graphs)


def portable_network(network: SiamMask) -> SiamMask:
    """A copy on the CPU, fused, that can be exported for any batch and to any library.

    Its correlations are sums of shifted products: grouped convolutions with kernels that are
    computed would fix the batch, and few libraries have them.
    """
    fused = copy.deepcopy(network) if network.is_fused else fuse_for_inference(network)
    for module in list(fused.modules()):
        for name, child in module.named_children():
            if isinstance(child, CorrelationBranch):
                setattr(module, name, _ShiftedBranch(child))
    portable: SiamMask = fused.cpu().float().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return portable.eval().requires_grad_(False)


class _ShiftedBranch(CorrelationBranch):
    """A branch whose correlation is a sum of shifted products."""

    def __init__(self, branch: CorrelationBranch) -> None:
        nn.Module.__init__(self)
        self.is_depthwise = branch.is_depthwise
        self.exemplar_conv = branch.exemplar_conv
        self.search_conv = branch.search_conv

    def respond(self, search_feature: Tensor, kernel: Tensor) -> Tensor:
        """See `CorrelationBranch`."""
        correlate = shifted_correlation if self.is_depthwise else shifted_up_channel_correlation
        return correlate(self.search_conv(search_feature), kernel)


def shifted_correlation(search: Tensor, kernel: Tensor) -> Tensor:
    """`depthwise_correlation` of slices, products and sums only: any batch, any library."""
    return _sum_of_shifts(search, kernel, lambda window, weights: window * weights)


def shifted_up_channel_correlation(search: Tensor, kernel: Tensor) -> Tensor:
    """`up_channel_correlation` of slices, matrix products and sums only."""
    channels = int(search.shape[1])

    def product(window: Tensor, weights: Tensor) -> Tensor:
        height, width = _sides(window)
        outputs = int(weights.shape[1]) // channels
        mixing = weights.reshape(-1, outputs, channels)  # (N, R, C)
        mixed = mixing @ window.reshape(-1, channels, height * width)  # (N, R, h' * w')
        return mixed.reshape(-1, outputs, height, width)

    return _sum_of_shifts(search, kernel, product)


def _sum_of_shifts(
    search: Tensor, kernel: Tensor, product: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Sum over the kernel's pixels of the part of the map that each meets, times it."""
    kernel_height, kernel_width = _sides(kernel)
    height, width = _sides(search)
    height, width = height - kernel_height + 1, width - kernel_width + 1
    terms = [
        product(
            search[:, :, row : row + height, column : column + width],
            kernel[:, :, row : row + 1, column : column + 1],
        )
        for row in range(kernel_height)
        for column in range(kernel_width)
    ]
    return functools.reduce(torch.add, terms)


def _sides(maps: Tensor) -> tuple[int, int]:
    """Height and width as numbers, so that they become constants of an exported graph."""
    return int(maps.shape[2]), int(maps.shape[3])


def gather_flat_windows(
    maps: Tensor, sample_index: Tensor, tops: Tensor, lefts: Tensor, size: int
) -> Tensor:
    """`gather_windows` of one window a sample, in order, by operations that every library has.

    The maps are not transposed, which a library might do as a copy of all of them.
    """
    del sample_index  # 0 to N - 1
    channels, (height, width) = int(maps.shape[1]), _sides(maps)
    steps = torch.arange(size)
    rows, columns = tops[:, None] + steps, lefts[:, None] + steps  # (N, size)
    inside_rows = ((rows >= 0) & (rows < height)).to(maps.dtype)
    inside_columns = ((columns >= 0) & (columns < width)).to(maps.dtype)
    first = torch.zeros((), dtype=torch.int64)
    rows = rows.maximum(first).minimum(first + height - 1)
    columns = columns.maximum(first).minimum(first + width - 1)
    places = (rows[:, :, None] * width + columns[:, None, :]).flatten(1)  # (N, size * size)
    windows = torch.gather(maps.flatten(2), 2, places[:, None].expand(-1, channels, -1))
    inside = inside_rows[:, None, :, None] * inside_columns[:, None, None, :]
    return windows.reshape(-1, channels, size, size) * inside
