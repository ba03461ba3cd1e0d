# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation on VOT by the official toolkit, which talks TraX with a process (`tracker`)."""

from siammask_ros.evaluation.vot.entrants import SIAMMASK, TRUTH, EntrantOptions
from siammask_ros.evaluation.vot.experiments import (
    ExperimentResult,
    Measure,
    SequenceResult,
    VotEvaluation,
    evaluate_vot,
)
from siammask_ros.evaluation.vot.published import PUBLISHED_VOT, PublishedVot
from siammask_ros.evaluation.vot.regions import REGION_KINDS
from siammask_ros.evaluation.vot.report import vot_markdown, write_vot
from siammask_ros.evaluation.vot.workspace import (
    STACKS,
    entrant_name,
    entrant_words,
    prepare_workspace,
    register_entrant,
)

__all__ = [
    "PUBLISHED_VOT",
    "REGION_KINDS",
    "SIAMMASK",
    "STACKS",
    "TRUTH",
    "EntrantOptions",
    "ExperimentResult",
    "Measure",
    "PublishedVot",
    "SequenceResult",
    "VotEvaluation",
    "entrant_name",
    "entrant_words",
    "evaluate_vot",
    "prepare_workspace",
    "register_entrant",
    "vot_markdown",
    "write_vot",
]
