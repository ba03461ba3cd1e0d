# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Placing a mask in the image and fitting boxes to it."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from siammask_ros.geometry import RotatedBox
from siammask_ros.masks import ImageRegion, MaskPlacement, outline_mask, place_mask_roi

IMAGE_SIZE_WH = (160, 120)
THRESHOLD = 0.4


def random_blob(rng: np.random.Generator, size: int) -> np.ndarray:
    """Smooth (size, size) float32 mask that covers [0, 1] and reaches the rim."""
    noise = cv2.GaussianBlur(rng.random((size, size), dtype=np.float32), (0, 0), size / 12)
    spread: np.ndarray = (noise - noise.min()) / (noise.max() - noise.min())
    return spread


def exact_full_frame_paste(
    mask: np.ndarray, placement: MaskPlacement, border_value: float
) -> np.ndarray:
    """Bilinear paste of the whole image in float64, pixel by pixel of the formula."""
    size = mask.shape[0]
    bordered = np.full((size + 4, size + 4), border_value, dtype=np.float64)
    bordered[2:-2, 2:-2] = mask
    axes = []
    for axis in range(2):
        positions = np.arange(IMAGE_SIZE_WH[axis]) - placement.origin_xy[axis]
        axes.append(np.clip(positions / placement.scale_xy[axis], -1.5, size + 0.5))
    columns, rows = np.meshgrid(*axes)
    left, top = np.floor(columns).astype(int), np.floor(rows).astype(int)
    x, y = columns - left, rows - top
    pasted: np.ndarray = (
        bordered[top + 2, left + 2] * (1 - x) * (1 - y)
        + bordered[top + 2, left + 3] * x * (1 - y)
        + bordered[top + 3, left + 2] * (1 - x) * y
        + bordered[top + 3, left + 3] * x * y
    )
    return pasted


CASES = [
    (127, (20.3, 15.7), 0.5),
    (63, (-30.2, -12.9), 1.9),
    (127, (100.0, 90.0), 3.1),
    (127, (-200.0, -100.0), 4.0),
    (63, (80.6, 119.5), 0.3),
    (63, (159.2, 10.0), 1.0),
]


@pytest.mark.parametrize("border_value", [-1.0, 0.0])
@pytest.mark.parametrize(("size", "origin", "scale"), CASES)
def test_region_holds_all_that_a_full_frame_paste_gives(
    size: int, origin: tuple[float, float], scale: float, border_value: float
) -> None:
    mask = random_blob(np.random.default_rng(size), size)
    placement = MaskPlacement(origin, (scale, scale * 0.99))
    expected = exact_full_frame_paste(mask, placement, border_value)
    region, values = place_mask_roi(mask, placement, IMAGE_SIZE_WH, border_value=border_value)
    pasted = np.full(IMAGE_SIZE_WH[::-1], border_value, dtype=np.float32)
    pasted[region.slices] = values
    # OpenCV 4 rounds positions to 1/32 of a mask pixel, OpenCV 5 does not
    steepest = np.abs(np.diff(mask, axis=0)).max() + np.abs(np.diff(mask, axis=1)).max() + 2
    tolerance = 1e-4 if int(cv2.__version__.split(".")[0]) >= 5 else steepest / 32
    np.testing.assert_allclose(pasted, expected, atol=tolerance)
    decided = np.abs(expected - THRESHOLD) > tolerance
    assert np.array_equal((pasted > THRESHOLD)[decided], (expected > THRESHOLD)[decided])
    assert decided.mean() > 0.99 or int(cv2.__version__.split(".")[0]) < 5


@pytest.mark.parametrize(("size", "origin", "scale"), CASES)
def test_region_is_cut_from_what_opencv_pastes(
    size: int, origin: tuple[float, float], scale: float
) -> None:
    mask = random_blob(np.random.default_rng(size), size)
    placement = MaskPlacement(origin, (scale * 1.01, scale))
    matrix = np.array([[scale * 1.01, 0, origin[0]], [0, scale, origin[1]]])
    expected = cv2.warpAffine(mask, matrix, IMAGE_SIZE_WH, borderValue=-1.0)
    region, values = place_mask_roi(mask, placement, IMAGE_SIZE_WH)
    pasted = np.full(IMAGE_SIZE_WH[::-1], -1, dtype=np.float32)
    pasted[region.slices] = values
    np.testing.assert_allclose(pasted, expected, atol=1e-4)
    assert np.count_nonzero((pasted > THRESHOLD) != (expected > THRESHOLD)) <= 1


def test_region_is_no_larger_than_the_window() -> None:
    region = MaskPlacement((20.0, 30.0), (0.5, 0.5)).region(63, IMAGE_SIZE_WH)
    assert region == ImageRegion(19, 29, 34, 34)


@pytest.mark.parametrize("origin", [(-100.0, 10.0), (10.0, -100.0), (170.0, 10.0), (10.0, 125.0)])
def test_window_outside_the_image_gives_an_empty_region(origin: tuple[float, float]) -> None:
    placement = MaskPlacement(origin, (1.0, 1.0))
    region, values = place_mask_roi(np.ones((63, 63), np.float32), placement, IMAGE_SIZE_WH)
    assert (region.width, region.height) == (0, 0)
    assert values.shape == (0, 0)
    assert outline_mask(values > 0) is None


def test_official_placement_maps_the_image_on_one_pixel_less() -> None:
    placement = MaskPlacement.official((40.0, 60.0), 63.5, 127, IMAGE_SIZE_WH)
    assert placement.scale_xy == pytest.approx((0.5 * 159 / 160, 0.5 * 119 / 120))
    assert placement.origin_xy == pytest.approx((40 * 159 / 160, 60 * 119 / 120))


def test_paste_of_a_crop_returns_the_pixels() -> None:
    rng = np.random.default_rng(3)
    window = rng.random((63, 63), dtype=np.float32)
    region, values = place_mask_roi(
        window, MaskPlacement((30.0, 40.0), (1.0, 1.0)), IMAGE_SIZE_WH, border_value=0
    )
    inner = values[40 - region.y : 103 - region.y, 30 - region.x : 93 - region.x]
    np.testing.assert_allclose(inner, window, atol=1e-6)


@pytest.mark.parametrize("theta", [-0.7, -0.2, 0.0, 0.3, 0.6])
def test_outline_of_a_drawn_rectangle(theta: float) -> None:
    drawn = RotatedBox((90.0, 70.0), (60.0, 24.0), theta)
    mask = np.zeros((140, 180), dtype=np.uint8)
    cv2.fillPoly(mask, [np.round(drawn.corners * 256).astype(np.int32)], 1, shift=8)
    outline = outline_mask(mask.astype(bool))
    assert outline is not None
    assert outline.rotated_box.center_xy == pytest.approx(drawn.center_xy, abs=1)
    assert outline.rotated_box.size_wh == pytest.approx(drawn.size_wh, abs=2)
    assert outline.rotated_box.theta == pytest.approx(theta, abs=0.05)
    assert outline.area == pytest.approx(60 * 24, rel=0.05)


def test_outline_takes_the_largest_part_and_fills_holes() -> None:
    mask = np.zeros((100, 100), dtype=bool)
    mask[5:15, 5:15] = True
    mask[30:71, 40:81] = True
    mask[40:60, 50:70] = False
    outline = outline_mask(mask)
    assert outline is not None
    assert outline.area == 40 * 40  # through pixel centres
    assert outline.box.xywh == (40, 30, 41, 41)
    assert outline.rotated_box.center_xy == (60, 50)


def test_outline_is_in_image_pixels() -> None:
    mask = np.zeros((50, 50), dtype=bool)
    mask[10:30, 5:35] = True
    shifted = outline_mask(mask, offset_xy=(100, 200))
    assert shifted is not None
    assert shifted.box.xywh == (105, 210, 30, 20)
    assert shifted.rotated_box.center_xy == pytest.approx((119.5, 219.5))


def test_outline_needs_more_than_the_smallest_area() -> None:
    mask = np.zeros((50, 50), dtype=bool)
    mask[10:21, 10:21] = True  # area 100 through pixel centres
    assert outline_mask(mask, min_area=100) is None
    assert outline_mask(mask, min_area=99.9) is not None
    assert outline_mask(np.zeros((50, 50), dtype=bool)) is None


def test_theta_of_a_standing_target_is_near_zero() -> None:
    mask = np.zeros((100, 100), dtype=bool)
    mask[10:90, 40:60] = True
    outline = outline_mask(mask)
    assert outline is not None
    assert outline.rotated_box.theta == pytest.approx(0, abs=1e-6)
    assert outline.rotated_box.size_wh == pytest.approx((19, 79))
    assert -math.pi / 4 <= outline.rotated_box.theta < math.pi / 4
