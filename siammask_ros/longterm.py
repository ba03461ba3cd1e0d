# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Know when a target is lost, search for it over the whole frame, and be sure before saying so.

A target is TRACKING, UNCERTAIN or LOST by its evidence: the confidence of the tracking step,
lowered where the mask is empty or shows other colours than the target had. Each change of state
needs several frames in a row and its own threshold (hysteresis). A target is looked for where its
motion leads; one that is not seen for a moment goes on like that. A LOST target is searched for
around the place where it was last seen, ever farther away, until the tiles cover the frame; a find
is followed for several frames against a stricter threshold before the target is TRACKING again.
All search patches of all targets go through the network in one batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from siammask_ros.appearance import Appearance, look_at
from siammask_ros.geometry import RotatedBox
from siammask_ros.longterm_config import LongTermConfig
from siammask_ros.meetings import Meetings, Party, Plan
from siammask_ros.search import (
    Candidate,
    Find,
    SearchPattern,
    first_seen,
    sizes_away,
    target_size,
)
from siammask_ros.target_status import TargetStatus
from siammask_ros.targets import Meeting, Refusal, Target, TargetResult

if TYPE_CHECKING:
    from siammask_ros.crop import ImageBgr
    from siammask_ros.geometry import Box
    from siammask_ros.tracker import TrackerState, TrackResult
    from siammask_ros.tracker_state import RunnerUp

__all__ = [
    "MAX_TARGETS",
    "BatchTracker",
    "LongTermConfig",
    "LongTermTracker",
    "SearchPattern",
    "Sighting",
    "Target",
    "TargetResult",
    "TargetStatus",
]

MAX_TARGETS = 255
"""Ids are the values of an 8-bit label image, 0 is the background."""
_COASTING = 0.9
"""Share of the velocity that is left after a frame in which a target is not seen."""
_RIVAL_RANGE = 6.0
"""Target sizes from which on a rival is left alone."""
_RIVAL_MEMORY = 15
"""Frames that a rival is followed for without being seen."""
_REFUSAL_MEMORY = 15
"""Frames in which something that is no rival is not looked at again."""
_STEADY_RATE = 0.1
_SIZE_RATE = 0.05
_AREA_RATE = 0.2
_JERK = 0.5
"""Target sizes by which a motion differs from the one expected, so that it is none of its own."""


class BatchTracker(Protocol):
    """What is needed of a tracker; `SiamMaskTracker` has it."""

    def initialize_batch(
        self, targets: Sequence[tuple[ImageBgr, Sequence[float]]]
    ) -> list[TrackerState]:
        """States of targets given by image and box."""

    def track_batch(
        self, targets: Sequence[tuple[ImageBgr, TrackerState]]
    ) -> list[tuple[TrackerState, TrackResult]]:
        """New states and results, in one forward pass."""

    def patch_scale(self, state: TrackerState) -> float:
        """Image pixels a pixel of the next search patch."""


class Sighting(NamedTuple):
    """What is seen of a target in a box that somebody else points to."""

    state: TrackerState
    box: Box
    evidence: float
    """As of a frame: the confidence, lowered where mask or colours speak against it."""


class LongTermTracker:
    """Follows targets through losses. Holds no target: targets go in and come out.

    Args:
        tracker: does the single steps.
        config: thresholds.
    """

    def __init__(self, tracker: BatchTracker, config: LongTermConfig | None = None) -> None:
        self.tracker = tracker
        self.config = config or LongTermConfig()
        self._meetings = Meetings(self.config)

    def start(self, image_bgr: ImageBgr, box_xywh: Sequence[float]) -> Target:
        """Start on a target; see `SiamMaskTracker.initialize`.

        Raises:
            ValueError: bad image or box.
        """
        return self.start_batch([(image_bgr, box_xywh)])[0]

    def start_batch(self, targets: Sequence[tuple[ImageBgr, Sequence[float]]]) -> list[Target]:
        """Start on several targets in one forward pass; a bad one starts none."""
        states = self.tracker.initialize_batch(targets)
        return [Target(tracker_state=state, last_seen=state) for state in states]

    def step(self, targets: Sequence[tuple[ImageBgr, Target]]) -> list[tuple[Target, TargetResult]]:
        """Process one frame for every target, of one or several cameras, in one forward pass.

        Targets that are given with the same image array are known to be in the same picture.

        Raises:
            ValueError: bad image; no target is changed.
        """
        unseen = sum(
            target.status == TargetStatus.LOST or target.blind_frames > 0 for _, target in targets
        )
        quota = self._searches_per_target(unseen)
        parties = [
            Party(image_bgr, target, self._plan(image_bgr, target, quota))
            for image_bgr, target in targets
        ]
        rivals = [
            [
                Party(party.image_bgr, rival, Plan([rival.expected_state]), rival_of=party)
                for rival in party.target.rivals
            ]
            for party in parties
        ]
        self._look_for([*parties, *itertools.chain(*rivals)])
        self._meetings.tell_apart([*parties, *itertools.chain(*rivals)])
        claimed = [(party.image_bgr, party.find.result.box) for party in parties if party.followed]
        stepped = []
        for party, own_rivals in zip(parties, rivals, strict=True):
            others = [
                box
                for image_bgr, box in claimed
                if image_bgr is party.image_bgr and box is not party.find.result.box
            ]
            if party.followed:
                target, result = self._followed(party)
                target = self._with_rivals(target, party, own_rivals, others)
                target = self._with_candidates(target, party, others)
            else:
                target, result = self._searched(
                    party.plan.searching(party.target), party.finds, others
                )
                if result.result is not None:  # two lost targets must not find the same thing
                    claimed.append((party.image_bgr, result.result.box))
            stepped.append((target, result))
        return stepped

    def _look_for(self, parties: Sequence[Party]) -> None:
        """Search for all of them in one forward pass, and keep what is found."""
        answers = iter(
            self.tracker.track_batch(
                [(party.image_bgr, state) for party in parties for state in party.plan.states]
            )
        )
        for party in parties:
            party.finds = [
                self._find(party.image_bgr, party.target, *next(answers))
                for _ in party.plan.states  # in their order
            ]

    def look(self, places: Sequence[tuple[ImageBgr, Target, Box]]) -> list[Sighting]:
        """How much like each target's first exemplar a box of an image is, in one forward pass."""
        moved = [
            (image_bgr, replace(target.tracker_state, center_xy=box.center_xy, size_wh=box.size_wh))
            for image_bgr, target, box in places
        ]
        answers = self.tracker.track_batch(moved)
        finds = [
            self._find(image_bgr, target, *answer)
            for (image_bgr, target, _), answer in zip(places, answers, strict=True)
        ]
        return [Sighting(find.state, find.result.box, find.evidence) for find in finds]

    def patch_scales(self, target: Target) -> list[float]:
        """Image pixels a pixel of the patches in which a target is searched for."""
        states = [
            target.tracker_state,
            *(rival.tracker_state for rival in target.rivals),
            *(candidate.state for candidate in target.candidates),
        ]
        return [self.tracker.patch_scale(state) for state in states]

    def restart(self, target: Target, state: TrackerState, *, at_once: bool) -> Target:
        """A LOST target where it was seen: TRACKING at once, or after it is confirmed."""
        if at_once:
            return _found_again(target, state)
        return replace(target, candidates=(Candidate(state),))

    def places(self, target: Target) -> tuple[Box, Box | None]:
        """Where a LOST target was last seen, and where it may be and is being confirmed."""
        likely = (each for each in target.candidates if not each.is_doubtful(self.config))
        candidate = next(likely, None)
        return target.tracker_state.box, candidate.state.box if candidate else None

    @staticmethod
    def confirm(target: Target) -> Target:
        """An UNCERTAIN target that somebody else sees: the time until LOST begins anew."""
        return replace(target, weak_frames=0, blind_frames=0, uncertain_frames=0)

    def _searches_per_target(self, unseen: int) -> int:
        share = self.config.searches_per_step // max(unseen, 1)
        return max(1, min(self.config.searches_per_frame, share))

    def _plan(self, image_bgr: ImageBgr, target: Target, quota: int) -> Plan:
        """Where to look for a target in this frame: candidates, where it was, and tiles."""
        states = [candidate.state for candidate in target.candidates]
        if target.status != TargetStatus.LOST:
            # What is there before a target can have gone there is not the target.
            tiles = quota - 1 - len(states) if target.blind_frames else 0
            return self._planned(image_bgr, target, [target.expected_state, *states], tiles)
        tiles = quota - len(states)
        if all(candidate.is_doubtful(self.config) for candidate in target.candidates):
            tiles = max(tiles, 1)
            if tiles > 1 or target.age % 2 == 0:  # else turn and turn about
                is_as_usual = (target.age // 2) % 2 == 0
                states.append(target.usual_place if is_as_usual else target.tracker_state)
                tiles -= 1
        return self._planned(image_bgr, target, states, tiles)

    def _planned(
        self, image_bgr: ImageBgr, target: Target, states: list[TrackerState], tiles: int
    ) -> Plan:
        """A plan with the next so many of the tiles around the place of the target."""
        height, width = image_bgr.shape[:2]
        place = target.usual_place
        centers = SearchPattern(
            center_xy=place.center_xy,
            spacing=self.config.tile_spacing * _context_side(place),
            image_size_wh=(width, height),
        )
        tiles = max(tiles, 0)
        around = [
            replace(place, center_xy=centers.at(target.searches + number))
            for number in range(tiles)
        ]
        return Plan(states + around, tiles)

    def _find(
        self, image_bgr: ImageBgr, target: Target, state: TrackerState, result: TrackResult
    ) -> Find:
        look = look_at(image_bgr, result, target.appearance)
        factor = self.config.empty_mask_factor if result.mask_area == 0 else 1.0
        if look is not None:
            lowest, highest = self.config.color_none_below, self.config.color_full_above
            if _has_jumped_unseen(target, state):  # it must be itself
                lowest, highest = highest, max(self.config.found_color, highest)
            factor = _share(look.relative_similarity, lowest, highest)
        return Find(state, result, result.confidence * factor, look)

    def _followed(self, party: Party) -> tuple[Target, TargetResult]:
        """A target that is not LOST: count the evidence and decide."""
        config, target, find = self.config, party.target, party.find
        weak = find.is_eclipsed or find.evidence < config.uncertain_below
        blind = find.evidence < config.lost_below
        unseen = find.is_eclipsed or blind
        meeting = self._meetings.after(party)
        counted = replace(
            target,
            # A guess moves nothing: the target is where it should be.
            tracker_state=target.expected_state if unseen else find.state,
            velocity_xy=self._velocity(target, find, weak=weak, blind=blind),
            steady_velocity_xy=self._steady_velocity(target, find, weak=weak),
            meeting=meeting,
            usual_size_wh=_usual_size(target, find, weak=weak),
            usual_area=_usual_area(target, find),
            appearance=self._appearance(target, find),
            age=target.age + 1 if weak else 0,
            weak_frames=target.weak_frames + 1 if weak else 0,
            blind_frames=target.blind_frames + 1 if blind else 0,
            strong_frames=target.strong_frames + 1 if find.is_strong(self.config) else 0,
            frames=target.frames + 1,
            uncertain_frames=target.uncertain_frames + 1,
            eclipsed_frames=target.eclipsed_frames + 1 if find.is_eclipsed else 0,
        )
        if find.is_eclipsed and meeting is not None:
            counted = _gone_on(counted, meeting)
        if party.has_parted and target.meeting is not None:
            counted = replace(counted, appearance=target.meeting.appearance)
        status = self._status_of(counted)
        if status == TargetStatus.LOST:
            lost = replace(
                counted,
                status=status,
                tracker_state=target.last_place,
                meeting=None,
            )
            return lost, TargetResult(status, None, find.result.confidence, lost.age)
        if status == TargetStatus.TRACKING:
            counted = replace(
                counted,
                last_seen=target.last_seen if weak else find.state,
                uncertain_frames=0,
            )
        followed = replace(counted, status=status)
        # What is in front of a target is not the target.
        result = _unseen(find.result, followed.tracker_state) if find.is_eclipsed else find.result
        return followed, TargetResult(status, result, result.confidence, followed.age)

    def _with_rivals(
        self, target: Target, party: Party, rivals: Sequence[Party], others: Sequence[Box]
    ) -> Target:
        """The target with those of its rivals that are still there, and a new one."""
        if target.status == TargetStatus.LOST:
            return replace(
                target, rivals=tuple(own.target for own in rivals if own.counts), refusals=()
            )
        refusals = []
        if target.meeting is None:  # else it may be the one that was refused
            refusals = _remembered(target, party.find.result.runner_up)
        kept = []
        for own in rivals:
            if own.is_gone:
                continue
            if not (own.counts or self._meetings.may_be_rival(party, own)):
                if self._meetings.is_another_kind(party, own):
                    refusals.append(Refusal(own.find.state.center_xy))
                continue
            rival, _ = self._followed(own)
            if self._is_rival(rival, target, others):
                kept.append(rival)
        target = replace(target, refusals=tuple(refusals))
        new = self._new_rival(
            target, party.find, [*others, *(rival.tracker_state.box for rival in kept)]
        )
        if new is not None and len(kept) < self.config.most_rivals:
            kept.append(new)
        return replace(target, rivals=tuple(kept))

    def _is_rival(self, rival: Target, target: Target, others: Sequence[Box]) -> bool:
        """Whether a rival is seen, not far away, and not another target."""
        if rival.last_seen is None or rival.status == TargetStatus.LOST:
            return False
        if rival.weak_frames > _RIVAL_MEMORY:
            return False
        place = rival.tracker_state
        is_near = sizes_away(place, target.tracker_state) <= _RIVAL_RANGE
        return is_near and not any(self.config.are_one(place.box, box) for box in others)

    def _new_rival(self, target: Target, find: Find, known: Sequence[Box]) -> Target | None:
        """What looks like the target in a frame that shows the target well."""
        runner_up = find.result.runner_up
        if runner_up is None or runner_up.confidence < self.config.rival_above:
            return None
        is_seen = find.evidence >= self.config.certain_above
        if not is_seen or any(self.config.are_one(runner_up.box, box) for box in known):
            return None
        if any(refusal.is_at(runner_up, target) for refusal in target.refusals):
            return None
        state = target.tracker_state
        return Target(tracker_state=replace(state, center_xy=runner_up.box.center_xy))

    def _appearance(self, target: Target, find: Find) -> Appearance | None:
        """What the target looks like, after a frame in which it is seen, if changed a little."""
        config = self.config
        is_seen = find.result.confidence >= config.certain_above
        is_itself = not find.is_eclipsed and find.evidence >= config.lost_below
        if find.look is None or not (is_seen and is_itself):
            return target.appearance
        is_certain = target.status != TargetStatus.UNCERTAIN and find.is_strong(config)
        if not is_certain and find.likeness < config.color_full_above:
            return target.appearance
        if target.appearance is None:
            return Appearance.first_seen(find.look)
        return target.appearance.learned(find.look, config.color_rate)

    def _steady_velocity(self, target: Target, find: Find, *, weak: bool) -> tuple[float, float]:
        """The velocity over more frames; those of a meeting, or without evidence, do not count."""
        if weak or target.meeting is not None:
            return target.steady_velocity_xy
        rate = max(_STEADY_RATE, 1 / (target.frames + 1))
        (x, y), (old_x, old_y) = find.state.center_xy, target.tracker_state.center_xy
        speed_x, speed_y = target.steady_velocity_xy
        return speed_x + rate * (x - old_x - speed_x), speed_y + rate * (y - old_y - speed_y)

    def _velocity(
        self, target: Target, find: Find, *, weak: bool, blind: bool
    ) -> tuple[float, float]:
        """The velocity after a frame; unseen motion dies away, and a jerk tells nothing."""
        speed_x, speed_y = target.velocity_xy
        if blind:
            return speed_x * _COASTING, speed_y * _COASTING
        expected = target.expected_state
        if weak or sizes_away(expected, find.state) > _JERK:
            return target.velocity_xy
        rate = self.config.motion_rate
        (x, y), (expected_x, expected_y) = find.state.center_xy, expected.center_xy
        return speed_x + rate * (x - expected_x), speed_y + rate * (y - expected_y)

    def _status_of(self, target: Target) -> TargetStatus:
        """The state after this frame's evidence, with hysteresis."""
        config = self.config
        if target.blind_frames >= config.lost_after:
            return TargetStatus.LOST
        if target.status != TargetStatus.UNCERTAIN:
            weak = target.weak_frames >= config.uncertain_after or target.blind_frames > 0
            return TargetStatus.UNCERTAIN if weak else TargetStatus.TRACKING
        if target.strong_frames >= config.certain_after:
            return TargetStatus.TRACKING
        if target.uncertain_frames > config.uncertain_limit:
            return TargetStatus.LOST
        return TargetStatus.UNCERTAIN

    def _searched(
        self, target: Target, finds: Sequence[Find], claimed: Sequence[Box]
    ) -> tuple[Target, TargetResult]:
        """A LOST target: follow its candidates, look for others, and take one that is sure."""
        target = replace(target, age=target.age + 1)
        candidates = self._candidates(target, target, finds, claimed)
        confirmed = [each for each in candidates if each.is_confirmed(self.config)]
        if confirmed:
            best = max(confirmed, key=lambda candidate: candidate.likeness)
            result = next(find.result for find in finds if find.state is best.state)
            others = [each for each in candidates if each is not best and not each.missed]
            found = replace(
                _found_again(target, best.state),
                rivals=tuple(_as_rival(each) for each in others[: self.config.most_rivals]),
            )
            return found, TargetResult(found.status, result, result.confidence, 0)
        searched = replace(target, candidates=tuple(candidates))
        best_confidence = max(find.result.confidence for find in finds)
        return searched, TargetResult(TargetStatus.LOST, None, best_confidence, target.age)

    def _with_candidates(self, target: Target, party: Party, claimed: Sequence[Box]) -> Target:
        """A target that is not seen, UNCERTAIN or LOST now, with what is like it elsewhere."""
        is_lost = target.status == TargetStatus.LOST
        if not target.blind_frames and not is_lost:
            return replace(target, candidates=(), searches=0)
        candidates = self._candidates(party.target, target, party.finds[1:], claimed)
        if not is_lost:
            searches = party.target.searches + party.plan.tiles
            return replace(target, candidates=tuple(candidates), searches=searches)
        rivals = [_as_candidate(rival) for rival in target.rivals]
        kept = [*rivals, *candidates][: self.config.most_candidates]
        return replace(target, candidates=tuple(kept), rivals=(), searches=0)

    def _candidates(
        self, before: Target, target: Target, finds: Sequence[Find], claimed: Sequence[Box]
    ) -> list[Candidate]:
        """The candidates that there were, as far as they are still there, and new ones."""
        known = len(before.candidates)
        candidates = [
            followed
            for candidate, find in zip(before.candidates, finds, strict=False)
            if self._is_free(find, claimed)
            and (followed := candidate.followed(find, self.config)) is not None
        ]
        free = [find for find in finds[known:] if self._is_free(find, claimed)]
        self._add_new(target, candidates, free)
        return candidates[: self.config.most_candidates]

    def _add_new(self, target: Target, candidates: list[Candidate], finds: Sequence[Find]) -> None:
        """Add what was found besides, the best first, to the candidates in place."""
        for find in sorted(finds, key=lambda find: find.evidence, reverse=True):
            if find.evidence < self.config.found_above:
                return
            if any(self.config.are_one(find.state.box, each.state.box) for each in candidates):
                continue
            new = first_seen(find, target.last_place, target.age, target.speed, self.config)
            candidates.append(new.beside(candidates))

    def _is_free(self, find: Find, claimed: Sequence[Box]) -> bool:
        """Whether a find is not on a target that is followed."""
        return not any(self.config.are_one(find.result.box, box) for box in claimed)


def _remembered(target: Target, runner_up: RunnerUp | None) -> list[Refusal]:
    """What is no rival of a target, where it is now; what was looked at long ago is forgotten."""
    remembered = []
    for refusal in target.refusals:
        moved = runner_up is not None and refusal.is_at(runner_up, target)
        center_xy = runner_up.box.center_xy if runner_up and moved else refusal.center_xy
        if refusal.frames < _REFUSAL_MEMORY:
            remembered.append(Refusal(center_xy, refusal.frames + 1))
    return remembered


def _gone_on(target: Target, meeting: Meeting) -> Target:
    """A target behind what it has met: where it was going, as large as usual.

    What was found lately may have been both of them.
    """
    state = replace(
        target.tracker_state, center_xy=meeting.expected_xy, size_wh=target.usual_size_wh
    )
    return replace(target, tracker_state=state, velocity_xy=meeting.velocity_xy)


def _usual_size(target: Target, find: Find, *, weak: bool) -> tuple[float, float]:
    """The usual size after a frame; those of a meeting, or without evidence, do not count."""
    width, height = target.usual_size_wh
    if not width or not height:
        return target.tracker_state.size_wh
    if weak or target.meeting is not None:
        return target.usual_size_wh
    new_width, new_height = find.state.size_wh
    return (
        width * (new_width / width) ** _SIZE_RATE,
        height * (new_height / height) ** _SIZE_RATE,
    )


def _usual_area(target: Target, find: Find) -> float:
    """The usual area of the mask after a frame."""
    area = find.result.mask_area
    if find.is_eclipsed or not area:
        return target.usual_area
    usual = target.usual_area or area
    return usual + _AREA_RATE * (area - usual)


def _has_jumped_unseen(target: Target, state: TrackerState) -> bool:
    """Whether a followed target that was not seen a frame ago turns up somewhere else."""
    if not target.blind_frames or target.status == TargetStatus.LOST:
        return False
    return sizes_away(state, target.expected_state) > _JERK


def _share(value: float, lowest: float, highest: float) -> float:
    """Where a value lies between two others: 0 up to the first, 1 from the second on."""
    if value >= highest:
        return 1.0
    return max((value - lowest) / (highest - lowest), 0.0)


def _found_again(target: Target, state: TrackerState) -> Target:
    """A target that was LOST, TRACKING where it was found; it looks as it did."""
    return Target(
        tracker_state=state,
        status=TargetStatus.TRACKING,
        last_seen=state,
        appearance=target.appearance,
        usual_size_wh=target.usual_size_wh,
    )


def _unseen(result: TrackResult, place: TrackerState) -> TrackResult:
    """A result that says where a target should be, without a mask."""
    return replace(
        result,
        box=place.box,
        rotated_box=RotatedBox.from_box(place.box),
        has_mask_box=False,
        probability_in_roi=np.zeros_like(result.probability_in_roi),
        mask_in_roi=np.zeros_like(result.mask_in_roi),
    )


def _as_rival(candidate: Candidate) -> Target:
    """What was found while the target was LOST, and is not the target."""
    state = candidate.state
    return Target(tracker_state=state, status=TargetStatus.TRACKING, last_seen=state)


def _as_candidate(rival: Target) -> Candidate:
    """A rival of a target that is LOST: it is known that this is something else."""
    return Candidate(rival.tracker_state, is_out_of_reach=True)


def _context_side(state: TrackerState) -> float:
    """About the side of the square that the exemplar shows: twice the target."""
    return 2 * target_size(state)
