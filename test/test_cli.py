# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command line: what it writes, what it says, and with which status it exits."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import os
import re
import signal
import subprocess
import sys
import types

import cv2
import numpy as np
import pytest
import torch

from siammask_ros import benchmark, cli
from siammask_ros.cli.common import with_progress
from siammask_ros.network import build_network, save_network
from siammask_ros.results import read_results
from siammask_ros.video import open_video

FRAMES = 5
BOX = "60,40,50,40"
COMMANDS = [
    ["track"],
    ["replay"],
    ["select"],
    ["eval"],
    ["eval", "davis"],
    ["eval", "agreement"],
    ["eval", "youtube-vos"],
    ["eval", "representation"],
    ["eval", "scenarios"],
    ["eval", "vot"],
    ["train"],
    ["bench"],
    ["export"],
    ["weights"],
    ["weights", "list"],
    ["weights", "fetch"],
    ["weights", "verify"],
    ["weights", "convert"],
]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    save_network(build_network("compact"), path, metadata={})
    return path


@pytest.fixture
def clip(tmp_path):
    rng = np.random.default_rng(3)
    backdrop = rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)
    folder = tmp_path / "clip"
    folder.mkdir()
    for number in range(FRAMES):
        image = backdrop.copy()
        image[40:80, 60 + 2 * number : 110 + 2 * number] = (30, 60, 220)
        cv2.imwrite(str(folder / f"{number}.png"), image)
    return folder


def run(*arguments):
    """Exit status of the command in this process."""
    with pytest.raises(SystemExit) as caught:
        cli.main([str(argument) for argument in arguments])
    return caught.value.code or 0


def test_track_writes_what_is_asked_for(tmp_path, clip, weights, capsys):
    pytest.importorskip("av")
    out = tmp_path / "out"
    files = ["--video", out / "t.mp4", "--csv", out / "t.csv", "--sheet", out / "t.png"]
    files += ["--plot", out / "p.png", "--report", out / "r.html"]
    status = run(
        "track", clip, "--box", BOX, "--label", "brick", "--weights", weights, *files,
        "--masks", out / "masks",
    )  # fmt: skip
    assert status == 0
    said = capsys.readouterr().out
    assert f"{FRAMES} frames" in said
    names = ["t.mp4", "t.csv", "masks", "t.png", "p.png", "r.html"]
    assert [line.strip() for line in said.splitlines()[1:]] == [str(out / name) for name in names]
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
    page = (out / "r.html").read_text(encoding="utf-8")
    assert hashlib.sha256(weights.read_bytes()).hexdigest() in page
    assert "#1 brick" in page
    assert cv2.imread(str(out / "p.png")).std() > 10
    with open_video(out / "t.mp4") as video:
        frames = list(video)
    assert len(frames) == FRAMES
    assert frames[0].image_bgr.shape == (120, 160, 3)
    rows = read_results(out / "t.csv")
    assert [row.frame for row in rows] == list(range(FRAMES))
    assert {(row.clip, row.target_id, row.label) for row in rows} == {("clip", 1, "brick")}
    assert rows[0].state == "INITIALIZING"
    assert all(0 <= row.confidence <= 1 for row in rows)
    assert cv2.imread(str(out / "t.png")).ndim == 3
    masks = sorted((out / "masks").iterdir())
    assert [path.name for path in masks] == [f"{number:06d}.png" for number in range(FRAMES)]
    for path, row in zip(masks, rows, strict=True):
        labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert labels.shape == (120, 160)
        assert np.count_nonzero(labels) == row.mask_area


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_track_keeps_what_is_done_when_it_is_ended(
    tmp_path, clip, weights, monkeypatch, capsys, number
):
    offline = importlib.import_module("siammask_ros.offline")
    follow = offline.follow

    def press(*arguments, **options):
        for tracked in follow(*arguments, **options):
            if tracked.frame.index == 3:
                os.kill(os.getpid(), number)
            yield tracked

    monkeypatch.setattr(offline, "follow", press)
    csv = tmp_path / "t.csv"
    status = run("track", clip, "--box", BOX, "-w", weights, "--csv", csv)
    assert status == cli.EXIT_INTERRUPTED
    assert [row.frame for row in read_results(csv)] == [0, 1, 2, 3]
    said = capsys.readouterr()
    assert f"  {csv}" in said.out
    assert "interrupted" in said.err


def test_track_names_what_rerun_needs(tmp_path, clip, weights, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rerun", None)
    assert run("track", clip, "--box", BOX, "-w", weights, "--rerun", tmp_path / "r.rrd") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install rerun-sdk" in line


def test_track_two_targets_and_a_range(tmp_path, clip, weights):
    csv = tmp_path / "t.csv"
    boxes = ["--box", BOX, "--box", "10,10,30,30"]
    status = run(
        "track", clip, *boxes, "-w", weights, "--csv", csv, "--start", 1, "--frames", 3
    )  # fmt: skip
    assert status == 0
    rows = read_results(csv)
    assert [(row.frame, row.target_id) for row in rows] == [
        (frame, target) for frame in (1, 2, 3) for target in (1, 2)
    ]


def test_track_without_an_output_names_one(tmp_path, clip, weights, monkeypatch):
    pytest.importorskip("av")
    monkeypatch.chdir(tmp_path)
    assert run("track", clip, "--box", BOX, "-w", weights, "--frames", 2) == 0
    assert (tmp_path / "clip_tracked.mp4").is_file()


@pytest.mark.parametrize(
    "arguments",
    [
        ["track", "CLIP", "--box", "1,2,3"],
        ["track", "CLIP", "--box", "a,b,c,d"],
        ["track", "CLIP", "--box", "1,2,nan,4"],
        ["track", "CLIP", "--box", "1,2,0,4"],
        ["track", "CLIP"],
        ["track"],
        ["track", "CLIP", "--box", BOX, "--preset", "nonsense"],
        ["track", "CLIP", "--box", BOX, "--label", "a", "--label", "b"],
        ["track", "CLIP", "--box", BOX, "--frames", "-1"],
        ["track", "CLIP", "--box", BOX, "--no-such-option"],
        ["no-such-command"],
        ["eval", "davis", "CLIP"],
        ["eval", "davis", "CLIP", "--tracker", "nonsense"],
        ["bench", "--sizes", "640"],
        ["bench", "--targets", "0"],
        ["weights", "fetch"],
    ],
)
def test_wrong_usage_is_status_2(arguments, clip, capsys):
    assert run(*[str(clip) if a == "CLIP" else a for a in arguments]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_failure_is_status_1_and_one_line(tmp_path, clip, weights, capsys):
    cases = {
        "nowhere.mp4": ["track", tmp_path / "nowhere.mp4", "--box", BOX, "-w", weights],
        "outside": ["track", clip, "--box", "900,0,20,20", "-w", weights],
        "missing.pth": ["track", clip, "--box", BOX, "-w", tmp_path / "missing.pth"],
        "has only": ["track", clip, "--box", BOX, "-w", weights, "--start", 99],
        "0.png": ["weights", "verify", clip / "0.png"],
        "no_such_name": ["weights", "fetch", "no_such_name"],
        "run.yaml": ["train", tmp_path / "run.yaml"],
    }
    for expected, arguments in cases.items():
        assert run(*arguments) == 1
        lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
        assert len(lines) == 1, lines
        assert expected in lines[0]


def test_failure_leaves_no_half_written_file(tmp_path, clip, weights):
    pytest.importorskip("av")
    (clip / "3.png").write_bytes(b"damaged")
    out = tmp_path / "out"
    status = run(
        "track", clip, "--box", BOX, "-w", weights, "-o", out / "t.mp4", "--csv", out / "t.csv"
    )
    assert status == 1
    assert list(out.iterdir()) == []


def test_debug_shows_the_traceback(tmp_path):
    with pytest.raises(FileNotFoundError):
        cli.main(["track", str(tmp_path / "nowhere.mp4"), "--box", BOX, "--debug"])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(command, capsys):
    assert run(*command, "--help") == 0
    text = capsys.readouterr().out
    assert "Usage: siammask " + " ".join(command) in " ".join(text.split())
    if command not in (["eval"], ["weights"]):
        assert "Example: siammask " + " ".join(command) in " ".join(text.split())


def test_progress_shows_names_as_they_are(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert list(with_progress(iter("ab"), None, "clip [1]")) == ["a", "b"]
    said = capsys.readouterr()
    assert "clip [1]" in re.sub(r"\x1b\[[\d;]*m", "", said.err)
    assert not said.out


def test_version(capsys):
    assert run("--version") == 0
    assert re.match(r"siammask .+", capsys.readouterr().out)


def test_weights_are_verified_and_converted(tmp_path, weights, capsys):
    assert run("weights", "verify", weights) == 0
    assert "compact" in capsys.readouterr().out
    assert run("weights", "convert", weights, tmp_path / "own.pth") == 0
    assert run("weights", "convert", weights, tmp_path / "own.pth") == 1
    assert run("weights", "convert", weights, tmp_path / "own.pth", "--overwrite") == 0


def test_weights_list_names_the_published_ones(capsys):
    assert run("weights", "list") == 0
    assert "SiamMask_DAVIS" in capsys.readouterr().out


def test_bench_measures_and_compares(tmp_path, weights, capsys):
    options = ["--sizes", "64x64", "--steps", 2, "--warm-up", 0, "--backend", "eager"]
    for name in ("one", "two"):
        folder = tmp_path / name
        assert run("bench", "-w", weights, *options, "--no-memory", "--output", folder) == 0
        said = capsys.readouterr().out
        assert "64x64" in said
        assert str(folder / "benchmark.json") in said
    paths = [tmp_path / name / "benchmark.json" for name in ("one", "two")]
    assert run("bench", "--compare", *paths) == 0
    assert "| random.pth, eager, float32, 64x64, 1 targets | step p50 ms |" in (
        capsys.readouterr().out
    )


def test_bench_hands_the_node_to_ros(tmp_path, capsys, monkeypatch):
    """With a stand-in for what needs ROS."""
    asked = []

    def run_node_benchmark(options):
        asked.append(options)
        document = benchmark.BenchmarkDocument("node", benchmark.describe_environment(), ())
        return types.SimpleNamespace(
            document=document, markdown=f"# {options.backend}\n", charts={}
        )

    module = types.ModuleType("siammask_ros.ros.benchmark")
    module.run_node_benchmark = run_node_benchmark
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(importlib.import_module("siammask_ros.ros"), "benchmark", module, False)
    options = ["--sizes", "720p,4k", "--targets", "1,3", "--cameras", "1,2,4", "--rate", 20]
    options += ["--backend", "eager,openvino", "--compressed", "--no-peak", "--seconds", 2]
    assert run("bench", "--node", *options, "--set", "masks=none", "-o", tmp_path) == 0
    expected = benchmark.NodeOptions(
        settings=("masks=none",),
        backend="eager",
        sizes=((1280, 720), (3840, 2160)),
        cameras=(1, 2, 4),
        targets=(1, 3),
        rate=20.0,
        seconds=2.0,
        compressed=True,
        peak=False,
    )
    assert asked == [expected, dataclasses.replace(expected, backend="openvino")]
    assert "# openvino" in capsys.readouterr().out
    assert (tmp_path / "node_1.md").read_text() == "# eager\n"
    assert benchmark.read_document(tmp_path / "node_2.json").kind == "node"


def test_bench_refuses_what_it_cannot_measure(tmp_path, capsys):
    other = tmp_path / "other.json"
    other.write_text("{}")
    assert run("bench", "--compare", other, other) == 1
    assert "other.json is no benchmark" in capsys.readouterr().err
    assert run("bench", "--sizes", "wide") == 2
    assert run("bench", "--against", tmp_path, "--sizes", "64x64", "--backend", "eager") == 1
    assert "the official code has no compact" in capsys.readouterr().err


def test_eval_scores_a_data_set(tmp_path, capsys):
    root = tmp_path / "davis"
    for number in range(4):
        image = np.zeros((64, 80, 3), np.uint8)
        mask = np.zeros((64, 80), np.uint8)
        mask[20:50, 20:60] = 255
        for kind, suffix, content in (("JPEGImages", "jpg", image), ("Annotations", "png", mask)):
            folder = root / kind / "still"
            folder.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / f"{number:05d}.{suffix}"), content)
    assert run("eval", "davis", root, "--tracker", "truth", "--output", tmp_path / "report") == 0
    assert "still" in capsys.readouterr().out
    assert (tmp_path / "report" / "report.md").is_file()
    assert run("eval", "davis", root, "--sequences", "nothing") == 2


@pytest.fixture
def run_yaml(tmp_path):
    """A run of three steps on drawn targets, which need no data."""
    path = tmp_path / "run.yaml"
    path.write_text(
        "name: drawn\narchitecture_options: {channels: [8, 8, 8], blocks: [1, 1, 2], width: 8, "
        "refiner_widths: [8, 8, 4]}\npairs_per_epoch: 2\nbatch_size: 2\nepochs: 3\nworkers: 0\n"
        "log_steps: 1\nsamples: {pair_share: 0, composite_share: 0.85}\n"
    )
    return path


def test_train_check_shows_what_would_be_done(tmp_path, run_yaml, capsys):
    assert run("train", run_yaml, "--check", "--output", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "3 steps of 2 samples" in said
    assert "rendered" in said
    assert cv2.imread(str(tmp_path / "out" / "drawn_check.png")) is not None
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["drawn_check.png"]


def test_train_leaves_a_network_that_tracks(tmp_path, run_yaml, clip, capsys):
    out = tmp_path / "out"
    assert run("train", run_yaml, "--output", out, "--device", "cpu") == 0
    said = capsys.readouterr()
    assert "3 of 3 steps, 6 samples" in said.out
    assert str(out / "drawn.pth") in said.out
    assert "drawn: step 3 of 3, loss" in said.err
    csv = tmp_path / "t.csv"
    assert run("track", clip, "--box", BOX, "-w", out / "drawn.pth", "--csv", csv) == 0
    assert len(read_results(csv)) == FRAMES
    assert run("weights", "verify", out / "drawn.pth") == 0
    assert "seed: 1" in capsys.readouterr().out


def test_train_says_how_to_go_on_after_ctrl_c(tmp_path, run_yaml, monkeypatch, capsys):
    loop = importlib.import_module("siammask_ros.training.loop")
    add = loop.Journal.add

    def press(journal, outcome, step):
        add(journal, outcome, step)
        if step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(loop.Journal, "add", press)
    assert run("train", run_yaml, "--output", tmp_path / "out") == cli.EXIT_INTERRUPTED
    assert "interrupted; the same command goes on from step 2" in capsys.readouterr().err
    monkeypatch.undo()
    assert run("train", run_yaml, "--output", tmp_path / "out") == 0
    assert "going on from step 2 of 3" in capsys.readouterr().err


def test_train_fails_in_one_line(tmp_path, run_yaml, capsys):
    missing = "data.sources.davis={kind: davis, root: nowhere}"
    cases = {
        "nowhere": ["--set", missing],
        "no setting": ["--set", "no setting=1"],
        "unknown device 'gpu'": ["--device", "gpu"],
        "no module 'neck'": ["--set", "trained=[{modules: [neck]}]"],
        "float16 needs CUDA": ["--set", "precision=float16", "--device", "cpu"],
    }
    for expected, options in cases.items():
        assert run("train", run_yaml, "--output", tmp_path / "out", *options) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert expected in line
    assert run("train", run_yaml, "--check", "--set", missing) == 1
    assert run("train") == 2
    assert not (tmp_path / "out").exists()


def test_help_needs_neither_torch_nor_opencv():
    code = (
        "import sys, siammask_ros.cli; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'cv2', 'rclpy', 'av')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
