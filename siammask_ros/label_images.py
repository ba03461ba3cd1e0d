# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Label images as PNG files: the number of a target at each pixel, 0 for the background.

DAVIS-2017 and YouTube-VOS keep the numbers as palette indices, which OpenCV turns into colours
when it reads and cannot write. Both are done here on the file's chunks (ISO/IEC 15948).
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

Labels = NDArray[np.uint8]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEPTH_AT, _COLOUR_TYPE_AT = 8, 9
"""Places of the bits a pixel and of the colour type in the header chunk."""
_INDEXED = 3
_COLOURS = 256


def _palette() -> NDArray[np.uint8]:
    """(256, 3) RGB, every number a colour of its own.

    The bits of a number, taken by threes, are the highest bits of red, green and blue (PASCAL
    VOC, then DAVIS and YouTube-VOS): 1 is dark red, 2 dark green, 3 olive.
    """
    numbers = np.arange(_COLOURS)
    palette = np.zeros((_COLOURS, 3), np.uint8)
    for bit in range(8):
        channel, place = bit % 3, 7 - bit // 3
        palette[:, channel] |= ((numbers >> bit & 1) << place).astype(np.uint8)
    return palette


PALETTE = _palette()
_RAMP = np.repeat(np.arange(_COLOURS, dtype=np.uint8)[:, None], 3, axis=1)


class _Chunk(NamedTuple):
    kind: bytes
    content: bytes

    @property
    def encoded(self) -> bytes:
        checksum = zlib.crc32(self.content, zlib.crc32(self.kind))
        return b"".join(
            (
                struct.pack(">I", len(self.content)),
                self.kind,
                self.content,
                struct.pack(">I", checksum),
            )
        )


def is_indexed_png(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a PNG whose pixels are numbers of a palette.

    Raises:
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as stream:
        beginning = stream.read(len(_SIGNATURE) + 8 + _COLOUR_TYPE_AT + 1)
    return beginning.startswith(_SIGNATURE) and beginning[-1] == _INDEXED


def read_label_image(path: str | os.PathLike[str]) -> Labels:
    """Read a PNG of target numbers as (H, W) uint8.

    The numbers are the palette's indices, or the grey values where there is no palette.

    Raises:
        ValueError: it is no PNG that decodes, or has neither a palette nor 8-bit grey values.
        OSError: it cannot be read.
    """
    data = Path(path).read_bytes()
    if is_indexed_png(path):
        pixels = _decoded(_with_grey_palette(data), cv2.IMREAD_COLOR)
        pixels = None if pixels is None else pixels[..., 0]
    else:
        pixels = _decoded(data, cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError(f"not an image: {path}")
    if pixels.ndim != 2 or pixels.dtype != np.uint8:
        raise ValueError(f"{path}: expected a palette or 8-bit grey values")
    return np.ascontiguousarray(pixels)


def _with_grey_palette(data: bytes) -> bytes:
    """An indexed PNG that looks like its numbers, whatever it looked like."""
    kept: list[_Chunk] = []
    for chunk in _chunks(data):
        if chunk.kind == b"PLTE":
            kept.append(_Chunk(b"PLTE", _RAMP[: 1 << kept[0].content[_DEPTH_AT]].tobytes()))
        elif chunk.kind in {b"IHDR", b"IDAT", b"IEND"}:  # neither transparency nor gamma
            kept.append(chunk)
    return _SIGNATURE + b"".join(chunk.encoded for chunk in kept)


def _decoded(data: bytes, flags: int) -> NDArray[Any] | None:
    return cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None


def read_foreground(path: str | os.PathLike[str]) -> NDArray[np.bool_]:
    """Read an image as (H, W) bool: what is not black is foreground.

    Raises:
        ValueError: it does not decode.
    """
    # In colour: a palette entry may be dark, but only the background is black.
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError(f"not an image: {path}")
    black = (0, 0, 0)
    return np.asarray(cv2.inRange(pixels, black, black) == 0)


def encode_label_image(labels: Labels, palette: NDArray[np.uint8] = PALETTE) -> bytes:
    """A PNG of target numbers (H, W) uint8 with a palette (256, 3) RGB uint8."""
    done, data = cv2.imencode(".png", np.ascontiguousarray(labels, np.uint8))
    if not done:
        raise OSError(f"OpenCV cannot write PNG pictures of shape {labels.shape}")
    # Grey and indexed pixels are stored alike; the header says which, and the palette follows.
    header, *others = _chunks(data.tobytes())
    kind = bytes([_INDEXED])
    content = header.content[:_COLOUR_TYPE_AT] + kind + header.content[_COLOUR_TYPE_AT + 1 :]
    chunks = (_Chunk(header.kind, content), _Chunk(b"PLTE", palette.tobytes()), *others)
    return _SIGNATURE + b"".join(chunk.encoded for chunk in chunks)


def _chunks(data: bytes) -> Iterator[_Chunk]:
    position = len(_SIGNATURE)
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        yield _Chunk(kind, data[position + 8 : position + 8 + length])
        position += length + 12  # the length, the kind and the checksum are 4 bytes each
