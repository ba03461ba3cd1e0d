# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One target in one image: how deep it is, which way it lies, and where it stands."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from siammask_ros.localization.camera import FloatArray, Sight
from siammask_ros.localization.depth import BoolArray, LabelImage, Samples, cut_out

MAD_TO_SIGMA = 1.4826
"""The median absolute deviation of a normal distribution is its sigma divided by this."""
SMALLEST_SPREAD = 0.005
"""Share of the depth: equal values must not throw out their next neighbours."""
TRIMMING_ROUNDS = 4
ENOUGH_DEPTHS = 4000
"""Of more, some are left out: the median stays the same within a few hundredths of sigma."""
LEAST_STRANGERS = 0.02
"""Fewer pixels, as a share, are noise and do not move the middle of a mask."""
FOOT_SHARE = 0.01
"""The foot is where so much of a mask's rows, at least one, end."""
LEAST_DIP = math.radians(1.0)
"""The ground is not looked for nearer to the horizon."""


@dataclass(frozen=True)
class RobustDepth:
    """What many depths agree on.

    Attributes:
        median: metres, after the tails are cut off.
        spread: metres, the standard deviation of those that are left, by the median absolute
            deviation.
        kept: (N,) which of the given ones they are.
    """

    median: float
    spread: float
    kept: BoolArray


def robust_depth(depths: FloatArray, trim: float) -> RobustDepth:
    """The median after the tails are cut off: background beside the target, things before it.

    Args:
        depths: (N,) metres, N > 0.
        trim: farther from the median than so many sigmas is tail.
    """
    some = depths[:: max(1, len(depths) // ENOUGH_DEPTHS)]
    median, spread = _median_and_spread(some)
    for _ in range(TRIMMING_ROUNDS):
        reach = trim * max(spread, SMALLEST_SPREAD * median)
        before = (median, spread)
        median, spread = _median_and_spread(some[np.abs(some - median) <= reach])
        if (median, spread) == before:
            break
    kept = np.abs(depths - median) <= trim * max(spread, SMALLEST_SPREAD * median)
    return RobustDepth(median, spread, kept)


def _median_and_spread(depths: FloatArray) -> tuple[float, float]:
    median = float(np.median(depths))
    return median, MAD_TO_SIGMA * float(np.median(np.abs(depths - median)))


@dataclass(frozen=True)
class MaskShape:
    """Where a target's mask lies in the image.

    Attributes:
        center_xy: pixels, its centroid.
        foot_xy: pixels, the middle of its lowest rows; their lower edge.
        foot_is_cut: it reaches the lower edge of the image.
    """

    center_xy: tuple[float, float]
    foot_xy: tuple[float, float]
    foot_is_cut: bool


def mask_shape(labels: LabelImage, target_id: int) -> MaskShape | None:
    """Of the pixels with that id; None where there are none."""
    mask, (left, top) = cut_out(labels, target_id)
    if not mask.size:
        return None
    part, height = mask.view(np.uint8), len(mask)
    moments = cv2.moments(part, binaryImage=True)
    center = (
        left + moments["m10"] / moments["m00"],
        top + moments["m01"] / moments["m00"],
    )
    rows = max(1, round(height * FOOT_SHARE))
    columns = np.nonzero(part[-rows:].any(axis=0))[0]
    foot = (left + float(np.median(columns)), top + height - 0.5)
    return MaskShape(center, foot, top + height >= labels.shape[0])


def bearing_of(pixel_xy: tuple[float, float], sight: Sight) -> FloatArray:
    """The unit vector (3,) in the optical frame toward a pixel."""
    ((x, y),) = sight.directions(np.array([pixel_xy]))
    ray = np.array([x, y, 1.0])
    bearing: FloatArray = ray / np.linalg.norm(ray)
    return bearing


def without_strangers(bearing: FloatArray, samples: Samples, found: RobustDepth) -> FloatArray:
    """The direction to the middle of a mask, less what is on it but elsewhere in depth.

    Args:
        bearing: (3,) unit vector to the middle of the whole mask.
        samples: on the mask.
        found: what most of them agree on.
    """
    if 1 - float(found.kept.mean()) < LEAST_STRANGERS:
        return bearing
    looked_at = np.zeros(len(found.kept), dtype=np.bool_)
    looked_at[:: max(1, len(found.kept) // ENOUGH_DEPTHS)] = True
    points = samples.points(looked_at)
    directions = points[:, :2] / points[:, 2:]
    shift = directions[found.kept[looked_at]].mean(axis=0) - directions.mean(axis=0)
    ray = bearing / bearing[2] + np.array([*shift, 0.0])
    turned: FloatArray = ray / np.linalg.norm(ray)
    return turned


@dataclass(frozen=True)
class Measurement:
    """Where a target was measured to be, in the optical frame.

    Attributes:
        position: (3,) metres.
        covariance: (3, 3) square metres.
        samples: depth values it is from.
    """

    position: FloatArray
    covariance: FloatArray
    samples: int


@dataclass(frozen=True)
class MeasurementErrors:
    """How exact measurements are.

    Attributes:
        depth_share: error of the sensor, as a share of the depth.
        bearing_px: error of the middle of a mask, in pixels.
        pitch: error of the camera's pitch against the ground, in radians.
    """

    depth_share: float = 0.01
    bearing_px: float = 2.0
    pitch: float = 0.02


def measure_depth(
    bearing: FloatArray, found: RobustDepth, sight: Sight, errors: MeasurementErrors
) -> Measurement:
    """Where the mask's middle is if it is as deep as what is on the mask."""
    position = bearing / bearing[2] * found.median
    away = float(np.linalg.norm(position))
    # The spread is that of depths; along the ray it is as much longer as the ray is.
    along = math.hypot(found.spread, errors.depth_share * found.median) / bearing[2]
    across = away * errors.bearing_px * sight.pixel_angle
    return Measurement(position, covariance_of(bearing, along, across), int(found.kept.sum()))


def covariance_of(bearing: FloatArray, along: float, across: float) -> FloatArray:
    """(3, 3) of standard deviations along a unit vector and in the two directions across it."""
    ray = np.outer(bearing, bearing)
    covariance: FloatArray = along**2 * ray + across**2 * (np.eye(3) - ray)
    return covariance


@dataclass(frozen=True)
class Ground:
    """The plane that targets stand on.

    Attributes:
        height: metres of the camera above it.
        down: (3,) unit vector in the optical frame.
    """

    height: float
    down: FloatArray


def measure_ground(
    bearing: FloatArray, shape: MaskShape, ground: Ground, sight: Sight, errors: MeasurementErrors
) -> Measurement | str:
    """Where a target is that stands upright on the ground, or why that cannot be told.

    It is above the place where its foot's line of sight meets the ground, in the direction of the
    middle of its mask.
    """
    if shape.foot_is_cut:
        return "the mask reaches the lower edge of the image, where its foot is not seen"
    foot = bearing_of(shape.foot_xy, sight)
    sine = float(foot @ ground.down)
    if sine < math.sin(LEAST_DIP):
        return "the foot of the mask is not below the horizon: check camera_z and camera_pitch"
    dip = math.asin(min(sine, 1.0))
    distance = ground.height / math.tan(dip)
    level = bearing - (bearing @ ground.down) * ground.down
    length = float(np.linalg.norm(level))
    if length < math.sin(LEAST_DIP):
        return "the target is straight above or below the camera"
    position = bearing * (distance / length)
    angle_error = math.hypot(errors.bearing_px * sight.pixel_angle, errors.pitch)
    # d(distance) / d(dip) = height / sin(dip)^2
    along = ground.height / sine**2 * angle_error / length
    across = float(np.linalg.norm(position)) * errors.bearing_px * sight.pixel_angle
    return Measurement(position, covariance_of(bearing, along, across), 0)
