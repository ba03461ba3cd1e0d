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
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from siammask_ros.appearance import Appearance, look_at
from siammask_ros.geometry import box_iou
from siammask_ros.target_status import TargetStatus

if TYPE_CHECKING:
    import numpy.typing as npt

    from siammask_ros.appearance import Look
    from siammask_ros.crop import ImageBgr
    from siammask_ros.geometry import Box
    from siammask_ros.tracker import TrackerState, TrackResult

MAX_TARGETS = 255
"""Ids are the values of an 8-bit label image, 0 is the background."""
_COASTING = 0.9
"""Share of the velocity that is left after a frame in which a target is not seen."""
_SWAP_DETOUR = 0.75
"""Target sizes by which two targets' motion must be smoother if they are taken for each other."""
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


@dataclass(frozen=True)
class LongTermConfig:
    """When a target changes its state, and how it is searched for.

    Attributes:
        uncertain_below: evidence under which a frame counts against a target.
        certain_above: evidence from which a frame counts for an UNCERTAIN target.
        lost_below: evidence under which a frame counts as not seeing the target at all: it is
            UNCERTAIN at once, and its position and size stay.
        found_above: evidence that a find needs in every frame of its confirmation.
        uncertain_after: frames in a row under `uncertain_below` until UNCERTAIN.
        certain_after: frames in a row from `certain_above` until TRACKING.
        lost_after: frames in a row under `lost_below` until LOST.
        uncertain_limit: frames UNCERTAIN until LOST.
        empty_mask_factor: evidence of a frame with an empty mask, relative to its confidence.
        color_none_below: similarity of the colours inside the mask to those the target had,
            relative to what is usual for it, up to which a frame has no evidence at all.
        color_full_above: similarity from which its evidence is the whole confidence.
        color_rate: how fast the remembered colours follow those of good frames.
        motion_rate: how fast the velocity, by which the place is predicted, follows the motion;
            0 predicts that a target stays where it was.
        confirm_frames: frames in a row that confirm a find.
        far_jump: a find is far if its centre is more than so many target sizes (square root of
            the area) away from where the target was last seen.
        far_confirm_frames: the same as `confirm_frames`, for a far find.
        claimed_iou: a find that overlaps another followed target at least so much is that target.
        searches_per_frame: search regions per LOST target and frame.
        searches_per_step: search regions of all LOST targets and frame, at least one for each.
        tile_spacing: distance of neighbouring search regions, relative to their context square
            (the exemplar's region, about half a search region wide).
    """

    uncertain_below: float = 0.55
    certain_above: float = 0.7
    lost_below: float = 0.3
    found_above: float = 0.85
    uncertain_after: int = 2
    certain_after: int = 2
    lost_after: int = 5
    uncertain_limit: int = 30
    empty_mask_factor: float = 0.5
    color_none_below: float = 0.7
    color_full_above: float = 0.85
    color_rate: float = 0.05
    motion_rate: float = 0.5
    confirm_frames: int = 3
    far_jump: float = 3.0
    far_confirm_frames: int = 6
    claimed_iou: float = 0.5
    searches_per_frame: int = 4
    searches_per_step: int = 16
    tile_spacing: float = 1.0

    def __post_init__(self) -> None:
        rising = (self.lost_below, self.uncertain_below, self.certain_above, self.found_above)
        if not (0 <= rising[0] <= rising[1] <= rising[2] <= rising[3] <= 1):
            raise ValueError(
                "lost_below <= uncertain_below <= certain_above <= found_above must hold "
                f"in [0, 1], got {rising}"
            )
        for name in (
            "uncertain_after",
            "certain_after",
            "lost_after",
            "uncertain_limit",
            "confirm_frames",
            "far_confirm_frames",
            "searches_per_frame",
            "searches_per_step",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.color_none_below < self.color_full_above:
            raise ValueError(
                "color_none_below must be less than color_full_above, got "
                f"{self.color_none_below} and {self.color_full_above}"
            )
        for name in (
            "empty_mask_factor",
            "claimed_iou",
            "color_none_below",
            "color_full_above",
            "color_rate",
            "motion_rate",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        for name in ("far_jump", "tile_spacing"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")


@dataclass(frozen=True)
class Candidate:
    """A find that is being confirmed: its state, and the frames seen and needed."""

    state: TrackerState
    frames: int
    frames_needed: int


@dataclass(frozen=True)
class Target:
    """All that is known of one target between two frames.

    Attributes:
        tracker_state: where it is followed; while LOST, where it was last seen.
        status: its state.
        age: frames since it was last seen (evidence from `uncertain_below`).
        last_seen: tracker state of the last frame in which it was TRACKING.
        weak_frames: frames in a row under `uncertain_below`.
        blind_frames: frames in a row under `lost_below`.
        strong_frames: frames in a row from `certain_above`.
        uncertain_frames: frames since it became UNCERTAIN.
        searches: search regions tried since it was lost.
        candidate: the find being confirmed while LOST.
        appearance: its colours; None until it has been seen well.
        velocity_xy: pixels a frame.
    """

    tracker_state: TrackerState
    status: TargetStatus = TargetStatus.INITIALIZING
    age: int = 0
    last_seen: TrackerState | None = None
    weak_frames: int = 0
    blind_frames: int = 0
    strong_frames: int = 0
    uncertain_frames: int = 0
    searches: int = 0
    candidate: Candidate | None = None
    appearance: Appearance | None = None
    velocity_xy: tuple[float, float] = (0.0, 0.0)

    @property
    def expected_state(self) -> TrackerState:
        """Where it should be in the next frame, if it goes on as before."""
        (x, y), (speed_x, speed_y) = self.tracker_state.center_xy, self.velocity_xy
        return replace(self.tracker_state, center_xy=(x + speed_x, y + speed_y))


@dataclass(frozen=True)
class TargetResult:
    """What is said of one target in one frame.

    Attributes:
        status: its state after the frame.
        result: its mask and boxes; None while LOST or INITIALIZING.
        confidence: that of the result; while LOST, of the best region searched.
        age: frames since it was last seen.
    """

    status: TargetStatus
    result: TrackResult | None
    confidence: float
    age: int


class _Find(NamedTuple):
    """What one search patch showed."""

    state: TrackerState
    result: TrackResult
    evidence: float
    look: Look | None
    is_eclipsed: bool = False
    """Another target that is followed is what was found: this one is behind it, most likely."""


class _Pair(NamedTuple):
    """Two followed targets of one image, and what was found of each."""

    target: Target
    other: Target
    find: _Find
    other_find: _Find

    @property
    def detour(self) -> float:
        """By how many target sizes their motion is smoother if each takes the other's find."""
        kept = _surprise(self.target, self.find) + _surprise(self.other, self.other_find)
        swapped = _surprise(self.target, self.other_find) + _surprise(self.other, self.find)
        return kept - swapped

    @property
    def is_other_nearer(self) -> bool:
        """Whether the other is what it should be, rather than the first."""
        return _surprise(self.other, self.other_find) < _surprise(self.target, self.find)

    def exchanged(self) -> tuple[_Find, _Find]:
        """What was found of the other for the first, and the other way round."""
        return _at(self.other_find, self.find.state), _at(self.find, self.other_find.state)


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
        lost = sum(target.status == TargetStatus.LOST for _, target in targets)
        quota = self._searches_per_target(lost)
        requests = [self._search_states(image_bgr, target, quota) for image_bgr, target in targets]
        answers = iter(
            self.tracker.track_batch(
                [
                    (image_bgr, state)
                    for (image_bgr, _), states in zip(targets, requests, strict=True)
                    for state in states
                ]
            )
        )
        finds = [
            [self._find(image_bgr, target, *next(answers)) for _ in states]  # in their order
            for (image_bgr, target), states in zip(targets, requests, strict=True)
        ]
        self._tell_apart(targets, finds)
        claimed = [
            (image_bgr, target_finds[0].result.box)
            for (image_bgr, target), target_finds in zip(targets, finds, strict=True)
            if target.status != TargetStatus.LOST
        ]
        stepped = []
        for (image_bgr, target), target_finds in zip(targets, finds, strict=True):
            if target.status != TargetStatus.LOST:
                stepped.append(self._followed(target, target_finds[0]))
                continue
            stepped.append(self._searched(target, target_finds, _boxes_in(claimed, image_bgr)))
            found = stepped[-1][1].result
            if found is not None:  # two lost targets must not find the same object
                claimed.append((image_bgr, found.box))
        return stepped

    def _tell_apart(
        self, targets: Sequence[tuple[ImageBgr, Target]], finds: Sequence[list[_Find]]
    ) -> None:
        """Give targets of one image that meet what is theirs, in place."""
        followed = [
            index for index, (_, target) in enumerate(targets) if target.status != TargetStatus.LOST
        ]
        for first, second in itertools.combinations(followed, 2):
            if targets[first][0] is not targets[second][0]:
                continue
            pair = _Pair(targets[first][1], targets[second][1], finds[first][0], finds[second][0])
            if self._are_swapped(pair):
                finds[first][0], finds[second][0] = pair.exchanged()
            elif box_iou(pair.find.result.box, pair.other_find.result.box) >= (
                self.config.claimed_iou
            ):
                behind = first if pair.is_other_nearer else second
                finds[behind][0] = finds[behind][0]._replace(is_eclipsed=True)

    def _are_swapped(self, pair: _Pair) -> bool:
        """Whether each of two targets was found where, and as, the other should be."""
        if pair.detour < _SWAP_DETOUR:
            return False
        return all(
            self._may_be(target, find)
            for target, find in ((pair.target, pair.other_find), (pair.other, pair.find))
        )

    def _may_be(self, target: Target, find: _Find) -> bool:
        """Whether the colours of a find, of any target, do not speak against this one."""
        if target.appearance is None or find.look is None:
            return True
        likeness = target.appearance.likeness(find.look.histogram)
        return target.appearance.relative(likeness) >= self.config.color_full_above

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

    def restart(self, target: Target, state: TrackerState, *, at_once: bool) -> Target:
        """A LOST target where it was seen: TRACKING at once, or after it is confirmed."""
        if at_once:
            return _found_again(target, state)
        return replace(target, candidate=Candidate(state, 1, self.config.far_confirm_frames))

    @staticmethod
    def places(target: Target) -> tuple[Box, Box | None]:
        """Where a LOST target was last seen, and where it may be and is being confirmed."""
        candidate = target.candidate.state.box if target.candidate else None
        return target.tracker_state.box, candidate

    @staticmethod
    def confirm(target: Target) -> Target:
        """An UNCERTAIN target that somebody else sees: the time until LOST begins anew."""
        return replace(target, weak_frames=0, blind_frames=0, uncertain_frames=0)

    def _searches_per_target(self, lost: int) -> int:
        share = self.config.searches_per_step // max(lost, 1)
        return max(1, min(self.config.searches_per_frame, share))

    def _search_states(self, image_bgr: ImageBgr, target: Target, quota: int) -> list[TrackerState]:
        """Where to look for a target in this frame: the candidate first, then where it was."""
        if target.status != TargetStatus.LOST:
            return [target.expected_state]
        states = [target.candidate.state] if target.candidate else [target.tracker_state]
        height, width = image_bgr.shape[:2]
        centers = SearchPattern(
            center_xy=target.tracker_state.center_xy,
            spacing=self.config.tile_spacing * _context_side(target.tracker_state),
            image_size_wh=(width, height),
        )
        for number in range(quota - 1):
            center_xy = centers.at(target.searches + number)
            states.append(replace(target.tracker_state, center_xy=center_xy))
        return states

    def _find(
        self, image_bgr: ImageBgr, target: Target, state: TrackerState, result: TrackResult
    ) -> _Find:
        look = look_at(image_bgr, result, target.appearance)
        factor = self.config.empty_mask_factor if result.mask_area == 0 else 1.0
        if look is not None:
            factor = self._color_factor(look.relative_similarity)
        return _Find(state, result, result.confidence * factor, look)

    def _color_factor(self, similarity: float) -> float:
        """How much of the confidence is left, 0 to 1."""
        lowest, highest = self.config.color_none_below, self.config.color_full_above
        return min(max((similarity - lowest) / (highest - lowest), 0.0), 1.0)

    def _followed(self, target: Target, find: _Find) -> tuple[Target, TargetResult]:
        """A target that is not LOST: count the evidence and decide."""
        config = self.config
        weak = find.is_eclipsed or find.evidence < config.uncertain_below
        blind = find.evidence < config.lost_below
        unseen = find.is_eclipsed or blind
        counted = replace(
            target,
            # A guess moves nothing: the target is where it should be.
            tracker_state=target.expected_state if unseen else find.state,
            velocity_xy=self._velocity(target, find, weak=weak, blind=blind),
            appearance=self._appearance(target, find),
            age=target.age + 1 if weak else 0,
            weak_frames=target.weak_frames + 1 if weak else 0,
            blind_frames=target.blind_frames + 1 if blind else 0,
            strong_frames=target.strong_frames + 1 if self._is_strong(find) else 0,
            uncertain_frames=target.uncertain_frames + 1,
        )
        status = self._status_of(counted)
        if status == TargetStatus.LOST:
            lost = replace(
                counted,
                status=status,
                tracker_state=target.last_seen or target.tracker_state,
                searches=0,
                candidate=None,
                velocity_xy=(0.0, 0.0),
            )
            return lost, TargetResult(status, None, find.result.confidence, lost.age)
        if status == TargetStatus.TRACKING:
            counted = replace(
                counted,
                last_seen=target.last_seen if weak else find.state,
                uncertain_frames=0,
            )
        followed = replace(counted, status=status)
        return followed, TargetResult(status, find.result, find.result.confidence, followed.age)

    def _is_strong(self, find: _Find) -> bool:
        return not find.is_eclipsed and find.evidence >= self.config.certain_above

    def _appearance(self, target: Target, find: _Find) -> Appearance | None:
        """What the target looks like, after a frame in which it is seen, if changed a little."""
        config = self.config
        is_seen = find.result.confidence >= config.certain_above
        is_itself = not find.is_eclipsed and find.evidence >= config.lost_below
        if find.look is None or not (is_seen and is_itself):
            return target.appearance
        if target.appearance is None:
            return Appearance(find.look.histogram, find.look.brightness)
        return target.appearance.learned(find.look, self.config.color_rate)

    def _velocity(
        self, target: Target, find: _Find, *, weak: bool, blind: bool
    ) -> tuple[float, float]:
        """The velocity after a frame; unseen motion dies away, and a jerk tells nothing."""
        speed_x, speed_y = target.velocity_xy
        if blind:
            return speed_x * _COASTING, speed_y * _COASTING
        expected = target.expected_state
        if weak or _sizes_away(expected, find.state) > _JERK:
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
        self, target: Target, finds: Sequence[_Find], claimed: Sequence[Box]
    ) -> tuple[Target, TargetResult]:
        """A LOST target: confirm the candidate, or take the best find as a new one."""
        age = target.age + 1
        searched = replace(target, age=age, searches=target.searches + len(finds) - 1)
        free = [find for find in finds if self._acceptable(find, claimed)]
        if target.candidate and free and free[0] is finds[0]:
            candidate = replace(
                target.candidate, state=finds[0].state, frames=target.candidate.frames + 1
            )
        elif free:
            best = max(free, key=lambda find: find.evidence)
            candidate = Candidate(best.state, 1, self._frames_needed(target, best))
        else:
            candidate = None
        if candidate and candidate.frames >= candidate.frames_needed:
            result = next(find.result for find in finds if find.state is candidate.state)
            found = _found_again(target, candidate.state)
            return found, TargetResult(found.status, result, result.confidence, 0)
        best_confidence = max(find.result.confidence for find in finds)
        return (
            replace(searched, candidate=candidate),
            TargetResult(TargetStatus.LOST, None, best_confidence, age),
        )

    def _acceptable(self, find: _Find, claimed: Sequence[Box]) -> bool:
        """Strong enough, and not on a target that is followed."""
        if find.evidence < self.config.found_above:
            return False
        return all(box_iou(find.result.box, box) < self.config.claimed_iou for box in claimed)

    def _frames_needed(self, target: Target, find: _Find) -> int:
        """A find far from where the target was needs more frames."""
        far = _sizes_away(find.state, target.tracker_state) > self.config.far_jump
        return self.config.far_confirm_frames if far else self.config.confirm_frames


@dataclass(frozen=True)
class SearchPattern:
    """Centres of search regions: sweeps over ever more rings of tiles around one place.

    The first sweep covers the eight tiles around the place, each further one a ring more, and from
    the one that covers the frame on all sweeps cover the frame. The outermost centres are moved to
    the image's edge, so that every pixel is within half a tile of a centre.

    Attributes:
        center_xy: the place, in image pixels; not part of the pattern itself.
        spacing: distance between neighbouring tiles in pixels.
        image_size_wh: width and height of the image.
    """

    center_xy: tuple[float, float]
    spacing: float
    image_size_wh: tuple[int, int]

    @cached_property
    def tiles_xy(self) -> npt.NDArray[np.float64]:
        """All centres (T, 2) but the place itself: ring by ring, each row by row."""
        return self._tiles[0]

    def at(self, number: int) -> tuple[float, float]:
        """The centre of the search of this number, from 0; the place itself if it is all."""
        tiles_xy, ring_ends = self._tiles
        if not len(tiles_xy):
            return self.center_xy
        sweep_ends = np.cumsum(ring_ends)
        sweep = int(np.searchsorted(sweep_ends, number, side="right"))
        if sweep < len(ring_ends):
            index = number - (int(sweep_ends[sweep - 1]) if sweep else 0)
        else:
            index = (number - int(sweep_ends[-1])) % len(tiles_xy)
        x, y = tiles_xy[index]
        return float(x), float(y)

    @cached_property
    def _tiles(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """The centres, and for each ring the number of centres up to its end."""
        axes = []
        for center, side in zip(self.center_xy, self.image_size_wh, strict=True):
            first, last = (
                -math.ceil(center / self.spacing),
                math.ceil((side - center) / self.spacing),
            )
            axes.append(np.arange(min(first, 0), max(last, 0) + 1))
        steps_x, steps_y = (steps.ravel() for steps in np.meshgrid(*axes))
        rings = np.maximum(np.abs(steps_x), np.abs(steps_y))
        order = np.argsort(rings, kind="stable")
        order = order[rings[order] > 0]
        tiles_xy = np.stack([steps_x, steps_y], axis=1)[order] * self.spacing + self.center_xy
        ring_ends = np.flatnonzero(np.diff(rings[order], append=-1)) + 1
        return np.clip(tiles_xy, 0, self.image_size_wh), ring_ends


def _found_again(target: Target, state: TrackerState) -> Target:
    """A target that was LOST, TRACKING where it was found; it looks as it did."""
    return Target(
        tracker_state=state,
        status=TargetStatus.TRACKING,
        last_seen=state,
        appearance=target.appearance,
    )


def _surprise(target: Target, find: _Find) -> float:
    """Distance of a find from where the target should be, in target sizes."""
    return _sizes_away(find.state, target.expected_state)


def _sizes_away(place: TrackerState, target: TrackerState) -> float:
    """Distance of a place from a target, in sizes of the target."""
    return math.dist(place.center_xy, target.center_xy) / _size(target)


def _size(state: TrackerState) -> float:
    """Side of a square that is as large as the target."""
    return math.sqrt(math.prod(state.size_wh))


def _at(find: _Find, own_state: TrackerState) -> _Find:
    """A find of another target, for one that goes on with its own kernels."""
    state = replace(own_state, center_xy=find.state.center_xy, size_wh=find.state.size_wh)
    return find._replace(state=state)


def _context_side(state: TrackerState) -> float:
    """About the side of the square that the exemplar shows: twice the target."""
    return 2 * _size(state)


def _boxes_in(claimed: Sequence[tuple[ImageBgr, Box]], image_bgr: ImageBgr) -> list[Box]:
    """Boxes of the targets that are known to be in this very image."""
    return [box for image, box in claimed if image is image_bgr]
