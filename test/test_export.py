# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks as graphs of plain tensors, and as ONNX files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from random_network import patches, randomized

from siammask_ros import cli
from siammask_ros.backends.onnx_files import OPSET, export_onnx
from siammask_ros.backends.onnx_graphs import (
    SearchGraph,
    gather_flat_windows,
    graphs_of,
    plain_kernels,
    plain_output,
    shifted_correlation,
    shifted_up_channel_correlation,
)
from siammask_ros.network import (
    NETWORKS,
    ExemplarKernels,
    SearchOutput,
    build_network,
    depthwise_correlation,
    extract_windows,
    fuse_for_inference,
    save_network,
    up_channel_correlation,
)
from siammask_ros.tracker import SiamMaskTracker, TrackerConfig

THIN = {"width_divisor": 16}
SMALL_COMPACT = {"channels": (4, 6, 8), "width": 8, "refiner_widths": (8, 6, 4)}
EXPORTED = {
    "compact": {},
    "siammask_r50_refine": {},
    "siammask_2b_r50_base": {},
    "siamfc_alexnet": {},
    "siammask_pp_r50_re_up": {"layers": [3, 4]},
}
"""Of every part one, and their options: to make a file takes seconds."""


def network_of(name, **options):
    torch.manual_seed(1)
    sizes = SMALL_COMPACT if name == "compact" else THIN
    return randomized(build_network(name, **sizes, **options))


def relative_error(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


# --- Graphs


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("batch", [1, 3])
def test_graphs_are_the_network(name, batch):
    network = network_of(name)
    graphs = {graph.name: graph for graph in graphs_of(network)}
    exemplar_patch, search_patch = patches(batch, 127, 2), patches(batch, 255, 3)
    with torch.inference_mode():
        kernels = network.exemplar(exemplar_patch)
        output = network.search(search_patch, kernels)
        graph_kernels = graphs["exemplar"].module(exemplar_patch)
        graph_output = graphs["search"].module(search_patch, *plain_kernels(kernels))
    assert len(graph_kernels) == len(graphs["exemplar"].outputs)
    assert len(graph_output) == len(graphs["search"].outputs)
    assert graphs["search"].inputs == ("patch", *graphs["exemplar"].outputs)
    pairs = [*zip(graph_kernels, plain_kernels(kernels), strict=True)]
    pairs += zip(graph_output, plain_output(output), strict=True)
    assert max(relative_error(found, expected) for found, expected in pairs) < 1e-5
    assert ("mask" in graphs) == network.has_masks
    if network.has_masks:
        rows, columns = torch.tensor([[0, 24, 7], [24, 0, 19]])[:, :batch]
        maps = (output.mask_responses, *output.pyramid)
        with torch.inference_mode():
            (logits,) = graphs["mask"].module(rows.int(), columns.int(), *maps)
            expected = network.mask_at(output, rows, columns)
        assert len(graphs["mask"].inputs) == 2 + len(maps)
        assert relative_error(logits, expected) < 1e-5


def test_graphs_leave_the_network_as_it_is():
    network = network_of("compact").train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    graphs_of(network)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_search_graph_takes_any_network():
    fused = fuse_for_inference(network_of("compact"))
    patch = patches(1, 255, 4)
    with torch.inference_mode():
        kernels = fused.exemplar(patches(1, 127, 5))
        found = SearchGraph(fused)(patch, *plain_kernels(kernels))
        expected = plain_output(fused.search(patch, kernels))
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_shifted_correlations_are_correlations():
    generator = torch.Generator().manual_seed(0)
    search = torch.randn((3, 4, 9, 8), generator=generator, dtype=torch.float64)
    kernel = torch.randn((3, 4, 5, 3), generator=generator, dtype=torch.float64)
    found = shifted_correlation(search, kernel)
    assert torch.allclose(found, depthwise_correlation(search, kernel))
    kernels = torch.randn((3, 4 * 6, 5, 3), generator=generator, dtype=torch.float64)
    found = shifted_up_channel_correlation(search, kernels)
    assert torch.allclose(found, up_channel_correlation(search, kernels))


def test_flat_windows_are_windows():
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn((6, 3, 11, 7), generator=generator)
    tops = torch.tensor([0, -4, 8, 3, -9, 30])
    lefts = torch.tensor([0, 5, -2, 1, -9, 3])
    samples = torch.arange(6)
    expected = extract_windows(maps, samples, tops, lefts, 6)
    assert torch.equal(gather_flat_windows(maps, samples, tops, lefts, 6), expected)


# --- Files


class OnnxNetwork:
    """A tracker's network that knows nothing but the exported files."""

    has_coarse_mask = False
    default_preset = "compact"

    def __init__(self, folder):
        onnxruntime = pytest.importorskip("onnxruntime")
        self.sessions = {
            path.stem: onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            for path in folder.glob("*.onnx")
        }

    def run(self, name, inputs):
        session = self.sessions[name]
        arrays = [tensor.contiguous().numpy() for tensor in inputs]
        names = [entry.name for entry in session.get_inputs()]
        results = session.run(None, dict(zip(names, arrays, strict=True)))
        return [torch.from_numpy(result) for result in results]

    def exemplar(self, patch):
        return ExemplarKernels(*self.run("exemplar", [patch]))

    def search(self, patch, kernels):
        score, box, mask, *pyramid = self.run("search", [patch, *kernels])
        return SearchOutput(score, box, mask, tuple(pyramid))

    def mask_at(self, output, rows, columns):
        cells = [rows.int(), columns.int()]
        return self.run("mask", [*cells, output.mask_responses, *output.pyramid])[0]


@pytest.fixture(scope="module")
def compact_files(tmp_path_factory):
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("export")
    return export_onnx(network_of("compact"), folder, metadata={"weights": "x.pth", "n": [1, 2]})


@pytest.mark.parametrize("name", EXPORTED)
def test_networks_of_every_kind_can_be_exported(name, tmp_path):
    pytest.importorskip("onnxruntime")
    network = network_of(name, **EXPORTED[name])
    exported = export_onnx(network, tmp_path, check=True)
    names = ["exemplar.onnx", "search.onnx", *(["mask.onnx"] if network.has_masks else [])]
    assert [file.path.name for file in exported.files] == names
    assert all(file.error < 1e-5 for file in exported.files)
    assert {path.name for path in tmp_path.iterdir()} == {*names, "network.json"}


def test_files_say_what_they_are(compact_files):
    onnx = pytest.importorskip("onnx")
    for file in compact_files.files:
        model = onnx.load(file.path)
        onnx.checker.check_model(model, full_check=True)
        assert [entry.version for entry in model.opset_import] == [OPSET]
        about = {entry.key: entry.value for entry in model.metadata_props}
        assert about["architecture"] == "compact"
        assert about["weights"] == "x.pth"
        assert json.loads(about["n"]) == [1, 2]
        assert about["patch_colors"].startswith("BGR")
        for values, tensors in (
            (model.graph.input, file.inputs),
            (model.graph.output, file.outputs),
        ):
            for value, tensor in zip(values, tensors, strict=True):
                dims = value.type.tensor_type.shape.dim
                sides = tuple(dim.dim_param or dim.dim_value for dim in dims)
                assert (value.name, sides) == (tensor.name, tensor.shape)
                assert sides[0] == "batch"
        content = file.path.read_bytes()
        assert str(Path.cwd()).encode() not in content
        assert file.size_bytes == len(content)


def test_the_description_is_that_of_the_files(compact_files):
    about = json.loads(compact_files.description.read_text())
    search = about["files"]["search.onnx"]
    assert search["inputs"][0] == {
        "name": "patch",
        "shape": ["batch", 3, 255, 255],
        "dtype": "float32",
    }
    shapes = {entry["name"]: entry["shape"] for entry in search["outputs"]}
    assert shapes["score_logits"] == ["batch", 10, 25, 25]
    assert shapes["pyramid_2"] == ["batch", 4, 127, 127]
    assert about["files"]["mask.onnx"]["inputs"][0]["dtype"] == "int32"
    assert (about["n"], about["opset"]) == ([1, 2], OPSET)


def test_the_files_track_as_the_network_does(compact_files):
    network = network_of("compact")
    folder = compact_files.description.parent
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (4, 120, 160, 3), dtype=np.uint8)
    runs = []
    for each in (network, OnnxNetwork(folder)):
        tracker = SiamMaskTracker(each, TrackerConfig.preset("compact"))
        state = tracker.initialize(images[0], (60, 40, 30, 20))
        other = tracker.initialize(images[0], (20, 30, 40, 40))
        results = []
        for image in images[1:]:
            (state, one), (other, two) = tracker.track_batch([(image, state), (image, other)])
            results += [one, two]
        runs.append(results)
    for one, other in zip(*runs, strict=True):
        assert np.allclose(one.box_xywh, other.box_xywh, atol=1e-2)
        assert one.confidence == pytest.approx(other.confidence, abs=1e-4)
        assert np.array_equal(one.mask, other.mask)


def test_a_fixed_batch_is_fixed(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    exported = export_onnx(network_of("compact"), tmp_path, batch=2)
    assert {tensor.shape[0] for file in exported.files for tensor in file.inputs} == {2}
    session = onnxruntime.InferenceSession(tmp_path / "exemplar.onnx")
    assert session.get_inputs()[0].shape == [2, 3, 127, 127]


def test_nothing_is_written_over_or_half(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    network = network_of("compact")
    with pytest.raises(ValueError, match="at least 1, got 0"):
        export_onnx(network, tmp_path, batch=0)
    monkeypatch.setattr("siammask_ros.backends.onnx_files.LARGEST_ERROR", 0.0)
    with pytest.raises(RuntimeError, match=r"exemplar\.onnx differs from torch by"):
        export_onnx(network, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.undo()
    there = tmp_path / "search.onnx"
    there.write_text("mine")
    with pytest.raises(FileExistsError, match=r"search\.onnx exists already"):
        export_onnx(network, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["search.onnx"]
    export_onnx(network, tmp_path, overwrite=True)
    assert there.read_bytes()[:4] != b"mine"


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_what_is_missing_is_named(package, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "siammask_ros.backends.onnx_files.find_spec", lambda name: name != package or None
    )
    with pytest.raises(ImportError, match=f"pip install {package}$"):
        export_onnx(network_of("compact"), tmp_path, check=True)


def test_a_check_is_made_where_it_can_be(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    monkeypatch.setattr(
        "siammask_ros.backends.onnx_files.find_spec", lambda name: name != "onnxruntime" or None
    )
    exported = export_onnx(network_of("siamfc_alexnet"), tmp_path)
    assert {file.error for file in exported.files} == {None}


# --- The command


def run(*arguments):
    """Exit status of the command in this process."""
    with pytest.raises(SystemExit) as caught:
        cli.main([str(argument) for argument in arguments])
    return caught.value.code or 0


def test_the_command_exports(tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    weights, out = tmp_path / "own.pth", tmp_path / "onnx"
    save_network(network_of("compact"), weights)
    arguments = ("export", out, "--weights", weights, "--set", "mask_threshold=0.4")
    assert run(*arguments) == 0
    said = capsys.readouterr().out
    assert "patch -> score_kernel, box_kernel, mask_kernel" in said
    assert said.count("differs from torch by") == 3
    about = json.loads((out / "network.json").read_text())
    assert (about["weights"], about["preset"]) == ("own.pth", "compact")
    assert about["settings"]["mask_threshold"] == 0.4
    assert about["settings"]["anchors"]["ratios"] == [0.33, 0.5, 1.0, 2.0, 3.0]
    assert run(*arguments) == 1
    assert "exists already" in capsys.readouterr().err
    assert run(*arguments, "--overwrite", "--batch", "1", "--no-check") == 0
    assert "not compared with torch" in capsys.readouterr().out
    assert run("export", out, "--set", "mask_threshold=2") == 2
