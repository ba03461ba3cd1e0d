# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures of one frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from siammask_ros.geometry import Box, box_iou

if TYPE_CHECKING:
    from collections.abc import Sequence

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
