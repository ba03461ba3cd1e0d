# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What lies behind everything in a 3D world: endless textured ground and a panorama of the sky."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from siammask_ros.scenes.arrays import Floats, ImageBgr, uint8
from siammask_ros.scenes.panels import Canvas, mip_chain, plane_inverse_depth
from siammask_ros.scenes.pinhole import CameraPose, Mount, Pinhole, Pose2D
from siammask_ros.scenes.textures import add_relief, noise_field

_TILE_PX = 512
_TILE_M = 8.0
_PANORAMA_WH = (2048, 256)
_PANORAMA_TOP = np.deg2rad(42.0)
"""Elevation of the panorama's upper edge; its lower edge is the horizon."""
_LEAST_INVERSE_DEPTH = 1e-3
"""Ground farther than a kilometre is the horizon."""
_SHARPNESS = 0.7
"""Share of the blur that foreshortened ground would need; more of it flickers less."""


class Ground:
    """The plane z = 0 under a texture that repeats itself, lowered where it is far away.

    Args:
        rng: draws the texture.
        color: its mean colour, BGR.
    """

    def __init__(
        self, rng: np.random.Generator, *, color: tuple[int, int, int] = (96, 112, 120)
    ) -> None:
        self._chain = mip_chain(_periodic_texture(rng, color))

    def draw(self, canvas: Canvas, camera: Pinhole, pose: CameraPose) -> None:
        """Fill all below the horizon: image and depth, label 0; in place."""
        normal = pose.rotation.T @ [0.0, 0.0, -1.0]
        point = pose.to_optical(np.array([[0.0, 0.0, 0.0]]))[0]
        # The camera never rolls, so all of a row is equally deep.
        column = (slice(0, camera.height), slice(0, 1))
        inverse = plane_inverse_depth(camera, normal, point, column)
        rows = np.flatnonzero(inverse[:, 0] > _LEAST_INVERSE_DEPTH)
        if rows.size == 0:
            return
        canvas.inverse_depth[rows] = inverse[rows]
        levels = self._levels(camera, pose, 1.0 / inverse[rows, 0])
        ends = np.flatnonzero(np.diff(levels, append=-1)) + 1
        begin = 0
        for end in ends:
            band = slice(int(rows[begin]), int(rows[end - 1]) + 1)
            self._draw_band(canvas, camera, pose, band, int(levels[begin]))
            begin = int(end)

    def _levels(
        self, camera: Pinhole, pose: CameraPose, depth: NDArray[np.float32]
    ) -> NDArray[np.int64]:
        """For each row, which texture of the chain fits."""
        px_per_m = _TILE_PX / _TILE_M
        across = px_per_m * depth / camera.focal_px
        along = across * depth / float(pose.position[2])
        blur = np.maximum(across, 1e-9) ** (1 - _SHARPNESS) * np.maximum(along, 1e-9) ** _SHARPNESS
        level = np.floor(np.log2(np.maximum(blur, 1.0)) + 0.5).astype(np.int64)
        return np.asarray(np.minimum(level, len(self._chain) - 1))

    def _draw_band(
        self, canvas: Canvas, camera: Pinhole, pose: CameraPose, rows: slice, level: int
    ) -> None:
        color = self._chain[level].color
        step = _TILE_M / color.shape[0]
        right = pose.rotation.T @ [step, 0.0, 0.0]
        down = pose.rotation.T @ [0.0, -step, 0.0]
        origin = pose.to_optical(np.array([[0.0, 0.0, 0.0]]))[0] + 0.5 * (right + down)
        matrix = camera.matrix @ np.stack([right, down, origin], axis=1)
        matrix = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, -rows.start], [0.0, 0.0, 1.0]]) @ matrix
        canvas.image[rows] = cv2.warpPerspective(
            color,
            matrix,
            (camera.width, rows.stop - rows.start),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )


class Sky:
    """Sky, clouds and far hills round the horizon, for a camera that never rolls.

    Args:
        rng: draws them.
        camera: the pinhole.
        mount: its pitch.
    """

    def __init__(self, rng: np.random.Generator, camera: Pinhole, mount: Mount) -> None:
        self._panorama = _panorama(rng)
        width, height = _PANORAMA_WH
        level = CameraPose.on_base(Pose2D(0.0, 0.0, 0.0), mount).rotation
        center_x, center_y = camera.center_xy
        x, y = np.meshgrid(
            (np.arange(camera.width) - center_x) / camera.focal_px,
            (np.arange(camera.height) - center_y) / camera.focal_px,
        )
        rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ level.T
        elevation = np.arctan2(rays[..., 2], np.hypot(rays[..., 0], rays[..., 1]))
        above = np.flatnonzero((elevation > 0).any(axis=1))
        self._rows = int(above[-1]) + 1 if above.size else 0
        azimuth = np.arctan2(rays[..., 1], rays[..., 0])[: self._rows]
        self._map_x: Floats = (-azimuth * (width / (2 * np.pi))).astype(np.float32)
        map_y = (1.0 - elevation[: self._rows] / _PANORAMA_TOP) * (height - 1)
        self._map_y: Floats = np.clip(map_y, 0, height - 1).astype(np.float32)

    def draw(self, canvas: Canvas, heading: float) -> None:
        """Fill all above the horizon; the depth stays infinite. In place."""
        if not self._rows:
            return
        width = _PANORAMA_WH[0]
        turned = self._map_x + np.float32((-heading / (2 * np.pi)) % 1.0 * width)
        canvas.image[: self._rows] = cv2.remap(
            self._panorama,
            turned,
            self._map_y,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )


def _periodic_texture(rng: np.random.Generator, color: tuple[int, int, int]) -> ImageBgr:
    """Paving that fits to itself at all four sides."""
    half = (_TILE_PX // 2, _TILE_PX // 2)
    base = np.empty((half[1], half[0], 3), np.uint8)
    base[:] = color
    base = add_relief(base, noise_field(rng, half, zoom=(0.6, 0.9)), amplitude=0.25)
    base = add_relief(base, noise_field(rng, half, zoom=(4.0, 6.0)), amplitude=0.35)
    base = np.concatenate([base, base[:, ::-1]], axis=1)
    base = np.concatenate([base, base[::-1]], axis=0)
    # Joints between slabs of a metre.
    slab = round(_TILE_PX / _TILE_M)
    for at in range(0, _TILE_PX, slab):
        base[at : at + 2] = base[at : at + 2] // 4 * 3
        base[:, at : at + 2] = base[:, at : at + 2] // 4 * 3
    return base


def _panorama(rng: np.random.Generator) -> ImageBgr:
    """Sky over hills, once round."""
    width, height = _PANORAMA_WH
    half = (width // 2, height)
    share = np.linspace(1.0, 0.0, height)[:, None, None]
    sky = np.array([210.0, 165.0, 120.0]) * share + np.array([235.0, 225.0, 215.0]) * (1 - share)
    image = np.broadcast_to(sky, (height, half[0], 3)).astype(np.uint8)
    image = add_relief(image, noise_field(rng, half, zoom=(3.0, 4.0)), amplitude=0.35)
    image = np.concatenate([image, image[:, ::-1]], axis=1)
    angle = np.linspace(0.0, 2 * np.pi, width, endpoint=False)
    for top, color in ((0.80, (150, 140, 120)), (0.88, (95, 115, 95))):
        waves = range(3, 24)
        ridge = sum(
            rng.normal(0.0, 1.0 / wave) * np.sin(wave * angle + rng.uniform(0.0, 2 * np.pi))
            for wave in waves
        )
        level = np.clip(top * height + 0.06 * height * np.asarray(ridge), 0, height - 1)
        below = np.arange(height)[:, None] >= level[None]
        image[below] = color
    return uint8(cv2.GaussianBlur(image, (0, 0), 0.8))
