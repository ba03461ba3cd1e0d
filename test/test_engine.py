# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The engine's order of work, with a tracker that writes down what it is given."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from siammask_ros import SiamMaskTracker, load_network
from siammask_ros.anchors import AnchorPosition
from siammask_ros.clicks import Click
from siammask_ros.engine import (
    EngineOptions,
    RequestError,
    TargetRequest,
    TrackingEngine,
    assign_ids,
)
from siammask_ros.geometry import Box, RotatedBox, box_iou
from siammask_ros.handover import Detection, HandoverConfig
from siammask_ros.longterm import LongTermConfig, LongTermTracker, Sighting, TargetResult
from siammask_ros.masks import ImageRegion
from siammask_ros.target_status import TargetStatus
from siammask_ros.tracker_state import TrackerState, TrackResult

BOX = (10.0, 10.0, 20.0, 20.0)
PATIENCE_S = 10.0


def image(number):
    """A frame that carries its number in its pixels."""
    return np.full((64, 64, 3), number, dtype=np.uint8)


class Seen(list):
    """The numbers of the images that a target saw; it never moves."""

    box = Box(*BOX)


@dataclass
class Recorder:
    """A tracker that remembers the numbers of the images each target saw."""

    gate: threading.Event = field(default_factory=threading.Event)
    entered: list = field(default_factory=list)
    batches: list = field(default_factory=list)
    fail: bool = False
    fail_start: bool = False
    status: TargetStatus = TargetStatus.TRACKING
    evidence: float = 0.9
    looks: list = field(default_factory=list)
    confirmed: list = field(default_factory=list)
    config: LongTermConfig = field(default_factory=LongTermConfig)

    @property
    def tracker(self):
        return self

    def start_batch(self, targets):
        if self.fail_start:
            raise RuntimeError("out of memory")
        return [[int(image_bgr[0, 0, 0])] for image_bgr, _ in targets]

    def look(self, places):
        self.looks.append([(int(image_bgr[0, 0, 0]), box) for image_bgr, _, box in places])
        return [Sighting([*seen, "found"], box, self.evidence) for _, seen, box in places]

    def restart(self, target, state, *, at_once):
        self.status = TargetStatus.TRACKING if at_once else self.status
        return [*state, "at once" if at_once else "candidate"]

    def places(self, target):
        return Box(*BOX), None

    def confirm(self, target):
        self.confirmed.append(target)
        return [*target, "confirmed"]

    def step(self, targets):
        self.entered.append(len(targets))
        self.gate.wait(PATIENCE_S)
        if self.fail:
            raise RuntimeError("device lost")
        self.batches.append(len(targets))
        return [self._step(*target) for target in targets]

    def _step(self, image_bgr, seen):
        seen = Seen([*seen, int(image_bgr[0, 0, 0])])
        shown = None if self.status == TargetStatus.LOST else seen
        return list(seen), TargetResult(self.status, shown, 1.0, 0)


class Rig:
    """An engine with its output collected."""

    def __init__(self, cameras=("",), **options):
        self.tracker = Recorder()
        self.tracker.gate.set()
        self.results = []
        self.errors = []
        self.notices = []
        self.engine = TrackingEngine(
            self.tracker,
            cameras,
            EngineOptions(**options),
            on_result=lambda *result: self.results.append(result),
            on_error=lambda camera, error: self.errors.append((camera, str(error))),
            on_notice=lambda camera, text: self.notices.append(text),
        )
        self.engine.start()

    def add(self, number, camera="", decode=None):
        return self.engine.add_frame(
            camera,
            stamp_ns=number * 1000,
            header=number,
            decode=decode or (lambda: image(number)),
            data_bytes=0,
        )

    def wait(self, condition):
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, (self.results, self.errors)
            time.sleep(0.002)

    def add_and_wait(self, number, camera=""):
        self.add(number, camera)
        self.wait(lambda: any(r[0] == camera and r[1].header == number for r in self.results))

    def headers(self, camera=""):
        return [frame.header for name, frame, _, _ in self.results if name == camera]

    def entries(self, number, camera=""):
        for name, frame, entries, _ in self.results:
            if name == camera and frame.header == number:
                return {entry.target_id: entry for entry in entries}
        raise AssertionError(f"frame {number} was not processed")


@pytest.fixture
def make_rig():
    rigs = []

    def make(*args, **options):
        rigs.append(Rig(*args, **options))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.tracker.gate.set()
        rig.engine.stop()


def request(target_id=0, box=BOX, label=""):
    return TargetRequest(target_id, label, box)


def test_newest_frame_wins_and_drops_are_counted(make_rig):
    rig = make_rig()
    rig.add_and_wait(1)
    rig.engine.set_targets("", 0, [request()])
    rig.tracker.gate.clear()
    rig.add(2)
    rig.wait(lambda: not rig.engine._cameras[""].queue)  # frame 2 is being worked on
    for number in (3, 4, 5):
        rig.add(number)
    rig.tracker.gate.set()
    rig.wait(lambda: 5 in rig.headers())
    assert rig.headers() == [1, 2, 5]
    counters = rig.engine.counters("")
    assert (counters.received, counters.processed, counters.dropped) == (5, 3, 2)
    assert rig.entries(5)[1].result.result == [1, 2, 5]


def test_every_frame_is_processed_in_order(make_rig):
    rig = make_rig(every_frame=True)
    rig.add_and_wait(1)
    rig.engine.set_targets("", 0, [request()])
    rig.tracker.gate.clear()
    for number in range(2, 30):
        rig.add(number)
    rig.tracker.gate.set()
    rig.wait(lambda: 29 in rig.headers())
    assert rig.headers() == list(range(1, 30))
    assert rig.entries(29)[1].result.result == list(range(1, 30))
    assert rig.engine.counters("").dropped == 0


def test_every_frame_drops_and_counts_beyond_its_queue(make_rig):
    rig = make_rig(every_frame=True, queue_size=3)
    rig.add_and_wait(1)
    rig.engine.set_targets("", 0, [request()])
    rig.tracker.gate.clear()
    rig.add(2)
    rig.wait(lambda: not rig.engine._cameras[""].queue)
    for number in range(3, 10):
        rig.add(number)
    rig.tracker.gate.set()
    rig.wait(lambda: 9 in rig.headers())
    assert rig.headers() == [1, 2, 7, 8, 9]
    assert rig.engine.counters("").dropped == 4


@pytest.mark.parametrize("every_frame", [False, True])
def test_target_starts_on_the_frame_of_its_stamp_and_catches_up(make_rig, every_frame):
    rig = make_rig(every_frame=every_frame)
    for number in range(1, 11):
        rig.add_and_wait(number)
    accepted = rig.engine.set_targets("", 4000, [request(7)])
    assert accepted.target_ids == [7]
    assert accepted.stamp_ns == 4000
    rig.wait(lambda: not rig.engine._cameras[""].is_catching_up)
    rig.add_and_wait(11)
    assert rig.entries(11)[7].result.result == list(range(4, 12))


def test_hurried_catch_up_passes_over_frames_and_ends_on_the_newest(make_rig):
    rig = make_rig(catch_up_steps=3)
    for number in range(1, 21):
        rig.add_and_wait(number)
    rig.engine.set_targets("", 2000, [request()])
    rig.wait(lambda: not rig.engine._cameras[""].is_catching_up)
    rig.add_and_wait(21)
    seen = rig.entries(21)[1].result.result
    assert seen[0] == 2
    assert seen[-2:] == [20, 21]
    assert len(seen) == 5
    assert seen == sorted(seen)


def test_every_frame_with_a_stamp_that_still_waits_in_the_queue(make_rig):
    rig = make_rig(every_frame=True)
    rig.add_and_wait(1)
    rig.engine.set_targets("", 0, [request(1)])
    rig.tracker.gate.clear()
    for number in range(2, 9):
        rig.add(number)
    rig.engine.set_targets("", 5000, [request(2)])
    rig.tracker.gate.set()
    rig.wait(lambda: 8 in rig.headers())
    assert rig.entries(8)[2].result.result == [5, 6, 7, 8]
    assert rig.entries(4)[2].result.status == TargetStatus.INITIALIZING
    assert rig.entries(8)[1].result.result == list(range(1, 9))


def test_targets_of_all_cameras_go_through_in_one_batch(make_rig):
    rig = make_rig(("left", "right"))
    for camera in ("left", "right"):
        rig.add_and_wait(1, camera)
        rig.engine.set_targets(camera, 0, [request(), request()])
    rig.wait(lambda: not any(c.is_catching_up for c in rig.engine._cameras.values()))
    rig.tracker.gate.clear()
    rig.add(2, "left")
    rig.wait(lambda: not rig.engine._cameras["left"].queue)  # the thread is busy with it
    rig.add(3, "left")
    rig.add(3, "right")
    rig.tracker.gate.set()
    rig.wait(lambda: 3 in rig.headers("left") and 3 in rig.headers("right"))
    assert rig.tracker.batches == [2, 4]
    assert rig.entries(3, "right")[2].result.result == [1, 3]


def test_replace_clear_and_start_again(make_rig):
    rig = make_rig()
    rig.add_and_wait(1)
    rig.engine.set_targets("", 0, [request(3, label="old"), request(9)])
    rig.add_and_wait(2)
    rig.engine.set_targets("", 0, [request(3, label="new")])
    rig.add_and_wait(3)
    assert rig.entries(3)[3].label == "new"
    assert rig.entries(3)[3].result.result == [2, 3]
    assert rig.entries(3)[9].result.result == [1, 2, 3]
    assert rig.engine.clear_targets("", [9]) == [9]
    rig.add_and_wait(4)
    assert sorted(rig.entries(4)) == [3]
    rig.engine.set_targets("", 0, [request(5)], replace=True)
    rig.add_and_wait(5)
    assert sorted(rig.entries(5)) == [5]
    assert rig.engine.clear_targets("", []) == [5]
    assert rig.engine.clear_targets("", []) == []


@pytest.mark.parametrize(
    ("requests", "words"),
    [
        ([], "no targets"),
        ([request(300)], "id 300 is out of range"),
        ([request(4), request(4)], "id 4 is given twice"),
        ([request()] * 256, "256 new targets are too many"),
        ([request(box=(-50.0, 0.0, 20.0, 20.0))], "outside the image"),
        ([request(box=(10.0, 10.0, 0.0, 20.0))], "empty or inverted"),
        ([request(box=(10.0, 10.0, -5.0, 20.0))], "inverted: width -5"),
        ([request(box=(float("nan"), 10.0, 20.0, 20.0))], "finite.*nan"),
        ([request(box=(10.0, 10.0, 3.0, 20.0))], "too small: 3x20"),
        ([request(box=(0.0, 0.0, 65.0, 20.0))], "larger than the image: 65x20"),
        ([request(), request(box=(10.0, 10.0, 1.0, 1.0))], "target 2: box is too small"),
    ],
)
def test_refused_requests_change_nothing(make_rig, requests, words):
    rig = make_rig()
    rig.add_and_wait(1)
    rig.engine.set_targets("", 0, [request(1)])
    with pytest.raises(RequestError, match=words):
        rig.engine.set_targets("", 0, requests, replace=True)
    rig.add_and_wait(2)
    assert rig.entries(2)[1].result.result == [1, 2]
    assert rig.engine.target_count("") == 1


def test_refusals_that_need_no_image(make_rig):
    rig = make_rig(("left", "right"))
    with pytest.raises(RequestError, match="no image has arrived yet"):
        rig.engine.set_targets("left", 0, [request()])
    for camera in ("", "rear"):
        with pytest.raises(RequestError, match=f"no camera '{camera}', only 'left', 'right'"):
            rig.engine.set_targets(camera, 0, [request()])
    with pytest.raises(RequestError, match="no target 7, targets are: none"):
        rig.engine.clear_targets("left", [7])
    rig.engine.stop()
    with pytest.raises(RequestError, match="not active"):
        rig.engine.set_targets("left", 0, [request()])


def test_two_cameras_with_one_name_are_refused():
    with pytest.raises(ValueError, match="one name: left"):
        Rig(("left", "right", "left"))


def test_faults_are_reported_and_the_thread_goes_on(make_rig):
    rig = make_rig()
    rig.add_and_wait(1)
    rig.engine.set_targets("", 0, [request()])
    rig.add_and_wait(2)
    rig.tracker.fail = True
    rig.add(3)
    rig.wait(lambda: rig.errors)
    assert rig.errors == [("", "device lost")]
    rig.tracker.fail = False
    rig.add_and_wait(4)
    assert rig.entries(4)[1].result.result == [1, 2, 4]


def test_target_that_cannot_be_started_is_dropped(make_rig):
    rig = make_rig()
    rig.add_and_wait(1)
    rig.tracker.fail_start = True
    rig.engine.set_targets("", 0, [request()])
    rig.wait(lambda: rig.errors)
    assert rig.engine.target_count("") == 0
    rig.add_and_wait(2)


def test_frame_that_cannot_be_decoded_is_passed_over(make_rig):
    def broken():
        raise ValueError("no jpeg")

    rig = make_rig(every_frame=True)
    rig.add_and_wait(1)
    rig.engine.set_targets("", 0, [request()])
    rig.add(2, decode=broken)
    rig.add_and_wait(3)
    assert rig.errors == [("", "no jpeg")]
    assert rig.engine.counters("").unusable == 1
    assert rig.headers() == [1, 3]
    assert rig.entries(3)[1].result.result == [1, 3]


def test_time_that_jumps_back_forgets_the_frames_and_goes_on(make_rig):
    rig = make_rig()
    for number in (5, 6, 7):
        rig.add_and_wait(number)
    rig.engine.set_targets("", 0, [request()])
    assert rig.add(2) is True
    rig.wait(lambda: 2 in rig.headers())
    assert rig.entries(2)[1].result.result == [7, 2]
    assert rig.engine.counters("").time_jumps == 1
    with pytest.raises(RequestError, match="in the future: there are 1 images"):
        rig.engine.set_targets("", 6000, [request()])


def test_stop_and_start_keep_the_targets_and_leave_no_thread(make_rig):
    rig = make_rig()
    rig.add_and_wait(1)
    rig.engine.set_targets("", 0, [request()])
    rig.add_and_wait(2)
    for _ in range(20):
        rig.engine.stop()
        assert not any(t.name == "siammask_inference" for t in threading.enumerate())
        assert rig.add(3) is False
        rig.engine.start()
    rig.add_and_wait(4)
    assert rig.entries(4)[1].result.result == [1, 2, 4]


def test_timings_add_up(make_rig):
    rig = make_rig()
    rig.add_and_wait(1)
    timings = rig.results[0][3]
    assert timings.queue_ms >= 0
    assert timings.inference_ms >= 0


def test_free_ids_are_the_lowest():
    assert assign_ids([0, 5, 0], [1, 2]) == [3, 5, 4]
    assert assign_ids([0] * 255, []) == list(range(1, 256))
    with pytest.raises(RequestError, match="255 of 255"):
        assign_ids([0], range(1, 256))


# --- Limits, pauses, options


def test_a_camera_has_so_many_targets_and_no_more(make_rig):
    rig = make_rig()
    rig.add_and_wait(1)
    rig.engine.set_targets("", 0, [request()] * 64)
    for replaced in ([request()], [request(64), request(65)]):
        with pytest.raises(RequestError, match="make 65 targets, max_targets allows 64 a camera"):
            rig.engine.set_targets("", 0, replaced)
    with pytest.raises(RequestError, match="max_targets allows 64"):
        rig.engine.add_click("", Click((20.0, 20.0)))
    rig.engine.set_targets("", 0, [request(64)])  # again
    rig.engine.set_targets("", 0, [request()] * 3, replace=True)
    assert rig.engine.target_count("") == 3


def test_sixty_four_targets_of_two_cameras_are_one_batch(make_rig):
    rig = make_rig(("left", "right"))
    for camera in ("left", "right"):
        rig.add_and_wait(1, camera)
        rig.engine.set_targets(camera, 0, [request()] * 32)
    rig.wait(lambda: not any(c.is_catching_up for c in rig.engine._cameras.values()))
    rig.tracker.gate.clear()
    rig.add(2, "left")
    rig.wait(lambda: not rig.engine._cameras["left"].queue)
    rig.add(3, "left")
    rig.add(3, "right")
    rig.tracker.gate.set()
    rig.wait(lambda: 3 in rig.headers("left") and 3 in rig.headers("right"))
    assert rig.tracker.batches == [32, 64]


@pytest.mark.parametrize("every_frame", [False, True])
def test_a_paused_camera_rests_and_the_others_go_on(make_rig, every_frame):
    rig = make_rig(("left", "right"), every_frame=every_frame)
    for camera in ("left", "right"):
        rig.add_and_wait(1, camera)
        rig.engine.set_targets(camera, 0, [request(1)])
        rig.add_and_wait(2, camera)
    rig.engine.set_paused("left", paused=True)
    assert rig.engine.is_paused("left")
    for number in (3, 4, 5):
        rig.add(number, "left")
        rig.add_and_wait(number, "right")
    rig.engine.set_targets("left", 4000, [request(2)])
    assert rig.headers("left") == [1, 2]
    assert rig.engine.counters("left").paused == 3
    rig.engine.set_paused("left", paused=False)
    rig.wait(lambda: not rig.engine._cameras["left"].is_catching_up)
    rig.add_and_wait(6, "left")
    assert rig.entries(6, "left")[1].result.result == [1, 2, 6]
    assert rig.entries(6, "left")[2].result.result == [4, 5, 6]
    assert rig.entries(5, "right")[1].result.result == [1, 2, 3, 4, 5]


def test_frames_that_waited_before_a_pause(make_rig):
    for every_frame, dropped in ((False, 1), (True, 0)):
        rig = make_rig(every_frame=every_frame)
        rig.add_and_wait(1)
        rig.engine.set_targets("", 0, [request()])
        rig.add_and_wait(2)
        rig.tracker.gate.clear()
        rig.add(3)
        rig.wait(lambda: not rig.engine._cameras[""].queue)  # noqa: B023 - called at once
        rig.add(4)
        rig.engine.set_paused("", paused=True)
        rig.tracker.gate.set()
        rig.engine.set_paused("", paused=False)
        rig.add_and_wait(5)
        assert (4 in rig.headers()) is every_frame
        assert rig.engine.counters("").dropped == dropped


def test_options_change_while_frames_are_held(make_rig):
    rig = make_rig()
    for number in (1, 2, 3, 4):
        rig.add_and_wait(number)
    rig.engine.configure(EngineOptions(buffer_frames=2, max_targets=1))
    with pytest.raises(RequestError, match="2 images"):
        rig.engine.set_targets("", 2000, [request()])
    with pytest.raises(RequestError, match="max_targets allows 1"):
        rig.engine.set_targets("", 0, [request(), request()])
    rig.engine.set_targets("", 3000, [request()])


# --- Detections and clicks

AWAY = Box(40, 40, 20, 20)


def detection(box=AWAY, label="cup", score=0.9):
    return Detection(box, label, score)


def test_a_detection_starts_a_target_on_its_own_frame(make_rig):
    rig = make_rig(handover=HandoverConfig(policy="all"))
    for number in (1, 2, 3):
        rig.add_and_wait(number)
    rig.engine.add_detections("", 2000, [detection(), detection(Box(-10, -10, 30, 30))])
    rig.wait(lambda: rig.engine.target_count("") == 2)
    rig.wait(lambda: not rig.engine._cameras[""].is_catching_up)
    rig.add_and_wait(4)
    entry = rig.entries(4)[1]
    assert entry.label == "cup"
    assert entry.result.result == [2, 3, 4]
    assert rig.engine._cameras[""].targets[2].box_xywh == (0, 0, 20, 20)  # what is inside
    assert rig.engine.counters("").detections == 1
    assert "a detection started target 1 cup at x, y, width, height = 40" in rig.notices[0]


def test_the_policy_starts_no_more_than_there_is_room_for(make_rig):
    rig = make_rig(handover=HandoverConfig(policy="all"), max_targets=1)
    rig.add_and_wait(1)
    rig.engine.add_detections("", 0, [detection(), detection(Box(*BOX))])
    rig.wait(lambda: rig.engine.target_count("") == 1)
    rig.add_and_wait(2)
    assert rig.engine.target_count("") == 1


def test_detections_wait_until_the_targets_have_seen_their_frame(make_rig):
    rig = make_rig(every_frame=True, handover=HandoverConfig(policy="all"))
    rig.add_and_wait(1)
    rig.engine.set_targets("", 0, [request(7)])
    rig.tracker.gate.clear()
    for number in (2, 3, 4):
        rig.add(number)
    rig.engine.add_detections("", 3000, [detection(), detection(Box(*BOX))])
    assert rig.engine.target_count("") == 1
    rig.tracker.gate.set()
    rig.wait(lambda: 4 in rig.headers())
    assert rig.entries(4)[1].result.result == [3, 4]
    assert sorted(rig.entries(4)) == [1, 7]  # the other one is on target 7


def test_detections_may_come_before_their_frame(make_rig):
    rig = make_rig(handover=HandoverConfig(policy="first"))
    with pytest.raises(RequestError, match="no camera"):
        rig.engine.add_detections("rear", 1000, [detection()])
    rig.engine.add_detections("", 1000, [detection()])
    rig.engine.add_detections("", 3000, [detection(Box(*BOX))])
    rig.add_and_wait(2)
    rig.add_and_wait(3)
    rig.wait(lambda: rig.engine.target_count("") == 1)
    assert rig.engine._cameras[""].targets[1].box_xywh == BOX
    assert rig.engine._cameras[""].early == {}
    for number in range(20):
        rig.engine.add_detections("", 10**9 + number, [detection()])
    assert len(rig.engine._cameras[""].early) == 10


def test_detections_of_a_frame_that_is_gone_are_refused(make_rig):
    rig = make_rig(buffer_frames=2)
    for number in (1, 2, 3):
        rig.add_and_wait(number)
    with pytest.raises(RequestError, match="no longer held: there are 2 images"):
        rig.engine.add_detections("", 1000, [detection()])


def test_an_uncertain_target_is_confirmed(make_rig):
    rig = make_rig()
    rig.add_and_wait(1)
    rig.engine.set_targets("", 0, [request()])
    rig.tracker.status = TargetStatus.UNCERTAIN
    rig.add_and_wait(2)
    rig.engine.add_detections("", 0, [detection(Box(*BOX))])
    rig.wait(lambda: rig.tracker.confirmed)
    rig.add_and_wait(3)
    assert rig.entries(3)[1].result.result == [1, 2, "confirmed", 3]


@pytest.mark.parametrize(
    ("box", "how"), [(Box(*BOX), "at once"), (AWAY, "candidate")], ids=["near", "far"]
)
def test_a_lost_target_is_restarted_by_overlap_and_appearance(make_rig, box, how):
    rig = make_rig()
    rig.add_and_wait(1)
    rig.engine.set_targets("", 0, [request()])
    rig.add_and_wait(2)
    rig.tracker.status = TargetStatus.LOST
    for number in (3, 4, 5):
        rig.add_and_wait(number)
    rig.engine.add_detections("", 4000, [detection(box)])
    rig.wait(lambda: rig.tracker.looks)
    rig.wait(lambda: not rig.engine._cameras[""].is_catching_up)
    assert rig.tracker.looks == [[(4, box)]]
    rig.add_and_wait(6)
    state = rig.engine._cameras[""].targets[1].state
    assert state == [1, 2, 3, 4, 5, "found", how, 5, 6]
    assert rig.notices == (["a detection restarted target 1"] if how == "at once" else [])
    if how == "at once":  # and now the same detection is on it
        rig.engine.add_detections("", 6000, [detection(box)])
        rig.add_and_wait(7)
        assert len(rig.tracker.looks) == 1


def test_a_detection_that_does_not_look_like_it_is_another_target(make_rig):
    rig = make_rig(handover=HandoverConfig(policy="all"))
    rig.add_and_wait(1)
    rig.engine.set_targets("", 0, [request(9)])
    rig.tracker.status = TargetStatus.LOST
    rig.tracker.evidence = 0.84
    rig.add_and_wait(2)
    rig.engine.add_detections("", 0, [detection(Box(*BOX))])
    rig.wait(lambda: rig.engine.target_count("") == 2)
    assert rig.notices[0].startswith("a detection started target 1 cup")
    assert rig.engine._cameras[""].targets[9].state == [1, 2]


def test_a_click_starts_a_target_on_the_frame_that_was_shown(make_rig, monkeypatch):
    grown = []

    def grow_box(tracker, image_bgr, point_xy):
        grown.append((int(image_bgr[0, 0, 0]), point_xy))
        return AWAY

    monkeypatch.setattr("siammask_ros.engine.grow_box", grow_box)
    rig = make_rig(max_targets=3)
    for number in (1, 2, 3):
        rig.add_and_wait(number)
    for count, stamp_ns in enumerate((0, 2000, 2999), start=1):
        rig.engine.add_click("", Click((50.0, 45.0), stamp_ns))
        rig.wait(lambda count=count: rig.engine.target_count("") == count)
    rig.wait(lambda: not rig.engine._cameras[""].is_catching_up)
    assert grown == [(3, (50.0, 45.0)), (2, (50.0, 45.0)), (2, (50.0, 45.0))]
    rig.add_and_wait(4)
    assert rig.entries(4)[2].result.result == [2, 3, 4]
    assert rig.notices[0] == (
        "the click at (50, 45) started target 1 at x, y, width, height = 40, 40, 20, 20"
    )


@pytest.mark.parametrize(
    ("click", "words"),
    [
        (Click((64.5, 10.0)), r"point is outside the image: x, y = \(64.5, 10\) in 64x64"),
        (Click((float("nan"), 10.0)), "finite"),
        (Click((10.0, 10.0), 500), "no longer held"),
        (Click((10.0, 10.0), frame_id="map"), "a place in frame 'map', not a pixel"),
        (Click((10.0, 10.0), z=1.5), "z = 1.5"),
    ],
)
def test_clicks_that_are_refused(make_rig, click, words):
    rig = make_rig()
    with pytest.raises(RequestError, match="no image has arrived yet"):
        rig.engine.add_click("", click)
    rig.add_and_wait(1)
    with pytest.raises(RequestError, match=words):
        rig.engine.add_click("", click)
    assert rig.engine.target_count("") == 0


def test_hints_of_a_paused_camera(make_rig, monkeypatch):
    monkeypatch.setattr("siammask_ros.engine.grow_box", lambda *_: AWAY)
    rig = make_rig(handover=HandoverConfig(policy="all"))
    rig.add_and_wait(1)
    rig.engine.set_paused("", paused=True)
    rig.engine.add_detections("", 0, [detection(Box(*BOX))])
    rig.engine.add_click("", Click((50.0, 45.0)))
    assert rig.engine.target_count("") == 0
    rig.engine.set_paused("", paused=False)
    rig.wait(lambda: rig.engine.target_count("") == 1)
    assert rig.engine._cameras[""].targets[1].box_xywh == AWAY.xywh


def test_a_hint_that_fails_is_reported_and_the_next_one_is_taken(make_rig):
    rig = make_rig()
    rig.add_and_wait(1)
    rig.engine.set_targets("", 0, [request()])
    rig.tracker.status = TargetStatus.LOST
    rig.add_and_wait(2)
    rig.tracker.look = None
    rig.engine.add_detections("", 0, [detection()])
    rig.wait(lambda: rig.errors)
    assert "not callable" in rig.errors[0][1]
    del rig.tracker.look
    rig.engine.add_detections("", 0, [detection()])
    rig.wait(lambda: rig.tracker.looks)
    rig.add(3, decode=lambda: (_ for _ in ()).throw(ValueError("no jpeg")))
    rig.wait(lambda: len(rig.errors) == 2)
    rig.engine.add_detections("", 3000, [detection()])
    rig.add_and_wait(4)
    assert len(rig.tracker.looks) == 1
    assert rig.engine.counters("").unusable == 1


# --- While a batch is in flight, and side by side


def fly(rig, number, camera=""):
    """Hand a frame in and hold the batch that it is in; `rig.tracker.gate.set()` lets it go."""
    rig.tracker.gate.clear()
    steps = len(rig.tracker.entered)
    rig.add(number, camera)
    rig.wait(lambda: len(rig.tracker.entered) > steps)


def test_a_target_that_is_removed_in_flight_is_not_reported(make_rig):
    rig = make_rig()
    rig.add_and_wait(1)
    rig.engine.set_targets("", 0, [request(1), request(2)])
    rig.add_and_wait(2)
    fly(rig, 3)
    assert rig.engine.clear_targets("", [1]) == [1]
    rig.tracker.gate.set()
    rig.wait(lambda: 3 in rig.headers())
    assert list(rig.entries(3)) == [2]
    rig.add_and_wait(4)
    assert list(rig.entries(4)) == [2]
    assert rig.tracker.entered[-2:] == [2, 1]


@pytest.mark.parametrize("every_frame", [False, True])
def test_a_target_that_starts_again_in_flight_begins_anew(make_rig, every_frame):
    rig = make_rig(every_frame=every_frame)
    rig.add_and_wait(1)
    rig.engine.set_targets("", 0, [request(1)])
    rig.add_and_wait(2)
    fly(rig, 3)
    rig.engine.set_targets("", 2000, [request(1, (5.0, 5.0, 9.0, 9.0), "new"), request(2)])
    rig.tracker.gate.set()
    rig.wait(lambda: 3 in rig.headers())
    assert rig.entries(3) == {}  # it was under way without them
    rig.wait(lambda: not rig.engine._cameras[""].is_catching_up)
    rig.add_and_wait(4)
    assert rig.entries(4)[1].label == "new"
    assert {number: entry.result.result for number, entry in rig.entries(4).items()} == {
        1: [2, 3, 4], 2: [2, 3, 4]
    }  # fmt: skip


def test_a_camera_is_paused_and_cleared_in_flight(make_rig):
    rig = make_rig(("left", "right"))
    for camera in ("left", "right"):
        rig.add_and_wait(1, camera)
        rig.engine.set_targets(camera, 0, [request(1)])
        rig.add_and_wait(2, camera)
    fly(rig, 3, "left")
    rig.engine.set_paused("left", paused=True)
    rig.engine.clear_targets("right", [])
    rig.add(3, "right")
    rig.add(4, "left")
    rig.tracker.gate.set()
    rig.wait(lambda: 3 in rig.headers("right"))
    assert rig.headers("left") == [1, 2, 3]
    assert rig.entries(3, "right") == {}
    rig.engine.set_paused("left", paused=False)
    rig.add_and_wait(5, "left")
    assert rig.entries(5, "left")[1].result.result == [1, 2, 3, 5]


def test_a_camera_with_a_long_queue_does_not_hold_up_another(make_rig):
    rig = make_rig(("fast", "slow"), every_frame=True)
    for camera in ("fast", "slow"):
        rig.add_and_wait(1, camera)
        rig.engine.set_targets(camera, 0, [request(1)])
        rig.add_and_wait(2, camera)
    fly(rig, 3, "fast")
    for number in range(4, 40):
        rig.add(number, "fast")
    rig.add(3, "slow")
    rig.engine.set_targets("fast", 2000, [request(2)])  # and it has to catch up
    rig.tracker.gate.set()
    rig.wait(lambda: 39 in rig.headers("fast"))
    order = [(name, frame.header) for name, frame, _, _ in rig.results]
    assert order.index(("slow", 3)) <= order.index(("fast", 4))
    assert rig.headers("fast") == list(range(1, 40))
    assert rig.entries(39, "fast")[2].result.result == list(range(2, 40))


@pytest.mark.parametrize("every_frame", [False, True])
def test_a_flood_of_detections_holds_up_no_camera(make_rig, every_frame):
    """Each question to the network takes a turn; frames come between, of the own camera too."""
    rig = make_rig(("left", "right"), every_frame=every_frame)
    for camera in ("left", "right"):
        rig.add_and_wait(1, camera)
        rig.engine.set_targets(camera, 0, [request(1)])
    rig.tracker.status, rig.tracker.evidence = TargetStatus.LOST, 0.1
    for camera in ("left", "right"):
        rig.add_and_wait(2, camera)
    look, processed = rig.tracker.look, []

    def look_and_be_asked_again(places):
        if len(processed) < 20:
            rig.engine.add_detections("left", 2000, [detection(Box(*BOX))])
        processed.append((len(rig.headers("left")), len(rig.headers("right"))))
        return look(places)

    rig.tracker.look = look_and_be_asked_again
    fly(rig, 3, "left")
    for camera in ("left", "right"):
        rig.add(4, camera)
    for _ in range(3):
        rig.engine.add_detections("left", 2000, [detection(Box(*BOX))])
    rig.tracker.gate.set()
    rig.wait(lambda: len(processed) > 20)
    assert max(left for left, _ in processed[:3]) >= 4
    assert max(right for _, right in processed[:3]) >= 3


def test_sixty_four_targets_some_of_them_lost_share_the_searches(make_rig):
    """With the real logic of loss and return: every LOST target is searched for in each frame."""
    patches = []

    class Blind:
        """Sees the targets of even numbers; counts the search regions of each frame."""

        def initialize_batch(self, targets):
            return [a_state(box_xywh) for _, box_xywh in targets]

        def track_batch(self, targets):
            patches.append([state.size_wh[0] for _, state in targets])
            return [(state, a_result(state)) for _, state in targets]

    def show(number):
        rig.add(number, decode=lambda: np.zeros((480, 640, 3), np.uint8))
        rig.wait(lambda: number in rig.headers())

    rig = make_rig()
    rig.engine.tracker = LongTermTracker(Blind())
    show(1)
    boxes = [(80.0 * (n % 8), 60.0 * (n // 8), 10.0 + n, 40.0) for n in range(64)]
    rig.engine.set_targets("", 0, [request(0, box) for box in boxes])
    for number in range(2, 12):
        show(number)
    entries = rig.entries(11)
    statuses = [entries[target_id].result.status for target_id in range(1, 65)]
    assert statuses[::2] == [TargetStatus.TRACKING] * 32
    assert statuses[1::2] == [TargetStatus.LOST] * 32
    assert sorted(patches[-1]) == [10 + n for n in range(64)]  # a region for each, LOST or not
    rig.engine.clear_targets("", list(range(10, 65)))
    show(12)
    assert len(patches[-1]) == 5 + 4 * 4  # four of 1 to 9 are LOST: four regions each


def a_state(box_xywh):
    box = Box(*box_xywh)
    return TrackerState(box.center_xy, box.size_wh, None, (0, 0, 0), (640, 480))


def a_result(state):
    seen = round(state.size_wh[0]) % 2 == 0
    empty = np.zeros((1, 1), np.float32)
    return TrackResult(
        state.box, RotatedBox.from_box(state.box), False, 0.95 if seen else 0.01,
        ImageRegion(0, 0, 1, 1), empty, empty + 1 > 0, (640, 480), 0, AnchorPosition(0, 0, 0),
    )  # fmt: skip


def block_at(size_wh, left):
    """A coloured block on a plain background, and its box."""
    width, height = size_wh
    picture = np.full((height, width, 3), (90, 110, 100), np.uint8)
    box = Box(float(left), height / 4, width / 4, height / 3)
    rows = slice(height // 4, height // 4 + height // 3)
    picture[rows, left : left + width // 4] = (40, 60, 220)
    picture[height // 3 : height // 2, left + width // 16 : left + width // 6] = (240, 230, 60)
    return picture, box


def test_cameras_of_other_sizes_and_rates_do_not_change_each_others_results():
    """With the bundled network: together in one batch, the targets are where they are alone."""
    tracker = LongTermTracker(SiamMaskTracker(load_network("compact")))
    videos = {  # size, step, and every which tick there is a frame
        "wide": ((240, 120), 3, 1),
        "tall": ((100, 160), 1, 3),
    }

    def run(*names):
        results = {}
        engine = TrackingEngine(
            tracker, names, EngineOptions(every_frame=True),
            on_result=lambda name, frame, entries, _: results.update(
                {(name, frame.stamp_ns): entries[0].result if entries else None}
            ),
            on_error=lambda _, error: pytest.fail(str(error)),
        )  # fmt: skip
        engine.begin()
        for tick in range(1, 8):
            for name in names:
                size_wh, step, period = videos[name]
                if (tick - 1) % period:
                    continue
                picture, box = block_at(size_wh, 20 + step * tick)
                engine.add_frame(
                    name, stamp_ns=tick, header=None, decode=lambda p=picture: p, data_bytes=0
                )
                if tick == 1:
                    engine.set_targets(name, 1, [request(1, box.xywh)])
            engine.work_off()
        return results

    together = run("wide", "tall")
    alone = {**run("wide"), **run("tall")}
    assert together.keys() == alone.keys()
    assert [len([key for key in alone if key[0] == name]) for name in videos] == [7, 3]
    for (name, tick), found in together.items():
        expected = alone[name, tick]
        assert found.status == expected.status
        if tick == 1:
            continue
        assert found.confidence == pytest.approx(expected.confidence, abs=1e-3)
        assert box_iou(found.result.box, expected.result.box) > 0.99
        assert (found.result.mask != expected.result.mask).mean() < 1e-3
        assert found.result.mask.any()


# --- Without a thread


def lock_step_rig(**options):
    rig = Rig(every_frame=True, **options)
    rig.engine.stop()
    rig.engine.begin()
    return rig


def test_without_a_thread_the_caller_does_the_work():
    rig = lock_step_rig()
    rig.add(1)
    accepted = rig.engine.set_targets("", 1000, [TargetRequest(0, "cup", BOX)])
    assert accepted.target_ids == [1]
    assert rig.results == []
    rig.engine.work_off()
    assert rig.headers() == [1]
    entry = rig.entries(1)[1]
    assert entry.result.status == TargetStatus.INITIALIZING
    assert entry.given == Box(*BOX)
    rig.add(2)
    rig.engine.work_off()
    assert rig.headers() == [1, 2]
    assert rig.entries(2)[1].result.result == [1, 2]
    assert rig.entries(2)[1].given is None
    rig.engine.work_off()
    assert rig.headers() == [1, 2]


def test_without_a_thread_detections_before_their_frame_start_a_target_there():
    rig = lock_step_rig(handover=HandoverConfig(policy="all"))
    rig.engine.add_detections("", 1000, [Detection(Box(*BOX), "cup", 0.9)])
    for number in (1, 2):
        rig.add(number)
        rig.engine.work_off()
    assert rig.entries(1) == {}
    assert rig.entries(2)[1].result.result == [1, 2]
    assert rig.engine.counters("").detections == 1


def test_without_a_thread_the_caller_gets_what_is_raised():
    rig = lock_step_rig()
    rig.add(1)
    rig.engine.set_targets("", 1000, [TargetRequest(0, "", BOX)])
    rig.engine.work_off()
    rig.tracker.fail = True
    rig.add(2)
    with pytest.raises(RuntimeError, match="device lost"):
        rig.engine.work_off()
