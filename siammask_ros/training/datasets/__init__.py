# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Readers of training data sets in their public layouts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from siammask_ros.training.config import DataConfig, SourceConfig
from siammask_ros.training.datasets.coco import list_coco
from siammask_ros.training.datasets.davis import list_davis
from siammask_ros.training.datasets.files import read_image
from siammask_ros.training.datasets.imagenet import list_imagenet_det, list_imagenet_vid
from siammask_ros.training.datasets.polygons import list_polygons
from siammask_ros.training.datasets.tracks import (
    ImageReader,
    ItemT,
    LazyFrames,
    Listing,
    Watch,
    decoded_frames,
)
from siammask_ros.training.datasets.youtube_vos import list_youtube_vos
from siammask_ros.training.sources import Clip, DatasetError, Source

__all__ = ["DatasetError", "Reading", "read_sources"]

READERS: dict[str, Callable[[SourceConfig, ImageReader, Watch], Listing]] = {
    "davis": list_davis,
    "youtube_vos": list_youtube_vos,
    "coco": list_coco,
    "polygons": list_polygons,
    "imagenet_vid": list_imagenet_vid,
    "imagenet_det": list_imagenet_det,
}


class Reading(NamedTuple):
    """How far the reading of a data set is.

    Attributes:
        work: what is done with which data set.
        done, total: counts of its videos, images or targets.
    """

    work: str
    done: int
    total: int


def _silently(_: Reading) -> None:
    pass


def read_sources(
    data: DataConfig, *, on_progress: Callable[[Reading], None] = _silently
) -> list[Source]:
    """Read the data sets of a configuration, those without any weight apart.

    First all are listed, and that every file is there is checked; then images are decoded, of
    those sources that are kept in memory.

    Args:
        data: the data sets.
        on_progress: told again and again how far it is.

    Raises:
        DatasetError: names the file or folder that is missing or not as it should be.
    """
    drawn = {n: c for n, c in data.sources.items() if c.weight > 0 or c.cutout_weight > 0}
    readers = {
        n: functools.cache(read_image) if c.in_memory else read_image for n, c in drawn.items()
    }
    listings = {
        n: READERS[c.kind](c, readers[n], _watch(f"list {n}", on_progress))
        for n, c in drawn.items()
    }
    return [
        _source(n, c, listings[n], readers[n], _watch(f"read {n}", on_progress))
        for n, c in drawn.items()
    ]


def _watch(work: str, on_progress: Callable[[Reading], None]) -> Watch:
    def watch(items: Sequence[ItemT], /) -> Iterator[ItemT]:
        for done, item in enumerate(items):
            on_progress(Reading(work, done, len(items)))
            yield item
        on_progress(Reading(work, len(items), len(items)))

    return watch


def _source(
    name: str, config: SourceConfig, listing: Listing, read: ImageReader, watch: Watch
) -> Source:
    clips = []
    left_out = listing.left_out
    for target, track, scene in watch(listing.targets):
        frames = decoded_frames(track, read) if config.in_memory else LazyFrames(track)
        left_out += len(track) - len(frames)
        if frames:
            clips.append(Clip(target, frames, listing.is_video, scene))
    if not clips:
        raise DatasetError(
            f"{name}: no target of {config.min_side} pixels or more in {config.root}"
        )
    return Source(name, config, tuple(clips), listing.images, left_out, listing.has_masks)
