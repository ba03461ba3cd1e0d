# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Drawn targets and backgrounds for training: no data set, no terms of use."""

from __future__ import annotations

import numpy as np

from siammask_ros.scenes import Sprite, random_backdrop, random_sprite
from siammask_ros.training.sources import MaskedTarget, masked_target
from siammask_ros.training.warp import Uint8Array

BACKGROUND_SIDE = 320
MIN_SIDE = 24


class SceneTargets:
    """Sprites and backdrops of `siammask_ros.scenes` as a `TargetSource`."""

    def pair(self, rng: np.random.Generator) -> tuple[MaskedTarget, MaskedTarget]:
        """Return one sprite in two poses."""
        while True:
            sprite = random_sprite(rng)
            first, second = _posed(rng, sprite), _posed(rng, sprite)
            if first is not None and second is not None:
                return first, second

    def background(self, rng: np.random.Generator) -> Uint8Array:
        """Return a 320x320 backdrop."""
        return random_backdrop(rng, (BACKGROUND_SIDE, BACKGROUND_SIDE))


def _posed(rng: np.random.Generator, sprite: Sprite) -> MaskedTarget | None:
    image, coverage = sprite.pose(rng.uniform(-1.0, 1.0, len(sprite.parts)))
    target = masked_target(image, coverage > 127)
    return None if target is None or min(target.size_wh) < MIN_SIDE else target
