# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of what a tracker did worst: the worst frames of the worst sequences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from siammask_ros.drawing import (
    FONT,
    HALO,
    SHEET_BACKGROUND,
    SHEET_GAP,
    SHEET_TEXT,
    SHEET_TEXT_SCALE,
    WHITE,
    Colour,
    Image,
    SheetSection,
    contact_sheet,
    target_colour,
)
from siammask_ros.evaluation.measures import region_similarity
from siammask_ros.evaluation.tracking import TrackedFrame, track_sequence
from siammask_ros.geometry import Box
from siammask_ros.pictures import write_jpeg, write_png

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from siammask_ros.evaluation.protocol import LabelledSequence, Mask, TrackerFactory
    from siammask_ros.evaluation.scores import Evaluation, SequenceScore

WORST_SEQUENCES = 5
"""Sequences on the overview."""
FRAMES_EACH = 3
"""Frames of each, beside the one that was given."""
OVERVIEW_CELL_WIDTH = 260
"""Pixels: a row with the given frame fits the column of a web page."""
DETAIL_CELL_WIDTH = 480
OVERVIEW_BYTES = 240_000
"""The overview is for documents, so it stays small."""

_PREDICTED: Colour = target_colour(6)
_TRUE: Colour = WHITE
_TINT = 0.45
"""Share of the colour on the predicted mask."""
_CONTEXT = 1.5
"""Side of what is shown as a multiple of what there is to see."""
_LEAST_SHARE = 0.3
"""The least part of the image's width that is shown: a place must be recognised."""
_SPECK_SHARE = 0.001
"""Parts of the true mask under this share of the picture, such as leaves, have no outline."""
_LEGEND_HEIGHT = 34
_SUBPIXEL_BITS = 4


@dataclass(frozen=True, eq=False)
class SequenceFailure:
    """A badly tracked target.

    Attributes:
        name: of the sequence, with the target's number if there are several.
        score: its scores.
        frames: the frame that was given, then the worst of each stretch of it, in order.
    """

    name: str
    score: SequenceScore
    frames: tuple[TrackedFrame, ...]


def find_failures(
    evaluation: Evaluation,
    sequences: Iterable[LabelledSequence],
    tracker_factory: TrackerFactory,
    *,
    most: int = WORST_SEQUENCES,
    frames_each: int = FRAMES_EACH,
    on_sequence: Callable[[SequenceScore], None] | None = None,
) -> list[SequenceFailure]:
    """Track the worst targets again, and keep their worst frames, spread over time.

    Args:
        evaluation: says which they are.
        sequences: those that were evaluated.
        tracker_factory: as it was evaluated.
        most: how many targets, those with the lowest mean J.
        frames_each: frames of each: the one with the lowest J in every stretch of the counted
            frames, which are cut into so many stretches.
        on_sequence: called with each of them when it is done.

    Returns:
        The worst target first.

    Raises:
        ValueError: a number under 1, or a sequence of the evaluation is not among `sequences`.
    """
    if most < 1 or frames_each < 1:
        raise ValueError(f"at least 1 sequence and frame, got {most} and {frames_each}")
    by_name = {sequence.name: sequence for sequence in sequences}
    failures = []
    for score in sorted(evaluation.sequences, key=lambda score: score.region_similarity)[:most]:
        if score.name not in by_name:
            raise ValueError(f"sequence {score.name} was evaluated, but is not given")
        wanted = worst_frames(score, frames_each)
        frames = []
        for tracked in track_sequence(by_name[score.name], tracker_factory):
            if tracked.frame in wanted or score.target_id in tracked.started:
                frames.append(tracked)
            if len(frames) == len(wanted) + 1:
                break
        failures.append(SequenceFailure(evaluation.label(score), score, tuple(frames)))
        if on_sequence is not None:
            on_sequence(score)
    return failures


def worst_frames(score: SequenceScore, count: int) -> list[int]:
    """Numbers of the frames with the lowest J in each of `count` stretches of a sequence."""
    stretches = np.array_split(np.arange(len(score.counted)), count)
    similar = [frame.region_similarity for frame in score.counted]
    worst = [min(stretch, key=similar.__getitem__) for stretch in stretches if stretch.size]
    return [score.counted[index].frame for index in worst]


def failure_sheet(
    failures: Sequence[SequenceFailure], *, cell_width: int = OVERVIEW_CELL_WIDTH
) -> Image:
    """One row a sequence: the frame that was given, then the worst frames, cut out and marked.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        ValueError: no failures.
    """
    columns = max((len(failure.frames) for failure in failures), default=1)
    sections = [
        SheetSection(
            failure.name,
            [
                draw_tracked(frame, width=cell_width, target_id=failure.score.target_id)
                for frame in failure.frames
            ],
            [_caption(frame, failure.score.target_id) for frame in failure.frames],
            f"mean J {failure.score.region_similarity:.2f}, "
            f"box IoU {failure.score.box_iou:.2f}, {len(failure.score.frames) + 1} frames",
        )
        for failure in failures
    ]
    sheet = contact_sheet(sections, columns=columns, cell_width=cell_width)
    return np.concatenate([_legend(sheet.shape[1]), sheet])


def write_failures(
    directory: str | os.PathLike[str], failures: Sequence[SequenceFailure]
) -> list[Path]:
    """Write an overview (failures.jpg, for documents) and a larger PNG for each sequence.

    Returns:
        Their paths.
    """
    folder = Path(directory)
    overview = failure_sheet(failures)
    written = [write_jpeg(folder / "failures.jpg", overview, most_bytes=OVERVIEW_BYTES)]
    for failure in failures:
        sheet = failure_sheet([failure], cell_width=DETAIL_CELL_WIDTH)
        written.append(write_png(folder / f"{failure.name}.png", sheet))
    return written


def draw_tracked(tracked: TrackedFrame, *, width: int, target_id: int = 1) -> Image:
    """The part of a frame around the target: true outline, predicted mask and box.

    Args:
        tracked: the frame. Where it was given, the box around its mask is drawn.
        width: of the picture in pixels; its aspect is the frame's.
        target_id: which target.

    Returns:
        (H, W, 3) uint8 BGR.
    """
    image_bgr = tracked.labelled.image_bgr
    truth, mask = _masks(tracked, target_id)
    true_box = Box.from_mask(truth)
    result = tracked.results.get(target_id)
    if result is None:
        box, boxes = true_box, [true_box]
    else:
        box = Box(*result.box_xywh)
        boxes = [true_box, box, Box.from_mask(mask)]
    view = _View.around([each for each in boxes if each is not None], image_bgr.shape[:2], width)
    picture = view.cut(image_bgr)
    if result is not None:
        _tint(picture, view.cut_mask(mask))
    if box is not None:
        _draw_lines(picture, [view.corners(box)], _PREDICTED)
    _draw_lines(picture, _outlines(view.cut_mask(truth)), _TRUE)
    return picture


def _masks(tracked: TrackedFrame, target_id: int) -> tuple[Mask, Mask]:
    """The true mask of a target and the predicted one; a frame without truth has an empty one."""
    predicted = tracked.labels == target_id
    truth = tracked.truth
    return (np.zeros_like(predicted) if truth is None else truth == target_id), predicted


class _View(NamedTuple):
    """A part of an image, with the image's aspect, and the picture it is shown in."""

    left: int
    top: int
    size_wh: tuple[int, int]
    picture_wh: tuple[int, int]

    @classmethod
    def around(cls, boxes: Sequence[Box], image_hw: tuple[int, ...], width: int) -> _View:
        """The part around the boxes, at most the image."""
        image_height, image_width = image_hw[:2]
        aspect = image_width / image_height
        picture_wh = (width, max(1, round(width / aspect)))
        if not boxes:
            return cls(0, 0, (image_width, image_height), picture_wh)
        edges = np.array([box.xyxy for box in boxes])
        left, top = np.clip(edges[:, :2].min(axis=0), 0, (image_width, image_height))
        right, bottom = np.clip(edges[:, 2:].max(axis=0), 0, (image_width, image_height))
        wanted = _CONTEXT * max(right - left, (bottom - top) * aspect)
        shown_width = round(min(max(wanted, _LEAST_SHARE * image_width), image_width))
        shown_height = min(round(shown_width / aspect), image_height)
        return cls(
            round(np.clip((left + right - shown_width) / 2, 0, image_width - shown_width)),
            round(np.clip((top + bottom - shown_height) / 2, 0, image_height - shown_height)),
            (shown_width, shown_height),
            picture_wh,
        )

    @property
    def scale_xy(self) -> tuple[float, float]:
        return (self.picture_wh[0] / self.size_wh[0], self.picture_wh[1] / self.size_wh[1])

    def cut(self, image: NDArray[np.uint8]) -> Image:
        """The part of an image, scaled to the picture."""
        width, height = self.size_wh
        part = image[self.top : self.top + height, self.left : self.left + width]
        shrinks = self.scale_xy[0] < 1
        method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(part, self.picture_wh, interpolation=method), np.uint8)

    def cut_mask(self, mask: Mask) -> Mask:
        """The same part of a mask."""
        return np.asarray(self.cut(np.multiply(mask, 255, dtype=np.uint8)) > 127)

    def corners(self, box: Box) -> NDArray[np.float64]:
        """Corners (4, 2) of a box in the picture."""
        right, bottom = box.x + box.width, box.y + box.height
        corners = np.array([(box.x, box.y), (right, box.y), (right, bottom), (box.x, bottom)])
        # A box of pixels reaches half a pixel beyond the centres of its first and last ones.
        return np.asarray((corners - (self.left, self.top)) * self.scale_xy - 0.5)


def _tint(picture: Image, mask: Mask) -> None:
    tinted = cv2.addWeighted(picture, 1 - _TINT, np.full_like(picture, _PREDICTED), _TINT, 0.0)
    picture[mask] = tinted[mask]


def _outlines(mask: Mask) -> list[NDArray[np.float64]]:
    """Outlines of a mask's parts and holes, specks left out."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    least = _SPECK_SHARE * mask.size
    return [c[:, 0].astype(np.float64) for c in contours if cv2.contourArea(c) >= least]


def _draw_lines(picture: Image, outlines: Iterable[NDArray[np.float64]], colour: Colour) -> None:
    """Closed lines with a dark rim, so that they are seen on any ground."""
    fixed = [np.round(line * (1 << _SUBPIXEL_BITS)).astype(np.int32) for line in outlines]
    for ink, thickness in ((HALO, 3), (colour, 1)):
        cv2.polylines(picture, fixed, True, ink, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)


def _caption(tracked: TrackedFrame, target_id: int) -> str:
    result = tracked.results.get(target_id)
    if result is None:
        return f"frame {tracked.frame}: the box given"
    truth, predicted = _masks(tracked, target_id)
    similar = region_similarity(predicted, truth)
    confidence = float(result.confidence)
    sure = "" if math.isnan(confidence) else f"   confidence {confidence:.2f}"
    return f"frame {tracked.frame}   J {similar:.2f}{sure}"


def _legend(width: int) -> Image:
    """A strip that says what the colours mean."""
    strip = np.full((_LEGEND_HEIGHT, width, 3), SHEET_BACKGROUND, np.uint8)
    swatch = np.array([(0, 8), (18, 8), (18, 22), (0, 22)], np.float64)
    left = SHEET_GAP
    for words, kind in (
        ("true outline", "outline"),
        ("predicted mask", "mask"),
        ("predicted box", "box"),
    ):
        place = swatch + np.array((left, 0))
        if kind == "mask":
            area = strip[8:23, left : left + 19]
            area[:] = cv2.addWeighted(
                np.full_like(area, 128), 1 - _TINT, np.full_like(area, _PREDICTED), _TINT, 0.0
            )
        else:
            _draw_lines(strip, [place], _TRUE if kind == "outline" else _PREDICTED)
        left += 26
        origin = (left, 20)
        cv2.putText(strip, words, origin, FONT, SHEET_TEXT_SCALE, SHEET_TEXT, 1, cv2.LINE_AA)
        left += cv2.getTextSize(words, FONT, SHEET_TEXT_SCALE, 1)[0][0] + 3 * SHEET_GAP
    return strip
