# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The step on the device as CUDA graphs: hundreds of kernels started by one call."""

from __future__ import annotations

import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from siammask_ros.backends import names
from siammask_ros.backends.device_network import DeviceNetwork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from siammask_ros.network import SiamMask

_CAPTURING = threading.Lock()
"""CUDA allows one capture at a time in a process."""
_NOT_CAPTURED = "this step runs without a CUDA graph, which is slower: {}"
_WARM_UP_STEPS = 3
"""cuDNN tries its ways in the first; PyTorch's guide takes three before a capture."""


def prepare_cuda_graphs(network: SiamMask, *, precision: str) -> DeviceNetwork:
    """A network whose steps are captured as CUDA graphs, one for each number of targets.

    Args:
        network: fused, in float32, on a CUDA device.
        precision: float32, bfloat16 or float16.

    Raises:
        ValueError: the network is on another device.
    """
    return DeviceNetwork(
        network,
        backend=names.CUDA_GRAPHS,
        precision=precision,
        launch=GraphCapture(cuda_device_of(network)),
    )


def cuda_device_of(network: SiamMask) -> torch.device:
    """The GPU that a network is on.

    Raises:
        ValueError: it is on another device.
    """
    device = next(network.parameters()).device
    if device.type != "cuda":
        raise ValueError(f"CUDA graphs need a network on a CUDA device, not on {device}")
    return device


class GraphCapture:
    """Captures steps of one network; their graphs share a memory pool.

    That is safe because they never run at the same time, and what one leaves is copied out before
    the next begins (`DeviceNetwork` sees to both).
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, step: Callable[[], Tensor], /) -> Callable[[], Tensor]:
        """Warm up and capture on a stream of their own; replays run on the caller's stream.

        Other threads may use the device meanwhile: only this thread's calls are restricted. A step
        that cannot be captured (an engine that does not allow it, say) is run as it is, with a
        warning: its results are the same.
        """
        with _CAPTURING, torch.cuda.device(self._device), _tuned_convolutions():
            own = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
            own.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(own):
                for _ in range(_WARM_UP_STEPS):
                    step()
            own.synchronize()
            graph = torch.cuda.CUDAGraph()
            try:
                with torch.cuda.graph(
                    graph, pool=self._pool, stream=own, capture_error_mode="thread_local"
                ):
                    results = step()
            except RuntimeError as error:
                warnings.warn(_NOT_CAPTURED.format(error), RuntimeWarning, stacklevel=2)
                return step
            torch.cuda.current_stream().wait_stream(own)

        def replay() -> Tensor:
            graph.replay()
            return results

        return replay


@contextmanager
def _tuned_convolutions() -> Iterator[None]:
    """Let cuDNN try which way is fastest for the shapes that are run now."""
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark
    cudnn.benchmark = True
    try:
        yield
    finally:
        cudnn.benchmark = before
