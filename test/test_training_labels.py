# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Anchor assignment, mask windows and losses against independent computations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from siammask_ros.anchors import AnchorGrid
from siammask_ros.training.labels import (
    anchor_overlaps,
    assign_anchors,
    encode_boxes,
    mask_windows,
)
from siammask_ros.training.losses import (
    box_loss,
    mask_iou,
    mask_loss,
    mask_overlap_loss,
    score_loss,
)

GRID = AnchorGrid()
SHAPE = (GRID.anchors_per_response, GRID.size, GRID.size)
ANCHORS = torch.from_numpy(GRID.boxes_in_patch(255).reshape(4, -1).T.copy()).float()


def raster_iou(box: tuple[float, ...], anchor: tuple[float, ...]) -> float:
    """IoU by counting quarter pixels."""
    step = 0.25
    points = np.arange(-64.0, 320.0, step) + step / 2
    cx, cy, w, h = anchor
    x_box, y_box = ((points > box[i]) & (points < box[i + 2]) for i in (0, 1))
    x_anchor = np.abs(points - cx) < w / 2
    y_anchor = np.abs(points - cy) < h / 2
    shared = (x_box & x_anchor).sum() * (y_box & y_anchor).sum()
    union = x_box.sum() * y_box.sum() + x_anchor.sum() * y_anchor.sum() - shared
    return float(shared / union)


def assign(boxes: list[list[float]], positive: list[bool]):  # type: ignore[no-untyped-def]
    return assign_anchors(
        torch.tensor(boxes),
        torch.tensor(positive),
        ANCHORS,
        anchor_shape=SHAPE,
        positive_iou=0.6,
        negative_iou=0.3,
        generator=torch.Generator().manual_seed(0),
    )


def test_overlaps_agree_with_counting_pixels() -> None:
    box = (100.5, 90.25, 160.0, 171.5)
    overlaps = anchor_overlaps(torch.tensor([box]), ANCHORS)[0]
    for index in (0, 700, 1562, 1563, 2200, 3124):
        expected = raster_iou(box, tuple(ANCHORS[index].tolist()))
        assert overlaps[index].item() == pytest.approx(expected, abs=1e-3)


def test_a_box_equal_to_an_anchor_is_positive_there() -> None:
    labels = assign([[95.5, 95.5, 159.5, 159.5]], [True])  # about the square anchor at (12, 12)
    assert labels.labels[0, 2, 12, 12] == 1
    assert labels.labels[0, 2, 0, 0] == 0
    assert labels.labels[0, 2, labels.rows[0], labels.cols[0]] == 1


def test_a_box_like_no_anchor_still_has_its_best_one() -> None:
    labels = assign([[20.0, 120.0, 240.0, 126.0]], [True])
    assert (labels.labels == 1).sum() == 1


def test_a_negative_sample_has_only_negative_anchors() -> None:
    labels = assign([[95.0, 95.0, 160.0, 160.0]], [False])
    assert (labels.labels == 0).all()


def test_decoding_the_encoded_box_returns_it() -> None:
    box = torch.tensor([[61.0, 83.5, 140.0, 200.0]])
    deltas = encode_boxes(box, ANCHORS)[0].numpy()
    decoded = GRID.decode(deltas.reshape(4, -1))  # centres relative to the patch centre, 127
    np.testing.assert_allclose(decoded[0], (61 + 140) / 2 - 127, atol=1e-3)
    np.testing.assert_allclose(decoded[1], (83.5 + 200) / 2 - 127, atol=1e-3)
    np.testing.assert_allclose(decoded[2], 79.0, rtol=1e-5)
    np.testing.assert_allclose(decoded[3], 116.5, rtol=1e-5)


def test_mask_windows_are_the_pixels_below_the_window() -> None:
    masks = torch.zeros((2, 255, 255), dtype=torch.uint8)
    masks[0, 10, 20] = 1
    masks[1, 254, 254] = 1
    windows = mask_windows(
        masks, torch.tensor([0, 24]), torch.tensor([3, 24]), window=127, stride=8, first=-32
    )
    assert windows.shape == (2, 127, 127)
    assert torch.nonzero(windows[0]).tolist() == [[10 + 32, 20 + 32 - 24]]
    assert torch.nonzero(windows[1]).tolist() == [[254 + 32 - 192, 254 + 32 - 192]]


def test_mask_windows_refuse_a_position_outside() -> None:
    masks = torch.zeros((1, 255, 255), dtype=torch.uint8)
    with pytest.raises(ValueError, match="25"):
        mask_windows(masks, torch.tensor([25]), torch.tensor([0]), window=127, stride=8, first=-32)


def test_score_loss_of_even_odds_is_log_two() -> None:
    labels = torch.full((2, *SHAPE), -1, dtype=torch.int8)
    labels[:, 0, 3, 3] = 1
    labels[:, 1, 5:20] = 0
    loss = score_loss(torch.zeros((2, 10, 25, 25)), labels, hardest=8)
    assert loss.item() == pytest.approx(math.log(2))


def test_score_loss_falls_when_the_right_anchors_win() -> None:
    labels = torch.zeros((1, *SHAPE), dtype=torch.int8)
    labels[0, 2, 12, 12] = 1
    logits = torch.zeros((1, 10, 25, 25))
    logits[0, :5] = 9.0  # background everywhere ...
    logits[0, 2, 12, 12], logits[0, 7, 12, 12] = 0.0, 9.0  # ... but at the target
    assert score_loss(logits, labels, hardest=8).item() < 1e-3
    assert score_loss(-logits, labels, hardest=8).item() > 5


def test_box_loss_counts_positive_anchors_only() -> None:
    labels = torch.zeros((1, *SHAPE), dtype=torch.int8)
    labels[0, 1, 4, 4] = 1
    target = torch.zeros((1, 4, *SHAPE))
    deltas = torch.full((1, 20, 25, 25), 7.0)
    deltas[0, 1::5, 4, 4] = 0.0  # channel = coordinate * 5 + anchor
    assert box_loss(deltas, target, labels, beta=0.1).item() == 0.0
    deltas[0, 1, 4, 4] = 1.0
    assert box_loss(deltas, target, labels, beta=0.1).item() == pytest.approx(0.95)


def test_mask_losses_of_known_masks() -> None:
    target = torch.zeros((1, 10, 10))
    target[0, :, :5] = 1
    assert mask_loss(torch.zeros_like(target), target).item() == pytest.approx(math.log(2))
    sure = (target * 2 - 1) * 50
    assert mask_overlap_loss(sure, target).item() == pytest.approx(0.0, abs=1e-5)
    assert mask_iou(sure, target).item() == pytest.approx(1.0)
    shifted = torch.roll(sure, 1, dims=2)  # 40 shared of 60
    assert mask_iou(shifted, target).item() == pytest.approx(41 / 61)
    assert mask_overlap_loss(shifted, target).item() == pytest.approx(1 - 41 / 61, abs=1e-5)
