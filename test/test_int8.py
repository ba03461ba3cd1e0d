# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks in int8: how they are made and kept, and that they still find the target."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from random_network import patches, randomized

from siammask_ros.backends import int8, prepare_network
from siammask_ros.backends.int8_calibration import (
    FRAMES,
    Clip,
    calibration_inputs,
    rendered_clips,
)
from siammask_ros.geometry import Box, box_iou
from siammask_ros.network import build_network, fuse_for_inference, load_network
from siammask_ros.scenes import render_sequence
from siammask_ros.tracker import SiamMaskTracker

SMALL_COMPACT = {"channels": (4, 6, 8), "width": 8, "refiner_widths": (8, 6, 4)}
BACKENDS = ("openvino", "onnxruntime")


def small_network():
    torch.manual_seed(1)
    return fuse_for_inference(randomized(build_network("compact", **SMALL_COMPACT)))


def clips():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (90, 120, 3), dtype=np.uint8) for _ in range(3)]
    return [Clip(images, (40, 30, 30, 25)), Clip(images[:2], (10, 10, 50, 40))]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SIAMMASK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def compact_cache(tmp_path_factory):
    """A cache with the bundled network in int8."""
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("int8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIAMMASK_CACHE", str(folder))
        few = islice(rendered_clips(), 3)  # all of them take a minute
        int8.make_int8(fuse_for_inference(load_network("compact")), few)
    return folder


# --- Calibration


def test_calibration_keeps_what_the_graphs_are_given():
    network = small_network()
    seen = calibration_inputs(network, clips())
    assert len(seen.search) == len(seen.refine) == 3  # images after the first ones
    patch, *kernels = seen.search[0]
    assert patch.shape == (1, 3, 255, 255)
    assert patch.dtype == np.float32
    assert 0 <= patch.min() < patch.max() <= 255
    assert [kernel.shape for kernel in kernels] == [(1, 8, 5, 5)] * 3
    windows = [torch.from_numpy(window) for window in seen.refine[0]]
    assert network.refiner(*windows).shape == (1, 127, 127)


def test_networks_without_a_refiner_have_no_windows():
    torch.manual_seed(1)
    network = fuse_for_inference(build_network("siamrpn_alexnet", width_divisor=16))
    seen = calibration_inputs(network, clips())
    assert len(seen.search) == 3
    assert seen.refine == []


def test_rendered_clips_show_their_target():
    clip = next(rendered_clips())
    images = list(clip.images_bgr)
    assert len(images) == FRAMES
    assert Box(*clip.box_xywh).area > 0
    assert all(image.shape == images[0].shape for image in images)


# --- Files


def test_files_are_made_once(cache, monkeypatch):
    pytest.importorskip("onnxruntime")
    network = small_network()
    files = int8.make_int8(network, clips())
    assert files == int8.int8_files(network)
    assert sorted(path.name for path in cache.rglob("*") if path.is_file()) == [
        "refine.onnx",
        "search.onnx",
    ]
    before = [path.read_bytes() for path in files]
    monkeypatch.setattr(int8, "make_int8", lambda _: pytest.fail("made again"))
    int8.prepare_int8(network, backend="onnxruntime", threads=1)
    assert [path.read_bytes() for path in files] == before


def test_other_weights_have_other_files():
    network, other = small_network(), small_network()
    assert int8.int8_files(network) == int8.int8_files(other)
    next(other.parameters()).data[0] += 1e-3
    assert int8.int8_files(network) != int8.int8_files(other)


def test_the_convolutions_are_int8(compact_cache, monkeypatch):
    onnx = pytest.importorskip("onnx")
    monkeypatch.setenv("SIAMMASK_CACHE", str(compact_cache))
    files = int8.int8_files(fuse_for_inference(load_network("compact")))
    model = onnx.load(files.search)
    made_by = {output: node.op_type for node in model.graph.node for output in node.output}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    exact = [node.name for node in convolutions if made_by.get(node.input[1]) is None]
    assert exact
    assert all("score_head" in name or "box_head" in name for name in exact)
    assert len(exact) == 4  # hidden and last layer of both
    assert len(convolutions) - len(exact) > 15


def test_what_makes_them_is_named(monkeypatch):
    monkeypatch.setattr(int8, "find_spec", lambda name: name != "onnxruntime" or None)
    with pytest.raises(ImportError, match=r"pip install onnxruntime$"):
        int8.make_int8(small_network(), clips())


# --- Tracking


@pytest.mark.parametrize("backend", BACKENDS)
def test_int8_is_near_float32(backend, compact_cache, monkeypatch):
    pytest.importorskip(backend)
    monkeypatch.setenv("SIAMMASK_CACHE", str(compact_cache))
    network = load_network("compact")
    prepared = prepare_network(network, backend=backend, precision="int8", threads=1)
    assert (prepared.backend, prepared.precision) == (backend, "int8")
    image = next(iter(next(rendered_clips()).images_bgr))
    patch = torch.from_numpy(np.ascontiguousarray(image[:255, :255])).float()
    patch = patch.permute(2, 0, 1)[None]
    with torch.inference_mode():
        kernels = network.exemplar(patches(1, 127, 2))
        found, expected = prepared.search(patch, kernels), network.search(patch, kernels)
    for one, other in (
        (found.score_logits, expected.score_logits),
        (found.box_deltas, expected.box_deltas),
        (found.pyramid[-1], expected.pyramid[-1]),
    ):
        error = float((one - other).abs().mean() / other.abs().mean())
        assert 1e-6 < error < 0.2


@pytest.mark.parametrize("backend", BACKENDS)
def test_int8_follows_a_target(backend, compact_cache, monkeypatch):
    pytest.importorskip(backend)
    monkeypatch.setenv("SIAMMASK_CACHE", str(compact_cache))
    network = prepare_network(load_network("compact"), backend=backend, precision="int8", threads=1)
    tracker = SiamMaskTracker(network)
    frames = list(render_sequence(4, frames=12, size_wh=(320, 240)))
    state = tracker.initialize(frames[0].image_bgr, frames[0].boxes[1].xywh)
    overlaps = []
    for frame in frames[1:]:
        state, result = tracker.track(frame.image_bgr, state)
        overlaps.append(box_iou(result.box, frame.boxes[1]))
    assert np.mean(overlaps) > 0.5
