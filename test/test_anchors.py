# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The anchor grid, its encoding and the score."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from siammask_ros.anchors import (
    AnchorGrid,
    foreground_probability,
    response_boxes,
    similarity_probability,
)

GRID = AnchorGrid()


def test_shapes_of_the_published_anchors() -> None:
    expected = [[104, 32], [88, 40], [64, 64], [40, 80], [32, 96]]
    np.testing.assert_array_equal(GRID.shapes_wh, expected)


def test_centres_and_order() -> None:
    boxes = GRID.boxes_cxcywh
    assert boxes.shape == (3125, 4)
    assert boxes.dtype == np.float32
    for anchor, row, column in [(0, 0, 0), (2, 12, 12), (4, 24, 3), (1, 7, 24)]:
        index = anchor * 625 + row * 25 + column
        assert tuple(boxes[index, :2]) == (-96 + 8 * column, -96 + 8 * row)
        assert tuple(boxes[index, 2:]) == tuple(GRID.shapes_wh[anchor])
        assert GRID.position(index) == (anchor, row, column)


def test_training_anchors_lie_around_the_middle_of_the_patch() -> None:
    boxes = GRID.boxes_in_patch(255)
    assert boxes.shape == (4, 5, 25, 25)
    assert (boxes[0].min(), boxes[0].max()) == (31, 223)
    boxes = AnchorGrid(size=3).boxes_in_patch(143)
    assert boxes.shape == (4, 5, 3, 3)
    np.testing.assert_array_equal(boxes[0, 2], [[63, 71, 79]] * 3)
    np.testing.assert_array_equal(boxes[1, 2], [[63] * 3, [71] * 3, [79] * 3])


def test_window_is_zero_at_the_rim_and_one_in_the_middle() -> None:
    window = GRID.window.reshape(5, 25, 25)
    assert window[3, 12, 12] == 1
    assert window[:, 0].max() == window[:, :, 24].max() == 0
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(25) / 24)
    np.testing.assert_allclose(window[1], hann[:, None] * hann[None], atol=1e-15)


def test_decode_of_encode_is_the_identity() -> None:
    rng = np.random.default_rng(0)
    boxes = np.concatenate(
        [rng.uniform(-120, 120, (2, 2, GRID.count)), rng.uniform(4, 250, (2, 2, GRID.count))],
        axis=1,
    )
    np.testing.assert_allclose(GRID.decode(GRID.encode(boxes)), boxes, atol=1e-10)


def test_one_box_seen_from_every_anchor() -> None:
    box = np.array([5.0, -7.0, 60.0, 90.0])
    decoded = GRID.decode(GRID.encode(box))
    np.testing.assert_allclose(decoded, np.tile(box[:, None], (1, GRID.count)), atol=1e-10)


def test_zero_deltas_decode_to_the_anchors() -> None:
    decoded = GRID.decode(np.zeros((1, 20, 25, 25)))
    np.testing.assert_array_equal(decoded[0].T, GRID.boxes_cxcywh)


def test_decode_reads_channels_as_coordinate_times_anchors() -> None:
    deltas = np.zeros((20, 25, 25))
    deltas[2 * 5 + 3, 4, 6] = np.log(2)  # width of anchor 3 at row 4, column 6
    decoded = GRID.decode(deltas)
    index = 3 * 625 + 4 * 25 + 6
    changed = np.flatnonzero((GRID.boxes_cxcywh != decoded.T).any(axis=1))
    assert changed.tolist() == [index]
    assert decoded[2, index] == pytest.approx(80)


def test_wrong_shapes_and_indices_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(20, 17, 17\)"):
        GRID.decode(np.zeros((20, 17, 17)))
    with pytest.raises(ValueError, match="3125"):
        GRID.position(3125)


def test_foreground_probability_is_the_softmax() -> None:
    logits = np.random.default_rng(0).normal(0, 5, (3, 10, 25, 25))
    expected = torch.softmax(torch.from_numpy(logits).reshape(3, 2, -1), dim=1)[:, 1]
    np.testing.assert_allclose(foreground_probability(logits), expected.numpy(), atol=1e-15)


def test_foreground_probability_of_absurd_logits() -> None:
    logits = np.zeros((10, 25, 25), dtype=np.float32)
    logits[:5], logits[5:] = 1e4, -1e4
    assert foreground_probability(logits).max() == 0
    with pytest.raises(ValueError, match="9 channels"):
        foreground_probability(np.zeros((9, 25, 25)))


def test_similarity_is_the_sigmoid_of_one_logit():
    logits = np.array([-1000.0, 0.0, 3.0, 1000.0]).reshape(1, 1, 2, 2)
    probability = similarity_probability(logits)
    np.testing.assert_allclose(probability, [[0, 0.5, 1 / (1 + np.exp(-3)), 1]])
    with pytest.raises(ValueError, match="one logit a response, got 10"):
        similarity_probability(np.zeros((1, 10, 25, 25)))


def test_boxes_of_responses_have_their_size_and_the_finer_place():
    grid = AnchorGrid().without_shapes
    assert (grid.count, grid.window.shape) == (625, (625,))
    assert grid.position(30) == (0, 1, 5)
    cells = np.arange(25.0)
    tops = np.array([[11.3, 14.8], [7.0, 20.0]])  # column and row, in cells
    logits = np.stack([5 - 2 * (cells - y)[:, None] ** 2 - (cells - x)[None] ** 2 for x, y in tops])
    sizes_wh = np.array([[64.0, 32.0], [50.0, 60.0]])
    boxes = response_boxes(logits[:, None], sizes_wh, grid)
    assert boxes.shape == (2, 4, 625)
    for index, (x, y) in enumerate(tops):
        best = int(logits[index].argmax())
        expected = ((x - 12) * 8, (y - 12) * 8, *sizes_wh[index])
        np.testing.assert_allclose(boxes[index, :, best], expected, atol=1e-9)
        # One beside the top finds the same place, one far away goes to the next cell only.
        np.testing.assert_allclose(boxes[index, :, best + 1], expected, atol=1e-9)
        far = boxes[index, :, 25 + 1]
        assert tuple(far[:2]) == ((1 - 12 + 1) * 8, (1 - 12 + 1) * 8)
    # At the edge and in a flat map they stay at the response.
    flat = response_boxes(np.zeros((1, 1, 25, 25)), sizes_wh[:1], grid)
    np.testing.assert_array_equal(flat[0, :2], grid.boxes_cxcywh.T[:2])
    np.testing.assert_array_equal(boxes[0, :2, 0], (-96, -96))
