# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The CSV of results: read back as written, whole or not at all."""

from __future__ import annotations

import csv

import pytest

from siammask_ros.results import ResultRow, frame_caption, read_results, write_results


def test_rows_are_read_back(tmp_path):
    rows = [
        ResultRow("clip", 3, 0.12, 1, 'a "red", car', "TRACKING", 0.9375, center_x=10.5, age=0),
        ResultRow("clip", 4, 0.16, 1, "ü\nx", "LOST", 0.0, age=1, latency_ms=12.25),
    ]
    write_results(tmp_path / "out" / "results.csv", rows)
    assert read_results(tmp_path / "out" / "results.csv") == rows


def test_it_is_plain_csv_with_a_header(tmp_path):
    write_results(tmp_path / "r.csv", [ResultRow("c", 0, 0.0, 7, "", "TRACKING", 0.5)])
    with (tmp_path / "r.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row["target_id"] == "7"
    assert float(row["confidence"]) == 0.5
    assert row["latency_ms"] == ""


def test_failure_leaves_the_old_file(tmp_path):
    write_results(tmp_path / "r.csv", [])
    before = (tmp_path / "r.csv").read_bytes()

    def failing():
        yield ResultRow("c", 0, 0.0, 1, "", "TRACKING", 0.5)
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_results(tmp_path / "r.csv", failing())
    assert (tmp_path / "r.csv").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["r.csv"]


def test_other_file_is_refused(tmp_path):
    (tmp_path / "r.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="a,b"):
        read_results(tmp_path / "r.csv")


def test_caption_tells_of_the_frames_targets():
    rows = [
        ResultRow("c", 4, 0.0, 1, "car", "TRACKING", 0.914),
        ResultRow("c", 4, 0.0, 2, "", "LOST", 0.1),
        ResultRow("c", 5, 0.0, 1, "car", "TRACKING", 0.5),
    ]
    assert frame_caption(rows, 4) == "frame 4   car 0.91   #2 0.10 lost"
    assert frame_caption(rows, 6) == "frame 6"
    started = ResultRow("c", 0, 0.0, 1, "car", "INITIALIZING", 0.0)
    assert frame_caption([started], 0) == "frame 0   car initializing"
