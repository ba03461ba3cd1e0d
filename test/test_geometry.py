# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Boxes, rotated boxes, polygons and the check of start boxes."""

from __future__ import annotations

import math
import re

import cv2
import numpy as np
import pytest

from siammask_ros.geometry import (
    Box,
    RotatedBox,
    box_iou,
    box_iou_xyxy,
    corners_to_box,
    parse_box_xywh,
    polygon_area,
    validate_box_xywh,
    vot_region_to_box,
    wrap_theta,
)

IMAGE_SIZE_WH = (640, 480)


def test_box_views_agree() -> None:
    box = Box(10, 20, 30, 40)
    assert box.xywh == (10, 20, 30, 40)
    assert box.xyxy == (10, 20, 40, 60)
    assert box.center_xy == (25, 40)
    assert box.area == 1200
    assert Box.from_center(box.center_xy, box.size_wh) == box
    assert Box.from_xyxy(*box.xyxy) == box
    np.testing.assert_array_equal(box.corners, [[10, 20], [40, 20], [40, 60], [10, 60]])


def test_box_of_mask_is_the_bounding_rectangle() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        mask = rng.random((37, 53)) > 0.995
        box = Box.from_mask(mask)
        if not mask.any():
            assert box is None
            continue
        assert box is not None
        assert box.xywh == cv2.boundingRect(mask.view(np.uint8))


@pytest.mark.parametrize(
    ("box", "clipped"),
    [
        (Box(-10, -10, 30, 30), Box(0, 0, 20, 20)),
        (Box(630, 470, 30, 30), Box(630, 470, 10, 10)),
        (Box(5, 6, 7, 8), Box(5, 6, 7, 8)),
    ],
)
def test_clipped_box(box: Box, clipped: Box) -> None:
    assert box.clipped(IMAGE_SIZE_WH) == clipped


def test_clipping_a_box_outside_leaves_nothing() -> None:
    assert Box(700, 10, 30, 30).clipped(IMAGE_SIZE_WH).area == 0
    assert Box(10, -50, 30, 30).clipped(IMAGE_SIZE_WH).area == 0


@pytest.mark.parametrize("theta", [-math.pi / 2, -1.2, -0.3, 0.0, 0.4, 1.0, 1.57])
def test_corners_are_those_of_a_turned_rectangle(theta: float) -> None:
    box = RotatedBox((100.0, 50.0), (40.0, 20.0), theta)
    unturned = np.array([[-20, -10], [20, -10], [20, 10], [-20, 10]])
    turn = np.array([[math.cos(theta), -math.sin(theta)], [math.sin(theta), math.cos(theta)]])
    np.testing.assert_allclose(box.corners, unturned @ turn.T + [100, 50], atol=1e-9)


@pytest.mark.parametrize("theta", [-math.pi / 2, -1.2, -0.3, 0.0, 0.4, 1.0, 1.57])
def test_rotated_box_survives_its_corners(theta: float) -> None:
    box = RotatedBox((100.0, 50.0), (40.0, 20.0), theta)
    again = RotatedBox.from_corners(box.corners)
    assert again.center_xy == pytest.approx(box.center_xy)
    assert again.size_wh == pytest.approx(box.size_wh)
    assert again.theta == pytest.approx(box.theta)


def test_corners_run_clockwise_on_screen_from_the_top_left() -> None:
    top_left, top_right, bottom_right, bottom_left = RotatedBox((0.0, 0.0), (4.0, 2.0)).corners
    assert tuple(top_left) == (-2, -1)
    assert tuple(top_right) == (2, -1)
    assert tuple(bottom_right) == (2, 1)
    assert tuple(bottom_left) == (-2, 1)


def test_theta_grows_from_x_toward_y() -> None:
    corners = RotatedBox((0.0, 0.0), (10.0, 2.0), 0.3).corners
    width_axis = corners[1] - corners[0]
    assert math.atan2(width_axis[1], width_axis[0]) == pytest.approx(0.3)


def test_counter_clockwise_corners_give_the_same_rectangle() -> None:
    box = RotatedBox((10.0, 20.0), (30.0, 12.0), 0.5)
    again = RotatedBox.from_corners(box.corners[::-1])
    assert _as_set(again.corners) == _as_set(box.corners)


def test_corners_with_an_empty_side() -> None:
    box = RotatedBox.from_corners([[5, 5], [5, 5], [5, 9], [5, 9]])
    assert box.size_wh == (0, 4)
    assert box.center_xy == (5, 7)
    assert _as_set(box.corners) == {(5.0, 5.0), (5.0, 9.0)}


@pytest.mark.parametrize("theta", np.linspace(-7, 7, 57))
def test_theta_is_wrapped(theta: float) -> None:
    wrapped = wrap_theta(theta)
    assert -math.pi / 2 <= wrapped < math.pi / 2
    assert math.sin(2 * wrapped) == pytest.approx(math.sin(2 * theta), abs=1e-9)
    assert math.cos(2 * wrapped) == pytest.approx(math.cos(2 * theta), abs=1e-9)
    assert RotatedBox((0.0, 0.0), (1.0, 1.0), theta).theta == wrapped


def test_theta_of_exactly_a_quarter_turn_is_negative() -> None:
    assert wrap_theta(math.pi / 2) == -math.pi / 2


@pytest.mark.parametrize("theta", np.linspace(-math.pi / 2, 1.57, 23))
def test_upright_is_the_same_rectangle(theta: float) -> None:
    box = RotatedBox((3.0, 4.0), (30.0, 12.0), theta)
    upright = box.upright()
    assert -math.pi / 4 <= upright.theta < math.pi / 4
    assert _as_set(upright.corners) == _as_set(box.corners)


@pytest.mark.parametrize(
    "arguments",
    [
        ((math.nan, 0.0), (1.0, 1.0), 0.0),
        ((0.0, 0.0), (math.inf, 1.0), 0.0),
        ((0.0, 0.0), (1.0, 1.0), math.nan),
        ((0.0, 0.0), (-1.0, 1.0), 0.0),
    ],
)
def test_rotated_box_refuses_nonsense(
    arguments: tuple[tuple[float, float], tuple[float, float], float],
) -> None:
    with pytest.raises(ValueError, match="rotated box"):
        RotatedBox(*arguments)


def test_from_corners_names_the_shape_it_got() -> None:
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        RotatedBox.from_corners(np.zeros((3, 2)))


def test_bounding_box_of_a_turned_square() -> None:
    bounding = RotatedBox((0.0, 0.0), (2.0, 2.0), math.pi / 4).bounding_box
    assert bounding.width == pytest.approx(2 * math.sqrt(2))
    assert corners_to_box([[1, 2], [5, 0], [3, 7]]) == Box(1, 0, 4, 7)


def test_polygon_area() -> None:
    assert polygon_area([[0, 0], [4, 0], [4, 3]]) == 6
    assert polygon_area([[4, 3], [4, 0], [0, 0]]) == 6
    assert polygon_area(RotatedBox((7.0, 8.0), (5.0, 6.0), 0.7).corners) == pytest.approx(30)


def test_iou() -> None:
    first = Box(0, 0, 10, 10)
    assert box_iou(first, first) == 1
    assert box_iou(first, Box(5, 0, 10, 10)) == pytest.approx(50 / 150)
    assert box_iou(first, Box(20, 20, 5, 5)) == 0
    assert box_iou(Box(0, 0, 0, 0), Box(0, 0, 0, 0)) == 0


def test_iou_counts_pixels() -> None:
    rng = np.random.default_rng(1)
    starts = rng.integers(0, 15, (40, 2))
    boxes = np.concatenate([starts, starts + rng.integers(1, 15, (40, 2))], axis=1)
    overlaps = box_iou_xyxy(boxes[:, None], boxes[None])
    assert overlaps.shape == (40, 40)
    for first, second in rng.integers(0, 40, (30, 2)):
        masks = []
        for left, top, right, bottom in boxes[[first, second]]:
            mask = np.zeros((30, 30), dtype=bool)
            mask[top:bottom, left:right] = True
            masks.append(mask)
        expected = (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()
        assert overlaps[first, second] == pytest.approx(expected)


def test_vot_region_of_an_upright_rectangle_gets_one_pixel_more() -> None:
    box = vot_region_to_box([10, 20, 60, 20, 60, 120, 10, 120])
    assert box.center_xy == (35, 70)
    assert box.size_wh == (51, 101)


def test_vot_region_keeps_the_area_of_a_turned_rectangle() -> None:
    corners = RotatedBox((50.0, 60.0), (40.0, 20.0), 0.6).corners
    box = vot_region_to_box(corners.ravel())
    assert (box.width - 1) * (box.height - 1) == pytest.approx(40 * 20)


def test_vot_region_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(6,\)"):
        vot_region_to_box(np.zeros(6))
    with pytest.raises(ValueError, match="no area"):
        vot_region_to_box([1, 1, 1, 2, 1, 3, 1, 4])


@pytest.mark.parametrize(
    "box", [(10, 20, 4, 4), (0, 0, 640, 480), (-10, -10, 50, 50), (600, 400, 100, 100)]
)
def test_good_boxes_pass(box: tuple[float, ...]) -> None:
    assert validate_box_xywh(box, IMAGE_SIZE_WH).xywh == box


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((math.nan, 0, 10, 10), "finite.*nan"),
        ((0, 0, math.inf, 10), "finite.*inf"),
        ((10, 10, 0, 10), "empty or inverted.*width 0"),
        ((50, 50, -20, 10), "empty or inverted.*-20"),
        ((10, 10, 3.5, 30), "too small.*3.5x30"),
        ((0, 0, 641, 100), "larger than the image.*641x100 pixels in 640x480"),
        ((0, 0, 100, 481), "larger than the image.*100x481"),
        ((700, 10, 50, 50), "outside the image.*700"),
        ((10, -60, 50, 50), "outside the image.*-60"),
        ((638, 10, 50, 50), "outside the image.*638"),
        ((10, 10, 20), "four numbers"),
        ("a box", "four numbers.*a box"),
        (None, "four numbers.*None"),
        (((1, 2), (3, 4)), "four numbers"),
        ((10**400, 10, 20, 20), "four numbers"),
    ],
)
def test_bad_boxes_are_refused_by_name(box: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        validate_box_xywh(box, IMAGE_SIZE_WH)  # type: ignore[arg-type]


def _as_set(corners: np.ndarray) -> set[tuple[float, ...]]:
    return {tuple(round(float(number), 6) + 0.0 for number in corner) for corner in corners}


def test_a_typed_box_is_read() -> None:
    assert parse_box_xywh("1, 2.5,30,40") == Box(1, 2.5, 30, 40)


@pytest.mark.parametrize("text", ["1,2,3", "1,2,3,x", "1,2,3,nan", "", "1,2,3,4,5"])
def test_a_typed_box_of_something_else_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{text!r} is not x,y,width,height")):
        parse_box_xywh(text)


@pytest.mark.parametrize("text", ["1,2,0,4", "1,2,3,-4"])
def test_a_typed_box_has_an_area(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{text!r} has no area")):
        parse_box_xywh(text)
