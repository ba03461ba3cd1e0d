# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""YouTube-VOS: Xu et al., ECCV 2018. Results in the layout of its server, and J and F.

The truth of the validation split is the server's: its masks give each target where it first
appears, and nothing after. Where the truth is at hand (the training split, or a folder of
annotations), J and F are computed here, and their means over seen and unseen categories.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from siammask_ros.evaluation.davis import check_size, read_image
from siammask_ros.evaluation.protocol import LabelledFrame
from siammask_ros.evaluation.published import YOUTUBE_VOS
from siammask_ros.evaluation.report import number
from siammask_ros.files import markdown_table, write_whole
from siammask_ros.label_images import Labels, encode_label_image, read_label_image

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterable, Mapping

    from siammask_ros.evaluation.scores import Evaluation, SequenceScore

_IMAGES, _ANNOTATIONS, _META = "JPEGImages", "Annotations", "meta.json"


@dataclass(frozen=True)
class YoutubeVosSequence:
    """A video; frames are read when asked for.

    Attributes:
        name: of its folder.
        images: paths of its frames, in order.
        given: masks to start targets on, by the stem of their frame.
        truth: masks to compare results with, by the stem of their frame; none where unknown.
        wanted: stems of the frames that results are written for.
        categories: the category of each target by its number, as far as known.
    """

    name: str
    images: tuple[Path, ...]
    given: Mapping[str, Path]
    truth: Mapping[str, Path]
    wanted: Collection[str]
    categories: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.images)

    def frame(self, index: int) -> LabelledFrame:
        """Read a frame, its truth and the targets it gives, as far as there are.

        Raises:
            ValueError: a file is no such image, or image and mask differ in size.
        """
        path = self.images[index]
        image, labels, given = read_image(path), self.labels(index), self.given.get(path.stem)
        start = None if given is None else read_label_image(given)
        for mask, source in ((labels, self.truth.get(path.stem)), (start, given)):
            if mask is not None and source is not None:
                check_size(source, mask, image.shape[:2])
        return LabelledFrame(image, labels, start)

    def labels(self, index: int) -> Labels | None:
        """Read the truth of a frame, (H, W) uint8; None if it is not known."""
        path = self.truth.get(self.images[index].stem)
        return None if path is None else read_label_image(path)

    def result_path(self, index: int) -> Path | None:
        """`Annotations/NAME/00000.png` for a frame that results are wanted of."""
        stem = self.images[index].stem
        return Path(_ANNOTATIONS, self.name, f"{stem}.png") if stem in self.wanted else None

    def encode_result(self, labels: Labels) -> bytes:
        """Indices of a palette."""
        return encode_label_image(labels)

    def read_result(self, folder: Path, index: int) -> Labels | None:
        """Read the masks of a frame that results are wanted of; None for others.

        Raises:
            ValueError: the file is missing or no such image.
        """
        path = self.result_path(index)
        if path is None:
            return None
        if not (folder / path).is_file():
            raise ValueError(f"video {self.name}: no result {folder / path}")
        return read_label_image(folder / path)


def read_youtube_vos(
    root: str | os.PathLike[str],
    videos: Iterable[str] | None = None,
    *,
    all_frames: str | os.PathLike[str] | None = None,
    truth: str | os.PathLike[str] | None = None,
) -> list[YoutubeVosSequence]:
    """Find the videos of a split: `JPEGImages/NAME`, `Annotations/NAME`, and `meta.json` if any.

    Args:
        root: the folder of the split, such as `valid`.
        videos: names to read, in this order; all, sorted, if None.
        all_frames: folder with `JPEGImages` of every frame, such as `valid_all_frames`: targets
            are followed through these, and results kept for the frames of `root`.
        truth: folder with `NAME/00000.png` of annotated frames, or one that holds it as
            `Annotations`. By default the masks of `root` are the truth in videos where every
            frame has one, as in the training split.

    Raises:
        ValueError: not such a folder, an unknown video, or a video without images or masks.
    """
    base = Path(root)
    if not (base / _IMAGES).is_dir() or not (base / _ANNOTATIONS).is_dir():
        raise ValueError(f"not a folder of YouTube-VOS (no {_IMAGES} and {_ANNOTATIONS}): {base}")
    held = sorted(folder.name for folder in (base / _ANNOTATIONS).iterdir() if folder.is_dir())
    names = held if videos is None else list(videos)
    unknown = [name for name in names if name not in held]
    if unknown:
        raise ValueError(f"no such video in {base}: {', '.join(unknown)}")
    categories = read_categories(base / _META) if (base / _META).is_file() else {}
    frames = base if all_frames is None else Path(all_frames)
    true_masks = None if truth is None else _inner(Path(truth), _ANNOTATIONS)
    return [
        _read_video(base, name, _inner(frames, _IMAGES), true_masks, categories.get(name, {}))
        for name in names
    ]


def _inner(folder: Path, name: str) -> Path:
    return folder / name if (folder / name).is_dir() else folder


def _read_video(
    base: Path, name: str, frames: Path, true_masks: Path | None, categories: Mapping[int, str]
) -> YoutubeVosSequence:
    wanted = {path.stem for path in (base / _IMAGES / name).glob("*.jpg")}
    images = tuple(sorted((frames / name).glob("*.jpg")))
    given = _masks(base / _ANNOTATIONS / name)
    if not given or not wanted:
        raise ValueError(f"video {name}: {len(wanted)} frames, {len(given)} masks")
    missing = sorted((wanted | given.keys()) - {path.stem for path in images})
    if missing:
        raise ValueError(f"video {name}: no image {missing[0]}.jpg in {frames / name}")
    truth = given if wanted <= given.keys() else {}
    if true_masks is not None:
        truth = _masks(true_masks / name)
    return YoutubeVosSequence(name, images, given, truth, wanted, categories)


def _masks(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.png"))}


def read_categories(path: str | os.PathLike[str]) -> dict[str, dict[int, str]]:
    """Categories of the targets of each video by number, from a `meta.json`.

    Raises:
        ValueError: the file is something else.
    """
    try:
        content = json.loads(Path(path).read_bytes())
        return {
            name: {
                int(target): str(entry["category"])
                for target, entry in video["objects"].items()
                if "category" in entry
            }
            for name, video in content["videos"].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not as YouTube-VOS has it: {error!r}") from error


def read_seen_categories(path: str | os.PathLike[str]) -> frozenset[str]:
    """The categories that training has seen: those of a split's `meta.json`, or one a line.

    Raises:
        ValueError: the file names none.
    """
    source = Path(path)
    if source.suffix == ".json":
        videos = read_categories(source).values()
        found = frozenset(category for targets in videos for category in targets.values())
    else:
        lines = source.read_text(encoding="utf-8").splitlines()
        found = frozenset(line.strip() for line in lines if line.strip())
    if not found:
        raise ValueError(f"{path} names no category")
    return found


class SeenUnseen(NamedTuple):
    """Evaluations of the targets of seen and of unseen categories."""

    seen: Evaluation
    unseen: Evaluation

    @property
    def overall(self) -> float:
        """The paper's O: mean of J and F of seen and of unseen; NaN without either."""
        return (self.seen.region_and_contour + self.unseen.region_and_contour) / 2


def by_category(
    evaluation: Evaluation, sequences: Iterable[YoutubeVosSequence], seen: Collection[str]
) -> SeenUnseen:
    """Divide an evaluation by whether the target's category is among the seen ones.

    Raises:
        ValueError: the category of a target is not known.
    """
    categories = {sequence.name: sequence.categories for sequence in sequences}
    parts: dict[bool, list[SequenceScore]] = {True: [], False: []}
    for score in evaluation.sequences:
        category = categories.get(score.name, {}).get(score.target_id)
        if category is None:
            raise ValueError(f"video {score.name}: no category of target {score.target_id}")
        parts[category in seen].append(score)
    return SeenUnseen(
        *(replace(evaluation, sequences=tuple(parts[part]), groups=()) for part in (True, False))
    )


def seen_unseen_markdown(divided: SeenUnseen) -> str:
    """J and F of seen and unseen categories, beside published figures."""
    seen, unseen = divided
    counts = f"{len(seen.sequences)} and {len(unseen.sequences)} targets"
    ours = (
        seen.region_similarity,
        unseen.region_similarity,
        seen.contour_accuracy,
        unseen.contour_accuracy,
    )
    rows = [(f"{seen.tracker}, {counts}", *map(number, (*ours, divided.overall)), "this report")]
    rows += [
        (row.method, *map(number, (*row[1:5], sum(row[1:5]) / 4)), row.source)
        for row in YOUTUBE_VOS
    ]
    header = ("method", "J seen", "J unseen", "F seen", "F unseen", "mean", "source")
    return (
        "# Seen and unseen categories\n\n"
        f"{markdown_table(header, rows)}\n"
        "The mean weighs every target alike. Published rows are of the validation split of 2018, "
        "by its server; compare only with the same.\n"
    )


def write_seen_unseen(directory: str | os.PathLike[str], divided: SeenUnseen) -> Path:
    """Write categories.md; returns its path."""
    return write_whole(Path(directory) / "categories.md", seen_unseen_markdown(divided))
