# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Line charts and learning curves as pictures, drawn with OpenCV alone."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from siammask_ros.drawing import FONT, Colour, Image, target_colour
from siammask_ros.evaluation.pictures import write_png

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from siammask_ros.evaluation.scores import Evaluation

SIZE_WH = (900, 480)
_SCALE = 3
"""Drawn so many times larger and shrunk, for smooth lines and letters."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 190, 46, 50
"""Margins in pixels; the names of the lines stand to the right."""
_PAPER: Colour = (255, 255, 255)
_INK: Colour = (50, 45, 40)
_FAINT: Colour = (228, 226, 224)
_TEXT_SCALE = 0.45
_TITLE_SCALE = 0.58
_LINE_HEIGHT = 19
_DARKER = 0.72
"""Colours meant for pictures are darkened by this on white."""
_TICKS = 6
_NICE_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


class ChartLine(NamedTuple):
    """One line of a chart.

    Attributes:
        name: stands at its end.
        values: one for each position; NaN leaves a gap.
        strong: drawn thick, with dots; else thin.
    """

    name: str
    values: tuple[float, ...]
    strong: bool = True


def learning_curve(evaluations: Sequence[Evaluation]) -> Image:
    """Means of several checkpoints over the steps they were trained for.

    Where a step is unknown or occurs twice, the checkpoints stand side by side with their names.
    Lines: mean J, mean box overlap, and J of each group of sequences.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        ValueError: no evaluation.
    """
    if not evaluations:
        raise ValueError("no evaluations to draw")
    steps = [each.training_step for each in evaluations if each.training_step is not None]
    if len(set(steps)) == len(evaluations):
        ordered = sorted(evaluations, key=lambda each: each.training_step or 0)
        positions = [float(each.training_step or 0) for each in ordered]
        names, label = None, "step"
    else:
        ordered = list(evaluations)
        positions = [float(index) for index in range(len(ordered))]
        names, label = [Path(each.tracker).name for each in ordered], ""
    lines = [
        ChartLine("J", tuple(each.region_similarity for each in ordered)),
        ChartLine("box IoU", tuple(each.box_iou for each in ordered)),
    ]
    for group in ordered[0].groups:
        parts = [each.part(group) for each in ordered]
        values = tuple(part.region_similarity for part in parts)
        lines.append(ChartLine(f"J, {group.name}", values, strong=False))
    title = f"{ordered[0].dataset}, {len(ordered[0].sequences)} sequences"
    return line_chart(lines, positions, title=title, x_label=label, x_names=names)


def write_learning_curve(path: str | os.PathLike[str], evaluations: Sequence[Evaluation]) -> Path:
    """Write the learning curve as a PNG, whole or not at all; returns its path."""
    return write_png(Path(path), learning_curve(evaluations))


def line_chart(
    lines: Sequence[ChartLine],
    positions: Sequence[float],
    *,
    title: str = "",
    x_label: str = "",
    x_names: Sequence[str] | None = None,
) -> Image:
    """Draw lines over common positions.

    Args:
        lines: each with one value for each position.
        positions: in rising order.
        title: above the chart.
        x_label: below it.
        x_names: words for the positions, shown instead of numbers.

    Returns:
        (H, W, 3) uint8 BGR of size `SIZE_WH`.

    Raises:
        ValueError: no value at all, or not one for each position.
    """
    for line in lines:
        if len(line.values) != len(positions):
            raise ValueError(f"{line.name}: {len(line.values)} values, {len(positions)} positions")
    known = [value for line in lines for value in line.values if math.isfinite(value)]
    if not known:
        raise ValueError("a chart needs at least one value")
    frame = _Frame.of(positions, known)
    canvas = _Canvas()
    canvas.write(title, (_LEFT, _TOP - 18), scale=_TITLE_SCALE)
    for value in frame.y_ticks:
        y = frame.y(value)
        canvas.line([(_LEFT, y), (SIZE_WH[0] - _RIGHT, y)], _FAINT, 1.0)
        canvas.write(_short(value), (_LEFT - 10, y + 5), align="right")
    _draw_positions(canvas, frame, positions, x_names)
    canvas.write(x_label, ((_LEFT + SIZE_WH[0] - _RIGHT) / 2, SIZE_WH[1] - 8), align="centre")
    ends = []
    for index, line in enumerate(lines):
        points = [
            (frame.x(position), frame.y(value))
            for position, value in zip(positions, line.values, strict=True)
        ]
        colour = _line_colour(index)
        _draw_line(canvas, points, colour, strong=line.strong)
        last = next((point for point in reversed(points) if math.isfinite(point[1])), None)
        if last is not None:
            value = [value for value in line.values if math.isfinite(value)][-1]
            ends.append((last[1], f"{line.name}  {value:.3f}", colour))
    _name_lines(canvas, ends)
    return canvas.shrunk()


class _Frame(NamedTuple):
    """Where values lie on the chart."""

    x_range: tuple[float, float]
    y_ticks: list[float]
    x_ticks: list[float]

    @classmethod
    def of(cls, positions: Sequence[float], values: Sequence[float]) -> _Frame:
        first, last = positions[0], positions[-1]
        if first == last:
            first, last = first - 1.0, last + 1.0
        inside = [tick for tick in _ticks(first, last) if first <= tick <= last]
        return cls((first, last), _ticks(min(values), max(values)), inside)

    def x(self, position: float) -> float:
        first, last = self.x_range
        width = SIZE_WH[0] - _LEFT - _RIGHT
        return _LEFT + 12 + (position - first) / (last - first) * (width - 24)

    def y(self, value: float) -> float:
        low, high = self.y_ticks[0], self.y_ticks[-1]
        height = SIZE_WH[1] - _TOP - _BOTTOM
        return _TOP + (high - value) / (high - low) * height


class _Canvas:
    """White paper to draw on in pixels of the finished picture."""

    def __init__(self) -> None:
        width, height = SIZE_WH
        self._image: Image = np.full((height * _SCALE, width * _SCALE, 3), _PAPER, np.uint8)

    def line(self, points: Sequence[tuple[float, float]], colour: Colour, thickness: float) -> None:
        fixed = np.round(np.array(points) * _SCALE).astype(np.int32)
        cv2.polylines(self._image, [fixed], False, colour, round(thickness * _SCALE), cv2.LINE_AA)

    def dot(self, point: tuple[float, float], colour: Colour, radius: float) -> None:
        centre = (round(point[0] * _SCALE), round(point[1] * _SCALE))
        cv2.circle(self._image, centre, round(radius * _SCALE), colour, cv2.FILLED, cv2.LINE_AA)

    def write(
        self,
        text: str,
        origin: tuple[float, float],
        *,
        colour: Colour = _INK,
        scale: float = _TEXT_SCALE,
        align: str = "left",
    ) -> None:
        width = self.text_width(text, scale)
        left = origin[0] - {"left": 0.0, "centre": width / 2, "right": width}[align]
        place = (round(left * _SCALE), round(origin[1] * _SCALE))
        large = scale * _SCALE
        cv2.putText(self._image, text, place, FONT, large, colour, _SCALE, cv2.LINE_AA)

    @staticmethod
    def text_width(text: str, scale: float = _TEXT_SCALE) -> float:
        return cv2.getTextSize(text, FONT, scale * _SCALE, _SCALE)[0][0] / _SCALE

    def shrunk(self) -> Image:
        return np.asarray(cv2.resize(self._image, SIZE_WH, interpolation=cv2.INTER_AREA), np.uint8)


def _draw_positions(
    canvas: _Canvas, frame: _Frame, positions: Sequence[float], names: Sequence[str] | None
) -> None:
    """Ticks with numbers, or the positions with their names, as far as there is room."""
    bottom = SIZE_WH[1] - _BOTTOM
    canvas.line([(_LEFT, bottom), (SIZE_WH[0] - _RIGHT, bottom)], _INK, 1.0)
    if names is None:
        marks = [
            (tick, f"{tick:,.0f}" if abs(tick) >= 1 else _short(tick)) for tick in frame.x_ticks
        ]
    else:
        marks = list(zip(positions, names, strict=True))
    room_from = -math.inf
    for position, text in marks:
        x = frame.x(position)
        canvas.line([(x, bottom), (x, bottom + 5)], _INK, 1.0)
        half = canvas.text_width(text) / 2
        if x - half >= room_from:
            canvas.write(text, (x, bottom + 21), align="centre")
            room_from = x + half + 10


def _draw_line(
    canvas: _Canvas, points: Sequence[tuple[float, float]], colour: Colour, *, strong: bool
) -> None:
    stretch: list[tuple[float, float]] = []
    for point in [*points, (math.nan, math.nan)]:
        if math.isfinite(point[1]):
            stretch.append(point)
            canvas.dot(point, colour, 4.0 if strong else 2.5)
            continue
        if len(stretch) > 1:
            canvas.line(stretch, colour, 2.2 if strong else 1.0)
        stretch = []


def _name_lines(canvas: _Canvas, ends: Sequence[tuple[float, str, Colour]]) -> None:
    """Write each name where its line ends, pushed apart so that none covers another."""
    heights = _apart([end[0] for end in ends], _LINE_HEIGHT, SIZE_WH[1] - _BOTTOM)
    left = SIZE_WH[0] - _RIGHT + 8
    for y, (_, text, colour) in zip(heights, ends, strict=True):
        canvas.write(text, (left, y + 5), colour=colour)


def _apart(heights: Sequence[float], gap: float, lowest: float) -> list[float]:
    """Heights in the same order, at least a gap between them, none below `lowest`."""
    placed = np.array(heights, np.float64)
    order = np.argsort(placed, kind="stable")
    for before, after in itertools.pairwise(order):
        placed[after] = max(placed[after], placed[before] + gap)
    limit = lowest
    for index in order[::-1]:
        placed[index] = min(placed[index], limit)
        limit = placed[index] - gap
    return [float(height) for height in placed]


def _line_colour(index: int) -> Colour:
    blue, green, red = (round(part * _DARKER) for part in target_colour(index + 2))
    return blue, green, red


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from below the least to above the greatest, a handful of them."""
    span = high - low or abs(high) or 1.0
    unit = 10 ** math.floor(math.log10(span / _TICKS))
    step = next(unit * nice for nice in _NICE_STEPS if unit * nice * _TICKS >= span)
    numbers: NDArray[np.int_] = np.arange(math.floor(low / step), math.ceil(high / step) + 1)
    if numbers.size == 1:
        numbers = np.append(numbers, numbers[-1] + 1)
    return [float(number * step) for number in numbers]


def _short(value: float) -> str:
    return f"{value:.6g}"
