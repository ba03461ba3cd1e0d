# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Placing a mask in the image and fitting boxes to it."""

from __future__ import annotations

import itertools
import math

import cv2
import numpy as np
import pytest

from siammask_ros.geometry import Box, RotatedBox
from siammask_ros.masks import (
    BOX_FITS,
    MAX_BACKGROUND_INSIDE,
    MAX_MASK_OUTSIDE,
    BoxFit,
    ImageRegion,
    MaskPlacement,
    fit_box,
    mask_area_in_box,
    mask_box_overlap,
    opt_cost,
    outline_mask,
    place_mask_roi,
)

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


# --- Boxes fitted to masks


def drawn_mask(box: RotatedBox, size_wh: tuple[int, int] = (180, 140)) -> np.ndarray:
    """Mask of the pixels whose centres lie in a rectangle; a formula, no drawing."""
    columns, rows = np.meshgrid(np.arange(size_wh[0]), np.arange(size_wh[1]))
    x, y = columns - box.center_xy[0], rows - box.center_xy[1]
    across = x * math.cos(box.theta) + y * math.sin(box.theta)
    down = -x * math.sin(box.theta) + y * math.cos(box.theta)
    mask: np.ndarray = (np.abs(across) <= box.size_wh[0] / 2) & (np.abs(down) <= box.size_wh[1] / 2)
    return mask


def published_counts(mask: np.ndarray, box: RotatedBox) -> tuple[int, int]:
    """Pixel centres as the published code counts them: mask outside, background inside."""
    inside = drawn_mask(box, (mask.shape[1], mask.shape[0]))
    return int((mask & ~inside).sum()), int((inside & ~mask).sum())


def walker(theta: float) -> np.ndarray:
    """A body with thin limbs, so that the fits differ; turned by theta."""
    parts = [((0, 0), (24, 60)), ((-25, -15), (34, 6)), ((25, 5), (34, 6)), ((-6, 45), (6, 34))]
    mask = np.zeros((140, 180), bool)
    for (x, y), size_wh in parts:
        cosine, sine = math.cos(theta), math.sin(theta)
        center = (90 + x * cosine - y * sine, 65 + x * sine + y * cosine)
        mask |= drawn_mask(RotatedBox(center, size_wh, theta))
    return mask


def blob(seed: int) -> np.ndarray:
    """The larger part of a random smooth field."""
    field = random_blob(np.random.default_rng(seed), 96)
    mask = field > np.quantile(field, 0.8)
    labels = cv2.connectedComponents(mask.view(np.uint8))[1]
    largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    part: np.ndarray = labels == largest
    return part


@pytest.mark.parametrize("theta", [-0.7, -0.2, 0.0, 0.3, 0.6])
@pytest.mark.parametrize("fit", ["mbr", "opt", "opt_fast"])
def test_rotated_fits_find_a_rectangle(fit: BoxFit, theta: float) -> None:
    drawn = RotatedBox((90.3, 70.6), (60.0, 24.0), theta)
    box = fit_box(drawn_mask(drawn), fit)
    assert box is not None
    assert box.center_xy == pytest.approx(drawn.center_xy, abs=1)
    assert box.size_wh == pytest.approx(drawn.size_wh, abs=2)
    assert box.theta == pytest.approx(theta, abs=0.06)
    assert mask_box_overlap(drawn_mask(drawn), box) > 0.92


def test_min_max_is_the_box_of_the_mask() -> None:
    mask = walker(0.4)
    expected = Box.from_mask(mask)
    assert expected is not None
    assert fit_box(mask, "min_max") == RotatedBox.from_box(expected)
    moved = fit_box(mask, "min_max", offset_xy=(7, -3))
    assert moved is not None
    assert moved.bounding_box.xywh[:2] == pytest.approx((expected.x + 7, expected.y - 3))


def test_mbr_is_that_of_the_outline() -> None:
    mask = walker(0.4)
    outline = outline_mask(mask)
    assert outline is not None
    box = fit_box(mask, "mbr")
    assert box is not None
    np.testing.assert_allclose(box.corners, outline.rotated_box.corners, atol=1e-4)


@pytest.mark.parametrize("fit", BOX_FITS)
def test_a_fit_moves_with_its_mask(fit: BoxFit) -> None:
    mask = walker(0.3)
    here, there = fit_box(mask, fit), fit_box(mask, fit, offset_xy=(30, 50))
    shifted = fit_box(np.pad(mask, ((50, 0), (30, 0))), fit)
    assert here is not None
    assert there is not None
    assert shifted is not None
    assert there.center_xy == pytest.approx((here.center_xy[0] + 30, here.center_xy[1] + 50))
    np.testing.assert_allclose(there.corners, shifted.corners, atol=1e-3)


@pytest.mark.parametrize("fit", BOX_FITS)
def test_tiny_masks_have_boxes_too(fit: BoxFit) -> None:
    assert fit_box(np.zeros((9, 12), bool), fit) is None
    assert fit_box(np.zeros((0, 0), bool), fit) is None
    for pixels in ([(4, 5)], [(0, 0), (0, 1)], [(1, 1), (2, 2), (3, 3)], [(0, 0), (8, 11)]):
        mask = np.zeros((9, 12), bool)
        mask[tuple(zip(*pixels, strict=True))] = True
        box = fit_box(mask, fit)
        assert box is not None
        assert min(box.size_wh) >= 0
        assert 0 <= box.center_xy[0] <= 12
        assert 0 <= box.center_xy[1] <= 9


@pytest.mark.parametrize("fit", ["opt", "opt_fast"])
@pytest.mark.parametrize("size_wh", [(150, 3), (3, 120), (40, 1), (200, 12)])
def test_thin_masks_keep_their_width(fit: BoxFit, size_wh: tuple[int, int]) -> None:
    mask = np.zeros((130, 210), bool)
    mask[4 : 4 + size_wh[1], 5 : 5 + size_wh[0]] = True
    box = fit_box(mask, fit)
    assert box is not None
    upright = box.upright()
    assert upright.size_wh == pytest.approx(size_wh, abs=1 + 0.03 * max(size_wh))
    assert min(upright.size_wh) == pytest.approx(min(size_wh), abs=1.1)


def test_an_unknown_fit_is_named() -> None:
    with pytest.raises(ValueError, match=r"'ellipse'.*opt_fast"):
        fit_box(np.ones((4, 4), bool), "ellipse")  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(4))
def test_cost_counts_pixels_as_published(seed: int) -> None:
    mask = blob(seed)
    rng = np.random.default_rng(seed)
    center_xy = (float(rng.uniform(40, 56)), float(rng.uniform(40, 56)))
    box = RotatedBox(center_xy, (30.0, 45.0), float(rng.uniform(-0.7, 0.7)))
    outside, background = published_counts(mask, box)
    assert opt_cost(mask, box) == pytest.approx(4 * outside + background, rel=0.03, abs=15)
    inside = mask.sum() - outside
    assert mask_area_in_box(mask, box) == pytest.approx(inside, rel=0.02, abs=10)
    overlap = inside / (mask.sum() + background)
    assert mask_box_overlap(mask, box) == pytest.approx(overlap, abs=0.02)


def within_limits(mask: np.ndarray, box: RotatedBox, slack: float) -> bool:
    outside, background = published_counts(mask, box)
    return (
        outside / mask.sum() <= MAX_MASK_OUTSIDE + slack
        and background / box.area <= MAX_BACKGROUND_INSIDE + slack
    )


def random_boxes(mask: np.ndarray, count: int) -> list[RotatedBox]:
    """Rectangles around a mask, from a wide search that knows nothing of the fits."""
    rng = np.random.default_rng(0)
    rows, columns = np.nonzero(mask)
    span = max(np.ptp(rows), np.ptp(columns))
    return [
        RotatedBox(
            (columns.mean() + rng.normal(0, span / 12), rows.mean() + rng.normal(0, span / 12)),
            tuple(rng.uniform(0.3, 1.2, 2) * span),
            rng.uniform(-math.pi / 4, math.pi / 4),
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("mask", [walker(0.35), blob(1), blob(2)], ids=["walker", "1", "2"])
def test_opt_is_better_than_all_random_boxes(mask: np.ndarray) -> None:
    best, fast = fit_box(mask, "opt"), fit_box(mask, "opt_fast")
    assert best is not None
    assert fast is not None
    tried = random_boxes(mask, 500)
    kept = [box for box in tried if within_limits(mask, box, 0)]
    if kept and within_limits(mask, best, 0.01):
        tried = kept
    cheapest = min(opt_cost(mask, box) for box in tried)
    assert opt_cost(mask, best) <= cheapest * 1.01
    assert opt_cost(mask, fast) <= cheapest * 1.05
    others: list[BoxFit] = ["min_max", "mbr"]
    for other in others:
        box = fit_box(mask, other)
        assert box is not None
        assert opt_cost(mask, best) <= opt_cost(mask, box)


def test_opt_keeps_the_limits_where_it_can() -> None:
    # a bar with a thin tail of an eighth of the area: cheapest without, but that leaves too much
    mask = np.zeros((80, 200), bool)
    mask[20:60, 10:80] = True
    mask[38:42, 80:180] = True
    box = fit_box(mask, "opt")
    assert box is not None
    inside = mask_area_in_box(mask, box)
    assert MAX_MASK_OUTSIDE / 2 < 1 - inside / mask.sum() <= MAX_MASK_OUTSIDE + 0.005
    assert 1 - inside / box.area <= MAX_BACKGROUND_INSIDE


def test_opt_fast_is_as_good_as_opt() -> None:
    overlaps: dict[BoxFit, list[float]] = {"mbr": [], "opt": [], "opt_fast": []}
    masks = [walker(theta) for theta in (-0.6, -0.2, 0.1, 0.5)] + [blob(seed) for seed in range(4)]
    for mask, fit in itertools.product(masks, overlaps):
        box = fit_box(mask, fit)
        assert box is not None
        overlaps[fit].append(mask_box_overlap(mask, box))
    means = {fit: np.mean(values) for fit, values in overlaps.items()}
    assert means["opt_fast"] == pytest.approx(means["opt"], abs=0.02)
    assert means["opt"] > means["mbr"] + 0.02


@pytest.mark.parametrize("fit", BOX_FITS)
def test_outline_fits_the_largest_part_only(fit: BoxFit) -> None:
    mask = walker(0.3)
    alone = outline_mask(mask, fit=fit)
    mask[2:8, 2:8] = True
    among = outline_mask(mask, fit=fit, offset_xy=(11, 22))
    assert alone is not None
    assert among is not None
    assert among.area == alone.area
    assert among.box.xywh[2:] == alone.box.xywh[2:]
    np.testing.assert_allclose(
        among.rotated_box.corners - (11, 22), alone.rotated_box.corners, atol=1e-3
    )
    if fit != "mbr":
        expected = fit_box(walker(0.3), fit)
        assert expected is not None
        np.testing.assert_allclose(alone.rotated_box.corners, expected.corners, atol=1e-3)
