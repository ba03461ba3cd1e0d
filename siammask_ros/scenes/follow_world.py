# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The world in which a simulated robot follows somebody for a minute.

Somebody in a vest walks through a yard: turns, other speeds, stops. A passer-by walks between the
two, and for two seconds a wall hides the target.
"""

from __future__ import annotations

import math

import numpy as np

from siammask_ros.scenes.arrays import ImageBgr, uint8
from siammask_ros.scenes.panels import Panel
from siammask_ros.scenes.people import Clothes, Person
from siammask_ros.scenes.pinhole import Mount, Pinhole, Pose2D
from siammask_ros.scenes.textures import add_relief, noise_field
from siammask_ros.scenes.walks import Footing, Leg, Walk
from siammask_ros.scenes.world import Inhabitant, World, box_panels

SECONDS = 60.0
TARGET = 1
"""The target's label; passers-by have others."""
LABEL = "person"
"""A word for the target."""
START = Pose2D(0.0, 0.0, 0.0)
"""Of the robot."""
DISTANCE_M = 2.2
"""From the robot's middle, at which the target is at the start and is to be followed."""
YARD = (-8.0, 20.0, -8.0, 19.0)
"""Its walls: least and greatest x, least and greatest y, metres."""
CROSSING_S = 15.5
"""When a passer-by walks between robot and target."""
_BEHIND_S = 1.1
"""The passer-by crosses where the target was so long before."""
_PASSING_SPEED = 1.3
_QUARTER = math.pi / 2

_LEGS = (
    Leg(2.0, 0.0),
    Leg(5.0, 0.8),
    Leg(4.0, 0.8, _QUARTER / 4.0),
    Leg(7.0, 1.1),
    Leg(4.0, 0.7, -_QUARTER / 4.0),
    Leg(3.0, 0.9),
    Leg(2.0, 0.0),
    # Along the wall that hides it, then round the wall's end, away from it.
    Leg(1.0, 0.2, _QUARTER),
    Leg(4.2, 0.5),
    Leg(2.0, 0.8, _QUARTER / 2.0),
    Leg(5.0, 1.1),
    Leg(2.5, 0.9, 0.5),
    Leg(5.0, 1.0, -0.45),
    Leg(5.0, 0.7, 0.5),
    Leg(4.0, 1.0, -0.5),
    Leg(30.0, 0.0),
)
_WALL_S = 29.9
"""When the target is in the middle behind the wall."""
WALL_SIZE = (1.0, 0.2, 2.4)
"""Along the target's way, across it, and high; metres."""
_WALL_BEFORE_M = 0.5
"""From the target's way to the wall's middle."""


def target_walk() -> Walk:
    """The target's way."""
    return Walk.over(Pose2D(START.x + DISTANCE_M, 0.0, 0.0), _LEGS)


def wall_place(target: Walk) -> Pose2D:
    """Where the wall stands: beside the target's way, on the robot's side."""
    x, y, _ = target.at(_WALL_S).pose
    beside = Pose2D(x, y, _QUARTER).carry(0.0, _WALL_BEFORE_M)
    return Pose2D(*beside, _QUARTER)


def follow_world(
    seed: int = 1, *, camera: Pinhole | None = None, mount: Mount | None = None
) -> World:
    """Make the yard with all who walk in it.

    Args:
        seed: of textures and noise; the ways are always the same.
        camera, mount: the robot's camera.
    """
    rng = np.random.default_rng(seed)
    target = target_walk()
    vest = Clothes((40, 60, 200), (110, 70, 40), stripe=(60, 230, 240))
    people = [
        Inhabitant(TARGET, Person.dressed(rng, vest), target),
        Inhabitant(
            2,
            Person.dressed(rng, Clothes((60, 120, 60), (60, 60, 70))),
            crossing(target, CROSSING_S),
        ),
        Inhabitant(
            3,
            Person.dressed(rng, Clothes((160, 150, 150), (50, 60, 90), hair=(90, 120, 150))),
            Walk.over(
                Pose2D(15.0, -6.0, 1.5), [Leg(25.0, 0.9), Leg(3.0, 0.7, -0.6), Leg(60.0, 0.6)]
            ),
        ),
        Inhabitant(
            4,
            Person.dressed(rng, Clothes((120, 60, 30), (90, 120, 150))),
            Walk.over(
                Pose2D(-4.0, 6.0, 1.0),
                [Leg(9.0, 0.8), Leg(4.0, 0.6, -0.7), Leg(7.0, 0.7), Leg(60.0, 0.0)],
            ),
        ),
    ]
    return World(
        seed,
        inhabitants=people,
        panels=[*_yard(rng), *_wall(rng, target)],
        camera=camera,
        mount=mount,
    )


def crossing(target: Walk, at_s: float) -> Walk:
    """The way of one who walks across the target's trail, right behind it, at a time."""
    there: Footing = target.at(at_s - _BEHIND_S)
    x, y, heading = there.pose
    across = heading + _QUARTER * 1.1
    way = _PASSING_SPEED * at_s
    start = Pose2D(x - way * math.cos(across), y - way * math.sin(across), across)
    return Walk.over(start, [Leg(at_s + 20.0, _PASSING_SPEED)], settle_s=0.0)


def plaster(
    rng: np.random.Generator, color: tuple[int, int, int], *, courses: int = 0, side: int = 512
) -> ImageBgr:
    """A wall's surface: a colour with grain and stains, and joints between courses of stones."""
    image = np.empty((side, side, 3), np.uint8)
    image[:] = color
    image = add_relief(image, noise_field(rng, (side, side), zoom=(0.6, 1.0)), amplitude=0.25)
    image = add_relief(image, noise_field(rng, (side, side), zoom=(4.0, 6.0)), amplitude=0.4)
    if courses:
        step = side // courses
        for row in range(courses):
            image[row * step : row * step + 3] = image[row * step : row * step + 3] // 3 * 2
            rows = slice(row * step, (row + 1) * step)
            for at in range((row % 2) * step, side, 2 * step):
                image[rows, at : at + 3] = image[rows, at : at + 3] // 3 * 2
    return uint8(image)


def _yard(rng: np.random.Generator) -> list[Panel]:
    """Walls round it, and things that stand in it."""
    west, east, south, north = YARD
    middle_x, middle_y = (west + east) / 2, (south + north) / 2
    brick = plaster(rng, (85, 105, 150), courses=16)
    render = plaster(rng, (165, 175, 175))
    panels = []
    for place, size, texture in (
        ((west, middle_y), (0.3, north - south, 3.0), brick),
        ((east, middle_y), (0.3, north - south, 3.4), render),
        ((middle_x, south), (east - west, 0.3, 2.6), render),
        ((middle_x, north), (east - west, 0.3, 3.0), brick),
    ):
        panels += box_panels(place, size, texture)
    for place, size, color, heading in (
        ((10.5, -2.5), (1.2, 0.8, 1.0), (70, 110, 140), 0.3),
        ((3.0, 4.5), (0.8, 0.8, 1.3), (120, 120, 110), 0.7),
        ((13.5, 3.0), (0.5, 0.5, 2.6), (150, 160, 165), 0.0),
        ((1.0, 8.5), (2.5, 1.2, 1.6), (60, 90, 90), -0.2),
        ((17.5, 9.0), (1.0, 2.0, 1.2), (100, 90, 80), 0.1),
        ((-2.0, -4.0), (1.0, 1.0, 1.0), (80, 130, 150), 0.4),
    ):
        panels += box_panels(place, size, plaster(rng, color, side=256), heading=heading)
    return panels


def _wall(rng: np.random.Generator, target: Walk) -> list[Panel]:
    x, y, heading = wall_place(target)
    return box_panels((x, y), WALL_SIZE, plaster(rng, (120, 140, 165), courses=8), heading=heading)
