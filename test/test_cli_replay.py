# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `siammask replay`: results, what is refused, what is skipped, what is kept."""

from __future__ import annotations

import filecmp
import json
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_bags import BOX, IMAGES, TinyBag, camera_bag, cut, log_ns, stamp_ns

from siammask_ros import cli
from siammask_ros.bags.reader import open_bag
from siammask_ros.image_messages import decoder_of
from siammask_ros.network import build_network, save_network
from siammask_ros.results import read_results

REPOSITORY = Path(__file__).resolve().parent.parent
FRAMES = 6
BOX_TEXT = ",".join(map(str, BOX))
PATIENCE_S = 60


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    save_network(build_network("compact"), path, metadata={})
    return path


@pytest.fixture
def bag(tmp_path):
    return camera_bag(tmp_path / "bag", FRAMES)


@pytest.fixture
def replay(tmp_path, weights, monkeypatch):
    """Run the command in this process, in a folder of its own; returns the exit status."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, box=BOX_TEXT, weights=weights):
        words = ["replay", *map(str, arguments), "--weights", str(weights)]
        with pytest.raises(SystemExit) as caught:
            cli.main([*words, *(["--box", box] if box else [])])
        return caught.value.code or 0

    return run


def complaint(capsys):
    """The one line that was said of an error."""
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def messages_of(path):
    """Decoded messages of a bag by topic, with the times of recording."""
    found = {}
    with open_bag(path) as opened:
        assert opened.warnings == []
        for message in opened.messages(opened.topics):
            entry = (message.log_ns, opened.decode(message))
            found.setdefault(message.topic.name, []).append(entry)
    return found


def stamp_of(message):
    return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec


# --- Results


def test_the_result_bag(replay, bag, tmp_path, capsys):
    assert replay(bag, "--copy", "/notes", "--overlay", "--label", "cup") == 0
    assert f"{FRAMES} images in" in capsys.readouterr().out
    found = messages_of(tmp_path / "bag_tracked")
    outputs = ("mask", "rotated_boxes", "confidence", "overlay")
    assert set(found) == {"/notes", *(f"/siammask_tracker/{name}" for name in outputs)}
    assert [note.data for _, note in found["/notes"]] == [f"note {n}" for n in range(FRAMES)]
    for name in outputs:
        entries = found[f"/siammask_tracker/{name}"]
        assert [time_ns for time_ns, _ in entries] == [log_ns(n) for n in range(FRAMES)]
        assert [stamp_of(message) for _, message in entries] == [stamp_ns(n) for n in range(FRAMES)]
        assert {message.header.frame_id for _, message in entries} == {"camera_optical"}
    for (_, mask), (_, boxes) in zip(
        found["/siammask_tracker/mask"], found["/siammask_tracker/rotated_boxes"], strict=True
    ):
        (box,) = boxes.boxes
        assert (box.target_id, box.label) == (1, "cup")
        assert np.count_nonzero(decoder_of(mask)()[..., 0]) == box.mask_area


def test_other_files(replay, bag, tmp_path, capsys):
    pytest.importorskip("av")
    files = ["--video", "v.mp4", "--csv", "t.csv", "--sheet", "s.png", "--plot", "p.png"]
    assert replay(bag, "-o", "out", *files, "--report", "r.html", "--masks", "masks") == 0
    said = capsys.readouterr().out
    for name in ("out", "v.mp4", "t.csv", "s.png", "p.png", "r.html", "masks"):
        assert f"  {name}\n" in said
        assert (tmp_path / name).exists()
    rows = read_results(tmp_path / "t.csv")
    assert [(row.clip, row.frame) for row in rows] == [("bag", n) for n in range(FRAMES)]


@pytest.mark.parametrize("compression", ["none", "zstd"])
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_the_same_bag_gives_the_same_bytes(replay, bag, tmp_path, storage, compression):
    for name in ("one", "two"):
        options = ["--storage", storage, "--compression", compression, "--copy", "/notes"]
        assert replay(bag, "-o", name, *options) == 0
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(files) == 3
    assert filecmp.cmpfiles(tmp_path / "one", tmp_path / "two", files, shallow=False) == (
        files, [], [],
    )  # fmt: skip


def test_a_list_and_a_range(replay, bag, tmp_path):
    (tmp_path / "t.yaml").write_text(f"targets: [{{box: [{BOX_TEXT}], frame: 3, id: 5}}]\n")
    options = ["--targets", "t.yaml", "--start", 2, "--stop", 5, "--csv", "t.csv"]
    assert replay(bag, *options, box="") == 0
    rows = read_results(tmp_path / "t.csv")
    assert [(row.frame, row.target_id) for row in rows] == [(3, 5), (4, 5)]


def test_requests_in_the_bag_are_found(replay, tmp_path, capsys):
    bag = TinyBag()
    for number in range(FRAMES):
        bag.add_image(number)
    request = bag.set_request((4, "cup", *BOX), stamp=stamp_ns(2))
    bag.add_call("SetTargets", log_ns(4), 1, request=request)
    bag.add_call("SetTargets", log_ns(5), 2)
    assert replay(bag.write(tmp_path / "bag"), "--csv", "t.csv", box="") == 0
    assert "1 recorded requests do not say what was asked" in capsys.readouterr().err
    rows = read_results(tmp_path / "t.csv")
    assert [(row.frame, row.target_id) for row in rows] == [(n, 4) for n in range(2, FRAMES)]


def test_requests_for_several_cameras_need_a_name(replay, tmp_path, capsys):
    bag = TinyBag()
    for number in range(3):
        bag.add_image(number)
    for number, camera in enumerate(("left", "right")):
        box = (number + 1, camera, *BOX)
        request = bag.set_request(box, stamp=stamp_ns(number), camera=camera)
        bag.add_call("SetTargets", log_ns(1) + number, number, request=request)
    path = bag.write(tmp_path / "bag")
    assert replay(path, box="") == 1
    assert "several cameras, name one with --camera: left, right" in complaint(capsys)
    assert replay(path, "--camera", "up", box="") == 1
    assert "names the camera 'up', they name 'left', 'right'" in complaint(capsys)
    assert replay(path, "--camera", "right", "--csv", "t.csv", box="") == 0
    assert {row.target_id for row in read_results(tmp_path / "t.csv")} == {2}


def test_detections_in_the_bag_are_found(replay, tmp_path):
    bag = TinyBag()
    for number in range(FRAMES):
        bag.add_image(number)
    bag.add_boxes(2, ("cup", *BOX), ("pen", 1.0, 1.0, 12.0, 10.0))
    path = bag.write(tmp_path / "bag")
    assert replay(path, "--csv", "one.csv", box="") == 0
    assert {row.label for row in read_results(tmp_path / "one.csv")} == {"cup"}
    options = ["--policy", "all", "-o", "all", "--csv", "all.csv"]
    assert replay(path, *options, box="") == 0
    rows = read_results(tmp_path / "all.csv")
    assert {(row.label, row.target_id) for row in rows} == {("cup", 1), ("pen", 2)}
    assert min(row.frame for row in rows) == 3


def test_boxes_and_detections_together(replay, tmp_path, capsys):
    bag = TinyBag()
    for number in range(FRAMES):
        bag.add_image(number)
    for topic in ("/one", "/two"):
        bag.add_boxes(1, ("pen", 1.0, 1.0, 12.0, 10.0), topic=topic)
    path = bag.write(tmp_path / "bag")
    assert replay(path, "--from-bag", "detections") == 1
    assert "several topics with detections, name one with --detections: /one, /two" in (
        complaint(capsys)
    )
    assert replay(path, "--detections", IMAGES, "--from-bag", "both") == 1
    assert f"topic {IMAGES} of {path} is sensor_msgs/msg/Image, no detections" in complaint(capsys)
    options = ["--from-bag", "both", "--detections", "/two", "--csv", "t.csv"]
    assert replay(path, *options) == 0
    assert {row.target_id for row in read_results(tmp_path / "t.csv")} == {1}
    assert replay(path, *options, "--policy", "all", "--force") == 0
    rows = read_results(tmp_path / "t.csv")
    assert {(row.target_id, row.label) for row in rows} == {(1, ""), (2, "pen")}


# --- What is skipped, refused, replaced


def test_results_that_are_up_to_date_are_not_made_again(replay, bag, tmp_path, capsys):
    assert replay(bag, "--csv", "t.csv") == 0
    made = (tmp_path / "bag_tracked" / "results.mcap").stat().st_mtime_ns
    capsys.readouterr()
    assert replay(bag, "--csv", "t.csv") == 0
    assert "bag is up to date" in capsys.readouterr().out
    assert (tmp_path / "bag_tracked" / "results.mcap").stat().st_mtime_ns == made
    (tmp_path / "t.csv").unlink()
    assert replay(bag, "--csv", "t.csv") == 1
    assert "bag_tracked exists and is not of this bag with these options; --force" in (
        complaint(capsys)
    )
    assert replay(bag, "--csv", "t.csv", "--force") == 0
    assert (tmp_path / "bag_tracked" / "results.mcap").stat().st_mtime_ns != made


@pytest.mark.parametrize("changed", ["option", "bag", "weights", "code", "incomplete"])
def test_results_of_something_else_are_not_up_to_date(
    replay, bag, tmp_path, weights, monkeypatch, capsys, changed
):
    own = shutil.copy(weights, tmp_path / "own.pth")
    assert replay(bag, weights=own) == 0
    options = []
    if changed == "option":
        options = ["--set", "window_influence=0.3"]
    elif changed == "bag":
        file = bag / "bag.mcap"
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    elif changed == "weights":
        save_network(build_network("compact"), own, metadata={})
    elif changed == "code":
        monkeypatch.setattr("siammask_ros.cli.replay_job._code_digest", lambda: "another")
    else:
        record = tmp_path / "bag_tracked" / "replay.json"
        content = {**json.loads(record.read_text()), "complete": False}
        record.write_text(json.dumps(content))
    capsys.readouterr()
    assert replay(bag, *options, weights=own) == 1
    assert "bag_tracked exists and is not of this bag" in capsys.readouterr().err


def test_the_bag_itself_is_never_replaced(replay, bag, capsys):
    assert replay(bag, "-o", bag, "--force") == 1
    assert f"{bag} is the bag itself" in complaint(capsys)
    assert len(messages_of(bag)[IMAGES]) == FRAMES


def test_an_existing_file_is_refused(replay, bag, tmp_path, capsys):
    (tmp_path / "t.csv").write_text("mine")
    assert replay(bag, "--csv", "t.csv") == 1
    assert "t.csv exists" in complaint(capsys)
    assert (tmp_path / "t.csv").read_text() == "mine"
    assert not (tmp_path / "bag_tracked").exists()


# --- Bad input


def no_bag(tmp_path):
    return tmp_path / "missing"


def text_file(tmp_path):
    path = tmp_path / "note.mcap"
    path.write_text("I am no bag")
    return path


def empty_folder(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    return path


def no_images(tmp_path):
    bag = TinyBag()
    bag.add_text(0)
    return bag.write(tmp_path / "texts")


def two_cameras(tmp_path):
    bag = TinyBag()
    for name in ("/left", "/right"):
        bag.add_image(0, topic=name)
    return bag.write(tmp_path / "two")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (no_bag, "siammask: no such bag: {path}"),
        (text_file, "siammask: not a bag that can be read: {path} ("),
        (empty_folder, "siammask: not a bag: {path} (a bag is a folder with metadata.yaml, or a "),
        (no_images, "siammask: no image topic in {path}; there is /notes (std_msgs/msg/String)"),
        (two_cameras, "siammask: {path} has several image topics, name one: /left, /right"),
    ],
)
def test_a_bad_bag_is_named(replay, tmp_path, capsys, make, said):
    path = make(tmp_path)
    assert replay(path) == 1
    assert complaint(capsys).startswith(said.format(path=path))
    assert not list(tmp_path.glob("*_tracked"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--topic", "/other"], "no image topic /other in"),
        (["--topic", "/notes"], "topic /notes of .* is std_msgs/msg/String, no image"),
        (["--copy", "/other"], "no topic /other in .*; there is /camera/image_raw, /notes"),
        (["--targets", "none.yaml"], "no such list of targets: none.yaml"),
        (["--start", "50"], "no image to replay on /camera/image_raw"),
        (["--output", "taken"], "taken exists"),
    ],
)
def test_a_bad_option_is_named(replay, bag, tmp_path, capsys, options, said):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").write_text("mine")
    assert replay(bag, *options) == 1
    assert re.search(said, complaint(capsys))
    assert not (tmp_path / "bag_tracked").exists()
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        ("stamp: 12.5", "t.yaml, target 1: stamp 12.500000000 is outside the bag"),
        ("frame: 77", "t.yaml, target 1: frame 77 is outside the bag"),
        ("time: 77", "t.yaml, target 1: time 77 is outside the bag"),
    ],
)
def test_a_target_outside_the_bag_is_named(replay, bag, tmp_path, capsys, moment, said):
    (tmp_path / "t.yaml").write_text(f"targets: [{{box: [{BOX_TEXT}], {moment}}}]\n")
    assert replay(bag, "--targets", "t.yaml", box="") == 1
    assert said in complaint(capsys)


@pytest.mark.parametrize(
    ("options", "box"),
    [
        ([], "1,2,3"),
        (["--label", "a", "--label", "b"], BOX_TEXT),
        (["--start", "3", "--stop", "2"], BOX_TEXT),
        (["--jobs", "0"], BOX_TEXT),
        (["--set", "window_influence=2"], BOX_TEXT),
        (["--storage", "zip"], BOX_TEXT),
        (["--policy", "best_class"], BOX_TEXT),
        (["--detection-iou", "0"], BOX_TEXT),
        (["--no-such-option"], BOX_TEXT),
    ],
)
def test_wrong_usage(replay, bag, options, box):
    assert replay(bag, *options, box=box) == 2


def test_without_a_target_there_is_nothing_to_do(replay, bag, capsys):
    assert replay(bag, box="") == 1
    assert "no target to follow in" in complaint(capsys)


def test_an_unknown_type_is_named(replay, tmp_path, capsys):
    bag = TinyBag()
    bag.define("my_msgs/msg/Thing", "int32 value")
    bag.add_image(0)
    bag.add("/thing", log_ns(0), "my_msgs/msg/Thing", bag.make("my_msgs/msg/Thing", value=3))
    path = bag.write(tmp_path / "bag", storage="sqlite3")
    with closing(sqlite3.connect(path / "bag.db3")) as database, database:
        database.execute("UPDATE message_definitions SET encoded_message_definition = ''")
    assert replay(path, "--copy", "/thing") == 1
    assert "the type of topic /thing, my_msgs/msg/Thing, is unknown" in complaint(capsys)


def test_messages_that_do_not_decode_are_counted(replay, tmp_path, capsys):
    bag = TinyBag()
    for number in range(FRAMES):
        bag.add_image(number, encoding="32FC1" if number in {2, 3} else "bgr8")
    assert replay(bag.write(tmp_path / "bag")) == 0
    said = capsys.readouterr()
    assert f"{FRAMES - 2} images in" in said.out
    first, count = said.err.strip().splitlines()
    assert first.startswith("siammask: warning: images that cannot be decoded are passed over, ")
    assert count == "siammask: warning: 2 images could not be decoded"
    boxes = messages_of(tmp_path / "bag_tracked")["/siammask_tracker/rotated_boxes"]
    assert [stamp_of(message) for _, message in boxes] == [stamp_ns(n) for n in (0, 1, 4, 5)]


def test_a_bag_that_is_cut_off_gives_what_is_there(replay, tmp_path, capsys):
    path = camera_bag(tmp_path / "bag", 30)
    cut(path / "bag.mcap", 0.5)
    (path / "metadata.yaml").unlink()
    assert replay(path) == 0
    said = capsys.readouterr()
    assert "siammask: warning: bag.mcap is cut off" in said.err
    masks = messages_of(tmp_path / "bag_tracked")["/siammask_tracker/mask"]
    assert 12 <= len(masks) <= 15
    assert json.loads((tmp_path / "bag_tracked" / "replay.json").read_text())["warnings"]


def in_a_process(arguments, folder, weights, *, before=""):
    """Start the command in a process of its own, after some code."""
    words = ["replay", *map(str, arguments), "--weights", str(weights), "--box", BOX_TEXT]
    program = f"{before}\nfrom siammask_ros.cli import main\nmain({words!r})"
    return subprocess.Popen(
        [sys.executable, "-c", program], cwd=folder, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.fixture
def little_room():
    """No file may grow beyond this, as if the disk ended there."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_full_disk_leaves_nothing(tmp_path, replay, bag, capsys, storage, request):
    request.getfixturevalue("little_room")
    assert replay(bag, "--storage", storage, "--compression", "none") == 1
    assert complaint(capsys).startswith("siammask: ")
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]


SLOWLY = """
import sys, time
from siammask_ros.replay import Replay
run = Replay.run
def slowly(self):
    for event in run(self):
        yield event
        print("one", flush=True)
        time.sleep(0.2)
Replay.run = slowly
"""


def test_what_is_done_is_kept_when_it_is_interrupted(tmp_path, weights):
    path = camera_bag(tmp_path / "bag", 60, notes=False)
    process = in_a_process([path, "--csv", "t.csv"], tmp_path, weights, before=SLOWLY)
    for _ in range(3):
        assert process.stdout.readline() == "one\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, said
    assert "images are done and kept" in said
    masks = messages_of(tmp_path / "bag_tracked")["/siammask_tracker/mask"]
    assert 3 <= len(masks) < 60
    rows = read_results(tmp_path / "t.csv")
    assert len(rows) == len(masks)
    assert not json.loads((tmp_path / "bag_tracked" / "replay.json").read_text())["complete"]


# --- Many bags


def many(tmp_path):
    folder = tmp_path / "bags"
    folder.mkdir()
    camera_bag(folder / "a", 3)
    camera_bag(folder / "b.bag", 4, is_ros1=True)
    no_images(folder)
    return folder


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_folder_of_bags(replay, tmp_path, capsys, jobs):
    folder = many(tmp_path).relative_to(tmp_path)
    options = ["--jobs", jobs, "-o", "out", "--csv", "t.csv"]
    assert replay(folder, *options) == 1
    said = capsys.readouterr()
    assert f"{folder / 'texts'}: no image topic in" in said.err
    assert "2 of 3 bags replayed" in said.out
    for name, images in (("a", "3"), ("b.bag", "4")):
        (line,) = [line for line in said.out.splitlines() if f"bags/{name} " in line]
        assert [word.strip() for word in line.split("│")[2:4]] == ["done", images]
    assert len(messages_of(tmp_path / "out" / "a_tracked")["/siammask_tracker/mask"]) == 3
    assert len(messages_of(tmp_path / "out" / "b_tracked")["/siammask_tracker/mask"]) == 4
    assert not (tmp_path / "out" / "texts_tracked").exists()
    assert {row.clip for row in read_results(tmp_path / "a_t.csv")} == {"a"}
    assert (tmp_path / "b_t.csv").exists()
    assert replay(folder / "a", folder / "b.bag", *options) == 0
    assert capsys.readouterr().out.count("up to date") == 2


def test_results_are_no_sources(replay, tmp_path, capsys):
    folder = tmp_path / "bags"
    folder.mkdir()
    camera_bag(folder / "a", 2)
    camera_bag(folder / "b", 2)
    for _ in range(2):
        assert replay(folder, "-o", folder) == 0
    assert "0 of 2 bags replayed" in capsys.readouterr().out


def test_bags_of_one_name_are_refused(replay, tmp_path, capsys):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        camera_bag(tmp_path / folder / "a", 2)
    assert replay(tmp_path / "x" / "a", tmp_path / "y" / "a") == 1
    assert "two bags have the name a" in complaint(capsys)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_reaches_the_workers(tmp_path, weights, number):
    folder = tmp_path / "bags"
    folder.mkdir()
    for name in "abc":
        camera_bag(folder / name, 2000, notes=False)
    process = in_a_process([folder, "--jobs", 2, "-o", "out"], tmp_path, weights)
    end = time.monotonic() + PATIENCE_S
    while len(list((tmp_path / "out").glob(".*"))) < 2:
        assert time.monotonic() < end
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    time.sleep(1.0)
    os.killpg(process.pid, number)  # as a terminal and `timeout` do
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, said
    assert "siammask: interrupted" in said
    for path in (tmp_path / "out").iterdir():
        with open_bag(path) as opened:
            assert opened.warnings == []
