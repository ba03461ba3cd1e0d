# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks that leave nothing neutral, and patches for them."""

from __future__ import annotations

import torch
from torch import nn


def patches(count, size, seed):
    """(count, 3, size, size) float32 in 0 to 255, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, size, size, generator=generator) * 255


def randomized(network, seed=0):
    """The network in evaluation mode, with batch norm statistics that are not neutral."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(module.bias, 0, 0.2, generator=generator)
    return network.eval()
