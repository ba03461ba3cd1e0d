# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the tracker on the command line: the paper's ablations, one command each."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest
import torch
from moving_square import write_davis

from siammask_ros import cli
from siammask_ros.network import build_network, save_network
from siammask_ros.results import read_results

BOX = "60,40,50,40"
EAGER = ("--backend", "eager")  # settings are the same to every backend, and it is ready at once


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A three-branch network with coarse and refined masks."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    save_network(build_network("siammask_r50_refine", width_divisor=16), path)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    noise = np.random.default_rng(3).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), np.roll(noise, 2 * number, axis=1))
    return folder


def run(*arguments):
    """Exit status of the command in this process."""
    with pytest.raises(SystemExit) as caught:
        cli.main([str(argument) for argument in arguments])
    return caught.value.code or 0


def follow(tmp_path, clip, weights, *settings):
    csv = tmp_path / "rows.csv"
    options = [word for setting in settings for word in ("--set", setting)]
    assert run("track", clip, "--box", BOX, "-w", weights, "--csv", csv, *options, *EAGER) == 0
    return read_results(csv)[1:]


def test_track_without_masks_reports_the_box(tmp_path, clip, weights):
    for row in follow(tmp_path, clip, weights, "masks=none"):
        assert row.theta == 0
        inside = ((row.x1, row.x3), (row.y1, row.y3))
        width, height = (
            min(float(end), limit) - max(float(start), 0)
            for (start, end), limit in zip(inside, (160, 120), strict=True)
        )
        assert row.mask_area == pytest.approx(width * height, rel=0.15)


def test_track_with_coarse_masks_has_other_masks(tmp_path, clip, weights):
    areas = [
        [row.mask_area for row in follow(tmp_path, clip, weights, f"masks={masks}")]
        for masks in ("best", "coarse")
    ]
    assert areas[0] != areas[1]


def test_track_takes_several_settings(tmp_path, clip, weights):
    thresholds = ["mask_threshold=0.01", "min_contour_area=0"]
    rows = follow(tmp_path, clip, weights, *thresholds, "box_fit=min_max", "reported_box=mask")
    assert {row.theta for row in rows} == {0}
    assert all(row.mask_area > 0 for row in rows)


def test_evaluation_takes_settings(tmp_path, weights, capsys):
    write_davis(tmp_path, names=("cat",))
    answers = []
    for settings in ([], ["--set", "masks=none"]):
        assert run("eval", "davis", tmp_path, "-w", weights, *settings, *EAGER) == 0
        answers.append(re.sub(r"\d+\.\d+ ms.*", "", capsys.readouterr().out))
    assert answers[0] != answers[1]


def test_bench_takes_settings(weights, capsys):
    options = ["--sizes", "96x64", "--steps", 1, "--warm-up", 0, "--threads", 1, *EAGER]
    for masks in ("none", "coarse"):
        assert run("bench", "-w", weights, *options, "--set", f"masks={masks}") == 0
        assert f"davis, masks={masks}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("masks", "NAME=VALUE"),
        ("masks=fine", "masks must be one of"),
        ("name=3", "unknown tracker settings: name"),
        ("mask_treshold=0.3", "unknown tracker settings: mask_treshold"),
        ("mask_threshold=2", "mask_threshold must be"),
    ],
)
def test_a_bad_setting_is_wrong_usage(clip, weights, setting, words, capsys):
    assert run("track", clip, "--box", BOX, "-w", weights, "--set", setting, *EAGER) == 2
    said = " ".join(re.sub("[^ -~]", " ", capsys.readouterr().err).split())
    assert words in said


def test_coarse_masks_that_are_not_there_are_a_failure(clip, capsys):
    assert run("track", clip, "--box", BOX, "--set", "masks=coarse", *EAGER) == 1
    assert "masks is coarse, but compact has no coarse masks" in capsys.readouterr().err
