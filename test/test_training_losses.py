# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Losses against the formulas of the paper and of the official code."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from siammask_ros.network import build_network
from siammask_ros.training.config import LossConfig, TrainingConfig
from siammask_ros.training.labels import TrainingGrid, label_batch
from siammask_ros.training.losses import (
    LossParts,
    LossTerm,
    batch_losses,
    box_loss,
    joint_parts,
    mask_iou,
    mask_loss,
    mask_overlap_loss,
    predicted_masks,
    score_loss,
    total_loss,
)
from siammask_ros.training.samples import SampleBatch, SampleConfig

CPU = torch.device("cpu")
SMALL = {"channels": (8, 8, 8), "blocks": (1, 1, 2), "width": 8, "refiner_widths": (8, 8, 4)}
THIN = {"width_divisor": 16}
NARROW = SampleConfig(search_size=143)


def random_labels(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.choice([-1, 0, 1], shape, p=[0.4, 0.5, 0.1]).astype(np.int8))


def random_batch(count=6, *, size=143, seed=1):
    """Noise patches with box-shaped targets; two negatives, and one target without a mask."""
    rng = np.random.default_rng(seed)
    middle = size // 2
    corners = middle + rng.integers(-40, -20, (count, 2))
    boxes = np.concatenate([corners, corners + rng.integers(55, 75, (count, 2))], axis=1)
    masks = torch.zeros((count, size, size), dtype=torch.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes.tolist(), strict=True):
        mask[top:bottom, left:right] = 1
    is_positive = torch.tensor([True, True, True, True, False, False][:count])
    masks[~is_positive] = 0
    has_mask = is_positive.clone()
    has_mask[1] = False
    return SampleBatch(
        torch.from_numpy(rng.integers(0, 256, (count, 3, 127, 127), dtype=np.uint8)),
        torch.from_numpy(rng.integers(0, 256, (count, 3, size, size), dtype=np.uint8)),
        masks,
        torch.from_numpy(boxes.astype(np.float32)),
        is_positive,
        has_mask,
        torch.arange(count),
    )


def part_of(batch, first, last):
    return SampleBatch(*(tensor[first:last] for tensor in batch))


def config_of(architecture="compact", options=None, samples=NARROW, **losses):
    return TrainingConfig(
        architecture=architecture,
        architecture_options=SMALL if options is None else options,
        samples=samples,
        losses=LossConfig(**{"mask_positions": 0, **losses}),
    )


def network_of(config):
    torch.manual_seed(6)
    return build_network(config.architecture, **config.architecture_options).eval()


def losses_of(network, config, batch):
    grid = TrainingGrid(config.samples.search_size, has_anchors=network.has_boxes)
    labels = label_batch(batch, grid, config.losses, seed=2)
    return batch_losses(network, batch, labels, config, grid, device=CPU)


def gradients(network):
    return {n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None}


# --- Score


def official_score_loss(logits, labels):
    """Half the mean over positives, half that over negatives, of the log-softmax."""
    anchors = labels.shape[1]
    losses = {0: [], 1: []}
    for (n, a, r, c), label in np.ndenumerate(labels.numpy()):
        if label >= 0:
            pair = logits[n, [a, anchors + a], r, c]
            losses[label].append(float(-functional.log_softmax(pair, dim=0)[label]))
    return sum(0.5 * np.mean(values) for values in losses.values() if values)


def test_score_loss_is_the_official_one():
    labels = random_labels(3, 5, 4, 4)
    logits = torch.randn((3, 10, 4, 4), generator=torch.Generator().manual_seed(1))
    loss = score_loss(logits, labels, hardest=0).value
    assert loss.item() == pytest.approx(official_score_loss(logits, labels), rel=1e-5)


@pytest.mark.parametrize("missing", [0, 1])
def test_score_loss_without_positives_or_negatives(missing):
    labels = random_labels(3, 5, 4, 4)
    labels[labels == missing] = -1
    logits = torch.randn((3, 10, 4, 4), generator=torch.Generator().manual_seed(1))
    loss = score_loss(logits, labels, hardest=0).value
    assert loss.item() == pytest.approx(official_score_loss(logits, labels), rel=1e-5)


def test_the_hardest_negatives_of_each_sample_count_twice():
    labels = random_labels(3, 1, 6, 6)
    logits = torch.randn((3, 2, 6, 6), generator=torch.Generator().manual_seed(1))
    hard = []
    for sample in range(3):
        margin = (logits[sample, 1] - logits[sample, 0])[labels[sample, 0] == 0]
        hard += sorted(math.log1p(math.exp(m)) for m in margin.tolist())[-4:]
    plain = score_loss(logits, labels, hardest=0)
    negatives = (plain.totals / plain.counts)[1].item()
    expected = plain.value.item() - 0.5 * negatives + 0.25 * np.mean(hard)
    assert score_loss(logits, labels, hardest=4).value.item() == pytest.approx(expected, rel=1e-5)


def test_more_hardest_negatives_than_labels():
    logits = torch.zeros((1, 10, 3, 3))
    labels = torch.zeros((1, 5, 3, 3), dtype=torch.int8)
    assert score_loss(logits, labels, hardest=99).value.item() == pytest.approx(0.5 * math.log(2))


def test_one_logit_a_position_is_logistic_regression():
    labels = random_labels(2, 1, 7, 7)
    logits = torch.randn((2, 1, 7, 7), generator=torch.Generator().manual_seed(1))
    loss = [
        np.mean([math.log1p(math.exp(-sign * v)) for v in logits[labels == kind].tolist()])
        for kind, sign in ((1, 1), (0, -1))
    ]
    value = score_loss(logits, labels, hardest=0).value
    assert value.item() == pytest.approx(0.5 * sum(loss), rel=1e-5)


def test_score_loss_falls_when_the_right_anchors_win():
    labels = torch.zeros((1, 5, 25, 25), dtype=torch.int8)
    labels[0, 2, 12, 12] = 1
    logits = torch.zeros((1, 10, 25, 25))
    logits[0, :5] = 9.0  # background everywhere ...
    logits[0, 2, 12, 12], logits[0, 7, 12, 12] = 0.0, 9.0  # ... but at the target
    assert score_loss(logits, labels, hardest=8).value.item() < 1e-3
    assert score_loss(-logits, labels, hardest=8).value.item() > 5


# --- Box


def official_box_loss(deltas, target, labels):
    """L1 with weights 1 / (positives of the sample), summed, over samples with a positive."""
    total, samples = 0.0, 0
    for n in range(len(labels)):
        positives = np.argwhere(labels[n].numpy() == 1)
        samples += len(positives) > 0
        for a, r, c in positives:
            predicted = deltas[n].reshape(4, *labels.shape[1:])[:, a, r, c]
            error = (predicted - target[n, :, a, r, c]).abs().sum().item()
            total += error / (len(positives) + 1e-6)
    return total / samples


def test_box_loss_without_beta_is_the_official_one():
    generator = torch.Generator().manual_seed(2)
    labels = random_labels(4, 5, 6, 6)
    labels[2] = 0
    deltas = torch.randn((4, 20, 6, 6), generator=generator)
    target = torch.randn((4, 4, 5, 6, 6), generator=generator)
    value = box_loss(deltas, target, labels, beta=0.0).value
    assert value.item() == pytest.approx(official_box_loss(deltas, target, labels), rel=1e-5)


def test_box_loss_is_square_below_beta():
    labels = torch.zeros((1, 5, 25, 25), dtype=torch.int8)
    labels[0, 1, 4, 4] = 1
    target = torch.zeros((1, 4, 5, 25, 25))
    deltas = torch.full((1, 20, 25, 25), 7.0)
    deltas[0, 1::5, 4, 4] = 0.0  # channel = coordinate * 5 + anchor
    assert box_loss(deltas, target, labels, beta=0.1).value.item() == 0.0
    deltas[0, 1, 4, 4] = 1.0
    assert box_loss(deltas, target, labels, beta=0.1).value.item() == pytest.approx(0.95)
    deltas[0, 1, 4, 4] = 0.05
    expected = 0.5 * 0.05**2 / 0.1
    assert box_loss(deltas, target, labels, beta=0.1).value.item() == pytest.approx(expected)


def test_far_predictions_at_ignored_anchors_do_no_harm():
    labels = torch.full((1, 5, 3, 3), -1, dtype=torch.int8)
    deltas = torch.full((1, 20, 3, 3), torch.inf, requires_grad=True)
    term = box_loss(deltas, torch.zeros((1, 4, 5, 3, 3)), labels, beta=0.1)
    assert (term.value.item(), term.counts.item()) == (0.0, 0.0)


# --- Masks


def test_mask_loss_is_equation_3():
    rng = np.random.default_rng(3)
    logits, target = rng.normal(size=(3, 9, 9)) * 5, rng.integers(0, 2, (3, 9, 9))
    signs = 2 * target - 1
    expected = np.log1p(np.exp(-signs * logits)).mean()  # all windows are positive
    value = mask_loss(torch.tensor(logits), torch.tensor(target, dtype=torch.float64)).value
    assert value.item() == pytest.approx(expected, rel=1e-9)
    soft_margin = functional.soft_margin_loss(torch.tensor(logits), torch.tensor(signs))
    assert value.item() == pytest.approx(soft_margin.item(), rel=1e-9)


def test_mask_losses_of_known_masks():
    target = torch.zeros((1, 10, 10))
    target[0, :, :5] = 1
    assert mask_loss(torch.zeros_like(target), target).value.item() == pytest.approx(math.log(2))
    sure = (target * 2 - 1) * 50
    assert mask_overlap_loss(sure, target).value.item() == pytest.approx(0.0, abs=1e-5)
    assert mask_iou(sure, target).value.item() == pytest.approx(1.0)
    shifted = torch.roll(sure, 1, dims=2)  # 40 shared of 60
    assert mask_iou(shifted, target).value.item() == pytest.approx(41 / 61)
    overlap = mask_overlap_loss(shifted, target).value
    assert overlap.item() == pytest.approx(1 - 41 / 61, abs=1e-5)


@pytest.mark.parametrize("loss", [mask_loss, mask_overlap_loss, mask_iou])
def test_mask_losses_of_no_windows(loss):
    term = loss(torch.zeros((0, 127, 127)), torch.zeros((0, 127, 127)))
    assert (term.value.item(), term.counts.item()) == (0.0, 0.0)


# --- Gradients


@pytest.mark.parametrize("hardest", [0, 5])
def test_gradients_are_finite_differences(hardest):
    generator = torch.Generator().manual_seed(4)
    labels = random_labels(2, 2, 3, 3)
    target = torch.randn((2, 4, 2, 3, 3), generator=generator, dtype=torch.float64)
    masks = (torch.rand((2, 5, 5), generator=generator) > 0.5).double()
    inputs = [
        torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
        for shape in ((2, 4, 3, 3), (2, 8, 3, 3), (2, 5, 5))
    ]
    losses = LossConfig(mask_overlap=3.0)

    def loss(scores, deltas, logits):
        parts = LossParts(
            score_loss(scores, labels, hardest=hardest),
            box_loss(deltas, target, labels, beta=0.1),
            mask_loss(logits, masks),
            mask_overlap_loss(logits, masks),
            mask_iou(logits, masks),
        )
        return total_loss(parts, losses)

    assert torch.autograd.gradcheck(loss, inputs)


# --- Total


def terms(*values, count=1.0):
    return LossParts(*(LossTerm(torch.tensor([v]), torch.tensor([count])) for v in values))


def test_the_total_is_equation_5():
    parts = terms(0.5, 0.25, 2.0, 7.0, 0.9)
    losses = LossConfig(score=1.0, box=1.5, mask=32.0, mask_overlap=0.0)
    assert total_loss(parts, losses).item() == pytest.approx(0.5 + 1.5 * 0.25 + 64.0)


def test_losses_of_no_weight_are_left_out():
    parts = terms(math.nan, math.inf, 2.0, math.nan, 0.9)
    assert total_loss(parts, LossConfig(score=0.0, box=0.0, mask=36.0)).item() == 72.0


def test_some_loss_must_have_weight():
    with pytest.raises(ValueError, match="weight"):
        total_loss(terms(1.0, 1.0, 1.0, 1.0, 1.0), LossConfig(score=0, box=0, mask=0))


class Exchange:
    """What processes exchange, in two rounds: first all speak, then all hear the sum."""

    def __init__(self):
        self.said = []

    def speak(self, numbers):
        self.said.append(numbers.clone())
        return numbers

    def hear(self, _):
        return torch.stack(self.said).sum(dim=0)


@pytest.mark.parametrize(
    ("architecture", "options", "stage"),
    [
        ("compact", SMALL, "refined"),
        ("compact", {**SMALL, "two_branch": True}, "refined"),
        ("siammask_r50_base", THIN, "coarse"),
        ("siammask_2b_r50_base", THIN, "coarse"),
        ("siammask_r50_base", THIN, "none"),
    ],
)
@pytest.mark.parametrize("shares", [(0, 3, 6), (0, 2, 4, 6)], ids=["two", "three"])
def test_processes_together_follow_the_joint_gradient(architecture, options, stage, shares):
    # The last of three has negatives only.
    config = config_of(architecture, options, mask_stage=stage, mask_overlap=1.0)
    network, batch = network_of(config), random_batch()

    joint = losses_of(network, config, batch)
    joint_loss = total_loss(joint, config.losses)
    joint_loss.backward()
    expected = gradients(network)
    assert max(float(g.abs().max()) for g in expected.values()) > 0

    parts = [
        losses_of(network, config, part_of(batch, *share)) for share in itertools.pairwise(shares)
    ]
    exchange, log = Exchange(), Exchange()
    for part in parts:
        total_loss(part, config.losses, sum_over_processes=exchange.speak)
        joint_parts(part, log.speak)
    network.zero_grad(set_to_none=True)
    totals = [total_loss(part, config.losses, sum_over_processes=exchange.hear) for part in parts]
    torch.stack(totals).mean().backward()  # as DistributedDataParallel averages
    assert torch.stack(totals).mean().item() == pytest.approx(joint_loss.item(), rel=1e-5)
    together = gradients(network)
    assert together.keys() == expected.keys()
    error = math.hypot(*(float((together[n] - expected[n]).norm()) for n in expected))
    assert error < 1e-3 * math.hypot(*(float(g.norm()) for g in expected.values()))
    for part in parts:
        for one, other in zip(joint_parts(part, log.hear), joint, strict=True):
            assert one.value.item() == pytest.approx(other.value.item(), rel=1e-4, abs=1e-6)


# --- A network's losses


@pytest.mark.parametrize(
    ("architecture", "options", "stage"),
    [
        ("compact", SMALL, "refined"),
        ("siammask_r50_base", THIN, "coarse"),
        ("siammask_r50_refine", THIN, "refined"),
        ("siammask_2b_r50_base", THIN, "coarse"),
        ("siammask_2b_r50_refine", THIN, "refined"),
        ("siammask_pp_r50_bi", THIN, "coarse"),
        ("siammask_pp_r50_re", THIN, "refined"),
    ],
)
@pytest.mark.parametrize("size", [255, 143])
def test_every_network_can_train(architecture, options, stage, size):
    config = config_of(architecture, options, SampleConfig(search_size=size), mask_stage=stage)
    network = network_of(config).train()
    parts = losses_of(network, config, random_batch(3, size=size))
    loss = total_loss(parts, config.losses)
    loss.backward()
    assert math.isfinite(loss.item())
    assert parts.mask.counts.item() > 2
    assert parts.box.counts.item() == (3 if network.has_boxes else 0)
    moving = {name.split(".")[0] for name, g in gradients(network).items() if g.abs().max() > 0}
    assert {"backbone", "adjust", "score_branch", "score_head", "mask_branch"} <= moving
    assert ("refiner" if stage == "refined" else "coarse_mask_head") in moving
    assert ("box_head" in moving) == network.has_boxes


@pytest.mark.parametrize(
    ("architecture", "options", "stage"),
    [("compact", SMALL, "refined"), ("siammask_r50_base", THIN, "coarse")],
)
def test_negatives_alone_train_the_score(architecture, options, stage):
    config = config_of(architecture, options, mask_stage=stage)
    network = network_of(config).train()
    parts = losses_of(network, config, part_of(random_batch(), 4, 6))
    total_loss(parts, config.losses).backward()
    assert parts.mask.counts.item() == parts.box.counts.item() == 0
    assert parts.score.value.item() > 0
    assert gradients(network)["score_head.predict.weight"].abs().max() > 0


def test_statistics_of_coarse_masks_are_those_of_the_whole_map():
    config = config_of("siammask_r50_base", THIN, mask_stage="coarse", mask_positions=1)
    network, batch = network_of(config), part_of(random_batch(), 0, 1)
    with torch.no_grad():
        kernels = network.exemplar(batch.exemplar_patches.float())
        responses = network.search(batch.search_patches.float(), kernels).mask_responses
        hidden = network.coarse_mask_head.hidden
        expected = hidden.conv(responses).mean(dim=(0, 2, 3))
    hidden.norm.momentum = 1.0
    network.coarse_mask_head.train()
    losses_of(network, config, batch)
    torch.testing.assert_close(hidden.norm.running_mean, expected, rtol=1e-4, atol=1e-4)


def test_coarse_masks_are_enlarged_from_corner_to_corner():
    config = config_of("siammask_r50_base", THIN, mask_stage="coarse")
    network, batch = network_of(config), random_batch(2)
    grid = TrainingGrid(143)
    labels = label_batch(batch, grid, config.losses, seed=2)
    with torch.no_grad():
        kernels = network.exemplar(batch.exemplar_patches.float())
        output = network.search(batch.search_patches.float(), kernels)
        enlarged = predicted_masks(network, output, labels, "coarse")
        where = (labels.mask_rows, labels.mask_columns, labels.mask_samples)
        coarse = network.coarse_mask_at(output.mask_responses, *where).numpy()
    places = np.linspace(0, 62, 127)  # first on first pixel, last on last
    for mask, small in zip(enlarged.numpy(), coarse, strict=True):
        across = np.stack([np.interp(places, np.arange(63), row) for row in small])
        expected = np.stack([np.interp(places, np.arange(63), column) for column in across.T])
        np.testing.assert_allclose(mask, expected.T, rtol=1e-4, atol=1e-4)


def test_a_target_without_a_mask_trains_score_and_box():
    config = config_of()
    parts = losses_of(network_of(config), config, part_of(random_batch(), 1, 2))
    assert parts.mask.counts.item() == 0
    assert parts.box.counts.item() == 1


def test_mixed_precision_is_near():
    config = config_of()
    network, batch = network_of(config), random_batch()
    exact = losses_of(network, config, batch)
    mixed = losses_of(network, dataclasses.replace(config, precision="bfloat16"), batch)
    for one, other in zip(mixed, exact, strict=True):
        assert one.totals.dtype == torch.float32
        assert one.value.item() == pytest.approx(other.value.item(), rel=0.05)
