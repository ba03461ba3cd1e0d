# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the targets of one camera are, image by image: measured, smoothed and predicted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from siammask_ros.localization.camera import FloatArray, Sight
from siammask_ros.localization.depth import (
    DepthError,
    DepthLimits,
    DepthView,
    LabelImage,
    Samples,
    without_border,
)
from siammask_ros.localization.measure import (
    Ground,
    Measurement,
    MeasurementErrors,
    RobustDepth,
    bearing_of,
    covariance_of,
    mask_shape,
    measure_depth,
    measure_ground,
    robust_depth,
    without_strangers,
)
from siammask_ros.localization.motion import Motion, MotionConfig
from siammask_ros.localization.space import RigidTransform
from siammask_ros.target_status import TargetStatus

UNCERTAIN_FACTOR = 2.0
"""Standard deviations of what is measured on the mask of an UNCERTAIN target are so much larger."""
BEARING_DEPTH_ERROR = 10.0
"""A direction alone says nothing of the distance: its error is so many times as large."""


class Source(IntEnum):
    """Where a position is from; the numbers are those of `siammask_msgs/TargetPose`."""

    NONE = 0
    DEPTH = 1
    POINTS = 2
    GROUND = 3
    BEARING = 4
    """There is no position, only a direction."""
    PREDICTED = 5


@dataclass(frozen=True)
class LocalizerConfig:
    """How targets are measured and smoothed.

    Attributes:
        border_px: pixels at the border of a mask whose depth is not read.
        min_samples: fewer depths are no measurement.
        limits: which depths count.
        trim: farther from the median than so many standard deviations is not the target.
        errors: how exact measurements are.
        smoothing: positions are those of a filter, and have a velocity.
        motion: how targets are expected to move.
        prediction_seconds: the motion of a target that is not measured goes on for so long.
    """

    border_px: int = 2
    min_samples: int = 10
    limits: DepthLimits = field(default_factory=DepthLimits)
    trim: float = 3.0
    errors: MeasurementErrors = field(default_factory=MeasurementErrors)
    smoothing: bool = True
    motion: MotionConfig = field(default_factory=MotionConfig)
    prediction_seconds: float = 0.5


class TargetView(NamedTuple):
    """What the tracker says of a target in an image.

    Attributes:
        target_id: from 1 to 255, its value in the label image.
        status: its state.
        center_xy: pixels, of its rotated box; what is taken where there is no label image.
    """

    target_id: int
    status: TargetStatus
    center_xy: tuple[float, float]


@dataclass(frozen=True)
class Observation:
    """All that is known of one image.

    Attributes:
        stamp_ns: its acquisition time.
        targets: one entry a target.
        labels: (H, W) target ids, or None where they are missing.
        sight: where its pixels look, or why that is not known.
        depth: finds the depths of targets in the labels without their border, or says why it
            cannot.
        depth_source: DEPTH or POINTS, what `depth` is.
        ground: the plane that targets stand on, or None where it is not to be used.
        camera_in_fixed: from the optical frame to one that does not move, in which motion is
            smoothed: None where there is none, a text where it is missing.
    """

    stamp_ns: int
    targets: Sequence[TargetView]
    labels: LabelImage | None
    sight: Sight | str
    depth: Callable[[LabelImage, Sight], DepthView] | str
    depth_source: Source = Source.DEPTH
    ground: Ground | None = None
    camera_in_fixed: RigidTransform | str | None = None


@dataclass(frozen=True)
class Located:
    """Where one target is, in the camera's optical frame.

    Attributes:
        target_id: from 1 to 255.
        source: what the position is from.
        reason: why it was not measured in this image; empty where it was.
        position: (3,) metres; None without a position.
        position_covariance: (3, 3) square metres.
        velocity: (3,) m/s, against what does not move where that is known, else against the
            camera; zeros without smoothing.
        velocity_covariance: (3, 3).
        bearing: (3,) unit vector; None where the target is not seen.
        samples: depths that the position is from.
        holes: share of the mask's depths that are missing or out of range.
        age_s: since the position was measured.
        measured: the target's samples, and those of them that were kept; None without depth.
    """

    target_id: int
    source: Source
    reason: str = ""
    position: FloatArray | None = None
    position_covariance: FloatArray = field(default_factory=lambda: np.zeros((3, 3)))
    velocity: FloatArray = field(default_factory=lambda: np.zeros(3))
    velocity_covariance: FloatArray = field(default_factory=lambda: np.zeros((3, 3)))
    bearing: FloatArray | None = None
    samples: int = 0
    holes: float = 0.0
    age_s: float = 0.0
    measured: tuple[Samples, RobustDepth] | None = None

    def points(self) -> FloatArray:
        """(N, 3) metres in the optical frame: what the position is from; none without depth."""
        if self.measured is None:
            return np.zeros((0, 3))
        samples, found = self.measured
        return samples.points(found.kept)


class _Seen(NamedTuple):
    """What one image says of one target, before its motion is asked."""

    source: Source
    reason: str
    bearing: FloatArray | None = None
    measurement: Measurement | None = None
    measured: tuple[Samples, RobustDepth] | None = None
    holes: float = 0.0


class Localizer:
    """Measures the targets of one camera, and keeps their motion from image to image."""

    def __init__(self, config: LocalizerConfig) -> None:
        self.config = config
        self._motions: dict[int, Motion] = {}
        self._is_fixed = False

    def forget(self) -> None:
        """Begin anew: the time has jumped back, or the camera is another."""
        self._motions.clear()

    def locate(self, observation: Observation) -> list[Located]:
        """All targets of an image; images in the order of their stamps."""
        self._use_frame_of(observation)
        there = {target.target_id for target in observation.targets}
        self._motions = {key: value for key, value in self._motions.items() if key in there}
        view = self._depth_view(observation)
        return [self._locate(target, observation, view) for target in observation.targets]

    def _use_frame_of(self, observation: Observation) -> None:
        """Forget motions of another frame; one that is missing for a moment is waited for."""
        if isinstance(observation.camera_in_fixed, str):
            return
        is_fixed = observation.camera_in_fixed is not None
        if is_fixed != self._is_fixed:
            self.forget()
        self._is_fixed = is_fixed

    def _depth_view(self, observation: Observation) -> DepthView | str:
        if isinstance(observation.depth, str):
            return observation.depth
        if observation.labels is None:
            return "there is no label image of this stamp"
        if isinstance(observation.sight, str):
            return observation.sight
        inside = without_border(observation.labels, self.config.border_px)
        try:
            return observation.depth(inside, observation.sight)
        except DepthError as error:
            return str(error)

    def _locate(
        self, target: TargetView, observation: Observation, view: DepthView | str
    ) -> Located:
        if target.status in (TargetStatus.LOST, TargetStatus.INITIALIZING):
            self._motions.pop(target.target_id, None)
            return Located(target.target_id, Source.NONE, f"it is {target.status.name}")
        seen = self._look(target, observation, view)
        if target.status is TargetStatus.UNCERTAIN and seen.measurement is not None:
            unsure = seen.measurement.covariance * UNCERTAIN_FACTOR**2
            seen = seen._replace(
                measurement=Measurement(seen.measurement.position, unsure, seen.measurement.samples)
            )
        if not self.config.smoothing:
            return _as_measured(target.target_id, seen)
        if isinstance(observation.camera_in_fixed, str):
            return _as_measured(target.target_id, seen, observation.camera_in_fixed)
        camera = observation.camera_in_fixed or RigidTransform.identity()
        return self._smooth(target, seen, observation, camera)

    # What one image says

    def _look(self, target: TargetView, observation: Observation, view: DepthView | str) -> _Seen:
        sight = observation.sight
        if isinstance(sight, str):
            return _Seen(Source.NONE, sight)
        labels = observation.labels
        shape = mask_shape(labels, target.target_id) if labels is not None else None
        bearing = bearing_of(shape.center_xy if shape else target.center_xy, sight)
        if labels is not None and shape is None:
            return _Seen(Source.BEARING, "its mask is empty", bearing)
        found = view if isinstance(view, str) else self._look_at_depth(target, view)
        if isinstance(found, tuple):
            samples, depth = found
            bearing = without_strangers(bearing, samples, depth)
            measurement = measure_depth(bearing, depth, sight, self.config.errors)
            holes = 1 - len(samples.depths) / max(samples.offered, 1)
            source = observation.depth_source
            return _Seen(source, "", bearing, measurement, found, holes)
        if observation.ground is None or shape is None:
            return _Seen(Source.BEARING, found, bearing)
        ground = measure_ground(bearing, shape, observation.ground, sight, self.config.errors)
        if isinstance(ground, Measurement):
            return _Seen(Source.GROUND, "", bearing, ground)
        return _Seen(Source.BEARING, f"{found}; {ground}" if found else ground, bearing)

    def _look_at_depth(
        self, target: TargetView, view: DepthView
    ) -> tuple[Samples, RobustDepth] | str:
        config = self.config
        samples = view.samples(target.target_id, config.limits)
        if len(samples.depths) < config.min_samples:
            return (
                f"only {len(samples.depths)} of {samples.offered} depths on its mask are from "
                f"{config.limits.nearest:g} to {config.limits.farthest:g} m, "
                f"{config.min_samples} are needed"
            )
        depth = robust_depth(samples.depths, config.trim)
        if int(depth.kept.sum()) < config.min_samples:
            return f"only {int(depth.kept.sum())} depths on its mask agree"
        return samples, depth

    # What its motion says

    def _smooth(
        self, target: TargetView, seen: _Seen, observation: Observation, camera: RigidTransform
    ) -> Located:
        stamp_ns, target_id = observation.stamp_ns, target.target_id
        motion = self._motions.get(target_id)
        if motion is not None and self._is_old(motion, stamp_ns):
            motion = None
        measured = seen.measurement
        if motion is not None:
            motion.predict(stamp_ns)
        if measured is not None:
            position = camera.points(measured.position)
            covariance = camera.covariance(measured.covariance)
            if motion is None:
                motion = Motion(self.config.motion, stamp_ns, position, covariance)
            elif not motion.correct(position, covariance, measured=True):
                seen = seen._replace(
                    source=Source.PREDICTED, reason="it was measured too far from where it can be",
                    measurement=None, measured=None,
                )  # fmt: skip
        elif motion is not None:
            self._turn_toward(motion, target, seen, observation.sight, camera)
            seen = seen._replace(source=Source.PREDICTED)
        if motion is None:
            self._motions.pop(target_id, None)
            return _as_measured(target_id, seen)
        self._motions[target_id] = motion
        return _as_moving(target_id, seen, motion, stamp_ns, camera.inverse())

    def _is_old(self, motion: Motion, stamp_ns: int) -> bool:
        return stamp_ns - motion.measured_ns > self.config.prediction_seconds * 1e9

    def _turn_toward(
        self,
        motion: Motion,
        target: TargetView,
        seen: _Seen,
        sight: Sight | str,
        camera: RigidTransform,
    ) -> None:
        """Let a prediction follow the direction in which the target is surely seen."""
        if target.status is not TargetStatus.TRACKING or seen.bearing is None:
            return
        assert isinstance(sight, Sight)
        away = float(np.linalg.norm(motion.position - camera.translation))
        error = self.config.errors.bearing_px * sight.pixel_angle
        covariance = covariance_of(seen.bearing, BEARING_DEPTH_ERROR * away, error * away)
        motion.correct(
            camera.points(seen.bearing * away), camera.covariance(covariance), measured=False
        )


def _as_measured(target_id: int, seen: _Seen, reason: str = "") -> Located:
    """Without its motion."""
    measurement = seen.measurement
    if measurement is None:
        return Located(target_id, seen.source, seen.reason or reason, bearing=seen.bearing)
    return Located(
        target_id,
        seen.source,
        reason,
        measurement.position,
        measurement.covariance,
        bearing=seen.bearing,
        samples=measurement.samples,
        holes=seen.holes,
        measured=seen.measured,
    )


def _as_moving(
    target_id: int, seen: _Seen, motion: Motion, stamp_ns: int, to_camera: RigidTransform
) -> Located:
    return Located(
        target_id,
        seen.source,
        seen.reason,
        to_camera.points(motion.position),
        to_camera.covariance(motion.position_covariance),
        to_camera.directions(motion.velocity),
        to_camera.covariance(motion.velocity_covariance),
        seen.bearing,
        seen.measurement.samples if seen.measurement else 0,
        seen.holes,
        (stamp_ns - motion.measured_ns) * 1e-9,
        seen.measured,
    )
