# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Backbones of stride 8; every one returns its deep feature and the maps that a refiner reads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
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
        """(N, C, H, W) -> the same shape."""
        residual: Tensor = self.second(self.first(inputs))
        return functional.relu(residual.add_(inputs), inplace=True)


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
        if len(channels) != len(blocks) or not channels:
            raise ValueError(
                f"channels {tuple(channels)} and blocks {tuple(blocks)} differ in length "
                "or are empty"
            )
        self.channels = tuple(channels)
        self.scales_input = True
        self.stages = nn.ModuleList()
        width_in = IMAGE_CHANNELS
        for level, (width, count) in enumerate(zip(channels, blocks, strict=True)):
            last = level == len(channels) - 1
            stage: list[nn.Module] = [ConvNorm(width_in, width, 3, stride=2)]
            for block in range(count):
                dilated = last and block >= count - dilated_blocks
                stage.append(ResidualBlock(width, dilation=2 if dilated else 1))
            self.stages.append(nn.Sequential(*stage))
            width_in = width

    @property
    def stem(self) -> ConvNorm:
        """The first convolution."""
        stage = self.stages[0]
        assert isinstance(stage, nn.Sequential)
        stem = stage[0]
        assert isinstance(stem, ConvNorm)
        return stem

    def forward(self, patch: Tensor) -> BackboneMaps:
        """(N, 3, H, W) BGR 0..255 -> maps of stride 2, 4, 8."""
        features = patch * self.INPUT_SCALE + self.INPUT_OFFSET if self.scales_input else patch
        pyramid: list[Tensor] = []
        for stage in self.stages:
            features = stage(features)
            pyramid.append(features)
        return BackboneMaps(deep=(features,), pyramid=tuple(pyramid))


class BottleneckBlock(nn.Module):
    """1x1, 3x3 and 1x1 convolution and the identity, or a projection where the shape changes.

    Args:
        in_channels: width of the input.
        channels: a quarter of the block's output's width.
        inner_channels: width of the 3x3 convolution, by default `channels`.
        groups: of the 3x3 convolution.
        stride: 1 or 2. With stride 2 the 3x3 convolution has no padding, as SiamMask wants it.
        dilation: of the 3x3 convolution.
        shortcut: kernel size of the projection, or None for the identity.
    """

    EXPANSION = 4

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        inner_channels: int | None = None,
        groups: int = 1,
        stride: int = 1,
        dilation: int = 1,
        shortcut: int | None = None,
    ) -> None:
        super().__init__()
        out_channels = channels * self.EXPANSION
        inner_channels = inner_channels or channels
        padding = dilation if stride == 1 else 0
        self.reduce = ConvNorm(in_channels, inner_channels, 1)
        self.spatial = ConvNorm(
            inner_channels,
            inner_channels,
            3,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
        )
        self.expand = ConvNorm(inner_channels, out_channels, 1, activate=False)
        self.shortcut: nn.Module = nn.Identity()
        if shortcut is not None:
            self.shortcut = ConvNorm(
                in_channels,
                out_channels,
                shortcut,
                stride=stride,
                padding=padding if shortcut > 1 else 0,
                dilation=dilation if shortcut > 1 else 1,
                activate=False,
            )

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, 4 * channels, H', W')."""
        residual: Tensor = self.expand(self.spatial(self.reduce(inputs)))
        return functional.relu(residual.add_(self.shortcut(inputs)), inplace=True)


class AlexNet(nn.Module):
    """AlexNet with batch norm, the small backbone of the paper's table 7.

    Padded, unlike that of SiamFC and SiamRPN, so that its deep map has stride 8, size and place of
    the ResNet's: heads, anchors, tracker and training are then the same, and what is compared is
    the backbone. As there, the last convolution has no ReLU. It has no maps for a refiner.

    Args:
        widths: channels of the five convolutions.
    """

    WIDTHS = (96, 256, 384, 384, 256)
    STEM_KERNEL = 11

    def __init__(self, *, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        first, second, third, fourth, last = widths
        self.stem = ConvNorm(IMAGE_CHANNELS, first, self.STEM_KERNEL, stride=2, padding=2)
        self.stages = nn.ModuleDict(
            {
                "2": ConvNorm(first, second, 5, padding=2),
                "3": ConvNorm(second, third, 3, padding=1),
                "4": ConvNorm(third, fourth, 3, padding=1),
                "5": ConvNorm(fourth, last, 3, padding=1, activate=False),
            }
        )

    def forward(self, patch: Tensor) -> BackboneMaps:
        """(N, 3, H, W) BGR 0..255 -> one deep map, 31 pixels wide for H = 255, 15 for 127."""
        features = functional.max_pool2d(self.stem(patch), 3, stride=2, padding=1)
        features = functional.max_pool2d(self.stages["2"](features), 3, stride=2)
        for name in ("3", "4", "5"):
            features = self.stages[name](features)
        return BackboneMaps(deep=(features,), pyramid=())


class ResNetStage(NamedTuple):
    """Sizes of one stage of a ResNet."""

    blocks: int
    channels: int
    stride: int
    dilation: int


RESNET50_STAGES = (
    ResNetStage(blocks=3, channels=64, stride=1, dilation=1),
    ResNetStage(blocks=4, channels=128, stride=2, dilation=1),
    ResNetStage(blocks=6, channels=256, stride=1, dilation=2),
)
"""ResNet-50 to the end of stage 4 (conv4_x), dilated instead of strided (appendix A, table 8)."""
RESNET50_ALL_STAGES = (
    *RESNET50_STAGES,
    ResNetStage(blocks=3, channels=512, stride=1, dilation=4),
)
"""ResNet-50 to its end (conv5_x), for SiamMask++."""


class ResNet(nn.Module):
    """ResNet with bottleneck blocks, cut and dilated to stride 8.

    Where it differs from the usual ResNet it follows the code that the published weights were
    trained with: no padding in the stem and in the strided stage, 3x3 projections wherever stride
    or dilation begin, half the dilation in the first block of a dilated stage.

    Args:
        stages: the stages after the stem, at least two.
        deep_stages: 1-based stages whose outputs go to the adjust layer, shallowest first.
        stem_channels: width of the stem.
        groups: of the 3x3 convolutions; 32 in ResNeXt.
        inner_width: width of the 3x3 convolutions in units of the stage's channels; 2 in
            ResNeXt-50 32x4d.
    """

    STEM_CHANNELS = 64
    STEM_KERNEL = 7

    def __init__(
        self,
        *,
        stages: Sequence[ResNetStage] = RESNET50_STAGES,
        deep_stages: Sequence[int] = (3,),
        stem_channels: int = STEM_CHANNELS,
        groups: int = 1,
        inner_width: int = 1,
    ) -> None:
        super().__init__()
        self.deep_stages = tuple(deep_stages)
        self.stem = ConvNorm(IMAGE_CHANNELS, stem_channels, self.STEM_KERNEL, stride=2)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.stages = nn.ModuleDict()
        width = stem_channels
        for number, stage in enumerate(stages, start=1):
            keeps_grid = stage.stride == 1 and stage.dilation == 1
            block = partial(
                BottleneckBlock,
                channels=stage.channels,
                inner_channels=stage.channels * inner_width,
                groups=groups,
            )
            first = block(
                width,
                stride=stage.stride,
                dilation=max(stage.dilation // 2, 1),
                shortcut=1 if keeps_grid else 3,
            )
            width = stage.channels * BottleneckBlock.EXPANSION
            rest = (block(width, dilation=stage.dilation) for _ in range(stage.blocks - 1))
            self.stages[str(number)] = nn.Sequential(first, *rest)

    def forward(self, patch: Tensor) -> BackboneMaps:
        """(N, 3, H, W) BGR 0..255 -> stem (after ReLU), stage 1 and stage 2 as the pyramid.

        For H = 255 the maps are 125, 63 and 31 pixels wide, for 127 they are 61, 31 and 15.
        """
        features: Tensor = self.stem(patch)
        outputs = [features]
        features = self.pool(features)
        for stage in self.stages.values():
            features = stage(features)
            outputs.append(features)
        deep = tuple(outputs[number] for number in self.deep_stages)
        return BackboneMaps(deep=deep, pyramid=tuple(outputs[:3]))
