# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Riders and their bicycles are one target in DAVIS, two in sets of labelled images."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

_MIN_AREA = 300
_MIN_TOUCHING_SHARE = 0.03
_REACH = np.ones((9, 9), np.uint8)


def touching_people(
    is_person: Sequence[bool], masks: Sequence[npt.NDArray[np.bool_]]
) -> list[tuple[int, int]]:
    """Return the indices of each person and thing that touch.

    Neither is tiny, and a few per cent of the smaller lie within 4 pixels of the other.

    Args:
        is_person: of each mask.
        masks: HxW bool.
    """
    joined = []
    grown = [cv2.dilate(mask.astype(np.uint8), _REACH) > 0 for mask in masks]
    for person, thing in itertools.product(range(len(masks)), repeat=2):
        if not is_person[person] or is_person[thing]:
            continue
        smaller = min(masks[person].sum(), masks[thing].sum())
        touching = (masks[person] & grown[thing]).sum()
        if smaller >= _MIN_AREA and touching > _MIN_TOUCHING_SHARE * smaller:
            joined.append((person, thing))
    return joined
