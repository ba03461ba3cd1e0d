# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image messages to arrays, whichever library the messages are of: they need the right fields.

Every decoder returns an (H, W, 3) uint8 BGR array. The node decodes with these functions what
arrives on topics, and a replay what lies in a bag.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any, Protocol, TypeGuard, cast

import cv2
import numpy as np
from numpy.typing import NDArray

ImageBgr = NDArray[np.uint8]

SIXTEEN_TO_EIGHT_BITS = 255 / 65535


class ImageError(ValueError):
    """An image message that cannot be used; the text names the value that is wrong."""


class RawImage(Protocol):
    """What is read of a `sensor_msgs/Image`."""

    width: int
    height: int
    encoding: str
    is_bigendian: Any
    """Any truth value; ROS says 0 or 1."""
    step: int
    data: Any
    """The bytes: what the buffer protocol gives, and has a length."""


class CompressedImage(Protocol):
    """What is read of a `sensor_msgs/CompressedImage`."""

    format: str
    data: Any
    """The bytes: what the buffer protocol gives, and has a length."""


Bridge = Callable[[Any], Any]
"""Another decoder, from a message to the BGR image; cv_bridge is one."""


def is_compressed(message: RawImage | CompressedImage) -> TypeGuard[CompressedImage]:
    """Whether a message is a compressed image: it has a format, where others have an encoding."""
    return hasattr(message, "format")


def decoder_of(message: RawImage | CompressedImage) -> Callable[[], ImageBgr]:
    """What decodes a message later.

    Raises:
        ImageError: that cannot succeed; see `check_image`.
    """
    if is_compressed(message):
        return partial(decode_compressed, message)
    image = cast("RawImage", message)
    check_image(image)
    return partial(decode_image, image)


@dataclass(frozen=True)
class Encoding:
    """How the bytes of a message make up an image.

    Attributes:
        dtype: type of one sample.
        channels: samples a pixel, as they lie in memory.
        conversion: OpenCV's code to BGR; None where the samples are BGR already.
        rows_per_height: rows in memory for each row of the image (semi-planar formats have more).
        even_width: pixels share samples with their neighbour to the right.
        even_height: pixels share samples with their neighbour below.
        in_cv_bridge: cv_bridge converts it to bgr8 with the same result.
    """

    dtype: type[np.generic]
    channels: int
    conversion: int | None
    rows_per_height: Fraction = Fraction(1)
    even_width: bool = False
    even_height: bool = False
    in_cv_bridge: bool = True

    def row_bytes(self, width: int) -> int:
        """Bytes of a row of pixels without padding."""
        return width * self.channels * np.dtype(self.dtype).itemsize


_MONO8 = Encoding(np.uint8, 1, cv2.COLOR_GRAY2BGR)
_MONO16 = Encoding(np.uint16, 1, cv2.COLOR_GRAY2BGR)
_UYVY = Encoding(np.uint8, 2, cv2.COLOR_YUV2BGR_UYVY, even_width=True)
_YUYV = Encoding(np.uint8, 2, cv2.COLOR_YUV2BGR_YUYV, even_width=True)


def _without_cv_bridge(encoding: Encoding) -> Encoding:
    return Encoding(
        encoding.dtype, encoding.channels, encoding.conversion,
        encoding.rows_per_height, encoding.even_width, encoding.even_height, in_cv_bridge=False,
    )  # fmt: skip


def _semi_planar(conversion: int) -> Encoding:
    return Encoding(
        np.uint8, 1, conversion, Fraction(3, 2),
        even_width=True, even_height=True, in_cv_bridge=False,
    )  # fmt: skip


ENCODINGS: dict[str, Encoding] = {
    "bgr8": Encoding(np.uint8, 3, None),
    "rgb8": Encoding(np.uint8, 3, cv2.COLOR_RGB2BGR),
    "bgra8": Encoding(np.uint8, 4, cv2.COLOR_BGRA2BGR),
    "rgba8": Encoding(np.uint8, 4, cv2.COLOR_RGBA2BGR),
    "mono8": _MONO8,
    "mono16": _MONO16,
    "8uc1": _without_cv_bridge(_MONO8),
    "8uc3": Encoding(np.uint8, 3, None),
    "16uc1": _without_cv_bridge(_MONO16),
    "yuv422": _UYVY,
    "uyvy": _without_cv_bridge(_UYVY),
    "yuv422_yuy2": _YUYV,
    "yuyv": _without_cv_bridge(_YUYV),
    "nv12": _semi_planar(cv2.COLOR_YUV2BGR_NV12),
    "nv21": _semi_planar(cv2.COLOR_YUV2BGR_NV21),
}
"""By name in lower case."""

# OpenCV names a Bayer pattern by its second row, ROS by its first.
for _name, _code in {
    "rggb": cv2.COLOR_BayerBG2BGR,
    "bggr": cv2.COLOR_BayerRG2BGR,
    "gbrg": cv2.COLOR_BayerGR2BGR,
    "grbg": cv2.COLOR_BayerGB2BGR,
}.items():
    ENCODINGS[f"bayer_{_name}8"] = Encoding(np.uint8, 1, _code)
    ENCODINGS[f"bayer_{_name}16"] = Encoding(np.uint16, 1, _code)


def check_image(message: RawImage) -> Encoding:
    """Check size, encoding, step and amount of data, without touching the pixels.

    Raises:
        ImageError: one of them cannot be right; the text names it.
    """
    encoding = ENCODINGS.get(message.encoding.lower())
    if encoding is None:
        raise ImageError(
            f"encoding {message.encoding!r} is not supported, only {', '.join(sorted(ENCODINGS))}"
        )
    width, height = message.width, message.height
    size = f"{width}x{height}"
    if width == 0 or height == 0:
        raise ImageError(f"the image is empty: {size} pixels")
    if (encoding.even_width and width % 2) or (encoding.even_height and height % 2):
        raise ImageError(f"an image of {size} pixels cannot be {message.encoding}: odd size")
    row_bytes = encoding.row_bytes(width)
    if message.step < row_bytes:
        raise ImageError(
            f"step {message.step} is too short: a row of {width} pixels {message.encoding} "
            f"takes {row_bytes} bytes"
        )
    rows = int(height * encoding.rows_per_height)
    needed = message.step * (rows - 1) + row_bytes
    if len(message.data) < needed:
        raise ImageError(
            f"data is too short: {len(message.data)} bytes, an image of {size} pixels "
            f"{message.encoding} with step {message.step} takes {needed}"
        )
    return encoding


def decode_image(message: RawImage, bridge: Bridge | None = None) -> ImageBgr:
    """Pixels of an image message.

    16-bit samples are scaled to 8 bits over their whole range, as cv_bridge does it.

    Args:
        message: the message.
        bridge: decodes, in place of OpenCV, the encodings that are `in_cv_bridge`.

    Returns:
        (H, W, 3) uint8 BGR; for bgr8 a read-only view of the message.

    Raises:
        ImageError: the message is not a valid image of a supported encoding.
    """
    encoding = check_image(message)
    samples = _samples(message, encoding)
    if encoding.conversion is None:
        return samples
    if encoding.in_cv_bridge and bridge is not None:
        return np.asarray(bridge(message))
    return _to_bgr(samples, encoding)


def decode_compressed(message: CompressedImage) -> ImageBgr:
    """Pixels of a JPEG, PNG or other image that OpenCV reads; (H, W, 3) uint8 BGR.

    Raises:
        ImageError: OpenCV cannot read the data; the text names format and size.
    """
    data = np.frombuffer(message.data, dtype=np.uint8)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(data, flags) if data.size else None
    except cv2.error as error:
        raise ImageError(f"{_described(message)} cannot be decoded: {error.err}") from error
    if image is None:
        raise ImageError(f"{_described(message)} cannot be decoded")
    return np.asarray(image, dtype=np.uint8)


def _samples(message: RawImage, encoding: Encoding) -> NDArray[Any]:
    """The samples as they lie in the message: (rows, W, channels), without the last if it is 1."""
    dtype = np.dtype(encoding.dtype).newbyteorder(">" if message.is_bigendian else "<")
    rows = int(message.height * encoding.rows_per_height)
    samples: NDArray[Any] = np.ndarray(
        (rows, message.width, encoding.channels),
        dtype=dtype,
        buffer=message.data,
        strides=(message.step, encoding.channels * dtype.itemsize, dtype.itemsize),
    )
    samples.flags.writeable = False
    return samples[..., 0] if encoding.channels == 1 else samples


def _to_bgr(samples: NDArray[Any], encoding: Encoding) -> ImageBgr:
    assert encoding.conversion is not None
    native = np.ascontiguousarray(samples, dtype=encoding.dtype)
    image = cv2.cvtColor(native, encoding.conversion)
    if image.dtype == np.uint16:
        image = cv2.convertScaleAbs(image, alpha=SIXTEEN_TO_EIGHT_BITS)
    return np.asarray(image, dtype=np.uint8)


def _described(message: CompressedImage) -> str:
    return f"compressed image of format {message.format!r} with {len(message.data)} bytes"
