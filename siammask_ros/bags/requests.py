# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Targets that a bag tells of: calls of the node's services, and detections."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from siammask_ros.detection_messages import read_detections
from siammask_ros.engine import TargetRequest
from siammask_ros.frames import NANOSECONDS_PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from siammask_ros.bags.reader import Bag
    from siammask_ros.bags.topics import BagTopic
    from siammask_ros.handover import Detection

SET_TARGETS = "siammask_msgs/srv/SetTargets_Event"
CLEAR_TARGETS = "siammask_msgs/srv/ClearTargets_Event"
DETECTION_TYPES = ("siammask_msgs/msg/TargetBoxArray", "vision_msgs/msg/Detection2DArray")
REQUEST_SENT, REQUEST_RECEIVED, RESPONSE_SENT, RESPONSE_RECEIVED = range(4)
"""What an event of a service is about, by the numbers of `service_msgs/ServiceEventInfo`."""


class RecordedSet(NamedTuple):
    """A call of `set_targets` that was not refused.

    Attributes:
        log_ns: when it was recorded.
        camera: of the node; empty for its only one.
        stamp_ns: of the image that the boxes were drawn on; 0 for the newest at that time.
        targets: with the ids that they were given.
        replace: drop all others.
    """

    log_ns: int
    camera: str
    stamp_ns: int
    targets: tuple[TargetRequest, ...]
    replace: bool


class RecordedClear(NamedTuple):
    """A call of `clear_targets` that was not refused; no id means all."""

    log_ns: int
    camera: str
    target_ids: tuple[int, ...]


class RecordedDetections(NamedTuple):
    """What a detector found in the image of a stamp."""

    log_ns: int
    stamp_ns: int
    detections: tuple[Detection, ...]


@dataclass
class Recorded:
    """What a bag tells of targets.

    Attributes:
        sets, clears: calls in the order of recording.
        detections: messages in the order of recording.
        empty_calls: calls of which only the fact was recorded, not what they asked.
        refused_calls: calls that the node refused.
        unusable: messages that could not be used, with the reason of each.
    """

    sets: list[RecordedSet] = field(default_factory=list)
    clears: list[RecordedClear] = field(default_factory=list)
    detections: list[RecordedDetections] = field(default_factory=list)
    empty_calls: int = 0
    refused_calls: int = 0
    unusable: list[str] = field(default_factory=list)

    @property
    def cameras(self) -> list[str]:
        """The cameras that calls name, without the empty name."""
        named = {call.camera for call in self.sets} | {call.camera for call in self.clears}
        return sorted(named - {""})


@dataclass
class _Call:
    """The events of one call of a service."""

    log_ns: int
    request: Any = None
    response: Any = None
    is_server_side: bool = False


def call_topics(bag: Bag) -> list[BagTopic]:
    """The topics on which the node's service calls were published."""
    return [topic for topic in bag.topics if topic.type_name in {SET_TARGETS, CLEAR_TARGETS}]


def detection_topics(bag: Bag) -> list[BagTopic]:
    """The topics with detections."""
    return [topic for topic in bag.topics if topic.type_name in DETECTION_TYPES]


def read_calls(bag: Bag) -> Recorded:
    """The calls of `set_targets` and `clear_targets` in a bag.

    They are there where the node ran with `service_introspection: contents` and the topics
    `~/set_targets/_service_event` and `~/clear_targets/_service_event` were recorded.
    """
    recorded = Recorded()
    for topic in call_topics(bag):
        for call in _calls(bag, topic, recorded):
            if call.request is None:
                recorded.empty_calls += 1
            elif call.response is not None and not call.response.success:
                recorded.refused_calls += 1
            elif topic.type_name == SET_TARGETS:
                recorded.sets.append(_set_call(call))
            else:
                ids = tuple(map(int, call.request.target_ids))
                recorded.clears.append(RecordedClear(call.log_ns, call.request.camera, ids))
    return recorded


def read_recorded_detections(bag: Bag, topic: BagTopic) -> Recorded:
    """The messages of a topic with detections.

    Raises:
        ValueError: it has none; the text says what it has.
    """
    if topic.type_name not in DETECTION_TYPES:
        raise ValueError(
            f"topic {topic.name} of {bag.path} is {topic.type_name}, no detections; those are "
            f"{' and '.join(DETECTION_TYPES)}"
        )
    bag.types.check(topic)
    recorded = Recorded()
    for message in bag.messages([topic]):
        try:
            stamp_ns = bag.types.header_stamp_ns(message)
            found = tuple(read_detections(bag.decode(message)))
        except ValueError as error:
            recorded.unusable.append(str(error))
            continue
        recorded.detections.append(RecordedDetections(message.log_ns, stamp_ns, found))
    return recorded


def _calls(bag: Bag, topic: BagTopic, recorded: Recorded) -> Sequence[_Call]:
    """The calls of one service; seen from the server, if it told of them, else from the client."""
    calls: dict[tuple[bool, bytes, int], _Call] = {}
    for log_ns, event in _events(bag, topic, recorded):
        kind = int(event.info.event_type)
        is_server_side = kind in {REQUEST_RECEIVED, RESPONSE_SENT}
        key = (is_server_side, bytes(event.info.client_gid), int(event.info.sequence_number))
        call = calls.setdefault(key, _Call(log_ns, is_server_side=is_server_side))
        if kind in {REQUEST_SENT, REQUEST_RECEIVED} and len(event.request):
            call.request = event.request[0]
        elif len(event.response):
            call.response = event.response[0]
    from_server = any(call.is_server_side for call in calls.values())
    return [call for call in calls.values() if call.is_server_side == from_server]


def _events(bag: Bag, topic: BagTopic, recorded: Recorded) -> Iterator[tuple[int, Any]]:
    for message in bag.messages([topic]):
        try:
            event = bag.decode(message)
        except ValueError as error:
            recorded.unusable.append(str(error))
            continue
        yield message.log_ns, event


def _set_call(call: _Call) -> RecordedSet:
    """What was asked, with the ids and the image of the answer where that is known."""
    request, response = call.request, call.response
    ids = [int(box.id) for box in request.targets]
    stamp_ns = _nanoseconds(request.stamp)
    if response is not None and len(response.target_ids) == len(ids):
        ids = [int(target_id) for target_id in response.target_ids]
        stamp_ns = _nanoseconds(response.stamp)
    targets = tuple(
        TargetRequest(target_id, box.label, (box.x, box.y, box.width, box.height))
        for target_id, box in zip(ids, request.targets, strict=True)
    )
    return RecordedSet(call.log_ns, request.camera, stamp_ns, targets, bool(request.replace))


def _nanoseconds(stamp: Any) -> int:  # noqa: ANN401 - messages have no types
    return int(stamp.sec) * NANOSECONDS_PER_SECOND + int(stamp.nanosec)
