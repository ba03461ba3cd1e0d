# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Correlation and windows against NumPy, their gradients against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from siammask_ros.network import (
    depthwise_correlation,
    extract_windows,
    gather_windows,
    up_channel_correlation,
)


def random(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


@pytest.mark.parametrize(
    ("size", "kernel"), [((29, 29), (5, 5)), ((9, 7), (3, 2)), ((5, 5), (5, 5))]
)
@pytest.mark.parametrize("channels_last", [False, True])
def test_correlation_is_the_sum_of_products_under_the_kernel(size, kernel, channels_last):
    search, weight = random(2, 3, *size), random(2, 3, *kernel, seed=1)
    patches = np.lib.stride_tricks.sliding_window_view(search.numpy(), kernel, axis=(2, 3))
    expected = np.einsum("ncijuv,ncuv->ncij", patches, weight.numpy())
    if channels_last:
        search = search.contiguous(memory_format=torch.channels_last)
        weight = weight.contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(depthwise_correlation(search, weight).numpy(), expected, atol=1e-12)


def test_correlation_gradients():
    search = random(2, 2, 6, 5).requires_grad_()
    kernel = random(2, 2, 3, 2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(depthwise_correlation, (search, kernel))
    assert torch.autograd.gradgradcheck(depthwise_correlation, (search, kernel))


def test_correlation_gradient_of_one_input_alone():
    search, kernel = random(1, 2, 6, 6), random(1, 2, 3, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda k: depthwise_correlation(search, k), (kernel,))
    search, kernel = search.requires_grad_(), kernel.detach()
    assert torch.autograd.gradcheck(lambda s: depthwise_correlation(s, kernel), (search,))


def test_correlation_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"\(2, 3, 9, 9\) and \(1, 3, 5, 5\)"):
        depthwise_correlation(random(2, 3, 9, 9), random(1, 3, 5, 5))
    with pytest.raises(ValueError, match="larger than the search map"):
        depthwise_correlation(random(1, 3, 4, 9), random(1, 3, 5, 5))


def test_up_channel_correlation_sums_over_all_channels():
    search, weight = random(2, 3, 9, 7), random(2, 4 * 3, 3, 2, seed=1)
    windows = np.lib.stride_tricks.sliding_window_view(search.numpy(), (3, 2), axis=(2, 3))
    kernels = weight.numpy().reshape(2, 4, 3, 3, 2)
    expected = np.einsum("ncijuv,nrcuv->nrij", windows, kernels)
    np.testing.assert_allclose(up_channel_correlation(search, weight).numpy(), expected, atol=1e-12)


def test_up_channel_correlation_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"kernel \(2, 7, 5, 5\) .*\(2, 3, 9, 9\)"):
        up_channel_correlation(random(2, 3, 9, 9), random(2, 7, 5, 5))
    with pytest.raises(ValueError, match="holds no kernels"):
        up_channel_correlation(random(2, 3, 9, 9), random(1, 3, 5, 5))
    with pytest.raises(ValueError, match="larger than the search map"):
        up_channel_correlation(random(1, 3, 4, 9), random(1, 6, 5, 5))


SAMPLES = torch.tensor([0, 1, 1, 0, 0])
TOPS = torch.tensor([-3, 2, 7, -20, 30])
LEFTS = torch.tensor([4, -2, 6, 0, 30])


@pytest.mark.parametrize("cut", [extract_windows, gather_windows])
@pytest.mark.parametrize("channels_last", [False, True])
def test_windows_are_slices_of_the_padded_map(channels_last, cut):
    maps = random(2, 3, 9, 8)
    pad, size = 40, 5
    padded = np.pad(maps.numpy(), ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    expected = np.stack(
        [
            padded[n, :, pad + top : pad + top + size, pad + left : pad + left + size]
            for n, top, left in zip(SAMPLES, TOPS, LEFTS, strict=True)
        ]
    )
    assert expected[3].max() == expected[4].max() == 0  # these two lie outside
    if channels_last:
        maps = maps.contiguous(memory_format=torch.channels_last)
    windows = cut(maps, SAMPLES, TOPS, LEFTS, size)
    np.testing.assert_array_equal(windows.numpy(), expected)


def test_windows_gradients_add_up_where_windows_overlap():
    maps = random(2, 3, 9, 8).requires_grad_()
    samples, tops, lefts = SAMPLES[[0, 1, 2, 2]], TOPS[[0, 1, 2, 2]], LEFTS[[0, 1, 2, 2]]
    assert torch.autograd.gradcheck(
        lambda maps: extract_windows(maps, samples, tops, lefts, 5), (maps,)
    )


def test_windows_refuse_bad_indices():
    maps = random(2, 3, 9, 8)
    with pytest.raises(ValueError, match="sample index 2 is outside the batch of 2"):
        extract_windows(maps, torch.tensor([2]), torch.tensor([0]), torch.tensor([0]), 5)
    with pytest.raises(ValueError, match="vectors of one length"):
        extract_windows(maps, torch.tensor([0, 1]), torch.tensor([0]), torch.tensor([0]), 5)


@pytest.mark.parametrize("samples", [1, 3])
def test_maps_in_channels_last_memory_stay_there(samples):
    """The network's own layout on a CPU: not moved, and with the same results."""
    search = torch.randn(samples, 12, 29, 29).to(memory_format=torch.channels_last)
    kernel = torch.randn(samples, 12, 5, 5).to(memory_format=torch.channels_last)
    responses = depthwise_correlation(search, kernel)
    assert responses.is_contiguous(memory_format=torch.channels_last)
    merged = depthwise_correlation(search.contiguous(), kernel.contiguous())
    assert merged.is_contiguous()
    torch.testing.assert_close(responses.contiguous(), merged, rtol=1e-5, atol=1e-5)
    with_gradient = depthwise_correlation(search.requires_grad_(), kernel)
    torch.testing.assert_close(with_gradient.detach(), merged, rtol=1e-5, atol=1e-5)
