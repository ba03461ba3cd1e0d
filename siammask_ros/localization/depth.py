# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth of targets: from depth images and point clouds to the depths that are on a mask.

Depth is the distance along the optical axis, as in REP 118: metres in 32FC1, millimetres in
16UC1; zero, NaN and infinity are no measurements.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from siammask_ros.localization.camera import FloatArray, Sight
from siammask_ros.localization.space import RigidTransform

LabelImage = NDArray[np.uint8]
BoolArray = NDArray[np.bool_]

ENCODINGS: dict[str, type[np.generic]] = {
    "16uc1": np.uint16,
    "mono16": np.uint16,
    "32fc1": np.float32,
}
"""Types of depth images, by encoding in lower case."""
DEPTH_UNIT = 0.001
"""Metres that 1 stands for in 16UC1, by REP 118."""
LARGEST_PROPORTION = 1.02
"""Depth and image may differ so much in shape and still show the same."""
SIGHT_MARGIN = 0.1
"""Points are looked at that lie so much, of the mask's angle, beside its surroundings."""


class DepthError(ValueError):
    """Depth that cannot be used; the text says why."""


@dataclass(frozen=True)
class DepthLimits:
    """Which depths count.

    Attributes:
        nearest: metres; nearer ones are dropped.
        farthest: metres; farther ones are dropped.
    """

    nearest: float = 0.1
    farthest: float = 20.0

    def __post_init__(self) -> None:
        if not 0 < self.nearest < self.farthest:
            raise ValueError(f"min_range {self.nearest:g} is not below max_range {self.farthest:g}")

    def of(self, depths: NDArray[Any]) -> BoolArray:
        """Which of these metres count; those that are no numbers do not."""
        with np.errstate(invalid="ignore"):
            return np.asarray((depths >= self.nearest) & (depths <= self.farthest))


@dataclass(frozen=True)
class Samples:
    """The depths that are on one target.

    Attributes:
        depths: (N,) metres along the optical axis, those that count.
        offered: how many there would be without holes.
        points: (M, 3) metres in the camera's optical frame, of those that an (N,) mask keeps.
    """

    depths: FloatArray
    offered: int
    points: Callable[[BoolArray], FloatArray]


class DepthView(Protocol):
    """Depth, by target."""

    def samples(self, target_id: int, limits: DepthLimits) -> Samples:
        """Those on a target; none where it is not in the label image."""


@dataclass(frozen=True)
class DepthImage:
    """A depth image as it lies in its message.

    Attributes:
        values: (H, W) uint16 or float32.
        unit: metres that 1 stands for.
    """

    values: NDArray[Any]
    unit: float = 1.0

    @property
    def size_wh(self) -> tuple[int, int]:
        """Pixels."""
        height, width = self.values.shape
        return width, height


class DepthMessage(Protocol):
    """What is read of a `sensor_msgs/Image`."""

    width: int
    height: int
    encoding: str
    is_bigendian: Any
    """Any truth value."""
    step: int
    data: Any
    """The bytes."""


def decode_depth(message: DepthMessage, unit: float = DEPTH_UNIT) -> DepthImage:
    """The values of a depth image, without a copy.

    Args:
        message: the image.
        unit: metres that 1 stands for in 16UC1.

    Raises:
        DepthError: its encoding, size, step or data cannot be right.
    """
    kind = ENCODINGS.get(message.encoding.lower())
    if kind is None:
        known = ", ".join(sorted(ENCODINGS))
        raise DepthError(f"encoding {message.encoding!r} is no depth, only {known}")
    dtype = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
    width, height, step = message.width, message.height, message.step
    if width == 0 or height == 0:
        raise DepthError(f"the depth image is empty: {width}x{height} pixels")
    row_bytes = width * dtype.itemsize
    if step < row_bytes or len(message.data) < step * (height - 1) + row_bytes:
        raise DepthError(
            f"a depth image of {width}x{height} pixels {message.encoding} cannot have step {step} "
            f"and {len(message.data)} bytes"
        )
    values: NDArray[Any] = np.ndarray(
        (height, width), dtype, message.data, strides=(step, dtype.itemsize)
    )
    return DepthImage(values, unit if kind is np.uint16 else 1.0)


def without_border(labels: LabelImage, border_px: int) -> LabelImage:
    """A label image without the pixels that are near another label; 0 is there instead.

    What is at the image's own border stays. A mask that is too thin to have an inside keeps the
    pixels that are left with a narrower border.
    """
    left, top, width, height = cv2.boundingRect((labels > 0).view(np.uint8))
    if border_px <= 0 or width == 0:
        return labels
    around = (
        slice(max(top - border_px, 0), top + height + border_px),
        slice(max(left - border_px, 0), left + width + border_px),
    )
    result = np.zeros_like(labels)
    result[around] = _eroded(np.ascontiguousarray(labels[around]), border_px)
    return result


def _ids(labels: LabelImage) -> NDArray[np.intp]:
    return np.flatnonzero(np.bincount(labels.ravel(), minlength=256))


def _eroded(labels: LabelImage, border_px: int) -> LabelImage:
    if border_px == 0:
        return labels
    window = np.ones((2 * border_px + 1,) * 2, dtype=np.uint8)
    low, high = cv2.erode(labels, window), cv2.dilate(labels, window)
    inside: LabelImage = np.where(low == high, labels, np.uint8(0))
    thin = np.setdiff1d(_ids(labels), _ids(inside))
    if thin.size:
        narrower = _eroded(labels, border_px - 1)
        at_thin = np.isin(narrower, thin)
        inside[at_thin] = narrower[at_thin]
    return inside


class ImageDepth:
    """Depth of the pixels of an image, of the same or another size."""

    def __init__(
        self,
        image: DepthImage,
        labels: LabelImage,
        sight: Sight,
        depth_sight: Sight | None = None,
    ) -> None:
        """Find the targets in the depth image.

        Args:
            image: as it was measured.
            labels: (H, W) target ids, see `without_border`.
            sight: of the image that the labels are of.
            depth_sight: of the depth image, in the same optical frame; None: it shows the same
                as the image does, in its own number of pixels.

        Raises:
            DepthError: it cannot show the same.
        """
        self._image = image
        self._sight = depth_sight or sight
        self._scale_xy = np.ones(2)
        size_wh = (labels.shape[1], labels.shape[0])
        if depth_sight is not None:
            self._labels = _labels_seen_by(labels, sight, depth_sight, image.size_wh)
        elif image.size_wh == size_wh:
            self._labels = labels
        else:
            self._scale_xy = np.array(size_wh) / np.array(image.size_wh)
            proportion = float(self._scale_xy.max() / self._scale_xy.min())
            if proportion > LARGEST_PROPORTION:
                shapes = "depth of {}x{} is not of the shape of the image, {}x{}".format(
                    *image.size_wh, *size_wh
                )
                raise DepthError(f"{shapes}, and there is no CameraInfo of the depth image")
            self._labels = np.asarray(
                cv2.resize(labels, image.size_wh, interpolation=cv2.INTER_NEAREST_EXACT),
                dtype=np.uint8,
            )

    def samples(self, target_id: int, limits: DepthLimits) -> Samples:
        """See `DepthView`."""
        on_target, (left, top) = cut_out(self._labels, target_id)
        height, width = on_target.shape
        values = self._image.values[top : top + height, left : left + width][on_target]
        depths = values.astype(np.float64) * self._image.unit
        counts = limits.of(depths)

        def points(kept: BoolArray) -> FloatArray:
            rows, columns = np.nonzero(on_target)
            pixels = np.column_stack([columns + left, rows + top])[counts][kept]
            directions = self._sight.directions((pixels + 0.5) * self._scale_xy - 0.5)
            rays = np.column_stack([directions, np.ones(len(directions))])
            return rays * depths[counts][kept, None]

        return Samples(depths[counts], len(depths), points)


def cut_out(labels: LabelImage, target_id: int) -> tuple[BoolArray, tuple[int, int]]:
    """The pixels of a target: (h, w) of the smallest upright box round it, and its left and top."""
    mask = (labels == target_id).view(np.uint8)
    left, top, width, height = cv2.boundingRect(mask)
    part = mask[top : top + height, left : left + width]
    return part.view(np.bool_), (left, top)


def _labels_seen_by(
    labels: LabelImage, sight: Sight, depth_sight: Sight, depth_size_wh: tuple[int, int]
) -> LabelImage:
    """The label at each pixel of a depth image that a camera at the same place has taken."""
    map_x, map_y = _pixel_map(sight, depth_sight, depth_size_wh)
    return np.asarray(
        cv2.remap(labels, map_x, map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT),
        dtype=np.uint8,
    )


_maps: dict[tuple[int, int, tuple[int, int]], tuple[Any, ...]] = {}


def _pixel_map(
    sight: Sight, depth_sight: Sight, depth_size_wh: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Where in the image each pixel of the depth image is; the last pair of cameras is kept."""
    key = (id(sight), id(depth_sight), depth_size_wh)
    held = _maps.get(key)
    if held is None:
        width, height = depth_size_wh
        rows, columns = np.mgrid[:height, :width]
        directions = depth_sight.directions(np.column_stack([columns.ravel(), rows.ravel()]))
        found = sight.pixels(directions).astype(np.float32)
        _maps.clear()
        # The cameras are kept with it, so that their ids stay theirs.
        held = (found[:, 0].reshape(height, width), found[:, 1].reshape(height, width),
                sight, depth_sight)  # fmt: skip
        _maps[key] = held
    return held[0], held[1]


class CloudDepth:
    """Points of a cloud, by the target that they are seen on."""

    def __init__(
        self,
        points: FloatArray,
        labels: LabelImage,
        sight: Sight,
        *,
        to_camera: RigidTransform | None = None,
        is_of_image: bool = False,
    ) -> None:
        """Find the targets' points.

        Args:
            points: (N, 3), or (H, W, 3) where the cloud is organised, in metres.
            labels: (H, W) target ids, see `without_border`.
            sight: of the image that the labels are of.
            to_camera: from the cloud's frame to the image's; None: they are the same.
            is_of_image: the points of a cloud as large as the image are those of its pixels.
        """
        if is_of_image and points.shape[:2] == labels.shape and to_camera is None:
            on_target = labels > 0
            self._points, self._ids = points[on_target].astype(np.float64), labels[on_target]
            return
        flat = points.reshape(-1, 3)
        if to_camera is not None:
            flat = to_camera.points(flat[np.isfinite(flat).all(axis=1)])
        flat = flat[_in_sight(flat, labels, sight)].astype(np.float64)
        flat = flat[np.isfinite(flat).all(axis=1)]
        pixels = sight.pixels(flat[:, :2] / flat[:, 2:])
        height, width = labels.shape
        columns, rows = np.rint(np.nan_to_num(pixels, posinf=-1, neginf=-1)).astype(np.int64).T
        inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        self._points = flat[inside]
        self._ids = labels[rows[inside], columns[inside]]

    def samples(self, target_id: int, limits: DepthLimits) -> Samples:
        """See `DepthView`."""
        points = self._points[self._ids == target_id]
        counts = limits.of(points[:, 2])
        points = points[counts]
        return Samples(points[:, 2], len(counts), points.__getitem__)


def _in_sight(points: NDArray[Any], labels: LabelImage, sight: Sight) -> BoolArray:
    """Which points lie where some target is seen, roughly: it spares the cameras' formulas."""
    left, top, width, height = cv2.boundingRect((labels > 0).view(np.uint8))
    if width == 0 or not len(points):
        return np.zeros(len(points), dtype=np.bool_)
    x, y = (edge + np.linspace(0, 1, 9) * size for edge, size in ((left, width), (top, height)))
    rim = np.concatenate([
        np.column_stack([x, np.full(9, y[0])]), np.column_stack([x, np.full(9, y[-1])]),
        np.column_stack([np.full(9, x[0]), y]), np.column_stack([np.full(9, x[-1]), y]),
    ])  # fmt: skip
    seen = sight.directions(rim)
    margin = SIGHT_MARGIN * np.ptp(seen, axis=0) + sight.pixel_angle
    # Numbers of Python do not make float32 wider.
    low, high = (seen.min(axis=0) - margin).tolist(), (seen.max(axis=0) + margin).tolist()
    depths = points[:, 2]
    with np.errstate(invalid="ignore"):
        inside: BoolArray = depths > 0
        for axis in (0, 1):
            inside &= points[:, axis] >= low[axis] * depths
            inside &= points[:, axis] <= high[axis] * depths
    return inside
