# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Refiners: from one response to a mask of 127x127 logits (SiamMask, section 3.1, figure 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from torch import Tensor, nn
from torch.nn import functional

from siammask_ros.network.heads import RESPONSE_LOSS
from siammask_ros.network.layers import ConvNorm
from siammask_ros.network.windows import CutWindows, extract_windows

REFINED_SIZE = 127
"""Side of a refined mask: that of the exemplar patch, in search-patch pixels."""
PYRAMID_SCALES = (4, 2, 1)
"""Pixels of the backbone maps (finest first) per response, the responses' stride being 8."""
KERNEL_AREA = 25
"""Pixels of an exemplar kernel: the correlation is a sum over so many products."""


def response_offset(coarse_size: int, response_size: int) -> int:
    """Place of response 0 among those that the whole backbone map would have had.

    The adjust layer cuts narrow maps to their centre, the maps for the refiner stay whole. In the
    143 pixel search patches of refiner training response 0 is therefore the one that stands at
    4 in the grid of the refiner's maps; in 255 pixel patches nothing is cut and it is 0.

    Args:
        coarse_size: width of the backbone's map of stride 8.
        response_size: width of the response map.

    Raises:
        ValueError: if such responses cannot come from such a map.
    """
    cut = coarse_size - RESPONSE_LOSS - response_size
    if cut < 0 or cut % 2:
        raise ValueError(
            f"{response_size} responses cannot come from a map that is {coarse_size} pixels wide"
        )
    return cut // 2


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

    def windows(
        self,
        mask_responses: Tensor,
        pyramid: tuple[Tensor, ...],
        sample_index: Tensor,
        rows: Tensor,
        columns: Tensor,
        *,
        cut: CutWindows = extract_windows,
    ) -> tuple[Tensor, ...]:
        """Cut out what `forward` takes.

        Args:
            mask_responses: (N, C, 25, 25); (N, C, 3, 3) for 143 pixel search patches.
            pyramid: maps of stride 2, 4, 8: (N, ., 127, 127), (N, ., 63, 63), (N, ., 31, 31).
            sample_index, rows, columns: (K,) int64, which sample and which response.
            cut: how.
        """
        first = response_offset(pyramid[-1].shape[3], mask_responses.shape[3]) - self.PAD
        maps = [
            cut(
                level,
                sample_index,
                (rows + first) * scale,
                (columns + first) * scale,
                (self.WINDOW + 1) * scale - 1,
            )
            for level, scale in zip(pyramid, PYRAMID_SCALES, strict=True)
        ]
        responses = cut(
            mask_responses,
            sample_index,
            rows - self.RESPONSE_PAD,
            columns - self.RESPONSE_PAD,
            self.WINDOW,
        )
        return (*maps, responses)

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor, responses: Tensor) -> Tensor:
        """Refine K masks.

        Args:
            fine, middle, coarse: (K, ., 63, 63), (K, ., 31, 31), (K, ., 15, 15) of the pyramid.
            responses: (K, C, 15, 15) around the chosen one.

        Returns:
            (K, 127, 127) logits.
        """
        responses = responses.div(KERNEL_AREA)
        vector = self.response_vector(responses[:, :, self.RESPONSE_PAD, self.RESPONSE_PAD])
        merged = self.coarse_lateral(coarse) + self.response_lateral(responses)
        merged = self.merge15(merged.add_(vector[:, :, None, None]))
        merged = self.merge31(self.up31(merged).add_(self.lateral31(middle)))
        merged = self.merge63(self.up63(merged).add_(self.lateral63(fine)))
        logits: Tensor = self.predict(functional.relu(self.up127(merged), inplace=True))
        return logits[:, 0]  # (K, 1, 127, 127) -> (K, 127, 127)


class _TwoConvs(nn.Module):
    """Two padded 3x3 convolutions with bias, a ReLU after each."""

    def __init__(self, in_channels: int, hidden_channels: int, out_channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, hidden_channels, 3, padding=1)
        self.second = nn.Conv2d(hidden_channels, out_channels, 3, padding=1)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = functional.relu(self.first(inputs), inplace=True)
        return functional.relu(self.second(hidden), inplace=True)


class RefinerLevel(NamedTuple):
    """Sizes of one refinement step (U_k of figure 3)."""

    window: int
    """Side of the maps it merges."""
    pad: int
    """Zero pixels before the backbone map's first one that the window of response 0 takes in."""
    lateral: tuple[int, int, int]
    """Widths of the convolutions on the backbone window."""
    running: int
    """Width of the running map, equal to the last of ``lateral``."""
    out_size: int
    """Side of what it returns."""
    out_channels: int
    """Width of what it returns."""


SIAMMASK_LEVELS = (
    RefinerLevel(15, 4, (512, 128, 32), 32, 31, 16),
    RefinerLevel(31, 8, (256, 64, 16), 16, 61, 4),
    RefinerLevel(61, 16, (64, 16, 4), 4, REFINED_SIZE, 1),
)


class _MergeAndEnlarge(nn.Module):
    """Add a backbone window to the running map, enlarge (nearest), and narrow by a 3x3."""

    def __init__(self, level: RefinerLevel) -> None:
        super().__init__()
        self.out_size = level.out_size
        self.lateral = _TwoConvs(*level.lateral)
        self.running = _TwoConvs(level.running, level.running, level.running)
        self.narrow = nn.Conv2d(level.running, level.out_channels, 3, padding=1)

    def forward(self, running: Tensor, window: Tensor) -> Tensor:
        merged = self.running(running) + self.lateral(window)
        enlarged = functional.interpolate(merged, size=self.out_size, mode="nearest")
        narrowed: Tensor = self.narrow(enlarged)
        return narrowed


class SiamMaskRefiner(nn.Module):
    """Refiner of the paper: a vector of the chosen response grows to 127x127 in three steps.

    Args:
        vector_channels: length of the vector: a response of the mask branch, or the logits of a
            coarse mask.
        levels: the steps, coarsest first; the backbone maps are taken in reverse order.
    """

    def __init__(
        self,
        *,
        vector_channels: int,
        levels: Sequence[RefinerLevel] = SIAMMASK_LEVELS,
    ) -> None:
        super().__init__()
        first = levels[0]
        self.grow = nn.ConvTranspose2d(
            vector_channels, first.running, first.window, stride=first.window
        )
        self.sizes = tuple(levels)
        self.levels = nn.ModuleList(_MergeAndEnlarge(level) for level in levels)

    def windows(
        self,
        mask_responses: Tensor,
        pyramid: tuple[Tensor, ...],
        sample_index: Tensor,
        rows: Tensor,
        columns: Tensor,
        *,
        vectors: Tensor | None = None,
        cut: CutWindows = extract_windows,
    ) -> tuple[Tensor, ...]:
        """Cut out what `forward` takes; see :meth:`CompactRefiner.windows`.

        Args:
            mask_responses, sample_index, rows, columns, cut: as there.
            pyramid: maps of stride 2, 4, 8: (N, 64, 125, 125), (N, 256, 63, 63), (N, 512, 31, 31).
            vectors: (K, C') to start from, by default the responses themselves.
        """
        if vectors is None:
            vectors = mask_responses[sample_index, :, rows, columns]  # (K, C)
        first = response_offset(pyramid[-1].shape[3], mask_responses.shape[3])
        maps = [
            cut(
                level_map,
                sample_index,
                (rows + first) * scale - level.pad,
                (columns + first) * scale - level.pad,
                level.window,
            )
            for level, level_map, scale in zip(
                self.sizes, reversed(pyramid), reversed(PYRAMID_SCALES), strict=True
            )
        ]
        return (vectors, *maps)

    def forward(self, vectors: Tensor, *maps: Tensor) -> Tensor:
        """Grow K masks.

        Args:
            vectors: (K, C) to start from.
            maps: (K, ., 15, 15), (K, ., 31, 31), (K, ., 61, 61) of the pyramid, coarsest first.

        Returns:
            (K, 127, 127) logits.
        """
        running: Tensor = self.grow(vectors[:, :, None, None])  # (K, C, 1, 1) -> (K, 32, 15, 15)
        for step, window in zip(self.levels, maps, strict=True):
            running = step(running, window)
        return running[:, 0]  # (K, 1, 127, 127) -> (K, 127, 127)


Refiner: TypeAlias = CompactRefiner | SiamMaskRefiner
