# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image messages of ROS to arrays and back: pure functions that need no node.

cv_bridge decodes where it is installed and works; otherwise `image_messages` does, with the same
pixels.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from siammask_ros import image_messages
from siammask_ros.image_messages import ImageBgr, ImageError, check_image, decode_compressed
from siammask_ros.ros.messages import image as encode_image

__all__ = [
    "ImageCanvas",
    "ImageError",
    "check_image",
    "decode_compressed",
    "decode_image",
    "encode_image",
]


def decode_image(message: Image) -> ImageBgr:
    """See `image_messages.decode_image`; with cv_bridge where it works."""
    return image_messages.decode_image(message, _working_cv_bridge())


class ImageCanvas:
    """An image message that is kept, and drawn on where its data lie.

    A new message for each frame is three copies of the frame: one into an array that rclpy takes,
    one by the message's constructor, one by the setter of `data`. Publishing makes its own.
    """

    def __init__(self, encoding: str, channels: int = 1) -> None:
        """Of one of the encodings with uint8 samples, and as many channels as that has."""
        self._message = Image(encoding=encoding, is_bigendian=int(sys.byteorder == "big"))
        self._channels = channels
        self._pixels: NDArray[np.uint8] = np.zeros((0, 0), np.uint8)

    def pixels(self, size_wh: tuple[int, int]) -> NDArray[np.uint8]:
        """The message's pixels (H, W), or (H, W, C), to write on; new ones are 0."""
        width, height = size_wh
        shape = (height, width) if self._channels == 1 else (height, width, self._channels)
        if self._pixels.shape != shape:
            message = self._message
            message.width, message.height, message.step = width, height, width * self._channels
            message.data = array("B", bytes(height * message.step))
            self._pixels = np.frombuffer(message.data, np.uint8).reshape(shape)
        return self._pixels

    def message(self, header: Header) -> Image:
        """The message, the same one each time; `header` is handed on as it is."""
        self._message.header = header
        return self._message


@lru_cache(maxsize=1)
def _working_cv_bridge() -> Callable[[Image], Any] | None:
    """A function that decodes with cv_bridge, or None where it is missing or broken.

    A cv_bridge built for another NumPy imports and then fails, so it has to pass a small test.
    """
    try:
        from cv_bridge import CvBridge

        bridge = CvBridge()
        probe = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
        for encoding in ("rgb8", "bgr8"):
            message = encode_image(probe, encoding, Header())
            expected = probe[..., ::-1] if encoding == "rgb8" else probe
            if not np.array_equal(bridge.imgmsg_to_cv2(message, "bgr8"), expected):
                return None
    except Exception:  # noqa: BLE001  whatever is wrong with it, our own decoder is there
        return None
    return lambda message: bridge.imgmsg_to_cv2(message, "bgr8")
