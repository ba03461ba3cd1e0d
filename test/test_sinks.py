# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files of a run: right, whole, or not there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_run import FPS, SIZE_WH, STATES, run

from siammask_ros import sinks
from siammask_ros.drawing import SHEET_CAPTION_HEIGHT, SHEET_GAP, SHEET_TITLE_HEIGHT, STATE_COLOURS
from siammask_ros.outputs import OutputPaths, Run, open_outputs
from siammask_ros.results import read_results, write_results
from siammask_ros.sinks import (
    SHEET_CELL_WIDTH,
    SHEET_COLUMNS,
    SHEET_FRAMES,
    SHEET_MOMENTS,
    EvenSample,
    LabelImageSink,
    PlotSink,
    SheetSink,
    TableSink,
    VideoSink,
)
from siammask_ros.video import LONGEST_STILL_S, open_video

RUN = Run("clip", FPS)


def feed(sink, frames):
    with sink:
        for tracked in frames:
            sink.add(tracked)
    return sink


def all_paths(folder, *, rerun=False):
    names = {"video": "v.mp4", "csv": "c.csv", "masks": "m", "sheet": "s.png", "plot": "p.png"}
    names["report"] = "r.html"
    if rerun:
        names["rerun"] = "r.rrd"
    return OutputPaths(**{kind: folder / name for kind, name in names.items()})


def add_all(outputs, frames):
    with outputs:
        for tracked in frames:
            outputs.add(tracked)


def stop_after(frames, count, error):
    for number, tracked in enumerate(frames):
        if number == count:
            raise error
        yield tracked


# --- Video


def test_video_shows_the_overlay_at_the_times_of_the_frames(tmp_path):
    pytest.importorskip("av")
    times = [0.0, 0.04, 0.5, 0.55, 2.0]
    frames = list(run("ITTTT", times=times, size_wh=(95, 63)))
    assert feed(VideoSink(tmp_path / "v.mp4", fps=FPS), frames).finished
    with open_video(tmp_path / "v.mp4") as video:
        shown = list(video)
    assert [frame.time_s for frame in shown] == pytest.approx(times, abs=1e-4)
    for frame, tracked in zip(shown, frames, strict=True):
        assert frame.image_bgr.shape == (64, 96, 3)
        decoded = frame.image_bgr[:63, :95]
        to_overlay = cv2.absdiff(decoded, tracked.overlay)
        assert np.median(to_overlay) <= 4
        assert to_overlay.mean() < cv2.absdiff(decoded, tracked.frame.image_bgr).mean() / 3


def test_video_is_what_browsers_play(tmp_path):
    av = pytest.importorskip("av")
    feed(VideoSink(tmp_path / "v.mp4", fps=FPS), run("ITTTTTTT"))
    content = (tmp_path / "v.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # it starts before all is read
    with av.open(str(tmp_path / "v.mp4")) as container:
        (stream,) = container.streams
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert float(stream.duration * stream.time_base) == pytest.approx(8 / FPS, abs=0.5 / FPS)


@pytest.mark.parametrize(
    ("times", "shown"),
    [
        ([7.0, 7.1, 7.2], [0.0, 0.1, 0.2]),
        ([0.0, 0.0, 0.0], [0.0, 1 / FPS, 2 / FPS]),
        ([5.0, 1.0, 1.1], [0.0, 1 / FPS, 1 / FPS + 0.1]),
        ([0.0, 1.7e9, 1.7e9 + 0.1], [0.0, LONGEST_STILL_S, LONGEST_STILL_S + 0.1]),
        ([0.0, 1e-9, 2e-9], [0.0, 0.001, 0.002]),
    ],
)
def test_video_times_rise_whatever_the_stamps_do(tmp_path, times, shown):
    pytest.importorskip("av")
    feed(VideoSink(tmp_path / "v.mp4", fps=FPS), run("ITT", times=times))
    with open_video(tmp_path / "v.mp4") as video:
        assert [frame.time_s for frame in video] == pytest.approx(shown, abs=1e-4)


# --- Table, label images, chart


def test_table_is_that_of_all_rows(tmp_path):
    frames = list(run("ITLT", " ITT", labels=['a "b", c', "ü"]))
    assert feed(TableSink(tmp_path / "new" / "c.csv", name="clip"), frames).finished
    rows = [row for tracked in frames for row in tracked.rows("clip")]
    write_results(tmp_path / "expected.csv", rows)
    assert (tmp_path / "new" / "c.csv").read_bytes() == (tmp_path / "expected.csv").read_bytes()
    assert len(read_results(tmp_path / "new" / "c.csv")) == 7


def test_label_images_come_into_the_folder(tmp_path):
    folder = tmp_path / "new" / "masks"
    folder.mkdir(parents=True)
    (folder / "other.txt").write_text("stays")
    (folder / "000001.png").write_text("replaced")
    frames = list(run("ITTT", "  IT"))
    assert feed(LabelImageSink(folder), frames).finished
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["000000.png", "000001.png", "000002.png", "000003.png", "other.txt"]
    for tracked in frames:
        path = folder / sinks.label_image_name(tracked.frame.index)
        labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(labels, tracked.label_image())
    assert set(np.unique(labels)) == {0, 1, 2}
    assert [path.name for path in folder.parent.iterdir()] == ["masks"]


def test_plot_is_a_picture(tmp_path):
    assert feed(PlotSink(tmp_path / "p.png", name="clip"), run("ITTTLLTT")).finished
    assert cv2.imread(str(tmp_path / "p.png")).std() > 10


# --- Contact sheet


def cells_of(sheet, shape):
    """The cells of a sheet whose frames have a shape, by rows."""
    height = round(shape[0] * SHEET_CELL_WIDTH / shape[1])
    step = height + SHEET_CAPTION_HEIGHT
    rows = (sheet.shape[0] - SHEET_TITLE_HEIGHT - SHEET_GAP) // step
    return [
        sheet[
            SHEET_TITLE_HEIGHT + row * step :, SHEET_GAP + column * (SHEET_CELL_WIDTH + SHEET_GAP) :
        ][:height, :SHEET_CELL_WIDTH]
        for row in range(rows)
        for column in range(SHEET_COLUMNS)
    ]


def read_sheet(path):
    """(frame, state of its mark) of each cell; frames are told by their brightness."""
    states = {colour: state for state, colour in STATE_COLOURS.items()}
    told = []
    for cell in cells_of(cv2.imread(str(path)), SIZE_WH[::-1]):
        level = int(cell[-20, -20, 0])
        if cell[-20, -20].std() < 1:  # the sheet itself is not grey
            mark = states.get(tuple(int(part) for part in cell[1, SHEET_CELL_WIDTH // 2]))
            told.append((level - 40, mark))
    return told


def test_sheet_has_even_frames_and_the_moments(tmp_path):
    script = "I" + "T" * 50 + "U" * 3 + "L" * 20 + "T" * 60 + "L" * 7
    sink = feed(SheetSink(tmp_path / "s.png", name="clip"), run(script))
    assert sink.finished
    told = read_sheet(tmp_path / "s.png")
    marked = {frame: state for frame, state in told if state is not None}
    assert marked == {54: STATES["L"], 74: STATES["T"], 134: STATES["L"]}
    even = [frame for frame, state in told if state is None]
    assert (even[0], even[-1]) == (0, len(script) - 1)
    assert len(even) == SHEET_FRAMES
    ideal = np.linspace(0, len(script) - 1, SHEET_FRAMES)
    assert np.abs(np.array(even) - ideal).max() <= len(script) / (SHEET_FRAMES - 1) / 3
    frames = [frame for frame, _ in told]
    assert frames == sorted(frames)


def test_sheet_of_a_long_run_is_small_and_shows_some_of_many_moments(tmp_path, monkeypatch):
    said = []
    section = sinks.SheetSection
    monkeypatch.setattr(sinks, "SheetSection", lambda *a: said.append(a) or section(*a))
    script = "I" + "TTTLLL" * 250
    sink = SheetSink(tmp_path / "s.png", name="clip")
    made = []
    cell = sinks._cell
    monkeypatch.setattr(sinks, "_cell", lambda *a: made.append(a) or cell(*a))
    feed(sink, run(script))
    (title, frames, captions, subtitle, marks) = said[0]
    assert title == "clip"
    shown = sum(mark is not None for mark in marks)
    for state in ("L", "T"):
        assert sum(mark == STATE_COLOURS[STATES[state]] for mark in marks) >= SHEET_MOMENTS / 3
    assert SHEET_MOMENTS <= shown <= SHEET_MOMENTS + SHEET_FRAMES
    assert len(frames) <= SHEET_MOMENTS + SHEET_FRAMES
    assert "1,501 frames, lost 250 times, found again 249 times" in subtitle
    assert f"{shown} of 499 such moments are shown" in subtitle
    assert captions[1] == "frame 4  0.2 s   #1 lost"
    assert len(made) < 400  # most frames are never drawn


def test_sheet_tells_of_new_targets_and_of_one_frame(tmp_path):
    feed(SheetSink(tmp_path / "s.png", name="clip"), run("ITTT", "  IT"))
    assert (2, STATES["I"]) in read_sheet(tmp_path / "s.png")
    feed(SheetSink(tmp_path / "one.png", name="clip"), run("I"))
    assert cv2.imread(str(tmp_path / "one.png")).shape[1] == SHEET_CELL_WIDTH + 2 * SHEET_GAP


def test_captions_count_the_states_of_many_targets(tmp_path, monkeypatch):
    captions = []
    section = sinks.SheetSection
    monkeypatch.setattr(sinks, "SheetSection", lambda *a: captions.extend(a[2]) or section(*a))
    feed(SheetSink(tmp_path / "s.png", name="clip"), run("IT", "IT", "IT", "IU"))
    assert captions[-1] == "frame 1  0.1 s   3 tracking   1 uncertain"


def test_an_even_sample_is_even_and_bounded():
    for count in (1, 5, 8, 31, 32, 33, 1000, 12345):
        sample = EvenSample(8)
        for number in range(count):
            sample.offer(lambda number=number: number)
            assert len(sample._kept) < sinks.SPARE * 8
        even = np.linspace(0, count - 1, min(8, count))
        nearest = sample.nearest(even)
        assert len(nearest) == min(8, count)
        assert np.abs(np.array(nearest) - even).max() <= max(count / 11, 0.5)


# --- Whole or not there


@pytest.fixture(params=["rerun", "no rerun"])
def rerun(request):
    if request.param == "rerun":
        pytest.importorskip("rerun", reason="rerun-sdk is not installed")
    return request.param == "rerun"


def test_all_outputs_at_once(tmp_path, rerun):
    pytest.importorskip("av")
    paths = all_paths(tmp_path / "out", rerun=rerun)
    assert paths.existing == []
    outputs = open_outputs(paths, RUN)
    add_all(outputs, run("ITTLTT"))
    assert outputs.frames == 6
    assert outputs.written == paths.wanted == paths.existing
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        path.name for path in paths.wanted
    )
    assert {path.stat().st_mode & 0o777 for path in paths.wanted if path.is_file()} == {0o644}


def test_an_error_leaves_nothing_and_what_was_there(tmp_path, rerun):
    pytest.importorskip("av")
    paths = all_paths(tmp_path, rerun=rerun)
    paths.csv.write_text("before")
    outputs = open_outputs(paths, RUN)
    with pytest.raises(ValueError, match="damaged"):
        add_all(outputs, stop_after(run("ITTLTT"), 4, ValueError("damaged")))
    assert outputs.written == []
    assert [path.name for path in tmp_path.iterdir()] == ["c.csv"]
    assert paths.csv.read_text() == "before"


def test_ctrl_c_keeps_what_is_done_where_that_is_wanted(tmp_path):
    pytest.importorskip("av")
    for keep in (False, True):
        folder = tmp_path / str(keep)
        outputs = open_outputs(all_paths(folder), RUN, keep_interrupted=keep)
        with pytest.raises(KeyboardInterrupt):
            add_all(outputs, stop_after(run("ITTLTT"), 4, KeyboardInterrupt()))
        assert bool(outputs.written) == keep
        if keep:
            assert len(read_results(folder / "c.csv")) == 4
            with open_video(folder / "v.mp4") as video:
                assert len(list(video)) == 4
        else:
            assert not any(folder.iterdir())


def test_ctrl_c_again_lets_go_of_waiting_frames(tmp_path):
    outputs = open_outputs(OutputPaths(csv=tmp_path / "c.csv"), RUN)
    join = outputs._thread.join
    presses = [KeyboardInterrupt()]
    in_a_frame, released = threading.Event(), threading.Event()
    hand_on = outputs._hand_on

    def slow(tracked):
        in_a_frame.set()
        released.wait(10)
        return hand_on(tracked)

    def pressed():
        if presses:
            in_a_frame.wait(10)
            raise presses.pop()
        released.set()
        join()

    outputs._hand_on = slow
    outputs._thread.join = pressed
    with pytest.raises(KeyboardInterrupt):
        add_all(outputs, run("ITTLTT"))
    assert not outputs._thread.is_alive()
    assert not any(tmp_path.iterdir())


def test_without_a_frame_there_is_no_file(tmp_path, rerun):
    outputs = open_outputs(all_paths(tmp_path, rerun=rerun), RUN)
    add_all(outputs, [])
    assert outputs.written == []
    assert not any(tmp_path.iterdir())


def test_one_that_cannot_finish_does_not_take_the_others_along(tmp_path):
    paths = OutputPaths(csv=tmp_path / "c.csv", sheet=tmp_path / "s.png", plot=tmp_path / "p.png")
    paths.sheet.mkdir()
    outputs = open_outputs(paths, RUN)
    with pytest.raises(OSError, match=r"s\.png"):
        add_all(outputs, run("ITT"))
    assert outputs.written == [paths.csv, paths.plot]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.csv", "p.png", "s.png"]


def test_a_failure_at_a_frame_ends_the_run(tmp_path):
    pytest.importorskip("av")
    paths = OutputPaths(video=tmp_path / "v.mp4", csv=tmp_path / "c.csv")
    outputs = open_outputs(paths, RUN)
    frames = [*run("IT"), *run("T" * 50, size_wh=(64, 64))]
    with pytest.raises(ValueError, match=r"\(64, 64, 3\)"):
        add_all(outputs, frames)
    assert not any(tmp_path.iterdir())


def test_missing_rerun_is_said_before_any_frame(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ImportError, match="pip install rerun-sdk"):
        open_outputs(OutputPaths(rerun=tmp_path / "r.rrd"), RUN)


FULL_DISK = """
import resource, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from made_run import run
from siammask_ros.outputs import OutputPaths, Run, open_outputs
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
for kind, name, most in {cases!r}:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    path = Path({folder!r}, name)
    try:
        with open_outputs(OutputPaths(**{{kind: path}}), Run("clip", 20.0)) as outputs:
            for tracked in run("I" + "T" * 300, size_wh=(320, 240)):
                outputs.add(tracked)
        said = "written"
    except OSError as error:
        said = f"{{error.strerror}} {{Path(error.filename).name}}" if error.filename else str(error)
    left = [file.name for file in path.parent.iterdir()]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    print(kind, most, said, left)
"""
RERUN_LIMITS = [("rerun", "r.rrd", 20_000), ("rerun", "r.rrd", 2_000)]
SMALL_LIMITS = [
    ("video", "v.mp4", 20_000),
    ("video", "v.mp4", 1_000),  # noticed when it is closed
    ("csv", "c.csv", 5_000),
    ("masks", "m", 200),
    ("sheet", "s.png", 5_000),
    ("plot", "p.png", 5_000),
    ("report", "r.html", 20_000),  # too little for its video
    ("report", "r.html", 120_000),  # enough for that, too little for the page
]


def write_on_full_disk(folder, cases):
    """The system refuses to write more of a file, as it does where the disk is full."""
    if not hasattr(signal, "SIGXFSZ"):
        pytest.skip("no limit on the size of files here")
    code = FULL_DISK.format(tests=str(Path(__file__).parent), cases=cases, folder=str(folder))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=120,
    )


def test_full_disk_is_one_error_and_no_file(tmp_path):
    pytest.importorskip("av")
    done = write_on_full_disk(tmp_path / "out", SMALL_LIMITS)
    assert done.stdout.splitlines() == [
        f"{kind} {most} File too large {name} []" for kind, name, most in SMALL_LIMITS
    ]
    assert (done.stderr, done.returncode) == ("", 0)


def test_full_disk_is_an_error_of_rerun_too(tmp_path):
    pytest.importorskip("rerun", reason="rerun-sdk is not installed")
    done = write_on_full_disk(tmp_path / "out", RERUN_LIMITS)
    lines = done.stdout.splitlines()
    for line, (_, _, most) in zip(lines, RERUN_LIMITS, strict=True):
        assert line.startswith(f"rerun {most} cannot write {tmp_path}")
        assert line.endswith("[]")
    assert done.returncode == 0


def test_the_same_run_gives_the_same_bytes(tmp_path):
    pytest.importorskip("av")
    for name in ("first", "second"):
        add_all(open_outputs(all_paths(tmp_path / name), RUN), run("ITTULLTT", "  ITT"))
    first, second = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}
        for folder in (tmp_path / "first", tmp_path / "second")
    )
    assert len(first) == 5 + 8
    assert first == second
