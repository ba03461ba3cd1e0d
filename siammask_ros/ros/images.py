# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image messages of ROS to arrays and back: pure functions that need no node.

cv_bridge decodes where it is installed and works; otherwise `image_messages` does, with the same
pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from siammask_ros import image_messages
from siammask_ros.image_messages import ImageBgr, ImageError, check_image, decode_compressed
from siammask_ros.ros.messages import image as encode_image

__all__ = ["ImageError", "check_image", "decode_compressed", "decode_image", "encode_image"]


def decode_image(message: Image) -> ImageBgr:
    """See `image_messages.decode_image`; with cv_bridge where it works."""
    return image_messages.decode_image(message, _working_cv_bridge())


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
