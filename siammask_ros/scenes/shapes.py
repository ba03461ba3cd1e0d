# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Random silhouettes: blobs, polygons, superellipses, unions, vehicles, creatures, plants."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from siammask_ros.scenes.arrays import Alpha, Matrix, chance, log_uniform

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Outline = NDArray[np.float64]
"""Nx2 closed polygon, x right and y down, about [-1, 1] in its own frame."""

_SUBPIXEL_BITS = 4
_MARGIN = 0.05
_LEAST_CANVAS = 8
_ARC = np.linspace(-np.pi / 2, np.pi / 2, 9)
_HALF_DISC = np.stack([np.cos(_ARC), np.sin(_ARC)], axis=1)


class Part(NamedTuple):
    """A rigid piece of a shape.

    ``pivot_xy`` is the joint it swings about and ``swing`` the largest angle (radians, 0 = rigid);
    ``parent`` is the index of the part that carries it, -1 for none. ``holes`` are cut out of it.
    """

    outline: Outline
    pivot_xy: tuple[float, float] = (0.0, 0.0)
    swing: float = 0.0
    parent: int = -1
    holes: tuple[Outline, ...] = ()


Shape = list[Part]


def _ring(radius: NDArray[np.float64], angles: NDArray[np.float64]) -> Outline:
    return np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)


def _turn(points: Outline, angle: float) -> Outline:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.asarray(points @ np.array([[cos, sin], [-sin, cos]]))


def _blob(rng: np.random.Generator) -> Outline:
    """A smooth closed curve: a circle with decaying random harmonics, squeezed and turned."""
    angles = np.linspace(0.0, 2 * np.pi, 72, endpoint=False)
    orders = np.arange(2, 8)
    amplitude = rng.normal(0.0, 1.0, orders.size) * rng.uniform(0.05, 0.4) / orders**0.8
    phase = rng.uniform(0.0, 2 * np.pi, orders.size)
    waves = amplitude[:, None] * np.cos(orders[:, None] * angles + phase[:, None])
    radius = np.maximum(1.0 + waves.sum(axis=0), 0.2)
    squeezed = _ring(radius, angles) * [1.0, rng.uniform(0.3, 1.0)]
    return _turn(squeezed, rng.uniform(0.0, 2 * np.pi))


def _polygon(rng: np.random.Generator) -> Outline:
    """Straight edges, convex or not, 3 to 9 corners."""
    count = int(rng.integers(3, 10))
    angles = (np.arange(count) + rng.uniform(-0.35, 0.35, count)) * 2 * np.pi / count
    radius = rng.uniform(rng.uniform(0.35, 1.0), 1.0, count)
    return _ring(radius, angles) * [1.0, rng.uniform(0.4, 1.0)]


def _superellipse(rng: np.random.Generator) -> Outline:
    """|x|^n + |y/b|^n = 1: from a diamond over an ellipse to a box, at any angle."""
    angles = np.linspace(0.0, 2 * np.pi, 72, endpoint=False)
    power = 2.0 / log_uniform(rng, 1.0, 9.0)
    cos, sin = np.cos(angles), np.sin(angles)
    x = np.sign(cos) * np.abs(cos) ** power
    y = np.sign(sin) * np.abs(sin) ** power * rng.uniform(0.25, 1.0)
    return _turn(np.stack([x, y], axis=1), rng.uniform(0.0, np.pi) if chance(rng, 0.5) else 0.0)


def _star(rng: np.random.Generator) -> Outline:
    """Lobes: stars, leaves, gears, flowers."""
    lobes = int(rng.integers(3, 10))
    depth = rng.uniform(0.15, 0.6)
    angles = np.linspace(0.0, 2 * np.pi, lobes * 12, endpoint=False)
    wave = np.abs(np.cos(angles * lobes / 2)) ** rng.uniform(0.4, 2.5)
    return _ring(1.0 - depth + depth * wave, angles) * [1.0, rng.uniform(0.6, 1.0)]


def _bar(start: ArrayLike, end: ArrayLike, width: tuple[float, float]) -> Outline:
    """A tapering limb with round ends from one joint to another."""
    first, last = np.asarray(start, np.float64), np.asarray(end, np.float64)
    along = _turn(_HALF_DISC, float(np.arctan2(*(last - first)[::-1])))
    return np.concatenate([last + width[1] * along, first - width[0] * along])


def _simple(rng: np.random.Generator) -> Shape:
    make = (_blob, _polygon, _superellipse, _star)[int(rng.choice(4, p=(0.4, 0.2, 0.27, 0.13)))]
    outline = make(rng)
    holes: tuple[Outline, ...] = ()
    if chance(rng, 0.12):
        inner = _superellipse(rng) if chance(rng, 0.5) else _blob(rng)
        holes = (inner * rng.uniform(0.15, 0.4) + rng.uniform(-0.2, 0.2, 2),)
    return [Part(outline, holes=holes)]


def _union(rng: np.random.Generator) -> Shape:
    """Two to four simple shapes grown together; the smaller ones may swing a little."""
    shape = _simple(rng)
    for _ in range(int(rng.integers(1, 4))):
        angle = rng.uniform(0.0, 2 * np.pi)
        joint = np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(0.3, 0.8)
        piece = _simple(rng)[0].outline * log_uniform(rng, 0.25, 0.8)
        swing = rng.uniform(0.0, 0.4) if chance(rng, 0.4) else 0.0
        shape.append(Part(piece + joint * 1.15, (joint[0], joint[1]), swing, 0))
    return shape


def _vehicle(rng: np.random.Generator) -> Shape:
    """A body, a cabin and wheels seen from the side."""
    length, height = 1.0, rng.uniform(0.18, 0.45)
    nose, tail = rng.uniform(0.5, 1.0, 2)
    body = np.array(
        [[-length, height], [-length, -height * tail], [length, -height * nose], [length, height]]
    )
    left, right = -rng.uniform(0.2, 0.95), rng.uniform(0.1, 0.9)
    roof = -height - rng.uniform(0.1, 0.5)
    slant = rng.uniform(0.0, 0.3, 2)
    cabin = np.array([[left, 0.0], [left + slant[0], roof], [right - slant[1], roof], [right, 0.0]])
    shape = [Part(body), Part(cabin, parent=0)]
    circle = np.linspace(0.0, 2 * np.pi, 28, endpoint=False)
    for x in np.linspace(-0.65, 0.65, int(rng.integers(2, 4))):
        radius = rng.uniform(0.16, 0.28)
        ring = _ring(np.full(circle.size, radius), circle) + np.array([x, height])
        # A wheel turns freely; its swing is a full turn.
        shape.append(Part(ring, (float(x), height), np.pi, 0))
    return shape


def _creature(rng: np.random.Generator) -> Shape:
    """A torso, a head and two-segment limbs that swing: people, dogs, birds, insects."""
    upright = chance(rng, 0.55)
    half = rng.uniform(0.3, 0.55)
    stout = rng.uniform(0.3, 0.75)
    torso_axis = np.array([0.0, 1.0]) if upright else np.array([1.0, rng.uniform(-0.2, 0.2)])
    top, bottom = -torso_axis * half, torso_axis * half
    width = half * stout
    torso = _bar(top, bottom, (width * rng.uniform(0.6, 1.1), width * rng.uniform(0.6, 1.1)))
    shape = [Part(torso)]
    neck = top * rng.uniform(1.1, 1.5) + np.array([0.0, -rng.uniform(0.05, 0.3)])
    head = _blob(rng) * rng.uniform(0.14, 0.27) + neck * 1.15
    shape.append(Part(head, (top[0], top[1]), 0.35, 0))
    pairs = int(rng.integers(1, 4)) if not upright else 2
    for pair in range(pairs):
        along = (pair + 0.5) / pairs if not upright else float(pair)
        joint = top + (bottom - top) * (along * 0.9 + 0.05)
        reach = half * rng.uniform(0.6, 1.2)
        thick = width * rng.uniform(0.18, 0.5)
        for side in (-1.0, 1.0):
            angle = np.pi / 2 + side * rng.uniform(0.1, 0.9)
            knee = joint + reach * np.array([np.cos(angle), np.sin(angle)])
            lower = angle - side * rng.uniform(0.0, 0.7)
            foot = knee + reach * 0.9 * np.array([np.cos(lower), np.sin(lower)])
            thigh = _bar(joint, knee, (thick, thick * 0.8))
            shape.append(Part(thigh, (joint[0], joint[1]), rng.uniform(0.2, 0.7), 0))
            shin = _bar(knee, foot, (thick * 0.8, thick * 0.55))
            shape.append(Part(shin, (knee[0], knee[1]), rng.uniform(0.2, 0.7), len(shape) - 1))
    if not upright and chance(rng, 0.6):
        tip = bottom * rng.uniform(1.4, 2.2) + np.array([0.0, rng.uniform(-0.4, 0.2)])
        tail = _bar(bottom, tip, (width * 0.3, width * 0.1))
        shape.append(Part(tail, (bottom[0], bottom[1]), 0.6, 0))
    return shape


def _plant(rng: np.random.Generator) -> Shape:
    """A stem with leaves or balls at the ends of branches; sways."""
    stem = _bar((0.0, 1.0), (rng.uniform(-0.2, 0.2), 0.0), (0.09, 0.06))
    shape = [Part(stem)]
    for _ in range(int(rng.integers(3, 8))):
        joint = np.array([0.0, rng.uniform(-0.1, 0.7)])
        angle = -np.pi / 2 + rng.uniform(-1.4, 1.4)
        tip = joint + rng.uniform(0.4, 0.9) * np.array([np.cos(angle), np.sin(angle)])
        branch = _bar(joint, tip, (0.05, 0.04))
        shape.append(Part(branch, (joint[0], joint[1]), 0.25, 0))
        leaf = _turn(_blob(rng) * [0.32, 0.18], angle) + tip
        shape.append(Part(leaf, (joint[0], joint[1]), 0.25, len(shape) - 1))
    return shape


_SHAPES: tuple[tuple[float, Callable[[np.random.Generator], Shape]], ...] = (
    (0.36, _simple),
    (0.22, _union),
    (0.10, _vehicle),
    (0.26, _creature),
    (0.06, _plant),
)


def random_shape(rng: np.random.Generator) -> Shape:
    """A random shape; its outlines and pivots are scaled into the unit square's inside.

    Coordinates are fractions of the canvas, 0.05 to 0.95 along the longer side, centred.
    """
    shares = np.cumsum([share for share, _ in _SHAPES])
    chosen = min(int(np.searchsorted(shares, rng.random() * shares[-1])), len(_SHAPES) - 1)
    shape = _SHAPES[chosen][1](rng)
    if chance(rng, 0.5):
        flip = np.array([-1.0, 1.0])
        shape = [
            part._replace(
                outline=part.outline * flip,
                pivot_xy=(-part.pivot_xy[0], part.pivot_xy[1]),
                holes=tuple(hole * flip for hole in part.holes),
            )
            for part in shape
        ]
    points = np.concatenate([part.outline for part in shape])
    low, high = points.min(axis=0), points.max(axis=0)
    # Swinging limbs reach beyond the resting outline.
    reach = 1.0 + 0.25 * max((part.swing for part in shape if part.swing < np.pi), default=0.0)
    scale = (1.0 - 2 * _MARGIN) / (float((high - low).max()) * reach)
    shift = 0.5 - (low + high) / 2 * scale
    return [
        Part(
            part.outline * scale + shift,
            (part.pivot_xy[0] * scale + shift[0], part.pivot_xy[1] * scale + shift[1]),
            part.swing,
            part.parent,
            tuple(hole * scale + shift for hole in part.holes),
        )
        for part in shape
    ]


def fill_part(part: Part, size: int, *, joint: Matrix | None = None) -> Alpha:
    """Coverage of one part on a size x size canvas, uint8 with anti-aliased edges.

    ``joint`` (2x3, canvas pixels) moves the part first.
    """
    canvas = np.zeros((size, size), np.uint8)
    draw_outline(canvas, part.outline, 255, joint)
    for hole in part.holes:
        draw_outline(canvas, hole, 0, joint)
    return canvas


def draw_outline(canvas: Alpha, outline: Outline, level: int, joint: Matrix | None = None) -> None:
    """Fill a closed outline (fractions of the canvas), moved by ``joint`` (px), in place."""
    # Pixel centres are whole numbers: the canvas spans -0.5 to size - 0.5.
    pixels = outline * canvas.shape[0] - 0.5
    if joint is not None:
        pixels = pixels @ joint[:, :2].T + joint[:, 2]
    fixed = np.rint(pixels * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(canvas, [fixed[:, None]], level, cv2.LINE_AA, _SUBPIXEL_BITS)


def silhouette(parts: Sequence[Part], size: int, *, joint: Matrix | None = None) -> Alpha:
    """Coverage of all parts at rest on a size x size canvas, all moved by ``joint`` (2x3)."""
    canvas = np.zeros((size, size), np.uint8)
    for part in parts:
        if part.holes:
            np.maximum(canvas, fill_part(part, size, joint=joint), out=canvas)
        else:
            draw_outline(canvas, part.outline, 255, joint)
    return canvas


def random_shape_mask(rng: np.random.Generator, size: int) -> Alpha:
    """A random silhouette on a size x size canvas.

    Returns:
        HxW uint8 coverage, 255 inside, 0 outside, soft at the edge; spans most of the canvas
        along its longer side.

    """
    if size < _LEAST_CANVAS:
        raise ValueError(f"size must be at least {_LEAST_CANVAS} px, got {size}")
    return silhouette(random_shape(rng), size)
