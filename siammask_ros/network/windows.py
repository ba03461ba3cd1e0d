# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cut several windows out of a batch of feature maps, zero outside, with a cheap backward pass."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor


class CutWindows(Protocol):
    """A way to cut windows out of maps: `extract_windows` or `gather_windows`."""

    def __call__(
        self, maps: Tensor, sample_index: Tensor, tops: Tensor, lefts: Tensor, size: int, /
    ) -> Tensor:
        """See :func:`extract_windows`."""


def extract_windows(
    maps: Tensor, sample_index: Tensor, tops: Tensor, lefts: Tensor, size: int
) -> Tensor:
    """Cut K square windows; pixels outside a map are zero.

    Args:
        maps: (N, C, H, W) feature maps.
        sample_index: (K,) int64, the map each window is cut from, 0..N-1.
        tops, lefts: (K,) int64, row and column of each window's first pixel; may lie outside.
        size: side of the windows in pixels, at least 1.

    Returns:
        (K, C, size, size) windows, in the memory format of ``maps``.

    Raises:
        ValueError: if the index tensors differ in shape, or a sample index is out of range.
    """
    if not sample_index.shape == tops.shape == lefts.shape or sample_index.dim() != 1:
        raise ValueError(
            "sample_index, tops and lefts must be vectors of one length, got shapes "
            f"{tuple(sample_index.shape)}, {tuple(tops.shape)}, {tuple(lefts.shape)}"
        )
    corners = torch.stack((sample_index, tops, lefts), dim=1).tolist()
    for sample, _, _ in corners:
        if not 0 <= sample < maps.shape[0]:
            raise ValueError(f"sample index {sample} is outside the batch of {maps.shape[0]}")
    windows: Tensor = _ExtractWindows.apply(maps, corners, size)  # type: ignore[no-untyped-call]
    return windows


def gather_windows(
    maps: Tensor, sample_index: Tensor, tops: Tensor, lefts: Tensor, size: int
) -> Tensor:
    """As `extract_windows`, without a look at the numbers: nothing waits for the device.

    So it can be part of a CUDA graph or of an exported network, and on a GPU it is fast; on a CPU
    slices are. A sample index out of range is not noticed. Windows are channels-last.
    """
    steps = torch.arange(size, device=maps.device)
    rows, columns = tops[:, None] + steps, lefts[:, None] + steps  # (K, size)
    height, width = maps.shape[2:]
    inside_rows = (rows >= 0) & (rows < height)
    inside_columns = (columns >= 0) & (columns < width)
    windows = maps.permute(0, 2, 3, 1)[
        sample_index[:, None, None],
        rows.clamp(0, height - 1)[:, :, None],
        columns.clamp(0, width - 1)[:, None, :],
    ]  # (K, size, size, C)
    inside = inside_rows[:, :, None] & inside_columns[:, None, :]  # (K, size, size)
    return windows.masked_fill(~inside[..., None], 0).permute(0, 3, 1, 2)  # (K, C, size, size)


def _overlap(start: int, size: int, length: int) -> tuple[slice, slice]:
    """Where the window [start, start + size) meets [0, length): in the map, in the window."""
    first = min(max(start, 0), length)
    last = max(min(start + size, length), first)
    return slice(first, last), slice(first - start, last - start)


class _ExtractWindows(torch.autograd.Function):
    """Slices copied one by one; backward adds them into one zero map.

    Slicing in plain autograd would allocate a full-size zero map for every window.
    """

    @staticmethod
    def forward(  # torch does not type ctx
        ctx: Any,  # noqa: ANN401
        maps: Tensor,
        corners: list[list[int]],
        size: int,
    ) -> Tensor:
        ctx.maps_shape, ctx.corners, ctx.size = maps.shape, corners, size
        ctx.memory_format = _memory_format(maps)
        height, width = maps.shape[2:]
        windows = torch.empty(
            (len(corners), maps.shape[1], size, size),
            dtype=maps.dtype,
            device=maps.device,
            memory_format=ctx.memory_format,
        ).zero_()
        for window, (sample, top, left) in zip(windows, corners, strict=True):
            map_rows, window_rows = _overlap(top, size, height)
            map_columns, window_columns = _overlap(left, size, width)
            window[:, window_rows, window_columns] = maps[sample, :, map_rows, map_columns]
        return windows

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        gradient = gradients[0]
        height, width = ctx.maps_shape[2:]
        maps_gradient = torch.zeros(
            ctx.maps_shape, dtype=gradient.dtype, device=gradient.device
        ).contiguous(memory_format=ctx.memory_format)
        for window, (sample, top, left) in zip(gradient, ctx.corners, strict=True):
            map_rows, window_rows = _overlap(top, ctx.size, height)
            map_columns, window_columns = _overlap(left, ctx.size, width)
            maps_gradient[sample, :, map_rows, map_columns] += window[
                :, window_rows, window_columns
            ]
        return maps_gradient, None, None


def _memory_format(maps: Tensor) -> torch.memory_format:
    if maps.is_contiguous():
        return torch.contiguous_format
    return torch.channels_last
