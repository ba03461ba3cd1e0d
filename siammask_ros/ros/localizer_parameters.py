# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the node `target_localizer`."""

from __future__ import annotations

from dataclasses import dataclass

from siammask_ros.localization.depth import DEPTH_UNIT, DepthLimits
from siammask_ros.localization.localizer import LocalizerConfig
from siammask_ros.localization.measure import Ground, MeasurementErrors
from siammask_ros.localization.motion import MotionConfig
from siammask_ros.localization.space import RigidTransform, camera_on_base
from siammask_ros.ros.parameter_table import Changes, ParameterTable, parameter
from siammask_ros.ros.parameters import AUTO

_LIVE = Changes.ANY_TIME
_ANGLE = (-3.1416, 3.1416)
_DEFAULTS = LocalizerConfig()


@dataclass(frozen=True)
class LocalizerSettings(ParameterTable):
    """Every parameter of the node with its default, description and range."""

    autostart: bool = parameter(
        False,
        "Configure and activate without a lifecycle manager; localizer.launch.py sets it.",
        changes=Changes.NEVER,
    )
    depth_source: str = parameter(
        "image",
        "image reads depth/image, points reads points, none reads neither.",
        choices=("image", "points", "none"),
    )
    depth_tolerance: float = parameter(
        0.02,
        "Depth may be so much earlier or later than the image, in seconds.",
        changes=_LIVE,
        between=(0.0, 10.0),
    )
    depth_unit: float = parameter(
        DEPTH_UNIT,
        "Metres that 1 stands for in depth of whole numbers (16UC1).",
        changes=_LIVE,
        between=(1e-6, 1.0),
    )
    check_frames: bool = parameter(
        True,
        "Depth has to be in the image's frame, points in it or one that tf2 knows; false: taken "
        "as if they were.",
        changes=_LIVE,
    )
    wait_seconds: float = parameter(
        0.1,
        "How long boxes wait for the mask, the depth and the fixed frame of their image.",
        changes=_LIVE,
        between=(0.0, 10.0),
    )
    buffer_seconds: float = parameter(
        2.0,
        "How long masks and depth are kept, in seconds; more than the tracker's latency.",
        changes=_LIVE,
        between=(0.05, 60.0),
    )
    buffer_megabytes: int = parameter(
        256,
        "Memory that depth that is kept may take, in megabytes; the newest is kept in any case.",
        changes=_LIVE,
        between=(1, 1_000_000),
    )
    rectified: bool = parameter(
        False,
        "The tracker's images are without distortion: matrix P of camera_info is theirs, not K.",
    )
    field_of_view: float = parameter(
        0.0,
        "Horizontal field of view that is assumed without a calibration, in degrees; 0: none is, "
        "and nothing is located.",
        changes=_LIVE,
        between=(0.0, 179.0),
    )
    border_px: int = parameter(
        _DEFAULTS.border_px,
        "Pixels at the border of a mask whose depth is not read.",
        changes=_LIVE,
        between=(0, 50),
    )
    min_samples: int = parameter(
        _DEFAULTS.min_samples,
        "Fewer depths on a mask are no measurement.",
        changes=_LIVE,
        between=(1, 100_000),
    )
    min_range: float = parameter(
        DepthLimits.nearest,
        "Nearer depths are dropped, in metres.",
        changes=_LIVE,
        between=(0.001, 1000.0),
    )
    max_range: float = parameter(
        DepthLimits.farthest,
        "Farther depths are dropped, in metres.",
        changes=_LIVE,
        between=(0.001, 1000.0),
    )
    trim: float = parameter(
        _DEFAULTS.trim,
        "Depths farther from their median than so many standard deviations are not the target's.",
        changes=_LIVE,
        between=(1.0, 100.0),
    )
    depth_error: float = parameter(
        MeasurementErrors.depth_share,
        "Error of the depth sensor, as a share of the depth.",
        changes=_LIVE,
        between=(0.0001, 1.0),
    )
    bearing_error: float = parameter(
        MeasurementErrors.bearing_px,
        "Error of the middle of a mask, in pixels.",
        changes=_LIVE,
        between=(0.01, 1000.0),
    )
    ground_plane: bool = parameter(
        False,
        "Without depth: take the place where the mask stands on the ground, by camera_z and "
        "camera_pitch.",
        changes=_LIVE,
    )
    pitch_error: float = parameter(
        MeasurementErrors.pitch,
        "Error of camera_pitch against the ground, in radians.",
        changes=_LIVE,
        between=(0.0001, 1.0),
    )
    camera_x: float = parameter(
        0.0, "The camera on its base: metres ahead.", changes=_LIVE, between=(-100.0, 100.0)
    )
    camera_y: float = parameter(
        0.0, "The camera on its base: metres to the left.", changes=_LIVE, between=(-100.0, 100.0)
    )
    camera_z: float = parameter(
        1.0,
        "The camera on its base: metres up from the ground.",
        changes=_LIVE,
        between=(-100.0, 1000.0),
    )
    camera_roll: float = parameter(
        0.0,
        "The camera on its base: radians about its axis, clockwise as seen from behind.",
        changes=_LIVE,
        between=_ANGLE,
    )
    camera_pitch: float = parameter(
        0.0,
        "The camera on its base: radians down from level.",
        changes=_LIVE,
        between=_ANGLE,
    )
    camera_yaw: float = parameter(
        0.0,
        "The camera on its base: radians to the left from straight ahead.",
        changes=_LIVE,
        between=_ANGLE,
    )
    smoothing: bool = parameter(
        _DEFAULTS.smoothing,
        "Filter positions, which gives velocities and predictions too.",
        changes=_LIVE,
    )
    acceleration: float = parameter(
        MotionConfig.acceleration,
        "How much targets change their velocity, in m/s^2 (standard deviation); more follows "
        "faster, less is smoother.",
        changes=_LIVE,
        between=(0.001, 1000.0),
    )
    gate: float = parameter(
        MotionConfig.gate,
        "A measurement more standard deviations away than this is not believed, for "
        "prediction_seconds.",
        changes=_LIVE,
        between=(1.0, 1000.0),
    )
    prediction_seconds: float = parameter(
        _DEFAULTS.prediction_seconds,
        "The motion of a target that is followed but not measured goes on for so long, in "
        "seconds; never while it is LOST.",
        changes=_LIVE,
        between=(0.0, 60.0),
    )
    fixed_frame: str = parameter(
        "",
        "Frame in which motion is smoothed, one that does not move with the camera; empty: the "
        "camera's own.",
    )
    fixed_frame_from: str = parameter(
        "tf",
        "Where the camera is in fixed_frame: tf asks tf2, odometry reads topic odometry and "
        "camera_x to camera_yaw.",
        choices=("tf", "odometry"),
    )
    output_frame: str = parameter(
        "camera",
        "Frame of positions and velocities: camera is the optical frame, fixed is fixed_frame.",
        choices=("camera", "fixed"),
    )
    publish_poses: bool = parameter(
        True, "Publish ~/target_ID/pose and ~/target_ID/pose_with_covariance.", changes=_LIVE
    )
    publish_points: bool = parameter(
        True, "Publish ~/target_ID/points (while subscribed).", changes=_LIVE
    )
    publish_markers: bool = parameter(True, "Publish ~/markers (while subscribed).", changes=_LIVE)
    publish_tf: bool = parameter(
        False, "Publish frames target_ID on /tf, where tf2_msgs is installed.", changes=_LIVE
    )
    tf_prefix: str = parameter(
        "", "Text before target_ID in the name of a target's frame.", changes=_LIVE
    )
    marker_lifetime: float = parameter(
        1.0,
        "How long markers stay without newer ones, in seconds.",
        changes=_LIVE,
        between=(0.1, 3600.0),
    )
    qos_reliability: str = parameter(
        AUTO,
        "Reliability asked of publishers; auto: reliable as long as every publisher of a topic "
        "offers it, best effort otherwise.",
        choices=(AUTO, "reliable", "best_effort"),
    )
    output_reliability: str = parameter(
        "reliable", "Reliability offered on the output topics.", choices=("reliable", "best_effort")
    )
    silence_seconds: float = parameter(
        3.0,
        "After so long without a message the node says why, in seconds.",
        changes=_LIVE,
        between=(0.5, 3600.0),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.limits  # noqa: B018 - checks the values against each other
        if self.output_frame == "fixed" and not self.fixed_frame:
            raise ValueError("output_frame is fixed, but fixed_frame is empty")

    @property
    def limits(self) -> DepthLimits:
        """Which depths count."""
        return DepthLimits(self.min_range, self.max_range)

    @property
    def config(self) -> LocalizerConfig:
        """How targets are measured and smoothed."""
        return LocalizerConfig(
            border_px=self.border_px,
            min_samples=self.min_samples,
            limits=self.limits,
            trim=self.trim,
            errors=MeasurementErrors(self.depth_error, self.bearing_error, self.pitch_error),
            smoothing=self.smoothing,
            motion=MotionConfig(self.acceleration, self.gate),
            prediction_seconds=self.prediction_seconds,
        )

    @property
    def camera_on_base(self) -> RigidTransform:
        """From the optical frame to the base."""
        return camera_on_base(
            self.camera_x,
            self.camera_y,
            self.camera_z,
            self.camera_pitch,
            self.camera_yaw,
            self.camera_roll,
        )

    @property
    def ground(self) -> Ground | None:
        """The plane that targets stand on, where it is to be used."""
        if not self.ground_plane:
            return None
        return Ground(self.camera_z, -self.camera_on_base.rotation[2])
