# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shapes, batches, options and gradients of the networks; fusing; nothing remembered."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from siammask_ros.network import (
    ARCHITECTURES,
    build_network,
    depthwise_correlation,
    fuse_for_inference,
)
from siammask_ros.network.heads import CorrelationBranch, PredictionHead
from siammask_ros.network.siammask import SiamMask

ROWS, COLUMNS = torch.tensor([0, 12, 24]), torch.tensor([24, 7, 0])


def patches(count, size, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, size, size, generator=generator) * 255


def randomized(network, seed=0):
    """The network in evaluation mode, with batch norm statistics that are not neutral."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(module.bias, 0, 0.2, generator=generator)
    return network.eval()


@pytest.fixture(scope="module", params=ARCHITECTURES)
def network(request):
    torch.manual_seed(0)
    return randomized(build_network(request.param))


@pytest.fixture(scope="module")
def compact():
    torch.manual_seed(0)
    return randomized(build_network("compact"))


def run(network, exemplar, search):
    with torch.inference_mode():
        kernels = network.exemplar(exemplar)
        return kernels, network.search(search, kernels)


def test_shapes(network):
    kernels, output = run(network, patches(1, 127, 0), patches(1, 255, 1))
    width = kernels.mask.shape[1]
    assert [kernel.shape for kernel in kernels] == [(1, width, 5, 5)] * 3
    assert output.score_logits.shape == (1, 10, 25, 25)
    assert output.box_deltas.shape == (1, 20, 25, 25)
    assert output.mask_responses.shape == (1, width, 25, 25)
    mask = network.mask_at(output, ROWS[:1], COLUMNS[:1])
    assert mask.shape == (1, network.mask_size, network.mask_size)
    assert network.mask_size == (127 if network.has_refiner else 63)
    assert len(output.pyramid) == (3 if network.has_refiner else 0)


def test_compact_maps_are_aligned(compact):
    for size, expected in ((255, [127, 63, 31]), (127, [63, 31, 15])):
        with torch.inference_mode():
            feature, pyramid = compact.features(patches(1, size, 0))
        assert [level.shape[2] for level in pyramid] == expected
        assert feature.shape[2] == {31: 31, 15: 7}[expected[-1]]


def test_narrow_search_patches_are_cut_as_in_refiner_training():
    network = build_network("siammask_r50_refine").eval()
    _, output = run(network, patches(1, 127, 0), patches(1, 143, 1))
    assert output.score_logits.shape[2:] == (3, 3)
    samples = torch.zeros(9, dtype=torch.long)
    rows, columns = (
        grid.flatten() for grid in torch.meshgrid(*[torch.arange(3)] * 2, indexing="ij")
    )
    assert network.refined_mask_at(output, rows, columns, samples).shape == (9, 127, 127)


def test_compact_is_small():
    assert sum(parameter.numel() for parameter in build_network("compact").parameters()) < 3e6


def test_a_batch_gives_what_single_calls_give(compact):
    exemplars, searches = patches(3, 127, 2), patches(3, 255, 3)
    _, together = run(compact, exemplars, searches)
    masks = compact.mask_at(together, ROWS, COLUMNS)
    for index in range(3):
        one = slice(index, index + 1)
        _, single = run(compact, exemplars[one], searches[one])
        torch.testing.assert_close(
            single.score_logits, together.score_logits[one], atol=1e-4, rtol=1e-4
        )
        mask = compact.mask_at(single, ROWS[one], COLUMNS[one])
        torch.testing.assert_close(mask, masks[one], atol=1e-4, rtol=1e-4)


def test_nothing_is_remembered_between_calls(compact):
    first = run(compact, patches(1, 127, 4), patches(1, 255, 5))[1]
    run(compact, patches(1, 127, 6), patches(1, 255, 7))
    again = run(compact, patches(1, 127, 4), patches(1, 255, 5))[1]
    torch.testing.assert_close(first, again, atol=0, rtol=0)


def test_several_windows_a_sample(compact):
    _, output = run(compact, patches(2, 127, 8), patches(2, 255, 9))
    masks = compact.refined_mask_at(output, ROWS, COLUMNS, torch.tensor([1, 0, 1]))
    for index, sample in enumerate([1, 0, 1]):
        alone = compact.refined_mask_at(
            output, ROWS[index, None], COLUMNS[index, None], torch.tensor([sample])
        )
        torch.testing.assert_close(alone[0], masks[index], atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="3 positions for 2 samples"):
        compact.refined_mask_at(output, ROWS, COLUMNS)


def test_the_coarse_mask_at_a_response_is_that_of_the_whole_map():
    network = randomized(build_network("siammask_r50_base"))
    responses = torch.randn(2, 256, 25, 25, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        everywhere = network.coarse_masks(responses)
        chosen = network.coarse_mask_at(responses, ROWS, COLUMNS, torch.tensor([0, 1, 1]))
    assert everywhere.shape == (2, 63 * 63, 25, 25)
    for index, sample in enumerate([0, 1, 1]):
        expected = everywhere[sample, :, ROWS[index], COLUMNS[index]].reshape(63, 63)
        torch.testing.assert_close(chosen[index], expected, atol=1e-5, rtol=1e-5)


def test_fusing_changes_no_result(compact):  # of the others: test_network_parity.py
    network = compact
    fused = fuse_for_inference(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    exemplar, search = patches(1, 127, 10), patches(1, 255, 11)
    _, expected = run(network, exemplar, search)
    _, output = run(fused, exemplar, search)
    for name in ("score_logits", "box_deltas", "mask_responses"):
        want, got = getattr(expected, name), getattr(output, name)
        torch.testing.assert_close(got, want, atol=2e-5 * float(want.abs().max()), rtol=0)
    with torch.inference_mode():
        want = network.mask_at(expected, ROWS[:1], COLUMNS[:1])
        got = fused.mask_at(output, ROWS[:1], COLUMNS[:1])
    torch.testing.assert_close(got, want, atol=2e-5 * float(want.abs().max()), rtol=0)


def test_fusing_twice_is_fusing_once(compact):
    once = fuse_for_inference(compact)
    twice = fuse_for_inference(once)
    exemplar, search = patches(1, 127, 14), patches(1, 255, 15)
    for kept, again in zip(run(once, exemplar, search), run(twice, exemplar, search), strict=True):
        torch.testing.assert_close(again, kept, atol=0, rtol=0)


def test_every_parameter_learns():
    torch.manual_seed(0)
    network = build_network("compact").train()
    output = network.search(patches(2, 255, 12), network.exemplar(patches(2, 127, 13)))
    masks = network.refined_mask_at(output, ROWS, COLUMNS, torch.tensor([0, 1, 1]))
    outputs = (output.score_logits, output.box_deltas, masks)
    sum(values.square().mean() for values in outputs).backward()
    idle = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert idle == []


def test_a_kernel_cut_from_the_search_map_answers_where_it_was_cut():
    features = torch.randn(1, 32, 29, 29, generator=torch.Generator().manual_seed(1))
    responses = depthwise_correlation(features, features[:, :, 7:12, 16:21]).sum(1)[0]
    assert divmod(int(responses.argmax()), 25) == (7, 16)


def test_unknown_names_and_options_are_refused():
    with pytest.raises(ValueError, match="unknown architecture 'siamese', known: compact"):
        build_network("siamese")
    with pytest.raises(ValueError, match=r"compact: .*'colour'"):
        build_network("compact", colour=3)
    with pytest.raises(ValueError, match=r"channels \(16, 32\) and blocks \(1, 2, 3\)"):
        build_network("compact", channels=(16, 32))
    with pytest.raises(ValueError, match=r"channels \(\) and blocks \(\) .* empty"):
        build_network("compact", channels=(), blocks=())


def test_a_network_without_any_mask_is_refused():
    branch, head = CorrelationBranch(4, 4), PredictionHead(4, 2)
    with pytest.raises(ValueError, match="needs a coarse mask head or a refiner"):
        SiamMask(
            backbone=nn.Identity(),
            adjust=nn.Identity(),
            score_branch=branch,
            box_branch=branch,
            mask_branch=branch,
            score_head=head,
            box_head=head,
            coarse_mask_head=None,
            refiner=None,
            architecture="none",
            default_preset="compact",
        )


def test_what_a_network_lacks_is_said():
    compact = build_network("compact")
    assert compact.has_refiner
    assert not compact.has_coarse_mask
    with pytest.raises(ValueError, match="compact has no coarse mask head"):
        compact.coarse_masks(torch.zeros(1, 64, 25, 25))
    base = build_network("siammask_r50_base").eval()
    _, output = run(base, patches(1, 127, 0), patches(1, 255, 1))
    with pytest.raises(ValueError, match="siammask_r50_base has no refiner"):
        base.refined_mask_at(output, ROWS[:1], COLUMNS[:1])
