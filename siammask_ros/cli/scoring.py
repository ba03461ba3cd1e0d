# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the commands that score masks share: a tracker or a folder is scored, several compared."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import typer

from siammask_ros.cli.common import progress_bar, say_all

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from siammask_ros.cli.candidates import Candidate
    from siammask_ros.evaluation import Convention, Evaluation, MaskedSequence, SequenceGroup


class ScoringTask(NamedTuple):
    """What is scored, whoever did it."""

    sequences: Sequence[MaskedSequence]
    dataset: str
    convention: Convention
    jobs: int
    groups: tuple[SequenceGroup, ...] = ()

    def score(self, candidate: Candidate, threads: int, masks: Path | None) -> Evaluation:
        """Track; the masks are written to a folder if one is named."""
        from siammask_ros import evaluation

        with progress_bar(candidate.name, len(self.sequences)) as advance:
            score = evaluation.evaluate(
                self.sequences,
                candidate.factory,
                tracker_name=candidate.name,
                dataset_name=self.dataset,
                convention=self.convention,
                jobs=self.jobs,
                threads=threads or None,
                device=candidate.device,
                groups=self.groups,
                masks=masks,
                on_sequence=advance,
            )
        return replace(score, training_step=candidate.training_step)

    def score_results(self, name: str, folder: Path) -> Evaluation:
        """Read the masks of a folder."""
        from siammask_ros import evaluation

        with progress_bar(name, len(self.sequences)) as advance:
            return evaluation.evaluate_results(
                self.sequences,
                folder,
                tracker_name=name,
                dataset_name=self.dataset,
                convention=self.convention,
                jobs=self.jobs,
                groups=self.groups,
                on_sequence=advance,
            )


def compare(scores: Sequence[Evaluation], output: Path | None) -> None:
    """Show several evaluations in one table, and write it if a folder is named."""
    from siammask_ros import evaluation

    if len(scores) > 1:
        typer.echo(evaluation.comparison_markdown(scores))
        if output is not None:
            say_all(evaluation.write_comparison(output, scores))
