# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tracking results drawn for people: an overlay on a frame, and a contact sheet of a run.

All functions work on uint8 BGR images and cost little: only the region a mask covers is touched.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from siammask_ros.target_status import TargetStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

FONT = cv2.FONT_HERSHEY_SIMPLEX
GOLDEN_RATIO_CONJUGATE = 0.618033988749895
"""Steps of this part of the hue circle keep the colours of any few consecutive ids far apart."""
FIRST_HUE = 0.42
FIXED_POINT_BITS = 4
"""Sub-pixel bits of the coordinates given to OpenCV's drawing functions."""
FAR_AWAY = float(np.iinfo(np.int16).max)
"""Coordinates are cut to this before they reach OpenCV, whose drawing overflows."""
MAX_LABEL_CHARACTERS = 32

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
HALO: Colour = (24, 24, 24)


@dataclass(frozen=True)
class StateStyle:
    """How a target of one state is drawn.

    Attributes:
        tint: share of the target's colour on its mask, 0 to 1.
        dash: length of a dash as a multiple of the line's thickness; 0 is a solid line.
        placed: False where the target has no position to draw at (it is listed in a corner).
    """

    tint: float
    dash: int
    placed: bool


STATE_STYLES: dict[int, StateStyle] = {
    TargetStatus.INITIALIZING: StateStyle(tint=0.22, dash=2, placed=True),
    TargetStatus.TRACKING: StateStyle(tint=0.40, dash=0, placed=True),
    TargetStatus.UNCERTAIN: StateStyle(tint=0.22, dash=5, placed=True),
    TargetStatus.LOST: StateStyle(tint=0.0, dash=0, placed=False),
}
STATE_COLOURS: dict[int, Colour] = {
    TargetStatus.INITIALIZING: (233, 180, 86),
    TargetStatus.TRACKING: (115, 158, 0),
    TargetStatus.UNCERTAIN: (66, 228, 240),
    TargetStatus.LOST: (0, 94, 213),
}
"""BGR: blue, green, yellow, vermilion, told apart by colour-blind eyes too (Okabe and Ito)."""


@dataclass(frozen=True)
class OverlayItem:
    """One target as the overlay needs it.

    Attributes:
        target_id: the target's id; it alone decides the colour.
        state: number of a `TargetStatus`.
        confidence: 0 to 1; NaN is shown as a dash.
        label: the user's word for the target, may be empty.
        corners: (4, 2) rotated box in image pixels, top-left of its own frame first; or None.
        mask: bool or uint8, non-zero on the target; the whole image, or the region `mask_roi`.
        mask_roi: (x, y, width, height) of `mask` in the image; it may reach over the border.
        age: frames since the target was last seen, shown for a lost target.
    """

    target_id: int
    state: int = TargetStatus.TRACKING
    confidence: float = float("nan")
    label: str = ""
    corners: NDArray[Any] | None = None
    mask: NDArray[Any] | None = None
    mask_roi: tuple[int, int, int, int] | None = None
    age: int = 0


@lru_cache(maxsize=512)
def target_colour(target_id: int) -> Colour:
    """The BGR colour of a target: bright, and well apart from those of the neighbouring ids."""
    hue = (FIRST_HUE + (target_id - 1) * GOLDEN_RATIO_CONJUGATE) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.80, 1.0)
    return round(blue * 255), round(green * 255), round(red * 255)


def draw_overlay(
    image_bgr: Image, items: Sequence[OverlayItem], *, out: Image | None = None
) -> Image:
    """Draw masks, rotated boxes, ids, labels, confidences and states on a frame.

    Args:
        image_bgr: (H, W, 3) uint8; left untouched unless it is `out` itself.
        items: the targets; later ones are drawn over earlier ones, all texts over all masks.
        out: a writable image to draw on instead of a copy, of the same shape.

    Returns:
        (H, W, 3) uint8, `out` where it was given.

    Raises:
        ValueError: the image is not (H, W, 3) uint8, a state is unknown, a shape does not fit.
    """
    _require_bgr(image_bgr)
    canvas: Image
    if out is None:
        canvas = image_bgr.copy()
    else:
        if out.shape != image_bgr.shape:
            raise ValueError(f"out has shape {out.shape}, the image {image_bgr.shape}")
        canvas = out
        if canvas is not image_bgr:
            np.copyto(canvas, image_bgr)
    for item in items:
        if item.state not in STATE_STYLES:
            raise ValueError(f"state {item.state} of target {item.target_id} is none of 0 to 3")
        if item.mask is not None:
            _tint_mask(canvas, item)
    thickness = line_thickness(canvas.shape[1], canvas.shape[0])
    for item in items:
        _draw_box(canvas, item, thickness)
    unplaced = 0
    for item in items:
        if STATE_STYLES[item.state].placed and item.corners is not None:
            place = _tag_position(item.corners, thickness, canvas.shape[0])
            draw_tag(canvas, _drawn_caption(item), place, target_colour(item.target_id))
        else:
            height = tag_size("#", text_scale(canvas.shape[0]))[1]
            bottom = canvas.shape[0] - unplaced * (height + 2 * thickness) - 2 * thickness
            colour = target_colour(item.target_id)
            draw_tag(canvas, _drawn_caption(item), (2 * thickness, bottom), colour)
            unplaced += 1
    return canvas


def line_thickness(width: int, height: int) -> int:
    """Thickness in pixels of the lines drawn on an image of this size."""
    return max(1, round(min(width, height) / 240))


def text_scale(height: int) -> float:
    """OpenCV font scale for an image of this height: readable, and never in the way."""
    return float(np.clip(height / 900, 0.36, 1.6))


def tag_size(text: str, scale: float) -> tuple[int, int]:
    """(width, height) in pixels of the filled tag around one line of text."""
    (width, height), baseline = cv2.getTextSize(text, FONT, scale, _text_thickness(scale))
    margin = _tag_margin(scale)
    return width + 2 * margin, height + baseline + 2 * margin


def draw_tag(image_bgr: Image, text: str, bottom_left: tuple[int, int], colour: Colour) -> None:
    """Write a line of text on a filled tag, shifted as needed to stay inside the image."""
    image_height, image_width = image_bgr.shape[:2]
    scale = text_scale(image_height)
    width, height = tag_size(text, scale)
    left = int(np.clip(bottom_left[0], 0, max(image_width - width, 0)))
    bottom = int(np.clip(bottom_left[1], height, max(image_height - 1, height)))
    cv2.rectangle(image_bgr, (left, bottom - height), (left + width, bottom), colour, cv2.FILLED)
    baseline = cv2.getTextSize(text, FONT, scale, _text_thickness(scale))[1]
    margin = _tag_margin(scale)
    origin = (left + margin, bottom - margin - baseline + 1)
    ink = BLACK if _luminance(colour) > 110 else WHITE
    cv2.putText(image_bgr, text, origin, FONT, scale, ink, _text_thickness(scale), cv2.LINE_AA)


def _require_bgr(image: Image) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"an (H, W, 3) uint8 image is needed, got {image.shape} {image.dtype}")


def _text_thickness(scale: float) -> int:
    return max(1, round(scale * 1.6))


def _tag_margin(scale: float) -> int:
    return max(2, round(scale * 7))


def _luminance(colour: Colour) -> float:
    blue, green, red = colour
    return 0.114 * blue + 0.587 * green + 0.299 * red


def plain_text(text: str, most: int = MAX_LABEL_CHARACTERS) -> str:
    """Text that OpenCV's fonts can show, cut to a sensible length."""
    shown = "".join(c if " " <= c <= "~" else "?" for c in text)
    return shown if len(shown) <= most else shown[: max(most - 3, 0)] + "..."[:most]


def _drawn_caption(item: OverlayItem) -> str:
    return item_caption(replace(item, label=plain_text(item.label)))


def fitted_text(text: str, scale: float, width: int) -> str:
    """Text that OpenCV's fonts can show, cut so that it is at most so many pixels wide."""
    shown = plain_text(text, len(text))
    most = len(shown)
    while most > 0 and cv2.getTextSize(plain_text(shown, most), FONT, scale, 1)[0][0] > width:
        most -= 1
    return plain_text(shown, most)


def item_caption(item: OverlayItem) -> str:
    """What is written at a target: id, label, confidence, state unless TRACKING."""
    style = STATE_STYLES[item.state]
    words = [f"#{item.target_id}"]
    if item.label:
        words.append(item.label)
    if style.placed and item.state != TargetStatus.INITIALIZING:
        words.append(f"{item.confidence:.2f}" if np.isfinite(item.confidence) else "-")
    if item.state != TargetStatus.TRACKING:
        words.append(TargetStatus(item.state).name)
    if not style.placed and item.age > 0:
        words.append(f"for {item.age}")
    return " ".join(words)


def _mask_window(
    canvas: Image, item: OverlayItem
) -> tuple[NDArray[np.uint8], tuple[int, int]] | None:
    """The part of the item's mask inside the image as 0/255, and its (x, y) there."""
    assert item.mask is not None
    mask = np.asarray(item.mask)
    height, width = canvas.shape[:2]
    x, y, roi_width, roi_height = item.mask_roi or (0, 0, width, height)
    if mask.shape != (roi_height, roi_width):
        raise ValueError(
            f"mask of target {item.target_id} has shape {mask.shape}, "
            f"its region is {roi_width} wide and {roi_height} high"
        )
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + roi_width, width), min(y + roi_height, height)
    if left >= right or top >= bottom:
        return None
    part = (mask[top - y : bottom - y, left - x : right - x] != 0).view(np.uint8)
    return np.multiply(part, 255, dtype=np.uint8), (left, top)


def _tint_mask(canvas: Image, item: OverlayItem) -> None:
    window = _mask_window(canvas, item)
    tint = STATE_STYLES[item.state].tint
    if window is None or tint == 0.0:
        return
    mask, (left, top) = window
    x, y, width, height = cv2.boundingRect(mask)
    if width == 0:
        return
    mask = np.ascontiguousarray(mask[y : y + height, x : x + width])
    colour = target_colour(item.target_id)
    region = canvas[top + y : top + y + height, left + x : left + x + width]
    outline = cv2.copyTo(cv2.LUT(region, _tinted_levels(colour, tint)), mask, region.copy())
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(outline, contours, -1, colour, 1, cv2.LINE_AA)
    np.copyto(region, outline)


@lru_cache(maxsize=512)
def _tinted_levels(colour: Colour, tint: float) -> Image:
    """(1, 256, 3): what each level of each channel becomes under a tint."""
    levels = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    tinted = cv2.addWeighted(levels, 1.0 - tint, np.full_like(levels, colour), tint, 0.0)
    return np.asarray(tinted, np.uint8)


def _draw_box(canvas: Image, item: OverlayItem, thickness: int) -> None:
    style = STATE_STYLES[item.state]
    if item.corners is None or not style.placed:
        return
    corners = np.asarray(item.corners, dtype=np.float64)
    if corners.shape != (4, 2):
        raise ValueError(f"corners of target {item.target_id} have shape {corners.shape}")
    if not np.isfinite(corners).all():
        return
    corners = np.clip(corners, -FAR_AWAY, FAR_AWAY)
    colour = target_colour(item.target_id)
    lines = _dashed(corners, style.dash * thickness) if style.dash else [_closed(corners)]
    fixed = [np.round(line * (1 << FIXED_POINT_BITS)).astype(np.int32) for line in lines]
    cv2.polylines(canvas, fixed, False, HALO, thickness + 2, cv2.LINE_AA, FIXED_POINT_BITS)
    cv2.polylines(canvas, fixed, False, colour, thickness, cv2.LINE_AA, FIXED_POINT_BITS)
    # A dot at the box's own top-left corner: the box's orientation can be read off.
    centre = (int(fixed[0][0][0]), int(fixed[0][0][1]))
    radius = (thickness + 1) << FIXED_POINT_BITS
    cv2.circle(canvas, centre, radius, colour, cv2.FILLED, cv2.LINE_AA, FIXED_POINT_BITS)


def _closed(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([corners, corners[:1]])


def _dashed(corners: NDArray[np.float64], dash: int) -> list[NDArray[np.float64]]:
    """The box's sides as separate dashes with equal gaps, a dash at each corner."""
    dashes: list[NDArray[np.float64]] = []
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        length = float(np.hypot(*(end - start)))
        pieces = max(1, 2 * round(length / (2 * dash))) + 1
        knots = np.linspace(0.0, 1.0, pieces + 1)[:, None]
        points = start + knots * (end - start)
        dashes.extend(points[i : i + 2] for i in range(0, pieces, 2))
    return dashes


def _tag_position(corners: NDArray[Any], thickness: int, image_height: int) -> tuple[int, int]:
    """Bottom left of the tag: above the box, or below where there is no room above."""
    points = np.clip(np.nan_to_num(np.asarray(corners, dtype=np.float64)), -FAR_AWAY, FAR_AWAY)
    left, top = points.min(axis=0)
    bottom = float(points[:, 1].max())
    height = tag_size("#", text_scale(image_height))[1]
    gap = 2 * thickness
    above = round(float(top)) - gap
    below = round(bottom) + gap + height
    if above < height and below < image_height:
        return round(float(left)), below
    return round(float(left)), above


@dataclass(frozen=True)
class SheetSection:
    """One run on a contact sheet.

    Attributes:
        title: above the frames.
        frames: in order, (H, W, 3) uint8 BGR.
        captions: one below each frame, or none at all.
        subtitle: beside the title, smaller.
        marks: a colour around each frame, or None; none at all where it is empty.
    """

    title: str
    frames: Sequence[Image]
    captions: Sequence[str] = ()
    subtitle: str = ""
    marks: Sequence[Colour | None] = ()


SHEET_BACKGROUND: Colour = (30, 27, 25)
SHEET_TITLE: Colour = (245, 245, 245)
SHEET_TEXT: Colour = (175, 170, 165)
SHEET_GAP = 10
SHEET_TITLE_SCALE = 0.62
SHEET_TEXT_SCALE = 0.42
SHEET_TITLE_HEIGHT = 38
SHEET_CAPTION_HEIGHT = 24
SHEET_MARK_WIDTH = 3


def contact_sheet(
    sections: Sequence[SheetSection], *, columns: int = 4, cell_width: int = 400
) -> Image:
    """Lay out frames of one or more runs on one image, with titles and captions.

    Args:
        sections: the runs; each starts a new row. Frames of one section share a shape.
        columns: frames a row.
        cell_width: width in pixels to which each frame is scaled, its aspect kept.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        ValueError: no frame at all, or not as many captions or marks as frames.
    """
    if columns < 1 or cell_width < 1:
        raise ValueError(f"columns {columns} and cell_width {cell_width} must be positive")
    if not any(len(section.frames) for section in sections):
        raise ValueError("a contact sheet needs at least one frame")
    width = columns * cell_width + (columns + 1) * SHEET_GAP
    parts = [_sheet_section(section, columns, cell_width, width) for section in sections]
    footer = np.full((SHEET_GAP, width, 3), SHEET_BACKGROUND, np.uint8)
    return np.concatenate([*parts, footer])


def evenly_spaced(count: int, wanted: int) -> list[int]:
    """Up to `wanted` indices spread over range(count), the first and the last among them."""
    if count <= 0 or wanted <= 0:
        return []
    if wanted == 1:
        return [0]
    positions = np.linspace(0, count - 1, min(wanted, count))
    return sorted({round(float(position)) for position in positions})


def _sheet_section(section: SheetSection, columns: int, cell_width: int, width: int) -> Image:
    if section.captions and len(section.captions) != len(section.frames):
        raise ValueError(
            f"{len(section.captions)} captions for {len(section.frames)} frames of "
            f"{section.title!r}"
        )
    if section.marks and len(section.marks) != len(section.frames):
        raise ValueError(
            f"{len(section.marks)} marks for {len(section.frames)} frames of {section.title!r}"
        )
    title = np.full((SHEET_TITLE_HEIGHT, width, 3), SHEET_BACKGROUND, np.uint8)
    baseline = SHEET_TITLE_HEIGHT - 12
    _write(title, section.title, (SHEET_GAP, baseline), SHEET_TITLE_SCALE, SHEET_TITLE)
    if section.subtitle:
        indent = cv2.getTextSize(section.title, FONT, SHEET_TITLE_SCALE, 1)[0][0]
        left = SHEET_GAP + indent + 2 * SHEET_GAP
        _write(title, section.subtitle, (left, baseline), SHEET_TEXT_SCALE, SHEET_TEXT)
    rows = [title]
    captions = list(section.captions) or [""] * len(section.frames)
    marks = list(section.marks) or [None] * len(section.frames)
    cells = list(zip(section.frames, captions, marks, strict=True))
    starts = range(0, len(cells), columns)
    rows += [_sheet_row(cells[start : start + columns], cell_width, width) for start in starts]
    return np.concatenate(rows)


def _sheet_row(
    cells: Sequence[tuple[Image, str, Colour | None]], cell_width: int, width: int
) -> Image:
    heights = [max(1, round(f.shape[0] * cell_width / f.shape[1])) for f, _, _ in cells]
    row_height = max(heights) + SHEET_CAPTION_HEIGHT
    row = np.full((row_height, width, 3), SHEET_BACKGROUND, np.uint8)
    for column, ((frame, caption, mark), height) in enumerate(zip(cells, heights, strict=True)):
        _require_bgr(frame)
        left = SHEET_GAP + column * (cell_width + SHEET_GAP)
        shrinks = frame.shape[1] > cell_width
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        cell = cv2.resize(frame, (cell_width, height), interpolation=method)
        if mark is not None:
            edge = SHEET_MARK_WIDTH // 2
            corner = (cell_width - 1 - edge, height - 1 - edge)
            cv2.rectangle(cell, (edge, edge), corner, mark, SHEET_MARK_WIDTH)
        row[:height, left : left + cell_width] = cell
        shown = fitted_text(caption, SHEET_TEXT_SCALE, cell_width)
        _write(row, shown, (left + 1, height + 16), SHEET_TEXT_SCALE, SHEET_TEXT)
    return row


def _write(image: Image, text: str, origin: tuple[int, int], scale: float, colour: Colour) -> None:
    cv2.putText(image, text, origin, FONT, scale, colour, 1, cv2.LINE_AA)
