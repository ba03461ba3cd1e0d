# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training starts from another network's weights: whole parts, everything else named."""

from __future__ import annotations

import re

import pytest
import torch
from torch.nn import functional

from siammask_ros.network import (
    CheckpointError,
    build_network,
    load_initial_weights,
    save_network,
)
from siammask_ros.network.initial_weights import IMAGENET_MEAN_RGB, IMAGENET_STD_RGB
from siammask_ros.network.key_names import published_names, resnet_names

THIN = {"width_divisor": 16}


def network_of(architecture, seed=0, **options):
    torch.manual_seed(seed)
    return build_network(architecture, **{**THIN, **options})


def states_differ(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


def copy_of(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


@pytest.mark.parametrize(
    ("source", "target", "left"),
    [
        ("siammask_r50_base", "siammask_r50_refine", {"refiner"}),
        ("siammask_2b_r50_base", "siammask_2b_r50_refine", {"refiner"}),
        ("siammask_pp_r50_bi", "siammask_pp_r50_re", {"refiner"}),
        ("siammask_r50_refine", "siammask_r50_base", set()),
    ],
)
def test_a_stage_starts_from_the_one_before(tmp_path, source, target, left):
    earlier, network = network_of(source, seed=1), network_of(target, seed=2)
    save_network(earlier, tmp_path / "base.pth")
    before, wanted = copy_of(network), earlier.state_dict()
    random = load_initial_weights(network, tmp_path / "base.pth")
    assert {name.split(".", 1)[0] for name in random} == left
    assert random == [n for n, _ in network.named_parameters() if n.split(".", 1)[0] in left]
    after = network.state_dict()
    assert all(torch.equal(after[name], wanted[name]) for name in after if name in wanted)
    assert not states_differ(before, after) & set(random)


def test_official_checkpoints_start_a_network(tmp_path):
    with torch.device("meta"):
        base = build_network("siammask_r50_base").state_dict()
    names = published_names(base, "official")
    state = {
        name: torch.zeros((), dtype=base[o].dtype).expand(base[o].shape)
        for name, o in names.items()
    }
    torch.save({"epoch": 20, "state_dict": state}, tmp_path / "official.pth")
    network = build_network("siammask_r50_refine")
    random = load_initial_weights(network, tmp_path / "official.pth")
    assert random == [n for n, _ in network.named_parameters() if n.startswith("refiner.")]
    assert not network.backbone.stem.conv.weight.any()


@pytest.mark.parametrize(
    ("source", "target", "options", "reason"),
    [
        # A three-branch network scores anchors, a two-branch one responses.
        (
            "siammask_r50_base",
            "siammask_2b_r50_base",
            THIN,
            r"2 of another shape: score_head\.predict\.weight \(10, 16, 1, 1\) for \(1, 16, 1, 1\)",
        ),
        ("siammask_r50_base", "siammask_r50_base", {"width_divisor": 8}, r"of another shape: back"),
        ("siammask_r50_base", "siammask_r50_base", {**THIN, "anchors": 3}, r"4 of another shape"),
        ("siammask_r50_refine", "siammask_pp_r50_re", THIN, r"refiner\.grow\.weight \(16, 4, 15"),
    ],
)
def test_parts_that_do_not_fit_are_named(tmp_path, source, target, options, reason):
    save_network(network_of(source), tmp_path / "base.pth")
    network = build_network(target, **options)
    before = copy_of(network)
    with pytest.raises(CheckpointError, match=rf"base\.pth: cannot start this network: .*{reason}"):
        load_initial_weights(network, tmp_path / "base.pth")
    assert not states_differ(before, network.state_dict())


def ordinary_resnet(seed=0):
    """The bare state dict of an ordinary thin ResNet-50: 1x1 projections, a classifier."""
    network = network_of("siammask_pp_r50_bi")
    generator = torch.Generator().manual_seed(seed)
    state = {"fc.weight": torch.zeros(1000, 128), "fc.bias": torch.zeros(1000)}
    for theirs, ours in published_names(
        (n for n in network.state_dict() if n.startswith("backbone.")), "official"
    ).items():
        name, shape = theirs.removeprefix("features.features."), network.state_dict()[ours].shape
        if name.endswith("downsample.0.weight"):
            shape = (*shape[:2], 1, 1)
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(3)
        elif name.endswith("running_var"):
            state[name] = torch.rand(shape, generator=generator) + 0.5
        else:
            state[name] = torch.randn(shape, generator=generator) * 0.1
    return state


def norm(state, name, features):
    keys = ("running_mean", "running_var", "weight", "bias")
    return functional.batch_norm(features, *(state[f"{name}.{key}"] for key in keys))


def test_an_ordinary_imagenet_backbone_computes_the_same(tmp_path):
    state = ordinary_resnet()
    torch.save(state, tmp_path / "resnet.pth")
    network = network_of("siammask_r50_refine").eval()
    random = load_initial_weights(network, tmp_path / "resnet.pth")
    assert random == [n for n, _ in network.named_parameters() if not n.startswith("backbone.")]
    patch_bgr = torch.rand(1, 3, 127, 127, generator=torch.Generator().manual_seed(1)) * 255
    mean, std = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN_RGB, IMAGENET_STD_RGB))
    image_rgb = (patch_bgr.flip(1) / 255 - mean) / std
    stem = norm(state, "bn1", functional.conv2d(image_rgb, state["conv1.weight"], stride=2)).relu()
    with torch.inference_mode():
        torch.testing.assert_close(network.backbone.stem(patch_bgr), stem, atol=1e-4, rtol=1e-4)
        # Stage 2 has a stride and no padding: its pixels lie one further in.
        for stage, stride, cut in ((2, 2, slice(1, -1)), (3, 1, slice(None))):
            first = network.backbone.stages[str(stage)][0]
            weight = state[f"layer{stage}.0.downsample.0.weight"]
            inputs = torch.randn(1, weight.shape[1], 15, 15)
            expected = functional.conv2d(inputs[:, :, cut, cut], weight, stride=stride)
            expected = norm(state, f"layer{stage}.0.downsample.1", expected)
            torch.testing.assert_close(first.shortcut(inputs), expected, atol=1e-5, rtol=1e-5)


def test_a_backbone_with_siammasks_projections_is_taken_as_it_is(tmp_path):
    backbone = network_of("siammask_pp_r50_bi", seed=1).backbone.state_dict()
    names = published_names((f"backbone.{name}" for name in backbone), "official")
    state = {
        theirs.removeprefix("features."): backbone[ours.removeprefix("backbone.")]
        for theirs, ours in names.items()
    }
    assert "features.layer3.0.downsample.0.weight" in state
    torch.save(state, tmp_path / "resnet.model")
    network = network_of("siammask_pp_r50_re", seed=2)
    load_initial_weights(network, tmp_path / "resnet.model")
    after = network.backbone.state_dict()
    assert all(torch.equal(after[name], value) for name, value in backbone.items())


def test_an_incomplete_backbone_is_refused(tmp_path):
    state = ordinary_resnet()
    del state["layer2.1.conv2.weight"]
    state["layer2.1.conv3.bias"] = torch.zeros(1)
    torch.save(state, tmp_path / "resnet.pth")
    missing, unknown = "backbone.stages.2.1.spatial.conv.weight", "stages.2.1.expand.conv.bias"
    with pytest.raises(
        CheckpointError,
        match=rf"1 missing: {re.escape(missing)}; 1 unknown: backbone\.{re.escape(unknown)}",
    ):
        load_initial_weights(network_of("siammask_r50_base"), tmp_path / "resnet.pth")


def test_files_that_start_nothing_are_refused(tmp_path):
    torch.save(ordinary_resnet(), tmp_path / "resnet.pth")
    with pytest.raises(CheckpointError, match=r"has no part of it, but backbone\.stem"):
        load_initial_weights(build_network("compact"), tmp_path / "resnet.pth")
    torch.save({"net.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"other\.pth: a checkpoint of another model"):
        load_initial_weights(build_network("compact"), tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"missing\.pth: cannot be read"):
        load_initial_weights(build_network("compact"), tmp_path / "missing.pth")
    assert resnet_names(["fc.weight"]) is None
