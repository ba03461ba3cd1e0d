# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Point clouds: messages to arrays and back, against struct and sensor_msgs_py."""

from __future__ import annotations

import struct
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from siammask_ros.localization.clouds import CloudLayout, read_points
from siammask_ros.localization.depth import DepthError

POINTS = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)


def cloud(points=POINTS, *, order="<", kind="f", step=20, offsets=(4, 8, 12), rows=1, gap=0):
    """A cloud with other bytes before, between and after the coordinates, by struct."""
    data, per_row = b"", len(points) // rows
    for index, point in enumerate(points):
        entry = bytearray(b"\xee" * step)
        for value, offset in zip(point, offsets, strict=True):
            struct.pack_into(f"{order}{kind}", entry, offset, value)
        data += bytes(entry) + (b"\xee" * gap if (index + 1) % per_row == 0 else b"")
    fields = [SimpleNamespace(name=name, offset=offset, datatype={"f": 7, "d": 8}[kind])
              for name, offset in zip("xyz", offsets, strict=True)]  # fmt: skip
    fields.insert(0, SimpleNamespace(name="ring", offset=0, datatype=4))
    return SimpleNamespace(
        width=per_row, height=rows, point_step=step, row_step=per_row * step + gap, data=data,
        is_bigendian=order == ">", fields=fields,
    )  # fmt: skip


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    ("kind", "step", "offsets"), [("f", 20, (4, 8, 12)), ("d", 40, (32, 8, 16))]
)
@pytest.mark.parametrize(("rows", "gap"), [(1, 0), (2, 12)])
def test_points_of_a_message(order, kind, step, offsets, rows, gap):
    found = read_points(
        cloud(order=order, kind=kind, step=step, offsets=offsets, rows=rows, gap=gap)
    )
    assert found.shape == (rows, 6 // rows, 3)
    assert np.array_equal(found.reshape(-1, 3), POINTS)
    assert found.dtype.isnative


def test_an_empty_cloud_and_one_without_a_row_step():
    message = cloud()
    message.row_step = 0
    assert np.array_equal(read_points(message)[0], POINTS)
    message.width = 0
    assert read_points(message).shape == (1, 0, 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda message: message.fields.pop(), "has no field z"),
        (lambda message: message.fields.clear(), "has no field x, y, z"),
        (lambda message: setattr(message.fields[2], "datatype", 4), "field y of the point cloud"),
        (lambda message: setattr(message, "data", b"1"), "cannot have steps 20 and 120 and 1"),
        (lambda message: setattr(message.fields[1], "offset", 18), "cannot have steps"),
    ],
)  # fmt: skip
def test_bad_clouds_are_refused(change, words):
    message = cloud()
    change(message)
    with pytest.raises(DepthError, match=words):
        read_points(message)


def test_what_is_written_is_read_again():
    layout = CloudLayout.of(POINTS.astype(np.float64))
    fields = [SimpleNamespace(name=name, offset=offset, datatype=layout.datatype)
              for name, offset in zip(layout.names, layout.offsets, strict=True)]  # fmt: skip
    data = layout.data.tobytes()
    message = SimpleNamespace(
        width=6, height=1, point_step=layout.point_step, row_step=72, data=data, fields=fields,
        is_bigendian=layout.is_bigendian,
    )  # fmt: skip
    assert np.array_equal(read_points(message)[0], POINTS)
    order = "<" if sys.byteorder == "little" else ">"
    assert data == struct.pack(f"{order}18f", *POINTS.ravel())
    assert CloudLayout.of(np.zeros((0, 3))).data.tobytes() == b""
