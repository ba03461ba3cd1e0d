# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy of a tracker on labelled video: mask and box overlap, confidence, time."""

from siammask_ros.evaluation.chart import (
    ChartLine,
    learning_curve,
    line_chart,
    write_learning_curve,
)
from siammask_ros.evaluation.confidence import (
    CalibrationBin,
    Separation,
    calibration,
    separation,
    separation_auc,
)
from siammask_ros.evaluation.davis import DavisSequence, read_davis
from siammask_ros.evaluation.evaluate import (
    TrackedFrame,
    evaluate,
    evaluate_davis,
    evaluate_sequence,
    track_sequence,
)
from siammask_ros.evaluation.failures import (
    SequenceFailure,
    draw_tracked,
    failure_sheet,
    find_failures,
    worst_frames,
    write_failures,
)
from siammask_ros.evaluation.groups import SequenceGroup, check_groups, parse_groups
from siammask_ros.evaluation.measures import box_overlap, region_similarity
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
    calibration_csv,
    comparison_csv,
    comparison_markdown,
    evaluation_json,
    evaluation_markdown,
    frames_csv,
    separation_csv,
    sequences_csv,
    write_comparison,
    write_report,
)
from siammask_ros.evaluation.representation import (
    MaskSequence,
    RepresentationRow,
    RepresentationStudy,
    convex_overlap,
    read_mask_sequences,
    representation_csv,
    representation_markdown,
    study_representation,
    write_representation,
)
from siammask_ros.evaluation.scores import (
    Conditions,
    Convention,
    Evaluation,
    FrameScore,
    SequenceScore,
    training_step,
)

__all__ = [
    "REFERENCE_TRACKERS",
    "Always",
    "CalibrationBin",
    "ChartLine",
    "Conditions",
    "Convention",
    "DavisSequence",
    "Evaluation",
    "FrameScore",
    "LabelledFrame",
    "LabelledSequence",
    "MaskSequence",
    "NeverMoves",
    "OpenCvTracker",
    "RenderedSequence",
    "RepresentationRow",
    "RepresentationStudy",
    "Result",
    "Separation",
    "SequenceFailure",
    "SequenceGroup",
    "SequenceScore",
    "TrackedFrame",
    "Tracker",
    "TrackerFactory",
    "TruthReplay",
    "box_overlap",
    "calibration",
    "calibration_csv",
    "check_groups",
    "comparison_csv",
    "comparison_markdown",
    "convex_overlap",
    "draw_tracked",
    "evaluate",
    "evaluate_davis",
    "evaluate_sequence",
    "evaluation_json",
    "evaluation_markdown",
    "failure_sheet",
    "find_failures",
    "frames_csv",
    "learning_curve",
    "line_chart",
    "parse_groups",
    "read_davis",
    "read_mask_sequences",
    "reference_factory",
    "region_similarity",
    "representation_csv",
    "representation_markdown",
    "separation",
    "separation_auc",
    "separation_csv",
    "sequences_csv",
    "study_representation",
    "track_sequence",
    "training_step",
    "worst_frames",
    "write_comparison",
    "write_failures",
    "write_learning_curve",
    "write_report",
    "write_representation",
]
