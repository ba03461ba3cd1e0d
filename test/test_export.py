# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks as graphs of plain tensors, and as ONNX files."""

from __future__ import annotations

import pytest
import torch
from random_network import patches, randomized

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
    build_network,
    depthwise_correlation,
    extract_windows,
    fuse_for_inference,
    up_channel_correlation,
)

THIN = {"width_divisor": 16}
SMALL_COMPACT = {"channels": (4, 6, 8), "width": 8, "refiner_widths": (8, 6, 4)}


def network_of(name):
    torch.manual_seed(1)
    return randomized(build_network(name, **(SMALL_COMPACT if name == "compact" else THIN)))


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
