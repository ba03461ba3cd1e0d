# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A run of the robot that follows, to look at: video beside a map, contact sheet, chart.

The images of the video are rendered anew: the world is the same at the same time and place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from siammask_ros.drawing import (
    Image,
    OverlayItem,
    SheetSection,
    contact_sheet,
    draw_overlay,
    evenly_spaced,
)
from siammask_ros.plots import COLOURS, new_figure, style_axes
from siammask_ros.ros.follow_record import Moment, TruthRow, unpacked
from siammask_ros.scenes.follow_world import DISTANCE_M, LABEL, TARGET
from siammask_ros.scenes.pinhole import Pinhole, Pose2D
from siammask_ros.scenes.world import World, WorldFrame
from siammask_ros.video import VideoWriter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAP_MARGIN_M = 0.6
SHEET_COLUMNS, SHEET_ROWS = 4, 3
_ROBOT_M, _PERSON_M = 0.3, 0.22
_VIEW_M = 3.0
_WHITE, _INK, _FAINT = (255, 255, 255), (60, 60, 60), (190, 190, 190)
_ROBOT, _TARGET, _OTHER, _FOUND = (178, 114, 0), (40, 60, 200), (150, 150, 150), (0, 170, 60)
"""BGR, as everything in OpenCV."""
_STATE_BANDS = (("LOST", "#d55e00"), ("UNCERTAIN", "#e69f00"))
_FONT = cv2.FONT_HERSHEY_SIMPLEX


class Map:
    """The yard from above, with the ways so far.

    Args:
        world: what stands in it.
        rows: of the whole run, whose ways must fit.
        size_wh: of the picture, px.
    """

    def __init__(
        self, world: World, rows: Sequence[TruthRow], size_wh: tuple[int, int] = (640, 480)
    ) -> None:
        places = np.array(
            [(row.robot_x, row.robot_y) for row in rows]
            + [(row.target_x, row.target_y) for row in rows]
        )
        low, high = places.min(axis=0) - MAP_MARGIN_M * 2, places.max(axis=0) + MAP_MARGIN_M * 2
        # Text stands in the upper part.
        self._size_wh, self._top = size_wh, 84
        room = (size_wh[0] - 20, size_wh[1] - self._top - 10)
        self._scale = min(room[0] / (high[0] - low[0]), room[1] / (high[1] - low[1]))
        self._middle = (low + high) / 2
        self._world = world
        self._ground = np.full((size_wh[1], size_wh[0], 3), 255, np.uint8)
        for panel in world.panels:
            outline = panel.corners[:, :2]
            cv2.fillPoly(self._ground, [self._pixels(outline)], _FAINT, cv2.LINE_AA)
            cv2.polylines(self._ground, [self._pixels(outline)], True, _INK, 1, cv2.LINE_AA)
        cv2.rectangle(self._ground, (0, 0), (size_wh[0], self._top - 6), _WHITE, -1)
        self._drawn = self._ground.copy()
        self._last: tuple[NDArray[np.int32], NDArray[np.int32]] | None = None

    def draw(self, row: TruthRow, moment: Moment, frame: WorldFrame) -> Image:
        """The map at an image; to be called for one image after the other."""
        robot = self._pixels(np.array([[row.robot_x, row.robot_y]]))
        target = self._pixels(np.array([[row.target_x, row.target_y]]))
        if self._last is not None:
            cv2.line(self._drawn, self._last[0][0], robot[0], _ROBOT, 2, cv2.LINE_AA)
            cv2.line(self._drawn, self._last[1][0], target[0], _TARGET, 1, cv2.LINE_AA)
        self._last = (robot, target)
        picture = self._drawn.copy()
        self._draw_view(picture, moment.base)
        for label, footing in frame.inhabitants.items():
            color = _TARGET if label == TARGET else _OTHER
            self._draw_disc(picture, footing.pose, _PERSON_M, color)
        self._draw_robot(picture, moment.base)
        if moment.position is not None:
            found = frame.camera_pose.to_world(moment.position[None])[:, :2]
            place = self._pixels(found)[0].tolist()
            cv2.drawMarker(picture, place, _FOUND, cv2.MARKER_TILTED_CROSS, 12, 2, cv2.LINE_AA)
        cv2.rectangle(picture, (0, 0), (self._size_wh[0], self._top - 6), _WHITE, -1)
        for line, text in enumerate(_caption(row)):
            color = _INK if line != 1 or row.state == "TRACKING" else (0, 90, 210)
            cv2.putText(picture, text, (12, 22 + 25 * line), _FONT, 0.55, color, 1, cv2.LINE_AA)
        return picture

    def _pixels(self, points: NDArray[np.float64]) -> NDArray[np.int32]:
        """Nx2 pixels of Nx2 metres; x to the right, y up."""
        middle = (self._size_wh[0] / 2, (self._size_wh[1] + self._top) / 2)
        offset = (points - self._middle) * self._scale * [1.0, -1.0]
        return np.rint(offset + middle).astype(np.int32)

    def _draw_view(self, picture: Image, base: Pose2D) -> None:
        """The camera's field of view, tinted."""
        camera: Pinhole = self._world.camera
        half = math.atan(camera.width / 2 / camera.focal_px)
        eye = base.carry(self._world.mount.forward, 0.0)
        angles = np.linspace(base.heading - half, base.heading + half, 12)
        rim = [(eye[0] + _VIEW_M * math.cos(a), eye[1] + _VIEW_M * math.sin(a)) for a in angles]
        tinted = picture.copy()
        cv2.fillPoly(tinted, [self._pixels(np.array([eye, *rim]))], (245, 215, 170), cv2.LINE_AA)
        cv2.addWeighted(tinted, 0.5, picture, 0.5, 0.0, dst=picture)

    def _draw_robot(self, picture: Image, base: Pose2D) -> None:
        size = _ROBOT_M
        corners = [(size, 0.0), (-size, size * 0.8), (-size * 0.6, 0.0), (-size, -size * 0.8)]
        outline = np.array([base.carry(forward, left) for forward, left in corners])
        cv2.fillPoly(picture, [self._pixels(outline)], _ROBOT, cv2.LINE_AA)

    def _draw_disc(
        self, picture: Image, pose: Pose2D, radius_m: float, color: tuple[int, int, int]
    ) -> None:
        middle = self._pixels(np.array([[pose.x, pose.y]]))[0].tolist()
        cv2.circle(picture, middle, max(round(radius_m * self._scale), 3), color, -1, cv2.LINE_AA)


def _caption(row: TruthRow) -> tuple[str, str, str]:
    return (
        (
            f"{row.time_s:5.1f} s   distance {row.distance:.2f} m (wanted {DISTANCE_M:g})   "
            f"bearing {math.degrees(row.bearing):+.0f} deg"
        ),
        f"{row.state or 'no result'}: {row.reason}",
        (
            f"command {row.command_speed:+.2f} m/s {row.command_turn:+.2f} rad/s   "
            f"seen {row.visible:.0%}   latency {_number(row.command_ms)} ms"
        ),
    )


def _number(value: float) -> str:
    return f"{value:.0f}" if math.isfinite(value) else "-"


def overlay(moment: Moment, frame: WorldFrame) -> Image:
    """The image with what the tracker found drawn on it."""
    if moment.state is None:
        return frame.image_bgr.copy()
    mask = None if moment.mask is None else unpacked(moment.mask, frame.labels.shape)
    item = OverlayItem(
        target_id=TARGET,
        state=int(moment.state),
        confidence=moment.confidence,
        label=LABEL,
        corners=moment.corners,
        mask=mask,
    )
    return draw_overlay(frame.image_bgr, [item])


def side_by_side(
    world: World, moments: Sequence[Moment], rows: Sequence[TruthRow]
) -> Iterator[Image]:
    """The overlay of each image, beside the map."""
    above = Map(world, rows, world.camera.size_wh)
    for moment, row in zip(moments, rows, strict=True):
        frame = world.render(moment.time_s, moment.base)
        yield np.concatenate([overlay(moment, frame), above.draw(row, moment, frame)], axis=1)


def write_pictures(
    folder: Path,
    world: World,
    moments: Sequence[Moment],
    rows: Sequence[TruthRow],
    *,
    rate: float,
    title: str,
) -> list[Path]:
    """Write the video and the contact sheet; returns their paths."""
    video, sheet = folder / "follow.mp4", folder / "contact_sheet.png"
    chosen = set(evenly_spaced(len(rows), SHEET_COLUMNS * SHEET_ROWS))
    cells: list[Image] = []
    captions = []
    with VideoWriter(video, fps=rate) as writer:
        for index, picture in enumerate(side_by_side(world, moments, rows)):
            writer.write(picture)
            if index in chosen:
                cells.append(picture)
                captions.append(f"{rows[index].time_s:.1f} s  {rows[index].state}")
    section = SheetSection("A robot that follows", cells, captions, title)
    if not cv2.imwrite(str(sheet), contact_sheet([section], columns=2, cell_width=800)):
        raise OSError(f"cannot write {sheet}")
    return [video, sheet]


def follow_chart(rows: Sequence[TruthRow], limits: dict[str, float], view_deg: float) -> Figure:
    """Distance, bearing, speed and turn over time, with the states behind them.

    Args:
        rows: of the run.
        limits: of the follower, by name.
        view_deg: half the camera's field of view.
    """
    times = [row.time_s for row in rows]
    figure = new_figure((11.0, 9.5))
    grid = figure.subplots(4, 1, sharex=True)

    def draw(axes: Axes, label: str, *lines: tuple[str, Sequence[float]]) -> None:
        style_axes(axes)
        axes.set_ylabel(label)
        for index, (name, values) in enumerate(lines):
            axes.plot(times, values, COLOURS[index], linewidth=1.8 - 0.7 * index, label=name)
        _draw_states(axes, rows)
        axes.legend(loc="upper right", frameon=False, fontsize="small", ncols=3)

    def mark(axes: Axes, *levels: float) -> None:
        for level in levels:
            axes.axhline(level, color="#444444", linewidth=0.9, linestyle="--")

    draw(grid[0], "distance, m", ("distance", [row.distance for row in rows]))
    mark(grid[0], DISTANCE_M)
    grid[0].axhspan(DISTANCE_M - 0.3, DISTANCE_M + 0.3, color="#009e73", alpha=0.12, linewidth=0)
    draw(grid[1], "bearing, deg", ("bearing", [math.degrees(row.bearing) for row in rows]))
    mark(grid[1], -view_deg, view_deg)
    draw(
        grid[2],
        "speed, m/s",
        ("robot", [row.robot_speed for row in rows]),
        ("command", [row.command_speed for row in rows]),
    )
    mark(grid[2], limits.get("max_speed", math.nan))
    draw(
        grid[3],
        "turn, rad/s",
        ("robot", [row.robot_turn for row in rows]),
        ("command", [row.command_turn for row in rows]),
    )
    turn = limits.get("max_turn_rate", math.nan)
    mark(grid[3], -turn, turn)
    grid[3].set_xlabel("time, s")
    figure.suptitle(
        "A robot that follows: red LOST, yellow UNCERTAIN, black below: nothing to be seen",
        fontsize="medium",
    )
    return figure


def _draw_states(axes: Axes, rows: Sequence[TruthRow]) -> None:
    """What the tracker said, as coloured bands, and when there was nothing to be seen."""
    times = [row.time_s for row in rows]
    states = list(accumulate((row.state for row in rows), lambda old, new: new or old))
    for state, colour in _STATE_BANDS:
        for begin, end in _spans(times, [each == state for each in states]):
            axes.axvspan(begin, end, color=colour, alpha=0.25, linewidth=0)
    for begin, end in _spans(times, [row.visible < 0.1 for row in rows]):
        axes.axvspan(begin, end, ymax=0.06, color="#222222", linewidth=0)


def _spans(times: Sequence[float], flags: Sequence[bool]) -> list[tuple[float, float]]:
    """Begin and end of each time in which a flag holds."""
    spans: list[tuple[float, float]] = []
    begin = None
    for time_s, flag in zip(times, flags, strict=True):
        if flag and begin is None:
            begin = time_s
        if not flag and begin is not None:
            spans.append((begin, time_s))
            begin = None
    if begin is not None:
        spans.append((begin, times[-1]))
    return spans
