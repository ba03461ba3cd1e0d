# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cut a square region out of an image and resize it to a network patch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
import numpy.typing as npt

from siammask_ros.reduced_images import ReducedImage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siammask_ros.geometry import FloatArray

Rounding = Literal["half_even", "half_up"]
CropFilter = Literal["bilinear", "area"]
ImageBgr = npt.NDArray[np.uint8]
PaddingBgr = tuple[int, int, int]

BGR_CHANNELS = 3


@dataclass(frozen=True)
class CropTransform:
    """Where the pixels of a patch come from: image = origin + scale * patch, pixel centres.

    Attributes:
        origin_xy: image position of the centre of patch pixel (0, 0).
        scale: image pixels per patch pixel.
    """

    origin_xy: tuple[float, float]
    scale: float

    def to_image(self, points_xy: npt.ArrayLike) -> FloatArray:
        """Image positions (..., 2) of patch positions (..., 2)."""
        image_xy: FloatArray = np.asarray(points_xy, dtype=np.float64) * self.scale + self.origin_xy
        return image_xy

    def to_patch(self, points_xy: npt.ArrayLike) -> FloatArray:
        """Patch positions (..., 2) of image positions (..., 2)."""
        patch_xy: FloatArray = (
            np.asarray(points_xy, dtype=np.float64) - self.origin_xy
        ) / self.scale
        return patch_xy


def validate_image_bgr(image_bgr: object) -> tuple[int, int]:
    """Check that an array is a colour image of at least one pixel and return (width, height).

    A `ReducedImage` passes for an array.

    Raises:
        ValueError: not an array, not uint8, not of shape (H, W, 3), or empty.
    """
    if isinstance(image_bgr, ReducedImage):
        return image_bgr.size_wh
    if not isinstance(image_bgr, np.ndarray):
        kind = type(image_bgr).__name__
        raise ValueError(f"image must be a numpy array, got {kind}")
    if image_bgr.shape[2:] != (BGR_CHANNELS,):
        raise ValueError(f"image must have shape (height, width, 3), got {image_bgr.shape}")
    if image_bgr.dtype != np.uint8:
        raise ValueError(f"image must be uint8, got {image_bgr.dtype}")
    height, width = image_bgr.shape[:2]
    if height == 0 or width == 0:
        raise ValueError(f"image is empty: {width}x{height}")
    return width, height


def channel_mean(image_bgr: ImageBgr | ReducedImage) -> PaddingBgr:
    """Mean of each channel, truncated to whole numbers: the colour of pixels outside the image."""
    if isinstance(image_bgr, ReducedImage):
        image_bgr = image_bgr.pixels_bgr
    pixels = image_bgr.shape[0] * image_bgr.shape[1]
    # Not cv2.mean: it multiplies by 1 / pixels, and 3 may become 2.9999999999999996.
    blue, green, red = (int(total) // pixels for total in cv2.sumElems(image_bgr)[:BGR_CHANNELS])
    return blue, green, red


def context_side(size_wh: Sequence[float], amount: float) -> float:
    """Side in pixels of the square around a target that the exemplar shows (SiamFC, section 2.2).

    Args:
        size_wh: width and height of the target in pixels.
        amount: margin on each axis, as a share of width plus height.
    """
    width, height = size_wh
    margin = amount * (width + height)
    return math.sqrt((width + margin) * (height + margin))


def round_half_even(value: float) -> int:
    """Nearest whole number, ties to the even one (Python 3, the official SiamMask)."""
    return round(value)


def round_half_up(value: float) -> int:
    """Nearest whole number, ties upwards (PySOT)."""
    return math.floor(value + 0.5)


def crop_square(
    image_bgr: ImageBgr | ReducedImage,
    center_xy: Sequence[float],
    side: float,
    out_size: int,
    padding_bgr: Sequence[int],
    *,
    rounding: Rounding = "half_even",
    filter: CropFilter = "bilinear",  # noqa: A002 - the word of every image library
) -> tuple[ImageBgr, CropTransform]:
    """Cut the square of `side` pixels around `center_xy` and resize it.

    With `filter="bilinear"` this is the official SiamMask crop, bit for bit: `side` is a whole
    number, the window starts at round(center - (side + 1) / 2), so that its middle lies about one
    pixel above and to the left of the centre, and shrinking does not smooth. With `filter="area"`
    the window is centred exactly (pixel (out_size - 1) / 2 of the patch is `center_xy`), `side`
    may be any positive number, and shrinking averages first.

    A `ReducedImage` is cut with the same geometry; what is shrunk is always averaged then.

    Args:
        image_bgr: (H, W, 3) uint8.
        center_xy: centre of the region, may be outside the image.
        side: side of the region in image pixels.
        out_size: side of the patch.
        padding_bgr: colour of pixels outside the image.
        rounding: rule for the window's origin, only with `filter="bilinear"`.
        filter: how pixels are resampled.

    Returns:
        Patch (out_size, out_size, 3) uint8, and the transform between patch and image.

    Raises:
        ValueError: `side` or `out_size` is not positive, `side` is not whole where it must be, or
            an option is unknown.
    """
    if not (math.isfinite(side) and side > 0 and out_size > 0):
        raise ValueError(f"crop side and output size must be positive, got {side}, {out_size}")
    if filter == "area":
        scale = side / out_size
        half_patch = (out_size - 1) / 2
        left, top = (center - half_patch * scale for center in center_xy)
        transform = CropTransform((left, top), scale)
        return _crop_antialiased(image_bgr, transform, side, out_size, padding_bgr), transform
    if filter != "bilinear":
        raise ValueError(f"crop filter must be 'bilinear' or 'area', got {filter!r}")
    if rounding not in ("half_even", "half_up"):
        raise ValueError(f"crop rounding must be 'half_even' or 'half_up', got {rounding!r}")
    if side != int(side):
        raise ValueError(f"side of a bilinear crop must be a whole number, got {side}")
    whole_side = int(side)
    round_origin = round_half_even if rounding == "half_even" else round_half_up
    left, top = (round_origin(center - (whole_side + 1) / 2) for center in center_xy)
    scale = whole_side / out_size
    shift = (scale - 1) / 2  # the resize aligns the edges of the outer pixels, not their centres
    transform = CropTransform((left + shift, top + shift), scale)
    if isinstance(image_bgr, ReducedImage):
        return _crop_antialiased(image_bgr, transform, side, out_size, padding_bgr), transform
    window = _padded_window(image_bgr, (left, top), (whole_side, whole_side), padding_bgr)
    if whole_side == out_size:
        window = window.copy()  # never a view of the image
    else:
        resized = cv2.resize(window, (out_size, out_size), interpolation=cv2.INTER_LINEAR)
        window = np.asarray(resized, dtype=np.uint8)
    return window, transform


def _padded_window(
    image_bgr: ImageBgr,
    origin_xy: tuple[int, int],
    size_wh: tuple[int, int],
    padding_bgr: Sequence[int],
) -> ImageBgr:
    """Window of whole pixels; a view when it lies inside the image."""
    (left, top), (width, height) = origin_xy, size_wh
    image_height, image_width = image_bgr.shape[:2]
    inner_left, inner_right = (min(max(edge, 0), image_width) for edge in (left, left + width))
    inner_top, inner_bottom = (min(max(edge, 0), image_height) for edge in (top, top + height))
    inside = image_bgr[inner_top:inner_bottom, inner_left:inner_right]
    if inside.shape[:2] == (height, width):
        return inside
    if inside.size == 0:
        return np.full((height, width, 3), padding_bgr, dtype=np.uint8)
    bordered = cv2.copyMakeBorder(
        inside,
        inner_top - top,
        top + height - inner_bottom,
        inner_left - left,
        left + width - inner_right,
        cv2.BORDER_CONSTANT | cv2.BORDER_ISOLATED,
        value=tuple(float(value) for value in padding_bgr),
    )
    return np.asarray(bordered, dtype=np.uint8)


def _crop_antialiased(
    image_bgr: ImageBgr | ReducedImage,
    transform: CropTransform,
    side: float,
    out_size: int,
    padding_bgr: Sequence[int],
) -> ImageBgr:
    """Average blocks of 2^n pixels so that less than a factor of two is left, then sample."""
    if isinstance(image_bgr, ReducedImage):
        left, top = image_bgr.to_reduced(transform.origin_xy)
        transform = CropTransform((left, top), transform.scale / image_bgr.reduction)
        side, image_bgr = side / image_bgr.reduction, image_bgr.pixels_bgr
    (left, top), scale = transform.origin_xy, transform.scale
    block = 2 ** max(0, int(math.log2(scale))) if scale > 1 else 1
    image_height, image_width = image_bgr.shape[:2]
    origin_xy, blocks_wh = _covering_blocks((left, top), side, block, (image_width, image_height))
    if min(blocks_wh) <= 0:
        return np.full((out_size, out_size, 3), padding_bgr, dtype=np.uint8)
    size_wh = (blocks_wh[0] * block, blocks_wh[1] * block)
    region = _padded_window(image_bgr, origin_xy, size_wh, padding_bgr)
    if block > 1:
        region = np.asarray(
            cv2.resize(region, blocks_wh, interpolation=cv2.INTER_AREA), dtype=np.uint8
        )
    block_center = (block - 1) / 2
    offset_x = (left - origin_xy[0] - block_center) / block
    offset_y = (top - origin_xy[1] - block_center) / block
    patch_to_region = np.array([[scale / block, 0, offset_x], [0, scale / block, offset_y]])
    patch = cv2.warpAffine(
        region,
        patch_to_region,
        (out_size, out_size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=tuple(float(value) for value in padding_bgr),
    )
    return np.asarray(patch, dtype=np.uint8)


def _covering_blocks(
    first_xy: tuple[float, float], side: float, block: int, image_size_wh: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Origin and number of blocks that hold every image pixel which sampling can touch.

    One block more than needed on each side lets samples at the rim interpolate; blocks that lie
    wholly outside the image are left out, the sampler pads there.
    """
    origins, counts = [], []
    for first, image_side in zip(first_xy, image_size_wh, strict=True):
        start = math.floor(first) - block
        blocks_outside = max(0, -start // block)
        start += blocks_outside * block
        stop = min(math.ceil(first + side) + block, image_side)
        origins.append(start)
        counts.append(math.ceil((stop - start) / block))
    return (origins[0], origins[1]), (counts[0], counts[1])
