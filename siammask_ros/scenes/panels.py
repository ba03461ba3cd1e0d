# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Flat textured pieces of a 3D world, drawn by perspective into image, depth and label image."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
_SUBPIXEL_BITS = 4
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
    """A texture at a part of its size.

    Attributes:
        color: (h, w, 3) uint8.
        alpha: (h, w) uint8 coverage; None where all is covered.
    """

    color: ImageBgr
    alpha: Alpha | None


def mip_chain(color: ImageBgr, alpha: Alpha | None = None) -> tuple[Mip, ...]:
    """A texture and its halves down to a few pixels; all of it is covered without an alpha."""
    if alpha is not None and color.shape[:2] != alpha.shape:
        raise ValueError(f"texture {color.shape} and coverage {alpha.shape} differ in size")
    chain = [Mip(color, alpha)]
    while min(chain[-1].color.shape[:2]) >= 2 * _LEAST_MIP_PX:
        color, alpha = chain[-1]
        chain.append(Mip(_half(color), None if alpha is None else _half(alpha)))
    return tuple(chain)


def _half(texture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = texture.shape[:2]
    return uint8(cv2.resize(texture, (width // 2, height // 2), interpolation=cv2.INTER_AREA))


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


class Panels:
    """Panels that stand still, of which those in view are found at once.

    Args:
        panels: one-sided.
    """

    def __init__(self, panels: Sequence[Panel]) -> None:
        self._panels = tuple(panels)
        corners = np.array([panel.corners for panel in panels]).reshape(-1, 4, 3)
        self._corners = corners
        self._normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 3] - corners[:, 0])

    def in_view(self, camera: Pinhole, pose: CameraPose) -> list[Panel]:
        """Those that face the camera and are not wholly outside a side of its view."""
        offset = self._corners - pose.position
        facing = (self._normals * offset[:, 0]).sum(axis=1) > 0
        x, y, z = np.moveaxis(offset @ pose.rotation, 2, 0)
        reach_x, reach_y = ((side / 2 + 1) / camera.focal_px for side in camera.size_wh)
        outside = (z < NEAR_M).all(axis=1)
        for across, reach in ((x, reach_x), (y, reach_y)):
            outside |= (across > z * reach).all(axis=1) | (across < -z * reach).all(axis=1)
        return [self._panels[index] for index in np.flatnonzero(facing & ~outside)]


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
    height, width = mip.color.shape[:2]
    # Texture pixel centres are whole numbers: the texture spans -0.5 to width - 0.5.
    step_x, step_y = right / width, down / height
    to_image = camera.matrix @ np.stack([step_x, step_y, corner + 0.5 * (step_x + step_y)], axis=1)
    shift = np.array([[1.0, 0.0, -columns.start], [0.0, 1.0, -rows.start], [0.0, 0.0, 1.0]])
    matrix = shift @ to_image
    size = (columns.stop - columns.start, rows.stop - rows.start)
    inverse_depth = plane_inverse_depth(camera, normal, corner, window)
    if mip.alpha is None:
        alpha = _fill(camera, seen, window)
        # Half a pixel beyond the edge of a panel seen at a slant, its plane is somewhere else.
        depths = seen[:, 2]
        np.clip(inverse_depth, 1 / depths.max(), 1 / depths.min(), out=inverse_depth)
    else:
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


def _fill(camera: Pinhole, seen: Points, window: tuple[slice, slice]) -> Alpha:
    """Coverage of what is seen of a panel (optical frame), in a window."""
    rows, columns = window
    alpha = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
    pixels = _pixels(camera, seen) - [columns.start, rows.start]
    fixed = np.rint(pixels * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillConvexPoly(alpha, fixed, 255, cv2.LINE_AA, _SUBPIXEL_BITS)
    return alpha


def _pixels(camera: Pinhole, seen: Points) -> NDArray[np.float64]:
    """Nx2 pixels of points in front of the camera (Nx3, optical frame)."""
    return np.asarray(seen[:, :2] / seen[:, 2:] * camera.focal_px + camera.center_xy)


def _clip_near(corners: Points) -> Points:
    """The part of a polygon (optical frame) that is in front of the camera, Nx3; may be empty."""
    if (corners[:, 2] >= NEAR_M).all():
        return corners
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
    pixels = _pixels(camera, seen)
    low = np.clip(np.floor(pixels.min(axis=0) - 1), 0, camera.size_wh).astype(int)
    high = np.clip(np.ceil(pixels.max(axis=0) + 2), 0, camera.size_wh).astype(int)
    if (high <= low).any():
        return None
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _mip_level(camera: Pinhole, panel: Panel, seen: Points) -> int:
    """Which texture of the chain has about as many pixels as the image shows of it."""
    height, width = panel.texture[0].color.shape[:2]
    px_per_m = max(width / np.linalg.norm(panel.right), height / np.linalg.norm(panel.down))
    nearest = max(float(seen[:, 2].min()), NEAR_M)
    texture_px = float(px_per_m) * nearest / camera.focal_px
    level = math.floor(math.log2(max(texture_px / _MIP_SCALE, 1.0)) + 0.5)
    return min(level, len(panel.texture) - 1)
