# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tracking results as markers for rviz: outlines and captions on the lines of sight."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from geometry_msgs.msg import Point
from numpy.typing import NDArray
from rclpy.duration import Duration
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from siammask_ros.drawing import STATE_COLOURS, OverlayItem, item_caption
from siammask_ros.target_status import TargetStatus

if TYPE_CHECKING:
    from siammask_ros.localization.camera import FloatArray, Sight
    from siammask_ros.tracked import TargetEntry

OUTLINE_NAMESPACE = "outline"
LABEL_NAMESPACE = "label"
LINE_WIDTH_PER_DISTANCE = 0.006
TEXT_HEIGHT_PER_DISTANCE = 0.05
TEXT_RISE = 0.75
"""rviz centres a text on its place: so many heights higher it is above it."""

ImagePoint = tuple[float, float]


def caption(entry: TargetEntry) -> str:
    """The same words as in the overlay."""
    result = entry.result
    return item_caption(
        OverlayItem(
            target_id=entry.target_id,
            state=result.status,
            confidence=result.confidence,
            label=entry.label,
            age=result.age,
        )
    )


def state_rgb(status: TargetStatus) -> tuple[float, float, float]:
    """Red, green and blue of a state, each from 0 to 1."""
    blue, green, red = STATE_COLOURS[status]
    return red / 255, green / 255, blue / 255


class CaptionPlaces:
    """Where in the image captions of one camera's targets stand; a lost one keeps its last."""

    def __init__(self) -> None:
        self._image_size_wh = (0, 0)
        self._places: dict[int, ImagePoint] = {}

    def update(
        self, entries: Iterable[TargetEntry], image_size_wh: tuple[int, int]
    ) -> Mapping[int, ImagePoint]:
        """Take over a frame's results; returns the places by target, in pixels.

        A target has none before it is seen first, and after the image has changed its size.
        """
        old = self._places if image_size_wh == self._image_size_wh else {}
        self._image_size_wh, self._places = image_size_wh, {}
        for entry in entries:
            found = entry.result.result
            if found is not None:
                self._places[entry.target_id] = _top_middle(found.corners)
            elif entry.result.status is TargetStatus.LOST and entry.target_id in old:
                self._places[entry.target_id] = old[entry.target_id]
        return self._places


def markers(
    header: Header,
    entries: Iterable[TargetEntry],
    places: Mapping[int, ImagePoint],
    sight: Sight,
    *,
    distance_m: float,
    lifetime_s: float,
) -> MarkerArray:
    """Rotated boxes and captions in the camera's optical frame (z forward, x right, y down).

    All points lie on the lines of sight of their pixels, at z = `distance_m`. A target without a
    box has no outline, and a caption where it has a place. Each array is the whole picture: its
    first marker removes those of the frame before, those of targets that are gone among them.

    Args:
        header: of the image; its frame is the camera's optical one.
        entries: one a target.
        places: of the captions in the image, see `CaptionPlaces`.
        sight: where the image's pixels look.
        distance_m: metres, > 0.
        lifetime_s: after so many seconds without newer ones the markers are gone.
    """
    lifetime = Duration(seconds=lifetime_s).to_msg()
    text_m = distance_m * TEXT_HEIGHT_PER_DISTANCE
    array = [Marker(header=header, action=Marker.DELETEALL)]
    entries = list(entries)
    points = iter(_on_plane(sight.directions(_image_points(entries, places)), distance_m))
    for entry in entries:
        red, green, blue = state_rgb(entry.result.status)
        common = {
            "header": header,
            "id": entry.target_id,
            "action": Marker.ADD,
            "color": ColorRGBA(r=red, g=green, b=blue, a=1.0),
            "lifetime": lifetime,
        }
        if entry.result.result is not None:
            corners = list(itertools.islice(points, len(entry.result.result.corners)))
            outline = Marker(
                ns=OUTLINE_NAMESPACE,
                type=Marker.LINE_STRIP,
                points=[*corners, corners[0]],
                **common,
            )
            outline.pose.orientation.w = 1.0
            outline.scale.x = distance_m * LINE_WIDTH_PER_DISTANCE
            array.append(outline)
        if entry.target_id in places:
            text = Marker(
                ns=LABEL_NAMESPACE, type=Marker.TEXT_VIEW_FACING, text=caption(entry), **common
            )
            text.pose.position = next(points)
            text.pose.position.y -= TEXT_RISE * text_m
            text.pose.orientation.w = 1.0
            text.scale.z = text_m
            array.append(text)
    return MarkerArray(markers=array)


def _image_points(
    entries: Iterable[TargetEntry], places: Mapping[int, ImagePoint]
) -> NDArray[np.float64]:
    """(N, 2): of each target the corners it has, then the place of its caption if it has one."""
    points: list[ImagePoint] = []
    for entry in entries:
        if entry.result.result is not None:
            points += entry.result.result.corners.tolist()
        if entry.target_id in places:
            points.append(places[entry.target_id])
    return np.array(points, dtype=np.float64).reshape(-1, 2)


def _top_middle(corners: NDArray[np.floating]) -> ImagePoint:
    left, top = corners.min(axis=0)
    return (float(left) + float(corners[:, 0].max())) / 2, float(top)


def _on_plane(directions: FloatArray, distance_m: float) -> list[Point]:
    return [
        Point(x=float(x) * distance_m, y=float(y) * distance_m, z=distance_m) for x, y in directions
    ]
