# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Results of VOT experiments as Markdown beside published figures, as CSV and as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siammask_ros.evaluation.report import number
from siammask_ros.evaluation.vot.experiments import FRAMES_OF_RATE
from siammask_ros.evaluation.vot.published import PUBLISHED_VOT
from siammask_ros.files import csv_table, markdown_table, write_whole

if TYPE_CHECKING:
    import os

    from siammask_ros.evaluation.vot.experiments import ExperimentResult, VotEvaluation

_PUBLISHED_EXPERIMENT = "baseline"
_ROBUSTNESS = {
    "supervised": f"failures in {FRAMES_OF_RATE} frames, lower is better",
    "multistart": "share of the frames until the tracker fails, higher is better",
}
"""What R is, by the kind of experiment; others have none."""
_HEADER = ("tracker", "EAO", "A", "R", "source")


def vot_markdown(evaluation: VotEvaluation) -> str:
    """A table for each experiment, with the published rows beside the baseline."""
    sections = [_section(evaluation, each) for each in evaluation.experiments]
    return (
        f"# {evaluation.tracker} in {evaluation.title}\n\n"
        f"{evaluation.settings}. Stack {evaluation.stack}, vot-toolkit {evaluation.toolkit}.\n\n"
        + "\n".join(sections)
    )


def _section(evaluation: VotEvaluation, result: ExperimentResult) -> str:
    rows = [(evaluation.tracker, *_scores(result.eao, result.accuracy, result.robustness), "here")]
    if result.experiment == _PUBLISHED_EXPERIMENT:
        rows += [
            (row.tracker, *_scores(row.eao, row.accuracy, row.robustness), row.source)
            for row in PUBLISHED_VOT.get(evaluation.stack, ())
        ]
    notes = [f"{len(result.sequences)} sequences, {result.frames} frames. A: mean overlap."]
    if result.kind in _ROBUSTNESS:
        notes.append(f"R: {_ROBUSTNESS[result.kind]}.")
    if not math.isnan(result.failures):
        notes.append(f"Failures: {result.failures:g}.")
    return f"## {result.experiment}\n\n{markdown_table(_HEADER, rows)}\n{' '.join(notes)}\n"


def _scores(eao: float, accuracy: float, robustness: float) -> tuple[str, str, str]:
    return number(eao), number(accuracy), number(robustness)


def experiments_csv(evaluation: VotEvaluation) -> str:
    """A row an experiment."""
    header = ("tracker", "stack", "experiment", "kind", "sequences", "frames")
    rows = [
        (
            evaluation.tracker,
            evaluation.stack,
            each.experiment,
            each.kind,
            len(each.sequences),
            each.frames,
            each.eao,
            each.accuracy,
            each.robustness,
            each.failures,
        )
        for each in evaluation.experiments
    ]
    return csv_table((*header, "eao", "accuracy", "robustness", "failures"), rows)


def vot_sequences_csv(evaluation: VotEvaluation) -> str:
    """A row a sequence and experiment."""
    rows = [(each.experiment, *row) for each in evaluation.experiments for row in each.sequences]
    return csv_table(("experiment", "sequence", "frames", "accuracy", "robustness"), rows)


def vot_json(evaluation: VotEvaluation) -> str:
    """All of it; null where there is no number."""
    return json.dumps(_plain(evaluation), indent=2) + "\n"


def write_vot(folder: str | os.PathLike[str], evaluation: VotEvaluation) -> list[Path]:
    """Write `report.md`, `report.json`, `experiments.csv` and `sequences.csv`; returns the paths.

    Raises:
        OSError: a file cannot be written.
    """
    base = Path(folder)
    contents = {
        "report.md": vot_markdown(evaluation),
        "report.json": vot_json(evaluation),
        "experiments.csv": experiments_csv(evaluation),
        "sequences.csv": vot_sequences_csv(evaluation),
    }
    return [write_whole(base / name, content) for name, content in contents.items()]


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever JSON has
    """Named tuples and dataclasses as objects, NaN as null."""
    if hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if hasattr(value, "__dataclass_fields__"):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value
