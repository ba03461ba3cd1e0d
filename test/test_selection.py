# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Drawing boxes with mouse and keys, without a window."""

from __future__ import annotations

import numpy as np
import pytest

from siammask_ros.geometry import Box
from siammask_ros.selection import (
    HELP,
    LARGEST_VIEW_WH,
    Command,
    LiveImage,
    MouseAction,
    Selection,
    draw_selection,
)

PRESS, MOVE, RELEASE = MouseAction.PRESS, MouseAction.MOVE, MouseAction.RELEASE
ENTER, ESCAPE = 13, 27


def live(stamp_ns=1, size_wh=(320, 240)):
    return LiveImage(np.full((size_wh[1], size_wh[0], 3), 90, np.uint8), stamp_ns)


@pytest.fixture
def selection():
    started = Selection()
    started.offer(live())
    return started


def drag(selection, *points):
    selection.mouse(PRESS, *points[0])
    for point in points[1:]:
        selection.mouse(MOVE, *point)
    selection.mouse(RELEASE, *points[-1])


@pytest.mark.parametrize("points", [[(30, 40), (90, 80)], [(90, 80), (50, 50), (30, 40)]])
def test_a_drag_in_any_direction_is_a_box(selection, points):
    drag(selection, *points)
    assert selection.box == Box(30, 40, 60, 40)
    assert selection.key(ENTER) is Command.SUBMIT


def test_a_drag_out_of_the_image_ends_at_its_border(selection):
    drag(selection, (300, 200), (500, -20))
    assert selection.box == Box(300, 0, 20, 200)


def test_the_picture_stands_still_while_a_box_is_drawn_and_until_it_is_answered(selection):
    assert selection.offer(live(2))
    selection.mouse(PRESS, 30, 40)
    assert not selection.offer(live(3))
    selection.mouse(MOVE, 80, 90)
    selection.mouse(RELEASE, 80, 90)
    assert not selection.offer(live(4))
    assert selection.live.stamp_ns == 2
    selection.answered(success=False, message="refused: too small")
    assert selection.box is not None
    assert selection.message == "refused: too small"
    selection.answered(success=True, message="tracking targets 1")
    assert selection.box is None
    assert selection.offer(live(5))
    assert selection.message == "tracking targets 1"


def test_f_freezes_the_picture_for_several_boxes(selection):
    selection.key(ord("f"))
    for _ in range(2):
        drag(selection, (30, 40), (80, 90))
        selection.answered(success=True, message="")
        assert not selection.offer(live(2))
    selection.key(ord("f"))
    assert selection.offer(live(3))


@pytest.mark.parametrize("key", [ESCAPE, ord("c")])
def test_a_box_is_cleared(selection, key):
    drag(selection, (30, 40), (80, 90))
    assert selection.key(key) is Command.NOTHING
    assert selection.box is None
    assert selection.offer(live(2))
    assert selection.key(ENTER) is Command.NOTHING
    assert selection.message == "draw a box first"


@pytest.mark.parametrize("key", [10, 13, ord(" ")])
def test_a_box_is_accepted(selection, key):
    drag(selection, (30, 40), (80, 90))
    assert selection.key(key) is Command.SUBMIT


def test_a_box_is_not_accepted_while_it_is_drawn(selection):
    selection.mouse(PRESS, 30, 40)
    selection.mouse(MOVE, 90, 90)
    assert selection.key(ENTER) is Command.NOTHING


def test_a_mere_click_is_no_box(selection):
    drag(selection, (30, 40), (32, 42))
    assert selection.box is None
    assert "at least 4x4 pixels" in selection.message


def test_other_keys(selection):
    assert selection.key(ord("q")) is Command.QUIT
    selection.key(ord("7"))
    assert selection.target_id == 7
    selection.key(ord("0"))
    assert selection.target_id == 0
    before = repr(selection)
    assert selection.key(ord("x")) is Command.NOTHING
    assert selection.key(255) is Command.NOTHING
    assert repr(selection) == before


def test_moving_without_a_button_draws_nothing(selection):
    selection.mouse(MOVE, 50, 50)
    selection.mouse(RELEASE, 60, 60)
    assert selection.box is None


def test_the_mouse_does_nothing_before_the_first_image():
    selection = Selection()
    drag(selection, (30, 40), (80, 90))
    assert selection.box is None
    assert selection.key(ENTER) is Command.NOTHING
    assert draw_selection(selection).shape[2] == 3


@pytest.mark.parametrize("size_wh", [(3840, 2160), (600, 4000)])
def test_large_images_are_shown_smaller_and_boxes_are_in_their_pixels(size_wh):
    selection = Selection()
    selection.offer(live(1, size_wh))
    view = draw_selection(selection)
    assert view.shape[1] <= LARGEST_VIEW_WH[0]
    scale = selection.view_scale
    drag(selection, (10, 20), (60, 120))
    assert selection.box.xywh == pytest.approx((10 / scale, 20 / scale, 50 / scale, 100 / scale))


def test_the_view_shows_the_box_the_message_and_the_help(selection):
    plain = draw_selection(selection)
    assert plain.shape[0] > 240
    drag(selection, (100, 100), (160, 140))
    with_box = draw_selection(selection)
    changed = np.argwhere((plain != with_box).any(axis=2))
    assert changed[:, 1].min() >= 98
    selection.message = "refused: no"
    assert (draw_selection(selection) != with_box).any()
    assert all(word in HELP for word in ("Enter", "Esc", "1-9", "q: quit", "freeze"))
    assert (selection.live.image_bgr == 90).all()


@pytest.mark.parametrize("has_image", [True, False])
def test_long_texts_are_broken_into_lines(selection, has_image):
    selection = selection if has_image else Selection()
    plain = draw_selection(selection)

    def rows_changed(notice, message):
        selection.notice, selection.message = notice, message
        view = draw_selection(selection)
        changed = np.argwhere((view != plain).any(axis=2))
        return np.ptp(changed[:, 0])

    short = rows_changed("", "refused")
    assert rows_changed("no image", "refused") > 1.5 * short
    assert rows_changed("", "refused: " + "the reason is long " * 12) > 2.5 * short
