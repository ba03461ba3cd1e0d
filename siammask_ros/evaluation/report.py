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

from siammask_ros.evaluation.chart import write_learning_curve
from siammask_ros.evaluation.confidence import (
    FINE_FROM,
    LOST_BELOW,
    POOR_BELOW,
    CalibrationBin,
    Separation,
)
from siammask_ros.evaluation.scores import FrameScore
from siammask_ros.files import markdown_table, write_whole

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from siammask_ros.evaluation.scores import Evaluation, SequenceScore

_WHOLE = "all"
"""Stands for all sequences where a table has a column for the group."""


def evaluation_markdown(evaluation: Evaluation) -> str:
    """Scores of sequences and groups, what the confidence is worth, times, and the convention."""
    return (
        f"# {evaluation.tracker} on {evaluation.dataset}\n\n"
        f"{_sequences_table(evaluation)}\n"
        f"J is intersection over union of the masks; {evaluation.convention.words}; "
        "the mean weighs every sequence alike. The tracker is given the box around the first "
        f"mask. Lost: share of frames with J < {LOST_BELOW}. ms: median time of a frame.\n\n"
        f"{_confidence_section(evaluation)}\n"
        "## Time\n\n"
        f"Median {number(evaluation.milliseconds, 1)} ms, 99th percentile "
        f"{number(evaluation.milliseconds_p99, 1)} ms a frame with its full-size mask; "
        f"{evaluation.conditions.words}.\n"
    )


def _sequences_table(evaluation: Evaluation) -> str:
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
    rows.append(_mean_row("mean", evaluation))
    rows += [
        _mean_row(f"mean of {group.name}", evaluation.part(group)) for group in evaluation.groups
    ]
    return markdown_table(("sequence", "frames", "J", "box IoU", "lost", "confidence", "ms"), rows)


def _mean_row(name: str, evaluation: Evaluation) -> tuple[str, ...]:
    return (
        f"**{name}**",
        str(len(evaluation.counted)),
        number(evaluation.region_similarity),
        number(evaluation.box_iou),
        number(evaluation.lost_share),
        number(math.nan),
        number(evaluation.milliseconds, 1),
    )


def _confidence_section(evaluation: Evaluation) -> str:
    if not evaluation.calibration:
        return "## Confidence\n\nThe tracker does not say how sure it is.\n"
    separations = markdown_table(
        ("lost means", "fine frames", "lost frames", "AUC", "median, fine", "median, lost"),
        [
            (
                f"J < {each.below}",
                str(each.fine_frames),
                str(each.lost_frames),
                number(each.auc),
                number(each.fine_median),
                number(each.lost_median),
            )
            for each in evaluation.separations
        ],
    )
    bins = markdown_table(
        ("confidence", "frames", "mean confidence", "mean J", "lost"),
        [
            (
                f"{number(each.lowest, 4)} to {number(each.highest, 4)}",
                str(each.frames),
                number(each.confidence),
                number(each.region_similarity),
                number(each.lost_share),
            )
            for each in evaluation.calibration
        ],
    )
    return (
        "## Confidence\n\n"
        "How far it separates the frames that are lost from the fine ones, those with J >= "
        f"{FINE_FROM}. AUC is the area under the ROC curve, all counted frames pooled.\n\n"
        f"{separations}\n"
        "What J goes with it, by tenths of the frames:\n\n"
        f"{bins}"
    )


def comparison_markdown(evaluations: Iterable[Evaluation]) -> str:
    """One row a tracker: the means, those of groups, what the confidence is worth, time.

    Groups are those of the first evaluation, which the others must have too.
    """
    chosen = list(evaluations)
    groups = chosen[0].groups if chosen else ()
    header = (
        "tracker",
        "J",
        "box IoU",
        *(f"{measure}, {group.name}" for group in groups for measure in ("J", "box IoU")),
        "lost",
        f"AUC, J < {LOST_BELOW}",
        f"AUC, J < {POOR_BELOW}",
        "ms",
        "ms, p99",
    )
    rows = [
        (
            each.tracker,
            number(each.region_similarity),
            number(each.box_iou),
            *(
                number(value)
                for part in map(each.part, groups)
                for value in (part.region_similarity, part.box_iou)
            ),
            number(each.lost_share),
            *(number(separation.auc) for separation in each.separations),
            number(each.milliseconds, 1),
            number(each.milliseconds_p99, 1),
        )
        for each in chosen
    ]
    return markdown_table(header, rows)


def comparison_csv(evaluations: Iterable[Evaluation]) -> str:
    """One line a tracker and group of sequences; the group `all` is the whole evaluation."""
    header = (
        "tracker",
        "training_step",
        "group",
        "frames",
        "region_similarity",
        "box_iou",
        "lost_share",
        "confidence_auc_lost",
        "confidence_auc_poor",
        "median_ms",
        "p99_ms",
    )
    return _csv(
        header,
        (
            (
                each.tracker,
                math.nan if each.training_step is None else each.training_step,
                name,
                len(part.counted),
                part.region_similarity,
                part.box_iou,
                part.lost_share,
                *(separation.auc for separation in part.separations),
                part.milliseconds,
                part.milliseconds_p99,
            )
            for each in evaluations
            for name, part in _parts(each)
        ),
    )


def _parts(evaluation: Evaluation) -> list[tuple[str, Evaluation]]:
    """The whole, and each group."""
    return [
        (_WHOLE, evaluation),
        *((group.name, evaluation.part(group)) for group in evaluation.groups),
    ]


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


def separation_csv(evaluation: Evaluation) -> str:
    """One line a bound of J and group of sequences: how far the confidence separates."""
    return _csv(
        ("group", *Separation._fields),
        (
            (name, *separation)
            for name, part in _parts(evaluation)
            for separation in part.separations
        ),
    )


def calibration_csv(evaluation: Evaluation) -> str:
    """One line a stretch of confidence: the frames in it and their J."""
    return _csv(CalibrationBin._fields, evaluation.calibration)


def evaluation_json(evaluation: Evaluation) -> str:
    """Means, the convention, and each sequence with its frames; null where there is no number."""
    content = {
        "tracker": evaluation.tracker,
        "training_step": evaluation.training_step,
        "dataset": evaluation.dataset,
        "convention": evaluation.convention.value,
        "convention_in_words": evaluation.convention.words,
        **_means(evaluation),
        "lost_below": LOST_BELOW,
        "fine_from": FINE_FROM,
        "confidence_auc": evaluation.confidence_auc,
        "separations": [separation._asdict() for separation in evaluation.separations],
        "calibration": [each._asdict() for each in evaluation.calibration],
        "median_ms": evaluation.milliseconds,
        "p99_ms": evaluation.milliseconds_p99,
        **evaluation.conditions._asdict(),
        "groups": [
            {
                "name": group.name,
                "sequences": list(group.sequences),
                **_means(part),
                "separations": [separation._asdict() for separation in part.separations],
            }
            for group in evaluation.groups
            for part in (evaluation.part(group),)
        ],
        "sequences": [
            {
                "name": score.name,
                **_means(score),
                "median_ms": score.milliseconds,
                "initialize_ms": score.initialize_ms,
                "frames": [frame._asdict() for frame in score.frames],
            }
            for score in evaluation.sequences
        ],
    }
    return json.dumps(_without_nan(content), indent=1) + "\n"


def _means(scored: Evaluation | SequenceScore) -> dict[str, float]:
    return {
        "region_similarity": scored.region_similarity,
        "box_iou": scored.box_iou,
        "lost_share": scored.lost_share,
    }


def write_report(directory: str | os.PathLike[str], evaluation: Evaluation) -> list[Path]:
    """Write report.md, report.json and tables of it as CSV; returns their paths."""
    contents = {
        "report.md": evaluation_markdown(evaluation),
        "report.json": evaluation_json(evaluation),
        "sequences.csv": sequences_csv(evaluation),
        "frames.csv": frames_csv(evaluation),
        "separation.csv": separation_csv(evaluation),
        "calibration.csv": calibration_csv(evaluation),
    }
    if evaluation.groups:
        contents["groups.csv"] = comparison_csv([evaluation])
    return [write_whole(Path(directory) / name, text) for name, text in contents.items()]


def write_comparison(
    directory: str | os.PathLike[str], evaluations: Sequence[Evaluation]
) -> list[Path]:
    """Write comparison.md, comparison.csv and curve.png, the learning curve.

    Returns:
        Their paths.
    """
    contents = {
        "comparison.md": comparison_markdown(evaluations),
        "comparison.csv": comparison_csv(evaluations),
    }
    folder = Path(directory)
    written = [write_whole(folder / name, text) for name, text in contents.items()]
    return [*written, write_learning_curve(folder / "curve.png", evaluations)]


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
