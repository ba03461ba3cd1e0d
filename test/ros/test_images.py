# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of rclpy, to and from arrays; the decoders have tests of their own."""

from __future__ import annotations

import sys
import types

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from siammask_ros.ros import images
from siammask_ros.ros.images import ImageCanvas, decode_compressed, decode_image, encode_image

WIDTH, HEIGHT = 6, 4


@pytest.fixture
def bgr():
    return np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def message(pixels, encoding):
    result = Image(height=HEIGHT, width=WIDTH, encoding=encoding, step=3 * WIDTH)
    result.data.frombytes(np.ascontiguousarray(pixels).tobytes())
    return result


@pytest.mark.parametrize(("encoding", "order"), [("bgr8", 1), ("rgb8", -1)])
def test_messages_of_rclpy_are_decoded(monkeypatch, bgr, encoding, order):
    monkeypatch.setattr(images, "_working_cv_bridge", lambda: None)
    assert np.array_equal(decode_image(message(bgr[..., ::order], encoding)), bgr)


def test_compressed_messages_of_rclpy_are_decoded(bgr):
    image = CompressedImage(format="png")
    image.data.frombytes(cv2.imencode(".png", bgr)[1].tobytes())
    assert np.array_equal(decode_compressed(image), bgr)


@pytest.mark.parametrize(
    ("shape", "encoding", "step"), [((4, 6), "mono8", 6), ((4, 6, 3), "bgr8", 18)]
)
def test_encoding_gives_back_the_array(shape, encoding, step):
    array = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    header = Header(frame_id="left")
    encoded = encode_image(array[:, ::-1], encoding, header)
    assert (encoded.width, encoded.height, encoded.step) == (6, 4, step)
    assert encoded.header.frame_id == "left"
    assert bytes(encoded.data) == array[:, ::-1].tobytes()


@pytest.mark.parametrize(("encoding", "channels"), [("mono8", 1), ("bgr8", 3)])
def test_what_is_drawn_on_a_canvas_is_in_its_message(encoding, channels):
    canvas = ImageCanvas(encoding, channels)
    for size_wh in ((6, 4), (6, 4), (3, 5)):
        shape = size_wh[::-1] if channels == 1 else (*size_wh[::-1], channels)
        drawn = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
        canvas.pixels(size_wh)[...] = drawn
        assert canvas.message(Header(frame_id="left")) == encode_image(
            drawn, encoding, Header(frame_id="left")
        )


def test_a_canvas_is_kept_until_the_size_changes():
    canvas = ImageCanvas("mono8")
    canvas.pixels((6, 4))[1, 2] = 9
    assert canvas.pixels((6, 4))[1, 2] == 9
    assert np.shares_memory(
        canvas.pixels((6, 4)), np.frombuffer(canvas.message(Header()).data, np.uint8)
    )
    assert not canvas.pixels((4, 6)).any()


class Bridge:
    """Stands in for a cv_bridge that is not installable here."""

    calls = 0
    broken = False

    def imgmsg_to_cv2(self, image, desired_encoding):
        assert desired_encoding == "bgr8"
        if Bridge.broken:
            raise AttributeError("_ARRAY_API not found")
        Bridge.calls += 1
        pixels = np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, 3)
        return pixels[..., ::-1] if image.encoding == "rgb8" else pixels


@pytest.mark.parametrize("broken", [False, True])
def test_cv_bridge_is_used_where_it_works(monkeypatch, bgr, broken):
    module = types.ModuleType("cv_bridge")
    module.CvBridge = Bridge
    monkeypatch.setitem(sys.modules, "cv_bridge", module)
    monkeypatch.setattr(Bridge, "broken", broken)
    monkeypatch.setattr(Bridge, "calls", 0)
    images._working_cv_bridge.cache_clear()
    try:
        assert np.array_equal(decode_image(message(bgr[..., ::-1], "rgb8")), bgr)
        assert (Bridge.calls > 0) is not broken
    finally:
        images._working_cv_bridge.cache_clear()
