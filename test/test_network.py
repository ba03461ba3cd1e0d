# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shapes, batches, options and gradients of the networks; fusing; nothing remembered."""

from __future__ import annotations

import pytest
import torch
from random_network import patches, randomized
from torch import nn

from siammask_ros.network import (
    ARCHITECTURES,
    ExemplarKernels,
    build_network,
    depthwise_correlation,
    fuse_for_inference,
)
from siammask_ros.network.heads import CorrelationBranch, LayerwiseHead, PredictionHead
from siammask_ros.network.layers import ConvNorm
from siammask_ros.network.refiners import response_offset
from siammask_ros.network.siammask import SiamMask

LARGE = tuple(name for name in ARCHITECTURES if name != "compact")
ROWS, COLUMNS = torch.tensor([0, 12, 24]), torch.tensor([24, 7, 0])


def thin(architecture, **options):
    """A network with few channels, in evaluation mode; the same as the full one otherwise."""
    torch.manual_seed(0)
    if architecture in LARGE:
        options.setdefault("width_divisor", 16)
    return randomized(build_network(architecture, **options))


@pytest.fixture(scope="module", params=ARCHITECTURES)
def network(request):
    return thin(request.param)


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
    width = kernels.score.shape[1]
    assert kernels.score.shape == (1, width, 5, 5)
    if network.has_boxes:
        assert kernels.box.shape == (1, width, 5, 5)
        assert output.score_logits.shape == (1, 10, 25, 25)
        assert output.box_deltas.shape == (1, 20, 25, 25)
    else:
        assert network.architecture.startswith(("siammask_2b", "siamfc"))
        assert kernels.box is None
        assert output.score_logits.shape == (1, 1, 25, 25)
        assert output.box_deltas is None
    if not network.has_masks:  # test_network_variants.py
        assert network.architecture.startswith(("siamrpn", "siamfc"))
        return
    assert kernels.mask.shape == (1, width, 5, 5)
    assert output.mask_responses.shape == (1, width, 25, 25)
    mask = network.mask_at(output, ROWS[:1], COLUMNS[:1])
    assert mask.shape == (1, network.mask_size, network.mask_size)
    assert network.mask_size == (127 if network.has_refiner else 63)
    assert len(output.pyramid) == (3 if network.has_refiner else 0)


@pytest.mark.parametrize("two_branch", [False, True])
def test_kernels_can_be_taken_apart_and_put_together(two_branch):
    network = thin("compact", two_branch=two_branch)
    assert network.has_boxes != two_branch
    kernels, output = run(network, patches(3, 127, 0), patches(3, 255, 1))
    ones = [kernels.select(slice(index, index + 1)) for index in range(3)]
    assert [one.score.shape[0] for one in ones] == [1, 1, 1]
    again = ExemplarKernels.concatenate(ones)
    assert (again.box is None) == two_branch
    with torch.inference_mode():
        torch.testing.assert_close(network.search(patches(3, 255, 1), again), output)


def test_kernels_of_two_branches_do_not_fit_three():
    two, three = thin("compact", two_branch=True), thin("compact")
    with torch.inference_mode():
        kernels = two.exemplar(patches(1, 127, 0))
        with pytest.raises(ValueError, match="compact: the kernels are of a two-branch network"):
            three.search(patches(1, 255, 1), kernels)


def test_a_two_branch_network_has_no_boxes_to_train():
    network = build_network("siammask_2b_r50_refine", width_divisor=16)
    names = {name.split(".", 1)[0] for name, _ in network.named_parameters()}
    assert names == {
        *("backbone", "adjust", "score_branch", "score_head"),
        *("mask_branch", "coarse_mask_head", "refiner"),
    }


def test_compact_maps_are_aligned(compact):
    for size, expected in ((255, [127, 63, 31]), (127, [63, 31, 15])):
        with torch.inference_mode():
            feature, pyramid = compact.features(patches(1, size, 0))
        assert [level.shape[2] for level in pyramid] == expected
        assert feature.shape[2] == {31: 31, 15: 7}[expected[-1]]


def grid(size):
    """All positions of a response map: sample 0 for each, rows, columns."""
    rows, columns = torch.meshgrid(*[torch.arange(size)] * 2, indexing="ij")
    return torch.zeros(size * size, dtype=torch.long), rows.flatten(), columns.flatten()


def without_padding_effects(network):
    """Make padded convolutions of the backbone look at their centre only.

    What the network sees then does not depend on where the patch ends.
    """
    for module in network.backbone.modules():
        if isinstance(module, ConvNorm) and module.conv.padding != (0, 0):
            centre = module.conv.weight.data[:, :, 1:2, 1:2].clone()
            module.conv.weight.data.zero_()[:, :, 1:2, 1:2] = centre
    return network


@pytest.mark.parametrize("architecture", ["compact", "siammask_r50_refine", "siammask_pp_r50_re"])
def test_a_search_patch_of_143_pixels_is_the_middle_of_one_of_255(architecture):
    network = without_padding_effects(thin(architecture))
    exemplar, search = patches(1, 127, 0), patches(1, 255, 1)
    _, wide = run(network, exemplar, search)
    _, narrow = run(network, exemplar, search[:, :, 56:-56, 56:-56])  # 56 is 7 cells of 8
    assert narrow.score_logits.shape[2:] == (3, 3)
    middle = slice(11, 14)
    for name in ("score_logits", "box_deltas", "mask_responses"):
        want, got = getattr(wide, name)[:, :, middle, middle], getattr(narrow, name)
        torch.testing.assert_close(got, want, atol=1e-4 * float(want.abs().max()), rtol=1e-4)
    known = torch.zeros(25, 25)
    known[middle, middle] = 1
    # compact's refiner sees the neighbours too
    wide = wide._replace(mask_responses=wide.mask_responses * known)
    samples, rows, columns = grid(3)
    with torch.inference_mode():
        want = network.refined_mask_at(wide, rows + 11, columns + 11, samples)
        got = network.refined_mask_at(narrow, rows, columns, samples)
    atol = 1e-4 * float(want.abs().max())
    torch.testing.assert_close(got[4], want[4], atol=atol, rtol=0)
    if architecture == "compact":  # pads nothing that is left
        torch.testing.assert_close(got, want, atol=atol, rtol=0)
    inner = slice(44, -44)  # the others touch the border, where max pooling is padded
    torch.testing.assert_close(got[:, inner, inner], want[:, inner, inner], atol=atol, rtol=0)
    assert (want[3] - want[4]).abs().max() > 100 * atol  # one response would tell from another


def test_responses_must_come_from_the_refiners_maps():
    assert response_offset(31, 25) == 0
    assert response_offset(17, 3) == 4
    for sizes in ((17, 25), (18, 3)):
        with pytest.raises(ValueError, match=rf"{sizes[1]} responses .* {sizes[0]} pixels wide"):
            response_offset(*sizes)


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
    network = thin("siammask_r50_base")
    responses = torch.randn(2, 16, 25, 25, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        everywhere = network.coarse_masks(responses)
        chosen = network.coarse_mask_at(responses, ROWS, COLUMNS, torch.tensor([0, 1, 1]))
    assert everywhere.shape == (2, 63 * 63, 25, 25)
    for index, sample in enumerate([0, 1, 1]):
        expected = everywhere[sample, :, ROWS[index], COLUMNS[index]].reshape(63, 63)
        torch.testing.assert_close(chosen[index], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["siammask_r50_base", "siammask_pp_r50_re"])
def test_in_training_a_chosen_mask_leaves_the_statistics_of_all_responses(name):
    network = thin(name).train()
    width = 16 * (3 if name == "siammask_pp_r50_re" else 1)
    responses = torch.randn(2, width, 25, 25, generator=torch.Generator().manual_seed(0))
    one = torch.tensor([1])
    everywhere = network.coarse_masks(responses)
    after_all = {k: v.clone() for k, v in network.state_dict().items() if "running" in k}
    network = thin(name).train()
    chosen = network.coarse_mask_at(responses, one * 3, one * 4, one)
    torch.testing.assert_close(chosen[0].flatten(), everywhere[1, :, 3, 4], atol=1e-5, rtol=1e-5)
    for key, value in after_all.items():
        torch.testing.assert_close(network.state_dict()[key], value, atol=1e-6, rtol=1e-5)
    none = torch.zeros(0, dtype=torch.int64)
    assert network.coarse_mask_at(responses, none, none, none).shape == (0, 63, 63)


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


def idle_parameters(network):
    return [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]


def test_every_parameter_learns():
    torch.manual_seed(0)
    network = build_network("compact").train()
    output = network.search(patches(2, 255, 12), network.exemplar(patches(2, 127, 13)))
    masks = network.refined_mask_at(output, ROWS, COLUMNS, torch.tensor([0, 1, 1]))
    outputs = (output.score_logits, output.box_deltas, masks)
    sum(values.square().mean() for values in outputs).backward()
    assert idle_parameters(network) == []


def test_a_kernel_cut_from_the_search_map_answers_where_it_was_cut():
    features = torch.randn(1, 32, 29, 29, generator=torch.Generator().manual_seed(1))
    responses = depthwise_correlation(features, features[:, :, 7:12, 16:21]).sum(1)[0]
    assert divmod(int(responses.argmax()), 25) == (7, 16)


@pytest.mark.parametrize("architecture", ["siammask_pp_r50_bi", "siammask_pp_r50_re"])
def test_every_parameter_of_siammask_plus_plus_learns(architecture):
    network = thin(architecture).train()
    output = network.search(patches(2, 255, 12), network.exemplar(patches(2, 127, 13)))
    masks = network.mask_at(output, ROWS, COLUMNS, torch.tensor([0, 1, 1]))
    outputs = (output.score_logits, output.box_deltas, masks)
    sum(values.square().mean() for values in outputs).backward()
    assert idle_parameters(network) == []


def test_levels_are_averaged_by_learned_weights():
    torch.manual_seed(0)
    heads = [PredictionHead(4, 6).eval() for _ in range(3)]
    fused, responses = LayerwiseHead(heads), torch.randn(2, 12, 5, 5)
    alone = [head(part) for head, part in zip(heads, responses.chunk(3, dim=1), strict=True)]
    torch.testing.assert_close(fused(responses), sum(alone) / 3)
    fused.level_weights.data = torch.tensor([2.0, 4.0, 5.0]).log()
    expected = (2 * alone[0] + 4 * alone[1] + 5 * alone[2]) / 11
    torch.testing.assert_close(fused(responses), expected)


def test_up_channel_correlation_gives_a_response_a_score():
    network = thin("siammask_pp_r50_bi", correlation="up_channel")
    kernels, output = run(network, patches(1, 127, 0), patches(1, 255, 1))
    assert [kernel.shape[1] for kernel in kernels] == [3 * 16 * 10, 3 * 16 * 20, 3 * 16]
    assert output.score_logits.shape == (1, 10, 25, 25)
    assert output.box_deltas.shape == (1, 20, 25, 25)


def test_resnext_has_32_groups_of_4_channels():
    with torch.device("meta"):
        network = build_network("siammask_pp_r50_bi", backbone="resnext50")
        plain = build_network("siammask_pp_r50_bi")
    block = network.backbone.stages["1"][0]
    assert block.spatial.conv.weight.shape == (128, 4, 3, 3)
    assert block.expand.conv.weight.shape == (256, 128, 1, 1)
    last = network.backbone.stages["4"][2]
    assert last.spatial.conv.weight.shape == (1024, 32, 3, 3)

    def standard(network):  # without the projections, which SiamMask has of its own kind
        named = network.backbone.named_parameters()
        return sum(p.numel() for name, p in named if "shortcut" not in name)

    # Published: 25,557,032 and 25,028,904 parameters; 2,049,000 of the classifier and 2,776,576
    # of the projections, batch norm included, go.
    assert standard(plain) == 25_557_032 - 2_049_000 - 2_776_576
    assert standard(network) == 25_028_904 - 2_049_000 - 2_776_576
    small = thin("siammask_pp_r50_bi", backbone="resnext50")
    _, output = run(small, patches(1, 127, 0), patches(1, 255, 1))
    assert output.score_logits.shape == (1, 10, 25, 25)


def test_unknown_names_and_options_are_refused():
    with pytest.raises(ValueError, match="unknown network 'siamese', known: compact, siam"):
        build_network("siamese")
    with pytest.raises(ValueError, match=r"compact: .*'colour'"):
        build_network("compact", colour=3)
    with pytest.raises(ValueError, match=r"channels \(16, 32\) and blocks \(1, 2, 3\)"):
        build_network("compact", channels=(16, 32))
    with pytest.raises(ValueError, match="width_divisor must divide 64, got 3"):
        build_network("siammask_r50_base", width_divisor=3)
    with pytest.raises(ValueError, match="backbone must be one of resnet50, resnext50, got 'vgg'"):
        build_network("siammask_pp_r50_re", backbone="vgg")
    with pytest.raises(ValueError, match="correlation must be one of depthwise, up_channel, got 1"):
        build_network("siammask_pp_r50_re", correlation=1)
    for layers in ((), (2, 3), (4, 3), (3, 3)):
        with pytest.raises(ValueError, match=r"layers must be some of \(3, 4, 5\) in order, got"):
            build_network("siammask_pp_r50_re", layers=layers)
    with pytest.raises(ValueError, match=r"channels \(\) and blocks \(\) .* empty"):
        build_network("compact", channels=(), blocks=())


def assembled(**parts):
    branch, head = CorrelationBranch(4, 4), PredictionHead(4, 2)
    return SiamMask(
        **{
            "backbone": nn.Identity(),
            "adjust": nn.Identity(),
            "score_branch": branch,
            "box_branch": branch,
            "mask_branch": branch,
            "score_head": head,
            "box_head": head,
            "coarse_mask_head": None,
            "refiner": None,
            "architecture": "some",
            "default_preset": "compact",
            **parts,
        }
    )


def test_parts_that_do_not_make_a_network_are_refused():
    with pytest.raises(ValueError, match="some: needs a coarse mask head or a refiner, got nei"):
        assembled()
    with pytest.raises(ValueError, match="some: without a mask branch there are no masks"):
        assembled(refiner=nn.Identity(), mask_branch=None)
    with pytest.raises(ValueError, match="some: needs a box branch and a box head, or neither"):
        assembled(refiner=nn.Identity(), box_head=None)
    with pytest.raises(ValueError, match="some: needs a coarse mask head and a refiner"):
        assembled(refiner=nn.Identity(), refines_coarse_masks=True)


def test_what_a_network_lacks_is_said():
    compact = build_network("compact")
    assert compact.has_refiner
    assert not compact.has_coarse_mask
    with pytest.raises(ValueError, match="compact has no coarse mask head"):
        compact.coarse_masks(torch.zeros(1, 64, 25, 25))
    base = thin("siammask_r50_base")
    _, output = run(base, patches(1, 127, 0), patches(1, 255, 1))
    with pytest.raises(ValueError, match="siammask_r50_base has no refiner"):
        base.refined_mask_at(output, ROWS[:1], COLUMNS[:1])
