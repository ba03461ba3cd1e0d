# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""YouTube-VOS: Xu et al., ECCV 2018."""

from __future__ import annotations

import sys
from pathlib import Path

from siammask_ros.training.config import SourceConfig
from siammask_ros.training.datasets.files import chosen_names, read_json, require_files
from siammask_ros.training.datasets.tracks import (
    ImageReader,
    ListedTarget,
    Listing,
    MaskTrack,
    Watch,
)
from siammask_ros.training.sources import DatasetError

Objects = dict[int, tuple[str, ...]]
"""File stems of the frames in which each object of a video is, by its number in the masks."""


def list_youtube_vos(config: SourceConfig, _: ImageReader, watch: Watch) -> Listing:
    """List the objects in a split's `meta.json`, each in the frames that it names.

    Folders are `SPLIT/JPEGImages/VIDEO` and `SPLIT/Annotations/VIDEO`, split train if none is
    named. Neither images nor masks are read: whether an object can be seen shows on access.
    """
    folder = Path(config.root) / (config.split or "train")
    index = folder / "meta.json"
    videos = _videos(index)
    names = chosen_names(
        sorted(videos), include=config.include, exclude=config.exclude, where=index
    )
    targets, count = [], 0
    for name in watch(names):
        images, masks = folder / "JPEGImages" / name, folder / "Annotations" / name
        stems = {stem for frames in videos[name].values() for stem in frames}
        require_files(images, [f"{stem}.jpg" for stem in sorted(stems)], "image")
        require_files(masks, [f"{stem}.png" for stem in sorted(stems)], "mask")
        count += len(stems)
        for number, frames in videos[name].items():
            track = MaskTrack(images, masks, frames, number, config.min_side)
            targets.append(ListedTarget(f"{name}/{number}", track, name))
    return Listing(targets, is_video=True, images=count, left_out=0)


def _videos(index: Path) -> dict[str, Objects]:
    content = read_json(index)
    try:
        return {
            name: {
                int(number): tuple(map(sys.intern, entry["frames"]))
                for number, entry in video["objects"].items()
            }
            for name, video in content["videos"].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{index}: not as YouTube-VOS has it: {error!r}") from error
