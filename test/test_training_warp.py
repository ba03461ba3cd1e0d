# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Warps: where points go, and that shrinking averages."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from siammask_ros.training.warp import SimilarityJitter, bend, patch_warp, warp_antialiased


def apply(warp: np.ndarray, point: tuple[float, float]) -> np.ndarray:
    return warp[:, :2] @ np.asarray(point) + warp[:, 2]


def test_patch_warp_puts_the_target_at_the_shifted_centre() -> None:
    jitter = SimilarityJitter(shift_xy=(5.0, -3.0), scale=1.3, aspect=0.8, angle=0.4, flip=True)
    warp = patch_warp((40.0, 70.0), 0.5, 127, jitter)
    np.testing.assert_allclose(apply(warp, (40.0, 70.0)), [63 + 5, 63 - 3])
    # The area factor is the square of the scale, whatever aspect, angle and mirror do.
    assert abs(np.linalg.det(warp[:, :2])) == pytest.approx((0.5 * 1.3) ** 2)


def test_patch_warp_turns_clockwise_on_screen() -> None:
    warp = patch_warp((0.0, 0.0), 1.0, 11, SimilarityJitter(angle=math.pi / 2))
    np.testing.assert_allclose(apply(warp, (1.0, 0.0)), [5.0, 6.0], atol=1e-12)


def test_identity_warp_returns_the_pixels() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    warp = patch_warp((20.0, 15.0), 1.0, 11, SimilarityJitter())
    np.testing.assert_array_equal(
        warp_antialiased(image, warp, (11, 11), (0.0, 0.0, 0.0)), image[10:21, 15:26]
    )


def test_outside_the_source_is_the_border_value() -> None:
    image = np.full((20, 20, 3), 200, np.uint8)
    warp = patch_warp((500.0, 500.0), 1.0, 9, SimilarityJitter())
    patch = warp_antialiased(image, warp, (9, 9), (1.0, 2.0, 3.0))
    assert (patch == np.array([1, 2, 3], np.uint8)).all()


def test_shrinking_averages_where_plain_bilinear_aliases() -> None:
    stripes = np.zeros((256, 256), np.uint8)
    stripes[:, ::4] = 255  # mean 64, period 4
    warp = patch_warp((127.5, 127.5), 0.25, 48, SimilarityJitter())
    smooth = warp_antialiased(stripes, warp, (48, 48), 0.0)
    aliased = cv2.warpAffine(stripes, warp, (48, 48), flags=cv2.INTER_LINEAR)
    assert abs(float(smooth.mean()) - 63.75) < 2
    assert smooth.std() < 5
    assert abs(float(aliased.mean()) - 63.75) > 20


def test_shrinking_keeps_the_geometry() -> None:
    image = np.zeros((400, 400), np.uint8)
    image[150:190, 220:300] = 255  # centre of gravity (259.5, 169.5)
    jitter = SimilarityJitter(angle=0.3, aspect=1.2)
    warp = patch_warp((230.0, 190.0), 0.21, 63, jitter)
    patch = warp_antialiased(image, warp, (63, 63), 0.0).astype(float)
    ys, xs = np.mgrid[:63, :63]
    gravity = np.array([(xs * patch).sum(), (ys * patch).sum()]) / patch.sum()
    np.testing.assert_allclose(gravity, apply(warp, (259.5, 169.5)), atol=0.05)


def test_bend_of_zero_amplitude_is_the_identity_grid() -> None:
    map_x, map_y = bend(np.random.default_rng(0), 16, 0.0)
    ys, xs = np.mgrid[:16, :16]
    np.testing.assert_array_equal(map_x, xs)
    np.testing.assert_array_equal(map_y, ys)
