# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Results in a bag as a table."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from made_results import entry, lost, tracked_frame
from rosbags.rosbag2 import StoragePlugin, Writer
from test_bags_writer import NODE, START_NS, header, stamp_ns, write

import siammask_ros
from siammask_ros.bags.message_types import recorded_header, recorded_messages, result_typestore
from siammask_ros.bags.table import read_result_bag, result_rows
from siammask_ros.bags.writer import ResultBagWriter
from siammask_ros.engine import Timings
from siammask_ros.results import ResultRow
from siammask_ros.tracked import TrackedFrame

REPOSITORY = Path(__file__).resolve().parent.parent
TOOK = Timings(queue_ms=1.0, decode_ms=2.0, inference_ms=3.0)


def needs_pandas():
    return pytest.importorskip("pandas", reason="pandas is not installed")


def live_bag(path, topics=(f"{NODE}/rotated_boxes",), *, with_types=True):
    """As `ros2 bag record` leaves it: results some time after the stamps, and what they took."""
    store = result_typestore()
    name = "siammask_msgs/msg/RotatedBoxArray"
    with Writer(path, version=9, storage_plugin=StoragePlugin.SQLITE3) as bag:
        for topic in topics:
            known = {} if with_types else {"msgdef": "", "rihs01": store.hash_rihs01(name)}
            connection = bag.add_connection(topic, name, typestore=store, **known)
            for index in range(2):
                boxes = recorded_messages().rotated_box_array(
                    recorded_header(header(index)), tracked_frame(index).entries, TOOK, 4.0
                )
                bag.write(
                    connection, stamp_ns(index) + 25_000_000, store.serialize_cdr(boxes, name)
                )
    return path


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_rows_are_those_of_the_run(tmp_path, storage):
    write(tmp_path / "drive", storage=storage, compression="zstd")
    expected = [row for index in range(3) for row in tracked_frame(index).rows("drive")]
    found = list(result_rows(tmp_path / "drive"))
    assert [row.stamp_ns for row in found] == [stamp_ns(index // 2) for index in range(6)]
    for stamped, row in zip(found, expected, strict=True):
        for field in fields(ResultRow):
            value = getattr(stamped.row, field.name)
            wanted = getattr(row, field.name)
            if isinstance(wanted, float):
                assert value == pytest.approx(wanted, abs=1e-5), field.name
            else:
                assert value == wanted, field.name


def test_the_table_has_the_columns_of_the_rows_and_the_stamp(tmp_path):
    pandas = needs_pandas()
    write(tmp_path / "drive")
    table = read_result_bag(tmp_path / "drive")
    assert isinstance(table, pandas.DataFrame)
    assert list(table.columns) == [*(field.name for field in fields(ResultRow)), "stamp_ns"]
    assert len(table) == 6
    assert table["stamp_ns"].tolist() == [stamp_ns(index // 2) for index in range(6)]
    assert table["stamp_ns"].dtype == table["target_id"].dtype == "int64"
    assert table["confidence"].dtype == table["latency_ms"].dtype == "float64"
    assert table["latency_ms"].isna().all()
    dogs = table[table.label == "dog"].set_index("frame")
    assert dogs.center_x.tolist() == pytest.approx([8.0, 9.0, 10.0])
    assert table[table.state == "LOST"].age.tolist() == [0, 1, 2]


def test_a_bag_without_targets_is_an_empty_table_with_its_columns(tmp_path):
    needs_pandas()
    with ResultBagWriter(tmp_path / "out") as bag:
        for index in range(2):
            nothing = TrackedFrame(tracked_frame(index).frame, ())
            bag.add(nothing, header(index), stamp_ns(index))
    table = read_result_bag(tmp_path / "out")
    assert len(table) == 0
    assert table["stamp_ns"].dtype == "int64"


def test_frames_without_targets_are_counted(tmp_path):
    with ResultBagWriter(tmp_path / "out") as bag:
        for index in range(3):
            entries = (entry(1, lost()),) if index == 2 else ()
            bag.add(TrackedFrame(tracked_frame(index).frame, entries), header(index), START_NS)
    ((stamp, row),) = result_rows(tmp_path / "out")
    assert (stamp, row.frame, row.time_s) == (stamp_ns(2), 2, pytest.approx(0.2))


@pytest.mark.parametrize("with_types", [True, False])
def test_a_live_recording_tells_of_the_delay(tmp_path, with_types):
    found = list(result_rows(live_bag(tmp_path / "live", with_types=with_types)))
    assert [row.target_id for _, row in found] == [2, 9, 2, 9]
    assert {row.latency_ms for _, row in found} == {25.0}


def test_one_file_of_a_bag_is_enough(tmp_path):
    write(tmp_path / "out")
    (tmp_path / "out" / "results.mcap").rename(tmp_path / "moved.mcap")
    found = list(result_rows(tmp_path / "moved.mcap"))
    assert {row.clip for _, row in found} == {"moved"}
    assert {row.latency_ms for _, row in found} == {None}


def test_a_bag_that_is_cut_off_gives_what_is_there(tmp_path):
    write(tmp_path / "out", frames=400, overlay=True)
    whole = (tmp_path / "out" / "results.mcap").read_bytes()
    (tmp_path / "cut.mcap").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.warns(UserWarning, match=r"cut\.mcap"):
        found = list(result_rows(tmp_path / "cut.mcap"))
    assert 2 * 200 < len(found) < 2 * 400
    assert [row.frame for _, row in found[::2]] == list(range(len(found) // 2))


def test_of_several_cameras_one_is_named(tmp_path):
    topics = [f"{NODE}/left/rotated_boxes", f"{NODE}/right/rotated_boxes"]
    path = live_bag(tmp_path / "two", topics)
    with pytest.raises(ValueError, match=f"name one: {', '.join(topics)}"):
        next(result_rows(path))
    assert len(list(result_rows(path, topics[1]))) == 4
    with pytest.raises(ValueError, match=r"no topic /else of boxes in .*; there is /siammask"):
        next(result_rows(path, "/else"))


def test_what_is_no_bag_with_results_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such bag"):
        next(result_rows(tmp_path / "none"))
    with Writer(tmp_path / "other", version=8) as bag:
        bag.add_connection("/notes", "std_msgs/msg/String", typestore=result_typestore())
    with pytest.raises(ValueError, match="no topic of siammask_msgs/msg/RotatedBoxArray in"):
        next(result_rows(tmp_path / "other"))


def test_without_pandas_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        read_result_bag(tmp_path)


def test_it_is_a_name_of_the_package_that_costs_nothing_to_import():
    assert siammask_ros.read_result_bag is read_result_bag
    code = """
import sys
from siammask_ros import read_result_bag
assert callable(read_result_bag)
heavy = {"torch", "pandas", "rosbags"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_numbers_survive_pandas(tmp_path):
    """A stamp has more digits than a float holds."""
    needs_pandas()
    write(tmp_path / "out", frames=1)
    assert read_result_bag(tmp_path / "out").stamp_ns.iloc[0] == START_NS
    assert not math.isclose(float(START_NS), START_NS + 200, rel_tol=0, abs_tol=0)


def test_documented_examples_run(tmp_path, monkeypatch, capsys):
    """All of docs/bags.md, one after the other, on a result bag called results."""
    needs_pandas()
    write(tmp_path / "results", frames=50)
    monkeypatch.chdir(tmp_path)
    page = (REPOSITORY / "docs" / "bags.md").read_text()
    names = {}
    for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(code, names)  # noqa: S102
    assert len(names["table"]) == 100
    assert capsys.readouterr().out.splitlines()[0].split() == names["columns"]
    assert names["seen"].to_dict() == {2: 1.0}
    assert names["speed"].median() == pytest.approx(10.0)
    assert names["losses"].target_id.tolist() == [9]
    assert names["stamps"].iloc[49 * 2].value == stamp_ns(49)
    assert names["mask"].sum() == 40
    assert names["message"].boxes[0].label == "dog"
