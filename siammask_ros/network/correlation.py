# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cross-correlation of exemplar kernels with search features, depth-wise and up-channel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def depthwise_correlation(search: Tensor, kernel: Tensor) -> Tensor:
    """Correlate every channel of every sample with its own kernel (SiamMask, section 3.1).

    Args:
        search: (N, C, H, W) search features.
        kernel: (N, C, h, w) exemplar kernels, h <= H and w <= W.

    Returns:
        (N, C, H - h + 1, W - w + 1) responses, in the memory format of `search` on a CPU without
        gradients, else contiguous.

    Raises:
        ValueError: if batch size or channels differ, or the kernel is larger than the search map.
    """
    if search.shape[:2] != kernel.shape[:2]:
        raise ValueError(
            f"search and kernel differ in batch or channels: {tuple(search.shape)} "
            f"and {tuple(kernel.shape)}"
        )
    _require_fit(search, kernel)
    if torch.is_grad_enabled() and (search.requires_grad or kernel.requires_grad):
        responses: Tensor = _DepthwiseCorrelation.apply(search, kernel)  # type: ignore[no-untyped-call]
        return responses
    if search.device.type == "cpu" and search.is_contiguous(memory_format=torch.channels_last):
        return _correlate_each(search, kernel)
    return _correlate(search, kernel)


def up_channel_correlation(search: Tensor, kernel: Tensor) -> Tensor:
    """Correlate all channels of every sample with each of its kernels (SiamRPN, section 3.2).

    Args:
        search: (N, C, H, W) search features.
        kernel: (N, R * C, h, w) exemplar kernels, h <= H and w <= W; channel = response * C + c.

    Returns:
        (N, R, H - h + 1, W - w + 1) responses.

    Raises:
        ValueError: if batch size or channels do not fit, or the kernel is larger than the map.
    """
    n, c, height, width = search.shape
    if kernel.shape[0] != n or kernel.shape[1] % c:
        raise ValueError(
            f"kernel {tuple(kernel.shape)} holds no kernels for each channel of the search map "
            f"{tuple(search.shape)}"
        )
    _require_fit(search, kernel)
    merged = functional.conv2d(
        search.reshape(1, n * c, height, width),
        kernel.reshape(-1, c, *kernel.shape[2:]),  # (N * R, C, h, w)
        groups=n,
    )
    return merged.view(n, -1, *merged.shape[2:])  # (1, N * R, h', w') -> (N, R, h', w')


def _require_fit(search: Tensor, kernel: Tensor) -> None:
    if kernel.shape[2] > search.shape[2] or kernel.shape[3] > search.shape[3]:
        raise ValueError(
            f"kernel {tuple(kernel.shape)} is larger than the search map {tuple(search.shape)}"
        )


def _correlate_each(search: Tensor, kernel: Tensor) -> Tensor:
    """Sample by sample, where the channels of a pixel lie together: nothing needs to be moved.

    On a CPU that takes less than half the time of the copy and the merged convolution, for one
    sample as for many; the results are the same.
    """
    channels = search.shape[1]
    return torch.cat(
        [
            functional.conv2d(search[number : number + 1], own.unsqueeze(1), groups=channels)
            for number, own in enumerate(kernel)
        ]
    )


def _correlate(search: Tensor, kernel: Tensor, padding: tuple[int, int] = (0, 0)) -> Tensor:
    """One grouped convolution with batch and channels merged into N*C groups."""
    n, c, height, width = search.shape
    merged = functional.conv2d(
        search.reshape(1, n * c, height, width),
        kernel.reshape(n * c, 1, *kernel.shape[2:]),
        padding=padding,
        groups=n * c,
    )
    return merged.view(n, c, *merged.shape[2:])  # (1, N*C, h', w') -> (N, C, h', w')


class _DepthwiseCorrelation(torch.autograd.Function):
    """Both gradients as grouped forward convolutions: the built-in backward is many times slower.

    responses[i] = sum_u search[i + u] kernel[u], hence
    d search = the output gradient, padded by kernel - 1, correlated with the flipped kernel;
    d kernel = search correlated with the output gradient.
    """

    @staticmethod
    def forward(ctx: Any, search: Tensor, kernel: Tensor) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(search, kernel)
        return _correlate(search, kernel)

    @staticmethod
    def backward(  # torch types neither ctx nor the gradients
        ctx: Any,  # noqa: ANN401
        *gradients: Tensor,
    ) -> tuple[Tensor | None, Tensor | None]:
        search, kernel = ctx.saved_tensors
        gradient = gradients[0]
        search_gradient = kernel_gradient = None
        if ctx.needs_input_grad[0]:
            padding = (kernel.shape[2] - 1, kernel.shape[3] - 1)
            search_gradient = _correlate_padded(gradient, kernel.flip(2, 3), padding)
        if ctx.needs_input_grad[1]:
            kernel_gradient = depthwise_correlation(search, gradient)
        return search_gradient, kernel_gradient


def _correlate_padded(search: Tensor, kernel: Tensor, padding: tuple[int, int]) -> Tensor:
    """:func:`depthwise_correlation` of the search map zero-padded by (rows, columns) pixels."""
    rows, columns = padding
    if torch.is_grad_enabled() and (search.requires_grad or kernel.requires_grad):
        padded = functional.pad(search, (columns, columns, rows, rows))
        return depthwise_correlation(padded, kernel)
    return _correlate(search, kernel, padding)
