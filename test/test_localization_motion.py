# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The filter of constant velocity: against a batch solution, and its properties."""

from __future__ import annotations

import numpy as np
import pytest

from siammask_ros.localization.motion import FIRST_SPEED, Motion, MotionConfig

SECOND = 1_000_000_000
STEPS = np.cumsum([0.05, 0.03, 0.1, 0.05, 0.2, 0.04, 0.05, 0.07])


def batch(config, times, positions, covariance):
    """Position and velocity at the last time by weighted least squares over the whole course.

    Unknown are the first state and each step's acceleration; nothing recursive about it.
    """
    count = len(times) - 1
    unknowns = 6 + 3 * count
    state = np.zeros((6, unknowns))
    state[:, :6] = np.eye(6)
    unit = np.eye(3)
    rows, values, weights = [state[3:]], [np.zeros(3)], [unit / FIRST_SPEED**2]
    for number in range(count + 1):
        if number:
            step = times[number] - times[number - 1]
            transition = np.block([[unit, step * unit], [np.zeros((3, 3)), unit]])
            state = transition @ state
            cells = slice(6 + 3 * (number - 1), 6 + 3 * number)
            state[:3, cells] += step**2 / 2 * unit
            state[3:, cells] += step * unit
            chosen = np.zeros((3, unknowns))
            chosen[:, cells] = unit
            rows.append(chosen)
            values.append(np.zeros(3))
            weights.append(unit / config.acceleration**2)
        rows.append(state[:3].copy())
        values.append(positions[number])
        weights.append(np.linalg.inv(covariance))
    normal = sum(row.T @ weight @ row for row, weight in zip(rows, weights, strict=True))
    right = sum(r.T @ w @ v for r, w, v in zip(rows, weights, values, strict=True))
    return state @ np.linalg.solve(normal, right), state @ np.linalg.inv(normal) @ state.T


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_least_squares_solution(seed):
    draw = np.random.default_rng(seed)
    config = MotionConfig(acceleration=1.5, gate=100.0)
    mixing = draw.normal(size=(3, 3))
    covariance = 0.01 * (mixing @ mixing.T + np.eye(3))
    positions = [draw.normal(size=3) * 0.1 + [1.0 * time, 0.0, 2.0] for time in STEPS]
    motion = Motion(config, round(STEPS[0] * SECOND), positions[0], covariance)
    for time, position in zip(STEPS[1:], positions[1:], strict=True):
        motion.predict(round(time * SECOND))
        assert motion.correct(position, covariance, measured=True)
    state, spread = batch(config, STEPS, positions, covariance)
    assert np.concatenate([motion.position, motion.velocity]) == pytest.approx(state, abs=1e-6)
    assert motion.position_covariance == pytest.approx(spread[:3, :3], abs=1e-6)
    assert motion.velocity_covariance == pytest.approx(spread[3:, 3:], abs=1e-6)


def test_a_steady_walk_has_no_lag():
    velocity, start = np.array([0.8, -0.1, 0.4]), np.array([-2.0, 0.0, 3.0])
    motion = Motion(MotionConfig(), 0, start, np.eye(3) * 0.05**2)
    for frame in range(1, 200):
        motion.predict(frame * 40_000_000)
        motion.correct(start + velocity * frame * 0.04, np.eye(3) * 0.05**2, measured=True)
    assert motion.velocity == pytest.approx(velocity, abs=1e-3)
    assert motion.position == pytest.approx(start + velocity * 199 * 0.04, abs=1e-3)
    motion.predict(199 * 40_000_000 + SECOND // 2)
    assert motion.position == pytest.approx(start + velocity * (199 * 0.04 + 0.5), abs=2e-3)
    assert motion.measured_ns == 199 * 40_000_000


def test_what_is_too_far_away_changes_nothing():
    motion = Motion(MotionConfig(gate=5.0), 0, np.zeros(3), np.eye(3) * 0.1**2)
    motion.predict(1_000_000)
    before = (motion.position, motion.velocity, motion.position_covariance)
    assert not motion.correct(np.array([0.8, 0.0, 0.0]), np.eye(3) * 0.1**2, measured=True)
    for value, held in zip(
        (motion.position, motion.velocity, motion.position_covariance), before, strict=True
    ):
        assert np.array_equal(value, held)
    assert motion.measured_ns == 0
    assert motion.correct(np.array([0.6, 0.0, 0.0]), np.eye(3) * 0.1**2, measured=True)


def test_uncertainty_grows_while_nothing_is_measured_and_stays_positive():
    motion = Motion(MotionConfig(), 0, np.zeros(3), np.eye(3) * 1e-4)
    sizes = []
    for frame in range(1, 50):
        motion.predict(frame * 40_000_000)
        sizes.append(np.trace(motion.position_covariance))
        assert np.linalg.eigvalsh(motion.position_covariance).min() > 0
    assert sizes == sorted(sizes)
    motion.predict(0)  # an earlier time changes nothing
    assert np.trace(motion.position_covariance) == sizes[-1]
