# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is counted when two ways of running a network are compared."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from siammask_ros.evaluation import LabelledFrame
from siammask_ros.evaluation.agreement import agreement_markdown, measure_agreement
from siammask_ros.network import ExemplarKernels, SearchOutput
from siammask_ros.tracker_config import TrackerConfig

CONFIG = TrackerConfig.preset("davis")


class OnePeak:
    """Finds the target at one response; in some calls at another."""

    def __init__(self, *, strays_in: tuple[int, ...] = (), mask_rows: int = 127) -> None:
        self.calls = 0
        self.strays_in = strays_in
        self.mask_rows = mask_rows

    def exemplar(self, exemplar_patch: Tensor) -> ExemplarKernels:
        kernel = torch.zeros(len(exemplar_patch), 1, 1, 1)
        return ExemplarKernels(kernel, kernel, kernel)

    def search(self, search_patch: Tensor, kernels: ExemplarKernels) -> SearchOutput:
        logits = torch.full((1, 10, 25, 25), -8.0)
        logits[:, :5] = 8.0
        column = 13 if self.calls in self.strays_in else 12
        logits[:, 7, 12, column], logits[:, 2, 12, column] = 8.0, -8.0
        self.calls += 1
        return SearchOutput(logits, torch.zeros(1, 20, 25, 25), torch.zeros(1, 1, 25, 25), ())

    def mask_at(self, output: SearchOutput, rows: Tensor, columns: Tensor) -> Tensor:
        mask = torch.full((1, 127, 127), -8.0)
        mask[:, : self.mask_rows] = 8.0
        return mask


class Still:
    """A sequence of one image."""

    name = "still"

    def __init__(self, frames: int) -> None:
        mask = np.zeros((240, 320), bool)
        mask[90:150, 130:190] = True
        self.frames = [LabelledFrame(np.zeros((240, 320, 3), np.uint8), mask)] * frames

    def __len__(self) -> int:
        return len(self.frames)

    def frame(self, index: int) -> LabelledFrame:
        return self.frames[index]


def test_a_network_agrees_with_itself() -> None:
    seen: list[object] = []
    found = measure_agreement([Still(5)], OnePeak(), OnePeak(), CONFIG, on_frame=seen.append)
    assert len(found.steps) == len(seen) == 4
    assert (found.same_anchors, found.mask_iou(), found.confidence_change) == (1, 1, 0)


def test_a_difference_counts_once() -> None:
    """The next step begins where the first network was."""
    found = measure_agreement([Still(6)], OnePeak(), OnePeak(strays_in=(2,)), CONFIG)
    assert [step.same_anchor for step in found.steps] == [True, True, False, True, True]
    assert found.same_anchors == pytest.approx(0.8)
    assert found.steps[2].mask_iou < 1
    assert found.mask_iou(0) == found.steps[2].mask_iou
    assert "Another anchor in 1 frames: still 3" in agreement_markdown("other", found)


def test_masks_are_compared() -> None:
    found = measure_agreement([Still(3)], OnePeak(), OnePeak(mask_rows=64), CONFIG)
    assert found.same_anchors == 1
    assert found.mask_iou() == pytest.approx(64 / 127, abs=0.02)


def test_nothing_to_compare() -> None:
    with pytest.raises(ValueError, match="no frames"):
        measure_agreement([Still(1)], OnePeak(), OnePeak(), CONFIG)
