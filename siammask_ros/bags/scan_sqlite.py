# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SQLite files of rosbag2 that lack their end: read in the order of writing, as far as they go."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from siammask_ros.bags.storage import Definition, Survey
from siammask_ros.bags.topics import BagMessage, BagTopic

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path


def has_journal(path: Path) -> bool:
    """Whether a recorder that was killed has left messages in a journal beside the file."""
    journal = path.with_name(f"{path.name}-wal")
    return journal.is_file() and journal.stat().st_size > 0


class ScannedSqlite:
    """The part of a `.db3` file that is there; see `Storage`.

    Raises:
        ValueError: not even its list of topics can be read.
    """

    def __init__(self, path: Path) -> None:
        # With a journal it is to be read with what is only there.
        mode = "mode=ro" if has_journal(path) else "mode=ro&immutable=1"
        self._database = sqlite3.connect(f"file:{path}?{mode}", uri=True, check_same_thread=False)
        # Without this SQLite refuses a file that is shorter than it should be.
        self._database.execute("PRAGMA writable_schema=ON")
        try:
            self._topics = self._read_topics()
        except sqlite3.Error as error:
            self._database.close()
            raise ValueError(f"no topic can be read in {path}: {error}") from error
        self.damage = ""
        survey = Survey.of(self._read())
        for number, topic in self._topics.items():
            self._topics[number] = topic._replace(message_count=survey.counts.get(topic, 0))
        if self.damage:
            self.damage = f"{path.name} is cut off ({self.damage})"
        self.topics = list(self._topics.values())
        self.span_ns = survey.span_ns

    def messages(self, topics: Collection[BagTopic]) -> Iterator[BagMessage]:
        """See `Storage`; in the order of writing."""
        return (message for message in self._read() if message.topic in topics)

    def close(self) -> None:
        """See `Storage`."""
        self._database.close()

    def _read(self) -> Iterator[BagMessage]:
        # By row: the index of times lies all over the file, and its end may be missing.
        query = "SELECT topic_id, timestamp, data FROM messages NOT INDEXED ORDER BY id"
        held: BagMessage | None = None
        try:
            with closing(self._database.execute(query)) as rows:
                for number, log_ns, data in rows:
                    if held:
                        yield held
                    topic = self._topics.get(number)
                    held = BagMessage(topic, log_ns, data) if topic else None
        except sqlite3.Error as error:
            # The end of the last message may be missing: SQLite then gives zeros.
            held = None
            self.damage = self.damage or str(error)
        if held:
            yield held

    def _read_topics(self) -> dict[int, BagTopic]:
        definitions: dict[str, Definition] = {}
        with suppress(sqlite3.Error):  # of older versions, or missing
            rows = self._database.execute(
                "SELECT topic_type, encoded_message_definition, encoding, type_description_hash "
                "FROM message_definitions"
            )
            definitions = {name: Definition(*rest) for name, *rest in rows}
        nothing = Definition("", "")
        topics = {}
        for number, name, kind in self._database.execute("SELECT id, name, type FROM topics"):
            found = definitions.get(kind, nothing)
            topics[number] = BagTopic(name, kind, found.text, found.kind, found.digest)
        return topics
