# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the bytes of a bag's messages mean."""

from __future__ import annotations

import struct
from functools import cached_property
from typing import TYPE_CHECKING, Any

from siammask_ros.bags.message_types import register_message_types
from siammask_ros.bags.storage import ROS2IDL, ROS2MSG
from siammask_ros.frames import NANOSECONDS_PER_SECOND

if TYPE_CHECKING:
    from rosbags.interfaces.typing import Typesdict
    from rosbags.typesys.store import Typestore

    from siammask_ros.bags.topics import BagMessage, BagTopic

IDL_RULE = "=" * 80 + "\n"
"""Between the files of a definition in IDL."""
SERVICE = "/srv/"
"""In the names of the types of services."""


class MessageTypes:
    """Decodes the messages of one bag.

    A type is what the bag says it is; where the bag does not say, what ROS and siammask_msgs say.

    Args:
        is_ros1: the bag is one of ROS 1.
    """

    def __init__(self, *, is_ros1: bool) -> None:
        self.is_ros1 = is_ros1
        self._stores: dict[tuple[str, str], Typestore] = {}

    def check(self, topic: BagTopic) -> None:
        """See to it that the messages of a topic can be decoded.

        Raises:
            ValueError: their type is not known; the text names topic and type.
        """
        self._store_of(topic)

    def decode(self, message: BagMessage) -> Any:  # noqa: ANN401 - messages have no types
        """A message, with the fields of its type.

        Raises:
            ValueError: it is not what its type says; the text names topic and time.
        """
        store = self._store_of(message.topic)
        name = message.topic.type_name
        try:
            if self.is_ros1:
                return store.deserialize_ros1(message.data, name)
            return store.deserialize_cdr(message.data, name)
        except Exception as error:
            # The library's code for damaged data ends in errors of many kinds.
            raise ValueError(f"a message of {message.topic.name} is damaged: {error}") from error

    def header_stamp_ns(self, message: BagMessage) -> int:
        """The stamp of a message that begins with a header, without decoding the rest.

        Raises:
            ValueError: it is too short to have one.
        """
        try:
            if self.is_ros1:
                _, seconds, nanoseconds = struct.unpack_from("<III", message.data)
            else:
                order = "<" if message.data[1] & 1 else ">"
                seconds, nanoseconds = struct.unpack_from(f"{order}iI", message.data, 4)
        except (struct.error, IndexError) as error:
            raise ValueError(f"a message of {message.topic.name} is damaged: {error}") from error
        return int(seconds) * NANOSECONDS_PER_SECOND + int(nanoseconds)

    def for_ros2(self, message: BagMessage) -> BagMessage:
        """The message as a bag of ROS 2 holds it; unchanged where it comes from one.

        Raises:
            ValueError: ROS 2 has another type of that name.
        """
        return self._converted(message) if self.is_ros1 else message

    def _store_of(self, topic: BagTopic) -> Typestore:
        key = (topic.type_name, topic.definition)
        if key not in self._stores:
            self._stores[key] = self._make_store(topic)
        return self._stores[key]

    def _make_store(self, topic: BagTopic) -> Typestore:
        from rosbags.typesys import Stores, get_typestore

        # What recorders write for the events of services is not the text of a message.
        types = {} if SERVICE in topic.type_name else types_of(topic)
        if topic.type_name in types:
            store: Typestore = get_typestore(Stores.EMPTY)
            store.register(types)
            return store
        store = get_typestore(Stores.ROS1_NOETIC if self.is_ros1 else Stores.LATEST)
        if not self.is_ros1:
            register_message_types(store)
        if topic.type_name not in store.fielddefs:
            raise ValueError(
                f"the type of topic {topic.name}, {topic.type_name}, is unknown: the bag does not "
                "define it, and it is not one of the usual ones"
            )
        return store

    @cached_property
    def _ros2_store(self) -> Typestore:
        """Own to this bag: the types that it defines itself are added."""
        from rosbags.typesys import Stores, get_typestore

        store: Typestore = get_typestore(Stores.LATEST)
        register_message_types(store)
        return store

    def _converted(self, message: BagMessage) -> BagMessage:
        topic = message.topic
        name, store = topic.type_name, self._ros2_store
        self._learn(topic)
        definition, _ = store.generate_msgdef(name, ros_version=2)
        return message._replace(
            topic=topic._replace(
                definition=definition, definition_format=ROS2MSG, digest=store.hash_rihs01(name)
            ),
            data=bytes(store.ros1_to_cdr(message.data, name)),
        )

    def _learn(self, topic: BagTopic) -> None:
        """Take the type of a ROS 1 topic over into those of ROS 2."""
        from rosbags.convert.converter import is_same_wireformat

        name, store, source = topic.type_name, self._ros2_store, self._store_of(topic)
        types = types_of(topic)
        store.register({kind: types[kind] for kind in types if kind not in store.fielddefs})
        if name not in store.fielddefs or not is_same_wireformat(source, store, name, name):
            raise ValueError(
                f"topic {topic.name} cannot be copied: {name} has other fields in ROS 2"
            )


def types_of(topic: BagTopic) -> Typesdict:
    """The types that a topic's definition defines; none if it cannot be understood."""
    from rosbags.typesys import TypesysError, get_types_from_idl, get_types_from_msg

    if not topic.definition:
        return {}
    try:
        if topic.definition_format == ROS2MSG:
            return get_types_from_msg(topic.definition, topic.type_name)
        if topic.definition_format == ROS2IDL:
            return {
                name: fields
                for text in _idl_files(topic.definition)
                for name, fields in get_types_from_idl(text).items()
            }
    except (TypesysError, ValueError, KeyError):
        return {}
    return {}


def _idl_files(definition: str) -> list[str]:
    """The files of an IDL definition, without their headings."""
    files = []
    for text in definition.split(IDL_RULE):
        heading, _, rest = text.partition("\n")
        body = rest if heading.startswith("IDL: ") else text
        files += [body] if body.strip() else []
    return files
