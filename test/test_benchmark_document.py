# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Documents of a benchmark: written and read, compared, and where they say they were made."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from dataclasses import replace

import pytest

from siammask_ros.benchmark import (
    BenchmarkDocument,
    CaseEntry,
    Summary,
    compare_documents,
    comparison_markdown,
    describe_environment,
    environment_text,
    read_document,
    source_commit,
    write_document,
)


def entry(targets, step, *, fps=10.0, **numbers):
    times = {"step": Summary(step, step, step * 2, step * 3, step), "choice": Summary(*[0.01] * 5)}
    case = {"network": "compact", "targets": targets}
    return CaseEntry(case, times, {"frames_per_second": fps, **numbers})


def document(*cases, kind="tracker", **changes):
    place = replace(describe_environment(), load_average=1.0, **changes)
    return BenchmarkDocument(kind, place, cases, settings={"steps": 3}, notes=("a note",))


def test_what_is_written_is_read(tmp_path):
    made = document(entry(1, 10.0), entry(4, 30.0, rss_mb=512.5))
    path = write_document(tmp_path / "folder" / "a.json", made)
    assert read_document(path) == made


def test_numbers_that_are_not_finite_survive(tmp_path):
    path = write_document(tmp_path / "a.json", document(entry(1, 10.0, least_iou=math.nan)))
    assert "NaN" not in path.read_text()
    assert math.isnan(read_document(path).cases[0].numbers["least_iou"])


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"format": "another"}', '{"format": "siammask benchmark 1"}']
)
def test_other_files_are_named(tmp_path, content):
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"other\.json is no benchmark"):
        read_document(path)


def test_a_later_version_may_say_more_of_the_environment(tmp_path):
    made = document(entry(1, 10.0))
    path = write_document(tmp_path / "a.json", made)
    content = json.loads(path.read_text())
    content["environment"]["humidity"] = 0.5
    path.write_text(json.dumps(content))
    assert read_document(path) == made


def test_ratios_are_of_equal_cases():
    first = document(entry(1, 10.0), entry(4, 30.0, fps=8.0), torch="1")
    second = document(entry(4, 15.0, fps=16.0), entry(16, 99.0), torch="2")
    comparison = compare_documents(first, second)
    assert [(each.name, each.first, each.second, each.ratio) for each in comparison.ratios] == [
        ("step p50 ms", 30.0, 15.0, 0.5),
        ("step p90 ms", 60.0, 30.0, 0.5),
        ("step p99 ms", 90.0, 45.0, 0.5),
        ("frames_per_second", 8.0, 16.0, 2.0),
    ]  # and none of the times that are next to nothing
    assert comparison.only_first == ("compact, 1 targets",)
    assert comparison.only_second == ("compact, 16 targets",)
    assert comparison.differences == ("torch: 1, 2",)
    text = comparison_markdown(comparison)
    assert "| compact, 4 targets | step p50 ms | 30.00 | 15.00 | 0.500 |" in text
    assert "- torch: 1, 2" in text


def test_a_ratio_to_nothing_is_none():
    comparison = compare_documents(document(entry(1, 1.0, fps=0.0)), document(entry(1, 1.0)))
    assert math.isnan(comparison.ratios[-1].ratio)
    assert "nan" in comparison_markdown(comparison)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="the tracker, the other the node"):
        compare_documents(document(entry(1, 1.0)), document(entry(1, 1.0), kind="node"))
    with pytest.raises(ValueError, match="no case in common"):
        compare_documents(document(entry(1, 1.0)), document(entry(2, 1.0)))


# --- The environment


def test_the_environment_in_words():
    place = replace(
        describe_environment("cpu"), cpu_features=("avx2",), packages={"openvino": "1.2"}
    )
    text = environment_text(place)
    for words in (place.device_name, "avx2", place.torch, "openvino 1.2", place.system):
        assert words in text
    on_gpu = replace(place, device="cuda:0", device_name="GPU 3000", cuda="13.0")
    assert f"GPU 3000, CUDA 13.0, beside a {place.cpu_name}" in environment_text(on_gpu)


@pytest.fixture
def checkout(tmp_path):
    """A git checkout with a package in it, and its commit."""

    def git(*words):
        command = ["git", "-C", str(tmp_path / "tree"), "-c", "user.name=a", "-c", "user.email=b"]
        return subprocess.run([*command, *words], check=True, capture_output=True, text=True).stdout

    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    package = tmp_path / "tree" / "siammask_ros"
    package.mkdir(parents=True)
    (package / "one.py").write_text("1\n")
    (tmp_path / "tree" / ".gitignore").write_text("install/\n")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "first")
    return package, git("rev-parse", "HEAD").strip()


def test_the_commit_is_that_of_the_files(checkout):
    package, commit = checkout
    assert source_commit(package) == commit
    (package / "one.py").write_text("2\n")
    assert source_commit(package) == f"{commit}+"


def test_an_installed_copy_has_the_commit_while_it_is_the_same(checkout):
    package, commit = checkout
    copy = package.parent / "install" / "siammask_ros"
    shutil.copytree(package, copy)
    assert source_commit(copy) == commit
    (copy / "one.py").write_text("2\n")
    assert source_commit(copy) is None


def test_no_checkout_has_no_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "siammask_ros").mkdir()
    assert source_commit(tmp_path / "siammask_ros") is None
    monkeypatch.setenv("PATH", str(tmp_path))  # no git at all
    assert source_commit(tmp_path / "siammask_ros") is None
