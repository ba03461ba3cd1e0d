# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""J and F: closed formulas, and what vos-benchmark says of the same masks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from siammask_ros.evaluation import (
    LabelledFrame,
    contour_accuracy,
    evaluate_sequence,
    measure_statistics,
    region_similarity,
)
from siammask_ros.evaluation.plain_results import MaskResult

HEIGHT, WIDTH = 120, 160
RADIUS = 2  # ceil(0.008 * 200)
BOX_WIDTH, BOX_HEIGHT = 40, 30


def rectangle(left, top=40, width=BOX_WIDTH, height=BOX_HEIGHT, shape=(HEIGHT, WIDTH)):
    mask = np.zeros(shape, bool)
    mask[max(top, 0) : top + height, max(left, 0) : left + width] = True
    return mask


def shifted_region(shift):
    return (BOX_WIDTH - shift) / (BOX_WIDTH + shift)


def shifted_contour(shift):
    """F of a rectangle moved sideways.

    A contour has 2 (w + h) pixels, w + 1 of them above and below. Of these, the shift leaves all
    but shift - r within the disk; of the sides, the r pixels next to the other's edges.
    """
    if shift <= RADIUS:
        return 1.0
    return (BOX_WIDTH + 1 - shift + 2 * RADIUS) / (BOX_WIDTH + BOX_HEIGHT)


@pytest.mark.parametrize("shift", [0, 1, 2, 3, 7, 20, 35])
@pytest.mark.parametrize("way", [1, -1])
def test_a_shifted_rectangle_scores_what_the_formula_says(shift, way):
    truth, moved = rectangle(60), rectangle(60 + way * shift)
    assert region_similarity(moved, truth) == pytest.approx(shifted_region(shift))
    assert contour_accuracy(moved, truth) == pytest.approx(shifted_contour(shift))
    turned = contour_accuracy(moved.T, truth.T)
    assert turned == pytest.approx(shifted_contour(shift))


def test_contours_of_nothing_and_of_everything():
    empty, full = np.zeros((HEIGHT, WIDTH), bool), np.ones((HEIGHT, WIDTH), bool)
    some = rectangle(60)
    assert contour_accuracy(empty, empty) == 1.0
    assert contour_accuracy(empty, some) == contour_accuracy(some, empty) == 0.0
    # The image's edge is no contour.
    assert contour_accuracy(full, empty) == contour_accuracy(full, full) == 1.0
    assert contour_accuracy(full, some) == 0.0
    assert contour_accuracy(some, rectangle(5, 5, 10, 10)) == 0.0
    with pytest.raises(ValueError, match=r"\(120, 160\) and \(120, 159\)"):
        contour_accuracy(some, some[:, :-1])


def test_tolerance_is_a_share_of_the_diagonal():
    truth, moved = rectangle(60), rectangle(64)
    assert contour_accuracy(moved, truth) < 1
    assert contour_accuracy(moved, truth, tolerance=3.5 / 200) == 1.0
    wide, moved_wide = (np.kron(mask, np.ones((2, 2))) > 0 for mask in (truth, moved))
    assert contour_accuracy(moved_wide, wide, tolerance=7.5 / 400) == 1.0
    assert contour_accuracy(moved_wide, wide, tolerance=6.5 / 400) < 1


def test_recall_and_decay_by_hand():
    rising = np.arange(9) / 10
    # Quarters 0-2, 2-4, 4-6 and 6-8; above 0.5 are 0.6, 0.7 and 0.8.
    assert measure_statistics(rising) == pytest.approx((0.4, 3 / 9, 0.1 - 0.7))
    # Quarters 0-2, 2-5, 5-7, 7-9.
    assert measure_statistics(np.arange(10) / 10).decay == pytest.approx(0.1 - 0.8)
    # Quarters end at 1, 20.25, 39.5, 58.75 and 78, counted from one.
    falling = np.linspace(1, 0, 78)
    expected = falling[0:20].mean() - falling[58:78].mean()
    assert measure_statistics(falling).decay == pytest.approx(expected)
    long = np.linspace(1, 0, 401)
    assert measure_statistics(long).decay == pytest.approx(long[:101].mean() - long[300:].mean())
    assert measure_statistics([0.5]) == (0.5, 0.0, 0.0)
    assert all(math.isnan(value) for value in measure_statistics([]))


@dataclass(frozen=True)
class Rectangle:
    """A rectangle that moves up a pixel a frame."""

    name: str = "rectangle"
    frames: int = 11

    def __len__(self):
        return self.frames

    def frame(self, index):
        return LabelledFrame(np.zeros((HEIGHT, WIDTH, 3), np.uint8), rectangle(60, 40 - index))


@dataclass(frozen=True)
class Shifted:
    """Says the rectangle is further right, by a number of pixels and by more in every frame."""

    shift: int
    drift: int = 0

    def initialize(self, image_bgr, box_xywh):
        return 0

    def track(self, image_bgr, state):
        frame = state + 1
        return frame, MaskResult(rectangle(60 + self.shift + self.drift * frame, 40 - frame))


@pytest.mark.parametrize("shift", [0, 2, 5, 12, 20])
def test_a_constant_shift_does_not_decay(shift):
    score = evaluate_sequence(Rectangle(), lambda sequence: Shifted(shift))
    region, contour = shifted_region(shift), shifted_contour(shift)
    assert score.region == pytest.approx((region, float(region > 0.5), 0.0))
    assert score.contour == pytest.approx((contour, float(contour > 0.5), 0.0))


def test_a_drift_decays_as_the_formula_says():
    score = evaluate_sequence(Rectangle(), lambda sequence: Shifted(0, 2))
    # Frames 1 to 9 count; their quarters are 1-3 and 7-9.
    regions = [shifted_region(2 * frame) for frame in range(10)]
    contours = [shifted_contour(2 * frame) for frame in range(10)]
    for found, values in ((score.region, regions), (score.contour, contours)):
        assert found.mean == pytest.approx(np.mean(values[1:]))
        assert found.recall == pytest.approx(np.mean([value > 0.5 for value in values[1:]]))
        assert found.decay == pytest.approx(np.mean(values[1:4]) - np.mean(values[7:]))


def blobs(seed, shape, scale):
    """A random mask with holes and parts, some at the image's edge."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.standard_normal(shape).astype(np.float32), (0, 0), scale)
    return noise > np.quantile(noise, 0.7)


@pytest.mark.parametrize("shape", [(97, 131), (240, 427), (480, 854)])
def test_measures_equal_those_of_vos_benchmark(shape):
    evaluator = pytest.importorskip("vos_benchmark.evaluator")
    other = evaluator.Evaluator()
    ours = []
    for seed in range(6):
        truth = blobs(seed, shape, 9)
        predicted = np.roll(truth, (seed, -2 * seed), (0, 1)) ^ (blobs(seed + 50, shape, 3) & truth)
        other.feed_frame(predicted.astype(np.uint8), truth.astype(np.uint8))
        ours.append((region_similarity(predicted, truth), contour_accuracy(predicted, truth)))
    assert other.object_iou[1] == pytest.approx([region for region, _ in ours], abs=1e-12)
    assert other.boundary_f[1] == pytest.approx([contour for _, contour in ours], abs=1e-12)
