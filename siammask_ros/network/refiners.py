# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Refiners: from one response to a mask of 127x127 logits (SiamMask, section 3.1, figure 3)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from siammask_ros.network.layers import ConvNorm
from siammask_ros.network.windows import extract_windows

REFINED_SIZE = 127
"""Side of a refined mask: that of the exemplar patch, in search-patch pixels."""
KERNEL_AREA = 25
"""Pixels of an exemplar kernel: the correlation is a sum over so many products."""


class CompactRefiner(nn.Module):
    """Refiner of the ``compact`` network, aligned exactly with its backbone.

    It starts from the 15x15 window of stride 8 features below the chosen response, the
    same window of the mask branch's responses, and the response vector itself, then doubles
    the size three times (15 -> 31 -> 63 -> 127) with the finer features of each scale.

    Args:
        response_channels: channels of the mask branch.
        pyramid_channels: channels of the backbone maps of stride 2, 4, 8.
        widths: channels at 15, 31 and 63 (and 127) pixels.
    """

    WINDOW = 15
    PAD = 4
    RESPONSE_PAD = 7

    def __init__(
        self,
        *,
        response_channels: int,
        pyramid_channels: Sequence[int],
        widths: Sequence[int] = (32, 16, 8),
    ) -> None:
        super().__init__()
        fine, middle, coarse = pyramid_channels
        width15, width31, width63 = widths
        self.coarse_lateral = ConvNorm(coarse, width15, 3, padding=1)
        self.response_lateral = ConvNorm(response_channels, width15, 3, padding=1)
        self.response_vector = nn.Linear(response_channels, width15)
        self.merge15 = ConvNorm(width15, width15, 3, padding=1)
        self.up31 = nn.ConvTranspose2d(width15, width31, 3, stride=2)
        self.lateral31 = ConvNorm(middle, width31, 3, padding=1)
        self.merge31 = ConvNorm(width31, width31, 3, padding=1)
        self.up63 = nn.ConvTranspose2d(width31, width63, 3, stride=2)
        self.lateral63 = ConvNorm(fine, width63, 3, padding=1)
        self.merge63 = ConvNorm(width63, width63, 3, padding=1)
        self.up127 = nn.ConvTranspose2d(width63, width63, 3, stride=2)
        self.predict = nn.Conv2d(width63, 1, 3, padding=1)

    def forward(
        self,
        mask_responses: Tensor,
        pyramid: tuple[Tensor, ...],
        sample_index: Tensor,
        rows: Tensor,
        columns: Tensor,
    ) -> Tensor:
        """Refine the masks of K chosen responses.

        Args:
            mask_responses: (N, C, 25, 25).
            pyramid: maps of stride 2, 4, 8: (N, ., 127, 127), (N, ., 63, 63), (N, ., 31, 31).
            sample_index, rows, columns: (K,) int64, which sample and which response.

        Returns:
            (K, 127, 127) logits.
        """
        fine, middle, coarse = (
            extract_windows(
                level,
                sample_index,
                rows * scale - self.PAD * scale,
                columns * scale - self.PAD * scale,
                (self.WINDOW + 1) * scale - 1,
            )
            for level, scale in zip(pyramid, (4, 2, 1))
        )  # (K, ., 63, 63), (K, ., 31, 31), (K, ., 15, 15)
        responses = extract_windows(
            mask_responses / KERNEL_AREA,
            sample_index,
            rows - self.RESPONSE_PAD,
            columns - self.RESPONSE_PAD,
            self.WINDOW,
        )  # (K, C, 15, 15)
        vector = self.response_vector(responses[:, :, self.RESPONSE_PAD, self.RESPONSE_PAD])
        merged = self.coarse_lateral(coarse) + self.response_lateral(responses)
        merged = self.merge15(merged + vector[:, :, None, None])
        merged = self.merge31(self.up31(merged) + self.lateral31(middle))
        merged = self.merge63(self.up63(merged) + self.lateral63(fine))
        logits: Tensor = self.predict(functional.relu(self.up127(merged), inplace=True))
        return logits[:, 0]  # (K, 1, 127, 127) -> (K, 127, 127)
