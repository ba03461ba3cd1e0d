# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A tiny video of several targets that cross, and data sets of such videos, written with Pillow."""

from __future__ import annotations

import json
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from siammask_ros.evaluation import LabelledFrame

WIDTH, HEIGHT = 96, 64
COLOURS = ((60, 60, 60), (200, 180, 40), (40, 60, 220), (90, 220, 90))
# Of each target: first row, first column, height, width, step to the right, first frame.
TARGETS = ((8, 6, 20, 16, 3, 0), (20, 50, 18, 14, -3, 0), (44, 10, 12, 24, 2, 3))


@dataclass(frozen=True)
class MovingTargets:
    """Rectangles that move sideways, the later in front; the third comes in frame 3."""

    name: str = "targets"
    frames: int = 10
    targets: int = 3

    def __len__(self):
        return self.frames

    def labels(self, index):
        labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        for number, (top, left, height, width, step, first) in enumerate(
            TARGETS[: self.targets], start=1
        ):
            if index >= first:
                start = left + step * index
                labels[top : top + height, max(start, 0) : max(start + width, 0)] = number
        return labels

    def frame(self, index):
        labels = self.labels(index)
        return LabelledFrame(np.array(COLOURS, np.uint8)[labels], labels)


def write_indexed(path, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(labels, mode="P")
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128])
    image.save(path)


def write_images(folder, sequence, frames=None):
    folder.mkdir(parents=True)
    for index in frames or range(len(sequence)):
        cv2.imwrite(str(folder / f"{index:05}.jpg"), sequence.frame(index).image_bgr)


def write_davis_2017(root, sequences):
    """Folders as those of DAVIS-2017, with a list val.txt of all sequences."""
    for sequence in sequences:
        write_images(root / "JPEGImages" / "480p" / sequence.name, sequence)
        for index in range(len(sequence)):
            path = root / "Annotations" / "480p" / sequence.name / f"{index:05}.png"
            write_indexed(path, sequence.labels(index))
    for year, names in (("2016", sequences[:1]), ("2017", sequences)):
        lists = root / "ImageSets" / year
        lists.mkdir(parents=True)
        (lists / "val.txt").write_text("".join(f"{sequence.name}\n" for sequence in names))


def write_youtube_vos(root, sequences, categories, *, given_only, frames=None):
    """A split of YouTube-VOS; with `given_only` masks show targets where they first appear."""
    videos = {}
    for sequence in sequences:
        write_images(root / "JPEGImages" / sequence.name, sequence, frames)
        known = set()
        for index in frames or range(len(sequence)):
            labels = sequence.labels(index)
            if given_only:
                labels = np.where(np.isin(labels, list(known)), 0, labels).astype(np.uint8)
                known |= set(np.unique(labels).tolist()) - {0}
            if labels.any() or not given_only:
                path = root / "Annotations" / sequence.name / f"{index:05}.png"
                write_indexed(path, labels)
        entries = enumerate(categories[: sequence.targets], start=1)
        objects = {
            str(number): {"category": category, "frames": []} for number, category in entries
        }
        videos[sequence.name] = {"objects": objects}
    (root / "meta.json").write_text(json.dumps({"videos": videos}))
