# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a confidence is worth: how far it separates lost from fine, and what J goes with it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

FINE_FROM = 0.5
"""A frame counts as fine where J is at least this."""
LOST_BELOW = 0.1
"""A frame counts as lost where J is less than this."""
POOR_BELOW = 0.3
"""A wider notion of lost, with which there are more frames to judge by."""
CALIBRATION_BINS = 10


class Separation(NamedTuple):
    """How far the confidence tells the fine frames from those under a bound of J.

    Attributes:
        below: frames with J under this are the lost ones; those between it and `FINE_FROM` are
            neither.
        auc: area under the ROC curve: the chance that a fine frame has a higher confidence than a
            lost one, ties counted half. 0.5 says nothing; NaN where either kind is missing.
        fine_frames: how many fine frames there are.
        lost_frames: how many lost ones.
        fine_median: median confidence of the fine frames; NaN without any.
        lost_median: of the lost ones.
    """

    below: float
    auc: float
    fine_frames: int
    lost_frames: int
    fine_median: float
    lost_median: float


class CalibrationBin(NamedTuple):
    """The frames of one stretch of confidence.

    Attributes:
        lowest: the least confidence among them.
        highest: the greatest.
        frames: how many they are.
        confidence: their mean confidence.
        region_similarity: their mean J.
        lost_share: share of them with J under `LOST_BELOW`.
    """

    lowest: float
    highest: float
    frames: int
    confidence: float
    region_similarity: float
    lost_share: float


def separation(
    confidence: ArrayLike, region_similarity: ArrayLike, below: float = LOST_BELOW
) -> Separation:
    """Compare the confidences of fine frames with those of frames with J under `below`.

    Args:
        confidence: (N,) one a frame; frames where it is NaN are left out.
        region_similarity: (N,) J of the same frames.
        below: what counts as lost; at most `FINE_FROM`.

    Raises:
        ValueError: not one J for each confidence, or `below` above `FINE_FROM`.
    """
    if below > FINE_FROM:
        raise ValueError(f"frames are fine from J of {FINE_FROM}, so not lost below {below}")
    sure, similar = _known(confidence, region_similarity)
    fine, lost = sure[similar >= FINE_FROM], sure[similar < below]
    return Separation(
        below,
        separation_auc(fine, lost),
        fine.size,
        lost.size,
        float(np.median(fine)) if fine.size else math.nan,
        float(np.median(lost)) if lost.size else math.nan,
    )


def calibration(
    confidence: ArrayLike, region_similarity: ArrayLike, *, bins: int = CALIBRATION_BINS
) -> tuple[CalibrationBin, ...]:
    """Mean J of the frames by tenths (`bins`) of the confidence, the least sure first.

    The bins hold about the same number of frames each. Equal confidences stay together, so there
    may be fewer bins, of unequal size.

    Args:
        confidence: (N,) one a frame; frames where it is NaN are left out.
        region_similarity: (N,) J of the same frames.
        bins: how many at most.

    Raises:
        ValueError: not one J for each confidence, or no bin.
    """
    if bins < 1:
        raise ValueError(f"there must be at least 1 bin, got {bins}")
    sure, similar = _known(confidence, region_similarity)
    if sure.size == 0:
        return ()
    edges = np.unique(np.quantile(sure, np.arange(1, bins) / bins, method="lower"))
    # A value on an edge belongs to the bin below it.
    number = np.searchsorted(edges, sure, side="left")
    return tuple(_bin(sure[number == each], similar[number == each]) for each in np.unique(number))


def separation_auc(higher: ArrayLike, lower: ArrayLike) -> float:
    """Area under the ROC curve: how often a value of `higher` exceeds one of `lower`.

    Ties count half. NaNs are left out.

    Returns:
        0 to 1; 0.5 says nothing; NaN where either group is empty.
    """
    first, second = _finite(higher), _finite(lower)
    if first.size == 0 or second.size == 0:
        return math.nan
    below = np.searchsorted(np.sort(second), first, side="left")
    not_above = np.searchsorted(np.sort(second), first, side="right")
    return float((below + not_above).sum() / 2 / (first.size * second.size))


def _bin(sure: NDArray[np.float64], similar: NDArray[np.float64]) -> CalibrationBin:
    return CalibrationBin(
        float(sure.min()),
        float(sure.max()),
        sure.size,
        float(sure.mean()),
        float(similar.mean()),
        float((similar < LOST_BELOW).mean()),
    )


def _known(
    confidence: ArrayLike, region_similarity: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The frames with a confidence."""
    sure = np.asarray(confidence, np.float64).ravel()
    similar = np.asarray(region_similarity, np.float64).ravel()
    if sure.shape != similar.shape:
        raise ValueError(f"{sure.size} confidences for {similar.size} frames")
    known = np.isfinite(sure)
    return sure[known], similar[known]


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64).ravel()
    return array[np.isfinite(array)]
