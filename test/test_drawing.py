# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Overlay and contact sheet: what is drawn, where, and what is left alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from siammask_ros.drawing import (
    SHEET_BACKGROUND,
    SHEET_CAPTION_HEIGHT,
    SHEET_GAP,
    OverlayItem,
    SheetSection,
    contact_sheet,
    draw_overlay,
    evenly_spaced,
    fitted_text,
    target_colour,
)

HEIGHT, WIDTH = 120, 160
INITIALIZING, TRACKING, UNCERTAIN, LOST = range(4)


def plain_image() -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), 90, np.uint8)


def square_mask() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[60:100, 70:120] = True
    return mask


def test_input_is_left_alone_and_out_is_used():
    image = plain_image()
    image.setflags(write=False)
    item = OverlayItem(target_id=1, mask=square_mask())
    drawn = draw_overlay(image, [item])
    assert (image == 90).all()
    assert (drawn != image).any()
    out = np.zeros_like(image)
    assert draw_overlay(image, [item], out=out) is out
    np.testing.assert_array_equal(out, drawn)


def test_no_target_changes_nothing():
    np.testing.assert_array_equal(draw_overlay(plain_image(), []), plain_image())


def test_mask_is_tinted_toward_the_targets_colour():
    drawn = draw_overlay(plain_image(), [OverlayItem(target_id=3, mask=square_mask())])
    centre = drawn[80, 95].astype(float)
    colour = np.array(target_colour(3), float)
    share = (centre - 90) / (colour - 90)
    np.testing.assert_allclose(share, share[0], atol=0.03)
    assert 0.2 < share[0] < 0.8
    assert (drawn[20, 20] == 90).all()


def test_region_draws_what_the_whole_mask_draws():
    mask = square_mask()
    whole = draw_overlay(plain_image(), [OverlayItem(target_id=1, mask=mask)])
    part = OverlayItem(target_id=1, mask=mask[50:110, 60:130], mask_roi=(60, 50, 70, 60))
    np.testing.assert_array_equal(draw_overlay(plain_image(), [part]), whole)


@pytest.mark.parametrize("roi", [(-20, -10, 60, 40), (140, 100, 60, 40), (500, 500, 60, 40)])
def test_region_over_the_border_is_cut(roi):
    mask = np.ones((40, 60), bool)
    drawn = draw_overlay(plain_image(), [OverlayItem(target_id=1, mask=mask, mask_roi=roi)])
    inside_x, inside_y = max(roi[0], 0), max(roi[1], 0)
    if inside_x < WIDTH:
        assert (drawn[inside_y + 1, inside_x + 1] != 90).any()


def test_uncertain_is_paler_than_tracking_and_lost_has_no_tint():
    def distance(state: int) -> float:
        item = OverlayItem(target_id=1, state=state, mask=square_mask())
        return float(np.abs(draw_overlay(plain_image(), [item])[80, 95].astype(int) - 90).sum())

    assert distance(TRACKING) > distance(UNCERTAIN) > 0
    assert distance(LOST) == 0


def test_box_is_drawn_on_its_sides_and_dashed_when_uncertain():
    corners = np.array([[40, 40], [120, 40], [120, 100], [40, 100]], float)

    def coloured_on_left_side(state: int) -> float:
        item = OverlayItem(target_id=1, state=state, corners=corners)
        drawn = draw_overlay(plain_image(), [item])
        side = drawn[45:95, 40].astype(int) - np.array(target_colour(1))
        return float((np.abs(side).sum(axis=1) < 120).mean())

    assert coloured_on_left_side(TRACKING) > 0.95
    assert 0.2 < coloured_on_left_side(UNCERTAIN) < 0.9
    assert coloured_on_left_side(LOST) == 0


def test_lost_target_is_listed_at_the_bottom():
    item = OverlayItem(target_id=1, state=LOST, label="dog", age=5)
    changed = (draw_overlay(plain_image(), [item]) != 90).any(axis=2)
    rows = np.flatnonzero(changed.any(axis=1))
    assert rows.min() > HEIGHT // 2
    assert changed[:, 0:10].any()


def test_two_lost_targets_do_not_cover_each_other():
    one = draw_overlay(plain_image(), [OverlayItem(target_id=1, state=LOST)])
    two = draw_overlay(
        plain_image(), [OverlayItem(target_id=1, state=LOST), OverlayItem(target_id=2, state=LOST)]
    )
    first = (one != 90).any(axis=2)
    np.testing.assert_array_equal(two[first], one[first])
    assert (two != one).any()


@pytest.mark.parametrize("corner", [(-500.0, -500.0), (900.0, 900.0), (np.nan, 3.0), (1e12, 0.0)])
def test_box_far_outside_does_no_harm(corner):
    corners = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], float) + np.array(corner)
    draw_overlay(plain_image(), [OverlayItem(target_id=1, corners=corners, label="far")])


def test_any_label_can_be_drawn():
    for label in ("", "männchen 犬", "x" * 300, "two\nlines", "100%"):
        draw_overlay(plain_image(), [OverlayItem(target_id=1, label=label)])


def test_tiny_image():
    draw_overlay(np.zeros((4, 4, 3), np.uint8), [OverlayItem(target_id=255, confidence=0.5)])


def test_neighbouring_ids_have_distinct_colours():
    colours = [np.array(target_colour(i), float) for i in range(1, 9)]
    for first, second in itertools.combinations(colours, 2):
        assert np.abs(first - second).sum() > 60
    assert target_colour(7) == target_colour(7)


@pytest.mark.parametrize(
    ("image", "item", "message"),
    [
        (np.zeros((4, 4), np.uint8), OverlayItem(1), r"\(4, 4\)"),
        (np.zeros((4, 4, 3), np.float32), OverlayItem(1), "float32"),
        (plain_image(), OverlayItem(1, state=9), "state 9"),
        (plain_image(), OverlayItem(1, mask=np.ones((3, 3), bool)), r"\(3, 3\)"),
        (plain_image(), OverlayItem(1, corners=np.zeros((3, 2))), r"\(3, 2\)"),
    ],
)
def test_bad_input_is_named(image, item, message):
    with pytest.raises(ValueError, match=message):
        draw_overlay(image, [item])


def test_contact_sheet_holds_every_frame():
    frames = [np.full((30, 60, 3), level, np.uint8) for level in (50, 100, 150, 200, 250)]
    captions = [f"frame {i}" for i in range(5)]
    sheet = contact_sheet([SheetSection("run", frames, captions)], columns=3, cell_width=60)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] >= 3 * 60
    for level in (50, 100, 150, 200, 250):
        assert (sheet == level).all(axis=2).sum() >= 30 * 60


def test_contact_sheet_with_runs_of_different_shape():
    wide = SheetSection("wide", [np.full((20, 80, 3), 200, np.uint8)])
    tall = SheetSection("tall", [np.full((80, 20, 3), 100, np.uint8)] * 2, subtitle="a few words")
    sheet = contact_sheet([wide, tall], columns=2, cell_width=40)
    assert (sheet == 200).all(axis=2).sum() >= 40 * 10
    assert (sheet == 100).all(axis=2).sum() >= 2 * 40 * 160


def test_captions_stay_below_their_frames():
    frames = [np.full((30, 40, 3), 200, np.uint8)] * 2
    sheet = contact_sheet([SheetSection("run", frames, ["m" * 200, ""])], columns=2, cell_width=100)
    below_second = sheet[-SHEET_GAP - SHEET_CAPTION_HEIGHT : -SHEET_GAP, 2 * SHEET_GAP + 100 :]
    assert (below_second == SHEET_BACKGROUND).all()
    assert fitted_text("short", 0.42, 400) == "short"
    assert fitted_text("m" * 200, 0.42, 100).endswith("m...")
    assert fitted_text("word", 0.42, 0) == ""


def test_marks_are_drawn_round_their_frames():
    frames = [np.full((30, 40, 3), 200, np.uint8)] * 2
    section = SheetSection("run", frames, marks=[None, (10, 20, 250)])
    sheet = contact_sheet([section], columns=2, cell_width=100)
    marked = (sheet == (10, 20, 250)).all(axis=2)
    assert not marked[:, : SHEET_GAP + 100].any()
    rows, columns = np.nonzero(marked)
    assert (columns.min(), columns.max()) == (2 * SHEET_GAP + 100, 2 * SHEET_GAP + 199)
    assert rows.max() - rows.min() == 74
    with pytest.raises(ValueError, match="1 marks for 2 frames of 'run'"):
        contact_sheet([SheetSection("run", frames, marks=[None])])


def test_contact_sheet_refuses_nothing_and_wrong_captions():
    with pytest.raises(ValueError, match="at least one frame"):
        contact_sheet([SheetSection("empty", [])])
    with pytest.raises(ValueError, match="2 captions for 1"):
        contact_sheet([SheetSection("run", [np.zeros((4, 4, 3), np.uint8)], ["a", "b"])])


@pytest.mark.parametrize(
    ("count", "wanted", "expected"),
    [
        (10, 4, [0, 3, 6, 9]),
        (3, 8, [0, 1, 2]),
        (1, 5, [0]),
        (5, 1, [0]),
        (0, 4, []),
        (4, 0, []),
    ],
)
def test_evenly_spaced(count, wanted, expected):
    assert evenly_spaced(count, wanted) == expected
