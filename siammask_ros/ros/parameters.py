# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node's parameters: one table, from which they are declared, checked and documented."""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from enum import Enum
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.node import Node
from rclpy.parameter import Parameter

from siammask_ros.backends.names import BACKENDS, PRECISIONS
from siammask_ros.engine import EngineOptions
from siammask_ros.handover import POLICIES, HandoverConfig
from siammask_ros.longterm import MAX_TARGETS, LongTermConfig
from siammask_ros.masks import BOX_FITS
from siammask_ros.presets import PRESETS
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
KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    tuple: "a list of texts",
}
DEVICE_NAME = re.compile(r"auto|cpu|cuda(:\d+)?")


class Changes(Enum):
    """When a parameter may change."""

    NEVER = "read-only: given at start"
    UNCONFIGURED = "while the node is unconfigured"
    ANY_TIME = "at any time"


@dataclass(frozen=True)
class _Rule:
    description: str
    changes: Changes
    lowest: float | None = None
    highest: float | None = None
    choices: tuple[str, ...] = ()


def _parameter(
    default: Any,
    description: str,
    *,
    changes: Changes = Changes.UNCONFIGURED,
    between: tuple[float, float] | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    lowest, highest = between or (None, None)
    rule = _Rule(description, changes, lowest, highest, choices)
    return field(default=default, metadata={"rule": rule})


_LIVE = Changes.ANY_TIME


@dataclass(frozen=True)
class Settings:
    """Every parameter of the node with its default, description and range."""

    autostart: bool = _parameter(
        False,
        "Configure and activate without a lifecycle manager; tracker.launch.py sets it.",
        changes=Changes.NEVER,
    )
    weights: str = _parameter(
        "compact", "Checkpoint: a path (official, PySOT or own format), or a name such as compact."
    )
    device: str = _parameter(
        AUTO, "Where the network runs: auto, cpu, cuda or cuda:N. CUDA that is absent is an error."
    )
    backend: str = _parameter(
        AUTO,
        "What runs the network (docs/speed.md); auto: CUDA graphs on CUDA, on a CPU OpenVINO where "
        "it is installed, else torch. One that is absent is an error.",
        choices=BACKENDS,
    )
    precision: str = _parameter(
        AUTO,
        "Numbers that the network computes in; auto: float32 on a CPU, float16 on CUDA.",
        choices=PRECISIONS,
    )
    threads: int = _parameter(
        0,
        "CPU threads of the network; 0: one for a small network such as compact, else all cores.",
        between=(0, 256),
    )
    preset: str = _parameter(
        AUTO,
        "Settings of the tracker; auto: those that fit the checkpoint.",
        changes=_LIVE,
        choices=(AUTO, *PRESETS),
    )
    cameras: tuple[str, ...] = _parameter(
        ("",),
        "Camera names; camera NAME is read from NAME/image. One empty name stands for a single "
        "camera on topic image.",
    )
    image_transport: str = _parameter(
        "raw",
        "raw reads image, compressed reads image/compressed.",
        choices=("raw", "compressed"),
    )
    processing: str = _parameter(
        "realtime",
        "realtime takes the newest frame and drops what it has no time for; every_frame takes "
        "all frames in order.",
        choices=tuple(SUBSCRIPTION_DEPTHS),
    )
    queue_size: int = _parameter(
        EngineOptions.queue_size,
        "Frames that may wait with every_frame; beyond it the oldest is lost.",
        changes=_LIVE,
        between=(1, 100_000),
    )
    qos_reliability: str = _parameter(
        AUTO,
        "Reliability asked of cameras; auto: reliable as long as every publisher of the topic "
        "offers it, best effort (the sensor-data profile) otherwise.",
        choices=(AUTO, "reliable", "best_effort"),
    )
    qos_depth: int = _parameter(
        0,
        "Images that the middleware keeps for the node; 0: 5 with realtime, 50 with every_frame.",
        between=(0, 1000),
    )
    output_reliability: str = _parameter(
        "reliable", "Reliability offered on the output topics.", choices=("reliable", "best_effort")
    )
    buffer_seconds: float = _parameter(
        EngineOptions.buffer_seconds,
        "How long images are kept for set_targets, in seconds.",
        changes=_LIVE,
        between=(0.0, 600.0),
    )
    buffer_frames: int = _parameter(
        EngineOptions.buffer_frames,
        "How many images a camera are kept for set_targets.",
        changes=_LIVE,
        between=(1, 10_000),
    )
    buffer_megabytes: int = _parameter(
        EngineOptions.buffer_megabytes,
        "Memory a camera that these images may take, in megabytes.",
        changes=_LIVE,
        between=(1, 1_000_000),
    )
    catch_up_steps: int = _parameter(
        EngineOptions.catch_up_steps,
        "Images in which a target set on an old one catches up (realtime only; every_frame "
        "sees them all).",
        changes=_LIVE,
        between=(1, 1000),
    )
    max_targets: int = _parameter(
        EngineOptions.max_targets,
        "Targets that a camera may have; those above a lowered value stay.",
        changes=_LIVE,
        between=(1, MAX_TARGETS),
    )
    detections_type: str = _parameter(
        AUTO,
        "Type of the topic detections: vision_msgs (Detection2DArray), siammask_msgs "
        "(TargetBoxArray); auto: the first where it is installed, else the second.",
        choices=(AUTO, "vision_msgs", "siammask_msgs"),
    )
    detections_policy: str = _parameter(
        HandoverConfig.policy,
        "Detections that start targets: manual none, first one while there is no target, "
        "best_class the best of detections_class while no target has that label, all those on "
        "no target.",
        changes=_LIVE,
        choices=POLICIES,
    )
    detections_class: str = _parameter(
        HandoverConfig.wanted_class,
        "Class of the detections that are read; empty: every class.",
        changes=_LIVE,
    )
    detections_min_score: float = _parameter(
        HandoverConfig.min_score,
        "Detections with a lower score are not read.",
        changes=_LIVE,
        between=(0.0, 1.0),
    )
    detections_iou: float = _parameter(
        HandoverConfig.iou,
        "Overlap from which a detection is on a target.",
        changes=_LIVE,
        between=(0.01, 1.0),
    )
    mask_threshold: float = _parameter(
        PRESET_VALUE,
        "A pixel is on the target above this probability; -1: as the preset says.",
        changes=_LIVE,
        between=(-1.0, 1.0),
    )
    window_influence: float = _parameter(
        PRESET_VALUE,
        "Weight of staying where the target was against the score; -1: as the preset says.",
        changes=_LIVE,
        between=(-1.0, 1.0),
    )
    change_penalty: float = _parameter(
        PRESET_VALUE,
        "How much a change of size or shape lowers a score; -1: as the preset says.",
        changes=_LIVE,
        between=(-1.0, 10.0),
    )
    size_smoothing: float = _parameter(
        PRESET_VALUE,
        "Share of a new size that is taken over; -1: as the preset says.",
        changes=_LIVE,
        between=(-1.0, 1.0),
    )
    masks: str = _parameter(
        AUTO,
        "Masks that are predicted: best, coarse (without the refiner), none (the box alone, "
        "filled); auto: as the preset says.",
        changes=_LIVE,
        choices=(AUTO, *MASK_USES),
    )
    box_fit: str = _parameter(
        AUTO,
        "How the rotated box is fitted to the mask (docs/boxes.md); auto: as the preset says.",
        changes=_LIVE,
        choices=(AUTO, *BOX_FITS),
    )
    uncertain_below: float = _parameter(
        LongTermConfig.uncertain_below,
        "Evidence under which a frame counts against a target.",
        changes=_LIVE,
        between=(0.0, 1.0),
    )
    certain_above: float = _parameter(
        LongTermConfig.certain_above,
        "Evidence from which an UNCERTAIN target is TRACKING again.",
        changes=_LIVE,
        between=(0.0, 1.0),
    )
    lost_below: float = _parameter(
        LongTermConfig.lost_below,
        "Evidence under which a frame does not show the target at all.",
        changes=_LIVE,
        between=(0.0, 1.0),
    )
    found_above: float = _parameter(
        LongTermConfig.found_above,
        "Evidence that a LOST target needs to be found again.",
        changes=_LIVE,
        between=(0.0, 1.0),
    )
    lost_after: int = _parameter(
        LongTermConfig.lost_after,
        "Frames in a row under lost_below until LOST.",
        changes=_LIVE,
        between=(1, 10_000),
    )
    uncertain_limit: int = _parameter(
        LongTermConfig.uncertain_limit,
        "Frames UNCERTAIN until LOST.",
        changes=_LIVE,
        between=(1, 100_000),
    )
    color_none_below: float = _parameter(
        LongTermConfig.color_none_below,
        "Likeness of the mask's colours, relative to what is usual, up to which a frame has no "
        "evidence.",
        changes=_LIVE,
        between=(0.0, 1.0),
    )
    color_full_above: float = _parameter(
        LongTermConfig.color_full_above,
        "Likeness of the mask's colours from which a frame has all of its evidence.",
        changes=_LIVE,
        between=(0.0, 1.0),
    )
    found_color: float = _parameter(
        LongTermConfig.found_color,
        "Likeness of a find's colours under which it is doubtful that it is the LOST target.",
        changes=_LIVE,
        between=(0.0, 1.0),
    )
    confirm_frames: int = _parameter(
        LongTermConfig.confirm_frames,
        "Frames in a row that confirm a find of a LOST target.",
        changes=_LIVE,
        between=(1, 10_000),
    )
    far_confirm_frames: int = _parameter(
        LongTermConfig.far_confirm_frames,
        "The same for a find more than three target sizes away from its last place.",
        changes=_LIVE,
        between=(1, 10_000),
    )
    doubtful_confirm_frames: int = _parameter(
        LongTermConfig.doubtful_confirm_frames,
        "The same for a find whose colours make it doubtful.",
        changes=_LIVE,
        between=(1, 100_000),
    )
    unlikely_confirm_frames: int = _parameter(
        LongTermConfig.unlikely_confirm_frames,
        "The same for a find that was there before the target can have been.",
        changes=_LIVE,
        between=(1, 100_000),
    )
    most_rivals: int = _parameter(
        LongTermConfig.most_rivals,
        "Look-alikes near a target that are followed to tell them from it; each costs a search.",
        changes=_LIVE,
        between=(0, 16),
    )
    motion_rate: float = _parameter(
        LongTermConfig.motion_rate,
        "How fast the expected motion follows the target's; 0: it is expected where it was.",
        changes=_LIVE,
        between=(0.0, 1.0),
    )
    searches_per_frame: int = _parameter(
        LongTermConfig.searches_per_frame,
        "Regions of an image in which each LOST target is searched for.",
        changes=_LIVE,
        between=(1, 64),
    )
    publish_mask: bool = _parameter(True, "Publish ~/mask (while subscribed).", changes=_LIVE)
    publish_label_image: bool = _parameter(
        True, "Publish ~/label_image (while subscribed).", changes=_LIVE
    )
    publish_overlay: bool = _parameter(True, "Publish ~/overlay (while subscribed).", changes=_LIVE)
    publish_markers: bool = _parameter(True, "Publish ~/markers (while subscribed).", changes=_LIVE)
    publish_annotations: bool = _parameter(
        True,
        "Publish ~/annotations (while subscribed), where foxglove_msgs is installed.",
        changes=_LIVE,
    )
    overlay_scale: float = _parameter(
        1.0, "Size of the overlay against the image.", changes=_LIVE, between=(0.05, 1.0)
    )
    marker_distance: float = _parameter(
        1.0,
        "Distance of the markers from the camera along its optical axis, in metres.",
        changes=_LIVE,
        between=(0.01, 1000.0),
    )
    marker_field_of_view: float = _parameter(
        60.0,
        "Horizontal field of view that the markers assume without a calibration, in degrees.",
        changes=_LIVE,
        between=(1.0, 179.0),
    )
    marker_lifetime: float = _parameter(
        1.0,
        "How long markers stay without newer ones, in seconds; raise it below one frame a second.",
        changes=_LIVE,
        between=(0.1, 3600.0),
    )
    camera_info: str = _parameter(
        AUTO,
        "Topic of the camera's calibration, with {camera} for the camera's name; auto: "
        "camera_info beside the image topic; none: not read.",
    )
    service_introspection: str = _parameter(
        DISABLED,
        "What is published of each call of set_targets and clear_targets, on "
        "~/set_targets/_service_event and so on: disabled nothing, metadata that it was made, "
        "contents all of it, to be recorded and replayed.",
        changes=_LIVE,
        choices=(DISABLED, "metadata", "contents"),
    )
    silence_seconds: float = _parameter(
        3.0,
        "After so long without an image the node says why, in seconds.",
        changes=_LIVE,
        between=(0.5, 3600.0),
    )

    def __post_init__(self) -> None:
        for entry in fields(self):
            self._check(entry)
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
        names = {entry.name for entry in fields(EngineOptions)} & parameter_rules().keys()
        return EngineOptions(
            every_frame=self.processing == "every_frame",
            handover=self.handover_config,
            **{name: getattr(self, name) for name in names},
        )

    @property
    def longterm_config(self) -> LongTermConfig:
        """Thresholds of the states, and the search after a loss."""
        names = {entry.name for entry in fields(LongTermConfig)} & parameter_rules().keys()
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

    def changed(self, values: Mapping[str, Any], *, configured: bool) -> Settings:
        """The settings after a change, all of it or nothing.

        Args:
            values: new values by name; names of other parameters are passed over.
            configured: the node has left the state unconfigured.

        Raises:
            ValueError: a value is out of range, or cannot change now.
        """
        rules = parameter_rules()
        known = {
            entry.name: typed_value(entry, values[entry.name])
            for entry in fields(self)
            if entry.name in values
        }
        for name, value in known.items():
            rule = rules[name]
            fixed = rule.changes is Changes.UNCONFIGURED and configured
            if value != getattr(self, name) and (fixed or rule.changes is Changes.NEVER):
                raise ValueError(
                    f"{name} can only be changed {rule.changes.value}"
                    + (": deactivate and clean up first" if fixed else "")
                )
        return replace(self, **known)

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

    def _check(self, entry: Field[Any]) -> None:
        rule, value = entry.metadata["rule"], getattr(self, entry.name)
        if rule.choices and value not in rule.choices:
            raise ValueError(
                f"{entry.name} must be one of {', '.join(rule.choices)}, got {value!r}"
            )
        if rule.lowest is not None and not rule.lowest <= value <= rule.highest:
            raise ValueError(
                f"{entry.name} must be {rule.lowest:g} to {rule.highest:g}, got {value!r}"
            )
        if entry.name in PRESET_NUMBERS and PRESET_VALUE < value < 0:
            raise ValueError(
                f"{entry.name} must be 0 or more, or {PRESET_VALUE:g} for what the preset says, "
                f"got {value!r}"
            )


def parameter_rules() -> dict[str, _Rule]:
    """What is known of each parameter besides its default, by name."""
    return {entry.name: entry.metadata["rule"] for entry in fields(Settings)}


def declare_parameters(node: Node) -> None:
    """Declare every parameter with its description, range and default.

    Raises:
        rclpy.exceptions.ParameterException: a given value has the wrong type or is out of range.
    """
    for entry in fields(Settings):
        default = list(entry.default) if isinstance(entry.default, tuple) else entry.default
        parameter = node.declare_parameter(entry.name, default, _descriptor(entry))
        try:
            value = typed_value(entry, parameter.value)
        except ValueError as error:
            raise InvalidParameterTypeException(parameter, KINDS[type(entry.default)]) from error
        if isinstance(value, float) and not isinstance(parameter.value, float):
            node.set_parameters([Parameter(entry.name, value=value)])
    if hasattr(node, "add_pre_set_parameters_callback"):  # not in Humble
        node.add_pre_set_parameters_callback(_with_decimals)


def read_parameters(node: Node) -> Settings:
    """The present values.

    Raises:
        ValueError: a value is not allowed; the text names it.
    """
    return Settings(
        **{
            entry.name: typed_value(entry, node.get_parameter(entry.name).value)
            for entry in fields(Settings)
        }
    )


def restore_types(node: Node) -> None:
    """Describe each parameter by the type that it has: rclpy takes over that of a refused value."""
    for entry in fields(Settings):
        node.describe_parameter(entry.name).type = node.get_parameter(entry.name).type_.value


def typed_value(entry: Field[Any], value: Any) -> Any:
    """A parameter's value as `Settings` holds it; a whole number will do for any number.

    ROS 2 would refuse it, and without a word on which type is meant: hence the descriptors leave
    the type open.

    Raises:
        ValueError: it is of another type.
    """
    kind = type(entry.default)
    held = tuple(value) if isinstance(value, (list, array)) else value
    if kind is float and type(held) is int:
        return float(held)
    strange = type(held) is not kind
    if strange or (kind is tuple and not all(isinstance(text, str) for text in held)):
        shown = list(held) if isinstance(held, tuple) else held
        raise ValueError(f"{entry.name} must be {KINDS[kind]}, got {shown!r}")
    return held


def _with_decimals(parameters: list[Parameter]) -> list[Parameter]:
    """Parameters with numbers of the type they were declared with."""
    decimal = {entry.name for entry in fields(Settings) if isinstance(entry.default, float)}
    return [
        Parameter(parameter.name, value=float(parameter.value))
        if parameter.name in decimal and type(parameter.value) is int
        else parameter
        for parameter in parameters
    ]


def _descriptor(entry: Field[Any]) -> ParameterDescriptor:
    rule: _Rule = entry.metadata["rule"]
    constraints = f"one of {', '.join(rule.choices)}; " if rule.choices else ""
    descriptor = ParameterDescriptor(
        description=rule.description,
        additional_constraints=f"{constraints}may change {rule.changes.value}",
        read_only=rule.changes is Changes.NEVER,
        dynamic_typing=True,  # see typed_value
    )
    if rule.lowest is not None and rule.highest is not None:
        if isinstance(entry.default, float):
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=rule.lowest, to_value=rule.highest)
            ]
        else:
            descriptor.integer_range = [
                IntegerRange(from_value=int(rule.lowest), to_value=int(rule.highest))
            ]
    return descriptor
