# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The learning curve: what several checkpoints of a run reach."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from siammask_ros.plots import Series, line_chart, write_chart

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from siammask_ros.evaluation.scores import Evaluation


def learning_curve(evaluations: Sequence[Evaluation]) -> Figure:
    """Means of several checkpoints over the steps they were trained for.

    Where a step is unknown or occurs twice, the checkpoints stand side by side with their names.
    Lines: mean J, mean box overlap, and J of each group of sequences.

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
        Series("J", tuple(each.region_similarity for each in ordered)),
        Series("box IoU", tuple(each.box_iou for each in ordered)),
    ]
    for group in ordered[0].groups:
        parts = [each.part(group) for each in ordered]
        values = tuple(part.region_similarity for part in parts)
        lines.append(Series(f"J, {group.name}", values, strong=False))
    title = f"{ordered[0].dataset}, {len(ordered[0].sequences)} sequences"
    return line_chart(lines, positions, title=title, x_label=label, x_names=names)


def write_learning_curve(path: str | os.PathLike[str], evaluations: Sequence[Evaluation]) -> Path:
    """Write the learning curve as a PNG, whole or not at all; returns its path."""
    return write_chart(path, learning_curve(evaluations))
