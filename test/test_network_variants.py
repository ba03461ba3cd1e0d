# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every system of the papers by its name: those without masks, AlexNet, SiamMask++'s ablation."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from random_network import patches, randomized
from tiny_data import write_davis
from torch import nn

from siammask_ros.benchmark import benchmark_tracker
from siammask_ros.network import (
    ARCHITECTURES,
    NETWORKS,
    VARIANTS,
    ExemplarKernels,
    build_network,
    fuse_for_inference,
    load_initial_weights,
    load_network,
    save_network,
)
from siammask_ros.network.backbones import AlexNet, ResNet
from siammask_ros.tracker import SiamMaskTracker, TrackerConfig
from siammask_ros.training.config import load_training_config
from siammask_ros.training.datasets import read_sources
from siammask_ros.training.distributed import Processes
from siammask_ros.training.loop import Trainer, check_settings
from siammask_ros.training.metrics import read_metrics
from siammask_ros.training.parts import set_modes, trained_groups

THIN = {"width_divisor": 16}
NAMES = ("siamrpn_r50", "siamrpn_alexnet", "siamfc_r50", "siamfc_alexnet")
WITH_MASKS = {"siamrpn_r50": "siammask_r50_refine", "siamfc_r50": "siammask_2b_r50_refine"}
REPOSITORY = Path(__file__).parents[1]
RECIPES = REPOSITORY / "config" / "training"
PAGE = REPOSITORY / "docs" / "variants.md"


def thin(name, seed=0):
    torch.manual_seed(seed)
    return randomized(build_network(name, **THIN))


def run(network, count=1):
    with torch.inference_mode():
        kernels = network.exemplar(patches(count, 127, 0))
        return kernels, network.search(patches(count, 255, 1), kernels)


# --- All of them by name


def full_size(name, **options):
    """A network without memory for its weights."""
    with torch.device("meta"):
        return build_network(name, **options)


def documented():
    """Return the cells of each network's row in the docs, by its name."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    return {row[0].strip("`"): row[1:] for row in rows}


def test_the_docs_list_every_network_with_its_size_and_preset():
    rows = documented()
    assert set(rows) == set(NETWORKS)
    for name, (_, _, parameters, _, presets) in rows.items():
        network = full_size(name)
        count = sum(parameter.numel() for parameter in network.parameters())
        assert f"{count:,}" == parameters, name
        assert presets.split(", ")[0] == f"`{network.default_preset}`", name
        for preset in presets.split(", "):
            TrackerConfig.preset(preset.strip("`"))


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_is_a_network_with_options_or_another_preset(name, tmp_path):
    variant = VARIANTS[name]
    network = thin(name)
    assert network.architecture == variant.architecture in ARCHITECTURES
    assert network.options == {**variant.options, **THIN}
    same = build_network(variant.architecture, **variant.options, **THIN)
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    assert shapes == {key: value.shape for key, value in same.state_dict().items()}
    save_network(network, tmp_path / "own.pth")
    loaded = load_network(tmp_path / "own.pth")
    assert (loaded.architecture, loaded.options) == (network.architecture, network.options)
    assert loaded.default_preset == network.default_preset
    (_, expected), (_, found) = run(network), run(loaded)
    assert torch.equal(expected.score_logits, found.score_logits)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "compact"])
def test_every_network_tracks_alone_and_in_a_batch(name):
    network = thin(name).double()
    tracker = SiamMaskTracker(network)
    assert tracker.config == TrackerConfig.preset(network.default_preset)
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    boxes = [(60, 40, 30, 40), (20, 50, 40, 30)]
    states = tracker.initialize_batch([(image, box) for box in boxes])
    together = tracker.track_batch([(image, state) for state in states])
    for box, (_, result) in zip(boxes, together, strict=True):
        _, alone = tracker.track(image, tracker.initialize(image, box))
        assert alone.box_xywh == pytest.approx(result.box_xywh, abs=1e-6)
        assert alone.confidence == pytest.approx(result.confidence, abs=1e-9)
        assert np.array_equal(alone.mask, result.mask)
        assert 0 <= alone.confidence <= 1
        assert np.isfinite(alone.corners).all()


def commands():
    """Return the training commands of the page as (file, overrides)."""
    found = []
    text = PAGE.read_text().replace("\\\n", " ")
    for line in re.findall(r"^siammask train .*$", text, re.MULTILINE):
        words = shlex.split(line)[2:]
        overrides = [after for word, after in itertools.pairwise(words) if word == "--set"]
        found.append((words[0], overrides))
    return found


@pytest.mark.parametrize(("path", "overrides"), commands())
def test_the_training_commands_fit_their_networks(path, overrides):
    config = load_training_config(REPOSITORY / path, overrides=overrides)
    network = full_size(config.architecture, **config.architecture_options)
    check_settings(config, network, Processes())
    assert trained_groups(network, config)
    set_modes(network, config, config.epochs)


def test_every_network_has_its_training_command():
    trained = set()
    for path, overrides in commands():
        config = load_training_config(REPOSITORY / path, overrides=overrides)
        trained.add(config.architecture)
    others = set(NETWORKS) - trained
    # The first two are networks above them, and the third one's command is its sister's.
    assert others == {
        *("siammask_r50_box", "siammask_2b_r50_score"),
        *("siammask_pp_rx50_re", "compact"),
    }


@pytest.mark.parametrize("layers", [(3,), (4,), (5,), (3, 4), (3, 5), (4, 5)])
def test_layers_of_the_ablation(layers):
    network = build_network("siammask_pp_r50_re", layers=layers, **THIN)
    assert network.score_head.level_weights.shape == (len(layers),)
    assert set(network.backbone.stages) == {str(n) for n in range(1, max(layers))}
    whole = randomized(build_network("siammask_pp_r50_re", **THIN))
    ours = randomized(network)
    state = ours.state_dict()
    backbone = {key for key in state if key.startswith("backbone.")}
    for level, layer in enumerate(layers):  # the same weights as in the whole network
        for part in ("adjust", "score_branch", "score_head"):
            for key, value in whole.state_dict().items():
                if key.startswith(f"{part}.levels.{layer - 3}."):
                    rest = key.split(".", 3)[3]
                    state[f"{part}.levels.{level}.{rest}"] = value
    state |= {key: value for key, value in whole.state_dict().items() if key in backbone}
    ours.load_state_dict(state)
    chosen = torch.full((3,), -1e4)
    chosen[[layer - 3 for layer in layers]] = 0
    whole.score_head.level_weights.data = chosen
    ours.score_head.level_weights.data = torch.zeros(len(layers))
    (_, expected), (_, found) = run(whole), run(ours)
    torch.testing.assert_close(found.score_logits, expected.score_logits, atol=1e-4, rtol=1e-4)


# --- Without masks


@pytest.mark.parametrize("name", NAMES)
def test_there_are_no_masks(name):
    network = thin(name)
    kernels, output = run(network, 2)
    assert network.has_boxes == name.startswith("siamrpn")
    assert output.score_logits.shape == (2, 10 if network.has_boxes else 1, 25, 25)
    assert (output.box_deltas is None) != network.has_boxes
    assert kernels.mask is output.mask_responses is None
    assert (network.has_masks, network.has_coarse_mask, network.has_refiner) == (False,) * 3
    assert (network.mask_size, output.pyramid) == (0, ())
    where = torch.tensor([3, 4]), torch.tensor([5, 6])
    for ask in (network.mask_at, network.refined_mask_at):
        with pytest.raises(ValueError, match=f"{name} has no"):
            ask(output, *where)
    with pytest.raises(ValueError, match=f"{name} has no coarse mask head"):
        network.coarse_mask_at(output.mask_responses, *where)
    parts = {key.split(".")[0] for key in network.state_dict()}
    boxes = {"box_branch", "box_head"} if network.has_boxes else set()
    assert parts == {"backbone", "adjust", "score_branch", "score_head"} | boxes


@pytest.mark.parametrize("name", NAMES)
def test_kernels_and_outputs_can_be_taken_apart(name):
    network = thin(name)
    kernels, output = run(network, 3)
    ones = [kernels.select(slice(index, index + 1)) for index in range(3)]
    again = ExemplarKernels.concatenate(ones)
    torch.testing.assert_close(again, kernels, atol=0, rtol=0)
    chosen = output.select(torch.tensor([2, 0]))
    assert torch.equal(chosen.score_logits, output.score_logits[[2, 0]])
    assert (chosen.box_deltas is None) != network.has_boxes
    assert chosen.mask_responses is None


@pytest.mark.parametrize(("name", "whole"), WITH_MASKS.items())
def test_they_are_siammask_without_its_mask_branch(name, whole):
    network, full = thin(name, seed=1), thin(whole)
    shared = {key: full.state_dict()[key] for key in network.state_dict()}
    network.load_state_dict(shared)
    (_, alone), (_, together) = run(network), run(full)
    assert torch.equal(alone.score_logits, together.score_logits)
    if network.has_boxes:
        assert torch.equal(alone.box_deltas, together.box_deltas)
    with torch.inference_mode():
        kernels = network.exemplar(patches(1, 127, 0))
        with pytest.raises(ValueError, match=f"{whole}: the kernels are of a network without mask"):
            full.search(patches(1, 255, 1), kernels)


def test_weights_go_from_one_to_the_other(tmp_path):
    network, full = thin("siamrpn_r50", seed=1), thin("siammask_r50_base")
    save_network(full, tmp_path / "full.pth")
    assert load_initial_weights(network, tmp_path / "full.pth") == []
    save_network(network, tmp_path / "alone.pth")
    random = load_initial_weights(thin("siammask_r50_base", seed=2), tmp_path / "alone.pth")
    assert {key.split(".")[0] for key in random} == {"mask_branch", "coarse_mask_head"}


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_one_comes_back_and_can_be_fused(name, tmp_path):
    network = thin(name)
    save_network(network, tmp_path / "own.pth")
    loaded = load_network(tmp_path / "own.pth")
    assert (loaded.architecture, loaded.default_preset) == (name, network.default_preset)
    (_, expected), (_, found) = run(network), run(fuse_for_inference(loaded))
    want = expected.score_logits
    torch.testing.assert_close(
        found.score_logits, want, atol=2e-5 * float(want.abs().max()), rtol=0
    )


# --- AlexNet


@pytest.mark.parametrize("size", [127, 143, 255])
def test_alexnets_map_is_as_large_as_the_resnets(size):
    alexnet = AlexNet(widths=(4, 4, 4, 4, 8)).eval()
    resnet = build_network("siammask_r50_base", width_divisor=64).backbone.eval()
    assert isinstance(resnet, ResNet)
    with torch.inference_mode():
        deep, pyramid = alexnet(patches(1, size, 0))
        assert deep[0].shape == (1, 8, (size - 7) // 8, (size - 7) // 8)
        assert deep[0].shape[2:] == resnet(patches(1, size, 0)).deep[-1].shape[2:]
    assert pyramid == ()


def test_alexnets_map_lies_in_the_middle_and_moves_with_the_patch():
    torch.manual_seed(0)
    network = randomized(AlexNet(widths=(4, 6, 6, 6, 8)))
    wide = patches(1, 271, 0)
    with torch.inference_mode():
        here, there = (network(wide[..., :255, left : left + 255]).deep[0] for left in (0, 8))
        inner = slice(8, -8)  # what the padding of the patch's border has not touched
        torch.testing.assert_close(
            here[..., inner, 9:-7], there[..., inner, 8:-8], atol=1e-4, rtol=1e-4
        )
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.data += module.weight.data.flip(3)
        patch = patches(1, 255, 1)
        mirrored = network(patch.flip(3)).deep[0]
        torch.testing.assert_close(mirrored, network(patch).deep[0].flip(3), atol=1e-4, rtol=1e-4)


def test_alexnet_has_the_sizes_of_the_original():
    with torch.device("meta"):
        network = build_network("siamfc_alexnet")
    convolutions = [m for m in network.backbone.modules() if isinstance(m, nn.Conv2d)]
    found = [(conv.out_channels, conv.kernel_size[0], conv.stride[0]) for conv in convolutions]
    assert found == [(96, 11, 2), (256, 5, 1), (384, 3, 1), (384, 3, 1), (256, 3, 1)]


# --- Tracking and training


@pytest.mark.parametrize(("name", "whole"), WITH_MASKS.items())
def test_they_track_as_siammask_that_reports_its_box(name, whole):
    network, full = thin(name), thin(whole)
    network.load_state_dict({key: full.state_dict()[key] for key in network.state_dict()})
    image = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    plain = SiamMaskTracker(network)
    without_masks = dataclasses.replace(plain.config, masks="none")
    box_of_full = SiamMaskTracker(full, without_masks)
    states = [tracker.initialize(image, (140, 90, 40, 60)) for tracker in (plain, box_of_full)]
    for _ in range(2):
        (one, result), (other, expected) = (
            tracker.track(image, state)
            for tracker, state in zip((plain, box_of_full), states, strict=True)
        )
        assert (one.center_xy, one.size_wh) == (other.center_xy, other.size_wh)
        assert result.confidence == expected.confidence
        assert np.array_equal(result.mask, expected.mask)
        assert not result.has_mask_box
        states = [one, other]
    assert plain.config == TrackerConfig.preset("siamfc" if "siamfc" in name else "base")


def test_their_step_can_be_timed():
    report = benchmark_tracker(thin("siamfc_alexnet"), sizes=((64, 64),), steps=2, warm_up=0)
    (case,) = report.cases
    parts = {name: part.mean for name, part in case.parts.items()}
    assert math.isclose(sum(parts.values()), case.step.mean, rel_tol=1e-6)
    assert parts["mask"] < 0.1 < parts["network"]


@pytest.mark.parametrize("name", NAMES)
def test_the_recipe_trains_them_without_masks(name, tmp_path):
    """With overrides such as docs/variants.md gives."""
    roots = tmp_path / "data"
    write_davis(roots)
    base = "siammask_2b_r50_base" if name.startswith("siamfc") else "siammask_r50_base"
    overrides = [
        f"architecture={name}",
        "losses.mask=0",
        "losses.mask_stage=none",
        "trained=[]",
        "fixed_norm=[]",
        'initial_weights=""',
    ]
    config = load_training_config(RECIPES / f"{base}.yaml", overrides=overrides)
    source = dataclasses.replace(
        next(iter(config.data.sources.values())), kind="davis", root=str(roots), weight=1
    )
    config = dataclasses.replace(
        config,
        architecture_options=THIN,
        epochs=2,
        pairs_per_epoch=2,
        batch_size=2,
        workers=0,
        log_steps=1,
        picture_steps=1,
        data=dataclasses.replace(config.data, sources={"tiny": source}),
    )
    trainer = Trainer(config, tmp_path / "run")
    trainer.begin()
    before = {key: value.clone() for key, value in trainer.network.state_dict().items()}
    assert trainer.run(read_sources(config.data), show_progress=False).steps == 2
    assert all(math.isfinite(row.loss) for row in read_metrics(trainer.metrics_path))
    moved = {
        key.split(".")[0]
        for key, value in trainer.network.state_dict().items()
        if not torch.equal(value, before[key]) and "running" not in key and "batches" not in key
    }
    assert moved == {key.split(".")[0] for key in before}
