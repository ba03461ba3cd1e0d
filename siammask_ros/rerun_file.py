# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A run as a recording for the Rerun viewer (RRD), where the package `rerun-sdk` is installed."""

from __future__ import annotations

import hashlib
import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from siammask_ros.drawing import item_caption, target_colour
from siammask_ros.files import PartialFile
from siammask_ros.history import StateWatch, target_name
from siammask_ros.pictures import encode_jpeg
from siammask_ros.sinks import FileSink
from siammask_ros.target_status import TargetStatus

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from types import ModuleType

    from siammask_ros.drawing import OverlayItem
    from siammask_ros.history import StateChange
    from siammask_ros.tracked import TargetEntry, TrackedFrame

APPLICATION = "siammask_ros"
FRAME_TIMELINE = "frame"
TIME_TIMELINE = "time"
CAMERA_PATH = "camera"
IMAGE_PATH = f"{CAMERA_PATH}/image"
MASK_PATH = f"{CAMERA_PATH}/masks"
BOXES_PATH = f"{CAMERA_PATH}/boxes"
CONFIDENCE_PATH = "confidence"
"""Of all targets; below it each has its own, by id."""
STATES_PATH = "states"
JPEG_QUALITY = 85
BACKGROUND = (0, "background", (0, 0, 0, 0))
"""Of the label images: nothing is drawn; without a word it would have a colour, too."""


class RerunSink(FileSink):
    """A recording (RRD): images, label images, rotated boxes, confidence, and a log of states.

    Two timelines lead through it: `frame`, the number in the source, and `time`, in seconds.
    It is written while the run goes on; images are JPEGs.

    Args:
        path: the file.
        name: of the recording.
        keep_interrupted: see `FileSink`.

    Raises:
        ImportError: `rerun-sdk` is not installed.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, name: str, keep_interrupted: bool = False
    ) -> None:
        super().__init__(path, keep_interrupted=keep_interrupted)
        self._rerun = _import_rerun()
        self._name = name
        self._watch = StateWatch()
        self._names: dict[int, str] = {}
        self._file: PartialFile | None = None
        self._stream: Any = None

    def add(self, tracked: TrackedFrame) -> None:
        """Take the next frame."""
        if self._stream is None:
            self._open()
        rerun, stream, frame = self._rerun, self._stream, tracked.frame
        stream.set_time(FRAME_TIMELINE, sequence=frame.index)
        stream.set_time(TIME_TIMELINE, duration=frame.time_s)
        self._describe(tracked.entries)
        jpeg = encode_jpeg(frame.image_bgr, JPEG_QUALITY)
        stream.log(IMAGE_PATH, rerun.EncodedImage(contents=jpeg, media_type="image/jpeg"))
        stream.log(MASK_PATH, rerun.SegmentationImage(tracked.label_image()))
        self._log_boxes(tracked.items())
        for entry in tracked.entries:
            if entry.result.status is not TargetStatus.INITIALIZING:
                place = f"{CONFIDENCE_PATH}/{entry.target_id}"
                stream.log(place, rerun.Scalars([entry.result.confidence]))
        for change in self._watch.changes(tracked):
            self._log_change(change)

    def finish(self) -> bool:
        """End the recording.

        Raises:
            OSError: it could not be written; the log of Rerun on the error stream says why.
        """
        if self._stream is None or self._file is None:
            return False
        try:
            self._stream.flush()
        except RuntimeError as error:
            raise OSError(f"cannot write {self.path}: {error}") from error
        self._stream.disconnect()
        self._file.finish()
        return True

    def drop(self) -> None:
        """Remove a recording that is not finished."""
        if self._stream is not None:
            self._stream.disconnect()
        if self._file is not None:
            self._file.drop()

    def _open(self) -> None:
        self._file = PartialFile(self.path)
        # The id of a recording is random by default; runs of the same name replace each other.
        number = hashlib.sha256(self._name.encode("utf-8", "replace")).hexdigest()[:16]
        self._stream = self._rerun.RecordingStream(
            APPLICATION, recording_id=number, send_properties=False
        )
        # With a blueprint as its argument, `save` waits for ever where the disk is full.
        self._stream.save(self._file.partial)
        self._stream.set_log_time_enabled(False)
        self._stream.set_log_tick_enabled(False)
        self._stream.send_recording_name(self._name)
        self._stream.send_blueprint(_layout(self._rerun), make_active=False, make_default=True)

    def _describe(self, entries: Sequence[TargetEntry]) -> None:
        """Give targets that are new, or have a new label, their names and the overlay's colours."""
        names = {entry.target_id: target_name(entry.target_id, entry.label) for entry in entries}
        changed = [(i, name) for i, name in names.items() if self._names.get(i) != name]
        if not changed:
            return
        self._names |= names
        for number, name in changed:
            line = self._rerun.SeriesLines(colors=[_rgb(number)], names=[name])
            self._stream.log(f"{CONFIDENCE_PATH}/{number}", line, static=True)
        table = [
            BACKGROUND,
            *((number, name, _rgb(number)) for number, name in self._names.items()),
        ]
        self._stream.log(CAMERA_PATH, self._rerun.AnnotationContext(table), static=True)

    def _log_boxes(self, items: Sequence[OverlayItem]) -> None:
        """Rotated boxes as closed lines; without any, those of the frame before vanish."""
        placed = [(item, item.corners) for item in items if item.corners is not None]
        lines = self._rerun.LineStrips2D(
            [np.concatenate([corners, corners[:1]]) for _, corners in placed],
            colors=[_rgb(item.target_id) for item, _ in placed],
            labels=[item_caption(item) for item, _ in placed],
        )
        self._stream.log(BOXES_PATH, lines)

    def _log_change(self, change: StateChange) -> None:
        """A line of the log; a loss is a warning."""
        told = f"{target_name(change.target_id, change.label)}: {change.words}"
        level = "WARN" if change.is_loss else "INFO"
        line = self._rerun.TextLog(told, level=level, color=_rgb(change.target_id))
        self._stream.log(STATES_PATH, line)


def _layout(rerun: ModuleType) -> object:
    """The camera beside confidence and states, as the viewer opens the file."""
    views = rerun.blueprint
    camera = views.Spatial2DView(origin=CAMERA_PATH, name="camera")
    course = views.Vertical(
        views.TimeSeriesView(origin=CONFIDENCE_PATH, name="confidence"),
        views.TextLogView(origin=STATES_PATH, name="states"),
    )
    return views.Blueprint(
        views.Horizontal(camera, course, column_shares=[3, 2]), collapse_panels=True
    )


def _rgb(target_id: int) -> tuple[int, int, int]:
    blue, green, red = target_colour(target_id)
    return red, green, blue


def _import_rerun() -> ModuleType:
    try:
        return importlib.import_module("rerun")
    except ImportError as error:
        raise ImportError(
            "a recording for Rerun needs the package 'rerun-sdk' (pip install rerun-sdk)"
        ) from error
