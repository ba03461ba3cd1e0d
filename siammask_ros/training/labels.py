# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which responses are positive, and what box and mask they should predict (paper, section 3.2).

All choices are made sample by sample, at random from the run's seed and the sample's number, so
that a sample has the same labels in whatever batch or process it comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from siammask_ros.anchors import AnchorGrid
from siammask_ros.geometry import FloatArray, box_iou_xyxy
from siammask_ros.network.heads import CENTER_MARGIN, NARROW_MAP, RESPONSE_LOSS

if TYPE_CHECKING:
    from siammask_ros.training.config import LossConfig
    from siammask_ros.training.samples import SampleBatch

Int8Array = npt.NDArray[np.int8]
Int64Array = npt.NDArray[np.int64]

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1
MIN_BOX_SIDE = 1.0
"""Boxes are taken to be this wide and high at least, so that their logarithms stay small."""
SIMILARITY_RADIUS = 16.0
"""Without anchors, responses whose centre is within so many patch pixels of the target's are
positive, all others negative (SiamFC, section 2.2; the radius is that of its code)."""
CENTRAL_BLOCK = 7
"""Rows and columns of the block where `negative_pair_anchors` are drawn: where the tracker would
look for the target, as in the official code."""
LABEL_STREAM = 1
"""Keeps the random numbers of a sample's labels apart from those that made the sample."""


@dataclass(frozen=True)
class TrainingGrid:
    """Where a network's responses lie on the search patches it trains on.

    Attributes:
        search_size: side of the search patch, pixels.
        has_anchors: whether the network scores anchors; else positions (two-branch variant).

    Raises:
        ValueError: the responses to such a patch would not lie about its centre.
    """

    search_size: int = 255
    has_anchors: bool = True

    STRIDE: ClassVar[int] = 8
    WINDOW: ClassVar[int] = 127
    """Side of a mask window, that of the exemplar patch."""
    _PATCH_BORDER: ClassVar[int] = 7
    """A backbone map has (patch - 7) / 8 columns: 15 for 127 pixels, 31 for 255."""

    def __post_init__(self) -> None:
        # An odd number of columns, else no response is at the centre.
        if self.search_size % (2 * self.STRIDE) != self.WINDOW % (2 * self.STRIDE):
            raise ValueError(
                f"search_size must be {self.WINDOW} plus a multiple of {2 * self.STRIDE}, "
                f"got {self.search_size}"
            )
        if self.size < 1:
            raise ValueError(f"search_size {self.search_size} leaves no response")

    @property
    def size(self) -> int:
        """Rows and columns of the response map: 25 for 255 pixels, 3 for 143."""
        width = (self.search_size - self._PATCH_BORDER) // self.STRIDE
        if width < NARROW_MAP:  # the adjust layer cuts it like the exemplar's
            width -= 2 * CENTER_MARGIN
        return width - RESPONSE_LOSS

    @cached_property
    def anchors(self) -> AnchorGrid:
        """The anchors at these responses."""
        return AnchorGrid(size=self.size, stride=self.STRIDE)

    @property
    def shapes(self) -> int:
        """Labels a response: one an anchor, or one."""
        return self.anchors.anchors_per_response if self.has_anchors else 1

    @property
    def first_center(self) -> int:
        """Row and column of response 0's centre in the patch: 31 for 255 pixels, 63 for 143."""
        return self.search_size // 2 - self.STRIDE * (self.size // 2)

    @property
    def mask_first(self) -> int:
        """Left and top edge of response 0's mask window: -32 for 255 pixels, 0 for 143."""
        return self.first_center - self.WINDOW // 2

    @cached_property
    def centers(self) -> FloatArray:
        """Patch coordinate of each row's (or column's) centre, (S,) float64."""
        return self.first_center + self.STRIDE * np.arange(self.size, dtype=np.float64)

    @cached_property
    def anchors_xyxy(self) -> FloatArray:
        """Corners of all anchors in the patch, (A * S * S, 4) float64."""
        boxes = self.anchors.boxes_cxcywh.astype(np.float64)
        centers, half = boxes[:, :2] + self.search_size // 2, boxes[:, 2:] / 2
        corners: FloatArray = np.concatenate([centers - half, centers + half], axis=1)
        return corners


class AnchorLabels(NamedTuple):
    """Training targets of N samples with A labels a position and S x S positions.

    Attributes:
        labels: (N, A, S, S) int8: 1 positive, 0 negative, -1 ignored.
        box_deltas: (N, 4, A, S, S) float32, encoded as the network's box branch; None where
            there are no anchors.
        mask_samples, mask_rows, mask_columns: (K,) int64, where masks are trained: positive
            responses of samples that have a mask.
    """

    labels: Tensor
    box_deltas: Tensor | None
    mask_samples: Tensor
    mask_rows: Tensor
    mask_columns: Tensor


def label_batch(
    batch: SampleBatch, grid: TrainingGrid, losses: LossConfig, *, seed: int
) -> AnchorLabels:
    """Label the samples of a batch.

    Args:
        batch: N samples, on the CPU; its `number` goes into the random choices.
        grid: the network's responses on these search patches.
        losses: how anchors are assigned and drawn.
        seed: of the run.
    """
    boxes = batch.boxes_xyxy.numpy()
    positives, has_mask = batch.is_positive.tolist(), batch.has_mask.tolist()
    labels = np.empty((len(boxes), grid.shapes, grid.size, grid.size), np.int8)
    positions: list[tuple[int, int, int]] = []
    for sample, number in enumerate(batch.number.tolist()):
        rng = np.random.default_rng((seed, number, LABEL_STREAM))
        if positives[sample]:
            labels[sample] = _positive_sample(rng, boxes[sample], grid, losses)
        else:
            labels[sample] = _negative_sample(rng, grid, losses)
        if positives[sample] and has_mask[sample]:
            cells = _mask_cells(rng, labels[sample], losses.mask_positions)
            positions += [(sample, *divmod(cell, grid.size)) for cell in cells]
    where = torch.tensor(positions, dtype=torch.int64).reshape(-1, 3)
    return AnchorLabels(torch.from_numpy(labels), _box_deltas(boxes, grid), *where.unbind(1))


def anchor_overlaps(box_xyxy: FloatArray, grid: TrainingGrid) -> FloatArray:
    """IoU of a box (4,), patch pixels, with every anchor: (A, S, S)."""
    overlaps = box_iou_xyxy(np.asarray(box_xyxy, np.float64), grid.anchors_xyxy)
    return overlaps.reshape(-1, grid.size, grid.size)  # (A * S * S,) -> (A, S, S)


def mask_windows(
    masks: Tensor, samples: Tensor, rows: Tensor, columns: Tensor, grid: TrainingGrid
) -> Tensor:
    """Cut the mask windows of K positions.

    Args:
        masks: (N, P, P) uint8 {0, 1}, targets in the search patch, P the grid's search size.
        samples, rows, columns: (K,) int64, on the device of the masks.
        grid: the responses' places.

    Returns:
        (K, 127, 127) float32 {0, 1}. Outside the patch it is 0: no target is known there, and
        a tracked mask should not grow beyond the patch.

    Raises:
        ValueError: a row or column is not in the response map, or the masks have another size.
    """
    if masks.shape[1:] != (grid.search_size, grid.search_size):
        raise ValueError(f"masks of {tuple(masks.shape[1:])} for patches of {grid.search_size}")
    if rows.numel():
        first, last = torch.stack([rows, columns]).aminmax()
        if first < 0 or last >= grid.size:
            raise ValueError(
                f"mask positions {int(first)} to {int(last)} for {grid.size} rows and columns"
            )
    pad = max(-grid.mask_first, 0)
    padded = torch.nn.functional.pad(masks, (pad, pad, pad, pad))
    steps = torch.arange(grid.WINDOW, device=masks.device)
    tops = rows * grid.STRIDE + grid.mask_first + pad
    lefts = columns * grid.STRIDE + grid.mask_first + pad
    window_rows = (tops[:, None] + steps)[:, :, None]  # (K, 127, 1)
    window_columns = (lefts[:, None] + steps)[:, None, :]  # (K, 1, 127)
    return padded[samples[:, None, None], window_rows, window_columns].float()


def _positive_sample(
    rng: np.random.Generator, box_xyxy: FloatArray, grid: TrainingGrid, losses: LossConfig
) -> Int8Array:
    """Labels (A, S, S) of a sample whose search patch shows the target."""
    assign = _assign_anchors if grid.has_anchors else _assign_positions
    labels = assign(box_xyxy, grid, losses)
    flat = labels.reshape(-1)
    positives = _keep(rng, flat, POSITIVE, losses.max_positives or flat.size)
    if losses.max_anchors:
        _keep(rng, flat, NEGATIVE, losses.max_anchors - positives)
    return labels


def _assign_anchors(box_xyxy: FloatArray, grid: TrainingGrid, losses: LossConfig) -> Int8Array:
    overlaps = anchor_overlaps(box_xyxy, grid)
    labels: Int8Array = np.full(overlaps.shape, IGNORED, np.int8)
    labels[overlaps < losses.negative_iou] = NEGATIVE
    labels[overlaps > losses.positive_iou] = POSITIVE
    if losses.best_is_positive:  # so that no target is without one
        labels.reshape(-1)[overlaps.argmax()] = POSITIVE
    return labels


def _assign_positions(box_xyxy: FloatArray, grid: TrainingGrid, losses: LossConfig) -> Int8Array:
    center_x, center_y = (box_xyxy[:2].astype(np.float64) + box_xyxy[2:]) / 2
    squares = (grid.centers - center_y)[:, None] ** 2 + (grid.centers - center_x)[None] ** 2
    labels: Int8Array = np.where(squares <= SIMILARITY_RADIUS**2, POSITIVE, NEGATIVE)
    labels = labels.astype(np.int8)[None]  # (1, S, S)
    if losses.best_is_positive:
        labels.reshape(-1)[squares.argmin()] = POSITIVE
    return labels


def _negative_sample(rng: np.random.Generator, grid: TrainingGrid, losses: LossConfig) -> Int8Array:
    """Labels (A, S, S) of a sample whose search patch is without the target."""
    shape = (grid.shapes, grid.size, grid.size)
    if not losses.negative_pair_anchors:
        return np.full(shape, NEGATIVE, np.int8)
    labels: Int8Array = np.full(shape, IGNORED, np.int8)
    margin = max(grid.size - CENTRAL_BLOCK, 0) // 2
    inner = slice(margin, grid.size - margin)
    labels[:, inner, inner] = NEGATIVE
    _keep(rng, labels.reshape(-1), NEGATIVE, losses.negative_pair_anchors)
    return labels


def _keep(rng: np.random.Generator, flat_labels: Int8Array, kind: int, most: int) -> int:
    """Ignore all but `most` labels of a kind, drawn at random; return how many there are then."""
    where = np.flatnonzero(flat_labels == kind)
    excess = max(where.size - max(most, 0), 0)
    if excess:
        flat_labels[rng.choice(where, excess, replace=False)] = IGNORED
    return where.size - excess


def _mask_cells(rng: np.random.Generator, labels: Int8Array, most: int) -> list[int]:
    """Positions (row * S + column) of positive labels (A, S, S), at most `most` unless 0.

    A position is drawn the sooner the more of its anchors are positive.
    """
    cells = labels[0].size
    drawn = rng.permutation(np.flatnonzero(labels == POSITIVE)) % cells
    distinct = list(dict.fromkeys(drawn.tolist()))
    return distinct[: most or None]


def _box_deltas(boxes_xyxy: FloatArray, grid: TrainingGrid) -> Tensor | None:
    """(N, 4) corners -> (N, 4, A, S, S) float32 deltas, or None without anchors."""
    if not grid.has_anchors:
        return None
    boxes = boxes_xyxy.astype(np.float64)
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2 - grid.search_size // 2
    sizes = np.maximum(boxes[:, 2:] - boxes[:, :2], MIN_BOX_SIDE)
    relative = np.concatenate([centers, sizes], axis=1)[:, :, None]  # (N, 4, 1)
    relative = np.broadcast_to(relative, (*relative.shape[:2], grid.anchors.count))
    deltas = grid.anchors.encode(relative).astype(np.float32)  # (N, 4, A * S * S)
    shape = (-1, boxes.shape[1], grid.shapes, grid.size, grid.size)
    return torch.from_numpy(deltas.reshape(shape))
