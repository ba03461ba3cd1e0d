# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`siammask_ros.choice` in torch: on the network's device, with fixed shapes, waiting for nothing.

`choose` in NumPy is the reference; this takes the same proposals, in the same order of operations
and also in float64. That is much for a GPU but little in all: 3125 anchors a patch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from siammask_ros.choice import APART, LEAST_DOUBT, Alternative, Choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from siammask_ros.anchors import AnchorGrid
    from siammask_ros.choice import SearchRegion
    from siammask_ros.geometry import FloatArray
    from siammask_ros.tracker_config import TrackerConfig

REGION_NUMBERS = 6
"""Numbers of a search region, see `region_numbers`."""
CHOICE_NUMBERS = 15
"""Numbers of a choice: patch, index, box, score, penalty, whether there is an alternative, its box
and score, whether any proposal was finite."""


class DeviceChoices(NamedTuple):
    """The winners of T targets."""

    numbers: Tensor
    """(T, 15) float64, what `read_choices` takes."""
    samples: Tensor
    """(T,) int64, the patch of each."""
    rows: Tensor
    """(T,) int64, and the response in it."""
    columns: Tensor
    """(T,) int64."""


class _Best(NamedTuple):
    """The best proposals of N patches."""

    place: Tensor
    """(N,) int64, the flat index of its anchor."""
    box: Tensor
    """(N, 4)."""
    score: Tensor
    """(N,)."""


class DeviceChoice(nn.Module):
    """Decode, penalise and choose.

    Args:
        grid: the network's anchors; `without_shapes` of a network without boxes.
        scales: search regions of a target, which lie together.
    """

    anchors: Tensor
    window: Tensor

    def __init__(self, grid: AnchorGrid, *, scales: int) -> None:
        super().__init__()
        self.scales, self.size, self.stride = scales, grid.size, grid.stride
        anchors = np.array(grid.boxes_cxcywh.T, dtype=np.float64)  # (4, P)
        self.register_buffer("anchors", torch.from_numpy(anchors))
        self.register_buffer("window", torch.tensor(grid.window))  # (P,)

    def forward(
        self, score_logits: Tensor, box_deltas: Tensor | None, regions: Tensor
    ) -> DeviceChoices:
        """Choose for the targets of N regions.

        Args:
            score_logits, box_deltas: of N patches, as in `SearchOutput`.
            regions: (N, 6) float64, see `region_numbers`.
        """
        logits = score_logits.double()
        if box_deltas is None:
            scores = 1 / (1 + torch.exp(-logits.flatten(1)))  # (N, P)
            boxes = self._response_boxes(logits, regions[:, 2:4])
        else:
            background, foreground = logits.flatten(1).chunk(2, dim=1)  # (N, P) each
            scores = 1 / (1 + torch.exp(background - foreground))
            boxes = self._decoded(box_deltas.double())
        penalties = _penalties(boxes, regions[:, :2], regions[:, 4:5])
        influence = regions[:, 5:6]
        ranked = penalties * scores * (1 - influence) + self.window * influence  # (N, P)
        usable = ranked.isfinite() & boxes.isfinite().all(dim=1)
        best = _best(ranked, usable, boxes, scores)
        penalty = penalties.gather(1, best.place[:, None])[:, 0]
        apart = _apart(boxes, best.box) & usable
        other = _best(penalties * scores, apart, boxes, scores)
        samples = self._of_scales(best.score, penalty)  # (T,)
        numbers = torch.cat(
            [
                torch.stack([best.place.double(), *best.box.unbind(1), best.score, penalty], dim=1),
                apart.any(dim=1, keepdim=True).double(),
                other.box,
                other.score[:, None],
                usable.any(dim=1, keepdim=True).double(),
            ],
            dim=1,
        )[samples]
        cells = best.place[samples] % self.size**2
        return DeviceChoices(
            torch.cat([samples[:, None].double(), numbers], dim=1),
            samples,
            torch.div(cells, self.size, rounding_mode="floor"),
            cells % self.size,
        )

    def _decoded(self, box_deltas: Tensor) -> Tensor:
        """(N, 4 * A, size, size) -> (N, 4, P) boxes."""
        deltas = box_deltas.reshape(len(box_deltas), 4, -1)
        centers = deltas[:, :2] * self.anchors[2:] + self.anchors[:2]
        return torch.cat([centers, torch.exp(deltas[:, 2:]) * self.anchors[2:]], dim=1)

    def _response_boxes(self, logits: Tensor, sizes_wh: Tensor) -> Tensor:
        """As `siammask_ros.anchors.response_boxes`: (N, 1, size, size) -> (N, 4, P)."""
        right = _peak_offsets(logits).flatten(1) * self.stride
        down = _peak_offsets(logits.mT).mT.flatten(1) * self.stride
        centers = self.anchors[:2] + torch.stack([right, down], dim=1)  # (N, 2, P)
        return torch.cat([centers, sizes_wh[:, :, None].expand_as(centers)], dim=1)

    def _of_scales(self, score: Tensor, penalty: Tensor) -> Tensor:
        """(T,) which patch of each target has most evidence, the first of equals."""
        evidence = -penalty * torch.log((1 - score).clamp(min=LEAST_DOUBT))
        which = evidence.view(-1, self.scales).argmax(dim=1)
        return torch.arange(len(which), device=which.device) * self.scales + which


def region_numbers(regions: Sequence[SearchRegion], config: TrackerConfig) -> FloatArray:
    """What the choice needs to know of N regions: (N, 6) float64.

    Width and height of the target in patch pixels as they count for the penalty, and as the patch
    shows them; penalty of a change; influence of the window.
    """
    return np.array(
        [
            [
                *(side * region.patch_per_image for side in region.state.size_wh),
                *(side * (region.patch_per_image * region.scale) for side in region.state.size_wh),
                config.change_penalty,
                config.window_influence,
            ]
            for region in regions
        ],
        dtype=np.float64,
    )


def read_choices(
    numbers: npt.NDArray[np.float64], regions: Sequence[SearchRegion], grid: AnchorGrid
) -> list[Choice]:
    """The choices that `DeviceChoice` made for T targets, from their (T, 15) numbers.

    Raises:
        RuntimeError: a patch has no finite proposal (broken weights).
    """
    if not numbers[:, -1].all():
        raise RuntimeError("the network predicted no finite box and score")
    choices = []
    for row in numbers:
        patch, index = int(row[0]), int(row[1])
        alternative = Alternative(row[9:13].copy(), float(row[13])) if row[8] else None
        choices.append(
            Choice(
                patch,
                regions[patch],
                index,
                grid.position(index),
                row[2:6].copy(),
                float(row[6]),
                float(row[7]),
                alternative,
            )
        )
    return choices


def _best(ranked: Tensor, allowed: Tensor, boxes: Tensor, scores: Tensor) -> _Best:
    """The highest allowed of each patch, the first of equals."""
    index = ranked.masked_fill(~allowed, -torch.inf).argmax(dim=1)  # (N,)
    box = boxes.gather(2, index[:, None, None].expand(-1, 4, 1))[:, :, 0]
    return _Best(index, box, scores.gather(1, index[:, None])[:, 0])


def _penalties(boxes: Tensor, sizes_wh: Tensor, change_penalty: Tensor) -> Tensor:
    """(N, P), as in `siammask_ros.choice`."""
    target_widths, target_heights = sizes_wh[:, :1], sizes_wh[:, 1:]  # (N, 1)
    widths, heights = boxes[:, 2], boxes[:, 3]  # (N, P)
    size_change = _change(
        _padded_size(widths, heights) / _padded_size(target_widths, target_heights)
    )
    ratio_change = _change((target_widths / target_heights) / (widths / heights))
    return torch.exp(-(ratio_change * size_change - 1) * change_penalty)


def _change(ratio: Tensor) -> Tensor:
    return torch.maximum(ratio, 1 / ratio)


def _padded_size(widths: Tensor, heights: Tensor) -> Tensor:
    padding = (widths + heights) / 2
    return torch.sqrt((widths + padding) * (heights + padding))


def _apart(boxes: Tensor, chosen: Tensor) -> Tensor:
    """(N, P) whether each box is of something else than the (N, 4) chosen ones."""
    x, y, width, height = (column[:, None] for column in chosen.unbind(1))  # (N, 1)
    apart = (boxes[:, 0] - x).abs() > APART * width
    return apart | ((boxes[:, 1] - y).abs() > APART * height)


def _peak_offsets(values: Tensor) -> Tensor:
    """As in `siammask_ros.anchors`: how far right the parabola through each value has its top."""
    left, middle, right = values[..., :-2], values[..., 1:-1], values[..., 2:]
    curvature = left - 2 * middle + right
    offsets = torch.where(curvature < 0, (left - right) / (2 * curvature), 0.0)
    return functional.pad(offsets, (1, 1)).clamp(-1, 1)
