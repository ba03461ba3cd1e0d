# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of the worst frames, charts and learning curves."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from moving_square import HEIGHT, WIDTH, MovingSquare, Scripted, run

from siammask_ros.evaluation import (
    Always,
    NeverMoves,
    SequenceGroup,
    draw_tracked,
    failure_sheet,
    find_failures,
    learning_curve,
    region_similarity,
    track_sequence,
    worst_frames,
    write_failures,
)


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


def test_learning_curve_is_drawn_over_steps_or_names():
    sequences = [MovingSquare("a"), MovingSquare("b", 6, 4)]
    groups = (SequenceGroup("first", ("a",)),)
    scores = run(sequences, Always(NeverMoves()), groups=groups)
    trained = [
        dataclasses.replace(scores, tracker=f"runs/{step}", training_step=step)
        for step in (300, 100)
    ]
    (axes,) = learning_curve(trained).axes
    names = [line.get_label().split("  ")[0] for line in axes.lines]
    assert names == ["J", "box IoU", "J, first"]
    assert [list(line.get_xdata()) for line in axes.lines] == [[100.0, 300.0]] * 3
    (axes,) = learning_curve([trained[0], scores]).axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["300", scores.tracker]
    with pytest.raises(ValueError, match="no evaluations"):
        learning_curve([])
