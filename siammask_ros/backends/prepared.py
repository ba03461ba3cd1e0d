# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every backend has in common: a network that is ready to track, in eager torch at first."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from siammask_ros.network import ExemplarKernels, SearchOutput

if TYPE_CHECKING:
    from siammask_ros.network import SiamMask


class PreparedNetwork:
    """A network that runs in one backend. Remembers nothing between calls, like the network.

    What a backend does not do itself, this does in torch and float32: kernels, which are computed
    once a target, and coarse masks, which are one small layer.

    Args:
        network: fused (`fuse_for_inference`), in float32, on the device that it shall run on.
        backend, precision: names, without `auto`.
        threads: CPU threads that the backend uses; for torch it is a setting of the process.
    """

    def __init__(self, network: SiamMask, *, backend: str, precision: str, threads: int) -> None:
        self.network = network
        self.backend = backend
        self.precision = precision
        self.threads = threads
        self.architecture = network.architecture
        self.default_preset = network.default_preset
        self.device = next(network.parameters()).device

    @property
    def has_boxes(self) -> bool:
        """See `SiamMask`."""
        return self.network.has_boxes

    @property
    def has_masks(self) -> bool:
        """See `SiamMask`."""
        return self.network.has_masks

    @property
    def has_refiner(self) -> bool:
        """See `SiamMask`."""
        return self.network.has_refiner

    @property
    def has_coarse_mask(self) -> bool:
        """See `SiamMask`."""
        return self.network.has_coarse_mask

    @property
    def mask_size(self) -> int:
        """See `SiamMask`."""
        return self.network.mask_size

    @property
    def description(self) -> str:
        """Backend and precision, for people: openvino, bfloat16."""
        return f"{self.backend}, {self.precision}"

    def exemplar(self, exemplar_patch: Tensor) -> ExemplarKernels:
        """Kernels in float32; see `SiamMask.exemplar`."""
        return self.network.exemplar(self._placed(exemplar_patch))

    def search(self, search_patch: Tensor, kernels: ExemplarKernels) -> SearchOutput:
        """Responses; see `SiamMask.search`."""
        return self.network.search(self._placed(search_patch), kernels)

    def mask_at(self, output: SearchOutput, rows: Tensor, columns: Tensor) -> Tensor:
        """Best masks of one response each; see `SiamMask.mask_at`."""
        return self.network.mask_at(output, rows, columns)

    def coarse_mask_at(
        self, mask_responses: Tensor | None, rows: Tensor, columns: Tensor
    ) -> Tensor:
        """Coarse masks of one response each, in float32; see `SiamMask.coarse_mask_at`."""
        responses = None if mask_responses is None else mask_responses.float()
        return self.network.coarse_mask_at(responses, rows, columns)

    def _placed(self, patch: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """A patch on the device; moved first, as what is moved is often of bytes."""
        return patch.to(self.device).to(dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        """Made anew in another process, with as many threads."""
        from siammask_ros.backends.prepare import prepare_network  # noqa: PLC0415 - it imports this

        again = partial(
            prepare_network,
            self.network,
            backend=self.backend,
            precision=self.precision,
            threads=self.threads,
        )
        return again, ()
