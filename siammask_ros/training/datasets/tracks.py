# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What readers find: where the frames of each target lie, decoded now or on access."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar, overload

import numpy as np
import numpy.typing as npt

from siammask_ros.training.datasets.files import read_foreground, read_image, read_indices
from siammask_ros.training.sources import DatasetError, MaskedTarget, boxed_target, masked_target
from siammask_ros.training.warp import Uint8Array

ImageReader = Callable[[Path], Uint8Array]
ItemT = TypeVar("ItemT")


class Watch(Protocol):
    """Looks on while a reader goes through what there is."""

    def __call__(self, items: Sequence[ItemT], /) -> Iterable[ItemT]:
        """The items; each is known to be done when the next is taken."""


class Track(ABC):
    """Where the frames of one target lie, before they are decoded."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of frames."""

    @abstractmethod
    def decode(self, index: int, read: ImageReader) -> MaskedTarget | None:
        """Read a frame; None where the target cannot be seen, or is too small.

        Args:
            index: of the frame, from 0.
            read: reads its image.
        """


class LazyFrames(Sequence["MaskedTarget | None"]):
    """The frames of a track, each decoded whenever it is asked for."""

    def __init__(self, track: Track) -> None:
        self._track = track

    def __len__(self) -> int:
        return len(self._track)

    @overload
    def __getitem__(self, index: int) -> MaskedTarget | None: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[MaskedTarget | None]: ...
    def __getitem__(
        self, index: int | slice
    ) -> MaskedTarget | Sequence[MaskedTarget | None] | None:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self._track.decode(range(len(self))[index], read_image)


def decoded_frames(track: Track, read: ImageReader) -> tuple[MaskedTarget, ...]:
    """Read all frames of a track; those that do not show the target are left out."""
    frames = (track.decode(index, read) for index in range(len(track)))
    return tuple(frame for frame in frames if frame is not None)


class ListedTarget(NamedTuple):
    """A target that a reader found; see `Clip` for its name and scene."""

    name: str
    track: Track
    scene: str


@dataclass(frozen=True)
class Listing:
    """What a reader found; see `Source` for the counts."""

    targets: Sequence[ListedTarget]
    is_video: bool
    images: int
    left_out: int
    has_masks: bool = True


@dataclass(frozen=True)
class MaskTrack(Track):
    """A target whose masks are images.

    Attributes:
        images, masks: folders.
        stems: names of the files in both, without .jpg and .png.
        number: the target's in the masks; everything that is not background if None.
        min_side: narrower or lower boxes are no target, pixels.
    """

    images: Path
    masks: Path
    stems: tuple[str, ...]
    number: int | None
    min_side: int

    def __len__(self) -> int:
        return len(self.stems)

    def decode(self, index: int, read: ImageReader) -> MaskedTarget | None:
        """Read a frame and its mask."""
        image_path = self.images / f"{self.stems[index]}.jpg"
        mask_path = self.masks / f"{self.stems[index]}.png"
        image = read(image_path)
        if self.number is None:
            mask = read_foreground(mask_path)
        else:
            mask = read_indices(mask_path) == self.number
        if image.shape[:2] != mask.shape:
            raise DatasetError(f"{mask_path} has shape {mask.shape}, its image {image.shape[:2]}")
        return large_enough(masked_target(image, mask), self.min_side)


@dataclass(frozen=True)
class BoxTrack(Track):
    """A target of which boxes are known.

    Attributes:
        folder: of its images.
        names: of the files.
        boxes_xyxy: (N, 4) int32, first and last column and row.
    """

    folder: Path
    names: tuple[str, ...]
    boxes_xyxy: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.names)

    def decode(self, index: int, read: ImageReader) -> MaskedTarget | None:
        """Read a frame."""
        x0, y0, x1, y1 = self.boxes_xyxy[index].tolist()
        return boxed_target(read(self.folder / self.names[index]), (x0, y0, x1, y1))


def large_enough(target: MaskedTarget | None, min_side: int) -> MaskedTarget | None:
    """Return the target, None where its box is narrower or lower than `min_side` pixels."""
    return None if target is None or min(target.size_wh) < min_side else target
