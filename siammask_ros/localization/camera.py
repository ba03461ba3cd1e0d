# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lines of sight: from pixels to directions and back, by a camera's calibration or by a guess.

What the fields of `sensor_msgs/CameraInfo` mean is taken from that message's own text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

FISHEYE_MODEL = "equidistant"
FISHEYE_NUMBERS = 4
DISTORTION_NUMBERS = {
    "plumb_bob": (4, 5),
    "rational_polynomial": (4, 5, 8, 12, 14),
    FISHEYE_MODEL: (FISHEYE_NUMBERS,),
}
"""The distortion models, and how many numbers they may have."""
UNDISTORTION = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-10)
"""OpenCV's own five steps leave pixels of error in wide lenses."""
LARGEST_ERROR_PX = 0.5
"""A point that comes back farther from where it was has no direction in the distortion's model."""


class RegionOfInterest(Protocol):
    """What is read of a `sensor_msgs/RegionOfInterest`."""

    x_offset: int
    y_offset: int
    width: int
    height: int


class CameraInfo(Protocol):
    """What is read of a `sensor_msgs/CameraInfo`."""

    width: int
    height: int
    distortion_model: str
    d: Sequence[float]
    k: Sequence[float]
    p: Sequence[float]
    binning_x: int
    binning_y: int
    roi: Any
    """A `RegionOfInterest`."""


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
        if not len(points) or not self.is_bent:
            return straight
        bent = self._undistorted(full)
        error_px = np.linalg.norm(self._seen_at(bent) - full, axis=1)
        with np.errstate(invalid="ignore"):
            is_true = error_px <= LARGEST_ERROR_PX
        return np.where(is_true[:, None], bent, straight)

    def pixels(self, directions: NDArray[Any]) -> FloatArray:
        """Where directions are seen: the inverse of `directions`.

        Args:
            directions: (N, 2), x and y at z = 1. Far outside the image a distortion may fold back
                into it; the caller leaves such directions out.

        Returns:
            (N, 2) pixels; infinite where a direction is not finite.
        """
        given = np.asarray(directions, dtype=np.float64).reshape(-1, 2)
        if self.is_bent and len(given):
            full = self._seen_at(given)
        else:
            full = given * self.matrix[[0, 1], [0, 1]] + self.matrix[:2, 2]
        binning = np.asarray(self.binning_xy)
        pixels: FloatArray = (full - np.asarray(self.offset_xy) - (binning - 1) / 2) / binning
        return pixels

    def sees_like(self, other: Sight) -> bool:
        """Both see the same in the same pixels."""
        return (
            np.allclose(self.matrix, other.matrix)
            and self.is_fisheye == other.is_fisheye
            and np.array_equal(np.trim_zeros(self.distortion, "b"),
                               np.trim_zeros(other.distortion, "b"))
            and self.offset_xy == other.offset_xy
            and self.binning_xy == other.binning_xy
        )  # fmt: skip

    @property
    def is_bent(self) -> bool:
        """Straight lines are not straight in the image."""
        return self.is_fisheye or bool(self.distortion.any())

    @property
    def pixel_angle(self) -> float:
        """Radians that a pixel of the image takes in its middle, the mean of both axes."""
        focal = self.matrix[[0, 1], [0, 1]] / np.asarray(self.binning_xy)
        return float(1 / focal.mean())

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
