# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The inference thread: frames and requests of all cameras in, results out. Knows no ROS.

Callers never wait for it: a frame is put into its camera's queue, a request is checked against the
frame that it names and answered at once, and the thread does the rest. Each turn of the thread
takes the next frame of every camera that has one, and the next frame of every target that is
still catching up, and runs all of them in one forward pass. Detections and clicks have turns of
their own, when all targets have seen the frames that they are about.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, cast

from siammask_ros.clicks import Click, clicked_pixel, grow_box
from siammask_ros.frames import MILLISECONDS_PER_SECOND, Frame, FrameBuffer, ImageBgr
from siammask_ros.geometry import MIN_BOX_SIDE, Box, validate_box_xywh
from siammask_ros.handover import (
    Detection,
    HandoverConfig,
    KnownTarget,
    Question,
    chosen_to_start,
    match,
    recovered,
)
from siammask_ros.longterm import (
    MAX_TARGETS,
    Sighting,
    Target,
    TargetResult,
)
from siammask_ros.longterm import BatchTracker as StepTracker
from siammask_ros.longterm_config import LongTermConfig
from siammask_ros.reduced_images import ReducibleJpeg
from siammask_ros.step_clock import StepClock, StepTimes
from siammask_ros.target_status import TargetStatus
from siammask_ros.tracked import TargetEntry
from siammask_ros.tracker_state import TrackerState

BYTES_PER_MEGABYTE = 1_000_000
WAITING_HINTS = 10
"""Messages of detections, and clicks, of a camera that may wait; beyond that the oldest is lost."""

BoxXywh = tuple[float, float, float, float]


class RequestError(ValueError):
    """A request that is refused; nothing has changed, the text says why."""


class BatchTracker(Protocol):
    """What the engine needs of a tracker; `siammask_ros.longterm.LongTermTracker` has it."""

    def start_batch(self, targets: Sequence[tuple[ImageBgr, BoxXywh]]) -> list[Target]:
        """Targets that start at boxes in images."""

    tracker: StepTracker
    """What does the single steps."""
    config: LongTermConfig
    """Thresholds."""

    def step(self, targets: Sequence[tuple[ImageBgr, Target]]) -> list[tuple[Target, TargetResult]]:
        """Each target after its next image, with what was found there."""

    def look(self, places: Sequence[tuple[ImageBgr, Target, Box]]) -> list[Sighting]:
        """How much like each target a box of an image is."""

    def restart(self, target: Target, state: TrackerState, *, at_once: bool) -> Target:
        """A LOST target where it was seen."""

    def places(self, target: Target) -> tuple[Box, Box | None]:
        """Where a LOST target was last seen, and where it may be."""

    def patch_scales(self, target: Target) -> list[float]:
        """Image pixels a pixel of the patches in which a target is searched for."""

    def confirm(self, target: Target) -> Target:
        """An UNCERTAIN target that a detector sees."""


class TargetRequest(NamedTuple):
    """A box to track. Id 0 asks for a free id; an id in use starts that target again."""

    target_id: int
    label: str
    box_xywh: BoxXywh


class Accepted(NamedTuple):
    """Answer to a request: the ids in its order, and the stamp of the frame that was used."""

    target_ids: list[int]
    stamp_ns: int


class Timings(NamedTuple):
    """What one frame cost so far, in milliseconds."""

    queue_ms: float
    decode_ms: float
    inference_ms: float
    step: StepTimes = StepTimes()
    """Parts of `inference_ms`, where the tracker has a clock."""


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
        max_targets: targets that a camera may have, 1 to `MAX_TARGETS`.
        handover: what is done with detections.
    """

    every_frame: bool = False
    queue_size: int = 300
    buffer_seconds: float = 10.0
    buffer_frames: int = 300
    buffer_megabytes: int = 512
    catch_up_steps: int = 60
    max_targets: int = 64
    handover: HandoverConfig = field(default_factory=HandoverConfig)


@dataclass
class CameraCounters:
    """Running totals of one camera since it was created."""

    received: int = 0
    processed: int = 0
    dropped: int = 0
    unusable: int = 0
    time_jumps: int = 0
    paused: int = 0
    """Arrived while the camera was paused, and were not processed."""
    detections: int = 0
    """Messages of detections that were matched to a frame."""


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
    state: Target | None = None
    result: TargetResult | None = None
    seen: Frame | None = None
    path: deque[tuple[int, Box | None]] = field(default_factory=deque)
    """Where it was in the latest frames, by their sequence numbers."""

    @property
    def status(self) -> TargetStatus:
        """Its state now."""
        return self.result.status if self.result else TargetStatus.INITIALIZING

    @property
    def started(self) -> Target:
        """What the follower knows of it.

        Raises:
            RuntimeError: it has not been started.
        """
        if self.state is None:
            raise RuntimeError(f"target {self.target_id} has not been started")
        return self.state

    def note(self, frame: Frame, state: Target, result: TargetResult) -> None:
        """Take over what a frame showed."""
        self.state, self.result, self.seen = state, result, frame
        self.path.append((frame.sequence, result.result.box if result.result else None))

    def forget_since(self, frame: Frame) -> None:
        """Forget where it was in this frame and the later ones: it will see those again."""
        kept = [place for place in self.path if place[0] < frame.sequence]
        self.path.clear()
        self.path.extend(kept)

    def box_in(self, frame: Frame) -> Box | None:
        """Where it was in a frame, or in the nearest one it has seen; None where it was not."""
        if not self.path:
            return None
        return min(self.path, key=lambda place: abs(place[0] - frame.sequence))[1]

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
        given = Box(*self.box_xywh) if frame is self.start else None
        return TargetEntry(self.target_id, self.label, result, given)


class _Hint(NamedTuple):
    """Where targets are or may be in a frame, told from outside: a click, or detections."""

    frame: Frame
    point_xy: tuple[float, float] | None = None
    detections: Sequence[Detection] = ()


@dataclass(eq=False)
class _Camera:
    name: str
    buffer: FrameBuffer
    queue: deque[Frame] = field(default_factory=deque)
    targets: dict[int, _TrackedTarget] = field(default_factory=dict)
    counters: CameraCounters = field(default_factory=CameraCounters)
    next_sequence: int = 0
    paused: bool = False
    hints: deque[_Hint] = field(default_factory=lambda: deque(maxlen=WAITING_HINTS))
    early: dict[int, Sequence[Detection]] = field(default_factory=dict)
    """Detections that came before their frame, by its stamp."""
    took_hint: bool = False
    """A hint was the work of its last turn: a frame that waits comes before the next hint."""

    @property
    def has_work(self) -> bool:
        return not self.paused and bool(self.queue or self.is_catching_up or self.is_hint_due)

    @property
    def is_catching_up(self) -> bool:
        return any(target.state is None or target.backlog for target in self.targets.values())

    @property
    def is_hint_due(self) -> bool:
        """The next hint's frame is behind all targets."""
        if self.paused or not self.hints or self.is_catching_up:
            return False
        if self.took_hint and self.queue:
            return False
        return not self.queue or self.hints[0].frame.sequence < self.queue[0].sequence

    def missed_since(self, frame: Frame) -> deque[Frame]:
        """The frames after this one, without those in the queue, which will come by themselves."""
        queued_from = self.queue[0].sequence if self.queue else self.next_sequence
        return deque(f for f in self.buffer.after(frame) if f.sequence < queued_from)


class _Turn(NamedTuple):
    """The work of one turn of the thread: of each camera a hint, or frames."""

    frames: dict[_Camera, Frame]
    targets: dict[_Camera, list[_TrackedTarget]]
    starts: list[_TrackedTarget]
    hints: dict[_Camera, _Hint]


OnResult = Callable[[str, Frame, list[TargetEntry], Timings], None]
OnError = Callable[[str, Exception], None]
OnNotice = Callable[[str, str], None]


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
        on_notice: OnNotice | None = None,
    ) -> None:
        """Prepare; `start` begins.

        Args:
            tracker: does the work; may be exchanged at any time.
            camera_names: at least one, all different.
            options: how frames are taken.
            on_result: called in the thread with camera, frame, entries by rising id, and timings.
            on_error: called in the thread with the camera's name (may be empty) and what failed.
            on_notice: called in the thread with the camera's name and what a hint has changed.

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
        self._on_notice: OnNotice = on_notice or (lambda _camera, _text: None)
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

    def begin(self) -> None:
        """As `start`, but without a thread: whoever hands in frames then calls `work_off`."""
        self._running = True

    def work_off(self) -> None:
        """Do all the work that there is, here and now.

        Raises:
            Exception: what the tracker raises; with a thread that goes to `on_error`.
        """
        while True:
            with self._changed:
                if not self._has_work():
                    return
                turn = self._take_turn()
            self._work(turn)

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
            camera.hints.clear()
            camera.early.clear()
            for target in camera.targets.values():
                target.backlog.clear()

    def configure(self, options: EngineOptions) -> None:
        """Change how frames are taken; frames that are held stay, as far as they fit."""
        with self._changed:
            self.options = options
            for camera in self._cameras.values():
                camera.buffer.limit(**_buffer_limits(options))

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
        header: object,
        decode: Callable[[], ImageBgr],
        data_bytes: int,
        reducible: ReducibleJpeg | None = None,
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
                reducible=reducible,
            )
            camera.next_sequence += 1
            camera.counters.received += 1
            jumped_back = camera.buffer.append(frame)
            camera.counters.time_jumps += jumped_back
            if camera.paused:
                camera.counters.paused += 1
                return jumped_back
            self._add_early(camera, frame)
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
            self._check_room(len({*kept, *target_ids}))
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

    def add_detections(
        self, camera_name: str, stamp_ns: int, detections: Sequence[Detection]
    ) -> None:
        """Hand in what a detector found in the frame of a stamp (0: the newest).

        Detections may come a little before their frame. Those of a paused camera are passed over.

        Raises:
            RequestError: no frame of this stamp is held any more.
        """
        with self._changed:
            camera = self._require_camera(camera_name)
            if camera.paused:
                return
            try:
                frame = camera.buffer.find(stamp_ns)
            except ValueError as error:
                if not camera.buffer.is_ahead(stamp_ns):
                    raise RequestError(str(error)) from error
                camera.early[stamp_ns] = detections
                while len(camera.early) > WAITING_HINTS:
                    del camera.early[min(camera.early)]
                return
            self._add_hint(camera, _Hint(frame, detections=detections))

    def add_click(self, camera_name: str, click: Click) -> None:
        """Start a target at a point of the newest frame that is no newer than a click.

        Raises:
            RequestError: it is refused, and nothing has changed.
        """
        with self._changed:
            camera = self._require_camera(camera_name)
        try:
            frame = camera.buffer.find_shown(click.stamp_ns)
            frame_id = getattr(frame.header, "frame_id", "")
            point_xy = clicked_pixel(click, frame.size_wh, frame_id)
        except ValueError as error:
            raise RequestError(str(error)) from error
        with self._changed:
            self._check_room(len(camera.targets) + 1)
            self._add_hint(camera, _Hint(frame, point_xy))

    def set_paused(self, camera_name: str, *, paused: bool) -> None:
        """Let a camera rest, or go on; frames that come meanwhile are kept for requests only.

        Targets are kept. They go on with the next frame; those set meanwhile start on their frame
        and catch up.

        Raises:
            RequestError: there is no such camera, or the node is not active.
        """
        with self._changed:
            camera = self._require_camera(camera_name)
            if paused and not camera.paused and not self.options.every_frame:
                camera.counters.dropped += len(camera.queue)
                camera.queue.clear()  # it would be an old frame when the camera goes on
            if camera.paused and not paused:
                for target in camera.targets.values():
                    if target.state is None:
                        target.backlog = camera.missed_since(target.start)
            camera.paused = paused
            self._changed.notify()

    def is_paused(self, camera_name: str) -> bool:
        """Whether a camera rests."""
        return self._cameras[camera_name].paused

    def _add_hint(self, camera: _Camera, hint: _Hint) -> None:
        camera.counters.detections += hint.point_xy is None
        camera.hints.append(hint)
        self._changed.notify()

    def _add_early(self, camera: _Camera, frame: Frame) -> None:
        """Take up the detections that came before their frame; older ones have lost theirs."""
        for stamp_ns in sorted(camera.early):
            if stamp_ns > frame.stamp_ns:
                break
            detections = camera.early.pop(stamp_ns)
            if stamp_ns == frame.stamp_ns:
                self._add_hint(camera, _Hint(frame, detections=detections))

    def _check_room(self, count: int) -> None:
        if count > self.options.max_targets:
            raise RequestError(
                f"that would make {count} targets, max_targets allows {self.options.max_targets} "
                "a camera"
            )

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
        path: deque[tuple[int, Box | None]] = deque(maxlen=self.options.buffer_frames)
        path.append((start.sequence, Box(*request.box_xywh)))
        return _TrackedTarget(
            target_id=target_id,
            label=request.label,
            box_xywh=request.box_xywh,
            start=start,
            backlog=camera.missed_since(start),
            steps_left=self.options.catch_up_steps,
            path=path,
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
        return any(camera.has_work for camera in self._cameras.values())

    def _take_turn(self) -> _Turn:
        """Choose the work of a turn. In order means: nobody goes on before all have caught up.

        A camera whose hint is taken has no frame in that turn; the others go on meanwhile.
        """
        cameras = [camera for camera in self._cameras.values() if not camera.paused]
        hints = {camera: camera.hints.popleft() for camera in cameras if camera.is_hint_due}
        for camera in cameras:
            camera.took_hint = camera in hints
        active = [camera for camera in cameras if camera not in hints]
        frames = {}
        for camera in active:
            if not camera.queue or (self.options.every_frame and camera.is_catching_up):
                continue
            frame = camera.queue.popleft()
            frames[camera] = frame
            for target in camera.targets.values():
                if frame.sequence > target.start.sequence:
                    target.backlog.append(frame)
        targets = {
            camera: [target for _, target in sorted(camera.targets.items())] for camera in active
        }
        starts = [t for those in targets.values() for t in those if t.state is None]
        return _Turn(frames, targets, starts, hints)

    def _work(self, turn: _Turn) -> None:
        for camera, hint in turn.hints.items():
            self._take_hint(camera, hint)
        began = time.perf_counter()
        for camera, frame in list(turn.frames.items()):
            if not self._is_usable(camera, frame, turn.targets[camera]):
                del turn.frames[camera]
        decoded = time.perf_counter()
        self._start_targets(turn)
        self._step_targets(turn)
        inference_ms = (time.perf_counter() - decoded) * MILLISECONDS_PER_SECOND
        step_times = self._step_times()
        for camera, frame in turn.frames.items():
            with self._changed:
                camera.counters.processed += 1
                current = [
                    target
                    for target in turn.targets[camera]
                    if camera.targets.get(target.target_id) is target
                ]
            queue_ms = (began - frame.arrival_s) * MILLISECONDS_PER_SECOND
            timings = Timings(max(queue_ms, 0.0), frame.decode_ms, inference_ms, step_times)
            entries = [target.entry(frame) for target in current]
            self._on_result(camera.name, frame, entries, timings)

    def _is_usable(self, camera: _Camera, frame: Frame, targets: Sequence[_TrackedTarget]) -> bool:
        try:
            frame.image_for(self._patch_scales(frame, targets))  # decodes
        except ValueError as error:
            camera.counters.unusable += 1
            self._on_error(camera.name, error)
            return False
        return True

    def _patch_scales(self, frame: Frame, targets: Iterable[_TrackedTarget]) -> list[float]:
        """Image pixels a pixel of each patch that targets need of a frame."""
        if frame.reducible is None:
            return []
        states = [target.state for target in targets if target.state is not None]
        return [scale for state in states for scale in self.tracker.patch_scales(state)]

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
        jobs: list[tuple[_TrackedTarget, Frame]] = []
        for targets in turn.targets.values():
            for target in targets:
                frame = target.next_frame(skip=not self.options.every_frame)
                if frame is not None:
                    jobs.append((target, frame))
        images = self._decoded(jobs)
        jobs = [(target, frame) for target, frame in jobs if frame in images]
        if not jobs:
            return
        results = self.tracker.step([(images[frame], target.started) for target, frame in jobs])
        for (target, frame), (state, result) in zip(jobs, results, strict=True):
            target.note(frame, state, result)

    def _step_times(self) -> StepTimes:
        """Where the time of this turn's steps went."""
        clock: StepClock | None = getattr(self.tracker.tracker, "clock", None)
        return StepTimes() if clock is None else clock.take()

    def _decoded(self, jobs: Sequence[tuple[_TrackedTarget, Frame]]) -> dict[Frame, ImageBgr]:
        """The images of frames, as far as their targets need them; without those that are bad."""
        targets_of: dict[Frame, list[_TrackedTarget]] = {}
        for target, frame in jobs:
            targets_of.setdefault(frame, []).append(target)
        images = {}
        for frame, targets in targets_of.items():
            with suppress(ValueError):  # was told when the frame came
                image = frame.image_for(self._patch_scales(frame, targets))
                images[frame] = cast("ImageBgr", image)  # patches are cut out of either
        return images

    def _take_hint(self, camera: _Camera, hint: _Hint) -> None:
        try:
            if hint.point_xy is not None:
                self._start_at_point(camera, hint.frame, hint.point_xy)
            elif hint.frame.is_decodable:
                self._hand_over(camera, hint.frame, hint.detections)
        except Exception as error:  # noqa: BLE001  the hints of other cameras are to be taken
            self._on_error(camera.name, error)

    def _start_at_point(self, camera: _Camera, frame: Frame, point_xy: tuple[float, float]) -> None:
        box = grow_box(self.tracker.tracker, frame.image_bgr, point_xy)
        where = f"the click at ({point_xy[0]:g}, {point_xy[1]:g})"
        self._start_found(camera, frame, [Detection(box, "", 1.0)], where)

    def _hand_over(self, camera: _Camera, frame: Frame, detections: Sequence[Detection]) -> None:
        """Let the detections of a frame confirm, restart and start targets."""
        config = self.options.handover
        with self._changed:
            targets = dict(camera.targets)
        known = [self._known_target(target, frame) for target in targets.values()]
        found = match(_inside(detections, frame.size_wh), known, config)
        for target_id in found.confirmed:
            targets[target_id].state = self.tracker.confirm(targets[target_id].started)
        taken = self._recover(camera, frame, found.questions, targets)
        free = [detection for detection in found.free if not any(detection is t for t in taken)]
        room = self.options.max_targets - len(targets)
        chosen = chosen_to_start(free, known, config, room)
        self._start_found(camera, frame, chosen, "a detection")

    def _known_target(self, target: _TrackedTarget, frame: Frame) -> KnownTarget:
        known = KnownTarget(target.target_id, target.label, target.status, target.box_in(frame))
        if not known.is_lost:
            return known
        last_place, candidate = self.tracker.places(target.started)
        return known._replace(last_place=last_place, candidate=candidate)

    def _recover(
        self,
        camera: _Camera,
        frame: Frame,
        questions: Sequence[Question],
        targets: dict[int, _TrackedTarget],
    ) -> list[Detection]:
        """Restart the LOST targets that detections show; returns those detections."""
        if not questions:
            return []
        sightings = self.tracker.look(
            [
                (frame.image_bgr, targets[ask.target_id].started, ask.detection.box)
                for ask in questions
            ]
        )
        taken = []
        for index, at_once in recovered(
            questions, sightings, self.options.handover, self.tracker.config.found_above
        ):
            target, seen = targets[questions[index].target_id], sightings[index]
            taken.append(questions[index].detection)
            target.state = self.tracker.restart(target.started, seen.state, at_once=at_once)
            with self._changed:
                target.backlog = camera.missed_since(frame)
                target.steps_left = self.options.catch_up_steps
            target.forget_since(frame)
            if at_once:
                target.path.append((frame.sequence, seen.box))
                target.result = TargetResult(TargetStatus.TRACKING, None, seen.evidence, 0)
                self._on_notice(camera.name, f"a detection restarted target {target.target_id}")
        return taken

    def _start_found(
        self, camera: _Camera, frame: Frame, detections: Sequence[Detection], cause: str
    ) -> None:
        """Start targets, as many as there may be."""
        for detection in detections:
            with self._changed:
                if len(camera.targets) >= self.options.max_targets:
                    text = f"{cause} starts no target: max_targets allows no more"
                else:
                    (target_id,) = assign_ids([0], camera.targets)
                    request = TargetRequest(target_id, detection.label, detection.box.xywh)
                    camera.targets[target_id] = self._new_target(camera, target_id, request, frame)
                    box = ", ".join(f"{number:.0f}" for number in detection.box.xywh)
                    text = f"{cause} started target {target_id} {detection.label}".rstrip()
                    text += f" at x, y, width, height = {box}"
            self._on_notice(camera.name, text)

    def _remove(self, targets: Sequence[_TrackedTarget]) -> None:
        with self._changed:
            for camera in self._cameras.values():
                for target in targets:
                    if camera.targets.get(target.target_id) is target:
                        del camera.targets[target.target_id]


def _new_buffer(options: EngineOptions) -> FrameBuffer:
    return FrameBuffer(**_buffer_limits(options))


def _buffer_limits(options: EngineOptions) -> dict[str, Any]:
    return {
        "max_frames": options.buffer_frames,
        "max_seconds": options.buffer_seconds,
        "max_bytes": options.buffer_megabytes * BYTES_PER_MEGABYTE,
    }


def _inside(detections: Sequence[Detection], image_size_wh: tuple[int, int]) -> list[Detection]:
    """The detections, cut at the image's border; those that are too small then are left out."""
    cut = [found._replace(box=found.box.clipped(image_size_wh)) for found in detections]
    return [found for found in cut if min(found.box.size_wh) >= MIN_BOX_SIDE]


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
