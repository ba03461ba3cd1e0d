# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the tracker node."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any

from siammask_ros.backends.names import BACKENDS, PRECISIONS
from siammask_ros.engine import EngineOptions
from siammask_ros.handover import POLICIES, HandoverConfig
from siammask_ros.longterm import MAX_TARGETS, LongTermConfig
from siammask_ros.masks import BOX_FITS
from siammask_ros.presets import PRESETS
from siammask_ros.ros.parameter_table import Changes, ParameterTable, parameter
from siammask_ros.tracker_config import MASK_USES, TrackerConfig

AUTO = "auto"
NO_CAMERA_INFO = "none"
DISABLED = "disabled"
SUBSCRIPTION_DEPTHS = {"realtime": 5, "every_frame": 50}
PRESET_VALUE = -1.0
"""A tracker setting of this value stands for what the preset says."""
PRESET_NUMBERS = ("mask_threshold", "window_influence", "change_penalty", "size_smoothing")
CAMERA_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(/[A-Za-z][A-Za-z0-9_]*)*")
TOPIC_NAME = re.compile(r"(~/|/)?[A-Za-z_]\w*(/[A-Za-z_]\w*)*", re.ASCII)
CAMERA_PLACE = "{camera}"
"""Stands for a camera's name in the name of a topic."""
DEVICE_NAME = re.compile(r"auto|cpu|cuda(:\d+)?")


_LIVE = Changes.ANY_TIME


@dataclass(frozen=True)
class Settings(ParameterTable):
    """Every parameter of the node with its default, description and range."""

    autostart: bool = parameter(
        False,
        "Configure and activate without a lifecycle manager; tracker.launch.py sets it.",
        changes=Changes.NEVER,
    )
    weights: str = parameter(
        "compact", "Checkpoint: a path (official, PySOT or own format), or a name such as compact."
    )
    device: str = parameter(
        AUTO, "Where the network runs: auto, cpu, cuda or cuda:N. CUDA that is absent is an error."
    )
    backend: str = parameter(
        AUTO,
        "What runs the network (docs/speed.md); auto: CUDA graphs on CUDA, on a CPU OpenVINO where "
        "it is installed, else torch. One that is absent is an error.",
        choices=BACKENDS,
    )
    precision: str = parameter(
        AUTO,
        "Numbers that the network computes in; auto: float32 on a CPU, float16 on CUDA.",
        choices=PRECISIONS,
    )
    threads: int = parameter(
        0,
        "CPU threads of the network; 0: one for a small network such as compact, else all cores.",
        between=(0, 256),
    )
    preset: str = parameter(
        AUTO,
        "Settings of the tracker; auto: those that fit the checkpoint.",
        changes=_LIVE,
        choices=(AUTO, *PRESETS),
    )
    cameras: tuple[str, ...] = parameter(
        ("",),
        "Camera names; camera NAME is read from NAME/image. One empty name stands for a single "
        "camera on topic image.",
    )
    image_transport: str = parameter(
        "raw",
        "raw reads image, compressed reads image/compressed.",
        choices=("raw", "compressed"),
    )
    reduced_decode: bool = parameter(
        False,
        "Decode a compressed JPEG at a half, a quarter or an eighth of its size where no target is "
        "small enough to need more, and nobody looks at the overlay.",
        changes=_LIVE,
    )
    processing: str = parameter(
        "realtime",
        "realtime takes the newest frame and drops what it has no time for; every_frame takes "
        "all frames in order.",
        choices=tuple(SUBSCRIPTION_DEPTHS),
    )
    queue_size: int = parameter(
        EngineOptions.queue_size,
        "Frames that may wait with every_frame; beyond it the oldest is lost.",
        changes=_LIVE,
        between=(1, 100_000),
    )
    qos_reliability: str = parameter(
        AUTO,
        "Reliability asked of cameras; auto: reliable as long as every publisher of the topic "
        "offers it, best effort (the sensor-data profile) otherwise.",
        choices=(AUTO, "reliable", "best_effort"),
    )
    qos_depth: int = parameter(
        0,
        "Images that the middleware keeps for the node; 0: 5 with realtime, 50 with every_frame.",
        between=(0, 1000),
    )
    output_reliability: str = parameter(
        "reliable", "Reliability offered on the output topics.", choices=("reliable", "best_effort")
    )
    buffer_seconds: float = parameter(
        EngineOptions.buffer_seconds,
        "How long images are kept for set_targets, in seconds.",
        changes=_LIVE,
        between=(0.0, 600.0),
    )
    buffer_frames: int = parameter(
        EngineOptions.buffer_frames,
        "How many images a camera are kept for set_targets.",
        changes=_LIVE,
        between=(1, 10_000),
    )
    buffer_megabytes: int = parameter(
        EngineOptions.buffer_megabytes,
        "Memory a camera that these images may take, in megabytes.",
        changes=_LIVE,
        between=(1, 1_000_000),
    )
    catch_up_steps: int = parameter(
        EngineOptions.catch_up_steps,
        "Images in which a target set on an old one catches up (realtime only; every_frame "
        "sees them all).",
        changes=_LIVE,
        between=(1, 1000),
    )
    max_targets: int = parameter(
        EngineOptions.max_targets,
        "Targets that a camera may have; those above a lowered value stay.",
        changes=_LIVE,
        between=(1, MAX_TARGETS),
    )
    detections_type: str = parameter(
        AUTO,
        "Type of the topic detections: vision_msgs (Detection2DArray), siammask_msgs "
        "(TargetBoxArray); auto: the first where it is installed, else the second.",
        choices=(AUTO, "vision_msgs", "siammask_msgs"),
    )
    detections_policy: str = parameter(
        HandoverConfig.policy,
        "Detections that start targets: manual none, first one while there is no target, "
        "best_class the best of detections_class while no target has that label, all those on "
        "no target.",
        changes=_LIVE,
        choices=POLICIES,
    )
    detections_class: str = parameter(
        HandoverConfig.wanted_class,
        "Class of the detections that are read; empty: every class.",
        changes=_LIVE,
    )
    detections_min_score: float = parameter(
        HandoverConfig.min_score,
        "Detections with a lower score are not read.",
        changes=_LIVE,
        between=(0.0, 1.0),
    )
    detections_iou: float = parameter(
        HandoverConfig.iou,
        "Overlap from which a detection is on a target.",
        changes=_LIVE,
        between=(0.01, 1.0),
    )
    mask_threshold: float = parameter(
        PRESET_VALUE,
        "A pixel is on the target above this probability; -1: as the preset says.",
        changes=_LIVE,
        between=(-1.0, 1.0),
    )
    window_influence: float = parameter(
        PRESET_VALUE,
        "Weight of staying where the target was against the score; -1: as the preset says.",
        changes=_LIVE,
        between=(-1.0, 1.0),
    )
    change_penalty: float = parameter(
        PRESET_VALUE,
        "How much a change of size or shape lowers a score; -1: as the preset says.",
        changes=_LIVE,
        between=(-1.0, 10.0),
    )
    size_smoothing: float = parameter(
        PRESET_VALUE,
        "Share of a new size that is taken over; -1: as the preset says.",
        changes=_LIVE,
        between=(-1.0, 1.0),
    )
    masks: str = parameter(
        AUTO,
        "Masks that are predicted: best, coarse (without the refiner), none (the box alone, "
        "filled); auto: as the preset says.",
        changes=_LIVE,
        choices=(AUTO, *MASK_USES),
    )
    box_fit: str = parameter(
        AUTO,
        "How the rotated box is fitted to the mask (docs/boxes.md); auto: as the preset says.",
        changes=_LIVE,
        choices=(AUTO, *BOX_FITS),
    )
    uncertain_below: float = parameter(
        LongTermConfig.uncertain_below,
        "Evidence under which a frame counts against a target.",
        changes=_LIVE,
        between=(0.0, 1.0),
    )
    certain_above: float = parameter(
        LongTermConfig.certain_above,
        "Evidence from which an UNCERTAIN target is TRACKING again.",
        changes=_LIVE,
        between=(0.0, 1.0),
    )
    lost_below: float = parameter(
        LongTermConfig.lost_below,
        "Evidence under which a frame does not show the target at all.",
        changes=_LIVE,
        between=(0.0, 1.0),
    )
    found_above: float = parameter(
        LongTermConfig.found_above,
        "Evidence that a LOST target needs to be found again.",
        changes=_LIVE,
        between=(0.0, 1.0),
    )
    lost_after: int = parameter(
        LongTermConfig.lost_after,
        "Frames in a row under lost_below until LOST.",
        changes=_LIVE,
        between=(1, 10_000),
    )
    uncertain_limit: int = parameter(
        LongTermConfig.uncertain_limit,
        "Frames UNCERTAIN until LOST.",
        changes=_LIVE,
        between=(1, 100_000),
    )
    color_none_below: float = parameter(
        LongTermConfig.color_none_below,
        "Likeness of the mask's colours, relative to what is usual, up to which a frame has no "
        "evidence.",
        changes=_LIVE,
        between=(0.0, 1.0),
    )
    color_full_above: float = parameter(
        LongTermConfig.color_full_above,
        "Likeness of the mask's colours from which a frame has all of its evidence.",
        changes=_LIVE,
        between=(0.0, 1.0),
    )
    found_color: float = parameter(
        LongTermConfig.found_color,
        "Likeness of a find's colours under which it is doubtful that it is the LOST target.",
        changes=_LIVE,
        between=(0.0, 1.0),
    )
    confirm_frames: int = parameter(
        LongTermConfig.confirm_frames,
        "Frames in a row that confirm a find of a LOST target.",
        changes=_LIVE,
        between=(1, 10_000),
    )
    far_confirm_frames: int = parameter(
        LongTermConfig.far_confirm_frames,
        "The same for a find more than three target sizes away from its last place.",
        changes=_LIVE,
        between=(1, 10_000),
    )
    doubtful_confirm_frames: int = parameter(
        LongTermConfig.doubtful_confirm_frames,
        "The same for a find whose colours make it doubtful.",
        changes=_LIVE,
        between=(1, 100_000),
    )
    unlikely_confirm_frames: int = parameter(
        LongTermConfig.unlikely_confirm_frames,
        "The same for a find that was there before the target can have been.",
        changes=_LIVE,
        between=(1, 100_000),
    )
    most_rivals: int = parameter(
        LongTermConfig.most_rivals,
        "Look-alikes near a target that are followed to tell them from it; each costs a search.",
        changes=_LIVE,
        between=(0, 16),
    )
    motion_rate: float = parameter(
        LongTermConfig.motion_rate,
        "How fast the expected motion follows the target's; 0: it is expected where it was.",
        changes=_LIVE,
        between=(0.0, 1.0),
    )
    searches_per_frame: int = parameter(
        LongTermConfig.searches_per_frame,
        "Regions of an image in which each LOST target is searched for.",
        changes=_LIVE,
        between=(1, 64),
    )
    publish_mask: bool = parameter(True, "Publish ~/mask (while subscribed).", changes=_LIVE)
    publish_label_image: bool = parameter(
        True, "Publish ~/label_image (while subscribed).", changes=_LIVE
    )
    publish_overlay: bool = parameter(True, "Publish ~/overlay (while subscribed).", changes=_LIVE)
    publish_markers: bool = parameter(True, "Publish ~/markers (while subscribed).", changes=_LIVE)
    publish_annotations: bool = parameter(
        True,
        "Publish ~/annotations (while subscribed), where foxglove_msgs is installed.",
        changes=_LIVE,
    )
    overlay_scale: float = parameter(
        1.0, "Size of the overlay against the image.", changes=_LIVE, between=(0.05, 1.0)
    )
    marker_distance: float = parameter(
        1.0,
        "Distance of the markers from the camera along its optical axis, in metres.",
        changes=_LIVE,
        between=(0.01, 1000.0),
    )
    marker_field_of_view: float = parameter(
        60.0,
        "Horizontal field of view that the markers assume without a calibration, in degrees.",
        changes=_LIVE,
        between=(1.0, 179.0),
    )
    marker_lifetime: float = parameter(
        1.0,
        "How long markers stay without newer ones, in seconds; raise it below one frame a second.",
        changes=_LIVE,
        between=(0.1, 3600.0),
    )
    camera_info: str = parameter(
        AUTO,
        "Topic of the camera's calibration, with {camera} for the camera's name; auto: "
        "camera_info beside the image topic; none: not read.",
    )
    service_introspection: str = parameter(
        DISABLED,
        "What is published of each call of set_targets and clear_targets, on "
        "~/set_targets/_service_event and so on: disabled nothing, metadata that it was made, "
        "contents all of it, to be recorded and replayed.",
        changes=_LIVE,
        choices=(DISABLED, "metadata", "contents"),
    )
    silence_seconds: float = parameter(
        3.0,
        "After so long without an image the node says why, in seconds.",
        changes=_LIVE,
        between=(0.5, 3600.0),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in PRESET_NUMBERS:
            self._check_preset_number(name)
        if not DEVICE_NAME.fullmatch(self.device):
            raise ValueError(f"device must be auto, cpu, cuda or cuda:N, got {self.device!r}")
        if not self.weights:
            raise ValueError("weights is empty: give a path or a name")
        self._check_camera_info()
        for name in self.cameras:
            if name and not CAMERA_NAME.fullmatch(name):
                raise ValueError(f"cameras: {name!r} is not a valid ROS name")
        names = self.camera_names
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"cameras: two cameras have the name {name!r}")
        # These check the values against each other.
        self.tracker_config(next(iter(PRESETS)))
        self.longterm_config  # noqa: B018
        self.handover_config  # noqa: B018

    @property
    def camera_names(self) -> tuple[str, ...]:
        """The cameras; one without a name if none is named."""
        return tuple(name for name in self.cameras if name) or ("",)

    @property
    def subscription_depth(self) -> int:
        """Images that the middleware keeps for the node."""
        return self.qos_depth or SUBSCRIPTION_DEPTHS[self.processing]

    def tracker_config(self, default_preset: str) -> TrackerConfig:
        """Settings of the tracking step; `default_preset` is taken for `auto`."""
        overrides: dict[str, Any] = {
            name: getattr(self, name) for name in PRESET_NUMBERS if getattr(self, name) >= 0
        }
        words = {name: getattr(self, name) for name in ("masks", "box_fit")}
        overrides |= {name: word for name, word in words.items() if word != AUTO}
        preset = default_preset if self.preset == AUTO else self.preset
        return TrackerConfig.preset(preset, **overrides)

    @property
    def engine_options(self) -> EngineOptions:
        """How frames are taken."""
        names = {entry.name for entry in fields(EngineOptions)} & self.rules().keys()
        return EngineOptions(
            every_frame=self.processing == "every_frame",
            handover=self.handover_config,
            **{name: getattr(self, name) for name in names},
        )

    @property
    def longterm_config(self) -> LongTermConfig:
        """Thresholds of the states, and the search after a loss."""
        names = {entry.name for entry in fields(LongTermConfig)} & self.rules().keys()
        return LongTermConfig(**{name: getattr(self, name) for name in names})

    @property
    def handover_config(self) -> HandoverConfig:
        """What is done with detections."""
        return HandoverConfig(
            policy=self.detections_policy,
            wanted_class=self.detections_class,
            min_score=self.detections_min_score,
            iou=self.detections_iou,
        )

    def _check_preset_number(self, name: str) -> None:
        value = getattr(self, name)
        if PRESET_VALUE < value < 0:
            raise ValueError(
                f"{name} must be 0 or more, or {PRESET_VALUE:g} for what the preset says, "
                f"got {value!r}"
            )

    def _check_camera_info(self) -> None:
        topic = self.camera_info
        if topic in (AUTO, NO_CAMERA_INFO):
            return
        if not TOPIC_NAME.fullmatch(topic.replace(CAMERA_PLACE, "camera")):
            raise ValueError(f"camera_info must be auto, none or a topic, got {topic!r}")
        if len(self.camera_names) > 1 and CAMERA_PLACE not in topic:
            raise ValueError(
                f"camera_info is {topic!r}: with several cameras it needs {CAMERA_PLACE} in it"
            )
