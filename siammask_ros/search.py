# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a lost target is looked for, and what becomes of what is found."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from siammask_ros.appearance import Look
    from siammask_ros.longterm_config import LongTermConfig
    from siammask_ros.tracker_state import TrackerState, TrackResult

_STRAY = 1.0
"""Target sizes by which what is found must not jump from frame to frame."""
_BESIDE = 0.75
"""Target sizes within which two candidates may be one."""
_MEMORY = 30
"""Frames that a candidate out of reach is remembered for after it was seen last."""
_LIKENESS_RATE = 0.2
"""How fast a candidate's likeness follows that of the frames; the first ones count alike."""


class Find(NamedTuple):
    """What one search patch showed."""

    state: TrackerState
    result: TrackResult
    evidence: float
    look: Look | None
    is_eclipsed: bool = False
    """Another target that is followed is what was found: this one is behind it, most likely."""

    def is_strong(self, config: LongTermConfig) -> bool:
        """Whether it counts for the target."""
        return not self.is_eclipsed and self.evidence >= config.certain_above

    @property
    def likeness(self) -> float:
        """Its colours against those that are usual for the target; 1 where nothing is known."""
        return 1.0 if self.look is None else self.look.relative_similarity


@dataclass(frozen=True)
class Candidate:
    """A find that may be the target, followed until that is sure.

    Attributes:
        state: where it is.
        likeness: of its colours to the target's, relative to what is usual, over its frames.
        is_far: whether it was far from the target's last place when it was first seen.
        is_out_of_reach: whether the target could not have been there then.
        frames: frames in a row in which it has been seen.
        missed: frames in a row in which it has not.
    """

    state: TrackerState
    likeness: float = 1.0
    is_far: bool = True
    is_out_of_reach: bool = False
    frames: int = 1
    missed: int = 0

    def is_doubtful(self, config: LongTermConfig) -> bool:
        """Whether it looks different, or was there before the target can have been."""
        return self.is_out_of_reach or self.likeness < config.found_color

    def frames_needed(self, config: LongTermConfig) -> int:
        """The frames in a row that confirm it."""
        if self.is_out_of_reach:
            return config.unlikely_confirm_frames
        if self.is_doubtful(config):
            return config.doubtful_confirm_frames
        return config.far_confirm_frames if self.is_far else config.confirm_frames

    def is_confirmed(self, config: LongTermConfig) -> bool:
        """Whether it has been seen in so many."""
        return self.missed == 0 and self.frames >= self.frames_needed(config)

    def followed(self, find: Find, config: LongTermConfig) -> Candidate | None:
        """The candidate after a frame; None if there is nothing to wait for any more."""
        if sizes_away(find.state, self.state) > _STRAY:
            return self._missed()
        rate = max(_LIKENESS_RATE, 1 / (self.frames + 1))
        likeness = self.likeness + rate * (find.likeness - self.likeness)
        if find.evidence >= config.found_above:
            return replace(
                self, state=find.state, likeness=likeness, frames=self.frames + 1, missed=0
            )
        if self.is_out_of_reach and find.result.confidence >= config.certain_above:
            # It is still there, though it does not look like the target just now.
            return replace(self, state=find.state, likeness=likeness, frames=0, missed=0)
        return self._missed()

    def beside(self, others: Sequence[Candidate]) -> Candidate:
        """The candidate among others: what is out of reach may turn up beside its own place."""
        is_same = any(
            each.is_out_of_reach and sizes_away(self.state, each.state) <= _BESIDE
            for each in others
        )
        return replace(self, is_out_of_reach=self.is_out_of_reach or is_same)

    def _missed(self) -> Candidate | None:
        """The candidate after a frame that does not show it."""
        if self.is_out_of_reach and self.missed < _MEMORY:
            return replace(self, frames=0, missed=self.missed + 1)
        return None


def first_seen(
    find: Find, place: TrackerState, unseen_frames: int, speed: float, config: LongTermConfig
) -> Candidate:
    """The candidate that a find makes.

    Args:
        find: what was found.
        place: where the target was seen last.
        unseen_frames: how long ago that was.
        speed: how fast it was, in target sizes a frame.
        config: what is far, and how far a target gets.
    """
    away = sizes_away(find.state, place)
    reach = max(config.far_jump, unseen_frames * max(speed, config.reach_rate))
    return Candidate(
        find.state, find.likeness, is_far=away > config.far_jump, is_out_of_reach=away > reach
    )


def sizes_away(place: TrackerState, target: TrackerState) -> float:
    """Distance of a place from a target, in sizes of the target."""
    return math.dist(place.center_xy, target.center_xy) / target_size(target)


def target_size(state: TrackerState) -> float:
    """Side of a square that is as large as the target."""
    return math.sqrt(math.prod(state.size_wh))


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
