# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The colours of a target: evidence that owes nothing to the network.

A Siamese network takes what occludes a target, or what is left in its place, for the target more
readily than it admits that there is none. The colours inside the mask tell the two apart. They
are a histogram in CIE Lab of the pixels as they would be if the target were as bright as it used
to be (Swain and Ballard, Color Indexing, 1991), compared by the Bhattacharyya coefficient
(Comaniciu et al., Kernel-Based Object Tracking, 2003). How alike two frames of a target are
differs from target to target, so a frame is judged by what is usual for its target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from siammask_ros.crop import ImageBgr
    from siammask_ros.tracker_state import TrackResult

    Histogram = npt.NDArray[np.float32]
    """(32, 32, 16) by a, b and lightness; adds up to 1."""

_BINS = (16, 32, 32)
_RANGES = (0, 256, 64, 192, 64, 192)  # of OpenCV's 8-bit Lab; colours beyond are rare
_BLUR = 1.4
"""Standard deviation in bins."""
_PIXELS_LOOKED_AT = 4096
_FEWEST_PIXELS = 20
_GREATEST_GAIN = 4.0
_FIRST_FRAMES = 5
"""Frames that a reference is the plain mean of."""


class Look(NamedTuple):
    """What a target looks like in one frame.

    Attributes:
        histogram: of its pixels, as if they were as bright as the reference's.
        brightness: their mean, 0 to 255, as they are.
        similarity: to the reference, 0 to 1; 1 where there is none yet.
        relative_similarity: the same, relative to what is usual for the target; may exceed 1.
    """

    histogram: Histogram
    brightness: float
    similarity: float
    relative_similarity: float


@dataclass(frozen=True, eq=False)
class Appearance:
    """What a target usually looks like.

    Attributes:
        histogram: mean of good frames, the latest above all.
        first_histogram: mean of the first good frames, which is never forgotten.
        brightness: of the first ones.
        usual_similarity: of good frames to the references.
        frames: good frames so far.
    """

    histogram: Histogram
    first_histogram: Histogram
    brightness: float
    usual_similarity: float = 1.0
    frames: int = 1

    @classmethod
    def first_seen(cls, look: Look) -> Appearance:
        """That of a target of which there is one good frame."""
        return cls(look.histogram, look.histogram, look.brightness)

    def learned(self, look: Look, rate: float) -> Appearance:
        """The appearance after one more good frame, which counts by `rate` (0 to 1)."""
        is_first = self.frames < _FIRST_FRAMES
        rate = max(rate, 1 / (self.frames + 1)) if is_first else rate
        histogram = self.histogram + np.float32(rate) * (look.histogram - self.histogram)
        brightness = self.brightness + rate * (look.brightness - self.brightness)
        return Appearance(
            histogram=histogram,
            first_histogram=histogram if is_first else self.first_histogram,
            brightness=brightness if is_first else self.brightness,
            usual_similarity=self.usual_similarity
            + rate * (look.similarity - self.usual_similarity),
            frames=self.frames + 1,
        )

    def likeness(self, histogram: Histogram) -> float:
        """Bhattacharyya coefficient with the reference that is more alike.

        1 if the colours are equal, 0 if they share nothing.
        """
        references = (self.histogram, self.first_histogram)
        return min(1.0, max(float(np.sqrt(each * histogram).sum()) for each in references))

    def relative(self, similarity: float) -> float:
        """A similarity relative to what is usual for the target; may exceed 1."""
        return similarity / max(self.usual_similarity, float(np.finfo(float).eps))


def look_at(
    image_bgr: ImageBgr, result: TrackResult, appearance: Appearance | None = None
) -> Look | None:
    """The colours of the pixels in a target's mask.

    Args:
        image_bgr: the image that the result is of, (H, W, 3) uint8.
        result: whose mask.
        appearance: what the target usually looks like; None if nobody knows.

    Returns:
        The look; None where the mask has too few pixels.
    """
    inside = result.mask_in_roi
    stride = max(1, round((inside.size / _PIXELS_LOOKED_AT) ** 0.5))
    region = image_bgr[result.mask_roi.slices][::stride, ::stride]
    pixels = region[inside[::stride, ::stride]]  # (N, 3)
    if len(pixels) < _FEWEST_PIXELS:
        return None
    brightness = float(pixels.mean())
    if appearance is not None:
        gain = appearance.brightness / max(brightness, 1.0)
        gain = min(max(gain, 1 / _GREATEST_GAIN), _GREATEST_GAIN)
        pixels = np.asarray(cv2.convertScaleAbs(pixels, alpha=gain), dtype=np.uint8)
    histogram = _lab_histogram(np.ascontiguousarray(pixels))
    if appearance is None:
        return Look(histogram, brightness, 1.0, 1.0)
    similarity = appearance.likeness(histogram)
    return Look(histogram, brightness, similarity, appearance.relative(similarity))


def _lab_histogram(pixels: npt.NDArray[np.uint8]) -> Histogram:
    lab = np.asarray(cv2.cvtColor(pixels[None], cv2.COLOR_BGR2Lab), dtype=np.uint8)
    lab[..., 1:] = np.clip(lab[..., 1:], _RANGES[2], _RANGES[3] - 1)
    counts = np.asarray(cv2.calcHist([lab], [0, 1, 2], None, list(_BINS), list(_RANGES)))
    # Else a plain colour between two bins would be two colours.
    by_color = np.ascontiguousarray(np.moveaxis(counts, 0, 2))  # (32, 32, 16)
    soft = np.asarray(cv2.GaussianBlur(by_color, (0, 0), _BLUR))
    by_lightness = soft.reshape(-1, soft.shape[2])  # (1024, 16)
    smooth = np.asarray(cv2.GaussianBlur(by_lightness, (9, 1), _BLUR)).reshape(soft.shape)
    histogram: Histogram = np.asarray(smooth / smooth.sum(), dtype=np.float32)
    return histogram
