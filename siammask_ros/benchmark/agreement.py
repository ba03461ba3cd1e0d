# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether two subjects decide the same on the same images, from the same states."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from siammask_ros.benchmark.subjects import Found, SubjectNames
    from siammask_ros.geometry import BoolArray


class Agreement(NamedTuple):
    """How far one subject's decisions are those of another with the same network.

    Attributes:
        subject, reference: who is compared.
        decisions: how many: targets in images, over all cases.
        same_anchor: how many of them chose the same anchor.
        center_px: largest distance of the centres where they did, in image pixels.
        size_px: largest difference of width or height there.
        least_mask_iou: of the masks there; NaN if there are none.
    """

    subject: SubjectNames
    reference: SubjectNames
    decisions: int
    same_anchor: int
    center_px: float
    size_px: float
    least_mask_iou: float


class _Pair(NamedTuple):
    """One decision of two subjects that chose the same anchor."""

    center_px: float
    size_px: float
    mask_iou: float


def agreement_of(
    subjects: Sequence[SubjectNames], images: Iterable[Mapping[SubjectNames, Sequence[Found]]]
) -> tuple[Agreement, ...]:
    """Compare each subject with the first one of its network.

    Args:
        subjects: in order.
        images: what each subject found in an image, by target; each is looked at once.
    """
    references = {
        subject: next(each for each in subjects if each.network == subject.network)
        for subject in subjects
    }
    compared = {subject: first for subject, first in references.items() if subject != first}
    decisions = dict.fromkeys(compared, 0)
    pairs: dict[SubjectNames, list[_Pair]] = {subject: [] for subject in compared}
    for found in images:
        for subject, reference in compared.items():
            for one, other in zip(found[subject], found[reference], strict=True):
                decisions[subject] += 1
                if one.anchor_index == other.anchor_index:
                    pairs[subject].append(_pair(one, other))
    return tuple(
        Agreement(
            subject,
            reference,
            decisions[subject],
            len(pairs[subject]),
            center_px=max((pair.center_px for pair in pairs[subject]), default=math.nan),
            size_px=max((pair.size_px for pair in pairs[subject]), default=math.nan),
            least_mask_iou=min((pair.mask_iou for pair in pairs[subject]), default=math.nan),
        )
        for subject, reference in compared.items()
    )


def _pair(one: Found, other: Found) -> _Pair:
    return _Pair(
        math.dist(one.center_xy, other.center_xy),
        max(abs(a - b) for a, b in zip(one.size_wh, other.size_wh, strict=True)),
        math.nan if one.mask is None or other.mask is None else _iou(one.mask, other.mask),
    )


def _iou(one: BoolArray, other: BoolArray) -> float:
    union = int(np.count_nonzero(one | other))
    return int(np.count_nonzero(one & other)) / union if union else 1.0
