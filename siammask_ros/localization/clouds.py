# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Point clouds as messages have them: `sensor_msgs/PointCloud2` to arrays and back."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from siammask_ros.localization.camera import FloatArray
from siammask_ros.localization.depth import DepthError

FIELD_TYPES: dict[int, type[np.generic]] = {
    1: np.int8, 2: np.uint8, 3: np.int16, 4: np.uint16,
    5: np.int32, 6: np.uint32, 7: np.float32, 8: np.float64,
}  # fmt: skip
"""Types of numbers by the constants of `sensor_msgs/PointField`."""
FLOAT32 = 7
COORDINATES = ("x", "y", "z")


class CloudMessage(Protocol):
    """What is read of a `sensor_msgs/PointCloud2`."""

    width: int
    height: int
    fields: Any
    """A sequence of `sensor_msgs/PointField`."""
    point_step: int
    row_step: int
    is_bigendian: bool
    data: Any
    """The bytes."""


def read_points(message: CloudMessage) -> NDArray[Any]:
    """The places of a cloud's points.

    Args:
        message: the cloud; only its fields x, y and z are read.

    Returns:
        (H, W, 3) metres, (1, N, 3) where the cloud has no rows; float32, or float64 where the
        message has that.

    Raises:
        DepthError: it lacks a coordinate, or its sizes cannot be right.
    """
    fields = {field.name: field for field in message.fields}
    missing = [name for name in COORDINATES if name not in fields]
    if missing:
        raise DepthError(f"the point cloud has no field {', '.join(missing)}")
    width, height, step, row_step = (
        *(message.width, message.height),
        *(message.point_step, message.row_step),
    )
    if width == 0 or height == 0:
        return np.zeros((height, width, 3), dtype=np.float32)
    # Some drivers leave the row's step out where there is one row only.
    row_step = row_step if height > 1 or row_step else width * step
    columns = []
    for name in COORDINATES:
        field = fields[name]
        kind = FIELD_TYPES.get(field.datatype)
        if kind not in (np.float32, np.float64):
            raise DepthError(f"field {name} of the point cloud is no floating-point number")
        dtype = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
        last = (height - 1) * row_step + (width - 1) * step + field.offset + dtype.itemsize
        if last > len(message.data) or field.offset + dtype.itemsize > step:
            raise DepthError(
                f"a point cloud of {width}x{height} points cannot have steps {step} and {row_step} "
                f"and {len(message.data)} bytes"
            )
        columns.append(
            np.ndarray((height, width), dtype, message.data, field.offset, (row_step, step))
        )
    return np.stack([column.astype(column.dtype.newbyteorder("=")) for column in columns], axis=-1)


@dataclass(frozen=True)
class CloudLayout:
    """The fields of a `PointCloud2` with x, y and z, as `sensor_msgs_py` makes it.

    Attributes:
        data: (N, 3) float32, the bytes.
        names, offsets: of its fields.
    """

    data: NDArray[np.float32]
    names: tuple[str, ...] = COORDINATES
    offsets: tuple[int, ...] = (0, 4, 8)
    datatype: int = FLOAT32
    point_step: int = 12
    is_bigendian: bool = sys.byteorder != "little"
    is_dense: bool = False

    @classmethod
    def of(cls, points: FloatArray) -> CloudLayout:
        """Of (N, 3) metres."""
        return cls(np.ascontiguousarray(points, dtype=np.float32))
