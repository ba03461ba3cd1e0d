# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of data sets: folders, images and masks of several targets."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from siammask_ros.training.sources import DatasetError
from siammask_ros.training.warp import Uint8Array

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def read_image(path: Path) -> Uint8Array:
    """Read a colour image as HxWx3 uint8 BGR; a file that does not decode is an error."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DatasetError(f"cannot read image {path}")
    return np.asarray(image, dtype=np.uint8)


def read_foreground(path: Path) -> npt.NDArray[np.bool_]:
    """Read a mask of any kind of PNG as HxW bool: what is not black is foreground."""
    mask = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if mask is None:
        raise DatasetError(f"cannot read mask {path}")
    black = (0, 0, 0)
    return np.asarray(cv2.inRange(mask, black, black) == 0)


def read_indices(path: Path) -> Uint8Array:
    """Read a PNG of target numbers as HxW uint8, 0 for the background.

    The numbers are the palette's indices, or the grey values where there is no palette.

    Raises:
        DatasetError: it does not decode, has neither palette nor one channel, or two of its
            numbers have the same colour.
    """
    palette = _png_palette(path)
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED if palette is None else cv2.IMREAD_COLOR)
    if pixels is None:
        raise DatasetError(f"cannot read mask {path}")
    if palette is None:
        if pixels.ndim != 2 or pixels.dtype != np.uint8:
            raise DatasetError(f"{path}: expected a palette or 8-bit grey values")
        return np.asarray(pixels, dtype=np.uint8)
    # OpenCV gives colours: find those there are, then their numbers.
    packed = cv2.cvtColor(pixels, cv2.COLOR_BGR2BGRA).view("<u4")[..., 0]  # HxW, 0xFFRRGGBB
    flat = packed.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    indices = np.zeros(packed.shape, np.uint8)
    for color in np.unique(flat[np.append(changes, flat.size - 1)]):
        numbers = np.flatnonzero(palette == color & 0xFFFFFF)
        if numbers.size > 1 and numbers[0] > 0:
            raise DatasetError(f"{path}: targets {numbers[0]} and {numbers[1]} have one colour")
        indices[packed == color] = numbers[0]
    return indices


def _png_palette(path: Path) -> npt.NDArray[np.uint32] | None:
    """Colours of a PNG's palette as 0xRRGGBB, None where it has none."""
    try:
        with path.open("rb") as file:
            if file.read(len(_PNG_SIGNATURE)) != _PNG_SIGNATURE:
                raise DatasetError(f"{path}: not a PNG file")
            while header := file.read(8):
                length, kind = struct.unpack(">I4s", header)
                if kind == b"PLTE":
                    entries = np.frombuffer(file.read(length), np.uint8).reshape(-1, 3)
                    return entries.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
                if kind == b"IDAT":
                    return None
                file.seek(length + 4, os.SEEK_CUR)  # the chunk and its checksum
    except (OSError, struct.error, ValueError) as error:
        raise DatasetError(f"cannot read mask {path}: {error}") from error
    return None


def read_json(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """Read a JSON file."""
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"no file {path}") from error
    except ValueError as error:
        raise DatasetError(f"{path}: not JSON: {error}") from error


def folder_names(folder: Path) -> frozenset[str]:
    """Return the names of what is in a folder; it must be one."""
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries)
    except OSError as error:
        raise DatasetError(f"no folder {folder}") from error


def require_files(folder: Path, names: Sequence[str], what: str) -> None:
    """Raise DatasetError naming the first of the files that is not in the folder."""
    there = folder_names(folder)
    for name in names:
        if name not in there:
            raise DatasetError(f"missing {what} {folder / name}")


def chosen_names(
    names: Sequence[str], *, include: Sequence[str], exclude: Sequence[str], where: Path
) -> list[str]:
    """Return those names that are included (all if none are named) and not excluded.

    Raises:
        DatasetError: one that is included or excluded is not among them, or none remains.
    """
    unknown = sorted({*include, *exclude} - set(names))
    if unknown:
        raise DatasetError(f"{where}: there is no {', '.join(unknown)}")
    chosen = [name for name in (include or names) if name not in set(exclude)]
    if not chosen:
        raise DatasetError(f"{where}: nothing to read")
    return chosen
