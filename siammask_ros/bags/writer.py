# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Results of a run as a bag of ROS 2, without ROS."""

from __future__ import annotations

import errno
import os
import queue
import shutil
import sqlite3
import tempfile
import threading
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from siammask_ros.bags.message_types import (
    PACKAGE,
    recorded_header,
    recorded_messages,
    result_typestore,
)
from siammask_ros.bags.types import types_of
from siammask_ros.engine import Timings
from siammask_ros.frames import NANOSECONDS_PER_SECOND
from siammask_ros.tracked import mask_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from rosbags.interfaces import Connection, Qos, QosTime
    from rosbags.rosbag2 import Writer
    from typing_extensions import Self

    from siammask_ros.bags.topics import BagMessage, BagTopic, SourceHeader
    from siammask_ros.tracked import TrackedFrame

STORAGES = ("mcap", "sqlite3")
COMPRESSIONS = (None, "zstd")
NODE = "/siammask_tracker"
"""Whose topics the results have: those of the node."""
RESULTS = "results"
"""Name of the storage file, whatever the folder is called: a bag written twice is the same."""
MARK = ("siammask_ros", "replay")
"""Among a bag's custom data, it says that the times in it are those of the source."""
METADATA_VERSION: Final = 8
"""The newest that Humble, Jazzy and Kilted read alike."""
QOS_DEPTH = 5
FRAMES_AHEAD = 16
"""Frames and messages that may wait for the writing thread."""
SERVICE = "/srv/"
UNTIMED = Timings(queue_ms=0.0, decode_ms=0.0, inference_ms=0.0)


class ResultBagWriter:
    """A bag with what was found in each image, and copies of topics of the source; a folder.

    The results have the topics, types and headers of the node's. All times are those of the source,
    and the durations in `RotatedBoxArray` are zero: one source and one set of options give the same
    bytes, whatever the folder is called.

    The bag appears under its name, whole, when the `with` block ends well. After an exception
    nothing is left, and what was there before is as it was. Messages are built and written in a
    thread of their own; what fails there is raised by the next call, or at the end of the block.

    Args:
        path: the folder to make; missing folders above it are made.
        storage: "mcap" or "sqlite3".
        compression: None or "zstd": the chunks of MCAP, or each message in SQLite.
        prefix: what the names of the results' topics begin with.
        overlay: with the images with the results drawn on them.
        label_image: with the images of ids.
        overwrite: replace a bag of that name.
        notes: more for the bag's custom data.

    Raises:
        ValueError: an option has no such value, or `path` is there and no bag.
        FileExistsError: there is a bag of that name, and `overwrite` is off.
        OSError: from any call: the disk is full, or the like.
        ImportError: the package `rosbags` is not installed.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        storage: str = STORAGES[0],
        compression: str | None = None,
        prefix: str = NODE,
        overlay: bool = False,
        label_image: bool = False,
        overwrite: bool = False,
        notes: Mapping[str, str] | None = None,
    ) -> None:
        if storage not in STORAGES:
            raise ValueError(f"storage {storage!r} is none of {', '.join(STORAGES)}")
        if compression not in COMPRESSIONS:
            raise ValueError(f"compression {compression!r} is not zstd")
        if prefix and not prefix.startswith("/"):
            raise ValueError(f"prefix {prefix!r} does not begin with /")
        self._folder = _WholeFolder(Path(path), overwrite=overwrite)
        self._storage = storage
        self._compression = compression
        self._notes = {**(notes or {}), MARK[0]: MARK[1]}
        images = {"label_image": label_image, "overlay": overlay}
        self._images = ["mask", *(name for name, wanted in images.items() if wanted)]
        self._prefix = prefix.rstrip("/")
        self._types = result_typestore()
        self._build = recorded_messages()
        self._connections: dict[str, Connection] = {}
        self._copies: dict[BagTopic, Connection] = {}
        self._definitions: dict[BagTopic, _Definition] = {}
        self._writer: Writer | None = None
        # All in one thread: SQLite wants to be closed where it was opened.
        self._thread = _JobThread(FRAMES_AHEAD, at_end=self._abort)
        self.frames = 0
        """Frames taken."""
        self.messages = 0
        """Messages taken or made of them."""

    @property
    def path(self) -> Path:
        """The folder that appears."""
        return self._folder.path

    @property
    def topics(self) -> list[str]:
        """Full names of the results' topics."""
        return [f"{self._prefix}/{name}" for name in self._result_types]

    def add(self, tracked: TrackedFrame, header: SourceHeader, log_ns: int) -> None:
        """Write what was found in a frame.

        Args:
            tracked: not to be changed afterwards.
            header: of the source image; all results have it.
            log_ns: when the image was recorded.
        """
        self._thread.do(partial(self._write_results, tracked, header, log_ns))
        self.frames += 1
        self.messages += len(self._result_types)

    def copy(self, message: BagMessage) -> None:
        """Write a message of the source as it is.

        Raises:
            ValueError: its topic is one of the results', or its type is not known.
        """
        topic = message.topic
        if topic.name in self.topics:
            raise ValueError(f"topic {topic.name} cannot be copied: the results have that name")
        if topic not in self._definitions:
            self._definitions[topic] = _definition(topic)
        self._thread.do(partial(self._write_copy, message))
        self.messages += 1

    def __enter__(self) -> Self:
        self._folder.begin()
        self._thread.start()
        self._thread.do(self._open)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._thread.do(self._close)
                self._thread.finish()
                self._folder.finish()
        finally:
            self._thread.stop()
            self._folder.drop()

    @property
    def _result_types(self) -> dict[str, str]:
        images = dict.fromkeys(self._images, "sensor_msgs/msg/Image")
        return {
            "rotated_boxes": f"{PACKAGE}/msg/RotatedBoxArray",
            "confidence": f"{PACKAGE}/msg/Confidence",
            **images,
        }

    # --- In the thread

    def _open(self) -> None:
        from rosbags.rosbag2 import (
            CompressionFormat,
            CompressionMode,
            StoragePlugin,
            Writer,
        )

        in_mcap = self._storage == "mcap"
        plugin = StoragePlugin.MCAP if in_mcap else StoragePlugin.SQLITE3
        writer = Writer(self._folder.partial, version=METADATA_VERSION, storage_plugin=plugin)
        if self._compression:
            mode = CompressionMode.STORAGE if in_mcap else CompressionMode.MESSAGE
            writer.set_compression(mode, CompressionFormat.ZSTD)
        for key, value in sorted(self._notes.items()):
            writer.set_custom_data(key, value)
        with _named(self.path):
            writer.open()
        self._writer = writer
        for name, type_name in self._result_types.items():
            self._connections[name] = writer.add_connection(
                f"{self._prefix}/{name}",
                type_name,
                typestore=self._types,
                offered_qos_profiles=[_result_qos()],
            )

    def _write_copy(self, message: BagMessage) -> None:
        topic = message.topic
        if topic not in self._copies:
            definition = self._definitions[topic]
            self._copies[topic] = self._opened.add_connection(
                topic.name,
                topic.type_name,
                msgdef=definition.text,
                rihs01=definition.digest,
                offered_qos_profiles=topic.qos,
            )
        self._write(self._copies[topic], message.log_ns, message.data)

    def _write_results(self, tracked: TrackedFrame, source: SourceHeader, log_ns: int) -> None:
        header = recorded_header(source)
        entries = tracked.entries
        boxes = self._build.rotated_box_array(header, entries, UNTIMED, publish_ms=0.0)
        self._write_message("rotated_boxes", boxes, log_ns)
        self._write_message("confidence", self._build.confidence(header, entries), log_ns)
        for name in self._images:
            pixels, encoding = _IMAGES[name](tracked)
            self._write_message(name, self._build.image(pixels, encoding, header), log_ns)

    def _write_message(self, name: str, message: Any, log_ns: int) -> None:  # noqa: ANN401
        data = self._types.serialize_cdr(message, self._result_types[name])
        self._write(self._connections[name], log_ns, data)

    def _write(self, connection: Connection, log_ns: int, data: bytes | memoryview) -> None:
        with _named(self.path):
            self._opened.write(connection, log_ns, data)

    def _close(self) -> None:
        with _named(self.path):
            self._opened.close()
        self._writer = None

    def _abort(self) -> None:
        if self._writer is not None:
            with suppress(Exception):  # what failed has been said already
                self._writer.abort()
            self._writer = None

    @property
    def _opened(self) -> Writer:
        if self._writer is None:
            raise RuntimeError("the bag is not open: use the writer in a `with` block")
        return self._writer


_IMAGES: dict[str, Callable[[TrackedFrame], tuple[Any, str]]] = {
    "mask": lambda tracked: (mask_image(tracked.entries, tracked.size_wh), "mono8"),
    "label_image": lambda tracked: (tracked.label_image(), "mono8"),
    "overlay": lambda tracked: (tracked.overlay, "bgr8"),
}
"""Pixels and encoding of the images, by the name of their topic."""


class _WholeFolder:
    """A folder that appears whole or not at all.

    Attributes:
        path: the name that it gets.
        partial: where it is to be made; there only between `begin` and `drop`.
    """

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self.path = path
        self.partial = Path()
        self._overwrite = overwrite
        self._holder: Path | None = None
        self._check()

    def begin(self) -> None:
        """Prepare for it to be made as `partial`."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        name = tempfile.mkdtemp(dir=self.path.parent, prefix=f".{self.path.name}-", suffix=".part")
        self._holder = Path(name)
        self.partial = self._holder / RESULTS

    def finish(self) -> None:
        """Give it its name, in place of a folder that has it."""
        self._check()
        assert self._holder is not None
        replaced = self._holder / "replaced"
        if self.path.exists():
            self.path.rename(replaced)
        try:
            self.partial.rename(self.path)
        except OSError:
            if replaced.exists():
                replaced.rename(self.path)
            raise

    def drop(self) -> None:
        """Remove what is not finished."""
        if self._holder is not None:
            shutil.rmtree(self._holder, ignore_errors=True)
            self._holder = None

    def _check(self) -> None:
        """See to it that nothing but a bag is in the way, and that only if it may go."""
        if not self.path.exists():
            return
        is_folder = self.path.is_dir()
        if not is_folder or not (
            (self.path / "metadata.yaml").exists() or not any(self.path.iterdir())
        ):
            raise ValueError(f"{self.path} is there and is no folder of a bag: name another output")
        if not self._overwrite and any(self.path.iterdir()):
            raise FileExistsError(f"{self.path} exists already (--force replaces it)")


class _JobThread:
    """Does one job after the other in a thread; after one that failed, no more.

    Args:
        waiting: jobs that may wait.
        at_end: done in the thread when it ends.
    """

    def __init__(self, waiting: int, *, at_end: Callable[[], None]) -> None:
        self._at_end = at_end
        self._jobs: queue.Queue[Callable[[], object] | None] = queue.Queue(waiting)
        self._thread = threading.Thread(target=self._run, name="result_bag", daemon=True)
        self._error: BaseException | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def do(self, job: Callable[[], object]) -> None:
        """Put a job at the end of the queue; waits while that is full.

        Raises:
            RuntimeError: the thread does not run.
            BaseException: what an earlier job raised.
        """
        if self._error is not None:
            raise self._error
        if not self._thread.is_alive():
            raise RuntimeError("the bag is not open: use the writer in a `with` block")
        self._jobs.put(job)

    def finish(self) -> None:
        """Wait for all jobs.

        Raises:
            BaseException: what one of them raised.
        """
        self._end()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End, without the jobs that wait."""
        self._is_stopped = True
        self._end()
        # An error refers to where it was raised, and so to open files, which would stay open.
        self._error = None

    def _end(self) -> None:
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            if self._error is None and not self._is_stopped:
                try:
                    job()
                except BaseException as error:  # noqa: BLE001 - raised where it was asked for
                    self._error = error
        self._at_end()


class _Definition(NamedTuple):
    """A message type as text, with those of the types in it, and its hash."""

    text: str
    digest: str


def _definition(topic: BagTopic) -> _Definition:
    """What the bag says of a topic's type; where it does not say, what ROS does.

    Raises:
        ValueError: neither knows it.
    """
    from rosbags.typesys import Stores, get_typestore

    if topic.definition and topic.digest:
        return _Definition(topic.definition, topic.digest)
    store = result_typestore()
    defined = types_of(topic)
    if topic.type_name in defined:
        store = get_typestore(Stores.EMPTY)
        store.register(defined)
    if topic.type_name not in store.fielddefs:
        raise ValueError(
            f"topic {topic.name} cannot be copied: its bag does not define {topic.type_name}"
        )
    text = topic.definition
    # The library has no text for parts of services; readers know them, or show bytes.
    if not text and SERVICE not in topic.type_name:
        text, _ = store.generate_msgdef(topic.type_name, ros_version=2)
    return _Definition(text, store.hash_rihs01(topic.type_name))


def _result_qos() -> Qos:
    """What the node's publishers offer."""
    from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability

    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=QOS_DEPTH,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.VOLATILE,
        deadline=_never(),
        lifespan=_never(),
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_never(),
        avoid_ros_namespace_conventions=False,
    )


def _never() -> QosTime:
    """The longest time, which ROS 2 records for no limit."""
    from rosbags.interfaces import QosTime

    return QosTime(*divmod(2**63 - 1, NANOSECONDS_PER_SECOND))


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors of the disk, also those that SQLite found, with the name of what was written."""
    try:
        yield
    except sqlite3.Error as error:
        code = errno.ENOSPC if "full" in str(error) else errno.EIO
        raise OSError(code, f"{os.strerror(code)} ({error})", str(path)) from error
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
