# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a network and names of a backend and a precision to what the tracker runs."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import torch

from siammask_ros.backends import names
from siammask_ros.backends.prepared import PreparedNetwork
from siammask_ros.memory import hold_freed_memory
from siammask_ros.network import fuse_for_inference, load_network

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from siammask_ros.network import SiamMask


def prepare_network(
    network: SiamMask,
    *,
    backend: str = names.AUTO,
    precision: str = names.AUTO,
    threads: int = 0,
) -> PreparedNetwork:
    """Make a network ready to track, in the fastest way or the one that is asked for.

    Args:
        network: on the device that it shall run on; it stays as it is.
        backend: one of `BACKENDS`; see `chosen_way`.
        precision: one of `PRECISIONS`.
        threads: CPU threads; 0: as many as torch is set to use. Torch's own number is a setting
            of the process, so `eager` and `compiled` change it.

    Raises:
        ValueError: a name is unknown, or the device has no such backend or precision.
        ImportError: the backend is not installed; the text says what to install.
    """
    device = next(network.parameters()).device.type
    way = names.chosen_way(backend, precision, device)
    if threads and way.backend in {names.EAGER, names.COMPILED}:
        torch.set_num_threads(threads)
    fused = fuse_for_inference(network)
    return _made(way, fused, threads or torch.get_num_threads())


def load_prepared(
    name_or_path: str | os.PathLike[str],
    *,
    device: str | torch.device = "cpu",
    backend: str = names.AUTO,
    precision: str = names.AUTO,
    threads: int = 0,
) -> PreparedNetwork:
    """Load a checkpoint and make it ready to track; see `load_network` and `prepare_network`."""
    hold_freed_memory()
    network = load_network(name_or_path, device=device)
    return prepare_network(network, backend=backend, precision=precision, threads=threads)


_MAKERS = {
    names.EAGER: ("eager", "prepare_eager"),
    names.COMPILED: ("compiled", "CompiledNetwork"),
    names.OPENVINO: ("openvino", "OpenVinoNetwork"),
    names.ONNXRUNTIME: ("onnxruntime", "OnnxRuntimeNetwork"),
}
"""Module, and what in it makes a network of a fused one, by backends of the CPU."""
_MAKERS_ON_CUDA = {
    names.CUDA_GRAPHS: ("cuda_graphs", "prepare_cuda_graphs"),
    names.TENSORRT: ("cuda_tensorrt", "prepare_tensorrt"),
}


def _made(way: names.Way, fused: SiamMask, threads: int) -> PreparedNetwork:
    if way.backend in _MAKERS_ON_CUDA:
        return _maker(*_MAKERS_ON_CUDA[way.backend])(fused, precision=way.precision)
    if way.precision == names.INT8:
        return _maker("int8", "prepare_int8")(fused, backend=way.backend, threads=threads)
    make = _maker(*_MAKERS[way.backend])
    return make(fused, precision=way.precision, threads=threads)


def _maker(module: str, name: str) -> Callable[..., PreparedNetwork]:
    """What makes a backend's networks; its module is imported when it is chosen."""
    maker: Callable[..., PreparedNetwork] = getattr(
        importlib.import_module(f"siammask_ros.backends.{module}"), name
    )
    return maker
