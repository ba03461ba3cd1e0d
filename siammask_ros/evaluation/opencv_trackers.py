# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trackers of OpenCV as peers: CSRT, KCF, MIL, and with network files NanoTrack, ViT, DaSiamRPN.

Which of them there are depends on the build: OpenCV 4 with the contrib modules has all, without
them MIL and those with networks, as has OpenCV 5. Their network files are in OpenCV's model zoo
and samples; none of them is part of this package.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2

from siammask_ros.evaluation.plain_results import BoxResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siammask_ros.evaluation.protocol import ImageBgr


class _Kind(NamedTuple):
    """One of OpenCV's trackers."""

    class_name: str
    files: tuple[str, ...] = ()
    """Fields of its parameters that name network files, in the order that they are given in."""


_KINDS = {
    "csrt": _Kind("TrackerCSRT"),
    "kcf": _Kind("TrackerKCF"),
    "mil": _Kind("TrackerMIL"),
    "nano": _Kind("TrackerNano", ("backbone", "neckhead")),
    "vit": _Kind("TrackerVit", ("net",)),
    "dasiamrpn": _Kind("TrackerDaSiamRPN", ("model", "kernel_cls1", "kernel_r1")),
}

OPENCV_TRACKERS = tuple(_KINDS)
"""Names of the trackers that `OpenCvTracker` knows."""


@dataclass(frozen=True)
class OpenCvTracker:
    """A tracker of OpenCV by name; its state is OpenCV's own object, which a step changes.

    Attributes:
        kind: one of `OPENCV_TRACKERS`.
        weights: its network files, as many as it needs: nano takes backbone and head, vit one,
            dasiamrpn model, kernel_cls1 and kernel_r1.

    Raises:
        ValueError: unknown name, another number of files, or a file is not there.
        RuntimeError: this OpenCV lacks the tracker, or cannot read the files.
    """

    kind: str
    weights: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._check_files()
        self._create()

    def initialize(self, image_bgr: ImageBgr, box_xywh: Sequence[float]) -> _OpenCvState:
        """Start a new OpenCV tracker on the box, rounded to whole pixels.

        Raises:
            RuntimeError: OpenCV refuses the box, or the networks are of another kind.
        """
        tracker = self._create()
        left, top, width, height = (round(value) for value in box_xywh)
        try:
            tracker.init(image_bgr, (left, top, width, height))
        except cv2.error as error:
            raise RuntimeError(f"{self.kind} cannot start: {_reason(error)}") from error
        return _OpenCvState(tracker, (float(left), float(top), float(width), float(height)))

    def track(self, image_bgr: ImageBgr, state: _OpenCvState) -> tuple[_OpenCvState, BoxResult]:
        """The box in the next image; the last one, with confidence 0, where it was not found.

        The confidence is the tracker's own score, or 1 if it has none.

        Raises:
            RuntimeError: OpenCV fails, as with networks of another kind.
        """
        try:
            found, box = state.tracker.update(image_bgr)
        except cv2.error as error:
            raise RuntimeError(f"{self.kind} cannot go on: {_reason(error)}") from error
        if found:
            left, top, width, height = (float(value) for value in box)
            state = _OpenCvState(state.tracker, (left, top, width, height))
        size_wh = (image_bgr.shape[1], image_bgr.shape[0])
        return state, BoxResult(state.box_xywh, size_wh, _score(state.tracker) if found else 0.0)

    def _check_files(self) -> None:
        if self.kind not in _KINDS:
            known = ", ".join(OPENCV_TRACKERS)
            raise ValueError(f"unknown OpenCV tracker {self.kind!r}, there are {known}")
        wanted = _KINDS[self.kind].files
        if len(self.weights) != len(wanted):
            needs = f"{len(wanted)} network files ({', '.join(wanted)})" if wanted else "no files"
            raise ValueError(f"{self.kind} needs {needs}, got {len(self.weights)}")
        for path in self.weights:
            if not Path(path).is_file():
                raise ValueError(f"{self.kind}: there is no file {path}")

    def _create(self) -> Any:  # noqa: ANN401 - OpenCV's trackers have no common type
        name, files = _KINDS[self.kind]
        # OpenCV 4 contrib keeps some in cv2.legacy; the class's own create came with 4.5.1.
        for home in (cv2, getattr(cv2, "legacy", None)):
            make = getattr(getattr(home, name, None), "create", None)
            if make is None:
                continue
            if not files:
                return make()
            # Files are named by parameters in every version; OpenCV 5 takes loaded networks too.
            parameters = getattr(home, f"{name}_Params")()
            for field, path in zip(files, self.weights, strict=True):
                setattr(parameters, field, str(path))
            try:
                return make(parameters)
            except cv2.error as error:
                shown = ", ".join(self.weights)
                raise RuntimeError(f"{self.kind} cannot read {shown}: {_reason(error)}") from error
        raise RuntimeError(
            f"OpenCV {cv2.__version__} as installed has no {name}; opencv-contrib-python 4 has it"
        )


@dataclass(frozen=True, eq=False)
class _OpenCvState:
    tracker: Any
    box_xywh: tuple[float, float, float, float]


def _score(tracker: Any) -> float:  # noqa: ANN401 - as above
    """The tracker's own score; one that has none lacks the method, or OpenCV 5 says -1."""
    score = getattr(tracker, "getTrackingScore", None)
    value = -1.0 if score is None else float(score())
    return value if value >= 0 else 1.0


def _reason(error: cv2.error) -> str:
    """What OpenCV says, on one line, without the place in its source."""
    return " ".join((error.err or str(error)).split())
