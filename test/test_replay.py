# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings run in lock step, with a tracker that writes down which images it was given."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
import pytest
from tiny_bags import (
    BOX,
    IMAGES,
    SECOND,
    TinyBag,
    camera_bag,
    log_ns,
    picture,
    stamp_ns,
)

from siammask_ros.bags.reader import open_bag
from siammask_ros.bags.requests import detection_topics, read_calls, read_recorded_detections
from siammask_ros.bags.topics import BagMessage
from siammask_ros.cues import CueSheet, ImageTimes
from siammask_ros.geometry import Box
from siammask_ros.handover import HandoverConfig
from siammask_ros.longterm import LongTermConfig, Sighting, TargetResult
from siammask_ros.replay import IMAGES_AHEAD, Replay, ReplayRange
from siammask_ros.target_list import parse_stamp, read_targets
from siammask_ros.target_status import TargetStatus

FRAMES = 8


class Seen(list):
    """The numbers of the images that a target saw; it never moves."""

    box = Box(*BOX)


@dataclass
class Recorder:
    """A tracker whose results are the numbers of the images that the target was given."""

    config: LongTermConfig = field(default_factory=LongTermConfig)
    fail_at: int = -1

    @property
    def tracker(self):
        return self

    def start_batch(self, targets):
        return [[int(image_bgr[0, 0, 0])] for image_bgr, _ in targets]

    def step(self, targets):
        return [self._step(*target) for target in targets]

    def _step(self, image_bgr, seen):
        number = int(image_bgr[0, 0, 0])
        if number == self.fail_at:
            raise RuntimeError("device lost")
        seen = Seen([*seen, number])
        return list(seen), TargetResult(TargetStatus.TRACKING, seen, 1.0, 0)

    def look(self, places):
        return [Sighting(seen, box, 0.9) for _, seen, box in places]

    def restart(self, target, state, *, at_once):
        return state

    def places(self, target):
        return Box(*BOX), None

    def confirm(self, target):
        return target


def sheet_of_box(number=0, labels=()):
    sheet = CueSheet.empty()
    sheet.add_boxes(number, [Box(*BOX)], labels)
    return sheet


def run(path, sheet=None, *, tracker=None, **options):
    """The images that were processed, and the notices."""
    notices = []
    with open_bag(path) as bag:
        replay = Replay(
            bag, bag.image_topic(), tracker or Recorder(), sheet or sheet_of_box(),
            on_notice=notices.append, **options,
        )  # fmt: skip
        events = list(replay.run())
    return events, notices


def seen_by(events, target_id=1):
    """For each image's number what the target had seen by then; None while it is INITIALIZING."""
    return {
        event.tracked.frame.index: entry.result.result
        for event in events
        for entry in event.tracked.entries
        if entry.target_id == target_id
    }


# --- Images


@pytest.mark.parametrize("kind", ["mcap", "sqlite3", "ros1"])
def test_every_image_in_order(tmp_path, kind):
    is_ros1 = kind == "ros1"
    path = camera_bag(
        tmp_path / ("old.bag" if is_ros1 else "bag"), FRAMES, is_ros1=is_ros1,
        storage="mcap" if is_ros1 else kind,
    )  # fmt: skip
    events, _ = run(path)
    assert [event.tracked.frame.index for event in events] == list(range(FRAMES))
    for number, event in enumerate(events):
        frame = event.tracked.frame
        assert np.array_equal(frame.image_bgr, picture(number))
        assert frame.time_s == pytest.approx(number / 25)
        assert event.header == (stamp_ns(number), "camera_optical")
        assert event.log_ns == log_ns(number)
    assert seen_by(events) == {n: list(range(n + 1)) if n else None for n in range(FRAMES)}


def test_a_part_of_the_images(tmp_path):
    events, _ = run(camera_bag(tmp_path / "bag", FRAMES), sheet_of_box(2), images=ReplayRange(2, 5))
    assert [event.tracked.frame.index for event in events] == [2, 3, 4]
    assert events[0].tracked.frame.time_s == 0
    assert seen_by(events) == {2: None, 3: [2, 3], 4: [2, 3, 4]}


def test_copied_messages_come_in_between(tmp_path):
    path = camera_bag(tmp_path / "bag", 3)
    with open_bag(path) as bag:
        copied = [bag.topic("/notes"), bag.image_topic()]
        replay = Replay(bag, bag.image_topic(), Recorder(), sheet_of_box(), copied=copied)
        names = [
            event.topic.name if isinstance(event, BagMessage) else event.tracked.frame.index
            for event in replay.run()
        ]
    assert names == [0, IMAGES, "/notes", 1, IMAGES, "/notes", 2, IMAGES, "/notes"]


def test_images_without_stamps_have_the_times_of_their_recording(tmp_path):
    bag = TinyBag()
    for number in range(3):
        bag.add_image(number, stamp=0)
    events, _ = run(bag.write(tmp_path / "bag"))
    assert [event.tracked.frame.time_s for event in events] == pytest.approx([0, 0.04, 0.08])
    assert seen_by(events)[2] == [0, 1, 2]


def test_stamps_that_jump_back_do_not_stop_anything(tmp_path):
    bag = TinyBag()
    for number in range(4):
        bag.add_image(number, stamp=stamp_ns(number if number < 2 else number - 10))
    events, _ = run(bag.write(tmp_path / "bag"))
    assert seen_by(events)[3] == [0, 1, 2, 3]


def test_few_images_are_decoded_ahead(tmp_path, monkeypatch):
    """Memory does not grow with the recording."""
    path = camera_bag(tmp_path / "bag", 60, notes=False)
    decoded = []
    with open_bag(path) as bag:
        decode = bag.decode
        monkeypatch.setattr(bag, "decode", lambda m: (decoded.append(m.log_ns), decode(m))[1])
        replay = Replay(bag, bag.image_topic(), Recorder(), sheet_of_box())
        for done, _ in enumerate(replay.run(), start=1):
            assert len(decoded) <= done + IMAGES_AHEAD + 1
    assert len(decoded) == 60


def test_a_message_that_does_not_decode_is_passed_over(tmp_path):
    bag = TinyBag()
    for number in range(FRAMES):
        if number == 3:
            bag.add(IMAGES, log_ns(3), "sensor_msgs/msg/Image", b"\x00\x01\x00\x00broken")
        elif number == 5:
            bag.add_image(5, encoding="32FC1")
        else:
            bag.add_image(number)
    with open_bag(bag.write(tmp_path / "bag")) as opened:
        replay = Replay(opened, opened.image_topic(), Recorder(), sheet_of_box())
        events = list(replay.run())
        assert (replay.frames, replay.passed_over) == (FRAMES - 2, 2)
        (warning,) = opened.warnings
    assert warning.startswith("images that cannot be decoded are passed over, first: a message")
    assert seen_by(events)[7] == [0, 1, 2, 4, 6, 7]


def test_a_target_on_an_image_that_does_not_decode_is_named(tmp_path):
    bag = TinyBag()
    bag.add(IMAGES, log_ns(0), "sensor_msgs/msg/Image", b"\x00\x01\x00\x00broken")
    bag.add_image(1)
    with pytest.raises(ValueError, match="--box: image 0 cannot be decoded"):
        run(bag.write(tmp_path / "bag"))


def test_without_an_image_there_is_nothing_to_replay(tmp_path):
    path = camera_bag(tmp_path / "bag", 3)
    with pytest.raises(ValueError, match=r"no image to replay on /camera/image_raw .* it has 3"):
        run(path, sheet_of_box(9), images=ReplayRange(9))


@pytest.mark.parametrize(("start", "stop"), [(-1, None), (3, 3), (4, 2)])
def test_a_range_must_be_one(start, stop):
    with pytest.raises(ValueError, match=f"images {start} to {stop} are no range"):
        ReplayRange(start, stop)


def test_what_the_tracker_raises_ends_the_run(tmp_path):
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="device lost"):
        run(camera_bag(tmp_path / "bag", FRAMES), tracker=Recorder(fail_at=4))
    assert threading.active_count() == before


def test_a_box_outside_the_image_is_refused(tmp_path):
    sheet = CueSheet.empty()
    sheet.add_boxes(0, [Box(500, 500, 10, 10)], [])
    with pytest.raises(ValueError, match=r"--box: target 1: .*500"):
        run(camera_bag(tmp_path / "bag", 2), sheet)


# --- Lists of targets


def listed(tmp_path, text):
    path = tmp_path / "targets.yaml"
    path.write_text(text)
    return read_targets(path)


def run_list(tmp_path, text, **options):
    path = camera_bag(tmp_path / "bag", FRAMES)
    sheet = CueSheet.empty()
    with open_bag(path) as bag:
        times = ImageTimes.of(bag, bag.image_topic())
    sheet.add_list(listed(tmp_path, text), times, 0)
    return run(path, sheet, **options)


def test_a_list_of_targets(tmp_path):
    stamp = f"{stamp_ns(5) // SECOND}.{stamp_ns(5) % SECOND:09d}"
    events, _ = run_list(
        tmp_path,
        f"""
targets:
  - {{box: [20, 14, 16, 12], label: cup}}
  - {{box: [21, 14, 16, 12], label: pen, id: 7, frame: 2}}
  - {{box: "22,14,16,12", time: 0.13}}
  - {{box: [23, 14, 16, 12], stamp: {stamp}}}
""",
    )
    first = {}
    for event in events:
        for entry in event.tracked.entries:
            first.setdefault(entry.target_id, (event.tracked.frame.index, entry))
    starts = {target_id: number for target_id, (number, _) in first.items()}
    assert starts == {1: 0, 7: 2, 2: 3, 3: 5}
    assert first[7][1].label == "pen"
    assert first[7][1].given == Box(21, 14, 16, 12)
    assert seen_by(events, 3)[7] == [5, 6, 7]


def test_an_id_that_exists_starts_again(tmp_path):
    events, _ = run_list(
        tmp_path,
        "targets: [{box: [20, 14, 16, 12], id: 1}, {box: [20, 14, 16, 12], id: 1, frame: 4}]",
    )
    assert seen_by(events)[3] == [0, 1, 2, 3]
    assert seen_by(events)[4] is None
    assert seen_by(events)[6] == [4, 5, 6]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{box: [1, 2, 3]}", r"target 1: '1,2,3' is not x,y,width,height"),
        ("{box: [1, 2, 3, x]}", r"target 1: '1,2,3,x' is not x,y,width,height"),
        ("{box: [1, 2, 0, 4]}", r"target 1: the box '1,2,0,4' has no area"),
        ("{boks: [1, 2, 3, 4]}", "target 1: unknown key 'boks', known are box, frame"),
        ("{label: cup}", "target 1: the key 'box' is missing"),
        ("{box: [1, 2, 3, 4], id: cup}", "id 'cup' is not a number from 1 to 255"),
        ("{box: [1, 2, 3, 4], id: 256}", "id '256' is not a number from 1 to 255"),
        ("{box: [1, 2, 3, 4], frame: -1}", "frame '-1' is not a number of an image"),
        ("{box: [1, 2, 3, 4], time: soon}", "time 'soon' is not a number of seconds"),
        ("{box: [1, 2, 3, 4], stamp: 1e9}", "'1e9' is not a stamp"),
        ("{box: [1, 2, 3, 4], label: [a]}", r"\['a'\] is not a single value"),
        ("{box: [1, 2, 3, 4], time: 1, frame: 1}", "frame and time are both given"),
        ("cup", "target 1: 'cup' is no target"),
        ("{box: [1, 2, 30, 40], frame: 99}", "frame 99 is outside the bag: .* has 8 images"),
        ("{box: [1, 2, 30, 40], time: 9}", "time 9 is outside the bag: the last image .* 0.280 s"),
        ("{box: [1, 2, 30, 40], stamp: 5.0}", r"stamp 5.000000000 is outside the bag: the images"),
        ("{box: [1, 2, 30, 40], stamp: 1700000000.01}", "is of no image of .*: it lies between"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_list_is_named(tmp_path, entry, said):
    with pytest.raises(ValueError, match=rf"targets\.yaml, target 1: .*{said.split('1: ')[-1]}"):
        run_list(tmp_path, f"targets:\n  - {entry}\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- 1", "the only key must be 'targets', got"),
        ("target: []", "the only key must be 'targets', got 'target'"),
        ("targets: []", "'targets' must be a list of targets"),
        ("targets: cup", "'targets' must be a list of targets, got 'cup'"),
        ("targets: [", "is not YAML"),
    ],
)
def test_a_file_that_is_no_list_is_named(tmp_path, text, said):
    with pytest.raises(ValueError, match=rf"targets\.yaml.*{said}"):
        listed(tmp_path, text)


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such list of targets: .*nowhere"):
        read_targets(tmp_path / "nowhere.yaml")


def test_a_stamp_keeps_all_its_digits():
    assert parse_stamp("1700000000.123456789") == 1_700_000_000_123_456_789
    assert parse_stamp("12") == 12 * SECOND
    assert parse_stamp("0.5") == SECOND // 2


def test_a_target_before_the_first_image_is_refused(tmp_path):
    with pytest.raises(ValueError, match="--box: image 0 is not among those replayed, image 2 to"):
        run(camera_bag(tmp_path / "bag", 4), sheet_of_box(0), images=ReplayRange(2))


def test_there_are_as_many_labels_as_boxes():
    with pytest.raises(ValueError, match="2 labels for 1 boxes"):
        sheet_of_box(labels=["a", "b"])


# --- Recorded requests


def recorded(bag):
    for number in range(FRAMES):
        bag.add_image(number)
    return bag


def run_calls(bag, path, **options):
    path = bag.write(path)
    sheet = CueSheet.empty()
    with open_bag(path) as opened:
        found = read_calls(opened)
        sheet.add_calls(found.sets, found.clears, ImageTimes.of(opened, opened.image_topic()))
    events, notices = run(path, sheet, **options)
    return events, [*sheet.notes, *notices], found


@pytest.mark.parametrize("client", [False, True])
def test_recorded_requests_start_targets_on_exactly_their_image(tmp_path, client):
    bag = recorded(TinyBag())
    bag.add_call(
        "SetTargets", log_ns(5), 1, client=client,
        request=bag.set_request((0, "cup", *BOX), stamp=stamp_ns(2)),
    )  # fmt: skip
    events, notices, _ = run_calls(bag, tmp_path / "bag")
    assert seen_by(events) == {
        2: None, **{n: list(range(2, n + 1)) for n in range(3, FRAMES)}
    }  # fmt: skip
    assert notices == []


def test_a_request_without_a_stamp_means_the_newest_image_at_that_time(tmp_path):
    bag = recorded(TinyBag())
    bag.add_call("SetTargets", log_ns(3) + 1000, 1, request=bag.set_request((0, "cup", *BOX)))
    events, _, _ = run_calls(bag, tmp_path / "bag")
    assert min(seen_by(events)) == 3


def test_ids_and_image_are_those_of_the_answer(tmp_path):
    bag = recorded(TinyBag())
    bag.add_call(
        "SetTargets", log_ns(6), 1,
        request=bag.set_request((0, "cup", *BOX)), response=bag.set_response(9, stamp=stamp_ns(4)),
    )  # fmt: skip
    events, _, _ = run_calls(bag, tmp_path / "bag")
    assert min(seen_by(events, 9)) == 4


def test_a_refused_request_and_one_without_contents_come_to_nothing(tmp_path):
    bag = recorded(TinyBag())
    request = bag.set_request((0, "cup", *BOX), stamp=stamp_ns(1))
    refused = bag.set_response(success=False)
    bag.add_call("SetTargets", log_ns(2), 1, request=request, response=refused)
    bag.add_call("SetTargets", log_ns(3), 2)
    events, _, found = run_calls(bag, tmp_path / "bag")
    assert (found.refused_calls, found.empty_calls, found.sets) == (1, 1, [])
    assert not any(event.tracked.entries for event in events)


def test_both_sides_of_a_call_are_one_call(tmp_path):
    bag = recorded(TinyBag())
    request = bag.set_request((0, "cup", *BOX), stamp=stamp_ns(1))
    bag.add_call("SetTargets", log_ns(2), 1, request=request)
    bag.add_call("SetTargets", log_ns(2), 1, request=request, client=True)
    _, _, found = run_calls(bag, tmp_path / "bag")
    assert len(found.sets) == 1


def test_replacing_and_clearing(tmp_path):
    bag = recorded(TinyBag())
    first = bag.set_request((1, "a", *BOX), (2, "b", *BOX), stamp=stamp_ns(0))
    bag.add_call("SetTargets", log_ns(0) + 10, 1, request=first)
    second = bag.set_request((3, "c", *BOX), stamp=stamp_ns(3), replace=True)
    bag.add_call("SetTargets", log_ns(3) + 10, 2, request=second)
    bag.add_call("ClearTargets", log_ns(5) + 10, 3, request=bag.clear_request())
    events, notices, _ = run_calls(bag, tmp_path / "bag")
    ids = [[entry.target_id for entry in event.tracked.entries] for event in events]
    assert ids == [[1, 2]] * 3 + [[3]] * 3 + [[]] * 2
    assert notices == []


def test_a_recorded_request_that_cannot_be_met_is_noted(tmp_path):
    bag = recorded(TinyBag())
    far = bag.set_request((0, "far", 500.0, 500.0, 9.0, 9.0), stamp=stamp_ns(1))
    bag.add_call("SetTargets", log_ns(1) + 10, 1, request=far)
    odd = bag.set_request((0, "odd", *BOX), stamp=stamp_ns(1) + 1)
    bag.add_call("SetTargets", log_ns(2) + 10, 2, request=odd)
    bag.add_call("ClearTargets", log_ns(3) + 10, 3, request=bag.clear_request(8))
    events, notices, _ = run_calls(bag, tmp_path / "bag")
    assert not any(event.tracked.entries for event in events)
    assert "is of no image" in notices[0]
    assert "is refused: target 1: " in notices[1]
    assert notices[2] == (
        "a recorded clear_targets is refused: there is no target 8, targets are: none"
    )


def test_requests_name_cameras(tmp_path):
    bag = recorded(TinyBag())
    for number, camera in enumerate(("left", "right", "")):
        request = bag.set_request((0, "", *BOX), stamp=stamp_ns(1), camera=camera)
        bag.add_call("SetTargets", log_ns(1) + number, number, request=request)
    _, _, found = run_calls(bag, tmp_path / "bag")
    assert found.cameras == ["left", "right"]


# --- Recorded detections


def run_detections(bag, path, sheet=None, **handover):
    path = bag.write(path)
    sheet = sheet or CueSheet.empty()
    with open_bag(path) as opened:
        (topic,) = detection_topics(opened)
        found = read_recorded_detections(opened, topic)
        times = ImageTimes.of(opened, opened.image_topic())
        sheet.add_detections(found.detections, times)
    return (*run(path, sheet, handover=HandoverConfig(**handover)), sheet)


def test_detections_start_targets_on_their_image(tmp_path):
    bag = recorded(TinyBag())
    bag.add_boxes(2, ("cup", *BOX))
    bag.add_boxes(4, ("pen", 1.0, 1.0, 12.0, 10.0), scores=[0.9])
    events, notices, _ = run_detections(bag, tmp_path / "bag", policy="all")
    assert seen_by(events)[5] == [2, 3, 4, 5]
    assert seen_by(events, 2) == {5: [4, 5], 6: [4, 5, 6], 7: [4, 5, 6, 7]}
    assert notices[0].startswith("a detection started target 1 cup")


def define_vision_msgs(bag):
    """The parts of vision_msgs that are read."""
    for name, text in {
        "Point2D": "float64 x\nfloat64 y",
        "Pose2D": "vision_msgs/Point2D position\nfloat64 theta",
        "BoundingBox2D": "vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y",
        "ObjectHypothesis": "string class_id\nfloat64 score",
        "ObjectHypothesisWithPose": "vision_msgs/ObjectHypothesis hypothesis\n"
        "geometry_msgs/PoseWithCovariance pose",
        "Detection2D": "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
        "vision_msgs/BoundingBox2D bbox\nstring id",
        "Detection2DArray": "std_msgs/Header header\nvision_msgs/Detection2D[] detections",
    }.items():
        bag.define(f"vision_msgs/msg/{name}", text)


def test_detections_of_vision_msgs(tmp_path):
    bag = recorded(TinyBag())
    define_vision_msgs(bag)
    hypothesis = bag.make("vision_msgs/msg/ObjectHypothesis", class_id="cup", score=0.8)
    pose = bag.make(
        "geometry_msgs/msg/PoseWithCovariance",
        pose=bag.make(
            "geometry_msgs/msg/Pose",
            position=bag.make("geometry_msgs/msg/Point", x=0.0, y=0.0, z=0.0),
            orientation=bag.make("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0),
        ),
        covariance=np.zeros(36),
    )
    point = bag.make("vision_msgs/msg/Point2D", x=28.0, y=20.0)
    entry = bag.make(
        "vision_msgs/msg/Detection2D",
        header=bag.header(stamp_ns(1)),
        results=[
            bag.make("vision_msgs/msg/ObjectHypothesisWithPose", hypothesis=hypothesis, pose=pose)
        ],
        bbox=bag.make(
            "vision_msgs/msg/BoundingBox2D",
            center=bag.make("vision_msgs/msg/Pose2D", position=point, theta=0.0),
            size_x=16.0,
            size_y=12.0,
        ),
        id="",
    )
    kind = "vision_msgs/msg/Detection2DArray"
    message = bag.make(kind, header=bag.header(stamp_ns(1)), detections=[entry])
    bag.add("/detections", log_ns(3), kind, message)
    events, _, _ = run_detections(bag, tmp_path / "bag", policy="first")
    assert seen_by(events)[2] == [1, 2]
    assert events[2].tracked.entries[0].label == "cup"


def test_detections_of_no_image_are_noted(tmp_path):
    bag = recorded(TinyBag())
    bag.add_boxes(40, ("cup", *BOX))
    events, _, sheet = run_detections(bag, tmp_path / "bag", policy="all")
    assert not any(event.tracked.entries for event in events)
    assert sheet.notes == ["1 messages of detections have the stamp of no image: not used"]


def test_a_topic_without_detections_is_named(tmp_path):
    with (
        open_bag(camera_bag(tmp_path / "bag", 1)) as bag,
        pytest.raises(
            ValueError, match=r"topic /notes of .* is std_msgs/msg/String, no detections"
        ),
    ):
        read_recorded_detections(bag, bag.topic("/notes"))
