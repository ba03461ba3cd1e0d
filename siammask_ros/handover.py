# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a detector's boxes mean for the targets: which they confirm, restart or start.

The boxes of one image are taken in three steps. `match` sorts out those that lie on targets which
are followed. Each of the others may be a LOST target: `match` says what to ask the network, and
`recovered` what its answers mean. `chosen_to_start` then applies the policy to what is left.
Nothing here knows images or networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from siammask_ros.geometry import Box, box_iou
from siammask_ros.longterm import Sighting
from siammask_ros.target_status import TargetStatus

POLICIES = ("manual", "first", "best_class", "all")
MAX_QUESTIONS = 16
"""Pairs of a LOST target and a box that the network compares for one image."""


class Detection(NamedTuple):
    """One box of a detector.

    Attributes:
        box: in pixels of the image it was found in.
        label: its class; may be empty.
        score: in [0, 1].
    """

    box: Box
    label: str
    score: float


@dataclass(frozen=True)
class HandoverConfig:
    """What is done with detections.

    Attributes:
        policy: which of them start targets: none (`manual`); the `first` of a message while there
            is no target; the one with the highest score of `wanted_class` while no target has that
            label (`best_class`); or `all` that are on no target.
        wanted_class: only detections of this class are read; empty: of every class.
        min_score: detections with a lower score are not read.
        iou: a detection is on a target if their boxes overlap at least so much, in (0, 1].
    """

    policy: str = "manual"
    wanted_class: str = ""
    min_score: float = 0.5
    iou: float = 0.5

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise ValueError(
                f"detections_policy must be one of {', '.join(POLICIES)}, got {self.policy!r}"
            )
        if self.policy == "best_class" and not self.wanted_class:
            raise ValueError("detections_policy best_class needs a detections_class")
        if not 0 <= self.min_score <= 1:
            raise ValueError(f"detections_min_score must be 0 to 1, got {self.min_score}")
        if not 0 < self.iou <= 1:
            raise ValueError(f"detections_iou must be above 0, up to 1, got {self.iou}")


class KnownTarget(NamedTuple):
    """A target of the camera that the detections are of.

    Attributes:
        target_id: its id.
        label: the text given with it.
        status: its state now.
        box: where it was in the detections' image; None if it was not seen there.
        last_place: where a LOST target was last seen.
        candidate: where a LOST target may have been found, which is being confirmed.
    """

    target_id: int
    label: str
    status: TargetStatus
    box: Box | None
    last_place: Box | None = None
    candidate: Box | None = None

    @property
    def is_lost(self) -> bool:
        """It is LOST now."""
        return self.status == TargetStatus.LOST


class Question(NamedTuple):
    """Whether a detection shows a LOST target; `near` if it is where that may be."""

    target_id: int
    detection: Detection
    near: bool


class Match(NamedTuple):
    """What detections are without asking the network."""

    confirmed: list[int]
    """Ids of UNCERTAIN targets that a detection is on."""
    free: list[Detection]
    """Detections on no followed target, in the order given."""
    questions: list[Question]


class Recovery(NamedTuple):
    """A LOST target that a detection shows: which question said so, and how sure that is."""

    question: int
    at_once: bool
    """It is where the target was: restart. Otherwise it has to be confirmed in later frames."""


def match(
    detections: Sequence[Detection], targets: Sequence[KnownTarget], config: HandoverConfig
) -> Match:
    """Which targets the detections of one image are on, and which are worth a closer look."""
    followed = [target for target in targets if target.box is not None and not target.is_lost]
    confirmed, free = [], []
    for detection in filter(lambda found: _is_wanted(found, config), detections):
        on = [target for target in followed if _overlap(detection, target.box, config)]
        if not on:
            free.append(detection)
        confirmed += [t.target_id for t in on if t.status == TargetStatus.UNCERTAIN]
    questions = [
        Question(target.target_id, detection, _is_near(detection, target, config))
        for target, detection in product(targets, free)
        if target.is_lost
    ]
    waiting = {target.target_id for target in targets if target.candidate is not None}
    # What is being confirmed elsewhere is not given up for a box that is only like the target.
    questions = [ask for ask in questions if ask.near or ask.target_id not in waiting]
    questions.sort(key=lambda ask: (ask.near, ask.detection.score), reverse=True)
    return Match(sorted(set(confirmed)), free, questions[:MAX_QUESTIONS])


def recovered(
    questions: Sequence[Question],
    sightings: Sequence[Sighting],
    config: HandoverConfig,
    found_above: float,
) -> list[Recovery]:
    """Which LOST targets the detections show; each target, and each detection, at most once.

    Args:
        questions: of `match`.
        sightings: for each, what the network saw of the target in the detection's box.
        config: settings.
        found_above: evidence that a sighting needs.
    """
    able = [
        index
        for index, (ask, seen) in enumerate(zip(questions, sightings, strict=True))
        if seen.evidence >= found_above and box_iou(seen.box, ask.detection.box) >= config.iou
    ]
    able.sort(key=lambda index: (questions[index].near, sightings[index].evidence), reverse=True)
    found: list[Recovery] = []
    for index in able:
        ask = questions[index]
        others = [questions[taken.question] for taken in found]
        if all(
            ask.target_id != other.target_id and ask.detection is not other.detection
            for other in others
        ):
            found.append(Recovery(index, ask.near))
    return found


def chosen_to_start(
    free: Sequence[Detection], targets: Sequence[KnownTarget], config: HandoverConfig, room: int
) -> list[Detection]:
    """The detections that become new targets.

    Args:
        free: those on no target, in the order of the message.
        targets: all targets of the camera, LOST ones too.
        config: settings.
        room: how many targets there may be more.
    """
    by_score = sorted(free, key=lambda detection: detection.score, reverse=True)
    chosen: list[Detection] = []
    if config.policy == "first" and not targets:
        chosen = list(free[:1])
    elif config.policy == "best_class":
        if all(target.label != config.wanted_class for target in targets):
            chosen = by_score[:1]
    elif config.policy == "all":
        for detection in by_score:
            if not any(_overlap(detection, other.box, config) for other in chosen):
                chosen.append(detection)
    return chosen[: max(room, 0)]


def _is_wanted(detection: Detection, config: HandoverConfig) -> bool:
    of_class = not config.wanted_class or detection.label == config.wanted_class
    return of_class and detection.score >= config.min_score


def _is_near(detection: Detection, target: KnownTarget, config: HandoverConfig) -> bool:
    """It is where the LOST target was, in that image or at last, or may be now."""
    places = (target.box, target.last_place, target.candidate)
    return any(_overlap(detection, place, config) for place in places)


def _overlap(detection: Detection, box: Box | None, config: HandoverConfig) -> bool:
    return box is not None and box_iou(detection.box, box) >= config.iou
