# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cutting patches, at and beyond the image's borders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from siammask_ros.crop import (
    CropFilter,
    CropTransform,
    channel_mean,
    crop_square,
    round_half_even,
    round_half_up,
    validate_image_bgr,
)

if TYPE_CHECKING:
    from collections.abc import Callable

PADDING = (11, 22, 33)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)


def test_mean_is_truncated() -> None:
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    image[..., 0] = [[1, 2], [2, 2]]  # 1.75
    image[..., 1] = 7
    assert channel_mean(image) == (1, 7, 0)


@pytest.mark.parametrize("size_hw", [(7, 7), (49, 99), (480, 854)])
def test_mean_of_one_colour_is_that_colour(size_hw: tuple[int, int]) -> None:
    for color in ((3, 130, 255), (1, 17, 254)):
        image = np.full((*size_hw, 3), color, dtype=np.uint8)
        assert channel_mean(image) == color


@pytest.mark.parametrize(("value", "even", "up"), [(0.5, 0, 1), (1.5, 2, 2), (-0.5, 0, 0)])
def test_ties(value: float, even: int, up: int) -> None:
    assert round_half_even(value) == even
    assert round_half_up(value) == up


@pytest.mark.parametrize(
    ("center", "side", "origin"),
    [
        ((30.0, 20.0), 9, (25, 15)),  # 30 - 5
        ((30.0, 20.0), 10, (24, 14)),  # 24.5 and 14.5 are ties: to the even one
        ((31.0, 21.0), 10, (26, 16)),  # 25.5, 15.5
        ((-100.0, -100.0), 7, (-104, -104)),
        ((63.0, 47.0), 21, (52, 36)),
    ],
)
def test_window_without_resize_holds_the_images_pixels(
    image: np.ndarray, center: tuple[float, float], side: int, origin: tuple[int, int]
) -> None:
    patch, transform = crop_square(image, center, side, side, PADDING)
    assert patch.shape == (side, side, 3)
    assert transform == CropTransform(origin, 1.0)
    for row in range(side):
        for column in range(side):
            x, y = origin[0] + column, origin[1] + row
            inside = 0 <= x < 64 and 0 <= y < 48
            expected = tuple(image[y, x]) if inside else PADDING
            assert tuple(patch[row, column]) == expected


def test_rounding_up_moves_ties_only(image: np.ndarray) -> None:
    for center, moved in (((30.0, 20.0), 1), ((31.0, 21.0), 0), ((30.2, 20.3), 0)):
        _, even = crop_square(image, center, 10, 10, PADDING)
        _, up = crop_square(image, center, 10, 10, PADDING, rounding="half_up")
        difference = np.array(up.origin_xy) - np.array(even.origin_xy)
        assert difference.tolist() == [moved, moved]


@pytest.mark.parametrize("filter_name", ["bilinear", "area"])
@pytest.mark.parametrize(("center", "side"), [((-500.0, 20.0), 40), ((20.0, 900.0), 333)])
def test_crop_outside_is_uniform(
    image: np.ndarray, filter_name: CropFilter, center: tuple[float, float], side: int
) -> None:
    patch, _ = crop_square(image, center, side, 31, PADDING, filter=filter_name)
    assert (patch == PADDING).all()


@pytest.mark.parametrize("filter_name", ["bilinear", "area"])
@pytest.mark.parametrize("side", [15, 33])
def test_patch_owns_its_pixels(filter_name: CropFilter, side: int) -> None:
    image = np.zeros((15, 15, 3), dtype=np.uint8)
    patch, _ = crop_square(image, (8.0, 8.0), side, 15, PADDING, filter=filter_name)
    assert patch.flags.c_contiguous
    assert patch.flags.writeable
    assert not np.shares_memory(patch, image)


@pytest.mark.parametrize("filter_name", ["bilinear", "area"])
@pytest.mark.parametrize(
    "view",
    [
        lambda image: image[..., ::-1],
        lambda image: image[::-1, ::-1],
        lambda image: image.transpose(1, 0, 2),
        lambda image: image[:, ::2],
    ],
)
def test_any_read_only_view_gives_what_its_copy_gives(
    image: np.ndarray, filter_name: CropFilter, view: Callable[[np.ndarray], np.ndarray]
) -> None:
    viewed = view(image)
    viewed.flags.writeable = False
    assert channel_mean(viewed) == channel_mean(np.ascontiguousarray(viewed))
    for side in (9, 40, 100):
        arguments = ((12.0, 14.0), side, 31, PADDING)
        patch, _ = crop_square(viewed, *arguments, filter=filter_name)
        expected, _ = crop_square(np.ascontiguousarray(viewed), *arguments, filter=filter_name)
        assert np.array_equal(patch, expected)


def test_transform_goes_both_ways() -> None:
    transform = CropTransform((-3.5, 8.25), 1.7)
    points = np.array([[0, 0], [10, 20], [-4, 7.5]])
    np.testing.assert_allclose(transform.to_patch(transform.to_image(points)), points)
    np.testing.assert_allclose(transform.to_image([0, 0]), [-3.5, 8.25])


@pytest.mark.parametrize("filter_name", ["bilinear", "area"])
@pytest.mark.parametrize("side", [20, 63, 100, 260, 420])
def test_transform_tells_where_a_spot_went(filter_name: CropFilter, side: int) -> None:
    x, y = np.meshgrid(np.arange(320), np.arange(240))
    spot = np.exp(-((x - 150) ** 2 + (y - 110) ** 2) / (2 * (side / 12) ** 2)) * 250
    image = np.repeat(spot.astype(np.uint8)[..., None], 3, axis=2)
    patch, transform = crop_square(image, (147.3, 113.9), side, 63, (0, 0, 0), filter=filter_name)
    weights = patch[..., 0].astype(float)
    rows, columns = np.indices(weights.shape)
    center = [(weights * columns).sum(), (weights * rows).sum()] / weights.sum()
    np.testing.assert_allclose(center, transform.to_patch([150, 110]), atol=0.1)


@pytest.mark.parametrize("side", [40.0, 63.7, 150.2, 333.3])
def test_area_crop_is_centred_exactly(image: np.ndarray, side: float) -> None:
    _, transform = crop_square(image, (30.7, 12.2), side, 127, PADDING, filter="area")
    np.testing.assert_allclose(transform.to_patch((30.7, 12.2)), [63, 63], atol=1e-9)
    assert transform.scale == pytest.approx(side / 127)


def test_area_crop_averages_what_bilinear_skips() -> None:
    image = np.zeros((400, 400, 3), dtype=np.uint8)
    image[::2] = 255  # lines of one pixel: mean 127.5
    averaged, _ = crop_square(image, (200, 200), 350, 63, (0, 0, 0), filter="area")
    sampled, _ = crop_square(image, (200, 200), 350, 63, (0, 0, 0))
    assert np.abs(averaged.astype(float) - 127.5).max() < 8
    assert np.abs(sampled.astype(float) - 127.5).max() > 60


@pytest.mark.parametrize(
    ("center", "side"),
    [((32.0, 24.0), 200.0), ((0.0, 0.0), 90.0), ((64.0, 48.0), 77.3), ((-20.0, 30.0), 130.0)],
)
def test_area_crop_at_borders_equals_the_crop_of_a_padded_image(
    image: np.ndarray, center: tuple[float, float], side: float
) -> None:
    margin = 256  # a whole number of averaging blocks, so that both average the same pixels
    padded = cv2.copyMakeBorder(
        image, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=PADDING
    )
    patch, _ = crop_square(image, center, side, 31, PADDING, filter="area")
    shifted = (center[0] + margin, center[1] + margin)
    expected, _ = crop_square(padded, shifted, side, 31, PADDING, filter="area")
    assert np.abs(patch.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"side": 0}, "positive.*0"),
        ({"side": float("nan")}, "positive.*nan"),
        ({"side": -3}, "positive.*-3"),
        ({"side": 10.5}, "whole number.*10.5"),
        ({"filter": "cubic"}, "cubic"),
        ({"rounding": "down"}, "down"),
    ],
)
def test_bad_arguments_are_named(
    image: np.ndarray, arguments: dict[str, Any], message: str
) -> None:
    good: dict[str, Any] = {"side": 10, **arguments}
    with pytest.raises(ValueError, match=message):
        crop_square(image, (10, 10), good.pop("side"), 31, PADDING, **good)


@pytest.mark.parametrize(
    ("bad_image", "message"),
    [
        (np.zeros((0, 10, 3), np.uint8), "empty: 10x0"),
        (np.zeros((10, 0, 3), np.uint8), "empty: 0x10"),
        (np.zeros((10, 10), np.uint8), r"\(10, 10\)"),
        (np.zeros((10, 10, 4), np.uint8), r"\(10, 10, 4\)"),
        (np.zeros((10, 10, 3), np.float32), "float32"),
        (np.zeros((10, 10, 3), np.uint16), "uint16"),
        (np.full((10, 10, 3), np.nan), "float64"),
        ([[1, 2, 3]], "list"),
        (None, "NoneType"),
    ],
)
def test_bad_images_are_named(bad_image: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        validate_image_bgr(bad_image)


def test_good_image_gives_its_size() -> None:
    assert validate_image_bgr(np.zeros((3, 5, 3), np.uint8)) == (5, 3)
