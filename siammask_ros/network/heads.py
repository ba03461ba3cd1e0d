# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Adjust layers, correlation branches and prediction heads (SiamMask, section 3 and appendix A).

Those of several levels (SiamMask++) keep the levels side by side in the channels of one tensor, so
that a network of one level and one of several are used alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn

from siammask_ros.network.correlation import depthwise_correlation, up_channel_correlation
from siammask_ros.network.layers import ConvNorm

NARROW_MAP = 20
"""Maps narrower than this are cut to their centre by the adjust layer."""
CENTER_MARGIN = 4
"""Pixels cut off at each side of such a map: the exemplar's 15x15 become 7x7."""
BRANCH_KERNEL = 3
"""Kernel of a branch's own convolutions, which have no padding."""
EXEMPLAR_KERNEL = 5
"""Side of the exemplar kernels that search features are correlated with."""
RESPONSE_LOSS = (BRANCH_KERNEL - 1) + (EXEMPLAR_KERNEL - 1)
"""How much narrower the responses are than the feature map that the branches get."""


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


class LayerwiseAdjust(nn.Module):
    """An adjust layer for each of several deep maps."""

    def __init__(self, in_channels: Sequence[int], out_channels: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(AdjustLayer(width, out_channels) for width in in_channels)

    def forward(self, deep: tuple[Tensor, ...]) -> Tensor:
        """L maps (N, in, H, W) -> (N, L * out, H, W), narrow ones cut as by `AdjustLayer`."""
        levels = zip(self.levels, deep, strict=True)
        return torch.cat([level((feature,)) for level, feature in levels], dim=1)


class CorrelationBranch(nn.Module):
    """Separate 3x3 convolutions of exemplar and search features, then their correlation.

    Args:
        in_channels: width of the adjusted features.
        channels: width of the search features that are correlated.
        up_channels: None to correlate every channel with its own kernel, which gives `channels`
            responses. Else how many kernels over all channels the exemplar turns into, and so how
            many responses there are (up-channel correlation, as in SiamRPN). These kernels
            have no ReLU: they must be able to count against a response.
    """

    def __init__(self, in_channels: int, channels: int, *, up_channels: int | None = None) -> None:
        super().__init__()
        self.is_depthwise = up_channels is None
        self.exemplar_conv = ConvNorm(
            in_channels,
            channels * (up_channels or 1),
            BRANCH_KERNEL,
            activate=self.is_depthwise,
        )
        self.search_conv = ConvNorm(in_channels, channels, BRANCH_KERNEL)

    def kernel(self, exemplar_feature: Tensor) -> Tensor:
        """(N, in, 7, 7) -> (N, channels, 5, 5), or (N, up_channels * channels, 5, 5)."""
        kernel: Tensor = self.exemplar_conv(exemplar_feature)
        return kernel

    def respond(self, search_feature: Tensor, kernel: Tensor) -> Tensor:
        """(N, in, 31, 31) and a kernel -> (N, channels or up_channels, 25, 25)."""
        correlation = depthwise_correlation if self.is_depthwise else up_channel_correlation
        return correlation(self.search_conv(search_feature), kernel)


class LayerwiseBranch(nn.Module):
    """A correlation branch for each of L levels, which lie side by side in the channels."""

    def __init__(self, levels: Iterable[CorrelationBranch]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(levels)

    def kernel(self, exemplar_feature: Tensor) -> Tensor:
        """(N, L * in, 7, 7) -> (N, L * channels, 5, 5)."""
        features = exemplar_feature.chunk(len(self.levels), dim=1)
        return torch.cat(
            [
                branch.kernel(feature)
                for branch, feature in zip(self._branches(), features, strict=True)
            ],
            dim=1,
        )

    def respond(self, search_feature: Tensor, kernel: Tensor) -> Tensor:
        """(N, L * in, 31, 31) and (N, L * channels, 5, 5) -> (N, L * channels, 25, 25)."""
        count = len(self.levels)
        parts = zip(
            self._branches(),
            search_feature.chunk(count, dim=1),
            kernel.chunk(count, dim=1),
            strict=True,
        )
        return torch.cat([branch.respond(feature, one) for branch, feature, one in parts], dim=1)

    def _branches(self) -> list[CorrelationBranch]:
        return [branch for branch in self.levels if isinstance(branch, CorrelationBranch)]


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

    def at(self, responses: Tensor, sample_index: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Predictions at K chosen responses only: (N, channels, H, W) -> (K, out).

        In training the hidden layer still sees all responses: the statistics of its batch norm
        must not be those of a few chosen, positive ones.

        Args:
            responses: (N, channels, H, W).
            sample_index, rows, columns: (K,) int64.
        """
        if self.training:
            hidden = self.hidden(responses)[sample_index, :, rows, columns][:, :, None, None]
        else:
            hidden = self.hidden(responses[sample_index, :, rows, columns][:, :, None, None])
        predictions: Tensor = self.predict(hidden)  # (K, out, 1, 1)
        return predictions[:, :, 0, 0]


class LayerwiseHead(nn.Module):
    """A prediction head for each of L levels; their raw outputs are averaged by learned weights.

    The weights are the softmax of `level_weights` (SiamMask++: alpha, beta and gamma), which begin
    equal.
    """

    def __init__(self, levels: Iterable[PredictionHead]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(levels)
        self.level_weights = nn.Parameter(torch.ones(len(self.levels)))

    def forward(self, responses: Tensor) -> Tensor:
        """(N, L * channels, H, W) -> (N, out, H, W)."""
        parts = responses.chunk(len(self.levels), dim=1)
        return self._average([head(part) for head, part in zip(self.levels, parts, strict=True)])

    def at(self, responses: Tensor, sample_index: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Predictions at K chosen responses only; see :meth:`PredictionHead.at`."""
        parts = responses.chunk(len(self.levels), dim=1)
        return self._average(
            [
                cast("PredictionHead", head).at(part, sample_index, rows, columns)
                for head, part in zip(self.levels, parts, strict=True)
            ]
        )

    def _average(self, predictions: Sequence[Tensor]) -> Tensor:
        weights = self.level_weights.softmax(dim=0)
        weighted = [
            weight * prediction for weight, prediction in zip(weights, predictions, strict=True)
        ]
        return torch.stack(weighted).sum(dim=0)


Branch: TypeAlias = CorrelationBranch | LayerwiseBranch
Head: TypeAlias = PredictionHead | LayerwiseHead
