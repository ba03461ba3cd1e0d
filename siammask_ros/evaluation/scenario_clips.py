# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clips in which a target is lost and comes back: rendered, and real video that was changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import cv2
import numpy as np

from siammask_ros.evaluation.protocol import LabelledFrame
from siammask_ros.scenes import (
    LIFE_SCENARIOS,
    SCENARIOS,
    Props,
    SceneFrame,
    cut_out,
    render_scenario,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from siammask_ros.evaluation.protocol import ImageBgr, LabelledSequence, Mask

DavisEvent = Literal["plain", "gap", "painted_out"]
DAVIS_EVENTS: tuple[DavisEvent, ...] = ("plain", "gap", "painted_out")
HELD_OUT = ("bear", "bus", "dance-jump", "rollerblade", "mallard-fly")
"""DAVIS sequences that the bundled network was not trained on."""
GAP_FRAMES = 30
_GAP_SHARE = 0.4
"""Where the gap is, as a share of the sequence."""
_PAINT_SCALE = 0.25
"""Places are compared, and differences spread, in a smaller picture."""
_PAINT_MARGIN = 0.06
"""What is painted out around the mask, share of the shorter side: shadows, blur, loose hair."""
_PAINT_RADIUS = 5
_RING = 7
"""Side in pixels of the smaller picture of what makes a ring around the hole to compare."""
_DAVIS_RATE = 24.0
_PAIR = 2
"""Sequences of a cut-out: a target and a backdrop."""


class LifeClip(Protocol):
    """A video with the truth of its targets; all are to be seen in the first frame."""

    @property
    def scenario(self) -> str:
        """What happens in it, a word."""

    @property
    def name(self) -> str:
        """Short name, unique in its scenario."""

    def __len__(self) -> int:
        """Number of frames."""

    def frames(self) -> Iterator[SceneFrame]:
        """The frames, in order."""


@dataclass(frozen=True)
class CutOut:
    """Looks from real video: the target of one sequence, the first frame of another behind it."""

    target: LabelledSequence
    backdrop: LabelledSequence

    def props(self) -> Props:
        """Read the two frames.

        Raises:
            ValueError: a file is no image, or the target's first mask is empty.
        """
        frame = self.target.frame(0)
        return Props(self.backdrop.frame(0).image_bgr, cut_out(frame.image_bgr, frame.mask))


@dataclass(frozen=True)
class RenderedClip:
    """A scenario of `siammask_ros.scenes`.

    Attributes:
        scene: its name in `SCENARIOS`.
        seed: of everything random.
        size_wh: width and height in pixels.
        looks: real ones; random ones if None.
    """

    scene: str
    seed: int
    size_wh: tuple[int, int] = (640, 360)
    looks: CutOut | None = None

    @property
    def scenario(self) -> str:
        """The name of the scene."""
        return self.scene

    @property
    def name(self) -> str:
        """The seed, and what is cut out."""
        return f"{self.seed}" if self.looks is None else f"{self.seed}-{self.looks.target.name}"

    def __len__(self) -> int:
        return SCENARIOS[self.scene].frames

    def frames(self) -> Iterator[SceneFrame]:
        """Render them, one after another."""
        props = None if self.looks is None else self.looks.props()
        return render_scenario(self.scene, self.seed, size_wh=self.size_wh, props=props)


@dataclass(frozen=True)
class DavisClip:
    """Labelled video as it is, with a black gap, or with the target painted out for a while.

    The gap is inserted. For painting out, the frames after the place are shown forwards and back
    again without the target, and then as they are: camera and background go on smoothly, and the
    target is back near where it was last seen.

    Attributes:
        sequence: the video; one target.
        event: what is done to it.
        gap_frames: how long the target is away.
    """

    sequence: LabelledSequence
    event: DavisEvent = "plain"
    gap_frames: int = GAP_FRAMES

    def __post_init__(self) -> None:
        if self.event not in DAVIS_EVENTS:
            raise ValueError(f"event must be one of {DAVIS_EVENTS}, got {self.event!r}")
        if self.gap_frames < 1:
            raise ValueError(f"gap_frames must be at least 1, got {self.gap_frames}")

    @property
    def scenario(self) -> str:
        """The event."""
        return f"davis_{self.event}"

    @property
    def name(self) -> str:
        """That of the sequence."""
        return self.sequence.name

    @property
    def gap_start(self) -> int:
        """Number of the first frame that is inserted."""
        return max(1, round(_GAP_SHARE * len(self.sequence)))

    def __len__(self) -> int:
        return len(self.sequence) + (0 if self.event == "plain" else self.gap_frames)

    def frames(self) -> Iterator[SceneFrame]:
        """Read them, one after another."""
        index = 0
        for source in range(len(self.sequence)):
            if source == self.gap_start and self.event != "plain":
                for away in self._away():
                    yield _as_scene(index, away)
                    index += 1
            yield _as_scene(index, self.sequence.frame(source))
            index += 1

    def _away(self) -> Iterator[LabelledFrame]:
        """The frames without the target."""
        start, last = self.gap_start, len(self.sequence) - 1
        shift_xy = None
        for number in range(self.gap_frames):
            if self.event == "gap":
                frame = self.sequence.frame(start)
                image = np.zeros_like(frame.image_bgr)
            else:
                step = min(number, self.gap_frames - 1 - number)  # forwards, and back
                frame = self.sequence.frame(min(start + step, last))
                # The same shift as long as it goes, so that the background keeps still.
                if frame.mask.any() and not (shift_xy and _shows_background(frame.mask, shift_xy)):
                    shift_xy = background_shift(frame.image_bgr, frame.mask)
                image = paint_out(frame.image_bgr, frame.mask, shift_xy=shift_xy)
            yield LabelledFrame(image, np.zeros_like(frame.mask))


def davis_clips(sequences: Sequence[LabelledSequence]) -> list[DavisClip]:
    """Every sequence with every event."""
    return [DavisClip(sequence, event) for event in DAVIS_EVENTS for sequence in sequences]


def choose_clips(
    wanted: Sequence[str],
    seeds: int,
    sequences: Sequence[LabelledSequence] = (),
    *,
    first_seed: int = 0,
    cut_outs: bool = False,
) -> list[LifeClip]:
    """Clips of scenarios, rendered ones for each seed, and of real video.

    Args:
        wanted: names of rendered scenarios, and `davis_` with an event; if empty, those of a
            target's life, and every event if there are sequences.
        seeds: rendered clips of each scenario.
        sequences: real video.
        first_seed: the first one's seed.
        cut_outs: render real targets on real frames: the target of each sequence in turn, and the
            next sequence behind it.

    Raises:
        ValueError: an unknown name, nothing to run, or not the sequences that are needed.
    """
    events = tuple(f"davis_{event}" for event in DAVIS_EVENTS)
    names = tuple(wanted) or (*LIFE_SCENARIOS, *(events if sequences else ()))
    known = (*SCENARIOS, *events)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"unknown scenario {', '.join(unknown)}, there are {', '.join(known)}")
    if not sequences and set(events).intersection(names):
        raise ValueError("scenarios of real video need a DAVIS folder")
    if cut_outs and len(sequences) < _PAIR:
        raise ValueError("cut-outs need a DAVIS folder with two sequences at least")
    wanted_seeds = range(first_seed, first_seed + seeds)
    looks = {seed: _cut_out_of(sequences, seed) if cut_outs else None for seed in wanted_seeds}
    clips: list[LifeClip] = [
        RenderedClip(name, seed, looks=looks[seed])
        for name in names
        if name in SCENARIOS
        for seed in wanted_seeds
    ]
    clips += [clip for clip in davis_clips(sequences) if clip.scenario in names]
    if not clips:
        raise ValueError(f"no clips to run: {seeds} seeds and {len(sequences)} sequences")
    return clips


def _cut_out_of(sequences: Sequence[LabelledSequence], seed: int) -> CutOut:
    return CutOut(sequences[seed % len(sequences)], sequences[(seed + 1) % len(sequences)])


def paint_out(
    image_bgr: ImageBgr, mask: Mask, *, shift_xy: tuple[int, int] | None = None
) -> ImageBgr:
    """The image with what is in the mask replaced by background from elsewhere in it.

    The piece is fitted to the colours around the hole, so that neither its edge nor the target's
    outline shows: the difference at the edge is spread smoothly over the piece.

    Args:
        image_bgr: (H, W, 3) uint8.
        mask: (H, W) bool.
        shift_xy: where the piece is taken from, relative to the hole in pixels; the place that
            fits best if None (`background_shift`).

    Returns:
        A new (H, W, 3) uint8 image; outside the mask and a margin around it unchanged.
    """
    painted = np.array(image_bgr)
    if not mask.any():
        return painted
    hole = _hole(mask)
    shift_xy = shift_xy or background_shift(image_bgr, mask)
    piece = np.full_like(image_bgr, 128) if shift_xy is None else _shifted(image_bgr, shift_xy)
    # In eight bits: half the difference, around the middle.
    difference = cv2.addWeighted(image_bgr, 0.5, piece, -0.5, 128.0)
    spread = _inpaint(np.asarray(difference, np.uint8), hole).astype(np.int16)
    fitted = piece.astype(np.int16) + 2 * (spread - 128)
    inside = hole > 0
    painted[inside] = np.clip(fitted, 0, 255).astype(np.uint8)[inside]
    return painted


def background_shift(image_bgr: ImageBgr, mask: Mask) -> tuple[int, int] | None:
    """How far away the background is that fits best into the place of a target.

    Args:
        image_bgr: (H, W, 3) uint8.
        mask: (H, W) bool, not empty.

    Returns:
        Horizontal and vertical shift in pixels, also to what lies mirrored beyond the edges; None
        if the target is so large that no piece without it is large enough.
    """
    height, width = mask.shape
    small_wh = _small(width, height)
    small = np.asarray(cv2.resize(image_bgr, small_wh, interpolation=cv2.INTER_AREA), np.float32)
    hole = _small_hole(_hole(mask), small_wh)
    wide = np.asarray(cv2.dilate(hole, np.ones((_RING, _RING), np.uint8)), np.uint8)
    x, y, w, h = cv2.boundingRect(wide)
    window = (slice(y, y + h), slice(x, x + w))
    ring = cv2.merge([(wide - hole)[window].astype(np.float32)] * 3)
    # Mirrored at its edges, the image holds pieces for large targets too.
    left, top = small_wh[0] // 2, small_wh[1] // 2
    sides = (top, top, left, left)
    mirrored = cv2.copyMakeBorder(small, *sides, cv2.BORDER_REFLECT_101)
    holes = cv2.copyMakeBorder(hole.astype(np.float32), *sides, cv2.BORDER_REFLECT_101)
    misfit = cv2.matchTemplate(mirrored, small[window], cv2.TM_SQDIFF, mask=ring)
    overlap = cv2.matchTemplate(holes, wide[window].astype(np.float32), cv2.TM_CCORR)
    misfit = np.where(np.asarray(overlap) > 1 / 2, np.inf, misfit)
    if not np.isfinite(misfit).any():
        return None
    row, column = np.unravel_index(int(np.argmin(misfit)), misfit.shape)
    return (
        round((int(column) - left - x) / _PAINT_SCALE),
        round((int(row) - top - y) / _PAINT_SCALE),
    )


def _shifted(image: NDArray[np.uint8], shift_xy: tuple[int, int]) -> NDArray[np.uint8]:
    """What is so far away, at each pixel; the image is mirrored at its edges."""
    matrix = np.array([[1.0, 0.0, -shift_xy[0]], [0.0, 1.0, -shift_xy[1]]])
    size_wh = (image.shape[1], image.shape[0])
    moved = cv2.warpAffine(image, matrix, size_wh, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(moved, np.uint8)


def _shows_background(mask: Mask, shift_xy: tuple[int, int]) -> bool:
    """Whether a shift leads from everywhere in the hole to what is no target."""
    hole = _hole(mask)
    return not (_shifted(hole, shift_xy) & hole).any()


def _hole(mask: Mask) -> NDArray[np.uint8]:
    """(H, W) 1 in the mask and a margin around it, else 0."""
    reach = 2 * round(_PAINT_MARGIN * min(mask.shape) / 2) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel), np.uint8)


def _inpaint(image_bgr: ImageBgr, hole: NDArray[np.uint8]) -> ImageBgr:
    """The image with the hole filled smoothly from around it."""
    height, width = hole.shape
    small = cv2.resize(image_bgr, _small(width, height), interpolation=cv2.INTER_AREA)
    small_hole = _small_hole(hole, _small(width, height))
    filled = cv2.inpaint(small, small_hole, _PAINT_RADIUS, cv2.INPAINT_TELEA)
    return np.asarray(cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _small(width: int, height: int) -> tuple[int, int]:
    return max(1, round(width * _PAINT_SCALE)), max(1, round(height * _PAINT_SCALE))


def _small_hole(hole: NDArray[np.uint8], size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """The hole in a smaller picture: whatever touches it, or its colours would leak."""
    covered = cv2.resize(hole * np.uint8(255), size_wh, interpolation=cv2.INTER_AREA)
    return np.asarray(covered > 0, np.uint8)


def _as_scene(index: int, frame: LabelledFrame) -> SceneFrame:
    """A frame of one target; how much of it is hidden is unknown where anything is to be seen."""
    share = 1.0 if frame.mask.any() else 0.0
    return SceneFrame(index, index / _DAVIS_RATE, frame.image_bgr, {1: frame.mask}, {1: share})
