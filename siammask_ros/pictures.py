# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures as files, whole or not at all, and small enough for a document where that is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2

from siammask_ros.files import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from siammask_ros.drawing import Image

_JPEG_QUALITIES = (92, 88, 84, 80, 75, 70, 60, 50)


def write_png(path: Path, image_bgr: Image) -> Path:
    """Write a picture without loss, whole or not at all; returns the path."""
    return write_whole(path, encode_png(image_bgr))


def write_jpeg(path: Path, image_bgr: Image, *, most_bytes: int) -> Path:
    """Write a picture as well as it fits in so many bytes, whole or not at all.

    Where it does not fit at all, it is written at the lowest quality. Returns the path.
    """
    data = b""
    for quality in _JPEG_QUALITIES:
        data = encode_jpeg(image_bgr, quality)
        if len(data) <= most_bytes:
            break
    return write_whole(path, data)


def encode_png(image: Image) -> bytes:
    """A picture, (H, W) or (H, W, 3) BGR, as the content of a PNG file."""
    return _encoded(".png", image)


def encode_jpeg(image_bgr: Image, quality: int) -> bytes:
    """A picture as the content of a JPEG file; quality 1 to 100."""
    return _encoded(".jpg", image_bgr, quality)


def _encoded(suffix: str, image_bgr: Image, quality: int | None = None) -> bytes:
    options = [] if quality is None else [cv2.IMWRITE_JPEG_QUALITY, quality]
    done, data = cv2.imencode(suffix, image_bgr, options)
    if not done:
        raise OSError(f"OpenCV cannot write {suffix} pictures of shape {image_bgr.shape}")
    return data.tobytes()
