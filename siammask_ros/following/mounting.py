# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the camera is on the base."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

_OPTICAL_TO_BODY = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""From x right, y down, z forward to x forward, y left, z up (REP 103)."""


@dataclass(frozen=True)
class Mounting:
    """The camera's pose in the frame of the base (x forward, y left, z up).

    Attributes:
        x, y, z: its place in metres.
        roll, pitch, yaw: how it is turned, radians about fixed axes; a camera with a positive pitch
            looks down.

    Raises:
        ValueError: a number is not finite.
    """

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    roll: float = 0.0
    pitch: float = 0.0
    yaw: float = 0.0

    def __post_init__(self) -> None:
        for name in ("x", "y", "z", "roll", "pitch", "yaw"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name} of the camera must be finite, got {getattr(self, name)}")

    @cached_property
    def rotation(self) -> npt.NDArray[np.float64]:
        """(3, 3) from the optical frame to that of the base."""
        (sin_r, cos_r), (sin_p, cos_p), (sin_y, cos_y) = (
            (math.sin(angle), math.cos(angle)) for angle in (self.roll, self.pitch, self.yaw)
        )
        about_x = np.array([[1, 0, 0], [0, cos_r, -sin_r], [0, sin_r, cos_r]])
        about_y = np.array([[cos_p, 0, sin_p], [0, 1, 0], [-sin_p, 0, cos_p]])
        about_z = np.array([[cos_y, -sin_y, 0], [sin_y, cos_y, 0], [0, 0, 1]])
        rotation: npt.NDArray[np.float64] = about_z @ about_y @ about_x @ _OPTICAL_TO_BODY
        return rotation

    def direction(self, vector: Sequence[float]) -> tuple[float, float, float]:
        """A vector of the optical frame in that of the base."""
        x, y, z = self.rotation @ np.asarray(vector, dtype=np.float64)
        return float(x), float(y), float(z)

    def point(self, point: Sequence[float]) -> tuple[float, float, float]:
        """A point of the optical frame in that of the base, in metres."""
        x, y, z = self.direction(point)
        return x + self.x, y + self.y, z + self.z
