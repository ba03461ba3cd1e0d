# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What trains, from when and how fast; what is frozen does not move."""

from __future__ import annotations

import pytest
import torch

from siammask_ros.network import build_network
from siammask_ros.training.config import OptimizerConfig, TrainedPart, TrainingConfig
from siammask_ros.training.parts import (
    build_optimizer,
    set_learning_rate,
    set_modes,
    set_trained,
    trained_groups,
)

LATE = (
    TrainedPart(modules=("adjust", "mask_branch", "refiner.merge15")),
    TrainedPart(modules=("backbone.stages.2",), from_epoch=1.5, rate=0.1),
)


def network_of():
    torch.manual_seed(7)
    return build_network("compact", channels=(8, 8, 8), blocks=(1, 1, 2), width=8)


def parts_config(**settings):
    return TrainingConfig(**{"trained": LATE, **settings})


def is_below(name, *modules):
    return any(name.startswith(module + ".") for module in modules)


def test_only_trained_parts_have_gradients():
    network, config = network_of(), parts_config()
    for epoch in (0.0, 1.49):
        set_trained(network, config, epoch)
    early = {n for n, p in network.named_parameters() if p.requires_grad}
    expected = {n for n, _ in network.named_parameters() if is_below(n, *LATE[0].modules)}
    assert early == expected
    set_trained(network, config, 1.5)
    late = {n for n, p in network.named_parameters() if p.requires_grad}
    expected |= {n for n, _ in network.named_parameters() if is_below(n, "backbone.stages.2")}
    assert late == expected


def test_everything_trains_where_nothing_is_named():
    network = network_of()
    set_trained(network, parts_config(trained=()), 0.0)
    assert all(p.requires_grad for p in network.parameters())
    (decayed, others) = trained_groups(network, parts_config(trained=()))
    both = [*decayed["params"], *others["params"]]
    assert {id(p) for p in both} == {id(p) for p in network.parameters()}
    assert len(both) == len(list(network.parameters()))
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.02, 0.0)
    assert {p.ndim for p in others["params"]} == {1}
    assert min(p.ndim for p in decayed["params"]) == 2


def test_rates_and_decay_of_parts():
    settings = OptimizerConfig(kind="sgd", momentum=0.8, weight_decay=1e-4, decay_all=True)
    network = network_of()
    optimizer = build_optimizer(network, parts_config(optimizer=settings))
    set_learning_rate(optimizer, 0.5)
    assert isinstance(optimizer, torch.optim.SGD)
    rates = [(g["lr"], g["weight_decay"], g["momentum"]) for g in optimizer.param_groups]
    assert rates == [(0.5, 1e-4, 0.8), (0.05, 1e-4, 0.8)]
    stage = {id(p) for p in network.backbone.stages[2].parameters()}
    assert {id(p) for p in optimizer.param_groups[1]["params"]} == stage


def run_steps(network, config, optimizer, first, last, *, steps_per_epoch=2):
    """Steps on one noise batch; what changes is for the parts to say."""
    generator = torch.Generator().manual_seed(1)
    exemplars = torch.rand((2, 3, 127, 127), generator=generator) * 255
    searches = torch.rand((2, 3, 143, 143), generator=generator) * 255
    for step in range(first, last):
        set_trained(network, config, step / steps_per_epoch)
        set_modes(network, config, step / steps_per_epoch)
        set_learning_rate(optimizer, 1e-2)
        output = network.search(searches, network.exemplar(exemplars))
        index = torch.tensor([0, 1])
        masks = network.refined_mask_at(output, index, index)
        loss = output.score_logits.square().mean() + masks.square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


def changed(network, before):
    return {n for n, value in network.state_dict().items() if not value.equal(before[n])}


def copy_of(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_frozen_parts_keep_weights_and_statistics(kind):
    config = parts_config(optimizer=OptimizerConfig(kind=kind, decay_all=True))
    network = network_of()
    optimizer = build_optimizer(network, config)
    start = copy_of(network)
    run_steps(network, config, optimizer, 0, 3)
    early = changed(network, start)
    assert {n.split(".")[0] for n in early} == {"adjust", "mask_branch", "refiner"}
    assert all(is_below(n, *LATE[0].modules) for n in early)
    assert any("running_mean" in n for n in early)
    middle = copy_of(network)
    run_steps(network, config, optimizer, 3, 5)
    late = changed(network, middle)
    assert {n for n in late if n.startswith("backbone")}
    assert all(is_below(n, "backbone.stages.2", *LATE[0].modules) for n in late)


def test_a_fixed_norm_keeps_its_statistics_while_its_weights_train():
    config = parts_config(trained=(), fixed_norm=("backbone", "adjust.project"))
    network = network_of()
    start = copy_of(network)
    run_steps(network, config, build_optimizer(network, config), 0, 2)
    after = changed(network, start)
    statistics = {n for n in after if "running" in n or "tracked" in n}
    assert not {n for n in statistics if is_below(n, "backbone", "adjust")}
    assert {n for n in statistics if is_below(n, "score_branch")}
    assert {n for n in after - statistics if is_below(n, "backbone.stages.0")}


def test_every_norm_is_fixed_from_an_epoch_on():
    config = parts_config(trained=(), fixed_norm_from_epoch=1.0)
    network = network_of()
    optimizer = build_optimizer(network, config)
    run_steps(network, config, optimizer, 0, 2)
    middle = copy_of(network)
    run_steps(network, config, optimizer, 2, 4)
    assert not {n for n in changed(network, middle) if "running" in n or "tracked" in n}


def test_a_part_that_joins_leaves_the_others_momentum_alone():
    # In the step where the late part joins, the others move as if it had not.
    plain = OptimizerConfig(kind="sgd", weight_decay=0.0)
    ends = []
    for trained in (LATE, LATE[:1]):
        config = parts_config(trained=trained, fixed_norm=("backbone",), optimizer=plain)
        network = network_of()
        run_steps(network, config, build_optimizer(network, config), 0, 4)
        ends.append(copy_of(network))
    joined, alone = ends
    early = {n for n in joined if is_below(n, *LATE[0].modules)}
    assert all(joined[n].equal(alone[n]) for n in early)
    assert any(not joined[n].equal(alone[n]) for n in joined.keys() - early)


@pytest.mark.parametrize(
    ("settings", "known"),
    [
        ({"trained": (TrainedPart(modules=("necks",)),)}, "adjust, backbone, "),
        ({"trained": (TrainedPart(modules=("backbone.stages.9",)),)}, "backbone.stages.0, "),
        ({"trained": (TrainedPart(modules=("",)),)}, "adjust, backbone, "),
        ({"fixed_norm": ("backbon",)}, "adjust, backbone, "),
    ],
)
def test_unknown_modules_are_named_with_the_known_ones(settings, known):
    network, config = network_of(), parts_config(**settings)
    name = (settings.get("fixed_norm") or settings["trained"][0].modules)[0]
    with pytest.raises(ValueError, match=f"module '{name}', known: {known}"):
        set_modes(network, config, 0.0)


def test_parts_must_not_overlap():
    parts = (TrainedPart(modules=("backbone",)), TrainedPart(modules=("backbone.stages.2",)))
    with pytest.raises(ValueError, match=r"'backbone.stages.2' and 'backbone' overlap"):
        build_optimizer(network_of(), parts_config(trained=parts))


def test_a_single_parameter_can_be_a_part():
    network = network_of()
    config = parts_config(trained=(TrainedPart(modules=("score_head.predict.bias",)),))
    set_trained(network, config, 0.0)
    names = [n for n, p in network.named_parameters() if p.requires_grad]
    assert names == ["score_head.predict.bias"]
