# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Published figures of VOT2016, VOT2018 and VOT2019, experiment `baseline`."""

from __future__ import annotations

import math
from typing import NamedTuple

from siammask_ros.evaluation.published import PAPER


class PublishedVot(NamedTuple):
    """Scores of a tracker as published; NaN where there is no number."""

    tracker: str
    eao: float
    accuracy: float
    robustness: float
    """Failures in 100 frames."""
    source: str


def _eao(tracker: str, eao: float, source: str) -> PublishedVot:
    """Where only the expected average overlap is published."""
    return PublishedVot(tracker, eao, math.nan, math.nan, source)


_TABLE_2, _TABLE_3, _TABLE_7 = (f"{PAPER}, table {number}" for number in (2, 3, 7))
_README = "README of foolwood/SiamMask"
_SLIDES = "Choi et al., SiamMask++, 2021"

_VOT2016 = (
    PublishedVot("SiamMask", 0.433, 0.639, 0.214, _TABLE_3),
    PublishedVot("SiamMask-box", 0.412, 0.623, 0.233, _TABLE_3),
    PublishedVot("SiamMask-Opt", 0.442, 0.670, 0.233, _TABLE_3),
    PublishedVot("SiamMask-LD", 0.455, 0.634, 0.219, _README),
    PublishedVot("SiamMask w/o R, retrained", 0.385, 0.637, 0.280, _SLIDES),
    PublishedVot("SiamMask, retrained", 0.403, 0.626, 0.289, _SLIDES),
    PublishedVot("SiamMask++ bi", 0.406, 0.632, 0.266, _SLIDES),
    PublishedVot("SiamMask++ re", 0.435, 0.653, 0.252, _SLIDES),
)

_VOT2018 = (
    PublishedVot("SiamMask", 0.380, 0.609, 0.276, _TABLE_2),
    PublishedVot("SiamMask-box", 0.363, 0.584, 0.300, _TABLE_3),
    PublishedVot("SiamMask-Opt", 0.387, 0.642, 0.295, _TABLE_2),
    PublishedVot("SiamMask-2B", 0.334, 0.575, 0.304, _TABLE_2),
    PublishedVot("SiamMask-LD", 0.423, 0.615, 0.248, _README),
    _eao("SiamMask w/o R", 0.375, _TABLE_7),
    _eao("SiamMask-2B w/o R", 0.326, _TABLE_7),
    _eao("SiamMask-2B-score", 0.265, _TABLE_7),
    _eao("SiamRPN, ResNet-50", 0.359, _TABLE_7),
    _eao("SiamRPN, AlexNet", 0.243, _TABLE_7),
    _eao("SiamFC, ResNet-50", 0.251, _TABLE_7),
    _eao("SiamFC, AlexNet", 0.188, _TABLE_7),
    PublishedVot("SiamMask w/o R, retrained", 0.297, 0.612, 0.417, _SLIDES),
    PublishedVot("SiamMask, retrained", 0.321, 0.601, 0.417, _SLIDES),
    PublishedVot("SiamMask++ bi", 0.366, 0.603, 0.318, _SLIDES),
    PublishedVot("SiamMask++ re", 0.398, 0.626, 0.262, _SLIDES),
)

_VOT2019 = (
    PublishedVot("SiamMask w/o R, retrained", 0.254, 0.593, 0.657, _SLIDES),
    PublishedVot("SiamMask, retrained", 0.262, 0.600, 0.647, _SLIDES),
    PublishedVot("SiamMask++ bi", 0.283, 0.593, 0.547, _SLIDES),
    PublishedVot("SiamMask++ re", 0.300, 0.618, 0.482, _SLIDES),
)

PUBLISHED_VOT: dict[str, tuple[PublishedVot, ...]] = {
    "vot2016/rgb": _VOT2016,
    "vot2018/shortterm": _VOT2018,
    "vot2019/shortterm": _VOT2019,
}
"""By the toolkit's name of the stack."""
