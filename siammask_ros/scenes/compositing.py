# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pasting with soft edges, non-rigid warps, and what a camera does to a picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from siammask_ros.scenes.arrays import Alpha, Floats, ImageBgr, Mask, Matrix, float32, uint8

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Below this scale bilinear sampling skips source pixels; the patch is shrunk first.
_ALIAS_SCALE = 0.7
_HOMOGENEOUS = 3
_LEAST_SIGMA_PX = 0.3


def similarity(
    *,
    source_xy: tuple[float, float],
    target_xy: tuple[float, float],
    scale: float,
    angle: float = 0.0,
    stretch: float = 1.0,
    shear: float = 0.0,
) -> Matrix:
    """2x3 matrix that carries ``source_xy`` to ``target_xy``.

    The patch is sheared (x += shear * y), its x stretched and y squeezed by sqrt(stretch), scaled,
    and turned by ``angle`` (radians, clockwise on screen).
    """
    ratio = math.sqrt(stretch)
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    a, b = cos * ratio, cos * shear * ratio - sin / ratio
    c, d = sin * ratio, sin * shear * ratio + cos / ratio
    x, y = source_xy
    return np.array(
        [[a, b, target_xy[0] - a * x - b * y], [c, d, target_xy[1] - c * x - d * y]], np.float64
    )


def as_homography(matrix: Matrix) -> Matrix:
    """A 2x3 or 3x3 matrix as 3x3 float64."""
    if matrix.shape == (_HOMOGENEOUS, _HOMOGENEOUS):
        return matrix.astype(np.float64)
    if matrix.shape == (2, _HOMOGENEOUS):
        return np.concatenate([matrix, [[0.0, 0.0, 1.0]]]).astype(np.float64)
    raise ValueError(f"matrix must be 2x3 or 3x3, got shape {matrix.shape}")


def transform_points(matrix: Matrix, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nx2 points carried by a 2x3 or 3x3 matrix."""
    full = as_homography(matrix)
    carried = points @ full[:, :2].T + full[:, 2]
    return np.asarray(carried[:, :2] / carried[:, 2:])


def soft_mask(mask: Mask | Alpha, *, feather_px: float = 0.7) -> Alpha:
    """A boolean mask as uint8 coverage with an edge about ``feather_px`` wide; uint8 as is."""
    if mask.dtype == np.uint8:
        return uint8(mask)
    if mask.dtype != np.bool_:
        raise ValueError(f"mask must be bool or uint8, got {mask.dtype}")
    hard = mask.astype(np.uint8) * np.uint8(255)
    if feather_px <= 0.0:
        return np.asarray(hard)
    return uint8(cv2.GaussianBlur(hard, (0, 0), feather_px))


def paste(
    image: ImageBgr,
    patch: ImageBgr,
    mask: Mask | Alpha,
    matrix: Matrix,
    *,
    feather_px: float = 0.7,
) -> Alpha:
    """Blend a patch into an image, in place, through a soft mask and a transformation.

    Args:
        image: HxWx3 uint8, changed.
        patch: hxwx3 uint8.
        mask: hxw, bool (its edge is softened by ``feather_px``, in patch pixels) or uint8
            coverage (used as it is). What is outside the mask is not drawn.
        matrix: 2x3 or 3x3, patch pixels to image pixels (pixel centres are whole numbers).
        feather_px: standard deviation of the edge, patch pixels.

    Returns:
        HxW uint8 coverage of the pasted patch in the image, 0 where nothing was drawn. At least
        128 is inside.

    """
    height, width = image.shape[:2]
    coverage = np.zeros((height, width), np.uint8)
    alpha = soft_mask(mask, feather_px=feather_px)
    layer = warp_layer(patch, alpha, matrix, (width, height))
    if layer is not None:
        draw_layer(image, layer)
        coverage[layer.window] = layer.alpha
    return coverage


class Layer(NamedTuple):
    """A transformed patch in a window of the image."""

    window: tuple[slice, slice]
    """Rows and columns of the image."""
    color: ImageBgr
    alpha: Alpha


def warp_layer(
    patch: ImageBgr,
    alpha: Alpha,
    matrix: Matrix,
    size_wh: tuple[int, int],
    *,
    margin_px: int = 0,
) -> Layer | None:
    """Transform a patch and its coverage into the window of the image that it touches.

    Args:
        patch: hxwx3 uint8.
        alpha: hxw uint8 coverage.
        matrix: 2x3 or 3x3, patch pixels to image pixels.
        size_wh: size of the image.
        margin_px: widens the window on all sides, to leave room for a blur.

    Returns:
        The layer, None where nothing of it lies in the image.

    """
    if patch.shape[:2] != alpha.shape[:2]:
        raise ValueError(f"patch {patch.shape} and mask {alpha.shape} differ in size")
    x, y, w, h = cv2.boundingRect(alpha)
    if w == 0 or h == 0:
        return None
    alpha, patch = alpha[y : y + h, x : x + w], patch[y : y + h, x : x + w]
    full = as_homography(matrix) @ np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])
    corners = transform_points(full, np.array([[-1, -1], [w, -1], [w, h], [-1, h]], np.float64))
    lowest = np.clip(np.floor(corners.min(axis=0)) - margin_px, 0, size_wh)
    highest = np.clip(np.ceil(corners.max(axis=0)) + 1 + margin_px, 0, size_wh)
    left, top = (int(value) for value in lowest)
    right, bottom = (int(value) for value in highest)
    if right <= left or bottom <= top:
        return None
    patch, alpha, full = _shrink(patch, alpha, full)
    full = np.array([[1.0, 0.0, -left], [0.0, 1.0, -top], [0.0, 0.0, 1.0]]) @ full
    size = (right - left, bottom - top)
    return Layer(
        (slice(top, bottom), slice(left, right)),
        _warp(patch, full, size, border=cv2.BORDER_REPLICATE),
        _warp(alpha, full, size, border=cv2.BORDER_CONSTANT),
    )


def draw_layer(image: ImageBgr, layer: Layer) -> None:
    """Blend a layer into its image, in place."""
    window = image[layer.window]
    window[:] = blend(window, layer.color, layer.alpha)


def blend(below: ImageBgr, above: ImageBgr, alpha: Alpha) -> ImageBgr:
    """``above`` over ``below`` with uint8 coverage; new image."""
    weight = alpha.astype(np.float32) * np.float32(1.0 / 255.0)
    return uint8(cv2.blendLinear(below, above, np.float32(1.0) - weight, weight))


def _shrink(patch: ImageBgr, alpha: Alpha, matrix: Matrix) -> tuple[ImageBgr, Alpha, Matrix]:
    """Shrink the patch by area averaging where the matrix would skip pixels."""
    height, width = alpha.shape
    scale = np.sqrt(abs(np.linalg.det(matrix[:2, :2]))) / max(abs(matrix[2, 2]), 1e-9)
    if scale >= _ALIAS_SCALE:
        return patch, alpha, matrix
    small_w = max(2, round(width * scale * 1.2))
    small_h = max(2, round(height * scale * 1.2))
    # Area resizing keeps outer edges in place: centre c goes to (c + 0.5) * ratio - 0.5.
    back_x, back_y = width / small_w, height / small_h
    undo = np.array(
        [[back_x, 0.0, 0.5 * back_x - 0.5], [0.0, back_y, 0.5 * back_y - 0.5], [0.0, 0.0, 1.0]]
    )
    small = (small_w, small_h)
    shrunk_patch = uint8(cv2.resize(patch, small, interpolation=cv2.INTER_AREA))
    shrunk_alpha = uint8(cv2.resize(alpha, small, interpolation=cv2.INTER_AREA))
    return shrunk_patch, shrunk_alpha, matrix @ undo


def _warp(
    source: NDArray[np.uint8], matrix: Matrix, size_wh: tuple[int, int], *, border: int
) -> NDArray[np.uint8]:
    if matrix[2, 0] == 0.0 and matrix[2, 1] == 0.0:
        affine = matrix[:2] / matrix[2, 2]
        return uint8(
            cv2.warpAffine(source, affine, size_wh, flags=cv2.INTER_LINEAR, borderMode=border)
        )
    return uint8(
        cv2.warpPerspective(source, matrix, size_wh, flags=cv2.INTER_LINEAR, borderMode=border)
    )


def warp_image(image: ImageBgr, matrix: Matrix, size_wh: tuple[int, int]) -> ImageBgr:
    """A whole picture through a 2x3 or 3x3 matrix; mirrored where it has no pixels."""
    return _warp(image, as_homography(matrix), size_wh, border=cv2.BORDER_REFLECT_101)


def smooth_displacement(control: Floats, size: int) -> Floats:
    """A smooth field from a coarse grid of offsets.

    Args:
        control: nxnx2 float32 offsets (x, y), fractions of the canvas; n >= 2.
        size: canvas side, px.

    Returns:
        size x size x 2 float32 offsets in pixels.

    """
    field = cv2.resize(control, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.asarray(float32(field) * np.float32(size))


def bend(patch: ImageBgr, alpha: Alpha, displacement: Floats) -> tuple[ImageBgr, Alpha]:
    """Deform a square patch and its coverage by a displacement field (px, HxWx2)."""
    height, width = alpha.shape
    x = displacement[..., 0] + np.arange(width, dtype=np.float32)[None]
    y = displacement[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    bent_patch = cv2.remap(patch, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    bent_alpha = cv2.remap(alpha, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return uint8(bent_patch), uint8(bent_alpha)


def shade(patch: ImageBgr, alpha: Alpha, *, strength: float, angle: float) -> ImageBgr:
    """Light a flat patch as if it bulged: bright towards ``angle`` (radians), dark opposite."""
    size = max(8, alpha.shape[0] // 4)
    small = np.asarray(cv2.resize(alpha, (size, size), interpolation=cv2.INTER_AREA), np.float32)
    bulge = np.asarray(cv2.GaussianBlur(small, (0, 0), size / 9.0), np.float32)
    slope_x = np.asarray(cv2.Sobel(bulge, cv2.CV_32F, 1, 0), np.float32)
    slope_y = np.asarray(cv2.Sobel(bulge, cv2.CV_32F, 0, 1), np.float32)
    light = -(slope_x * np.float32(np.cos(angle)) + slope_y * np.float32(np.sin(angle)))
    light *= np.float32(90.0 * strength / max(float(np.abs(light).max()), 1e-3))
    relief = np.clip(light + np.float32(127.5), 0, 255).astype(np.uint8)
    height, width = alpha.shape
    field = uint8(cv2.resize(relief, (width, height), interpolation=cv2.INTER_LINEAR))
    return uint8(cv2.addWeighted(patch, 1.0, cv2.merge([field] * 3), 1.0, -127.5))


def motion_blur(
    image: NDArray[np.uint8], shift_xy: tuple[float, float], *, outside: int | None = None
) -> NDArray[np.uint8]:
    """The image (or coverage) smeared evenly along ``shift_xy`` (px), centred.

    That is what a shutter does that is open on the way. The smear is built by halving: the mean
    of the image and its copy half the way on, then a quarter, and so on, each rounded to whole
    pixels. ``outside`` is the value around the image; mirrored if None.
    """
    levels = int(np.ceil(np.log2(max(float(np.hypot(*shift_xy)), 1.0))))
    if levels == 0:
        return image
    steps = [np.rint(np.asarray(shift_xy) / 2.0 ** (k + 1)).astype(int) for k in range(levels)]
    start = np.sum(steps, axis=0) // 2
    reach = int(np.abs(np.sum(np.abs(steps), axis=0)).max()) + 1
    border = cv2.BORDER_REFLECT_101 if outside is None else cv2.BORDER_CONSTANT
    sides = (reach, reach, reach, reach)
    padded = uint8(cv2.copyMakeBorder(image, *sides, border, value=outside or 0))
    for step_x, step_y in steps:
        moved = np.roll(padded, (int(step_y), int(step_x)), axis=(0, 1))
        padded = uint8(cv2.addWeighted(padded, 0.5, moved, 0.5, 0.0))
    height, width = image.shape[:2]
    left, top = reach + int(start[0]), reach + int(start[1])
    return np.ascontiguousarray(padded[top : top + height, left : left + width])


def defocus(image: ImageBgr, sigma_px: float) -> ImageBgr:
    """Gaussian blur; below 0.3 px the image itself."""
    if sigma_px < _LEAST_SIGMA_PX:
        return image
    return uint8(cv2.GaussianBlur(image, (0, 0), sigma_px))


def relight(
    image: ImageBgr,
    *,
    gain: float = 1.0,
    offset: float = 0.0,
    gamma: float = 1.0,
    tint_bgr: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> ImageBgr:
    """255 * (gain * tint * (v / 255) ** gamma) + offset for each channel, clipped to 0..255."""
    ramp = (np.arange(256) / 255.0) ** gamma * 255.0 * gain
    table = ramp[:, None] * np.asarray(tint_bgr) + offset
    return uint8(cv2.LUT(image, np.clip(np.rint(table), 0, 255).astype(np.uint8)[:, None]))


def add_noise(image: ImageBgr, noise: Floats, sigma: float) -> ImageBgr:
    """Add unit noise (HxWx1 or HxWx3 float32) times ``sigma`` (grey levels)."""
    if sigma <= 0.0:
        return image
    full = cv2.merge([noise[..., 0]] * 3) if noise.shape[2] == 1 else noise
    return uint8(
        cv2.addWeighted(image, 1.0, np.ascontiguousarray(full), sigma, 0.0, dtype=cv2.CV_8U)
    )


def recompress(image: ImageBgr, quality: int) -> ImageBgr:
    """The image after a JPEG of the given quality (1 to 100)."""
    encoded: Any
    done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError("OpenCV could not encode a JPEG")
    return uint8(cv2.imdecode(encoded, cv2.IMREAD_COLOR))


def cover(alpha: Alpha, above: Alpha) -> Alpha:
    """What is left visible of ``alpha`` under a layer with coverage ``above``; new array."""
    return uint8(cv2.multiply(alpha, cv2.bitwise_not(above), scale=1.0 / 255.0))
