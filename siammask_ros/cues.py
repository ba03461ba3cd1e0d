# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What happens to the targets at which image of a recording: boxes, lists, recorded requests."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from siammask_ros.bags.requests import RecordedSet
from siammask_ros.engine import TargetRequest
from siammask_ros.frames import NANOSECONDS_PER_SECOND, format_stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from siammask_ros.bags.reader import Bag
    from siammask_ros.bags.requests import RecordedClear, RecordedDetections
    from siammask_ros.bags.topics import BagTopic
    from siammask_ros.geometry import Box
    from siammask_ros.handover import Detection
    from siammask_ros.target_list import ListedTarget

NO_STAMP = -1
"""Of an image whose header cannot be read."""


class SetCue(NamedTuple):
    """Targets start on an image.

    Attributes:
        requests: id (0: any), label and box of each.
        source: who asks, for messages.
        replace: all others are dropped.
        is_required: a refusal ends the run; otherwise it is noted.
    """

    requests: tuple[TargetRequest, ...]
    source: str
    replace: bool = False
    is_required: bool = True


class ClearCue(NamedTuple):
    """Targets are dropped before an image; no id means all."""

    target_ids: tuple[int, ...]
    source: str


class DetectionsCue(NamedTuple):
    """A detector found something in an image."""

    detections: tuple[Detection, ...]


Cue: TypeAlias = "SetCue | ClearCue | DetectionsCue"


@dataclass
class CueSheet:
    """Cues by the number of their image.

    Attributes:
        by_image: in the order in which they apply.
        notes: recorded requests that come to nothing, a line each.
    """

    by_image: defaultdict[int, list[Cue]]
    notes: list[str]

    @classmethod
    def empty(cls) -> CueSheet:
        """A sheet without cues."""
        return cls(defaultdict(list), [])

    @property
    def starts_targets(self) -> bool:
        """Whether any target is named; detections may start some too."""
        return any(isinstance(cue, SetCue) for cues in self.by_image.values() for cue in cues)

    def add_boxes(self, number: int, boxes: Sequence[Box], labels: Sequence[str]) -> None:
        """Targets of the command line, on one image.

        Raises:
            ValueError: there are labels, but not as many as boxes.
        """
        words = tuple(labels) or ("",) * len(boxes)
        if len(words) != len(boxes):
            raise ValueError(f"{len(words)} labels for {len(boxes)} boxes")
        requests = tuple(
            TargetRequest(0, word, box.xywh) for word, box in zip(words, boxes, strict=True)
        )
        self.by_image[number].append(SetCue(requests, "--box"))

    def add_list(self, targets: Iterable[ListedTarget], times: ImageTimes, first: int) -> None:
        """Targets of a list; those that name no image start on the first one.

        Raises:
            ValueError: a target's image is not in the recording; the text names the target.
        """
        for target in targets:
            try:
                number = _image_of(target, times, first)
            except ValueError as error:
                raise ValueError(f"{target.name}: {error}") from error
            self.by_image[number].append(SetCue((target.request,), target.name))

    def add_calls(
        self, sets: Iterable[RecordedSet], clears: Iterable[RecordedClear], times: ImageTimes
    ) -> None:
        """Recorded requests: `set_targets` on its image, `clear_targets` after the last before."""
        calls: list[RecordedSet | RecordedClear] = [*sets]
        calls.extend(clears)
        for call in sorted(calls, key=lambda call: call.log_ns):
            if isinstance(call, RecordedSet):
                self._add_set(call, times)
            else:
                number = times.newest_at(call.log_ns) + 1
                self.by_image[number].append(ClearCue(call.target_ids, "a recorded clear_targets"))

    def add_detections(self, messages: Iterable[RecordedDetections], times: ImageTimes) -> None:
        """Recorded detections, each on its image; those of no image are counted in a note."""
        lost = 0
        for message in messages:
            try:
                number = times.number_of(message.stamp_ns, message.log_ns)
            except ValueError:
                lost += 1
                continue
            self.by_image[number].append(DetectionsCue(message.detections))
        if lost:
            self.notes.append(f"{lost} messages of detections have the stamp of no image: not used")

    def _add_set(self, call: RecordedSet, times: ImageTimes) -> None:
        source = f"the set_targets recorded at {format_stamp(call.log_ns)}"
        try:
            number = times.number_of(call.stamp_ns, call.log_ns)
        except ValueError as error:
            self.notes.append(f"{source} is not used: {error}")
            return
        cue = SetCue(call.targets, source, call.replace, is_required=False)
        self.by_image[number].append(cue)

    def within(self, start: int, stop: int | None) -> CueSheet:
        """The cues of a range of images; for targets that fall out of it there are notes.

        Raises:
            ValueError: a target that has to start is on an image out of the range.
        """
        sheet = CueSheet(defaultdict(list), list(self.notes))
        last = "the end" if stop is None else f"image {stop - 1}"
        for number, cues in self.by_image.items():
            if start <= number and (stop is None or number < stop):
                sheet.by_image[number] = cues
                continue
            for cue in cues:
                if not isinstance(cue, SetCue):
                    continue
                reason = f"image {number} is not among those replayed, image {start} to {last}"
                if cue.is_required:
                    raise ValueError(f"{cue.source}: {reason}")
                sheet.notes.append(f"{cue.source} is not used: {reason}")
        return sheet


@dataclass(frozen=True)
class ImageTimes:
    """When the images of a topic were taken and recorded.

    Attributes:
        topic: its name.
        stamps_ns: of their headers, by number.
        logs_ns: when they were recorded, by number.
    """

    topic: str
    stamps_ns: tuple[int, ...]
    logs_ns: tuple[int, ...]

    @classmethod
    def of(cls, bag: Bag, topic: BagTopic) -> ImageTimes:
        """Read the topic once.

        Raises:
            ValueError: it has no image.
        """
        stamps_ns, logs_ns = [], []
        for message in bag.messages([topic]):
            logs_ns.append(message.log_ns)
            try:
                stamps_ns.append(bag.types.header_stamp_ns(message))
            except ValueError:
                stamps_ns.append(NO_STAMP)
        if not logs_ns:
            raise ValueError(f"there is no image on {topic.name} in {bag.path}")
        return cls(topic.name, tuple(stamps_ns), tuple(logs_ns))

    @cached_property
    def _by_stamp(self) -> dict[int, int]:
        """The image of each stamp; of several the last, as the node takes it."""
        return {stamp_ns: number for number, stamp_ns in enumerate(self.stamps_ns)}

    def __len__(self) -> int:
        return len(self.logs_ns)

    def number_of(self, stamp_ns: int, log_ns: int) -> int:
        """The image of a stamp; for 0 the newest that had been recorded at a time.

        Raises:
            ValueError: there is none; the text says between which stamps it lies.
        """
        if stamp_ns == 0:
            if self.newest_at(log_ns) < 0:
                raise ValueError("no image had been recorded before it")
            return self.newest_at(log_ns)
        if stamp_ns in self._by_stamp:
            return self._by_stamp[stamp_ns]
        known = [stamp for stamp in self.stamps_ns if stamp != NO_STAMP]
        span = f"{format_stamp(min(known))} to {format_stamp(max(known))}" if known else "none"
        if not known or not min(known) <= stamp_ns <= max(known):
            raise ValueError(
                f"stamp {format_stamp(stamp_ns)} is outside the bag: the images of {self.topic} "
                f"have stamps from {span}"
            )
        before = max(stamp for stamp in known if stamp < stamp_ns)
        after = min(stamp for stamp in known if stamp > stamp_ns)
        raise ValueError(
            f"stamp {format_stamp(stamp_ns)} is of no image of {self.topic}: it lies between "
            f"{format_stamp(before)} and {format_stamp(after)}"
        )

    def number_at(self, time_s: float) -> int:
        """The image nearest to a time after the first one.

        Raises:
            ValueError: it lies behind the last one.
        """
        first_ns = self.stamps_ns[0]
        times_s = [(stamp_ns - first_ns) / NANOSECONDS_PER_SECOND for stamp_ns in self.stamps_ns]
        if time_s > max(times_s):
            raise ValueError(
                f"time {time_s:g} is outside the bag: the last image of {self.topic} is "
                f"{max(times_s):.3f} s after the first"
            )
        return min(range(len(self)), key=lambda number: abs(times_s[number] - time_s))

    def newest_at(self, log_ns: int) -> int:
        """The last image recorded up to a time; -1 if there is none."""
        return bisect_right(self.logs_ns, log_ns) - 1


def _image_of(target: ListedTarget, times: ImageTimes, first: int) -> int:
    if target.stamp_ns is not None:
        return times.number_of(target.stamp_ns, 0)
    if target.time_s is not None:
        return times.number_at(target.time_s)
    if target.frame is None:
        return first
    if target.frame >= len(times):
        raise ValueError(
            f"frame {target.frame} is outside the bag: {times.topic} has {len(times)} images"
        )
    return target.frame
