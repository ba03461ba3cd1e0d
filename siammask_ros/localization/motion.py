# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The motion of one target: a Kalman filter with constant velocity, in three dimensions.

State: position and velocity. Model: white acceleration, constant within a step (Bar-Shalom, Li,
Kirubarajan: Estimation with Applications to Tracking and Navigation, 6.3.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from siammask_ros.localization.camera import FloatArray

FIRST_SPEED = 1.0
"""m/s, the standard deviation of the velocity of a target that was measured once."""


@dataclass(frozen=True)
class MotionConfig:
    """How targets are expected to move.

    Attributes:
        acceleration: m/s^2, standard deviation.
        gate: a measurement is no use if it is farther away than so many standard deviations.
    """

    acceleration: float = 2.0
    gate: float = 5.0


class Motion:
    """Position and velocity of a target, in one frame."""

    def __init__(
        self, config: MotionConfig, stamp_ns: int, position: FloatArray, covariance: FloatArray
    ) -> None:
        """Begin with a measurement (3,) and its covariance (3, 3)."""
        self._config = config
        self._state = np.concatenate([position, np.zeros(3)])
        self._covariance = np.zeros((6, 6))
        self._covariance[:3, :3] = covariance
        self._covariance[3:, 3:] = np.eye(3) * FIRST_SPEED**2
        self._stamp_ns = stamp_ns
        self.measured_ns = stamp_ns
        """When the position was measured last."""

    @property
    def position(self) -> FloatArray:
        """(3,) metres."""
        return np.array(self._state[:3])

    @property
    def velocity(self) -> FloatArray:
        """(3,) m/s."""
        return np.array(self._state[3:])

    @property
    def position_covariance(self) -> FloatArray:
        """(3, 3)."""
        return np.array(self._covariance[:3, :3])

    @property
    def velocity_covariance(self) -> FloatArray:
        """(3, 3)."""
        return np.array(self._covariance[3:, 3:])

    def predict(self, stamp_ns: int) -> None:
        """Go on to a later time; an earlier one changes nothing."""
        step = (stamp_ns - self._stamp_ns) * 1e-9
        if step <= 0:
            return
        self._stamp_ns = stamp_ns
        unit = np.eye(3)
        transition = np.block([[unit, step * unit], [np.zeros((3, 3)), unit]])
        effect = np.vstack([step**2 / 2 * unit, step * unit])
        noise = self._config.acceleration**2 * effect @ effect.T
        self._state = transition @ self._state
        self._covariance = transition @ self._covariance @ transition.T + noise

    def correct(self, position: FloatArray, covariance: FloatArray, *, measured: bool) -> bool:
        """Take a measurement of the present time over, if it passes the gate.

        Args:
            position: (3,).
            covariance: (3, 3).
            measured: the position counts as measured: not with a direction alone.

        Returns:
            False where it is too far away, and was left alone.
        """
        surprise = position - self._state[:3]
        expected = self._covariance[:3, :3] + covariance
        if surprise @ np.linalg.solve(expected, surprise) > self._config.gate**2:
            return False
        gain = np.linalg.solve(expected, self._covariance[:3]).T
        self._state = self._state + gain @ surprise
        # Joseph's form stays symmetric and positive.
        rest = np.eye(6) - np.hstack([gain, np.zeros((6, 3))])
        self._covariance = rest @ self._covariance @ rest.T + gain @ covariance @ gain.T
        if measured:
            self.measured_ns = self._stamp_ns
        return True
