# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of frames, of sequences and of a whole evaluation, and their means."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from siammask_ros.evaluation.confidence import (
    LOST_BELOW,
    POOR_BELOW,
    CalibrationBin,
    Separation,
    calibration,
    separation,
)
from siammask_ros.evaluation.measures import (
    MeasureStatistics,
    mean_of_known,
    measure_statistics,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from siammask_ros.evaluation.groups import SequenceGroup


class Convention(Enum):
    """Which frames enter the means. The one that gives the target never does."""

    DAVIS = "davis"
    """As the official DAVIS evaluations: the sequence's last frame does not count either."""
    TRACKED = "tracked"
    """Every frame after the given one."""

    @property
    def words(self) -> str:
        """The convention in a sentence, for reports."""
        if self is Convention.DAVIS:
            return "first and last frame not counted (DAVIS)"
        return "first frame not counted, last frame counted"


class FrameScore(NamedTuple):
    """One target in one frame.

    Attributes:
        frame: its number, from 0; the one that gives the target has no score.
        region_similarity: J, 0 to 1.
        contour_accuracy: F, 0 to 1.
        box_iou: overlap of the boxes, 0 to 1; NaN where the target is not to be seen.
        confidence: the tracker's; NaN if it does not say.
        milliseconds: time of the tracker and of the full-size masks, of all targets of the frame
            together; NaN if not known.
        counted: whether it enters the means.
    """

    frame: int
    region_similarity: float
    contour_accuracy: float
    box_iou: float
    confidence: float
    milliseconds: float
    counted: bool


@dataclass(frozen=True)
class SequenceScore:
    """Scores of a target of a sequence; means are over the counted frames.

    Attributes:
        name: of the sequence.
        frames: the scores, in order.
        initialize_ms: time of starting, with all targets given in the same frame.
        target_id: the target's number in the masks of the sequence.
    """

    name: str
    frames: tuple[FrameScore, ...]
    initialize_ms: float
    target_id: int = 1

    @cached_property
    def counted(self) -> tuple[FrameScore, ...]:
        """The frames that enter the means."""
        return tuple(frame for frame in self.frames if frame.counted)

    @cached_property
    def region(self) -> MeasureStatistics:
        """Mean, recall and decay of J."""
        return measure_statistics([frame.region_similarity for frame in self.counted])

    @cached_property
    def contour(self) -> MeasureStatistics:
        """Mean, recall and decay of F."""
        return measure_statistics([frame.contour_accuracy for frame in self.counted])

    @property
    def region_similarity(self) -> float:
        """Mean J."""
        return self.region.mean

    @property
    def contour_accuracy(self) -> float:
        """Mean F."""
        return self.contour.mean

    @property
    def box_iou(self) -> float:
        """Mean box overlap over the frames that show the target."""
        return mean_of_known(frame.box_iou for frame in self.counted)

    @property
    def confidence(self) -> float:
        """Mean confidence; NaN if the tracker has none."""
        return mean_of_known(frame.confidence for frame in self.counted)

    @property
    def milliseconds(self) -> float:
        """Median time of a frame; NaN if not known."""
        return _quantile([frame.milliseconds for frame in self.frames], 0.5)

    @property
    def lost_share(self) -> float:
        """Share of counted frames with J under `LOST_BELOW`."""
        return mean_of_known(float(frame.region_similarity < LOST_BELOW) for frame in self.counted)


class Conditions(NamedTuple):
    """What the times were taken with.

    Attributes:
        device: what the tracker computes on; empty if unknown.
        threads: threads of the tracker's computations in each process.
        jobs: processes at a time; several disturb each other's times.
        load_average: how busy the machine was before, in running processes; NaN if unknown.
    """

    device: str = ""
    threads: int = 1
    jobs: int = 1
    load_average: float = math.nan

    @property
    def words(self) -> str:
        """The conditions in a few words, for reports."""
        parts = [self.device] if self.device else []
        parts.append(_counted(self.threads, "thread"))
        if self.jobs > 1:
            parts.append(f"{self.jobs} processes at a time, which disturb each other")
        if not math.isnan(self.load_average):
            parts.append(f"load average {self.load_average:.1f} before")
        return ", ".join(parts)


@dataclass(frozen=True)
class Evaluation:
    """Scores of a tracker on a data set; the means weigh every target alike, as DAVIS does.

    Attributes:
        tracker: its name.
        dataset: its name.
        convention: which frames enter the means.
        sequences: the scores, one for each target of each sequence, in the order asked for.
        conditions: what the times were taken with.
        groups: sequences that get means of their own.
        training_step: how long the network was trained; None if unknown.
    """

    tracker: str
    dataset: str
    convention: Convention
    sequences: tuple[SequenceScore, ...]
    conditions: Conditions = field(default_factory=Conditions)
    groups: tuple[SequenceGroup, ...] = ()
    training_step: int | None = None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The sequences, each once."""
        return tuple(dict.fromkeys(score.name for score in self.sequences))

    @property
    def has_several_targets(self) -> bool:
        """Whether a sequence has more than one."""
        return len(self.names) < len(self.sequences)

    def label(self, score: SequenceScore) -> str:
        """What a report calls a target: `NAME_1` as DAVIS-2017 does, `NAME` if all are alone."""
        return f"{score.name}_{score.target_id}" if self.has_several_targets else score.name

    @cached_property
    def region(self) -> MeasureStatistics:
        """Means over targets of the mean, recall and decay of J."""
        return _mean_statistics([score.region for score in self.sequences])

    @cached_property
    def contour(self) -> MeasureStatistics:
        """Means over targets of the mean, recall and decay of F."""
        return _mean_statistics([score.contour for score in self.sequences])

    @property
    def region_similarity(self) -> float:
        """Mean over targets of mean J."""
        return self.region.mean

    @property
    def contour_accuracy(self) -> float:
        """Mean over targets of mean F."""
        return self.contour.mean

    @property
    def region_and_contour(self) -> float:
        """The mean of both, by which DAVIS-2017 ranks (J&F)."""
        return (self.region.mean + self.contour.mean) / 2

    @property
    def box_iou(self) -> float:
        """Mean over targets of mean box overlap."""
        return mean_of_known(score.box_iou for score in self.sequences)

    @property
    def lost_share(self) -> float:
        """Mean over targets of the share of lost frames."""
        return mean_of_known(score.lost_share for score in self.sequences)

    @property
    def milliseconds(self) -> float:
        """Median time over all frames."""
        return self._time_quantile(0.5)

    @property
    def milliseconds_p99(self) -> float:
        """The time that 99 of 100 frames stay under."""
        return self._time_quantile(0.99)

    @cached_property
    def counted(self) -> tuple[FrameScore, ...]:
        """The frames of all targets that enter the means."""
        return tuple(frame for score in self.sequences for frame in score.counted)

    @cached_property
    def separations(self) -> tuple[Separation, ...]:
        """How far the confidence separates lost from fine, over all counted frames.

        For frames with J under `LOST_BELOW`, and again for those under `POOR_BELOW`.
        """
        confidence, similar = self._confidences()
        return tuple(separation(confidence, similar, below) for below in (LOST_BELOW, POOR_BELOW))

    @property
    def confidence_auc(self) -> float:
        """Chance that a fine frame has a higher confidence than a lost one; NaN without either."""
        return self.separations[0].auc

    @cached_property
    def calibration(self) -> tuple[CalibrationBin, ...]:
        """Mean J by tenths of the confidence, over all counted frames."""
        return calibration(*self._confidences())

    def part(self, group: SequenceGroup) -> Evaluation:
        """The evaluation of a group's sequences alone.

        Raises:
            KeyError: a sequence of the group has no score here.
        """
        return self.of(group.sequences)

    def of(self, names: Sequence[str]) -> Evaluation:
        """The evaluation of some sequences alone, in this order.

        Raises:
            KeyError: one of them has no score here.
        """
        by_name: dict[str, list[SequenceScore]] = {name: [] for name in self.names}
        for score in self.sequences:
            by_name[score.name].append(score)
        chosen = tuple(score for name in names for score in by_name[name])
        return replace(self, sequences=chosen, groups=())

    def _time_quantile(self, share: float) -> float:
        times = [frame.milliseconds for score in self.sequences for frame in score.frames]
        return _quantile(times, share)

    def _confidences(self) -> tuple[list[float], list[float]]:
        """Confidence and J of all counted frames."""
        return (
            [frame.confidence for frame in self.counted],
            [frame.region_similarity for frame in self.counted],
        )


def training_step(metadata: Mapping[str, Any]) -> int | None:
    """The step that the metadata of a checkpoint tell, as training writes them; None if none."""
    step = str(metadata.get("step", metadata.get("steps", "")))
    return int(step) if step.isdecimal() else None


def _quantile(values: Sequence[float], share: float) -> float:
    """NaN of nothing and of what has no number."""
    return float(np.quantile(values, share)) if values else math.nan


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _mean_statistics(statistics: Iterable[MeasureStatistics]) -> MeasureStatistics:
    kept = list(statistics)
    if not kept:
        return measure_statistics([])
    return MeasureStatistics(*(mean_of_known(values) for values in zip(*kept, strict=True)))
