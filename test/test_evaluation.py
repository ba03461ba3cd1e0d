# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures, DAVIS reader, evaluation loop, reference trackers, reports and the command."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from moving_square import HEIGHT, WIDTH, MovingSquare, Scripted, run, write_davis

from siammask_ros import cli
from siammask_ros.evaluation import (
    Always,
    BoxResult,
    Conditions,
    Convention,
    MaskResult,
    NeverMoves,
    RenderedSequence,
    SequenceGroup,
    TruthReplay,
    box_overlap,
    calibration,
    calibration_csv,
    comparison_csv,
    comparison_markdown,
    evaluate_davis,
    evaluate_sequence,
    evaluation_json,
    evaluation_markdown,
    frames_csv,
    parse_groups,
    read_davis,
    reference_factory,
    region_similarity,
    separation,
    separation_auc,
    separation_csv,
    sequences_csv,
    targets_csv,
    track_sequence,
    training_step,
    write_comparison,
    write_report,
)
from siammask_ros.files import write_whole
from siammask_ros.network import build_network, save_network


def mask_of(*rows):
    return np.array([[value == "#" for value in row] for row in rows])


def test_region_similarity_by_hand():
    first = mask_of("##..", "##..")
    second = mask_of(".##.", ".##.")
    assert region_similarity(first, second) == pytest.approx(2 / 6)
    assert region_similarity(first, first) == 1.0
    assert region_similarity(first, mask_of("...#", "...#")) == 0.0
    empty = np.zeros((2, 4), bool)
    assert region_similarity(empty, empty) == 1.0
    assert region_similarity(first, empty) == region_similarity(empty, first) == 0.0
    with pytest.raises(ValueError, match=r"\(2, 4\) and \(3, 4\)"):
        region_similarity(first, np.zeros((3, 4), bool))


def test_box_overlap_by_hand():
    truth = np.zeros((20, 20), bool)
    truth[5:15, 5:15] = True
    truth[8, 8] = False
    assert box_overlap((5, 5, 10, 10), truth) == 1.0
    assert box_overlap((10, 5, 10, 10), truth) == pytest.approx(50 / 150)
    assert box_overlap((15, 15, 5, 5), truth) == 0.0
    assert math.isnan(box_overlap((0, 0, 5, 5), np.zeros((9, 9), bool)))


def test_auc_is_the_share_of_ordered_pairs():
    rng = np.random.default_rng(0)
    higher, lower = rng.integers(0, 6, 40), rng.integers(0, 5, 30)
    pairs = [(a > b) + 0.5 * (a == b) for a in higher for b in lower]
    assert separation_auc(higher, lower) == pytest.approx(np.mean(pairs))
    assert separation_auc([3, 4, math.nan], [1, 2]) == 1.0
    assert separation_auc([1], [2]) == 0.0
    assert math.isnan(separation_auc([], [1.0]))
    assert math.isnan(separation_auc([math.nan], [1.0]))


def test_filled_box_covers_its_pixels():
    mask = BoxResult((3, 2, 4, 5), (12, 10)).mask
    expected = np.zeros((10, 12), bool)
    expected[2:7, 3:7] = True
    assert (mask == expected).all()
    assert not BoxResult((50, 50, 5, 5), (12, 10)).mask.any()
    assert BoxResult((-5, -5, 50, 50), (12, 10)).mask.all()
    assert MaskResult(expected).box_xywh == (3, 2, 4, 5)
    assert MaskResult(np.zeros((4, 4), bool)).box_xywh == (0, 0, 0, 0)


def test_truth_scores_one():
    sequences = [MovingSquare("a"), MovingSquare("b", 7, 3, gone=(2, 3))]
    for convention in Convention:
        scores = run(sequences, TruthReplay, convention=convention)
        assert scores.region_similarity == 1.0
        assert scores.box_iou == 1.0
        assert scores.lost_share == 0.0


def test_truth_scores_one_on_a_rendered_scene():
    sequence = RenderedSequence.of_scenario("exit_and_return", 2, frames=24, size_wh=(96, 64))
    assert any(not sequence.frame(index).mask.any() for index in range(24))
    score = evaluate_sequence(sequence, TruthReplay)
    assert score.region_similarity == score.box_iou == 1.0
    assert sequence.name == "exit_and_return-2"


def test_a_still_box_scores_what_the_squares_overlap():
    score = evaluate_sequence(MovingSquare(), Always(NeverMoves()))
    # Frames 1 to 3 of 5 count; the square has moved 2, 4, 6 pixels of its 10.
    expected = [(10 - s) / (10 + s) for s in (2, 4, 6)]
    assert [frame.region_similarity for frame in score.counted] == pytest.approx(expected)
    assert score.region_similarity == pytest.approx(np.mean(expected))
    assert score.box_iou == pytest.approx(np.mean(expected))
    assert math.isnan(score.confidence)
    assert score.milliseconds > 0
    assert score.initialize_ms > 0


def test_convention_says_whether_the_last_frame_counts():
    davis = evaluate_sequence(MovingSquare(), Always(NeverMoves()))
    tracked = evaluate_sequence(MovingSquare(), Always(NeverMoves()), convention=Convention.TRACKED)
    assert [frame.frame for frame in davis.counted] == [1, 2, 3]
    assert [frame.frame for frame in tracked.counted] == [1, 2, 3, 4]
    assert [frame.frame for frame in davis.frames] == [1, 2, 3, 4]
    assert tracked.region_similarity < davis.region_similarity
    assert "last frame not counted" in Convention.DAVIS.words
    assert "last frame counted" in Convention.TRACKED.words


def test_the_mean_weighs_sequences_alike():
    scores = run([MovingSquare("a", 5, 2), MovingSquare("b", 30, 0)], Always(NeverMoves()))
    first, second = (score.region_similarity for score in scores.sequences)
    assert second == 1.0
    assert scores.region_similarity == pytest.approx((first + second) / 2)


def test_the_tracker_is_given_the_bounding_rectangle():
    boxes = []

    class Spy(NeverMoves):
        def initialize(self, image_bgr, box_xywh):
            boxes.append(tuple(box_xywh))
            return super().initialize(image_bgr, box_xywh)

    sequence = MovingSquare()
    evaluate_sequence(sequence, Always(Spy()))
    assert boxes == [cv2.boundingRect(sequence.frame(0).mask.astype(np.uint8))]


def test_frames_without_the_target_have_no_box_overlap():
    score = evaluate_sequence(MovingSquare(gone=(2,)), Always(NeverMoves()))
    overlaps = [frame.box_iou for frame in score.counted]
    assert [math.isnan(value) for value in overlaps] == [False, True, False]
    assert score.frames[1].region_similarity == 0.0
    assert score.box_iou == pytest.approx((overlaps[0] + overlaps[2]) / 2)


def test_confidence_separates_lost_from_fine():
    sequence = MovingSquare(frames=6)
    right = (True, True, False, False, True)
    sure = Scripted(sequence, (0.9, 0.8, 0.2, 0.1, 0.0), right)
    scores = run([sequence], Always(sure))
    # The last frame, sure of nothing and yet right, does not count.
    lost, poor = scores.separations
    assert lost == (0.1, 1.0, 2, 2, pytest.approx(0.85), pytest.approx(0.15))
    assert poor == (0.3, *lost[1:])
    assert scores.confidence_auc == 1.0
    assert scores.lost_share == 0.5
    assert [each.confidence for each in scores.calibration] == [0.1, 0.2, 0.8, 0.9]
    assert [each.region_similarity for each in scores.calibration] == [0, 0, 1, 1]
    mixed = Scripted(sequence, (0.9, 0.1, 0.5, 0.05, 0.0), right)
    assert run([sequence], Always(mixed)).confidence_auc == 0.75


def test_separation_by_hand():
    similar = [0.9, 0.5, 0.4, 0.25, 0.05, 0.0]
    sure = [0.8, 0.6, 0.1, 0.7, 0.2, math.nan]
    # Fine 0.8 and 0.6; lost 0.2, or 0.7 and 0.2; J of 0.4 is neither.
    assert separation(sure, similar, 0.1) == (0.1, 1.0, 2, 1, pytest.approx(0.7), 0.2)
    assert separation(sure, similar, 0.3) == (0.3, 0.75, 2, 2, *map(pytest.approx, (0.7, 0.45)))
    nothing = separation([0.5], [0.9])
    assert nothing[2:4] == (1, 0)
    assert math.isnan(nothing.auc)
    assert math.isnan(nothing.lost_median)
    with pytest.raises(ValueError, match="2 confidences for 1 frames"):
        separation([0.5, 0.6], [0.9])
    with pytest.raises(ValueError, match=r"fine from J of 0\.5, so not lost below 0\.6"):
        separation([0.5], [0.9], 0.6)


def test_calibration_puts_every_frame_in_one_bin():
    rng = np.random.default_rng(1)
    sure = rng.random(237)
    similar = rng.random(237)
    bins = calibration(sure, similar)
    assert len(bins) == 10
    assert sum(each.frames for each in bins) == 237
    assert {each.frames for each in bins} <= {23, 24}
    order = np.argsort(sure)
    first = order[: bins[0].frames]
    assert bins[0].lowest == sure.min()
    assert bins[0].highest == sure[first].max() < bins[1].lowest
    assert bins[0].region_similarity == pytest.approx(similar[first].mean())
    assert bins[0].lost_share == pytest.approx((similar[first] < 0.1).mean())
    mean = sum(each.frames * each.confidence for each in bins) / 237
    assert mean == pytest.approx(sure.mean())


def test_calibration_keeps_equal_confidences_together():
    bins = calibration([1.0] * 9 + [0.5], [0.8] * 9 + [0.2])
    assert [(each.lowest, each.highest, each.frames) for each in bins] == [
        (0.5, 0.5, 1),
        (1.0, 1.0, 9),
    ]
    assert calibration([0.3], [1.0]) == ((0.3, 0.3, 1, 0.3, 1.0, 0.0),)
    assert calibration([math.nan], [1.0]) == ()
    with pytest.raises(ValueError, match="at least 1 bin"):
        calibration([0.3], [1.0], bins=0)


def test_groups_are_read_from_text_and_file(tmp_path):
    expected = (SequenceGroup("A", ("bear", "bus")), SequenceGroup("far away", ("bus",)))
    assert parse_groups(" A = bear, bus; far away=bus ;") == expected
    path = tmp_path / "groups.yaml"
    path.write_text("A: [bear, bus]\nfar away:\n  - bus\n")
    assert parse_groups(str(path)) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no groups in ''"),
        ("bear,bus", "not a group: 'bear,bus'"),
        ("=bear", "not a group"),
        ("A=", "'A' has no sequences"),
        ("A=bear,bear", "in group 'A' twice: bear"),
        ("A=bear;A=bus", "among the groups twice: A"),
    ],
)
def test_groups_that_are_none_are_named(text, words):
    with pytest.raises(ValueError, match=words):
        parse_groups(text)


@pytest.mark.parametrize("text", ["- bear", "A: bear", "A: [1, 2]", "A: [bear", "\xff"])
def test_group_files_that_are_none_are_named(tmp_path, text):
    path = tmp_path / "groups.yml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"groups\.yml: not"):
        parse_groups(str(path))
    with pytest.raises(FileNotFoundError):
        parse_groups(str(tmp_path / "none.yaml"))


def test_groups_have_means_of_their_own():
    sequences = [MovingSquare("a", 5, 2), MovingSquare("b", 9, 1), MovingSquare("c", 5, 0)]
    groups = (SequenceGroup("moving", ("b", "a")), SequenceGroup("still", ("c",)))
    scores = run(sequences, Always(NeverMoves()), groups=groups)
    moving, still = (scores.part(group) for group in scores.groups)
    assert [score.name for score in moving.sequences] == ["b", "a"]
    assert moving.region_similarity == pytest.approx(
        np.mean([score.region_similarity for score in scores.sequences[:2]])
    )
    assert still.region_similarity == 1.0
    assert len(moving.counted) == 7 + 3
    with pytest.raises(ValueError, match="group moving: not evaluated: b"):
        run(sequences[::2], Always(NeverMoves()), groups=groups)


def test_times_say_what_they_were_taken_with():
    scores = run([MovingSquare()], Always(NeverMoves()), device="a CPU", threads=1)
    assert scores.conditions[:3] == ("a CPU", 1, 1)
    assert scores.conditions.words.startswith("a CPU, 1 thread, load average ")
    assert Conditions("a CPU", 1, 1).words == "a CPU, 1 thread"
    assert Conditions("", 2, 3).words.startswith("2 threads, 3 processes at a time")
    times = [frame.milliseconds for frame in scores.sequences[0].frames]
    assert scores.milliseconds == np.median(times)
    assert scores.milliseconds < scores.milliseconds_p99 <= max(times)


def test_tracked_frames_are_those_of_the_sequence():
    sequence = MovingSquare(frames=4)
    tracked = list(track_sequence(sequence, TruthReplay))
    assert [each.frame for each in tracked] == [0, 1, 2, 3]
    assert tracked[0].result is None
    for each in tracked[1:]:
        assert (each.result.mask == sequence.frame(each.frame).mask).all()


@pytest.mark.parametrize(
    ("sequence", "words"),
    [
        (MovingSquare("short", 2), "short.*2 frames, at least 3"),
        (MovingSquare("blank", 5, gone=tuple(range(5))), "blank.*no frame gives a target"),
        (MovingSquare("late", 5, gone=(0, 1, 2)), "late: 0 targets to score, expected 1"),
    ],
)
def test_sequences_that_cannot_be_scored_are_named(sequence, words):
    with pytest.raises(ValueError, match=words):
        evaluate_sequence(sequence, Always(NeverMoves()))


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="no sequences"):
        run([], Always(NeverMoves()))
    with pytest.raises(ValueError, match=r"found twice: a$"):
        run([MovingSquare("a"), MovingSquare("b"), MovingSquare("a")], Always(NeverMoves()))
    with pytest.raises(ValueError, match="got 0"):
        run([MovingSquare()], Always(NeverMoves()), jobs=0)


@pytest.mark.parametrize("middle", ["", "480p"])
def test_davis_layouts(tmp_path, middle):
    masks = write_davis(tmp_path, middle=middle)
    sequences = read_davis(tmp_path)
    assert [sequence.name for sequence in sequences] == ["cat", "dog"]
    assert [len(sequence) for sequence in sequences] == [4, 4]
    for sequence in sequences:
        for index, expected in enumerate(masks[sequence.name]):
            frame = sequence.frame(index)
            assert frame.image_bgr.shape == (HEIGHT, WIDTH, 3)
            assert (frame.mask == expected).all()
    assert [sequence.name for sequence in read_davis(tmp_path, ["dog"])] == ["dog"]


@pytest.mark.parametrize(
    ("year", "text"),
    [
        ("480p", "/JPEGImages/480p/dog/00000.jpg /Annotations/480p/dog/00000.png\n" * 3),
        ("2017", "dog\n\n"),
        ("", "dog\n"),
    ],
)
def test_davis_splits(tmp_path, year, text):
    write_davis(tmp_path, middle="480p")
    folder = tmp_path / "ImageSets" / year
    folder.mkdir(parents=True)
    (folder / "val.txt").write_text(text)
    assert [sequence.name for sequence in read_davis(tmp_path, split="val")] == ["dog"]
    with pytest.raises(ValueError, match=r"no list train\.txt"):
        read_davis(tmp_path, split="train")


def test_davis_instances_are_one_target(tmp_path):
    write_davis(tmp_path, names=("cat",))
    annotation = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    annotation[5:9, 5:9] = (0, 0, 128)
    annotation[20:30, 5:9] = (1, 0, 0)  # dark, but not background
    cv2.imwrite(str(tmp_path / "Annotations" / "cat" / "00000.png"), annotation)
    (sequence,) = read_davis(tmp_path)
    assert (sequence.frame(0).mask == annotation.any(axis=2)).all()


def test_davis_errors_are_named(tmp_path):
    with pytest.raises(ValueError, match="not a DAVIS folder"):
        read_davis(tmp_path)
    write_davis(tmp_path)
    with pytest.raises(ValueError, match=r"no such sequence.*bird, fish"):
        read_davis(tmp_path, ["cat", "bird", "fish"])
    annotations = tmp_path / "Annotations" / "cat"
    cv2.imwrite(str(annotations / "00001.png"), np.zeros((5, 5), np.uint8))
    (annotations / "00002.png").write_bytes(b"no image")
    (sequence,) = read_davis(tmp_path, ["cat"])
    with pytest.raises(ValueError, match=r"00001.png has shape \(5, 5\)"):
        sequence.frame(1)
    with pytest.raises(ValueError, match=r"not an image.*00002.png"):
        sequence.frame(2)
    (tmp_path / "JPEGImages" / "cat" / "00003.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"not an image.*00003.jpg"):
        sequence.frame(3)
    (annotations / "00003.png").unlink()
    with pytest.raises(ValueError, match=r"cat: 1 frames without a mask, from 00003.png"):
        read_davis(tmp_path)


def test_davis_in_processes_as_in_one(tmp_path):
    write_davis(tmp_path, names=("cat", "dog", "emu"), frames=5)
    seen = []
    options = {"tracker_name": "still", "convention": Convention.TRACKED}
    alone = evaluate_davis(tmp_path, reference_factory("never-moves"), **options)
    together = evaluate_davis(
        tmp_path,
        reference_factory("never-moves"),
        jobs=2,
        on_sequence=seen.append,
        **options,
    )
    assert sorted(seen) == [score.name for score in together.sequences] == ["cat", "dog", "emu"]
    for first, second in zip(alone.sequences, together.sequences, strict=True):
        assert first.region_similarity == second.region_similarity
        assert first.box_iou == second.box_iou
    blank = np.zeros((HEIGHT, WIDTH), np.uint8)
    for path in (tmp_path / "Annotations" / "dog").iterdir():
        cv2.imwrite(str(path), blank)
    with pytest.raises(ValueError, match="dog: no frame gives a target"):
        evaluate_davis(tmp_path, TruthReplay, jobs=2)


@pytest.fixture
def scores():
    """One followed, one not, one frame without the target; confidence unknown."""
    sequences = [MovingSquare("a", gone=(2,)), MovingSquare("b", 6, 4)]
    groups = (SequenceGroup("first", ("a",)),)
    return run(sequences, Always(NeverMoves()), groups=groups, device="a CPU", threads=1)


@pytest.fixture
def sure_scores():
    """Sure of the two frames that are right, less so of the two that are lost."""
    sequence = MovingSquare("c", frames=5)
    script = Scripted(sequence, (0.9, 0.8, 0.2, 0.1), (True, True, False, False))
    return run([sequence], Always(script), convention=Convention.TRACKED)


def read_csv(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_reads_back(scores):
    rows = read_csv(sequences_csv(scores))
    assert [row["sequence"] for row in rows] == ["a", "b"]
    assert float(rows[1]["region_similarity"]) == pytest.approx(
        scores.sequences[1].region_similarity, abs=1e-5
    )
    (target,) = [row for row in read_csv(targets_csv(scores)) if row["sequence"] == "a"]
    assert (target["target"], target["confidence"]) == ("1", "")
    frames = read_csv(frames_csv(scores))
    assert len(frames) == 4 + 5
    assert [row["counted"] for row in frames[:4]] == ["1", "1", "1", "0"]
    assert frames[1]["box_iou"] == ""
    assert frames[1]["frame"] == "2"


def test_csv_of_the_confidence_reads_back(scores, sure_scores):
    lost, poor = read_csv(separation_csv(sure_scores))
    assert (lost["group"], lost["below"], lost["auc"]) == ("all", "0.1", "1")
    assert (poor["below"], poor["fine_frames"], poor["lost_frames"]) == ("0.3", "2", "2")
    groups = [row["group"] for row in read_csv(separation_csv(scores))]
    assert groups == ["all", "all", "first", "first"]
    bins = read_csv(calibration_csv(sure_scores))
    assert [row["confidence"] for row in bins] == ["0.1", "0.2", "0.8", "0.9"]
    assert read_csv(calibration_csv(scores)) == []


def test_csv_of_a_comparison_reads_back(scores):
    trained = dataclasses.replace(scores, tracker="u", training_step=300)
    rows = read_csv(comparison_csv([scores, trained]))
    assert [(row["tracker"], row["training_step"], row["group"]) for row in rows] == [
        ("t", "", "all"),
        ("t", "", "first"),
        ("u", "300", "all"),
        ("u", "300", "first"),
    ]
    assert float(rows[1]["region_similarity"]) == pytest.approx(
        scores.sequences[0].region_similarity, abs=1e-5
    )


def test_json_has_no_nan(scores):
    def refuse(word):
        raise AssertionError(word)

    content = json.loads(evaluation_json(scores), parse_constant=refuse)
    assert content["convention"] == "davis"
    assert content["region_similarity"] == pytest.approx(scores.region_similarity)
    assert content["confidence_auc"] is None
    assert content["sequences"][0]["frames"][1]["box_iou"] is None
    assert content["sequences"][1]["name"] == "b"
    assert content["groups"][0]["sequences"] == ["a"]
    assert content["groups"][0]["box_iou"] == scores.sequences[0].box_iou
    assert (content["device"], content["threads"], content["jobs"]) == ("a CPU", 1, 1)
    assert content["p99_ms"] == scores.milliseconds_p99
    assert [each["lost_frames"] for each in content["separations"]] == [0, 0]


def test_markdown_states_numbers_and_convention(scores):
    text = evaluation_markdown(scores)
    assert "first and last frame not counted (DAVIS)" in text
    mean = next(line for line in text.splitlines() if line.startswith("| **mean**"))
    assert f" {scores.region_similarity:.3f} " in mean
    (group,) = [line for line in text.splitlines() if line.startswith("| **mean of first** | 3 |")]
    assert f" {scores.sequences[0].region_similarity:.3f} " in group
    assert "does not say how sure" in text
    assert f"{scores.milliseconds_p99:.1f} ms a frame" in text
    assert "a CPU, 1 thread, load average" in text
    assert "nan" not in text
    table = comparison_markdown([scores, scores]).splitlines()
    assert len(table) == 4
    assert "| J, first | F, first | box IoU, first |" in table[0]
    assert {line.count("|") for line in table} == {17}


def test_markdown_says_what_the_confidence_is_worth(sure_scores):
    lines = evaluation_markdown(sure_scores).splitlines()
    assert "| J < 0.1 | 2 | 2 | 1.000 | 0.850 | 0.150 |" in lines
    assert "| J < 0.3 | 2 | 2 | 1.000 | 0.850 | 0.150 |" in lines
    assert "| 0.8000 to 0.8000 | 1 | 0.800 | 1.000 | 0.000 |" in lines


def test_report_is_written_whole(tmp_path, scores, monkeypatch):
    written = write_report(tmp_path / "new" / "report", scores)
    assert [path.name for path in written] == [
        "report.md",
        "report.json",
        "sequences.csv",
        "targets.csv",
        "frames.csv",
        "separation.csv",
        "calibration.csv",
        "groups.csv",
        "over_time.png",
    ]
    assert sorted(path.name for path in (tmp_path / "new" / "report").iterdir()) == sorted(
        path.name for path in written
    )
    untrained = write_comparison(tmp_path / "other", [scores, scores])
    assert [path.name for path in untrained][-1] == "over_time.png"
    scores = dataclasses.replace(scores, training_step=300)
    compared = write_comparison(tmp_path / "new", [scores])
    assert [path.name for path in compared] == [
        "comparison.md",
        "comparison.csv",
        "over_time.png",
        "curve.png",
    ]
    assert compared[0].read_text() == comparison_markdown([scores])
    old = tmp_path / "old.txt"
    write_whole(old, "before")

    def fail(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_whole(old, "after")
    assert old.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_training_step_is_read_from_metadata():
    assert training_step({"step": "300", "seed": "1"}) == 300
    assert training_step({"steps": 20}) == 20
    assert training_step({}) is training_step({"step": "soon"}) is None


@pytest.fixture
def still_davis(tmp_path):
    """Sequences of a square that does not move, and two random networks of it."""
    root = tmp_path / "davis"
    write_davis(root, names=("cat", "dog", "emu"))
    for step in (5, 10):
        torch.manual_seed(step)
        metadata = {"step": str(step)}
        save_network(build_network("compact"), tmp_path / f"n{step}.pth", metadata=metadata)
    return root


def command(*arguments):
    """Exit status of `siammask eval davis` in this process."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["eval", "davis", *map(str, arguments)])
    return caught.value.code or 0


def test_command_compares_checkpoints(tmp_path, still_davis, capsys):
    weights = ["-w", tmp_path / "n5.pth", "-w", tmp_path / "n10.pth"]
    places = ["--output", tmp_path / "out", "--failures", tmp_path / "worst"]
    assert command(still_davis, "--groups", "A=cat;B=dog", *weights, *places) == 0
    said = capsys.readouterr().out
    assert "| n5 |" in said
    assert "| n10 |" in said
    rows = read_csv((tmp_path / "out" / "comparison.csv").read_text())
    assert [(row["training_step"], row["group"]) for row in rows] == [
        (step, group) for step in ("5", "10") for group in ("all", "A", "B")
    ]
    assert (tmp_path / "out" / "curve.png").is_file()
    report = json.loads((tmp_path / "out" / "n10" / "report.json").read_text())
    assert [entry["name"] for entry in report["sequences"]] == ["cat", "dog"]
    assert report["device"].startswith("cpu (")
    assert report["threads"] == 1
    pictures = {path.name for path in (tmp_path / "worst" / "n5").iterdir()}
    assert pictures == {"failures.jpg", "cat.png", "dog.png"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--groups", "A"], "not a group"),
        (["--groups", "A=bird"], "no such sequence"),
        (["--groups", "A=cat", "--sequences", "dog"], "group A: not evaluated: cat"),
        (["-w", "a.pth", "-w", "a.pth"], "given twice"),
        (["-w", "a.pth", "--tracker", "truth"], "mean nothing to --tracker truth"),
    ],
)
def test_command_refuses_what_makes_no_sense(still_davis, options, words, capsys):
    assert command(still_davis, *options) == 2
    assert words in " ".join(capsys.readouterr().err.replace("\u2502", " ").split())


def test_command_reads_all_checkpoints_first(tmp_path, still_davis, capsys):
    assert command(still_davis, "-w", tmp_path / "n5.pth", "-w", tmp_path / "none.pth") == 1
    captured = capsys.readouterr()
    assert "none.pth" in captured.err
    assert captured.out == ""


def test_davis_of_the_shared_data(shared_dir):
    root = shared_dir / "davis16-train"
    if not root.is_dir():
        pytest.skip(f"no {root}")
    scores = evaluate_davis(root, reference_factory("never-moves"), sequences=["surf"])
    masks = [
        cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 0
        for path in sorted((root / "Annotations" / "surf").glob("*.png"))
    ]
    x, y, width, height = cv2.boundingRect(masks[0].astype(np.uint8))
    box = np.zeros_like(masks[0])
    box[y : y + height, x : x + width] = True
    expected = np.mean([(box & mask).sum() / (box | mask).sum() for mask in masks[1:-1]])
    assert scores.region_similarity == pytest.approx(expected)
    assert len(read_davis(root)) == 30
