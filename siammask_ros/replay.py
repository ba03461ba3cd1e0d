# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording run through the engine of the node, every image in order, without ROS.

    with open_bag("recording") as bag:
        replay = Replay(bag, bag.image_topic(), tracker, cues)
        for event in replay.run():
            use(event)

The bag is read and its images are decoded in a thread of their own, a few ahead of the tracker.
Memory does not grow with the length of the recording.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from siammask_ros.bags.topics import BagMessage, SourceHeader
from siammask_ros.cues import ClearCue, DetectionsCue, SetCue
from siammask_ros.engine import EngineOptions, RequestError, Timings, TrackingEngine
from siammask_ros.frames import NANOSECONDS_PER_SECOND
from siammask_ros.handover import HandoverConfig
from siammask_ros.image_messages import decoder_of
from siammask_ros.longterm import MAX_TARGETS
from siammask_ros.read_ahead import read_ahead
from siammask_ros.tracked import TrackedFrame
from siammask_ros.video import VideoFrame

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from siammask_ros.bags.reader import Bag
    from siammask_ros.bags.topics import BagTopic
    from siammask_ros.crop import ImageBgr
    from siammask_ros.cues import Cue, CueSheet
    from siammask_ros.engine import BatchTracker
    from siammask_ros.frames import Frame
    from siammask_ros.tracked import TargetEntry

IMAGES_AHEAD = 8
"""Images and messages that wait, decoded, for the tracker."""
HELD_FRAMES = 2
"""Images that the engine keeps for requests: in lock step they are about the newest."""
CAMERA = ""


class ReplayedImage(NamedTuple):
    """An image of the recording and what was found in it.

    Attributes:
        tracked: image and targets.
        header: of the image's message.
        log_ns: when it was recorded.
    """

    tracked: TrackedFrame
    header: SourceHeader
    log_ns: int


ReplayEvent: TypeAlias = "ReplayedImage | BagMessage"


@dataclass(frozen=True)
class ReplayRange:
    """Which images are taken, by their numbers in the topic.

    Attributes:
        start: the first.
        stop: the one before which to end; None: the recording's end.
    """

    start: int = 0
    stop: int | None = None

    def __post_init__(self) -> None:
        if self.start < 0 or (self.stop is not None and self.stop <= self.start):
            raise ValueError(f"images {self.start} to {self.stop} are no range")


class _Image(NamedTuple):
    """An image of the bag, decoded; without pixels where that failed."""

    number: int
    log_ns: int
    header: SourceHeader
    pixels: ImageBgr | None
    fault: str = ""


class Replay:
    """One run through a bag.

    Args:
        bag: open, and not read by anybody else meanwhile.
        topic: its images.
        tracker: follows the targets.
        cues: what happens to them when.
        images: which to take.
        copied: topics whose messages are handed on, from the beginning of the bag on.
        handover: what is done with detections.
        on_notice: told what detections have changed, and which recorded requests were refused.

    Raises:
        ValueError: a target is to start on an image that is not taken.

    Attributes:
        frames: images that were processed so far.
        passed_over: images that could not be decoded.
    """

    def __init__(
        self,
        bag: Bag,
        topic: BagTopic,
        tracker: BatchTracker,
        cues: CueSheet,
        *,
        images: ReplayRange | None = None,
        copied: Sequence[BagTopic] = (),
        handover: HandoverConfig | None = None,
        on_notice: Callable[[str], None] | None = None,
    ) -> None:
        self.frames = 0
        self.passed_over = 0
        self._bag, self._topic = bag, topic
        self._images = images or ReplayRange()
        self._copied = tuple(copied)
        self._cues = cues.within(self._images.start, self._images.stop)
        self._on_notice: Callable[[str], None] = on_notice or (lambda _: None)
        self._first_ns: int | None = None
        self._results: list[tuple[TargetEntry, ...]] = []
        self._errors: list[Exception] = []
        options = EngineOptions(
            every_frame=True,
            buffer_frames=HELD_FRAMES,
            max_targets=MAX_TARGETS,
            handover=handover or HandoverConfig(),
        )
        self._engine = TrackingEngine(
            tracker,
            [CAMERA],
            options,
            on_result=self._on_result,
            on_error=lambda _, error: self._errors.append(error),
            on_notice=lambda _, text: self._on_notice(text),
        )
        self._engine.begin()

    def run(self) -> Generator[ReplayEvent, None, None]:
        """Process the images.

        Yields:
            Each image with what was found in it, and the messages of the copied topics, as of
            ROS 2, in the order of recording.

        Raises:
            ValueError: there is no image, or a target that has to start is refused.
        """
        with read_ahead(self._read(), IMAGES_AHEAD) as items:
            for item in items:
                if isinstance(item, BagMessage):
                    yield item
                    continue
                found = self._process(item)
                if found is not None:
                    yield found
        if self.frames == 0:
            count = "none" if self._topic.message_count == 0 else str(self._topic.message_count)
            raise ValueError(
                f"no image to replay on {self._topic.name} of {self._bag.path}: it has {count}, "
                f"{self.passed_over} could not be decoded, and the first wanted is "
                f"{self._images.start}"
            )

    def _read(self) -> Iterator[_Image | BagMessage]:
        """In the reading thread: the bag's messages, images decoded."""
        number = -1
        for message in self._bag.messages([self._topic, *self._copied]):
            if message.topic == self._topic:
                number += 1
                if self._images.stop is not None and number >= self._images.stop:
                    return
                if number >= self._images.start:
                    yield self._decoded(number, message)
            if message.topic in self._copied:
                yield self._bag.types.for_ros2(message)

    def _decoded(self, number: int, message: BagMessage) -> _Image:
        try:
            image = self._bag.decode(message)
            stamp_ns = self._bag.types.header_stamp_ns(message)
            header = SourceHeader(stamp_ns, image.header.frame_id)
            return _Image(number, message.log_ns, header, decoder_of(image)())
        except ValueError as error:
            return _Image(number, message.log_ns, SourceHeader(0, ""), None, str(error))

    def _process(self, item: _Image) -> ReplayedImage | None:
        cues = self._cues.by_image.get(item.number, ())
        if item.pixels is None:
            self._pass_over(item, cues)
            return None
        pixels = item.pixels
        self._engine.add_frame(
            CAMERA,
            stamp_ns=item.header.stamp_ns,
            header=item,
            decode=lambda: pixels,
            data_bytes=pixels.nbytes,
        )
        for cue in cues:
            self._apply(cue)
        self._engine.work_off()
        if self._errors:
            raise self._errors[0]
        (entries,) = self._results
        self._results.clear()
        self.frames += 1
        frame = VideoFrame(item.number, self._seconds(item), pixels)
        return ReplayedImage(TrackedFrame(frame, entries), item.header, item.log_ns)

    def _pass_over(self, item: _Image, cues: Sequence[Cue]) -> None:
        """An image that cannot be decoded: what was to happen on it cannot, but for clearing."""
        self.passed_over += 1
        if self.passed_over == 1:
            self._bag.warn(f"images that cannot be decoded are passed over, first: {item.fault}")
        for cue in cues:
            if isinstance(cue, ClearCue):
                self._apply(cue)
            elif isinstance(cue, SetCue):
                text = f"image {item.number} cannot be decoded: {item.fault}"
                self._refuse(cue, text)

    def _apply(self, cue: Cue) -> None:
        """Hand a cue to the engine, which holds its image as the newest."""
        if isinstance(cue, DetectionsCue):
            self._engine.add_detections(CAMERA, 0, cue.detections)
            return
        try:
            if isinstance(cue, SetCue):
                self._engine.set_targets(CAMERA, 0, cue.requests, replace=cue.replace)
            else:
                self._engine.clear_targets(CAMERA, cue.target_ids)
        except RequestError as error:
            self._refuse(cue, str(error))

    def _refuse(self, cue: SetCue | ClearCue, reason: str) -> None:
        if isinstance(cue, SetCue) and cue.is_required:
            raise ValueError(f"{cue.source}: {reason}")
        self._on_notice(f"{cue.source} is refused: {reason}")

    def _on_result(
        self, _camera: str, _frame: Frame, entries: list[TargetEntry], _timings: Timings
    ) -> None:
        self._results.append(tuple(entries))

    def _seconds(self, item: _Image) -> float:
        """The image's time after the first one, by its stamp; without stamps, by the recording."""
        time_ns = item.header.stamp_ns or item.log_ns
        self._first_ns = time_ns if self._first_ns is None else self._first_ns
        return (time_ns - self._first_ns) / NANOSECONDS_PER_SECOND
