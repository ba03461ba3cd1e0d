# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Backbones of stride 8; every one returns its deep feature and the maps that a refiner reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from siammask_ros.network.layers import ConvNorm

IMAGE_CHANNELS = 3


class BackboneMaps(NamedTuple):
    """What a backbone returns."""

    deep: tuple[Tensor, ...]
    """Stride-8 features for the adjust layer, shallowest first."""
    pyramid: tuple[Tensor, ...]
    """Maps of stride 2, 4 and 8 for the refiner, finest first."""


class ResidualBlock(nn.Module):
    """Two padded 3x3 convolutions and the identity."""

    def __init__(self, channels: int, *, dilation: int = 1) -> None:
        super().__init__()
        self.first = ConvNorm(channels, channels, 3, padding=dilation, dilation=dilation)
        self.second = ConvNorm(
            channels, channels, 3, padding=dilation, dilation=dilation, activate=False
        )

    def forward(self, inputs: Tensor) -> Tensor:
        return functional.relu(self.second(self.first(inputs)) + inputs, inplace=True)


class CompactBackbone(nn.Module):
    """Small residual backbone of the ``compact`` network.

    All stride-2 convolutions have kernel 3 and no padding, so that the maps of all scales are
    aligned exactly: 255 -> 127 -> 63 -> 31 and 127 -> 63 -> 31 -> 15.

    Args:
        channels: width at stride 2, 4 and 8.
        blocks: residual blocks at stride 2, 4 and 8, at least ``dilated_blocks`` at stride 8.
        dilated_blocks: how many of the last blocks are dilated by 2.
    """

    INPUT_SCALE = 1.0 / 128.0
    INPUT_OFFSET = -1.0

    def __init__(
        self,
        *,
        channels: Sequence[int] = (16, 32, 64),
        blocks: Sequence[int] = (1, 2, 3),
        dilated_blocks: int = 2,
    ) -> None:
        super().__init__()
        if len(channels) != len(blocks):
            raise ValueError(f"channels {tuple(channels)} and blocks {tuple(blocks)} differ in length")
        self.channels = tuple(channels)
        self.input_is_raw = True
        self.stages = nn.ModuleList()
        width_in = IMAGE_CHANNELS
        for level, (width, count) in enumerate(zip(channels, blocks)):
            last = level == len(channels) - 1
            stage: list[nn.Module] = [ConvNorm(width_in, width, 3, stride=2)]
            for block in range(count):
                dilated = last and block >= count - dilated_blocks
                stage.append(ResidualBlock(width, dilation=2 if dilated else 1))
            self.stages.append(nn.Sequential(*stage))
            width_in = width

    def forward(self, patch: Tensor) -> BackboneMaps:
        """(N, 3, H, W) BGR 0..255 -> maps of stride 2, 4, 8."""
        features = patch * self.INPUT_SCALE + self.INPUT_OFFSET if self.input_is_raw else patch
        pyramid: list[Tensor] = []
        for stage in self.stages:
            features = stage(features)
            pyramid.append(features)
        return BackboneMaps(deep=(features,), pyramid=tuple(pyramid))
