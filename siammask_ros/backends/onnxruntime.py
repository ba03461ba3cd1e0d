# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on the CPU."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from siammask_ros.backends.graphs import GraphNetwork, Part, Runners, parts_of, tracing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from siammask_ros.network import SiamMask

NAME = "onnxruntime"
OPSET = 17


class OnnxModels(NamedTuple):
    """Models in ONNX for one patch, as bytes, or paths of files."""

    search: bytes | str
    refine: bytes | str | None
    """None in a network without a refiner."""


class OnnxRuntimeNetwork(GraphNetwork):
    """A network in ONNX Runtime.

    Args:
        network: fused, in float32, on the CPU.
        precision: float32; int8 for models that are quantised.
        threads: how many it uses; they sleep between calls.
        models: what is run; by default made of the network.
    """

    def __init__(
        self, network: SiamMask, *, precision: str, threads: int, models: OnnxModels | None = None
    ) -> None:
        models = models or models_of(network)
        refine = None if models.refine is None else _Session(models.refine, threads)
        super().__init__(
            network,
            Runners(_Session(models.search, threads), refine),
            backend=NAME,
            precision=precision,
            threads=threads,
        )


class _Session:
    """A model that is ready to run."""

    def __init__(self, model: bytes | str, threads: int) -> None:
        import onnxruntime  # noqa: PLC0415 - an extra

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # By default its threads turn in circles between calls, on cores that others need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers = ["CPUExecutionProvider"]
        self._session: Any = onnxruntime.InferenceSession(model, options, providers=providers)
        self._inputs = [given.name for given in self._session.get_inputs()]

    def __call__(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        arrays = (np.ascontiguousarray(tensor.numpy()) for tensor in inputs)
        found = self._session.run(None, dict(zip(self._inputs, arrays, strict=True)))
        for place, array in zip(outputs, found, strict=True):
            np.copyto(place.numpy(), array)


def models_of(network: SiamMask) -> OnnxModels:
    """The network's parts in ONNX, in float32.

    Args:
        network: fused, in float32, on the CPU.
    """
    search, refine = parts_of(network)
    return OnnxModels(_exported(search), None if refine is None else _exported(refine))


def _exported(part: Part) -> bytes:
    """A model of fixed shapes; opset 17 (ONNX 1.12) has all that is needed."""
    stream = io.BytesIO()
    with tracing():
        torch.onnx.export(
            part.module,
            part.example,
            stream,  # type: ignore[arg-type] # files are fine
            input_names=[f"input_{index}" for index in range(len(part.example))],
            opset_version=OPSET,
            dynamo=False,
        )
    return stream.getvalue()
