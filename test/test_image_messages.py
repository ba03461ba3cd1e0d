# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decoders against images whose pixels are known without them."""

from __future__ import annotations

import array
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from siammask_ros.image_messages import (
    ENCODINGS,
    ImageError,
    check_image,
    decode_compressed,
    decode_image,
    decoder_of,
    is_compressed,
)

WIDTH, HEIGHT = 6, 4
BLUE, GREEN, RED = 200, 90, 30
GRAY = 128


@pytest.fixture
def bgr():
    return np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def message(samples, encoding, *, padding=0, big_endian=False, height=HEIGHT):
    """A message of samples as they lie in memory, rows padded with bytes that must not show."""
    rows = samples.reshape(samples.shape[0], -1)
    rows = rows.astype(rows.dtype.newbyteorder(">" if big_endian else "<"))
    row_bytes = rows.view(np.uint8)
    padded = np.pad(row_bytes, ((0, 0), (0, padding)), constant_values=77)
    return SimpleNamespace(
        height=height, width=WIDTH, encoding=encoding, step=padded.shape[1],
        is_bigendian=int(big_endian), data=padded.tobytes(),
    )  # fmt: skip


def compressed(data, kind):
    return SimpleNamespace(format=kind, data=data)


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "order"),
    [("bgr8", [0, 1, 2]), ("8UC3", [0, 1, 2]), ("rgb8", [2, 1, 0]), ("bgra8", [0, 1, 2, 0]),
     ("rgba8", [2, 1, 0, 0])],
)  # fmt: skip
def test_packed_colours(bgr, encoding, order, padding):
    assert np.array_equal(decode_image(message(bgr[..., order], encoding, padding=padding)), bgr)


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_gray(bgr, encoding):
    gray = bgr[..., 0]
    decoded = decode_image(message(gray, encoding, padding=3))
    assert np.array_equal(decoded, np.repeat(gray[..., None], 3, axis=2))


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("encoding", ["mono16", "16UC1"])
def test_sixteen_bits_are_scaled_over_the_whole_range(encoding, big_endian):
    wide = np.linspace(0, 65535, WIDTH * HEIGHT).astype(np.uint16).reshape(HEIGHT, WIDTH)
    decoded = decode_image(message(wide, encoding, padding=4, big_endian=big_endian))
    expected = np.rint(wide / 257.0)
    assert np.array_equal(decoded[..., 1], expected)
    assert decoded.max() == 255


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("bits", [8, 16])
def test_bayer_patterns_of_one_colour(pattern, bits):
    value = {"r": RED, "g": GREEN, "b": BLUE}
    cell = np.array([value[colour] for colour in pattern], dtype=np.uint16).reshape(2, 2)
    mosaic = np.tile(cell, (HEIGHT // 2, WIDTH // 2)) * (257 if bits == 16 else 1)
    samples = mosaic.astype(np.uint16 if bits == 16 else np.uint8)
    decoded = decode_image(message(samples, f"bayer_{pattern}{bits}"))
    assert np.array_equal(decoded, np.full((HEIGHT, WIDTH, 3), (BLUE, GREEN, RED)))


def yuv_of(red, green, blue):
    """BT.601 with video range, from its definition."""
    y = 16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255
    u = 128 + (-37.797 * red - 74.203 * green + 112.0 * blue) / 255
    v = 128 + (112.0 * red - 93.786 * green - 18.214 * blue) / 255
    return round(y), round(u), round(v)


@pytest.mark.parametrize(
    ("encoding", "order"),
    [("yuv422", "uyvy"), ("uyvy", "uyvy"), ("UYVY", "uyvy"), ("yuv422_yuy2", "yuyv"),
     ("yuyv", "yuyv"), ("nv12", "uv"), ("nv21", "vu")],
)  # fmt: skip
def test_yuv_of_one_colour(encoding, order):
    y, u, v = yuv_of(RED, GREEN, BLUE)
    value = {"y": y, "u": u, "v": v}
    if len(order) == 4:
        row = np.array([value[letter] for letter in order], dtype=np.uint8)
        samples = np.tile(row, (HEIGHT, WIDTH // 2))
    else:
        luma = np.full((HEIGHT, WIDTH), y)
        chroma = np.tile([value[letter] for letter in order], (HEIGHT // 2, WIDTH // 2))
        samples = np.concatenate([luma, chroma]).astype(np.uint8)
    decoded = decode_image(message(samples, encoding, padding=2))
    assert decoded.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(decoded.astype(int) - (BLUE, GREEN, RED)).max() <= 3


def test_data_without_the_last_row_s_padding_is_complete(bgr):
    image = message(bgr, "bgr8", padding=5)
    image.data = image.data[:-5]
    assert np.array_equal(decode_image(image), bgr)


def test_bgr_is_a_read_only_view(bgr):
    decoded = decode_image(message(bgr, "bgr8"))
    assert not decoded.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        decoded[0] = 0


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"width": 0}, "0x4"),
        ({"height": 0}, "6x0"),
        ({"step": 17}, "step 17 is too short"),
        ({"height": 9}, "data is too short: 72 bytes"),
        ({"encoding": "32FC1"}, "'32FC1' is not supported"),
        ({"encoding": "mono10p"}, "'mono10p' is not supported"),
        ({"encoding": ""}, "'' is not supported"),
        ({"encoding": "nv12", "height": 3}, "6x3 pixels cannot be nv12"),
        ({"encoding": "yuyv", "width": 5}, "5x4 pixels cannot be yuyv"),
    ],
)
def test_what_is_wrong_is_named(bgr, changes, named):
    image = message(bgr, "bgr8")
    for name, value in changes.items():
        setattr(image, name, value)
    with pytest.raises(ImageError, match=named):
        check_image(image)
    with pytest.raises(ImageError, match=named):
        decode_image(image)


def test_not_a_number_in_a_float_image_is_refused():
    depth = np.full((HEIGHT, WIDTH), np.nan, dtype=np.float32)
    with pytest.raises(ImageError, match="32FC1"):
        decode_image(message(depth, "32FC1"))


@pytest.mark.parametrize("name", [".png", ".bmp"])
def test_lossless_compressed_images(bgr, name):
    image = compressed(cv2.imencode(name, bgr)[1].tobytes(), name[1:])
    assert np.array_equal(decode_compressed(image), bgr)


def test_jpeg_of_one_colour():
    flat = np.full((32, 48, 3), (BLUE, GREEN, RED), dtype=np.uint8)
    image = compressed(cv2.imencode(".jpg", flat)[1].tobytes(), "bgr8; jpeg compressed bgr8")
    assert np.abs(decode_compressed(image).astype(int) - flat).max() <= 3


@pytest.mark.parametrize("data", [b"", b"\xff\xd8 no jpeg", bytes(100)])
def test_broken_compressed_image_is_named(data):
    image = compressed(data, "jpeg")
    with pytest.raises(ImageError, match=f"'jpeg' with {len(data)} bytes cannot be decoded"):
        decode_compressed(image)


class Bridge:
    """Another decoder, which swaps the outer channels and keeps count."""

    def __init__(self):
        self.calls = 0

    def __call__(self, image):
        self.calls += 1
        pixels = np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, 3)
        return pixels[..., ::-1]


def test_another_decoder_is_used_for_what_it_can(bgr):
    bridge = Bridge()
    assert np.array_equal(decode_image(message(bgr[..., ::-1], "rgb8"), bridge), bgr)
    assert bridge.calls == 1
    assert np.array_equal(decode_image(message(bgr, "bgr8"), bridge), bgr)
    decode_image(message(np.zeros((6, WIDTH), np.uint8), "nv12"), bridge)
    assert bridge.calls == 1


@pytest.mark.parametrize(
    "hold", [bytes, lambda data: array.array("B", data), lambda data: np.frombuffer(data, np.uint8)]
)
def test_data_is_whatever_has_bytes(bgr, hold):
    image = message(bgr, "bgr8", padding=2)
    image.data = hold(image.data)
    assert np.array_equal(decoder_of(image)(), bgr)
    packed = compressed(hold(cv2.imencode(".png", bgr)[1].tobytes()), "png")
    assert np.array_equal(decoder_of(packed)(), bgr)


def test_the_two_kinds_are_told_apart(bgr):
    assert is_compressed(compressed(b"", "jpeg"))
    assert not is_compressed(message(bgr, "bgr8"))


def test_a_bad_image_has_no_decoder(bgr):
    image = message(bgr, "bgr8")
    image.step = 1
    with pytest.raises(ImageError, match="step 1 is too short"):
        decoder_of(image)


def test_all_promised_encodings_are_there():
    promised = {"rgb8", "bgr8", "rgba8", "bgra8", "mono8", "mono16", "8uc1", "8uc3", "16uc1"}
    promised |= {"yuv422", "yuv422_yuy2", "yuyv", "uyvy", "nv12", "nv21"}
    promised |= {f"bayer_{name}8" for name in ("rggb", "bggr", "gbrg", "grbg")}
    assert promised <= set(ENCODINGS)
