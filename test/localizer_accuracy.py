# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How exactly the localizer finds the target of the simulated world, with true and rough masks.

`python test/localizer_accuracy.py` measures the whole minute and prints it.
"""

from __future__ import annotations

import math
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import cv2
import numpy as np
from rendered_depth import angle_between

sys.path.insert(0, str(Path(__file__).parent.parent))

from siammask_ros.localization.camera import calibrated_sight
from siammask_ros.localization.depth import DepthImage, ImageDepth
from siammask_ros.localization.localizer import (
    Localizer,
    LocalizerConfig,
    Observation,
    Source,
    TargetView,
)
from siammask_ros.localization.space import RigidTransform
from siammask_ros.scenes.follow_world import DISTANCE_M, SECONDS, START, TARGET, follow_world
from siammask_ros.scenes.pinhole import Pose2D
from siammask_ros.scenes.world import DepthSensor
from siammask_ros.target_status import TargetStatus

WELL_VISIBLE = 0.9


class Errors(NamedTuple):
    """Of one image.

    depth is a share of the truth, azimuth (of the target's middle) and bearing (of the middle of
    what is seen of it) are degrees, velocity is m/s.
    """

    time_s: float
    source: Source
    depth: float
    azimuth: float
    bearing: float
    velocity: float


def trailing(target, base, step_s):
    """The base a moment later: behind the target at its distance, turned to it, not too quickly."""
    x, y, _ = target
    heading = math.atan2(y - base.y, x - base.x)
    away = math.hypot(y - base.y, x - base.x)
    speed = max(min(1.5 * (away - DISTANCE_M) + 0.5, 1.2), 0.0) if away > DISTANCE_M else 0.0
    turn = (heading - base.heading + math.pi) % (2 * math.pi) - math.pi
    turn = float(np.clip(turn, -1.2 * step_s, 1.2 * step_s))
    move = speed * step_s
    return Pose2D(
        base.x + move * math.cos(base.heading), base.y + move * math.sin(base.heading),
        base.heading + turn,
    )  # fmt: skip


def camera_info(camera):
    """What is read of a CameraInfo."""
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)
    return SimpleNamespace(
        width=camera.width, height=camera.height, distortion_model="plumb_bob", d=[],
        k=camera.matrix.ravel(), p=[], binning_x=0, binning_y=0, roi=roi,
    )  # fmt: skip


def measure(*, until_s=SECONDS, rate=25.0, grow_px=2, smoothing=True, fixed=False, seed=1):
    """The errors of each image in which the target is well visible.

    Args:
        until_s: of the minute.
        rate: images a second.
        grow_px: so many pixels of what is round it are on the mask, too.
        smoothing: with the filter.
        fixed: motion is smoothed in the world's frame.
        seed: of the world.
    """
    world = follow_world(seed)
    sensor = DepthSensor(noise=0.01, holes=0.2)
    sight = calibrated_sight(camera_info(world.camera))
    localizer = Localizer(LocalizerConfig(smoothing=smoothing))
    base, errors = START, []
    for number in range(int(until_s * rate)):
        time_s = number / rate
        frame = world.render(time_s, base)
        labels = np.where(frame.labels == TARGET, np.uint8(TARGET), np.uint8(0))
        labels = cv2.dilate(labels, np.ones((2 * grow_px + 1,) * 2, np.uint8))
        depth = DepthImage(sensor.sense(frame.depth_m, seed=number))
        seen = frame.visible_share[TARGET] > 0.3
        status = TargetStatus.TRACKING if seen else TargetStatus.LOST
        pose = RigidTransform(frame.camera_pose.rotation, frame.camera_pose.position)
        (found,) = localizer.locate(Observation(
            round(time_s * 1e9), [TargetView(TARGET, status, (0.0, 0.0))], labels, sight,
            partial(ImageDepth, depth), camera_in_fixed=pose if fixed else None,
        ))  # fmt: skip
        assert seen or found.position is None
        if frame.visible_share[TARGET] > WELL_VISIBLE:
            errors.append(_errors(time_s, found, frame, world.camera))
        base = trailing(frame.inhabitants[TARGET].pose, base, 1 / rate)
    return errors


def _errors(time_s, found, frame, camera):
    x, _, z = frame.middle_in_camera(TARGET)
    if found.position is None:
        return Errors(time_s, found.source, *[math.nan] * 4)
    fx, _, fz = found.position
    footing = frame.inhabitants[TARGET]
    heading = footing.pose.heading
    true = footing.speed * np.array([math.cos(heading), math.sin(heading), 0.0])
    velocity = frame.camera_pose.rotation @ found.velocity
    return Errors(
        time_s, found.source, fz / z - 1,
        math.degrees(math.atan2(fx, fz) - math.atan2(x, z)),
        angle_between(found.position, _middle_of_mask(frame, camera)),
        float(np.linalg.norm(velocity - true)),
    )  # fmt: skip


def _middle_of_mask(frame, camera):
    """The direction of the mean of the exact mask's pixels, by the pinhole's formula."""
    rows, columns = np.nonzero(frame.labels == TARGET)
    cx, cy = camera.center_xy
    return np.array([columns.mean() - cx, rows.mean() - cy, camera.focal_px])


def main():
    """Print the table."""
    print("errors of the target, 20 % holes, 1 % noise: median, 95 %, largest")  # noqa: T201
    for name, options in {
        "each image alone, true mask": {"smoothing": False, "grow_px": 0},
        "each image alone, 2 px too large": {"smoothing": False},
        "smoothed in the camera's frame": {},
        "smoothed in a fixed frame": {"fixed": True},
    }.items():
        errors = measure(rate=6.0, **options)
        known = [error for error in errors if error.source is not Source.NONE]
        print(f"{name}: {len(known)} of {len(errors)} images")  # noqa: T201
        for quantity, unit in (("depth", 100), ("azimuth", 1), ("bearing", 1), ("velocity", 1)):
            values = np.abs([getattr(error, quantity) for error in known]) * unit
            row = ", ".join(f"{value:.2f}" for value in np.nanquantile(values, (0.5, 0.95, 1)))
            print(f"  {quantity:10} {row}")  # noqa: T201


if __name__ == "__main__":
    main()
