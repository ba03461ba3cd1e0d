# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tracking results as messages, of the classes of whoever publishes or records them.

The node and the recorder of bags build the same messages, the one of rclpy's classes, the other of
those of a bag library, without ROS.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from siammask_ros.engine import Timings
    from siammask_ros.tracked import TargetEntry
    from siammask_ros.tracker_state import TrackResult

Message: TypeAlias = Any
"""Of whichever library; messages have no types."""
MessageClass = Callable[..., Message]
"""Makes a message; takes each of its fields by name."""

BOX_CORNERS = 4


@dataclass(frozen=True)
class MessageClasses:
    """What messages are made of.

    Attributes:
        image, region_of_interest: of sensor_msgs.
        point32: of geometry_msgs.
        rotated_box, rotated_box_array, confidence: of siammask_msgs.
        sequence: a one-dimensional array of numbers as the messages hold it.
    """

    image: MessageClass
    region_of_interest: MessageClass
    point32: MessageClass
    rotated_box: MessageClass
    rotated_box_array: MessageClass
    confidence: MessageClass
    sequence: Callable[[NDArray[Any]], Any]


class ResultMessages:
    """Builds the messages of results. Headers are those of the image, handed on as they are."""

    def __init__(self, classes: MessageClasses) -> None:
        self._classes = classes

    def rotated_box(self, entry: TargetEntry) -> Message:
        """One target; without a place in the image (LOST, INITIALIZING) all lengths are zero."""
        make = self._classes
        found = entry.result.result
        box = found.rotated_box if found else None
        center_x, center_y = box.center_xy if box else (0.0, 0.0)
        size_x, size_y = box.size_wh if box else (0.0, 0.0)
        corners_xy = found.corners if found else np.zeros((BOX_CORNERS, 2))
        return make.rotated_box(
            target_id=entry.target_id,
            label=entry.label,
            state=int(entry.result.status),
            confidence=_finite(entry.result.confidence),
            center_x=_finite(center_x),
            center_y=_finite(center_y),
            size_x=_finite(size_x),
            size_y=_finite(size_y),
            theta=_finite(box.theta if box else 0.0),
            corners=[make.point32(x=_finite(x), y=_finite(y), z=0.0) for x, y in corners_xy],
            roi=self._mask_region(found),
            mask_area=found.mask_area if found else 0,
            age=entry.result.age,
        )

    def rotated_box_array(
        self,
        header: Message,
        entries: Sequence[TargetEntry],
        timings: Timings,
        publish_ms: float,
    ) -> Message:
        """All targets of a frame with what it cost."""
        return self._classes.rotated_box_array(
            header=header,
            boxes=[self.rotated_box(entry) for entry in entries],
            queue_ms=timings.queue_ms,
            decode_ms=timings.decode_ms,
            inference_ms=timings.inference_ms,
            publish_ms=publish_ms,
        )

    def confidence(self, header: Message, entries: Sequence[TargetEntry]) -> Message:
        """Ids, confidences and states of a frame as parallel arrays."""
        sequence = self._classes.sequence
        confidences = [_finite(entry.result.confidence) for entry in entries]
        return self._classes.confidence(
            header=header,
            target_ids=sequence(np.array([entry.target_id for entry in entries], np.uint8)),
            confidences=sequence(np.array(confidences, np.float32)),
            states=sequence(np.array([int(entry.result.status) for entry in entries], np.uint8)),
        )

    def image(self, array: NDArray[Any], encoding: str, header: Message) -> Message:
        """An (H, W) or (H, W, C) uint8 array; `encoding` must name that layout."""
        pixels = np.ascontiguousarray(array)
        height, width = pixels.shape[:2]
        return self._classes.image(
            header=header,
            height=height,
            width=width,
            encoding=encoding,
            is_bigendian=int(sys.byteorder == "big"),
            step=pixels.nbytes // height,
            data=self._classes.sequence(pixels.reshape(-1).view(np.uint8)),
        )

    def _mask_region(self, found: TrackResult | None) -> Message:
        x, y, width, height = mask_region(found) if found else (0, 0, 0, 0)
        return self._classes.region_of_interest(
            x_offset=x, y_offset=y, width=width, height=height, do_rectify=False
        )


def mask_region(found: TrackResult) -> tuple[int, int, int, int]:
    """The smallest upright rectangle round the mask: x, y, width, height; zeros if it is empty."""
    if 0 in found.mask_in_roi.shape:
        return 0, 0, 0, 0
    x, y, width, height = cv2.boundingRect(found.mask_in_roi.view(np.uint8))
    if width == 0:
        return 0, 0, 0, 0
    return found.mask_roi.x + x, found.mask_roi.y + y, width, height


def _finite(value: float) -> float:
    """Numbers in messages are never NaN or infinite."""
    number = float(value)
    return number if math.isfinite(number) else 0.0
