# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Array types and small random draws shared by the scene renderer."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

ImageBgr = NDArray[np.uint8]
"""HxWx3 uint8, blue-green-red."""
Alpha = NDArray[np.uint8]
"""HxW uint8 coverage, 0 outside to 255 inside."""
Mask = NDArray[np.bool_]
"""HxW bool."""
Floats = NDArray[np.float32]
"""float32 array of any shape."""
Matrix = NDArray[np.float64]
"""2x3 affine or 3x3 projective matrix, maps source pixels to destination pixels."""

INSIDE_ALPHA = 128
"""Coverage from which a pixel belongs to a mask (half covered)."""


def inside(alpha: Alpha) -> Mask:
    """The boolean mask of a coverage: at least half covered."""
    return np.asarray(alpha >= INSIDE_ALPHA)


def float32(array: object) -> Floats:
    """An array as float32."""
    return np.asarray(array, np.float32)


def uint8(array: object) -> NDArray[np.uint8]:
    """An OpenCV result as a uint8 array (checked, never converted)."""
    result = np.asarray(array)
    if result.dtype != np.uint8:
        raise ValueError(f"expected uint8 pixels, got {result.dtype}")
    return result


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A draw from [low, high) whose logarithm is uniform; 0 < low <= high."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def chance(rng: np.random.Generator, probability: float) -> bool:
    """True with the given probability (0 to 1)."""
    return bool(rng.random() < probability)


def check_range(name: str, value: tuple[float, float], low: float, high: float) -> None:
    """Raise ValueError unless ``low <= value[0] <= value[1] <= high``."""
    first, last = value
    if not low <= first <= last <= high:
        raise ValueError(f"{name} must be an ascending pair within [{low}, {high}], got {value}")


def check_between(name: str, value: float, low: float, high: float) -> None:
    """Raise ValueError unless ``low <= value <= high`` (NaN fails)."""
    if not low <= value <= high:
        raise ValueError(f"{name} must be within [{low}, {high}], got {value}")


def check_size(name: str, size_wh: tuple[int, int], smallest: int) -> None:
    """Raise ValueError unless both sides are at least ``smallest`` pixels."""
    if min(size_wh) < smallest:
        raise ValueError(f"{name} must be two sides of at least {smallest} px, got {size_wh}")
