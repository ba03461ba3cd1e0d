# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SiamMask networks in torch; imports nothing else of this package."""

from siammask_ros.network.backbones import BackboneMaps
from siammask_ros.network.build import ARCHITECTURES, NETWORKS, VARIANTS, Variant, build_network
from siammask_ros.network.checkpoints import (
    Checkpoint,
    CheckpointError,
    checked_device,
    load_network,
    read_checkpoint,
    save_network,
)
from siammask_ros.network.correlation import depthwise_correlation, up_channel_correlation
from siammask_ros.network.inference import fuse_for_inference
from siammask_ros.network.initial_weights import load_initial_weights
from siammask_ros.network.siammask import ExemplarKernels, SearchOutput, SiamMask
from siammask_ros.network.windows import extract_windows, gather_windows

__all__ = [
    "ARCHITECTURES",
    "NETWORKS",
    "VARIANTS",
    "BackboneMaps",
    "Checkpoint",
    "CheckpointError",
    "ExemplarKernels",
    "SearchOutput",
    "SiamMask",
    "Variant",
    "build_network",
    "checked_device",
    "depthwise_correlation",
    "extract_windows",
    "fuse_for_inference",
    "gather_windows",
    "load_initial_weights",
    "load_network",
    "read_checkpoint",
    "save_network",
    "up_channel_correlation",
]
