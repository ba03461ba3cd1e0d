# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a click to a box: which box around a point is round a target, by the network's own masks.

A box is taken as an exemplar and searched for in the very image it was cut from. Round a target
the mask that comes back fills the box, and the score is high; a box round a part of one, or round
nothing, comes back with a mask of another extent. So boxes of several sizes are tried, the
extents of their masks are tried as boxes next, and the box that its mask repeats best wins, a large
one rather than a small one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from siammask_ros.geometry import MIN_BOX_SIDE, Box, box_iou
from siammask_ros.masks import outline_mask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siammask_ros.crop import ImageBgr
    from siammask_ros.longterm import BatchTracker
    from siammask_ros.tracker_state import TrackResult

SIZES = 8
"""Squares tried round a click."""
SMALLEST_SHARE = 1 / 16
LARGEST_SHARE = 4 / 5
"""Their sides, from the first to the last, as shares of the image's shorter side."""
KEPT = 4
"""Boxes whose masks' extents are tried in the next round."""
SIZE_EXPONENT = 0.25
"""A part of a target can be as consistent as all of it, so of equals the larger is preferred: by
this power of its area. Of 0, 0.25, 0.5, 0.75 and 1 it was the best on 30 DAVIS sequences."""
SAME_BOX_IOU = 0.9
"""Boxes that overlap so much are one."""


EDGE = 1.0
"""Pixels by which a click may miss the image: viewers round to the edge of the last pixel."""


class Click(NamedTuple):
    """A point that somebody clicked, and what its message says about it.

    Attributes:
        point_xy: in pixels of the image; (0, 0) is the centre of the top-left pixel.
        stamp_ns: when, in nanoseconds; 0: now.
        frame_id: what the point is given in; empty: not said.
        z: 0 for pixels; a place in the world has a third coordinate.
    """

    point_xy: tuple[float, float]
    stamp_ns: int = 0
    frame_id: str = ""
    z: float = 0.0


class _Trial(NamedTuple):
    """A box that was tried, and the extent of the mask that it brought."""

    box: Box
    mask_box: Box
    worth: float
    """Score times agreement times size, in [0, 1]."""


def grow_box(
    tracker: BatchTracker, image_bgr: ImageBgr, point_xy: tuple[float, float], *, rounds: int = 2
) -> Box:
    """A box round the target at a point.

    Args:
        tracker: with a network that predicts masks; without masks the best square is returned.
        image_bgr: (H, W, 3) uint8.
        point_xy: pixels; (0, 0) is the centre of the top-left pixel.
        rounds: how often the masks' extents are tried as boxes after the first trial; each round
            is one forward pass.

    Returns:
        The box, within the image, at least `MIN_BOX_SIDE` wide and high.

    Raises:
        ValueError: the point is not finite, or outside the image.
    """
    height, width = image_bgr.shape[:2]
    check_point(point_xy, (width, height))
    trials = _try(tracker, image_bgr, point_xy, _squares(point_xy, (width, height)))
    for _ in range(rounds):
        best = sorted(trials, key=lambda trial: trial.worth, reverse=True)[:KEPT]
        fresh = _unlike([trial.mask_box for trial in best], [trial.box for trial in trials])
        trials += _try(tracker, image_bgr, point_xy, fresh)
    best_trial = max(trials, key=lambda trial: trial.worth)
    if best_trial.worth == 0:  # no mask anywhere: a square of middle size is as good as any
        return trials[SIZES // 2].box
    return best_trial.mask_box


def check_point(point_xy: tuple[float, float], image_size_wh: tuple[int, int]) -> None:
    """Refuse a point that is no pixel of the image.

    Raises:
        ValueError: it names the point and the image's size.
    """
    (x, y), (width, height) = point_xy, image_size_wh
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError(f"point must be finite, got x, y = {point_xy}")
    if not (-0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5):
        raise ValueError(f"point is outside the image: x, y = ({x:g}, {y:g}) in {width}x{height}")


def clicked_pixel(
    click: Click, image_size_wh: tuple[int, int], image_frame_id: str = ""
) -> tuple[float, float]:
    """Where in an image a click is; on its last pixel if it is just beyond.

    Raises:
        ValueError: it is a place in the world, as rviz's Publish Point gives it, or outside the
            image, or not finite; the text says which.
    """
    frame_id = click.frame_id.strip("/")
    if frame_id and frame_id != image_frame_id.strip("/"):
        raise ValueError(
            f"it is a place in frame {click.frame_id!r}, not a pixel of the image "
            f"(its frame is {image_frame_id!r}); leave the frame of clicks in pixels empty"
        )
    if click.z != 0:
        raise ValueError(f"it is a place in the world, not a pixel of the image: z = {click.z:g}")
    x, y = (
        _nearest_pixel(at, side) for at, side in zip(click.point_xy, image_size_wh, strict=True)
    )
    check_point((x, y), image_size_wh)
    return x, y


def _nearest_pixel(at: float, side: int) -> float:
    """A coordinate moved to the image if it is hardly outside, else as it is."""
    inside = min(max(at, 0.0), side - 1.0)
    return inside if abs(at - inside) <= EDGE else at


def _squares(point_xy: tuple[float, float], image_size_wh: tuple[int, int]) -> list[Box]:
    """Squares round a point, the part of each that is in the image."""
    shorter = min(image_size_wh)
    sides = np.geomspace(shorter * SMALLEST_SHARE, shorter * LARGEST_SHARE, SIZES)
    return [
        _usable(Box.from_center(point_xy, (float(side), float(side))), image_size_wh)
        for side in sides
    ]


def _try(
    tracker: BatchTracker, image_bgr: ImageBgr, point_xy: tuple[float, float], boxes: Sequence[Box]
) -> list[_Trial]:
    """Find each box again in the image that it is from, all in one forward pass."""
    if not boxes:
        return []
    states = tracker.initialize_batch([(image_bgr, box.xywh) for box in boxes])
    results = tracker.track_batch([(image_bgr, state) for state in states])
    return [_judge(box, result, point_xy) for box, (_, result) in zip(boxes, results, strict=True)]


def _judge(box: Box, result: TrackResult, point_xy: tuple[float, float]) -> _Trial:
    """How well the mask that a box brought speaks for it."""
    outline = outline_mask(result.mask_in_roi, offset_xy=result.mask_roi[:2])
    if outline is None or not _holds(outline.box, point_xy):
        return _Trial(box, box, 0.0)
    mask_box = _usable(outline.box, result.image_size_wh)
    agreement = box_iou(mask_box, result.box) * box_iou(mask_box, box)
    size = (mask_box.area / math.prod(result.image_size_wh)) ** SIZE_EXPONENT
    return _Trial(box, mask_box, result.confidence * agreement * size)


def _holds(box: Box, point_xy: tuple[float, float]) -> bool:
    left, top, right, bottom = box.xyxy
    return left <= point_xy[0] <= right and top <= point_xy[1] <= bottom


def _usable(box: Box, image_size_wh: tuple[int, int]) -> Box:
    """The part of a box in the image, wide and high enough to start on."""
    spans = []
    for first, last, limit in zip(box.xyxy[:2], box.xyxy[2:], image_size_wh, strict=True):
        start, end = max(first, 0.0), min(last, float(limit))
        side = max(end - start, float(MIN_BOX_SIDE))
        middle = (start + end) / 2
        start = min(max(middle - side / 2, 0.0), limit - side)
        spans.append((start, start + side))
    (left, right), (top, bottom) = spans
    return Box.from_xyxy(left, top, right, bottom)


def _unlike(boxes: Sequence[Box], known: Sequence[Box]) -> list[Box]:
    """Those of the boxes that are none of the known ones, nor each other."""
    fresh: list[Box] = []
    for box in boxes:
        if all(box_iou(box, other) < SAME_BOX_IOU for other in (*known, *fresh)):
            fresh.append(box)
    return fresh
