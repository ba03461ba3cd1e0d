# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Results in a bag as a table: of `siammask replay`, or recorded from the running node."""

from __future__ import annotations

import warnings
from dataclasses import astuple, fields
from typing import TYPE_CHECKING, NamedTuple

from siammask_ros.bags.reader import BOXES_TYPE, Bag, open_bag
from siammask_ros.frames import MILLISECONDS_PER_SECOND, NANOSECONDS_PER_SECOND
from siammask_ros.results import ResultRow
from siammask_ros.target_status import TargetStatus

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    import pandas as pd

    from siammask_ros.bags.topics import BagTopic
    from siammask_ros.result_messages import Message

NANOSECONDS_PER_MILLISECOND = NANOSECONDS_PER_SECOND // MILLISECONDS_PER_SECOND
KINDS = {"str": "str", "int": "int64", "float": "float64", "float | None": "float64"}


class StampedRow(NamedTuple):
    """A row, and the stamp of the image that it is about, in nanoseconds."""

    stamp_ns: int
    row: ResultRow


def read_result_bag(path: str | os.PathLike[str], topic: str = "") -> pd.DataFrame:
    """The results in a bag: a row a target and image, in the order of recording.

    Args:
        path: a bag of `siammask replay`, or one with the node's `rotated_boxes`.
        topic: the topic of boxes; needed where there are several.

    Returns:
        the columns of `ResultRow`, and `stamp_ns`, the image's stamp. `clip` is the bag's name,
        `frame` counts the images with results from 0, `time_s` from the stamp of the first of them.
        `latency_ms` is from the stamp to the recording of the result, NaN in a bag of a replay.

    Raises:
        FileNotFoundError, ValueError: there is no such bag, or no such topic in it.
        ImportError: the package `pandas` or `rosbags` is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "tables of bags need the package 'pandas' (pip install pandas); "
            "siammask_ros.bags.table.result_rows does without it"
        ) from error
    columns = {f.name: KINDS[str(f.type)] for f in fields(ResultRow)} | {"stamp_ns": "int64"}
    rows = ((*astuple(row), stamp_ns) for stamp_ns, row in result_rows(path, topic))
    return pd.DataFrame.from_records(rows, columns=list(columns)).astype(columns)


def result_rows(path: str | os.PathLike[str], topic: str = "") -> Iterator[StampedRow]:
    """As `read_result_bag`, row by row and without pandas; `latency_ms` may be None.

    Warns where a part of the bag cannot be read.
    """
    with open_bag(path) as bag:
        boxes_topic = _boxes_topic(bag, topic)
        clip = bag.path.name if bag.path.is_dir() else bag.path.stem
        first_ns = None
        for frame, recorded in enumerate(bag.messages([boxes_topic])):
            message = bag.decode(recorded)
            stamp = message.header.stamp
            stamp_ns = int(stamp.sec) * NANOSECONDS_PER_SECOND + int(stamp.nanosec)
            first_ns = stamp_ns if first_ns is None else first_ns
            time_s = (stamp_ns - first_ns) / NANOSECONDS_PER_SECOND
            latency_ms = _latency_ms(message, recorded.log_ns - stamp_ns)
            for box in message.boxes:
                row = _row(box, clip=clip, frame=frame, time_s=time_s, latency_ms=latency_ms)
                yield StampedRow(stamp_ns, row)
        for text in bag.warnings:
            warnings.warn(text, stacklevel=2)


def _boxes_topic(bag: Bag, name: str) -> BagTopic:
    there = [topic for topic in bag.topics if topic.type_name == BOXES_TYPE]
    found = [topic for topic in there if name in ("", topic.name)]
    listed = ", ".join(topic.name for topic in there) or "none"
    if not found:
        wanted = f"topic {name} of boxes" if name else f"topic of {BOXES_TYPE}"
        raise ValueError(f"no {wanted} in {bag.path}; there is {listed}")
    if len(found) > 1:
        raise ValueError(f"{bag.path} has several topics of boxes, name one: {listed}")
    return found[0]


def _latency_ms(message: Message, since_stamp_ns: int) -> float | None:
    """From the stamp to the recording; None in a replay, whose messages tell of no time taken."""
    took = (message.queue_ms, message.decode_ms, message.inference_ms, message.publish_ms)
    return since_stamp_ns / NANOSECONDS_PER_MILLISECOND if any(took) else None


def _row(
    box: Message, *, clip: str, frame: int, time_s: float, latency_ms: float | None
) -> ResultRow:
    x1, y1, x2, y2, x3, y3, x4, y4 = (
        float(number) for corner in box.corners for number in (corner.x, corner.y)
    )
    return ResultRow(
        clip=clip,
        frame=frame,
        time_s=time_s,
        target_id=int(box.target_id),
        label=box.label,
        state=TargetStatus(box.state).name,
        confidence=float(box.confidence),
        center_x=float(box.center_x),
        center_y=float(box.center_y),
        size_x=float(box.size_x),
        size_y=float(box.size_y),
        theta=float(box.theta),
        x1=x1,
        y1=y1,
        x2=x2,
        y2=y2,
        x3=x3,
        y3=y3,
        x4=x4,
        y4=y4,
        mask_area=int(box.mask_area),
        age=int(box.age),
        latency_ms=latency_ms,
    )
