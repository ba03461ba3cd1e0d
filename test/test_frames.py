# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The buffer of frames that requests are answered from."""

from __future__ import annotations

import threading
import time

import cv2
import numpy as np
import pytest

from siammask_ros.frames import Frame, FrameBuffer, format_stamp
from siammask_ros.reduced_images import ReducibleJpeg

SECOND = 1_000_000_000


def frame(sequence, stamp_ns, decode=lambda: np.zeros((2, 3, 3), np.uint8)):
    return Frame(sequence=sequence, stamp_ns=stamp_ns, header=None, decode=decode)


def filled(count, *, max_frames=10, max_seconds=5.0, period_ns=SECOND):
    buffer = FrameBuffer(max_frames=max_frames, max_seconds=max_seconds)
    for number in range(count):
        assert buffer.append(frame(number, (number + 1) * period_ns)) is False
    return buffer


def test_finds_exactly_the_frame_of_a_stamp():
    buffer = filled(4)
    assert buffer.find(2 * SECOND).sequence == 1
    assert buffer.find(0).sequence == 3
    assert [held.sequence for held in buffer.after(buffer.find(2 * SECOND))] == [2, 3]


@pytest.mark.parametrize(
    ("stamp_ns", "words"),
    [
        (1, "0.000000001 is no longer held"),
        (60 * SECOND, "60.000000000 is in the future"),
        (2 * SECOND + 1, "2.000000001 is of no image"),
    ],
)
def test_refusal_gives_the_range_that_is_held(stamp_ns, words):
    with pytest.raises(ValueError, match=rf"{words}.*4 images from 1\.0+ to 4\.0+$"):
        filled(4).find(stamp_ns)


def test_empty_buffer():
    with pytest.raises(ValueError, match="no image has arrived yet"):
        FrameBuffer(max_frames=1, max_seconds=1).find(0)


def test_bounded_in_frames_and_in_time():
    assert len(filled(8, max_frames=3)) == 3
    assert len(filled(8, max_seconds=2.0)) == 3  # 6, 7 and 8 s


def test_bounded_in_memory_but_for_the_newest():
    buffer = FrameBuffer(max_frames=10, max_seconds=10.0, max_bytes=40)
    for number in range(4):
        small = frame(number, number + 1)  # 18 bytes once decoded
        assert small.held_bytes == 0
        assert small.image_bgr.nbytes == small.held_bytes == 18
        buffer.append(small)
    assert len(buffer) == 2
    buffer.append(frame(9, 9, lambda: np.zeros((9, 9, 3), np.uint8)))
    assert buffer.find(9).size_wh == (9, 9)
    buffer.append(frame(10, 10))
    assert len(buffer) == 1


def test_time_that_jumps_back_empties_it():
    buffer = filled(4)
    assert buffer.append(frame(4, SECOND)) is True
    assert len(buffer) == 1
    assert buffer.append(frame(5, SECOND)) is False  # a camera that repeats its stamp
    assert len(buffer) == 2


def test_bounds_that_hold_nothing_are_refused():
    with pytest.raises(ValueError, match="0 frames"):
        FrameBuffer(max_frames=0, max_seconds=1.0)


def test_frame_is_decoded_once_whoever_asks():
    calls = []

    def decode():
        calls.append(1)
        time.sleep(0.02)
        return np.zeros((2, 3, 3), np.uint8)

    shared = frame(0, 1, decode)
    threads = [threading.Thread(target=lambda: shared.image_bgr) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert shared.size_wh == (3, 2)
    assert shared.image_bgr is shared.image_bgr
    assert shared.decode_ms >= 20


def test_frame_that_cannot_be_decoded_says_so_each_time():
    def decode():
        raise ValueError("no jpeg")

    broken = frame(0, 1, decode)
    for _ in range(2):
        with pytest.raises(ValueError, match="no jpeg"):
            broken.size_wh  # noqa: B018
    assert not broken.is_decodable


def test_format_of_a_stamp():
    assert format_stamp(12 * SECOND + 5) == "12.000000005"


class TestReduced:
    """A JPEG of which no more is decoded than its targets need."""

    def frame(self, data=None):
        image = np.full((48, 64, 3), 90, np.uint8)
        data = cv2.imencode(".jpg", image)[1].tobytes() if data is None else data
        return Frame(
            sequence=0, stamp_ns=0, header=None, decode=lambda: self.decode(data),
            data_bytes=len(data), reducible=ReducibleJpeg(data, (64, 48)),
        )  # fmt: skip

    def decode(self, data):
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError("broken")
        return image

    def test_no_more_is_decoded_than_is_needed(self):
        frame = self.frame()
        assert frame.size_wh == (64, 48)
        assert frame.held_bytes == frame.data_bytes
        coarse = frame.image_for([9.0])
        assert coarse.reduction == 8
        assert frame.held_bytes == frame.data_bytes + 6 * 8 * 3
        finer = frame.image_for([9.0, 2.5])
        assert finer.reduction == 2
        assert frame.image_for([9.0]) is finer  # all targets of a frame share one image
        assert frame.decode_ms > 0

    def test_the_whole_image_is_there_where_it_is_needed(self):
        frame = self.frame()
        assert frame.image_for([1.5]).shape == (48, 64, 3)
        assert frame.image_for([9.0]) is frame.image_bgr  # what is there is finer

    def test_damage_is_told_each_time(self):
        frame = self.frame(b"\xff\xd8 no jpeg")
        for scales in ([9.0], [9.0], [1.0]):
            with pytest.raises(ValueError, match=r"cannot be decoded|broken"):
                frame.image_for(scales)
        assert not frame.is_decodable

    def test_other_frames_are_decoded_as_ever(self):
        image = np.zeros((4, 6, 3), np.uint8)
        frame = Frame(sequence=0, stamp_ns=0, header=None, decode=lambda: image)
        assert frame.image_for([9.0]) is image
