# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which messages belong together: boxes and masks by equal stamps, depth by a near one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

Boxes = TypeVar("Boxes")
Labels = TypeVar("Labels")
Depth = TypeVar("Depth")

BUFFER_LENGTH = 60
"""Messages of a topic that are kept at most."""


class Matched(NamedTuple, Generic[Boxes, Labels, Depth]):
    """What belongs to one image.

    Attributes:
        stamp_ns: of the image.
        boxes: as they were added.
        labels: of exactly that stamp; None where they did not come.
        depth: of the stamp that is nearest; None where none is near enough.
        depth_offset_ns: by so much the depth is later than the image.
    """

    stamp_ns: int
    boxes: Boxes
    labels: Labels | None
    depth: Depth | None
    depth_offset_ns: int


class _Waiting(NamedTuple):
    boxes: Any
    needs_more: bool
    since_s: float


class FrameMatcher(Generic[Boxes, Labels, Depth]):
    """Collects messages in whatever order they come, and gives them out image by image.

    Buffers are bounded by the number of messages and, by stamps, in time.
    """

    def __init__(
        self,
        *,
        tolerance_ns: int,
        patience_s: float,
        buffer_ns: int,
        buffer_bytes: int,
        needs_depth: bool,
        is_complete: Callable[[int], bool] = lambda stamp_ns: True,  # noqa: ARG005
    ) -> None:
        """An empty one.

        Args:
            tolerance_ns: depth may be so far from the image.
            patience_s: boxes wait so long for what belongs to them.
            buffer_ns: how long, by their stamps, messages are kept.
            buffer_bytes: how much depth is kept; the newest in any case.
            needs_depth: depth is waited for.
            is_complete: what else boxes of a stamp wait for is there.
        """
        self.tolerance_ns = tolerance_ns
        self.patience_s = patience_s
        self.buffer_ns = buffer_ns
        self.buffer_bytes = buffer_bytes
        self._needs_depth = needs_depth
        self._is_complete = is_complete
        self._boxes: OrderedDict[int, _Waiting] = OrderedDict()
        self._labels: dict[int, Labels] = {}
        self._depths: dict[int, Depth] = {}
        self._depth_bytes: dict[int, int] = {}
        self._last_ns: int | None = None

    def add_boxes(self, stamp_ns: int, boxes: Boxes, now_s: float, *, needs_more: bool) -> bool:
        """Boxes have come.

        Args:
            stamp_ns: of their image.
            boxes: kept as they are.
            now_s: of a steady clock.
            needs_more: they wait for labels and depth; not if no target is seen.

        Returns:
            True where the time has jumped back: boxes that wait are forgotten.
        """
        newest = max([*self._boxes, *([] if self._last_ns is None else [self._last_ns])], default=0)
        jumped = stamp_ns < newest
        if jumped:
            self._boxes.clear()
            self._last_ns = None
            self._trim(self._labels, stamp_ns)
            self._trim(self._depths, stamp_ns)
        self._boxes[stamp_ns] = _Waiting(boxes, needs_more, now_s)
        return jumped

    def add_labels(self, stamp_ns: int, labels: Labels) -> None:
        """A label image has come."""
        self._labels[stamp_ns] = labels
        self._trim(self._labels, stamp_ns)

    def add_depth(self, stamp_ns: int, depth: Depth, size_bytes: int = 0) -> None:
        """A depth image or a point cloud has come, of so many bytes."""
        self._depths[stamp_ns] = depth
        self._depth_bytes[stamp_ns] = size_bytes
        self._trim(self._depths, stamp_ns)
        sizes = {held: self._depth_bytes[held] for held in self._depths}
        for held in sorted(sizes):
            if held == stamp_ns or sum(sizes.values()) <= self.buffer_bytes:
                break
            del self._depths[held], sizes[held]
        self._depth_bytes = sizes

    def boxes_at(self, stamp_ns: int) -> Boxes:
        """Boxes that wait.

        Raises:
            KeyError: there are none of that stamp.
        """
        boxes: Boxes = self._boxes[stamp_ns].boxes
        return boxes

    @property
    def is_waiting(self) -> bool:
        """There are boxes that have not been given out."""
        return bool(self._boxes)

    def clear(self) -> None:
        """Forget all messages."""
        self._boxes.clear()
        self._labels.clear()
        self._depths.clear()
        self._last_ns = None

    def take(self, now_s: float) -> list[Matched[Boxes, Labels, Depth]]:
        """The images that need not wait any longer, oldest first.

        Those are the ones that all is there for, those that have waited long enough, and those
        before them: what is missing of those was lost, as each topic keeps its order.
        """
        ready = 0
        for number, (stamp_ns, waiting) in enumerate(self._boxes.items(), 1):
            if now_s - waiting.since_s >= self.patience_s or self._has_all(stamp_ns, waiting):
                ready = number
        return [self._give_out() for _ in range(ready)]

    def _has_all(self, stamp_ns: int, waiting: _Waiting) -> bool:
        if not waiting.needs_more:
            return True
        if stamp_ns not in self._labels or not self._is_complete(stamp_ns):
            return False
        if not self._needs_depth or self._nearest_depth(stamp_ns) is not None:
            return True
        # Depth that is too late has come: as a topic keeps its order, none that is near will.
        return max(self._depths, default=0) > stamp_ns + self.tolerance_ns

    def _give_out(self) -> Matched[Boxes, Labels, Depth]:
        stamp_ns, waiting = self._boxes.popitem(last=False)
        self._last_ns = stamp_ns
        depth_ns = self._nearest_depth(stamp_ns)
        matched: Matched[Boxes, Labels, Depth] = Matched(
            stamp_ns,
            waiting.boxes,
            self._labels.get(stamp_ns),
            None if depth_ns is None else self._depths[depth_ns],
            0 if depth_ns is None else depth_ns - stamp_ns,
        )
        self._drop_before(self._labels, stamp_ns + 1)
        self._drop_before(self._depths, stamp_ns - self.tolerance_ns)
        return matched

    def _nearest_depth(self, stamp_ns: int) -> int | None:
        nearest = min(self._depths, key=lambda other: abs(other - stamp_ns), default=None)
        if nearest is None or abs(nearest - stamp_ns) > self.tolerance_ns:
            return None
        return nearest

    def _trim(self, buffer: dict[int, Any], newest_ns: int) -> None:
        """After a jump back in time the newest to come is not the one with the last stamp."""
        for stamp_ns in list(buffer):
            too_many = len(buffer) > BUFFER_LENGTH and stamp_ns != newest_ns
            if abs(stamp_ns - newest_ns) > self.buffer_ns or too_many:
                del buffer[stamp_ns]

    @staticmethod
    def _drop_before(buffer: dict[int, Any], stamp_ns: int) -> None:
        for held_ns in [held for held in buffer if held < stamp_ns]:
            del buffer[held_ns]
