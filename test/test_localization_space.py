# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rotations, where a camera sits, and poses between poses."""

from __future__ import annotations

import math

import numpy as np
import pytest

from siammask_ros.localization.history import HISTORY_NS, PoseHistory
from siammask_ros.localization.space import (
    RigidTransform,
    between,
    camera_on_base,
    facing,
    quaternion_of,
    rotation_matrix,
)

SECOND = 1_000_000_000


def random_quaternions(count, seed=3):
    numbers = np.random.default_rng(seed).normal(size=(count, 4))
    axes = np.vstack([np.eye(4), -np.eye(4)])  # half turns about each axis among them
    return np.vstack([numbers, axes]) / np.linalg.norm(np.vstack([numbers, axes]), axis=1)[:, None]


def turned_by_product(quaternion, vector):
    """The rotation by q v q*: another way than the matrix."""

    def product(a, b):
        (ax, ay, az, aw), (bx, by, bz, bw) = a, b
        return np.array([
            aw * bx + ax * bw + ay * bz - az * by, aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw, aw * bw - ax * bx - ay * by - az * bz,
        ])  # fmt: skip

    x, y, z, w = quaternion
    return product(product(quaternion, [*vector, 0.0]), [-x, -y, -z, w])[:3]


def test_matrices_turn_as_quaternions_do_and_give_them_back():
    for quaternion in random_quaternions(50):
        matrix = rotation_matrix(quaternion)
        for vector in np.eye(3):
            assert matrix @ vector == pytest.approx(turned_by_product(quaternion, vector))
        back = quaternion_of(matrix)
        assert back.w >= 0
        assert abs(np.dot(back, quaternion)) == pytest.approx(1.0)


def test_what_is_no_rotation_is_refused():
    for quaternion in ((0.0, 0.0, 0.0, 0.0), (math.nan, 0.0, 0.0, 1.0)):
        with pytest.raises(ValueError, match="is no rotation"):
            rotation_matrix(quaternion)
    with pytest.raises(ValueError, match="is not finite"):
        RigidTransform.of((0.0, 0.0, 0.0, 1.0), (math.inf, 0.0, 0.0))


def test_transforms_chain_and_return():
    first, second = (
        RigidTransform.of(quaternion, moved)
        for quaternion, moved in zip(random_quaternions(2), np.array([(1, 2, 3), (-4, 5, 6)]),
                                     strict=False)
    )  # fmt: skip
    points = np.random.default_rng(0).normal(size=(7, 3))
    assert second.after(first).points(points) == pytest.approx(second.points(first.points(points)))
    assert first.inverse().points(first.points(points)) == pytest.approx(points)
    drawn = np.random.default_rng(1).multivariate_normal(np.zeros(3), np.diag([1, 4, 9]), 40_000)
    turned = np.cov(first.directions(drawn).T)
    assert first.covariance(np.cov(drawn.T)) == pytest.approx(turned)


def test_a_target_is_faced_with_the_head_up():
    up = np.array([0.0, -1.0, 0.0])  # in an optical frame
    rotation = rotation_matrix(facing(np.array([0.0, 0.0, 2.0]), up))
    assert rotation @ [1, 0, 0] == pytest.approx([0, 0, 1])
    assert rotation @ [0, 1, 0] == pytest.approx([-1, 0, 0])  # left
    assert rotation @ [0, 0, 1] == pytest.approx(up)
    for direction in np.random.default_rng(2).normal(size=(20, 3)):
        rotation = rotation_matrix(facing(direction, up))
        assert rotation @ [1, 0, 0] == pytest.approx(direction / np.linalg.norm(direction))
        assert (rotation @ [0, 0, 1]) @ up > 0
        assert rotation @ [0, 1, 0] @ up == pytest.approx(0.0)
    assert rotation_matrix(facing(up, up)) @ [1, 0, 0] == pytest.approx(up)


def test_a_camera_on_its_base():
    """A point 2 m ahead, 1 m to the left and on the ground, seen from 1.5 m above it."""
    level = camera_on_base(0.1, 0.0, 1.5, 0.0, 0.0)
    assert level.inverse().points(np.array([2.1, 1.0, 0.0])) == pytest.approx([-1.0, 1.5, 2.0])
    down = camera_on_base(0.0, 0.0, 1.0, math.radians(45), 0.0)
    assert down.inverse().points(np.array([1.0, 0.0, 0.0])) == pytest.approx([0, 0, math.sqrt(2)])
    left = camera_on_base(0.0, 0.0, 0.0, 0.0, math.radians(90))
    assert left.inverse().points(np.array([0.0, 3.0, 0.0])) == pytest.approx([0, 0, 3])


def test_half_the_way_between_two_poses():
    start = RigidTransform(np.eye(3), np.zeros(3))
    end = RigidTransform.of((0.0, 0.0, math.sin(0.6), math.cos(0.6)), (2.0, 0.0, 4.0))
    middle = between(start, end, 0.5)
    turned = rotation_matrix((0.0, 0.0, math.sin(0.3), math.cos(0.3)))
    assert middle.rotation == pytest.approx(turned)
    assert middle.translation == pytest.approx([1.0, 0.0, 2.0])
    minus = RigidTransform(rotation_matrix((0.0, 0.0, -math.sin(0.6), -math.cos(0.6))), np.zeros(3))
    assert between(start, minus, 0.5).rotation == pytest.approx(turned)
    assert between(start, start, 0.3).rotation == pytest.approx(np.eye(3))


def at(x):
    return RigidTransform(np.eye(3), np.array([float(x), 0.0, 0.0]))


def test_poses_by_time():
    history = PoseHistory()
    assert history.at(SECOND) == "no odometry has come"
    for tick in (3, 1, 2):  # in whatever order
        history.add(SECOND + tick * 20_000_000, at(tick))
    assert history.at(SECOND + 30_000_000).translation[0] == pytest.approx(1.5)
    assert history.at(SECOND + 40_000_000).translation[0] == pytest.approx(2.0)
    assert history.at(SECOND + 70_000_000).translation[0] == pytest.approx(3.0)
    assert history.has_passed(SECOND + 60_000_000)
    assert not history.has_passed(SECOND + 60_000_001)
    assert history.at(SECOND) == "all odometry is newer than the image"
    assert history.at(2 * SECOND) == "the last odometry is 0.940 s older than the image"
    history.add(3 * SECOND, at(9))
    assert history.at(2 * SECOND) == "the odometry has a gap of 1.940 s"


def test_old_poses_are_forgotten_and_a_jump_back_in_time_forgets_all():
    history = PoseHistory()
    for second in range(40):
        history.add(second * SECOND, at(second))
    assert len(history._stamps) == len(history._poses) == HISTORY_NS // SECOND + 1
    history.add(SECOND, at(1))
    assert history.at(SECOND).translation[0] == 1.0
    assert len(history._stamps) == 1


def test_a_camera_that_is_rolled_clockwise_has_its_top_to_the_right():
    rolled = camera_on_base(0.0, 0.0, 0.0, 0.0, 0.0, roll=math.radians(90))
    assert rolled.directions(np.array([0.0, -1.0, 0.0])) == pytest.approx([0, -1, 0])
    everything = camera_on_base(1.0, 2.0, 3.0, 0.4, 0.5, 0.6)
    assert everything.rotation @ everything.rotation.T == pytest.approx(np.eye(3))
    ahead = camera_on_base(0.0, 0.0, 0.0, 0.4, 0.5).directions(np.array([0.0, 0.0, 1.0]))
    assert everything.directions(np.array([0.0, 0.0, 1.0])) == pytest.approx(ahead)
