# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on the CPU: float32, and bfloat16 where the processor multiplies it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from siammask_ros.backends import names
from siammask_ros.backends.graphs import GraphNetwork, Part, Runners, parts_of, traced

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt
    from torch import Tensor

    from siammask_ros.network import SiamMask

_HINTS = {names.FLOAT32: "f32", names.BFLOAT16: "bf16", names.INT8: "f32"}
"""Precision of what is not quantised."""


class Models(NamedTuple):
    """Models of OpenVINO (`openvino.Model`) for one patch, patches as (1, 255, 255, 3)."""

    search: Any
    refine: Any
    """None in a network without a refiner."""


class OpenVinoNetwork(GraphNetwork):
    """A network in OpenVINO.

    Args:
        network: fused, in float32, on the CPU.
        precision: float32 or bfloat16; int8 for models that are quantised.
        threads: how many it uses; they are bound to no core, and sleep between calls.
        models: what is run; by default made of the network.
    """

    def __init__(
        self, network: SiamMask, *, precision: str, threads: int, models: Models | None = None
    ) -> None:
        models = models or models_of(network)
        search = _Compiled(models.search, precision, threads)
        refine = None if models.refine is None else _Compiled(models.refine, precision, threads)
        super().__init__(
            network,
            Runners(_InChannelsLast(search), refine),
            backend=names.OPENVINO,
            precision=precision,
            threads=threads,
        )


class _Compiled:
    """A model that is ready to run."""

    def __init__(self, model: Any, precision: str, threads: int) -> None:  # noqa: ANN401
        import openvino  # noqa: PLC0415 - an extra

        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "ENABLE_CPU_PINNING": False,  # the camera's thread, or another process, may be there
            "CACHE_DIR": "",
        }
        self._tensor = openvino.Tensor
        self._request = _core().compile_model(model, "CPU", options).create_infer_request()

    def __call__(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        # Given to `infer` itself, inputs would cost 0.3 ms: it lists what the model takes.
        taken = [_array(tensor) for tensor in inputs]  # the library does not hold them
        for index, array in enumerate(taken):
            self._request.set_input_tensor(index, self._tensor(array, shared_memory=True))
        for index, tensor in enumerate(outputs):
            self._request.set_output_tensor(index, self._tensor(_array(tensor), shared_memory=True))
        self._request.infer(share_outputs=True)


class _InChannelsLast:
    """Gives the patch as it lies in memory: the tracker's are images, channels last."""

    def __init__(self, run: _Compiled) -> None:
        self._run = run

    def __call__(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        patch, *kernels = inputs
        self._run([patch.permute(0, 2, 3, 1), *kernels], outputs)  # (1, 3, S, S) -> (1, S, S, 3)


def models_of(network: SiamMask) -> Models:
    """OpenVINO's models of a network's parts, in float32.

    Args:
        network: fused, in float32, on the CPU.
    """
    parts = parts_of(network)
    search = _with_patch_in_channels_last(_converted(parts.search))
    return Models(search, None if parts.refine is None else _converted(parts.refine))


def read_models(search: Path, refine: Path | None) -> Models:
    """Models of files for one patch; the search file's patch is (1, 3, 255, 255)."""
    found = _with_patch_in_channels_last(_core().read_model(search))
    return Models(found, None if refine is None else _core().read_model(refine))


@functools.cache
def _core() -> Any:  # noqa: ANN401
    """One for the whole process.

    Each gives the thread that makes it a stack for signals, and takes it away when it ends; of
    several that end in another order than they began, one leaves the thread a stack that is gone,
    and the next signal, such as Ctrl-C, is a segmentation fault (OpenVINO 2026.4).
    """
    import openvino  # noqa: PLC0415 - an extra

    return openvino.Core()


def _converted(part: Part) -> Any:  # noqa: ANN401
    import openvino  # noqa: PLC0415 - an extra

    model = openvino.convert_model(traced(part), example_input=part.example)
    shapes = zip(model.inputs, part.example, strict=True)
    model.reshape({given: list(tensor.shape) for given, tensor in shapes})
    return model


def _with_patch_in_channels_last(model: Any) -> Any:  # noqa: ANN401
    from openvino import Layout, preprocess  # noqa: PLC0415 - an extra

    steps = preprocess.PrePostProcessor(model)
    steps.input(0).tensor().set_layout(Layout("NHWC"))
    steps.input(0).model().set_layout(Layout("NCHW"))
    return steps.build()


def _array(tensor: Tensor) -> npt.NDArray[np.float32]:
    """The tensor's numbers, copied only if they do not lie in order; not by torch's threads."""
    return np.ascontiguousarray(tensor.numpy())
