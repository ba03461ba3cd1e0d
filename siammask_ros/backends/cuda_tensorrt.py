# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Backbone and refiner as TensorRT engines, in the same CUDA graphs as the rest of the step.

They are nearly all of the work, and plain convolutions. What lies between them, correlation with
kernels that are computed, choice and windows, stays in torch: one graph holds it all anyway.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from siammask_ros.backends.cuda_graphs import GraphCapture, cuda_device_of
from siammask_ros.backends.device_network import DeviceNetwork
from siammask_ros.network import BackboneMaps

if TYPE_CHECKING:
    from collections.abc import Callable

    from siammask_ros.backends.device_launch import Launch
    from siammask_ros.network import SiamMask
    from siammask_ros.network.refiners import Refiner

    Compile = Callable[[nn.Module, tuple[Tensor, ...]], Callable[..., tuple[Tensor, ...]]]
    """Makes a module faster for inputs of such shapes; it takes tensors and gives a tuple."""

BACKEND = "tensorrt"


def prepare_tensorrt(network: SiamMask, *, precision: str) -> TensorrtNetwork:
    """A network whose convolutions TensorRT runs; engines are built for each number of targets.

    Args:
        network: fused, in float32, on a CUDA device.
        precision: float32 or float16.

    Raises:
        ValueError: the network is on another device.
        ImportError: torch_tensorrt is not installed.
    """
    device = cuda_device_of(network)
    import torch_tensorrt  # noqa: F401, PLC0415 - late, optional; said now, not at the first step

    return TensorrtNetwork(network, precision=precision, launch=GraphCapture(device))


def compile_with_tensorrt(
    module: nn.Module, example: tuple[Tensor, ...]
) -> Callable[..., tuple[Tensor, ...]]:
    """An engine for inputs as the example's, in the precision that the module has."""
    import torch_tensorrt  # noqa: PLC0415 - optional

    compiled: Callable[..., tuple[Tensor, ...]] = torch_tensorrt.compile(
        module, ir="dynamo", inputs=list(example), use_explicit_typing=True
    )
    return compiled


class TensorrtNetwork(DeviceNetwork):
    """A network whose backbone and refiner run as compiled engines.

    Args:
        network, precision, launch: see `DeviceNetwork`.
        compile_module: makes the engines.
    """

    def __init__(
        self,
        network: SiamMask,
        *,
        precision: str,
        launch: Launch,
        compile_module: Compile = compile_with_tensorrt,
    ) -> None:
        super().__init__(network, backend=BACKEND, precision=precision, launch=launch)
        self._compile = compile_module

    def _network_of_a_step(self) -> SiamMask:
        """A copy whose engines are built for the first inputs they get; that takes minutes."""
        compiled = copy.deepcopy(self.reduced)
        compiled.backbone = _BackboneEngine(compiled.backbone, self._compile)
        if compiled.refiner is not None:
            compiled.refiner = _RefinerEngine(compiled.refiner, self._compile)  # type: ignore[assignment]
        return compiled


class _Engine(nn.Module):
    """A module that is compiled when it is called first, for inputs of that shape and no other."""

    def __init__(self, module: nn.Module, compile_module: Compile) -> None:
        super().__init__()
        self.module = module
        self._compile = compile_module
        self._compiled: Callable[..., tuple[Tensor, ...]] | None = None

    def run(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """What the module gives, as a tuple."""
        if self._compiled is None:
            # Exporters do not take tensors of inference mode, and only look at their shapes.
            with torch.inference_mode(mode=False), torch.no_grad():
                example = tuple(torch.zeros_like(one) for one in inputs)
                self._compiled = self._compile(self.module, example)
        return self._compiled(*inputs)


class _BackboneEngine(_Engine):
    """A backbone; its maps pass the engine as one tuple, the deep ones first."""

    def __init__(self, backbone: nn.Module, compile_module: Compile) -> None:
        super().__init__(_FlatBackbone(backbone), compile_module)
        self.deep_maps = len(getattr(backbone, "deep_stages", (None,)))

    def forward(self, patch: Tensor) -> BackboneMaps:
        maps = self.run(patch)
        return BackboneMaps(deep=maps[: self.deep_maps], pyramid=maps[self.deep_maps :])


class _FlatBackbone(nn.Module):
    """A backbone that gives its maps as one tuple."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, patch: Tensor) -> tuple[Tensor, ...]:
        maps: BackboneMaps = self.backbone(patch)
        return (*maps.deep, *maps.pyramid)


class _RefinerEngine(_Engine):
    """A refiner; its windows are cut outside."""

    def __init__(self, refiner: Refiner, compile_module: Compile) -> None:
        super().__init__(_FlatRefiner(refiner), compile_module)
        self.windows = refiner.windows

    def forward(self, *windows: Tensor) -> Tensor:
        (logits,) = self.run(*windows)
        return logits


class _FlatRefiner(nn.Module):
    """A refiner that gives its masks as a tuple of one."""

    def __init__(self, refiner: Refiner) -> None:
        super().__init__()
        self.refiner = refiner

    def forward(self, *windows: Tensor) -> tuple[Tensor]:
        return (self.refiner(*windows),)
