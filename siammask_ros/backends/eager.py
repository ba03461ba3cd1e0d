# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Torch as it is, in half of the bits: bfloat16, or float16 on a GPU."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from siammask_ros.backends import names
from siammask_ros.backends.prepared import PreparedNetwork
from siammask_ros.network import ExemplarKernels, SearchOutput

if TYPE_CHECKING:
    from siammask_ros.network import SiamMask

DTYPES = {
    names.FLOAT32: torch.float32,
    names.BFLOAT16: torch.bfloat16,
    names.FLOAT16: torch.float16,
}


class EagerNetwork(PreparedNetwork):
    """Convolutions in half precision, the heads of scores and boxes in float32.

    Those heads are a hundredth of the work. Rounded to the eight bits of bfloat16, the scores of
    neighbouring anchors would be the same number.

    Args:
        network: see `PreparedNetwork`.
        precision: bfloat16 or float16.
        threads: see `PreparedNetwork`.
    """

    def __init__(self, network: SiamMask, *, precision: str, threads: int) -> None:
        super().__init__(network, backend=names.EAGER, precision=precision, threads=threads)
        self._dtype = DTYPES[precision]
        self.reduced = reduced_network(network, self._dtype)

    def search(self, search_patch: Tensor, kernels: ExemplarKernels) -> SearchOutput:
        """Scores and boxes in float32, what the mask is made of in half precision."""
        score, box, mask = kernels
        reduced = ExemplarKernels(
            score.to(self._dtype),
            None if box is None else box.to(self._dtype),
            None if mask is None else mask.to(self._dtype),
        )
        return self.reduced.search(self._placed(search_patch, self._dtype), reduced)

    def mask_at(self, output: SearchOutput, rows: Tensor, columns: Tensor) -> Tensor:
        """See `SiamMask.mask_at`."""
        return self.reduced.mask_at(output, rows, columns)


def prepare_eager(network: SiamMask, *, precision: str, threads: int) -> PreparedNetwork:
    """A network in torch as it is; see `PreparedNetwork`."""
    if precision == names.FLOAT32:
        return PreparedNetwork(network, backend=names.EAGER, precision=precision, threads=threads)
    return EagerNetwork(network, precision=precision, threads=threads)


def reduced_network(network: SiamMask, dtype: torch.dtype) -> SiamMask:
    """A copy in half precision but for the heads of scores and boxes.

    Args:
        network: fused, in float32.
        dtype: bfloat16 or float16.
    """
    reduced = copy.deepcopy(network).to(dtype)
    for name in ("score_head", "box_head"):
        head = getattr(network, name)
        if head is not None:
            setattr(reduced, name, _InFloat32(head))
    return reduced


class _InFloat32(nn.Module):
    """A head of a network in half precision that works in float32."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = copy.deepcopy(head)

    def forward(self, responses: Tensor) -> Tensor:
        predictions: Tensor = self.head(responses.float())
        return predictions
