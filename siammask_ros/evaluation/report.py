# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An evaluation as Markdown, CSV and JSON; each file is written whole or not at all."""

from __future__ import annotations

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
from siammask_ros.evaluation.over_time import write_over_time
from siammask_ros.evaluation.published import published_rows
from siammask_ros.evaluation.scores import FrameScore
from siammask_ros.files import csv_table, markdown_table, write_whole

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
        "J is intersection over union of the masks, F how well their contours agree; recall: share "
        "of frames above 0.5; decay: first quarter less last; "
        f"{evaluation.convention.words}; the mean weighs every target alike. The tracker is given "
        f"the box around the first mask. Lost: share of frames with J < {LOST_BELOW}. ms: median "
        "time of a frame, all its targets together.\n\n"
        f"{_published_section(evaluation)}"
        f"{_confidence_section(evaluation)}\n"
        "## Time\n\n"
        f"Median {number(evaluation.milliseconds, 1)} ms, 99th percentile "
        f"{number(evaluation.milliseconds_p99, 1)} ms a frame with its full-size mask; "
        f"{evaluation.conditions.words}.\n"
    )


_MEASURES = ("J", "J recall", "J decay", "F", "F recall", "F decay")


def _measures(scored: Evaluation | SequenceScore) -> tuple[str, ...]:
    """Cells for `_MEASURES`."""
    return tuple(number(value) for value in (*scored.region, *scored.contour))


def _sequences_table(evaluation: Evaluation) -> str:
    rows: list[tuple[str, ...]] = []
    for name in evaluation.names:
        part = evaluation.of([name])
        if part.has_several_targets:
            rows.append(_mean_row(f"{name}, {len(part.sequences)} targets", part))
        rows += [
            (
                evaluation.label(score),
                str(len(score.counted)),
                *_measures(score),
                number(score.box_iou),
                number(score.lost_share),
                number(score.confidence),
                number(score.milliseconds, 1),
            )
            for score in part.sequences
        ]
    rows.append(_mean_row("**mean**", evaluation))
    rows += [
        _mean_row(f"**mean of {group.name}**", evaluation.part(group))
        for group in evaluation.groups
    ]
    header = ("sequence", "frames", *_MEASURES, "box IoU", "lost", "confidence", "ms")
    return markdown_table(header, rows)


def _mean_row(name: str, evaluation: Evaluation) -> tuple[str, ...]:
    return (
        name,
        str(len(evaluation.counted)),
        *_measures(evaluation),
        number(evaluation.box_iou),
        number(evaluation.lost_share),
        number(math.nan),
        number(evaluation.milliseconds, 1),
    )


def _published_section(evaluation: Evaluation) -> str:
    """What others reached on the data set; nothing where none is known."""
    published = published_rows(evaluation.dataset)
    if not published:
        return ""
    ours = f"{evaluation.tracker}, {len(evaluation.names)} sequences"
    rows = [(ours, *_measures(evaluation), "this report")]
    rows += [
        (row.method, *(number(value) for value in (*row.region, *row.contour)), row.source)
        for row in published
    ]
    table = markdown_table(("method", *_MEASURES, "source"), rows)
    return (
        "## Beside published figures\n\n"
        f"{table}\n"
        "Published rows are of the whole validation split; compare only with the same.\n\n"
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
        *_MEASURES,
        "box IoU",
        *(f"{measure}, {group.name}" for group in groups for measure in ("J", "F", "box IoU")),
        "lost",
        f"AUC, J < {LOST_BELOW}",
        f"AUC, J < {POOR_BELOW}",
        "ms",
        "ms, p99",
    )
    rows = [
        (
            each.tracker,
            *_measures(each),
            number(each.box_iou),
            *(
                number(value)
                for part in map(each.part, groups)
                for value in (part.region_similarity, part.contour_accuracy, part.box_iou)
            ),
            number(each.lost_share),
            *(number(separation.auc) for separation in each.separations),
            number(each.milliseconds, 1),
            number(each.milliseconds_p99, 1),
        )
        for each in chosen
    ]
    return markdown_table(header, rows)


_STATISTICS = (
    "region_similarity",
    "region_recall",
    "region_decay",
    "contour_accuracy",
    "contour_recall",
    "contour_decay",
)


def _statistics(scored: Evaluation | SequenceScore) -> tuple[float, ...]:
    """Numbers for `_STATISTICS`."""
    return (*scored.region, *scored.contour)


def comparison_csv(evaluations: Iterable[Evaluation]) -> str:
    """One line a tracker and group of sequences; the group `all` is the whole evaluation."""
    header = (
        "tracker",
        "training_step",
        "group",
        "frames",
        *_STATISTICS,
        "box_iou",
        "lost_share",
        "confidence_auc_lost",
        "confidence_auc_poor",
        "median_ms",
        "p99_ms",
    )
    return csv_table(
        header,
        (
            (
                each.tracker,
                math.nan if each.training_step is None else each.training_step,
                name,
                len(part.counted),
                *_statistics(part),
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


_SEQUENCE_FIELDS = ("frames", *_STATISTICS, "box_iou", "lost_share", "median_ms")


def _sequence_cells(scored: Evaluation | SequenceScore) -> tuple[object, ...]:
    """Cells for `_SEQUENCE_FIELDS`."""
    return (
        len(scored.counted),
        *_statistics(scored),
        scored.box_iou,
        scored.lost_share,
        scored.milliseconds,
    )


def sequences_csv(evaluation: Evaluation) -> str:
    """One line a sequence, the mean of its targets."""
    rows = (
        (name, len(part.sequences), *_sequence_cells(part))
        for name in evaluation.names
        for part in (evaluation.of([name]),)
    )
    return csv_table(("sequence", "targets", *_SEQUENCE_FIELDS), rows)


def targets_csv(evaluation: Evaluation) -> str:
    """One line a target of a sequence."""
    rows = (
        (
            score.name,
            score.target_id,
            *_sequence_cells(score),
            score.confidence,
            score.initialize_ms,
        )
        for score in evaluation.sequences
    )
    header = ("sequence", "target", *_SEQUENCE_FIELDS, "confidence", "initialize_ms")
    return csv_table(header, rows)


def frames_csv(evaluation: Evaluation) -> str:
    """One line a target and frame; empty where there is no number."""
    rows = (
        (score.name, score.target_id, *frame)
        for score in evaluation.sequences
        for frame in score.frames
    )
    return csv_table(("sequence", "target", *FrameScore._fields), rows)


def separation_csv(evaluation: Evaluation) -> str:
    """One line a bound of J and group of sequences: how far the confidence separates."""
    return csv_table(
        ("group", *Separation._fields),
        (
            (name, *separation)
            for name, part in _parts(evaluation)
            for separation in part.separations
        ),
    )


def calibration_csv(evaluation: Evaluation) -> str:
    """One line a stretch of confidence: the frames in it and their J."""
    return csv_table(CalibrationBin._fields, evaluation.calibration)


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
                "target": score.target_id,
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
        **dict(zip(_STATISTICS, _statistics(scored), strict=True)),
        "box_iou": scored.box_iou,
        "lost_share": scored.lost_share,
    }


def write_report(directory: str | os.PathLike[str], evaluation: Evaluation) -> list[Path]:
    """Write report.md, report.json, tables of it as CSV, and a plot of J and F over time.

    Returns:
        Their paths.
    """
    contents = {
        "report.md": evaluation_markdown(evaluation),
        "report.json": evaluation_json(evaluation),
        "sequences.csv": sequences_csv(evaluation),
        "targets.csv": targets_csv(evaluation),
        "frames.csv": frames_csv(evaluation),
        "separation.csv": separation_csv(evaluation),
        "calibration.csv": calibration_csv(evaluation),
    }
    if evaluation.groups:
        contents["groups.csv"] = comparison_csv([evaluation])
    written = [write_whole(Path(directory) / name, text) for name, text in contents.items()]
    return [*written, write_over_time(Path(directory) / "over_time.png", [evaluation])]


def write_comparison(
    directory: str | os.PathLike[str], evaluations: Sequence[Evaluation]
) -> list[Path]:
    """Write comparison.md, comparison.csv, over_time.png and, of trained networks, curve.png.

    Returns:
        Their paths.
    """
    contents = {
        "comparison.md": comparison_markdown(evaluations),
        "comparison.csv": comparison_csv(evaluations),
    }
    folder = Path(directory)
    written = [write_whole(folder / name, text) for name, text in contents.items()]
    written.append(write_over_time(folder / "over_time.png", evaluations))
    if any(each.training_step is not None for each in evaluations):
        written.append(write_learning_curve(folder / "curve.png", evaluations))
    return written


def number(value: float, digits: int = 3) -> str:
    """A number for a table, or a dash for NaN."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _without_nan(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_without_nan(entry) for entry in value]
    return None if isinstance(value, float) and math.isnan(value) else value
