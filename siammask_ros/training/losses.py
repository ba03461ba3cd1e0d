# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The losses of the paper (section 3.2, equations 3 and 5)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def score_loss(score_logits: Tensor, labels: Tensor, *, hardest: int) -> Tensor:
    """Cross-entropy of target against background, positives and negatives balanced.

    Half the weight is on positive anchors. Of the other half, one part is the mean over all
    negatives, one the mean over the `hardest` of each sample: distractors are few among
    thousands of easy anchors, and a plain mean would not see them.

    Args:
        score_logits: (N, 2 * A, S, S), background channels first.
        labels: (N, A, S, S): 1, 0, or -1 for ignored.
        hardest: number of hardest negative anchors a sample.
    """
    count, anchors = labels.shape[:2]
    logits = score_logits.view(count, 2, anchors, *labels.shape[2:])
    margin = (logits[:, 1] - logits[:, 0]).flatten(1)  # (N, M), target minus background
    flat = labels.flatten(1)
    positive, negative = flat == 1, flat == 0
    positive_loss = functional.softplus(-margin)
    negative_loss = functional.softplus(margin)
    on_positives = (positive_loss * positive).sum() / positive.sum().clamp(min=1)
    on_negatives = (negative_loss * negative).sum() / negative.sum().clamp(min=1)
    hard = negative_loss.masked_fill(~negative, 0.0).topk(hardest, dim=1).values.mean()
    return 0.5 * on_positives + 0.25 * on_negatives + 0.25 * hard


def box_loss(box_deltas: Tensor, target_deltas: Tensor, labels: Tensor, *, beta: float) -> Tensor:
    """Smooth L1 over positive anchors, averaged in each sample, then over positive samples.

    Args:
        box_deltas: (N, 4 * A, S, S), coordinate-major channels.
        target_deltas: (N, 4, A, S, S).
        labels: (N, A, S, S).
        beta: where the loss turns from square to linear, in deltas.
    """
    positive = (labels == 1).float()  # (N, A, S, S)
    error = functional.smooth_l1_loss(
        box_deltas.view(target_deltas.shape), target_deltas, reduction="none", beta=beta
    ).sum(dim=1)
    per_sample = positive.sum(dim=(1, 2, 3))
    mean = (error * positive).sum(dim=(1, 2, 3)) / per_sample.clamp(min=1)
    has_target = (per_sample > 0).float()
    return (mean * has_target).sum() / has_target.sum().clamp(min=1)


def mask_loss(mask_logits: Tensor, target: Tensor) -> Tensor:
    """Binary logistic loss, mean over pixels and windows (paper, equation 3).

    Args:
        mask_logits: (K, W, W) logits of positive windows.
        target: (K, W, W) in {0, 1}.
    """
    if mask_logits.shape[0] == 0:
        return mask_logits.sum()
    return functional.binary_cross_entropy_with_logits(mask_logits, target)


def mask_overlap_loss(mask_logits: Tensor, target: Tensor) -> Tensor:
    """One minus the soft IoU, mean over windows: what J measures, blind to window area."""
    if mask_logits.shape[0] == 0:
        return mask_logits.sum()
    probability = mask_logits.sigmoid()
    shared = (probability * target).sum(dim=(1, 2))
    union = (probability + target - probability * target).sum(dim=(1, 2))
    return (1.0 - (shared + 1.0) / (union + 1.0)).mean()


def mask_iou(mask_logits: Tensor, target: Tensor) -> Tensor:
    """Mean IoU of thresholded masks (a metric: no gradient); NaN of no windows."""
    with torch.no_grad():
        predicted = mask_logits > 0
        truth = target > 0.5
        shared = (predicted & truth).sum(dim=(1, 2)).float()
        union = (predicted | truth).sum(dim=(1, 2)).float()
        return ((shared + 1.0) / (union + 1.0)).mean()
