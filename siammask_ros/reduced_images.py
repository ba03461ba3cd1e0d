# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images that were decoded at a half, a quarter or an eighth of their size.

A JPEG decoder leaves out the fine frequencies and is done sooner. What is cut out of the image and
made smaller than that anyway loses next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable

REDUCTIONS = (8, 4, 2)
"""What a JPEG can be reduced by when it is decoded, besides 1."""
BGR_CHANNELS = 3

Data: TypeAlias = Any
"""What the buffer protocol gives, of bytes, with a length."""


@dataclass(frozen=True, eq=False)
class ReducedImage:
    """Stands in for a whole (H, W, 3) image where regions of it are cut out.

    Attributes:
        pixels_bgr: (ceil(H / reduction), ceil(W / reduction), 3) uint8; each is the mean of
            `reduction` x `reduction` pixels, those at the right and lower border of fewer.
        reduction: image pixels a pixel.
        size_wh: width and height of the image that this stands for.
    """

    pixels_bgr: npt.NDArray[np.uint8]
    reduction: int
    size_wh: tuple[int, int]

    def __post_init__(self) -> None:
        expected = (*(-(-side // self.reduction) for side in self.size_wh[::-1]), BGR_CHANNELS)
        if self.pixels_bgr.shape != expected:
            raise ValueError(
                f"{self.size_wh} pixels reduced by {self.reduction} have shape {expected}, "
                f"got {self.pixels_bgr.shape}"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, 3) of the image that this stands for."""
        return self.size_wh[1], self.size_wh[0], BGR_CHANNELS

    def to_reduced(self, point_xy: tuple[float, float]) -> tuple[float, float]:
        """Position among `pixels_bgr` of a position in the image; both of pixel centres."""
        shift = (self.reduction - 1) / 2
        return (point_xy[0] - shift) / self.reduction, (point_xy[1] - shift) / self.reduction

    def __getitem__(self, rows_columns: tuple[slice, slice]) -> npt.NDArray[np.uint8]:
        """A region in the image's size, each pixel the one that it is part of."""
        rows, columns = (
            np.arange(side)[part] // self.reduction
            for part, side in zip(rows_columns, self.shape, strict=False)
        )
        region: npt.NDArray[np.uint8] = self.pixels_bgr[rows[:, None], columns]
        return region

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: object = None
    ) -> npt.NDArray[Any]:
        """The image in its size: for what knows only arrays."""
        return np.asarray(self[:, :], dtype=dtype)


def largest_reduction(scales: Iterable[float]) -> int:
    """How much an image may be reduced if regions are cut out of it.

    Args:
        scales: image pixels a pixel of each patch.

    Returns:
        1, 2, 4 or 8; no patch is then enlarged. The most where nothing is cut out.
    """
    least = min(scales, default=float(REDUCTIONS[0]))
    return next((reduction for reduction in REDUCTIONS if reduction <= least), 1)


def jpeg_size_wh(data: Data) -> tuple[int, int] | None:
    """Width and height that a JPEG's frame header states; None if it is none, or damaged.

    The markers of ITU-T T.81, annex B, are gone through up to the frame header, SOF0 to SOF15.
    """
    view = memoryview(data).cast("B")
    if bytes(view[:2]) != b"\xff\xd8":
        return None
    place = 2
    while place + 9 <= len(view) and view[place] == 0xFF:
        marker = view[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # tables, extensions
            height = int.from_bytes(view[place + 5 : place + 7], "big")
            width = int.from_bytes(view[place + 7 : place + 9], "big")
            return (width, height) if width and height else None
        place += 2 + int.from_bytes(view[place + 2 : place + 4], "big")
    return None


@dataclass(frozen=True, eq=False)
class ReducibleJpeg:
    """A JPEG that can be decoded at less than its size.

    Attributes:
        data: what the buffer protocol gives.
        size_wh: width and height of the image.
    """

    data: Data
    size_wh: tuple[int, int]

    @classmethod
    def of(cls, data: Data) -> ReducibleJpeg | None:
        """These data; None where they are no JPEG."""
        size_wh = jpeg_size_wh(data)
        return None if size_wh is None else cls(data, size_wh)

    def decode(self, reduction: int) -> ReducedImage:
        """The image at 1 / `reduction` of its size, one of `REDUCTIONS`.

        Raises:
            ValueError: it cannot be decoded, or is not of the size that it states.
        """
        flags = getattr(cv2, f"IMREAD_REDUCED_COLOR_{reduction}") | cv2.IMREAD_IGNORE_ORIENTATION
        try:
            pixels = cv2.imdecode(np.frombuffer(self.data, np.uint8), flags)
        except cv2.error as error:
            raise ValueError(f"{self._named} cannot be decoded: {error.err}") from error
        if pixels is None:
            raise ValueError(f"{self._named} cannot be decoded")
        return ReducedImage(np.asarray(pixels, np.uint8), reduction, self.size_wh)

    @property
    def _named(self) -> str:
        return f"JPEG of {len(self.data)} bytes"
