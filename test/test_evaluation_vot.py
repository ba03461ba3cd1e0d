# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""VOT by the official toolkit, end to end on a data set of two sequences, and without a network.

Oracles: the truth replayed scores what the toolkit's definitions say of it, a box that never moves
fails when it must, and regions are read as the toolkit reads them.
"""

from __future__ import annotations

import csv
import importlib
import importlib.util
import json
import socket
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from siammask_ros import cli
from siammask_ros.evaluation import vot
from siammask_ros.evaluation.plain_results import BoxResult, MaskResult
from siammask_ros.evaluation.vot.entrants import TrackerEntrant
from siammask_ros.evaluation.vot.regions import (
    MaskRegion,
    cut_mask,
    parse_region,
    reported_region,
    start_box,
)
from siammask_ros.evaluation.vot.tracker import parse_arguments
from siammask_ros.geometry import Box, RotatedBox, vot_region_to_box

FRAMES = 24
SPEED = 2
SIZE_WH = (160, 120)
TARGET_WH = (20, 28)
START_XY = (40, 40)
SKIPPED = 5
"""Frames from a failure to the next start."""
NAMES = ("corners", "masks")
FORWARD, BACKWARD = 2, 20
"""Frames that anchor-based runs start at, and go on to the last and to the first."""
BLUE = (255, 0, 0)

SUPERVISED = f"""
title: tiny supervised
experiments:
  baseline:
    type: supervised
    repetitions: 2
    skip_initialize: {SKIPPED}
    analyses:
      - {{type: supervised_average_ar, sensitivity: 30}}
      - {{type: supervised_eao_score, low: 3, high: 9}}
      - {{type: supervised_eao_curve}}
  realtime:
    type: supervised
    realtime: {{grace: 3}}
    skip_initialize: {SKIPPED}
    analyses:
      - {{type: supervised_average_ar, sensitivity: 30}}
  unsupervised:
    type: unsupervised
    analyses:
      - {{type: average_accuracy}}
"""
ANCHORED = """
title: tiny anchor-based
experiments:
  baseline:
    type: multistart
    analyses:
      - {type: multistart_eao_score, name: eaoscore, low: 3, high: 9}
      - {type: multistart_eao_curve, name: eaocurve, high: 9}
      - {type: multistart_average_ar, name: ar}
"""

needs_toolkit = pytest.mark.skipif(
    importlib.util.find_spec("vot") is None, reason="vot-toolkit is not installed"
)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Whoever asks for a network fails."""

    def refuse(*arguments, **options):
        raise AssertionError(f"network: {arguments[1:]}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def target_box(index):
    """Left, top, width, height of the target."""
    return (START_XY[0] + SPEED * index, START_XY[1], *TARGET_WH)


def target_mask(index):
    left, top, width, height = target_box(index)
    mask = np.zeros(SIZE_WH[::-1], np.bool_)
    mask[top : top + height, left : left + width] = True
    return mask


def corners_line(index):
    return ",".join(f"{value:.2f}" for value in Box(*target_box(index)).corners.ravel())


def mask_line(index):
    """As VOT2020 writes masks: the box, then the runs in it; here a first one of no pixels."""
    left, top, width, height = target_box(index)
    return f"m{left},{top},{width},{height},0,{width * height}"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two sequences of the same moving target: the truth of one in corners, of the other in masks.

    Images of the first are in a folder of their own, those of the other beside the truth.
    """
    root = tmp_path_factory.mktemp("vot") / "sequences"
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 255, (7, 5, 3), dtype=np.uint8)
    target = cv2.resize(texture, TARGET_WH, interpolation=cv2.INTER_NEAREST)
    coarse = rng.integers(80, 140, (12, 16, 3), dtype=np.uint8)
    backdrop = cv2.resize(coarse, SIZE_WH, interpolation=cv2.INTER_CUBIC)
    backdrop[:24, :24] = BLUE
    for name, line in zip(NAMES, (corners_line, mask_line), strict=True):
        folder = root / name
        images = folder / "color" if name == "corners" else folder
        images.mkdir(parents=True)
        for index in range(FRAMES):
            image = backdrop.copy()
            image[target_mask(index)] = target.reshape(-1, 3)
            assert cv2.imwrite(str(images / f"{index + 1:08d}.jpg"), image)
        lines = [line(index) for index in range(FRAMES)]
        (folder / "groundtruth.txt").write_text("\n".join(lines) + "\n")
        anchors = {FORWARD: "1", BACKWARD: "-1"}
        values = [anchors.get(index, "0") for index in range(FRAMES)]
        (folder / "anchor.value").write_text("\n".join(values) + "\n")
    (root / "corners" / "sequence").write_text("channels.color=color/%08d.jpg\nfps=30\n")
    (root / "list.txt").write_text("\n".join(NAMES) + "\n")
    return root


@pytest.fixture
def stack(tmp_path):
    """Write a stack; returns its path."""

    def write(text):
        path = tmp_path / "tiny.yaml"
        path.write_text(text)
        return path

    return write


def run(*arguments):
    """Exit status of `siammask eval vot`."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["eval", "vot", *(str(argument) for argument in arguments)])
    return caught.value.code or 0


def report_of(workspace, name):
    folder = workspace / "report" / name
    told = json.loads((folder / "report.json").read_text())
    return {each["experiment"]: each for each in told["experiments"]}


def result_files(workspace):
    return {path: path.stat().st_mtime_ns for path in (workspace / "results").rglob("*.bin")}


# --- The toolkit, end to end


@needs_toolkit
def test_the_truth_is_perfect_in_a_supervised_stack_and_is_not_run_twice(
    tmp_path, data, stack, capsys
):
    workspace = tmp_path / "workspace"
    first = [workspace, "--stack", stack(SUPERVISED), "--data", data, "--tracker", "truth"]
    assert run(*first) == 0
    said = capsys.readouterr().out
    assert "| truth-polygon | 1.000 | 1.000 | 0.000 | here |" in said
    results = report_of(workspace, "truth-polygon")
    assert list(results) == ["baseline", "realtime", "unsupervised"]
    for name in ("baseline", "realtime"):
        assert results[name]["kind"] == "supervised"
        assert results[name]["accuracy"] == pytest.approx(1)
        assert results[name]["robustness"] == results[name]["failures"] == 0
    assert results["baseline"]["eao"] == pytest.approx(1)
    assert results["realtime"]["eao"] is None
    assert results["unsupervised"]["accuracy"] == pytest.approx(1)
    folder = workspace / "report" / "truth-polygon"
    with (folder / "sequences.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["experiment"], row["sequence"]) for row in rows] == [
        (experiment, name) for experiment in results for name in NAMES
    ]
    assert {(row["frames"], float(row["accuracy"])) for row in rows} == {(str(FRAMES), 1.0)}
    with (folder / "experiments.csv").open() as stream:
        assert [row["sequences"] for row in csv.DictReader(stream)] == ["2", "2", "2"]
    # The same again is read from the results; with --force it is run.
    files = result_files(workspace)
    assert len(files) == (2 + 1 + 1) * len(NAMES)
    again = [workspace, "--tracker", "truth", "--experiments", "baseline"]
    assert run(*again) == 0
    assert result_files(workspace) == files
    assert run(*again, "--sequences", "masks", "--force") == 0
    changed = {path for path, time in result_files(workspace).items() if time != files[path]}
    assert {path.parent for path in changed} == {
        workspace / "results" / "truth-polygon" / "baseline" / "masks"
    }


@needs_toolkit
def test_the_truth_is_perfect_from_anchors(tmp_path, data, stack, capsys):
    workspace = tmp_path / "workspace"
    path = stack(ANCHORED)
    assert run(workspace, "--stack", path, "--data", data, "--tracker", "truth") == 0
    assert "share of the frames" in capsys.readouterr().out
    result = report_of(workspace, "truth-polygon")["baseline"]
    assert result["kind"] == "multistart"
    assert result["robustness"] == 1
    assert result["eao"] == pytest.approx(1)
    # The toolkit counts the frame that a run starts at as one without overlap.
    runs = [FRAMES - FORWARD, BACKWARD + 1]
    assert result["accuracy"] == pytest.approx(1 - len(runs) / sum(runs))
    trackers = importlib.import_module("vot.tracker")
    storage = importlib.import_module("vot.workspace.storage")
    folder = workspace / "results" / "truth-polygon" / "baseline" / "masks"
    stored = trackers.Results(storage.LocalStorage(str(folder)))
    for anchor, step, length in ((FORWARD, 1, runs[0]), (BACKWARD, -1, runs[1])):
        trajectory = trackers.Trajectory.read(stored, f"masks_{anchor:08d}")
        assert len(trajectory) == length
        assert set(trajectory.properties()) == {"confidence", "time"}
        for number in range(1, length):
            region = trajectory.region(number)
            whole = np.zeros(SIZE_WH[::-1], np.bool_)
            (left, top), (height, width) = region.offset, region.mask.shape
            whole[top : top + height, left : left + width] = region.mask > 0
            assert np.array_equal(whole, target_mask(anchor + step * number))


@needs_toolkit
def test_a_box_that_never_moves_fails_once_a_sequence(tmp_path, data, stack):
    workspace = tmp_path / "workspace"
    chosen = ["--tracker", "never-moves", "--region", "rectangle", "--experiments", "baseline"]
    assert run(workspace, "--stack", stack(SUPERVISED), "--data", data, *chosen) == 0
    result = report_of(workspace, "never-moves-rectangle")["baseline"]
    # The target has left its box when it has moved by its width (VOT corners take in their last
    # pixel, so by one more frame there); after the next start too few frames are left for that.
    until = TARGET_WH[0] // SPEED
    assert until + 1 + SKIPPED + until > FRAMES
    assert [row["robustness"] for row in result["sequences"]] == [1, 1]
    assert result["failures"] == len(NAMES)
    assert result["robustness"] == pytest.approx(100 * len(NAMES) / (len(NAMES) * FRAMES))


@needs_toolkit
def test_the_compact_network_tracks(tmp_path, data, stack):
    workspace = tmp_path / "workspace"
    chosen = ["--region", "mask", "--experiments", "unsupervised", "--sequences", "corners"]
    status = run(
        workspace, "--stack", stack(SUPERVISED), "--data", data, *chosen, "--name", "small"
    )
    assert status == 0
    result = report_of(workspace, "small")["unsupervised"]
    assert result["accuracy"] > 0.5
    folder = workspace / "results" / "small" / "unsupervised" / "corners"
    lines = (folder / "corners_001_confidence.value").read_text().splitlines()
    assert len(lines) == FRAMES
    assert all(0 <= float(line) <= 1 for line in lines[1:])


OWN_TRACKER = """
from siammask_ros.evaluation.plain_results import BoxResult


class Blueness:
    def initialize(self, image_bgr, box_xywh):
        return tuple(box_xywh)

    def track(self, image_bgr, state):
        blue, green, red = (float(value) / 255 for value in image_bgr[8, 8])
        return state, BoxResult(state, image_bgr.shape[1::-1], blue - red)
"""


@needs_toolkit
def test_own_trackers_see_bgr_and_their_confidence_is_kept(tmp_path, data, stack):
    workspace, module = tmp_path / "workspace", tmp_path / "own.py"
    module.write_text(OWN_TRACKER)
    chosen = ["--experiments", "unsupervised", "--sequences", "masks", "--name", "own"]
    status = run(
        workspace, "--stack", stack(SUPERVISED), "--data", data,
        "--tracker", f"{module}:Blueness", *chosen,
    )  # fmt: skip
    assert status == 0
    folder = workspace / "results" / "own" / "unsupervised" / "masks"
    lines = (folder / "masks_001_confidence.value").read_text().splitlines()
    assert [float(line) for line in lines[1:]] == pytest.approx([1] * (FRAMES - 1), abs=0.05)


INTERRUPTING = """
import os
import signal
from pathlib import Path

from siammask_ros.evaluation.reference import NeverMoves


class Once(NeverMoves):
    def track(self, image_bgr, state):
        marker = Path(__file__).with_suffix(".done")
        if not marker.exists():
            marker.touch()
            os.kill(os.getppid(), signal.SIGINT)
        return super().track(image_bgr, state)
"""


@needs_toolkit
def test_ctrl_c_ends_a_run_that_can_go_on(tmp_path, data, stack):
    workspace, module = tmp_path / "workspace", tmp_path / "once.py"
    module.write_text(INTERRUPTING)
    first = ["--stack", stack(SUPERVISED), "--data", data]
    chosen = ["--tracker", f"{module}:Once", "--name", "once", "--experiments", "unsupervised"]
    assert run(workspace, *first, *chosen) == cli.EXIT_INTERRUPTED
    assert not result_files(workspace)
    assert run(workspace, *chosen) == 0
    assert len(result_files(workspace)) == len(NAMES)


# --- Data that are there are taken; others are fetched only if that is asked for


@pytest.fixture
def fetched(monkeypatch):
    """Calls of the toolkit's download, which does nothing here."""
    calls = []
    monkeypatch.setattr(
        importlib.import_module("vot.dataset"), "download_dataset", lambda *call: calls.append(call)
    )
    return calls


@needs_toolkit
def test_a_published_stack_takes_the_data_that_are_there(tmp_path, data, fetched, capsys):
    workspace = tmp_path / "workspace"
    chosen = ["--tracker", "truth", "--experiments", "baseline", "--sequences", "corners"]
    assert run(workspace, "--stack", "vot2018", "--data", data, *chosen) == 0
    said = capsys.readouterr().out
    assert "| truth-polygon | - | 1.000 | 0.000 | here |" in said  # EAO is of 100 frames and more
    assert "| SiamMask | 0.380 | 0.609 | 0.276 | Wang et al., CVPR 2019, table 2 |" in said
    assert not fetched


@needs_toolkit
def test_nothing_is_fetched_unasked(tmp_path, fetched, capsys):
    workspace = tmp_path / "workspace"
    for arguments in (["--stack", "vot2018"], []):
        assert run(workspace, *arguments) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        for word in (str(workspace / "sequences"), "list.txt", "--data", "--download", "http"):
            assert word in said
    assert not fetched
    assert run(workspace, "--download") == 1
    assert "not complete" in capsys.readouterr().err
    ((address, folder),) = fetched
    assert address.endswith("vot2018/main/description.json")
    assert Path(folder) == workspace / "sequences"


# --- What a user can mend


@needs_toolkit
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["no workspace", "--stack"]),
        (["--stack", "vot1999"], ["no stack 'vot1999'", "vot2018"]),
        (["--stack", "TINY", "--data", "EMPTY"], ["EMPTY"]),
        (["--stack", "TINY", "--data", "DATA", "-w", "none.pth"], ["none.pth"]),
        (
            ["--stack", "TINY", "--data", "DATA", "--tracker", "truth", "--name", "a b"],
            ["'a b'"],
        ),
        (
            ["--stack", "TINY", "--data", "DATA", "--tracker", "truth", "--experiments", "live"],
            ["no experiment live", "baseline"],
        ),
        (
            ["--stack", "TINY", "--data", "DATA", "--tracker", "truth", "--sequences", "road"],
            ["no sequence road", "corners"],
        ),
    ],
)
def test_errors_are_one_line(tmp_path, data, stack, capsys, arguments, words):
    (tmp_path / "empty").mkdir()
    places = {"TINY": stack(SUPERVISED), "DATA": data, "EMPTY": tmp_path / "empty"}
    assert run(tmp_path / "workspace", *(places.get(each, each) for each in arguments)) == 1
    said = capsys.readouterr().err
    assert said.startswith("siammask: ")
    assert said.count("\n") == 1
    for word in words:
        assert str(places.get(word, word)) in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["--region", "ellipse"],
        ["--tracker", "truth", "--preset", "vot"],
        ["--tracker", "nothing"],
        ["--tracker", "never-moves", "--tracker-weights", "a.onnx"],
        ["--set", "masks=some"],
        ["--weights", "a.pth,b.pth"],
        ["--tracker-weights", "a.onnx"],
    ],
)
def test_wrong_usage(tmp_path, capsys, arguments):
    assert run(tmp_path / "workspace", "--stack", "vot2018", *arguments) == 2
    assert "Usage" in capsys.readouterr().err
    assert not (tmp_path / "workspace").exists()


@needs_toolkit
def test_a_workspace_keeps_its_stack_and_its_data(tmp_path, data, stack, capsys):
    workspace = tmp_path / "workspace"
    vot.prepare_workspace(workspace, stack=str(stack(SUPERVISED)), data=data)
    vot.prepare_workspace(workspace)
    vot.prepare_workspace(workspace, stack=str(stack(SUPERVISED)), data=data)
    with pytest.raises(ValueError, match=r"has the stack stack\.yaml, not vot2018"):
        vot.prepare_workspace(workspace, stack="vot2018")
    with pytest.raises(ValueError, match="has its sequences in"):
        vot.prepare_workspace(workspace, data=tmp_path)


@needs_toolkit
def test_incomplete_sequences_are_named(tmp_path, stack):
    data = tmp_path / "data"
    (data / "road" / "color").mkdir(parents=True)
    (data / "list.txt").write_text("road\n")
    path = str(stack(SUPERVISED))
    with pytest.raises(ValueError, match=r"road has no groundtruth\.txt"):
        vot.prepare_workspace(tmp_path / "workspace", stack=path, data=data)
    (data / "road" / "groundtruth.txt").write_text("1,2,3,4\n")
    with pytest.raises(ValueError, match=r"channels\.color=color"):
        vot.prepare_workspace(tmp_path / "workspace")
    (data / "list.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"list\.txt must have"):
        vot.prepare_workspace(tmp_path / "workspace")


@needs_toolkit
def test_sequences_without_anchors_are_named(tmp_path, data, stack):
    folder = tmp_path / "data"
    (folder / "masks").mkdir(parents=True)
    for path in (data / "masks").iterdir():
        if path.suffix != ".value":
            (folder / "masks" / path.name).symlink_to(path)
    (folder / "list.txt").write_text("masks\n")
    workspace = vot.prepare_workspace(
        tmp_path / "workspace", stack=str(stack(ANCHORED)), data=folder
    )
    vot.register_entrant(workspace, "truth", vot.EntrantOptions(tracker=vot.TRUTH))
    with pytest.raises(ValueError, match=r"masks has no anchors \(file anchor\.value\)"):
        vot.evaluate_vot(workspace, "truth")


@needs_toolkit
def test_a_tracker_that_fails_is_quoted(tmp_path, data, stack, capsys):
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"no checkpoint")
    workspace = tmp_path / "workspace"
    chosen = ["--experiments", "baseline", "--weights", broken]
    assert run(workspace, "--stack", stack(SUPERVISED), "--data", data, *chosen) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "siammask-broken-polygon failed in baseline, corners" in said
    (log,) = (workspace / "logs").iterdir()
    assert str(log) in said
    assert "broken.pth" in log.read_text()
    assert not result_files(workspace)


# --- Trackers of a workspace


@needs_toolkit
def test_trackers_are_written_beside_others(tmp_path, data, stack):
    workspace = vot.prepare_workspace(tmp_path, stack=str(stack(SUPERVISED)), data=data)
    path = workspace / "trackers.ini"
    path.write_text("[other]  # 100 %% theirs\nlabel = Other\nprotocol = trax\ncommand = x\n")
    options = vot.EntrantOptions(weights=("compact",), settings=("box_fit=opt",), preset="vot")
    name = vot.entrant_name(options)
    assert name == "siammask-compact-vot-box-fit-opt-polygon".replace("box-fit", "box_fit")
    for device in ("cpu", "cuda:1"):
        changed = vot.EntrantOptions(**{**vars(options), "device": device})
        vot.register_entrant(workspace, name, changed)
        vot.register_entrant(workspace, "truth", vot.EntrantOptions(tracker=vot.TRUTH))
        text = path.read_text()
        assert text.count(f"[{name}]") == text.count("[truth]") == text.count("[other]") == 1
        assert f"--device={device}" in text
    registry = importlib.import_module("vot.tracker").Registry([str(path)])
    assert sorted(registry.identifiers()) == sorted(["other", name, "truth"])
    words = registry[name].metadata("settings")
    assert words.startswith("siammask, preset vot, box_fit=opt, weights compact sha256 ")
    assert words.endswith(", reports polygon")


@needs_toolkit
def test_results_of_other_settings_are_not_taken_for_these(tmp_path, data, stack):
    workspace = vot.prepare_workspace(tmp_path, stack=str(stack(SUPERVISED)), data=data)
    options = vot.EntrantOptions(tracker="never-moves")
    vot.register_entrant(workspace, "mine", options)
    vot.register_entrant(workspace, "mine", vot.EntrantOptions(tracker=vot.TRUTH))
    (workspace / "results" / "mine").mkdir()
    vot.register_entrant(workspace, "mine", vot.EntrantOptions(tracker=vot.TRUTH, threads=3))
    with pytest.raises(ValueError, match="results of truth, reports polygon, not of never-moves"):
        vot.register_entrant(workspace, "mine", options)
    (workspace / "results" / "theirs").mkdir()
    with pytest.raises(ValueError, match="not known"):
        vot.register_entrant(workspace, "theirs", options)


def test_options_go_through_the_command_line():
    options = vot.EntrantOptions(
        tracker="nano", weights=("a b.onnx", "c.onnx"), settings=("x=1", "y=2"), region="mask",
        device="cuda:0", threads=4, preset="vot",
    )  # fmt: skip
    assert parse_arguments(options.command_line()) == options
    assert parse_arguments([]) == vot.EntrantOptions()


# --- Regions


def test_regions_are_read_as_the_toolkit_reads_them():
    parse = pytest.importorskip("vot.region.io").parse_region
    rectangle, theirs = parse_region("1.5,2,30,4\n"), parse("1.5,2,30,4")
    assert rectangle.xywh == (theirs.x, theirs.y, theirs.width, theirs.height)
    line = "1,2,3.5,4,5,6,7,8.25"
    assert np.array_equal(parse_region(line), np.array(parse(line).points()))
    line = "m3,4,5,2,2,4,3,1"
    ours, theirs = parse_region(line), parse(line)
    whole = np.zeros((20, 20), np.bool_)
    (left, top), (height, width) = ours.left_top, ours.mask.shape
    whole[top : top + height, left : left + width] = ours.mask
    assert np.array_equal(whole, theirs.rasterize((0, 0, 19, 19)) > 0)
    for unseen in ("0", "nan,nan,nan,nan"):
        assert parse_region(unseen) == Box(0, 0, 0, 0)
        assert parse(unseen).is_empty()


@pytest.mark.parametrize("line", ["", "1,2,x,4", "1,2,3", "m1,2", "1,2,3,4,5"])
def test_other_lines_are_no_regions(line):
    with pytest.raises(ValueError, match="not a VOT region"):
        parse_region(line)


def test_trackers_start_as_the_official_evaluation_does():
    box = Box(10.5, 20, 30, 8)
    assert start_box(box) == box
    corners = RotatedBox((50, 40), (30, 10), 0.4).corners
    assert start_box(corners) == vot_region_to_box(corners.ravel())
    triangle = np.array([[0.0, 0.0], [8.0, 1.0], [3.0, 6.0]])
    assert start_box(triangle) == Box(0, 0, 8, 6)
    mask = np.zeros((9, 9), np.bool_)
    mask[2:5, 3:8] = True
    assert start_box(MaskRegion(mask, (100, 200))) == Box(103, 202, 5, 3)
    with pytest.raises(ValueError, match="empty"):
        start_box(MaskRegion(mask & False, (0, 0)))


def test_results_are_reported_as_asked():
    result = MaskResult(target_mask(3))
    assert reported_region(result, "rectangle") == Box(*target_box(3))
    assert np.array_equal(reported_region(result, "polygon"), Box(*target_box(3)).corners)
    cut = reported_region(result, "mask")
    assert cut.left_top == target_box(3)[:2]
    assert cut.mask.shape == TARGET_WH[::-1]
    assert cut.mask.all()
    assert not cut_mask(target_mask(0) & False).mask.any()


def test_an_entrant_reads_bgr_and_starts_on_the_box(tmp_path):
    path = tmp_path / "00000001.png"
    assert cv2.imwrite(str(path), np.full((4, 5, 3), BLUE, np.uint8))
    seen = []

    class Recorder:
        def initialize(self, image_bgr, box_xywh):
            seen.append((tuple(image_bgr[0, 0]), tuple(box_xywh)))
            return 1

        def track(self, image_bgr, state):
            seen.append((tuple(image_bgr[3, 4]), state))
            return state + 1, BoxResult((1.0, 2.0, 3.0, 4.0), (5, 4), 0.25)

    entrant = TrackerEntrant(Recorder(), "rectangle")
    entrant.start(path, Box(1, 1, 2, 2))
    answers = [entrant.follow(path) for _ in range(2)]
    assert seen == [(BLUE, (1, 1, 2, 2)), (BLUE, 1), (BLUE, 2)]
    assert answers == [(Box(1, 2, 3, 4), 0.25)] * 2
    with pytest.raises(ValueError, match="not an image"):
        entrant.follow(tmp_path / "00000002.png")


# --- Published figures


@pytest.mark.parametrize(
    ("stack", "frames"), [("vot2016/rgb", 21455), ("vot2018/shortterm", 21356)]
)
def test_published_robustness_is_failures_in_100_frames(stack, frames):
    """The paper's robustness is a whole number of failures in all frames of the data set."""
    rows = [row for row in vot.PUBLISHED_VOT[stack] if "CVPR" in row.source]
    for row in rows:
        if not np.isnan(row.robustness):
            failures = round(row.robustness * frames / 100)
            assert round(100 * failures / frames, 3) == row.robustness, row


# --- Without the toolkit, or with one that does not import


@pytest.fixture
def without_toolkit(monkeypatch):
    """Forget the toolkit, so that it is imported anew."""
    for name in [name for name in sys.modules if name.split(".")[0] in {"vot", "attributee"}]:
        monkeypatch.delitem(sys.modules, name)


def test_a_missing_toolkit_is_one_line(tmp_path, monkeypatch, capsys, without_toolkit):
    monkeypatch.setitem(sys.modules, "vot", None)
    assert run(tmp_path, "--stack", "vot2018") == 1
    said = capsys.readouterr().err
    assert said == (
        "siammask: VOT needs the package vot-toolkit: pip install -r requirements/benchmarks.txt\n"
    )


@needs_toolkit
def test_an_attributee_that_does_not_fit_is_one_line(
    tmp_path, monkeypatch, capsys, without_toolkit
):
    """As attributee 0.1.10 does on Python 3.11."""
    fake = tmp_path / "attributee"
    fake.mkdir()
    (fake / "__init__.py").write_text("raise TypeError('dataclass_transform() takes 0')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert run(tmp_path / "workspace", "--stack", "vot2018") == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    for word in ("attributee", "dataclass_transform", "pip install -r requirements/benchmarks.txt"):
        assert word in said
