# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Flat textured pieces of a 3D world, drawn by perspective into image, depth and label image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from siammask_ros.scenes.arrays import INSIDE_ALPHA, Alpha, Floats, ImageBgr, uint8
from siammask_ros.scenes.compositing import blend
from siammask_ros.scenes.pinhole import CameraPose, Pinhole, Points

NEAR_M = 0.05
"""What is nearer to the camera's plane is not drawn."""
_LEAST_MIP_PX = 8
_MIP_SCALE = 1.5
"""Texture pixels to an image pixel from which on the next smaller texture is taken."""
_LEAST_VIEW_M = 1e-6
"""A panel whose plane is nearer to the camera is seen edge on."""


class Canvas(NamedTuple):
    """What is drawn into.

    Attributes:
        image: (H, W, 3) uint8.
        inverse_depth: (H, W) float32, one over metres along the optical axis; 0 where nothing is.
        labels: (H, W) uint8, the label of what is seen.
    """

    image: ImageBgr
    inverse_depth: Floats
    labels: NDArray[np.uint8]

    @classmethod
    def blank(cls, camera: Pinhole) -> Canvas:
        """Black, with nothing in it."""
        width, height = camera.size_wh
        return cls(
            np.zeros((height, width, 3), np.uint8),
            np.zeros((height, width), np.float32),
            np.zeros((height, width), np.uint8),
        )

    @property
    def depth(self) -> Floats:
        """(H, W) float32, metres; infinite where nothing is."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.float32(1.0) / self.inverse_depth)


class Mip(NamedTuple):
    """A texture at a part of its size: color (h, w, 3) and coverage (h, w), both uint8."""

    color: ImageBgr
    alpha: Alpha


def mip_chain(color: ImageBgr, alpha: Alpha | None = None) -> tuple[Mip, ...]:
    """A texture and its halves down to a few pixels; all of it is covered without an alpha."""
    if alpha is None:
        alpha = np.full(color.shape[:2], 255, np.uint8)
    if color.shape[:2] != alpha.shape:
        raise ValueError(f"texture {color.shape} and coverage {alpha.shape} differ in size")
    chain = [Mip(color, alpha)]
    while min(chain[-1].alpha.shape) >= 2 * _LEAST_MIP_PX:
        height, width = chain[-1].alpha.shape
        half = (width // 2, height // 2)
        chain.append(
            Mip(*(uint8(cv2.resize(a, half, interpolation=cv2.INTER_AREA)) for a in chain[-1]))
        )
    return tuple(chain)


@dataclass(frozen=True, eq=False)
class Panel:
    """A textured rectangle.

    Attributes:
        corner: (3,) world metres of the texture's top-left corner.
        right, down: (3,) along its upper and left side, as long as the sides.
        texture: see `mip_chain`.
        label: of its pixels in the label image, 0 for what is not of interest.
        two_sided: also drawn from behind.
    """

    corner: NDArray[np.float64]
    right: NDArray[np.float64]
    down: NDArray[np.float64]
    texture: tuple[Mip, ...]
    label: int = 0
    two_sided: bool = False

    @property
    def corners(self) -> Points:
        """4x3, round the rectangle."""
        right, down = self.corner + self.right, self.corner + self.down
        return np.array([self.corner, right, right + self.down, down])

    def distance(self, pose: CameraPose) -> float:
        """Metres from the camera to the middle."""
        middle = self.corner + (self.right + self.down) / 2
        return float(np.linalg.norm(middle - pose.position))


def draw_panel(canvas: Canvas, camera: Pinhole, pose: CameraPose, panel: Panel) -> None:
    """Draw what of a panel is in front of all that was drawn before; in place.

    Panels may come in any order, but soft edges blend with what was drawn before them: draw what
    is far away first.
    """
    seen = _clip_near(pose.to_optical(panel.corners))
    window = _window(camera, seen)
    if window is None:
        return
    corner = (panel.corner - pose.position) @ pose.rotation
    right, down = panel.right @ pose.rotation, panel.down @ pose.rotation
    normal = _cross(right, down)
    # Of a panel seen from the front, the normal points away from the camera.
    distance = float(normal @ corner) / math.sqrt(float(normal @ normal))
    if abs(distance) < _LEAST_VIEW_M or (distance < 0 and not panel.two_sided):
        return
    rows, columns = window
    mip = panel.texture[_mip_level(camera, panel, seen)]
    height, width = mip.alpha.shape
    # Texture pixel centres are whole numbers: the texture spans -0.5 to width - 0.5.
    step_x, step_y = right / width, down / height
    to_image = camera.matrix @ np.stack([step_x, step_y, corner + 0.5 * (step_x + step_y)], axis=1)
    shift = np.array([[1.0, 0.0, -columns.start], [0.0, 1.0, -rows.start], [0.0, 0.0, 1.0]])
    matrix = shift @ to_image
    size = (columns.stop - columns.start, rows.stop - rows.start)
    inverse_depth = plane_inverse_depth(camera, normal, corner, window)
    alpha = uint8(
        cv2.warpPerspective(
            mip.alpha, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        )
    )
    below = canvas.inverse_depth[window]
    # What is behind the camera has a negative inverse depth, so it is never nearer.
    alpha[inverse_depth <= below] = 0
    if not alpha.any():
        return
    color = uint8(
        cv2.warpPerspective(
            mip.color, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    )
    image = canvas.image[window]
    image[:] = blend(image, color, alpha)
    solid = alpha >= INSIDE_ALPHA
    np.copyto(below, inverse_depth, where=solid)
    np.copyto(canvas.labels[window], np.uint8(panel.label), where=solid)


def plane_inverse_depth(
    camera: Pinhole,
    normal: NDArray[np.float64],
    point: NDArray[np.float64],
    window: tuple[slice, slice],
) -> Floats:
    """One over the depth of a plane at the pixels of a window; not positive behind the camera.

    Args:
        camera: the pinhole.
        normal: (3,), of any length, optical frame.
        point: (3,), on the plane, optical frame.
        window: rows and columns.
    """
    rows, columns = window
    # A ray (x, y, 1) meets the plane at depth (normal . point) / (normal . ray).
    by_x, by_y, by_z = (float(value) for value in normal / float(normal @ point))
    center_x, center_y = camera.center_xy
    by_x, by_y = by_x / camera.focal_px, by_y / camera.focal_px
    by_one = by_z - by_x * center_x - by_y * center_y
    x = np.arange(columns.start, columns.stop, dtype=np.float64) * by_x
    y = np.arange(rows.start, rows.stop, dtype=np.float64) * by_y + by_one
    return np.asarray(x.astype(np.float32)[None] + y.astype(np.float32)[:, None])


def _cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cross product of two (3,); NumPy's takes ten times as long."""
    return np.array(
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    )


def _clip_near(corners: Points) -> Points:
    """The part of a polygon (optical frame) that is in front of the camera, Nx3; may be empty."""
    kept = []
    for here, there in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if here[2] >= NEAR_M:
            kept.append(here)
        if (here[2] >= NEAR_M) != (there[2] >= NEAR_M):
            share = (NEAR_M - here[2]) / (there[2] - here[2])
            kept.append(here + share * (there - here))
    return np.array(kept).reshape(-1, 3)


def _window(camera: Pinhole, seen: Points) -> tuple[slice, slice] | None:
    """Rows and columns round what is seen, None if it is not in the image."""
    if len(seen) == 0:
        return None
    pixels = seen[:, :2] / seen[:, 2:] * camera.focal_px + camera.center_xy
    low = np.clip(np.floor(pixels.min(axis=0) - 1), 0, camera.size_wh).astype(int)
    high = np.clip(np.ceil(pixels.max(axis=0) + 2), 0, camera.size_wh).astype(int)
    if (high <= low).any():
        return None
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _mip_level(camera: Pinhole, panel: Panel, seen: Points) -> int:
    """Which texture of the chain has about as many pixels as the image shows of it."""
    height, width = panel.texture[0].alpha.shape
    px_per_m = max(width / np.linalg.norm(panel.right), height / np.linalg.norm(panel.down))
    nearest = max(float(seen[:, 2].min()), NEAR_M)
    texture_px = float(px_per_m) * nearest / camera.focal_px
    level = math.floor(math.log2(max(texture_px / _MIP_SCALE, 1.0)) + 0.5)
    return min(level, len(panel.texture) - 1)
