# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags of ROS 1 that lack their end: read from the start, record by record, as far as they go.

The format is version 2.0 of ROS 1: a record is a header of named fields and data, each with its
length before it; messages lie in chunks. The index at the end is not needed.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from siammask_ros.bags.storage import ROS2MSG, Survey, decompressor, require_magic
from siammask_ros.bags.topics import BagMessage, BagTopic
from siammask_ros.frames import NANOSECONDS_PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

MAGIC = b"#ROSBAG V2.0\n"
MESSAGE, BAG_HEADER, CHUNK, CONNECTION = 0x02, 0x03, 0x05, 0x07
_LENGTH = struct.Struct("<I")


class _Record(NamedTuple):
    fields: dict[str, bytes]
    data: bytes
    is_whole: bool

    @property
    def kind(self) -> int:
        return self.fields.get("op", b"\0")[0]

    def number(self, name: str) -> int:
        return int.from_bytes(self.fields[name], "little")


class ScannedRos1:
    """The part of a ROS 1 bag that is there; see `Storage`.

    Raises:
        ValueError: it is no such bag.
    """

    def __init__(self, path: Path) -> None:
        require_magic(path, MAGIC, "a bag of ROS 1")
        self._path = path
        self._connections: dict[int, BagTopic] = {}
        survey = Survey.of(self._read())
        self.damage = f"{path.name} is cut off: it has no index"
        self.span_ns = survey.span_ns
        counted = {
            topic: topic._replace(message_count=count) for topic, count in survey.counts.items()
        }
        for number, topic in self._connections.items():
            self._connections[number] = counted.get(topic, topic)
        self.topics = list(dict.fromkeys(self._connections.values()))

    def messages(self, topics: Collection[BagTopic]) -> Iterator[BagMessage]:
        """See `Storage`; in the order of the file."""
        return (message for message in self._read() if message.topic in topics)

    def close(self) -> None:
        """See `Storage`."""

    def _read(self) -> Iterator[BagMessage]:
        with self._path.open("rb") as stream:
            stream.seek(len(MAGIC))
            for record in _records(stream):
                if record.kind == CHUNK:
                    kind = record.fields["compression"].decode()
                    for inner in _records_of(decompressor(kind)(record.data)):
                        yield from self._take(inner)
                elif record.is_whole:
                    yield from self._take(record)

    def _take(self, record: _Record) -> Iterator[BagMessage]:
        if record.kind == MESSAGE and record.number("conn") in self._connections:
            seconds, nanoseconds = struct.unpack("<II", record.fields["time"])
            log_ns = seconds * NANOSECONDS_PER_SECOND + nanoseconds
            yield BagMessage(self._connections[record.number("conn")], log_ns, record.data)
        elif record.kind == CONNECTION and record.number("conn") not in self._connections:
            about = _fields(record.data)
            package, _, name = about["type"].decode().partition("/")
            self._connections[record.number("conn")] = BagTopic(
                name=f"/{record.fields['topic'].decode().lstrip('/')}",
                type_name=f"{package}/msg/{name}",
                definition=about["message_definition"].decode(errors="replace"),
                definition_format=ROS2MSG,
            )


def _records(stream: BinaryIO) -> Iterator[_Record]:
    """The records of a file; the last may lack its end."""
    while True:
        header, is_whole = _read_piece(stream)
        if not is_whole:
            return
        data, is_whole = _read_piece(stream)
        yield _Record(_fields(header), data, is_whole)
        if not is_whole:
            return


def _read_piece(stream: BinaryIO) -> tuple[bytes, bool]:
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return b"", False
    (length,) = _LENGTH.unpack(head)
    content = stream.read(length)
    return content, len(content) == length


def _records_of(data: bytes) -> Iterator[_Record]:
    """The whole records of a chunk."""
    begin = 0
    while True:
        pieces = []
        for _ in range(2):
            if begin + _LENGTH.size > len(data):
                return
            (length,) = _LENGTH.unpack_from(data, begin)
            begin += _LENGTH.size
            if begin + length > len(data):
                return
            pieces.append(data[begin : begin + length])
            begin += length
        yield _Record(_fields(pieces[0]), pieces[1], is_whole=True)


def _fields(header: bytes) -> dict[str, bytes]:
    """The named fields of a header."""
    fields, begin = {}, 0
    while begin + _LENGTH.size <= len(header):
        (length,) = _LENGTH.unpack_from(header, begin)
        begin += _LENGTH.size
        name, _, value = header[begin : begin + length].partition(b"=")
        fields[name.decode()] = value
        begin += length
    return fields
