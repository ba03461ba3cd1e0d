# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Follow targets in a video with SiamMask: a mask, a rotated box and a confidence per frame.

Names are loaded on first use, so that importing the package costs nothing and has no side effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from siammask_ros.lazy import names_of

if TYPE_CHECKING:
    from siammask_ros.bags.table import read_result_bag
    from siammask_ros.network import build_network, load_network
    from siammask_ros.tracker import SiamMaskTracker, TrackerConfig, TrackerState, TrackResult

__all__ = [
    "SiamMaskTracker",
    "TrackResult",
    "TrackerConfig",
    "TrackerState",
    "build_network",
    "load_network",
    "read_result_bag",
]

_HOMES = {
    "SiamMaskTracker": "siammask_ros.tracker",
    "TrackResult": "siammask_ros.tracker",
    "TrackerConfig": "siammask_ros.tracker",
    "TrackerState": "siammask_ros.tracker",
    "build_network": "siammask_ros.network",
    "load_network": "siammask_ros.network",
    "read_result_bag": "siammask_ros.bags.table",
}
__getattr__ = names_of(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
