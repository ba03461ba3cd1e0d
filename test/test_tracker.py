# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tracking step, with a network whose answers the test chooses."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

import siammask_ros
from siammask_ros.masks import BOX_FITS, BoxFit, fit_box
from siammask_ros.network import ExemplarKernels, SearchOutput
from siammask_ros.tracker import PRESETS, SiamMaskTracker, TrackerConfig, TrackerState
from siammask_ros.tracker_config import parse_settings

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE_WH = (320, 240)
BOX = (140.0, 90.0, 40.0, 60.0)
LOW, HIGH = -8.0, 8.0
MIDDLE = 12  # row and column of the middle response


class ScriptedNetwork:
    """Answers every search with one high score, box deltas and a mask that are set by the test."""

    def __init__(self, *, mask_size: int = 127) -> None:
        self.anchor, self.row, self.column = 2, MIDDLE, MIDDLE
        self.score_logit = HIGH
        self.deltas = (0.0, 0.0, 0.0, 0.0)
        self.mask_logits = torch.full((mask_size, mask_size), LOW)
        self.searches: list[Tensor] = []
        self.exemplars: list[Tensor] = []
        self.mask_cells: list[tuple[int, int]] = []

    def exemplar(self, exemplar_patch: Tensor) -> ExemplarKernels:
        """Kernels from which the target can be told: the mean of the patch."""
        self.exemplars.append(exemplar_patch)
        kernel = exemplar_patch.mean(dim=(1, 2, 3)).reshape(-1, 1, 1, 1)
        return ExemplarKernels(kernel, kernel, kernel)

    def search(self, search_patch: Tensor, kernels: ExemplarKernels) -> SearchOutput:
        """One peak per sample."""
        assert search_patch.shape == (len(kernels.score), 3, 255, 255)
        self.searches.append(search_patch)
        count = len(search_patch)
        logits = torch.zeros(count, 10, 25, 25)
        logits[:, 5:] = 2 * LOW
        logits[:, 5 + self.anchor, self.row, self.column] = self.score_logit
        deltas = torch.zeros(count, 4, 5, 25, 25)
        deltas[:, :, self.anchor, self.row, self.column] = torch.tensor(self.deltas)
        return SearchOutput(logits, deltas.flatten(1, 2), torch.zeros(count, 1, 25, 25), ())

    def mask_at(self, output: SearchOutput, rows: Tensor, columns: Tensor) -> Tensor:
        """The same mask for every sample."""
        assert len(output.score_logits) == len(rows) == len(columns)
        assert (rows.dtype, columns.dtype) == (torch.int64, torch.int64)
        self.mask_cells = list(zip(rows.tolist(), columns.tolist(), strict=True))
        return self.mask_logits.expand(len(rows), -1, -1)


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*SIZE_WH[::-1], 3), dtype=np.uint8)


@pytest.fixture
def network() -> ScriptedNetwork:
    return ScriptedNetwork()


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def delta_of_size(network: ScriptedNetwork, tracker: SiamMaskTracker, state: TrackerState) -> None:
    """Make the network predict exactly the size that the state has."""
    scale = 127 / tracker.config.context_side(state.size_wh)
    anchor_wh = tracker.config.anchors.shapes_wh[network.anchor]
    logs = [math.log(side * scale / anchor_wh[i]) for i, side in enumerate(state.size_wh)]
    network.deltas = (*network.deltas[:2], *logs)


def test_initial_state(image: np.ndarray, network: ScriptedNetwork) -> None:
    state = SiamMaskTracker(network, TrackerConfig.preset("davis")).initialize(image, BOX)
    assert state.center_xy == (160, 120)
    assert state.size_wh == (40, 60)
    assert state.image_size_wh == SIZE_WH
    assert state.padding_bgr == tuple(int(mean) for mean in image.mean(axis=(0, 1)))
    assert network.exemplars[0].shape == (1, 3, 127, 127)
    assert network.exemplars[0].dtype == torch.float32


def test_pysot_centre_is_half_a_pixel_less(image: np.ndarray, network: ScriptedNetwork) -> None:
    state = SiamMaskTracker(network, TrackerConfig.preset("pysot")).initialize(image, BOX)
    assert state.center_xy == (159.5, 119.5)


def test_exemplar_runs_once(image: np.ndarray, network: ScriptedNetwork) -> None:
    tracker = SiamMaskTracker(network, TrackerConfig.preset("davis"))
    state = tracker.initialize(image, BOX)
    for _ in range(3):
        state, _ = tracker.track(image, state)
    assert (len(network.exemplars), len(network.searches)) == (1, 3)


def test_offset_moves_the_target_in_full(image: np.ndarray, network: ScriptedNetwork) -> None:
    config = TrackerConfig.preset("vot")  # smooths the size, but never the position
    tracker = SiamMaskTracker(network, config)
    state = tracker.initialize(image, BOX)
    network.row, network.column = 14, 11
    network.deltas = (0.25, -0.125, 0, 0)
    moved, result = tracker.track(image, state)
    image_per_patch = config.context_side((40, 60)) / 127
    offset = ((11 - 12) * 8 + 0.25 * 64, (14 - 12) * 8 - 0.125 * 64)  # anchor 2 is 64x64
    assert moved.center_xy == pytest.approx(
        (160 + offset[0] * image_per_patch, 120 + offset[1] * image_per_patch)
    )
    assert result.response_rc == (14, 11)
    assert result.anchor_index == 2 * 625 + 14 * 25 + 11
    assert result.confidence == pytest.approx(sigmoid(HIGH), rel=1e-6)


@pytest.mark.parametrize("preset", ["davis", "vot", "base"])
def test_size_is_smoothed_by_penalty_times_raw_score(
    image: np.ndarray, network: ScriptedNetwork, preset: str
) -> None:
    config = TrackerConfig.preset(preset)
    tracker = SiamMaskTracker(network, config)
    state = tracker.initialize(image, BOX)
    network.score_logit = 2.0
    network.deltas = (0, 0, 0.2, -0.1)
    moved, _ = tracker.track(image, state)
    side = math.sqrt(90 * 110)
    predicted = np.array([64 * math.exp(0.2), 64 * math.exp(-0.1)]) * side / 127
    padded = math.sqrt((predicted[0] * 3 + predicted[1]) * (predicted[1] * 3 + predicted[0])) / 2
    size_change = max(padded / side, side / padded)
    ratio = (40 / 60) / (predicted[0] / predicted[1])
    ratio_change = max(ratio, 1 / ratio)
    penalty = math.exp(-(size_change * ratio_change - 1) * config.change_penalty)
    rate = penalty * sigmoid(2.0) * config.size_smoothing
    expected = np.array([40, 60]) * (1 - rate) + predicted * rate
    assert moved.size_wh == pytest.approx(tuple(expected), rel=1e-6)


def test_window_prefers_the_middle_unless_it_has_no_influence(image: np.ndarray) -> None:
    class TwoPeaks(ScriptedNetwork):
        def search(self, search_patch: Tensor, kernels: ExemplarKernels) -> SearchOutput:
            output = super().search(search_patch, kernels)
            output.score_logits[:, 5 + 2, 2, 3] = self.score_logit + 1  # higher, far out
            return output

    network = TwoPeaks()
    network.score_logit = 2.0
    for influence, expected in ((0.4, (MIDDLE, MIDDLE)), (0.0, (2, 3))):
        network.row, network.column = MIDDLE, MIDDLE
        tracker = SiamMaskTracker(
            network, TrackerConfig.preset("davis", window_influence=influence, change_penalty=0)
        )
        state = tracker.initialize(image, BOX)
        _, result = tracker.track(image, state)
        assert result.response_rc == expected
        assert network.mask_cells == [expected]


def test_first_of_equal_scores_wins(image: np.ndarray) -> None:
    class Flat(ScriptedNetwork):
        def search(self, search_patch: Tensor, kernels: ExemplarKernels) -> SearchOutput:
            output = super().search(search_patch, kernels)
            output.score_logits.zero_()
            output.box_deltas.zero_()
            return output

    network = Flat()
    config = TrackerConfig.preset("davis", window_influence=0, change_penalty=0)
    tracker = SiamMaskTracker(network, config)
    _, result = tracker.track(image, tracker.initialize(image, BOX))
    assert result.anchor_index == 0
    assert result.confidence == 0.5


def test_position_and_size_are_limited_to_the_image(
    image: np.ndarray, network: ScriptedNetwork
) -> None:
    tracker = SiamMaskTracker(network, TrackerConfig.preset("davis", change_penalty=0))
    state = tracker.initialize(image, BOX)
    network.deltas = (9.0, -9.0, 3.0, -6.0)
    moved, result = tracker.track(image, state)
    assert moved.center_xy == (320, 0)  # inclusive, not 319
    assert moved.size_wh == (320, 10)
    assert result.box_xywh == (160, -5, 320, 10)


def test_fallback_box_is_made_before_or_after_limiting(
    image: np.ndarray, network: ScriptedNetwork
) -> None:
    for preset, inside in (("davis", False), ("pysot", True)):
        tracker = SiamMaskTracker(network, TrackerConfig.preset(preset))
        state = tracker.initialize(image, BOX)
        delta_of_size(network, tracker, state)
        network.deltas = (9.0, 0.0, *network.deltas[2:])
        _, result = tracker.track(image, state)
        assert not result.has_mask_box
        assert result.rotated_box.theta == 0
        assert (result.rotated_box.center_xy[0] <= SIZE_WH[0]) == inside
        left, top, width, height = result.box_xywh
        if inside:
            np.testing.assert_allclose(result.corners[0], (left, top))
            np.testing.assert_allclose(result.corners[2], (left + width, top + height))


def disc_logits(size: int, center_rc: tuple[float, float], radius: float) -> Tensor:
    rows, columns = np.indices((size, size))
    distance = np.hypot(rows - center_rc[0], columns - center_rc[1])
    return torch.tensor((radius - distance) * 2, dtype=torch.float32)


@pytest.mark.parametrize("mask_size", [63, 127])
@pytest.mark.parametrize("preset", ["davis", "compact"])
def test_mask_lands_where_the_window_lies(image: np.ndarray, preset: str, mask_size: int) -> None:
    network = ScriptedNetwork(mask_size=mask_size)
    # The disc's probability passes one half at its radius.
    tracker = SiamMaskTracker(network, TrackerConfig.preset(preset, mask_threshold=0.5))
    state = tracker.initialize(image, BOX)
    network.row, network.column = 13, 9
    half = (mask_size - 1) / 2
    network.mask_logits = disc_logits(mask_size, (half, half), mask_size / 4)
    _, result = tracker.track(image, state)
    image_per_patch = tracker.config.context_side((40, 60)) / 127
    rows, columns = np.nonzero(result.mask)
    expected = (160 + (9 - 12) * 8 * image_per_patch, 120 + (13 - 12) * 8 * image_per_patch)
    tolerance = 0.2 if preset == "compact" else 1.5  # the official placing is half a pixel off
    assert (columns.mean(), rows.mean()) == pytest.approx(expected, abs=tolerance)
    radius = 127 / 4 * image_per_patch
    assert result.mask_area == pytest.approx(math.pi * radius**2, rel=0.05)
    assert result.has_mask_box
    assert result.rotated_box.center_xy == pytest.approx(expected, abs=tolerance + 1)


def test_exact_alignment_has_no_bias(image: np.ndarray, network: ScriptedNetwork) -> None:
    tracker = SiamMaskTracker(network, TrackerConfig.preset("compact"))
    state = tracker.initialize(image, BOX)
    network.mask_logits = disc_logits(127, (63, 63), 30)
    _, result = tracker.track(image, state)
    rows, columns = np.nonzero(result.mask)
    assert (columns.mean(), rows.mean()) == pytest.approx((160, 120), abs=0.02)


def test_full_frame_mask_is_the_region_and_nothing_else(
    image: np.ndarray, network: ScriptedNetwork
) -> None:
    tracker = SiamMaskTracker(network, TrackerConfig.preset("davis"))
    state = tracker.initialize(image, BOX)
    rng = np.random.default_rng(0)
    network.mask_logits = torch.tensor(rng.normal(0, 3, (127, 127)), dtype=torch.float32)
    _, result = tracker.track(image, state)
    assert result.mask.shape == result.mask_probability.shape == (240, 320)
    assert (result.mask.dtype, result.mask_probability.dtype) == (np.bool_, np.float32)
    assert np.array_equal(result.mask, result.mask_probability > 0.35)
    assert result.mask_area == result.mask.sum() > 0
    outside = np.ones((240, 320), dtype=bool)
    outside[result.mask_roi.slices] = False
    assert outside.any()
    assert result.mask_probability[outside].max() == 0
    assert result.mask_probability.min() >= 0
    assert result.mask_probability.max() <= 1
    assert result.mask is result.mask


def test_batch_gives_what_single_runs_give(image: np.ndarray) -> None:
    torch.manual_seed(0)
    other_image = image[::-1, :300].copy()
    network = ScriptedNetwork()
    network.deltas = (0.1, 0.2, 0.0, 0.1)
    network.mask_logits = disc_logits(127, (50, 70), 25)
    tracker = SiamMaskTracker(network, TrackerConfig.preset("vot"))
    targets = [(image, BOX), (other_image, (10, 10, 30, 20)), (image, (200, 150, 80, 50))]
    states = tracker.initialize_batch(targets)
    assert len(network.exemplars) == 1
    results = tracker.track_batch(
        [(target[0], state) for target, state in zip(targets, states, strict=True)]
    )
    assert len(network.searches) == 1
    for target, state, (moved, result) in zip(targets, states, results, strict=True):
        alone = tracker.initialize(*target)
        assert alone.center_xy == state.center_xy
        assert torch.equal(alone.kernels.score, state.kernels.score)
        moved_alone, result_alone = tracker.track(target[0], alone)
        assert moved.center_xy == moved_alone.center_xy
        assert moved.size_wh == moved_alone.size_wh
        assert np.array_equal(result.mask, result_alone.mask)
        assert result.confidence == result_alone.confidence


def test_a_network_that_would_learn_is_refused() -> None:
    network = siammask_ros.build_network("compact", channels=(4, 4, 4), blocks=(1, 1, 1), width=4)
    with pytest.raises(ValueError, match="training mode"):
        SiamMaskTracker(network)
    assert SiamMaskTracker(network.eval()).config == TrackerConfig.preset("compact")


@pytest.mark.parametrize("as_text", [False, True])
def test_an_absent_device_is_refused(as_text: bool) -> None:  # noqa: FBT001
    network = siammask_ros.build_network("compact", channels=(4, 4, 4), blocks=(1, 1, 1), width=4)
    absent = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(ValueError, match=f"device '{absent}' is not available"):
        SiamMaskTracker(network.eval(), device=absent if as_text else torch.device(absent))


def test_empty_batches() -> None:
    tracker = SiamMaskTracker(ScriptedNetwork(), TrackerConfig())
    assert tracker.initialize_batch([]) == []
    assert tracker.track_batch([]) == []


def test_tracking_changes_neither_image_nor_old_state(
    image: np.ndarray, network: ScriptedNetwork
) -> None:
    tracker = SiamMaskTracker(network, TrackerConfig.preset("davis"))
    before = image.copy()
    state = tracker.initialize(image, BOX)
    first = tracker.track(image, state)[0]
    second = tracker.track(image, state)[0]
    assert first.center_xy == second.center_xy
    assert state.center_xy == (160, 120)
    assert np.array_equal(image, before)


def test_replace_moves_a_target(image: np.ndarray, network: ScriptedNetwork) -> None:
    tracker = SiamMaskTracker(network, TrackerConfig.preset("davis"))
    state = tracker.initialize(image, BOX)
    moved, _ = tracker.track(image, dataclasses.replace(state, center_xy=(50.0, 60.0)))
    assert moved.center_xy == pytest.approx((50, 60), abs=0.01)
    for bad in ({"center_xy": (math.nan, 1.0)}, {"size_wh": (0.0, 5.0)}):
        with pytest.raises(ValueError, match="finite centre"):
            dataclasses.replace(state, **bad)  # type: ignore[arg-type]


def test_mask_box_is_blended_where_it_is_plausible(
    image: np.ndarray, network: ScriptedNetwork
) -> None:
    plain = SiamMaskTracker(network, TrackerConfig.preset("compact"))
    blended = SiamMaskTracker(network, TrackerConfig.preset("compact", mask_box_blend=0.5))
    state = plain.initialize(image, BOX)
    delta_of_size(network, plain, state)
    network.mask_logits = disc_logits(127, (70, 63), 30)
    without, result = plain.track(image, state)
    with_mask, _ = blended.track(image, state)
    rows, columns = np.nonzero(result.mask)
    left, top = columns.min(), rows.min()
    size = (columns.max() + 1 - left, rows.max() + 1 - top)
    center = (left + size[0] / 2, top + size[1] / 2)
    assert with_mask.center_xy == pytest.approx(np.add(without.center_xy, center) / 2)
    assert with_mask.size_wh == pytest.approx(np.add(without.size_wh, size) / 2)
    network.mask_logits = disc_logits(127, (63, 118), 8)  # small and far away: not believed
    assert blended.track(image, state)[0].center_xy == without.center_xy


def test_the_masks_box_is_reported_where_it_is_plausible(
    image: np.ndarray, network: ScriptedNetwork
) -> None:
    plain = SiamMaskTracker(
        network, TrackerConfig.preset("compact", reported_box="predicted", mask_box_min_iou=0.3)
    )
    tracker = SiamMaskTracker(
        network, TrackerConfig.preset("compact", reported_box="mask", mask_box_min_iou=0.3)
    )
    state = plain.initialize(image, BOX)
    delta_of_size(network, plain, state)
    network.mask_logits = disc_logits(127, (70, 63), 30)
    network.mask_logits[5:8, 5:8] = 9  # a speck apart does not count
    expected_state, expected = plain.track(image, state)
    new_state, result = tracker.track(image, state)
    assert new_state.box == expected_state.box
    assert expected.box == new_state.box
    count, labels = cv2.connectedComponents(result.mask.astype(np.uint8))
    assert count == 3
    largest = max((np.argwhere(labels == part) for part in (1, 2)), key=len)
    (top, left), (bottom, right) = largest.min(axis=0), largest.max(axis=0)
    assert result.box_xywh == (left, top, right + 1 - left, bottom + 1 - top)
    network.mask_logits = disc_logits(127, (63, 118), 8)  # small and far away: not believed
    far_state, far = tracker.track(image, state)
    assert far.box == far_state.box


@pytest.mark.parametrize("fit", BOX_FITS)
def test_the_rotated_box_is_fitted_as_asked(
    image: np.ndarray, network: ScriptedNetwork, fit: BoxFit
) -> None:
    usual = SiamMaskTracker(network, TrackerConfig.preset("compact", mask_box_blend=0.5))
    tracker = SiamMaskTracker(
        network, TrackerConfig.preset("compact", mask_box_blend=0.5, box_fit=fit)
    )
    state = usual.initialize(image, BOX)
    delta_of_size(network, usual, state)
    network.mask_logits = disc_logits(127, (70, 63), 30)
    network.mask_logits[60:64, 63:] = 9  # something sticks out
    expected_state, expected = usual.track(image, state)
    new_state, result = tracker.track(image, state)
    assert new_state.box == expected_state.box  # the step itself knows the min-max box only
    assert result.box == expected.box
    assert result.has_mask_box
    if fit == "mbr":
        assert result.rotated_box == expected.rotated_box
        return
    box = fit_box(result.mask, fit)
    assert box is not None
    np.testing.assert_allclose(result.rotated_box.corners, box.corners, atol=1e-3)
    assert np.abs(result.rotated_box.corners - expected.rotated_box.corners).max() > 1


def test_image_size_may_change(image: np.ndarray, network: ScriptedNetwork) -> None:
    tracker = SiamMaskTracker(network, TrackerConfig.preset("davis"))
    state = tracker.initialize(image, (250, 180, 60, 50))
    smaller = image[:100, :150].copy()
    moved, result = tracker.track(smaller, state)
    assert moved.image_size_wh == (150, 100)
    assert moved.center_xy == pytest.approx((150, 100), abs=0.01)
    assert result.mask.shape == (100, 150)
    larger, result = tracker.track(image, moved)
    assert larger.image_size_wh == SIZE_WH
    assert result.mask.shape == (240, 320)


@pytest.mark.parametrize("size_wh", [(1, 1), (5, 200), (2000, 12)])
def test_odd_image_sizes(network: ScriptedNetwork, size_wh: tuple[int, int]) -> None:
    tracker = SiamMaskTracker(network, TrackerConfig.preset("compact"))
    start = np.zeros((240, 320, 3), dtype=np.uint8)
    state = tracker.initialize(start, BOX)
    network.mask_logits = disc_logits(127, (63, 63), 30)
    _, result = tracker.track(np.zeros((*size_wh[::-1], 3), dtype=np.uint8), state)
    assert result.mask.shape == size_wh[::-1]


@pytest.mark.parametrize(
    ("bad_image", "message"),
    [
        (np.zeros((0, 0, 3), np.uint8), "empty"),
        (np.zeros((240, 320), np.uint8), r"\(240, 320\)"),
        (np.zeros((240, 320, 4), np.uint8), r"\(240, 320, 4\)"),
        (np.zeros((240, 320, 3), np.float64), "float64"),
    ],
)
def test_bad_images_are_refused(
    image: np.ndarray, network: ScriptedNetwork, bad_image: np.ndarray, message: str
) -> None:
    tracker = SiamMaskTracker(network, TrackerConfig.preset("davis"))
    state = tracker.initialize(image, BOX)
    network.exemplars.clear()
    with pytest.raises(ValueError, match=message):
        tracker.initialize(bad_image, BOX)
    with pytest.raises(ValueError, match=message):
        tracker.track_batch([(image, state), (bad_image, state)])
    assert network.exemplars == network.searches == []


def test_one_bad_box_starts_no_target(image: np.ndarray, network: ScriptedNetwork) -> None:
    tracker = SiamMaskTracker(network, TrackerConfig.preset("davis"))
    with pytest.raises(ValueError, match="too small"):
        tracker.initialize_batch([(image, BOX), (image, (10, 10, 2, 2))])
    assert network.exemplars == []


def test_network_without_a_finite_answer_is_an_error(
    image: np.ndarray, network: ScriptedNetwork
) -> None:
    tracker = SiamMaskTracker(network, TrackerConfig.preset("davis"))
    state = tracker.initialize(image, BOX)
    for absurd in ((0, 0, math.nan, 0), (0, 0, 1e4, 0), (math.inf, 0, 0, 0)):
        network.deltas = absurd
        _, result = tracker.track(image, state)
        assert result.anchor_position != (network.anchor, MIDDLE, MIDDLE)
        assert np.isfinite(result.box_xywh).all()
    network.search = _all_nan(network.search)  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="no finite"):
        tracker.track(image, state)


def _all_nan(search: Callable[..., SearchOutput]) -> Callable[..., SearchOutput]:
    def answer(*arguments: Any) -> SearchOutput:
        output = search(*arguments)
        output.score_logits.fill_(math.nan)
        return output

    return answer


@pytest.mark.parametrize(
    ("preset", "threshold", "penalty", "influence", "smoothing"),
    [
        ("davis", 0.35, 0.04, 0.40, 1.00),
        ("vot", 0.30, 0.04, 0.42, 0.25),
        ("vot18", 0.15, 0.10, 0.41, 0.32),
        ("base", 0.30, 0.09, 0.39, 0.38),
        ("pysot", 0.15, 0.10, 0.41, 0.32),
        ("siammask_pp", 0.30, 0.09, 0.39, 0.38),
        ("box", 0.30, 0.04, 0.42, 0.25),
        ("compact", 0.30, 0.04, 0.25, 0.40),
    ],
)
def test_presets(
    preset: str, threshold: float, penalty: float, influence: float, smoothing: float
) -> None:
    config = TrackerConfig.preset(preset)
    assert config.mask_threshold == threshold
    assert config.change_penalty == penalty
    assert config.window_influence == influence
    assert config.size_smoothing == smoothing
    assert (config.exemplar_size, config.search_size, config.context_amount) == (127, 255, 0.5)
    official = preset not in {"pysot", "compact"}
    assert config.masks == ("none" if preset == "box" else "best")
    assert (config.crop_filter == "bilinear") == (preset != "compact")
    assert (config.mask_border_value == -1) == official
    assert (config.clamp_before_fallback is False) == official


def test_defaults_are_the_davis_preset() -> None:
    assert TrackerConfig() == TrackerConfig.preset("davis")
    official = {"davis", "vot", "vot18", "base", "pysot", "siammask_pp"}
    assert set(PRESETS) == official | {"compact", "box", "two_branch", "siamfc"}


def test_overrides_and_mistakes() -> None:
    assert TrackerConfig.preset("vot", mask_threshold=0.5).mask_threshold == 0.5
    with pytest.raises(ValueError, match="unknown preset 'vott'"):
        TrackerConfig.preset("vott")
    with pytest.raises(ValueError, match=r"penalty_k; there are .*, change_penalty, "):
        TrackerConfig.preset("vot", penalty_k=0.1)


def test_settings_of_a_command_line() -> None:
    texts = ("masks=none", "box_fit = opt_fast", "size_smoothing=1", "clamp_before_fallback=true")
    settings = parse_settings(texts)
    assert settings == {
        "masks": "none",
        "box_fit": "opt_fast",
        "size_smoothing": 1,
        "clamp_before_fallback": True,
    }
    config = TrackerConfig.preset("vot", **settings)
    assert (config.masks, config.box_fit, config.size_smoothing) == ("none", "opt_fast", 1)
    assert parse_settings(()) == {}
    assert parse_settings(["penalty_k=0.1"]) == {"penalty_k": 0.1}  # for preset to refuse


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["masks"], "NAME=VALUE.*'masks'"),
        (["=none"], "NAME=VALUE.*'=none'"),
        (["masks="], "NAME=VALUE"),
        (["masks=none", "masks=best"], "masks is set twice"),
        (["mask_threshold=high"], "mask_threshold must be a number, got 'high'"),
        (["mask_threshold=true"], "mask_threshold must be a number"),
        (["mask_threshold=[1"], "mask_threshold must be a number"),
        (["clamp_before_fallback=1"], "clamp_before_fallback must be true or false, got '1'"),
        (["anchors=5"], "anchors cannot be set here"),
    ],
)
def test_bad_settings_of_a_command_line(texts: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_settings(texts)


@pytest.mark.parametrize(
    "bad",
    [
        {"window_influence": 1.1},
        {"size_smoothing": -0.1},
        {"mask_threshold": 1.0},
        {"mask_threshold": math.nan},
        {"change_penalty": -1.0},
        {"mask_border_value": 0.5},
        {"crop_filter": "cubic"},
        {"initial_center": "middle"},
        {"masks": "fine"},
        {"scale_step": 0.9},
        {"search_size": 100},
        {"min_target_side": 0.0},
    ],
)
def test_config_names_what_is_wrong(bad: dict[str, Any]) -> None:
    name, value = next(iter(bad.items()))
    with pytest.raises(ValueError, match=name) as error:
        TrackerConfig(**bad)
    assert str(value) in str(error.value)


def test_default_config_is_the_one_the_network_names() -> None:
    network = ScriptedNetwork()
    network.default_preset = "vot18"  # type: ignore[attr-defined]
    assert SiamMaskTracker(network).config == TrackerConfig.preset("vot18")


@pytest.mark.parametrize(("largest", "batches"), [(2, [2, 2, 1]), (3, [3, 2]), (5, [5]), (32, [5])])
def test_many_targets_take_several_passes(
    image: np.ndarray, largest: int, batches: list[int]
) -> None:
    boxes = [(30.0 + 40 * index, 60.0 + 10 * index, 40.0, 60.0) for index in range(5)]
    networks = ScriptedNetwork(), ScriptedNetwork()
    config = TrackerConfig.preset("davis")
    whole = SiamMaskTracker(networks[0], config, largest_batch=5)
    parts = SiamMaskTracker(networks[1], config, largest_batch=largest)
    runs = []
    for tracker in (whole, parts):
        states = tracker.initialize_batch([(image, box) for box in boxes])
        runs.append(tracker.track_batch([(image, state) for state in states]))
    assert [len(patches) for patches in networks[1].exemplars] == batches
    assert [len(patches) for patches in networks[1].searches] == batches
    for (state, result), (expected_state, expected) in zip(*runs, strict=True):
        assert (state.center_xy, state.size_wh) == (
            expected_state.center_xy,
            expected_state.size_wh,
        )
        assert torch.equal(state.kernels.score, expected_state.kernels.score)
        assert result.confidence == expected.confidence
        assert np.array_equal(result.mask, expected.mask)


def test_regions_of_a_target_stay_in_one_pass(image: np.ndarray) -> None:
    network = ScriptedNetwork()
    config = TrackerConfig.preset("davis", scale_step=1.1, masks="none")
    for largest, batches in ((1, [3, 3, 3]), (7, [6, 3])):
        tracker = SiamMaskTracker(network, config, largest_batch=largest)
        states = tracker.initialize_batch([(image, BOX)] * 3)
        network.searches.clear()
        tracker.track_batch([(image, state) for state in states])
        assert [len(patches) for patches in network.searches] == batches


def test_a_bad_target_starts_none_of_several_passes(image: np.ndarray) -> None:
    network = ScriptedNetwork()
    tracker = SiamMaskTracker(network, largest_batch=1)
    with pytest.raises(ValueError, match="too small"):
        tracker.initialize_batch([(image, BOX), (image, (0.0, 0.0, 0.1, 0.1))])
    assert network.exemplars == []
    with pytest.raises(ValueError, match="largest_batch must be at least 1, got 0"):
        SiamMaskTracker(network, largest_batch=0)
    assert tracker.track_batch([]) == tracker.initialize_batch([]) == []


def test_package_import_is_cheap() -> None:
    program = (
        "import sys, siammask_ros; assert 'SiamMaskTracker' in dir(siammask_ros);"
        "heavy = {'torch', 'cv2', 'numpy', 'rclpy'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_package_exports_load_on_use() -> None:
    assert siammask_ros.SiamMaskTracker is SiamMaskTracker
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = siammask_ros.no_such_name
