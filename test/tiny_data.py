# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tiny data sets in public layouts, written by the tests that read them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def write_davis(root: Path, *, frames: int = 3, size_wh: tuple[int, int] = (160, 120)) -> None:
    """A bright textured square that moves right by 4 pixels a frame."""
    rng = np.random.default_rng(5)
    width, height = size_wh
    texture = rng.integers(120, 256, (40, 50, 3), dtype=np.uint8)
    for name in ("first", "second"):
        (root / "JPEGImages" / name).mkdir(parents=True)
        (root / "Annotations" / name).mkdir(parents=True)
        for index in range(frames):
            image = np.full((height, width, 3), 40, np.uint8)
            mask = np.zeros((height, width), np.uint8)
            x = 30 + 4 * index
            image[50:90, x : x + 50] = texture
            mask[50:90, x : x + 50] = 255
            cv2.imwrite(str(root / "JPEGImages" / name / f"{index:05d}.jpg"), image)
            cv2.imwrite(str(root / "Annotations" / name / f"{index:05d}.png"), mask)
