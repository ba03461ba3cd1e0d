# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tiny data sets in public layouts, written by the tests that read them."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np

BLUE, RED = (200, 60, 40), (40, 60, 200)
"""BGR colours of the two targets in pictures with two."""


def write_davis(root: Path, *, frames: int = 3, size_wh: tuple[int, int] = (160, 120)) -> None:
    """DAVIS 2016: a bright textured square that moves right by 4 pixels a frame."""
    rng = np.random.default_rng(5)
    width, height = size_wh
    texture = rng.integers(120, 256, (40, 50, 3), dtype=np.uint8)
    for name in ("first", "second"):
        (root / "JPEGImages" / name).mkdir(parents=True)
        (root / "Annotations" / name).mkdir(parents=True)
        for index in range(frames):
            image = np.full((height, width, 3), 40, np.uint8)
            mask = np.zeros((height, width), np.uint8)
            x = 30 + 4 * index
            image[50:90, x : x + 50] = texture
            mask[50:90, x : x + 50] = 255
            cv2.imwrite(str(root / "JPEGImages" / name / f"{index:05d}.jpg"), image)
            cv2.imwrite(str(root / "Annotations" / name / f"{index:05d}.png"), mask)


def write_davis_2017(root: Path, *, frames: int = 3) -> None:
    """DAVIS 2017: sequences `two` (targets 1 and 2, the second gone in the end) and `other`."""
    images, masks = root / "JPEGImages" / "480p", root / "Annotations" / "480p"
    for name in ("two", "other"):
        _write_two_targets(images / name, masks / name, frames=frames)
    (root / "ImageSets" / "2017").mkdir(parents=True)
    (root / "ImageSets" / "2017" / "train.txt").write_text("two\n")
    (root / "ImageSets" / "2017" / "val.txt").write_text("other\n")


def write_youtube_vos(root: Path, *, frames: int = 3) -> None:
    """YouTube-VOS: videos `two` and `other`, every fifth frame annotated."""
    folder = root / "train"
    videos = {}
    for name in ("two", "other"):
        stems = _write_two_targets(
            folder / "JPEGImages" / name, folder / "Annotations" / name, frames=frames, step=5
        )
        objects = {"1": stems, "2": stems[:-1]}
        videos[name] = {
            "objects": {n: {"category": "box", "frames": s} for n, s in objects.items()}
        }
    (folder / "meta.json").write_text(json.dumps({"videos": videos}))


def _write_two_targets(images: Path, masks: Path, *, frames: int, step: int = 1) -> list[str]:
    """A blue square, number 1, and a red one, number 2, which is not in the last frame."""
    images.mkdir(parents=True)
    masks.mkdir(parents=True)
    stems = [f"{index * step:05d}" for index in range(frames)]
    for index, stem in enumerate(stems):
        image, numbers = np.full((120, 160, 3), 90, np.uint8), np.zeros((120, 160), np.uint8)
        places = {1: np.s_[20:60, 10 + 2 * index : 50 + 2 * index], 2: np.s_[70:110, 90:140]}
        for number, color in ((1, BLUE), (2, RED)):
            if number == 1 or index < frames - 1:
                image[places[number]] = color
                numbers[places[number]] = number
        cv2.imwrite(str(images / f"{stem}.jpg"), image)
        write_palette_png(masks / f"{stem}.png", numbers, [(0, 0, 0), (128, 0, 0), (0, 128, 0)])
    return stems


def write_palette_png(
    path: Path, indices: np.ndarray, colors_rgb: list[tuple[int, int, int]]
) -> None:
    """Write HxW uint8 indices as a PNG with a palette, which OpenCV cannot."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    height, width = indices.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)  # 8 bits, palette
    rows = np.hstack([np.zeros((height, 1), np.uint8), indices])  # each row's filter: none
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"PLTE", bytes(np.array(colors_rgb, np.uint8)))
        + chunk(b"IDAT", zlib.compress(rows.tobytes()))
        + chunk(b"IEND", b"")
    )


def write_coco(root: Path, *, split: str = "train2017") -> None:
    """COCO: image 1 with a polygon of two parts, a small one, a crowd; image 2 with an RLE."""
    (root / split).mkdir(parents=True)
    (root / "annotations").mkdir()
    for index, color in ((1, BLUE), (2, RED)):
        image = np.full((120, 160, 3), 90, np.uint8)
        image[20:60, 10:50] = color
        cv2.imwrite(str(root / split / f"{index:012d}.jpg"), image)
    left, right = [10, 20, 30, 20, 30, 60, 10, 60], [40, 20, 50, 20, 50, 60, 40, 60]
    small = [100, 100, 105, 100, 105, 105]
    # Uncompressed run lengths down the columns, background first: columns 10 to 49, rows 20 to 59.
    runs = [10 * 120 + 20, *([40, 80] * 39), 40, 160 * 120 - (49 * 120 + 60)]
    rle = {"size": [120, 160], "counts": runs}
    crowd = {"size": [120, 160], "counts": [0, 120 * 160]}
    entries = [(1, [left, right], 0), (1, [small], 0), (1, crowd, 1), (2, rle, 0)]
    annotations = [
        {
            "id": index,
            "image_id": image_id,
            "category_id": 1,
            "segmentation": segmentation,
            "iscrowd": is_crowd,
            "area": 1.0,
            "bbox": [0, 0, 1, 1],
        }
        for index, (image_id, segmentation, is_crowd) in enumerate(entries, start=1)
    ]
    images = [{"id": i, "file_name": f"{i:012d}.jpg", "width": 160, "height": 120} for i in (1, 2)]
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person"}],
    }
    (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))


def write_polygons(root: Path) -> None:
    """Images `a` (a square, and a triangle of 4 pixels) and `no_label`."""
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    image = np.full((100, 200, 3), 90, np.uint8)
    image[20:71, 50:101] = BLUE
    for name in ("a", "no_label"):
        cv2.imwrite(str(root / "images" / f"{name}.jpg"), image)
    square = "3 0.25 0.2 0.5 0.2 0.5 0.7 0.25 0.7\n"
    tiny = "3 0.1 0.1 0.12 0.1 0.12 0.12\n"
    (root / "labels" / "a.txt").write_text(square + tiny)


def write_imagenet_vid(root: Path, *, frames: int = 3) -> None:
    """ImageNet-VID: a video with track 0 in all frames and track 1, tiny, in the first."""
    name = Path("VID", "train", "ILSVRC2015_VID_train_0000", "ILSVRC2015_train_00000000")
    for index in range(frames):
        boxes = {"0": (10 + 2 * index, 20, 49 + 2 * index, 59)}
        if index == 0:
            boxes["1"] = (100, 100, 104, 104)
        _write_boxes(root, name / f"{index:06d}", boxes)


def write_imagenet_det(root: Path) -> None:
    """ImageNet-DET: an image with two targets in one folder, one without any in another."""
    train = Path("DET", "train")
    boxes = {"": (10, 20, 49, 59), "x": (90, 70, 139, 109)}
    _write_boxes(root, train / "ILSVRC2013_train" / "n01" / "n01_1", boxes, tracks=False)
    _write_boxes(root, train / "ILSVRC2014_train_0000" / "ILSVRC2014_1", {}, tracks=False)


def _write_boxes(
    root: Path, name: Path, boxes: dict[str, tuple[int, int, int, int]], *, tracks: bool = True
) -> None:
    image = np.full((120, 160, 3), 90, np.uint8)
    objects = ""
    for track, (x0, y0, x1, y1) in boxes.items():
        image[y0 : y1 + 1, x0 : x1 + 1] = BLUE
        box = f"<xmin>{x0}</xmin><xmax>{x1}</xmax><ymin>{y0}</ymin><ymax>{y1}</ymax>"
        number = f"<trackid>{track}</trackid>" if tracks else ""
        objects += f"<object>{number}<name>n01</name><bndbox>{box}</bndbox></object>"
    image_path = root / "Data" / name.with_name(f"{name.name}.JPEG")
    label_path = root / "Annotations" / name.with_name(f"{name.name}.xml")
    for path in (image_path, label_path):
        path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(image_path.with_suffix(".jpg")), image)
    image_path.with_suffix(".jpg").rename(image_path)
    size = "<size><width>160</width><height>120</height></size>"
    label_path.write_text(f"<annotation>{size}{objects}</annotation>")
