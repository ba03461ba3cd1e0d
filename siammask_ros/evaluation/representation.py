# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How well boxes of several kinds can represent a target (SiamMask, section 4.1, table 1).

Boxes are fitted to masks and compared with rotated true boxes, frame by frame; with them oracles,
boxes of a restricted kind made from the truth, which say what that kind could reach at best.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from siammask_ros.evaluation.davis import read_davis
from siammask_ros.evaluation.report import number
from siammask_ros.files import csv_table, markdown_table, write_whole
from siammask_ros.geometry import (
    BoolArray,
    Box,
    RotatedBox,
    corners_to_box,
    polygon_area,
)
from siammask_ros.label_images import read_foreground
from siammask_ros.masks import BOX_FITS, BoxFit, fit_box, mask_box_overlap

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy.typing as npt

    Corners = npt.NDArray[np.float64]

TRUTH_FILE = "groundtruth.txt"
_MASK_FOLDER = "masks"
_BOX_NUMBERS, _CORNER_NUMBERS = 4, 8

FIXED_RATIO_ORACLE = "fixed aspect ratio oracle"
MIN_MAX_ORACLE = "min-max oracle"
MBR_ORACLE = "MBR oracle"
_FIT_NAMES: dict[BoxFit, str] = {
    "min_max": "min-max",
    "mbr": "MBR",
    "opt": "Opt",
    "opt_fast": "Opt-fast",
}

PAPER: dict[str, tuple[float, float, float]] = {
    FIXED_RATIO_ORACLE: (0.7343, 0.9015, 0.6252),
    MIN_MAX_ORACLE: (0.7770, 0.8884, 0.6516),
    MBR_ORACLE: (0.8407, 0.9777, 0.8068),
    "min-max": (0.6505, 0.8299, 0.4309),
    "MBR": (0.6715, 0.8542, 0.5086),
    "Opt": (0.7168, 0.9077, 0.6047),
}
"""mIOU, mAP@0.5 and mAP@0.7 of table 1: SiamMask's masks on search patches of VOT-2016."""


@dataclass(frozen=True)
class MaskSequence:
    """The masks of a sequence and its true boxes; masks are read when asked for.

    Attributes:
        name: name of its folder.
        masks: paths of the masks that boxes are fitted to, in order.
        true_masks: paths of the true masks; the same if no others are scored.
        truth: four corners of the true box of each frame (4, 2); None where the target is not to
            be seen. None in place of it all: boxes fitted to the true masks.
    """

    name: str
    masks: tuple[Path, ...]
    true_masks: tuple[Path, ...]
    truth: tuple[Corners | None, ...] | None = None


class RepresentationRow(NamedTuple):
    """What one kind of box reaches, over all frames.

    Attributes:
        name: the fit or the oracle.
        mean_iou: mean overlap with the true boxes, 0 to 1 (mIOU).
        precision_50: share of frames with an overlap over 0.5 (mAP@0.5).
        precision_70: share of frames with an overlap over 0.7 (mAP@0.7).
        mask_overlap: mean intersection over union with the mask it is fitted to; NaN for oracles
            that are not made from a mask.
        milliseconds: median time of a fit; NaN for those oracles.
    """

    name: str
    mean_iou: float
    precision_50: float
    precision_70: float
    mask_overlap: float
    milliseconds: float


@dataclass(frozen=True)
class RepresentationStudy:
    """The rows, and what they were taken from."""

    rows: tuple[RepresentationRow, ...]
    sequences: int
    frames: int
    unseen: int
    """Frames left out because there the target has no true box."""
    truth: str
    """Where the true boxes come from, in words."""


def read_mask_sequences(
    root: str | os.PathLike[str],
    sequences: Iterable[str] | None = None,
    *,
    predictions: str | os.PathLike[str] | None = None,
) -> list[MaskSequence]:
    """Find masks with true boxes.

    `root/NAME/groundtruth.txt` has a line of 8 numbers (four corners x, y, in order) or 4 (x, y,
    width, height) a frame, separated by commas; the masks are `root/NAME/masks/*.png`, or
    `root/NAME/*.png`, in the order of their names. A DAVIS folder (`Annotations`) has no boxes.

    Args:
        root: the folder.
        sequences: names to read, in this order; all, sorted, if None.
        predictions: folder with `NAME/*.png`, masks of the same names to score instead; those of
            `root` are then the true masks.

    Raises:
        ValueError: no such folder or sequence, or masks, boxes and predictions that do not match;
            the message names them.
    """
    base = Path(root)
    if (base / "Annotations").is_dir():
        found = [
            MaskSequence(each.name, each.annotations, each.annotations)
            for each in read_davis(base, sequences)
        ]
    else:
        held = sorted(path.parent.name for path in base.glob(f"*/{TRUTH_FILE}"))
        if not held:
            raise ValueError(f"no sequences (NAME/{TRUTH_FILE} or Annotations) in {base}")
        names = held if sequences is None else list(sequences)
        unknown = [name for name in names if name not in held]
        if unknown:
            raise ValueError(f"no such sequence in {base}: {', '.join(unknown)}")
        found = [_read_sequence(base / name) for name in names]
    if predictions is None:
        return found
    return [_with_predictions(each, Path(predictions) / each.name) for each in found]


def _read_sequence(folder: Path) -> MaskSequence:
    inner = folder / _MASK_FOLDER
    masks = tuple(sorted((inner if inner.is_dir() else folder).glob("*.png")))
    lines = (folder / TRUTH_FILE).read_text(encoding="utf-8").splitlines()
    truth = tuple(
        _parse_region(line, f"{folder / TRUTH_FILE}, line {index}")
        for index, line in enumerate(lines, start=1)
        if line.strip()
    )
    if not masks or len(masks) != len(truth):
        raise ValueError(f"sequence {folder.name}: {len(masks)} masks, {len(truth)} true boxes")
    return MaskSequence(folder.name, masks, masks, truth)


def _parse_region(line: str, where: str) -> Corners | None:
    """Corners (4, 2) of a line; None where a number is NaN or the region has no area."""
    try:
        numbers = np.array([float(part) for part in line.split(",")])
    except ValueError:
        numbers = np.zeros(0)
    if numbers.size not in {_BOX_NUMBERS, _CORNER_NUMBERS}:
        raise ValueError(f"{where}: expected 4 or 8 numbers, got {line!r}")
    if not np.isfinite(numbers).all():
        return None
    if numbers.size == _BOX_NUMBERS:
        corners = Box(*(float(value) for value in numbers)).corners
    else:
        corners = numbers.reshape(4, 2)
    return corners if polygon_area(corners) > 0 else None


def _with_predictions(sequence: MaskSequence, folder: Path) -> MaskSequence:
    masks = tuple(folder / path.name for path in sequence.true_masks)
    missing = [path.name for path in masks if not path.is_file()]
    if missing:
        raise ValueError(f"{folder}: {len(missing)} masks are missing, from {missing[0]}")
    return MaskSequence(sequence.name, masks, sequence.true_masks, sequence.truth)


class _Sample(NamedTuple):
    """A box against the truth of one frame."""

    iou: float
    mask_overlap: float = math.nan
    milliseconds: float = math.nan


def study_representation(
    sequences: Sequence[MaskSequence],
    *,
    truth_fit: BoxFit = "mbr",
    on_sequence: Callable[[str], object] = lambda _: None,
) -> RepresentationStudy:
    """Compare boxes fitted to masks, and oracles, with true boxes; all frames count alike.

    The oracles: the axis-aligned box with the true area and centre and the width to height of the
    first frame's; the axis-aligned box around the true box; the MBR of the true mask.

    Args:
        sequences: the masks.
        truth_fit: how true boxes are fitted to true masks where none are given.
        on_sequence: called with the name of each sequence that is done.

    Raises:
        ValueError: there is no such fit, no sequence, no frame with a true box, or a file is no
            image.
    """
    if truth_fit not in BOX_FITS:
        raise ValueError(f"unknown box fit {truth_fit!r}, there are {', '.join(BOX_FITS)}")
    names = (FIXED_RATIO_ORACLE, MIN_MAX_ORACLE, MBR_ORACLE, *_FIT_NAMES.values())
    samples: dict[str, list[_Sample]] = {name: [] for name in names}
    unseen = 0
    for sequence in sequences:
        ratio = math.nan
        for mask, true_mask, corners in _frames(sequence, truth_fit):
            if corners is None:
                unseen += 1
                continue
            extent = corners_to_box(corners)
            if math.isnan(ratio):
                ratio = extent.width / extent.height
            fixed = _fixed_ratio_box(corners, ratio)
            samples[FIXED_RATIO_ORACLE].append(_Sample(convex_overlap(fixed.corners, corners)))
            samples[MIN_MAX_ORACLE].append(_Sample(convex_overlap(extent.corners, corners)))
            samples[MBR_ORACLE].append(_fitted_sample(true_mask, "mbr", corners))
            for fit, name in _FIT_NAMES.items():
                samples[name].append(_fitted_sample(mask, fit, corners))
        on_sequence(sequence.name)
    frames = len(samples[MBR_ORACLE])
    if frames == 0:
        raise ValueError("no frame with a true box")
    fitted = any(sequence.truth is None for sequence in sequences)
    words = f"{_FIT_NAMES[truth_fit]} of the true masks" if fitted else TRUTH_FILE
    rows = tuple(_row(name, samples[name]) for name in names)
    return RepresentationStudy(rows, len(sequences), frames, unseen, words)


def _frames(
    sequence: MaskSequence, truth_fit: BoxFit
) -> Iterator[tuple[BoolArray, BoolArray, Corners | None]]:
    """Mask, true mask and true corners of each frame."""
    for index, (path, true_path) in enumerate(
        zip(sequence.masks, sequence.true_masks, strict=True)
    ):
        mask = read_foreground(path)
        true_mask = mask if path == true_path else read_foreground(true_path)
        if sequence.truth is not None:
            yield mask, true_mask, sequence.truth[index]
            continue
        box = fit_box(true_mask, truth_fit)
        yield mask, true_mask, None if box is None or box.area == 0 else box.corners


def _fitted_sample(mask: BoolArray, fit: BoxFit, corners: Corners) -> _Sample:
    """A mask without a pixel has no box, and overlaps nothing."""
    began = time.perf_counter()
    box = fit_box(mask, fit)
    milliseconds = 1000 * (time.perf_counter() - began)
    if box is None:
        return _Sample(0.0)
    return _Sample(convex_overlap(box.corners, corners), mask_box_overlap(mask, box), milliseconds)


def _fixed_ratio_box(corners: Corners, ratio: float) -> RotatedBox:
    """Axis-aligned, with the area and centre of the corners."""
    area = polygon_area(corners)
    center_x, center_y = corners.mean(axis=0)
    size_wh = (math.sqrt(area * ratio), math.sqrt(area / ratio))
    return RotatedBox((float(center_x), float(center_y)), size_wh)


def _row(name: str, samples: Sequence[_Sample]) -> RepresentationRow:
    overlaps = np.array([sample.iou for sample in samples])
    masks = [each.mask_overlap for each in samples if not math.isnan(each.mask_overlap)]
    times = [each.milliseconds for each in samples if not math.isnan(each.milliseconds)]
    return RepresentationRow(
        name,
        float(overlaps.mean()),
        float((overlaps > 0.5).mean()),
        float((overlaps > 0.7).mean()),
        float(np.mean(masks)) if masks else math.nan,
        float(np.median(times)) if times else math.nan,
    )


def convex_overlap(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Intersection over union of two convex polygons (N, 2) and (M, 2), in [0, 1].

    Their corners are given in order, either way round; 0 where the union is empty.
    """
    subject, clip = (_clockwise(polygon) for polygon in (first, second))
    areas = polygon_area(subject), polygon_area(clip)
    points = [(float(x), float(y)) for x, y in subject]
    for start, end in zip(clip, np.roll(clip, -1, axis=0), strict=True):
        points = _clipped(points, start, end)
        if not points:
            return 0.0
    shared = polygon_area(points)
    union = sum(areas) - shared
    return min(shared / union, 1.0) if union > 0 else 0.0


def _clockwise(polygon: npt.ArrayLike) -> Corners:
    """The corners in the order that is clockwise on screen."""
    points = np.asarray(polygon, dtype=np.float64)
    x, y = points.T
    return points if np.dot(x, np.roll(y, -1)) >= np.dot(y, np.roll(x, -1)) else points[::-1]


def _clipped(
    points: list[tuple[float, float]], start: Corners, end: Corners
) -> list[tuple[float, float]]:
    """The part of a polygon on the inner side of a line (Sutherland and Hodgman)."""
    along_x, along_y = (float(step) for step in end - start)
    distances = [along_x * (y - start[1]) - along_y * (x - start[0]) for x, y in points]
    kept: list[tuple[float, float]] = []
    for index, (point, distance) in enumerate(zip(points, distances, strict=True)):
        before, distance_before = points[index - 1], distances[index - 1]
        if (distance >= 0) != (distance_before >= 0):
            share = distance_before / (distance_before - distance)
            kept.append(
                (
                    before[0] + share * (point[0] - before[0]),
                    before[1] + share * (point[1] - before[1]),
                )
            )
        if distance >= 0:
            kept.append(point)
    return kept


def representation_markdown(study: RepresentationStudy) -> str:
    """The rows next to the paper's."""
    rows = [
        (
            row.name,
            *(number(value) for value in row[1:5]),
            number(row.milliseconds, 2),
            " / ".join(number(value) for value in PAPER[row.name]) if row.name in PAPER else "-",
        )
        for row in study.rows
    ]
    header = ("box", "mIOU", "mAP@0.5", "mAP@0.7", "IoU with the mask", "ms", "paper")
    return (
        "# Boxes that represent a target\n\n"
        f"{markdown_table(header, rows)}\n"
        f"{study.frames} frames of {study.sequences} sequences, all alike; true boxes: "
        f"{study.truth}; {study.unseen} frames without one left out. mIOU, mAP: mean overlap with "
        "the true box, and share of frames where it is over 0.5 and 0.7. ms: median time of a "
        "fit. paper: mIOU / mAP@0.5 / mAP@0.7 of its table 1, SiamMask's masks on VOT-2016.\n"
    )


def representation_csv(study: RepresentationStudy) -> str:
    """One line a kind of box, the paper's numbers after ours; empty where there is no number."""
    header = (*RepresentationRow._fields, "paper_iou", "paper_50", "paper_70")
    rows = ((*row, *PAPER.get(row.name, (math.nan,) * 3)) for row in study.rows)
    return csv_table(header, rows)


def write_representation(
    directory: str | os.PathLike[str], study: RepresentationStudy
) -> list[Path]:
    """Write representation.md and representation.csv; returns their paths."""
    folder = Path(directory)
    return [
        write_whole(folder / "representation.md", representation_markdown(study)),
        write_whole(folder / "representation.csv", representation_csv(study)),
    ]
