# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth images: decoding, borders, other sizes, and which values count."""

from __future__ import annotations

import numpy as np
import pytest
from rendered_depth import VGA, Board, World, image_message, spoiled

from siammask_ros.localization.camera import calibrated_sight
from siammask_ros.localization.depth import (
    CloudDepth,
    DepthError,
    DepthImage,
    DepthLimits,
    ImageDepth,
    decode_depth,
    without_border,
)
from siammask_ros.localization.measure import robust_depth
from siammask_ros.localization.space import RigidTransform

LIMITS = DepthLimits()
TARGET = Board(7, ahead=3.0, left=0.4, bottom=0.3, width=0.8, height=1.2)
WORLD = World((TARGET,), **VGA)


def sight_of(world):
    return calibrated_sight(world.camera_info())


# --- Messages


@pytest.mark.parametrize(
    ("encoding", "dtype"), [("32FC1", "f4"), ("16UC1", "u2"), ("mono16", "u2")]
)
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("padding", [0, 6])
def test_values_of_a_message(encoding, dtype, order, padding):
    values = np.arange(1, 16).reshape(3, 5).astype(f"{order}{dtype}")
    rows = np.zeros((3, values.strides[0] + padding), dtype=np.uint8)
    rows[:, : values.strides[0]] = values.view(np.uint8)
    message = image_message(rows, encoding, width=5, is_bigendian=order == ">")
    message.data = message.data[: len(message.data) - padding]  # the last row needs none
    depth = decode_depth(message)
    assert np.array_equal(depth.values, values)
    assert depth.unit == (1.0 if encoding == "32FC1" else 0.001)
    assert depth.size_wh == (5, 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"encoding": "rgb8"}, "encoding 'rgb8' is no depth, only 16uc1, 32fc1, mono16"),
        ({"width": 0}, "the depth image is empty: 0x3 pixels"),
        ({"step": 9}, "5x3 pixels 32FC1 cannot have step 9 and 60 bytes"),
        ({"data": b"12"}, "cannot have step 20 and 2 bytes"),
    ],
)
def test_bad_messages_are_refused(changes, words):
    message = image_message(np.ones((3, 5), dtype=np.float32), **changes)
    with pytest.raises(DepthError, match=words):
        decode_depth(message)


# --- What counts


def test_holes_and_what_is_out_of_range_do_not_count():
    values = np.array([[0.0, np.nan, np.inf, -np.inf, -1.0, 0.05, 25.0, 1.0, 2.0]], dtype="f4")
    labels = np.full(values.shape, 3, dtype=np.uint8)
    world = World(size_wh=(9, 1))
    samples = ImageDepth(DepthImage(values), labels, sight_of(world)).samples(3, LIMITS)
    assert samples.depths.tolist() == [1.0, 2.0]
    assert samples.offered == 9
    points = samples.points(np.array([False, True]))
    x = 2.0 * (8 - world.center_xy[0]) / world.focal_px
    assert points == pytest.approx(np.array([(x, -2.0 * world.center_xy[1] / world.focal_px, 2.0)]))
    millimetres = np.array([[0, 65535, 1500]], dtype=np.uint16)
    view = ImageDepth(
        DepthImage(millimetres, 0.001), labels[:, :3], sight_of(World(size_wh=(3, 1)))
    )
    assert view.samples(3, LIMITS).depths == pytest.approx([1.5])
    assert not len(view.samples(4, LIMITS).depths)


def test_limits_must_be_in_order():
    with pytest.raises(ValueError, match="min_range 3 is not below max_range 2"):
        DepthLimits(3.0, 2.0)


# --- Borders


@pytest.mark.parametrize("border_px", [0, 1, 3])
def test_pixels_near_another_label_go(border_px):
    labels = np.zeros((40, 50), dtype=np.uint8)
    labels[5:30, 10:30] = 1
    labels[5:30, 30:50] = 2  # touches the first, and the image's border
    inside = without_border(labels, border_px)
    b = border_px
    expected = np.zeros_like(labels)
    expected[5 + b : 30 - b, 10 + b : 30 - b] = 1
    expected[5 + b : 30 - b, 30 + b : 50] = 2
    assert np.array_equal(inside, expected)


def test_a_thin_mask_keeps_what_it_can():
    labels = np.zeros((40, 50), dtype=np.uint8)
    labels[10:13, 5:45] = 4  # one row is left with a border of 1
    labels[30, 5:45] = 5
    labels[20:28, 20:30] = 6
    inside = without_border(labels, 3)
    assert np.array_equal(np.nonzero(inside == 4)[0], np.full(38, 11))
    assert (inside == 5).sum() == 40
    assert (inside == 6).sum() == 2 * 4


# --- Other sizes and cameras


@pytest.mark.parametrize("size_wh", [(640, 480), (320, 240), (1280, 960), (424, 318)])
def test_depth_of_another_size_is_read_at_the_same_places(size_wh):
    """The same field of view in other pixels: every value on the mask is the target's."""
    scale = size_wh[0] / WORLD.size_wh[0]
    center = tuple((c + 0.5) * scale - 0.5 for c in WORLD.center_xy)
    depth, _ = WORLD.render(size_wh=size_wh, focal_px=WORLD.focal_px * scale, center_xy=center)
    _, labels = WORLD.render()
    view = ImageDepth(DepthImage(depth), without_border(labels, 2), sight_of(WORLD))
    samples = view.samples(7, LIMITS)
    assert samples.depths == pytest.approx(np.full(len(samples.depths), 3.0))
    assert len(samples.depths) == pytest.approx((labels == 7).sum() * scale**2, rel=0.1)
    points = samples.points(np.ones(len(samples.depths), dtype=bool))
    expected = WORLD.in_camera(TARGET.middle)
    assert (points.min(axis=0) + points.max(axis=0)) / 2 == pytest.approx(expected, abs=0.02)
    assert np.ptp(points[:, 0]) == pytest.approx(TARGET.width, abs=0.05)


@pytest.mark.parametrize("size_wh", [(320, 240), (1280, 960), (424, 318)])
def test_points_of_another_size_are_where_the_pixels_look(size_wh):
    """The level ground below the camera stays level, and at its height."""
    scale = size_wh[0] / WORLD.size_wh[0]
    center = tuple((c + 0.5) * scale - 0.5 for c in WORLD.center_xy)
    ground = World(**VGA)
    depth, _ = ground.render(size_wh=size_wh, focal_px=WORLD.focal_px * scale, center_xy=center)
    labels = np.zeros((480, 640), dtype=np.uint8)
    labels[330:470, 200:400] = 7
    samples = ImageDepth(DepthImage(depth), labels, sight_of(ground)).samples(7, LIMITS)
    points = samples.points(np.ones(len(samples.depths), dtype=bool))
    assert points[:, 1] == pytest.approx(np.full(len(points), ground.height), abs=1e-6)


def test_depth_of_another_shape_needs_its_own_camera():
    depth, _ = WORLD.render(size_wh=(848, 480), focal_px=420.0, center_xy=(420.0, 245.0))
    _, labels = WORLD.render()
    with pytest.raises(DepthError, match="depth of 848x480 is not of the shape of the image, 640x"):
        ImageDepth(DepthImage(depth), labels, sight_of(WORLD))
    other = World(size_wh=(848, 480), focal_px=420.0, center_xy=(420.0, 245.0))
    view = ImageDepth(
        DepthImage(depth), without_border(labels, 2), sight_of(WORLD), sight_of(other)
    )
    samples = view.samples(7, LIMITS)
    assert len(samples.depths) > 1000
    assert samples.depths == pytest.approx(np.full(len(samples.depths), 3.0))
    points = samples.points(np.ones(len(samples.depths), dtype=bool))
    expected = WORLD.in_camera(TARGET.middle)
    assert (points.min(axis=0) + points.max(axis=0)) / 2 == pytest.approx(expected, abs=0.02)


# --- Point clouds


def cloud_of(world, depth):
    """(H, W, 3) in the optical frame, by the pinhole's formula."""
    height, width = depth.shape
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    depth = np.where(np.isfinite(depth), depth, np.nan)
    x = (columns - world.center_xy[0]) / world.focal_px * depth
    y = (rows - world.center_xy[1]) / world.focal_px * depth
    return np.stack([x, y, depth], axis=-1)


@pytest.mark.parametrize("kind", ["of the image", "of the image, unasked", "unorganised", "moved"])
def test_points_of_a_cloud_are_those_seen_on_the_target(kind):
    depth, labels = WORLD.render()
    draw = np.random.default_rng(5)
    points = cloud_of(WORLD, spoiled(depth, draw, noise=0.0))
    to_camera = None
    if kind == "unorganised":
        points = draw.permutation(points.reshape(-1, 3))[None, ::7]
        points = np.concatenate([points, -points], axis=1)  # behind the camera too
    if kind == "moved":
        to_camera = RigidTransform.of((0.1, -0.2, 0.3, 0.9), (0.5, -1.0, 0.2))
        points = to_camera.inverse().points(points)
    view = CloudDepth(
        points, without_border(labels, 2), sight_of(WORLD), to_camera=to_camera,
        is_of_image=kind == "of the image",
    )  # fmt: skip
    samples = view.samples(7, LIMITS)
    assert len(samples.depths) > (150 if kind == "unorganised" else 2000)
    assert samples.depths == pytest.approx(np.full(len(samples.depths), 3.0))
    kept = samples.points(np.ones(len(samples.depths), dtype=bool))
    assert kept[:, 2] == pytest.approx(samples.depths)
    assert (np.abs(kept[:, 0] - WORLD.in_camera(TARGET.middle)[0]) <= TARGET.width / 2).all()
    assert not len(view.samples(8, LIMITS).depths)


def test_a_cloud_beside_the_target_and_an_empty_one():
    _, labels = WORLD.render()
    for points in (np.zeros((1, 0, 3)), np.array([[(50.0, 0.0, 1.0), (np.nan, 0.0, 1.0)]])):
        view = CloudDepth(points, labels, sight_of(WORLD))
        assert not len(view.samples(7, LIMITS).depths)
    view = CloudDepth(np.ones((1, 5, 3)), np.zeros_like(labels), sight_of(WORLD))
    assert not len(view.samples(7, LIMITS).depths)


# --- Agreement


@pytest.mark.parametrize("seed", range(10))
def test_tails_are_cut_off(seed):
    """Up to 40 % from behind and before the target."""
    draw = np.random.default_rng(seed)
    true, count = draw.uniform(0.5, 8.0), int(draw.integers(30, 3000))
    depths = true * (1 + 0.01 * draw.standard_normal(count))
    wrong = draw.random(count) < draw.uniform(0, 0.4)
    depths[wrong] = true + np.where(draw.random(wrong.sum()) < 0.8, 1, -0.4) * draw.uniform(
        0.3, 1.0, wrong.sum()
    )
    found = robust_depth(depths, 3.0)
    assert found.median == pytest.approx(true, rel=0.01)
    assert found.spread == pytest.approx(0.01 * true, rel=0.8)
    assert not found.kept[wrong].any() or np.mean(wrong[found.kept]) < 0.05


def test_equal_depths_and_a_single_one():
    found = robust_depth(np.full(50, 2.5), 3.0)
    assert (found.median, found.spread, found.kept.all()) == (2.5, 0.0, True)
    assert robust_depth(np.array([1.25]), 3.0).median == 1.25
    mostly = robust_depth(np.array([*[2.0] * 40, *[2.004] * 10, 3.0]), 3.0)
    assert mostly.kept.sum() == 50
