# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trackers to compare with: OpenCV's, with and without network files, and a user's own."""

from __future__ import annotations

import pickle

import cv2
import numpy as np
import pytest
from moving_square import MovingSquare
from tiny_onnx import write_nano, write_vit

from siammask_ros.evaluation import (
    REFERENCE_TRACKERS,
    BoxResult,
    MaskResult,
    OpenCvTracker,
    OwnTracker,
    RenderedSequence,
    evaluate,
    evaluate_sequence,
    reference_factory,
)
from siammask_ros.evaluation.opencv_trackers import OPENCV_TRACKERS
from siammask_ros.geometry import Box, box_iou

NETWORKS = {"nano": 2, "vit": 1, "dasiamrpn": 3}


def scene(left, top):
    """A bright square on a dark ground."""
    image = np.full((240, 320, 3), 20, np.uint8)
    image[top : top + 40, left : left + 40] = 230
    return image


def test_every_tracker_has_a_name():
    plain = {"never-moves", "truth", "csrt", "kcf", "mil"}
    assert set(REFERENCE_TRACKERS) == plain | set(NETWORKS)
    with pytest.raises(ValueError, match=r"'goturn', there are never-moves, .*, and module:name"):
        reference_factory("goturn")
    with pytest.raises(ValueError, match="unknown OpenCV tracker 'boosting', there are csrt"):
        OpenCvTracker("boosting")
    for name in ("truth", "never-moves"):
        with pytest.raises(ValueError, match=f"{name} needs no files, got 1"):
            reference_factory(name, ["some.onnx"])


@pytest.mark.parametrize("kind", [kind for kind in OPENCV_TRACKERS if kind not in NETWORKS])
def test_opencvs_trackers_follow_a_rendered_target(kind):
    try:
        factory = reference_factory(kind)
    except RuntimeError as error:
        pytest.skip(str(error))
    sequence = RenderedSequence.of_scenario("plain", 3, frames=12, size_wh=(160, 120))
    score = evaluate_sequence(sequence, factory)
    assert score.box_iou > 0.5
    assert {frame.confidence for frame in score.frames} <= {0.0, 1.0}


@pytest.mark.parametrize("kind", ["nano", "vit"])
def test_opencvs_networks_follow_a_bright_square(kind, tmp_path):
    """With OpenCV's own tracker; only the networks are made here."""
    weights = write_nano(tmp_path) if kind == "nano" else (write_vit(tmp_path),)
    try:
        tracker = reference_factory(kind, weights)(None)
    except RuntimeError as error:
        pytest.skip(str(error))
    state = tracker.initialize(scene(100, 90), (100, 90, 40, 40))
    for frame in range(1, 11):
        left, top = 100 + 4 * frame, 90 + 2 * frame
        state, result = tracker.track(scene(left, top), state)
        # The centre of a cell that is as bright as any; the target covers several.
        assert box_iou(Box(*result.box_xywh), Box(left, top, 40, 40)) > 0.1
        assert 0.5 < result.confidence <= 1
        assert result.mask.sum() == 1600
    start, end = np.array([100, 90]), np.array(result.box_xywh[:2])
    assert np.all(end - start >= (15, 0))


@pytest.mark.parametrize(("kind", "count"), NETWORKS.items())
def test_network_files_are_checked_before_anything_runs(kind, count, tmp_path):
    for given in (0, count + 1):
        with pytest.raises(ValueError, match=f"{kind} needs {count} network files .*, got {given}"):
            reference_factory(kind, ["some.onnx"] * given)
    with pytest.raises(ValueError, match=f"{kind}: there is no file .*absent.onnx"):
        reference_factory(kind, [str(tmp_path / "absent.onnx")] * count)
    bad = tmp_path / "bad.onnx"
    bad.write_text("not a network")
    with pytest.raises(RuntimeError, match=rf"{kind} cannot read .*bad.onnx: .*|has no Tracker"):
        reference_factory(kind, [str(bad)] * count)
    with pytest.raises(ValueError, match="mil needs no files, got 1"):
        reference_factory("mil", [str(bad)])


@pytest.mark.parametrize(("kind", "count"), NETWORKS.items())
def test_files_reach_opencv_in_their_order(kind, count, tmp_path, monkeypatch):
    """The adapter against a stand-in for OpenCV."""
    paths = []
    for index in range(count):
        paths.append(str(tmp_path / f"{index}.onnx"))
        (tmp_path / f"{index}.onnx").touch()
    made = []

    class Stand:
        @staticmethod
        def create(parameters):
            made.append(vars(parameters))

    class Parameters:
        pass

    name = {"nano": "TrackerNano", "vit": "TrackerVit", "dasiamrpn": "TrackerDaSiamRPN"}[kind]
    monkeypatch.setattr(cv2, name, Stand, raising=False)
    monkeypatch.setattr(cv2, f"{name}_Params", Parameters, raising=False)
    reference_factory(kind, paths)
    fields = {
        "nano": ("backbone", "neckhead"),
        "vit": ("net",),
        "dasiamrpn": ("model", "kernel_cls1", "kernel_r1"),
    }[kind]
    assert made == [dict(zip(fields, paths, strict=True))]


@pytest.mark.parametrize(("kind", "name"), [("csrt", "TrackerCSRT"), ("mil", "TrackerMIL")])
def test_an_opencv_without_a_tracker_says_so(kind, name, monkeypatch):
    monkeypatch.delattr(cv2, name, raising=False)
    monkeypatch.delattr(cv2, "legacy", raising=False)
    with pytest.raises(RuntimeError, match=f"OpenCV {cv2.__version__}.* has no {name}"):
        reference_factory(kind)


def opencv_error(text):
    """An error as OpenCV raises it."""
    error = cv2.error(text)
    error.err = text
    return error


class Failing:
    """An OpenCV tracker that finds nothing, and then fails."""

    def __init__(self):
        self.frames = 0

    def init(self, image, box):
        if box[2] < 5:
            raise opencv_error("too small")

    def update(self, image):
        self.frames += 1
        if self.frames > 1:
            raise opencv_error("some assertion")
        return False, (0, 0, 0, 0)


def test_what_opencv_does_not_find_or_cannot_do(monkeypatch):
    monkeypatch.setattr(OpenCvTracker, "_create", lambda self: Failing())
    tracker = OpenCvTracker("mil")
    image = np.zeros((20, 30, 3), np.uint8)
    state = tracker.initialize(image, (4.4, 5.0, 6.0, 7.0))
    state, result = tracker.track(image, state)
    assert result.box_xywh == (4, 5, 6, 7)
    assert result.confidence == 0.0
    with pytest.raises(RuntimeError, match="mil cannot go on: some assertion"):
        tracker.track(image, state)
    with pytest.raises(RuntimeError, match="mil cannot start: too small"):
        tracker.initialize(image, (4, 5, 1, 1))


# --- A user's own

MODULE = '''
from siammask_ros.evaluation import BoxResult


class Still:
    """A box that never moves."""

    def __init__(self, *weights):
        self.weights = weights

    def initialize(self, image_bgr, box_xywh):
        return tuple(box_xywh)

    def track(self, image_bgr, state):
        height, width = image_bgr.shape[:2]
        return state, BoxResult(state, (width, height), confidence=1.0)


def make(*weights):
    return Still(*weights)


ready = Still()
number = 3
half = lambda: type("Half", (), {"initialize": lambda self, image, box: None})()
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "still.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "own" / "still.py"


@pytest.mark.parametrize("attribute", ["Still", "make", "ready"])
@pytest.mark.parametrize("by", ["module", "path"])
def test_a_users_tracker_is_scored(module, attribute, by):
    name = f"own.still:{attribute}" if by == "module" else f"{module}:{attribute}"
    factory = reference_factory(name)
    assert factory == pickle.loads(pickle.dumps(factory)) == OwnTracker(name)  # noqa: S301
    sequence = MovingSquare("a")
    found = evaluate_sequence(sequence, factory)
    expected = evaluate_sequence(sequence, reference_factory("never-moves"))
    assert found.region_similarity == expected.region_similarity
    assert found.frames[0].confidence == 1.0


def test_a_users_tracker_runs_in_several_processes(module):
    sequences = [MovingSquare("a"), MovingSquare("b")]
    options = {"tracker_name": "still", "dataset_name": "squares"}
    alone = evaluate(sequences, reference_factory("own.still:Still"), **options)
    together = evaluate(sequences, reference_factory("own.still:Still"), jobs=2, **options)
    assert together.region_similarity == alone.region_similarity


def test_a_users_tracker_gets_its_weights(module):
    factory = reference_factory("own.still:Still", ["a.onnx", "b.onnx"])
    assert factory(None).weights == ("a.onnx", "b.onnx")


@pytest.mark.parametrize(
    ("name", "weights", "words"),
    [
        (":Still", (), "expected module:name or file.py:name, got ':Still'"),
        ("own.still:", (), "expected module:name"),
        ("own.moving:Still", (), "there is no module own.moving, nor a file own/moving.py"),
        ("own/moving.py:Still", (), "nor a file own/moving.py"),
        ("own.still:Moving", (), "own.still has no Moving"),
        ("own.still:number", (), "own.still:number is no tracker"),
        ("own.still:ready", ("a.onnx",), "is a tracker already, it takes no weights"),
    ],
)
def test_a_name_that_is_no_tracker_is_refused(module, name, weights, words):
    with pytest.raises(ValueError, match=words):
        reference_factory(name, weights)


def test_what_is_made_must_be_a_tracker(module):
    factory = reference_factory("own.still:half")
    with pytest.raises(ValueError, match="makes a Half, which has no method track"):
        factory(None)


def test_a_module_that_the_users_needs_is_named(module):
    module.write_text("import absent_module\n")
    with pytest.raises(ModuleNotFoundError, match="absent_module"):
        reference_factory(f"{module}:Still")


DATACLASS = """
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

with Path("runs").open("a") as runs:
    runs.write("x")


@dataclass
class Still:
    share: float = 0.5

    def initialize(self, image_bgr, box_xywh): ...

    def track(self, image_bgr, state): ...
"""


def test_a_file_may_have_dataclasses_and_is_run_once(module, tmp_path):
    module.write_text(DATACLASS)
    factory = reference_factory(f"{module}:Still")
    assert (factory(None).share, factory(None).share) == (0.5, 0.5)
    assert (tmp_path / "runs").read_text() == "x"


def test_a_file_that_fails_is_not_taken_for_read(module):
    module.write_text("raise RuntimeError('half way')\n")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="half way"):
            reference_factory(f"{module}:Still")


def test_plain_results():
    box = BoxResult((2.0, 1.0, 3.0, 2.0), (8, 5))
    assert (box.mask.shape, box.mask.sum()) == ((5, 8), 6)
    assert MaskResult(box.mask).box_xywh == box.box_xywh
    assert MaskResult(np.zeros((5, 8), bool)).box_xywh == (0, 0, 0, 0)
