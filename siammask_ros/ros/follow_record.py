# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was heard while a simulated robot followed somebody, next to what was really so.

Nothing here is a node; times are seconds in the world unless a name says otherwise.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from siammask_ros.files import write_whole
from siammask_ros.scenes.follow_world import TARGET
from siammask_ros.scenes.pinhole import CameraPose, Pose2D, project
from siammask_ros.scenes.walks import Motion
from siammask_ros.scenes.world import World, WorldFrame
from siammask_ros.target_status import TargetStatus


class Command(NamedTuple):
    """A velocity that was sent: when, and what."""

    time_s: float
    motion: Motion


@dataclass
class Moment:
    """All that is known of one image.

    Attributes:
        time_s: of the image.
        base: where the robot was.
        motion: how it moved.
        state: of the target as tracked; None if the image was not answered.
        confidence: of the tracker.
        corners: (4, 2) of the rotated box, pixels; None without one.
        mask: (H, W) packed bits of the target's pixels; None without any.
        source: where the position is from, a constant of TargetPose; None if there is none.
        position: (3,) in the optical frame, metres; None where it is not known.
        boxes_ms, targets_ms, command_ms: after the image's stamp, until the tracker's result, the
            position and the first command that knows of it were received; NaN if never.
        reason: why the robot moves or stands, in the follower's words.
    """

    time_s: float
    base: Pose2D
    motion: Motion
    state: TargetStatus | None = None
    confidence: float = math.nan
    corners: NDArray[np.float64] | None = None
    mask: NDArray[np.uint8] | None = None
    source: int | None = None
    position: NDArray[np.float64] | None = None
    boxes_ms: float = math.nan
    targets_ms: float = math.nan
    command_ms: float = math.nan
    reason: str = ""


@dataclass(frozen=True)
class TruthRow:
    """What was really so at an image, next to what was found; one row of the table.

    Distances are metres from the robot's middle to the target's, along the ground; bearings are
    radians from straight ahead, to the left; depths are metres along the optical axis.
    """

    time_s: float
    state: str
    source: int
    confidence: float
    robot_x: float
    robot_y: float
    robot_heading: float
    robot_speed: float
    robot_turn: float
    target_x: float
    target_y: float
    distance: float
    bearing: float
    in_view: bool
    visible: float
    depth: float
    found_depth: float
    bearing_error_deg: float
    mask_iou: float
    command_speed: float
    command_turn: float
    boxes_ms: float
    targets_ms: float
    command_ms: float
    reason: str


@dataclass
class Record:
    """A run as it was heard."""

    moments: list[Moment] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)


def truth_row(record: Record, moment: Moment, world: World) -> TruthRow:
    """One image next to the truth: the world that it shows is rendered anew."""
    frame = world.render(moment.time_s, moment.base)
    there = frame.inhabitants[TARGET].pose
    x, y = there.x - moment.base.x, there.y - moment.base.y
    middle = frame.middle_in_camera(TARGET)
    found_depth = bearing_error = math.nan
    if moment.position is not None:
        found_depth = float(moment.position[2])
        bearing_error = math.degrees(azimuth(moment.position) - azimuth(middle))
    command = command_at(record.commands, moment.time_s)
    return TruthRow(
        time_s=moment.time_s,
        state="" if moment.state is None else moment.state.name,
        source=-1 if moment.source is None else moment.source,
        confidence=moment.confidence,
        robot_x=moment.base.x,
        robot_y=moment.base.y,
        robot_heading=moment.base.heading,
        robot_speed=moment.motion.speed,
        robot_turn=moment.motion.turn,
        target_x=there.x,
        target_y=there.y,
        distance=math.hypot(x, y),
        bearing=math.remainder(math.atan2(y, x) - moment.base.heading, 2 * math.pi),
        in_view=is_in_view(frame, world),
        visible=frame.visible_share[TARGET],
        depth=float(middle[2]),
        found_depth=found_depth,
        bearing_error_deg=bearing_error,
        mask_iou=mask_iou(moment, frame),
        command_speed=command.speed,
        command_turn=command.turn,
        boxes_ms=moment.boxes_ms,
        targets_ms=moment.targets_ms,
        command_ms=moment.command_ms,
        reason=moment.reason,
    )


def azimuth(position: NDArray[np.float64]) -> float:
    """Radians to the right of the optical axis, of a point in the optical frame."""
    return math.atan2(float(position[0]), float(position[2]))


def is_in_view(frame: WorldFrame, world: World) -> bool:
    """The target's middle is in the image, hidden or not."""
    pose: CameraPose = frame.camera_pose
    there = frame.inhabitants[TARGET].pose
    point = np.array([[there.x, there.y, world.mount.up]])
    pixel = project(world.camera, pose.to_optical(point))[0]
    return bool((pixel >= 0).all() and (pixel < world.camera.size_wh).all())


def unpacked(mask: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) bool of packed bits."""
    bits = np.unpackbits(mask, count=shape[0] * shape[1])
    return bits.reshape(shape).astype(bool)


def mask_iou(moment: Moment, frame: WorldFrame) -> float:
    """Overlap of the found mask and the true one; NaN without a mask."""
    if moment.mask is None:
        return math.nan
    found, true = unpacked(moment.mask, frame.labels.shape), frame.mask(TARGET)
    union = np.count_nonzero(found | true)
    return np.count_nonzero(found & true) / union if union else math.nan


def command_at(commands: Sequence[Command], time_s: float) -> Motion:
    """The newest command sent until a time; rest before the first."""
    lowest, highest = 0, len(commands)
    while lowest < highest:
        middle = (lowest + highest) // 2
        if commands[middle].time_s <= time_s:
            lowest = middle + 1
        else:
            highest = middle
    return commands[lowest - 1].motion if lowest else Motion(0.0, 0.0)


def write_table(path: Path, rows: Sequence[TruthRow]) -> Path:
    """Write the rows as CSV, numbers rounded to what can be measured."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = [entry.name for entry in fields(TruthRow)]
    writer.writerow(names)
    for row in rows:
        values = (getattr(row, name) for name in names)
        writer.writerow([f"{value:.4f}" if isinstance(value, float) else value for value in values])
    return write_whole(path, stream.getvalue().encode())
