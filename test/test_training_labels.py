# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training labels against independent computations."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch

from siammask_ros.anchors import AnchorGrid
from siammask_ros.network import build_network
from siammask_ros.training.config import LossConfig
from siammask_ros.training.labels import TrainingGrid, anchor_overlaps, label_batch, mask_windows
from siammask_ros.training.samples import SampleBatch

GRID = TrainingGrid()
NARROW = TrainingGrid(143)
POSITIONS = TrainingGrid(has_anchors=False)
GRIDS = pytest.mark.parametrize("grid", [GRID, NARROW], ids=["255", "143"])
DENSE = LossConfig()
OFFICIAL = LossConfig(
    best_is_positive=False,
    max_positives=16,
    max_anchors=64,
    negative_pair_anchors=16,
    mask_positions=0,
)
CENTERED = (95.0, 95.0, 160.0, 160.0)
SMALL = {"channels": (8, 8, 8), "blocks": (1, 1, 2), "width": 8, "refiner_widths": (8, 8, 4)}


def batch_of(boxes, *, positive=None, has_mask=None, numbers=None, size=255):
    """Samples of which only what labels need is filled in; masks are filled boxes."""
    count = len(boxes)
    masks = torch.zeros((count, size, size), dtype=torch.uint8)
    for mask, box in zip(masks, boxes, strict=True):
        left, top, right, bottom = (max(round(edge), 0) for edge in box)
        mask[top:bottom, left:right] = 1
    return SampleBatch(
        exemplar_patches=torch.zeros((count, 3, 127, 127), dtype=torch.uint8),
        search_patches=torch.zeros((count, 3, size, size), dtype=torch.uint8),
        masks=masks,
        boxes_xyxy=torch.tensor(boxes, dtype=torch.float32),
        is_positive=torch.tensor(positive or [True] * count),
        has_mask=torch.tensor(has_mask or [True] * count),
        number=torch.tensor(numbers or range(count)),
    )


def label(boxes, *, grid=GRID, losses=DENSE, seed=3, **batch):
    return label_batch(batch_of(boxes, size=grid.search_size, **batch), grid, losses, seed=seed)


def official_anchors(size, search_size):
    """Plain loops over facts 2.1 and 2.4: {(anchor, row, column): (cx, cy, w, h)}."""
    shapes = [(104, 32), (88, 40), (64, 64), (40, 80), (32, 96)]
    middle = search_size // 2
    return {
        (a, r, c): (middle + 8 * (c - size // 2), middle + 8 * (r - size // 2), *shape)
        for (a, shape), r, c in itertools.product(enumerate(shapes), range(size), range(size))
    }


def plain_iou(box, anchor):
    cx, cy, width, height = anchor
    across = min(box[2], cx + width / 2) - max(box[0], cx - width / 2)
    down = min(box[3], cy + height / 2) - max(box[1], cy - height / 2)
    shared = max(across, 0) * max(down, 0)
    return shared / ((box[2] - box[0]) * (box[3] - box[1]) + width * height - shared)


# --- The grid


@pytest.mark.parametrize(
    ("search_size", "size", "first", "last"), [(255, 25, 31, 223), (143, 3, 63, 79)]
)
def test_grids_of_the_official_code(search_size, size, first, last):
    grid = TrainingGrid(search_size)
    assert (grid.size, grid.first_center) == (size, first)
    assert grid.centers[[0, -1]].tolist() == [first, last]
    assert grid.mask_first == first - 63
    assert grid.anchors.boxes_in_patch(search_size)[0].min() == first


@pytest.mark.parametrize("search_size", [143, 159, 207, 255, 271])
def test_the_grid_is_that_of_the_network(search_size):
    network = build_network("compact", **SMALL).eval()
    with torch.no_grad():
        kernels = network.exemplar(torch.zeros((1, 3, 127, 127)))
        patch = torch.zeros((1, 3, search_size, search_size))
        output = network.search(patch, kernels)
    grid = TrainingGrid(search_size)
    assert output.score_logits.shape == (1, 2 * grid.shapes, grid.size, grid.size)


@pytest.mark.parametrize("search_size", [111, 144, 151, 256, 0])
def test_patches_without_a_central_response_are_refused(search_size):
    with pytest.raises(ValueError, match=str(search_size)):
        TrainingGrid(search_size)


# --- Anchors


@GRIDS
def test_overlaps_agree_with_plain_loops(grid):
    box = (60.5, 50.25, 110.0, 121.5)
    overlaps = anchor_overlaps(np.array(box), grid)
    for index, anchor in official_anchors(grid.size, grid.search_size).items():
        assert overlaps[index] == pytest.approx(plain_iou(box, anchor), abs=1e-12)


@GRIDS
def test_every_anchor_is_labelled_by_its_overlap(grid):
    middle = grid.search_size / 2
    box = [middle - 30, middle - 28, middle + 33, middle + 36]
    labels = label([box], grid=grid).labels[0]
    best = max(
        (plain_iou(box, anchor), index)
        for index, anchor in official_anchors(grid.size, grid.search_size).items()
    )[1]
    for index, anchor in official_anchors(grid.size, grid.search_size).items():
        overlap = plain_iou(box, anchor)
        expected = 1 if overlap > 0.6 or index == best else 0 if overlap < 0.3 else -1
        assert labels[index] == expected, (index, overlap)


def test_a_box_like_no_anchor_has_a_positive_one_if_asked_for():
    flat = [20.0, 120.0, 240.0, 126.0]
    assert (label([flat]).labels == 1).sum() == 1
    strict = dataclasses.replace(DENSE, best_is_positive=False)
    assert (label([flat], losses=strict).labels == 1).sum() == 0


def test_a_negative_sample_has_only_negative_labels():
    labels = label([CENTERED], positive=[False])
    assert (labels.labels == 0).all()
    assert labels.mask_samples.numel() == 0


@GRIDS
def test_decoding_the_encoded_box_returns_it(grid):
    box = [41.0, 33.5, 120.0, 130.0]
    deltas = label([box], grid=grid).box_deltas[0].numpy()
    decoded = AnchorGrid(size=grid.size).decode(deltas.reshape(4, -1))
    middle = grid.search_size // 2
    np.testing.assert_allclose(decoded[0], (41 + 120) / 2 - middle, atol=1e-4)
    np.testing.assert_allclose(decoded[1], (33.5 + 130) / 2 - middle, atol=1e-4)
    np.testing.assert_allclose(decoded[2], 79.0, rtol=1e-5)
    np.testing.assert_allclose(decoded[3], 96.5, rtol=1e-5)


def test_deltas_are_the_formulas_of_siamrpn():
    box = [61.0, 83.5, 140.0, 200.0]
    deltas = label([box]).box_deltas[0]
    for (a, r, c), (cx, cy, width, height) in official_anchors(25, 255).items():
        if (r, c) not in {(0, 0), (3, 17), (24, 24)}:
            continue
        expected = [
            ((61 + 140) / 2 - cx) / width,
            ((83.5 + 200) / 2 - cy) / height,
            math.log(79 / width),
            math.log(116.5 / height),
        ]
        assert deltas[:, a, r, c].tolist() == pytest.approx(expected, abs=1e-5)


# --- The official code's draws (facts 10.7)


def test_at_most_16_positives_and_64_in_all():
    boxes = [CENTERED, [20.0, 120.0, 240.0, 126.0], [100.0, 100.0, 180.0, 190.0]]
    drawn, every = label(boxes, losses=OFFICIAL), label(boxes)
    strict = dataclasses.replace(DENSE, best_is_positive=False)
    for sample, available in enumerate(label(boxes, losses=strict).labels):
        positives = int((drawn.labels[sample] == 1).sum())
        assert positives == min(int((available == 1).sum()), 16)
        assert (drawn.labels[sample] == 0).sum() == 64 - positives
        kept = drawn.labels[sample] != -1
        assert (drawn.labels[sample][kept] == every.labels[sample][kept]).all()


def test_few_anchors_are_all_kept():
    labels = label([[40.0, 40.0, 104.0, 104.0]], grid=NARROW, losses=OFFICIAL)
    assert (labels.labels == 1).sum() <= 9


def test_negatives_of_a_negative_pair_lie_in_the_centre():
    labels = label([CENTERED] * 8, positive=[False] * 8, losses=OFFICIAL).labels
    assert ((labels == 0).sum(dim=(1, 2, 3)) == 16).all()
    assert (labels != 1).all()
    _, _, rows, columns = torch.nonzero(labels == 0, as_tuple=True)
    assert rows.min() >= 9
    assert columns.min() >= 9
    assert rows.max() <= 15
    assert columns.max() <= 15
    assert len({(r, c) for r, c in zip(rows.tolist(), columns.tolist(), strict=True)}) > 30


def test_narrow_maps_are_all_centre():
    labels = label([CENTERED], positive=[False], grid=NARROW, losses=OFFICIAL).labels
    assert (labels == 0).sum() == 16


def test_draws_do_not_depend_on_the_rest_of_the_batch():
    boxes = [CENTERED, [90.0, 60.0, 170.0, 130.0], [80.0, 80.0, 150.0, 150.0], CENTERED]
    whole = label(boxes, losses=OFFICIAL, numbers=[10, 11, 12, 13])
    for first in (0, 2):
        part = label(boxes[first : first + 2], losses=OFFICIAL, numbers=[10 + first, 11 + first])
        assert (part.labels == whole.labels[first : first + 2]).all()
        mine = (whole.mask_samples >= first) & (whole.mask_samples < first + 2)
        assert (part.mask_samples + first).tolist() == whole.mask_samples[mine].tolist()
        assert part.mask_rows.tolist() == whole.mask_rows[mine].tolist()
        assert part.mask_columns.tolist() == whole.mask_columns[mine].tolist()


def test_draws_depend_on_seed_and_number():
    first = label([CENTERED], losses=OFFICIAL).labels
    assert (label([CENTERED], losses=OFFICIAL).labels == first).all()
    assert (label([CENTERED], losses=OFFICIAL, seed=4).labels != first).any()
    assert (label([CENTERED], losses=OFFICIAL, numbers=[7]).labels != first).any()


# --- Positions instead of anchors


def test_positions_near_the_target_are_positive():
    left, top, right, bottom = box = [100.0, 60.0, 170.0, 180.0]
    labels = label([box], grid=POSITIONS)
    assert labels.labels.shape == (1, 1, 25, 25)
    assert labels.box_deltas is None
    for row, column in itertools.product(range(25), range(25)):
        center = (31 + 8 * column, 31 + 8 * row)
        distance = math.dist(center, ((left + right) / 2, (top + bottom) / 2))
        assert labels.labels[0, 0, row, column] == (distance <= 16), (row, column)
    assert labels.labels[0, 0, labels.mask_rows, labels.mask_columns].tolist() == [1]


def test_a_target_between_few_positions_has_its_nearest():
    labels = label([[0.0, 0.0, 9.0, 9.0]], grid=POSITIONS)
    assert torch.nonzero(labels.labels == 1).tolist() == [[0, 0, 0, 0]]
    strict = dataclasses.replace(DENSE, best_is_positive=False)
    assert not (label([[0.0, 0.0, 9.0, 9.0]], grid=POSITIONS, losses=strict).labels == 1).any()


# --- Masks


@pytest.mark.parametrize("grid", [GRID, NARROW, POSITIONS], ids=["255", "143", "two-branch"])
def test_all_positive_positions_train_the_mask(grid):
    middle = grid.search_size / 2
    box = [middle - 32, middle - 30, middle + 32, middle + 34]
    labels = label([box, box], grid=grid, losses=OFFICIAL)
    expected = torch.nonzero((labels.labels == 1).any(dim=1)).tolist()
    where = (labels.mask_samples, labels.mask_rows, labels.mask_columns)
    assert sorted(torch.stack(where, dim=1).tolist()) == expected
    assert len(expected) > 2


@pytest.mark.parametrize("most", [1, 3])
def test_drawn_mask_positions_are_positive_and_distinct(most):
    losses = dataclasses.replace(DENSE, mask_positions=most)
    labels = label([CENTERED] * 20, losses=losses)
    where = (labels.mask_samples, labels.mask_rows, labels.mask_columns)
    positions = torch.stack(where, dim=1).tolist()
    assert labels.mask_samples.tolist() == [s for s in range(20) for _ in range(most)]
    assert len({tuple(p) for p in positions}) == len(positions)
    assert (labels.labels == 1).any(dim=1)[where].all()
    assert len({tuple(p[1:]) for p in positions}) > most  # not always the same


def test_only_samples_with_a_mask_train_it():
    labels = label(
        [CENTERED] * 4,
        positive=[True, False, True, True],
        has_mask=[True, True, False, True],
    )
    assert labels.mask_samples.tolist() == [0, 3]
    assert (labels.labels[2] == 1).any()


def test_mask_windows_are_the_pixels_below_the_window():
    masks = torch.zeros((2, 255, 255), dtype=torch.uint8)
    masks[0, 10, 20] = 1
    masks[1, 254, 254] = 1
    samples, rows, columns = (
        torch.tensor([0, 1, 0]),
        torch.tensor([0, 24, 5]),
        torch.tensor([3, 24, 5]),
    )
    windows = mask_windows(masks, samples, rows, columns, GRID)
    assert windows.shape == (3, 127, 127)
    assert torch.nonzero(windows[0]).tolist() == [[10 + 32, 20 + 32 - 24]]
    assert torch.nonzero(windows[1]).tolist() == [[254 + 32 - 192, 254 + 32 - 192]]
    assert torch.nonzero(windows[2]).tolist() == [[10 + 32 - 40, 20 + 32 - 40]]


def test_mask_windows_of_narrow_patches_need_no_padding():
    masks = torch.randint(0, 2, (2, 143, 143), dtype=torch.uint8)
    samples, rows, columns = torch.tensor([1, 0]), torch.tensor([0, 2]), torch.tensor([1, 2])
    windows = mask_windows(masks, samples, rows, columns, NARROW)
    assert (windows[0] == masks[1, 0:127, 8:135]).all()
    assert (windows[1] == masks[0, 16:143, 16:143]).all()


@GRIDS
def test_mask_windows_lie_about_the_positions_centre(grid):
    size = grid.search_size
    for row, column in itertools.product(range(grid.size), range(grid.size)):
        masks = torch.zeros((1, size, size), dtype=torch.uint8)
        masks[0, int(grid.centers[row]), int(grid.centers[column])] = 1
        index = torch.tensor([0]), torch.tensor([row]), torch.tensor([column])
        assert torch.nonzero(mask_windows(masks, *index, grid)[0]).tolist() == [[63, 63]]


def test_no_positions_give_no_windows():
    none = torch.zeros(0, dtype=torch.int64)
    masks = torch.zeros((1, 255, 255), dtype=torch.uint8)
    assert mask_windows(masks, none, none, none, GRID).shape == (0, 127, 127)


@pytest.mark.parametrize(("row", "column"), [(25, 0), (0, 25), (-1, 0)])
def test_mask_windows_refuse_a_position_outside(row, column):
    masks = torch.zeros((1, 255, 255), dtype=torch.uint8)
    index = torch.tensor([0]), torch.tensor([row]), torch.tensor([column])
    with pytest.raises(ValueError, match=r"-1|25"):
        mask_windows(masks, *index, GRID)


def test_mask_windows_refuse_masks_of_another_patch():
    none = torch.zeros(0, dtype=torch.int64)
    with pytest.raises(ValueError, match="143"):
        mask_windows(torch.zeros((1, 143, 143), dtype=torch.uint8), none, none, none, GRID)
