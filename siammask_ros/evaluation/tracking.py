# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Follow the targets of a labelled sequence, keep what comes of it as files, and read those back.

All targets of a frame go through the tracker in one pass. Where their masks overlap, the most
probable one has the pixel (the official evaluation's arg-max), so a frame's result is a label
image. In the frame that a target is given in, its result is the mask given.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from siammask_ros.evaluation.plain_results import MaskResult
from siammask_ros.evaluation.protocol import as_batch, new_targets
from siammask_ros.files import write_whole
from siammask_ros.geometry import Box

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from siammask_ros.evaluation.protocol import (
        BatchTracker,
        ImageBgr,
        LabelledFrame,
        LabelledSequence,
        Mask,
        MaskedSequence,
        Result,
        TrackerFactory,
    )
    from siammask_ros.label_images import Labels


class Outcome(Protocol):
    """What there is to score of a frame.

    Attributes:
        frame: its number.
        truth: (H, W) numbers of targets; None if not known in this frame.
        labels: (H, W) uint8, the numbers that the tracker, or whoever, gave.
        results: box and confidence of each target that was followed into this frame, by number.
        started: the numbers of the targets that this frame gave.
        milliseconds: time of the tracker and of the full-size masks, of all targets together;
            NaN if nothing was followed or it is not known.
        initialize_ms: time of starting the targets given here, likewise.
    """

    @property
    def frame(self) -> int: ...  # noqa: D102 - said above
    @property
    def truth(self) -> Labels | Mask | None: ...  # noqa: D102
    @property
    def labels(self) -> Labels: ...  # noqa: D102
    @property
    def results(self) -> Mapping[int, Result]: ...  # noqa: D102
    @property
    def started(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def milliseconds(self) -> float: ...  # noqa: D102
    @property
    def initialize_ms(self) -> float: ...  # noqa: D102


class TrackedFrame(NamedTuple):
    """A frame and what the tracker made of it; an `Outcome`, with the image."""

    frame: int
    labelled: LabelledFrame
    labels: Labels
    results: Mapping[int, Result]
    started: tuple[int, ...]
    milliseconds: float
    initialize_ms: float

    @property
    def truth(self) -> Labels | Mask | None:
        """Numbers of the true targets."""
        return self.labelled.labels

    @property
    def result(self) -> Result | None:
        """The only target's result; None in the frame it was started on.

        Raises:
            ValueError: there are several.
        """
        if len(self.results) > 1:
            raise ValueError(f"frame {self.frame} has {len(self.results)} targets")
        return next(iter(self.results.values()), None)


class StoredFrame(NamedTuple):
    """A frame as somebody's label image says it was; an `Outcome`."""

    frame: int
    truth: Labels | Mask | None
    labels: Labels
    results: Mapping[int, Result]
    started: tuple[int, ...]
    milliseconds: float = math.nan
    initialize_ms: float = math.nan


def track_sequence(
    sequence: LabelledSequence, tracker_factory: TrackerFactory
) -> Iterator[TrackedFrame]:
    """Start a tracker on each target where it first appears, and follow; one item a frame.

    It is given the smallest box around the mask's pixels, width and height counted in pixels, as
    `cv2.boundingRect` gives it to the official code.

    Raises:
        ValueError: no frame gives a target.
    """
    targets = _Targets(as_batch(lambda: tracker_factory(sequence)))
    for index in range(len(sequence)):
        labelled = sequence.frame(index)
        image = labelled.image_bgr
        began = time.perf_counter()
        results = targets.follow(image)
        labels = resolve_overlaps(results, image.shape[:2])
        milliseconds = _milliseconds_since(began) if results else math.nan
        given = labelled.starts(targets.states)
        began = time.perf_counter()
        targets.start(image, given)
        initialize_ms = _milliseconds_since(began) if given else math.nan
        for number, mask in given.items():
            labels[mask] = number
        yield TrackedFrame(
            index, labelled, labels, results, tuple(given), milliseconds, initialize_ms
        )
    if not targets.states:
        raise ValueError(f"sequence {sequence.name}: no frame gives a target, the masks are empty")


class _Targets:
    """The targets of a sequence that are followed so far, by number."""

    def __init__(self, tracker: BatchTracker[object]) -> None:
        self.states: dict[int, object] = {}
        self._tracker = tracker

    def follow(self, image_bgr: ImageBgr) -> dict[int, Result]:
        """Find all of them in the next image, in one pass."""
        if not self.states:
            return {}
        found = self._tracker.track_batch([(image_bgr, state) for state in self.states.values()])
        numbered = dict(zip(self.states, found, strict=True))
        self.states = {number: state for number, (state, _) in numbered.items()}
        return {number: result for number, (_, result) in numbered.items()}

    def start(self, image_bgr: ImageBgr, masks: Mapping[int, Mask]) -> None:
        """Follow more of them, from the boxes around their masks on."""
        boxes = {number: Box.from_mask(mask) for number, mask in masks.items()}
        given = [(image_bgr, box.xywh) for box in boxes.values() if box is not None]
        if given:
            started = self._tracker.initialize_batch(given)
            self.states |= dict(zip(boxes, started, strict=True))


def resolve_overlaps(results: Mapping[int, Result], shape: tuple[int, ...]) -> Labels:
    """One label image (H, W) uint8 of the masks of several targets, by their numbers.

    A pixel in several masks belongs to the one with the highest probability there, the first of
    equals; a pixel in none is background, 0.
    """
    labels = np.zeros(shape, np.uint8)
    if len(results) == 1:
        ((number, result),) = results.items()
        labels[result.mask] = number
        return labels
    highest = np.zeros(shape, np.float32)
    for number, result in results.items():
        mask = result.mask
        probability = getattr(result, "mask_probability", None)
        if probability is None:
            probability = mask.astype(np.float32)
        wins = mask & (probability > highest)
        labels[wins] = number
        highest[wins] = probability[wins]
    return labels


def write_masks(
    frames: Iterable[TrackedFrame], sequence: MaskedSequence, folder: Path
) -> Iterator[TrackedFrame]:
    """Write each frame's masks as the data set has them, and pass the frame on.

    Each file is written whole or not at all.
    """
    for each in frames:
        path = sequence.result_path(each.frame)
        if path is not None:
            write_whole(folder / path, sequence.encode_result(each.labels))
        yield each


def read_masks(sequence: MaskedSequence, folder: Path) -> Iterator[StoredFrame]:
    """Read masks that `write_masks`, or anybody, wrote; one item for each frame that has a file.

    Raises:
        ValueError: a file is missing, or of another size than the truth.
    """
    known: tuple[int, ...] = ()
    for index in range(len(sequence)):
        labels = sequence.read_result(folder, index)
        if labels is None:
            continue
        truth = sequence.labels(index)
        if truth is not None and truth.shape != labels.shape:
            raise ValueError(
                f"{folder / str(sequence.result_path(index))} has shape {labels.shape}, "
                f"the truth {truth.shape}"
            )
        results = {number: MaskResult(labels == number) for number in known}
        started = () if truth is None else tuple(new_targets(truth, known))
        yield StoredFrame(index, truth, labels, results, started)
        known += started


def _milliseconds_since(began: float) -> float:
    return (time.perf_counter() - began) * 1000.0
