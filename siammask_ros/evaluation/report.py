# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An evaluation as Markdown, CSV and JSON; each file is written whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from siammask_ros.evaluation.evaluate import FINE_FROM, LOST_BELOW, FrameScore
from siammask_ros.files import markdown_table, write_whole

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from siammask_ros.evaluation.evaluate import Evaluation


def evaluation_markdown(evaluation: Evaluation) -> str:
    """Scores of each sequence and their means, with the convention in words."""
    rows: list[tuple[str, ...]] = [
        (
            score.name,
            str(len(score.counted)),
            number(score.region_similarity),
            number(score.box_iou),
            number(score.lost_share),
            number(score.confidence),
            number(score.milliseconds, 1),
        )
        for score in evaluation.sequences
    ]
    frames = sum(len(score.counted) for score in evaluation.sequences)
    means = (
        evaluation.region_similarity,
        evaluation.box_iou,
        evaluation.lost_share,
        math.nan,
    )
    rows.append(
        (
            "**mean**",
            str(frames),
            *(number(mean) for mean in means),
            number(evaluation.milliseconds, 1),
        )
    )
    header = ("sequence", "frames", "J", "box IoU", "lost", "confidence", "ms")
    return (
        f"# {evaluation.tracker} on {evaluation.dataset}\n\n"
        f"{markdown_table(header, rows)}\n"
        f"J is intersection over union of the masks; {evaluation.convention.words}; "
        "the mean weighs every sequence alike. The tracker is given the box around the first "
        f"mask. Lost: share of frames with J < {LOST_BELOW}. ms: median time of a frame.\n\n"
        f"Confidence, frames with J >= {FINE_FROM} against frames with J < {LOST_BELOW}: "
        f"AUC {number(evaluation.confidence_auc)}, "
        f"medians {number(_median(evaluation.confidence_fine))} and "
        f"{number(_median(evaluation.confidence_lost))}.\n"
    )


def comparison_markdown(evaluations: Iterable[Evaluation]) -> str:
    """One row a tracker: J, box IoU, lost share, AUC of the confidence, time."""
    header = ("tracker", "J", "box IoU", "lost", "confidence AUC", "ms")
    return markdown_table(
        header,
        [
            (
                each.tracker,
                number(each.region_similarity),
                number(each.box_iou),
                number(each.lost_share),
                number(each.confidence_auc),
                number(each.milliseconds, 1),
            )
            for each in evaluations
        ],
    )


def sequences_csv(evaluation: Evaluation) -> str:
    """One line a sequence."""
    header = (
        "sequence",
        "frames",
        "region_similarity",
        "box_iou",
        "lost_share",
        "confidence",
        "median_ms",
        "initialize_ms",
    )
    rows = (
        (
            score.name,
            len(score.counted),
            score.region_similarity,
            score.box_iou,
            score.lost_share,
            score.confidence,
            score.milliseconds,
            score.initialize_ms,
        )
        for score in evaluation.sequences
    )
    return _csv(header, rows)


def frames_csv(evaluation: Evaluation) -> str:
    """One line a frame; empty where there is no number."""
    rows = ((score.name, *frame) for score in evaluation.sequences for frame in score.frames)
    return _csv(("sequence", *FrameScore._fields), rows)


def evaluation_json(evaluation: Evaluation) -> str:
    """Means, the convention, and each sequence with its frames; null where there is no number."""
    content = {
        "tracker": evaluation.tracker,
        "dataset": evaluation.dataset,
        "convention": evaluation.convention.value,
        "convention_in_words": evaluation.convention.words,
        "region_similarity": evaluation.region_similarity,
        "box_iou": evaluation.box_iou,
        "lost_share": evaluation.lost_share,
        "lost_below": LOST_BELOW,
        "fine_from": FINE_FROM,
        "confidence_auc": evaluation.confidence_auc,
        "median_ms": evaluation.milliseconds,
        "sequences": [
            {
                "name": score.name,
                "region_similarity": score.region_similarity,
                "box_iou": score.box_iou,
                "lost_share": score.lost_share,
                "median_ms": score.milliseconds,
                "initialize_ms": score.initialize_ms,
                "frames": [frame._asdict() for frame in score.frames],
            }
            for score in evaluation.sequences
        ],
    }
    return json.dumps(_without_nan(content), indent=1) + "\n"


def write_report(directory: str | os.PathLike[str], evaluation: Evaluation) -> list[Path]:
    """Write report.md, report.json, sequences.csv and frames.csv; returns their paths."""
    contents = {
        "report.md": evaluation_markdown(evaluation),
        "report.json": evaluation_json(evaluation),
        "sequences.csv": sequences_csv(evaluation),
        "frames.csv": frames_csv(evaluation),
    }
    return [write_whole(Path(directory) / name, text) for name, text in contents.items()]


def number(value: float, digits: int = 3) -> str:
    """A number for a table, or a dash for NaN."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return stream.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return value


def _without_nan(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_without_nan(entry) for entry in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _median(values: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else math.nan
