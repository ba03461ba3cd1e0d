# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files that appear whole or not at all, and tables."""

from __future__ import annotations

import pytest

from siammask_ros.files import csv_table, markdown_table, whole_file, write_whole


def test_a_whole_file_appears_at_the_end(tmp_path):
    path = tmp_path / "new" / "file.bin"
    with whole_file(path) as stream:
        stream.write(b"abc")
        assert not path.exists()
    assert path.read_bytes() == b"abc"
    assert path.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in path.parent.iterdir()] == ["file.bin"]


def test_an_error_leaves_the_old_file_and_no_other(tmp_path):
    path = write_whole(tmp_path / "file.txt", "grün")
    assert path.read_bytes() == "grün".encode()

    def interrupted():
        with whole_file(path) as stream:
            stream.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text(encoding="utf-8") == "grün"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_tables_align_numbers():
    assert (
        markdown_table(["name", "J"], [["a", "0.5"]])
        == "| name | J |\n| --- | ---: |\n| a | 0.5 |\n"
    )


def test_csv_has_an_empty_cell_where_there_is_no_number():
    rows = [("a, b", 1 / 3, True), ("c", float("nan"), 2)]
    assert csv_table(["name", "J", "n"], rows) == 'name,J,n\n"a, b",0.333333,1\nc,,2\n'
