# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The chart of a run shows the numbers of the run."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from made_run import FPS, SIZE_WH, run

from siammask_ros.history import History
from siammask_ros.plots import png
from siammask_ros.run_plots import MOST_TARGETS, run_figure, state_colour
from siammask_ros.target_status import TargetStatus


def figure_of(*scripts, title="", **options):
    history = History()
    for tracked in run(*scripts, **options):
        history.add(tracked)
    return run_figure(history, title=title), history


def values(line):
    return np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)


def lines_of(axes):
    """The lines over time, without the dots of frames that have no neighbour."""
    return [line for line in axes.lines if line.get_linestyle() != "None"]


def same(found, expected):
    return np.allclose(found, expected, equal_nan=True)


def test_one_target_reaches_every_axes():
    figure, history = figure_of("ITTULLTT")
    states, confidence, sides, angle, x, y, path = figure.axes
    course = history.courses[1]
    (line,) = lines_of(confidence)
    assert same(values(line), (course.times_s, course.confidences))
    width, height = lines_of(sides)
    assert same(values(width)[1], course.widths)
    assert same(values(height)[1], course.heights)
    assert [text.get_text() for text in sides.get_legend().get_texts()] == ["width", "height"]
    (line,) = lines_of(angle)
    assert same(values(line)[1], np.degrees(course.angles))
    (line,) = lines_of(x)
    assert same(values(line)[1], course.centers_x)
    (line,) = lines_of(y)
    assert same(values(line)[1], course.centers_y)
    assert y.yaxis_inverted()
    assert same(values(path.lines[0]), (course.centers_x, course.centers_y))
    assert path.get_xlim() == (0, SIZE_WH[0])
    assert path.get_ylim() == (SIZE_WH[1], 0)
    assert [text.get_text() for text in states.get_yticklabels()] == ["#1"]


def test_states_are_coloured_over_their_time():
    figure, _ = figure_of("ITTULLTT")
    states, confidence = figure.axes[:2]
    letters = [TargetStatus.INITIALIZING, TargetStatus.TRACKING, TargetStatus.UNCERTAIN]
    letters += [TargetStatus.LOST, TargetStatus.TRACKING]
    edges = [0, 1, 3, 4, 6, 8]
    for patches in (states.patches, confidence.patches):
        assert len(patches) == len(letters)
        for patch, state, start, end in zip(patches, letters, edges, edges[1:], strict=False):
            colour = tuple(round(255 * part) for part in patch.get_facecolor()[:3])
            assert "#{:02x}{:02x}{:02x}".format(*colour) == state_colour(state)
            assert patch.get_x() == pytest.approx(start / FPS)
            assert patch.get_width() == pytest.approx((end - start) / FPS)
    assert len({state_colour(state) for state in TargetStatus}) == len(TargetStatus)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [s.name for s in TargetStatus]


def test_several_targets_have_a_line_and_a_colour_each():
    figure, history = figure_of("ITTTTT", "ITTLLL", "  ITTT", labels=["car", "dog"], title="clip")
    states, confidence, sides, *_ = figure.axes
    names = states.get_yticklabels()
    assert [text.get_text() for text in names] == ["#1 car", "#2 dog", "#3"]
    lines = lines_of(confidence)
    assert [text.get_color() for text in names] == [line.get_color() for line in lines]
    assert len({line.get_color() for line in lines}) == 3
    for line, course in zip(lines, history.courses.values(), strict=True):
        assert same(values(line), (course.times_s, course.confidences))
    assert not confidence.patches
    for line, course in zip(lines_of(sides), history.courses.values(), strict=True):
        assert same(values(line)[1], np.sqrt(np.multiply(course.widths, course.heights)))
    assert figure.get_suptitle() == "clip"


def test_lines_break_where_the_target_was_away_and_where_the_angle_wraps():
    figure, _ = figure_of("ITTT  TT")
    (line,) = lines_of(figure.axes[1])
    times, confidences = values(line)
    assert np.isnan(times).sum() == 1
    assert np.flatnonzero(np.isnan(confidences)).tolist() == [0, 4]  # given, and away
    history = History()
    for tracked in run("TTTT"):
        history.add(tracked)
    history.courses[1].angles[2] = history.courses[1].angles[1] - math.pi / 2
    (line,) = lines_of(run_figure(history).axes[3])
    assert np.isnan(values(line)[1]).tolist() == [False, False, True, False, True, False]


def test_a_frame_without_neighbours_is_a_dot():
    figure, _ = figure_of("ITLT")
    dots = [line for line in figure.axes[2].lines if line.get_linestyle() == "None"]
    assert [values(line)[0].tolist() for line in dots] == [[1 / FPS, 3 / FPS]] * 2


def test_of_many_targets_those_followed_longest_are_drawn():
    scripts = ["I" + "T" * (30 - i) for i in range(MOST_TARGETS + 4)]
    figure, _ = figure_of(*scripts, title="clip")
    assert figure.get_suptitle() == "clip: the 8 of 12 targets followed longest"
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == [f"#{i}" for i in range(1, MOST_TARGETS + 1)]
    figure.draw_without_rendering()
    for axes in figure.axes:
        _, _, width, height = axes.get_position().bounds
        assert width > 0.4
        assert height > 0.05


@pytest.mark.filterwarnings("error")
def test_any_label_and_title_can_be_drawn():
    labels = [r"$\bad{", "日本語", "a" * 300, "<b>&"]
    figure, _ = figure_of(*["ITT"] * 4, labels=labels, title=r"$x^{")
    picture = cv2.imdecode(np.frombuffer(png(figure), np.uint8), cv2.IMREAD_COLOR)
    assert picture.std() > 10
    assert figure.axes[0].get_position().width > 0.5


def test_a_chart_needs_a_target():
    with pytest.raises(ValueError, match="no target"):
        figure_of("   ")
