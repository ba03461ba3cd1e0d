# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Charts, drawn by matplotlib into PNG files; no screen is needed and no global state is touched.

matplotlib is imported when a chart is drawn, so that what never draws one does not load it.
"""

from __future__ import annotations

import io
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from siammask_ros.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

DPI = 110
SIZE_WH = (9.0, 4.8)
"""Of a chart, in inches."""
PANEL_WH = (4.6, 2.4)
PANEL_COLUMNS = 2
COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#e69f00",
    "#5b4b9a",
    "#6b6b6b",
)
"""Told apart by colour-blind eyes too (after Okabe and Ito), dark enough for white paper."""
_GRID = "#e2e2e2"
_BAR_SHARE = 0.8
"""Of the room for a name, what its bars take."""
_MOST_LEVEL_CHARACTERS = 60
"""Names below a chart stand level if they are no longer together, else they slope."""
SMOOTH_SHARE = 50
"""The bold line of a panel is a mean over this part of the values."""


class Series(NamedTuple):
    """Values to draw.

    Attributes:
        name: shown beside the chart.
        values: one for each position or name; NaN leaves a gap.
        strong: a line is drawn thick, with dots; else thin.
    """

    name: str
    values: Sequence[float]
    strong: bool = True


def line_chart(
    series: Sequence[Series],
    positions: Sequence[float],
    *,
    title: str = "",
    x_label: str = "",
    y_label: str = "",
    x_names: Sequence[str] | None = None,
    from_zero: bool = False,
) -> Figure:
    """Draw lines over common positions; the legend has the last value of each.

    Args:
        series: each with one value for each position.
        positions: in rising order.
        title: above the chart.
        x_label, y_label: at the axes.
        x_names: words for the positions, shown instead of numbers.
        from_zero: the axis of the values begins at zero, so that heights compare.

    Raises:
        ValueError: no value at all, or not one for each position.
    """
    _require_values(series, len(positions))
    figure, axes = _chart(title, x_label=x_label, y_label=y_label)
    for each, colour in zip(series, _colours(), strict=False):
        axes.plot(
            positions,
            each.values,
            color=colour,
            linewidth=2.2 if each.strong else 1.0,
            marker="o",
            markersize=5.5 if each.strong else 3.0,
            label=_with_last(each),
        )
    if from_zero:
        axes.set_ylim(bottom=0)
    if x_names is not None:
        _name_ticks(axes, positions, x_names)
    _legend(figure)
    return figure


def bar_chart(
    series: Sequence[Series],
    names: Sequence[str],
    *,
    title: str = "",
    y_label: str = "",
) -> Figure:
    """Draw a group of bars for each name, one bar a series, from 0.

    Args:
        series: each with one value for each name.
        names: of the groups, from left to right.
        title: above the chart.
        y_label: at the axis.

    Raises:
        ValueError: no value at all, or not one for each name.
    """
    _require_values(series, len(names))
    figure, axes = _chart(title, y_label=y_label)
    width = _BAR_SHARE / len(series)
    middles = np.arange(len(names), dtype=np.float64)
    for index, (each, colour) in enumerate(zip(series, _colours(), strict=False)):
        shift = (index - (len(series) - 1) / 2) * width
        axes.bar(middles + shift, each.values, width, color=colour, label=each.name)
    axes.grid(visible=False, axis="x")
    _name_ticks(axes, list(middles), names)
    if len(series) > 1:
        _legend(figure)
    return figure


def panels(
    series: Sequence[Series],
    positions: Sequence[float],
    *,
    title: str = "",
    x_label: str = "",
) -> Figure:
    """Draw each series into a panel of its own: thin as measured, bold smoothed.

    Args:
        series: each with one value for each position; NaN leaves a gap.
        positions: in rising order.
        title: above all panels.
        x_label: below them.

    Raises:
        ValueError: no value at all, or not one for each position.
    """
    _require_values(series, len(positions))
    rows = math.ceil(len(series) / PANEL_COLUMNS)
    figure = new_figure((PANEL_WH[0] * PANEL_COLUMNS, PANEL_WH[1] * rows))
    figure.suptitle(title, fontsize="large")
    figure.supxlabel(x_label, fontsize="medium")
    known_positions = np.asarray(positions, np.float64)
    for index, each in enumerate(series):
        axes = figure.add_subplot(rows, PANEL_COLUMNS, index + 1)
        style_axes(axes)
        values = np.asarray(each.values, np.float64)
        known = np.isfinite(values)
        where, seen = known_positions[known], values[known]
        colour = COLOURS[0]
        axes.plot(where, seen, color=colour, linewidth=0.8, alpha=0.4)
        axes.plot(where, _smoothed(seen), color=colour, linewidth=2.0)
        axes.set_title(_with_last(each), fontsize="medium")
    return figure


def png(figure: Figure) -> bytes:
    """A figure as the content of a PNG file; equal figures give equal bytes."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        # A name in another script shows boxes; nobody can mend that while it is drawn.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
    return stream.getvalue()


def write_chart(path: str | os.PathLike[str], figure: Figure) -> Path:
    """Write a figure as a PNG file, whole or not at all; makes missing folders, returns the path.

    Raises:
        OSError: it cannot be written.
    """
    return write_whole(Path(path), png(figure))


def new_figure(size_wh: tuple[float, float]) -> Figure:
    """An empty white figure of a size in inches."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to load, and seldom needed

    return Figure(figsize=size_wh, dpi=DPI, layout="constrained", facecolor="white")


def _chart(title: str, *, x_label: str = "", y_label: str = "") -> tuple[Figure, Axes]:
    figure = new_figure(SIZE_WH)
    axes = figure.add_subplot()
    style_axes(axes)
    axes.set_title(title, loc="left", fontsize="large")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return figure, axes


def style_axes(axes: Axes) -> None:
    """A quiet grid behind what is drawn, and no frame."""
    axes.set_axisbelow(True)
    axes.grid(visible=True, color=_GRID)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _legend(figure: Figure) -> None:
    figure.legend(loc="outside right upper", frameon=False, fontsize="medium")


def _name_ticks(axes: Axes, positions: Sequence[float], names: Sequence[str]) -> None:
    sloped = sum(map(len, names)) > _MOST_LEVEL_CHARACTERS
    axes.set_xticks(
        positions,
        names,
        rotation=35 if sloped else 0,
        ha="right" if sloped else "center",
        rotation_mode="anchor",
    )


def _colours() -> Iterator[str]:
    while True:
        yield from COLOURS


def _with_last(series: Series) -> str:
    """The name and the last known value; the name alone if there is none."""
    known = [value for value in series.values if math.isfinite(value)]
    return f"{series.name}  {known[-1]:.4g}" if known else series.name


def _require_values(series: Sequence[Series], count: int) -> None:
    for each in series:
        if len(each.values) != count:
            raise ValueError(f"{each.name}: {len(each.values)} values, {count} positions")
    if not any(math.isfinite(value) for each in series for value in each.values):
        raise ValueError("a chart needs at least one value")


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over the neighbours of each value, fewer at the ends."""
    reach = len(values) // (2 * SMOOTH_SHARE)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    first = np.clip(np.arange(len(values)) - reach, 0, None)
    last = np.clip(np.arange(len(values)) + reach + 1, None, len(values))
    means: NDArray[np.float64] = (sums[last] - sums[first]) / (last - first)
    return means
