# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The learning rate's course against official numbers and plain formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from siammask_ros.training.config import RatePhase, TrainingConfig
from siammask_ros.training.schedule import learning_rate

STEPS_PER_EPOCH = 4


def course(*phases, epochs=None, steps_per_epoch=STEPS_PER_EPOCH):
    config = TrainingConfig(
        epochs=epochs or sum(phase.epochs for phase in phases),
        pairs_per_epoch=2 * steps_per_epoch,
        batch_size=2,
        schedule=phases,
    )
    return [learning_rate(step, config) for step in range(config.steps)]


def logarithmic(epochs, start, end, **settings):
    return RatePhase(epochs=epochs, start=start, end=end, shape="logarithmic", **settings)


def test_the_official_base_stage():
    rates = course(
        logarithmic(5, 0.001, 0.005, by_epoch=True, reaches_end=False),
        logarithmic(15, 0.005, 0.0025, by_epoch=True),
    )
    official = [0.001, 0.00138, 0.001904, 0.002627, 0.003624]  # facts 10.13
    by_epoch = np.reshape(rates, (20, STEPS_PER_EPOCH))
    assert (by_epoch == by_epoch[:, :1]).all()
    assert by_epoch[:5, 0].tolist() == pytest.approx(official, abs=5e-7)
    expected = np.logspace(math.log10(0.005), math.log10(0.0025), 15)
    np.testing.assert_allclose(by_epoch[5:, 0], expected)


def test_the_official_refiner_stage():
    rates = course(logarithmic(20, 0.01, 0.0025, by_epoch=True))
    expected = np.logspace(math.log10(0.01), math.log10(0.0025), 20)
    np.testing.assert_allclose(rates[::STEPS_PER_EPOCH], expected)


def test_a_warm_up_by_steps():
    warm_up = RatePhase(epochs=5, start=0.001, end=0.005, shape="linear", reaches_end=False)
    rates = course(warm_up, logarithmic(15, 0.005, 0.0005))
    np.testing.assert_allclose(rates[:20], 0.001 + 0.004 * np.arange(20) / 20)
    np.testing.assert_allclose(rates[20:], np.geomspace(0.005, 0.0005, 60))


def test_a_cosine_ends_at_its_end():
    rates = course(RatePhase(epochs=3, start=0.4, end=0.0, shape="cosine"))
    np.testing.assert_allclose(rates, 0.2 + 0.2 * np.cos(np.pi * np.arange(12) / 11), atol=1e-15)


def test_parts_of_epochs():
    rates = course(
        RatePhase(epochs=0.5, start=0.0, end=1.0, shape="linear"),
        RatePhase(epochs=0.0, start=9.0, end=9.0),
        RatePhase(epochs=1.75, start=1.0, end=1.0),
        RatePhase(epochs=0.25, start=0.5, end=0.5),
    )
    assert rates == [0.0, 1.0, *[1.0] * 7, 0.5]


def test_a_phase_of_one_step_has_its_start():
    assert course(RatePhase(epochs=1, start=1.0, end=2.0, shape="linear"), steps_per_epoch=1) == [1]


def test_part_of_the_last_epoch_by_epoch():
    rates = course(logarithmic(2.5, 0.4, 0.1, by_epoch=True))
    assert rates == pytest.approx([0.4] * 4 + [0.2] * 4 + [0.1] * 2)


def test_a_shorter_run_follows_the_same_course():
    phases = (logarithmic(5, 0.001, 0.005), logarithmic(15, 0.005, 0.0005))
    assert course(*phases, epochs=7) == course(*phases)[:28]


def test_after_the_last_phase_its_rate_stays():
    config = TrainingConfig(
        epochs=1,
        pairs_per_epoch=8,
        batch_size=2,
        schedule=(RatePhase(epochs=1, start=1.0, end=0.5, shape="linear"),),
    )
    assert learning_rate(99, config) == 0.5
