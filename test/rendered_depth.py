# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth images of a plain world, by casting a ray through every pixel: the truth of the tests.

The camera is a pinhole without distortion. Before a wall and above a floor stand upright boards
that face the camera: targets, and what hides them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import SimpleNamespace

import cv2
import numpy as np

WALL_M = 9.0
VGA = {"size_wh": (640, 480), "focal_px": 550.0, "center_xy": (317.0, 243.0)}
"""A larger camera with the same field of view, near enough."""


@dataclass(frozen=True)
class Board:
    """A rectangle that faces the camera's level axis; `label` 0 is an obstacle."""

    label: int
    ahead: float
    left: float
    bottom: float
    width: float
    height: float

    @property
    def middle(self):
        """On the base's axes: ahead, left, up from the ground."""
        return np.array([self.ahead, self.left, self.bottom + self.height / 2])


@dataclass(frozen=True)
class World:
    """A camera `height` above the ground, pitched down by `pitch` radians."""

    boards: tuple = ()
    size_wh: tuple = (320, 240)
    focal_px: float = 275.0
    height: float = 1.0
    pitch: float = 0.0
    center_xy: tuple = field(default=(158.0, 121.0))

    def level_rays(self, size_wh=None, focal_px=None, center_xy=None):
        """(H, W, 3) of each pixel, on level axes (ahead, left, up), 1 along the optical axis."""
        (width, height), focal_px = size_wh or self.size_wh, focal_px or self.focal_px
        cx, cy = center_xy or self.center_xy
        columns, rows = np.meshgrid(np.arange(width), np.arange(height))
        right, down = (columns - cx) / focal_px, (rows - cy) / focal_px
        cos, sin = math.cos(self.pitch), math.sin(self.pitch)
        return np.stack([cos - down * sin, -right, -sin - down * cos], axis=-1)

    def render(self, **camera):
        """Depth in metres, (H, W), and labels, (H, W)."""
        rays = self.level_rays(**camera)
        with np.errstate(divide="ignore"):
            depth = np.minimum(
                np.where(rays[..., 0] > 0, WALL_M / rays[..., 0], np.inf),
                np.where(rays[..., 2] < 0, -self.height / rays[..., 2], np.inf),
            )
        labels = np.zeros(depth.shape, dtype=np.uint8)
        for board in self.boards:
            scale = board.ahead / rays[..., 0]
            left, up = scale * rays[..., 1], scale * rays[..., 2] + self.height
            hit = (np.abs(left - board.left) <= board.width / 2) & (up >= board.bottom)
            hit &= (up <= board.bottom + board.height) & (scale < depth) & (scale > 0)
            depth[hit], labels[hit] = scale[hit], board.label
        return depth, labels

    def in_camera(self, point):
        """A point (ahead, left, up from the ground) in the optical frame."""
        ahead, left, up = point[0], point[1], point[2] - self.height
        cos, sin = math.cos(self.pitch), math.sin(self.pitch)
        return np.array([-left, -sin * ahead - cos * up, cos * ahead - sin * up])

    def camera_info(self, **changes):
        """What is read of a CameraInfo."""
        (width, height), (cx, cy) = self.size_wh, self.center_xy
        roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)
        k = [self.focal_px, 0.0, cx, 0.0, self.focal_px, cy, 0.0, 0.0, 1.0]
        p = [*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0]
        values = {"width": width, "height": height, "distortion_model": "plumb_bob", "d": [],
                  "k": k, "p": p, "binning_x": 0, "binning_y": 0, "roi": roi}  # fmt: skip
        return SimpleNamespace(**(values | changes))


def spoiled(depth, draw, *, holes=0.2, noise=0.01, blob_px=3):
    """As a depth camera has it: noise in proportion, and blobs of values that are none."""
    noisy = depth * (1 + noise * draw.standard_normal(depth.shape))
    field = cv2.GaussianBlur(draw.standard_normal(depth.shape), (0, 0), blob_px)
    bad = field < np.quantile(field, holes) if holes else np.zeros(depth.shape, dtype=bool)
    noisy[bad] = draw.choice([0.0, np.nan, np.inf, -np.inf, 65.535], size=int(bad.sum()))
    return noisy.astype(np.float32)


def image_message(array, encoding="32FC1", **changes):
    """What is read of an Image."""
    values = {"width": array.shape[1], "height": array.shape[0], "encoding": encoding,
              "is_bigendian": 0, "step": array.strides[0], "data": array.tobytes()}  # fmt: skip
    return SimpleNamespace(**(values | changes))


def angle_between(first, second):
    """Degrees."""
    cosine = np.dot(first, second) / np.linalg.norm(first) / np.linalg.norm(second)
    return math.degrees(math.acos(min(float(cosine), 1.0)))
