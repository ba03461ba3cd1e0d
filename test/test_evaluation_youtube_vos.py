# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""YouTube-VOS: targets that come later, files for the server, seen and unseen categories."""

from __future__ import annotations

import numpy as np
import pytest
from moving_targets import HEIGHT, WIDTH, MovingTargets, write_youtube_vos
from PIL import Image

from siammask_ros import cli
from siammask_ros.evaluation import (
    Always,
    Convention,
    NeverMoves,
    TruthReplay,
    by_category,
    evaluate,
    evaluate_results,
    read_seen_categories,
    read_youtube_vos,
    seen_unseen_markdown,
    track_sequence,
)

SEQUENCES = (MovingTargets("va"), MovingTargets("vb", 8, 2))
CATEGORIES = ("ape", "fox", "ape")
NAMES = {"tracker_name": "t", "dataset_name": "YouTube-VOS", "convention": Convention.TRACKED}


@pytest.fixture
def valid(tmp_path):
    """A validation split: every second frame, masks of new targets alone."""
    root = tmp_path / "valid"
    # The third target comes in frame 3, so here in frame 4.
    write_youtube_vos(root, SEQUENCES, CATEGORIES, given_only=True, frames=range(0, 8, 2))
    return root


@pytest.fixture
def train(tmp_path):
    root = tmp_path / "train"
    write_youtube_vos(root, SEQUENCES, CATEGORIES, given_only=False)
    return root


def command(*arguments):
    with pytest.raises(SystemExit) as caught:
        cli.main(["eval", "youtube-vos", *map(str, arguments)])
    return caught.value.code or 0


def test_targets_start_where_their_masks_are_given(valid):
    first, second = read_youtube_vos(valid)
    assert [len(first), len(second)] == [4, 4]
    tracked = list(track_sequence(first, Always(NeverMoves())))
    assert [each.started for each in tracked] == [(1, 2), (), (3,), ()]
    assert [each.truth for each in tracked] == [None] * 4
    # The given mask of the third target says nothing about the other two.
    assert set(np.unique(tracked[2].labels)) == {0, 1, 2, 3}
    scores = evaluate([first, second], Always(NeverMoves()), **NAMES)
    assert scores.sequences == ()


def test_truth_of_every_frame_is_scored(train):
    found = read_youtube_vos(train)
    scores = evaluate(found, TruthReplay, **NAMES)
    assert scores.region == scores.contour == (1.0, 1.0, 0.0)
    assert [(s.name, s.target_id, len(s.counted)) for s in scores.sequences] == [
        *(("va", 1, 9), ("va", 2, 9), ("va", 3, 6), ("vb", 1, 7), ("vb", 2, 7))
    ]


def test_result_files_are_those_of_the_server(tmp_path, valid, train):
    found = read_youtube_vos(valid, all_frames=train, truth=train)
    assert [len(each) for each in found] == [10, 8]
    results = tmp_path / "results"
    scores = evaluate(found, Always(NeverMoves()), masks=results, **NAMES)
    # The truth is of every frame, but only those of the split are asked for.
    files = sorted(path.relative_to(results).as_posix() for path in results.rglob("*.png"))
    assert files == [
        f"Annotations/{name}/{index:05}.png" for name in ("va", "vb") for index in range(0, 8, 2)
    ]
    with Image.open(results / "Annotations" / "va" / "00000.png") as image:
        assert image.mode == "P"
        assert image.size == (WIDTH, HEIGHT)
        assert (np.array(image) == SEQUENCES[0].labels(0)).all()
    assert len(scores.sequences[0].frames) == 9
    stored = evaluate_results(found, results, **NAMES)
    frames = {frame.frame: frame.region_similarity for frame in scores.sequences[0].frames}
    assert [(f.frame, f.region_similarity) for f in stored.sequences[0].frames] == [
        (index, frames[index]) for index in (2, 4, 6)
    ]
    (results / "Annotations" / "va" / "00004.png").unlink()
    with pytest.raises(ValueError, match=r"video va: no result .*00004\.png"):
        evaluate_results(found, results, **NAMES)


def test_scores_are_divided_by_category(tmp_path, train):
    found = read_youtube_vos(train)
    scores = evaluate(found, Always(NeverMoves()), **NAMES)
    divided = by_category(scores, found, {"ape"})
    apes = [score for score in scores.sequences if score.target_id in {1, 3}]
    assert list(divided.seen.sequences) == apes
    assert divided.seen.region_similarity == np.mean([score.region_similarity for score in apes])
    assert len(divided.unseen.sequences) == 2
    measures = [
        getattr(part, name)
        for part in divided
        for name in ("region_similarity", "contour_accuracy")
    ]
    assert divided.overall == pytest.approx(np.mean(measures))
    lines = seen_unseen_markdown(divided).splitlines()
    (ours,) = [line for line in lines if line.startswith("| t, 3 and 2 targets |")]
    assert f" {divided.overall:.3f} " in ours
    (paper,) = [line for line in lines if line.startswith("| SiamMask |")]
    assert "| 0.602 | 0.451 | 0.582 | 0.477 | 0.528 |" in paper
    assert read_seen_categories(train / "meta.json") == {"ape", "fox"}
    listed = tmp_path / "seen.txt"
    listed.write_text("ape\n\n")
    assert read_seen_categories(listed) == {"ape"}
    listed.write_text("\n")
    with pytest.raises(ValueError, match="names no category"):
        read_seen_categories(listed)
    (train / "meta.json").unlink()
    with pytest.raises(ValueError, match="video va: no category of target 1"):
        by_category(scores, read_youtube_vos(train), {"ape"})


def test_command_writes_for_the_server(tmp_path, valid, train, capsys):
    output = tmp_path / "out"
    assert command(valid, "--tracker", "never-moves", "--output", output) == 0
    assert "2 videos, none with a truth" in capsys.readouterr().out
    assert len(list(output.rglob("*.png"))) == 8
    assert not (output / "report").exists()
    seen = tmp_path / "seen.txt"
    seen.write_text("ape\n")
    scored = tmp_path / "scored"
    options = ("--truth", train, "--seen", seen, "--output", scored)
    assert command(valid, *options, "--results", output) == 0
    assert "| out, 3 and 2 targets |" in capsys.readouterr().out
    assert {"report.md", "categories.md", "targets.csv", "over_time.png"} <= {
        path.name for path in (scored / "report").iterdir()
    }


def test_command_compares_trackers(tmp_path, train, capsys):
    output = tmp_path / "out"
    trackers = ("--tracker", "never-moves", "--tracker", "truth")
    assert command(train, *trackers, "--output", output) == 0
    assert "| truth | 1.000 | 1.000 | 0.000 |" in capsys.readouterr().out
    assert {path.name for path in (output / "report").iterdir()} == {
        *("comparison.md", "comparison.csv", "over_time.png")
    }
    for name in ("never-moves", "truth"):
        assert (output / name / "report" / "report.md").is_file()
        assert len(list((output / name / "Annotations").rglob("*.png"))) == 18


def test_command_reads_the_seen_categories_before_it_tracks(tmp_path, train, capsys):
    output = tmp_path / "out"
    options = ("--tracker", "truth", "--output", output, "--seen")
    assert command(train, *options, tmp_path / "none.json") == 1
    assert "none.json" in capsys.readouterr().err
    (tmp_path / "empty.txt").write_text("")
    assert command(train, *options, tmp_path / "empty.txt") == 2
    (train / "meta.json").rename(tmp_path / "meta.json")
    assert command(train, *options, tmp_path / "meta.json") == 2
    assert not output.exists()


def test_folders_that_are_none_are_named(tmp_path, valid, train):
    with pytest.raises(ValueError, match="not a folder of YouTube-VOS"):
        read_youtube_vos(tmp_path)
    with pytest.raises(ValueError, match=r"no such video in .*: vc, vd"):
        read_youtube_vos(valid, ["va", "vc", "vd"])
    (valid / "JPEGImages" / "va" / "00004.jpg").unlink()
    with pytest.raises(ValueError, match=r"video va: no image 00004\.jpg"):
        read_youtube_vos(valid, ["va"])
    for path in (valid / "Annotations" / "vb").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="video vb: 4 frames, 0 masks"):
        read_youtube_vos(valid, ["vb"])
    (train / "meta.json").write_text('{"videos": []}')
    with pytest.raises(ValueError, match=r"meta\.json: not as YouTube-VOS has it"):
        read_youtube_vos(train)
    small = Image.fromarray(np.ones((5, 5), np.uint8))
    small.save(valid / "Annotations" / "va" / "00000.png")
    (train / "meta.json").unlink()
    (found,) = read_youtube_vos(valid, ["va"], all_frames=train)
    with pytest.raises(ValueError, match=r"00000\.png has shape \(5, 5\)"):
        found.frame(0)
    assert command(tmp_path / "none", "--output", tmp_path / "out") == 2
