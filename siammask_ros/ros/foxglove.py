# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tracking results as annotations that Foxglove draws on the camera's image."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from std_msgs.msg import Header

from siammask_ros.drawing import line_thickness
from siammask_ros.ros.markers import ImagePoint, caption, state_rgb

if TYPE_CHECKING:
    from siammask_ros.tracked import TargetEntry

PACKAGE = "foxglove_msgs"
HALF_PIXEL = 0.5
"""Foxglove counts from the corner of the first pixel, not from its centre."""
FONT_PER_HEIGHT = 1 / 36
LEAST_FONT_PX = 9.0
BACKGROUND_ALPHA = 0.6


def foxglove_messages() -> Any | None:
    """The module of foxglove_msgs' messages; None where it is not installed."""
    try:
        return importlib.import_module(f"{PACKAGE}.msg")
    except ImportError:
        return None


def image_annotations(
    messages: Any,
    header: Header,
    entries: Iterable[TargetEntry],
    places: Mapping[int, ImagePoint],
    image_size_wh: tuple[int, int],
) -> Any:
    """The rotated boxes as closed lines, and captions, in the colours of the states.

    Args:
        messages: what `foxglove_messages` returns.
        header: of the image; Foxglove puts annotations on the image of the same stamp.
        entries: one a target; one without a box has no line.
        places: of the captions in the image, see `markers.CaptionPlaces`.
        image_size_wh: pixels; lines and letters fit it.

    Returns:
        A `foxglove_msgs/ImageAnnotations`.
    """
    thickness = float(line_thickness(*image_size_wh))
    font_px = max(image_size_wh[1] * FONT_PER_HEIGHT, LEAST_FONT_PX)
    dark = messages.Color(r=0.0, g=0.0, b=0.0, a=BACKGROUND_ALPHA)
    annotations = messages.ImageAnnotations()
    if hasattr(annotations, "timestamp"):  # not in old versions
        annotations.timestamp = header.stamp

    def point(x: float, y: float) -> Any:
        return messages.Point2(x=float(x) + HALF_PIXEL, y=float(y) + HALF_PIXEL)

    for entry in entries:
        red, green, blue = state_rgb(entry.result.status)
        colour = messages.Color(r=red, g=green, b=blue, a=1.0)
        if entry.result.result is not None:
            annotations.points.append(
                messages.PointsAnnotation(
                    timestamp=header.stamp,
                    type=messages.PointsAnnotation.LINE_LOOP,
                    points=[point(x, y) for x, y in entry.result.result.corners],
                    outline_color=colour,
                    thickness=thickness,
                )
            )
        if entry.target_id in places:
            x, y = places[entry.target_id]
            annotations.texts.append(
                messages.TextAnnotation(
                    timestamp=header.stamp,
                    position=point(x, y - thickness),
                    text=caption(entry),
                    font_size=font_px,
                    text_color=colour,
                    background_color=dark,
                )
            )
    return annotations
