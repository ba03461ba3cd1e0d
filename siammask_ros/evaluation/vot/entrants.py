# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What takes part in VOT experiments: SiamMask, a tracker to compare with, or the truth."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import cv2
import numpy as np

from siammask_ros.evaluation.reference import reference_factory
from siammask_ros.evaluation.vot.regions import (
    REGION_KINDS,
    Region,
    RegionKind,
    parse_region,
    reported_region,
    start_box,
)

if TYPE_CHECKING:
    from siammask_ros.evaluation.protocol import ImageBgr, LabelledFrame, Tracker

SIAMMASK = "siammask"
TRUTH = "truth"
_DEFAULT_CHECKPOINT = "compact"
_TRUTH_FILE = "groundtruth.txt"


@dataclass(frozen=True)
class EntrantOptions:
    """What takes part in an experiment, and how it reports.

    Attributes:
        tracker: `siammask`, `truth` (replays the true regions), or a name that
            `reference_factory` knows.
        weights: the checkpoint of `siammask`, a name or a file, `compact` if none is given; the
            network files of another tracker.
        preset: tracker settings of `siammask`; `auto`: those of the checkpoint.
        settings: single settings over the preset's, each `NAME=VALUE`.
        region: what is reported: the rotated box (`polygon`), the axis-aligned box (`rectangle`)
            or the mask.
        device: `cpu`, `cuda`, `cuda:N`, or `auto`.
        backend, precision: how `siammask` is run (`siammask_ros.backends`).
        threads: CPU threads; 0: all cores.
    """

    tracker: str = SIAMMASK
    weights: tuple[str, ...] = ()
    preset: str = "auto"
    settings: tuple[str, ...] = ()
    region: RegionKind = "polygon"
    device: str = "cpu"
    backend: str = "auto"
    precision: str = "auto"
    threads: int = 1

    def __post_init__(self) -> None:
        if self.region not in REGION_KINDS:
            kinds = ", ".join(REGION_KINDS)
            raise ValueError(f"region must be one of {kinds}, got {self.region!r}")
        if self.tracker == SIAMMASK and len(self.weights) > 1:
            raise ValueError(f"{SIAMMASK} takes one checkpoint, got {len(self.weights)}")

    @property
    def files(self) -> tuple[str, ...]:
        """The weights, with the default of `siammask`."""
        return self.weights or ((_DEFAULT_CHECKPOINT,) if self.tracker == SIAMMASK else ())

    def command_line(self) -> list[str]:
        """The options as arguments of `vot.tracker`, whose `parse_arguments` is the inverse."""
        words = []
        for each in fields(self):
            value = getattr(self, each.name)
            values = value if isinstance(value, tuple) else (value,)
            words += [f"--{each.name}={one}" for one in values]
        return words


class Answer(NamedTuple):
    """What an entrant says of an image."""

    region: Region
    confidence: float = math.nan
    """NaN: it does not say."""


class Entrant(Protocol):
    """Takes part in an experiment, one target at a time; images come as files."""

    def start(self, image: Path, region: Region) -> None:
        """Forget the last target and start on the one in a region of an image."""

    def follow(self, image: Path) -> Answer:
        """Find the target in the next image."""


class TrackerEntrant:
    """A tracker of the evaluation's protocol as an entrant; holds the state of its target."""

    def __init__(self, tracker: Tracker[Any], kind: RegionKind) -> None:
        self._tracker = tracker
        self._kind = kind
        self._state: Any = None

    def start(self, image: Path, region: Region) -> None:
        """Start on the box of the region (`start_box`).

        Raises:
            ValueError: the file is no image, or the tracker cannot start on the box.
        """
        self._state = self._tracker.initialize(_read_image(image), start_box(region).xywh)

    def follow(self, image: Path) -> Answer:
        """Find the target in the next image.

        Raises:
            ValueError: the file is no image.
        """
        self._state, result = self._tracker.track(_read_image(image), self._state)
        return Answer(reported_region(result, self._kind), float(result.confidence))


class TruthEntrant:
    """Replays the true regions of a VOT sequence, in whatever order its images come.

    They are the lines of `groundtruth.txt` beside the image or one folder above; the image's name
    is its number, from 1.
    """

    def start(self, image: Path, region: Region) -> None:
        """Nothing to remember."""

    def follow(self, image: Path) -> Answer:
        """The true region of the image.

        Raises:
            ValueError: the image has no true region.
        """
        folders = (image.parent, image.parent.parent)
        truth = next((f / _TRUTH_FILE for f in folders if (f / _TRUTH_FILE).is_file()), None)
        if truth is None or not image.stem.isdecimal():
            raise ValueError(f"no {_TRUTH_FILE} tells the truth of {image}")
        lines = truth.read_text(encoding="utf-8").splitlines()
        number = int(image.stem)
        if not 1 <= number <= len(lines):
            raise ValueError(f"{truth} has {len(lines)} lines, none for {image.name}")
        return Answer(parse_region(lines[number - 1]), confidence=1.0)


def _read_image(path: Path) -> ImageBgr:
    """(H, W, 3) uint8 BGR, as OpenCV reads it; what all trackers here take."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"not an image: {path}")
    return np.asarray(image, np.uint8)


def load_entrant(options: EntrantOptions) -> Entrant:
    """The entrant that the options describe, ready to start.

    Raises:
        ValueError: an unknown tracker, preset or setting, or a file that is no checkpoint.
        OSError: the checkpoint cannot be read.
        RuntimeError: the device is absent, or this OpenCV lacks the tracker.
    """
    if options.tracker == TRUTH:
        return TruthEntrant()
    if options.tracker == SIAMMASK:
        return TrackerEntrant(_load_siammask(options), options.region)
    cv2.setNumThreads(options.threads or -1)
    factory = reference_factory(options.tracker, options.weights)
    return TrackerEntrant(factory(_UnknownSequence()), options.region)


class _UnknownSequence:
    """Stands for the sequence, which a tracker under TraX does not get to see."""

    name = "vot"

    def __len__(self) -> int:
        return 0

    def frame(self, index: int) -> LabelledFrame:
        """There is none."""
        raise ValueError(f"a tracker of the VOT toolkit has no frame {index} to look at")


def _load_siammask(options: EntrantOptions) -> Tracker[Any]:
    # Imported here: torch takes seconds, and other entrants do without.
    import torch  # noqa: PLC0415

    from siammask_ros.backends import load_prepared  # noqa: PLC0415
    from siammask_ros.tracker import SiamMaskTracker  # noqa: PLC0415
    from siammask_ros.tracker_config import TrackerConfig, parse_settings  # noqa: PLC0415

    if options.threads:
        torch.set_num_threads(options.threads)
    network = load_prepared(
        options.files[0],
        device=options.device,
        backend=options.backend,
        precision=options.precision,
        threads=options.threads,
    )
    name = network.default_preset if options.preset == "auto" else options.preset
    config = TrackerConfig.preset(name, **parse_settings(options.settings))
    return SiamMaskTracker(network, config)
