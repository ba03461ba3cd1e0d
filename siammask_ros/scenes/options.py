# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What happens in a rendered sequence: options and cast."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Literal

import numpy as np

from siammask_ros.scenes.arrays import check_between, check_range
from siammask_ros.scenes.motion import KeyframePath

MAX_TARGETS = 255


class Role(IntEnum):
    """What an actor is there for; higher is nearer to the camera."""

    DISTRACTOR = 0
    TARGET = 1
    OCCLUDER = 2


@dataclass(frozen=True)
class Actor:
    """One thing that moves through the scene.

    Attributes:
        role: targets have masks; their ids are 1, 2, ... in the order of the cast.
        path: keyframes on the screen; a random smooth path if None.
        look: `random`; `twin`, a look-alike of the first target; or `cover`, a block that hides
            the first target wholly when their centres meet.
        size: factor on the size that the options give.
    """

    role: Role = Role.TARGET
    path: KeyframePath | None = None
    look: Literal["random", "twin", "cover"] = "random"
    size: float = 1.0

    def __post_init__(self) -> None:
        if self.look not in ("random", "twin", "cover"):
            raise ValueError(f"look must be random, twin or cover, got {self.look!r}")
        if self.role is Role.TARGET and self.look == "cover":
            raise ValueError("a target cannot have the look 'cover'")
        check_between("size", self.size, 0.05, 20.0)


@dataclass(frozen=True)
class SceneOptions:
    """How a sequence looks and moves; every value is checked.

    Attributes:
        frame_rate: frames a second (1 to 240).
        cast: the actors; one random target, 2 distractors if None.
        target_side: range of a target's mean side, a share of the image's shorter side.
        speed: top speed of random paths, image widths a second (0 to 5).
        wander: how far random paths reach from their middle, shares of the image (0 to 0.5).
        zoom: targets grow and shrink by up to this factor (1 to 4).
        spin: targets turn to and fro by up to this angle, radians (0 to pi).
        warp: non-rigid deformation, share of the target's size (0 to 0.3).
        limbs: how far limbs swing, share of their range (0 to 1).
        slant: perspective slant and shear (0 to 0.5).
        camera_pan: how far the backdrop moves, shares of the image (0 to 0.3).
        camera_zoom: the backdrop grows and shrinks by up to this factor (1 to 2).
        camera_roll: radians (0 to 0.5).
        camera_shake: share of the image's width (0 to 0.05).
        camera_path: moves the whole view, targets too: what is in the middle of the image goes to
            the keyframe's place, turned and enlarged by it; nothing of that kind if None.
        shutter: open for this share of a frame: motion blur (0 to 1).
        defocus: largest blur, standard deviation in px (0 to 10).
        light: brightness changes by up to this share (0 to 0.9).
        light_path: (time, gain) pairs, the time as in keyframes: the brightness is multiplied by
            the gain (0.05 to 5), linear in between; nothing of that kind if empty.
        noise: standard deviation, grey levels (0 to 60).
        jpeg_quality: of a compression at the end (5 to 100), none if None.
        contrast: brightness spread of the targets' textures (0 to 1), random if None.
        clutter: things in the backdrop (0 to 200), random if None.
    """

    frame_rate: float = 30.0
    cast: tuple[Actor, ...] | None = None
    target_side: tuple[float, float] = (0.16, 0.34)
    speed: float = 0.25
    wander: float = 0.22
    zoom: float = 1.3
    spin: float = 0.35
    warp: float = 0.03
    limbs: float = 0.7
    slant: float = 0.12
    camera_pan: float = 0.1
    camera_zoom: float = 1.08
    camera_roll: float = 0.04
    camera_shake: float = 0.003
    camera_path: KeyframePath | None = None
    shutter: float = 0.4
    defocus: float = 0.6
    light: float = 0.12
    light_path: tuple[tuple[float, float], ...] = ()
    noise: float = 3.0
    jpeg_quality: int | None = None
    contrast: float | None = None
    clutter: int | None = None

    def __post_init__(self) -> None:
        check_range("target_side", self.target_side, 0.02, 1.0)
        for name, (low, high) in _LIMITS.items():
            value = getattr(self, name)
            if value is not None:
                check_between(name, value, low, high)
        self._check_light_path()
        targets = sum(actor.role is Role.TARGET for actor in self.actors)
        if not 1 <= targets <= MAX_TARGETS or self.actors[0].role is not Role.TARGET:
            raise ValueError(f"the cast must begin with a target, up to {MAX_TARGETS} of them")

    def _check_light_path(self) -> None:
        for time, gain in self.light_path:
            check_between("light_path time", time, 0.0, 1.0)
            check_between("light_path gain", gain, 0.05, 5.0)
        times = [time for time, _ in self.light_path]
        if any(later <= earlier for earlier, later in pairwise(times)):
            raise ValueError(f"light_path times must rise, got {times}")

    @property
    def actors(self) -> tuple[Actor, ...]:
        """The cast, or the one that stands for None."""
        if self.cast is not None:
            return self.cast
        return (Actor(), Actor(Role.DISTRACTOR), Actor(Role.DISTRACTOR))


_LIMITS: dict[str, tuple[float, float]] = {
    "frame_rate": (1.0, 240.0),
    "speed": (0.0, 5.0),
    "wander": (0.0, 0.5),
    "zoom": (1.0, 4.0),
    "spin": (0.0, float(np.pi)),
    "warp": (0.0, 0.3),
    "limbs": (0.0, 1.0),
    "slant": (0.0, 0.5),
    "camera_pan": (0.0, 0.3),
    "camera_zoom": (1.0, 2.0),
    "camera_roll": (0.0, 0.5),
    "camera_shake": (0.0, 0.05),
    "shutter": (0.0, 1.0),
    "defocus": (0.0, 10.0),
    "light": (0.0, 0.9),
    "noise": (0.0, 60.0),
    "jpeg_quality": (5, 100),
    "contrast": (0.0, 1.0),
    "clutter": (0, 200),
}
