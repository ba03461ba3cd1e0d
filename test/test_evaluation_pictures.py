# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of the worst frames, charts and learning curves."""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np
import pytest
from moving_square import HEIGHT, WIDTH, MovingSquare, Scripted, run

from siammask_ros.evaluation import (
    Always,
    ChartLine,
    NeverMoves,
    SequenceGroup,
    draw_tracked,
    failure_sheet,
    find_failures,
    learning_curve,
    line_chart,
    region_similarity,
    track_sequence,
    worst_frames,
    write_failures,
)
from siammask_ros.evaluation.chart import _LEFT, _RIGHT, SIZE_WH, _apart, _line_colour, _ticks
from siammask_ros.evaluation.pictures import write_jpeg


@pytest.fixture
def lost_half_way():
    """A square that a tracker finds in some frames only, and the scores."""
    sequence = MovingSquare("half", 8, 3)
    right = (True, True, False, True, True, True, False)
    script = Scripted(sequence, (0.9, 0.9, 0.6, 0.9, 0.9, 0.9, 0.3), right)
    return sequence, script, run([sequence], Always(script))


def test_worst_frames_are_spread_over_the_sequence(lost_half_way):
    _, _, scores = lost_half_way
    (score,) = scores.sequences
    # Frames 1 to 6 of 8 count; 3 is lost, and 7, lost too, does not count.
    assert worst_frames(score, 1) == [3]
    assert worst_frames(score, 2) == [3, 4]
    assert worst_frames(score, 3) == [1, 3, 5]
    assert worst_frames(score, 20) == [1, 2, 3, 4, 5, 6]


def test_failures_are_those_of_the_worst_sequences():
    sequences = [
        MovingSquare("slow", 9, 1),
        MovingSquare("fast", 9, 4),
        MovingSquare("still", 9, 0),
    ]
    done = []
    scores = run(sequences, Always(NeverMoves()))
    failures = find_failures(
        scores, sequences, Always(NeverMoves()), most=2, frames_each=2, on_sequence=done.append
    )
    assert [failure.score.name for failure in failures] == ["fast", "slow"]
    assert done == [failure.score for failure in failures]
    fast, slow = failures
    assert [tracked.frame for tracked in slow.frames] == [0, 4, 7]
    assert fast.frames[0].result is None
    for tracked in slow.frames[1:]:
        score = slow.score.frames[tracked.frame - 1]
        assert score.region_similarity == region_similarity(
            tracked.result.mask, tracked.labelled.mask
        )
    with pytest.raises(ValueError, match="got 0 and 2"):
        find_failures(scores, sequences, Always(NeverMoves()), most=0, frames_each=2)
    with pytest.raises(ValueError, match="sequence fast was evaluated, but is not given"):
        find_failures(scores, sequences[:1], Always(NeverMoves()))


def test_tracked_frame_is_drawn_where_the_target_is():
    sequence = MovingSquare(step=6, frames=8)
    *_, tracked = track_sequence(sequence, Always(NeverMoves()))
    picture = draw_tracked(tracked, width=10 * WIDTH)
    assert picture.shape == (10 * HEIGHT, 10 * WIDTH, 3)
    # The box stays at columns 5 to 14, the target is at 47 to 56: all of the width is shown.
    plain = cv2.resize(tracked.labelled.image_bgr, picture.shape[1::-1])
    changed = (np.abs(picture.astype(int) - plain) > 60).any(axis=2)
    predicted, true, rim = (np.zeros_like(changed) for _ in range(3))
    predicted[205:295, 55:145] = True
    true[205:295, 475:565] = True
    rim[190:310, 40:160] = rim[190:310, 460:580] = True
    assert changed[predicted].all()
    assert not changed[true].any()
    assert changed[rim & ~true & ~predicted].any()
    assert not changed[~rim].any()
    first = next(track_sequence(sequence, Always(NeverMoves())))
    near = draw_tracked(first, width=200)
    # The square of 10 pixels and its surroundings: 15 of 48 rows, where 20 of 64 columns fit.
    assert (near[:5] == 60).all()
    assert (near[75, 100] == (200, 180, 40)).all()


def test_a_target_that_is_not_there_is_drawn_too():
    sequence = MovingSquare(gone=(2,))
    blank = Scripted(sequence, (0.5,) * 4, (True, False, True, True))
    tracked = list(track_sequence(sequence, Always(blank)))[2]
    assert not tracked.labelled.mask.any()
    picture = draw_tracked(tracked, width=64)
    assert picture.shape == (48, 64, 3)


def test_failure_pictures_are_written(tmp_path, lost_half_way):
    sequence, script, scores = lost_half_way
    failures = find_failures(scores, [sequence], Always(script))
    overview, detail = write_failures(tmp_path / "worst", failures)
    assert (overview.name, detail.name) == ("failures.jpg", "half.png")
    assert overview.stat().st_size < 250_000
    sheet = failure_sheet(failures)
    assert cv2.imread(str(overview)).shape == sheet.shape
    assert cv2.imread(str(detail)).shape[1] > sheet.shape[1]
    with pytest.raises(ValueError, match="at least one frame"):
        failure_sheet([])


def test_jpeg_keeps_to_its_size(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    large = write_jpeg(tmp_path / "large.jpg", noise, most_bytes=10**6).stat().st_size
    small = write_jpeg(tmp_path / "small.jpg", noise, most_bytes=large // 2).stat().st_size
    least = write_jpeg(tmp_path / "least.jpg", noise, most_bytes=1).stat().st_size
    assert least <= small <= large // 2


def column_of(chart, x, colour):
    """Rows of a chart's column that have about this colour."""
    return np.flatnonzero((np.abs(chart[:, x].astype(int) - colour) < 40).all(axis=1))


def test_lines_of_a_chart_go_through_their_values():
    values = (0.2, 0.6, 0.4)
    chart = line_chart([ChartLine("one", values)], (0.0, 5.0, 10.0), title="t", x_label="x")
    width, height = SIZE_WH
    assert chart.shape == (height, width, 3)
    left, right = _LEFT + 12, width - _RIGHT - 12
    centres = [
        column_of(chart, x, _line_colour(0)).mean() for x in (left, (left + right) // 2, right)
    ]
    # Pixels rise downward, and as much as the values do.
    low, high, last = centres
    assert high < last < low
    assert (low - last) / (low - high) == pytest.approx(0.5, abs=0.02)
    gap = line_chart([ChartLine("one", (0.2, math.nan, 0.4))], (0.0, 5.0, 10.0))
    assert column_of(gap, (left + right) // 2, _line_colour(0)).size == 0


def test_charts_that_cannot_be_drawn_are_refused():
    with pytest.raises(ValueError, match="one: 2 values, 1 positions"):
        line_chart([ChartLine("one", (0.1, 0.2))], (0.0,))
    with pytest.raises(ValueError, match="at least one value"):
        line_chart([ChartLine("one", (math.nan,))], (0.0,))
    with pytest.raises(ValueError, match="no evaluations"):
        learning_curve([])


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.29, 0.71, [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]),
        (0.5, 0.5, [0.5, 0.6]),
        (0.0, 0.0, [0.0, 0.2]),
        (-3.0, 20.0, [-5.0, 0.0, 5.0, 10.0, 15.0, 20.0]),
    ],
)
def test_ticks_are_round_numbers(low, high, expected):
    assert _ticks(low, high) == pytest.approx(expected)


def test_names_of_lines_do_not_cover_each_other():
    placed = _apart([100.0, 98.0, 300.0, 299.0], 20, 305)
    assert placed == [118.0, 98.0, 305.0, 285.0]


def test_learning_curve_is_drawn_over_steps_or_names():
    sequences = [MovingSquare("a"), MovingSquare("b", 6, 4)]
    groups = (SequenceGroup("first", ("a",)),)
    scores = run(sequences, Always(NeverMoves()), groups=groups)
    trained = [
        dataclasses.replace(scores, tracker=f"runs/{step}", training_step=step)
        for step in (300, 100)
    ]
    curve = learning_curve(trained)
    assert (curve == learning_curve(trained[::-1])).all()
    named = learning_curve([trained[0], scores])
    assert named.shape == curve.shape
    assert (named != curve).any()
    assert learning_curve([scores]).shape == curve.shape
