# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cameras: directions and pixels against OpenCV's manual. More is in `ros/test_markers.py`."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from siammask_ros.localization.camera import calibrated_sight, guessed_sight

SIZE_WH = (640, 480)
BROWN = (-0.31, 0.12, 0.001, -0.002, -0.02)
RATIONAL = (0.4, 0.1, 0.001, -0.0005, 0.02, 0.7, 0.2, 0.01)
FISHEYE = (-0.02, 0.005, -0.001, 0.0002)


def calibration(model="plumb_bob", d=(), **changes):
    """What is read of a CameraInfo."""
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)
    values = {
        "width": SIZE_WH[0], "height": SIZE_WH[1], "distortion_model": model, "d": list(d),
        "k": [500.0, 0.0, 310.0, 0.0, 520.0, 250.0, 0.0, 0.0, 1.0],
        "p": [450.0, 0.0, 317.0, 0.0, 0.0, 460.0, 245.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        "binning_x": 0, "binning_y": 0, "roi": roi,
    }  # fmt: skip
    return SimpleNamespace(**(values | changes))


def bent(model, d, x, y):
    """The distortion as the formulas of OpenCV's manual have it."""
    if model == "equidistant":
        r = np.hypot(x, y)
        angle = np.arctan(r)
        bent_angle = angle * (1 + sum(k * angle ** (2 * n) for n, k in enumerate(d, 1)))
        return x * bent_angle / r, y * bent_angle / r
    k1, k2, p1, p2, k3, k4, k5, k6 = [*d, *[0.0] * (8 - len(d))]
    r2 = x * x + y * y
    radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
    return (
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
        y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
    )


@pytest.mark.parametrize(
    ("model", "d"),
    [("plumb_bob", ()), ("plumb_bob", BROWN), ("rational_polynomial", RATIONAL),
     ("equidistant", FISHEYE)],
)  # fmt: skip
def test_pixels_are_those_of_the_model_and_directions_undo_them(model, d):
    sight = calibrated_sight(calibration(model, d))
    given = np.random.default_rng(1).uniform(-0.45, 0.45, (200, 2))
    x, y = bent(model, d, given[:, 0], given[:, 1]) if d else given.T
    pixels = sight.pixels(given)
    assert pixels == pytest.approx(np.column_stack([500 * x + 310, 520 * y + 250]), abs=1e-6)
    assert sight.directions(pixels) == pytest.approx(given, abs=1e-6)
    assert sight.is_bent == bool(d)


def test_binning_and_region_of_interest_are_undone_too():
    roi = SimpleNamespace(x_offset=100, y_offset=40, width=400, height=300)
    sight = calibrated_sight(calibration(binning_x=2, binning_y=4, roi=roi))
    # Pixel (3, 5) of the binned image stands for columns 106, 107 and rows 60 to 63.
    (direction,) = sight.directions(np.array([(3.0, 5.0)]))
    assert direction == pytest.approx([(106.5 - 310) / 500, (61.5 - 250) / 520])
    assert sight.pixels(direction[None]) == pytest.approx(np.array([(3.0, 5.0)]))
    assert sight.pixel_angle == pytest.approx(1 / ((500 / 2 + 520 / 4) / 2))


def test_nothing_and_infinity():
    sight = calibrated_sight(calibration(d=BROWN))
    assert sight.pixels(np.zeros((0, 2))).shape == (0, 2)
    assert not np.isfinite(sight.pixels(np.array([(np.nan, 0.0)]))).any()
    assert guessed_sight(SIZE_WH, 90.0).pixel_angle == pytest.approx(1 / 320)
