# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The learning rate's course."""

from __future__ import annotations

import math

from siammask_ros.training.config import RatePhase, TrainingConfig


def learning_rate(step: int, config: TrainingConfig) -> float:
    """The learning rate of a step, counted from 0.

    Phases follow each other, each beginning at the step nearest to its first epoch's start.
    After the last one its last rate stays.
    """
    rate, start, epochs = 0.0, 0, 0.0
    for phase in config.schedule:
        epochs += phase.epochs
        steps = round(epochs * config.steps_per_epoch) - start
        if steps > 0:
            rate = _rate_in(phase, min(step - start, steps - 1), steps, config.steps_per_epoch)
        if step < start + steps:
            break
        start += steps
    return rate


def _rate_in(phase: RatePhase, index: int, count: int, steps_per_epoch: int) -> float:
    """The rate at the step `index` of the `count` that a phase has."""
    if phase.by_epoch:
        index //= steps_per_epoch
        count = math.ceil(count / steps_per_epoch)
    progress = index / max(count - 1 if phase.reaches_end else count, 1)
    if phase.shape == "logarithmic":
        ratio: float = (phase.end / phase.start) ** progress
        return phase.start * ratio
    if phase.shape == "cosine":
        progress = 0.5 - 0.5 * math.cos(math.pi * progress)
    return phase.start + (phase.end - phase.start) * progress
