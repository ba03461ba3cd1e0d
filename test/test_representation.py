# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The representation study: overlaps, oracles, readers and its report."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from siammask_ros import cli
from siammask_ros.evaluation import (
    RepresentationRow,
    RepresentationStudy,
    convex_overlap,
    read_mask_sequences,
    representation_markdown,
    study_representation,
    write_representation,
)
from siammask_ros.geometry import Box, RotatedBox, box_iou

SIZE_WH = (160, 120)


def drawn_mask(box: RotatedBox) -> np.ndarray:
    """Mask of the pixels whose centres lie in a rectangle."""
    columns, rows = np.meshgrid(np.arange(SIZE_WH[0]), np.arange(SIZE_WH[1]))
    x, y = columns - box.center_xy[0], rows - box.center_xy[1]
    across = x * math.cos(box.theta) + y * math.sin(box.theta)
    down = -x * math.sin(box.theta) + y * math.cos(box.theta)
    mask: np.ndarray = (np.abs(across) <= box.size_wh[0] / 2) & (np.abs(down) <= box.size_wh[1] / 2)
    return mask


def write_sequence(
    folder: Path, boxes: list[RotatedBox], *, inner: str = "", lines: list[str] | None = None
) -> None:
    """Masks of rectangles, and the rectangles as the truth, in the layout of VOT-2016."""
    (folder / inner).mkdir(parents=True)
    for index, box in enumerate(boxes, start=1):
        mask = drawn_mask(box).astype(np.uint8) * 255
        assert cv2.imwrite(str(folder / inner / f"{index:08d}.png"), mask)
    truth = [",".join(f"{value:.4f}" for value in box.corners.ravel()) for box in boxes]
    (folder / "groundtruth.txt").write_text("\n".join(lines or truth) + "\n")


def rows_of(study: RepresentationStudy) -> dict[str, RepresentationRow]:
    return {row.name: row for row in study.rows}


TURNING = [
    RotatedBox((70.0 + index, 60.0), (60.0, 24.0), theta)
    for index, theta in enumerate((0.0, 0.2, 0.4, 0.6))
]


# --- Overlap of polygons


def test_overlap_of_axis_aligned_boxes_is_that_of_boxes() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        first, second = (Box(*rng.uniform(0, 30, 2), *rng.uniform(1, 30, 2)) for _ in range(2))
        overlap = convex_overlap(first.corners, second.corners[::-1])
        assert overlap == pytest.approx(box_iou(first, second), abs=1e-9)


@pytest.mark.parametrize("theta", np.linspace(-1.5, 1.5, 9))
def test_overlap_of_rotated_boxes_is_that_of_their_pixels(theta: float) -> None:
    first = RotatedBox((80.2, 60.3), (70.0, 40.0), 0.1)
    second = RotatedBox((90.1, 55.7), (50.0, 30.0), float(theta))
    pixels = [drawn_mask(box) for box in (first, second)]
    expected = (pixels[0] & pixels[1]).sum() / (pixels[0] | pixels[1]).sum()
    assert convex_overlap(first.corners, second.corners) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("theta", [0.0, 0.3, math.pi / 4, -1.2])
def test_overlap_with_itself_is_one_and_far_away_none(theta: float) -> None:
    corners = RotatedBox((80.0, 60.0), (70.0, 40.0), theta).corners
    assert convex_overlap(corners, corners) == pytest.approx(1)
    assert convex_overlap(corners, np.roll(corners, 1, axis=0)[::-1]) == pytest.approx(1)
    assert convex_overlap(corners, corners + 200) == 0
    assert convex_overlap(corners, corners[[0, 1, 1, 0]]) == 0


# --- The study


@pytest.mark.parametrize("inner", ["", "masks"])
def test_rectangles_are_represented_as_a_formula_says(tmp_path: Path, inner: str) -> None:
    write_sequence(tmp_path / "turning", TURNING, inner=inner)
    study = study_representation(read_mask_sequences(tmp_path))
    rows = rows_of(study)
    assert (study.frames, study.sequences, study.unseen) == (4, 1, 0)
    # The box around a turned rectangle has w c + h s by w s + h c.
    min_max = [
        60 * 24 / ((60 * c + 24 * s) * (60 * s + 24 * c))
        for c, s in ((math.cos(box.theta), math.sin(box.theta)) for box in TURNING)
    ]
    oracle = rows["min-max oracle"]
    assert oracle.mean_iou == pytest.approx(np.mean(min_max), abs=1e-5)
    assert oracle.precision_50 == np.mean(np.array(min_max) > 0.5)
    assert oracle.precision_70 == np.mean(np.array(min_max) > 0.7)
    assert rows["min-max"].mean_iou == pytest.approx(oracle.mean_iou, abs=0.03)
    fixed = [
        convex_overlap(Box.from_center(box.center_xy, (60, 24)).corners, box.corners)
        for box in TURNING
    ]
    assert rows["fixed aspect ratio oracle"].mean_iou == pytest.approx(np.mean(fixed), abs=1e-5)
    for name in ("MBR oracle", "MBR", "Opt", "Opt-fast"):
        assert rows[name].mean_iou > 0.9
        assert rows[name].precision_70 == 1
        assert rows[name].mask_overlap > 0.9
    assert math.isnan(oracle.mask_overlap)
    assert math.isnan(oracle.milliseconds)


def test_predicted_masks_are_scored_and_oracles_stay(tmp_path: Path) -> None:
    write_sequence(tmp_path / "true" / "turning", TURNING)
    half = [RotatedBox(box.center_xy, (30.0, 24.0), box.theta) for box in TURNING]
    write_sequence(tmp_path / "predicted" / "turning", half)
    last = tmp_path / "predicted" / "turning" / "00000004.png"
    cv2.imwrite(str(last), np.zeros(SIZE_WH[::-1], np.uint8))  # lost
    sequences = read_mask_sequences(tmp_path / "true", predictions=tmp_path / "predicted")
    rows = rows_of(study_representation(sequences))
    assert rows["MBR oracle"].mean_iou > 0.9
    assert rows["Opt"].mean_iou == pytest.approx(0.75 * 0.5, abs=0.03)
    assert rows["Opt"].mask_overlap > 0.9  # of the three masks that have a box
    last.unlink()
    with pytest.raises(ValueError, match=r"1 masks are missing, from 00000004\.png"):
        read_mask_sequences(tmp_path / "true", predictions=tmp_path / "predicted")


def test_frames_without_a_true_box_are_left_out_and_counted(tmp_path: Path) -> None:
    lines = ["40,48,60,24", "nan,nan,nan,nan", "0,0,0,0", "40,48,60,24"]
    write_sequence(tmp_path / "still", [TURNING[0]] * 4, lines=lines)
    study = study_representation(read_mask_sequences(tmp_path))
    assert (study.frames, study.unseen) == (2, 2)
    assert rows_of(study)["min-max oracle"].mean_iou == pytest.approx(1)
    (tmp_path / "still" / "groundtruth.txt").write_text("0,0,0,0\n" * 4)
    with pytest.raises(ValueError, match="no frame with a true box"):
        study_representation(read_mask_sequences(tmp_path))


def test_what_does_not_match_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no sequences"):
        read_mask_sequences(tmp_path)
    write_sequence(tmp_path / "a", TURNING, lines=["1,2,3,4"])
    with pytest.raises(ValueError, match="sequence a: 4 masks, 1 true boxes"):
        read_mask_sequences(tmp_path)
    with pytest.raises(ValueError, match=r"no such sequence.*: b"):
        read_mask_sequences(tmp_path, ["b"])
    for bad in ("1,2,3", "1,2,x,4", "1;2;3;4"):
        (tmp_path / "a" / "groundtruth.txt").write_text(bad)
        with pytest.raises(ValueError, match="line 1: expected 4 or 8 numbers"):
            read_mask_sequences(tmp_path)
    with pytest.raises(ValueError, match="unknown box fit 'box'"):
        study_representation([], truth_fit="box")  # type: ignore[arg-type]


# --- The report and the command


def test_the_report_stands_next_to_the_paper(tmp_path: Path) -> None:
    write_sequence(tmp_path / "data" / "turning", TURNING[1:3])
    study = study_representation(read_mask_sequences(tmp_path / "data"))
    text = representation_markdown(study)
    (line,) = [line for line in text.splitlines() if line.startswith("| Opt |")]
    assert "0.717 / 0.908 / 0.605" in line
    markdown, table = write_representation(tmp_path / "report", study)
    assert markdown.read_text() == text
    with table.open(newline="") as stream:
        read = {row["name"]: row for row in csv.DictReader(stream)}
    assert list(read) == [row.name for row in study.rows]
    assert float(read["MBR"]["mean_iou"]) == pytest.approx(rows_of(study)["MBR"].mean_iou, abs=1e-5)
    assert read["MBR"]["paper_50"] == "0.8542"
    assert read["Opt-fast"]["paper_iou"] == ""
    assert read["min-max oracle"]["milliseconds"] == ""


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_sequence(tmp_path / "data" / "turning", TURNING[1:3])
    command = ("eval", "representation", tmp_path / "data")
    assert run(*command, "--output", tmp_path / "report") == 0
    assert "Opt-fast" in capsys.readouterr().out
    assert (tmp_path / "report" / "representation.csv").is_file()
    assert run(*command, "--truth", "ellipse") == 2
    assert "ellipse" in capsys.readouterr().err
    assert run(*command, "--sequences", "nothing") == 2
    assert run("eval", "representation", tmp_path / "absent") == 2


def test_davis_masks_with_their_own_mbr_for_truth(tmp_path: Path) -> None:
    """A sane truth for masks without boxes: one row must be exactly 1."""
    root = tmp_path
    for kind, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
        (root / kind / "turning").mkdir(parents=True)
        for index, box in enumerate(TURNING):
            image = drawn_mask(box).astype(np.uint8) * 255
            cv2.imwrite(str(root / kind / "turning" / f"{index:05d}.{suffix}"), image)
    study = study_representation(read_mask_sequences(root), truth_fit="mbr")
    assert study.truth == "MBR of the true masks"
    assert rows_of(study)["MBR"].mean_iou == pytest.approx(1)
    assert rows_of(study)["MBR oracle"].precision_70 == 1
    assert rows_of(study)["min-max"].mean_iou < 0.8


def test_opt_fast_on_real_masks(shared_dir: Path) -> None:
    (sequence,) = read_mask_sequences(shared_dir / "davis16-train", ["bear"])
    few = type(sequence)(sequence.name, sequence.masks[::40], sequence.true_masks[::40])
    rows = rows_of(study_representation([few], truth_fit="mbr"))
    assert rows["MBR"].mean_iou == pytest.approx(1)
    assert rows["Opt-fast"].mask_overlap == pytest.approx(rows["Opt"].mask_overlap, abs=0.02)
    assert rows["Opt"].mask_overlap > rows["MBR"].mask_overlap
