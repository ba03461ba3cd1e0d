# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tracking results as messages: pure functions that need no node."""

from __future__ import annotations

from array import array

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point32
from numpy.typing import NDArray
from sensor_msgs.msg import Image, RegionOfInterest

from siammask_msgs.msg import Confidence, RotatedBox, RotatedBoxArray
from siammask_ros.frames import NANOSECONDS_PER_SECOND
from siammask_ros.result_messages import MessageClasses, ResultMessages


def _as_array(numbers: NDArray[np.generic]) -> array:
    """Numbers as rclpy holds them. It checks each element of anything else, in Python."""
    held = array(numbers.dtype.char)
    held.frombytes(memoryview(np.ascontiguousarray(numbers)).cast("B"))
    return held


_RESULTS = ResultMessages(
    MessageClasses(
        image=Image,
        region_of_interest=RegionOfInterest,
        point32=Point32,
        rotated_box=RotatedBox,
        rotated_box_array=RotatedBoxArray,
        confidence=Confidence,
        sequence=_as_array,
    )
)
rotated_box = _RESULTS.rotated_box
rotated_box_array = _RESULTS.rotated_box_array
confidence = _RESULTS.confidence
image = _RESULTS.image


def stamp_to_ns(stamp: Time) -> int:
    """A stamp in nanoseconds."""
    return int(stamp.sec) * NANOSECONDS_PER_SECOND + int(stamp.nanosec)


def ns_to_stamp(stamp_ns: int) -> Time:
    """Nanoseconds as a stamp."""
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS_PER_SECOND)
    return Time(sec=seconds, nanosec=nanoseconds)
