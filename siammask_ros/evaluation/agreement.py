# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether two ways of running a network decide alike, frame by frame and from the same state.

Each step of the second begins where the first was, so that a difference is counted once and not in
every frame after it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from siammask_ros.geometry import Box, box_iou
from siammask_ros.tracker import SiamMaskTracker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from siammask_ros.evaluation.protocol import LabelledSequence
    from siammask_ros.tracker import TrackerConfig, TrackingNetwork, TrackResult


class StepAgreement(NamedTuple):
    """One frame, twice."""

    sequence: str
    frame: int
    same_anchor: bool
    """Whether both chose the same anchor at the same response."""
    mask_iou: float
    """Overlap of the two masks, 1 if both are empty."""
    box_iou: float
    confidence_change: float
    """Of the second against the first."""


class Agreement(NamedTuple):
    """All frames of some sequences."""

    steps: tuple[StepAgreement, ...]

    @property
    def same_anchors(self) -> float:
        """Share of the frames."""
        return float(np.mean([step.same_anchor for step in self.steps]))

    def mask_iou(self, percentile: float | None = None) -> float:
        """Mean over the frames, or a percentile."""
        overlaps = [step.mask_iou for step in self.steps]
        return float(
            np.mean(overlaps) if percentile is None else np.percentile(overlaps, percentile)
        )

    @property
    def confidence_change(self) -> float:
        """The largest, either way."""
        return max(abs(step.confidence_change) for step in self.steps)


def measure_agreement(
    sequences: Iterable[LabelledSequence],
    first: TrackingNetwork,
    second: TrackingNetwork,
    config: TrackerConfig,
    *,
    on_frame: Callable[[object], None] = lambda _: None,
) -> Agreement:
    """Follow the first frame's target with both.

    Args:
        sequences: of one target each; the rest of a sequence of several is not followed.
        first: it leads.
        second: it is compared; its own kernels of the target are taken.
        config: settings of both trackers.
        on_frame: called after each.

    Raises:
        ValueError: a first frame shows no target, or there is no frame after any.
    """
    trackers = SiamMaskTracker(first, config), SiamMaskTracker(second, config)
    steps: list[StepAgreement] = []
    for sequence in sequences:
        for step in _steps(sequence, *trackers):
            steps.append(step)
            on_frame(step)
    if not steps:
        raise ValueError("no frames to compare")
    return Agreement(tuple(steps))


def _steps(
    sequence: LabelledSequence, first: SiamMaskTracker, second: SiamMaskTracker
) -> Iterator[StepAgreement]:
    start = sequence.frame(0)
    masks = start.starts(())
    box = Box.from_mask(next(iter(masks.values()))) if masks else None
    if box is None:
        raise ValueError(f"sequence {sequence.name}: its first frame shows no target")
    state = first.initialize(start.image_bgr, box.xywh)
    kernels = second.initialize(start.image_bgr, box.xywh).kernels
    for index in range(1, len(sequence)):
        image = sequence.frame(index).image_bgr
        following, found = first.track(image, state)
        _, compared = second.track(image, replace(state, kernels=kernels))
        yield StepAgreement(
            sequence.name,
            index,
            found.anchor_index == compared.anchor_index,
            _mask_iou(found, compared),
            box_iou(found.box, compared.box),
            compared.confidence - found.confidence,
        )
        state = following


def _mask_iou(first: TrackResult, second: TrackResult) -> float:
    either = np.count_nonzero(first.mask | second.mask)
    return np.count_nonzero(first.mask & second.mask) / either if either else 1.0


def agreement_markdown(name: str, agreement: Agreement) -> str:
    """A table of one row, and the frames in which the choice differs."""
    rows = [
        "| what | frames | same anchor | mask IoU, mean | worst of 100 | least | confidence |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        (
            f"| {name} | {len(agreement.steps)} | {agreement.same_anchors:.2%} | "
            f"{agreement.mask_iou():.4f} | {agreement.mask_iou(1):.4f} | "
            f"{agreement.mask_iou(0):.4f} | +-{agreement.confidence_change:.4f} |"
        ),
    ]
    other = [step for step in agreement.steps if not step.same_anchor]
    if other:
        named = ", ".join(f"{s.sequence} {s.frame} (masks {s.mask_iou:.3f})" for s in other[:10])
        rows += ["", f"Another anchor in {len(other)} frames: {named}"]
    return "\n".join(rows)
