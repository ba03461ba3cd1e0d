# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A tiny labelled video, trackers of it, and a DAVIS folder of such videos."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from siammask_ros.evaluation import LabelledFrame, evaluate
from siammask_ros.evaluation.plain_results import MaskResult

WIDTH, HEIGHT, SIDE = 64, 48, 10


@dataclass(frozen=True)
class MovingSquare:
    """A bright square that moves `step` pixels to the right a frame."""

    name: str = "square"
    frames: int = 5
    step: int = 2
    gone: tuple[int, ...] = ()

    def __len__(self):
        return self.frames

    def frame(self, index):
        mask = np.zeros((HEIGHT, WIDTH), bool)
        if index not in self.gone:
            left = 5 + self.step * index
            mask[20 : 20 + SIDE, left : left + SIDE] = True
        image = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
        image[mask] = (200, 180, 40)
        return LabelledFrame(image, mask)


@dataclass(frozen=True)
class Scripted:
    """Says a given confidence in each frame, and the truth or nothing as its mask."""

    sequence: MovingSquare
    confidences: tuple[float, ...]
    right: tuple[bool, ...]

    def initialize(self, image_bgr, box_xywh):
        return 0

    def track(self, image_bgr, state):
        truth = self.sequence.frame(state + 1).mask
        mask = truth if self.right[state] else np.zeros_like(truth)
        return state + 1, MaskResult(mask, self.confidences[state])


def run(sequences, factory, **options):
    return evaluate(sequences, factory, tracker_name="t", dataset_name="d", **options)


def write_davis(root, *, middle="", names=("cat", "dog"), frames=4, suffix_masks=".png"):
    """A tiny DAVIS folder; returns the masks by name."""
    masks = {}
    for number, name in enumerate(names):
        sequence = MovingSquare(name, frames, step=number + 1)
        image_folder = root / "JPEGImages" / middle / name
        mask_folder = root / "Annotations" / middle / name
        image_folder.mkdir(parents=True)
        mask_folder.mkdir(parents=True)
        masks[name] = [sequence.frame(index).mask for index in range(frames)]
        for index in range(frames):
            cv2.imwrite(str(image_folder / f"{index:05}.jpg"), sequence.frame(index).image_bgr)
            cv2.imwrite(
                str(mask_folder / f"{index:05}{suffix_masks}"),
                masks[name][index].astype(np.uint8) * 255,
            )
    return masks
