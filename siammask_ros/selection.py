# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Drawing a box on live images with mouse and keys: what each event does, and what is shown.

Nothing here opens a window or knows ROS. From the moment the mouse button goes down until the box
is accepted or cleared the picture stands still, so a box always belongs to the image under it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from siammask_ros.drawing import draw_tag, line_thickness, tag_size, target_colour, text_scale
from siammask_ros.geometry import MIN_BOX_SIDE, Box

if TYPE_CHECKING:
    from siammask_ros.drawing import Image

HELP = "drag: box  Enter/Space: track it  Esc/c: clear  f: freeze  1-9: id, 0: any  q: quit"
LARGEST_VIEW_WH = (1280, 800)
"""Larger images are shown smaller, in pixels of the screen."""
ENTER_KEYS = frozenset({10, 13, ord(" ")})
CLEAR_KEYS = frozenset({27, ord("c")})
BACKGROUND = (40, 40, 40)
NO_ID_COLOUR_OF = 1
"""A box without an id has the colour of this one."""


class MouseAction(Enum):
    """What the mouse did with its left button."""

    PRESS = auto()
    MOVE = auto()
    RELEASE = auto()


class Command(Enum):
    """What is to be done after a key."""

    NOTHING = auto()
    SUBMIT = auto()
    QUIT = auto()


class LiveImage(NamedTuple):
    """An image of the camera: (H, W, 3) uint8, and its stamp in nanoseconds."""

    image_bgr: Image
    stamp_ns: int


@dataclass
class Selection:
    """What a person has drawn so far.

    Attributes:
        live: the image on which boxes are drawn; None before the first.
        target_id: id for the box, 0 for any free one.
        box: the drawn box in pixels of the image; None without.
        frozen: the picture stands still on request.
        message: the last word to the person.
        notice: what is missing now, such as images; empty if nothing is.
    """

    live: LiveImage | None = None
    target_id: int = 0
    box: Box | None = None
    frozen: bool = False
    message: str = ""
    notice: str = ""
    _corner_xy: tuple[float, float] | None = None

    @property
    def holds_picture(self) -> bool:
        """New images are not taken: one is being drawn on, or it is frozen."""
        return self.frozen or self.box is not None or self._corner_xy is not None

    def offer(self, live: LiveImage) -> bool:
        """Take the newest image, unless the picture stands still; returns whether it was taken."""
        if self.live is not None and self.holds_picture:
            return False
        self.live = live
        return True

    def mouse(self, action: MouseAction, x: float, y: float) -> None:
        """Draw with the mouse at a pixel of the view."""
        if self.live is None:
            return
        here = self._in_image(x, y)
        if action is MouseAction.PRESS:
            self._corner_xy, self.box, self.message = here, None, ""
        if self._corner_xy is None:
            return
        (left, right), (top, bottom) = (
            sorted(pair) for pair in zip(self._corner_xy, here, strict=True)
        )
        self.box = Box.from_xyxy(left, top, right, bottom)
        if action is MouseAction.RELEASE:
            self._corner_xy = None
            if min(self.box.size_wh) < MIN_BOX_SIDE:
                self.box = None
                self.message = f"too small: drag over at least {MIN_BOX_SIDE}x{MIN_BOX_SIDE} pixels"

    def key(self, code: int) -> Command:
        """Take a key (its ASCII code; others do nothing); returns what is to be done."""
        if code in ENTER_KEYS:
            if self.box is not None and self._corner_xy is None:
                return Command.SUBMIT
            self.message = "draw a box first"
        elif code in CLEAR_KEYS:
            self.clear()
        elif code == ord("f"):
            self.frozen = not self.frozen
        elif ord("0") <= code <= ord("9"):
            self.target_id = code - ord("0")
        elif code == ord("q"):
            return Command.QUIT
        return Command.NOTHING

    def clear(self) -> None:
        """Forget the box; the picture moves on unless it is frozen."""
        self.box, self._corner_xy, self.message = None, None, ""

    def answered(self, *, success: bool, message: str) -> None:
        """Show the answer to a submitted box; a refused one stays to be mended."""
        if success:
            self.clear()
        self.message = message

    @property
    def view_scale(self) -> float:
        """Size of the view against the image, at most 1."""
        if self.live is None:
            return 1.0
        height, width = self.live.image_bgr.shape[:2]
        return float(min(1.0, LARGEST_VIEW_WH[0] / width, LARGEST_VIEW_WH[1] / height))

    def _in_image(self, x: float, y: float) -> tuple[float, float]:
        """A pixel of the view as a place in the image, moved inside."""
        assert self.live is not None
        height, width = self.live.image_bgr.shape[:2]
        scale = self.view_scale
        return min(max(x / scale, 0.0), float(width)), min(max(y / scale, 0.0), float(height))


def draw_selection(selection: Selection) -> Image:
    """The view: image, box, what was said last, and a line of help below."""
    if selection.live is None:
        view: Image = np.full((240, 640, 3), BACKGROUND, np.uint8)
        _draw_texts(view, selection, "waiting for an image")
        return view
    scale = selection.view_scale
    image_bgr = selection.live.image_bgr
    view = (
        image_bgr.copy() if scale == 1 else cv2.resize(image_bgr, None, fx=scale, fy=scale)
    ).astype(np.uint8)
    if selection.box is not None:
        _draw_box(view, selection.box, scale, selection.target_id)
    name = str(selection.target_id or "any")
    state = f"id {name}" + (", frozen" if selection.frozen else "")
    height, width = view.shape[:2]
    draw_tag(view, state, (0, 0), BACKGROUND)
    _draw_texts(view, selection)
    return np.vstack([view, _help_line(width, height)])


def _draw_texts(view: Image, selection: Selection, otherwise: str = "") -> None:
    """What is missing and what was said last, at the bottom of the view."""
    height, width = view.shape[:2]
    texts = [selection.notice, selection.message]
    lines = [line for text in texts if text for line in _broken(text, " ", width, height)]
    line_height = tag_size(HELP, text_scale(height))[1]
    for number, line in enumerate(reversed(lines or [otherwise])):
        if line:
            draw_tag(view, line, (0, height - number * line_height), BACKGROUND)


def _draw_box(view: Image, box: Box, scale: float, target_id: int) -> None:
    left, top, right, bottom = (round(edge * scale) for edge in box.xyxy)
    colour = target_colour(target_id or NO_ID_COLOUR_OF)
    thickness = line_thickness(view.shape[1], view.shape[0])
    cv2.rectangle(view, (left, top), (right, bottom), colour, thickness)
    draw_tag(view, f"{box.width:.0f}x{box.height:.0f}", (left, top), colour)


def _help_line(width: int, view_height: int) -> Image:
    """The keys, on a strip as wide as the view; broken into as many lines as that takes."""
    lines = _broken(HELP, "  ", width, view_height)
    line_height = tag_size(HELP, text_scale(view_height))[1]
    strip: Image = np.full((view_height, width, 3), BACKGROUND, np.uint8)
    for number, line in enumerate(lines, start=1):
        draw_tag(strip, line, (0, number * line_height), BACKGROUND)
    return strip[: len(lines) * line_height]


def _broken(text: str, separator: str, width: int, view_height: int) -> list[str]:
    """A text in lines that are not wider than a view, where its words allow that."""
    lines = [""]
    for part in text.split(separator):
        longer = f"{lines[-1]}{separator}{part}" if lines[-1] else part
        fits = tag_size(longer, text_scale(view_height))[0] <= width
        lines = [*lines[:-1], longer] if fits or not lines[-1] else [*lines, part]
    return lines
