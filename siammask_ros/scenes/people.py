# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""People of cardboard for a 3D world: upright, always facing the camera, with legs that walk."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from siammask_ros.scenes.arrays import INSIDE_ALPHA, ImageBgr, uint8
from siammask_ros.scenes.compositing import shade
from siammask_ros.scenes.panels import Mip, Panel, mip_chain
from siammask_ros.scenes.pinhole import CameraPose
from siammask_ros.scenes.shapes import Outline, Part, silhouette
from siammask_ros.scenes.sprites import Sprite
from siammask_ros.scenes.textures import add_relief, noise_field

HEIGHT_M = 1.75
CANVAS = 320
"""Side of a person's texture, px."""
STRIDE_M = 1.4
"""Of two steps."""
PHASES = 12
"""Pictures of a stride."""
_TOP, _FEET = 0.03, 0.97
"""Where head and feet are on the canvas, shares."""
_CANVAS_M = HEIGHT_M / (_FEET - _TOP)
_LEG_SWING, _KNEE_SWING, _ARM_SWING = 0.24, 0.2, 0.35


@dataclass(frozen=True)
class Clothes:
    """Colours of a person, BGR."""

    jacket: tuple[int, int, int]
    trousers: tuple[int, int, int]
    hair: tuple[int, int, int] = (30, 40, 60)
    stripe: tuple[int, int, int] | None = None
    """Of a band round the chest and down the back, if any."""


_SKIN = (140, 170, 215)
_SHOES = (45, 40, 40)


def _bar(x: float, top: float, bottom: float, half: tuple[float, float]) -> Outline:
    """An upright limb with rounded ends: half its width at the top and at the bottom."""
    arc = np.linspace(0.0, np.pi, 7)
    cap = np.stack([np.cos(arc), np.sin(arc)], axis=1)
    upper = cap * [half[0], -half[0] * 0.7] + [x, top + half[0] * 0.7]
    lower = cap[::-1] * [half[1], half[1] * 0.7] + [x, bottom - half[1] * 0.7]
    return np.concatenate([upper, lower])


def _oval(x: float, y: float, half_x: float, half_y: float) -> Outline:
    angle = np.linspace(0.0, 2 * np.pi, 40, endpoint=False)
    return np.stack([x + half_x * np.cos(angle), y + half_y * np.sin(angle)], axis=1)


def person_sprite(rng: np.random.Generator, clothes: Clothes) -> Sprite:
    """A person seen from behind, with cloth that has grain, folds and light on it."""
    parts: list[Part] = []
    looks: list[tuple[int, int, int]] = []

    def add(outline: Outline, color: tuple[int, int, int], pivot_y: float, swing: float) -> None:
        middle = (float(outline[:, 0].mean()), pivot_y)
        parts.append(Part(outline, middle, swing, 0 if parts else -1))
        looks.append(color)

    add(_bar(0.5, 0.19, 0.57, (0.125, 0.105)), clothes.jacket, 0.4, 0.0)
    for side in (-1.0, 1.0):
        thigh = _bar(0.5 + side * 0.055, 0.5, 0.76, (0.06, 0.048))
        add(thigh, clothes.trousers, 0.53, side * _LEG_SWING)
        shin = _bar(0.5 + side * 0.055, 0.71, 0.95, (0.045, 0.036))
        parts.append(Part(shin, (0.5 + side * 0.055, 0.735), side * _KNEE_SWING, len(parts) - 1))
        looks.append(clothes.trousers)
        shoe = _oval(0.5 + side * 0.062, 0.952, 0.045, _FEET - 0.952)
        parts.append(Part(shoe, (0.5, 0.5), 0.0, len(parts) - 1))
        looks.append(_SHOES)
    for side in (-1.0, 1.0):
        arm = _bar(0.5 + side * 0.135, 0.21, 0.53, (0.042, 0.035))
        add(arm, clothes.jacket, 0.24, -side * _ARM_SWING)
        hand = _oval(0.5 + side * 0.135, 0.545, 0.028, 0.032)
        parts.append(Part(hand, (0.5, 0.5), 0.0, len(parts) - 1))
        looks.append(_SKIN)
    add(_bar(0.5, 0.15, 0.24, (0.04, 0.05)), _SKIN, 0.2, 0.0)
    add(_oval(0.5, 0.105, 0.058, 0.075), clothes.hair, 0.15, 0.0)

    outline = silhouette(parts, CANVAS)
    angle = -np.pi / 2 + rng.uniform(-0.6, 0.6)
    colors = []
    for index, color in enumerate(looks):
        cloth = np.empty((CANVAS, CANVAS, 3), np.uint8)
        cloth[:] = color
        if index == 0 and clothes.stripe is not None:
            _draw_stripe(cloth, clothes.stripe)
        cloth = add_relief(cloth, noise_field(rng, (CANVAS, CANVAS)), amplitude=0.16)
        colors.append(shade(cloth, outline, strength=0.55, angle=angle))
    # Arms behind the body, then legs, body, neck and head in front.
    arms = range(7, 11)
    order = (*arms, *range(1, 7), 0, 11, 12)
    return Sprite(tuple(parts), tuple(colors), order)


def _draw_stripe(cloth: ImageBgr, color: tuple[int, int, int]) -> None:
    """A band round the chest and two braces, as on a safety vest; in place."""
    at = CANVAS / 100
    for top, bottom, left, right in ((36, 41, 0, 100), (19, 36, 43, 46), (19, 36, 54, 57)):
        cloth[int(top * at) : int(bottom * at), int(left * at) : int(right * at)] = color


@dataclass(frozen=True, eq=False)
class Person:
    """The pictures of a person, made once.

    Attributes:
        standing: at rest.
        walking: a stride, in `PHASES` pictures.
        area_m2: of the standing person as it is seen.
    """

    standing: tuple[Mip, ...]
    walking: tuple[tuple[Mip, ...], ...]
    area_m2: float

    @classmethod
    def dressed(cls, rng: np.random.Generator, clothes: Clothes) -> Person:
        """A person in these clothes."""
        sprite = person_sprite(rng, clothes)
        walking = []
        for phase in range(PHASES):
            swing = math.sin(2 * math.pi * phase / PHASES)
            walking.append(mip_chain(*sprite.pose(np.full(len(sprite.parts), swing))))
        color, alpha = sprite.pose(np.zeros(len(sprite.parts)))
        covered = np.count_nonzero(alpha >= INSIDE_ALPHA) / alpha.size
        return cls(mip_chain(color, alpha), tuple(walking), covered * _CANVAS_M**2)

    def panel(
        self,
        pose: CameraPose,
        position_xy: tuple[float, float],
        walked_m: float,
        *,
        moving: bool,
        label: int,
    ) -> Panel:
        """The person at a place on the ground, turned to the camera.

        Args:
            pose: of the camera.
            position_xy: where it stands, world metres.
            walked_m: how far it has come, which says where in its stride it is.
            moving: it walks.
            label: in the label image.
        """
        away = np.array([*position_xy, 0.0]) - [*pose.position[:2], 0.0]
        length = float(np.linalg.norm(away))
        forward = away / length if length > 0 else np.array([1.0, 0.0, 0.0])
        right = np.array([forward[1], -forward[0], 0.0]) * _CANVAS_M
        down = np.array([0.0, 0.0, -_CANVAS_M])
        # The feet stand on the ground.
        corner = np.array([*position_xy, _FEET * _CANVAS_M]) - right / 2
        phase = round(walked_m / STRIDE_M * PHASES) % PHASES
        texture = self.walking[phase] if moving else self.standing
        return Panel(corner, right, down, texture, label)


def contact_shadow(side: int = 64) -> tuple[Mip, ...]:
    """A soft dark disc to lie on the ground under somebody."""
    alpha = np.zeros((side, side), np.uint8)
    cv2.circle(alpha, (side // 2, side // 2), side // 4, 120, -1, cv2.LINE_AA)
    alpha = uint8(cv2.GaussianBlur(alpha, (0, 0), side / 10))
    return mip_chain(np.full((side, side, 3), 20, np.uint8), alpha)
