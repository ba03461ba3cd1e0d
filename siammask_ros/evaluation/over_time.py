# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""J and F from the beginning of the sequences to their end: what the decay sums up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from siammask_ros.plots import Series, line_chart, write_chart

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from siammask_ros.evaluation.scores import Evaluation

POSITIONS = np.linspace(2.5, 97.5, 20)
"""Where in a sequence, in percent of its counted frames."""
_MOST_TARGETS = 8
"""More would cover each other."""


def over_time(series: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Values of several sequences at `POSITIONS` of each, (sequences, positions).

    Raises:
        ValueError: one has no value.
    """
    rows = []
    for values in series:
        if not values:
            raise ValueError("a sequence without a value has no course")
        middles = (np.arange(len(values)) + 0.5) * 100 / len(values)
        rows.append(np.interp(POSITIONS, middles, values))
    return np.array(rows)


def over_time_chart(evaluations: Sequence[Evaluation]) -> Figure:
    """Mean J and F of an evaluation, and J of its targets if they are few; or of several, mean J.

    Raises:
        ValueError: nothing was scored.
    """
    lines = []
    for each in evaluations:
        region, contour = (
            over_time(
                [[getattr(f, measure) for f in score.counted] for score in each.sequences]
            ).mean(axis=0)
            for measure in ("region_similarity", "contour_accuracy")
        )
        if len(evaluations) > 1:
            lines.append(Series(f"J, {each.tracker}", tuple(region)))
            continue
        lines += [Series("J", tuple(region)), Series("F", tuple(contour))]
        if 1 < len(each.sequences) <= _MOST_TARGETS:
            for score in each.sequences:
                (course,) = over_time([[f.region_similarity for f in score.counted]])
                lines.append(Series(each.label(score), tuple(course), strong=False))
    title = f"{evaluations[0].dataset}, {len(evaluations[0].names)} sequences"
    return line_chart(lines, POSITIONS.tolist(), title=title, x_label="% of the sequence")


def write_over_time(path: str | os.PathLike[str], evaluations: Sequence[Evaluation]) -> Path:
    """Write the chart as a PNG, whole or not at all; returns its path."""
    return write_chart(path, over_time_chart(evaluations))
