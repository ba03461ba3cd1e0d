# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Affine and non-rigid warps for cutting training patches.

A warp is a 2x3 float64 matrix that maps source pixel coordinates (x, y) to patch pixel
coordinates; pixel (0, 0) is the centre of the top-left pixel on both sides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Uint8Array = npt.NDArray[np.uint8]
Affine = npt.NDArray[np.float64]

# As in tracking: a bilinear tap covers two source pixels, shrinking further would alias.
_SHRINK_WITHOUT_FILTER = 0.5
# Source pixels beyond the patch's corners that sampling and shrinking may touch.
_MARGIN = 4


@dataclass(frozen=True)
class SimilarityJitter:
    """How a patch deviates from the upright, centred, nominal-scale one.

    Attributes:
        shift_xy: displacement of the target in the patch, patch pixels.
        scale: factor on the target's size in the patch.
        aspect: factor on width relative to height (area stays).
        angle: radians, from +x toward +y (clockwise on screen).
        flip: mirror left-right.
    """

    shift_xy: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0
    aspect: float = 1.0
    angle: float = 0.0
    flip: bool = False


def patch_warp(
    center_xy: tuple[float, float],
    nominal_scale: float,
    patch_size: int,
    jitter: SimilarityJitter,
) -> Affine:
    """Return the 2x3 warp that puts `center_xy` of the source at the patch's centre.

    Args:
        center_xy: point of the source image, pixels.
        nominal_scale: patch pixels a source pixel, before jitter.
        patch_size: side of the square patch, pixels; its centre is (patch_size - 1) / 2.
        jitter: deviation from the nominal patch.
    """
    scale = nominal_scale * jitter.scale
    stretch = math.sqrt(jitter.aspect)
    cos, sin = math.cos(jitter.angle), math.sin(jitter.angle)
    mirror = -1.0 if jitter.flip else 1.0
    rotation = np.array([[cos, -sin], [sin, cos]])
    linear = rotation @ np.diag([scale * stretch * mirror, scale / stretch])  # 2x2
    patch_center = (patch_size - 1) / 2
    target = np.array([patch_center + jitter.shift_xy[0], patch_center + jitter.shift_xy[1]])
    offset = target - linear @ np.asarray(center_xy, dtype=np.float64)
    return np.hstack([linear, offset[:, None]])  # 2x3


def warp_antialiased(
    source: Uint8Array, warp: Affine, size_wh: tuple[int, int], border: tuple[float, ...] | float
) -> Uint8Array:
    """Warp a uint8 image (HxW or HxWxC), averaging before it shrinks.

    Only the source region that the patch covers is read. Outside the source the patch has the
    value `border` (a number a channel).
    """
    width, height = size_wh
    lower, upper = _covered_region(warp, size_wh, (source.shape[1], source.shape[0]))
    channels = source.shape[2:]
    if (upper <= lower).any():
        blank = np.empty((height, width, *channels), np.uint8)
        blank[...] = np.clip(np.round(border), 0, 255).astype(np.uint8)
        return blank
    region = source[lower[1] : upper[1], lower[0] : upper[0]]
    linear = warp[:, :2]
    offset = warp[:, 2] + linear @ lower
    scale = math.sqrt(abs(float(np.linalg.det(linear))))
    shrink = 1
    while scale * shrink <= _SHRINK_WITHOUT_FILTER:
        shrink *= 2
    if shrink > 1 and min(region.shape[:2]) >= 2 * shrink:
        small_wh = (region.shape[1] // shrink, region.shape[0] // shrink)
        region = region[: small_wh[1] * shrink, : small_wh[0] * shrink]
        region = cv2.resize(region, small_wh, interpolation=cv2.INTER_AREA).astype(np.uint8)
        # Pixel i of the small image averages source pixels shrink*i .. shrink*i + shrink - 1.
        offset = offset + linear @ np.full(2, (shrink - 1) / 2)
        linear = linear * shrink
    border_value = tuple(np.atleast_1d(border).astype(float).tolist())
    warped = cv2.warpAffine(
        region,
        np.hstack([linear, offset[:, None]]),
        size_wh,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=border_value,
    )
    return np.asarray(warped, dtype=np.uint8)


def _covered_region(
    warp: Affine, size_wh: tuple[int, int], source_wh: tuple[int, int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First (x, y) and end (x, y) of the source pixels that a patch of `size_wh` can touch."""
    inverse = cv2.invertAffineTransform(warp)
    right, bottom = size_wh[0] - 1, size_wh[1] - 1
    corners = np.array([[0, 0, 1], [right, 0, 1], [0, bottom, 1], [right, bottom, 1]])
    in_source = corners @ inverse.T  # 4x2
    lower = np.floor(in_source.min(axis=0)).astype(np.int64) - _MARGIN
    upper = np.ceil(in_source.max(axis=0)).astype(np.int64) + _MARGIN + 1
    return np.clip(lower, 0, source_wh), np.clip(upper, 0, source_wh)


def bend(
    rng: np.random.Generator, size: int, amplitude: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return remap coordinates (x and y, size x size) of a smooth random deformation.

    `amplitude` is the standard deviation of the displacement in pixels; the field is a
    4x4 grid of random displacements enlarged with a cubic kernel.
    """
    knots = 4
    field = rng.normal(0.0, amplitude, (knots, knots, 2)).astype(np.float32)
    field = np.asarray(cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC))
    grid = np.arange(size, dtype=np.float32)
    return field[..., 0] + grid[None, :], field[..., 1] + grid[:, None]
