# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures of one frame, and what DAVIS tells of those of a sequence.

J and F are those of Perazzi et al., CVPR 2016, section 5, with the conventions of the public
evaluators, so that the numbers are the same on the same masks.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from siammask_ros.geometry import Box, box_iou

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from siammask_ros.evaluation.protocol import Mask

CONTOUR_TOLERANCE = 0.008
"""How far contours may lie apart in F, as a share of the image's diagonal."""
RECALL_ABOVE = 0.5
DECAY_BINS = 4


def region_similarity(predicted: Mask, truth: Mask) -> float:
    """J of DAVIS: intersection over union of two masks (H, W) bool.

    Returns:
        0 to 1; 1 where both masks are empty.

    Raises:
        ValueError: the masks differ in shape.
    """
    _check_shapes(predicted, truth)
    union = int(np.count_nonzero(predicted | truth))
    if union == 0:
        return 1.0
    return int(np.count_nonzero(predicted & truth)) / union


def contour_accuracy(
    predicted: Mask, truth: Mask, *, tolerance: float = CONTOUR_TOLERANCE
) -> float:
    """F of DAVIS: how well the contours of two masks (H, W) bool agree.

    The harmonic mean of two shares: of the predicted contour that lies on the true one, and of
    the true that lies on the predicted; within a disk of `tolerance` image diagonals, in whole
    pixels, rounded up. The image's edge is no contour.

    Returns:
        0 to 1; 1 where neither mask has a contour, 0 where only one has.

    Raises:
        ValueError: the masks differ in shape.
    """
    _check_shapes(predicted, truth)
    left, top, width, height = cv2.boundingRect((predicted | truth).view(np.uint8))
    # A contour reaches one pixel beyond the masks; matches are counted on contours only.
    part = np.s_[max(top - 1, 0) : top + height + 1, max(left - 1, 0) : left + width + 1]
    contours = [_contour(mask[part]) for mask in (predicted, truth)]
    lengths = [int(np.count_nonzero(contour)) for contour in contours]
    if 0 in lengths:
        return float(lengths == [0, 0])
    disk = _disk(math.ceil(tolerance * math.hypot(*truth.shape)))
    precision, recall = (
        int(np.count_nonzero(contour & np.asarray(cv2.dilate(other, disk), np.uint8))) / length
        for contour, other, length in zip(contours, contours[::-1], lengths, strict=True)
    )
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _contour(mask: Mask) -> npt.NDArray[np.uint8]:
    """1 where a pixel differs from its right, lower or lower right neighbour.

    So contours are a pixel wide and lie half a pixel up and to the left (Martin et al., 2004).
    """
    pixels = np.ascontiguousarray(mask).view(np.uint8)
    grown = np.asarray(cv2.copyMakeBorder(pixels, 0, 1, 0, 1, cv2.BORDER_REPLICATE), dtype=np.uint8)
    here = grown[:-1, :-1]
    contour = here ^ grown[:-1, 1:]
    contour |= here ^ grown[1:, :-1]
    contour |= here ^ grown[1:, 1:]
    return contour


@lru_cache
def _disk(radius: int) -> npt.NDArray[np.uint8]:
    steps = np.arange(-radius, radius + 1)
    return np.asarray(steps[:, None] ** 2 + steps**2 <= radius**2, np.uint8)


def _check_shapes(predicted: Mask, truth: Mask) -> None:
    if predicted.shape != truth.shape:
        raise ValueError(f"masks differ in shape: {predicted.shape} and {truth.shape}")


class MeasureStatistics(NamedTuple):
    """What DAVIS tells of a measure over the frames of a target.

    Attributes:
        mean: of all frames.
        recall: share of frames above 0.5.
        decay: mean of the first quarter of the frames less that of the last; low is good.
    """

    mean: float
    recall: float
    decay: float


def measure_statistics(values: npt.ArrayLike) -> MeasureStatistics:
    """Mean, recall and decay of a measure's values, frame by frame in order.

    Neighbouring quarters share the frame at their border, as in the DAVIS toolkit. NaN of nothing.
    """
    numbers = np.asarray(values, np.float64)
    if numbers.size == 0:
        return MeasureStatistics(math.nan, math.nan, math.nan)
    # The toolkit rounds halves to even, and counts from one.
    borders = np.round(np.linspace(1, numbers.size, DECAY_BINS + 1) + 1e-10).astype(int) - 1
    first = numbers[borders[0] : borders[1] + 1]
    last = numbers[borders[-2] : borders[-1] + 1]
    return MeasureStatistics(
        float(numbers.mean()),
        float((numbers > RECALL_ABOVE).mean()),
        float(first.mean() - last.mean()),
    )


def mean_of_known(values: Iterable[float]) -> float:
    """Mean without NaNs; NaN of nothing."""
    kept = [value for value in values if not math.isnan(value)]
    return math.fsum(kept) / len(kept) if kept else math.nan


def box_overlap(predicted_xywh: Sequence[float], truth: Mask) -> float:
    """Intersection over union of a box and the smallest box around the true mask.

    Returns:
        0 to 1, or NaN where the true mask is empty.
    """
    true_box = Box.from_mask(truth)
    if true_box is None:
        return float("nan")
    return float(box_iou(Box(*predicted_xywh), true_box))
