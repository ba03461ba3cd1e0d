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

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from siammask_ros.evaluation.groups import SequenceGroup


class Convention(Enum):
    """Which frames enter the means. The first is always given, so it never does."""

    DAVIS = "davis"
    """As the official DAVIS-2016 evaluation: the last frame does not count either."""
    TRACKED = "tracked"
    """Every frame after the first."""

    @property
    def words(self) -> str:
        """The convention in a sentence, for reports."""
        if self is Convention.DAVIS:
            return "first and last frame not counted (DAVIS-2016)"
        return "first frame not counted, last frame counted"


class FrameScore(NamedTuple):
    """One tracked frame.

    Attributes:
        frame: its number, from 1 (frame 0 is given).
        region_similarity: J, 0 to 1.
        box_iou: overlap of the boxes, 0 to 1; NaN where the target is not to be seen.
        confidence: the tracker's; NaN if it does not say.
        milliseconds: time of `track` and of the full-size mask.
        counted: whether it enters the means.
    """

    frame: int
    region_similarity: float
    box_iou: float
    confidence: float
    milliseconds: float
    counted: bool


@dataclass(frozen=True)
class SequenceScore:
    """Scores of a sequence; means are over the counted frames."""

    name: str
    frames: tuple[FrameScore, ...]
    initialize_ms: float

    @cached_property
    def counted(self) -> tuple[FrameScore, ...]:
        """The frames that enter the means."""
        return tuple(frame for frame in self.frames if frame.counted)

    @property
    def region_similarity(self) -> float:
        """Mean J."""
        return _mean(frame.region_similarity for frame in self.counted)

    @property
    def box_iou(self) -> float:
        """Mean box overlap over the frames that show the target."""
        return _mean(frame.box_iou for frame in self.counted)

    @property
    def confidence(self) -> float:
        """Mean confidence; NaN if the tracker has none."""
        return _mean(frame.confidence for frame in self.counted)

    @property
    def milliseconds(self) -> float:
        """Median time of a frame."""
        return float(np.median([frame.milliseconds for frame in self.frames]))

    @property
    def lost_share(self) -> float:
        """Share of counted frames with J under `LOST_BELOW`."""
        return _mean(float(frame.region_similarity < LOST_BELOW) for frame in self.counted)


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
    """Scores of a tracker on a data set; the means weigh every sequence alike, as DAVIS does.

    Attributes:
        tracker: its name.
        dataset: its name.
        convention: which frames enter the means.
        sequences: the scores, in the order asked for.
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

    @property
    def region_similarity(self) -> float:
        """Mean over sequences of mean J."""
        return _mean(score.region_similarity for score in self.sequences)

    @property
    def box_iou(self) -> float:
        """Mean over sequences of mean box overlap."""
        return _mean(score.box_iou for score in self.sequences)

    @property
    def lost_share(self) -> float:
        """Mean over sequences of the share of lost frames."""
        return _mean(score.lost_share for score in self.sequences)

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
        """The frames of all sequences that enter the means."""
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
        by_name = {score.name: score for score in self.sequences}
        chosen = tuple(by_name[name] for name in group.sequences)
        return replace(self, sequences=chosen, groups=())

    def _time_quantile(self, share: float) -> float:
        times = [frame.milliseconds for score in self.sequences for frame in score.frames]
        return float(np.quantile(times, share))

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


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _mean(values: Iterable[float]) -> float:
    """Mean without NaNs; NaN of nothing."""
    kept = [value for value in values if not math.isnan(value)]
    return math.fsum(kept) / len(kept) if kept else math.nan
