# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures for whoever trains: samples with labels and predictions, and the curves of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from siammask_ros.anchors import foreground_probability
from siammask_ros.drawing import Colour, Image, SheetSection, contact_sheet
from siammask_ros.geometry import FloatArray, box_iou_xyxy
from siammask_ros.network import SearchOutput, SiamMask
from siammask_ros.plots import Series, panels
from siammask_ros.training.labels import POSITIVE, AnchorLabels, TrainingGrid
from siammask_ros.training.metrics import Metrics
from siammask_ros.training.samples import SampleBatch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BoolArray = npt.NDArray[np.bool_]

SAMPLES_SHOWN = 8
SHEET_COLUMNS = 6
CELL_WIDTH = 240
ZOOM = 2
"""Patches are enlarged before lines are drawn on them, so that lines are thin."""
TINT = 0.4
TRUTH: Colour = (80, 220, 60)
PREDICTED: Colour = (60, 140, 255)
POSITIVE_DOT: Colour = (0, 230, 255)
MASK_RING: Colour = (255, 80, 255)


class Prediction(NamedTuple):
    """What a network says of one sample, in search-patch pixels."""

    score: float
    """Probability of the best anchor (or position)."""
    box_xyxy: FloatArray | None
    """(4,) corners of its box; None of a network without boxes."""
    mask: BoolArray | None
    """(P, P) of its mask; None where masks are not trained."""


def predict(
    network: SiamMask, batch: SampleBatch, grid: TrainingGrid, *, mask_stage: str
) -> list[Prediction]:
    """What a network says of each sample, by its best anchor, without gradient.

    Args:
        network: is put into evaluation mode.
        batch: N samples, on any device.
        grid: the network's responses.
        mask_stage: "coarse", "refined" or "none".
    """
    network.eval()
    device = next(network.parameters()).device
    with torch.no_grad():
        kernels = network.exemplar(batch.exemplar_patches.to(device).float())
        output = network.search(batch.search_patches.to(device).float(), kernels)
        scores = _scores(output, grid)  # (N, A * S * S)
        best = scores.argmax(axis=1)
        rows, columns = np.divmod(best % grid.size**2, grid.size)
        masks = _masks(network, output, rows, columns, grid, mask_stage)
    boxes = _best_boxes(output, best, grid)
    return [
        Prediction(float(scores[i, best[i]]), None if boxes is None else boxes[i], masks[i])
        for i in range(len(best))
    ]


def _scores(output: SearchOutput, grid: TrainingGrid) -> FloatArray:
    logits = output.score_logits.float()
    if grid.has_anchors:
        return foreground_probability(logits.cpu().numpy())
    scores: FloatArray = logits.sigmoid().flatten(1).cpu().numpy()
    return scores


def _best_boxes(
    output: SearchOutput, best: npt.NDArray[np.int64], grid: TrainingGrid
) -> FloatArray | None:
    """Corners (N, 4) of the boxes of the best anchors; None without boxes."""
    if output.box_deltas is None:
        return None
    boxes = grid.anchors.decode(output.box_deltas.float().cpu().numpy())  # (N, 4, A * S * S)
    center_x, center_y, width, height = boxes[np.arange(len(best)), :, best].T
    middle = grid.search_size // 2
    corners = (-width / 2, -height / 2, width / 2, height / 2)
    centers = (center_x, center_y, center_x, center_y)
    return np.stack([c + d + middle for c, d in zip(centers, corners, strict=True)], axis=1)


def _masks(
    network: SiamMask,
    output: SearchOutput,
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    grid: TrainingGrid,
    mask_stage: str,
) -> list[BoolArray | None]:
    """Masks (P, P) of one response a sample, placed in the search patch."""
    if mask_stage == "none":
        return [None] * len(rows)
    device = output.score_logits.device
    where = (torch.from_numpy(rows).to(device), torch.from_numpy(columns).to(device))
    if mask_stage == "refined":
        logits = network.refined_mask_at(output, *where)
    else:
        logits = network.coarse_mask_at(output.mask_responses, *where)
    size = (grid.WINDOW, grid.WINDOW)
    windows = [cv2.resize(window, size) > 0 for window in logits.float().cpu().numpy()]
    return [
        _placed(window, int(row), int(column), grid)
        for window, row, column in zip(windows, rows, columns, strict=True)
    ]


def _placed(window: BoolArray, row: int, column: int, grid: TrainingGrid) -> BoolArray:
    """A mask window in a patch that is False elsewhere."""
    pad = grid.WINDOW
    padded = np.zeros((grid.search_size + 2 * pad,) * 2, dtype=bool)
    top = pad + grid.mask_first + grid.STRIDE * row
    left = pad + grid.mask_first + grid.STRIDE * column
    padded[top : top + grid.WINDOW, left : left + grid.WINDOW] = window
    return padded[pad:-pad, pad:-pad]


def sample_sheet(
    title: str,
    batch: SampleBatch,
    labels: AnchorLabels,
    grid: TrainingGrid,
    *,
    predictions: Sequence[Prediction] = (),
    shown: int = SAMPLES_SHOWN,
) -> Image:
    """A sheet of samples: exemplar, search patch with its labels, and with the prediction.

    Args:
        title: heading.
        batch: N samples.
        labels: of these samples.
        grid: the responses' places.
        predictions: of the first samples, in order; without any their cells are left out.
        shown: samples on the sheet, at most N.

    Returns:
        (H, W, 3) uint8 BGR.
    """
    frames: list[Image] = []
    captions: list[str] = []
    for index in range(min(shown, len(batch.number), len(predictions) or shown)):
        patch = _image(batch.search_patches[index])
        exemplar = cv2.resize(_image(batch.exemplar_patches[index]), patch.shape[1::-1])
        frames += [np.asarray(exemplar, np.uint8), _labelled(patch, batch, labels, grid, index)]
        captions += [f"sample {int(batch.number[index])}", _label_caption(batch, index)]
        if predictions:
            prediction = predictions[index]
            frames.append(_overlaid(patch, prediction.mask, prediction.box_xyxy, PREDICTED))
            captions.append(_prediction_caption(batch, prediction, index))
    legend = "green: truth; yellow: positive responses; rings: masks trained there"
    section = SheetSection(title, frames, captions, subtitle=legend)
    return contact_sheet([section], columns=SHEET_COLUMNS, cell_width=CELL_WIDTH)


def _image(patch: Tensor) -> Image:
    """(3, H, W) uint8 -> (H, W, 3)."""
    image: Image = np.ascontiguousarray(patch.permute(1, 2, 0).cpu().numpy())
    return image


def _labelled(
    patch: Image, batch: SampleBatch, labels: AnchorLabels, grid: TrainingGrid, index: int
) -> Image:
    mask = _truth_mask(batch, index)
    box = batch.boxes_xyxy[index].cpu().numpy() if batch.is_positive[index] else None
    drawn = _overlaid(patch, mask, box, TRUTH)
    if batch.is_positive[index]:
        positive = (labels.labels[index] == POSITIVE).any(dim=0)  # (S, S)
        for row, column in positive.nonzero().tolist():
            _dot(drawn, row, column, grid, POSITIVE_DOT, radius=2)
    for at in (labels.mask_samples == index).nonzero()[:, 0].tolist():
        row, column = int(labels.mask_rows[at]), int(labels.mask_columns[at])
        _dot(drawn, row, column, grid, MASK_RING, radius=6, thickness=1)
    return drawn


def _dot(
    image: Image,
    row: int,
    column: int,
    grid: TrainingGrid,
    colour: Colour,
    *,
    radius: int,
    thickness: int = cv2.FILLED,
) -> None:
    center = (_zoomed(grid.centers[column]), _zoomed(grid.centers[row]))
    cv2.circle(image, center, radius, colour, thickness, cv2.LINE_AA)


def _zoomed(pixel: float) -> int:
    """Where a patch coordinate is after enlargement; pixel 0's centre is 0 in both."""
    limit = float(np.iinfo(np.int16).max)  # OpenCV's drawing overflows beyond
    return round(float(np.clip((pixel + 0.5) * ZOOM - 0.5, -limit, limit)))


def _overlaid(
    patch: Image, mask: BoolArray | None, box_xyxy: FloatArray | None, colour: Colour
) -> Image:
    """The patch, enlarged, with a mask tinted and outlined and a box drawn."""
    size = (patch.shape[1] * ZOOM, patch.shape[0] * ZOOM)
    drawn: Image = np.asarray(cv2.resize(patch, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    if mask is not None:
        inside = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        tinted = cv2.addWeighted(drawn, 1 - TINT, np.full_like(drawn, colour), TINT, 0.0)
        drawn = np.where(inside[..., None] > 0, tinted, drawn).astype(np.uint8)
        contours, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, contours, -1, colour, 1, cv2.LINE_AA)
    if box_xyxy is not None and np.isfinite(box_xyxy).all():
        left, top, right, bottom = (_zoomed(edge) for edge in box_xyxy)
        cv2.rectangle(drawn, (left, top), (right, bottom), colour, ZOOM, cv2.LINE_AA)
    return drawn


def _truth_mask(batch: SampleBatch, index: int) -> BoolArray | None:
    if not (batch.is_positive[index] and batch.has_mask[index]):
        return None
    mask: BoolArray = batch.masks[index].cpu().numpy() > 0
    return mask


def _label_caption(batch: SampleBatch, index: int) -> str:
    if not batch.is_positive[index]:
        return "no target"
    return "box and mask" if batch.has_mask[index] else "box only"


def _prediction_caption(batch: SampleBatch, prediction: Prediction, index: int) -> str:
    words = [f"score {prediction.score:.2f}"]
    if batch.is_positive[index] and prediction.box_xyxy is not None:
        overlap = box_iou_xyxy(batch.boxes_xyxy[index].cpu().numpy(), prediction.box_xyxy)
        words.append(f"box IoU {float(overlap):.2f}")
    truth = _truth_mask(batch, index)
    if truth is not None and prediction.mask is not None:
        union = (truth | prediction.mask).sum()
        words.append(f"mask IoU {(truth & prediction.mask).sum() / max(union, 1):.2f}")
    return "  ".join(words)


CURVES = ("learning_rate", "loss", "score", "box", "mask", "mask_overlap", "mask_iou")


def curve_chart(title: str, rows: Sequence[Metrics]) -> Figure:
    """A panel for each curve of a run, over steps.

    Args:
        title: heading.
        rows: lines of the metrics file, at least one.

    Raises:
        ValueError: there are no lines.
    """
    if not rows:
        raise ValueError("no lines of metrics to draw")
    curves = [Series(name, [getattr(row, name) for row in rows]) for name in CURVES]
    measured = [curve for curve in curves if any(np.nan_to_num(curve.values))]
    return panels(measured, [row.step for row in rows], title=title, x_label="step")
