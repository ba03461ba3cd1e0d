# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which backend and precision is taken, and that each finds what the network itself finds."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from siammask_ros.backends import BACKENDS, PRECISIONS, load_prepared, names, prepare_network
from siammask_ros.backends.graphs import copied_windows
from siammask_ros.backends.names import KNOWN, chosen_way
from siammask_ros.cli import app
from siammask_ros.network import (
    SiamMask,
    build_network,
    extract_windows,
    fuse_for_inference,
    load_network,
)
from siammask_ros.scenes import SceneOptions, render_sequence
from siammask_ros.tracker import SiamMaskTracker, TrackResult

FRAMES = 6


class Clip(NamedTuple):
    """A rendered clip and where its target is at first."""

    images: list[np.ndarray]
    box: tuple[float, float, float, float]


@pytest.fixture(scope="session")
def clip() -> Clip:
    frames = list(render_sequence(5, frames=FRAMES, size_wh=(320, 240), options=SceneOptions()))
    return Clip([frame.image_bgr for frame in frames], frames[0].boxes[1].xywh)


@pytest.fixture(scope="session")
def compact() -> SiamMask:
    return load_network("compact")


def follow(network: object, clip: Clip) -> list[TrackResult]:
    """What a tracker reports of the frames after the first."""
    tracker = SiamMaskTracker(network)
    state, results = tracker.initialize(clip.images[0], clip.box), []
    for image in clip.images[1:]:
        state, result = tracker.track(image, state)
        results.append(result)
    return results


def mask_iou(first: TrackResult, second: TrackResult) -> float:
    both = np.logical_and(first.mask, second.mask).sum()
    return both / max(np.logical_or(first.mask, second.mask).sum(), 1)


# --- Which one


def test_names_need_no_torch() -> None:
    code = "import sys, siammask_ros.backends as b; b.BACKENDS; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_precision_left_open(device: str) -> None:
    usual = {"cpu": "float32", "cuda": "float16"}
    assert chosen_way("eager", "auto", device) == ("eager", usual[device])


def test_a_device_that_nothing_is_known_of_runs_torch() -> None:
    assert chosen_way("auto", "auto", "mps") == ("eager", "float32")


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "auto"])
@pytest.mark.parametrize("precision", [name for name in PRECISIONS if name != "auto"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_cannot_be_is_said(
    backend: str, precision: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "find_spec", lambda name: name)
    there = KNOWN[backend].precisions.get(device, ())
    if precision in there:
        assert chosen_way(backend, precision, device) == (backend, precision)
        return
    with pytest.raises(
        ValueError, match=rf"backend {backend} .*{'precision' if there else device}"
    ):
        chosen_way(backend, precision, device)


@pytest.mark.parametrize("backend", [name for name, known in KNOWN.items() if known.package])
def test_an_absent_package_is_named(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "find_spec", lambda name: None)
    device = next(iter(KNOWN[backend].precisions))
    with pytest.raises(
        ImportError, match=rf"{backend} needs: pip install {KNOWN[backend].install}"
    ):
        chosen_way(backend, "auto", device)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"backend": "magic"}, "backend must be one of auto, eager.*got 'magic'"),
        ({"precision": "float8"}, "precision must be one of auto, float32.*got 'float8'"),
        ({"backend": "cuda_graphs"}, "cuda_graphs needs device cuda, not cpu"),
    ],
)
def test_wrong_names(compact: SiamMask, options: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        prepare_network(compact, **options)


def test_the_command_line_says_what_is_wrong() -> None:
    done = CliRunner().invoke(
        app, ["eval", "scenarios", "--backend", "tensorrt", "--device", "cpu", "--seeds", "1"]
    )
    assert done.exit_code == 2
    assert "tensorrt" in done.output


@pytest.mark.parametrize(
    ("line", "there"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16 amx_tile", True),
        ("flags\t\t: fpu avx2 amx_bf16", True),
        ("Features\t: fp asimd bf16 sve", True),
        ("flags\t\t: fpu avx2 avx512f", False),
        ("model name\t: bf16", False),
    ],
)
def test_what_linux_says_of_the_processor(line: str, *, there: bool, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{line}\nbugs\t: none\n")
    assert names.multiplies_bfloat16(tmp_path / "cpuinfo") == there


def test_another_system_says_nothing(tmp_path: Path) -> None:
    assert not names.multiplies_bfloat16(tmp_path / "cpuinfo")


# --- Torch as it is


def test_eager_is_the_fused_network(compact: SiamMask, clip: Clip) -> None:
    prepared = prepare_network(compact, backend="eager", precision="float32")
    assert (prepared.description, prepared.architecture) == ("eager, float32", "compact")
    assert prepared.threads == torch.get_num_threads()
    results = follow(prepared, clip)
    for result, expected in zip(results, follow(fuse_for_inference(compact), clip), strict=True):
        assert result.anchor_index == expected.anchor_index
        assert result.box == expected.box
        np.testing.assert_array_equal(result.probability_in_roi, expected.probability_in_roi)


def test_eager_in_bfloat16_is_near(compact: SiamMask, clip: Clip) -> None:
    results = follow(prepare_network(compact, backend="eager", precision="bfloat16"), clip)
    for result, expected in zip(results, follow(compact, clip), strict=True):
        assert mask_iou(result, expected) > 0.95
        assert result.confidence == pytest.approx(expected.confidence, abs=0.02)


@pytest.mark.parametrize("name", ["siammask_2b_r50_base", "siamrpn_alexnet", "siammask_pp_r50_re"])
def test_bfloat16_of_other_networks(name: str) -> None:
    """Without boxes, without masks, and with several levels; weights are random."""
    torch.manual_seed(0)
    network = build_network(name).eval()
    prepared = prepare_network(network, backend="eager", precision="bfloat16")
    patch = torch.rand(1, 3, 255, 255) * 255
    rows = columns = torch.tensor([12])
    with torch.inference_mode():
        kernels = prepared.exemplar(patch[:, :, 64:191, 64:191])
        found = prepared.search(patch, kernels)
        expected = network.search(patch, network.exemplar(patch[:, :, 64:191, 64:191]))
        assert found.score_logits.dtype == torch.float32
        assert (found.box_deltas is None) == (expected.box_deltas is None)
        scale = expected.score_logits.abs().max()
        assert (found.score_logits - expected.score_logits).abs().max() < 0.1 * scale
        if prepared.has_masks:
            mask = prepared.mask_at(found, rows, columns)
            assert mask.shape == (1, prepared.mask_size, prepared.mask_size)


def test_kernels_stay_in_float32(compact: SiamMask) -> None:
    prepared = prepare_network(compact, backend="eager", precision="bfloat16")
    patch = torch.rand(1, 3, 127, 127) * 255
    with torch.inference_mode():
        kernels = prepared.exemplar(patch)
        expected = fuse_for_inference(compact).exemplar(patch)
    torch.testing.assert_close(kernels.score, expected.score)


def test_threads_of_torch_follow(compact: SiamMask) -> None:
    before = torch.get_num_threads()
    try:
        assert prepare_network(compact, backend="eager", threads=before + 1).threads == before + 1
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_goes_to_another_process(precision: str, clip: Clip) -> None:
    prepared = load_prepared("compact", backend="eager", precision=precision)
    again = pickle.loads(pickle.dumps(prepared))  # noqa: S301 our own
    assert (again.description, again.threads) == (prepared.description, prepared.threads)
    first, second = follow(prepared, clip)[0], follow(again, clip)[0]
    assert (first.anchor_index, first.box) == (second.anchor_index, second.box)


@pytest.mark.parametrize("size", [1, 5, 15])
def test_windows_copied_by_numpy_are_those_of_torch(size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    maps = torch.rand((3, 4, 9, 11), generator=generator)
    samples = torch.randint(0, 3, (40,), generator=generator)
    tops = torch.randint(-size - 2, 12, (40,), generator=generator)
    lefts = torch.randint(-size - 2, 14, (40,), generator=generator)
    wanted = extract_windows(maps, samples, tops, lefts, size)
    found = copied_windows(maps, samples, tops, lefts, size)
    assert torch.equal(found, wanted)
    assert found.is_contiguous()
