# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""MCAP files that lack their end: read from the start, record by record, as far as they go.

The format is that of https://mcap.dev/spec: each record has a byte that says what it is, eight
with its length, and content. The index at the end is not needed.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from siammask_ros.bags.storage import Definition, Survey, decompressor, require_magic
from siammask_ros.bags.topics import BagMessage, BagTopic

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

MAGIC = b"\x89MCAP0\r\n"
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
_RECORD = struct.Struct("<BQ")
_MESSAGE = struct.Struct("<HIQQ")
_CHUNK = struct.Struct("<QQQI")


class _Record(NamedTuple):
    kind: int
    content: bytes
    is_whole: bool


class ScannedMcap:
    """The part of an MCAP file that is there; see `Storage`.

    Raises:
        ValueError: it is no MCAP file.
    """

    def __init__(self, path: Path) -> None:
        require_magic(path, MAGIC, "an MCAP file")
        self._path = path
        self._definitions: dict[int, tuple[str, Definition]] = {}
        self._channels: dict[int, BagTopic] = {}
        self._is_whole = False
        survey = Survey.of(self._read())
        self.damage = "" if self._is_whole else f"{path.name} is cut off"
        self.span_ns = survey.span_ns
        for channel, topic in self._channels.items():
            count = survey.counts.get(topic, 0)
            self._channels[channel] = topic._replace(message_count=count)
        self.topics = list(self._channels.values())

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
                    yield from self._chunk(record)
                elif record.is_whole:
                    yield from self._take(record)
                if record.kind == FOOTER:
                    self._is_whole = record.is_whole
                    return

    def _chunk(self, record: _Record) -> Iterator[BagMessage]:
        """Its messages; of one that is cut off, those that are there."""
        if len(record.content) < _CHUNK.size + 4:
            return
        kind, rest = _text(record.content[_CHUNK.size :])
        records = _records_of(decompressor(kind)(rest[8:]))
        messages = [message for inner in records for message in self._take(inner)]
        yield from sorted(messages, key=lambda message: message.log_ns)

    def _take(self, record: _Record) -> Iterator[BagMessage]:
        if record.kind == MESSAGE:
            channel, _, log_ns, _ = _MESSAGE.unpack_from(record.content)
            if channel in self._channels:
                yield BagMessage(self._channels[channel], log_ns, record.content[_MESSAGE.size :])
        elif record.kind == SCHEMA:
            (number,) = struct.unpack_from("<H", record.content)
            name, rest = _text(record.content[2:])
            kind, rest = _text(rest)
            self._definitions[number] = (name, Definition(_text(rest)[0], kind))
        elif record.kind == CHANNEL:
            number, schema = struct.unpack_from("<HH", record.content)
            if number not in self._channels:
                topic, _ = _text(record.content[4:])
                name, definition = self._definitions.get(schema, ("", Definition("", "")))
                self._channels[number] = BagTopic(topic, name, definition.text, definition.kind)


def _records(stream: BinaryIO) -> Iterator[_Record]:
    """The records of a file; the last may lack its end."""
    while len(head := stream.read(_RECORD.size)) == _RECORD.size:
        kind, length = _RECORD.unpack(head)
        content = stream.read(length)
        yield _Record(kind, content, len(content) == length)
        if len(content) < length:
            return


def _records_of(data: bytes) -> Iterator[_Record]:
    """The whole records of a chunk."""
    begin = 0
    while begin + _RECORD.size <= len(data):
        kind, length = _RECORD.unpack_from(data, begin)
        begin += _RECORD.size
        if begin + length > len(data):
            return
        yield _Record(kind, data[begin : begin + length], is_whole=True)
        begin += length


def _text(data: bytes) -> tuple[str, bytes]:
    """A text with its length before it, and what follows."""
    (length,) = struct.unpack_from("<I", data)
    return data[4 : 4 + length].decode(), data[4 + length :]
