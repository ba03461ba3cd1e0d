# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images decoded at less than their size: where their pixels are, and what is cut out of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from siammask_ros.crop import channel_mean, crop_square, validate_image_bgr
from siammask_ros.reduced_images import (
    REDUCTIONS,
    ReducedImage,
    ReducibleJpeg,
    jpeg_size_wh,
    largest_reduction,
)

SIZE_WH = (203, 149)
PADDING = (11, 22, 33)


@pytest.fixture(scope="module")
def image():
    """Blue rises to the right and green downwards, by two levels a pixel in the middle."""
    width, height = SIZE_WH
    result = np.full((height, width, 3), 90, np.uint8)
    result[..., 0] = np.clip(2 * np.arange(width) - 60, 0, 255)
    result[..., 1] = np.clip(2 * np.arange(height) - 20, 0, 255)[:, None]
    return result


def reduced(image, reduction):
    """By its definition: the mean of blocks."""
    rows, columns = (range(0, side, reduction) for side in image.shape[:2])
    means = [
        [image[y : y + reduction, x : x + reduction].mean(axis=(0, 1)) for x in columns]
        for y in rows
    ]
    return ReducedImage(np.rint(means).astype(np.uint8), reduction, image.shape[1::-1])


def jpeg(image, *options):
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95, *options])[1].tobytes()


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_a_jpeg_is_decoded_to_the_means_of_blocks(image, reduction):
    decoded = ReducibleJpeg.of(jpeg(image)).decode(reduction)
    expected = reduced(image, reduction)
    assert decoded.shape == image.shape
    whole = (slice(0, SIZE_WH[1] // reduction), slice(0, SIZE_WH[0] // reduction))
    difference = decoded.pixels_bgr[whole].astype(int) - expected.pixels_bgr[whole]
    assert np.abs(difference).max() <= 6  # of JPEG's own
    assert np.abs(difference.mean(axis=(0, 1))).max() < 1  # not moved: that were half a block


@pytest.mark.parametrize("options", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)])
@pytest.mark.parametrize("size_wh", [(1, 1), (7, 300), (640, 480)])
def test_size_of_a_jpeg(size_wh, options):
    data = jpeg(np.zeros((size_wh[1], size_wh[0], 3), np.uint8), *options)
    assert jpeg_size_wh(data) == size_wh
    assert jpeg_size_wh(memoryview(data)) == size_wh


def test_size_stands_behind_other_segments(image):
    data = jpeg(image)
    comment = b"\xff\xfe\x00\x06\xff\xc0ab"  # a frame header only to look at
    assert jpeg_size_wh(data[:2] + comment + data[2:]) == SIZE_WH


def test_what_is_no_jpeg_has_no_size(image):
    data = jpeg(image)
    for broken in (b"", b"\xff", data[:20], bytes(300), cv2.imencode(".png", image)[1].tobytes()):
        assert jpeg_size_wh(broken) is None
        assert ReducibleJpeg.of(broken) is None


def test_damaged_data_are_refused(image):
    data = jpeg(image)
    with pytest.raises(ValueError, match="20 bytes cannot be decoded"):
        ReducibleJpeg(data[:20], SIZE_WH).decode(2)
    with pytest.raises(ValueError, match="have shape"):
        ReducibleJpeg(data, (64, 48)).decode(2)


@pytest.mark.parametrize(
    ("scales", "expected"),
    [([0.5], 1), ([1.99], 1), ([2.0], 2), ([5.0, 3.9], 2), ([4.0], 4), ([8.0, 30.0], 8), ([], 8)],
)
def test_no_patch_is_enlarged(scales, expected):
    assert largest_reduction(scales) == expected


@pytest.mark.parametrize("filter_name", ["area", "bilinear"])
@pytest.mark.parametrize("reduction", [2, 4])
@pytest.mark.parametrize("center_xy", [(100.3, 70.8), (101.0, 75.0), (96.5, 80.25)])
def test_a_crop_is_that_of_the_whole_image(image, reduction, filter_name, center_xy):
    side = 100
    options = {"filter": filter_name}
    expected, transform = crop_square(image, center_xy, side, 31, PADDING, **options)
    patch, same = crop_square(reduced(image, reduction), center_xy, side, 31, PADDING, **options)
    assert same == transform
    difference = patch.astype(int) - expected
    assert np.abs(difference).max() <= 2
    assert np.abs(difference.mean(axis=(0, 1))).max() < 0.5  # a quarter of a pixel


@pytest.mark.parametrize("filter_name", ["area", "bilinear"])
def test_outside_of_the_image_is_padding(image, filter_name):
    patch, _ = crop_square(reduced(image, 2), (0.0, 0.0), 200, 63, PADDING, filter=filter_name)
    assert (patch[:28] == PADDING).all()
    assert (patch[:, :28] == PADDING).all()
    assert (patch[36:, 36:, 2] == 90).all()


def test_a_region_has_the_size_it_has_in_the_image(image):
    small = reduced(image, 4)
    region = small[10:33, 50:91]
    assert region.shape == (23, 41, 3)
    assert np.abs(region.astype(int) - image[10:33, 50:91]).max() <= 4
    assert np.array_equal(np.asarray(small)[10:33, 50:91], region)


def test_checks_and_means_know_it(image):
    small = reduced(image, 2)
    assert validate_image_bgr(small) == SIZE_WH
    assert np.abs(np.subtract(channel_mean(small), channel_mean(image))).max() <= 1
