# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks whose parts were made ready ahead, for one patch each: what every library is best at.

On a CPU several patches take as long one by one as together (measured with OpenVINO: `compact`
105 ms for eight either way), and a graph of fixed shapes needs no shapes to be worked out, no
second graph for another number of targets, and gives the same numbers whatever else is tracked.
"""

from __future__ import annotations

import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from siammask_ros.backends.onnx_graphs import (
    EXEMPLAR_SIZE,
    SEARCH_SIZE,
    SearchGraph,
    plain_kernels,
)
from siammask_ros.backends.prepared import PreparedNetwork
from siammask_ros.network import ExemplarKernels, SearchOutput

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from siammask_ros.network import SiamMask

_LOOKED_AT: type[Warning] = torch.jit._trace.TracerWarning  # noqa: SLF001 - public, but not typed
MIDDLE = 12
"""Row and column of the middle response."""


class Runner(Protocol):
    """A graph that a library has made ready."""

    def __call__(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        """Run it, and write into the outputs; all are contiguous float32."""


class Part(NamedTuple):
    """A part of a network for one patch, and an example of its inputs."""

    name: str
    module: nn.Module
    """Tensors -> a tuple of tensors."""
    example: tuple[Tensor, ...]


class Parts(NamedTuple):
    """What a backend makes ready."""

    search: Part
    """Patch and kernels -> scores, boxes, responses of the mask, maps for the refiner."""
    refine: Part | None
    """Windows of the refiner -> mask; None where there is no refiner."""


class Runners(NamedTuple):
    """The parts, ready."""

    search: Runner
    refine: Runner | None


class GraphNetwork(PreparedNetwork):
    """Searches and refines one patch after the other, by graphs of a library.

    Args:
        network, backend, precision, threads: see `PreparedNetwork`.
        runners: the graphs.
    """

    def __init__(
        self, network: SiamMask, runners: Runners, *, backend: str, precision: str, threads: int
    ) -> None:
        super().__init__(network, backend=backend, precision=precision, threads=threads)
        self._runners = runners
        self._shapes = [tuple(shape) for shape in output_shapes(parts_of(network).search)]
        self._in_use = threading.Lock()  # what the libraries keep between calls is not shared

    def search(self, search_patch: Tensor, kernels: ExemplarKernels) -> SearchOutput:
        """See `SiamMask.search`.

        Raises:
            ValueError: there are not as many kernels as patches.
        """
        inputs = [self._placed(search_patch), *(k.float() for k in plain_kernels(kernels))]
        outputs = self._each(self._runners.search, inputs, self._shapes)
        found = iter(outputs)
        return SearchOutput(
            score_logits=next(found),
            box_deltas=next(found) if self.has_boxes else None,
            mask_responses=next(found) if self.has_masks else None,
            pyramid=tuple(found),
        )

    def mask_at(self, output: SearchOutput, rows: Tensor, columns: Tensor) -> Tensor:
        """See `SiamMask.mask_at`."""
        if self._runners.refine is None:
            return self.coarse_mask_at(output.mask_responses, rows, columns)
        windows = self.network.refiner_windows(output, rows, columns, cut=copied_windows)
        shapes = [(self.mask_size, self.mask_size)]
        return self._each(self._runners.refine, windows, shapes)[0]

    def _each(
        self, run: Runner, inputs: Sequence[Tensor], shapes: Sequence[tuple[int, ...]]
    ) -> list[Tensor]:
        count = len(inputs[0])
        if any(len(tensor) != count for tensor in inputs):
            raise ValueError(f"batches differ: {[len(tensor) for tensor in inputs]}")
        outputs = [torch.empty((count, *shape)) for shape in shapes]
        with self._in_use:
            for index in range(count):
                one = slice(index, index + 1)
                run([tensor[one] for tensor in inputs], [tensor[one] for tensor in outputs])
        return outputs


def copied_windows(
    maps: Tensor, sample_index: Tensor, tops: Tensor, lefts: Tensor, size: int
) -> Tensor:
    """As `extract_windows`, by NumPy: torch would wake its threads, and wait for them.

    The windows are contiguous, as the graphs take them.
    """
    source = maps.numpy()
    windows = np.empty((len(sample_index), source.shape[1], size, size), dtype=np.float32)
    corners = zip(sample_index.tolist(), tops.tolist(), lefts.tolist(), strict=True)
    for window, (sample, top, left) in zip(windows, corners, strict=True):
        first_row, first_column = max(top, 0), max(left, 0)
        seen = source[sample, :, first_row : max(top + size, 0), first_column : max(left + size, 0)]
        rows, columns = seen.shape[1:]
        if (rows, columns) != (size, size):
            window[:] = 0
        down, right = first_row - top, first_column - left
        window[:, down : down + rows, right : right + columns] = seen
    return torch.from_numpy(windows)


def parts_of(network: SiamMask) -> Parts:
    """What of a network is made ready, with examples to trace it by.

    Args:
        network: fused, in float32, on the CPU.
    """
    generator = torch.Generator().manual_seed(0)
    exemplar, patch = (
        (torch.rand((1, size, size, 3), generator=generator) * 255).permute(0, 3, 1, 2)
        for size in (EXEMPLAR_SIZE, SEARCH_SIZE)
    )
    with torch.no_grad():
        kernels = network.exemplar(exemplar)
        inputs = (patch, *(kernel.contiguous() for kernel in plain_kernels(kernels)))
        search = Part("search", SearchGraph(network).eval(), inputs)
        if network.refiner is None:
            return Parts(search, None)
        cell = torch.tensor([MIDDLE])
        found = network.search(patch, kernels)
        windows = network.refiner_windows(found, cell, cell)
    example = tuple(window.contiguous() for window in windows)
    return Parts(search, Part("refine", AsTuple(network.refiner).eval(), example))


def output_shapes(part: Part) -> list[torch.Size]:
    """Shapes of what a part returns, without the batch."""
    with torch.no_grad():
        return [tensor.shape[1:] for tensor in part.module(*part.example)]


class AsTuple(nn.Module):
    """A part that returns a tensor, as one that returns a tuple."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> tuple[Tensor]:
        """What the module returns of them."""
        return (self.module(*inputs),)


def traced(part: Part) -> torch.jit.ScriptModule:
    """The part as a graph of operations on its example's shapes, weights as constants."""
    with tracing():
        trace: Any = torch.jit.trace
        frozen: torch.jit.ScriptModule = torch.jit.freeze(
            trace(part.module, part.example, check_trace=False, strict=False)
        )
    return frozen


@contextmanager
def tracing() -> Iterator[None]:
    """While a part is traced: shapes are the same for every patch, so the code may look at them."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", _LOOKED_AT)
        warnings.simplefilter("ignore", DeprecationWarning)  # what the libraries read
        yield
