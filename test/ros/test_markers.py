# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Markers and annotations: where they lie, what they say, in which colour, and for how long."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, RegionOfInterest
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from siammask_ros.localization.camera import (
    Sight,
    calibrated_sight,
    guessed_sight,
    image_size_of,
)
from siammask_ros.longterm import TargetResult
from siammask_ros.ros.camera_info import is_rectified
from siammask_ros.ros.foxglove import foxglove_messages, image_annotations
from siammask_ros.ros.markers import CaptionPlaces, caption, markers, state_rgb
from siammask_ros.target_status import TargetStatus
from siammask_ros.tracked import TargetEntry

SIZE_WH = (640, 480)
HEADER = Header(frame_id="camera_optical", stamp=Time(sec=7, nanosec=9))
CORNERS = np.array([(100.0, 60.0), (180.0, 100.0), (160.0, 140.0), (80.0, 100.0)])
FOCAL_XY, CENTRE_XY = (500.0, 520.0), (310.0, 250.0)
BROWN = (-0.31, 0.12, 0.001, -0.002, -0.02)


def seen(target_id=3, corners=CORNERS, *, status=TargetStatus.TRACKING, label="cup"):
    result = SimpleNamespace(corners=np.asarray(corners))
    return TargetEntry(target_id, label, TargetResult(status, result, 0.75, 0))


def unseen(target_id=3, *, status=TargetStatus.LOST, age=9):
    return TargetEntry(target_id, "cup", TargetResult(status, None, 0.25, age))


def camera_info(distortion=(), model="plumb_bob", **fields):
    (fx, fy), (cx, cy) = FOCAL_XY, CENTRE_XY
    return CameraInfo(
        width=SIZE_WH[0], height=SIZE_WH[1], distortion_model=model, d=distortion,
        k=[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        p=[fx - 50, 0.0, cx + 7, -30.0, 0.0, fy - 60, cy - 5, 0.0, 0.0, 0.0, 1.0, 0.0], **fields,
    )  # fmt: skip


def drawn(entries, sight=None, *, places=None, distance_m=2.0, lifetime_s=1.0):
    places = CaptionPlaces().update(entries, SIZE_WH) if places is None else places
    sight = sight or guessed_sight(SIZE_WH, 60.0)
    return markers(
        HEADER, entries, places, sight, distance_m=distance_m, lifetime_s=lifetime_s
    ).markers


def outline_of(array):
    (outline,) = [marker for marker in array if marker.ns == "outline"]
    return np.array([(point.x, point.y, point.z) for point in outline.points])


def brown_pixel(x, y, z):
    """A point of the optical frame as the camera of `camera_info` sees it (OpenCV's manual)."""
    k1, k2, p1, p2, k3 = BROWN
    x, y = x / z, y / z
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    bent_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return FOCAL_XY[0] * bent_x + CENTRE_XY[0], FOCAL_XY[1] * bent_y + CENTRE_XY[1]


# --- Where


def test_the_guess_sees_the_right_edge_under_half_the_field_of_view():
    sight = guessed_sight(SIZE_WH, 90.0)
    ((x, y),) = sight.directions(np.array([(SIZE_WH[0] - 0.5, (SIZE_WH[1] - 1) / 2)]))
    assert math.degrees(math.atan(x)) == pytest.approx(45.0)
    assert y == pytest.approx(0.0)


def test_corners_keep_their_order_and_their_signs():
    """Top-left first, clockwise as one looks: x grows to the right, y downward, z is ahead."""
    upright = [(100.0, 60.0), (500.0, 60.0), (500.0, 400.0), (100.0, 400.0)]
    outline = outline_of(drawn([seen(corners=upright)]))
    assert len(outline) == 5
    assert np.array_equal(outline[0], outline[-1])
    assert [tuple(np.sign(corner[:2])) for corner in outline[:4]] == [
        (-1, -1), (1, -1), (1, 1), (-1, 1),
    ]  # fmt: skip
    assert set(outline[:, 2]) == {2.0}


def test_a_calibrated_camera_s_corners_lie_on_the_lines_of_sight():
    outline = outline_of(drawn([seen()], calibrated_sight(camera_info())))
    for (x, y, z), (u, v) in zip(outline, CORNERS, strict=False):
        assert FOCAL_XY[0] * x / z + CENTRE_XY[0] == pytest.approx(u)
        assert FOCAL_XY[1] * y / z + CENTRE_XY[1] == pytest.approx(v)


def test_distortion_is_undone():
    edges = np.array([(0.0, 0.0), (639.0, 0.0), (639.0, 479.0), (0.0, 479.0)])
    outline = outline_of(drawn([seen(corners=edges)], calibrated_sight(camera_info(BROWN))))
    straight = outline_of(drawn([seen(corners=edges)], calibrated_sight(camera_info())))
    assert np.abs(outline - straight).max() > 0.1
    for point, pixel in zip(outline, edges, strict=False):
        assert brown_pixel(*point) == pytest.approx(pixel, abs=0.01)


def test_a_fisheye_s_angle_is_proportional_to_the_distance_from_the_centre():
    sight = calibrated_sight(camera_info((0.0,) * 4, "equidistant"))
    ((x, y),) = sight.directions(np.array([(CENTRE_XY[0] + 250.0, CENTRE_XY[1])]))
    assert math.atan(x) == pytest.approx(250.0 / FOCAL_XY[0])
    assert y == pytest.approx(0.0)


@pytest.mark.parametrize(
    "info", [camera_info(BROWN), camera_info((0.1, -0.2, 0.05, 0.0), "equidistant")]
)
def test_corners_far_outside_the_image_stay_finite(info):
    outline = outline_of(drawn([seen(corners=CORNERS * 30 - 4000)], calibrated_sight(info)))
    assert np.isfinite(outline).all()
    assert np.abs(outline).max() < 100


def test_binning_and_region_of_interest_count():
    """Pixel (u, v) of the image is made of 2 x 3 pixels of the full resolution."""
    roi = RegionOfInterest(x_offset=100, y_offset=60, width=400, height=300)
    info = camera_info(binning_x=2, binning_y=3, roi=roi)
    assert image_size_of(info) == (200, 100)
    ((x, y),) = calibrated_sight(info).directions(np.array([(50.0, 20.0)]))
    full = (np.mean([200.0, 201.0]), np.mean([120.0, 121.0, 122.0]))
    assert FOCAL_XY[0] * x + CENTRE_XY[0] == pytest.approx(full[0])
    assert FOCAL_XY[1] * y + CENTRE_XY[1] == pytest.approx(full[1])


def test_rectified_images_have_the_projection_matrix_and_no_distortion():
    sight = calibrated_sight(camera_info(BROWN), rectified=True)
    ((x, y),) = sight.directions(np.array([(17.0, 33.0)]))
    assert (450.0 * x + 317.0, 460.0 * y + 245.0) == pytest.approx((17.0, 33.0))
    assert is_rectified("/camera/image_rect_color")
    assert not is_rectified("/image_rect/image_raw")


@pytest.mark.parametrize(
    ("info", "words"),
    [
        (CameraInfo(width=640, height=480), "not calibrated: K has the focal lengths 0, 0"),
        (camera_info((0.1,) * 5, "fov"), "distortion model 'fov' is not known"),
        (camera_info((0.1,) * 3), "plumb_bob has 3 numbers"),
        (camera_info((math.nan,) * 5), "not finite"),
    ],
)
def test_calibrations_that_cannot_be_used_are_refused(info, words):
    with pytest.raises(ValueError, match=words):
        calibrated_sight(info)


def test_a_model_that_is_not_known_but_does_nothing_is_taken():
    sight = calibrated_sight(camera_info((0.0,) * 5, "inverse_brown_conrady"))
    assert sight.directions(np.array([CENTRE_XY]))[0] == pytest.approx((0.0, 0.0))


# --- What, and for how long


def test_text_says_id_label_confidence_and_state():
    assert caption(seen()) == "#3 cup 0.75"
    assert caption(seen(label="", status=TargetStatus.UNCERTAIN)) == "#3 0.75 UNCERTAIN"
    assert caption(unseen()) == "#3 cup LOST for 9"
    assert caption(unseen(age=0)) == "#3 cup LOST"
    assert caption(seen(label="Tür 门")) == "#3 Tür 门 0.75"


def test_outline_and_text_of_a_target():
    array = drawn([seen()], lifetime_s=2.5)
    assert [marker.action for marker in array] == [Marker.DELETEALL, Marker.ADD, Marker.ADD]
    outline, text = array[1:]
    assert (outline.type, text.type) == (Marker.LINE_STRIP, Marker.TEXT_VIEW_FACING)
    for marker in (outline, text):
        assert marker.header == HEADER
        assert (marker.lifetime.sec, marker.lifetime.nanosec) == (2, 500_000_000)
        assert marker.id == 3
        assert marker.pose.orientation.w == 1.0
        assert not marker.frame_locked
    highest = min(point.y for point in outline.points)
    middle = np.mean([point.x for point in (outline.points[1], outline.points[3])])
    assert text.pose.position.y < highest
    assert text.pose.position.x == pytest.approx(middle, abs=1e-6)
    assert text.pose.position.z == 2.0


class Viewer:
    """What rviz holds after some arrays: by namespace and id, as its MarkerCommon does it."""

    def __init__(self):
        self.shown = {}

    def take(self, array):
        keys = [(marker.ns, marker.id) for marker in array]
        assert len(keys) == len(set(keys))  # rviz reports an error otherwise
        for marker in array:
            if marker.action == Marker.DELETEALL:
                self.shown = {
                    key: held for key, held in self.shown.items() if marker.ns not in ("", key[0])
                }
            elif marker.action == Marker.DELETE:
                self.shown.pop((marker.ns, marker.id), None)
            else:
                self.shown[marker.ns, marker.id] = marker
        return set(self.shown)


def test_what_is_gone_is_removed_and_a_lost_target_keeps_its_text_in_its_last_place():
    viewer, places = Viewer(), CaptionPlaces()

    def take(*entries, size_wh=SIZE_WH):
        return viewer.take(drawn(entries, places=places.update(entries, size_wh)))

    both = {("outline", 3), ("label", 3)}
    assert take(seen(3), seen(8)) == both | {("outline", 8), ("label", 8)}
    last = viewer.shown["label", 3].pose.position
    assert take(unseen(3)) == {("label", 3)}
    assert viewer.shown["label", 3].pose.position == last
    assert viewer.shown["label", 3].text == "#3 cup LOST for 9"
    assert take(seen(3)) == both
    assert take(unseen(3, status=TargetStatus.INITIALIZING)) == set()  # started anew
    assert take(unseen(3)) == set()  # its place is not known
    take(seen(3))
    assert take(unseen(3), size_wh=(320, 240)) == set()  # pixels of another image
    take(seen(3))
    assert take() == set()


def test_each_target_has_its_own_points():
    """Some without a box, some without a place, with a distortion, and none at all."""
    sight = calibrated_sight(camera_info(BROWN))
    entries = [seen(1, CORNERS + 40), unseen(2), unseen(4), seen(9, CORNERS)]
    array = drawn(entries, sight, places={2: (50.0, 60.0), 9: (130.0, 60.0)})
    assert [(marker.ns, marker.id) for marker in array[1:]] == [
        ("outline", 1), ("label", 2), ("outline", 9), ("label", 9),
    ]  # fmt: skip
    for marker, pixels in ((array[1], CORNERS + 40), (array[3], CORNERS)):
        for point, pixel in zip(marker.points, pixels, strict=False):
            assert brown_pixel(point.x, point.y, point.z) == pytest.approx(pixel, abs=0.01)
    text = array[2].pose.position
    assert brown_pixel(text.x, text.y + 0.075, text.z) == pytest.approx((50.0, 60.0), abs=0.01)
    assert len(drawn([], sight)) == 1


# --- In which colour

DICHROMACY = {  # Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
CLEARLY_DIFFERENT = 25.0
"""Distance in CIE 1976 L*a*b*; 2.3 is just noticeable."""


def as_seen(rgb, eyes):
    rgb = np.asarray(rgb)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    dull = np.clip(np.asarray(DICHROMACY[eyes]) @ linear, 0, 1)
    shown = np.where(dull <= 0.0031308, dull * 12.92, 1.055 * dull ** (1 / 2.4) - 0.055)
    return cv2.cvtColor(np.float32([[shown]]), cv2.COLOR_RGB2Lab)[0, 0]


@pytest.mark.parametrize("eyes", DICHROMACY)
def test_states_are_told_apart_by_all_eyes(eyes):
    states = (TargetStatus.TRACKING, TargetStatus.UNCERTAIN, TargetStatus.LOST)
    for one, other in itertools.combinations(states, 2):
        difference = as_seen(state_rgb(one), eyes) - as_seen(state_rgb(other), eyes)
        assert np.linalg.norm(difference) > CLEARLY_DIFFERENT, (one.name, other.name)


def test_colour_is_that_of_the_state_whatever_the_id():
    entries = [seen(3), seen(4), seen(5, status=TargetStatus.UNCERTAIN), unseen(6)]
    array = drawn(entries, places=dict.fromkeys((3, 4, 5, 6), (9.0, 9.0)))
    colours = {marker.id: (marker.color.r, marker.color.g, marker.color.b) for marker in array}
    assert colours[3] == colours[4]
    assert len({colours[number] for number in (3, 5, 6)}) == 3
    red, green, blue = colours[3]  # not blue for red
    assert green > max(red, blue)
    assert colours[6][0] > 2 * colours[6][2]
    assert all(marker.color.a == 1.0 for marker in array[1:])


# --- Foxglove


def foxglove_double():
    """Messages with the fields of foxglove_msgs 3, for where it is not installed."""

    def kind(name, *fields, **constants):
        def make(self, **given):
            assert set(given) <= set(fields)
            empty = {field: [] for field in ("points", "texts") if field in fields}
            SimpleNamespace.__init__(self, **{**dict.fromkeys(fields), **empty, **given})

        return type(name, (SimpleNamespace,), {"__init__": make, **constants})

    return SimpleNamespace(
        Color=kind("Color", "r", "g", "b", "a"),
        Point2=kind("Point2", "x", "y"),
        ImageAnnotations=kind("ImageAnnotations", "timestamp", "circles", "points", "texts"),
        PointsAnnotation=kind(
            *("PointsAnnotation", "timestamp", "type", "points", "outline_color"),
            *("outline_colors", "fill_color", "thickness"),
            LINE_LOOP=2,
        ),
        TextAnnotation=kind(
            *("TextAnnotation", "timestamp", "position", "text", "font_size", "text_color"),
            "background_color",
        ),
    )


@pytest.fixture(params=["installed", "double"])
def foxglove(request):
    if request.param == "double":
        return foxglove_double()
    messages = foxglove_messages()
    if messages is None:
        pytest.skip("foxglove_msgs is not installed here")
    return messages


def test_annotations_are_in_pixels_from_the_first_one_s_corner(foxglove):
    entries = [seen(), unseen(4), seen(5, status=TargetStatus.UNCERTAIN)]
    places = CaptionPlaces().update([seen(), seen(4), seen(5)], SIZE_WH)
    message = image_annotations(foxglove, HEADER, entries, places, SIZE_WH)
    assert message.timestamp == HEADER.stamp
    box, other = message.points
    assert box.type == foxglove.PointsAnnotation.LINE_LOOP
    assert [(point.x, point.y) for point in box.points] == [tuple(xy) for xy in CORNERS + 0.5]
    assert box.thickness > 0
    assert box.outline_color.a == 1.0
    assert (box.outline_color.r, box.outline_color.g, box.outline_color.b) == state_rgb(
        TargetStatus.TRACKING
    )
    assert other.outline_color != box.outline_color
    assert [text.text for text in message.texts] == [
        "#3 cup 0.75", "#4 cup LOST for 9", "#5 cup 0.75 UNCERTAIN",
    ]  # fmt: skip
    for annotation in (*message.points, *message.texts):
        assert annotation.timestamp == HEADER.stamp
    assert message.texts[0].position.y < CORNERS[:, 1].min() + 0.5
    assert message.texts[0].font_size >= 9


def test_a_sight_of_nothing_special_is_the_pinhole():
    matrix = np.array([[10.0, 0, 4], [0, 20, 6], [0, 0, 1]])
    found = Sight(matrix, np.zeros(0)).directions(np.array([(14.0, 26.0)]))
    assert found.tolist() == [[1.0, 1.0]]
