# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One file of messages, or one whole recording, open for reading."""

from __future__ import annotations

import bz2
import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from siammask_ros.bags.topics import BagMessage, BagTopic

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path
    from types import ModuleType

    from rosbags.interfaces import Connection

ROS2MSG = "ros2msg"
ROS2IDL = "ros2idl"


class Storage(Protocol):
    """Messages of some topics.

    Attributes:
        topics: what there is, by name and type.
        span_ns: when the first and the last message were recorded; None without messages.
        damage: why it does not hold all that was recorded; empty if it does.
    """

    topics: list[BagTopic]
    span_ns: tuple[int, int] | None
    damage: str

    def messages(self, topics: Collection[BagTopic]) -> Iterator[BagMessage]:
        """The messages of these topics in the order of recording.

        Raises:
            Exception: of any kind, where the file is damaged.
        """

    def close(self) -> None:
        """Let go of the file."""


class IntactStorage:
    """A recording that the bag library reads.

    Args:
        reader: a reader of rosbags for ROS 1 or 2, which is opened here.

    Raises:
        Exception: of any kind, if the library cannot read it.
    """

    def __init__(self, reader: Any) -> None:  # noqa: ANN401 - of two classes without a base
        reader.open()
        self.damage = ""
        self._reader = reader
        self._connections: dict[BagTopic, list[Connection]] = {}
        for connection in reader.connections:
            self._add(connection)
        self.topics = list(self._connections)
        self.span_ns = None
        if reader.message_count:
            self.span_ns = (reader.start_time, reader.end_time - 1)  # the library's end is after it

    def messages(self, topics: Collection[BagTopic]) -> Iterator[BagMessage]:
        """See `Storage`."""
        homes = {
            connection.id: topic for topic in topics for connection in self._connections[topic]
        }
        wanted = [c for topic in topics for c in self._connections[topic]]
        if not wanted:
            return
        for connection, log_ns, data in self._reader.messages(connections=wanted):
            yield BagMessage(homes[connection.id], log_ns, data)

    def close(self) -> None:
        """See `Storage`."""
        self._reader.close()

    def _add(self, connection: Connection) -> None:
        """ROS 1 has a connection for each publisher: they are one topic."""
        name = f"/{connection.topic.lstrip('/')}"  # ROS 1 allows names without
        key = (name, connection.msgtype)
        held: list[Connection] = []
        for topic in list(self._connections):
            if (topic.name, topic.type_name) == key:
                held = self._connections.pop(topic)
        held.append(connection)
        definition = connection.msgdef
        formats = {"MSG": ROS2MSG, "IDL": ROS2IDL}
        topic = BagTopic(
            name=name,
            type_name=connection.msgtype,
            definition=definition.data,
            definition_format=formats.get(definition.format.name, ""),
            digest=connection.digest or "",
            message_count=sum(c.msgcount for c in held),
            qos=tuple(getattr(connection.ext, "offered_qos_profiles", ())),
        )
        self._connections[topic] = held


class Chain:
    """Several files of one recording, one after the other."""

    def __init__(self, storages: list[Storage]) -> None:
        self.damage = "; ".join(storage.damage for storage in storages if storage.damage)
        self._storages = storages
        merged: dict[tuple[str, str], BagTopic] = {}
        for topic in (topic for storage in storages for topic in storage.topics):
            key = (topic.name, topic.type_name)
            if key in merged:
                count = merged[key].message_count + topic.message_count
                topic = merged[key]._replace(message_count=count)  # noqa: PLW2901
            merged[key] = topic
        self.topics = list(merged.values())
        self.message_count = sum(topic.message_count for topic in self.topics)
        spans = [storage.span_ns for storage in storages if storage.span_ns]
        self.span_ns = None
        if spans:
            self.span_ns = (min(start for start, _ in spans), max(end for _, end in spans))

    def messages(self, topics: Collection[BagTopic]) -> Iterator[BagMessage]:
        """See `Storage`."""
        homes = {(topic.name, topic.type_name): topic for topic in topics}
        for storage in self._storages:
            wanted = [topic for topic in storage.topics if (topic.name, topic.type_name) in homes]
            for message in storage.messages(wanted):
                home = homes[message.topic.name, message.topic.type_name]
                yield message._replace(topic=home)

    def close(self) -> None:
        """See `Storage`."""
        for storage in self._storages:
            storage.close()


class Definition(NamedTuple):
    """The text of a type and its format."""

    text: str
    kind: str
    digest: str = ""


@dataclass
class Survey:
    """What a first pass over a damaged file finds.

    Attributes:
        counts: messages of each topic.
        span_ns: as in `Storage`.
    """

    counts: dict[BagTopic, int] = field(default_factory=dict)
    span_ns: tuple[int, int] | None = None

    @classmethod
    def of(cls, messages: Iterable[BagMessage]) -> Survey:
        """Count messages."""
        survey = cls()
        for topic, log_ns, _ in messages:
            survey.counts[topic] = survey.counts.get(topic, 0) + 1
            first, last = survey.span_ns or (log_ns, log_ns)
            survey.span_ns = (min(first, log_ns), max(last, log_ns))
        return survey


def require_magic(path: Path, magic: bytes, kind: str) -> None:
    """Check how a file begins.

    Raises:
        ValueError: not like this; the text says that the file is not of the kind.
    """
    with path.open("rb") as stream:
        if stream.read(len(magic)) != magic:
            raise ValueError(f"not {kind}: {path}")


def zstd_module() -> ModuleType:
    """Zstandard as the bag library has it: of Python from 3.14 on, before that a package."""
    try:
        return importlib.import_module("compression.zstd")
    except ImportError:
        return importlib.import_module("backports.zstd")


def decompressor(kind: str) -> Callable[[bytes], bytes]:
    """What decompresses as much as there is of a piece of data that may be cut off.

    Raises:
        ValueError: there is no such kind of compression.
    """
    if kind in {"", "none"}:
        return lambda data: data
    if kind == "zstd":
        return lambda data: bytes(zstd_module().ZstdDecompressor().decompress(data))
    if kind == "lz4":
        frames = importlib.import_module("lz4.frame")
        return lambda data: bytes(frames.LZ4FrameDecompressor().decompress(data))
    if kind == "bz2":
        return lambda data: bz2.BZ2Decompressor().decompress(data)
    raise ValueError(f"compression {kind!r} is not supported")
