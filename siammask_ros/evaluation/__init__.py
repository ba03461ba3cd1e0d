# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy of a tracker on labelled video: mask and box overlap, confidence, time."""

from siammask_ros.evaluation.davis import DavisSequence, read_davis
from siammask_ros.evaluation.evaluate import (
    Convention,
    Evaluation,
    FrameScore,
    SequenceScore,
    evaluate,
    evaluate_davis,
    evaluate_sequence,
)
from siammask_ros.evaluation.measures import box_overlap, region_similarity, separation_auc
from siammask_ros.evaluation.protocol import (
    LabelledFrame,
    LabelledSequence,
    Result,
    Tracker,
    TrackerFactory,
)
from siammask_ros.evaluation.reference import (
    REFERENCE_TRACKERS,
    Always,
    NeverMoves,
    OpenCvTracker,
    TruthReplay,
    reference_factory,
)
from siammask_ros.evaluation.rendered import RenderedSequence
from siammask_ros.evaluation.report import (
    comparison_markdown,
    evaluation_json,
    evaluation_markdown,
    frames_csv,
    sequences_csv,
    write_report,
)

__all__ = [
    "REFERENCE_TRACKERS",
    "Always",
    "Convention",
    "DavisSequence",
    "Evaluation",
    "FrameScore",
    "LabelledFrame",
    "LabelledSequence",
    "NeverMoves",
    "OpenCvTracker",
    "RenderedSequence",
    "Result",
    "SequenceScore",
    "Tracker",
    "TrackerFactory",
    "TruthReplay",
    "box_overlap",
    "comparison_markdown",
    "evaluate",
    "evaluate_davis",
    "evaluate_sequence",
    "evaluation_json",
    "evaluation_markdown",
    "frames_csv",
    "read_davis",
    "reference_factory",
    "region_similarity",
    "separation_auc",
    "sequences_csv",
    "write_report",
]
