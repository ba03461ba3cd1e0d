# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A run as a chart: confidence, states, size, angle and path of its targets over time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from siammask_ros.drawing import STATE_COLOURS
from siammask_ros.history import state_spans
from siammask_ros.plots import COLOURS, new_figure, style_axes
from siammask_ros.target_status import TargetStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
    from numpy.typing import NDArray

    from siammask_ros.history import History, TargetCourse


def state_colour(state: TargetStatus) -> str:
    """The colour of a state, as matplotlib and HTML write it."""
    blue, green, red = STATE_COLOURS[state]
    return f"#{red:02x}{green:02x}{blue:02x}"


LINE_COLOURS = sorted(COLOURS, key=lambda colour: colour in set(map(state_colour, TargetStatus)))
"""Of the targets in turn; those that are also a state's come last."""
MOST_TARGETS = len(LINE_COLOURS)
"""Lines in one chart that are told apart."""
_WIDTH, _PANEL_HEIGHT, _STRIP_HEIGHT = 10.0, 1.75, 0.26
"""Inches: of the chart, of a panel, and of one target's strip of states."""
_PATH_HEIGHT = 3.6
_BAND_OPACITY = 0.16
_LONGEST_NAME = 24
_LINE_WIDTH = 1.5
_LEAST_FLIP_DEGREES = 60
"""A larger step is no motion: width and height changed places (90), or the angle wrapped (180)."""


class _Line(NamedTuple):
    """A target's course and the colour that it is drawn in."""

    course: TargetCourse
    colour: str

    def values(self, column: Sequence[float]) -> NDArray[np.float64]:
        """A column of the course, with a NaN wherever frames are missing between two."""
        gaps = np.flatnonzero(np.diff(np.asarray(self.course.orders)) > 1) + 1
        return np.insert(np.asarray(column, np.float64), gaps, math.nan)

    @property
    def times_s(self) -> NDArray[np.float64]:
        """The times, as `values`."""
        return self.values(self.course.times_s)

    @property
    def sides(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Width and height of the box, as `values`."""
        return self.values(self.course.widths), self.values(self.course.heights)


def run_figure(history: History, *, title: str = "") -> Figure:
    """Draw what became of the targets of a run.

    From above: the states of each target, confidence, sides of the box (of several targets the
    square root of its area), its angle, and the centre's x and y, all over the time of the
    source; below, the path of the centre in the image. With one target the states are also bands
    behind its confidence.

    Args:
        history: the run.
        title: above the chart; how many targets are left out is said there.

    Returns:
        The figure. Of more than `MOST_TARGETS` targets, those followed for the most frames are
        drawn.

    Raises:
        ValueError: there is no target.
    """
    lines = _lines(history)
    if not lines:
        raise ValueError("no target to draw a chart of")
    strips = _STRIP_HEIGHT * len(lines) + 0.25
    heights = [strips, *[_PANEL_HEIGHT] * 5, _PATH_HEIGHT]
    figure = new_figure((_WIDTH, sum(heights) + 1.0))
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    first = figure.add_subplot(grid[0])
    over_time = [first, *(figure.add_subplot(grid[i], sharex=first) for i in range(1, 6))]
    _draw_states(over_time[0], lines)
    _draw_confidence(over_time[1], lines)
    _draw_sides(over_time[2], lines)
    _draw_angle(over_time[3], lines)
    for axes, name in ((over_time[4], "x"), (over_time[5], "y")):
        for line in lines:
            column = line.course.centers_x if name == "x" else line.course.centers_y
            _plot(axes, line, line.values(column))
        axes.set_ylabel(f"centre {name}\n(pixels)")
    over_time[5].invert_yaxis()  # as in the image: down
    over_time[0].set_xlim(_range_s(lines))
    for axes in over_time[:-1]:
        axes.tick_params(labelbottom=False)
    over_time[-1].set_xlabel("time (s)")
    _draw_path(figure.add_subplot(grid[6]), lines, history.size_wh)
    left_out = len(history.courses) - len(lines)
    said = f"the {len(lines)} of {len(history.courses)} targets followed longest"
    shown = f"{title}: {said}" if left_out else title
    # What users write is no mathematics, whatever dollar signs are in it.
    figure.suptitle(shown, x=0.01, ha="left", fontsize="large", parse_math=False)
    figure.legend(
        handles=_state_patches(), loc="outside upper right", ncols=len(TargetStatus), frameon=False
    )
    return figure


def _lines(history: History) -> list[_Line]:
    """The targets to draw, by rising id."""
    longest = sorted(history.courses.values(), key=lambda course: -len(course.orders))
    chosen = sorted(longest[:MOST_TARGETS], key=lambda course: course.target_id)
    return [_Line(course, colour) for course, colour in zip(chosen, LINE_COLOURS, strict=False)]


def _range_s(lines: Sequence[_Line]) -> tuple[float, float]:
    spans = [span for line in lines for span in _spans_s(line.course)]
    return min(start for start, _, _ in spans), max(end for _, end, _ in spans)


def _draw_states(axes: Axes, lines: Sequence[_Line]) -> None:
    """A strip of colours for each target, the first on top, its name in the colour of its lines."""
    for row, line in enumerate(lines):
        for start, end, state in _spans_s(line.course):
            colour = state_colour(state)
            axes.barh(row, end - start, left=start, height=0.72, color=colour, linewidth=0)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    names = [_short(line.course.name) for line in lines]
    axes.set_yticks(range(len(lines)), names)
    for text, line in zip(axes.get_yticklabels(), lines, strict=True):
        text.set_parse_math(False)
        text.set_color(line.colour)
        text.set_fontweight("bold")
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _draw_confidence(axes: Axes, lines: Sequence[_Line]) -> None:
    if len(lines) == 1:
        for start, end, state in _spans_s(lines[0].course):
            colour = state_colour(state)
            axes.axvspan(start, end, color=colour, alpha=_BAND_OPACITY, linewidth=0)
    for line in lines:
        _plot(axes, line, line.values(line.course.confidences))
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("confidence")


def _draw_sides(axes: Axes, lines: Sequence[_Line]) -> None:
    if len(lines) > 1:
        for line in lines:
            width, height = line.sides
            _plot(axes, line, np.sqrt(width * height))
        axes.set_ylabel("box, root of\narea (pixels)")
    else:
        width, height = lines[0].sides
        _plot(axes, lines[0], width, label="width")
        _plot(axes, lines[0], height, label="height", dashes=(4, 1.5))
        axes.set_ylabel("box (pixels)")
        axes.legend(loc="lower right", frameon=False, ncols=2, fontsize="small")
    axes.set_ylim(bottom=0)


def _draw_angle(axes: Axes, lines: Sequence[_Line]) -> None:
    for line in lines:
        angle = np.degrees(line.values(line.course.angles))
        flips = np.flatnonzero(np.abs(np.diff(angle)) > _LEAST_FLIP_DEGREES) + 1
        _plot(axes, line, angle, breaks=flips)
    axes.set_ylabel("angle (degrees)")


def _draw_path(axes: Axes, lines: Sequence[_Line], size_wh: tuple[int, int]) -> None:
    """The centres in the image: a dot at the start, a cross at the end."""
    style_axes(axes)
    for line in lines:
        x = line.values(line.course.centers_x)
        y = line.values(line.course.centers_y)
        axes.plot(x, y, color=line.colour, linewidth=_LINE_WIDTH)
        known = np.flatnonzero(np.isfinite(x))
        for place, marker in ((known[:1], "o"), (known[-1:], "X")):
            axes.plot(x[place], y[place], marker, color=line.colour, markersize=7, mec="white")
    axes.set_xlim(0, size_wh[0])
    axes.set_ylim(size_wh[1], 0)
    axes.set_aspect("equal", anchor="W")
    axes.set_xlabel(
        "path of the centre in the image (pixels): a dot at the start, a cross at the end"
    )
    for side in axes.spines.values():
        side.set_visible(True)


def _plot(
    axes: Axes,
    line: _Line,
    values: NDArray[np.float64],
    *,
    label: str | None = None,
    dashes: tuple[float, float] | None = None,
    breaks: Sequence[int] | NDArray[np.intp] = (),
) -> None:
    """Values over time; the line has a gap before each of `breaks`."""
    style_axes(axes)
    times = np.insert(line.times_s, breaks, math.nan)
    shown = np.insert(values, breaks, math.nan)
    (drawn,) = axes.plot(times, shown, color=line.colour, linewidth=_LINE_WIDTH, label=label)
    if dashes is not None:
        drawn.set_linestyle((0, dashes))
    alone = _alone(shown)
    axes.plot(times[alone], shown[alone], ".", color=line.colour, markersize=3)


def _alone(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which values have no neighbour, so that no line shows them."""
    known = np.isfinite(np.pad(values, 1, constant_values=math.nan))
    return np.asarray(known[1:-1] & ~known[:-2] & ~known[2:])


def _spans_s(course: TargetCourse) -> Iterator[tuple[float, float, TargetStatus]]:
    """Runs of equal states in seconds, each until the next frame."""
    times = np.asarray(course.times_s)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    for first, end, state in state_spans(course):
        follows = end < len(times) and course.orders[end] == course.orders[end - 1] + 1
        last = times[end] if follows else times[end - 1] + step
        yield float(times[first]), float(last), state


def _state_patches() -> list[Patch]:
    from matplotlib.patches import Patch  # noqa: PLC0415 - as in plots

    return [Patch(color=state_colour(state), label=state.name) for state in TargetStatus]


def _short(name: str) -> str:
    return (
        name
        if len(name) <= _LONGEST_NAME
        else name[: _LONGEST_NAME - 1] + "\N{HORIZONTAL ELLIPSIS}"
    )
