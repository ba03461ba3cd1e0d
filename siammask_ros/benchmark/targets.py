# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images to measure on, and where the targets are in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from siammask_ros.scenes import SceneOptions, render_sequence

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RENDERED_FRAMES = 12
# Targets are squares of this share of the image's height, on a grid.
_TARGET_SHARE = 0.2


def rendered_images(
    size_wh: tuple[int, int], *, frames: int = _RENDERED_FRAMES, seed: int = 0
) -> list[NDArray[np.uint8]]:
    """Images (H, W, 3) BGR of a rendered clip.

    Raises:
        ValueError: the size is too small, as `render_sequence` has it.
    """
    rendered = render_sequence(seed, frames=frames, size_wh=size_wh, options=SceneOptions())
    return [frame.image_bgr for frame in rendered]


def target_boxes(size_wh: tuple[int, int], count: int) -> list[tuple[float, float, float, float]]:
    """Boxes (x, y, width, height) of equal squares on a grid that fills the image."""
    width, height = size_wh
    columns = int(np.ceil(np.sqrt(count * width / height)))
    rows = -(-count // columns)
    side = min(_TARGET_SHARE * height, 0.8 * width / columns, 0.8 * height / rows)
    boxes = []
    for index in range(count):
        center_x = (index % columns + 0.5) * width / columns
        center_y = (index // columns + 0.5) * height / rows
        boxes.append((center_x - side / 2, center_y - side / 2, side, side))
    return boxes
