# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which backends and precisions there are, and which go together. Needs neither torch nor them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

AUTO = "auto"
CPU, CUDA = "cpu", "cuda"
FLOAT32, BFLOAT16, FLOAT16, INT8 = "float32", "bfloat16", "float16", "int8"
PRECISIONS = (AUTO, FLOAT32, BFLOAT16, FLOAT16, INT8)
USUAL_PRECISION = {CPU: FLOAT32, CUDA: FLOAT16}
"""What `auto` means, by the kind of the device."""


_BFLOAT16_FLAGS = frozenset(("amx_bf16", "avx512_bf16", "bf16"))
"""As Linux names them: x86-64, and bf16 on ARM."""


class Backend(NamedTuple):
    """What a backend can do."""

    precisions: dict[str, tuple[str, ...]]
    """The precisions that it has on each kind of device."""
    package: str = ""
    """The Python package that it needs besides torch."""
    install: str = ""
    """What to install for it."""

    @property
    def is_installed(self) -> bool:
        """Whether its package is there; nothing is imported."""
        return not self.package or find_spec(self.package) is not None


EAGER, COMPILED = "eager", "compiled"
OPENVINO, ONNXRUNTIME = "openvino", "onnxruntime"
CUDA_GRAPHS, TENSORRT = "cuda_graphs", "tensorrt"
_ON_CUDA = (FLOAT32, BFLOAT16, FLOAT16)
KNOWN = {
    EAGER: Backend({CPU: (FLOAT32, BFLOAT16), CUDA: _ON_CUDA}),
    COMPILED: Backend({CPU: (FLOAT32, BFLOAT16)}),
    OPENVINO: Backend({CPU: (FLOAT32, BFLOAT16, INT8)}, "openvino", "openvino"),
    ONNXRUNTIME: Backend({CPU: (FLOAT32, INT8)}, "onnxruntime", "onnx onnxruntime"),
    CUDA_GRAPHS: Backend({CUDA: _ON_CUDA}),
    TENSORRT: Backend({CUDA: (FLOAT32, FLOAT16)}, "torch_tensorrt", "torch-tensorrt"),
}
BACKENDS = (AUTO, *KNOWN)
OTHER_LIBRARIES = frozenset({OPENVINO, ONNXRUNTIME})
"""Backends that run networks with threads of their own, not torch's."""


class Way(NamedTuple):
    """How a network is run."""

    backend: str
    precision: str


def chosen_way(backend: str, precision: str, device: str) -> Way:
    """What `auto` stands for on a device, and whether the rest can be.

    Args:
        backend: one of `BACKENDS`; `auto` is CUDA graphs on CUDA, and on a CPU OpenVINO where
            it is installed and has the precision, else torch as it is.
        precision: one of `PRECISIONS`; `auto` is float16 on CUDA, else float32.
        device: kind of the device: cpu or cuda; any other runs torch as it is, like a CPU.

    Raises:
        ValueError: a name is unknown, or the backend has no such precision on the device.
        ImportError: the backend's package is not installed; the text says what to install.
    """
    for name, value, known in (
        ("backend", backend, BACKENDS),
        ("precision", precision, PRECISIONS),
    ):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    if precision == AUTO:
        precision = USUAL_PRECISION.get(device, FLOAT32)
    if backend == AUTO:
        backend = _usual_backend(precision, device)
    traits = KNOWN[backend]
    there = traits.precisions.get(device, (FLOAT32,) if backend == EAGER else ())
    if not there:
        needed = " or ".join(traits.precisions)
        raise ValueError(f"backend {backend} needs device {needed}, not {device}")
    if precision not in there:
        raise ValueError(
            f"backend {backend} has no precision {precision} on {device}, only {', '.join(there)}"
        )
    if not traits.is_installed:
        raise ImportError(f"backend {backend} needs: pip install {traits.install}")
    return Way(backend, precision)


def _usual_backend(precision: str, device: str) -> str:
    if device == CUDA and precision in KNOWN[CUDA_GRAPHS].precisions[CUDA]:
        return CUDA_GRAPHS
    if device == CPU and (KNOWN[OPENVINO].is_installed or precision == INT8):
        return OPENVINO
    return EAGER


def multiplies_bfloat16(description: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies bfloat16 in hardware, as far as Linux says.

    Args:
        description: what the system says of its processors.
    """
    try:
        lines = description.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return not _BFLOAT16_FLAGS.isdisjoint(flags.partition(":")[2].split())
