# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures as files."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from siammask_ros.pictures import write_jpeg, write_png


def test_jpeg_keeps_to_its_size(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    large = write_jpeg(tmp_path / "large.jpg", noise, most_bytes=10**6).stat().st_size
    small = write_jpeg(tmp_path / "small.jpg", noise, most_bytes=large // 2).stat().st_size
    least = write_jpeg(tmp_path / "least.jpg", noise, most_bytes=1).stat().st_size
    assert least <= small <= large // 2


def test_png_is_whole_or_not_there(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    path = write_png(tmp_path / "new" / "picture.png", image)
    assert (cv2.imread(str(path)) == image).all()
    assert [entry.name for entry in path.parent.iterdir()] == ["picture.png"]
    path.with_name("other.png").mkdir()
    with pytest.raises(OSError, match="other"):
        write_png(path.with_name("other.png"), image)
    assert {entry.name for entry in path.parent.iterdir()} == {"picture.png", "other.png"}
