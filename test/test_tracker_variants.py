# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tracking step of the paper's other systems: two branches, the box alone, no refiner.

The networks look at the picture: the target is what is bright. So a whole clip can be followed, and
the truth is known from how the clip was drawn.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor

from siammask_ros.geometry import Box, box_iou
from siammask_ros.network import ExemplarKernels, SearchOutput, build_network
from siammask_ros.tracker import PRESETS, SiamMaskTracker, TrackerConfig

if TYPE_CHECKING:
    from collections.abc import Iterable

SIZE_WH = (320, 240)
CELLS = 25
STRIDE = 8
HIGH = 6.0
BRIGHT = 128


def scene(box_xywh: Iterable[float]) -> np.ndarray:
    """A bright box of whole pixels on a dark ground."""
    image = np.full((*SIZE_WH[::-1], 3), 20, dtype=np.uint8)
    left, top, width, height = (int(number) for number in box_xywh)
    image[top : top + height, left : left + width] = 230
    return image


class Bright:
    """Two branches: similarity is high where the bright part's middle is, its mask is exact.

    Args:
        has_masks: whether masks are right; else they are empty.
        size_matters: whether similarity falls off when the target has not the exemplar's size.
    """

    has_boxes = False

    def __init__(self, *, has_masks: bool = True, size_matters: bool = False) -> None:
        self.has_masks = has_masks
        self.size_matters = size_matters
        self.patches = torch.empty(0)
        self.batches: list[int] = []

    def exemplar(self, exemplar_patch: Tensor) -> ExemplarKernels:
        """The target's area is all there is to remember."""
        area = (exemplar_patch.mean(dim=1) > BRIGHT).sum(dim=(1, 2)).reshape(-1, 1, 1, 1).float()
        return ExemplarKernels(score=area, box=None, mask=area)

    def search(self, search_patch: Tensor, kernels: ExemplarKernels) -> SearchOutput:
        """A parabola whose top is the bright part's middle."""
        self.batches.append(len(search_patch))
        centers = torch.arange(CELLS) * STRIDE + 31.0
        logits = torch.full((len(search_patch), 1, CELLS, CELLS), -HIGH)
        bright = search_patch.mean(dim=1) > BRIGHT
        for index, patch in enumerate(bright):
            if not patch.any():
                continue
            rows, columns = torch.nonzero(patch).double().mean(dim=0)
            squares = (centers[:, None] - rows) ** 2 + (centers[None] - columns) ** 2
            logits[index, 0] = HIGH - squares / 64
            if self.size_matters:
                ratio = patch.sum() / kernels.score[index, 0, 0, 0]
                logits[index, 0] -= 40 * math.log(ratio) ** 2
        return SearchOutput(logits, None, bright[:, None].float(), ())

    def mask_at(self, output: SearchOutput, rows: Tensor, columns: Tensor) -> Tensor:
        """The bright part in the window of each response."""
        windows = []
        for bright, row, column in zip(output.mask_responses, rows, columns, strict=True):
            padded = torch.nn.functional.pad(bright[0], (32, 32, 32, 32))
            top, left = STRIDE * int(row), STRIDE * int(column)
            windows.append(padded[top : top + 127, left : left + 127])
        masks = torch.stack(windows)
        return (masks if self.has_masks else torch.zeros_like(masks)) * 2 * HIGH - HIGH


def tracker_of(network: Bright, preset: str = "two_branch", **changes: Any) -> SiamMaskTracker:
    return SiamMaskTracker(network, TrackerConfig.preset(preset, **changes))


def test_choice_is_a_response_and_confidence_its_similarity() -> None:
    tracker = tracker_of(Bright(), window_influence=0)
    state = tracker.initialize(scene((140, 90, 40, 60)), (140, 90, 40, 60))
    pitch = 127 / tracker.config.context_side((40, 60))  # patch pixels per image pixel
    _, result = tracker.track(scene((160, 80, 40, 60)), state)
    column, row = 12 + round(20 * pitch / STRIDE), 12 - round(10 * pitch / STRIDE)
    assert result.anchor_position == (0, row, column)
    assert result.anchor_index == row * CELLS + column
    rest = np.array([20 * pitch - (column - 12) * STRIDE, -10 * pitch - (row - 12) * STRIDE])
    logit = HIGH - (rest**2).sum() / 64
    assert result.confidence == pytest.approx(1 / (1 + math.exp(-logit)), abs=0.01)


def test_mask_gives_the_next_search_region() -> None:
    tracker = tracker_of(Bright())
    state = tracker.initialize(scene((140, 90, 40, 60)), (140, 90, 40, 60))
    state, result = tracker.track(scene((150, 84, 46, 70)), state)
    assert result.has_mask_box
    rows, columns = np.nonzero(result.mask)
    minmax = Box(
        columns.min(),
        rows.min(),
        columns.max() + 1 - columns.min(),
        rows.max() + 1 - rows.min(),
    )
    assert result.box_xywh == pytest.approx(minmax.xywh)
    assert state.box.xywh == pytest.approx(minmax.xywh)
    assert box_iou(state.box, Box(150, 84, 46, 70)) > 0.9


@pytest.mark.parametrize("masks", ["empty", "tiny"])
def test_without_a_mask_it_goes_where_the_response_is_and_keeps_its_size(masks: str) -> None:
    changes: dict[str, Any] = {"min_contour_area": 1e6} if masks == "tiny" else {}
    tracker = tracker_of(Bright(has_masks=masks == "tiny"), **changes)
    state = tracker.initialize(scene((140, 90, 40, 60)), (140, 90, 40, 60))
    moved, result = tracker.track(scene((153, 82, 40, 60)), state)
    assert not result.has_mask_box
    assert (result.mask_area > 0) == (masks == "tiny")
    assert moved.size_wh == pytest.approx((40, 60))
    # Finer than the responses' pitch, which is 6 image pixels here. (The network finds the pixels'
    # middle, half a pixel from that of the box.)
    assert moved.center_xy == pytest.approx((172.5, 111.5), abs=0.2)
    np.testing.assert_allclose(result.corners[0], result.box_xywh[:2])


def test_size_has_no_influence_on_the_choice() -> None:
    results = []
    for penalty in (0.0, 50.0):
        tracker = tracker_of(Bright(), change_penalty=penalty)
        state = tracker.initialize(scene((140, 90, 40, 60)), (140, 90, 40, 60))
        results.append(tracker.track(scene((155, 95, 50, 50)), state)[1])
    assert results[0].confidence == results[1].confidence
    assert results[0].anchor_index == results[1].anchor_index


@pytest.mark.parametrize("preset", ["two_branch", "siamfc"])
def test_a_clip_is_followed(preset: str) -> None:
    """Motion, and a growing target: by the mask's box, or by three scales without a mask."""
    network = Bright(size_matters=preset == "siamfc")
    tracker = tracker_of(network, preset)
    side, center = 40.0, np.array([100.0, 120.0])
    state = tracker.initialize(scene((80, 100, 40, 40)), (80, 100, 40, 40))
    for _ in range(25):
        side *= 1.02
        center += (4, -1.5)
        box = np.round((*(center - side / 2), side, side))
        state, result = tracker.track(scene(box), state)
        assert box_iou(result.box, Box(*box)) > 0.8
        assert box_iou(state.box, Box(*box)) > 0.8
        assert result.has_mask_box == (preset == "two_branch")
    assert network.batches == [3 if preset == "siamfc" else 1] * 25


def test_one_scale_does_not_see_a_target_grow() -> None:
    tracker = tracker_of(Bright(size_matters=True), "siamfc", scale_step=1.0)
    state = tracker.initialize(scene((80, 100, 40, 40)), (80, 100, 40, 40))
    for side in range(40, 60):
        state, _ = tracker.track(scene((100 - side // 2, 120 - side // 2, side, side)), state)
    assert state.size_wh == pytest.approx((40, 40))


@pytest.mark.parametrize("preset", ["two_branch", "siamfc"])
@pytest.mark.parametrize("masks", ["best", "none"])
def test_batch_gives_what_single_runs_give(preset: str, masks: str) -> None:
    tracker = tracker_of(Bright(size_matters=True), preset, masks=masks)
    targets = [((140, 90, 40, 60), (150, 95, 44, 66)), ((60, 120, 50, 30), (54, 118, 46, 28))]
    states = tracker.initialize_batch([(scene(first), first) for first, _ in targets])
    together = tracker.track_batch(
        [(scene(second), state) for (_, second), state in zip(targets, states, strict=True)]
    )
    for (first, second), (state, result) in zip(targets, together, strict=True):
        alone, result_alone = tracker.track(scene(second), tracker.initialize(scene(first), first))
        assert (state.center_xy, state.size_wh) == (alone.center_xy, alone.size_wh)
        assert result.confidence == result_alone.confidence
        assert np.array_equal(result.mask, result_alone.mask)
        assert box_iou(result.box, Box(*second)) > 0.8


def test_box_alone_moves_as_with_masks_and_is_the_mask() -> None:
    """SiamMask-box: the official tracker's mask never feeds back."""
    torch.manual_seed(0)
    network = build_network("siammask_r50_refine", width_divisor=16).eval()
    image = np.random.default_rng(0).integers(0, 256, (*SIZE_WH[::-1], 3), dtype=np.uint8)
    trackers = [
        SiamMaskTracker(network, TrackerConfig.preset("vot", masks=masks))
        for masks in ("best", "none")
    ]
    states = [tracker.initialize(image, (140, 90, 40, 60)) for tracker in trackers]
    for _ in range(3):
        (full, with_mask), (box, without) = (
            tracker.track(image, state) for tracker, state in zip(trackers, states, strict=True)
        )
        assert (full.center_xy, full.size_wh) == (box.center_xy, box.size_wh)
        assert with_mask.confidence == without.confidence
        states = [full, box]
    assert not without.has_mask_box
    assert without.rotated_box.theta == 0
    left, top, width, height = without.box_xywh
    rows, columns = np.nonzero(without.mask)
    found = (columns.min(), columns.max() + 1, rows.min(), rows.max() + 1)
    limits = np.clip((left, left + width, top, top + height), 0, np.repeat(SIZE_WH, 2))
    np.testing.assert_allclose(found, limits, atol=0.5)
    assert without.mask_area == (found[1] - found[0]) * (found[3] - found[2])
    assert without.mask_probability.max() == 1


def test_box_alone_is_limited_to_the_image() -> None:
    """As the official code reports it; the box in a mask's place it does not limit."""
    tracker = tracker_of(Bright(), "vot", masks="none", window_influence=1)
    state = tracker.initialize(scene((280, 90, 40, 60)), (280, 90, 40, 60))
    state = replace(state, center_xy=(340.0, 120.0))
    moved, result = tracker.track(scene((0, 0, 0, 0)), state)
    assert moved.center_xy[0] == SIZE_WH[0]
    np.testing.assert_allclose(result.corners[0], result.box_xywh[:2])
    assert result.box_xywh == pytest.approx(moved.box.xywh)


def test_mask_of_a_box_outside_the_image_is_empty() -> None:
    tracker = tracker_of(Bright(), masks="none", min_target_side=0.4)
    state = tracker.initialize(scene((140, 90, 40, 60)), (140, 90, 40, 60))
    smaller = scene((140, 90, 40, 60))[:1, :1].copy()
    _, result = tracker.track(smaller, state)
    assert result.mask.shape == (1, 1)
    assert result.mask_area <= 1


def test_without_the_refiner_masks_are_the_coarse_ones() -> None:
    torch.manual_seed(0)
    network = build_network("siammask_r50_refine", width_divisor=16).eval()
    image = np.random.default_rng(0).integers(0, 256, (*SIZE_WH[::-1], 3), dtype=np.uint8)
    coarse = SiamMaskTracker(network, TrackerConfig.preset("vot", masks="coarse"))
    state = coarse.initialize(image, (140, 90, 40, 60))
    _, result = coarse.track(image, state)

    class WithoutRefiner:
        """The same network, built without one."""

        exemplar, search = network.exemplar, network.search

        @staticmethod
        def mask_at(output: SearchOutput, rows: Tensor, columns: Tensor) -> Tensor:
            return network.coarse_masks(output.mask_responses)[
                torch.arange(len(rows)), :, rows, columns
            ].reshape(-1, 63, 63)

    built = SiamMaskTracker(WithoutRefiner(), TrackerConfig.preset("vot"))
    _, expected = built.track(image, state)
    np.testing.assert_allclose(result.mask_probability, expected.mask_probability, atol=1e-5)
    refined = SiamMaskTracker(network, TrackerConfig.preset("vot")).track(image, state)[1]
    assert not np.allclose(result.mask_probability, refined.mask_probability, atol=1e-3)


def test_coarse_masks_of_a_network_without_are_refused() -> None:
    network = build_network("compact", channels=(4, 4, 4), blocks=(1, 1, 1), width=4).eval()
    with pytest.raises(ValueError, match="masks is coarse, but compact has no coarse masks"):
        SiamMaskTracker(network, TrackerConfig.preset("compact", masks="coarse"))


@pytest.mark.parametrize(
    ("architecture", "options"),
    [
        ("compact", {"two_branch": True, "channels": (4, 8, 8), "blocks": (1, 1, 1), "width": 8}),
        ("siammask_2b_r50_base", {"width_divisor": 16}),
        ("siammask_2b_r50_refine", {"width_divisor": 16}),
    ],
)
def test_two_branch_networks_track(architecture: str, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = build_network(architecture, **options).eval()
    tracker = SiamMaskTracker(network)
    assert tracker.config == TrackerConfig.preset("two_branch")
    image = np.random.default_rng(0).integers(0, 256, (*SIZE_WH[::-1], 3), dtype=np.uint8)
    state = tracker.initialize(image, (140, 90, 40, 60))
    assert state.kernels.box is None
    for _ in range(2):
        state, result = tracker.track(image, state)
    assert np.isfinite(result.box_xywh).all()
    assert 0 <= result.confidence <= 1
    assert result.mask.shape == SIZE_WH[::-1]


def test_presets_of_the_paper() -> None:
    two_branch, siamfc = (TrackerConfig.preset(name) for name in ("two_branch", "siamfc"))
    assert two_branch.mask_threshold == 0.5
    assert (two_branch.mask_box_blend, two_branch.mask_box_min_iou) == (1, 0)
    assert siamfc.masks == "none"
    smaller, same, larger = siamfc.search_scales
    assert (same, larger / same, same / smaller) == pytest.approx((1, 1.0375, 1.0375))
    penalty = math.exp(-(larger - 1) * siamfc.change_penalty)
    assert penalty == pytest.approx(0.9745, abs=1e-5)
    others = set(PRESETS) - {"box", "two_branch", "siamfc"}
    for name in others:
        config = TrackerConfig.preset(name)
        assert (config.masks, config.search_scales) == ("best", (1.0,))
