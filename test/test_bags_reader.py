# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags of every kind, whole and cut off, against what was written into them."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from tiny_bags import (
    IMAGES,
    START_NS,
    TinyBag,
    camera_bag,
    cut,
    log_ns,
    picture,
    stamp_ns,
)

from siammask_ros.bags.reader import find_bags, is_bag, open_bag
from siammask_ros.image_messages import decoder_of

FRAMES = 6


def pictures_in(path, topic=""):
    """The numbers of the pictures, and what was warned of."""
    with open_bag(path) as bag:
        numbers = []
        for message in bag.messages([bag.image_topic(topic)]):
            image = bag.decode(message)
            pixels = decoder_of(image)()
            number = int(pixels[0, 0, 0])
            assert np.array_equal(pixels, picture(number))
            assert message.log_ns == log_ns(number)
            assert bag.types.header_stamp_ns(message) == stamp_ns(number)
            assert image.header.frame_id == "camera_optical"
            numbers.append(number)
        return numbers, list(bag.warnings)


@pytest.mark.parametrize("compression", ["", "file", "message", "storage"])
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_bags_of_ros2(tmp_path, storage, compression):
    if (storage, compression) == ("sqlite3", "storage"):
        pytest.skip("SQLite does not compress")
    path = camera_bag(tmp_path / "bag", FRAMES, storage=storage, compression=compression)
    assert pictures_in(path) == (list(range(FRAMES)), [])


@pytest.mark.parametrize("compression", ["", "bz2", "lz4"])
def test_bags_of_ros1(tmp_path, compression):
    path = camera_bag(tmp_path / "old.bag", FRAMES, is_ros1=True, compression=compression)
    assert pictures_in(path) == (list(range(FRAMES)), [])


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_single_file_is_a_bag(tmp_path, storage):
    path = camera_bag(tmp_path / "bag", FRAMES, storage=storage)
    (file,) = [entry for entry in path.iterdir() if entry.suffix != ".yaml"]
    assert pictures_in(file) == (list(range(FRAMES)), [])
    with open_bag(file) as bag:
        assert bag.span_ns == (log_ns(0), log_ns(FRAMES - 1) + 1)
        assert {topic.name: topic.message_count for topic in bag.topics} == {
            IMAGES: FRAMES,
            "/notes": FRAMES,
        }


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("compression", ["file", "message"])
def test_a_single_compressed_file_is_a_bag(tmp_path, storage, compression):
    path = camera_bag(tmp_path / "bag", FRAMES, storage=storage, compression=compression)
    (file,) = [entry for entry in path.iterdir() if entry.suffix != ".yaml"]
    assert pictures_in(file) == (list(range(FRAMES)), [])


def test_compressed_images(tmp_path):
    bag = TinyBag()
    for number in range(3):
        bag.add_compressed(number)
    assert pictures_in(bag.write(tmp_path / "bag")) == ([0, 1, 2], [])


def test_several_topics_come_in_the_order_of_recording(tmp_path):
    with open_bag(camera_bag(tmp_path / "bag", 3)) as bag:
        got = [(message.topic.name, message.log_ns) for message in bag.messages(bag.topics)]
    assert got == [
        pair for n in range(3) for pair in ((IMAGES, log_ns(n)), ("/notes", log_ns(n) + 1))
    ]


# --- What is cut off


@pytest.mark.parametrize("compression", ["", "storage"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_a_cut_mcap_gives_what_is_there(tmp_path, share, compression):
    path = camera_bag(tmp_path / "bag", 100, compression=compression)
    cut(path / "bag.mcap", share)
    numbers, warnings = pictures_in(path)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= (100 * share - 2 if not compression else 100 * share - 25)
    assert any("bag.mcap is cut off" in text for text in warnings)


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_a_cut_sqlite_file_gives_what_is_there(tmp_path, share):
    path = camera_bag(tmp_path / "bag", 40, storage="sqlite3")
    cut(path / "bag.db3", share)
    numbers, warnings = pictures_in(path)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= int(40 * share) - 3
    assert any("bag.db3 is cut off" in text for text in warnings)


@pytest.mark.parametrize("compression", ["", "lz4"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_a_cut_bag_of_ros1_gives_what_is_there(tmp_path, share, compression):
    path = camera_bag(tmp_path / "old.bag", 40, is_ros1=True, compression=compression)
    cut(path, share)
    numbers, warnings = pictures_in(path)
    assert numbers == list(range(len(numbers)))
    if not compression:
        assert len(numbers) >= int(40 * share) - 2
    assert any("old.bag is cut off" in text for text in warnings)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_without_metadata_the_files_are_read(tmp_path, storage):
    path = camera_bag(tmp_path / "bag", FRAMES, storage=storage)
    (path / "metadata.yaml").unlink()
    numbers, warnings = pictures_in(path)
    assert numbers == list(range(FRAMES))
    assert warnings == [
        f"{path} has no metadata.yaml, its recording was not finished: its files are read"
    ]


def test_a_cut_compressed_file_gives_what_is_there(tmp_path):
    path = camera_bag(tmp_path / "bag", 40, compression="file")
    cut(path / "bag.mcap.zstd", 0.6)
    numbers, warnings = pictures_in(path)
    assert numbers == list(range(len(numbers)))
    assert any("is cut off" in text for text in warnings)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_definition_of_unknown_format_is_no_damage(tmp_path, storage):
    """Recorders of ROS 2 write such definitions for services; the bag library refuses them."""
    path = camera_bag(tmp_path / "bag", FRAMES, storage=storage, notes=False)
    if storage == "mcap":
        file = path / "bag.mcap"
        # Of the same length, so that everything stays in its place; checksums are not compared.
        file.write_bytes(file.read_bytes().replace(b"ros2msg", b"unknown"))
    else:
        with closing(sqlite3.connect(path / "bag.db3")) as database, database:
            database.execute("UPDATE message_definitions SET encoding = 'unknown'")
    assert pictures_in(path) == (list(range(FRAMES)), [])


def test_a_missing_file_of_a_recording_is_told(tmp_path):
    path = camera_bag(tmp_path / "bag", FRAMES)
    metadata = path / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("- bag.mcap", "- bag.mcap\n  - gone.mcap", 1))
    numbers, warnings = pictures_in(path)
    assert numbers == list(range(FRAMES))
    metadata.write_text(metadata.read_text().replace("message_count: 12", "message_count: 20"))
    numbers, warnings = pictures_in(path)
    assert numbers == list(range(FRAMES))
    (warning,) = warnings
    assert warning.startswith(f"{path} is not whole (")
    assert "gone.mcap" in warning


def test_messages_in_a_journal_are_read(tmp_path):
    """A recorder that was killed leaves its last messages there, of a short recording all."""
    path = camera_bag(tmp_path / "bag", FRAMES, storage="sqlite3")
    (path / "metadata.yaml").unlink()
    killed = tmp_path / "killed"
    with closing(sqlite3.connect(path / "bag.db3")) as database:
        assert database.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
        database.execute("PRAGMA wal_autocheckpoint=0")
        database.execute(
            "INSERT INTO messages (topic_id, timestamp, data) SELECT topic_id, timestamp, data "
            "FROM messages WHERE id = 1"
        )
        database.execute("DELETE FROM messages WHERE id = 1")
        database.commit()
        shutil.copytree(path, killed)
    numbers, warnings = pictures_in(killed)
    assert numbers == [*range(1, FRAMES), 0]
    assert len(warnings) == 1


def test_names_of_topics_begin_with_a_slash(tmp_path):
    bag = TinyBag(is_ros1=True)
    bag.add_image(0, topic="camera/image")
    path = bag.write(tmp_path / "old.bag")
    for damaged in (False, True):
        if damaged:
            cut(path, 0.97)
        with open_bag(path) as opened:
            assert opened.image_topic().name == "/camera/image"
            assert opened.image_topic("camera/image") == opened.topic("/camera/image")
            assert bool(opened.warnings) == damaged


def test_the_files_of_a_split_recording_follow_each_other(tmp_path):
    folder = tmp_path / "split"
    folder.mkdir()
    for part in range(11):
        bag = TinyBag()
        for number in (2 * part, 2 * part + 1):
            bag.add_image(number)
        part_folder = bag.write(tmp_path / f"part{part}")
        (part_folder / f"part{part}.mcap").rename(folder / f"split_{part}.mcap")
    numbers, warnings = pictures_in(folder)
    assert numbers == list(range(22))
    assert len(warnings) == 1
    with open_bag(folder) as bag:
        assert bag.image_topic().message_count == 22
        assert bag.span_ns == (log_ns(0), log_ns(21))


def test_damage_in_the_middle_ends_the_reading(tmp_path):
    path = camera_bag(tmp_path / "bag", 40, compression="storage")
    file = path / "bag.mcap"
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    file.write_bytes(bytes(data))
    numbers, warnings = pictures_in(path)
    assert numbers == list(range(len(numbers)))
    assert any("is damaged: it cannot be read on" in text for text in warnings)


# --- What is wrong


def test_no_such_bag(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such bag: .*missing"):
        open_bag(tmp_path / "missing")


@pytest.mark.parametrize("name", ["note.txt", "folder", "empty.mcap", "text.db3", "text.bag"])
def test_not_a_bag(tmp_path, name):
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    else:
        path.write_text("" if name == "empty.mcap" else "hello, I am no bag")
    with pytest.raises(ValueError, match=f"not a bag.*{name}"):
        open_bag(path)


def test_no_image_topic_lists_what_there_is(tmp_path):
    bag = TinyBag()
    bag.add_text(0)
    with (
        open_bag(bag.write(tmp_path / "bag")) as opened,
        pytest.raises(ValueError, match=r"no image topic in .*; there is /notes \(std_msgs/msg/St"),
    ):
        opened.image_topic()


def test_two_image_topics_have_to_be_chosen_from(tmp_path):
    bag = TinyBag()
    bag.add_image(0, topic="/left/image")
    bag.add_image(0, topic="/right/image")
    with open_bag(bag.write(tmp_path / "bag")) as opened:
        with pytest.raises(ValueError, match=r"several image topics, name one: /left.*, /right"):
            opened.image_topic()
        assert opened.image_topic("/right/image").name == "/right/image"
        with pytest.raises(ValueError, match=r"no image topic /up in .*; there is /left/image, /r"):
            opened.image_topic("/up")


def test_a_topic_without_images_is_named_with_its_type(tmp_path):
    with (
        open_bag(camera_bag(tmp_path / "bag", 1)) as bag,
        pytest.raises(ValueError, match=r"topic /notes of .* is std_msgs/msg/String, no image"),
    ):
        bag.image_topic("/notes")


def test_what_a_tracker_made_is_no_camera(tmp_path):
    bag = TinyBag()
    bag.add_image(0)
    bag.add_image(0, topic="/siammask_tracker/mask")
    kind = "siammask_msgs/msg/RotatedBoxArray"
    times = dict.fromkeys(("queue_ms", "decode_ms", "inference_ms", "publish_ms"), 0.0)
    boxes = bag.make(kind, header=bag.header(START_NS), boxes=[], **times)
    bag.add("/siammask_tracker/rotated_boxes", log_ns(0), kind, boxes)
    with open_bag(bag.write(tmp_path / "bag")) as opened:
        assert opened.image_topic().name == IMAGES


def test_an_unknown_type_is_named(tmp_path):
    path = camera_bag(tmp_path / "bag", 1)
    with open_bag(path) as bag:
        strange = bag.topic("/notes")._replace(type_name="my_msgs/msg/Thing", definition_format="")
        with pytest.raises(ValueError, match="topic /notes, my_msgs/msg/Thing, is unknown"):
            bag.types.check(strange)
        with pytest.raises(ValueError, match=r"no topic /other in .*; there is /camera"):
            bag.topic("/other")


def test_a_damaged_message_is_named(tmp_path):
    bag = TinyBag()
    bag.add(IMAGES, log_ns(0), "sensor_msgs/msg/Image", b"\x00\x01\x00\x00abc")
    with open_bag(bag.write(tmp_path / "bag")) as opened:
        (message,) = opened.messages([opened.image_topic()])
        with pytest.raises(ValueError, match=f"a message of {IMAGES} is damaged"):
            opened.decode(message)
        with pytest.raises(ValueError, match=f"a message of {IMAGES} is damaged"):
            opened.types.header_stamp_ns(message)


# --- For a bag of ROS 2


def test_messages_of_ros1_become_those_of_ros2(tmp_path):
    path = camera_bag(tmp_path / "old.bag", 2, is_ros1=True)
    store = TinyBag().store
    with open_bag(path) as bag:
        first, note, *_ = [bag.types.for_ros2(message) for message in bag.messages(bag.topics)]
    assert note.topic.type_name == "std_msgs/msg/String"
    assert store.deserialize_cdr(note.data, "std_msgs/msg/String").data == "note 0"
    image = store.deserialize_cdr(first.data, first.topic.type_name)
    assert image.header.stamp.sec == START_NS // 1_000_000_000
    assert np.array_equal(decoder_of(image)(), picture(0))
    assert first.topic.digest == store.hash_rihs01("sensor_msgs/msg/Image")


def test_messages_of_ros2_stay_as_they_are(tmp_path):
    with open_bag(camera_bag(tmp_path / "bag", 1)) as bag:
        for message in bag.messages(bag.topics):
            assert bag.types.for_ros2(message) is message


def test_bags_in_a_folder(tmp_path):
    for name in ("b", "a"):
        camera_bag(tmp_path / name, 1)
    camera_bag(tmp_path / "c.bag", 1, is_ros1=True)
    (tmp_path / "note.txt").write_text("no bag")
    (tmp_path / "other").mkdir()
    assert [path.name for path in find_bags(tmp_path)] == ["a", "b", "c.bag"]
    assert not is_bag(tmp_path)
    assert is_bag(tmp_path / "a")
