# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ways to run one network: torch as it is, compiled, or another library; float32 or less.

Names are loaded on first use: what may be chosen can be asked without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from siammask_ros.backends.names import BACKENDS, PRECISIONS
from siammask_ros.lazy import names_of

if TYPE_CHECKING:
    from siammask_ros.backends.prepare import load_prepared, prepare_network
    from siammask_ros.backends.prepared import PreparedNetwork

__all__ = [
    "BACKENDS",
    "PRECISIONS",
    "PreparedNetwork",
    "load_prepared",
    "prepare_network",
]

_HOMES = {
    "PreparedNetwork": "siammask_ros.backends.prepared",
    "load_prepared": "siammask_ros.backends.prepare",
    "prepare_network": "siammask_ros.backends.prepare",
}
__getattr__ = names_of(__name__, _HOMES)
