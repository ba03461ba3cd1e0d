# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures of a target's life: when it is said to be lost, when it is back, and as whom.

A tracker of `siammask_ros.longterm` follows all targets of a clip whose truth is known. What it
says in each frame is kept as a trace, and everything is measured on traces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from siammask_ros.evaluation.measures import box_overlap, mean_of_known, region_similarity
from siammask_ros.target_status import TargetStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from siammask_ros.evaluation.protocol import ImageBgr
    from siammask_ros.evaluation.scenario_clips import LifeClip
    from siammask_ros.longterm import TargetResult
    from siammask_ros.scenes import SceneFrame

VISIBLE_FROM = 0.3
"""A target is visible where more than this share of it is to be seen."""
ON_TARGET = 0.5
"""A box is on the target where its IoU with the truth is more than this."""
ON_SOMETHING_ELSE = 0.1
"""It is on something else where neither the box nor the mask overlaps the truth so much."""
LOST_WITHIN = 10
"""Frames in which a loss should be said."""
RETURN_WITHIN = 15
"""Frames in which a target that is visible again should be followed again."""


class Follower(Protocol):
    """What is needed of a tracker; `siammask_ros.longterm.LongTermTracker` has it."""

    def start_batch(self, targets: Sequence[tuple[ImageBgr, Sequence[float]]]) -> list[Any]:
        """Start on targets given by image and box."""

    def step(self, targets: Sequence[tuple[ImageBgr, Any]]) -> list[tuple[Any, TargetResult]]:
        """Process one frame for every target."""


class LifeFrame(NamedTuple):
    """What was said of a target in one frame, against the truth.

    Attributes:
        frame: its number, from 1 (frame 0 is given).
        status: state that the tracker gives it.
        confidence: that the tracker gives.
        visible_share: how much of the target is to be seen, 0 to 1.
        box_iou: of the reported box with the box around what is to be seen; 0 where there is
            nothing to report or nothing to be seen.
        region_similarity: J of the masks; 0 in the same cases.
        other: the id of another target that the result is on, while it is not on this one; or 0.
    """

    frame: int
    status: TargetStatus
    confidence: float
    visible_share: float
    box_iou: float
    region_similarity: float
    other: int = 0

    @property
    def visible(self) -> bool:
        """Whether enough of the target is to be seen."""
        return self.visible_share > VISIBLE_FROM

    @property
    def hidden(self) -> bool:
        """Whether nothing of the target is to be seen."""
        return self.visible_share == 0

    @property
    def lost(self) -> bool:
        """Whether the target is said to be lost."""
        return self.status == TargetStatus.LOST

    @property
    def followed(self) -> bool:
        """Whether the target is said to be tracked, and is."""
        return self.status == TargetStatus.TRACKING and self.box_iou > ON_TARGET

    @property
    def elsewhere(self) -> bool:
        """Whether a position is reported that is not the target's."""
        overlap = max(self.box_iou, self.region_similarity)
        return not self.lost and overlap < ON_SOMETHING_ELSE


class Vanishing(NamedTuple):
    """A time in which nothing of a target is to be seen.

    Attributes:
        frame: the first such frame.
        frames: how many there are.
        lost_after: frames from the first to the one in which the target is said to be lost; None
            if that is not said before it is back.
    """

    frame: int
    frames: int
    lost_after: int | None

    @property
    def due(self) -> bool:
        """Whether it lasts long enough that a loss should be said."""
        return self.frames > LOST_WITHIN

    @property
    def in_time(self) -> bool:
        """Whether the loss is said in time."""
        return self.lost_after is not None and self.lost_after <= LOST_WITHIN


class Reappearance(NamedTuple):
    """A target is visible again after nothing of it was to be seen.

    Attributes:
        frame: the first frame in which it is visible.
        away_frames: frames in which nothing was to be seen.
        returned_after: frames from the first to the one in which it is tracked again; 0 if it is
            tracked then already; None if that never happens while it is in sight.
    """

    frame: int
    away_frames: int
    returned_after: int | None

    @property
    def in_time(self) -> bool:
        """Whether it is tracked again in time."""
        return self.returned_after is not None and self.returned_after <= RETURN_WITHIN


@dataclass(frozen=True)
class TargetLife:
    """The trace of one target in one clip, and what is measured on it.

    Attributes:
        target_id: its id in the clip.
        frames: what was said of it, in order, without the frame that was given.
    """

    target_id: int
    frames: tuple[LifeFrame, ...]

    @property
    def visible_frames(self) -> int:
        """Frames in which the target is visible."""
        return sum(frame.visible for frame in self.frames)

    @cached_property
    def vanishings(self) -> tuple[Vanishing, ...]:
        """The times in which nothing of the target is to be seen."""
        found = []
        for first, last in _runs([frame.hidden for frame in self.frames]):
            said = next((i for i in range(first, last) if self.frames[i].lost), None)
            lost_after = None if said is None else said - first
            found.append(Vanishing(self.frames[first].frame, last - first, lost_after))
        return tuple(found)

    @cached_property
    def reappearances(self) -> tuple[Reappearance, ...]:
        """The times at which the target is visible again."""
        hidden = _runs([frame.hidden for frame in self.frames])
        ends = [first for first, _ in hidden[1:]] + [len(self.frames)]
        found = []
        for (first, last), end in zip(hidden, ends, strict=False):  # no end without a beginning
            visible = next((i for i in range(last, end) if self.frames[i].visible), None)
            if visible is None:
                continue
            back = next((i for i in range(last, end) if self.frames[i].followed), None)
            after = None if back is None else max(0, back - visible)
            found.append(Reappearance(self.frames[visible].frame, last - first, after))
        return tuple(found)

    @cached_property
    def false_lost_frames(self) -> int:
        """Frames in which the target is said to be lost, but is visible.

        Those in which it is waited for after it was away do not count: that is the time to return.
        """
        return sum(self._falsely_lost)

    @property
    def false_losses(self) -> int:
        """How many times that begins."""
        return len(_runs(self._falsely_lost))

    @cached_property
    def _falsely_lost(self) -> list[bool]:
        away = False
        falsely = []
        for frame in self.frames:
            away = frame.hidden or (away and not frame.followed)
            falsely.append(frame.lost and frame.visible and not away)
        return falsely

    @property
    def wrong_returns(self) -> int:
        """How many times the target is said to be found on something else after a loss."""
        pairs = zip(self.frames, self.frames[1:], strict=False)
        return sum(before.lost and after.elsewhere for before, after in pairs)

    @property
    def wrong_frames(self) -> int:
        """Frames in which it is said to be tracked and is hidden, or on something else."""
        return sum(
            frame.status == TargetStatus.TRACKING and frame.elsewhere for frame in self.frames
        )

    @property
    def id_switches(self) -> int:
        """How many times the target's result goes over to another target."""
        return len(_runs([frame.other > 0 for frame in self.frames]))

    @property
    def region_similarity(self) -> float:
        """Mean J while the target is visible; a lost target has 0. NaN if it is never visible."""
        return mean_of_known(frame.region_similarity for frame in self.frames if frame.visible)


@dataclass(frozen=True)
class ClipLife:
    """A clip's targets."""

    scenario: str
    name: str
    targets: tuple[TargetLife, ...]

    @property
    def failures(self) -> int:
        """What went wrong, counted: losses not said in time, returns missed, wrong ones, ..."""
        return sum(
            sum(each.due and not each.in_time for each in target.vanishings)
            + sum(not each.in_time for each in target.reappearances)
            + target.wrong_returns
            + target.id_switches
            + target.false_losses
            for target in self.targets
        )

    @property
    def badness(self) -> tuple[int, float, float]:
        """Orders clips, the worst last: failures, wrong frames, and J."""
        wrong = sum(target.wrong_frames for target in self.targets)
        similar = mean_of_known(target.region_similarity for target in self.targets)
        return self.failures, wrong, -similar


class InTime(NamedTuple):
    """How many of how many."""

    met: int
    of: int

    @property
    def share(self) -> float:
        """Their share; NaN of none."""
        return self.met / self.of if self.of else math.nan


@dataclass(frozen=True)
class ScenarioLife:
    """The clips of one scenario together; every target of every clip counts alike."""

    name: str
    clips: tuple[ClipLife, ...]

    @cached_property
    def targets(self) -> tuple[TargetLife, ...]:
        """The targets of all clips."""
        return tuple(target for clip in self.clips for target in clip.targets)

    @property
    def vanishings(self) -> tuple[Vanishing, ...]:
        """Those of all targets."""
        return tuple(each for target in self.targets for each in target.vanishings)

    @property
    def reappearances(self) -> tuple[Reappearance, ...]:
        """Those of all targets."""
        return tuple(each for target in self.targets for each in target.reappearances)

    @property
    def lost_in_time(self) -> InTime:
        """Losses that are said within `LOST_WITHIN` frames, of those that should be."""
        due = [each for each in self.vanishings if each.due]
        return InTime(sum(each.in_time for each in due), len(due))

    @property
    def lost_after(self) -> float:
        """Median frames until a loss is said, where it is said; NaN if none is."""
        return _median(e.lost_after for e in self.vanishings if e.lost_after is not None)

    @property
    def returns_in_time(self) -> InTime:
        """Returns within `RETURN_WITHIN` frames, of all reappearances."""
        return InTime(sum(each.in_time for each in self.reappearances), len(self.reappearances))

    @property
    def returned_after(self) -> float:
        """Median frames until a return, where there is one; NaN if there is none."""
        return _median(e.returned_after for e in self.reappearances if e.returned_after is not None)

    @property
    def false_lost_per_1000(self) -> float:
        """Frames falsely said to be lost, of 1,000 in which a target is visible."""
        return _per_1000(
            sum(target.false_lost_frames for target in self.targets),
            sum(target.visible_frames for target in self.targets),
        )

    @property
    def false_losses(self) -> int:
        """How many times a target is falsely said to be lost."""
        return sum(target.false_losses for target in self.targets)

    @property
    def wrong_returns(self) -> int:
        """Of all targets."""
        return sum(target.wrong_returns for target in self.targets)

    @property
    def wrong_per_1000(self) -> float:
        """Frames said to be tracked on something else or nothing, of 1,000 frames."""
        return _per_1000(
            sum(target.wrong_frames for target in self.targets),
            sum(len(target.frames) for target in self.targets),
        )

    @property
    def without_switch(self) -> InTime:
        """Clips of several targets in which none takes another's place."""
        several = [clip for clip in self.clips if len(clip.targets) > 1]
        kept = sum(not any(t.id_switches for t in clip.targets) for clip in several)
        return InTime(kept, len(several))

    @property
    def region_similarity(self) -> float:
        """Mean J of targets while they are visible."""
        return mean_of_known(target.region_similarity for target in self.targets)


@dataclass(frozen=True)
class LifeReport:
    """All scenarios of a run."""

    tracker: str
    scenarios: tuple[ScenarioLife, ...]

    @property
    def worst(self) -> ClipLife:
        """The clip with the most failures."""
        clips = [clip for scenario in self.scenarios for clip in scenario.clips]
        return max(clips, key=lambda clip: clip.badness)


def run_clip(
    clip: LifeClip,
    follower: Follower,
    *,
    on_frame: Callable[[SceneFrame, dict[int, TargetResult]], None] | None = None,
) -> ClipLife:
    """Follow all targets of a clip, in one pass a frame, and keep what is said of them.

    Args:
        clip: the video; the box around each target's first mask is given.
        follower: holds no target itself.
        on_frame: called with each frame but the first and the results by target id.

    Raises:
        ValueError: a target is not to be seen in the first frame, or there is no second one.
    """
    frames = clip.frames()
    first = next(frames)
    boxes = {known: box for known, box in first.boxes.items() if box is not None}
    if boxes.keys() != first.masks.keys():
        hidden = sorted(first.masks.keys() - boxes.keys())
        raise ValueError(f"{clip.scenario} {clip.name}: targets {hidden} are hidden at first")
    targets = follower.start_batch([(first.image_bgr, box.xywh) for box in boxes.values()])
    traces: dict[int, list[LifeFrame]] = {known: [] for known in boxes}
    for frame in frames:
        steps = follower.step([(frame.image_bgr, target) for target in targets])
        targets = [target for target, _ in steps]
        results = {known: result for known, (_, result) in zip(boxes, steps, strict=True)}
        for known, result in results.items():
            traces[known].append(judge(frame, known, result))
        if on_frame is not None:
            on_frame(frame, results)
    if not all(traces.values()):
        raise ValueError(f"{clip.scenario} {clip.name}: one frame only")
    lives = tuple(TargetLife(known, tuple(trace)) for known, trace in traces.items())
    return ClipLife(clip.scenario, clip.name, lives)


def judge(frame: SceneFrame, target_id: int, result: TargetResult) -> LifeFrame:
    """Compare what is said of a target in a frame with the truth."""
    share = frame.visible_share[target_id]
    said = result.result
    box_iou = similar = 0.0
    other = 0
    if said is not None:
        truth = frame.masks[target_id]
        if truth.any():
            box_iou = box_overlap(said.box_xywh, truth)
            similar = region_similarity(said.mask, truth)
        if max(box_iou, similar) < ON_SOMETHING_ELSE:
            other = _other_target(frame, target_id, said.box_xywh)
    return LifeFrame(
        frame.index, result.status, float(result.confidence), share, box_iou, similar, other
    )


def _other_target(frame: SceneFrame, target_id: int, box_xywh: Sequence[float]) -> int:
    """The other target that a box is on; 0 if there is none."""
    for known, truth in frame.masks.items():
        if known != target_id and truth.any() and box_overlap(box_xywh, truth) > ON_TARGET:
            return known
    return 0


def run_scenarios(
    clips: Sequence[LifeClip],
    follower: Follower,
    *,
    tracker_name: str = "tracker",
    on_frame: Callable[[LifeClip, SceneFrame, dict[int, TargetResult]], None] | None = None,
    on_clip: Callable[[ClipLife], None] | None = None,
) -> LifeReport:
    """Run all clips, and put those of one scenario together.

    Args:
        clips: in any order; each with a name of its own in its scenario.
        follower: what is measured.
        tracker_name: for the report.
        on_frame: called with each frame, see `run_clip`.
        on_clip: called with each clip's measures when they are there.

    Raises:
        ValueError: no clip, one twice, or one that cannot be followed.
    """
    names = [(clip.scenario, clip.name) for clip in clips]
    if not names:
        raise ValueError("no clips to run")
    if len(set(names)) < len(names):
        raise ValueError("a clip is given twice")
    lives: dict[str, list[ClipLife]] = {}
    for clip in clips:
        watch = None if on_frame is None else _watch(clip, on_frame)
        life = run_clip(clip, follower, on_frame=watch)
        lives.setdefault(clip.scenario, []).append(life)
        if on_clip is not None:
            on_clip(life)
    return LifeReport(
        tracker_name,
        tuple(ScenarioLife(name, tuple(of_name)) for name, of_name in lives.items()),
    )


def _watch(
    clip: LifeClip, on_frame: Callable[[LifeClip, SceneFrame, dict[int, TargetResult]], None]
) -> Callable[[SceneFrame, dict[int, TargetResult]], None]:
    return lambda frame, results: on_frame(clip, frame, results)


def _runs(flags: Sequence[bool]) -> list[tuple[int, int]]:
    """Begin and end (exclusive) of every stretch of true flags."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def _per_1000(count: int, of: int) -> float:
    return 1000 * count / of if of else math.nan


def _median(values: Iterable[int]) -> float:
    kept = list(values)
    return float(np.median(kept)) if kept else math.nan
