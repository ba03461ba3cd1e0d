# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several targets a sequence: one pass a frame, overlaps, result files and their scores."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import torch
from moving_square import MovingSquare
from moving_targets import HEIGHT, WIDTH, MovingTargets, write_davis_2017
from PIL import Image

from siammask_ros import cli
from siammask_ros.evaluation import (
    Always,
    Convention,
    NeverMoves,
    SequenceGroup,
    TruthReplay,
    as_batch,
    davis_name,
    draw_tracked,
    evaluate,
    evaluate_davis,
    evaluate_results,
    evaluate_sequence,
    evaluation_markdown,
    find_failures,
    over_time,
    over_time_chart,
    read_davis,
    read_masks,
    resolve_overlaps,
    score_targets,
    sequences_csv,
    targets_csv,
    track_sequence,
    write_failures,
    write_masks,
    write_report,
)
from siammask_ros.evaluation.reference import MaskResult
from siammask_ros.network import build_network
from siammask_ros.tracker import SiamMaskTracker, TrackerConfig


@dataclass(frozen=True, eq=False)
class Probable:
    """A result with probabilities, its mask those above 0.4."""

    mask_probability: np.ndarray
    box_xywh: tuple = (0.0, 0.0, 1.0, 1.0)
    confidence: float = 0.5

    @property
    def mask(self):
        return self.mask_probability > 0.4


class Passes:
    """Follows several targets at once, none of which moves; writes down how it was asked."""

    def __init__(self):
        self.starts, self.steps = [], []

    def initialize_batch(self, targets):
        self.starts.append(len(targets))
        return [NeverMoves().initialize(image, box) for image, box in targets]

    def track_batch(self, targets):
        self.steps.append(len(targets))
        return [NeverMoves().track(image, state) for image, state in targets]


def test_overlaps_go_to_the_most_probable():
    first = Probable(np.array([[0.5, 0.9, 0.3, 0.41, 0.0]], np.float32))
    second = Probable(np.array([[0.8, 0.7, 0.2, 0.41, 0.5]], np.float32))
    labels = resolve_overlaps({3: first, 7: second}, (1, 5))
    assert labels.tolist() == [[7, 3, 0, 3, 7]]
    assert labels.dtype == np.uint8
    # Without a probability a mask is certain.
    sure = MaskResult(np.array([[False, True, True, False, False]]))
    assert resolve_overlaps({3: first, 9: sure}, (1, 5)).tolist() == [[3, 9, 9, 3, 0]]
    assert resolve_overlaps({}, (1, 5)).tolist() == [[0] * 5]


def test_all_targets_go_through_the_tracker_in_one_pass():
    tracker, sequence = Passes(), MovingTargets()
    frames = list(track_sequence(sequence, Always(tracker)))
    assert tracker.starts == [2, 1]
    assert tracker.steps == [2] * 3 + [3] * 6
    assert [frame.started for frame in frames] == [(1, 2), (), (), (3,), *[()] * 6]
    assert [list(frame.results) for frame in frames[2:5]] == [[1, 2], [1, 2], [1, 2, 3]]
    # What is given is what was said to be there.
    assert (frames[0].labels == sequence.labels(0)).all()
    assert (frames[3].labels == 3).sum() == (sequence.labels(3) == 3).sum()
    assert math.isnan(frames[0].milliseconds)
    assert math.isnan(frames[1].initialize_ms)
    with pytest.raises(ValueError, match="frame 4 has 3 targets"):
        _ = frames[4].result


class KeepsItsTarget:
    """Holds its box, as many trackers do, so it can follow one target only."""

    def initialize(self, image_bgr, box_xywh):
        self.box = tuple(box_xywh)

    def track(self, image_bgr, state):
        return None, NeverMoves().track(image_bgr, self.box)[1]


def test_each_target_gets_a_tracker_of_its_own():
    sequence = MovingTargets()
    frames = list(track_sequence(sequence, lambda sequence: KeepsItsTarget()))
    boxes = {number: result.box_xywh for number, result in frames[-1].results.items()}
    expected = list(track_sequence(sequence, Always(NeverMoves())))[-1].results
    assert boxes == {number: result.box_xywh for number, result in expected.items()}
    assert len(set(boxes.values())) == 3


def test_siammask_follows_as_many_as_there_are():
    torch.manual_seed(1)
    config = TrackerConfig.preset("compact", mask_threshold=0.3)
    tracker = SiamMaskTracker(build_network("compact").eval(), config)
    assert as_batch(lambda: tracker) is tracker
    sequence = MovingTargets(frames=4, targets=2)
    *_, last = track_sequence(sequence, Always(tracker))
    probabilities = [np.full((HEIGHT, WIDTH), 0.3, np.float32)]
    for number in (1, 2):
        x, y, width, height = cv2.boundingRect((sequence.labels(0) == number).astype(np.uint8))
        state = tracker.initialize(sequence.frame(0).image_bgr, (x, y, width, height))
        for index in range(1, 4):
            state, result = tracker.track(sequence.frame(index).image_bgr, state)
        probabilities.append(result.mask_probability)
    expected = np.argmax(probabilities, axis=0)
    assert len(np.unique(expected)) == 3
    assert (last.labels == expected).mean() > 0.999  # alone and together differ in rounding


def test_truth_scores_one_for_each_target():
    sequences = [MovingTargets("a"), MovingTargets("b", 8, 2), MovingSquare("c")]
    for convention in Convention:
        scores = evaluate(
            sequences, TruthReplay, tracker_name="t", dataset_name="d", convention=convention
        )
        assert [(s.name, s.target_id) for s in scores.sequences] == [
            *(("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2), ("c", 1))
        ]
        assert scores.region == scores.contour == (1.0, 1.0, 0.0)
        assert scores.region_and_contour == scores.box_iou == 1.0
    late = scores.sequences[2]
    assert [frame.frame for frame in late.frames] == [4, 5, 6, 7, 8, 9]
    assert scores.names == ("a", "b", "c")


def test_means_weigh_targets_alike():
    sequences = [MovingTargets("a", 6, 2), MovingSquare("c")]
    groups = (SequenceGroup("several", ("a",)),)
    scores = evaluate(
        sequences, Always(NeverMoves()), tracker_name="t", dataset_name="d", groups=groups
    )
    each = [score.region_similarity for score in scores.sequences]
    assert len(set(each)) == 3
    assert scores.region_similarity == pytest.approx(np.mean(each))
    assert scores.part(groups[0]).region_similarity == pytest.approx(np.mean(each[:2]))
    assert scores.region.recall == pytest.approx(
        np.mean([score.region.recall for score in scores.sequences])
    )
    with pytest.raises(ValueError, match="a: 2 targets to score, expected 1"):
        evaluate_sequence(sequences[0], Always(NeverMoves()))
    with pytest.raises(KeyError):
        scores.of(["b"])


def test_targets_have_lines_of_their_own_in_reports(tmp_path):
    sequences = [MovingTargets("a"), MovingSquare("c")]
    scores = evaluate(
        sequences, Always(NeverMoves()), tracker_name="still", dataset_name="DAVIS-2017 val"
    )
    rows = list(csv.DictReader(io.StringIO(targets_csv(scores))))
    assert [(row["sequence"], row["target"]) for row in rows] == [
        *(("a", "1"), ("a", "2"), ("a", "3"), ("c", "1"))
    ]
    assert float(rows[1]["contour_decay"]) == pytest.approx(
        scores.sequences[1].contour.decay, abs=1e-5
    )
    (first, _) = csv.DictReader(io.StringIO(sequences_csv(scores)))
    assert (first["sequence"], first["targets"]) == ("a", "3")
    assert float(first["region_similarity"]) == pytest.approx(
        np.mean([score.region_similarity for score in scores.sequences[:3]]), abs=1e-5
    )
    lines = evaluation_markdown(scores).splitlines()
    names = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
    assert names[1:8] == ["---", "a, 3 targets", "a_1", "a_2", "a_3", "c_1", "**mean**"]
    (paper,) = [line for line in lines if line.startswith("| SiamMask |")]
    assert "| 0.543 | 0.628 | 0.193 | 0.585 | 0.675 | 0.209 | Wang" in paper
    assert any(line.startswith("| still, 2 sequences |") for line in lines)
    failures = find_failures(scores, sequences, Always(NeverMoves()), most=2)
    written = write_failures(tmp_path, failures)
    assert [path.stem for path in written[1:]] == [scores.label(f.score) for f in failures]
    tracked = failures[0].frames[-1]
    assert draw_tracked(tracked, width=64, target_id=failures[0].score.target_id).shape[1] == 64
    assert (tmp_path / "report").exists() is False
    assert write_report(tmp_path / "report", scores)[-1].name == "over_time.png"


def test_course_over_time_is_that_of_the_values():
    rising, flat = over_time([list(np.linspace(0, 1, 41)), [0.5]])
    assert rising == pytest.approx(np.linspace(0.025, 0.975, 20), abs=0.02)
    assert flat.tolist() == [0.5] * 20
    with pytest.raises(ValueError, match="without a value"):
        over_time([[]])
    runs = [
        evaluate([MovingSquare()], Always(NeverMoves()), tracker_name=name, dataset_name="d")
        for name in "ab"
    ]
    (axes,) = over_time_chart(runs).axes
    assert [line.get_xdata().size for line in axes.lines[:2]] == [20, 20]
    (axes,) = over_time_chart(runs[:1]).axes
    assert axes.get_title(loc="left") or axes.get_title()


def test_davis_2017_is_read_by_targets(tmp_path):
    sequences = [MovingTargets("a", 5), MovingTargets("b", 4, 2)]
    write_davis_2017(tmp_path, sequences)
    found = read_davis(tmp_path, split="val")
    assert davis_name(found, "val") == "DAVIS-2017 val"
    assert [each.name for each in found] == ["a", "b"]
    assert (found[0].frame(4).labels == sequences[0].labels(4)).all()
    assert found[0].frame(4).labels.max() == 3
    merged = read_davis(tmp_path, split="val", year=2016)
    assert [each.name for each in merged] == ["a"]
    assert (merged[0].frame(4).labels == (sequences[0].labels(4) > 0)).all()
    with pytest.raises(ValueError, match="got 2018"):
        read_davis(tmp_path, year=2018)
    assert davis_name([]) == "DAVIS"


@pytest.mark.parametrize("year", [2016, 2017])
def test_result_files_are_those_of_the_benchmark(tmp_path, year):
    sequences = [MovingTargets("a", 7, 2), MovingTargets("b", 6, 2)]
    write_davis_2017(tmp_path / "davis", sequences)
    scores = evaluate_davis(
        tmp_path / "davis", Always(NeverMoves()), year=year, masks=tmp_path / "results"
    )
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["a", "b"]
    names = sorted(path.name for path in (tmp_path / "results" / "a").iterdir())
    assert names == [f"{index:05}.png" for index in range(7)]
    truth = sequences[0].labels(0)
    with Image.open(tmp_path / "results" / "a" / "00000.png") as image:
        assert image.mode == {2016: "L", 2017: "P"}[year]
        assert (np.array(image) == (truth if year == 2017 else 255 * (truth > 0))).all()
    found = read_davis(tmp_path / "davis", year=year)
    stored = evaluate_results(
        found, tmp_path / "results", tracker_name="s", dataset_name=davis_name(found)
    )
    assert stored.region == scores.region
    assert stored.contour == scores.contour
    assert math.isnan(stored.milliseconds)
    assert "nan" not in evaluation_markdown(stored)


def test_result_files_are_scored_in_processes_as_in_one(tmp_path):
    write_davis_2017(tmp_path / "davis", [MovingTargets("a", 7, 2), MovingTargets("b", 6)])
    scores = evaluate_davis(
        tmp_path / "davis", Always(NeverMoves()), masks=tmp_path / "results", jobs=2
    )
    names = {"tracker_name": "s", "dataset_name": "d"}
    found = read_davis(tmp_path / "davis")
    together = evaluate_results(found, tmp_path / "results", jobs=2, **names)
    alone = evaluate_results(found, tmp_path / "results", **names)
    assert together.region == alone.region == scores.region
    assert together.contour == alone.contour == scores.contour


@pytest.mark.parametrize("year", [2016, 2017])
def test_scores_of_result_files_equal_those_of_vos_benchmark(tmp_path, year):
    benchmark = pytest.importorskip("vos_benchmark.benchmark")
    sequences = [MovingTargets("a", 12, 2), MovingTargets("b", 9, 2)]
    root, results = tmp_path / "davis", tmp_path / "results"
    write_davis_2017(root, sequences)
    if year == 2016:  # as that release has them
        for path in (root / "Annotations").rglob("*.png"):
            with Image.open(path) as image:
                cv2.imwrite(str(path), np.where(np.array(image) > 0, 255, 0).astype(np.uint8))
    scores = evaluate_davis(root, Always(NeverMoves()), masks=results)
    assert scores.dataset == f"DAVIS-{year}"
    assert len(scores.sequences) == {2016: 2, 2017: 4}[year]
    judge = benchmark.VideoEvaluator(str(root / "Annotations" / "480p"), str(results))
    for name in scores.names:
        _, region, contour = judge(name)
        for score in scores.of([name]).sequences:
            number = 255 if year == 2016 else score.target_id
            assert score.region_similarity == pytest.approx(region[number] / 100, abs=1e-9)
            assert score.contour_accuracy == pytest.approx(contour[number] / 100, abs=1e-9)


def test_scores_of_real_masks_equal_those_of_vos_benchmark(tmp_path, shared_dir):
    benchmark = pytest.importorskip("vos_benchmark.benchmark")
    root = shared_dir / "davis16-train"
    if not root.is_dir():
        pytest.skip(f"no {root}")
    (found,) = read_davis(root, ["hike"])
    short = type(found)(found.name, found.images[:12], found.annotations[:12])
    for index in range(12):
        # Somebody's masks: those of four frames later, with a ragged edge.
        labels = found.labels(index + 4)
        labels = cv2.medianBlur(np.roll(labels, 3, axis=1), 7)
        path = tmp_path / "results" / short.result_path(index)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(short.encode_result(labels))
        truth = tmp_path / "truth" / short.result_path(index)
        truth.parent.mkdir(parents=True, exist_ok=True)
        truth.write_bytes(short.encode_result(found.labels(index)))
    scores = evaluate_results(
        [short], tmp_path / "results", tracker_name="s", dataset_name="DAVIS-2016"
    )
    judge = benchmark.VideoEvaluator(str(tmp_path / "truth"), str(tmp_path / "results"))
    _, region, contour = judge("hike")
    assert 0.2 < scores.region_similarity < 0.95
    assert scores.region_similarity == pytest.approx(region[255] / 100, abs=1e-9)
    assert scores.contour_accuracy == pytest.approx(contour[255] / 100, abs=1e-9)


def test_results_that_cannot_be_scored_are_named(tmp_path):
    write_davis_2017(tmp_path / "davis", [MovingTargets("a", 5)])
    (found,) = read_davis(tmp_path / "davis")
    with pytest.raises(ValueError, match=r"sequence a: no result .*00000\.png"):
        list(read_masks(found, tmp_path / "none"))
    tracked = track_sequence(found, Always(NeverMoves()))
    list(write_masks(tracked, found, tmp_path / "results"))
    path = tmp_path / "results" / "a" / "00002.png"
    path.write_bytes(found.encode_result(np.zeros((5, 5), np.uint8)))
    with pytest.raises(ValueError, match=r"00002\.png has shape \(5, 5\), the truth \(64, 96\)"):
        list(read_masks(found, tmp_path / "results"))
    short = type(found)(found.name, found.images[:2], found.annotations[:2])
    with pytest.raises(ValueError, match="a: 2 frames, at least 3"):
        score_targets(short, read_masks(short, tmp_path / "results"))


def command(*arguments):
    """Exit status of `siammask eval davis` in this process."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["eval", "davis", *map(str, arguments)])
    return caught.value.code or 0


def test_command_compares_trackers_and_stored_results(tmp_path, capsys):
    root, output = tmp_path / "davis", tmp_path / "out"
    write_davis_2017(root, [MovingTargets("a", 6, 2), MovingTargets("b", 5, 2)])
    trackers = ("--tracker", "never-moves", "--tracker", "truth")
    assert command(root, "--split", "val", *trackers, "--output", output) == 0
    assert {path.name for path in output.iterdir()} == {
        *("never-moves", "truth", "comparison.md", "comparison.csv", "over_time.png")
    }
    assert len(list((output / "truth" / "masks").rglob("*.png"))) == 11
    comparison = (output / "comparison.md").read_text()
    assert "| truth | 1.000 | 1.000 | 0.000 | 1.000 | 1.000 | 0.000 |" in comparison
    capsys.readouterr()
    stored = ("--results", output / "never-moves" / "masks")
    assert command(root, *stored, "--output", tmp_path / "again") == 0
    assert "# masks on DAVIS-2017\n" in capsys.readouterr().out
    assert not (tmp_path / "again" / "masks").exists()
    for name in ("targets.csv", "sequences.csv"):
        first, again = (
            list(csv.DictReader((folder / name).read_text().splitlines()))
            for folder in (output / "never-moves", tmp_path / "again")
        )
        for row, other in zip(first, again, strict=True):
            assert row["region_similarity"] == other["region_similarity"]
            assert row["contour_decay"] == other["contour_decay"]
            assert other["median_ms"] == ""
    assert command(root, *stored, "--results", output / "truth" / "masks") == 0
    assert command(root, "--year", "2016", "--tracker", "truth", "--masks", tmp_path / "m") == 0
    assert "# truth on DAVIS-2016\n" in capsys.readouterr().out
    assert len(list((tmp_path / "m" / "a").iterdir())) == 6


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--results", "r", "--tracker", "truth"), "scored as they are"),
        (("--results", "r", "--set", "masks=none"), "scored as they are"),
        (("--results", "r", "--failures", "f"), "need a tracker"),
        (("--tracker", "truth", "--tracker", "truth"), "a tracker is given twice"),
        (("--tracker", "nothing"), "unknown tracker 'nothing'"),
        (("--tracker", "truth", "--tracker-weights", "a.onnx"), "needs no files"),
        (("--tracker", "truth", "--set", "masks=none"), "mean nothing to --tracker truth"),
        (("--tracker", "truth", "--preset", "vot"), "mean nothing to --tracker truth"),
        (("--tracker-weights", "a.onnx"), "for one --tracker other than siammask"),
        (("--set", "masks=some"), "masks"),
        (("--year", "2018"), "2018"),
    ],
)
def test_command_refuses_what_makes_no_sense(tmp_path, options, words, capsys):
    write_davis_2017(tmp_path, [MovingTargets("a", 4, 2)])
    assert command(tmp_path, *options) == 2
    assert words in " ".join(capsys.readouterr().err.replace("\u2502", " ").split())
