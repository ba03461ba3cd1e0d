# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Results as a bag: read back by two libraries, whole or absent, the same twice."""

from __future__ import annotations

import errno
import filecmp
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from made_results import SIZE_WH, tracked_frame
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability, QosReliability
from rosbags.rosbag2 import Reader, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from siammask_ros.bags import message_types, writer
from siammask_ros.bags.message_types import definitions, result_typestore
from siammask_ros.bags.topics import BagMessage, BagTopic, SourceHeader
from siammask_ros.bags.writer import ResultBagWriter
from siammask_ros.drawing import draw_overlay
from siammask_ros.tracked import label_image, mask_image

REPOSITORY = Path(__file__).resolve().parent.parent
START_NS = 1_700_000_000_123_456_789
PERIOD_NS = 100_000_000
DELAY_NS = 7_000_000
"""From the stamp of an image to its recording."""
NODE = "/siammask_tracker"
FORMS = [("mcap", None), ("mcap", "zstd"), ("sqlite3", None), ("sqlite3", "zstd")]


def stamp_ns(index):
    return START_NS + index * PERIOD_NS


def header(index):
    return SourceHeader(stamp_ns(index), "camera_optical")


def sample(text, index):
    """A message of /notes, as its bag holds it."""
    store = result_typestore()
    string = store.types["std_msgs/msg/String"](data=text)
    data = bytes(store.serialize_cdr(string, string.__msgtype__))
    return BagMessage(BagTopic("/notes", string.__msgtype__), stamp_ns(index), data)


def write(path, frames=3, **options):
    with ResultBagWriter(path, **options) as bag:
        for index in range(frames):
            bag.copy(sample(f"image {index}", index))
            bag.add(tracked_frame(index), header(index), stamp_ns(index) + DELAY_NS)
    return bag


def read(path):
    """All messages by topic: lists of (log time, message)."""
    found = {}
    with AnyReader([path], default_typestore=get_typestore(Stores.EMPTY)) as reader:
        for connection, log_ns, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            found.setdefault(connection.topic, []).append((log_ns, message))
    return found


def pixels(message, channels=1):
    return np.asarray(message.data).reshape(message.height, message.width, channels).squeeze()


def disk_full(monkeypatch, after):
    """The bag library's writer finds no room from its n-th message on."""
    original = Writer.write
    calls = []

    def fail(self, connection, timestamp, data):
        calls.append(timestamp)
        if len(calls) > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(self, connection, timestamp, data)

    monkeypatch.setattr(Writer, "write", fail)


# --- What is in it


@pytest.mark.parametrize(("storage", "compression"), FORMS)
def test_what_was_written_is_read_back(tmp_path, storage, compression):
    options = {"storage": storage, "compression": compression}
    bag = write(tmp_path / "out", overlay=True, label_image=True, **options)
    found = read(tmp_path / "out")
    names = ["rotated_boxes", "confidence", "mask", "label_image", "overlay"]
    assert bag.topics == [f"{NODE}/{name}" for name in names]
    assert sorted(found) == sorted([*bag.topics, "/notes"])
    assert (bag.frames, bag.messages) == (3, 18)
    for index in range(3):
        tracked = tracked_frame(index)
        for topic in bag.topics:
            log_ns, message = found[topic][index]
            assert log_ns == stamp_ns(index) + DELAY_NS
            stamp = message.header.stamp
            assert stamp.sec * 1_000_000_000 + stamp.nanosec == stamp_ns(index)
            assert message.header.frame_id == "camera_optical"
        boxes, confidence, mask, labels, overlay = (found[topic][index][1] for topic in bag.topics)
        assert [box.target_id for box in boxes.boxes] == [2, 9]
        assert [box.label for box in boxes.boxes] == ["dog", ""]
        assert [box.state for box in boxes.boxes] == list(confidence.states) == [1, 3]
        corners = np.array([(corner.x, corner.y) for corner in boxes.boxes[0].corners])
        assert corners == pytest.approx(tracked.entries[0].result.result.corners, abs=1e-5)
        assert list(confidence.target_ids) == [2, 9]
        assert list(confidence.confidences) == [0.75, 0.25]
        assert np.array_equal(pixels(mask), mask_image(tracked.entries, SIZE_WH))
        assert np.array_equal(pixels(labels), label_image(tracked.entries, SIZE_WH))
        drawn = draw_overlay(tracked.frame.image_bgr, tracked.items())
        assert np.array_equal(pixels(overlay, 3), drawn)
        assert [mask.encoding, labels.encoding, overlay.encoding] == ["mono8", "mono8", "bgr8"]
        assert found["/notes"][index][1].data == f"image {index}"
        assert found["/notes"][index][0] == stamp_ns(index)


def test_images_are_a_wish_and_the_prefix_a_choice(tmp_path):
    bag = write(tmp_path / "out", prefix="/tracker/left/")
    names = [f"/tracker/left/{name}" for name in ("rotated_boxes", "confidence", "mask")]
    assert bag.topics == names
    assert sorted(read(tmp_path / "out")) == sorted([*names, "/notes"])


def test_a_bag_without_frames_is_a_bag(tmp_path):
    assert write(tmp_path / "out", frames=0).messages == 0
    assert read(tmp_path / "out") == {}


@pytest.mark.parametrize("storage", writer.STORAGES)
def test_offers_and_marks_are_recorded(tmp_path, storage):
    write(tmp_path / "out", storage=storage, notes={"source": "/data/drive"})
    with Reader(tmp_path / "out") as reader:
        assert reader.ros_distro == "rosbags"
        offers = {connection.topic: connection.ext.offered_qos_profiles for connection in
                  reader.connections}  # fmt: skip
    metadata = yaml.safe_load((tmp_path / "out" / "metadata.yaml").read_text())
    marks = metadata["rosbag2_bagfile_information"]["custom_data"]
    assert marks == {"siammask_ros": "replay", "source": "/data/drive"}
    (offer,) = offers[f"{NODE}/mask"]
    assert offer.reliability is QosReliability.RELIABLE
    assert offer.durability is QosDurability.VOLATILE
    assert offer.lifespan == (9223372036, 854775807)
    assert offers["/notes"] == []


def test_definitions_and_hashes_are_recorded(tmp_path):
    write(tmp_path / "out")
    with Reader(tmp_path / "out") as reader:
        (boxes,) = [c for c in reader.connections if c.topic == f"{NODE}/rotated_boxes"]
    assert boxes.digest == result_typestore().hash_rihs01("siammask_msgs/msg/RotatedBoxArray")
    parts = boxes.msgdef.data.split("=" * 80 + "\n")
    assert {part.splitlines()[0] for part in parts[1:]} == {
        "MSG: std_msgs/Header",
        "MSG: builtin_interfaces/Time",
        "MSG: siammask_msgs/RotatedBox",
        "MSG: geometry_msgs/Point32",
        "MSG: sensor_msgs/RegionOfInterest",
    }


def test_an_independent_reader_reads_mcap(tmp_path):
    reader_of = pytest.importorskip("mcap.reader", reason="the package mcap is not installed")
    decoder = pytest.importorskip("mcap_ros2.decoder", reason="mcap-ros2-support is not installed")
    for compression in (None, "zstd"):
        out = tmp_path / f"out_{compression}"
        bag = write(out, frames=40, compression=compression, overlay=True)
        with (out / "results.mcap").open("rb") as stream:
            reader = reader_of.make_reader(stream, decoder_factories=[decoder.DecoderFactory()])
            summary = reader.get_summary()
            assert summary.statistics.message_count == bag.messages == 200
            assert reader.get_header().profile == "ros2"
            seen = {}
            for _, channel, message, decoded in reader.iter_decoded_messages():
                seen.setdefault(channel.topic, []).append((message.log_time, decoded))
        assert {topic: len(messages) for topic, messages in seen.items()} == {
            **dict.fromkeys(bag.topics, 40), "/notes": 40,
        }  # fmt: skip
        log_ns, boxes = seen[f"{NODE}/rotated_boxes"][39]
        assert log_ns == stamp_ns(39) + DELAY_NS
        assert boxes.boxes[1].age == 39
        assert boxes.boxes[0].label == "dog"
        mask = seen[f"{NODE}/mask"][39][1]
        assert bytes(mask.data) == mask_image(tracked_frame(39).entries, SIZE_WH).tobytes()


@pytest.mark.parametrize(("storage", "compression"), FORMS)
def test_the_real_rosbag2_reads_it(tmp_path, storage, compression):
    rosbag2_py = pytest.importorskip("rosbag2_py", reason="rosbag2 is not installed")
    from rclpy.serialization import deserialize_message  # noqa: PLC0415 - there is a ROS

    from siammask_msgs.msg import RotatedBoxArray  # noqa: PLC0415

    bag = write(tmp_path / "out", frames=20, storage=storage, compression=compression)
    path = str(tmp_path / "out")
    info = rosbag2_py.Info().read_metadata(path, storage)
    assert (info.message_count, info.storage_identifier) == (bag.messages, storage)
    by_message = storage == "sqlite3" and compression is not None
    kind = "SequentialCompressionReader" if by_message else "SequentialReader"
    reader = getattr(rosbag2_py, kind)()
    options = rosbag2_py.StorageOptions(uri=path, storage_id=storage)
    reader.open(options, rosbag2_py.ConverterOptions("", ""))
    seen = {}
    while reader.has_next():
        topic, data, log_ns = reader.read_next()
        seen.setdefault(topic, []).append((log_ns, data))
    assert {topic: len(messages) for topic, messages in seen.items()} == {
        **dict.fromkeys(bag.topics, 20), "/notes": 20,
    }  # fmt: skip
    log_ns, data = seen[f"{NODE}/rotated_boxes"][19]
    assert log_ns == stamp_ns(19) + DELAY_NS
    boxes = deserialize_message(data, RotatedBoxArray).boxes
    assert [(box.target_id, box.label, box.age) for box in boxes] == [(2, "dog", 0), (9, "", 19)]


def test_service_events_are_copied_as_they_were(tmp_path):
    store = result_typestore()
    types = store.types
    time = types["builtin_interfaces/msg/Time"](sec=5, nanosec=6)
    box = types["siammask_msgs/msg/TargetBox"](
        id=3, label="dog", x=1.0, y=2.0, width=3.0, height=4.0
    )
    request = types["siammask_msgs/srv/SetTargets_Request"](
        camera="", stamp=time, targets=[box], replace=True
    )
    info = types["service_msgs/msg/ServiceEventInfo"](
        event_type=1, stamp=time, client_gid=np.arange(16, dtype=np.uint8), sequence_number=7
    )
    name = "siammask_msgs/srv/SetTargets_Event"
    event = types[name](info=info, request=[request], response=[])
    data = bytes(store.serialize_cdr(event, name))
    topic = BagTopic(f"{NODE}/set_targets/_service_event", name)
    with ResultBagWriter(tmp_path / "out") as bag:
        bag.copy(BagMessage(topic, START_NS, data))
    with Reader(tmp_path / "out") as reader:
        ((connection, log_ns, copied),) = reader.messages()
    assert (connection.topic, connection.msgtype, log_ns) == (topic.name, name, START_NS)
    assert bytes(copied) == data
    assert store.deserialize_cdr(copied, name).request[0].targets[0].label == "dog"


def test_a_type_that_the_source_defines_is_copied_with_its_definition(tmp_path):
    text = (
        "float64 pressure\nown_msgs/Unit unit\n" + "=" * 80 + "\nMSG: own_msgs/Unit\nstring name\n"
    )
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(text, "own_msgs/msg/Tyre"))
    known = store.hash_rihs01("own_msgs/msg/Tyre")
    for digest in (known, ""):
        topic = BagTopic("/tyre", "own_msgs/msg/Tyre", text, "ros2msg", digest)
        out = tmp_path / f"out{len(digest)}"
        data = b"\0\1\0\0" + np.float64(2.5).tobytes() + b"\4\0\0\0bar\0"
        with ResultBagWriter(out) as bag:
            bag.copy(BagMessage(topic, START_NS, data))
        ((_, message),) = read(out)["/tyre"]
        assert (message.pressure, message.unit.name) == (2.5, "bar")
        with Reader(out) as reader:
            (copied,) = [c for c in reader.connections if c.topic == "/tyre"]
        assert copied.msgdef.data == text
        assert copied.digest == known


# --- The same twice


@pytest.mark.parametrize(("storage", "compression"), FORMS)
def test_the_same_results_give_the_same_bytes(tmp_path, storage, compression):
    for name in ("one", "another"):
        write(tmp_path / name, storage=storage, compression=compression, overlay=True)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == sorted(["metadata.yaml", f"results.{'mcap' if storage == 'mcap' else 'db3'}"])
    same = filecmp.cmpfiles(tmp_path / "one", tmp_path / "another", files, shallow=False)
    assert same == (files, [], [])


# --- Whole or absent


def test_nothing_is_there_before_the_end_and_nothing_else_after(tmp_path):
    out = tmp_path / "new" / "out"
    with ResultBagWriter(out) as bag:
        bag.add(tracked_frame(0), header(0), START_NS)
        assert not out.exists()
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("storage", writer.STORAGES)
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_leaves_nothing(tmp_path, storage, error):
    def fail():
        with ResultBagWriter(tmp_path / "out", storage=storage) as bag:
            bag.add(tracked_frame(0), header(0), START_NS)
            raise error

    with pytest.raises(error):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("storage", writer.STORAGES)
@pytest.mark.parametrize("after", [0, 5, 13])
def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch, storage, after):
    disk_full(monkeypatch, after)
    with pytest.raises(OSError, match=f"No space left on device: '{tmp_path}/out'") as caught:
        write(tmp_path / "out", frames=40, storage=storage)
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("storage", writer.STORAGES)
def test_a_real_limit_of_the_file_system_is_an_error_of_one_line(tmp_path, storage):
    """The kernel refuses to let files grow; in a process of its own, which it holds for."""
    code = f"""
import os, resource, signal, sys
from pathlib import Path
sys.path.insert(0, {str(REPOSITORY / "test")!r})
from test_bags_writer import write
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({2_000_000}, {2_000_000}))
try:
    write({str(tmp_path / "out")!r}, frames=1000, storage={storage!r}, overlay=True)
except OSError as error:
    print(error)
# What is open takes room though it is removed.
print([link for link in map(os.path.realpath, Path("/proc/self/fd").glob("*")) if ".out-" in link])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    line, still_open = done.stdout.splitlines()
    assert still_open == "[]"
    assert line.endswith(f"'{tmp_path}/out'")
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_overwritten_unasked(tmp_path):
    write(tmp_path / "out", frames=1)
    with pytest.raises(FileExistsError, match=r"out exists already \(--force replaces it\)"):
        ResultBagWriter(tmp_path / "out")
    write(tmp_path / "out", frames=2, overwrite=True)
    assert len(read(tmp_path / "out")["/notes"]) == 2
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_a_failed_replacement_leaves_the_old_bag(tmp_path, monkeypatch):
    write(tmp_path / "out", frames=1)
    disk_full(monkeypatch, after=3)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "out", frames=2, overwrite=True)
    monkeypatch.undo()
    assert len(read(tmp_path / "out")["/notes"]) == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_only_bags_are_overwritten(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    (tmp_path / "recording.mcap").touch()
    for name in ("photos", "recording.mcap"):
        with pytest.raises(ValueError, match=f"{name} is there and is no folder of a bag"):
            ResultBagWriter(tmp_path / name, overwrite=True)
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", frames=1)
    assert len(read(tmp_path / "empty")["/notes"]) == 1


# --- What is refused


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"storage": "rosbag"}, "storage 'rosbag' is none of mcap, sqlite3"),
        ({"compression": "lz4"}, "compression 'lz4' is not zstd"),
        ({"prefix": "tracker"}, "prefix 'tracker' does not begin with /"),
    ],
)
def test_values_that_do_not_exist_are_named(tmp_path, options, text):
    with pytest.raises(ValueError, match=text):
        ResultBagWriter(tmp_path / "out", **options)


@pytest.mark.parametrize(
    ("topic", "text"),
    [
        (BagTopic(f"{NODE}/mask", "sensor_msgs/msg/Image"), f"{NODE}/mask cannot be copied"),
        (BagTopic("/odd", "own_msgs/msg/Odd"), "topic /odd cannot be copied.*own_msgs/msg/Odd"),
        (BagTopic("/odd", "own_msgs/msg/Odd", "nonsense(", "ros2msg"), "topic /odd cannot be"),
    ],
)
def test_a_topic_that_cannot_be_copied_is_named(tmp_path, topic, text):
    with pytest.raises(ValueError, match=text), ResultBagWriter(tmp_path / "out") as bag:
        bag.copy(BagMessage(topic, START_NS, b"\0\1\0\0"))
    assert list(tmp_path.iterdir()) == []


def test_outside_a_with_block_it_is_not_open(tmp_path):
    bag = ResultBagWriter(tmp_path / "out")
    with pytest.raises(RuntimeError, match="`with` block"):
        bag.add(tracked_frame(0), header(0), START_NS)
    with bag:
        pass
    with pytest.raises(RuntimeError, match="`with` block"):
        bag.add(tracked_frame(0), header(0), START_NS)


# --- Where the definitions come from


def test_the_checkout_s_definitions_are_used():
    assert message_types.definitions_folder() == REPOSITORY / "siammask_msgs"
    services = {"SetTargets", "ClearTargets"}
    assert set(definitions()) == {
        f"siammask_msgs/msg/{path.stem}" for path in REPOSITORY.glob("siammask_msgs/msg/*.msg")
    } | {f"siammask_msgs/srv/{name}_{part}" for name in services
         for part in ("Request", "Response", "Event")}  # fmt: skip


def test_installed_definitions_are_those_of_the_checkout(tmp_path, monkeypatch):
    """As setup.py installs them: within the package."""
    calls = []
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setattr("setuptools.setup", lambda **arguments: calls.append(arguments))
    runpy.run_path(str(REPOSITORY / "setup.py"))
    monkeypatch.undo()
    (arguments,) = calls
    wanted = {
        "packages": [name for name in arguments["packages"] if ".bags" in name],
        "package_dir": {k: str(REPOSITORY / v) for k, v in arguments["package_dir"].items()}
        | {"siammask_ros": str(REPOSITORY / "siammask_ros")},
        "package_data": arguments["package_data"],
    }
    code = f"from setuptools import setup; setup(name='probe', **{wanted!r})"
    done = subprocess.run(
        [sys.executable, "-c", code, "-q", "build_py", "--build-lib", str(tmp_path / "lib")],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    installed = tmp_path / "lib" / "siammask_ros" / "bags" / "definitions"
    monkeypatch.setattr(message_types, "_INSTALLED", installed)
    assert message_types.definitions_folder() == installed
    for path in (REPOSITORY / "siammask_msgs").glob("*/*.[ms][sr][gv]"):
        assert (installed / path.parent.name / path.name).read_bytes() == path.read_bytes()
    found = definitions()
    monkeypatch.undo()
    assert found == definitions()


def test_missing_definitions_are_named(monkeypatch, tmp_path):
    for name in ("_INSTALLED", "_CHECKOUT"):
        monkeypatch.setattr(message_types, name, tmp_path / name)
    with pytest.raises(FileNotFoundError, match="definitions of siammask_msgs are missing"):
        definitions()


def test_memory_does_not_grow_with_the_bag(tmp_path):
    """Frames of 2.7 MB; what waits for the thread is bounded."""
    code = f"""
import resource, sys
sys.path.insert(0, {str(REPOSITORY / "test")!r})
from test_bags_writer import PERIOD_NS, START_NS, ResultBagWriter, header, tracked_frame
one = tracked_frame(0, (1280, 720))
with ResultBagWriter({str(tmp_path / "out")!r}, compression="zstd") as bag:
    for index in range(220):
        bag.add(one, header(index), START_NS + index)
        if index == 60:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 60
