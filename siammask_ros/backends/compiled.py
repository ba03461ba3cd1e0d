# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network compiled by torch (TorchInductor), with its weights as constants."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch._inductor import config as inductor_config

from siammask_ros.backends.eager import DTYPES, reduced_network
from siammask_ros.backends.graphs import AsTuple, GraphNetwork, Part, Parts, Runners, parts_of
from siammask_ros.backends.onnx_graphs import SearchGraph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siammask_ros.network import SiamMask

NAME = "compiled"


class CompiledNetwork(GraphNetwork):
    """A network compiled by torch; that takes about half a minute the first time.

    Args:
        network: fused, in float32, on the CPU.
        precision: float32 or bfloat16.
        threads: see `PreparedNetwork`.

    Raises:
        ImportError: there is no C++ compiler.
    """

    def __init__(self, network: SiamMask, *, precision: str, threads: int) -> None:
        if shutil.which(os.environ.get("CXX", "g++")) is None:
            raise ImportError(f"backend {NAME} needs a C++ compiler, such as g++")
        search, refine = _in(DTYPES[precision], network)
        super().__init__(
            network,
            Runners(_Compiled(search), None if refine is None else _Compiled(refine)),
            backend=NAME,
            precision=precision,
            threads=threads,
        )


class _Compiled:
    """A part of the network, compiled for its example's shapes."""

    def __init__(self, part: Part) -> None:
        # Weights as constants: they are laid out ahead as the processor likes them.
        with torch.inference_mode(), inductor_config.patch(freezing=True):
            self._run = torch.compile(part.module, dynamic=False, fullgraph=True)
            self._run(*part.example)

    def __call__(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        with torch.inference_mode():
            for place, tensor in zip(outputs, self._run(*inputs), strict=True):
                place.copy_(tensor)


class _Reduced(nn.Module):
    """A part that computes in less than float32."""

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.module = module
        self.dtype = dtype

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        found = self.module(*(tensor.to(self.dtype) for tensor in inputs))
        return tuple(tensor.float() for tensor in found)


def _in(dtype: torch.dtype, network: SiamMask) -> Parts:
    """The parts, their insides in a type of numbers."""
    search, refine = parts_of(network)
    if dtype == torch.float32:
        return Parts(search, refine)
    reduced = reduced_network(network, dtype)
    search = search._replace(module=_Reduced(SearchGraph(reduced), dtype).eval())
    if refine is not None and reduced.refiner is not None:
        refine = refine._replace(module=_Reduced(AsTuple(reduced.refiner), dtype).eval())
    return Parts(search, refine)
