# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Textured, articulated targets (sprites) and backdrops."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from siammask_ros.scenes.arrays import (
    Alpha,
    ImageBgr,
    Mask,
    Matrix,
    chance,
    check_size,
    inside,
    log_uniform,
    uint8,
)
from siammask_ros.scenes.compositing import blend, defocus, relight, shade, similarity
from siammask_ros.scenes.shapes import Part, fill_part, random_shape, silhouette
from siammask_ros.scenes.textures import add_relief, noise_field, random_texture

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CLUTTER_SIZE = (0.08, 0.45)
"""Range of the size of clutter, share of the shorter side."""
_DIAGONAL = 1.42
_CUT_MARGIN = 1.1
"""Side of a cut-out's canvas as a multiple of its longer side."""

CANVAS = 144
"""Default side of a sprite's canvas, px."""


@dataclass(frozen=True)
class Sprite:
    """A textured target on a square canvas, made of parts that can swing about joints.

    ``colors[i]`` is the texture (canvas x canvas x 3) of part i; ``order`` lists the parts from
    back to front.
    """

    parts: tuple[Part, ...]
    colors: tuple[ImageBgr, ...]
    order: tuple[int, ...]

    @property
    def canvas(self) -> int:
        """Side of the canvas in pixels."""
        return int(self.colors[0].shape[0])

    def pose(self, swings: NDArray[np.float64] | None = None) -> tuple[ImageBgr, Alpha]:
        """The sprite with part i turned by ``swings[i]`` times its largest angle (-1 to 1).

        Returns:
            The canvas x canvas x 3 picture (defined outside the target too, so that edges blend
            without a fringe) and the canvas x canvas coverage.

        """
        size = self.canvas
        if len(self.parts) == 1:
            return self.colors[0], fill_part(self.parts[0], size)
        joints = [None] * len(self.parts) if swings is None else self._joint_matrices(swings)
        color = self.colors[0].copy()
        alpha = np.zeros((size, size), np.uint8)
        for index in self.order:
            joint = joints[index]
            part_alpha = fill_part(self.parts[index], size, joint=joint)
            x, y, w, h = cv2.boundingRect(part_alpha)
            if w == 0 or h == 0:
                continue
            window = (slice(y, y + h), slice(x, x + w))
            part_color = self._part_color(index, joint, (x, y, w, h))
            cv2.copyTo(part_color, part_alpha[window] >> 7, color[window])
            np.maximum(alpha, part_alpha, out=alpha)
        return color, alpha

    def _part_color(
        self, index: int, joint: Matrix | None, window_xywh: tuple[int, int, int, int]
    ) -> ImageBgr:
        """The texture of one part, turned with it, in a window of the canvas."""
        x, y, w, h = window_xywh
        if joint is None:
            return np.ascontiguousarray(self.colors[index][y : y + h, x : x + w])
        shifted = joint - [[0.0, 0.0, x], [0.0, 0.0, y]]
        return uint8(
            cv2.warpAffine(self.colors[index], shifted, (w, h), borderMode=cv2.BORDER_REFLECT_101)
        )

    def _joint_matrices(self, swings: NDArray[np.float64]) -> list[Matrix | None]:
        """Where each part goes (2x3), None if it stays."""
        full: list[Matrix | None] = []
        for part, swing in zip(self.parts, swings, strict=True):
            carried = full[part.parent] if part.parent >= 0 else None
            if part.swing == 0.0:
                full.append(carried)
                continue
            pivot = (part.pivot_xy[0] * self.canvas - 0.5, part.pivot_xy[1] * self.canvas - 0.5)
            angle = float(swing) * part.swing
            own = similarity(source_xy=pivot, target_xy=pivot, scale=1.0, angle=angle)
            if carried is not None:
                own = carried @ np.concatenate([own, [[0.0, 0.0, 1.0]]])
            full.append(own)
        return full

    def recolored(self, *, gain: float, tint_bgr: tuple[float, float, float]) -> Sprite:
        """The same sprite in slightly other colours: a look-alike."""
        colors = tuple(relight(color, gain=gain, tint_bgr=tint_bgr) for color in self.colors)
        return replace(self, colors=colors)


def random_sprite(
    rng: np.random.Generator, *, canvas: int = CANVAS, contrast: float | None = None
) -> Sprite:
    """A random shape with one to three random textures, shaded.

    Args:
        rng: source of all randomness.
        canvas: side of the canvas in px, at least 16; the target spans most of it.
        contrast: brightness spread of the textures, 0 to 1; at random if None.

    """
    check_size("canvas", (canvas, canvas), 16)
    parts = tuple(random_shape(rng))
    size = (canvas, canvas)
    palette_count = 1 if len(parts) == 1 else int(rng.integers(1, 4))
    textures = [random_texture(rng, size, contrast=contrast) for _ in range(palette_count)]
    if chance(rng, 0.7):
        outline = silhouette(parts, canvas)
        strength, angle = rng.uniform(0.1, 0.7), rng.uniform(-np.pi, 0.0)
        textures = [shade(t, outline, strength=strength, angle=angle) for t in textures]
    colors = tuple(
        textures[0 if index == 0 else int(rng.integers(len(textures)))]
        for index in range(len(parts))
    )
    # Some limbs hang behind the body, some in front.
    depth = [0.0 if i == 0 else rng.normal() for i in range(len(parts))]
    order = tuple(int(i) for i in np.argsort(depth, kind="stable"))
    return Sprite(parts, colors, order)


def cut_out(image_bgr: ImageBgr, mask: Mask) -> Sprite:
    """A sprite from a picture and the mask of what is to be cut out of it: its largest part.

    Args:
        image_bgr: (H, W, 3) uint8.
        mask: (H, W) bool.

    Raises:
        ValueError: they differ in size, or the mask's largest part has no area.
    """
    if mask.shape != image_bgr.shape[:2]:
        raise ValueError(f"mask {mask.shape} and image {image_bgr.shape} differ in size")
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(contours, key=cv2.contourArea, default=None)
    if largest is None or cv2.contourArea(largest) <= 0:
        raise ValueError("the mask has no area to cut out")
    x, y, w, h = cv2.boundingRect(largest)
    side = int(np.ceil(max(w, h) * _CUT_MARGIN))
    left, top = x + (w - side) // 2, y + (h - side) // 2
    full = (
        (max(-top, 0), max(top + side - mask.shape[0], 0)),
        (max(-left, 0), max(left + side - mask.shape[1], 0)),
        (0, 0),
    )
    padded = np.pad(image_bgr, full, mode="edge")
    corner_y, corner_x = max(top, 0), max(left, 0)
    color = np.ascontiguousarray(padded[corner_y : corner_y + side, corner_x : corner_x + side])
    # Pixel centres are whole numbers, and the canvas spans -0.5 to side - 0.5.
    outline = (largest[:, 0].astype(np.float64) - (left, top) + 0.5) / side
    return Sprite((Part(outline),), (color,), (0,))


def look_alike(rng: np.random.Generator, sprite: Sprite) -> Sprite:
    """A twin: same shape and pattern, brightness within 15 %, tint within 8 %."""
    tint = rng.uniform(0.92, 1.08, 3)
    return sprite.recolored(
        gain=rng.uniform(0.85, 1.15), tint_bgr=(float(tint[0]), float(tint[1]), float(tint[2]))
    )


def random_block(rng: np.random.Generator, *, canvas: int = CANVAS) -> Sprite:
    """A textured square that fills most of the canvas: a wall, a pillar, a van."""
    check_size("canvas", (canvas, canvas), 16)
    square = np.array([[0.04, 0.04], [0.96, 0.04], [0.96, 0.96], [0.04, 0.96]])
    texture = shade(
        random_texture(rng, (canvas, canvas)),
        fill_part(Part(square), canvas),
        strength=rng.uniform(0.1, 0.4),
        angle=rng.uniform(-np.pi, 0.0),
    )
    return Sprite((Part(square),), (texture,), (0,))


def random_backdrop(
    rng: np.random.Generator, size_wh: tuple[int, int], *, clutter: int | None = None
) -> ImageBgr:
    """A textured scene without targets: ground and sky or one surface, clutter, soft light.

    Args:
        rng: source of all randomness.
        size_wh: width and height, px.
        clutter: how many things stand about; 0 to 12 at random if None.

    Returns:
        HxWx3 uint8.

    """
    image = random_texture(rng, size_wh)
    if chance(rng, 0.45):
        _add_horizon(rng, image)
    count = int(rng.integers(0, 13)) if clutter is None else clutter
    if count:
        _add_clutter(rng, image, count)
    if chance(rng, 0.6):
        light = noise_field(rng, size_wh, zoom=(6.0, 14.0))
        image = add_relief(image, light, amplitude=rng.uniform(0.1, 0.5))
    if chance(rng, 0.4):
        image = defocus(image, log_uniform(rng, 0.5, 3.5))
    return image


def _add_horizon(rng: np.random.Generator, image: ImageBgr) -> None:
    """A second surface below a line that is rarely level, sometimes ragged; in place."""
    height, width = image.shape[:2]
    level = rng.uniform(0.2, 0.8) * height
    tilt = rng.normal(0.0, 0.08) * height
    x = np.linspace(0, width, 24)
    ragged = rng.uniform(0.0, 0.08) * height if chance(rng, 0.6) else 0.0
    y = level + np.linspace(-tilt, tilt, 24) + rng.normal(0.0, 1.0, 24) * ragged
    line = np.stack([x, y], axis=1)
    ground = np.concatenate([line, [[width, height], [0, height]]])
    alpha = np.zeros((height, width), np.uint8)
    cv2.fillPoly(alpha, [np.rint(ground).astype(np.int32)[:, None]], 255, cv2.LINE_AA)
    top = max(0, int(y.min()) - 1)
    if top >= height - 2:
        return
    below = random_texture(rng, (width, height - top))
    full = image.copy()
    full[top:] = below
    cv2.copyTo(full, inside(alpha).astype(np.uint8), image)


def _add_clutter(rng: np.random.Generator, image: ImageBgr, count: int) -> None:
    """Small and large things with shared textures, in place."""
    height, width = image.shape[:2]
    side = min(height, width)
    largest = int(_CLUTTER_SIZE[1] * side * _DIAGONAL) + 2
    sheets = [random_texture(rng, (largest, largest)) for _ in range(min(2, count))]
    for _ in range(count):
        sheet = sheets[int(rng.integers(len(sheets)))]
        size = log_uniform(rng, *_CLUTTER_SIZE) * side
        window = min(int(size * _DIAGONAL) + 2, largest)
        middle = (window / 2, window / 2)
        angle = rng.uniform(-0.5, 0.5) if chance(rng, 0.6) else rng.uniform(-np.pi, np.pi)
        turn = similarity(source_xy=middle, target_xy=middle, scale=size / window, angle=angle)
        alpha = silhouette(random_shape(rng), window, joint=turn)
        left = int(rng.uniform(0, width) - middle[0])
        top = int(rng.uniform(0, height) - middle[1])
        x, y = rng.integers(0, largest - window + 1, 2)
        _stamp(image, sheet[y : y + window, x : x + window], alpha, left, top)


def _stamp(image: ImageBgr, patch: ImageBgr, alpha: Alpha, left: int, top: int) -> None:
    """Blend a patch at whole pixels, as far as it lies in the image, in place."""
    height, width = image.shape[:2]
    right, bottom = min(left + alpha.shape[1], width), min(top + alpha.shape[0], height)
    cut = (slice(max(-top, 0), bottom - top), slice(max(-left, 0), right - left))
    target = image[max(top, 0) : bottom, max(left, 0) : right]
    if target.size:
        target[:] = blend(target, patch[cut], alpha[cut])
