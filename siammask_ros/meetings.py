# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Targets that look alike and meet: which one is which.

Of two things that look alike a network sees one, where one is before the other, and afterwards
takes either for the target. What each of them was doing before, and its colours, tell them apart.
So that this is known of things that are no targets too, they are followed as the target's rivals.
Of other things nothing is known before; a mask that swells tells that one may have been met.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from siammask_ros.appearance import look_at
from siammask_ros.search import Find, sizes_away, target_size
from siammask_ros.target_status import TargetStatus
from siammask_ros.targets import Meeting, Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siammask_ros.appearance import Appearance
    from siammask_ros.crop import ImageBgr
    from siammask_ros.longterm_config import LongTermConfig
    from siammask_ros.tracker_state import TrackerState, TrackResult

_SWAP_DETOUR = 0.75
"""Target sizes by which two targets' motion must be smoother if they are taken for each other."""
_PROVED = 3
"""Frames in which a rival must have been seen apart from its target before it counts."""
_PART = 0.2
"""Share of the smaller mask from which on two masks are of one thing."""
_SURE_FRAMES = 3
"""Frames in a row that a rival must have been seen well in, to be one of two that met."""
_MEETING_MEMORY = 60
"""Frames after a meeting in which it can be found out which one is which."""
_APART = 8
"""Frames apart from what it has met after which a target that has gone on as before is itself."""
_OWN_WAY = 0.5
"""Target sizes by which its place and its colours may misfit then."""
_FAR_OFF = 3.0
"""Target sizes beyond which a place does not fit worse."""
_SIZES_PER_LIKENESS = 10.0
"""Target sizes that a difference of colours counts as much as, for each whole likeness."""
_SWELLING = 1.3
"""Growth of a mask, against the last few, from which on it may be of two things."""
_ECLIPSE = 25
"""Frames after which a target and a rival that have met are one, if nothing else is there."""


class Plan(NamedTuple):
    """Where a target is looked for in a frame; the last so many are new tiles."""

    states: list[TrackerState]
    tiles: int = 0

    def searching(self, target: Target) -> Target:
        """The target with these tiles counted."""
        return replace(target, searches=target.searches + self.tiles)


@dataclass(eq=False)
class Party:
    """A target, or a rival of one, in a step."""

    image_bgr: ImageBgr
    target: Target
    plan: Plan
    rival_of: Party | None = None
    finds: list[Find] = field(default_factory=list)
    is_gone: bool = False
    """Another party has taken what it is."""
    has_met: bool = False
    """What was found of it is, or may be, of another thing, too."""
    has_parted: bool = False
    """And it is known which one is which."""

    @property
    def followed(self) -> bool:
        """Whether it is not LOST."""
        return self.target.status != TargetStatus.LOST

    @property
    def counts(self) -> bool:
        """Whether it is more than the shadow of another."""
        return not self.is_gone and (self.rival_of is None or self.target.frames >= _PROVED)

    @property
    def find(self) -> Find:
        """What was found where it should be."""
        return self.finds[0]

    @find.setter
    def find(self, find: Find) -> None:
        self.finds[0] = find
        vars(self).pop("surprise", None)

    @cached_property
    def surprise(self) -> float:
        """Distance of what was found from where it should be, in target sizes."""
        return self.surprise_at(self.find)

    def surprise_at(self, find: Find) -> float:
        """The same for what was found of another."""
        return sizes_away(find.state, self.target.expected_state)


@dataclass(frozen=True)
class Meetings:
    """Tells apart what meets, by the thresholds of a `LongTermConfig`."""

    config: LongTermConfig

    def tell_apart(self, parties: Sequence[Party]) -> None:
        """Give targets of one image that meet what is theirs, in place."""
        followed = [party for party in parties if party.followed]
        for first, second in itertools.combinations(followed, 2):
            if first.image_bgr is not second.image_bgr or not (first.counts and second.counts):
                continue
            if self._are_swapped(first, second):
                _exchange(first, second)
            elif self.config.are_one(first.find.result.box, second.find.result.box):
                self._part(first, second)
        for party in followed:
            if party.rival_of is None and self._has_swollen(party):
                party.has_met = True
        self._sort_out(followed)

    def _part(self, first: Party, second: Party) -> None:
        """Decide whose it is what was found of both: the other one is behind it, or beside it."""
        for target, rival in ((first, second), (second, first)):
            if rival.rival_of is target and self._is_one(target, rival):
                rival.is_gone = True
                return
        behind = first if self._is_before(second, first) else second
        behind.find = behind.find._replace(is_eclipsed=True)
        first.has_met = second.has_met = True

    def _has_swollen(self, party: Party) -> bool:
        """Whether its mask has grown so fast that it may be of another thing, too."""
        target, meeting = party.target, party.target.meeting
        usual = target.usual_area if meeting is None else meeting.area
        is_swollen = usual > 0 and party.find.result.mask_area > _SWELLING * usual
        return is_swollen and party.find.is_strong(self.config)

    def _is_before(self, party: Party, other: Party) -> bool:
        """Whether what was found of two is more likely this one."""
        if party.target.meeting is None or other.target.meeting is None:
            return party.surprise < other.surprise
        return self._misfit(party, party.find) < self._misfit(other, other.find)

    def _sort_out(self, parties: Sequence[Party]) -> None:
        """Give targets that have met another lately what suits them best, in place."""
        for party in parties:
            if party.rival_of is not None or not party.followed or party.target.meeting is None:
                continue
            for other in parties:
                if self._can_be(party, other) and self._gain(party, other) > _SWAP_DETOUR:
                    _exchange(party, other)
                    # What the two have met has that place already.
                    other.is_gone = party.find.is_eclipsed or other.find.is_eclipsed
                    party.find = party.find._replace(is_eclipsed=False)
                    party.has_parted = other.has_parted = True
                    break

    def _can_be(self, party: Party, other: Party) -> bool:
        """Whether a target may be what was found of another, that it can have met."""
        if other is party or other.is_gone or other.image_bgr is not party.image_bgr:
            return False
        meeting, has_met = party.target.meeting, other.target.meeting is not None
        if other.rival_of is None:
            is_known = other.followed and has_met
        else:  # what was seen beside the target before, and has not met it, is something else
            is_new = meeting is not None and other.target.frames <= meeting.frames
            is_known = other.rival_of is party and (has_met or is_new)
        is_sure = other.target.strong_frames >= _SURE_FRAMES and other.find.is_strong(self.config)
        is_apart = not self.config.are_one(party.find.result.box, other.find.result.box)
        return is_known and is_sure and is_apart

    def _gain(self, party: Party, other: Party) -> float:
        """By how many target sizes two fit better to what they were before, if they change."""
        gain = self._misfit(party, party.find) - self._misfit(party, other.find)
        if other.target.meeting is not None:
            gain += self._misfit(other, other.find) - self._misfit(other, party.find)
        return gain

    def _misfit(self, party: Party, find: Find) -> float:
        """How far a find is from where a target was going when it met another, and how unlike it.

        In target sizes.
        """
        meeting = party.target.meeting
        if meeting is None:
            return 0.0
        away = math.dist(meeting.expected_xy, find.state.center_xy) / target_size(find.state)
        # What it has learned since is of both of them.
        likeness = self._likeness(party, find, meeting.appearance)
        return min(away, _FAR_OFF) + _SIZES_PER_LIKENESS * (1 - likeness)

    def _is_one(self, party: Party, rival: Party) -> bool:
        """Whether a target and a rival that met long ago are one, and that is the target."""
        is_long = party.target.eclipsed_frames >= _ECLIPSE
        return is_long and self._misfit(party, party.find) < self._misfit(rival, rival.find)

    def may_be_rival(self, party: Party, rival: Party) -> bool:
        """Whether a new rival looks like the target, and is no part of it."""
        own, other = party.find.result, rival.find.result
        if _shared_pixels(own, other) > _PART * min(own.mask_area, other.mask_area):
            return False
        likeness = self._likeness(party, rival.find, party.target.appearance)
        return likeness >= self.config.color_full_above

    def is_another_kind(self, party: Party, rival: Party) -> bool:
        """Whether a rival has quite other colours than the target, not just in this frame."""
        likeness = self._likeness(party, rival.find, party.target.appearance)
        return likeness < self.config.color_none_below

    @staticmethod
    def _likeness(party: Party, find: Find, appearance: Appearance | None) -> float:
        """How much a find, of any target, looks like this one as it is, or as it was."""
        look = look_at(party.image_bgr, find.result, appearance)
        return 1.0 if look is None else look.relative_similarity

    def _are_swapped(self, first: Party, second: Party) -> bool:
        """Whether each of two targets was found where, and as, the other should be."""
        kept = first.surprise + second.surprise
        if kept < _SWAP_DETOUR:  # as of most pairs: there is nothing to win
            return False
        if kept - first.surprise_at(second.find) - second.surprise_at(first.find) < _SWAP_DETOUR:
            return False
        return self._may_be(first.target, second.find) and self._may_be(second.target, first.find)

    def _may_be(self, target: Target, find: Find) -> bool:
        """Whether the colours of a find, of any target, do not speak against this one."""
        if target.appearance is None or find.look is None:
            return True
        likeness = target.appearance.likeness(find.look.histogram)
        return target.appearance.relative(likeness) >= self.config.color_full_above

    def after(self, party: Party) -> Meeting | None:
        """The meeting that is not forgotten, or a new one."""
        target, meeting = party.target, party.target.meeting
        if party.has_parted:
            return None
        if meeting is not None:
            apart = 0 if party.has_met else meeting.frames_apart + 1
            meeting = meeting._replace(frames=meeting.frames + 1, frames_apart=apart)
            is_sure = apart >= _APART and party.find.is_strong(self.config)
            if is_sure and self._misfit(party, party.find) < _OWN_WAY:
                return None
            return meeting if meeting.frames <= _MEETING_MEMORY else None
        if party.has_met:
            place = target.tracker_state.center_xy
            return Meeting(
                place, target.steady_velocity_xy, target.usual_area, target.appearance, frames=1
            )
        return None


def _shared_pixels(first: TrackResult, second: TrackResult) -> int:
    """Pixels that two masks of an image have in common."""
    (x, y, width, height), (other_x, other_y, other_width, other_height) = (
        first.mask_roi,
        second.mask_roi,
    )
    left, top = max(x, other_x), max(y, other_y)
    right = min(x + width, other_x + other_width)
    bottom = min(y + height, other_y + other_height)
    if right <= left or bottom <= top:
        return 0
    inside = first.mask_in_roi[top - y : bottom - y, left - x : right - x]
    other_inside = second.mask_in_roi[
        top - other_y : bottom - other_y, left - other_x : right - other_x
    ]
    return int(np.count_nonzero(inside & other_inside))


def _exchange(first: Party, second: Party) -> None:
    """Let each go on with its own kernels where the other was found."""
    first.find, second.find = _as_of(first, second.find), _as_of(second, first.find)


def _as_of(party: Party, find: Find) -> Find:
    """A find of another target, for one that goes on with its own kernels and colours."""
    place = find.state
    state = replace(party.find.state, center_xy=place.center_xy, size_wh=place.size_wh)
    look = look_at(party.image_bgr, find.result, party.target.appearance)
    return find._replace(state=state, look=look)
