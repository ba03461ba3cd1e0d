# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A rendered 3D world seen by a camera on a moving base, with exact depth, masks and poses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from siammask_ros.geometry import Box
from siammask_ros.scenes.arrays import Floats, ImageBgr, Mask, check_between, uint8
from siammask_ros.scenes.backdrop3d import Ground, Sky
from siammask_ros.scenes.panels import Canvas, Mip, Panel, Panels, draw_panel, mip_chain
from siammask_ros.scenes.people import HEIGHT_M, Person, contact_shadow
from siammask_ros.scenes.pinhole import CameraPose, Mount, Pinhole, Pose2D
from siammask_ros.scenes.walks import Footing, Walk

_Level = TypeVar("_Level", bound=np.generic)

_BANK_SPARE = 256
"""Noise is a piece of a larger field, so many pixels larger."""
_BANK_SEED = 71
_IMAGE_NOISE = 2.0
"""Standard deviation, levels of 255."""
_SPECKLE_SHARE = 0.25
"""Of the holes in depth, how many are single pixels; the rest are patches."""
_PATCH_SIGMA_PX = 4.0
_SHADOW_M = 1.1
_SHADOW_UP_M = 0.004
_LEAST_SPEED = 0.05
"""Of somebody who is seen to walk, m/s."""


@dataclass(frozen=True, eq=False)
class Inhabitant:
    """Somebody who walks through the world.

    Attributes:
        label: 1 to 255, of its pixels in the label image.
        person: its looks.
        walk: its way.
    """

    label: int
    person: Person
    walk: Walk


@dataclass(frozen=True)
class DepthSensor:
    """What is wrong with the depth that a sensor gives.

    Attributes:
        noise: standard deviation, share of the depth.
        holes: share of the pixels without a value (NaN).
        range_m: nearest and farthest depth that is measured.
    """

    noise: float = 0.01
    holes: float = 0.2
    range_m: tuple[float, float] = (0.2, 12.0)

    def __post_init__(self) -> None:
        check_between("noise", self.noise, 0.0, 1.0)
        check_between("holes", self.holes, 0.0, 1.0)

    def sense(self, depth_m: Floats, seed: int) -> Floats:
        """A measurement of exact depth (H, W): metres, NaN where there is none."""
        height, width = depth_m.shape
        rng = np.random.default_rng((seed, 1))
        noise, hole_rank = _depth_bank(width, height)
        measured = depth_m * (1.0 + np.float32(self.noise) * _piece(noise, rng, width, height))
        near, far = self.range_m
        bad = (measured < near) | (measured > far)
        bad |= _piece(hole_rank, rng, width, height) < self.holes
        measured[bad] = np.nan
        return np.asarray(measured, np.float32)


@dataclass(frozen=True, eq=False)
class WorldFrame:
    """The world at a time as the camera sees it.

    Attributes:
        time_s: seconds from the start.
        image_bgr: (H, W, 3) uint8.
        depth_m: (H, W) float32, exact, along the optical axis; infinite in the sky.
        labels: (H, W) uint8, of the inhabitants; 0 elsewhere.
        base: where the base stands.
        camera_pose: where the camera is.
        inhabitants: by label, where each is.
        visible_share: by label, how much of the whole of each is seen, 0 to 1.
    """

    time_s: float
    image_bgr: ImageBgr
    depth_m: Floats
    labels: NDArray[np.uint8]
    base: Pose2D
    camera_pose: CameraPose
    inhabitants: Mapping[int, Footing]
    visible_share: Mapping[int, float]

    def mask(self, label: int) -> Mask:
        """(H, W) bool: what is seen of an inhabitant."""
        return np.asarray(self.labels == label)

    def box(self, label: int) -> Box | None:
        """The smallest box round what is seen of an inhabitant, None where nothing is."""
        return Box.from_mask(self.mask(label))

    def middle_in_camera(self, label: int) -> NDArray[np.float64]:
        """(3,): half-way up an inhabitant, metres in the optical frame."""
        x, y, _ = self.inhabitants[label].pose
        return np.asarray(self.camera_pose.to_optical(np.array([[x, y, HEIGHT_M / 2]]))[0])


class World:
    """Ground, sky, things that stand and people who walk.

    The same world, time and base give the same pixels.

    Args:
        seed: of ground, sky and noise, at least 0.
        inhabitants: with labels that differ.
        panels: what stands about.
        camera: the pinhole.
        mount: where it sits on the base.
    """

    def __init__(
        self,
        seed: int,
        *,
        inhabitants: Sequence[Inhabitant] = (),
        panels: Sequence[Panel] = (),
        camera: Pinhole | None = None,
        mount: Mount | None = None,
    ) -> None:
        labels = [each.label for each in inhabitants]
        if len(set(labels)) != len(labels) or not all(1 <= label <= 255 for label in labels):
            raise ValueError(f"labels must differ and be 1 to 255, got {labels}")
        self.seed = seed
        self.camera = camera or Pinhole()
        self.mount = mount or Mount()
        self.inhabitants = tuple(inhabitants)
        self.panels = tuple(panels)
        rng = np.random.default_rng(seed)
        self._standing = Panels(self.panels)
        self._ground = Ground(rng)
        self._sky = Sky(rng, self.camera, self.mount)
        self._shadow = contact_shadow()

    def render(self, time_s: float, base: Pose2D) -> WorldFrame:
        """What the camera of a base sees at a time."""
        pose = CameraPose.on_base(base, self.mount)
        canvas = Canvas.blank(self.camera)
        self._sky.draw(canvas, base.heading)
        self._ground.draw(canvas, self.camera, pose)
        footings = {each.label: each.walk.at(time_s) for each in self.inhabitants}
        for footing in footings.values():
            self._draw_shadow(canvas, pose, footing)
        people = [
            each.person.panel(
                pose,
                footings[each.label].pose[:2],
                footings[each.label].walked,
                moving=abs(footings[each.label].speed) > _LEAST_SPEED,
                label=each.label,
            )
            for each in self.inhabitants
        ]
        farthest_first = sorted(
            (*self._standing.in_view(self.camera, pose), *people),
            key=lambda panel: panel.distance(pose),
            reverse=True,
        )
        for panel in farthest_first:
            draw_panel(canvas, self.camera, pose, panel)
        image = self._add_noise(canvas.image, time_s)
        return WorldFrame(
            time_s,
            image,
            canvas.depth,
            canvas.labels,
            base,
            pose,
            footings,
            {each.label: self._visible(canvas, pose, each, footings) for each in self.inhabitants},
        )

    def _draw_shadow(self, canvas: Canvas, pose: CameraPose, footing: Footing) -> None:
        x, y, _ = footing.pose
        half = _SHADOW_M / 2
        # A hair above the ground, for the ground not to hide it.
        corner = np.array([x - half, y + half, _SHADOW_UP_M])
        right, down = np.array([_SHADOW_M, 0.0, 0.0]), np.array([0.0, -_SHADOW_M, 0.0])
        draw_panel(canvas, self.camera, pose, Panel(corner, right, down, self._shadow))

    def _visible(
        self,
        canvas: Canvas,
        pose: CameraPose,
        inhabitant: Inhabitant,
        footings: Mapping[int, Footing],
    ) -> float:
        x, y, _ = footings[inhabitant.label].pose
        depth = float(pose.to_optical(np.array([[x, y, HEIGHT_M / 2]]))[0, 2])
        if depth <= 0:
            return 0.0
        whole = inhabitant.person.area_m2 * (self.camera.focal_px / depth) ** 2
        return min(float(np.count_nonzero(canvas.labels == inhabitant.label)) / whole, 1.0)

    def _add_noise(self, image: ImageBgr, time_s: float) -> ImageBgr:
        width, height = self.camera.size_wh
        rng = np.random.default_rng((self.seed, round(time_s * 1e6)))
        piece = _piece(_image_bank(width, height), rng, width, height)
        return uint8(cv2.add(image, piece, dtype=cv2.CV_8U))


def box_panels(
    middle_xy: tuple[float, float],
    size: tuple[float, float, float],
    texture: ImageBgr,
    *,
    heading: float = 0.0,
) -> list[Panel]:
    """Sides and lid of a box that stands on the ground.

    Args:
        middle_xy: of its floor, world metres.
        size: along its own x and y, and its height, metres.
        texture: of its sides; cut to their shape.
        heading: how it is turned, radians.
    """
    long, wide, tall = size
    cos, sin = np.cos(heading), np.sin(heading)
    x_axis, y_axis = np.array([cos, sin, 0.0]), np.array([-sin, cos, 0.0])
    up = np.array([0.0, 0.0, tall])
    middle = np.array([*middle_xy, 0.0])
    panels = []
    for axis, across, half, length in (
        (x_axis, y_axis, long / 2, wide),
        (-x_axis, -y_axis, long / 2, wide),
        (y_axis, -x_axis, wide / 2, long),
        (-y_axis, x_axis, wide / 2, long),
    ):
        # Seen from outside, the right-hand side of a face lies along `across`.
        corner = middle + axis * half - across * length / 2 + up
        panels.append(Panel(corner, across * length, -up, _cut(texture, length, tall)))
    corner = middle + up - x_axis * long / 2 + y_axis * wide / 2
    panels.append(Panel(corner, x_axis * long, -y_axis * wide, _cut(texture, long, wide)))
    return panels


def _cut(texture: ImageBgr, width_m: float, height_m: float) -> tuple[Mip, ...]:
    """A piece of a texture in the shape of a side, as a chain."""
    height, width = texture.shape[:2]
    scale = min(width / width_m, height / height_m)
    size = (max(round(height_m * scale), 16), max(round(width_m * scale), 16))
    return mip_chain(np.ascontiguousarray(texture[: size[0], : size[1]]))


def _piece(
    bank: NDArray[_Level], rng: np.random.Generator, width: int, height: int
) -> NDArray[_Level]:
    """A part of a field of noise, at a random place."""
    x, y = rng.integers(0, _BANK_SPARE + 1, 2)
    return bank[y : y + height, x : x + width]


@lru_cache(maxsize=2)
def _image_bank(width: int, height: int) -> NDArray[np.int16]:
    rng = np.random.default_rng(_BANK_SEED)
    size = (height + _BANK_SPARE, width + _BANK_SPARE, 3)
    return np.rint(rng.normal(0.0, _IMAGE_NOISE, size)).astype(np.int16)


@lru_cache(maxsize=2)
def _depth_bank(width: int, height: int) -> tuple[Floats, Floats]:
    """Unit normal noise, and a field whose values below p are the share p of it: holes."""
    rng = np.random.default_rng(_BANK_SEED + 1)
    size = (height + _BANK_SPARE, width + _BANK_SPARE)
    noise = rng.standard_normal(size, dtype=np.float32)
    patches = rng.standard_normal(size, dtype=np.float32)
    patches = np.asarray(cv2.GaussianBlur(patches, (0, 0), _PATCH_SIGMA_PX), np.float32)
    speckle = rng.random(size, dtype=np.float32) < _SPECKLE_SHARE
    rank = np.empty(size[0] * size[1], np.float32)
    rank[np.argsort(patches, axis=None)] = np.linspace(0.0, 1.0, rank.size, dtype=np.float32)
    rank = np.where(speckle, rng.random(size, dtype=np.float32), rank.reshape(size))
    return noise, np.asarray(rank, np.float32)
