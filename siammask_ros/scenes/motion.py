# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Smooth motion over time: random waves, and paths through keyframes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from siammask_ros.scenes.arrays import check_between

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_WAVES = 3
_TREMOR_HZ = (1.5, 5.0)
_DRIFT_PERIOD_S = (2.0, 8.0)


@dataclass(frozen=True)
class Waves:
    """Several signals, each a sum of sine waves; 0 on average.

    ``amplitudes``, ``frequencies`` (Hz) and ``phases`` (radians) have shape (signals, waves).
    """

    amplitudes: NDArray[np.float64]
    frequencies: NDArray[np.float64]
    phases: NDArray[np.float64]

    def __call__(self, seconds: float) -> NDArray[np.float64]:
        """Values at a time, shape (signals,)."""
        angle = 2 * np.pi * self.frequencies * seconds + self.phases
        return np.asarray((self.amplitudes * np.sin(angle)).sum(axis=1))

    @classmethod
    def random(
        cls, rng: np.random.Generator, count: int, *, peak: float, frequencies: tuple[float, float]
    ) -> Waves:
        """``count`` signals within +-``peak``, frequencies (Hz) from a range."""
        shape = (count, _WAVES)
        shares = rng.dirichlet(np.ones(_WAVES), count)
        return cls(
            shares * peak, rng.uniform(*frequencies, shape), rng.uniform(0.0, 2 * np.pi, shape)
        )

    @classmethod
    def drift(
        cls, rng: np.random.Generator, count: int, *, peak: float, speed: float = np.inf
    ) -> Waves:
        """Slow signals within +-``peak`` that change by at most ``speed`` a second."""
        slow, fast = 1.0 / _DRIFT_PERIOD_S[1], 1.0 / _DRIFT_PERIOD_S[0]
        waves = cls.random(rng, count, peak=peak, frequencies=(slow, fast))
        fastest = (2 * np.pi * waves.frequencies * waves.amplitudes).sum(axis=1, keepdims=True)
        slower = np.minimum(1.0, speed / np.maximum(fastest, 1e-9))
        return cls(waves.amplitudes, waves.frequencies * slower, waves.phases)

    @classmethod
    def tremor(cls, rng: np.random.Generator, count: int, *, peak: float) -> Waves:
        """Quick small signals within +-``peak``: a camera held by hand."""
        return cls.random(rng, count, peak=peak, frequencies=_TREMOR_HZ)


class Keyframe(NamedTuple):
    """Where an actor is at a time.

    Attributes:
        time: share of the sequence's duration, 0 to 1.
        x: centre, as a share of the image's width; outside 0..1 is off screen.
        y: centre, as a share of the image's height.
        size: factor on the actor's own size.
        angle: in-plane rotation, radians, clockwise on screen.
    """

    time: float
    x: float
    y: float
    size: float = 1.0
    angle: float = 0.0


@dataclass(frozen=True)
class KeyframePath:
    """A smooth path through keyframes that does not overshoot them; at rest before and after."""

    keyframes: tuple[Keyframe, ...]

    def __post_init__(self) -> None:
        times = [key.time for key in self.keyframes]
        if not times or any(later <= earlier for earlier, later in pairwise(times)):
            raise ValueError(f"keyframe times must rise, got {times}")
        for key in self.keyframes:
            check_between("keyframe time", key.time, 0.0, 1.0)
            check_between("keyframe size", key.size, 0.05, 20.0)
            if not np.isfinite(key).all():
                raise ValueError(f"keyframe must be finite, got {key}")

    def at(self, time: float) -> Keyframe:
        """Interpolated keyframe at a share of the duration."""
        times = np.array([key.time for key in self.keyframes])
        values = np.array([key[1:] for key in self.keyframes])
        now = float(np.clip(time, times[0], times[-1]))
        if len(times) == 1:
            x, y, size, angle = values[0]
        else:
            index = min(int(np.searchsorted(times, now, side="right")) - 1, len(times) - 2)
            slopes = _monotone_slopes(times, values)
            x, y, size, angle = _hermite(times, values, slopes, index, now)
        return Keyframe(time, float(x), float(y), float(size), float(angle))


def _monotone_slopes(
    times: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Slopes at the keys after Fritsch and Butland: harmonic means, 0 at turning points."""
    rise = np.diff(values, axis=0) / np.diff(times)[:, None]
    slopes = np.zeros_like(values)
    same_way = rise[:-1] * rise[1:] > 0
    total = np.where(same_way, rise[:-1] + rise[1:], 1.0)
    slopes[1:-1] = np.where(same_way, 2 * rise[:-1] * rise[1:] / total, 0.0)
    slopes[0], slopes[-1] = rise[0], rise[-1]
    return slopes


def _hermite(
    times: NDArray[np.float64],
    values: NDArray[np.float64],
    slopes: NDArray[np.float64],
    index: int,
    now: float,
) -> Sequence[float]:
    """Cubic between keys ``index`` and ``index + 1``."""
    span = times[index + 1] - times[index]
    t = (now - times[index]) / span
    start = (1 + 2 * t) * (1 - t) ** 2 * values[index] + t * (1 - t) ** 2 * span * slopes[index]
    end = t**2 * (3 - 2 * t) * values[index + 1] + t**2 * (t - 1) * span * slopes[index + 1]
    return [float(value) for value in start + end]
