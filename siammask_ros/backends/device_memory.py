# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Memory that stays in place, on the host and on the device, and copies between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Upload:
    """Bytes that are written on the host and sent to the device without waiting.

    The host's memory is pinned where the device is a GPU: only then the copy is made by the device
    while the host goes on.
    """

    def __init__(self, size: int, device: torch.device) -> None:
        self._is_cuda = device.type == "cuda"
        self._host = torch.zeros(size, dtype=torch.uint8, pin_memory=self._is_cuda)
        self._sent = torch.cuda.Event() if self._is_cuda else None  # type: ignore[no-untyped-call]
        self.device = torch.zeros(size, dtype=torch.uint8, device=device)

    @property
    def host(self) -> npt.NDArray[np.uint8]:
        """The bytes to write, after `wait`."""
        host: npt.NDArray[np.uint8] = self._host.numpy()
        return host

    def wait(self) -> None:
        """Until what was sent last has been read."""
        if self._sent is not None:
            self._sent.synchronize()

    def send(self, first: int | None = None) -> None:
        """Send all bytes, or the first so many."""
        self.device[:first].copy_(self._host[:first], non_blocking=self._is_cuda)
        if self._sent is not None:
            self._sent.record()


class Download:
    """Bytes from the device, in memory that the next ones overwrite."""

    def __init__(self) -> None:
        self._host: Tensor | None = None

    def fetch(self, results: Tensor) -> npt.NDArray[np.uint8]:
        """The bytes of a tensor of uint8, always of one shape, when the device is done."""
        if results.device.type != "cuda":
            return results.numpy()
        if self._host is None:
            self._host = torch.empty(results.shape, dtype=torch.uint8, pin_memory=True)
        self._host.copy_(results, non_blocking=True)
        torch.cuda.current_stream(results.device).synchronize()
        return self._host.numpy()
