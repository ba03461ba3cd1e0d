# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A video for a page: small pictures, and a bounded number of bytes however long the run is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from siammask_ros.video import VideoClock, VideoWriter, open_video

if TYPE_CHECKING:
    from pathlib import Path

    from siammask_ros.drawing import Image
    from siammask_ros.tracked import TrackedFrame

MOST_BYTES = 24_000_000
"""Of the video; in a page it takes a third more."""
LONGEST_SIDE = 960
"""Pixels of a frame; larger ones are scaled down before the results are drawn on them."""
CRF = 27
"""Of a video that keeps within its bytes by itself: small, and still good to look at."""
TIGHT_LONGEST_SIDE = 640
TIGHT_FRAME_BYTES = 2_500
"""What a frame of this size needs; where there is less, frames are left out."""
BITS_PER_BYTE = 8
FILLED = 0.9
"""Share of the bytes that is asked for: an encoder does not meet its rate exactly."""


class ReportVideo:
    """Takes the frames of a run, and is a file of H.264 in the end.

    Args:
        folder: where the video lies until it is read.
        fps: frames a second where the times of frames do not tell.
        most_bytes: what the video may have. One that comes out larger is encoded again, smaller
            and with as few of its frames as are needed.

    Attributes:
        frames: frames taken.
        stride: every so many of them are in the video that `content` gave.
        size_wh: its width and height.
    """

    def __init__(self, folder: Path, *, fps: float, most_bytes: int = MOST_BYTES) -> None:
        self.frames = 0
        self.stride = 1
        self.size_wh = (0, 0)
        self._fps = fps
        self._most_bytes = most_bytes
        self._clock = VideoClock(fps)
        self._whole = folder / "whole.mp4"
        self._small = folder / "small.mp4"
        self._writer = VideoWriter(self._whole, fps=fps, crf=CRF)

    def add(self, tracked: TrackedFrame) -> float:
        """Append a frame; returns when it is shown, in seconds."""
        image = tracked.overlay_at(_fitting_width(tracked.size_wh, LONGEST_SIDE))
        shown_s = self._clock.next(tracked.frame.time_s)
        self._writer.write(image, time_s=shown_s)
        self.size_wh = (image.shape[1], image.shape[0])
        self.frames += 1
        return shown_s

    def content(self) -> bytes:
        """End the video and read it; at least one frame has been added.

        Raises:
            ValueError: not even one frame fits.
        """
        self._writer.close()
        if self._whole.stat().st_size <= self._most_bytes:
            return self._whole.read_bytes()
        self.stride = math.ceil(self.frames * TIGHT_FRAME_BYTES / self._most_bytes)
        while True:
            self._encode_small()
            if self._small.stat().st_size <= self._most_bytes:
                return self._small.read_bytes()
            if self.stride >= self.frames:
                raise ValueError(f"no frame of the video fits in {self._most_bytes} bytes")
            self.stride *= 2

    def abort(self) -> None:
        """Let go of a video that was not ended."""
        self._writer.abort()

    def _encode_small(self) -> None:
        """Every so many frames of the whole video, with a rate that fills the bytes."""
        kept = math.ceil(self.frames / self.stride)
        bits_per_frame = FILLED * self._most_bytes * BITS_PER_BYTE / kept
        width = _fitting_width(self.size_wh, TIGHT_LONGEST_SIDE)
        small = VideoWriter(self._small, fps=self._fps, bit_rate=bits_per_frame * self._fps)
        with open_video(self._whole) as video, small as writer:
            for frame in video:
                if frame.index % self.stride == 0:
                    writer.write(_resized(frame.image_bgr, width), time_s=frame.time_s)
        self.size_wh = (width, round(self.size_wh[1] * width / self.size_wh[0]))


def _fitting_width(size_wh: tuple[int, int], longest_side: int) -> int:
    """The width at which neither side is longer than that; the width as it is where it fits."""
    return max(1, min(size_wh[0], round(size_wh[0] * longest_side / max(size_wh))))


def _resized(image_bgr: Image, width: int) -> Image:
    height = max(1, round(image_bgr.shape[0] * width / image_bgr.shape[1]))
    return np.asarray(cv2.resize(image_bgr, (width, height), interpolation=cv2.INTER_AREA))
