# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The recording for Rerun, read back with its own reader."""

from __future__ import annotations

from collections import defaultdict

import cv2
import numpy as np
import pytest
from made_run import FPS, STATES, run

from siammask_ros.drawing import target_colour
from siammask_ros.rerun_file import (
    BOXES_PATH,
    CAMERA_PATH,
    CONFIDENCE_PATH,
    IMAGE_PATH,
    MASK_PATH,
    STATES_PATH,
    RerunSink,
)

pytest.importorskip("rerun", reason="rerun-sdk is not installed")
chunk = pytest.importorskip("rerun.chunk", reason="this rerun-sdk cannot read recordings")

FRAMES = list(run("ITTLLT", "  ITTT", labels=["car", "dog"]))


def read(path):
    """The rows of each entity, in order of the frames; static ones have no frame."""
    rows = defaultdict(list)
    for part in chunk.RrdReader(path).stream():
        batch = part.to_record_batch().to_pylist()
        rows[part.entity_path.lstrip("/")] += batch
    return {
        place: sorted(entries, key=lambda row: row.get("frame", -1))
        for place, entries in rows.items()
    }


def values(rows, name):
    return [row[name] for row in rows if name in row]


@pytest.fixture(scope="module")
def recording_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("rerun") / "r.rrd"
    with RerunSink(path, name="clip") as sink:
        for tracked in FRAMES:
            sink.add(tracked)
    assert sink.finished
    assert [file.name for file in path.parent.iterdir()] == ["r.rrd"]
    return path


@pytest.fixture(scope="module")
def recording(recording_path):
    return read(recording_path)


def test_the_layout_is_in_the_file(recording_path):
    blueprints = chunk.RrdReader(recording_path).blueprints()
    assert [entry.application_id for entry in blueprints] == ["siammask_ros"]


def test_two_timelines_lead_through_the_frames(recording):
    for place in (IMAGE_PATH, MASK_PATH, BOXES_PATH):
        rows = recording[place]
        assert values(rows, "frame") == list(range(6))
        seconds = [time.total_seconds() for time in values(rows, "time")]
        assert seconds == pytest.approx([k / FPS for k in range(6)])
        assert not {"log_time", "log_tick"} & rows[0].keys()


def test_images_are_jpegs_and_masks_have_the_ids(recording):
    for row, tracked in zip(recording[IMAGE_PATH], FRAMES, strict=True):
        assert row["EncodedImage:media_type"] == ["image/jpeg"]
        (blob,) = row["EncodedImage:blob"]
        image = cv2.imdecode(np.frombuffer(bytes(blob), np.uint8), cv2.IMREAD_COLOR)
        assert cv2.absdiff(image, tracked.frame.image_bgr).mean() < 3
    for row, tracked in zip(recording[MASK_PATH], FRAMES, strict=True):
        (buffer,) = row["SegmentationImage:buffer"]
        width, height = tracked.size_wh
        labels = np.frombuffer(bytes(buffer), np.uint8).reshape(height, width)
        assert np.array_equal(labels, tracked.label_image())


def test_boxes_are_closed_lines_with_words(recording):
    for row, tracked in zip(recording[BOXES_PATH], FRAMES, strict=True):
        placed = [item for item in tracked.items() if item.corners is not None]
        assert len(row["LineStrips2D:strips"]) == len(placed)
        for strip, item in zip(row["LineStrips2D:strips"], placed, strict=True):
            assert np.allclose(strip, [*item.corners, item.corners[0]], atol=1e-4)
    assert recording[BOXES_PATH][4]["LineStrips2D:labels"] == ["#2 dog 0.67"]


def test_confidence_is_a_curve_for_each_target(recording):
    for number, name in ((1, "#1 car"), (2, "#2 dog")):
        rows = recording[f"{CONFIDENCE_PATH}/{number}"]
        expected = [
            entry.result.confidence
            for tracked in FRAMES
            for entry in tracked.entries
            if entry.target_id == number and entry.result.status != STATES["I"]
        ]
        assert values(rows, "Scalars:scalars") == [[value] for value in expected]
        assert values(rows, "SeriesLines:names") == [[name]]
    (table,) = values(recording[CAMERA_PATH], "AnnotationContext:context")[-1]
    told = {info["class_id"]: info["class_description"]["info"] for info in table}
    assert told[0]["color"] == 0  # clear
    assert told[2]["label"] == "#2 dog"
    blue, green, red = target_colour(2)
    assert told[2]["color"] == int.from_bytes([red, green, blue, 255], "big")


def test_states_are_a_log(recording):
    rows = recording[STATES_PATH]
    told = [(row["frame"], row["TextLog:text"][0], row["TextLog:level"][0]) for row in rows]
    assert told == [
        (0, "#1 car: given", "INFO"),
        (1, "#1 car: tracking", "INFO"),
        (2, "#2 dog: given", "INFO"),
        (3, "#1 car: lost", "WARN"),
        (3, "#2 dog: tracking", "INFO"),
        (5, "#1 car: found again", "INFO"),
    ]
