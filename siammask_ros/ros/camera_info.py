# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lines of sight: from pixels to directions, by a camera's calibration or by a guess.

What the fields of `sensor_msgs/CameraInfo` mean is taken from that message's own text; that
`image_rect` is named like this, from image_proc.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo

from siammask_ros.ros.parameters import AUTO, CAMERA_PLACE, NO_CAMERA_INFO

FloatArray = NDArray[np.float64]

FISHEYE_MODEL = "equidistant"
FISHEYE_NUMBERS = 4
DISTORTION_NUMBERS = {
    "plumb_bob": (4, 5),
    "rational_polynomial": (4, 5, 8, 12, 14),
    FISHEYE_MODEL: (FISHEYE_NUMBERS,),
}
"""The distortion models, and how many numbers they may have."""
RECTIFIED_NAME = "image_rect"
UNDISTORTION = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-10)
"""OpenCV's own five steps leave pixels of error in wide lenses."""
LARGEST_ERROR_PX = 0.5
"""A point that comes back farther from where it was has no direction in the distortion's model."""
NOT_USED = "not used"
"""What explains a calibration begins with it where there is one that cannot be used."""
SIZES_KEPT = 8
CAMERA_INFO_QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Fits every publisher's offer."""


@dataclass(frozen=True)
class Sight:
    """Where the pixels of an image look.

    Attributes:
        matrix: (3, 3) of the camera at full resolution, in pixels.
        distortion: as OpenCV orders them; empty for none.
        is_fisheye: they are those of `cv2.fisheye`.
        offset_xy: the image's first pixel in the full resolution, in pixels.
        binning_xy: pixels of the full resolution that one of the image stands for.
    """

    matrix: FloatArray
    distortion: FloatArray
    is_fisheye: bool = False
    offset_xy: tuple[float, float] = (0.0, 0.0)
    binning_xy: tuple[float, float] = (1.0, 1.0)

    def directions(self, points_xy: NDArray[Any]) -> FloatArray:
        """Where points of the image look, in the optical frame: x and y at z = 1.

        A point at which the distortion cannot be undone (outside the image, as a rule) looks as
        if there were none.

        Args:
            points_xy: (N, 2) pixels, (0, 0) the centre of the first one.

        Returns:
            (N, 2), x to the right and y down.
        """
        binning = np.asarray(self.binning_xy)
        points = np.asarray(points_xy, dtype=np.float64).reshape(-1, 2)
        # The centre of the first pixel is the middle of those that were put together.
        full = points * binning + (binning - 1) / 2 + np.asarray(self.offset_xy)
        straight = self._without_distortion(full)
        if not len(points) or not (self.is_fisheye or self.distortion.any()):
            return straight
        bent = self._undistorted(full)
        error_px = np.linalg.norm(self._seen_at(bent) - full, axis=1)
        with np.errstate(invalid="ignore"):
            is_true = error_px <= LARGEST_ERROR_PX
        return np.where(is_true[:, None], bent, straight)

    def _without_distortion(self, points: FloatArray) -> FloatArray:
        focal = self.matrix[[0, 1], [0, 1]]
        return (points - self.matrix[:2, 2]) / focal

    def _undistorted(self, points: FloatArray) -> FloatArray:
        shaped = points.reshape(-1, 1, 2)
        if self.is_fisheye:
            found = cv2.fisheye.undistortPoints(shaped, self.matrix, self.distortion)
        elif hasattr(cv2, "undistortPointsIter"):  # before OpenCV 5
            found = cv2.undistortPointsIter(
                shaped, self.matrix, self.distortion, np.eye(3), np.eye(3), UNDISTORTION
            )
        else:
            found = cv2.undistortPoints(shaped, self.matrix, self.distortion, criteria=UNDISTORTION)
        return np.asarray(found, dtype=np.float64).reshape(-1, 2)

    def _seen_at(self, directions: FloatArray) -> FloatArray:
        """The pixels of the full resolution at which directions are seen."""
        nowhere = np.zeros(3)
        finite = np.nan_to_num(directions, nan=0.0, posinf=0.0, neginf=0.0)
        places = np.column_stack([finite, np.ones(len(finite))]).reshape(-1, 1, 3)
        project = cv2.fisheye.projectPoints if self.is_fisheye else cv2.projectPoints
        seen, _ = project(places, nowhere, nowhere, self.matrix, self.distortion)
        found = np.asarray(seen, dtype=np.float64).reshape(-1, 2)
        found[~np.isfinite(directions).all(axis=1)] = math.inf
        return found


def guessed_sight(image_size_wh: tuple[int, int], field_of_view_deg: float) -> Sight:
    """A camera without distortion that looks through the image's centre.

    Args:
        image_size_wh: pixels.
        field_of_view_deg: from the left edge of the image to the right one.
    """
    width, height = image_size_wh
    focal_px = width / 2 / math.tan(math.radians(field_of_view_deg) / 2)
    matrix = np.array([[focal_px, 0, (width - 1) / 2], [0, focal_px, (height - 1) / 2], [0, 0, 1]])
    return Sight(matrix, np.zeros(0))


def image_size_of(info: CameraInfo) -> tuple[int, int]:
    """Width and height in pixels of the images that a calibration is for."""
    width = info.roi.width or info.width
    height = info.roi.height or info.height
    return width // max(info.binning_x, 1), height // max(info.binning_y, 1)


def calibrated_sight(info: CameraInfo, *, rectified: bool = False) -> Sight:
    """The camera that a message describes.

    Args:
        info: its binning and region of interest count.
        rectified: the images are without distortion already: the projection matrix P is theirs.

    Raises:
        ValueError: it is not calibrated, has a number that is not finite or a distortion that is
            not known.
    """
    matrix = np.reshape(info.p, (3, 4))[:, :3] if rectified else np.reshape(info.k, (3, 3))
    matrix = np.array(matrix, dtype=np.float64)
    distortion = np.array([] if rectified else info.d, dtype=np.float64)
    name = "P" if rectified else "K"
    if not (np.isfinite(matrix).all() and np.isfinite(distortion).all()):
        raise ValueError(f"{name} or D has numbers that are not finite")
    if matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        raise ValueError(
            f"the camera is not calibrated: {name} has the focal lengths "
            f"{matrix[0, 0]:g}, {matrix[1, 1]:g}"
        )
    is_fisheye = info.distortion_model == FISHEYE_MODEL and not rectified
    if is_fisheye and not distortion.size:
        distortion = np.zeros(FISHEYE_NUMBERS)
    if is_fisheye or distortion.any():
        _check_distortion(info.distortion_model, distortion.size)
    return Sight(
        matrix,
        distortion,
        is_fisheye,
        (float(info.roi.x_offset), float(info.roi.y_offset)),
        (float(max(info.binning_x, 1)), float(max(info.binning_y, 1))),
    )


def _check_distortion(model: str, count: int) -> None:
    if model not in DISTORTION_NUMBERS:
        raise ValueError(f"distortion model {model!r} is not known")
    if count not in DISTORTION_NUMBERS[model]:
        raise ValueError(f"distortion model {model} has {count} numbers in D")


def camera_info_topic(node: Node, wish: str, prefix: str, image_topic: str) -> str:
    """Full name of the topic of a camera's calibration; empty where it is not read.

    Args:
        node: resolves names.
        wish: parameter `camera_info`: auto, none or a topic, with {camera} for the camera's name.
        prefix: of the camera's topics, such as `left/`.
        image_topic: full name, as the camera's driver gives it.
    """
    if wish == NO_CAMERA_INFO:
        return ""
    if wish != AUTO:
        return node.resolve_topic_name(wish.replace(CAMERA_PLACE, prefix.rstrip("/")))
    own = f"{prefix}camera_info"
    remapped = node.resolve_topic_name(own)
    if remapped != node.resolve_topic_name(own, only_expand=True):
        return remapped
    return f"{image_topic.rpartition('/')[0]}/camera_info"


def is_rectified(image_topic: str) -> bool:
    """The name of an image topic says that its images are without distortion."""
    return image_topic.rpartition("/")[2].startswith(RECTIFIED_NAME)


class CameraInfoSource:
    """One camera's calibration as it comes; the latest of each size of image counts."""

    def __init__(self, node: Node, topic: str, image_topic: str) -> None:
        """Subscribe to `topic`; to nothing where that is empty."""
        self.topic = topic
        self._node = node
        self._rectified = is_rectified(image_topic)
        self._latest: dict[tuple[int, int], CameraInfo] = {}
        self._known: tuple[CameraInfo, Sight | str] | None = None
        self._subscription = (
            node.create_subscription(CameraInfo, topic, self._receive, CAMERA_INFO_QOS)
            if topic
            else None
        )

    def sight(self, image_size_wh: tuple[int, int], field_of_view_deg: float) -> Sight:
        """Of images of this size; the guess as long as no calibration of theirs can be used."""
        found = self._calibration(image_size_wh)
        if isinstance(found, Sight):
            return found
        return guessed_sight(image_size_wh, field_of_view_deg)

    def explain(self, image_size_wh: tuple[int, int] | None) -> str:
        """What is used for images of this size (None: there was no image yet), to read."""
        if not self.topic:
            return "not read: parameter camera_info is none"
        if not self._latest:
            return f"none on {self.topic}"
        if image_size_wh is None:
            return self.topic
        found = self._calibration(image_size_wh)
        if isinstance(found, Sight):
            return f"{self.topic}, rectified" if self._rectified else self.topic
        return f"{NOT_USED}: {found}"

    def destroy(self) -> None:
        """Unsubscribe."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def _receive(self, message: CameraInfo) -> None:
        size_wh = image_size_of(message)
        latest = dict(self._latest)  # another thread reads it
        latest.pop(size_wh, None)
        while len(latest) >= SIZES_KEPT:
            del latest[next(iter(latest))]
        self._latest = {**latest, size_wh: message}

    def _calibration(self, image_size_wh: tuple[int, int]) -> Sight | str:
        """What is known of images of this size, or why nothing is."""
        latest = self._latest
        info = latest.get(image_size_wh)
        if info is None:
            if not latest:
                return "none has come"
            width, height = next(reversed(latest))
            return "{} is of images of {}x{}, these have {}x{}".format(
                self.topic, width, height, *image_size_wh
            )
        known = self._known
        if known is None or known[0] is not info:
            try:
                known = (info, calibrated_sight(info, rectified=self._rectified))
            except ValueError as error:
                known = (info, f"{self.topic}: {error}")
            self._known = known
        return known[1]
