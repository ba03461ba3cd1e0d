# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Opening what is to be measured, NanoTrack beside it, memory, and networks of random weights."""

from __future__ import annotations

import pytest
import torch
from tiny_onnx import write_nano

from siammask_ros.benchmark import (
    NanoOptions,
    OwnOptions,
    benchmark_markdown,
    measure_memory,
    random_network,
    rendered_images,
    run_benchmark,
)
from siammask_ros.network import build_network, save_network

QUICK = {"sizes": ((64, 64),), "targets": (1,), "steps": 1, "warm_up": 0, "memory": False}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.pth"
    save_network(build_network("compact", channels=(8, 8, 8), blocks=(1, 1, 1)), path)
    return str(path)


def test_what_auto_means_is_told(weights):
    report = run_benchmark([OwnOptions(weights, backend="eager")], **QUICK)
    (subject,) = report.subjects
    assert subject.names == ("tiny.pth", "eager", "float32")
    assert subject.preset == "compact"
    assert report.left_out == ()


def test_what_cannot_be_is_left_out_with_the_reason(weights):
    wanted = [
        OwnOptions(weights, backend="eager", precision=precision)
        for precision in ("float32", "int8", "auto", "bfloat16")
    ]
    report = run_benchmark(wanted, **QUICK)
    assert [info.names.precision for info in report.subjects] == ["float32", "bfloat16"]
    no_int8, twice = report.left_out
    assert "int8" in no_int8
    assert "float32, measured already" in twice
    assert f"- {no_int8}" in benchmark_markdown(report)
    assert report.agreements[0].decisions == 12


def test_cutting_on_the_device_needs_one(weights):
    wanted = [OwnOptions(weights, backend="eager", crop_on_device=here) for here in (False, True)]
    report = run_benchmark(wanted, **QUICK)
    assert len(report.subjects) == 1
    assert report.left_out[0].startswith(f"{weights}, eager, auto, crop on device: ")


def test_the_only_one_that_cannot_be_is_an_error(weights):
    with pytest.raises(ValueError, match="int8"):
        run_benchmark([OwnOptions(weights, backend="eager", precision="int8")], **QUICK)


def test_a_missing_file_is_an_error(weights, tmp_path):
    with pytest.raises(ValueError, match=r"none\.pth"):
        run_benchmark([OwnOptions(weights), OwnOptions(str(tmp_path / "none.pth"))], **QUICK)


def test_settings_reach_the_tracker(weights):
    options = OwnOptions(weights, backend="eager", settings=("masks=none",))
    report = run_benchmark([options], **QUICK)
    assert report.subjects[0].preset == "compact, masks=none"
    assert report.cases[0].parts["mask"].p50 < 0.1


def test_nanotrack_is_timed_beside(weights, tmp_path):
    write_nano(tmp_path)
    sizes = ((96, 96),)
    report = run_benchmark(
        [OwnOptions(weights, backend="eager")],
        [NanoOptions(str(tmp_path))],
        **{**QUICK, "sizes": sizes, "targets": (1, 2)},
    )
    nano = [case for case in report.cases if case.subject.network == "NanoTrack"]
    assert [case.targets for case in nano] == [1, 2]
    assert all(len(case.ratios) == 1 and case.parts == {} for case in nano)
    assert report.agreements == ()


def test_nanotrack_needs_two_files(tmp_path):
    with pytest.raises(ValueError, match=r"has 0 files \*backbone\*\.onnx"):
        NanoOptions(str(tmp_path)).open()


def test_progress_is_told(weights):
    told = []

    class Bar:
        def __init__(self, what, total):
            self.what, self.total, self.done = what, total, 0

        def __enter__(self):
            told.append(self)
            return self.advance

        def __exit__(self, *_):
            pass

        def advance(self, _):
            self.done += 1

    run_benchmark([OwnOptions(weights, backend="eager")], progress=Bar, **QUICK)
    assert [(bar.what, bar.total, bar.done) for bar in told] == [("open", 1, 1), ("steps", 1, 1)]


# --- Memory


def test_memory_of_a_process_of_its_own(weights):
    cases = [((64, 64), 1), ((1200, 800), 1)]
    small, large = measure_memory(OwnOptions(weights, backend="eager"), cases, threads=1)
    assert small.subject == large.subject == ("tiny.pth", "eager", "float32")
    assert (large.size_wh, large.targets) == ((1200, 800), 1)
    assert 50 < small.start_mb < small.ready_mb < small.peak_mb < 3000
    image_mb = 1200 * 800 * 3 / 2**20
    assert large.peak_mb > small.start_mb + image_mb
    assert small.gpu_peak_mb == 0


def test_a_process_that_fails_says_why(tmp_path):
    with pytest.raises(RuntimeError, match=r"none\.pth: cannot be read"):
        measure_memory(OwnOptions(str(tmp_path / "none.pth")), [((64, 64), 1)])


# --- Random weights


@pytest.mark.parametrize("name", ["compact", "siamfc_alexnet"])
def test_random_networks_are_alike_and_leave_the_generator_alone(name):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    one, other = random_network(name), random_network(name)
    assert torch.equal(torch.rand(1), expected)
    for key, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key
    assert not any(part.training for part in one.modules())


def test_their_numbers_stay_in_range():
    """Scores that differ, boxes of finite size, masks neither empty nor full."""
    network = random_network("compact")
    images = [rendered_images((side, side), frames=1, seed=5)[0] for side in (127, 255)]
    patches = [torch.from_numpy(image).permute(2, 0, 1)[None].float() for image in images]
    with torch.inference_mode():
        output = network.search(patches[1], network.exemplar(patches[0]))
        cells = torch.tensor([12])
        mask = network.mask_at(output, cells, cells)
    assert 0.1 < output.score_logits.std() < 10
    assert output.box_deltas.abs().max() < 10
    assert 0.01 < (mask > 0).float().mean() < 0.99


def test_unknown_networks_are_named():
    with pytest.raises(ValueError, match="no_such"):
        random_network("no_such")
