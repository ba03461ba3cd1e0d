# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags of ROS 1 and ROS 2, read without ROS.

    with open_bag("recording") as bag:
        topic = bag.image_topic()
        for message in bag.messages([topic]):
            use(bag.decode(message))

A bag whose end is missing, because the recorder was killed or a copy broke off, gives what is
there; `Bag.warnings` says so.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siammask_ros.bags.scan_mcap import ScannedMcap
from siammask_ros.bags.scan_ros1 import ScannedRos1
from siammask_ros.bags.scan_sqlite import ScannedSqlite, has_journal
from siammask_ros.bags.storage import Chain, IntactStorage, decompressor, zstd_module
from siammask_ros.bags.types import MessageTypes

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterator

    from typing_extensions import Self

    from siammask_ros.bags.storage import Storage
    from siammask_ros.bags.topics import BagMessage, BagTopic

METADATA = "metadata.yaml"
ROS1_SUFFIXES = (".bag", ".bag.active")
STORAGE_SUFFIXES = (".mcap", ".db3")
PACKED = ".zstd"
IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
BOXES_TYPE = "siammask_msgs/msg/RotatedBoxArray"
RESULT_IMAGES = ("mask", "label_image", "overlay")
"""Beside a topic of boxes: what a tracker has made of the images, not images of a camera."""
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
COPY_BYTES = 1 << 20


class Bag:
    """A bag that is open; a context manager.

    Attributes:
        path: the file or folder.
        topics: what it holds, by name.
        span_ns: when the first and the last message were recorded; None without messages.
        types: decodes messages.
        warnings: what is missing of it, a line each; grows while messages are read.
    """

    def __init__(self, path: Path, storage: Storage, *, is_ros1: bool, opened: ExitStack) -> None:
        self.path = path
        self.topics = sorted(storage.topics, key=lambda topic: topic.name)
        self.span_ns = storage.span_ns
        self.types = MessageTypes(is_ros1=is_ros1)
        self.warnings: list[str] = []
        self._storage = storage
        self._opened = opened
        if storage.damage:
            self.warn(f"{storage.damage}; all that could be read of it is used")

    def warn(self, text: str) -> None:
        """Add to the warnings."""
        if text not in self.warnings:
            self.warnings.append(text)

    def image_topics(self) -> list[BagTopic]:
        """The topics with images that a tracker has not made."""
        made = {
            topic.name.rpartition("/")[0] for topic in self.topics if topic.type_name == BOXES_TYPE
        }
        results = {f"{namespace}/{name}" for namespace in made for name in RESULT_IMAGES}
        return [
            topic
            for topic in self.topics
            if topic.type_name in IMAGE_TYPES and topic.name not in results
        ]

    def image_topic(self, name: str = "") -> BagTopic:
        """The topic with images of this name, or the only one.

        Raises:
            ValueError: there is none, or more than one and none is named; the text lists them.
        """
        if name:
            found = [topic for topic in self.topics if topic.name == _with_slash(name)]
            images = [topic for topic in found if topic.type_name in IMAGE_TYPES]
            if found and not images:
                raise ValueError(
                    f"topic {name} of {self.path} is {found[0].type_name}, no image; "
                    f"{_listed(self.image_topics())}"
                )
            if not images:
                raise ValueError(
                    f"no image topic {name} in {self.path}; {_listed(self.image_topics())}"
                )
        else:
            images = [topic for topic in self.image_topics() if topic.message_count]
            if not images:
                there = ", ".join(f"{t.name} ({t.type_name})" for t in self.topics) or "nothing"
                notes = "".join(f" ({warning})" for warning in self.warnings)
                raise ValueError(f"no image topic in {self.path}; there is {there}{notes}")
        if len(images) > 1:
            raise ValueError(
                f"{self.path} has several image topics, name one: "
                f"{', '.join(topic.name for topic in images)}"
            )
        self.types.check(images[0])
        return images[0]

    def topic(self, name: str) -> BagTopic:
        """The topic of a name.

        Raises:
            ValueError: there is none.
        """
        for topic in self.topics:
            if topic.name == _with_slash(name):
                return topic
        there = ", ".join(topic.name for topic in self.topics) or "nothing"
        raise ValueError(f"no topic {name} in {self.path}; there is {there}")

    def messages(self, topics: Collection[BagTopic]) -> Iterator[BagMessage]:
        """The messages of some topics in the order of recording, as far as they can be read.

        Only one such pass may be on its way at a time.
        """
        if not topics:
            return
        passed = self._storage.messages(topics)
        log_ns = None
        while True:
            try:
                message = next(passed)
            except StopIteration:
                return
            except Exception as error:  # noqa: BLE001 - damage ends in errors of many kinds
                where = "" if log_ns is None or not self.span_ns else _after(log_ns, self.span_ns)
                self.warn(f"{self.path} is damaged: it cannot be read on{where} ({error})")
                return
            log_ns = message.log_ns
            yield self._plain(message)

    def decode(self, message: BagMessage) -> Any:  # noqa: ANN401 - messages have no types
        """See `MessageTypes.decode`."""
        return self.types.decode(message)

    def close(self) -> None:
        """Let go of the files."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _plain(self, message: BagMessage) -> BagMessage:
        """A message that was compressed by itself, in a file that does not say so."""
        if self.types.is_ros1 or not message.data.startswith(ZSTD_MAGIC):
            return message
        return message._replace(data=zstd_module().decompress(message.data))


def is_bag(path: str | os.PathLike[str]) -> bool:
    """Whether a path looks like a bag: a file by its name, a folder by what is in it."""
    path = Path(path)
    if not path.is_dir():
        return _is_ros1(path) or _is_storage(path)
    return (path / METADATA).exists() or bool(_storage_files(path))


def find_bags(folder: Path) -> list[Path]:
    """The bags in a folder that is none itself, by name; not those in folders below."""
    return sorted(path for path in folder.iterdir() if is_bag(path))


def open_bag(path: str | os.PathLike[str]) -> Bag:
    """Open a bag: a folder of rosbag2, one of its `.mcap` or `.db3` files, or a ROS 1 `.bag`.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: it is not a bag, or nothing of it can be read.
        ImportError: the package `rosbags` is not installed.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no such bag: {path}")
    if not is_bag(path):
        raise ValueError(
            f"not a bag: {path} (a bag is a folder with {METADATA}, or a file .mcap, .db3 or .bag)"
        )
    try:
        import rosbags.rosbag2  # noqa: F401
    except ImportError as error:
        raise ImportError("bags need the package 'rosbags' (pip install rosbags)") from error
    with ExitStack() as stack:
        storage, note = _open_storage(path, stack)
        stack.callback(storage.close)
        bag = Bag(path, storage, is_ros1=_is_ros1(path), opened=stack.pop_all())
    if note:
        bag.warn(note)
    return bag


def _open_storage(path: Path, stack: ExitStack) -> tuple[Storage, str]:
    """The messages of a bag, and what is to be said of it."""
    from rosbags.rosbag2 import Reader

    if not path.is_dir():
        return _open_file(path, stack), ""
    if not (path / METADATA).exists():
        files = _storage_files(path)
        return Chain([_open_file(file, stack) for file in files]), (
            f"{path} has no {METADATA}, its recording was not finished: its files are read"
        )
    try:
        return IntactStorage(Reader(path)), ""
    except Exception as error:
        files = _storage_files(path)
        if not files:
            raise ValueError(f"not a bag that can be read: {path} ({error})") from error
        chain = Chain([_open_file(file, stack) for file in files])
        # The library also refuses bags that are whole, for a definition it does not understand.
        is_whole = chain.message_count == _promised_messages(path / METADATA)
        note = f"{path} is not whole ({error}): its files are read"
        return chain, "" if chain.damage or is_whole else note


def _promised_messages(metadata: Path) -> int | None:
    """How many messages a bag should have; None if its metadata do not say."""
    import yaml

    try:
        content = yaml.safe_load(metadata.read_text(encoding="utf-8"))
        return int(content["rosbag2_bagfile_information"]["message_count"])
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, ValueError):
        return None


def _open_file(path: Path, stack: ExitStack) -> Storage:
    """One file, by its index; where that is missing, as far as it goes.

    Raises:
        ValueError: nothing can be read of it.
    """
    from rosbags import rosbag1, rosbag2

    if path.suffix == PACKED:
        path = _unpacked(path, stack)
    if path.suffix == ".db3" and has_journal(path):
        return ScannedSqlite(path)
    try:
        reader = rosbag1.Reader(path) if _is_ros1(path) else rosbag2.Reader(path)
        return IntactStorage(reader)
    except Exception as error:  # noqa: BLE001 - damage ends in errors of many kinds
        try:
            if _is_ros1(path):
                return ScannedRos1(path)
            return ScannedMcap(path) if path.suffix == ".mcap" else ScannedSqlite(path)
        except Exception as other:  # noqa: BLE001
            reason = " ".join(f"{error}; {other}".split())
            raise ValueError(f"not a bag that can be read: {path} ({reason})") from error


def _unpacked(path: Path, stack: ExitStack) -> Path:
    """A compressed file, decompressed as far as it goes into a folder that the stack removes."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="siammask-bag-")))
    plain = folder / path.name.removesuffix(PACKED)
    try:
        with zstd_module().open(path, "rb") as packed, plain.open("wb") as stream:
            shutil.copyfileobj(packed, stream, COPY_BYTES)
    except EOFError:
        plain.write_bytes(decompressor("zstd")(path.read_bytes()))
    return plain


def _storage_files(folder: Path) -> list[Path]:
    """The files of a recording in their order: NAME_2 comes before NAME_10."""
    files = [path for path in folder.iterdir() if path.is_file() and _is_storage(path)]
    return sorted(files, key=lambda path: (len(path.name), path.name))


def _is_storage(path: Path) -> bool:
    return path.name.removesuffix(PACKED).endswith(STORAGE_SUFFIXES)


def _is_ros1(path: Path) -> bool:
    return path.name.endswith(ROS1_SUFFIXES)


def _with_slash(name: str) -> str:
    """ROS 1 allows names without the slash; here all have it."""
    return f"/{name.lstrip('/')}"


def _listed(topics: list[BagTopic]) -> str:
    if not topics:
        return "it has none"
    return f"there is {', '.join(topic.name for topic in topics)}"


def _after(log_ns: int, span_ns: tuple[int, int]) -> str:
    return f" {(log_ns - span_ns[0]) / 1e9:.1f} s after its start"
