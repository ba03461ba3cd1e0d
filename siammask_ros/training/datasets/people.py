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
    if all(is_person) or not any(is_person):
        return []
    joined = []
    boxes = [_grown_box(mask) for mask in masks]
    areas = [int(np.count_nonzero(mask)) for mask in masks]
    for person, thing in itertools.product(range(len(masks)), repeat=2):
        smaller = min(areas[person], areas[thing])
        if not is_person[person] or is_person[thing] or smaller < _MIN_AREA:
            continue
        if _overlap(boxes[person], boxes[thing]):
            touching = _touching(masks[person], masks[thing], boxes[thing])
            if touching > _MIN_TOUCHING_SHARE * smaller:
                joined.append((person, thing))
    return joined


def _grown_box(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """First and end row, first and end column of a mask, within reach of it."""
    columns, rows = (np.flatnonzero(mask.any(axis=axis)) for axis in (0, 1))
    if columns.size == 0:
        return 0, 0, 0, 0
    reach = _REACH.shape[0] // 2
    return (
        max(int(rows[0]) - reach, 0),
        int(rows[-1]) + 1 + reach,
        max(int(columns[0]) - reach, 0),
        int(columns[-1]) + 1 + reach,
    )


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    rows = max(one[0], other[0]) < min(one[1], other[1])
    return rows and max(one[2], other[2]) < min(one[3], other[3])


def _touching(
    person: npt.NDArray[np.bool_],
    thing: npt.NDArray[np.bool_],
    box: tuple[int, int, int, int],
) -> int:
    """Number of the person's pixels within reach of the thing, whose grown box is given."""
    region = np.s_[box[0] : box[1], box[2] : box[3]]
    grown = cv2.dilate(thing[region].astype(np.uint8), _REACH) > 0
    return int(np.count_nonzero(person[region] & grown))
