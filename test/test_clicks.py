# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Boxes grown from clicks, on pictures with a known object."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from siammask_ros import SiamMaskTracker, load_network
from siammask_ros.clicks import Click, clicked_pixel, grow_box
from siammask_ros.geometry import MIN_BOX_SIDE, Box, box_iou
from siammask_ros.masks import ImageRegion

OBJECT = Box(60, 30, 90, 50)
SIZE_WH = (240, 160)
IMAGE = np.zeros((SIZE_WH[1], SIZE_WH[0], 3), np.uint8)


class Oracle:
    """Knows the object, and sees it whole in boxes of about its size, in parts in others."""

    def __init__(self, *, sees=True):
        self.sees = sees
        self.calls = []

    def initialize_batch(self, targets):
        self.calls.append(len(targets))
        return [Box(*box_xywh) for _, box_xywh in targets]

    def track_batch(self, targets):
        return [(box, self._result(box)) for _, box in targets]

    def _result(self, box):
        whole = box_iou(box, OBJECT) > 0.2
        (left, top, right, bottom), limits = box.xyxy, OBJECT.xyxy
        found = OBJECT if whole else Box.from_xyxy(
            max(left, limits[0]), max(top, limits[1]), min(right, limits[2]), min(bottom, limits[3])
        )  # fmt: skip
        mask = np.zeros(SIZE_WH[::-1], bool)
        left, top, right, bottom = (round(edge) for edge in found.xyxy)
        mask[top:bottom, left:right] = self.sees
        return SimpleNamespace(
            box=found, mask_in_roi=mask, mask_roi=ImageRegion(0, 0, *SIZE_WH),
            confidence=0.9, image_size_wh=SIZE_WH,
        )  # fmt: skip


@pytest.mark.parametrize("point_xy", [(100.0, 50.0), (62.0, 32.0), (148.0, 78.0)])
def test_the_box_grows_to_the_object(point_xy):
    oracle = Oracle()
    assert box_iou(grow_box(oracle, IMAGE, point_xy), OBJECT) > 0.95
    assert len(oracle.calls) <= 3  # each of them one forward pass


@pytest.mark.parametrize("point_xy", [(-0.5, -0.5), (239.4, 159.4), (0.0, 80.0)])
def test_without_any_mask_it_is_a_square_in_the_image(point_xy):
    box = grow_box(Oracle(sees=False), IMAGE, point_xy)
    left, top, right, bottom = box.xyxy
    assert 0 <= left < right <= SIZE_WH[0]
    assert 0 <= top < bottom <= SIZE_WH[1]
    assert min(box.size_wh) >= MIN_BOX_SIDE


@pytest.mark.parametrize(
    ("point_xy", "words"),
    [
        ((240.0, 10.0), r"outside the image: x, y = \(240, 10\) in 240x160"),
        ((10.0, -1.0), "outside the image"),
        ((float("nan"), 10.0), "finite"),
    ],
)
def test_points_outside_are_refused(point_xy, words):
    with pytest.raises(ValueError, match=words):
        grow_box(Oracle(), IMAGE, point_xy)


@pytest.mark.parametrize(
    ("point_xy", "expected"),
    [
        ((12.0, 7.5), (12, 7.5)),
        ((240.0, 160.0), (239, 159)),  # rqt_image_view at the image's edges
        ((-0.6, 0.0), (0, 0)),
    ],
)
def test_clicks_just_beyond_the_image_are_on_its_last_pixel(point_xy, expected):
    assert clicked_pixel(Click(point_xy), SIZE_WH) == expected


@pytest.mark.parametrize("frame_id", ["", "camera_optical", "/camera_optical"])
def test_clicks_in_the_frame_of_the_image_are_pixels(frame_id):
    click = Click((12.0, 7.0), frame_id=frame_id)
    assert clicked_pixel(click, SIZE_WH, "camera_optical") == (12, 7)


@pytest.mark.parametrize(
    ("click", "words"),
    [
        (Click((1.2, 0.7), frame_id="map"), r"in frame 'map', not a pixel .*'camera_optical'"),
        (Click((1.2, 0.7), frame_id="camera_optical", z=2.5), r"not a pixel of the image: z = 2.5"),
        (Click((1.2, 0.7), z=float("nan")), "z = nan"),
        (Click((241.5, 10.0)), r"outside the image: x, y = \(241.5, 10\) in 240x160"),
        (Click((float("inf"), 10.0)), "finite"),
    ],
)
def test_places_in_the_world_are_no_clicks(click, words):
    with pytest.raises(ValueError, match=words):
        clicked_pixel(click, SIZE_WH, "camera_optical")


def first_frames(folder, names):
    """Image, click at the mask's most inner point, and true box."""
    for name in names:
        annotation = min((folder / "Annotations" / name).iterdir())
        mask = cv2.imread(str(annotation), cv2.IMREAD_GRAYSCALE) > 127
        image = cv2.imread(str(folder / "JPEGImages" / name / f"{annotation.stem}.jpg"))
        depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
        y, x = np.unravel_index(depth.argmax(), depth.shape)
        yield image, (float(x), float(y)), Box.from_mask(mask)


def test_boxes_on_real_pictures(shared_dir):
    """The median of these six is 0.96; over all thirty it is 0.89."""
    folder = shared_dir / "davis16-train"
    if not folder.is_dir():
        pytest.skip(f"there is no {folder}")
    tracker = SiamMaskTracker(load_network("compact"))
    names = ("bear", "car-turn", "hike", "motorbike", "soccerball", "tennis")
    ious = [
        box_iou(grow_box(tracker, image_bgr, point_xy), box)
        for image_bgr, point_xy, box in first_frames(folder, names)
    ]
    assert np.median(ious) > 0.85
