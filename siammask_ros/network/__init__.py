# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SiamMask networks in torch; imports nothing else of this package."""

from siammask_ros.network.backbones import BackboneMaps
from siammask_ros.network.build import ARCHITECTURES, build_network
from siammask_ros.network.correlation import depthwise_correlation
from siammask_ros.network.siammask import ExemplarKernels, SearchOutput, SiamMask
from siammask_ros.network.windows import extract_windows

__all__ = [
    "ARCHITECTURES",
    "BackboneMaps",
    "ExemplarKernels",
    "SearchOutput",
    "SiamMask",
    "build_network",
    "depthwise_correlation",
    "extract_windows",
]
