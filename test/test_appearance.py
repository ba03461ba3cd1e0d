# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Colours of targets."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from siammask_ros.anchors import AnchorPosition
from siammask_ros.appearance import Appearance, look_at
from siammask_ros.geometry import Box, RotatedBox
from siammask_ros.masks import ImageRegion
from siammask_ros.tracker_state import TrackResult


def in_mask(mask: np.ndarray, *, at: tuple[int, int] = (0, 0)) -> TrackResult:
    """A result with this mask in a region whose left and top are `at`, of a 400x300 image."""
    box = Box(0.0, 0.0, 9.0, 9.0)
    return TrackResult(
        box=box,
        rotated_box=RotatedBox.from_box(box),
        has_mask_box=False,
        confidence=1.0,
        mask_roi=ImageRegion(*at, mask.shape[1], mask.shape[0]),
        probability_in_roi=mask.astype(np.float32),
        mask_in_roi=mask,
        image_size_wh=(400, 300),
        anchor_index=0,
        anchor_position=AnchorPosition(0, 0, 0),
    )


def flat(hue: int, saturation: int = 200, value: int = 180) -> np.ndarray:
    hsv = np.full((300, 400, 3), (hue, saturation, value), np.uint8)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR))


SQUARE = in_mask(np.ones((20, 20), bool))


def similarity(first: np.ndarray, second: np.ndarray) -> float:
    """How like the first image's target the second's is."""
    looks = look_at(first, SQUARE)
    assert looks is not None
    again = look_at(second, SQUARE, Appearance.first_seen(looks))
    assert again is not None
    return again.similarity


def noise(seed: int, *, blurred: int = 1) -> np.ndarray:
    image = np.random.default_rng(seed).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    return np.asarray(cv2.blur(image, (blurred, blurred)))


def test_a_histogram_adds_up_to_one() -> None:
    look = look_at(noise(0), SQUARE)
    assert look is not None
    assert look.histogram.sum() == pytest.approx(1, abs=1e-5)
    assert look.histogram.min() >= 0


def test_equal_colors_are_alike_and_others_are_not() -> None:
    assert similarity(flat(100), flat(100)) == pytest.approx(1, abs=1e-6)
    assert similarity(flat(100), flat(30)) < 0.05


@pytest.mark.parametrize("gain", [0.4, 0.7, 1.3])
def test_light_changes_little(gain: float) -> None:
    image = noise(1, blurred=5) // 2 + 10
    darker = np.asarray(cv2.convertScaleAbs(image, alpha=gain))
    assert similarity(image, darker) > 0.95


def test_bright_on_dark_is_not_dark_on_bright_in_grey() -> None:
    image = np.full((300, 400, 3), 40, np.uint8)
    image[:20, :4] = 220
    assert similarity(image, np.asarray(255 - image)) < 0.8


def test_a_slightly_other_color_is_similar_wherever_bins_end() -> None:
    shades = [np.full((300, 400, 3), (120, 120, 100 + red), np.uint8) for red in range(60)]
    alike = [similarity(*pair) for pair in itertools.pairwise(shades)]
    assert min(alike) > 0.7  # else a plain colour between two bins would be another one
    assert min(alike) < 0.99


def test_only_the_pixels_in_the_mask_count() -> None:
    image = flat(100)
    image[60:80, 50:70] = flat(20)[0, 0]
    inside = look_at(image, in_mask(np.ones((20, 20), bool), at=(50, 60)))
    ring = np.ones((40, 40), bool)
    ring[10:30, 10:30] = False
    outside = look_at(image, in_mask(ring, at=(40, 50)))
    assert inside is not None
    assert outside is not None
    assert Appearance.first_seen(inside).likeness(outside.histogram) < 0.05


def test_a_large_mask_is_looked_at_in_part() -> None:
    image = noise(0, blurred=9)
    large = look_at(image, in_mask(np.ones((300, 400), bool)))
    parts = [
        look_at(image, in_mask(np.ones((60, 60), bool), at=(x, y)))
        for x in range(0, 360, 60)
        for y in range(0, 300, 60)
    ]
    assert large is not None
    mean = np.mean([part.histogram for part in parts if part is not None], axis=0)
    assert Appearance.first_seen(large).likeness(mean) > 0.99


def test_a_few_pixels_say_nothing() -> None:
    assert look_at(flat(3), in_mask(np.ones((4, 4), bool))) is None
    assert look_at(flat(3), in_mask(np.zeros((40, 40), bool))) is None


def test_a_frame_is_judged_by_what_is_usual() -> None:
    small = in_mask(np.ones((6, 6), bool))  # so few pixels of noise differ from frame to frame
    first = look_at(noise(0), small)
    assert first is not None
    appearance = Appearance.first_seen(first)
    for seed in range(1, 60):
        look = look_at(noise(seed), small, appearance)
        assert look is not None
        appearance = appearance.learned(look, 0.1)
    assert appearance.usual_similarity < 0.9
    assert look.similarity < 0.9
    assert look.relative_similarity == pytest.approx(1, abs=0.15)


def test_the_first_frames_count_alike() -> None:
    looks = [look_at(flat(hue), SQUARE) for hue in (0, 60, 120)]
    assert all(looks)
    appearance = Appearance.first_seen(looks[0])
    for look in looks[1:]:
        appearance = appearance.learned(look, 0.0)
    mean = np.mean([look.histogram for look in looks], axis=0)
    np.testing.assert_allclose(appearance.histogram, mean, atol=1e-6)


def test_the_first_look_is_not_forgotten() -> None:
    first, later = look_at(flat(0), SQUARE), look_at(flat(90), SQUARE)
    assert first is not None
    assert later is not None
    appearance = Appearance.first_seen(first)
    for look in [first] * 4 + [later] * 40:
        appearance = appearance.learned(look, 0.2)
    assert appearance.likeness(first.histogram) == pytest.approx(1, abs=1e-3)
    assert appearance.likeness(later.histogram) > 0.99
    assert appearance.brightness == pytest.approx(first.brightness)
