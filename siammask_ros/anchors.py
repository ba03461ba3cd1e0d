# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The anchor grid: reference boxes of the responses, encoding and decoding (SiamRPN, sec. 3.3).

Networks without boxes (SiamFC, SiamMask-2B) score responses instead of anchors; see
`similarity_probability` and `response_boxes`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from siammask_ros.geometry import FloatArray

COORDINATES = 4  # centre x, centre y, width, height


class AnchorPosition(NamedTuple):
    """One anchor of the grid: which reference shape, and where in the response map."""

    anchor: int
    row: int
    column: int


@dataclass(frozen=True)
class AnchorGrid:
    """Anchors of every response, centred on the search patch.

    The flat index of an anchor is anchor * size**2 + row * size + column, in the order of the
    network's channels. The same grid with `size=3` belongs to the 143-pixel patch on which the
    refinement is trained.

    Attributes:
        size: rows and columns of the response map.
        stride: patch pixels between neighbouring responses.
        scale: side of the square anchor in strides.
        ratios: height over width of each anchor.
    """

    size: int = 25
    stride: int = 8
    scale: int = 8
    ratios: tuple[float, ...] = (0.33, 0.5, 1.0, 2.0, 3.0)

    @property
    def anchors_per_response(self) -> int:
        """Number of reference shapes."""
        return len(self.ratios)

    @property
    def count(self) -> int:
        """Number of anchors in the grid."""
        return self.anchors_per_response * self.size**2

    @cached_property
    def without_shapes(self) -> AnchorGrid:
        """The responses alone, for networks without boxes: index = row * size + column."""
        return replace(self, ratios=(1.0,))

    @cached_property
    def shapes_wh(self) -> FloatArray:
        """Width and height of each reference shape (A, 2), float32, in patch pixels."""
        shapes = []
        for ratio in self.ratios:
            width = int(math.sqrt(self.stride**2 / ratio))  # truncated, as in the official code
            shapes.append((width * self.scale, int(width * ratio) * self.scale))
        return _frozen(np.array(shapes, dtype=np.float32))

    @cached_property
    def boxes_cxcywh(self) -> FloatArray:
        """All anchors (A * size**2, 4), float32, centres relative to the patch centre."""
        offsets = (np.arange(self.size, dtype=np.float32) - self.size // 2) * self.stride
        grid = np.empty(
            (self.anchors_per_response, self.size, self.size, COORDINATES), dtype=np.float32
        )
        grid[..., 0] = offsets[None, None, :]
        grid[..., 1] = offsets[None, :, None]
        grid[..., 2:] = self.shapes_wh[:, None, None, :]
        return _frozen(grid.reshape(self.count, COORDINATES))  # (A * size**2, 4)

    @cached_property
    def window(self) -> FloatArray:
        """Hann window over the response map, tiled for all anchors: (A * size**2,), in [0, 1]."""
        hann = np.hanning(self.size)
        return _frozen(np.tile(np.outer(hann, hann).ravel(), self.anchors_per_response))

    def boxes_in_patch(self, patch_size: int) -> FloatArray:
        """Anchors as the training labels use them: (4, A, size, size), float32, patch pixels.

        The centre of the map lies at patch_size // 2.
        """
        boxes = self.boxes_cxcywh.reshape(
            self.anchors_per_response, self.size, self.size, COORDINATES
        ).transpose(3, 0, 1, 2)  # (4, A, size, size)
        shift = np.array([1, 1, 0, 0], dtype=np.float32) * (patch_size // 2)
        in_patch: FloatArray = boxes + shift[:, None, None, None]
        return in_patch

    def position(self, index: int) -> AnchorPosition:
        """Anchor, row and column of a flat index."""
        if not 0 <= index < self.count:
            raise ValueError(f"anchor index must be in [0, {self.count}), got {index}")
        anchor, cell = divmod(int(index), self.size**2)
        return AnchorPosition(anchor, *divmod(cell, self.size))

    def decode(self, box_deltas: FloatArray) -> FloatArray:
        """Boxes that the network predicts.

        Args:
            box_deltas: (..., 4 * A, size, size), channel = coordinate * A + anchor; or already
                flat, (..., 4, A * size**2).

        Returns:
            (..., 4, A * size**2) in the dtype of the deltas: centre x, centre y relative to the
            patch centre, width, height, in patch pixels. The exponent is not clipped:
            absurd deltas give infinity.
        """
        deltas = self._flat(box_deltas)
        anchors = self.boxes_cxcywh.T
        boxes: FloatArray = np.empty_like(deltas)
        boxes[..., :2, :] = deltas[..., :2, :] * anchors[2:] + anchors[:2]
        with np.errstate(over="ignore"):
            boxes[..., 2:, :] = np.exp(deltas[..., 2:, :]) * anchors[2:]
        return boxes

    def encode(self, boxes: FloatArray) -> FloatArray:
        """Deltas that decode to `boxes`, the regression targets.

        Args:
            boxes: centre x, centre y relative to the patch centre, width, height (> 0) in patch
                pixels: (..., 4, A * size**2), or (4,) for one box seen from every anchor.

        Returns:
            (..., 4, A * size**2).
        """
        boxes = np.asarray(boxes)
        if boxes.shape == (COORDINATES,):
            boxes = np.repeat(boxes[:, None], self.count, axis=1)
        anchors = self.boxes_cxcywh.T
        deltas: FloatArray = np.empty_like(boxes, dtype=np.result_type(boxes, np.float32))
        deltas[..., :2, :] = (boxes[..., :2, :] - anchors[:2]) / anchors[2:]
        deltas[..., 2:, :] = np.log(boxes[..., 2:, :] / anchors[2:])
        return deltas

    def _flat(self, box_deltas: FloatArray) -> FloatArray:
        channels_first = (COORDINATES * self.anchors_per_response, self.size, self.size)
        flat = (COORDINATES, self.count)
        if box_deltas.shape[-3:] == channels_first:
            return box_deltas.reshape(*box_deltas.shape[:-3], *flat)  # (..., 4, A * size**2)
        if box_deltas.shape[-2:] == flat:
            return box_deltas
        raise ValueError(f"box deltas must end in {channels_first} or {flat}: {box_deltas.shape}")


def foreground_probability(score_logits: FloatArray) -> FloatArray:
    """Softmax over background and foreground.

    Args:
        score_logits: (..., 2 * A, size, size), the first A channels background.

    Returns:
        (..., A * size**2), in [0, 1], in the dtype of the logits.
    """
    leading, channels = score_logits.shape[:-3], score_logits.shape[-3]
    if channels % 2:
        raise ValueError(f"score logits need two classes, got {channels} channels")
    background_and_foreground = score_logits.reshape(*leading, 2, -1)  # (..., 2, A * size**2)
    difference = background_and_foreground[..., 0, :] - background_and_foreground[..., 1, :]
    with np.errstate(over="ignore"):  # exp overflows to infinity, the probability to 0
        probability: FloatArray = 1 / (1 + np.exp(difference))
    return probability


def similarity_probability(score_logits: FloatArray) -> FloatArray:
    """Sigmoid of the similarity that a network without boxes gives each response (paper, table 10).

    Args:
        score_logits: (..., 1, size, size).

    Returns:
        (..., size**2), in [0, 1], in the dtype of the logits.

    Raises:
        ValueError: there is more than one logit a response.
    """
    *leading, channels, rows, columns = score_logits.shape
    if channels != 1:
        raise ValueError(f"without boxes there is one logit a response, got {channels}")
    with np.errstate(over="ignore"):  # exp overflows to infinity, the probability to 0
        probability: FloatArray = 1 / (1 + np.exp(-score_logits))
    return probability.reshape(*leading, rows * columns)


def response_boxes(score_logits: FloatArray, sizes_wh: FloatArray, grid: AnchorGrid) -> FloatArray:
    """Boxes of a network without boxes: a target of known size centred at each response.

    The centre is moved to the top of the parabola through the response's logit and its neighbours',
    at most to the next response: they are eight pixels apart, the target's motion is not, and the
    window may have chosen the one beside the top. SiamFC enlarges its map of responses for this.

    Args:
        score_logits: (N, 1, size, size).
        sizes_wh: (N, 2), width and height of each patch's target in patch pixels.
        grid: places of the responses, `without_shapes`.

    Returns:
        (N, 4, size**2): as `AnchorGrid.decode`.
    """
    count = len(score_logits)
    boxes: FloatArray = np.empty((count, COORDINATES, grid.count), dtype=score_logits.dtype)
    boxes[:, :2] = grid.boxes_cxcywh.T[:2]
    boxes[:, 0] += _peak_offsets(score_logits).reshape(count, -1) * grid.stride
    transposed = _peak_offsets(score_logits.swapaxes(-1, -2)).swapaxes(-1, -2)
    boxes[:, 1] += transposed.reshape(count, -1) * grid.stride
    boxes[:, 2:] = sizes_wh[:, :, None]
    return boxes


def _peak_offsets(values: FloatArray) -> FloatArray:
    """How far right of each value the parabola through it and its neighbours has its top.

    In [-1, 1]; 0 at the edges, and where the parabola has no top.
    """
    offsets: FloatArray = np.zeros_like(values)
    left, middle, right = values[..., :-2], values[..., 1:-1], values[..., 2:]
    with np.errstate(invalid="ignore", over="ignore"):
        curvature = left - 2 * middle + right
        np.divide(left - right, 2 * curvature, out=offsets[..., 1:-1], where=curvature < 0)
    clipped: FloatArray = np.clip(offsets, -1, 1)
    return clipped


def _frozen(array: FloatArray) -> FloatArray:
    array.setflags(write=False)
    return array
