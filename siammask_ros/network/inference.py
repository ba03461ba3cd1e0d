# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make a network faster for inference, with the same results but for rounding."""

from __future__ import annotations

import copy

import torch
from torch import nn

from siammask_ros.network.backbones import CompactBackbone
from siammask_ros.network.layers import ConvNorm
from siammask_ros.network.siammask import SiamMask


def fuse_for_inference(network: SiamMask) -> SiamMask:
    """Copy of a network with batch norm folded into the convolutions, in channels-last memory.

    Args:
        network: a network in any mode; it stays as it is.

    Returns:
        A network in evaluation mode that needs no gradients. It cannot be saved.
    """
    fused = copy.deepcopy(network)
    with torch.no_grad():
        for module in fused.modules():
            if isinstance(module, ConvNorm):
                _fold_norm(module)
        if isinstance(fused.backbone, CompactBackbone) and fused.backbone.scales_input:
            _fold_input_scaling(fused.backbone)
    fused.is_fused = True
    return fused.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _fold_norm(block: ConvNorm) -> None:
    """norm(conv(x)) = scale * conv(x) + offset: scale goes into the weights, offset is the bias."""
    norm = block.norm
    if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None:
        return
    variance = norm.running_var.double() + norm.eps  # type: ignore[union-attr]
    scale = norm.weight.double() / variance.sqrt()
    offset = norm.bias.double() - norm.running_mean.double() * scale
    weight = block.conv.weight
    block.conv.weight = nn.Parameter((weight.double() * scale[:, None, None, None]).to(weight))
    block.conv.bias = nn.Parameter(offset.to(weight))
    block.norm = nn.Identity()


def _fold_input_scaling(backbone: CompactBackbone) -> None:
    """Move the input's scale and offset into the first convolution, which has no padding."""
    stem = backbone.stem.conv
    weight = stem.weight.double()
    assert stem.bias is not None  # batch norm has been folded
    bias = stem.bias.double() + backbone.INPUT_OFFSET * weight.sum(dim=(1, 2, 3))
    stem.bias = nn.Parameter(bias.to(stem.weight))
    stem.weight = nn.Parameter((weight * backbone.INPUT_SCALE).to(stem.weight))
    backbone.scales_input = False
