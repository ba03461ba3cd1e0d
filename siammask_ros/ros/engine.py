# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The inference thread: frames and requests of all cameras in, results out. Knows no ROS.

Callers never wait for it: a frame is put into its camera's queue, a request is checked against the
frame that it names and answered at once, and the thread does the rest. Each turn of the thread
takes the next frame of every camera that has one, and the next frame of every target that is
still catching up, and runs all of them in one forward pass.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from siammask_ros.geometry import validate_box_xywh
from siammask_ros.longterm import MAX_TARGETS, TargetResult
from siammask_ros.ros.frames import MILLISECONDS_PER_SECOND, Frame, FrameBuffer, ImageBgr
from siammask_ros.target_status import TargetStatus

BYTES_PER_MEGABYTE = 1_000_000

BoxXywh = tuple[float, float, float, float]


class RequestError(ValueError):
    """A request that is refused; nothing has changed, the text says why."""


class BatchTracker(Protocol):
    """What the engine needs of a tracker; `siammask_ros.longterm.LongTermTracker` has it."""

    def start_batch(self, targets: Sequence[tuple[ImageBgr, BoxXywh]]) -> list[Any]:
        """Targets that start at boxes in images."""

    def step(self, targets: Sequence[tuple[ImageBgr, Any]]) -> list[tuple[Any, TargetResult]]:
        """Each target after its next image, with what was found there."""


class TargetRequest(NamedTuple):
    """A box to track. Id 0 asks for a free id; an id in use starts that target again."""

    target_id: int
    label: str
    box_xywh: BoxXywh


class Accepted(NamedTuple):
    """Answer to a request: the ids in its order, and the stamp of the frame that was used."""

    target_ids: list[int]
    stamp_ns: int


class TargetEntry(NamedTuple):
    """What is known of one target in one frame."""

    target_id: int
    label: str
    result: TargetResult


class Timings(NamedTuple):
    """What one frame cost so far, in milliseconds."""

    queue_ms: float
    decode_ms: float
    inference_ms: float


@dataclass(frozen=True)
class EngineOptions:
    """How frames are taken.

    Attributes:
        every_frame: process each frame in order; otherwise only the newest.
        queue_size: frames that may wait with `every_frame`; beyond that the oldest is dropped.
        buffer_seconds: how long frames are kept for requests.
        buffer_frames: and how many of a camera,
        buffer_megabytes: and in how much memory a camera.
        catch_up_steps: images in which a target catches up with the newest frame when only the
            newest frames are processed; with `every_frame` it sees all of them.
    """

    every_frame: bool = False
    queue_size: int = 300
    buffer_seconds: float = 10.0
    buffer_frames: int = 300
    buffer_megabytes: int = 512
    catch_up_steps: int = 60


@dataclass
class CameraCounters:
    """Running totals of one camera since it was created."""

    received: int = 0
    processed: int = 0
    dropped: int = 0
    unusable: int = 0
    time_jumps: int = 0


@dataclass(eq=False)
class _TrackedTarget:
    """A target on its way through the frames."""

    target_id: int
    label: str
    box_xywh: BoxXywh
    start: Frame
    backlog: deque[Frame]
    """Frames it has yet to see; the last is the newest that was processed."""
    steps_left: int
    state: Any = None
    result: TargetResult | None = None
    seen: Frame | None = None

    def next_frame(self, *, skip: bool) -> Frame | None:
        """Take its next frame from the backlog, passing over some if it has to hurry."""
        if not self.backlog:
            return None
        stride = math.ceil(len(self.backlog) / max(self.steps_left, 1)) if skip else 1
        self.steps_left -= 1
        for _ in range(stride - 1):
            self.backlog.popleft()
        return self.backlog.popleft()

    def entry(self, frame: Frame) -> TargetEntry:
        """What to say of it for a frame that is published."""
        result = self.result
        if result is None or self.seen is not frame:
            result = TargetResult(TargetStatus.INITIALIZING, None, 0.0, 0)
        return TargetEntry(self.target_id, self.label, result)


@dataclass(eq=False)
class _Camera:
    name: str
    buffer: FrameBuffer
    queue: deque[Frame] = field(default_factory=deque)
    targets: dict[int, _TrackedTarget] = field(default_factory=dict)
    counters: CameraCounters = field(default_factory=CameraCounters)
    next_sequence: int = 0

    @property
    def is_catching_up(self) -> bool:
        return any(target.state is None or target.backlog for target in self.targets.values())


class _Turn(NamedTuple):
    """The work of one turn of the thread."""

    frames: dict[_Camera, Frame]
    targets: dict[_Camera, list[_TrackedTarget]]
    starts: list[_TrackedTarget]


OnResult = Callable[[str, Frame, list[TargetEntry], Timings], None]
OnError = Callable[[str, Exception], None]


class TrackingEngine:
    """Tracks all targets of all cameras in a thread of its own."""

    def __init__(
        self,
        tracker: BatchTracker,
        camera_names: Sequence[str],
        options: EngineOptions,
        *,
        on_result: OnResult,
        on_error: OnError,
    ) -> None:
        """Prepare; `start` begins.

        Args:
            tracker: does the work; may be exchanged at any time.
            camera_names: at least one, all different.
            options: how frames are taken.
            on_result: called in the thread with camera, frame, entries by rising id, and timings.
            on_error: called in the thread with the camera's name (may be empty) and what failed.

        Raises:
            ValueError: two cameras have one name.
        """
        repeated = {name for name in camera_names if list(camera_names).count(name) > 1}
        if repeated:
            raise ValueError(f"two cameras have one name: {', '.join(sorted(repeated))}")
        self.tracker = tracker
        self.options = options
        self._on_result = on_result
        self._on_error = on_error
        self._cameras = {name: _Camera(name, _new_buffer(options)) for name in camera_names}
        self._changed = threading.Condition()
        self._running = False
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """Between `start` and `stop`."""
        return self._running

    def start(self) -> None:
        """Begin to process frames; targets from before `stop` go on."""
        self._running = True
        self._thread = threading.Thread(target=self._run, name="siammask_inference", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread after its present turn, and forget the frames; targets are kept."""
        with self._changed:
            self._running = False
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        for camera in self._cameras.values():
            camera.queue.clear()
            camera.buffer.clear()
            for target in camera.targets.values():
                target.backlog.clear()

    def counters(self, camera_name: str) -> CameraCounters:
        """Running totals of a camera."""
        return self._cameras[camera_name].counters

    def target_count(self, camera_name: str) -> int:
        """Number of targets of a camera."""
        return len(self._cameras[camera_name].targets)

    def add_frame(
        self,
        camera_name: str,
        *,
        stamp_ns: int,
        header: Any,
        decode: Callable[[], ImageBgr],
        data_bytes: int,
    ) -> bool:
        """Hand in a camera's next frame (see `Frame`); returns at once.

        Returns:
            True when its stamp lies before the last one: time jumped back.
        """
        camera = self._cameras[camera_name]
        with self._changed:
            if not self._running:
                return False
            frame = Frame(
                sequence=camera.next_sequence,
                stamp_ns=stamp_ns,
                header=header,
                decode=decode,
                data_bytes=data_bytes,
            )
            camera.next_sequence += 1
            camera.counters.received += 1
            jumped_back = camera.buffer.append(frame)
            camera.counters.time_jumps += jumped_back
            room = self.options.queue_size if self.options.every_frame else 1
            while len(camera.queue) >= room:
                camera.queue.popleft()
                camera.counters.dropped += 1
            camera.queue.append(frame)
            self._changed.notify()
        return jumped_back

    def set_targets(
        self,
        camera_name: str,
        stamp_ns: int,
        requests: Sequence[TargetRequest],
        *,
        replace: bool = False,
    ) -> Accepted:
        """Start targets on the frame of a stamp (0: the newest); all of them or none.

        Raises:
            RequestError: it is refused, and nothing has changed.
        """
        with self._changed:
            camera = self._require_camera(camera_name)
        if not requests:
            raise RequestError("the request has no targets")
        try:
            start = camera.buffer.find(stamp_ns)
            size_wh = start.size_wh  # may decode, so nobody is kept waiting meanwhile
        except ValueError as error:
            raise RequestError(str(error)) from error
        with self._changed:
            self._require_camera(camera_name)
            kept: Iterable[int] = () if replace else camera.targets
            target_ids = assign_ids([request.target_id for request in requests], kept)
            for target_id, request in zip(target_ids, requests, strict=True):
                _check_box(target_id, request.box_xywh, size_wh)
            if replace:
                camera.targets.clear()
            for target_id, request in zip(target_ids, requests, strict=True):
                camera.targets[target_id] = self._new_target(camera, target_id, request, start)
            self._changed.notify()
        return Accepted(target_ids, start.stamp_ns)

    def clear_targets(self, camera_name: str, target_ids: Sequence[int]) -> list[int]:
        """Forget targets, all of the camera's if none is named; all of them or none.

        Returns:
            The ids that are gone.

        Raises:
            RequestError: it is refused, and nothing has changed.
        """
        with self._changed:
            camera = self._require_camera(camera_name)
            gone = sorted(set(target_ids) or camera.targets)
            unknown = [target_id for target_id in gone if target_id not in camera.targets]
            if unknown:
                held = ", ".join(map(str, sorted(camera.targets))) or "none"
                raise RequestError(
                    f"there is no target {', '.join(map(str, unknown))}, targets are: {held}"
                )
            for target_id in gone:
                del camera.targets[target_id]
        return gone

    def _require_camera(self, camera_name: str) -> _Camera:
        if not self._running:
            raise RequestError("the node is not active")
        if not camera_name and len(self._cameras) == 1:
            return next(iter(self._cameras.values()))
        if camera_name not in self._cameras:
            names = ", ".join(repr(name) for name in self._cameras)
            raise RequestError(f"there is no camera {camera_name!r}, only {names}")
        return self._cameras[camera_name]

    def _new_target(
        self, camera: _Camera, target_id: int, request: TargetRequest, start: Frame
    ) -> _TrackedTarget:
        """Frames that wait in the queue will come by themselves; the others are its backlog."""
        queued_from = camera.queue[0].sequence if camera.queue else camera.next_sequence
        missed = [f for f in camera.buffer.after(start) if f.sequence < queued_from]
        return _TrackedTarget(
            target_id=target_id,
            label=request.label,
            box_xywh=request.box_xywh,
            start=start,
            backlog=deque(missed),
            steps_left=self.options.catch_up_steps,
        )

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._running or self._has_work())
                if not self._running:
                    return
                turn = self._take_turn()
            try:
                self._work(turn)
            except Exception as error:  # noqa: BLE001  one bad turn must not end the thread
                self._on_error("", error)

    def _has_work(self) -> bool:
        return any(camera.queue or camera.is_catching_up for camera in self._cameras.values())

    def _take_turn(self) -> _Turn:
        """Choose the work of a turn. In order means: nobody goes on before all have caught up."""
        frames = {}
        for camera in self._cameras.values():
            if not camera.queue or (self.options.every_frame and camera.is_catching_up):
                continue
            frame = camera.queue.popleft()
            frames[camera] = frame
            for target in camera.targets.values():
                if frame.sequence > target.start.sequence:
                    target.backlog.append(frame)
        targets = {
            camera: [target for _, target in sorted(camera.targets.items())]
            for camera in self._cameras.values()
        }
        starts = [t for those in targets.values() for t in those if t.state is None]
        return _Turn(frames, targets, starts)

    def _work(self, turn: _Turn) -> None:
        began = time.perf_counter()
        for camera, frame in list(turn.frames.items()):
            if not self._is_usable(camera, frame):
                del turn.frames[camera]
        decoded = time.perf_counter()
        self._start_targets(turn)
        self._step_targets(turn)
        inference_ms = (time.perf_counter() - decoded) * MILLISECONDS_PER_SECOND
        for camera, frame in turn.frames.items():
            with self._changed:
                camera.counters.processed += 1
                current = [
                    target
                    for target in turn.targets[camera]
                    if camera.targets.get(target.target_id) is target
                ]
            queue_ms = (began - frame.arrival_s) * MILLISECONDS_PER_SECOND
            timings = Timings(max(queue_ms, 0.0), frame.decode_ms, inference_ms)
            entries = [target.entry(frame) for target in current]
            self._on_result(camera.name, frame, entries, timings)

    def _is_usable(self, camera: _Camera, frame: Frame) -> bool:
        try:
            frame.size_wh  # noqa: B018  decodes
        except ValueError as error:
            camera.counters.unusable += 1
            self._on_error(camera.name, error)
            return False
        return True

    def _start_targets(self, turn: _Turn) -> None:
        if not turn.starts:
            return
        pairs = [(target.start.image_bgr, target.box_xywh) for target in turn.starts]
        try:
            states = self.tracker.start_batch(pairs)
        except Exception:
            self._remove(turn.starts)
            raise
        for target, state in zip(turn.starts, states, strict=True):
            target.state = state

    def _step_targets(self, turn: _Turn) -> None:
        """Each target on its next frame, all in one forward pass."""
        jobs = []
        for targets in turn.targets.values():
            for target in targets:
                frame = target.next_frame(skip=not self.options.every_frame)
                if frame is not None and frame.is_decodable:
                    jobs.append((target, frame))
        if not jobs:
            return
        results = self.tracker.step([(frame.image_bgr, target.state) for target, frame in jobs])
        for (target, frame), (state, result) in zip(jobs, results, strict=True):
            target.state, target.result, target.seen = state, result, frame

    def _remove(self, targets: Sequence[_TrackedTarget]) -> None:
        with self._changed:
            for camera in self._cameras.values():
                for target in targets:
                    if camera.targets.get(target.target_id) is target:
                        del camera.targets[target.target_id]


def _new_buffer(options: EngineOptions) -> FrameBuffer:
    return FrameBuffer(
        max_frames=options.buffer_frames,
        max_seconds=options.buffer_seconds,
        max_bytes=options.buffer_megabytes * BYTES_PER_MEGABYTE,
    )


def _check_box(target_id: int, box_xywh: BoxXywh, image_size_wh: tuple[int, int]) -> None:
    try:
        validate_box_xywh(box_xywh, image_size_wh)
    except ValueError as error:
        raise RequestError(f"target {target_id}: {error}") from error


def assign_ids(requested: Sequence[int], in_use: Iterable[int]) -> list[int]:
    """Ids for a request: those it names, the lowest free ones where it says 0.

    Raises:
        RequestError: an id out of range, an id twice, or more targets than ids.
    """
    for target_id in requested:
        if not 0 <= target_id <= MAX_TARGETS:
            raise RequestError(f"id {target_id} is out of range, it must be 0 to {MAX_TARGETS}")
    named = [target_id for target_id in requested if target_id]
    for target_id in named:
        if named.count(target_id) > 1:
            raise RequestError(f"id {target_id} is given twice")
    taken = set(named) | set(in_use)
    wanted = len(requested) - len(named)
    free = [number for number in range(1, MAX_TARGETS + 1) if number not in taken]
    if wanted > len(free):
        raise RequestError(
            f"{wanted} new targets are too many: {len(taken)} of {MAX_TARGETS} ids are in use"
        )
    unused = iter(free)
    return [target_id or next(unused) for target_id in requested]
