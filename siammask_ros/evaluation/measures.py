# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures of one frame, and of how well a confidence tells lost from found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from siammask_ros.geometry import Box, box_iou

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from siammask_ros.evaluation.protocol import Mask


def region_similarity(predicted: Mask, truth: Mask) -> float:
    """J of DAVIS (Perazzi et al., CVPR 2016, section 5): intersection over union of two masks.

    Returns:
        0 to 1; 1 where both masks are empty.

    Raises:
        ValueError: the masks differ in shape.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"masks differ in shape: {predicted.shape} and {truth.shape}")
    union = int(np.count_nonzero(predicted | truth))
    if union == 0:
        return 1.0
    return int(np.count_nonzero(predicted & truth)) / union


def box_overlap(predicted_xywh: Sequence[float], truth: Mask) -> float:
    """Intersection over union of a box and the smallest box around the true mask.

    Returns:
        0 to 1, or NaN where the true mask is empty.
    """
    true_box = Box.from_mask(truth)
    if true_box is None:
        return float("nan")
    return float(box_iou(Box(*predicted_xywh), true_box))


def separation_auc(higher: ArrayLike, lower: ArrayLike) -> float:
    """Area under the ROC curve: how often a value of `higher` exceeds one of `lower`.

    Ties count half. NaNs are left out.

    Returns:
        0 to 1; 0.5 says nothing; NaN where either group is empty.
    """
    first, second = _finite(higher), _finite(lower)
    if first.size == 0 or second.size == 0:
        return float("nan")
    below = np.searchsorted(np.sort(second), first, side="left")
    not_above = np.searchsorted(np.sort(second), first, side="right")
    return float((below + not_above).sum() / 2 / (first.size * second.size))


def _finite(values: ArrayLike) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    array = np.asarray(values, np.float64).ravel()
    return array[np.isfinite(array)]
