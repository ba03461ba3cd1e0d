# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames in space: rigid transforms, quaternions, and where a camera sits on its robot.

Axes are those of REP 103: a body has x ahead, y to the left and z up; an optical frame has x to
the right, y down and z ahead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from siammask_ros.localization.camera import FloatArray

OPTICAL_IN_BODY = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Turns a direction of the optical frame into one of the body that it belongs to."""
NEARLY_EQUAL = 1 - 1e-9
"""Cosine above which two rotations are interpolated in a straight line."""


class Quaternion(NamedTuple):
    """A rotation as ROS orders it."""

    x: float
    y: float
    z: float
    w: float


@dataclass(frozen=True)
class RigidTransform:
    """From the coordinates of one frame to those of another.

    Attributes:
        rotation: (3, 3).
        translation: (3,) metres, where the first frame's origin is in the other.
    """

    rotation: FloatArray
    translation: FloatArray

    @classmethod
    def identity(cls) -> RigidTransform:
        """The frames are the same."""
        return cls(np.eye(3), np.zeros(3))

    @classmethod
    def of(cls, quaternion: Sequence[float], translation: Sequence[float]) -> RigidTransform:
        """From x, y, z, w and metres.

        Raises:
            ValueError: a number is not finite, or the quaternion is no rotation.
        """
        moved = np.array(translation, dtype=np.float64)
        if not np.isfinite(moved).all():
            raise ValueError(f"the translation {tuple(translation)} is not finite")
        return cls(rotation_matrix(quaternion), moved)

    def points(self, points: FloatArray) -> FloatArray:
        """Points (..., 3) of the first frame in the other."""
        moved: FloatArray = np.asarray(points) @ self.rotation.T + self.translation
        return moved

    def directions(self, directions: FloatArray) -> FloatArray:
        """Directions or velocities (..., 3), which have no place."""
        turned: FloatArray = np.asarray(directions) @ self.rotation.T
        return turned

    def covariance(self, covariance: FloatArray) -> FloatArray:
        """A (3, 3) covariance of the first frame in the other."""
        turned: FloatArray = self.rotation @ covariance @ self.rotation.T
        return turned

    def inverse(self) -> RigidTransform:
        """The way back."""
        back = self.rotation.T
        return RigidTransform(back, -back @ self.translation)

    def after(self, first: RigidTransform) -> RigidTransform:
        """`first`, then this one."""
        return RigidTransform(self.rotation @ first.rotation, self.points(first.translation))


def rotation_matrix(quaternion: Sequence[float]) -> FloatArray:
    """(3, 3) of x, y, z, w.

    Raises:
        ValueError: it is no rotation: all zeros, or not finite.
    """
    length = float(np.linalg.norm(quaternion))
    if not math.isfinite(length) or length < 1e-6:
        raise ValueError(f"the quaternion {tuple(quaternion)} is no rotation")
    x, y, z, w = (float(number) / length for number in quaternion)
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


def quaternion_of(rotation: FloatArray) -> Quaternion:
    """The quaternion of a (3, 3) rotation, with w >= 0."""
    trace = float(np.trace(rotation))
    # Four times each number's square: the largest is safe to divide by.
    squares = 1 + np.array([*(2 * np.diag(rotation) - trace), trace])
    largest = int(np.argmax(squares))
    first = math.sqrt(float(squares[largest])) / 2
    share = 1 / (4 * first)
    (_, xy, xz), (yx, _, yz), (zx, zy, _) = rotation.tolist()
    numbers = [
        (first, (xy + yx) * share, (xz + zx) * share, (zy - yz) * share),
        ((xy + yx) * share, first, (yz + zy) * share, (xz - zx) * share),
        ((xz + zx) * share, (yz + zy) * share, first, (yx - xy) * share),
        ((zy - yz) * share, (xz - zx) * share, (yx - xy) * share, first),
    ][largest]
    sign = -1.0 if numbers[3] < 0 else 1.0
    return Quaternion(*(sign * number for number in numbers))


def facing(direction: FloatArray, up: FloatArray) -> Quaternion:
    """The rotation whose x axis is `direction`, and whose z axis is as near to `up` as it can be.

    Args:
        direction: (3,), of any length but 0.
        up: (3,) unit vector.
    """
    ahead = direction / np.linalg.norm(direction)
    left = np.cross(up, ahead)
    if np.linalg.norm(left) < 1e-6:  # straight up or down: any left will do
        left = np.cross(np.roll(up, 1), ahead)
    left = left / np.linalg.norm(left)
    return quaternion_of(np.column_stack([ahead, left, np.cross(ahead, left)]))


def camera_on_base(
    x: float, y: float, z: float, pitch: float, yaw: float, roll: float = 0.0
) -> RigidTransform:
    """From a camera's optical frame to the base that it sits on.

    Args:
        x, y, z: metres, of the camera in the base.
        pitch: radians, positive where it looks down.
        yaw: radians, positive where it looks to the left.
        roll: radians about the way it looks, positive clockwise as seen from behind.
    """
    (sin_r, cos_r), (sin_p, cos_p), (sin_y, cos_y) = (
        (math.sin(angle), math.cos(angle)) for angle in (roll, pitch, yaw)
    )
    rolled = np.array([[1, 0, 0], [0, cos_r, -sin_r], [0, sin_r, cos_r]])
    pitched = np.array([[cos_p, 0, sin_p], [0, 1, 0], [-sin_p, 0, cos_p]])
    turned = np.array([[cos_y, -sin_y, 0], [sin_y, cos_y, 0], [0, 0, 1]])
    return RigidTransform(turned @ pitched @ rolled @ OPTICAL_IN_BODY, np.array([x, y, z]))


def between(first: RigidTransform, second: RigidTransform, share: float) -> RigidTransform:
    """What lies between two transforms: `share` 0 is the first one, 1 the second."""
    start = np.array(quaternion_of(first.rotation))
    end = np.array(quaternion_of(second.rotation))
    cosine = float(start @ end)
    if cosine < 0:  # the same rotation, the shorter way
        end, cosine = -end, -cosine
    if cosine > NEARLY_EQUAL:
        turned = (1 - share) * start + share * end
    else:
        angle = math.acos(cosine)
        turned = math.sin((1 - share) * angle) * start + math.sin(share * angle) * end
    moved = (1 - share) * first.translation + share * second.translation
    return RigidTransform(rotation_matrix(turned.tolist()), moved)
