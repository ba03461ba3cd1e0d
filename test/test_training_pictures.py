# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of training: what is drawn lies where it should."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from siammask_ros.geometry import box_iou_xyxy
from siammask_ros.network import SearchOutput, build_network
from siammask_ros.training.config import LossConfig
from siammask_ros.training.labels import TrainingGrid, label_batch
from siammask_ros.training.metrics import Metrics
from siammask_ros.training.pictures import (
    CELL_WIDTH,
    MASK_RING,
    TRUTH,
    Prediction,
    curve_chart,
    predict,
    sample_sheet,
)
from siammask_ros.training.samples import SampleBatch

BOX = (80.5, 110.5, 150.5, 170.5)
"""Edges of the target, search-patch pixels."""


def batch_of(count, *, size=255, is_positive=True, has_mask=True):
    masks = torch.zeros((count, size, size), dtype=torch.uint8)
    boxes = torch.zeros((count, 4))
    if is_positive:
        left, top, right, bottom = (int(edge + 0.5) for edge in BOX)
        masks[:, top:bottom, left:right] = 1
        boxes[:] = torch.tensor(BOX)
    return SampleBatch(
        exemplar_patches=torch.full((count, 3, 127, 127), 90, dtype=torch.uint8),
        search_patches=torch.full((count, 3, size, size), 60, dtype=torch.uint8),
        masks=masks,
        boxes_xyxy=boxes,
        is_positive=torch.full((count,), is_positive),
        has_mask=torch.full((count,), has_mask),
        number=torch.arange(count) + 40,
    )


def labels_of(batch, grid):
    return label_batch(batch, grid, LossConfig(mask_positions=1), seed=1)


class Oracle(torch.nn.Module):
    """A network that says of every sample what its labels say."""

    has_refiner = True

    def __init__(self, batch, grid):
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))
        self.batch, self.grid = batch, grid
        self.labels = label_batch(batch, grid, LossConfig(), seed=1)

    def exemplar(self, patches):
        assert patches.dtype == torch.float32

    def search(self, patches, _kernels):
        positive = (self.labels.labels == 1).float()  # (N, A, S, S)
        scores = torch.cat([-8 * positive, 8 * positive - 4], dim=1)
        deltas = self.labels.box_deltas.flatten(1, 2)
        return SearchOutput(scores, deltas, torch.zeros(len(patches), 1, 25, 25), ())

    def refined_mask_at(self, _output, rows, columns):
        grid = self.grid
        padded = torch.nn.functional.pad(self.batch.masks, [64] * 4)
        windows = []
        for mask, row, column in zip(padded, rows.tolist(), columns.tolist(), strict=True):
            top, left = (64 + grid.mask_first + 8 * place for place in (row, column))
            windows.append(mask[top : top + 127, left : left + 127])
        return torch.stack(windows).float() - 0.5


def test_a_right_prediction_is_read_as_right():
    batch, grid = batch_of(2), TrainingGrid()
    network = Oracle(batch, grid).train()
    for found in predict(network, batch, grid, mask_stage="refined"):
        assert found.score > 0.9
        assert float(box_iou_xyxy(np.array(BOX), found.box_xyxy)) > 0.999
        assert np.array_equal(found.mask, batch.masks[0].numpy() > 0)
    assert not network.training
    assert predict(network, batch, grid, mask_stage="none")[0].mask is None


@pytest.mark.parametrize(
    ("name", "size", "stage"),
    [
        ("compact", 255, "refined"),
        ("siammask_r50_refine", 143, "refined"),
        ("siammask_r50_base", 255, "coarse"),
        ("siammask_2b_r50_base", 255, "coarse"),
    ],
)
def test_every_kind_of_network_can_be_pictured(name, size, stage):
    options = {} if name == "compact" else {"width_divisor": 16}
    network = build_network(name, **options)
    batch = batch_of(2, size=size)
    grid = TrainingGrid(size, has_anchors=network.has_boxes)
    predictions = predict(network, batch, grid, mask_stage=stage)
    assert [(p.box_xyxy is None) for p in predictions] == [not network.has_boxes] * 2
    assert predictions[0].mask.shape == (size, size)
    sheet = sample_sheet("run", batch, labels_of(batch, grid), grid, predictions=predictions)
    assert sheet.shape[1] > 6 * CELL_WIDTH


def cell(sheet, column):
    """A cell of the first row of a sheet, below its title."""
    left = 10 + column * (CELL_WIDTH + 10)
    return sheet[38 : 38 + CELL_WIDTH, left : left + CELL_WIDTH].astype(int)


def near(image, colour, tolerance=70):
    return (np.abs(image - np.array(colour)).sum(axis=2) < tolerance).nonzero()


def test_labels_are_drawn_where_they_are():
    batch, grid = batch_of(1), TrainingGrid()
    labels = labels_of(batch, grid)
    drawn = cell(sample_sheet("run", batch, labels, grid), 1)
    scale = CELL_WIDTH / 255
    rows, columns = near(drawn, TRUTH)
    edges = [columns.min(), rows.min(), columns.max(), rows.max()]
    assert edges == pytest.approx([edge * scale for edge in BOX], abs=2)
    inside = drawn[int(165 * scale), int(145 * scale)]
    assert inside[1] > inside[0]  # tinted
    assert drawn[5, 5].tolist() == [60, 60, 60]
    rows, columns = (drawn[..., 2] > 150).nonzero()  # red is in dots and rings only
    middle = ((BOX[0] + BOX[2]) / 2 * scale, (BOX[1] + BOX[3]) / 2 * scale)
    assert (columns.mean(), rows.mean()) == pytest.approx(middle, abs=5)
    assert near(drawn, MASK_RING, 200)[0].size


def test_cells_of_a_sample_and_their_captions(monkeypatch):
    sections = []
    monkeypatch.setattr(
        "siammask_ros.training.pictures.contact_sheet",
        lambda found, **_: sections.extend(found) or np.zeros((1, 1, 3), np.uint8),
    )
    grid = TrainingGrid()
    absent = batch_of(1, is_positive=False)
    boxes = batch_of(1, has_mask=False)
    right = Prediction(0.75, np.array(BOX), batch_of(1).masks[0].numpy() > 0)
    for batch in (batch_of(1), absent, boxes):
        sample_sheet("run", batch, labels_of(batch, grid), grid, predictions=[right])
    assert [section.captions for section in sections] == [
        ["sample 40", "box and mask", "score 0.75  box IoU 1.00  mask IoU 1.00"],
        ["sample 40", "no target", "score 0.75"],
        ["sample 40", "box only", "score 0.75  box IoU 1.00"],
    ]
    assert all(len(section.frames) == 3 for section in sections)


def test_a_sheet_shows_no_more_than_asked():
    batch, grid = batch_of(5), TrainingGrid()
    sheets = [sample_sheet("run", batch, labels_of(batch, grid), grid, shown=n) for n in (3, 4, 9)]
    assert sheets[0].shape[0] < sheets[1].shape[0] == sheets[2].shape[0]


def test_absurd_boxes_do_not_break_the_picture():
    batch, grid = batch_of(2), TrainingGrid()
    absurd = [
        Prediction(0.5, np.array([-1e30, 0, 1e30, 5e20]), None),
        Prediction(math.nan, np.array([0, 0, np.inf, np.nan]), None),
    ]
    sample_sheet("run", batch, labels_of(batch, grid), grid, predictions=absurd)


def metrics(step, **values):
    row = Metrics(0.0, step, 0.0, 1e-3, 5.0, 1.0, 1.0, 1.0, 0.0, math.nan, 1.0, 1.0)
    return row._replace(**values)


def test_curves_are_drawn_for_what_was_measured():
    rows = [metrics(step, loss=5.0 / step) for step in range(1, 200)]
    panels = curve_chart("run", rows).axes
    shown = [axes.get_title().split()[0] for axes in panels]
    # Neither mask_overlap, all 0, nor mask_iou, never known.
    assert shown == ["learning_rate", "loss", "score", "box", "mask"]
    measured, _ = panels[1].lines
    assert list(measured.get_ydata()) == [row.loss for row in rows]
    assert curve_chart("run", rows[:1]).axes
    with pytest.raises(ValueError, match="no lines"):
        curve_chart("run", [])
