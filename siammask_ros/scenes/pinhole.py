# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A pinhole camera in a world of metres, and where on a moving base it sits.

World and base: x forward (east), y left (north), z up. Optical frame: x right, y down, z forward.
Pixel (0, 0) is the centre of the top-left pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from siammask_ros.scenes.arrays import check_between

Points = NDArray[np.float64]
"""Nx3 float64, metres."""

_OPTICAL_IN_LEVEL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Columns: the optical axes x, y, z of a camera that looks level along the base's x axis."""


class Pose2D(NamedTuple):
    """Where a base stands on the ground: metres, and radians from world x toward world y."""

    x: float
    y: float
    heading: float

    def carry(self, forward: float, left: float) -> tuple[float, float]:
        """World x and y of a point that is given in the base's frame."""
        cos, sin = math.cos(self.heading), math.sin(self.heading)
        return self.x + cos * forward - sin * left, self.y + sin * forward + cos * left


@dataclass(frozen=True)
class Pinhole:
    """A camera without distortion.

    Attributes:
        width, height: pixels.
        focal_px: focal length, the same along x and y.
    """

    width: int = 640
    height: int = 480
    focal_px: float = 340.0

    def __post_init__(self) -> None:
        check_between("width", self.width, 16, 8192)
        check_between("height", self.height, 16, 8192)
        check_between("focal_px", self.focal_px, 1.0, 1e5)

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.width, self.height

    @property
    def center_xy(self) -> tuple[float, float]:
        """The principal point: the middle of the image."""
        return (self.width - 1) / 2, (self.height - 1) / 2

    @property
    def matrix(self) -> NDArray[np.float64]:
        """K, 3x3."""
        x, y = self.center_xy
        return np.array([[self.focal_px, 0.0, x], [0.0, self.focal_px, y], [0.0, 0.0, 1.0]])


@dataclass(frozen=True)
class Mount:
    """Where the camera sits on the base: metres, radians.

    Attributes:
        forward: of the base's middle.
        up: above the ground.
        pitch: down from level.
    """

    forward: float = 0.2
    up: float = 1.0
    pitch: float = 0.0

    def __post_init__(self) -> None:
        check_between("up", self.up, 0.05, 10.0)
        check_between("pitch", self.pitch, -1.0, 1.0)


@dataclass(frozen=True, eq=False)
class CameraPose:
    """Where a camera is and how it looks.

    Attributes:
        rotation: 3x3, columns are the optical axes in the world.
        position: (3,), metres in the world.
    """

    rotation: NDArray[np.float64]
    position: NDArray[np.float64]

    @classmethod
    def on_base(cls, base: Pose2D, mount: Mount) -> CameraPose:
        """The camera of a base that stands on the ground."""
        x, y = base.carry(mount.forward, 0.0)
        turn = rotation_z(base.heading) @ _rotation_y(mount.pitch)
        return cls(turn @ _OPTICAL_IN_LEVEL, np.array([x, y, mount.up]))

    def to_optical(self, points: Points) -> Points:
        """World points (Nx3) in the optical frame."""
        return np.asarray((points - self.position) @ self.rotation)

    def to_world(self, points: Points) -> Points:
        """Points of the optical frame (Nx3) in the world."""
        return np.asarray(points @ self.rotation.T + self.position)


def project(camera: Pinhole, points: Points) -> NDArray[np.float64]:
    """Pixels (Nx2) of points in the optical frame (Nx3); NaN for what is not in front."""
    depth = np.where(points[:, 2:] > 0.0, points[:, 2:], np.nan)
    return np.asarray(points[:, :2] / depth * camera.focal_px + camera.center_xy)


def rotation_z(angle: float) -> NDArray[np.float64]:
    """3x3, from x toward y."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


def _rotation_y(angle: float) -> NDArray[np.float64]:
    """3x3, from z toward x: tips what looks along x downward."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])
