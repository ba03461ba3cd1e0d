# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of data sets: folders, images and masks of several targets."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from siammask_ros import label_images
from siammask_ros.training.sources import DatasetError
from siammask_ros.training.warp import Uint8Array


def read_image(path: Path) -> Uint8Array:
    """Read a colour image as HxWx3 uint8 BGR; a file that does not decode is an error."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DatasetError(f"cannot read image {path}")
    return np.asarray(image, dtype=np.uint8)


def read_foreground(path: Path) -> npt.NDArray[np.bool_]:
    """Read a mask as `label_images.read_foreground` does; what fails is a DatasetError."""
    with _errors_of_data():
        return label_images.read_foreground(path)


def read_indices(path: Path) -> Uint8Array:
    """Read numbers as `label_images.read_label_image` does; what fails is a DatasetError."""
    with _errors_of_data():
        return label_images.read_label_image(path)


@contextmanager
def _errors_of_data() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise DatasetError(f"cannot read mask: {error}") from error


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
