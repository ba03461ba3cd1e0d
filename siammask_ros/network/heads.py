# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Adjust layer, correlation branches and prediction heads (SiamMask, section 3 and appendix A)."""

from __future__ import annotations

from torch import Tensor, nn

from siammask_ros.network.correlation import depthwise_correlation
from siammask_ros.network.layers import ConvNorm

NARROW_MAP = 20
"""Maps narrower than this are cut to their centre by the adjust layer."""
CENTER_MARGIN = 4
"""Pixels cut off at each side of such a map: the exemplar's 15x15 become 7x7."""


class AdjustLayer(nn.Module):
    """1x1 convolution and batch norm to the branches' width; narrow maps are cut to the centre.

    The cut drops the border of the exemplar map, which padding has touched. It goes by the map's
    width, as in the official code, so that the 143 pixel search patches of refiner training
    are cut too and give 3x3 responses. Cutting before the projection gives the same values for
    less work; only the statistics of a batch norm in training are then those of the centre.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.project = ConvNorm(in_channels, out_channels, 1, activate=False)

    def forward(self, deep: tuple[Tensor, ...]) -> Tensor:
        """(deepest (N, in, H, W),) -> (N, out, H, W), or (N, out, H - 8, W - 8) when narrow."""
        feature = deep[-1]
        if feature.shape[3] < NARROW_MAP:
            inner = slice(CENTER_MARGIN, -CENTER_MARGIN)
            feature = feature[:, :, inner, inner]
        adjusted: Tensor = self.project(feature)
        return adjusted


class CorrelationBranch(nn.Module):
    """Separate 3x3 convolutions of exemplar and search features, then their correlation."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.exemplar_conv = ConvNorm(in_channels, channels, 3)
        self.search_conv = ConvNorm(in_channels, channels, 3)

    def kernel(self, exemplar_feature: Tensor) -> Tensor:
        """(N, in, 7, 7) -> (N, channels, 5, 5)."""
        kernel: Tensor = self.exemplar_conv(exemplar_feature)
        return kernel

    def respond(self, search_feature: Tensor, kernel: Tensor) -> Tensor:
        """(N, in, 31, 31) and (N, channels, 5, 5) -> (N, channels, 25, 25)."""
        return depthwise_correlation(self.search_conv(search_feature), kernel)


class PredictionHead(nn.Module):
    """1x1 convolution with batch norm and ReLU, then a 1x1 convolution with bias."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.hidden = ConvNorm(channels, channels, 1)
        self.predict = nn.Conv2d(channels, out_channels, 1)

    def forward(self, responses: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, out, H, W)."""
        predictions: Tensor = self.predict(self.hidden(responses))
        return predictions
