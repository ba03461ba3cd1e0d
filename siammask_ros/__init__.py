# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Follow targets in a video with SiamMask: a mask, a rotated box and a confidence per frame.

Names are loaded on first use, so that importing the package costs nothing and has no side effect.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from siammask_ros.network import build_network, load_network
    from siammask_ros.tracker import SiamMaskTracker, TrackerConfig, TrackerState, TrackResult

__all__ = [
    "SiamMaskTracker",
    "TrackResult",
    "TrackerConfig",
    "TrackerState",
    "build_network",
    "load_network",
]

_HOMES = {
    "SiamMaskTracker": "siammask_ros.tracker",
    "TrackResult": "siammask_ros.tracker",
    "TrackerConfig": "siammask_ros.tracker",
    "TrackerState": "siammask_ros.tracker",
    "build_network": "siammask_ros.network",
    "load_network": "siammask_ros.network",
}


def __getattr__(name: str) -> object:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    exported: object = getattr(importlib.import_module(home), name)
    return exported


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
