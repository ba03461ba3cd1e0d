# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images of targets that are drawn on the message itself, frame after frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_results import SIZE_WH, entry, found, lost
from std_msgs.msg import Header

from siammask_ros.masks import ImageRegion
from siammask_ros.ros.outputs import TargetsImage
from siammask_ros.tracked import label_image, mask_image, paint_labels, paint_masks


def moved(x, y, seed):
    """A target with another mask at another place."""
    target = found()
    mask = np.random.default_rng(seed).random((6, 9)) > 0.5
    result = replace(target.result, mask_roi=ImageRegion(x, y, 9, 6), mask_in_roi=mask)
    return replace(target, result=result)


FRAMES = [
    [entry(1, found())],
    [entry(1, moved(2, 1, seed=0)), entry(7, moved(5, 4, seed=1))],
    [entry(1, lost()), entry(7, moved(6, 3, seed=2))],
    [],
    [entry(9, moved(0, 0, seed=3))],
]


@pytest.mark.parametrize(
    ("paint", "whole"), [(paint_masks, mask_image), (paint_labels, label_image)]
)
def test_a_kept_image_is_as_one_drawn_anew(paint, whole):
    kept = TargetsImage(paint)
    larger_wh = (SIZE_WH[0] + 3, SIZE_WH[1] + 2)
    for size_wh in (SIZE_WH, larger_wh, SIZE_WH):
        for entries in FRAMES:
            message = kept.message(Header(), entries, size_wh)
            assert (message.width, message.height) == size_wh
            assert bytes(message.data) == whole(entries, size_wh).tobytes()
