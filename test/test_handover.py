# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What detections mean for targets, case by case."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from siammask_ros.geometry import Box
from siammask_ros.handover import (
    MAX_QUESTIONS,
    Detection,
    HandoverConfig,
    KnownTarget,
    chosen_to_start,
    match,
    recovered,
)
from siammask_ros.longterm import LongTermConfig, LongTermTracker, Sighting, Target
from siammask_ros.masks import ImageRegion
from siammask_ros.target_status import TargetStatus

HERE = Box(10, 10, 40, 30)
THERE = Box(200, 100, 40, 30)
ELSEWHERE = Box(400, 10, 40, 30)
IMAGE = np.zeros((200, 500, 3), np.uint8)


def seen(box=HERE, label="cup", score=0.9):
    return Detection(box, label, score)


def target(target_id=1, status=TargetStatus.TRACKING, box=HERE, label="", **places):
    return KnownTarget(target_id, label, status, box, **places)


def lost(target_id=1, **places):
    return target(target_id, TargetStatus.LOST, None, **places)


def test_a_detection_on_a_followed_target_is_nothing_new():
    found = match([seen(), seen(THERE)], [target()], HandoverConfig())
    assert found.free == [seen(THERE)]
    assert found.confirmed == []
    assert found.questions == []


def test_a_detection_on_an_uncertain_target_confirms_it():
    targets = [target(4, TargetStatus.UNCERTAIN), target(5, TargetStatus.UNCERTAIN, THERE)]
    assert match([seen(), seen()], targets, HandoverConfig()).confirmed == [4]


def test_detections_of_other_classes_and_low_scores_are_not_read():
    config = HandoverConfig(wanted_class="cup", min_score=0.6)
    given = [seen(label="dog"), seen(score=0.59), seen(THERE, score=0.6)]
    found = match(given, [target(status=TargetStatus.UNCERTAIN)], config)
    assert found.free == [given[2]]
    assert found.confirmed == []


def test_a_lost_target_is_compared_with_every_free_detection_near_ones_first():
    targets = [lost(1, last_place=HERE), target(2, box=ELSEWHERE)]
    given = [seen(THERE), seen(ELSEWHERE), seen(HERE, score=0.6)]
    questions = match(given, targets, HandoverConfig()).questions
    assert [(ask.target_id, ask.detection, ask.near) for ask in questions] == [
        (1, given[2], True),
        (1, given[0], False),
    ]


@pytest.mark.parametrize("place", ["last_place", "candidate"])
def test_near_is_where_it_was_or_may_be(place):
    (ask,) = match([seen()], [lost(**{place: HERE})], HandoverConfig()).questions
    assert ask.near


def test_where_it_was_in_the_detections_image_is_near_too():
    since_lost = target(1, TargetStatus.LOST, HERE, last_place=THERE)
    (ask,) = match([seen()], [since_lost], HandoverConfig()).questions
    assert ask.near


def test_a_find_that_is_being_confirmed_is_not_given_up_for_a_far_detection():
    targets = [lost(last_place=THERE, candidate=ELSEWHERE)]
    assert match([seen(HERE)], targets, HandoverConfig()).questions == []


def test_there_are_only_so_many_questions():
    given = [seen(Box(50 * number, 0, 40, 40)) for number in range(10)]
    targets = [lost(number) for number in range(1, 6)]
    assert len(match(given, targets, HandoverConfig()).questions) == MAX_QUESTIONS


def sighting(box=HERE, evidence=0.9):
    return Sighting(state=None, box=box, evidence=evidence)


def questions_of(detections, targets):
    return match(detections, targets, HandoverConfig()).questions


def test_recovery_needs_the_appearance():
    questions = questions_of([seen()], [lost(last_place=HERE)])
    assert recovered(questions, [sighting(evidence=0.84)], HandoverConfig(), 0.85) == []
    assert recovered(questions, [sighting(THERE)], HandoverConfig(), 0.85) == []
    assert recovered(questions, [sighting()], HandoverConfig(), 0.85) == [(0, True)]


def test_a_recovery_far_from_the_last_place_has_to_be_confirmed():
    questions = questions_of([seen(THERE)], [lost(last_place=HERE)])
    assert recovered(questions, [sighting(THERE)], HandoverConfig(), 0.85) == [(0, False)]


def test_two_lost_targets_do_not_take_the_same_detection():
    questions = questions_of([seen(), seen(THERE)], [lost(1), lost(2)])
    evidence = {(1, HERE): 0.95, (1, THERE): 0.9, (2, HERE): 0.99, (2, THERE): 0.86}
    sightings = [
        sighting(ask.detection.box, evidence[ask.target_id, ask.detection.box]) for ask in questions
    ]
    found = recovered(questions, sightings, HandoverConfig(), 0.85)
    pairs = {(questions[n].target_id, questions[n].detection.box) for n, _ in found}
    assert pairs == {(2, HERE), (1, THERE)}


def started(policy, free, targets=(), room=9, wanted_class=""):
    config = HandoverConfig(policy=policy, wanted_class=wanted_class)
    return chosen_to_start(free, targets, config, room)


def test_manual_starts_nothing():
    assert started("manual", [seen()]) == []


def test_first_starts_the_first_while_there_is_no_target():
    free = [seen(score=0.6), seen(THERE)]
    assert started("first", free) == free[:1]
    assert started("first", free, [lost()]) == []


def test_best_class_starts_the_best_while_no_target_has_that_label():
    free = [seen(score=0.6), seen(THERE, score=0.8)]
    assert started("best_class", free, [target(label="dog")], wanted_class="cup") == free[1:]
    assert started("best_class", free, [target(label="cup")], wanted_class="cup") == []


def test_all_starts_each_but_doubles_the_best_first_and_as_many_as_there_is_room_for():
    free = [seen(score=0.6), seen(THERE, score=0.8), seen(Box(12, 10, 40, 30), score=0.7)]
    assert started("all", free) == [free[1], free[2]]
    assert started("all", free, [target(box=ELSEWHERE)], room=1) == [free[1]]
    assert started("all", free, room=-1) == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"policy": "some"}, "one of manual, first, best_class, all, got 'some'"),
        ({"policy": "best_class"}, "needs a detections_class"),
        ({"min_score": 1.1}, "detections_min_score must be 0 to 1, got 1.1"),
        ({"iou": 0.0}, "detections_iou must be above 0, up to 1, got 0.0"),
        ({"iou": float("nan")}, "got nan"),
    ],
)
def test_bad_settings_are_named(values, words):
    with pytest.raises(ValueError, match=words):
        HandoverConfig(**values)


# --- What the tracker does on their word


class Looker:
    """A tracker that sees a target with a given score wherever it looks."""

    def __init__(self, confidence, mask_area=100):
        self.result = SimpleNamespace(
            confidence=confidence,
            mask_area=mask_area,
            box=THERE,
            mask_roi=ImageRegion(0, 0, 2, 2),
            mask_in_roi=np.ones((2, 2), bool),  # too few pixels for colours
            runner_up=None,
        )

    def track_batch(self, targets):
        return [(state, self.result) for _, state in targets]


@dataclass(frozen=True)
class State:
    center_xy: tuple[float, float] = HERE.center_xy
    size_wh: tuple[float, float] = HERE.size_wh

    @property
    def box(self):
        return Box.from_center(self.center_xy, self.size_wh)


def lost_target():
    return Target(State(), TargetStatus.LOST, age=9)


def test_looking_moves_the_search_to_the_box_and_nothing_else():
    target = lost_target()
    (sighting,) = LongTermTracker(Looker(0.9)).look([(IMAGE, target, ELSEWHERE)])
    assert sighting.state.box == ELSEWHERE
    assert (sighting.box, sighting.evidence) == (THERE, 0.9)
    assert target.tracker_state == State()
    (doubtful,) = LongTermTracker(Looker(0.9, mask_area=0)).look([(IMAGE, target, ELSEWHERE)])
    assert doubtful.evidence < 0.9


def test_a_restart_is_tracking_at_once_or_a_candidate():
    tracker = LongTermTracker(Looker(0.9))
    state = State(ELSEWHERE.center_xy)
    at_once = tracker.restart(lost_target(), state, at_once=True)
    assert (at_once.status, at_once.age) == (TargetStatus.TRACKING, 0)
    later = tracker.restart(lost_target(), state, at_once=False)
    assert later.status == TargetStatus.LOST
    assert tracker.places(lost_target()) == (HERE, None)
    assert tracker.places(later) == (HERE, state.box)


def test_a_confirmed_target_has_all_its_time_again():
    config = LongTermConfig(lost_after=3, uncertain_limit=4)
    tracker = LongTermTracker(Looker(config.lost_below / 2), config)

    def frames_until_lost(*, confirmed):
        target, frames = Target(State(), TargetStatus.TRACKING, last_seen=State()), 0
        while target.status != TargetStatus.LOST:
            image_bgr = np.zeros((200, 300, 3), np.uint8)
            ((target, _),) = tracker.step([(image_bgr, target)])
            frames += 1
            if frames == 2 and confirmed:
                target = tracker.confirm(target)
                assert target.status == TargetStatus.UNCERTAIN
        return frames

    assert frames_until_lost(confirmed=True) == frames_until_lost(confirmed=False) + 2
