# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Charts: what is drawn is what was given, and nothing else is touched."""

from __future__ import annotations

import math
import subprocess
import sys

import cv2
import numpy as np
import pytest

from siammask_ros.plots import DPI, SIZE_WH, Series, bar_chart, line_chart, panels, png, write_chart

NAN = math.nan


def pixels(figure):
    return cv2.imdecode(np.frombuffer(png(figure), np.uint8), cv2.IMREAD_COLOR)


def test_lines_have_their_values_and_names():
    series = [Series("one", (0.2, NAN, 0.4)), Series("two", (0.1, 0.5, NAN), strong=False)]
    figure = line_chart(series, (0.0, 5.0, 10.0), title="t", x_label="x", y_label="y")
    (axes,) = figure.axes
    for line, each in zip(axes.lines, series, strict=True):
        assert list(line.get_xdata()) == [0.0, 5.0, 10.0]
        assert np.array_equal(line.get_ydata(), each.values, equal_nan=True)
    assert axes.lines[0].get_linewidth() > axes.lines[1].get_linewidth()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["one  0.4", "two  0.5"]
    assert (axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel()) == ("t", "x", "y")
    assert pixels(figure).shape == (SIZE_WH[1] * DPI, SIZE_WH[0] * DPI, 3)


def test_amounts_are_drawn_from_zero():
    series = [Series("ms", (14.0, 21.0))]
    heights = [
        line_chart(series, (1, 2), from_zero=from_zero).axes[0].get_ylim()[0]
        for from_zero in (True, False)
    ]
    assert heights[0] == 0 < heights[1]


def test_bars_stand_side_by_side_above_their_names():
    series = [Series("J", (0.6, 0.7)), Series("F", (0.5, NAN))]
    (axes,) = bar_chart(series, ("val", "a longer name"), y_label="%").axes
    first, second = axes.containers
    assert [bar.get_height() for bar in first] == [0.6, 0.7]
    assert [bar.get_y() for bar in first] == [0, 0]
    for left, right in zip(first, second, strict=True):
        assert left.get_x() + left.get_width() == pytest.approx(right.get_x())
    middles = [(left.get_x() + right.get_x() + right.get_width()) / 2
               for left, right in zip(first, second, strict=True)]  # fmt: skip
    assert middles == pytest.approx(axes.get_xticks())
    assert [text.get_text() for text in axes.get_xticklabels()] == ["val", "a longer name"]


def test_panels_show_what_is_known_and_a_smoothed_line():
    values = [NAN, *np.random.default_rng(0).normal(3.0, 1.0, 499)]
    figure = panels([Series("loss", values), Series("rate", [1.0] * 500)], range(500), title="t")
    first, second = figure.axes
    measured, smooth = first.lines
    assert list(measured.get_ydata()) == values[1:]
    assert list(measured.get_xdata()) == list(range(1, 500))
    assert np.std(smooth.get_ydata()) < 0.5 * np.std(values[1:])
    assert np.mean(smooth.get_ydata()) == pytest.approx(np.mean(values[1:]), abs=0.05)
    assert list(second.lines[1].get_ydata()) == [1.0] * 500


def test_charts_that_cannot_be_drawn_are_refused():
    for draw in (line_chart, bar_chart, panels):
        with pytest.raises(ValueError, match="one: 2 values, 1 positions"):
            draw([Series("one", (0.1, 0.2))], ("a",))
        with pytest.raises(ValueError, match="at least one value"):
            draw([Series("one", (NAN,))], ("a",))
        with pytest.raises(ValueError, match="at least one value"):
            draw([], ())


def test_many_series_and_long_names_leave_room_to_draw():
    names = [f"a sequence with a long name {number}" for number in range(12)]
    series = [Series(f"tracker {number}", [0.1 * number] * 12) for number in range(10)]
    figure = bar_chart(series, names)
    figure.draw_without_rendering()
    _, _, width, height = figure.axes[0].get_position().bounds
    assert width > 0.5
    assert height > 0.4


def test_a_chart_is_written_whole_and_always_the_same(tmp_path):
    charts = [line_chart([Series("one", (1.0, 2.0))], (0, 1)) for _ in range(2)]
    path = write_chart(tmp_path / "new" / "chart.png", charts[0])
    assert path.read_bytes() == png(charts[1])
    assert [entry.name for entry in path.parent.iterdir()] == ["chart.png"]


def test_matplotlib_is_loaded_for_charts_only_and_without_pyplot():
    code = """
import sys
import siammask_ros.evaluation, siammask_ros.training.loop
from siammask_ros.plots import Series, line_chart, png
assert "matplotlib" not in sys.modules
png(line_chart([Series("one", (1.0,))], (0.0,)))
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
