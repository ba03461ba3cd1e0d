# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which anchors are positive, and what box and mask position they should predict."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

MASK_WINDOW = 127
MASK_STRIDE = 8
MASK_FIRST = -32
"""Position 0's mask window begins this many pixels left of the search patch: its centre,
-32 + 63 = 31, is the centre of anchor position 0."""


class AnchorLabels(NamedTuple):
    """Training targets of one batch; A anchors a position, S x S positions.

    Attributes:
        labels: (N, A, S, S) int8: 1 positive, 0 negative, -1 ignored.
        box_deltas: (N, 4, A, S, S) float32, encoded as the network's box branch.
        rows, cols: (N,) int64, one positive position a sample, where the mask is trained.
    """

    labels: Tensor
    box_deltas: Tensor
    rows: Tensor
    cols: Tensor


def anchor_overlaps(boxes_xyxy: Tensor, anchors_cxcywh: Tensor) -> Tensor:
    """Return the IoU (N, M) of boxes (N, 4, corners) with anchors (M, 4, centre and size)."""
    half = anchors_cxcywh[:, 2:] / 2
    low = torch.maximum(boxes_xyxy[:, None, :2], (anchors_cxcywh[:, :2] - half)[None])
    high = torch.minimum(boxes_xyxy[:, None, 2:], (anchors_cxcywh[:, :2] + half)[None])
    shared = (high - low).clamp(min=0).prod(dim=2)  # (N, M)
    box_area = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(dim=1)
    anchor_area = anchors_cxcywh[:, 2:].prod(dim=1)
    return shared / (box_area[:, None] + anchor_area[None] - shared).clamp(min=1e-6)


def assign_anchors(
    boxes_xyxy: Tensor,
    is_positive: Tensor,
    anchors_cxcywh: Tensor,
    *,
    anchor_shape: tuple[int, int, int],
    positive_iou: float,
    negative_iou: float,
    generator: torch.Generator | None = None,
) -> AnchorLabels:
    """Assign anchors to the boxes of a batch (paper, section 3.2; IoU 0.6 and 0.3).

    The best anchor of a positive sample is positive whatever its IoU, so that no target is
    without one. Every anchor of a negative sample is negative.

    Args:
        boxes_xyxy: (N, 4) float32 corners, search-patch pixels.
        is_positive: (N,) bool.
        anchors_cxcywh: (A*S*S, 4) float32, index anchor * S*S + row * S + column.
        anchor_shape: (A, S, S).
        generator: draws the mask's position among the positive ones.
    """
    count = boxes_xyxy.shape[0]
    overlaps = anchor_overlaps(boxes_xyxy, anchors_cxcywh)  # (N, M)
    labels = torch.full(overlaps.shape, -1, dtype=torch.int8)
    labels[overlaps < negative_iou] = 0
    labels[overlaps > positive_iou] = 1
    best = overlaps.argmax(dim=1)
    labels[torch.arange(count), best] = 1
    labels[~is_positive] = 0

    weights = torch.where(labels == 1, 1.0, 0.0)
    weights[~is_positive, 0] = 1.0  # any position: unused for negatives
    chosen = torch.multinomial(weights, 1, generator=generator)[:, 0]
    position = chosen % (anchor_shape[1] * anchor_shape[2])
    deltas = encode_boxes(boxes_xyxy, anchors_cxcywh)  # (N, 4, M)
    return AnchorLabels(
        labels.view(count, *anchor_shape),
        deltas.view(count, 4, *anchor_shape),
        position // anchor_shape[2],
        position % anchor_shape[2],
    )


def encode_boxes(boxes_xyxy: Tensor, anchors_cxcywh: Tensor) -> Tensor:
    """Return (N, 4, M) deltas: centre offset in anchor sizes, logarithm of the size ratio."""
    center = (boxes_xyxy[:, None, :2] + boxes_xyxy[:, None, 2:]) / 2
    size = (boxes_xyxy[:, None, 2:] - boxes_xyxy[:, None, :2]).clamp(min=1.0)
    offset = (center - anchors_cxcywh[None, :, :2]) / anchors_cxcywh[None, :, 2:]
    ratio = torch.log(size / anchors_cxcywh[None, :, 2:])
    return torch.cat([offset, ratio], dim=2).permute(0, 2, 1)


def mask_windows(
    masks: Tensor,
    rows: Tensor,
    cols: Tensor,
    *,
    window: int = MASK_WINDOW,
    stride: int = MASK_STRIDE,
    first: int = MASK_FIRST,
) -> Tensor:
    """Cut the mask window of one position a sample.

    Args:
        masks: (N, P, P) uint8 {0, 1}, targets in the search patch.
        rows, cols: (N,) int64 positions.
        window: side of the window, pixels.
        stride: pixels from one position's window to the next.
        first: left or top edge of position 0's window in the patch (negative: outside).

    Returns:
        (N, window, window) float32 {0, 1}; outside the patch it is 0.

    Raises:
        ValueError: if a position's window lies beyond the patch padded by -`first`.
    """
    if rows.numel() == 0:  # a batch of negatives only
        return torch.zeros((0, window, window))
    pad = -first
    side = masks.shape[1]
    positions = (side + 2 * pad - window) // stride + 1
    if int(torch.maximum(rows.max(), cols.max())) >= positions:
        raise ValueError(f"mask position {int(torch.maximum(rows.max(), cols.max()))} outside")
    padded = torch.nn.functional.pad(masks, (pad, pad, pad, pad))
    cuts = [
        padded[i, r : r + window, c : c + window]
        for i, (r, c) in enumerate(
            zip((rows * stride).tolist(), (cols * stride).tolist(), strict=True)
        )
    ]
    return torch.stack(cuts).float()
