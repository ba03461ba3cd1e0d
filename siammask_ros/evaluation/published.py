# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Published figures of semi-supervised video object segmentation, to stand beside ours."""

from __future__ import annotations

import math
from typing import NamedTuple

from siammask_ros.evaluation.measures import MeasureStatistics

_UNKNOWN = math.nan


class PublishedRow(NamedTuple):
    """J and F of a method as published, 0 to 1; NaN where there is no number."""

    method: str
    region: MeasureStatistics
    contour: MeasureStatistics
    source: str


class PublishedYoutubeVos(NamedTuple):
    """J and F of a method on YouTube-VOS, by seen and unseen categories, 0 to 1."""

    method: str
    region_seen: float
    region_unseen: float
    contour_seen: float
    contour_unseen: float
    source: str


def _row(
    method: str,
    source: str,
    region: tuple[float, float, float],
    contour: tuple[float, float, float],
) -> PublishedRow:
    return PublishedRow(method, MeasureStatistics(*region), MeasureStatistics(*contour), source)


def _means(method: str, source: str, region: float, contour: float) -> PublishedRow:
    """Where only the means are published."""
    nothing = (_UNKNOWN, _UNKNOWN)
    return _row(method, source, (region, *nothing), (contour, *nothing))


PAPER = "Wang et al., CVPR 2019"

DAVIS: dict[int, tuple[PublishedRow, ...]] = {
    2016: (
        _row("SiamMask", f"{PAPER}, table 4", (0.717, 0.868, 0.030), (0.678, 0.798, 0.021)),
        _means("SiamMask, released weights", "README of foolwood/SiamMask", 0.713, 0.674),
        _means("SiamMask w/o R", f"{PAPER}, table 7", 0.686, 0.578),
        _means("SiamMask-2B", f"{PAPER}, table 7", 0.674, 0.635),
        _means("SiamMask-2B w/o R", f"{PAPER}, table 7", 0.623, 0.556),
        _row("OSMN", f"{PAPER}, table 4", (0.740, 0.876, 0.090), (0.729, 0.840, 0.106)),
        _row("OnAVOS", f"{PAPER}, table 4", (0.861, 0.961, 0.052), (0.849, 0.897, 0.058)),
    ),
    2017: (
        _row("SiamMask", f"{PAPER}, table 5", (0.543, 0.628, 0.193), (0.585, 0.675, 0.209)),
        _means("SiamMask, released weights", "README of foolwood/SiamMask", 0.543, 0.585),
        _row("OSMN", f"{PAPER}, table 5", (0.525, 0.609, 0.215), (0.571, 0.661, 0.243)),
        _row("OnAVOS", f"{PAPER}, table 5", (0.616, 0.674, 0.279), (0.691, 0.754, 0.266)),
    ),
}
"""By year; all on the validation set."""

YOUTUBE_VOS = (
    PublishedYoutubeVos("SiamMask", 0.602, 0.451, 0.582, 0.477, f"{PAPER}, table 6"),
    PublishedYoutubeVos("OSMN", 0.600, 0.406, 0.601, 0.440, f"{PAPER}, table 6"),
    PublishedYoutubeVos("OnAVOS", 0.601, 0.466, 0.627, 0.514, f"{PAPER}, table 6"),
)
"""On the validation set of 2018."""


def published_rows(dataset: str) -> tuple[PublishedRow, ...]:
    """The rows of a data set by its name, such as `DAVIS-2016 val`; none of others."""
    for year, rows in DAVIS.items():
        if dataset.startswith(f"DAVIS-{year}"):
            return rows
    return ()
