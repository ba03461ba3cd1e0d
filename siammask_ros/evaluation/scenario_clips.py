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

    from siammask_ros.evaluation.protocol import ImageBgr, LabelledSequence, Mask

DavisEvent = Literal["plain", "gap", "painted_out"]
DAVIS_EVENTS: tuple[DavisEvent, ...] = ("plain", "gap", "painted_out")
HELD_OUT = ("bear", "bus", "dance-jump", "rollerblade", "mallard-fly")
"""DAVIS sequences that the bundled network was not trained on."""
GAP_FRAMES = 30
_GAP_SHARE = 0.4
"""Where the gap is, as a share of the sequence."""
_PAINT_SCALE = 0.25
"""Painting out is done in a smaller picture: a large hole has no detail to paint anyway."""
_PAINT_MARGIN = 0.06
"""What is painted out around the mask, share of the shorter side: shadows, blur, loose hair."""
_PAINT_RADIUS = 5
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
        for number in range(self.gap_frames):
            if self.event == "gap":
                frame = self.sequence.frame(start)
                image = np.zeros_like(frame.image_bgr)
            else:
                step = min(number, self.gap_frames - 1 - number)  # forwards, and back
                frame = self.sequence.frame(min(start + step, last))
                image = paint_out(frame.image_bgr, frame.mask)
            yield LabelledFrame(image, np.zeros_like(frame.mask))


def davis_clips(sequences: Sequence[LabelledSequence]) -> list[DavisClip]:
    """Every sequence with every event."""
    return [DavisClip(sequence, event) for event in DAVIS_EVENTS for sequence in sequences]


def choose_clips(
    wanted: Sequence[str],
    seeds: int,
    sequences: Sequence[LabelledSequence] = (),
    *,
    cut_outs: bool = False,
) -> list[LifeClip]:
    """Clips of scenarios, rendered ones for each seed, and of real video.

    Args:
        wanted: names of rendered scenarios, and `davis_` with an event; if empty, those of a
            target's life, and every event if there are sequences.
        seeds: rendered clips of each scenario, seeds 0, 1, ...
        sequences: real video.
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
    looks = [_cut_out_of(sequences, seed) if cut_outs else None for seed in range(seeds)]
    clips: list[LifeClip] = [
        RenderedClip(name, seed, looks=looks[seed])
        for name in names
        if name in SCENARIOS
        for seed in range(seeds)
    ]
    clips += [clip for clip in davis_clips(sequences) if clip.scenario in names]
    if not clips:
        raise ValueError(f"no clips to run: {seeds} seeds and {len(sequences)} sequences")
    return clips


def _cut_out_of(sequences: Sequence[LabelledSequence], seed: int) -> CutOut:
    return CutOut(sequences[seed % len(sequences)], sequences[(seed + 1) % len(sequences)])


def paint_out(image_bgr: ImageBgr, mask: Mask) -> ImageBgr:
    """The image with what is in the mask replaced by what is around it, smoothly.

    Args:
        image_bgr: (H, W, 3) uint8.
        mask: (H, W) bool.

    Returns:
        A new (H, W, 3) uint8 image; outside the mask and a margin around it unchanged.
    """
    if not mask.any():
        return np.array(image_bgr)
    height, width = mask.shape
    reach = 2 * round(_PAINT_MARGIN * min(height, width) / 2) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    hole = np.asarray(cv2.dilate(mask.astype(np.uint8), kernel))
    small_wh = (max(1, round(width * _PAINT_SCALE)), max(1, round(height * _PAINT_SCALE)))
    small = cv2.resize(image_bgr, small_wh, interpolation=cv2.INTER_AREA)
    # Whatever touches the hole belongs to it, or the target's colours would spread into it.
    small_hole = cv2.resize(hole * np.uint8(255), small_wh, interpolation=cv2.INTER_AREA)
    filled = cv2.inpaint(small, (small_hole > 0).astype(np.uint8), _PAINT_RADIUS, cv2.INPAINT_TELEA)
    paint = cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR)
    painted = np.array(image_bgr)
    painted[hole > 0] = np.asarray(paint, np.uint8)[hole > 0]
    return painted


def _as_scene(index: int, frame: LabelledFrame) -> SceneFrame:
    """A frame of one target; how much of it is hidden is unknown where anything is to be seen."""
    share = 1.0 if frame.mask.any() else 0.0
    return SceneFrame(index, index / _DAVIS_RATE, frame.image_bgr, {1: frame.mask}, {1: share})
