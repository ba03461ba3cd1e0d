# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Boxes, masks and depth find each other in whatever order they come."""

from __future__ import annotations

import itertools
import random

import pytest

from siammask_ros.localization.matching import BUFFER_LENGTH, FrameMatcher

MS = 1_000_000
START_NS = 5_000 * MS
PERIOD_NS = 40 * MS


def matcher(**options):
    values = {"tolerance_ns": 20 * MS, "patience_s": 0.1, "buffer_ns": 1000 * MS,
              "buffer_bytes": 1 << 20,
              "needs_depth": True}  # fmt: skip
    return FrameMatcher(**(values | options))


def stamp(number):
    return START_NS + number * PERIOD_NS


def events(frames, depth_offset_ns=0):
    """What comes, each topic in its own order: (topic, stamp)."""
    return [
        [("boxes", stamp(number)) for number in range(frames)],
        [("labels", stamp(number)) for number in range(frames)],
        [("depth", stamp(number) + depth_offset_ns) for number in range(frames)],
    ]


def mixed(topics, draw):
    """The topics in one order, in which each keeps its own."""
    names = [name for name, events in enumerate(topics) for _ in events]
    draw.shuffle(names)
    queues = [iter(events) for events in topics]
    return [next(queues[name]) for name in names]


def play(subject, sequence, now_s=0.0):
    found = []
    for topic, stamp_ns in sequence:
        if topic == "boxes":
            subject.add_boxes(stamp_ns, f"boxes {stamp_ns}", now_s, needs_more=True)
        elif topic == "labels":
            subject.add_labels(stamp_ns, f"labels {stamp_ns}")
        else:
            subject.add_depth(stamp_ns, stamp_ns)
        found += subject.take(now_s)
    return found


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_one_image_in_any_order(order):
    (boxes,), (labels,), (depth,) = events(1, depth_offset_ns=7 * MS)
    (found,) = play(matcher(), [(boxes, labels, depth)[place] for place in order])
    assert found == (stamp(0), f"boxes {stamp(0)}", f"labels {stamp(0)}", depth[1], 7 * MS)


@pytest.mark.parametrize("seed", range(20))
def test_many_images_in_any_order_come_once_and_in_turn(seed):
    draw = random.Random(seed)
    frames, subject = 12, matcher()
    sequence = mixed(events(frames, draw.randrange(-19, 20) * MS), draw)
    found = play(subject, sequence)
    assert [match.stamp_ns for match in found] == [stamp(number) for number in range(frames)]
    for match in found:
        # Boxes go without what comes only after that of a later image, which is the order of loss.
        assert match.labels in (None, f"labels {match.stamp_ns}")
        assert match.depth is None or abs(match.depth - match.stamp_ns) < 20 * MS
    assert found[-1].labels is not None
    assert found[-1].depth is not None


def test_depth_beyond_the_tolerance_is_none():
    subject = matcher()
    assert not play(subject, [("labels", stamp(0)), ("depth", stamp(0) - 21 * MS),
                              ("boxes", stamp(0))])  # fmt: skip
    (found,) = subject.take(0.1)
    assert (found.labels, found.depth, found.depth_offset_ns) == (f"labels {stamp(0)}", None, 0)
    assert not subject.take(10.0)


def test_the_nearest_depth_counts():
    offsets = (-19, 5, -3, 12)
    subject = matcher()
    for offset in offsets:
        subject.add_depth(stamp(0) + offset * MS, offset)
    (found,) = play(subject, [("boxes", stamp(0)), ("labels", stamp(0))])
    assert (found.depth, found.depth_offset_ns) == (-3, -3 * MS)


def test_depth_that_is_slower_than_the_images_is_not_waited_for():
    subject = matcher()
    sequence = [("boxes", stamp(0)), ("labels", stamp(0)), ("depth", stamp(0) - PERIOD_NS)]
    assert not play(subject, sequence)
    (found,) = play(subject, [("depth", stamp(1))])
    assert (found.stamp_ns, found.depth) == (stamp(0), None)


def test_lost_masks_do_not_hold_up_later_images():
    subject = matcher()
    found = play(subject, [
        ("boxes", stamp(0)), ("boxes", stamp(1)), ("depth", stamp(1)), ("labels", stamp(1)),
    ])  # fmt: skip
    assert [(match.stamp_ns, match.labels is None) for match in found] == [
        (stamp(0), True), (stamp(1), False),
    ]  # fmt: skip


def test_boxes_without_targets_wait_for_nothing():
    subject = matcher()
    subject.add_boxes(stamp(0), "empty", 0.0, needs_more=False)
    (found,) = subject.take(0.0)
    assert (found.boxes, found.labels, found.depth) == ("empty", None, None)


def test_without_depth_the_mask_is_enough():
    (found,) = play(matcher(needs_depth=False), [("boxes", stamp(0)), ("labels", stamp(0))])
    assert found.labels is not None


def test_something_else_can_be_waited_for():
    known = set()
    subject = matcher(is_complete=known.__contains__)
    assert not play(subject, [("depth", stamp(0)), ("labels", stamp(0)), ("boxes", stamp(0))])
    known.add(stamp(0))
    (found,) = subject.take(0.0)
    assert found.depth is not None


def test_buffers_are_bounded():
    subject = matcher(buffer_ns=10_000_000_000)
    for number in range(500):
        subject.add_depth(stamp(0) + number * MS, None)
        subject.add_labels(stamp(0) + number * MS, None)
    assert len(subject._depths) <= BUFFER_LENGTH
    assert len(subject._labels) <= BUFFER_LENGTH
    subject = matcher()
    for number in range(500):
        subject.add_depth(stamp(number), None)
    assert len(subject._depths) == 1000 // 40 + 1


def test_depth_takes_no_more_memory_than_it_may():
    subject = matcher(buffer_bytes=1000)
    for number in range(20):
        subject.add_depth(stamp(number), number, 300)
    assert list(subject._depths.values()) == [17, 18, 19]
    subject.add_depth(stamp(20), "large", 5000)
    assert list(subject._depths.values()) == ["large"]
    assert subject._depth_bytes == {stamp(20): 5000}


def test_a_jump_back_in_time_begins_anew():
    subject = matcher()
    play(subject, [("labels", stamp(99)), ("depth", stamp(99)), ("boxes", stamp(99))])
    subject.add_boxes(stamp(100), "waits", 0.0, needs_more=True)
    subject.add_labels(stamp(0), "labels")
    subject.add_depth(stamp(0), "depth")
    assert subject.add_boxes(stamp(0), "boxes", 0.0, needs_more=True)
    (found,) = subject.take(0.0)
    assert found == (stamp(0), "boxes", "labels", "depth", 0)
    assert not subject.add_boxes(stamp(1), "boxes", 0.0, needs_more=True)
