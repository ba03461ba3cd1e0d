# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rendered 3D world against geometry that is worked out another way."""

from __future__ import annotations

import math

import numpy as np
import pytest

from siammask_ros.scenes.follow_world import (
    DISTANCE_M,
    START,
    TARGET,
    WALL_SIZE,
    follow_world,
    target_walk,
    wall_place,
)
from siammask_ros.scenes.panels import Canvas, Panel, draw_panel, mip_chain
from siammask_ros.scenes.people import HEIGHT_M, Clothes, Person
from siammask_ros.scenes.pinhole import CameraPose, Mount, Pinhole, Pose2D, project
from siammask_ros.scenes.walks import Drive, Leg, Motion, Unicycle, Walk
from siammask_ros.scenes.world import DepthSensor, Inhabitant, World, box_panels

CAMERA = Pinhole(width=320, height=240, focal_px=170.0)


def pixel_of(camera, mount, base, point):
    """Where a world point is seen, by angles instead of matrices; only for a level camera."""
    assert mount.pitch == 0.0
    x = base.x + mount.forward * math.cos(base.heading)
    y = base.y + mount.forward * math.sin(base.heading)
    distance = math.hypot(point[0] - x, point[1] - y)
    left = math.atan2(point[1] - y, point[0] - x) - base.heading
    depth = distance * math.cos(left)
    column = (camera.width - 1) / 2 - camera.focal_px * math.tan(left)
    row = (camera.height - 1) / 2 + camera.focal_px * (mount.up - point[2]) / depth
    return (column, row), depth


def still(x, y):
    return Walk.over(Pose2D(x, y, 0.0), [Leg(1.0, 0.0)])


@pytest.fixture(scope="module")
def person():
    return Person.dressed(np.random.default_rng(1), Clothes((40, 60, 200), (110, 70, 40)))


@pytest.fixture(scope="module")
def yard():
    return follow_world(camera=CAMERA)


def grey(level=128, side=64):
    return np.full((side, side, 3), level, np.uint8)


# --- Projection


@pytest.mark.parametrize("base", [Pose2D(0, 0, 0), Pose2D(1.5, -2.0, 0.7), Pose2D(-1, 3, -2.9)])
def test_points_are_projected_where_angles_say(base):
    mount = Mount(forward=0.3, up=0.9)
    rng = np.random.default_rng(3)
    ahead, left = rng.uniform(2, 9, 50), rng.uniform(-1.5, 1.5, 50)
    points = np.array(
        [
            (*base.carry(a, b), up)
            for a, b, up in zip(ahead, left, rng.uniform(0, 2, 50), strict=True)
        ]
    )
    pose = CameraPose.on_base(base, mount)
    pixels = project(CAMERA, pose.to_optical(points))
    for point, pixel, optical in zip(points, pixels, pose.to_optical(points), strict=True):
        expected, depth = pixel_of(CAMERA, mount, base, point)
        assert pixel == pytest.approx(expected, abs=1e-6)
        assert optical[2] == pytest.approx(depth)
    assert pose.to_world(pose.to_optical(points)) == pytest.approx(points)


def test_what_is_behind_is_not_projected():
    assert np.isnan(project(CAMERA, np.array([[0.0, 0.0, -1.0]]))).all()


def test_a_camera_tipped_down_sees_the_ground_ahead_in_the_middle():
    pitch, up = 0.4, 1.2
    pose = CameraPose.on_base(Pose2D(2.0, 1.0, 0.5), Mount(forward=0.0, up=up, pitch=pitch))
    reach = up / math.tan(pitch)
    point = np.array([[*Pose2D(2.0, 1.0, 0.5).carry(reach, 0.0), 0.0]])
    assert project(CAMERA, pose.to_optical(point))[0] == pytest.approx(CAMERA.center_xy)


# --- Depth, labels and image of what is drawn


@pytest.mark.parametrize("pitch", [0.0, 0.25])
def test_ground_depth_is_that_of_the_ray(pitch):
    mount = Mount(forward=0.0, up=1.1, pitch=pitch)
    frame = World(0, camera=CAMERA, mount=mount).render(0.0, Pose2D(0.4, 0.2, 1.0))
    for row in (150, 200, 239):
        below = math.atan((row - CAMERA.center_xy[1]) / CAMERA.focal_px) + pitch
        along = mount.up / math.sin(below)  # metres along the ray of the middle column
        depth = along * math.cos(below - pitch)
        assert frame.depth_m[row] == pytest.approx(np.full(320, depth), rel=1e-4)
    top = frame.depth_m[0]
    assert np.isinf(top).all()


def test_ground_texture_stays_in_place_when_the_camera_moves():
    world = World(0, camera=CAMERA, mount=Mount(forward=0.0))
    images = {}
    for x in (0.0, 1.0):
        frame = world.render(0.0, Pose2D(x, 0.0, 0.0))
        points = np.array([(a, b, 0.0) for a in np.linspace(2.5, 4, 12) for b in (-0.6, 0.1, 0.8)])
        columns, rows = np.rint(project(CAMERA, frame.camera_pose.to_optical(points))).astype(int).T
        images[x] = frame.image_bgr[rows, columns].astype(float).mean(axis=1)
    assert np.corrcoef(images[0.0], images[1.0])[0, 1] > 0.5


def test_a_box_covers_what_its_corners_span():
    base, mount = Pose2D(0.0, 0.0, 0.2), Mount(forward=0.0, up=1.0)
    size, middle = (0.6, 0.8, 1.4), (3.0, 0.5)
    canvas = Canvas.blank(CAMERA)
    pose = CameraPose.on_base(base, mount)
    for panel in box_panels(middle, size, grey()):
        draw_panel(canvas, CAMERA, pose, panel)
    corners = [
        (middle[0] + a * size[0] / 2, middle[1] + b * size[1] / 2, up)
        for a in (-1, 1)
        for b in (-1, 1)
        for up in (0.0, size[2])
    ]
    pixels = np.array([pixel_of(CAMERA, mount, base, corner)[0] for corner in corners])
    rows, columns = np.nonzero(np.isfinite(canvas.depth))
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    assert (columns.min(), rows.min()) == pytest.approx(low, abs=1.5)
    assert (columns.max(), min(high[1], rows.max())) == pytest.approx(high, abs=1.5)
    # Seen is the near face: nothing is deeper than the far edge, nothing nearer than the near one.
    depths = [pixel_of(CAMERA, mount, base, corner)[1] for corner in corners]
    seen = canvas.depth[np.isfinite(canvas.depth)]
    assert min(depths) - 1e-3 <= seen.min() <= min(depths) + 0.05
    assert seen.max() <= max(depths) + 1e-3


def test_what_is_near_hides_what_is_far_in_whatever_order():
    pose = CameraPose.on_base(Pose2D(0, 0, 0), Mount(forward=0.0, up=1.0))

    def wall(depth, label):
        corner = np.array([depth, 0.5, 1.5])
        return Panel(
            corner, np.array([0, -1.0, 0]), np.array([0, 0, -1.0]), mip_chain(grey()), label
        )

    for order in ((2.0, 4.0), (4.0, 2.0)):
        canvas = Canvas.blank(CAMERA)
        for depth in order:
            draw_panel(canvas, CAMERA, pose, wall(depth, int(depth)))
        assert canvas.depth[120, 160] == pytest.approx(2.0)
        assert canvas.labels[120, 160] == 2
        assert set(np.unique(canvas.labels)) == {0, 2}  # the far one is smaller, so all hidden


def test_panels_beside_and_behind_the_camera():
    pose = CameraPose.on_base(Pose2D(0, 0, 0), Mount(forward=0.0, up=1.0))

    def drawn(corner, right):
        canvas = Canvas.blank(CAMERA)
        panel = Panel(
            np.array(corner), np.array(right), np.array([0, 0, -2.0]), mip_chain(grey()), 9, True
        )
        draw_panel(canvas, CAMERA, pose, panel)
        return canvas

    assert not drawn((-2.0, 1.0, 2.0), (0.0, -2.0, 0.0)).labels.any()
    # A wall on the left that begins behind the camera is seen on the left alone.
    left = drawn((-3.0, 1.0, 2.0), (12.0, 0.0, 0.0))
    columns = np.flatnonzero(left.labels.any(axis=0))
    assert columns.min() == 0
    assert columns.max() == pytest.approx(CAMERA.center_xy[0] - 170.0 / 9.0, abs=1.5)
    at = 40
    depth = 170.0 / (CAMERA.center_xy[0] - at)
    assert left.depth[120, at] == pytest.approx(depth, rel=1e-3)


def test_a_panel_is_not_seen_from_behind():
    pose = CameraPose.on_base(Pose2D(0, 0, 0), Mount(forward=0.0, up=1.0))
    canvas = Canvas.blank(CAMERA)
    corner = np.array([3.0, -0.5, 1.5])
    panel = Panel(corner, np.array([0, 1.0, 0]), np.array([0, 0, -1.0]), mip_chain(grey()), 1)
    draw_panel(canvas, CAMERA, pose, panel)
    assert not canvas.labels.any()


@pytest.mark.parametrize(("x", "y", "heading"), [(3.0, 0.0, 0.0), (4.0, 1.2, 0.1), (6.0, -2, -0.3)])
def test_a_person_stands_where_it_is_said_to_be(person, x, y, heading):
    mount, base = Mount(forward=0.2, up=1.0), Pose2D(0.0, 0.0, heading)
    world = World(0, inhabitants=[Inhabitant(7, person, still(x, y))], camera=CAMERA, mount=mount)
    frame = world.render(0.0, base)
    (middle, row_feet), depth = pixel_of(CAMERA, mount, base, (x, y, 0.0))
    (_, row_head), _ = pixel_of(CAMERA, mount, base, (x, y, HEIGHT_M))
    mask = frame.mask(7)
    rows = np.flatnonzero(mask.any(axis=1))
    assert rows[0] == pytest.approx(row_head, abs=1.5)
    assert rows[-1] == pytest.approx(row_feet, abs=1.5)
    columns = np.flatnonzero(mask.any(axis=0))
    assert (columns[0] + columns[-1]) / 2 == pytest.approx(middle, abs=1.5)
    # Its plane faces the camera, so beside the axis its depth differs a little.
    assert np.median(frame.depth_m[mask]) == pytest.approx(depth, rel=0.02)
    assert frame.middle_in_camera(7)[2] == pytest.approx(depth)
    assert frame.visible_share[7] == pytest.approx(1.0, abs=0.06)
    box = frame.box(7)
    assert box.height == pytest.approx(row_feet - row_head, abs=3)


def test_visible_share_is_what_is_not_hidden(person):
    people = [Inhabitant(1, person, still(4.0, 0.0)), Inhabitant(2, person, still(2.0, 5.0))]
    hidden = World(
        0,
        inhabitants=people,
        panels=box_panels((2.0, 0.0), (0.1, 1.0, 2.5), grey()),
        camera=CAMERA,
    ).render(0.0, START)
    assert hidden.visible_share == {1: 0.0, 2: 0.0}
    assert hidden.box(1) is None
    half = World(
        0,
        inhabitants=people,
        panels=box_panels((2.0, 0.5), (0.02, 1.0, 2.5), grey()),
        camera=CAMERA,
    ).render(0.0, START)
    assert half.visible_share[1] == pytest.approx(0.5, abs=0.08)


def test_equal_calls_give_equal_pixels(yard):
    base = Pose2D(1.0, 0.3, 0.1)
    first, again = yard.render(3.0, base), follow_world(camera=CAMERA).render(3.0, base)
    for name in ("image_bgr", "depth_m", "labels"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(first.image_bgr, yard.render(3.05, base).image_bgr)


def test_labels_must_differ(person):
    with pytest.raises(ValueError, match="labels"):
        World(0, inhabitants=[Inhabitant(1, person, still(1, 0))] * 2)


# --- The depth sensor


def test_depth_sensor_has_the_noise_and_holes_that_it_is_given(yard):
    exact = yard.render(0.0, START).depth_m
    sensor = DepthSensor(noise=0.02, holes=0.3, range_m=(0.2, 8.0))
    within = (exact > 0.3) & (exact < 7.0)
    holes, errors = [], []
    for seed in range(6):
        measured = sensor.sense(exact, seed)
        assert np.isnan(measured[exact > 9.0]).all()
        holes.append(np.isnan(measured[within]).mean())
        errors.append((measured / exact - 1.0)[within & np.isfinite(measured)])
    assert np.mean(holes) == pytest.approx(0.3, abs=0.05)
    assert np.std(np.concatenate(errors)) == pytest.approx(0.02, rel=0.05)
    assert np.mean(np.concatenate(errors)) == pytest.approx(0.0, abs=0.002)
    assert np.array_equal(sensor.sense(exact, 1), sensor.sense(exact, 1), equal_nan=True)
    perfect = DepthSensor(noise=0.0, holes=0.0, range_m=(0.0, 100.0)).sense(exact, 0)
    assert np.array_equal(perfect[within], exact[within])


# --- Walks and the robot


def test_a_walk_keeps_speed_and_turns_by_its_legs():
    walk = Walk.over(Pose2D(1.0, 2.0, 0.3), [Leg(4.0, 1.0), Leg(3.0, 1.0, 0.4), Leg(4.0, 1.0)])
    end = walk.at(walk.duration)
    assert end.pose.heading == pytest.approx(0.3 + 3.0 * 0.4, abs=1e-2)
    assert end.walked == pytest.approx(11.0 - 0.5, abs=0.02)  # the time constant is lost once
    assert walk.at(3.0).speed == pytest.approx(1.0, abs=0.01)
    assert walk.at(-1.0).pose == (1.0, 2.0, 0.3)
    times = np.arange(0.0, 11.0, 0.05)
    places = np.array([walk.at(time).pose[:2] for time in times])
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    assert steps.sum() == pytest.approx(end.walked, abs=0.1)
    assert steps.max() <= 0.05 * 1.0 + 1e-6


def test_a_unicycle_drives_the_circle_of_its_command():
    robot = Unicycle(START, Drive(acceleration=100.0, turn_acceleration=100.0, delay_s=0.0))
    for step in range(400):
        robot.command(Motion(1.0, 0.5), step * 0.01)
        robot.drive_until((step + 1) * 0.01)
    # Radius 2, after 2 rad.
    expected = (2 * math.sin(2.0), 2 * (1 - math.cos(2.0)), 2.0)
    assert robot.pose == pytest.approx(expected, abs=0.03)


def test_commands_take_effect_after_the_delay_and_run_out():
    drive = Drive(acceleration=2.0, delay_s=0.1, timeout_s=0.5)
    robot = Unicycle(START, drive)
    robot.command(Motion(0.5, 0.0), 0.0)
    assert robot.drive_until(0.1) == START
    robot.drive_until(0.5)
    assert robot.motion == Motion(0.5, 0.0)
    robot.drive_until(2.0)
    assert robot.motion == Motion(0.0, 0.0)


def test_the_drive_keeps_its_limits_whatever_it_is_told():
    drive = Drive()
    robot = Unicycle(START, drive)
    rng = np.random.default_rng(2)
    before = robot.motion
    for step in range(600):
        robot.command(Motion(*rng.uniform(-9, 9, 2)), step * 0.01)
        robot.drive_until((step + 1) * 0.01)
        now = robot.motion
        assert abs(now.speed) <= drive.speed
        assert abs(now.turn) <= drive.turn
        assert abs(now.speed - before.speed) <= drive.acceleration * 0.01 + 1e-9
        assert abs(now.turn - before.turn) <= drive.turn_acceleration * 0.01 + 1e-9
        before = now
    with pytest.raises(ValueError, match="finite"):
        robot.command(Motion(math.nan, 0.0), 9.0)


# --- The minute that is to be followed


def chase(seconds, react_s=0.3):
    """A robot that knows where the target is as long as it sees it: (time, hidden, base) by frame.

    It sees by lines to the target's middle and sides, cut by the wall or not.
    """
    target = target_walk()
    robot = Unicycle(START)
    wall = wall_place(target)
    length, depth = WALL_SIZE[:2]
    corners = [
        wall.carry(a * length / 2, b * depth / 2) for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1))
    ]
    unseen_s = 0.0
    for time in np.arange(0.0, seconds, 0.05):
        base, there = robot.drive_until(time), target.at(time)
        x, y = there.pose.x - base.x, there.pose.y - base.y
        distance = math.hypot(x, y)
        bearing = math.remainder(math.atan2(y, x) - base.heading, 2 * math.pi)
        sides = [(s * -y / distance, s * x / distance) for s in (-0.22, 0.0, 0.22)]
        hidden = all(
            any(
                crosses(base[:2], (there.pose.x + a, there.pose.y + b), corners[i - 1], corners[i])
                for i in range(4)
            )
            for a, b in sides
        )
        unseen_s = unseen_s + 0.05 if hidden else 0.0
        speed = 1.2 * (distance - DISTANCE_M) + there.speed * max(
            0.0, math.cos(there.pose.heading - base.heading)
        )
        wish = Motion(max(-0.5, min(1.5, speed)), 2.0 * bearing)
        robot.command(wish if unseen_s <= react_s else Motion(0.0, 0.0), time)
        yield time, hidden, base, distance, bearing


def crosses(a, b, c, d):
    def side(p, q, r):
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def test_the_wall_hides_the_target_for_two_seconds_and_can_be_followed():
    run = list(chase(45.0))
    hidden = [time for time, is_hidden, *_ in run if is_hidden]
    assert 1.6 <= len(hidden) * 0.05 <= 2.6
    assert max(hidden) - min(hidden) < 3.0
    half_view = math.atan(320 / Pinhole().focal_px)
    assert max(abs(bearing) for *_, bearing in run) < half_view - 0.1
    assert np.mean([abs(distance - DISTANCE_M) for *_, distance, _ in run]) < 0.3


def test_the_robot_need_not_drive_through_anything():
    wall = wall_place(target_walk())
    for _, _, base, _, _ in chase(60.0):
        along = math.cos(wall.heading) * (base.x - wall.x) + math.sin(wall.heading) * (
            base.y - wall.y
        )
        across = math.cos(wall.heading) * (base.y - wall.y) - math.sin(wall.heading) * (
            base.x - wall.x
        )
        gap = math.hypot(
            max(abs(along) - WALL_SIZE[0] / 2, 0.0), max(abs(across) - WALL_SIZE[1] / 2, 0.0)
        )
        assert gap > 0.3


def test_the_passer_by_hides_the_target_for_a_moment(yard):
    bases = {round(time, 2): base for time, _, base, _, _ in chase(17.5)}
    shares = [
        yard.render(time, bases[round(time, 2)]).visible_share[TARGET]
        for time in np.arange(14.5, 17.0, 0.1)
    ]
    assert min(shares) < 0.1
    assert shares[0] > 0.8
    assert shares[-1] > 0.8
    assert sum(share < 0.5 for share in shares) < 8
