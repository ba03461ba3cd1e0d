# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tracking results as messages: pure functions that need no node."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from siammask_msgs.msg import Confidence, RotatedBox, RotatedBoxArray
from siammask_ros.drawing import target_colour
from siammask_ros.engine import Timings
from siammask_ros.frames import NANOSECONDS_PER_SECOND
from siammask_ros.tracked import TargetEntry

if TYPE_CHECKING:
    from siammask_ros.tracker import TrackResult

OUTLINE_NAMESPACE = "outline"
LABEL_NAMESPACE = "label"
LINE_WIDTH_PER_DISTANCE = 0.006
TEXT_HEIGHT_PER_DISTANCE = 0.05
MARKER_LIFETIME = Duration(sec=1)
"""Markers of a stream that has ended disappear by themselves."""


def stamp_to_ns(stamp: Time) -> int:
    """A stamp in nanoseconds."""
    return int(stamp.sec) * NANOSECONDS_PER_SECOND + int(stamp.nanosec)


def ns_to_stamp(stamp_ns: int) -> Time:
    """Nanoseconds as a stamp."""
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS_PER_SECOND)
    return Time(sec=seconds, nanosec=nanoseconds)


def rotated_box(entry: TargetEntry) -> RotatedBox:
    """One target; without a place in the image (LOST, INITIALIZING) all lengths are zero."""
    message = RotatedBox(
        target_id=entry.target_id,
        label=entry.label,
        state=int(entry.result.status),
        confidence=_finite(entry.result.confidence),
        age=entry.result.age,
    )
    found = entry.result.result
    if found is None:
        return message
    box = found.rotated_box
    message.center_x, message.center_y = map(_finite, box.center_xy)
    message.size_x, message.size_y = map(_finite, box.size_wh)
    message.theta = _finite(box.theta)
    for corner, (x, y) in zip(message.corners, found.corners, strict=True):
        corner.x, corner.y = _finite(x), _finite(y)
    message.roi = mask_region(found)
    message.mask_area = found.mask_area
    return message


def rotated_box_array(
    header: Header, entries: Sequence[TargetEntry], timings: Timings, publish_ms: float
) -> RotatedBoxArray:
    """All targets of a frame with what it cost."""
    return RotatedBoxArray(
        header=header,
        boxes=[rotated_box(entry) for entry in entries],
        queue_ms=timings.queue_ms,
        decode_ms=timings.decode_ms,
        inference_ms=timings.inference_ms,
        publish_ms=publish_ms,
    )


def confidence(header: Header, entries: Sequence[TargetEntry]) -> Confidence:
    """Ids, confidences and states of a frame as parallel arrays."""
    return Confidence(
        header=header,
        target_ids=[entry.target_id for entry in entries],
        confidences=[_finite(entry.result.confidence) for entry in entries],
        states=[int(entry.result.status) for entry in entries],
    )


def mask_region(found: TrackResult) -> RegionOfInterest:
    """The smallest upright rectangle round the mask; zeros where it is empty."""
    if 0 in found.mask_in_roi.shape:
        return RegionOfInterest()
    x, y, width, height = cv2.boundingRect(found.mask_in_roi.astype(np.uint8))
    if width == 0:
        return RegionOfInterest()
    return RegionOfInterest(
        x_offset=found.mask_roi.x + x,
        y_offset=found.mask_roi.y + y,
        width=width,
        height=height,
    )


def markers(
    header: Header,
    entries: Iterable[TargetEntry],
    image_size_wh: tuple[int, int],
    *,
    distance_m: float,
    field_of_view_deg: float,
) -> MarkerArray:
    """Rotated boxes and captions in the camera's optical frame (z forward, x right, y down).

    They lie on a plane at `distance_m`, seen through a pinhole of the given horizontal field of
    view. The array starts with a marker that removes those of the frame before.
    """
    width, height = image_size_wh
    focal_px = width / 2 / math.tan(math.radians(field_of_view_deg) / 2)
    metres_per_px = distance_m / focal_px

    def place(x: float, y: float) -> Point:
        return Point(
            x=(x - (width - 1) / 2) * metres_per_px,
            y=(y - (height - 1) / 2) * metres_per_px,
            z=distance_m,
        )

    array = [Marker(header=header, action=Marker.DELETEALL)]
    for entry in entries:
        found = entry.result.result
        if found is None:
            continue
        corners = [place(float(x), float(y)) for x, y in found.corners]
        outline = _marker(header, entry.target_id, OUTLINE_NAMESPACE, Marker.LINE_STRIP)
        outline.scale.x = distance_m * LINE_WIDTH_PER_DISTANCE
        outline.points = [*corners, corners[0]]
        caption = _marker(header, entry.target_id, LABEL_NAMESPACE, Marker.TEXT_VIEW_FACING)
        caption.scale.z = distance_m * TEXT_HEIGHT_PER_DISTANCE
        caption.pose.position = min(corners, key=lambda corner: corner.y)
        caption.text = f"{entry.target_id} {entry.label} {entry.result.confidence:.2f}"
        array += [outline, caption]
    return MarkerArray(markers=array)


def _marker(header: Header, target_id: int, namespace: str, kind: int) -> Marker:
    blue, green, red = (channel / 255 for channel in target_colour(target_id))
    marker = Marker(
        header=header,
        ns=namespace,
        id=target_id,
        type=kind,
        action=Marker.ADD,
        color=ColorRGBA(r=red, g=green, b=blue, a=1.0),
        lifetime=MARKER_LIFETIME,
    )
    marker.pose.orientation.w = 1.0
    return marker


def _finite(value: float) -> float:
    """Numbers in messages are never NaN or infinite."""
    number = float(value)
    return number if math.isfinite(number) else 0.0
