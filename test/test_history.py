# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The course of targets over a run."""

from __future__ import annotations

import math

import pytest
from made_run import FPS, run

from siammask_ros.history import History, StateSpan, state_spans
from siammask_ros.target_status import TargetStatus

INITIALIZING, TRACKING, UNCERTAIN, LOST = TargetStatus


def history_of(*scripts, **options):
    history = History()
    for tracked in run(*scripts, **options):
        history.add(tracked)
    return history


def test_changes_are_those_of_the_states():
    history = history_of("ITTULLTT ", "  ITTTTLI", labels=["car", ""])
    told = [(c.frame, c.target_id, c.before, c.after) for c in history.changes]
    assert told == [
        (0, 1, None, INITIALIZING),
        (1, 1, INITIALIZING, TRACKING),
        (2, 2, None, INITIALIZING),
        (3, 1, TRACKING, UNCERTAIN),
        (3, 2, INITIALIZING, TRACKING),
        (4, 1, UNCERTAIN, LOST),
        (6, 1, LOST, TRACKING),
        (7, 2, TRACKING, LOST),
        (8, 1, TRACKING, None),
        (8, 2, LOST, INITIALIZING),
    ]
    assert [c.frame for c in history.changes if c.is_loss] == [4, 7]
    assert [c.frame for c in history.changes if c.is_return] == [6, 8]
    words = [f"{c.name} {c.words}" for c in history.changes]
    assert words[0] == "car given"
    assert words[5:] == [
        "car lost", "car found again", "#2 lost", "car removed", "#2 given again",
    ]  # fmt: skip
    assert history.changes[4].time_s == 3 / FPS


def test_summary_counts_frames_after_the_given_one():
    first, second = history_of("ITTULLTT", "   I", labels=["car"]).summaries()
    assert (first.target_id, first.label, first.frames) == (1, "car", 7)
    assert first.tracked_share == pytest.approx(4 / 7)
    assert first.uncertain_share == pytest.approx(1 / 7)
    assert first.lost_share == pytest.approx(2 / 7)
    assert (first.losses, first.returns) == (1, 1)
    assert first.median_confidence == pytest.approx(3 / 8)  # of frames 1, 2, 3, 6 and 7
    assert second.frames == 0
    assert math.isnan(second.tracked_share)
    assert math.isnan(second.median_confidence)


def test_courses_keep_what_was_found():
    course = history_of("ITLT").courses[1]
    assert list(course.orders) == [0, 1, 2, 3]
    assert list(course.times_s) == [0, 1 / FPS, 2 / FPS, 3 / FPS]
    assert math.isnan(course.confidences[0])
    assert list(course.confidences)[1:] == [0.25, 0.5, 0.75]
    assert course.centers_x[1] == 1 + 10
    assert course.centers_y[1] == 14
    assert (course.widths[3], course.heights[3]) == (10, 20)
    assert course.angles[3] == pytest.approx(0.03)
    for column in (
        course.centers_x,
        course.centers_y,
        course.widths,
        course.heights,
        course.angles,
    ):
        assert [math.isnan(value) for value in column] == [True, False, True, False]


def test_spans_end_where_the_target_is_not_there():
    course = history_of("ITT TLL").courses[1]
    assert state_spans(course) == [
        StateSpan(0, 1, INITIALIZING),
        StateSpan(1, 3, TRACKING),
        StateSpan(3, 4, TRACKING),
        StateSpan(4, 6, LOST),
    ]


def test_a_run_without_targets_has_its_frames():
    history = history_of("   ")
    assert (history.frames, history.courses, history.changes) == (3, {}, [])
    assert history.summaries() == []
