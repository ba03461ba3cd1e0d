# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Targets in a rendered world: how exactly they are found, and when they are not."""

from __future__ import annotations

import math
from functools import partial

import cv2
import numpy as np
import pytest
from rendered_depth import VGA, Board, World, angle_between, spoiled

from siammask_ros.localization.camera import calibrated_sight
from siammask_ros.localization.depth import DepthImage, ImageDepth
from siammask_ros.localization.localizer import (
    Localizer,
    LocalizerConfig,
    Observation,
    Source,
    TargetView,
)
from siammask_ros.localization.measure import Ground
from siammask_ros.localization.motion import MotionConfig
from siammask_ros.localization.space import OPTICAL_IN_BODY, RigidTransform, camera_on_base
from siammask_ros.target_status import TargetStatus

FRAME_NS = 40_000_000
RAW = LocalizerConfig(smoothing=False)


def view(target_id=1, status=TargetStatus.TRACKING, center_xy=(0.0, 0.0)):
    return TargetView(target_id, status, center_xy)


def observe(world, *targets, stamp_ns=0, depth=None, labels=None, **changes):
    true_depth, true_labels = world.render()
    depth = true_depth if depth is None else depth
    values = {
        "stamp_ns": stamp_ns,
        "targets": targets or (view(),),
        "labels": true_labels if labels is None else labels,
        "sight": calibrated_sight(world.camera_info()),
        "depth": depth if isinstance(depth, str) else partial(ImageDepth, DepthImage(depth)),
    }
    return Observation(**(values | changes))


def board(ahead=3.0, left=0.3, *, label=1, bottom=0.0, width=0.6, height=1.4):
    return Board(label, ahead, left, bottom, width, height)


def random_world(draw):
    """A target wholly in sight before walls, floor and passers-by that do not hide it."""
    ahead = draw.uniform(1.2, 7.0)
    reach = 0.75 * ahead * 320 / 550
    target = board(
        ahead, draw.uniform(-reach, reach) * 0.6, bottom=draw.uniform(0.0, 0.4),
        width=draw.uniform(0.1, 0.3) * ahead, height=draw.uniform(0.1, 0.35) * ahead,
    )  # fmt: skip
    behind = board(
        ahead + draw.uniform(0.4, 2.0), target.left + 0.2, label=0, width=1.5, height=2.5
    )
    return World((target, behind), height=target.middle[2] + draw.uniform(-0.1, 0.1) * ahead, **VGA)


# --- How exactly


@pytest.mark.parametrize("seed", range(16))
def test_depth_and_bearing_are_exact_with_holes_noise_and_a_mask_that_is_too_large(seed):
    """20 % holes, 1 % noise, and two pixels of background all round the mask."""
    draw = np.random.default_rng(seed)
    world = random_world(draw)
    depth, labels = world.render()
    grown = cv2.dilate(labels, np.ones((5, 5), dtype=np.uint8))
    config = LocalizerConfig(smoothing=False, border_px=int(draw.integers(0, 4)))
    (found,) = Localizer(config).locate(observe(world, depth=spoiled(depth, draw), labels=grown))
    true = world.in_camera(world.boards[0].middle)
    assert found.source is Source.DEPTH
    assert found.position[2] == pytest.approx(true[2], rel=0.03)
    assert angle_between(found.position, true) < 0.5
    assert angle_between(found.bearing, true) < 0.5
    assert found.holes == pytest.approx(0.2, abs=0.15)
    assert found.reason == ""
    # As sure as it is right: within four standard deviations of what it says.
    error = found.position - true
    assert error @ np.linalg.solve(found.position_covariance, error) < 16


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("scale", [1, 2])
def test_what_is_behind_the_target_does_not_turn_its_bearing(side, scale):
    """A mask with a third of wall beside the target, as where colours are alike."""
    world = World((board(2.5, 0.1, bottom=0.3),))
    depth, labels = world.render()
    columns = np.flatnonzero(labels.any(axis=0))
    width = len(columns) // 2
    grown = np.maximum(labels, np.roll(labels, side * width, axis=1))
    noisy = spoiled(depth, np.random.default_rng(1))[::scale, ::scale]
    true = world.in_camera(world.boards[0].middle)
    (found,) = Localizer(RAW).locate(observe(world, depth=noisy, labels=grown))
    assert angle_between(found.bearing, true) < 0.5
    assert angle_between(found.position, true) < 0.5
    assert found.position[2] == pytest.approx(true[2], rel=0.03)
    (without,) = Localizer(RAW).locate(observe(world, depth="no depth", labels=grown))
    assert angle_between(without.bearing, true) > 2.0


@pytest.mark.parametrize("seed", range(4))
def test_errors_are_as_large_as_the_covariance_says(seed):
    """Over many images the filtered error agrees with its covariance, or is smaller."""
    draw = np.random.default_rng(seed)
    localizer, surprises = Localizer(LocalizerConfig()), []
    velocity = draw.uniform(-0.3, 0.3, 2)
    for frame in range(30):
        moved = velocity * frame * 0.04
        world = World((board(3.0 + moved[0], moved[1], bottom=0.3),))
        depth, _ = world.render()
        (found,) = localizer.locate(
            observe(world, depth=spoiled(depth, draw), stamp_ns=frame * FRAME_NS)
        )
        error = found.position - world.in_camera(world.boards[0].middle)
        surprises.append(error @ np.linalg.solve(found.position_covariance, error))
    assert np.mean(surprises[5:]) < 3 * 1.5
    assert found.velocity == pytest.approx([-velocity[1], 0.0, velocity[0]], abs=0.12)


def test_the_covariance_is_the_spread_along_the_line_of_sight_and_pixels_across_it():
    """A target of two boards, 0.4 m apart in depth, each half of the mask; no noise."""
    world = World((board(3.0, 0.35, width=0.5, bottom=0.4, height=1.2),
                   board(3.4, -0.2, width=0.57, bottom=0.4, height=1.36)))  # fmt: skip
    (found,) = Localizer(RAW).locate(observe(world))
    ray = found.bearing
    across = np.cross(ray, [0.0, 1.0, 0.0])
    along_m, across_m = (
        math.sqrt(axis @ found.position_covariance @ axis)
        for axis in (ray, across / np.linalg.norm(across))
    )
    # The depths are 3.0 and 3.4: their median absolute deviation is 0 or 0.4.
    _, robust = found.measured
    assert robust.spread in (pytest.approx(0.0), pytest.approx(0.4 * 1.4826))
    away = np.linalg.norm(found.position)
    expected = math.hypot(robust.spread, 0.01 * found.position[2]) * away / found.position[2]
    assert along_m == pytest.approx(expected)
    assert across_m == pytest.approx(2.0 / 275 * away)


@pytest.mark.parametrize("pitch", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("left", [-0.8, 0.0, 0.6])
def test_the_ground_says_how_far_a_target_is(pitch, left):
    target = board(3.0, left, width=0.4, height=1.0)
    world = World((target,), pitch=pitch, height=1.2)
    down = world.in_camera(np.zeros(3)) - world.in_camera(np.array([0.0, 0.0, 1.0]))
    (found,) = Localizer(RAW).locate(
        observe(world, depth="no depth is read", ground=Ground(1.2, down))
    )
    true = world.in_camera(target.middle)
    assert found.source is Source.GROUND
    assert found.samples == 0
    assert angle_between(found.position, true) < 0.5
    assert np.linalg.norm(found.position) == pytest.approx(np.linalg.norm(true), rel=0.03)
    wrong = Ground(1.2, _pitched(pitch + 0.02))
    (other,) = Localizer(RAW).locate(observe(world, depth="none", ground=wrong))
    shift = np.linalg.norm(other.position) - np.linalg.norm(found.position)
    sigma = math.sqrt(found.bearing @ found.position_covariance @ found.bearing)
    assert abs(shift) == pytest.approx(sigma, rel=0.35)  # the pitch's error is most of it


def _pitched(pitch):
    return camera_on_base(0, 0, 0, pitch, 0).inverse().directions(np.array([0.0, 0.0, -1.0]))


def test_down_is_where_the_base_says():
    assert _pitched(0.0) == pytest.approx([0.0, 1.0, 0.0])
    assert _pitched(0.3) == pytest.approx([0.0, math.cos(0.3), math.sin(0.3)])


# --- When not


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"depth": "no depth within 0.02 s"}, "no depth within 0.02 s"),
        (
            {"depth": np.zeros((240, 320), dtype="f4")},
            "only 0 of .* depths on its mask are from 0.1",
        ),
        ({"depth": np.ones((240, 100), dtype="f4")}, "depth of 100x240 is not of the shape"),
    ],
)
def test_without_depth_there_is_a_bearing_and_a_reason(changes, words):
    world = World((board(),))
    (found,) = Localizer(LocalizerConfig()).locate(observe(world, **changes))
    assert found.source is Source.BEARING
    assert found.position is None
    assert angle_between(found.bearing, world.in_camera(board().middle)) < 0.2
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(found.reason)
    assert found.points().shape == (0, 3)


def test_without_labels_the_box_says_the_bearing():
    world = World((board(),))
    observation = observe(world, view(center_xy=(158.0, 121.0 + 275.0)))
    observation = Observation(**{**vars(observation), "labels": None})
    (found,) = Localizer(LocalizerConfig()).locate(observation)
    assert found.source is Source.BEARING
    assert found.bearing == pytest.approx([0, math.sqrt(0.5), math.sqrt(0.5)])
    assert found.reason == "there is no label image of this stamp"


def test_without_a_calibration_nothing_is_known():
    world = World((board(),))
    (found,) = Localizer(LocalizerConfig()).locate(observe(world, sight="no CameraInfo"))
    assert (found.source, found.reason, found.bearing) == (Source.NONE, "no CameraInfo", None)


def test_the_ground_needs_the_foot_in_sight():
    near = World((board(1.0, 0.0, height=1.4),), height=1.0)
    ground = Ground(1.0, np.array([0.0, 1.0, 0.0]))
    (found,) = Localizer(RAW).locate(observe(near, depth="no depth", ground=ground))
    assert found.source is Source.BEARING
    assert "reaches the lower edge of the image" in found.reason
    above = World((board(3.0, 0.0, bottom=1.2, height=0.4),), height=1.0)
    (found,) = Localizer(RAW).locate(observe(above, depth="no depth", ground=ground))
    assert "not below the horizon" in found.reason


def test_depth_goes_before_the_ground():
    world = World((board(),))
    ground = Ground(1.0, np.array([0.0, 1.0, 0.0]))
    (found,) = Localizer(RAW).locate(observe(world, ground=ground))
    assert found.source is Source.DEPTH
    empty = np.zeros((240, 320), dtype="f4")
    (found,) = Localizer(RAW).locate(observe(world, ground=ground, depth=empty))
    assert found.source is Source.GROUND


@pytest.mark.parametrize("status", [TargetStatus.LOST, TargetStatus.INITIALIZING])
def test_a_target_that_is_not_followed_has_no_position(status):
    world = World((board(),))
    localizer = Localizer(LocalizerConfig())
    localizer.locate(observe(world))
    (found,) = localizer.locate(observe(world, view(status=status), stamp_ns=FRAME_NS))
    assert (found.source, found.position, found.bearing) == (Source.NONE, None, None)
    assert found.reason == f"it is {status.name}"
    # Its motion is forgotten too: what is found far away later is not compared with it.
    far = World((board(7.0, -1.5),))
    (found,) = localizer.locate(observe(far, stamp_ns=2 * FRAME_NS))
    assert found.source is Source.DEPTH
    assert found.position == pytest.approx(far.in_camera(board(7.0, -1.5).middle), abs=0.1)


# --- Between images


def locate_all(localizer, worlds, **changes):
    found = []
    for frame, world in enumerate(worlds):
        (one,) = localizer.locate(observe(world, stamp_ns=frame * FRAME_NS, **changes))
        found.append(one)
    return found


def walk(frames, speed=1.0):
    return [World((board(3.0, -1.0 + speed * frame * 0.04),)) for frame in range(frames)]


def test_a_gap_is_predicted_but_not_for_long():
    localizer = Localizer(LocalizerConfig(prediction_seconds=0.2))
    worlds = walk(40)
    locate_all(localizer, worlds[:25])
    empty = np.zeros((240, 320), dtype="f4")
    sources, ages = [], []
    for frame in range(25, 33):
        (found,) = localizer.locate(observe(worlds[frame], depth=empty, stamp_ns=frame * FRAME_NS))
        sources.append(found.source)
        ages.append(round(found.age_s, 3))
        if found.source is Source.PREDICTED:
            true = worlds[frame].in_camera(worlds[frame].boards[0].middle)
            assert found.position == pytest.approx(true, abs=0.05)
            assert "only 0 of" in found.reason
    assert sources == [Source.PREDICTED] * 5 + [Source.BEARING] * 3
    assert ages == [0.04, 0.08, 0.12, 0.16, 0.2, 0.0, 0.0, 0.0]
    (found,) = localizer.locate(observe(worlds[33], stamp_ns=33 * FRAME_NS))
    assert found.source is Source.DEPTH
    assert found.velocity == pytest.approx([0, 0, 0])  # begun anew


def test_a_prediction_follows_the_direction_in_which_the_target_is_seen():
    localizer = Localizer(LocalizerConfig(prediction_seconds=1.0))
    locate_all(localizer, walk(20, speed=0.0))
    for frame in range(20, 40):  # now it turns away, without depth
        world = World((board(3.0, -1.0 + 0.8 * (frame - 20) * 0.04),))
        (found,) = localizer.locate(observe(world, depth="no depth", stamp_ns=frame * FRAME_NS))
    assert found.source is Source.PREDICTED
    assert angle_between(found.position, world.in_camera(world.boards[0].middle)) < 1.0


def test_what_hides_the_target_for_a_moment_is_not_taken_for_it():
    """A passer-by whose depth is on most of the mask: the motion goes on instead."""
    localizer = Localizer(LocalizerConfig())
    worlds = walk(40, speed=0.2)
    locate_all(localizer, worlds[:20])
    for frame in range(20, 26):
        depth, labels = worlds[frame].render()
        depth[labels == 1] = 1.2
        (found,) = localizer.locate(observe(worlds[frame], depth=depth, stamp_ns=frame * FRAME_NS))
        assert found.source is Source.PREDICTED
        assert found.position[2] == pytest.approx(3.0, abs=0.1)
        assert "too far" in found.reason
        assert found.points().shape == (0, 3)
    # It stays there: after prediction_seconds it is believed.
    for frame in range(26, 34):
        depth, labels = worlds[frame].render()
        depth[labels == 1] = 1.2
        (found,) = localizer.locate(observe(worlds[frame], depth=depth, stamp_ns=frame * FRAME_NS))
    assert found.source is Source.DEPTH
    assert found.position[2] == pytest.approx(1.2, abs=0.05)


def test_uncertain_targets_count_less():
    world = World((board(),))
    sure, unsure = (
        Localizer(RAW).locate(observe(world, view(status=status)))[0]
        for status in (TargetStatus.TRACKING, TargetStatus.UNCERTAIN)
    )
    assert unsure.position_covariance == pytest.approx(4 * sure.position_covariance)
    assert unsure.position == pytest.approx(sure.position)


def test_targets_do_not_mix_and_cleared_ones_are_forgotten():
    world = World((board(2.0, 0.5, label=3), board(5.0, -0.5, label=9)))
    localizer = Localizer(LocalizerConfig())
    for frame in range(3):
        first, second = localizer.locate(
            observe(world, view(3), view(9), stamp_ns=frame * FRAME_NS)
        )
        assert (first.target_id, second.target_id) == (3, 9)
        assert first.position[2] == pytest.approx(2.0, rel=0.01)
        assert second.position[2] == pytest.approx(5.0, rel=0.01)
    localizer.locate(observe(world, view(3), stamp_ns=3 * FRAME_NS))
    (_, back) = localizer.locate(
        observe(World((board(4.0, label=9),)), view(3), view(9), stamp_ns=4 * FRAME_NS)
    )
    assert back.source is Source.DEPTH


# --- A camera that moves


def test_in_a_fixed_frame_a_turning_camera_does_not_move_the_target():
    """The camera turns at 1 rad/s before a target that stands: no velocity, and none without."""
    config = LocalizerConfig(motion=MotionConfig(acceleration=1.0))
    fixed, own = Localizer(config), Localizer(config)
    for frame in range(24):
        angle = frame * 0.04
        camera = RigidTransform(
            np.array([[math.cos(angle), -math.sin(angle), 0],
                      [math.sin(angle), math.cos(angle), 0], [0, 0, 1.0]]) @ OPTICAL_IN_BODY,
            np.array([0.5, 0.0, 1.0]),
        )  # fmt: skip
        target = np.array([0.5 + 3 * math.cos(0.46), 3 * math.sin(0.46), 1.0])
        in_camera = camera.inverse().points(target)
        world = World((board(float(in_camera[2]), float(-in_camera[0]), bottom=0.7, height=0.6,
                             width=0.3),))  # fmt: skip
        stamp_ns = frame * FRAME_NS
        (found,) = fixed.locate(observe(world, stamp_ns=stamp_ns, camera_in_fixed=camera))
        (without,) = own.locate(observe(world, stamp_ns=stamp_ns))
    assert found.position == pytest.approx(in_camera, abs=0.03)
    assert np.linalg.norm(found.velocity) < 0.1
    assert np.linalg.norm(without.velocity) > 1.0


def test_a_missing_fixed_frame_leaves_the_measurement():
    localizer = Localizer(LocalizerConfig())
    camera = RigidTransform(np.eye(3), np.zeros(3))
    world = World((board(),))
    localizer.locate(observe(world, camera_in_fixed=camera))
    (found,) = localizer.locate(observe(world, stamp_ns=FRAME_NS, camera_in_fixed="no transform"))
    assert found.source is Source.DEPTH
    assert found.reason == "no transform"
    assert not found.velocity.any()
    (found,) = localizer.locate(observe(world, stamp_ns=2 * FRAME_NS, camera_in_fixed=camera))
    assert found.age_s == 0.0


def test_the_points_are_those_that_the_position_is_from():
    world = World((board(),))
    (found,) = Localizer(RAW).locate(observe(world))
    points = found.points()
    assert len(points) == found.samples > 1000
    assert points[:, 2] == pytest.approx(np.full(len(points), 3.0))
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    assert middle == pytest.approx(world.in_camera(board().middle), abs=0.02)
