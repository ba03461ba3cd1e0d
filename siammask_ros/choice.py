# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a search offers, and which of it is taken: decode, penalise, choose.

All networks of the family go the same way; they differ in what is proposed. With boxes, it is
every anchor with its box; without (SiamMask-2B, SiamFC), every response with the target's present
size.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from siammask_ros.anchors import (
    AnchorGrid,
    AnchorPosition,
    foreground_probability,
    response_boxes,
    similarity_probability,
)
from siammask_ros.geometry import FloatArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from torch import Tensor

    from siammask_ros.crop import ImageBgr
    from siammask_ros.network import SearchOutput
    from siammask_ros.tracker_config import TrackerConfig
    from siammask_ros.tracker_state import TrackerState

APART = 0.75
"""Widths, or heights, of the chosen box from which on a proposal is of something else."""
LEAST_DOUBT = 1e-12
"""One minus the score of a target that is certain."""


class SearchRegion(NamedTuple):
    """One search region of a target in its image."""

    state: TrackerState
    """The target."""
    image_bgr: ImageBgr
    side: float
    """Side of the region in image pixels, rounded as the crop needs it."""
    scale: float
    """Size of the region relative to the usual one."""
    patch_per_image: float
    """Patch pixels per image pixel, not rounded; boxes are decoded with it."""
    patch: ImageBgr | None
    """The search patch; None where the network cuts it out itself."""

    @property
    def image_size_wh(self) -> tuple[int, int]:
        """Width and height of the image."""
        height, width = self.image_bgr.shape[:2]
        return width, height


class Proposals(NamedTuple):
    """What can be chosen in each of N patches."""

    grid: AnchorGrid
    scores: FloatArray
    """(N, P), in [0, 1]."""
    boxes: FloatArray
    """(N, 4, P) centre x, y relative to the patch centre, width, height, in patch pixels."""


class Alternative(NamedTuple):
    """The best proposal for something else than what was chosen."""

    box_in_search: FloatArray
    """As of a `Choice`."""
    score: float


class Choice(NamedTuple):
    """The winning anchor, or response."""

    patch_index: int
    """Which of the searched patches it is in."""
    region: SearchRegion
    anchor_index: int
    position: AnchorPosition
    box_in_search: FloatArray
    """Centre x, y relative to the patch centre, width, height, in patch pixels, float64."""
    score: float
    penalty: float
    alternative: Alternative | None = None

    @property
    def evidence(self) -> float:
        """What the regions of a target are compared by.

        Scores near 1 hardly differ, so this is, like in SiamFC, in the scale of logits:
        -log(1 - score) is about the logit where that is high, and 0 where it is low.
        """
        return -self.penalty * math.log(max(1 - self.score, LEAST_DOUBT))


def propose(output: SearchOutput, regions: Sequence[SearchRegion], grid: AnchorGrid) -> Proposals:
    """Every anchor with its box, or every response with the target's present size."""
    logits = _to_numpy(output.score_logits)
    if output.box_deltas is not None:
        boxes = grid.decode(_to_numpy(output.box_deltas))  # (N, 4, A * 25 * 25)
        return Proposals(grid, foreground_probability(logits), boxes)
    grid = grid.without_shapes
    # In a patch the target has the exemplar's size, whatever the region's scale.
    scales = [region.patch_per_image * region.scale for region in regions]
    sizes_wh = np.array([region.state.size_wh for region in regions]) * np.array(scales)[:, None]
    boxes = response_boxes(logits, sizes_wh, grid)  # (N, 4, 25 * 25)
    return Proposals(grid, similarity_probability(logits), boxes)


def choose(
    proposals: Proposals, regions: Sequence[SearchRegion], config: TrackerConfig
) -> list[Choice]:
    """The best proposal for each target, of all its regions (`search_scales`), which lie together.

    Raises:
        RuntimeError: a patch has no finite proposal (broken weights).
    """
    penalties = _penalties(proposals, regions, config.change_penalty)
    influence = config.window_influence
    with np.errstate(all="ignore"):  # an absurd prediction may overflow; it cannot win
        penalized_scores = penalties * proposals.scores * (1 - influence)
        penalized_scores += proposals.grid.window * influence  # (N, P)
    usable = np.isfinite(penalized_scores) & np.isfinite(proposals.boxes).all(axis=1)
    if not usable.any(axis=1).all():
        raise RuntimeError("the network predicted no finite box and score")
    # The highest penalised score of each patch, the first of equals.
    best = np.where(usable, penalized_scores, -np.inf).argmax(axis=1)
    of_regions = [
        Choice(
            patch,
            region,
            index,
            proposals.grid.position(index),
            proposals.boxes[patch, :, index],
            float(proposals.scores[patch, index]),
            float(penalties[patch, index]),
            _alternative(
                proposals.scores[patch],
                penalties[patch],
                proposals.boxes[patch],
                index,
                usable[patch],
            ),
        )
        for patch, (region, index) in enumerate(zip(regions, best.tolist(), strict=True))
    ]
    scales = len(config.search_scales)
    return [
        max(of_regions[start : start + scales], key=lambda choice: choice.evidence)
        for start in range(0, len(of_regions), scales)
    ]


def _penalties(
    proposals: Proposals, regions: Sequence[SearchRegion], change_penalty: float
) -> FloatArray:
    """(N, P) what is left of each score for the change of size and shape, in [0, 1]."""
    sizes_wh = np.array([region.state.size_wh for region in regions])  # (N, 2)
    sizes_wh = sizes_wh * np.array([region.patch_per_image for region in regions])[:, None]
    target_widths, target_heights = sizes_wh[:, :1], sizes_wh[:, 1:]  # (N, 1)
    widths, heights = proposals.boxes[:, 2], proposals.boxes[:, 3]  # (N, P)
    with np.errstate(all="ignore"):
        size_change = _change(
            _padded_size(widths, heights) / _padded_size(target_widths, target_heights)
        )
        ratio_change = _change((target_widths / target_heights) / (widths / heights))
        penalties: FloatArray = np.exp(-(ratio_change * size_change - 1) * change_penalty)
    return penalties


def _alternative(
    scores: FloatArray,
    penalties: FloatArray,
    boxes: FloatArray,
    chosen: int,
    usable: npt.NDArray[np.bool_],
) -> Alternative | None:
    """The best proposal for something else, wherever it is; None if there is no other place."""
    x, y, width, height = boxes[:, chosen]
    apart = np.abs(boxes[0] - x) > APART * width
    apart |= np.abs(boxes[1] - y) > APART * height
    apart &= usable
    if not apart.any():
        return None
    index = int(np.argmax(np.where(apart, penalties * scores, -np.inf)))
    return Alternative(boxes[:, index], float(scores[index]))


def _change(ratio: FloatArray) -> FloatArray:
    """How far a ratio is from 1, either way: max(r, 1/r)."""
    return np.maximum(ratio, 1 / ratio)


def _padded_size(widths: FloatArray, heights: FloatArray) -> FloatArray:
    """Side of the square around a box with context (a half of width plus height)."""
    padding = (widths + heights) / 2
    side: FloatArray = np.sqrt((widths + padding) * (heights + padding))
    return side


def _to_numpy(tensor: Tensor) -> FloatArray:
    """On the CPU in float64, so that ranking does not depend on the network's precision."""
    held = tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
    array: FloatArray = held.cpu().numpy().astype(np.float64)  # some devices have no float64
    return array
