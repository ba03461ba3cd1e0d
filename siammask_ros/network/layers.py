# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Layers that the backbones, the branches and the refiners share."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm and, unless ``activate`` is False, ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        activate: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=False,
        )
        self.norm: nn.Module = nn.BatchNorm2d(out_channels)
        self.activate = activate

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H', W')."""
        outputs: Tensor = self.norm(self.conv(inputs))
        return functional.relu(outputs, inplace=True) if self.activate else outputs
