# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of a target's life: when it is lost, and how it is found again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from siammask_ros.geometry import box_iou

if TYPE_CHECKING:
    from siammask_ros.geometry import Box


@dataclass(frozen=True)
class LongTermConfig:
    """When a target changes its state, and how it is searched for.

    Attributes:
        uncertain_below: evidence under which a frame counts against a target.
        certain_above: evidence from which a frame counts for an UNCERTAIN target.
        lost_below: evidence under which a frame counts as not seeing the target at all: it is
            UNCERTAIN at once, and its position and size stay.
        found_above: evidence that a find needs in every frame of its confirmation.
        found_color: similarity of a find's colours, relative to what is usual for the target, under
            which it is doubtful.
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
        reach_rate: how far a target may have gone unseen, in target sizes a frame, if it was not
            faster than that when it was seen last. A find that is farther away than that (and than
            `far_jump`) when it is first seen is out of reach: the target cannot be there.
        doubtful_confirm_frames: the same as `confirm_frames`, for a doubtful find.
        unlikely_confirm_frames: the same, for a find out of reach. Until then it is kept in view,
            so that it is not taken for the target later.
        most_candidates: finds of a LOST target that are kept in view.
        rival_above: confidence from which on something else near a target is followed too.
        most_rivals: how many such things, for each target; 0 follows none.
        claimed_iou: a find that overlaps another followed target at least so much is that target.
        searches_per_frame: search regions per LOST target and frame.
        searches_per_step: search regions of all LOST and unseen targets and frame, at least one for
            each.
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
    found_color: float = 0.93
    color_rate: float = 0.05
    motion_rate: float = 0.5
    confirm_frames: int = 3
    far_jump: float = 3.0
    far_confirm_frames: int = 6
    reach_rate: float = 0.2
    doubtful_confirm_frames: int = 150
    unlikely_confirm_frames: int = 450
    most_candidates: int = 3
    rival_above: float = 0.5
    most_rivals: int = 2
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
            "doubtful_confirm_frames",
            "unlikely_confirm_frames",
            "most_candidates",
            "searches_per_frame",
            "searches_per_step",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.most_rivals < 0:
            raise ValueError(f"most_rivals must be at least 0, got {self.most_rivals}")
        if not self.color_none_below < self.color_full_above:
            raise ValueError(
                "color_none_below must be less than color_full_above, got "
                f"{self.color_none_below} and {self.color_full_above}"
            )
        for name in (
            "empty_mask_factor",
            "claimed_iou",
            "rival_above",
            "color_none_below",
            "color_full_above",
            "found_color",
            "color_rate",
            "motion_rate",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        for name in ("far_jump", "reach_rate", "tile_spacing"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")

    def are_one(self, box: Box, other: Box) -> bool:
        """Whether what was found in two boxes is one thing."""
        return box_iou(box, other) >= self.claimed_iou
