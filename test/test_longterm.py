# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""States, loss and recovery, with a scripted tracker in a world of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from siammask_ros.anchors import AnchorPosition
from siammask_ros.appearance import look_at
from siammask_ros.geometry import Box, RotatedBox, box_iou
from siammask_ros.longterm import (
    LongTermConfig,
    LongTermTracker,
    SearchPattern,
    Target,
    TargetResult,
    TargetStatus,
)
from siammask_ros.masks import ImageRegion
from siammask_ros.network import load_network
from siammask_ros.search import Candidate
from siammask_ros.tracker import SiamMaskTracker, TrackerState, TrackResult
from siammask_ros.tracker_state import RunnerUp

if TYPE_CHECKING:
    from pathlib import Path

SIZE_WH = (640, 480)
SIZE = 40.0
BOX = (300.0, 220.0, SIZE, SIZE)
REGION = 80.0  # half a search region of a 40 pixel target
CONFIG = LongTermConfig()
LONG = math.ceil(20 / CONFIG.reach_rate)
"""Frames in which a target of 40 pixels may have gone anywhere in the image."""


@dataclass
class World:
    """Objects by position, and how sure the tracker is of each when it sees it."""

    objects: dict[tuple[float, float], float] = field(default_factory=dict)
    empty_masks: bool = False
    mask_side: int = 8
    batches: list[int] = field(default_factory=list)
    searched: list[tuple[float, float]] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)

    @property
    def last_searched(self) -> list[tuple[float, float]]:
        """The centres of the last batch."""
        return self.searched[-self.batches[-1] :]

    def initialize_batch(
        self, targets: Sequence[tuple[np.ndarray, Sequence[float]]]
    ) -> list[TrackerState]:
        """States at the boxes' centres."""
        boxes = [Box(*box) for _, box in targets]
        return [
            TrackerState(box.center_xy, box.size_wh, None, (0, 0, 0), SIZE_WH)  # type: ignore[arg-type]
            for box in boxes
        ]

    def track_batch(
        self, targets: Sequence[tuple[np.ndarray, TrackerState]]
    ) -> list[tuple[TrackerState, TrackResult]]:
        """Go to the surest object within the search region."""
        self.batches.append(len(targets))
        answers = []
        for _, state in targets:
            self.searched.append(state.center_xy)
            self.sizes.append(state.size_wh[0])
            seen = {
                position: confidence
                for position, confidence in self.objects.items()
                if max(abs(position[0] - state.center_xy[0]), abs(position[1] - state.center_xy[1]))
                <= REGION
            }
            position = max(seen, key=lambda key: seen[key]) if seen else state.center_xy
            confidence = seen.get(position, 0.05)
            moved = replace(state, center_xy=position)
            answers.append((moved, self._result(moved, confidence, empty=not seen)))
        return answers

    def _result(self, state: TrackerState, confidence: float, *, empty: bool) -> TrackResult:
        side = self.mask_side
        mask = np.full((side, side), not (empty or self.empty_masks))
        return TrackResult(
            box=state.box,
            rotated_box=RotatedBox.from_box(state.box),
            has_mask_box=False,
            confidence=confidence,
            mask_roi=ImageRegion(0, 0, side, side),
            probability_in_roi=mask.astype(np.float32),
            mask_in_roi=mask,
            image_size_wh=SIZE_WH,
            anchor_index=0,
            anchor_position=AnchorPosition(0, 0, 0),
        )


HOME = (320.0, 240.0)  # the centre of BOX
IMAGE = np.zeros((*SIZE_WH[::-1], 3), dtype=np.uint8)


def flat_image(hue: int) -> np.ndarray:
    """One colour everywhere, hue in 0..179."""
    hsv = np.full_like(IMAGE, (hue, 200, 200))
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR))


RED, BLUE = flat_image(0), flat_image(120)


def after_step(
    tracker: LongTermTracker, targets: Sequence[Target], image: np.ndarray = IMAGE
) -> list[Target]:
    """The targets after the next frame."""
    return [target for target, _ in tracker.step([(image, target) for target in targets])]


class Run:
    """One target in a world, stepped frame by frame."""

    def __init__(self, world: World, config: LongTermConfig = CONFIG) -> None:
        self.world = world
        self.tracker = LongTermTracker(world, config)
        self.target = self.tracker.start(IMAGE, BOX)
        self.history: list[TargetResult] = []

    def step(self, frames: int = 1, image: np.ndarray = IMAGE) -> TargetResult:
        """Go on and return the last result."""
        for _ in range(frames):
            ((self.target, result),) = self.tracker.step([(image, self.target)])
            self.history.append(result)
        return self.history[-1]

    def see(self, confidence: float, position: tuple[float, float] = HOME) -> None:
        """From now on there is one object."""
        self.world.objects = {position: confidence}

    def lose(self) -> None:
        """Track for a while, then let the target vanish until it is LOST."""
        self.see(0.95)
        self.step(3)
        self.world.objects = {}
        self.step(CONFIG.lost_after)
        assert self.history[-1].status == TargetStatus.LOST


@pytest.fixture
def run() -> Run:
    return Run(World())


def test_numbers_are_those_of_the_message() -> None:
    assert [status.value for status in TargetStatus] == [0, 1, 2, 3]
    assert [status.name for status in TargetStatus] == [
        "INITIALIZING",
        "TRACKING",
        "UNCERTAIN",
        "LOST",
    ]


def test_target_starts_initializing_and_then_tracks(run: Run) -> None:
    assert run.target.status == TargetStatus.INITIALIZING
    run.see(0.9)
    result = run.step()
    assert (result.status, result.age, result.confidence) == (TargetStatus.TRACKING, 0, 0.9)
    assert result.result is not None


def test_one_weak_frame_changes_nothing_two_do(run: Run) -> None:
    run.see(0.9)
    run.step(3)
    weak = (CONFIG.lost_below + CONFIG.uncertain_below) / 2
    run.see(weak)
    assert run.step().status == TargetStatus.TRACKING
    run.see(0.9)
    assert run.step().status == TargetStatus.TRACKING
    run.see(weak)
    assert run.step(2).status == TargetStatus.UNCERTAIN
    assert run.history[-1].result is not None
    assert run.history[-1].age == 2


def test_between_the_thresholds_a_state_stays(run: Run) -> None:
    between = (CONFIG.uncertain_below + CONFIG.certain_above) / 2
    run.see(between)
    assert run.step(20).status == TargetStatus.TRACKING
    run.see(0.4)
    run.step(2)
    run.see(between)
    assert run.step(20).status == TargetStatus.UNCERTAIN
    assert run.history[-1].age == 0  # seen, though not surely
    run.see(0.9)
    assert run.step().status == TargetStatus.UNCERTAIN
    assert run.step().status == TargetStatus.TRACKING


def test_uncertain_for_too_long_is_lost(run: Run) -> None:
    run.see(0.4)
    run.step(2)
    run.step(CONFIG.uncertain_limit - 1)
    assert run.history[-1].status == TargetStatus.UNCERTAIN
    assert run.step(2).status == TargetStatus.LOST


def test_lost_target_has_no_result_and_ages(run: Run) -> None:
    run.lose()
    statuses = [result.status for result in run.history]
    assert statuses == [1, 1, 1, 2, 2, 2, 2, 3]
    assert run.history[-1].result is None
    assert run.history[-1].age == CONFIG.lost_after
    run.step(3)
    assert run.history[-1].age == CONFIG.lost_after + 3


def test_empty_mask_counts_against_a_target(run: Run) -> None:
    run.see(0.95)
    run.step(2)
    run.world.empty_masks = True
    assert run.step(2).status == TargetStatus.UNCERTAIN
    assert run.history[-1].confidence == 0.95  # what is published is the tracker's


def test_other_colors_in_the_mask_count_against_a_target(run: Run) -> None:
    run.see(0.95)
    run.step(3, image=RED)
    assert run.step(1, image=BLUE).status == TargetStatus.UNCERTAIN
    lost = run.step(CONFIG.lost_after - 1, image=BLUE)
    assert lost.status == TargetStatus.LOST
    assert lost.confidence == 0.95  # as measured
    assert run.step(10, image=BLUE).status == TargetStatus.LOST  # no find
    assert run.step(CONFIG.confirm_frames, image=RED).status == TargetStatus.TRACKING
    assert run.step(CONFIG.lost_after, image=BLUE).status == TargetStatus.LOST  # remembered


def test_colors_may_change_slowly(run: Run) -> None:
    run.see(0.95)
    shades = [np.full_like(IMAGE, (120, 120, 80 + red)) for red in range(80)]
    for shade in shades:
        assert run.step(4, image=shade).status == TargetStatus.TRACKING
    assert run.step(1, image=shades[0]).status == TargetStatus.TRACKING  # as it was at first
    assert run.step(CONFIG.lost_after, image=shades[40]).status == TargetStatus.LOST


def test_moving_target_is_looked_for_where_it_is_going(run: Run) -> None:
    for frame in range(12):
        run.see(0.95, (HOME[0] + 12 * frame, HOME[1]))
        run.step()
    run.world.objects = {}
    run.step(3)
    gone = 12 * (11 + 3)
    assert run.world.last_searched[0][0] == pytest.approx(HOME[0] + gone, abs=8)  # it slows down
    run.see(0.95, (HOME[0] + gone + 12 + REGION - 8, HOME[1]))
    assert run.step().confidence == 0.95  # out of sight from where it was last seen


def test_jerk_is_no_motion(run: Run) -> None:
    run.see(0.95)
    run.step(3)
    run.see(0.95, (HOME[0] + 1.5 * SIZE, HOME[1]))
    run.step(2)
    assert run.world.searched[-1] == (HOME[0] + 1.5 * SIZE, HOME[1])


def test_search_stays_at_the_place_where_the_target_was_last_seen(run: Run) -> None:
    run.see(0.95)
    run.step(3)
    run.see(0.4, (380.0, 240.0))  # drags the tracker away
    run.step(CONFIG.uncertain_limit)
    assert run.target.tracker_state.center_xy == (380.0, 240.0)
    run.step(2)
    assert run.target.status == TargetStatus.LOST
    assert run.target.tracker_state.center_xy == HOME


def test_blind_frame_is_uncertain_at_once_and_moves_nothing(run: Run) -> None:
    run.see(0.95)
    run.step(3)
    run.see(0.1, (380.0, 240.0))
    assert run.step().status == TargetStatus.UNCERTAIN
    assert run.target.tracker_state.center_xy == HOME


def test_target_that_comes_back_is_confirmed_first(run: Run) -> None:
    run.lose()
    run.see(0.9, (340.0, 250.0))
    for _ in range(CONFIG.confirm_frames - 1):
        result = run.step()
        assert (result.status, result.result) == (TargetStatus.LOST, None)
    result = run.step()
    assert (result.status, result.age) == (TargetStatus.TRACKING, 0)
    assert result.result is not None
    assert result.result.box.center_xy == (340.0, 250.0)
    assert run.step().status == TargetStatus.TRACKING


def test_confirmation_starts_again_after_a_gap(run: Run) -> None:
    run.lose()
    run.see(0.9)
    run.step(CONFIG.confirm_frames - 1)
    run.world.objects = {}
    run.step()
    run.see(0.9)
    assert run.step(CONFIG.confirm_frames - 1).status == TargetStatus.LOST
    assert run.step().status == TargetStatus.TRACKING


def test_good_enough_for_tracking_is_not_good_enough_for_a_find(run: Run) -> None:
    run.lose()
    run.see((CONFIG.certain_above + CONFIG.found_above) / 2)
    assert run.step(40).status == TargetStatus.LOST


def test_far_find_needs_more_frames(run: Run) -> None:
    run.lose()
    run.step(LONG)
    run.see(0.95, (60.0, 60.0))
    frames = 0
    while not run.target.candidates:
        run.step()
        frames += 1
        assert frames < 60, "the search never came to the corner"
    assert run.target.candidates[0].frames_needed(CONFIG) == CONFIG.far_confirm_frames
    assert run.step(CONFIG.far_confirm_frames - 2).status == TargetStatus.LOST
    assert run.step().status == TargetStatus.TRACKING


def test_what_was_there_before_the_target_can_be_is_not_the_target(run: Run) -> None:
    run.lose()
    there, long_way = (60.0, 60.0), CONFIG.unlikely_confirm_frames
    run.see(0.95, there)  # at once, nine sizes away
    run.step(60)
    assert run.target.candidates[0].is_out_of_reach
    assert run.history[-1].status == TargetStatus.LOST
    run.world.objects = {there: 0.95, (400.0, 240.0): 0.9}
    run.step(CONFIG.far_confirm_frames + 8)
    assert run.target.tracker_state.center_xy == (400.0, 240.0)  # though the other is surer
    again = Run(World())
    again.lose()
    again.see(0.95, there)
    again.step(long_way - 1)
    assert again.history[-1].status == TargetStatus.LOST
    assert again.step(30).status == TargetStatus.TRACKING  # it was the target after all


def test_doubtful_find_is_remembered_while_it_is_hidden_for_a_moment(run: Run) -> None:
    run.lose()
    run.see(0.95, (60.0, 60.0))
    while not run.target.candidates:
        run.step()
    run.world.objects = {}
    run.step(8)
    assert [each.missed for each in run.target.candidates] == [8]
    run.see(0.8, (60.0, 60.0))  # not sure enough for a find
    run.step()
    assert [(each.missed, each.frames) for each in run.target.candidates] == [(0, 0)]
    run.world.objects = {}
    run.step(31)
    assert run.target.candidates == ()


@pytest.mark.parametrize(("away", "wanted"), [(0.5, True), (1.5, False)])
def test_what_is_beside_a_find_out_of_reach_is_out_of_reach_too(away: float, wanted: bool) -> None:  # noqa: FBT001
    state = LongTermTracker(World()).start(IMAGE, BOX).tracker_state
    there = Candidate(state, is_out_of_reach=True)
    moved = replace(state, center_xy=(HOME[0] + away * SIZE, HOME[1]))
    assert Candidate(moved).beside([there]).is_out_of_reach is wanted
    assert not Candidate(moved).beside([Candidate(state)]).is_out_of_reach


def test_find_of_other_colors_needs_more_frames(run: Run) -> None:
    run.see(0.95)
    run.step(3, image=RED)
    run.world.objects = {}
    run.step(CONFIG.lost_after, image=RED)
    run.see(0.95)
    orange = np.full_like(IMAGE, (43, 61, 200))
    run.step(CONFIG.far_confirm_frames, image=orange)
    (candidate,) = run.target.candidates
    assert CONFIG.color_full_above < candidate.likeness < CONFIG.found_color
    assert run.history[-1].status == TargetStatus.LOST
    assert run.step(CONFIG.far_confirm_frames, image=RED).status == TargetStatus.TRACKING


@pytest.mark.parametrize("corner", [(5.0, 5.0), (635.0, 5.0), (5.0, 475.0), (635.0, 475.0)])
def test_every_corner_is_searched(run: Run, corner: tuple[float, float]) -> None:
    run.lose()
    run.step(LONG)
    run.see(0.95, corner)
    run.step(60)
    assert run.history[-1].status == TargetStatus.TRACKING
    assert run.target.tracker_state.center_xy == corner


def test_a_lost_target_costs_a_few_patches_a_frame_in_one_batch(run: Run) -> None:
    run.lose()
    run.world.batches.clear()
    run.step(10)
    assert run.world.batches == [CONFIG.searches_per_frame] * 10


def test_many_lost_targets_share_the_patches() -> None:
    world = World()
    tracker = LongTermTracker(world)
    boxes = [(10.0 + 50 * index, 10.0, SIZE, SIZE) for index in range(12)]
    targets = tracker.start_batch([(IMAGE, box) for box in boxes])
    for _ in range(CONFIG.lost_after):
        steps = tracker.step([(IMAGE, target) for target in targets])
        targets = [target for target, _ in steps]
    assert {target.status for target in targets} == {TargetStatus.LOST}
    assert set(world.batches) == {12}  # nor while they are not seen yet
    world.batches.clear()
    tracker.step([(IMAGE, target) for target in targets])
    assert world.batches == [12]  # one each: 12 x 4 would be more than searches_per_step
    world.batches.clear()
    tracker.step([(IMAGE, target) for target in targets[:2]])
    assert world.batches == [8]


def test_tracked_and_lost_targets_go_in_one_batch() -> None:
    world = World({HOME: 0.95})
    tracker = LongTermTracker(world)
    tracked = tracker.start(IMAGE, BOX)
    lost = replace(tracker.start(IMAGE, (20, 20, SIZE, SIZE)), status=TargetStatus.LOST)
    world.batches.clear()
    (_, first), (_, second) = tracker.step([(IMAGE, tracked), (IMAGE, lost)])
    assert world.batches == [1 + CONFIG.searches_per_frame]
    assert first.status == TargetStatus.TRACKING
    assert second.status == TargetStatus.LOST


def _lost_beside(tracker: LongTermTracker) -> Target:
    return replace(tracker.start(IMAGE, (330, 240, SIZE, SIZE)), status=TargetStatus.LOST)


def test_lost_target_does_not_take_over_another_ones_object() -> None:
    world = World({HOME: 0.95})
    tracker = LongTermTracker(world)
    tracked, lost = tracker.start(IMAGE, BOX), _lost_beside(tracker)
    other_camera = IMAGE.copy()
    for _ in range(20):
        (tracked, _), (lost, _) = tracker.step([(IMAGE, tracked), (IMAGE, lost)])
        assert lost.status == TargetStatus.LOST
    for _ in range(CONFIG.confirm_frames):
        (tracked, _), (lost, _) = tracker.step([(IMAGE, tracked), (other_camera, lost)])
    assert lost.status == TargetStatus.TRACKING  # in another picture it is another object


def test_two_lost_targets_do_not_find_the_same_object() -> None:
    world = World({HOME: 0.95})
    tracker = LongTermTracker(world)
    targets = [_lost_beside(tracker), _lost_beside(tracker)]
    for _ in range(20):
        targets = [t for t, _ in tracker.step([(IMAGE, target) for target in targets])]
    assert sorted(target.status for target in targets) == [1, 3]


def test_step_without_targets() -> None:
    assert LongTermTracker(World()).step([]) == []
    assert LongTermTracker(World()).start_batch([]) == []


def test_step_changes_no_old_target(run: Run) -> None:
    run.see(0.95)
    before = run.target
    run.step()
    assert before.status == TargetStatus.INITIALIZING
    assert run.target is not before


@pytest.mark.parametrize(
    ("center", "spacing"), [((320.0, 240.0), 80.0), ((0.0, 0.0), 100.0), ((639.0, 3.0), 33.3)]
)
def test_pattern_covers_the_image(center: tuple[float, float], spacing: float) -> None:
    pattern = SearchPattern(center, spacing, SIZE_WH)
    centers = np.concatenate([[center], pattern.tiles_xy])
    assert (centers >= 0).all()
    assert (centers <= SIZE_WH).all()
    columns, rows = np.meshgrid(np.arange(0, 641, 10), np.arange(0, 481, 10))
    points = np.stack([columns.ravel(), rows.ravel()], axis=1)
    nearest = np.abs(points[:, None] - centers[None]).max(axis=2).min(axis=1)
    assert nearest.max() <= spacing / 2 + 1e-9


def test_pattern_widens_and_comes_back() -> None:
    pattern = SearchPattern((320.0, 240.0), 100.0, SIZE_WH)
    distances = [
        round(max(abs(x - 320), abs(y - 240)) / 100 + 0.3)
        for x, y in map(pattern.at, range(8 + 24))
    ]
    assert max(distances[:8]) == 1
    assert distances[8:16] == distances[:8]  # the second sweep begins near again
    assert max(distances[16:]) == 2
    total = len(pattern.tiles_xy)
    late = 10_000
    everything = {pattern.at(number) for number in range(late, late + total)}
    assert len(everything) == len(np.unique(pattern.tiles_xy, axis=0))


def test_pattern_of_an_image_smaller_than_a_tile() -> None:
    pattern = SearchPattern((0.0, 0.0), 50.0, (1, 1))
    assert all(0 <= value <= 1 for value in pattern.at(17))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"lost_below": 0.6}, "lost_below <= uncertain_below"),
        ({"found_above": 1.5}, "1.5"),
        ({"lost_after": 0}, "lost_after must be at least 1, got 0"),
        ({"searches_per_frame": 0}, "searches_per_frame"),
        ({"empty_mask_factor": 2}, "empty_mask_factor"),
        ({"tile_spacing": 0}, "tile_spacing"),
        ({"far_jump": math.nan}, "far_jump"),
        ({"reach_rate": -1}, "reach_rate must be positive, got -1"),
        ({"doubtful_confirm_frames": 0}, "doubtful_confirm_frames must be at least 1, got 0"),
        ({"most_rivals": -1}, "most_rivals must be at least 0, got -1"),
        ({"found_color": 1.2}, "found_color"),
        ({"rival_above": -0.1}, "rival_above"),
    ],
)
def test_config_names_what_is_wrong(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LongTermConfig(**bad)


def test_real_target_is_lost_and_found_again(shared_dir: Path) -> None:
    folder = shared_dir / "davis16-train"
    images = [
        cv2.imread(str(folder / "JPEGImages" / "bear" / f"{frame:05d}.jpg")) for frame in range(4)
    ]
    truth = cv2.imread(str(folder / "Annotations" / "bear" / "00000.png"), cv2.IMREAD_GRAYSCALE)
    box = Box.from_mask(truth > 0)
    assert box is not None
    tracker = LongTermTracker(SiamMaskTracker(load_network("compact")))
    target = tracker.start(images[0], box.xywh)
    empty = np.full_like(images[0], 128)
    statuses = []
    for image in [*images[1:], *[empty] * (CONFIG.lost_after + 1), *[images[3]] * 5]:
        ((target, result),) = tracker.step([(image, target)])
        statuses.append(result.status)
    assert statuses[:3] == [TargetStatus.TRACKING] * 3
    assert TargetStatus.LOST in statuses
    assert statuses[-1] == TargetStatus.TRACKING
    assert result.result is not None
    assert box_iou(result.result.box, box) > 0.5


@dataclass
class Scripted(World):
    """Finds each target, in the order given, where the script says."""

    finds: list[list[tuple[float, float]]] = field(default_factory=list)

    def track_batch(
        self, targets: Sequence[tuple[np.ndarray, TrackerState]]
    ) -> list[tuple[TrackerState, TrackResult]]:
        """The next line of the script."""
        moved = [
            replace(state, center_xy=position)
            for (_, state), position in zip(targets, self.finds.pop(0), strict=True)
        ]
        return [(state, self._masked(state)) for state in moved]

    def _masked(self, state: TrackerState) -> TrackResult:
        x, y = map(int, state.center_xy)
        result = self._result(state, 0.95, empty=False)
        return replace(result, mask_roi=ImageRegion(x - 4, y - 4, 8, 8))


def test_crossing_targets_that_look_alike_do_not_become_one() -> None:
    world = World()
    tracker = LongTermTracker(world, CONFIG)
    starts = [(200.0, 240.0), (440.0, 240.0)]
    targets = [tracker.start(IMAGE, Box.from_center(at, (SIZE, SIZE)).xywh) for at in starts]
    states = []
    for frame in range(1, 31):
        left, right = (200.0 + 8 * frame, 240.0), (440.0 - 8 * frame, 240.0)
        world.objects = {left: 0.95, right: 0.95}  # of two, the tracker takes the first
        targets = after_step(tracker, targets)
        states.append([target.status for target in targets])
    assert [target.tracker_state.center_xy for target in targets] == [left, right]
    assert states[-1] == [TargetStatus.TRACKING] * 2
    assert states[14] == [TargetStatus.TRACKING, TargetStatus.UNCERTAIN]
    assert all(TargetStatus.LOST not in both for both in states)


def test_targets_that_are_taken_for_each_other_get_what_is_theirs() -> None:
    paths = [[(200.0 + 8 * f, 240.0) for f in range(1, 9)], [(300.0, 240.0)] * 8]
    finds = [list(places) for places in zip(*paths, strict=True)]
    finds[6:] = [places[::-1] for places in finds[6:]]
    tracker = LongTermTracker(Scripted(finds=finds))
    boxes = [Box.from_center(places[0], (SIZE, SIZE)).xywh for places in paths]
    targets = tracker.start_batch([(IMAGE, box) for box in boxes])
    for places in zip(*paths, strict=True):
        targets = after_step(tracker, targets)
        assert tuple(target.tracker_state.center_xy for target in targets) == places


def test_targets_of_other_colors_are_never_exchanged() -> None:
    places = [(200.0, 240.0), (300.0, 240.0)]
    tracker = LongTermTracker(Scripted(finds=[places] * 3 + [places[::-1]]))
    is_left = np.arange(SIZE_WH[0])[:, None] < 250
    red_and_blue = np.where(is_left, RED, BLUE)
    boxes = [Box.from_center(place, (SIZE, SIZE)).xywh for place in places]
    targets = tracker.start_batch([(red_and_blue, box) for box in boxes])
    for image in [red_and_blue] * 3 + [np.where(is_left, BLUE, RED)]:
        targets = after_step(tracker, targets, image)
    assert [target.tracker_state.center_xy for target in targets] == places[::-1]


@dataclass
class Crowd(World):
    """Sees the object that is nearest to the middle of a region, and says which is the next."""

    def track_batch(
        self, targets: Sequence[tuple[np.ndarray, TrackerState]]
    ) -> list[tuple[TrackerState, TrackResult]]:
        """Go to the nearest object; it hides what is close to it."""
        self.batches.append(len(targets))
        return [self._nearest(state) for _, state in targets]

    def _nearest(self, state: TrackerState) -> tuple[TrackerState, TrackResult]:
        seen: list[tuple[float, float]] = []
        for place in sorted(self.objects, key=lambda place: math.dist(place, state.center_xy)):
            near = math.dist(place, state.center_xy) <= REGION
            if near and all(math.dist(place, other) >= SIZE / 2 for other in seen):
                seen.append(place)
        moved = replace(state, center_xy=seen[0]) if seen else state
        confidence = self.objects[seen[0]] if seen else 0.05
        result = self._result(moved, confidence, empty=not seen)
        if seen:
            x, y = map(int, moved.center_xy)
            side = self.mask_side
            region = ImageRegion(x - side // 2, y - side // 2, side, side)
            result = replace(result, mask_roi=region)
        if len(seen) > 1:
            box = Box.from_center(seen[1], (SIZE, SIZE))
            result = replace(result, runner_up=RunnerUp(box, self.objects[seen[1]]))
        return moved, result


def test_what_looks_like_the_target_nearby_is_followed_too() -> None:
    world = Crowd({HOME: 0.95, (380.0, 240.0): 0.8})
    run = Run(world)
    run.step(5)
    assert [rival.tracker_state.center_xy for rival in run.target.rivals] == [(380.0, 240.0)]
    assert world.batches == [1, 2, 2, 2, 2]  # in the same pass
    run.see(0.95)
    run.step(20)
    assert run.target.rivals == ()
    assert world.batches[-1] == 1


def _red_and_blue(border: int) -> np.ndarray:
    """Red up to a column, blue from it on."""
    return np.where(np.arange(SIZE_WH[0])[:, None] < border, RED, BLUE)


def test_what_has_other_colors_is_looked_at_once_and_left_alone_for_a_while() -> None:
    at = (380.0, 240.0)
    world = Crowd({HOME: 0.95})
    run = Run(world)
    run.step(3, RED)  # its colours are known
    world.batches.clear()
    for frame in range(22):
        world.objects = {HOME: 0.95, (at[0] + frame / 2, at[1]): 0.8}  # it may move
        run.step(1, _red_and_blue(350))
    assert [count - 1 for count in world.batches] == [0, 1, *[0] * 16, 1, 0, 0, 0]
    assert run.target.rivals == ()
    run.step(20, RED)  # now it has the target's colours
    assert len(run.target.rivals) == 1


def test_refusals_are_for_what_is_in_that_place() -> None:
    world = Crowd({HOME: 0.95, (380.0, 240.0): 0.8})
    run = Run(world)
    run.step(1, _red_and_blue(350))
    run.step(4, _red_and_blue(350))
    assert len(run.target.refusals) == 1
    twin = (260.0, 240.0)
    world.objects = {HOME: 0.95, twin: 0.9}
    run.step(3, _red_and_blue(350))
    assert [rival.tracker_state.center_xy for rival in run.target.rivals] == [twin]


@pytest.mark.parametrize("changed", [{"most_rivals": 0}, {"rival_above": 0.9}])
def test_rivals_are_followed_as_far_as_is_wanted(changed: dict[str, Any]) -> None:
    run = Run(Crowd({HOME: 0.95, (380.0, 240.0): 0.8}), replace(CONFIG, **changed))
    run.step(5)
    assert run.target.rivals == ()


def test_another_target_is_no_rival() -> None:
    places = [HOME, (380.0, 240.0)]
    tracker = LongTermTracker(Crowd(dict.fromkeys(places, 0.95)))
    targets = [tracker.start(IMAGE, Box.from_center(at, (SIZE, SIZE)).xywh) for at in places]
    for _ in range(5):
        targets = after_step(tracker, targets)
    assert [target.rivals for target in targets] == [(), ()]


def _passing(frame: int) -> list[tuple[float, float]]:
    """A target that goes to the right, and what looks like it and comes the other way."""
    return [(240.0 + 4 * frame, 240.0), (400.0 - 6 * frame, 248.0)]


@pytest.mark.parametrize("in_front", [0, 1], ids=["before", "behind"])
def test_a_look_alike_that_passes_does_not_take_the_target_along(in_front: int) -> None:
    world = Crowd()
    run = Run(world)
    places = _passing(0)
    run.target = run.tracker.start(IMAGE, Box.from_center(places[0], (SIZE, SIZE)).xywh)
    for frame in range(1, 51):
        places = _passing(frame)
        is_hidden = math.dist(*places) < SIZE
        world.objects = dict.fromkeys([places[in_front]] if is_hidden else places, 0.95)
        run.step()
    assert run.target.tracker_state.center_xy == places[0]
    assert run.history[-1].status == TargetStatus.TRACKING
    assert all(result.status != TargetStatus.LOST for result in run.history)


def test_what_was_a_rival_is_not_the_target_when_that_is_lost() -> None:
    twin = (380.0, 240.0)
    world = Crowd({HOME: 0.95, twin: 0.95})
    run = Run(world)
    run.step(8)
    world.objects = {twin: 0.95}
    run.step(60)
    assert run.history[-1].status == TargetStatus.LOST
    assert [each.state.center_xy for each in run.target.candidates] == [twin]
    world.objects = {HOME: 0.95, twin: 0.95}
    assert run.step(CONFIG.confirm_frames + 2).status == TargetStatus.TRACKING
    assert run.target.tracker_state.center_xy == HOME
    assert [rival.tracker_state.center_xy for rival in run.target.rivals] == [twin]


def test_a_target_behind_another_has_a_place_and_no_mask() -> None:
    world = World()
    tracker = LongTermTracker(world, CONFIG)
    starts = [(200.0, 240.0), (440.0, 240.0)]
    targets = [tracker.start(IMAGE, Box.from_center(at, (SIZE, SIZE)).xywh) for at in starts]
    for frame in range(1, 17):
        left, right = (200.0 + 8 * frame, 240.0), (440.0 - 8 * frame, 240.0)
        world.objects = {left: 0.95, right: 0.95}
        steps = tracker.step([(IMAGE, target) for target in targets])
        targets = [target for target, _ in steps]
    _, behind = steps[1]
    assert behind.status == TargetStatus.UNCERTAIN
    assert behind.result is not None
    assert behind.result.mask_area == 0
    assert behind.result.box.center_xy == pytest.approx(right, abs=8)


@pytest.mark.parametrize(
    ("moved_by", "status"), [(0, TargetStatus.TRACKING), (SIZE, TargetStatus.LOST)]
)
def test_a_target_that_turns_up_elsewhere_after_it_was_unseen_must_be_itself(
    moved_by: float, status: TargetStatus
) -> None:
    run = Run(World(), replace(CONFIG, color_full_above=0.9, found_color=1.0))
    run.see(0.95)
    run.step(8, image=RED)
    run.world.objects = {}
    run.step(1, image=RED)
    run.see(0.95, (HOME[0] + moved_by, HOME[1]))
    nearly_red = np.full_like(IMAGE, (33, 53, 200))
    assert run.step(CONFIG.lost_after - 1, image=nearly_red).status == status


def test_a_lost_target_is_searched_for_in_its_usual_size(run: Run) -> None:
    run.see(0.95)
    run.step(40)
    swollen = replace(run.target.tracker_state, size_wh=(2 * SIZE, 2 * SIZE))
    run.target = replace(run.target, tracker_state=swollen, last_seen=swollen)
    run.world.objects = {}
    run.step(CONFIG.lost_after)
    assert run.history[-1].status == TargetStatus.LOST
    sizes: list[float] = []
    for _ in range(8):
        run.world.sizes.clear()
        run.step()
        at_its_place, *around = run.world.sizes
        assert around == pytest.approx([SIZE] * (CONFIG.searches_per_frame - 1))
        sizes.append(at_its_place)
    assert set(sizes) == {SIZE, 2 * SIZE}  # it may be so large now


def test_a_target_behind_another_goes_on_as_before_they_met() -> None:
    paths = [[(200.0 + 8 * f, 240.0), (440.0 - 8 * f, 280.0)] for f in range(1, 22)]
    shift = 0.0
    finds = []
    for frame, (first, second) in enumerate(paths, start=1):
        if frame <= 12:
            finds.append([first, second])
        elif frame <= 18:  # the mask is of both, and pulled away
            shift += 6
            finds.append([(second[0], second[1] + shift)] * 2)
        else:
            finds.append([first] * 2)
    tracker = LongTermTracker(Scripted(finds=finds))
    boxes = [Box.from_center(place, (SIZE, SIZE)).xywh for place in ((200, 240), (440, 280))]
    targets = tracker.start_batch([(IMAGE, box) for box in boxes])
    for frame in range(1, 22):
        stepped = tracker.step([(IMAGE, target) for target in targets])
        targets = [target for target, _ in stepped]
        if 12 < frame <= 18:
            assert [target.eclipsed_frames for target in targets] == [frame - 12, 0]
            assert targets[0].tracker_state.center_xy == pytest.approx(paths[frame - 1][0], abs=4)
    (_, front), (_, behind) = stepped
    assert (front.status, behind.status) == (TargetStatus.TRACKING, TargetStatus.UNCERTAIN)
    assert behind.result is not None
    assert behind.result.box.center_xy == pytest.approx(paths[-1][1], abs=4)
    assert behind.result.box.size_wh == pytest.approx((SIZE, SIZE))


def _striped(blue: int) -> np.ndarray:
    """Red with so many blue columns of eight."""
    return np.where(np.arange(SIZE_WH[0])[:, None] % 8 < blue, BLUE, RED)


def test_what_is_no_rival_does_not_take_the_target_along() -> None:
    world = Crowd({HOME: 0.95})
    run = Run(world, replace(CONFIG, color_rate=0.5))
    run.step(6, RED)
    for left in range(60, 20, -4):
        world.objects = {HOME: 0.95, (HOME[0] + left, HOME[1]): 0.8}
        run.step(1, _red_and_blue(int(HOME[0]) + left // 2))
    assert (len(run.target.rivals), len(run.target.refusals)) == (0, 1)
    world.mask_side = 10
    for step in range(21):  # the mask is of both, and more and more of what is before the target
        world.objects = {(HOME[0] + 20 - 2 * step, HOME[1]): 0.95}
        assert run.step(1, _striped(step * 8 // 20)).status == TargetStatus.TRACKING
    world.mask_side = 8
    for step in range(8):
        world.objects = {(HOME[0] - 22 - 2 * step, HOME[1]): 0.95, HOME: 0.95}
        run.step(1, np.where(np.arange(SIZE_WH[0])[:, None] < HOME[0] - 12, BLUE, RED))
    assert run.target.tracker_state.center_xy == HOME
    assert run.history[-1].status == TargetStatus.TRACKING
    look = look_at(BLUE, run.history[-1].result, run.target.appearance)
    assert look.relative_similarity < CONFIG.color_none_below  # it is red again


def test_a_meeting_is_over_when_both_have_gone_on_as_before() -> None:
    world = Crowd()
    tracker = LongTermTracker(world, CONFIG)
    starts = [(200.0, 240.0), (440.0, 260.0)]
    targets = [tracker.start(IMAGE, Box.from_center(at, (SIZE, SIZE)).xywh) for at in starts]
    have_met = []
    for frame in range(1, 41):
        places = [(200.0 + 8 * frame, 240.0), (440.0 - 8 * frame, 260.0)]
        is_hidden = math.dist(*places) < SIZE
        world.objects = dict.fromkeys(places[:1] if is_hidden else places, 0.95)
        targets = after_step(tracker, targets)
        have_met.append(all(target.meeting for target in targets))
    assert have_met.index(True) in range(11, 15)
    assert sum(have_met) in range(10, 18)
    assert have_met[-1] is False
    assert [target.tracker_state.center_xy for target in targets] == places


@pytest.mark.parametrize(("side", "has_met"), [(9, False), (10, True)])
def test_a_mask_that_swells_is_a_meeting(run: Run, side: int, has_met: bool) -> None:  # noqa: FBT001
    run.see(0.95)
    run.step(6)
    run.world.mask_side = side
    run.step()
    assert (run.target.meeting is not None) is has_met
    run.world.mask_side = 8
    run.step(20)
    assert run.target.meeting is None


def test_a_mask_that_grows_slowly_is_no_meeting(run: Run) -> None:
    run.see(0.95)
    for side in range(16, 65):
        run.world.mask_side = side
        run.step(3)
        assert run.target.meeting is None


def test_in_a_meeting_nothing_is_refused_unseen() -> None:
    world = Crowd({HOME: 0.95, (380.0, 240.0): 0.8})
    run = Run(world)
    run.step(6, _red_and_blue(350))
    assert len(run.target.refusals) == 1
    world.mask_side = 10
    run.step(1, _red_and_blue(350))
    assert run.target.refusals == ()
    assert len(run.target.rivals) == 1  # looked at again


def test_what_was_beside_the_target_before_is_not_the_target_after_it_swells() -> None:
    twin = (400.0, 240.0)
    world = Crowd()
    run = Run(world)
    run.target = run.tracker.start(IMAGE, Box.from_center((240.0, 240.0), (SIZE, SIZE)).xywh)
    for frame in range(1, 40):
        place = (240.0 + 4 * min(frame, 48 - frame), 240.0)  # it turns back from its twin
        world.objects = {place: 0.95, twin: 0.9}
        world.mask_side = 10 if frame >= 24 else 8
        run.step()
        assert run.target.tracker_state.center_xy == place
        assert frame != 23 or len(run.target.rivals) == 1
    assert run.target.meeting is not None
