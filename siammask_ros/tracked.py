# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was found of all targets in one frame: as masks, as rows of a table, as things to draw."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from siammask_ros.drawing import OverlayItem, draw_overlay
from siammask_ros.results import ResultRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from siammask_ros.drawing import Image
    from siammask_ros.geometry import Box
    from siammask_ros.longterm import TargetResult
    from siammask_ros.masks import ImageRegion
    from siammask_ros.video import VideoFrame

FULL_MASK = 255


class TargetEntry(NamedTuple):
    """What is known of one target in one frame.

    Attributes:
        target_id, label: the target, and the word given for it.
        result: what was found of it.
        given: the box that it was given by, in the frame that it was drawn on; None elsewhere.
    """

    target_id: int
    label: str
    result: TargetResult
    given: Box | None = None


@dataclass(frozen=True)
class TrackedFrame:
    """A frame and what was found in it.

    Attributes:
        frame: the frame as it came.
        entries: one a target, by rising id.
    """

    frame: VideoFrame
    entries: tuple[TargetEntry, ...]

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the image."""
        height, width = self.frame.image_bgr.shape[:2]
        return width, height

    @cached_property
    def overlay(self) -> Image:
        """The frame with the results drawn on it, (H, W, 3) uint8 BGR; not to be written to."""
        return draw_overlay(self.frame.image_bgr, self.items())

    def overlay_at(self, width: int) -> Image:
        """As `overlay`, resized to a width; lines and texts are drawn after that, and stay sharp.

        Not to be written to.
        """
        image = self.frame.image_bgr
        if width == image.shape[1]:
            return self.overlay
        scale = width / image.shape[1]
        size = (width, max(1, round(image.shape[0] * scale)))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        canvas = np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)
        items = [overlay_item(entry, scale) for entry in self.entries]
        return draw_overlay(canvas, items, out=canvas)

    def items(self) -> list[OverlayItem]:
        """What `draw_overlay` needs."""
        return [overlay_item(entry) for entry in self.entries]

    def rows(self, clip: str) -> list[ResultRow]:
        """The frame's part of the table of results."""
        return [_row(clip, self.frame, entry) for entry in self.entries]

    def label_image(self) -> NDArray[np.uint8]:
        """See `label_image`."""
        return label_image(self.entries, self.size_wh)


def label_image(entries: Iterable[TargetEntry], size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W) uint8: the target's id at each pixel, 0 on none; the higher id where two overlap."""
    labels = np.zeros(size_wh[::-1], dtype=np.uint8)
    paint_labels(labels, entries)
    return labels


def mask_image(entries: Iterable[TargetEntry], size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W) uint8: 255 on any target, 0 elsewhere."""
    mask = np.zeros(size_wh[::-1], dtype=np.uint8)
    paint_masks(mask, entries)
    return mask


def paint_labels(image: NDArray[np.uint8], entries: Iterable[TargetEntry]) -> list[ImageRegion]:
    """Write each target's id on its pixels of an (H, W) uint8 image, later ones over earlier ones.

    Returns:
        The regions outside of which nothing was written.
    """
    return _paint(image, ((entry, entry.target_id) for entry in entries))


def paint_masks(image: NDArray[np.uint8], entries: Iterable[TargetEntry]) -> list[ImageRegion]:
    """As `paint_labels`, but 255 for every target."""
    return _paint(image, ((entry, FULL_MASK) for entry in entries))


def _paint(
    image: NDArray[np.uint8], levels: Iterable[tuple[TargetEntry, int]]
) -> list[ImageRegion]:
    regions = []
    for entry, level in levels:
        found = entry.result.result
        if found is not None:
            np.copyto(image[found.mask_roi.slices], np.uint8(level), where=found.mask_in_roi)
            regions.append(found.mask_roi)
    return regions


def overlay_item(entry: TargetEntry, scale: float = 1.0) -> OverlayItem:
    """One target as the overlay draws it, on an image resized by `scale`."""
    result = entry.result
    item = OverlayItem(
        target_id=entry.target_id,
        state=int(result.status),
        confidence=result.confidence,
        label=entry.label,
        age=result.age,
    )
    found = result.result
    if found is None:
        return item if entry.given is None else replace(item, corners=_corners(entry.given) * scale)
    mask: NDArray[Any] = found.mask_in_roi
    x, y, width, height = found.mask_roi
    if scale != 1.0 and 0 not in mask.shape:
        x, y = round(x * scale), round(y * scale)
        width, height = max(round(width * scale), 1), max(round(height * scale), 1)
        mask = cv2.resize(mask.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    return replace(item, corners=found.corners * scale, mask=mask, mask_roi=(x, y, width, height))


def _corners(box: Box) -> NDArray[np.float64]:
    """(4, 2), top-left first, clockwise on screen."""
    left, top, right, bottom = box.xyxy
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def _row(clip: str, frame: VideoFrame, entry: TargetEntry) -> ResultRow:
    found = entry.result
    row = ResultRow(
        clip=clip,
        frame=frame.index,
        time_s=frame.time_s,
        target_id=entry.target_id,
        label=entry.label,
        state=found.status.name,
        confidence=found.confidence,
        age=found.age,
    )
    if found.result is None:
        return row
    box = found.result.rotated_box
    x1, y1, x2, y2, x3, y3, x4, y4 = found.result.corners.ravel().tolist()
    return replace(
        row,
        center_x=box.center_xy[0],
        center_y=box.center_xy[1],
        size_x=box.size_wh[0],
        size_y=box.size_wh[1],
        theta=box.theta,
        x1=x1,
        y1=y1,
        x2=x2,
        y2=y2,
        x3=x3,
        y3=y3,
        x4=x4,
        y4=y4,
        mask_area=found.result.mask_area,
    )
