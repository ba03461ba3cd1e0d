# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The losses of the paper (section 3.2, equations 3 to 5).

Each is kept as sums and counts, not as a mean: several processes, each with its share of the
batch, then add up to the loss of the joint batch, however positives are spread among them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from siammask_ros.network import SearchOutput, SiamMask
from siammask_ros.training.config import LossConfig, TrainingConfig
from siammask_ros.training.labels import (
    NEGATIVE,
    POSITIVE,
    AnchorLabels,
    TrainingGrid,
    mask_windows,
)
from siammask_ros.training.samples import SampleBatch

AUTOCAST_TYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class LossTerm(NamedTuple):
    """A loss as the sum of T means.

    Attributes:
        totals: (T,) the sum of each mean's values, times what weight the mean has in the loss.
        counts: (T,) float32, how many values each mean has.
    """

    totals: Tensor
    counts: Tensor

    @property
    def value(self) -> Tensor:
        """The loss, a scalar; a mean of no values is 0."""
        return (self.totals / self.counts.clamp(min=1)).sum()


class LossParts(NamedTuple):
    """Losses of one batch before weighting, and the masks' IoU as a metric."""

    score: LossTerm
    box: LossTerm
    mask: LossTerm
    mask_overlap: LossTerm
    mask_iou: LossTerm


def _alone(numbers: Tensor) -> Tensor:
    """The sum over processes where there is one."""
    return numbers


def batch_losses(
    network: SiamMask,
    batch: SampleBatch,
    labels: AnchorLabels,
    config: TrainingConfig,
    grid: TrainingGrid,
    *,
    device: torch.device,
) -> LossParts:
    """Run the network on a batch and compare it with the labels.

    Args:
        network: on `device`.
        batch: N samples, on any device.
        labels: what `label_batch` says of them.
        config: loss settings and precision.
        grid: the responses' places, as for the labels.
        device: where the network is.
    """
    labels = _moved(labels, device)
    stage = config.losses.mask_stage
    mixed = AUTOCAST_TYPES.get(config.precision)
    with torch.autocast(device.type, mixed, enabled=mixed is not None):
        kernels = network.exemplar(batch.exemplar_patches.to(device).float())
        output = network.search(batch.search_patches.to(device).float(), kernels)
        mask_logits = None if stage == "none" else predicted_masks(network, output, labels, stage)
    score = score_loss(
        output.score_logits.float(), labels.labels, hardest=config.losses.hardest_negatives
    )
    nothing = LossTerm(score.totals.new_zeros(1), score.counts.new_zeros(1))
    box = nothing
    if output.box_deltas is not None and labels.box_deltas is not None:
        box = box_loss(
            output.box_deltas.float(),
            labels.box_deltas,
            labels.labels,
            beta=config.losses.box_beta,
        )
    if mask_logits is None:
        return LossParts(score, box, nothing, nothing, nothing)
    where = (labels.mask_samples, labels.mask_rows, labels.mask_columns)
    target = mask_windows(batch.masks.to(device), *where, grid)
    return LossParts(
        score,
        box,
        mask_loss(mask_logits, target),
        mask_overlap_loss(mask_logits, target),
        mask_iou(mask_logits, target),
    )


def total_loss(
    parts: LossParts,
    losses: LossConfig,
    *,
    sum_over_processes: Callable[[Tensor], Tensor] = _alone,
) -> Tensor:
    """Weigh and add the losses (paper, equations 4 and 5); those of weight 0 are left out.

    Args:
        parts: of this process's share of the joint batch.
        losses: the weights.
        sum_over_processes: adds up a tensor over all processes; no gradient goes through it.

    Returns:
        A scalar whose mean over the processes is the joint batch's loss; so is the mean of its
        gradients, which is what DistributedDataParallel makes.

    Raises:
        ValueError: every weight is 0.
    """
    candidates = (
        (losses.score, parts.score),
        (losses.box, parts.box),
        (losses.mask, parts.mask),
        (losses.mask_overlap, parts.mask_overlap),
    )
    weighted = [(weight, term) for weight, term in candidates if weight > 0]
    if not weighted:
        raise ValueError("every loss has weight 0")
    counts = [term.counts for _, term in weighted]
    *joint_counts, processes = _summed(
        [*counts, torch.ones_like(counts[0][:1])], sum_over_processes
    )
    means = [
        weight * LossTerm(term.totals, count).value
        for (weight, term), count in zip(weighted, joint_counts, strict=True)
    ]
    return torch.stack(means).sum() * processes[0]


def joint_parts(
    parts: LossParts, sum_over_processes: Callable[[Tensor], Tensor] = _alone
) -> LossParts:
    """The losses of the joint batch on the host, without gradients: what a log should show."""
    flat = [number.detach().float() for term in parts for number in term]
    sums = _summed(flat, lambda numbers: sum_over_processes(numbers).cpu())  # copied once
    return LossParts(*(LossTerm(*sums[i : i + 2]) for i in range(0, len(sums), 2)))


def predicted_masks(
    network: SiamMask, output: SearchOutput, labels: AnchorLabels, stage: str
) -> Tensor:
    """Mask logits (K, 127, 127) float32 where the labels want them.

    Coarse masks are enlarged bilinearly from corner to corner, as in the official code.
    """
    samples, rows, columns = labels.mask_samples, labels.mask_rows, labels.mask_columns
    if stage == "refined":
        return network.refined_mask_at(output, rows, columns, samples).float()
    coarse = network.coarse_mask_at(output.mask_responses, rows, columns, samples).float()
    if coarse.shape[0] == 0:  # interpolate refuses an empty batch
        return coarse.new_zeros((0, TrainingGrid.WINDOW, TrainingGrid.WINDOW)) + coarse.sum()
    size = (TrainingGrid.WINDOW, TrainingGrid.WINDOW)
    enlarged = functional.interpolate(
        coarse[:, None], size=size, mode="bilinear", align_corners=True
    )
    return enlarged[:, 0]  # (K, 1, 127, 127) -> (K, 127, 127)


def score_loss(score_logits: Tensor, labels: Tensor, *, hardest: int) -> LossTerm:
    """Cross-entropy of target against background, positives and negatives balanced.

    Half the weight is on positive labels, half on negative ones. With `hardest`, half of the
    latter is on the hardest of each sample: distractors are few among thousands of easy
    anchors, and a plain mean would not see them.

    Args:
        score_logits: (N, 2 * A, S, S), background channels first; or (N, 1, S, S), one logit a
            position, without anchors (equation 4).
        labels: (N, A, S, S): 1, 0, or -1 for ignored.
        hardest: number of hardest negatives a sample, 0 for none.
    """
    margin = _score_margin(score_logits, labels).flatten(1)  # (N, M)
    flat = labels.flatten(1)
    positive, negative = flat == POSITIVE, flat == NEGATIVE
    on_positives = functional.softplus(-margin).masked_fill(~positive, 0.0)
    on_negatives = functional.softplus(margin).masked_fill(~negative, 0.0)
    totals = [0.5 * on_positives.sum(), 0.5 * on_negatives.sum()]
    counts = [positive.sum(), negative.sum()]
    if hardest:
        hard = on_negatives.topk(min(hardest, margin.shape[1]), dim=1).values
        totals = [totals[0], 0.5 * totals[1], 0.25 * hard.sum()]
        counts.append(torch.tensor(hard.numel(), device=margin.device))
    return LossTerm(torch.stack(totals), torch.stack(counts).float())


def _score_margin(score_logits: Tensor, labels: Tensor) -> Tensor:
    """Logit of target against background, (N, A, S, S)."""
    if score_logits.shape == labels.shape:
        return score_logits
    count, anchors, *map_size = labels.shape
    logits = score_logits.reshape(count, 2, anchors, *map_size)
    return logits[:, 1] - logits[:, 0]


def box_loss(box_deltas: Tensor, target_deltas: Tensor, labels: Tensor, *, beta: float) -> LossTerm:
    """Smooth L1 summed over coordinates, mean over a sample's positive anchors, then samples.

    Samples without a positive anchor do not count.

    Args:
        box_deltas: (N, 4 * A, S, S), coordinate-major channels.
        target_deltas: (N, 4, A, S, S).
        labels: (N, A, S, S).
        beta: where the loss turns from square to linear, in deltas; 0 for L1.
    """
    positive = labels == POSITIVE
    error = functional.smooth_l1_loss(
        box_deltas.reshape(target_deltas.shape), target_deltas, reduction="none", beta=beta
    ).sum(dim=1)
    per_sample = positive.sum(dim=(1, 2, 3))  # (N,)
    mean = error.masked_fill(~positive, 0.0).sum(dim=(1, 2, 3)) / per_sample.clamp(min=1)
    return LossTerm(mean.sum()[None], (per_sample > 0).sum()[None].float())


def mask_loss(mask_logits: Tensor, target: Tensor) -> LossTerm:
    """Binary logistic loss, mean over pixels and windows (paper, equation 3).

    Args:
        mask_logits: (K, W, W) logits of positive windows.
        target: (K, W, W) in {0, 1}; the paper's labels c are 2 * target - 1.
    """
    loss = functional.binary_cross_entropy_with_logits(mask_logits, target, reduction="none")
    return _over_windows(loss.mean(dim=(1, 2)))


def mask_overlap_loss(mask_logits: Tensor, target: Tensor) -> LossTerm:
    """One minus the soft IoU, mean over windows: what J measures, blind to window area."""
    probability = mask_logits.sigmoid()
    shared = (probability * target).sum(dim=(1, 2))
    union = (probability + target - probability * target).sum(dim=(1, 2))
    return _over_windows(1.0 - (shared + 1.0) / (union + 1.0))


def mask_iou(mask_logits: Tensor, target: Tensor) -> LossTerm:
    """Mean IoU of thresholded masks (a metric: no gradient)."""
    with torch.no_grad():
        predicted = mask_logits > 0
        truth = target > 0.5
        shared = (predicted & truth).sum(dim=(1, 2)).float()
        union = (predicted | truth).sum(dim=(1, 2)).float()
        return _over_windows((shared + 1.0) / (union + 1.0))


def _over_windows(values: Tensor) -> LossTerm:
    count = torch.tensor([values.numel()], dtype=torch.float32, device=values.device)
    return LossTerm(values.sum()[None], count)


def _summed(
    numbers: Sequence[Tensor], sum_over_processes: Callable[[Tensor], Tensor]
) -> list[Tensor]:
    """Sums over processes of vectors, in one exchange."""
    joint = sum_over_processes(torch.cat(list(numbers)))
    return list(torch.split(joint, [len(vector) for vector in numbers]))


def _moved(labels: AnchorLabels, device: torch.device) -> AnchorLabels:
    deltas = labels.box_deltas
    return AnchorLabels(
        labels.labels.to(device),
        None if deltas is None else deltas.to(device),
        labels.mask_samples.to(device),
        labels.mask_rows.to(device),
        labels.mask_columns.to(device),
    )
