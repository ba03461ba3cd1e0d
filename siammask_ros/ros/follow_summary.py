# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run of the robot that follows comes to in numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from siammask_ros.files import write_whole
from siammask_ros.ros.follow_record import Command, Record, TruthRow
from siammask_ros.scenes.follow_world import DISTANCE_M

STANDS_M_S = 0.02
"""A robot that is slower, and turns by less in rad/s, stands."""
ROUNDING = 1e-6
PERCENTILES = (50, 99)
MS_PER_S = 1000.0


class Stop(NamedTuple):
    """What happened after the target was lost.

    Attributes:
        lost_s: time of the first image of the loss.
        said_s: seconds from there until the tracker's LOST was heard.
        robot_s: seconds from there until the robot stood; NaN if the target was seen again before.
        command_s: seconds until it was told to stand; NaN likewise.
        lasted_s: until the target was seen again or the run ended.
    """

    lost_s: float
    said_s: float
    robot_s: float
    command_s: float
    lasted_s: float


@dataclass(frozen=True)
class Summary:
    """A run in numbers: metres, seconds, degrees, milliseconds, shares of 1."""

    seconds: float
    images: int
    answered: int
    rate_hz: float
    in_view: float
    visible: float
    tracked: float
    distance_error_mean: float
    distance_error_p95: float
    distance_error_tracked_mean: float
    depth_error_median: float
    depth_error_p95: float
    bearing_error_median_deg: float
    bearing_error_p95_deg: float
    mask_iou: float
    losses: int
    losses_without_stop: int
    longest_stop_s: float
    longest_stop_said_s: float
    longest_stop_command_s: float
    hidden_s: float
    boxes_ms_p50: float
    boxes_ms_p99: float
    targets_ms_p50: float
    targets_ms_p99: float
    command_ms_p50: float
    command_ms_p99: float
    commands: int
    greatest_speed: float
    greatest_reverse_speed: float
    greatest_turn_rate: float
    greatest_acceleration: float
    greatest_turn_acceleration: float
    commands_above_limits: int
    stops: tuple[Stop, ...] = ()
    limits: Mapping[str, float] = field(default_factory=dict)


def summarise(record: Record, rows: Sequence[TruthRow], limits: Mapping[str, float]) -> Summary:
    """The run in numbers.

    Args:
        record: what was heard.
        rows: of its images, in order.
        limits: parameters of the follower by name.

    Raises:
        ValueError: there is no image, or no command.
    """
    if not rows or not record.commands:
        raise ValueError(f"{len(rows)} images and {len(record.commands)} commands: no run")
    columns = {
        entry.name: np.array([getattr(row, entry.name) for row in rows])
        for entry in fields(TruthRow)
    }
    error = np.abs(columns["distance"] - DISTANCE_M)
    tracked = np.isin(columns["state"], ["TRACKING", "UNCERTAIN"])
    answered = columns["state"] != ""
    measured = np.isfinite(columns["found_depth"]) & (columns["visible"] > 0.5)
    depth_error = np.abs(columns["found_depth"] / columns["depth"] - 1.0)[measured]
    bearing_error = np.abs(columns["bearing_error_deg"])[measured]
    stops = find_stops(record.commands, rows)
    latency = {
        name: _percentiles(columns[name]) for name in ("boxes_ms", "targets_ms", "command_ms")
    }
    motions = np.array([command.motion for command in record.commands])
    times = np.array([command.time_s for command in record.commands])
    change = _changes(motions, times, limits.get("rate", 0.0))
    seconds = float(columns["time_s"][-1] - columns["time_s"][0])
    return Summary(
        seconds=seconds,
        images=len(rows),
        answered=int(answered.sum()),
        rate_hz=float((answered.sum() - 1) / seconds) if seconds > 0 else 0.0,
        in_view=float(columns["in_view"].mean()),
        visible=float((columns["visible"] > 0.1).mean()),
        tracked=float(tracked.mean()),
        distance_error_mean=float(error.mean()),
        distance_error_p95=float(np.percentile(error, 95)),
        distance_error_tracked_mean=_mean(error[tracked]),
        depth_error_median=_percentile(depth_error, 50),
        depth_error_p95=_percentile(depth_error, 95),
        bearing_error_median_deg=_percentile(bearing_error, 50),
        bearing_error_p95_deg=_percentile(bearing_error, 95),
        mask_iou=_mean(columns["mask_iou"][measured]),
        losses=len(stops),
        losses_without_stop=sum(math.isnan(stop.robot_s) for stop in stops),
        longest_stop_s=_longest(stop.robot_s for stop in stops),
        longest_stop_said_s=_longest(stop.robot_s - stop.said_s for stop in stops),
        longest_stop_command_s=_longest(stop.command_s for stop in stops),
        hidden_s=_longest_hidden(rows),
        boxes_ms_p50=latency["boxes_ms"][0],
        boxes_ms_p99=latency["boxes_ms"][1],
        targets_ms_p50=latency["targets_ms"][0],
        targets_ms_p99=latency["targets_ms"][1],
        command_ms_p50=latency["command_ms"][0],
        command_ms_p99=latency["command_ms"][1],
        commands=len(record.commands),
        greatest_speed=float(motions[:, 0].max(initial=0.0)),
        greatest_reverse_speed=float(-motions[:, 0].min(initial=0.0)),
        greatest_turn_rate=float(np.abs(motions[:, 1]).max()),
        greatest_acceleration=float(np.abs(change[:, 0]).max(initial=0.0)),
        greatest_turn_acceleration=float(np.abs(change[:, 1]).max(initial=0.0)),
        commands_above_limits=_above_limits(motions, change, limits),
        stops=tuple(stops),
        limits=dict(limits),
    )


def find_stops(commands: Sequence[Command], rows: Sequence[TruthRow]) -> list[Stop]:
    """Each loss of the target, and how long the robot took to stand."""
    stops = []
    before = ""
    for index, row in enumerate(rows):
        if row.state == "LOST" and before != "LOST":
            stops.append(_stop(commands, rows[index:]))
        before = row.state or before
    return stops


def _stop(commands: Sequence[Command], rows: Sequence[TruthRow]) -> Stop:
    lost_s = rows[0].time_s
    # Until it is seen again, else to the end: a robot that follows again is not to stand.
    ended = next((row.time_s for row in rows if row.state not in ("LOST", "")), rows[-1].time_s)
    robot = next((row.time_s for row in rows if _stands(row.robot_speed, row.robot_turn)), math.nan)
    told = next(
        (
            command.time_s
            for command in commands
            if command.time_s >= lost_s and _stands(*command.motion)
        ),
        math.nan,
    )
    return Stop(
        lost_s,
        rows[0].boxes_ms / MS_PER_S,
        robot - lost_s if robot <= ended else math.nan,
        told - lost_s if told <= ended else math.nan,
        ended - lost_s,
    )


def _stands(speed: float, turn: float) -> bool:
    return abs(speed) < STANDS_M_S and abs(turn) < STANDS_M_S


def _longest_hidden(rows: Sequence[TruthRow]) -> float:
    """Seconds of the longest time in which nearly nothing of the target was to be seen."""
    longest, begin = 0.0, None
    for row in rows:
        if row.visible >= 0.1:
            begin = None
            continue
        begin = row.time_s if begin is None else begin
        longest = max(longest, row.time_s - begin)
    return longest


def _changes(
    motions: NDArray[np.float64], times: NDArray[np.float64], rate: float
) -> NDArray[np.float64]:
    """Accelerations from command to command; those next to each other are a period apart."""
    if len(motions) < 2:
        return np.zeros((0, 2))
    period = 1 / rate if rate > 0 else float(np.median(np.diff(times)))
    # A timer that is late is not a command that was left out.
    together = np.diff(times) < 2.5 * period
    return np.asarray((np.diff(motions, axis=0) / period)[together])


def _above_limits(
    motions: NDArray[np.float64], change: NDArray[np.float64], limits: Mapping[str, float]
) -> int:
    """Commands beyond a limit of speed, or changed by more than even a stop may."""

    def most(*names: str) -> float:
        return max((limits[name] for name in names if name in limits), default=math.inf) + ROUNDING

    above = (motions[:, 0] > most("max_speed")) | (-motions[:, 0] > most("max_reverse_speed"))
    above |= np.abs(motions[:, 1]) > most("max_turn_rate")
    abrupt = np.abs(change[:, 0]) > most("max_acceleration", "stop_acceleration")
    abrupt |= np.abs(change[:, 1]) > most("max_turn_acceleration", "stop_turn_acceleration")
    return int(above.sum() + abrupt.sum())


def _percentiles(values: NDArray[np.float64]) -> tuple[float, float]:
    first, last = (_percentile(values, share) for share in PERCENTILES)
    return first, last


def _percentile(values: NDArray[np.float64], share: float) -> float:
    known = values[np.isfinite(values)]
    return float(np.percentile(known, share)) if known.size else math.nan


def _longest(values: Iterable[float]) -> float:
    """The greatest that is known, 0 if none is."""
    return max((value for value in values if math.isfinite(value)), default=0.0)


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan


def write_summary(path: Path, summary: Summary) -> Path:
    """Write the numbers as JSON; what is not known is null."""
    values = asdict(summary)
    values["stops"] = [stop._asdict() for stop in summary.stops]
    return write_whole(path, (json.dumps(_without_nan(values), indent=2) + "\n").encode())


def _without_nan(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_nan(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def summary_lines(summary: Summary) -> list[str]:
    """The numbers to read."""
    it, limits = summary, summary.limits
    speed, turn = (limits.get(name, math.nan) for name in ("max_speed", "max_turn_rate"))
    seen = f"tracked {it.tracked:.1%}, hidden for {it.hidden_s:.1f} s at the longest"
    tracked = f"while tracked {it.distance_error_tracked_mean:.3f} m"
    distances = f"95 %: {it.distance_error_p95:.3f} m; {tracked}"
    depth = f"{it.depth_error_median:.2%} (95 %: {it.depth_error_p95:.2%})"
    stood = f"the robot stood {it.longest_stop_said_s:.2f} s after that was said"
    stood += f" ({it.longest_stop_s:.2f} s after the image) at most"
    back = f"{it.losses_without_stop} times it was back before"
    bearing = f"{it.bearing_error_median_deg:.2f} deg (95 %: {it.bearing_error_p95_deg:.2f} deg)"
    latency = ", ".join(
        f"to {what} {p50:.0f} ms (99 %: {p99:.0f} ms)"
        for what, p50, p99 in (
            ("boxes", it.boxes_ms_p50, it.boxes_ms_p99),
            ("the position", it.targets_ms_p50, it.targets_ms_p99),
            ("the command", it.command_ms_p50, it.command_ms_p99),
        )
    )
    greatest = ", ".join(
        (
            f"{it.greatest_speed:.2f} m/s (limit {speed:g})",
            f"{it.greatest_turn_rate:.2f} rad/s (limit {turn:g})",
            f"{it.greatest_acceleration:.2f} m/s2",
        )
    )
    return [
        f"{it.seconds:.0f} s, {it.answered} of {it.images} images answered",
        f"target in view {it.in_view:.1%} of the time, {seen}",
        f"distance error {it.distance_error_mean:.3f} m ({distances})",
        f"depth error {depth}, bearing error {bearing}",
        f"{it.losses} times LOST: {stood}; {back}",
        f"latency from the image {latency}",
        f"{it.commands} commands, {it.commands_above_limits} above limits: at most {greatest}",
    ]
