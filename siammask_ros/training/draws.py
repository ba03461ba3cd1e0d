# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which target, frames and backgrounds a sample is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from siammask_ros.training.sources import Clip, DatasetError, MaskedTarget, Source
from siammask_ros.training.warp import Uint8Array

MAX_DRAWS = 1000
"""So many draws in a row without a usable target mean that the data has none."""


class TargetPair(NamedTuple):
    """One target at two times, which may be the same.

    Attributes:
        exemplar, search: the target in each; the same object where the time is the same.
        scene: data set and image or video that it is from, None for a drawn one.
    """

    exemplar: MaskedTarget
    search: MaskedTarget
    scene: tuple[str, str] | None


class Background(NamedTuple):
    """An image, HxWx3 uint8 BGR, and the scene that it shows, None for a drawn one."""

    image_bgr: Uint8Array
    scene: tuple[str, str] | None


class TargetSource(Protocol):
    """Draws targets and backgrounds instead of reading them."""

    def pair(self, rng: np.random.Generator) -> tuple[MaskedTarget, MaskedTarget]:
        """Return a drawn target as it looks at two times."""

    def background(self, rng: np.random.Generator) -> Uint8Array:
        """Return a drawn HxWx3 uint8 BGR background."""


class TargetDraws:
    """Draws from data sets by their weights, and from a renderer.

    Args:
        sources: data sets; those without a clip are passed over.
        renderer: draws targets too, None for never.
        rendered_targets: probability that a cut-out is drawn by the renderer.
        rendered_backgrounds: the same of a background.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        renderer: TargetSource | None,
        *,
        rendered_targets: float,
        rendered_backgrounds: float,
    ) -> None:
        self._pairs = _Pool(sources, [s.config.weight for s in sources])
        weights = [s.config.cutout_weight for s in sources]
        self._cutouts = _Pool(
            sources, [w * s.has_masks for s, w in zip(sources, weights, strict=True)]
        )
        self._scenes = _Pool(sources, weights)
        self._renderer = renderer
        self._rendered_targets = rendered_targets
        self._rendered_backgrounds = rendered_backgrounds

    @property
    def has_pairs(self) -> bool:
        """Whether a data set gives pairs."""
        return bool(self._pairs)

    @property
    def has_cutouts(self) -> bool:
        """Whether there are targets with a mask."""
        return bool(self._cutouts) or self._renderer is not None

    @property
    def has_scenes(self) -> bool:
        """Whether there are images to search in besides those of pairs."""
        return bool(self._scenes) or self._renderer is not None

    def pair(self, rng: np.random.Generator) -> TargetPair:
        """Return a pair of a data set, by `weight`."""
        return self._pairs.pair(rng)

    def cutout_pair(self, rng: np.random.Generator) -> TargetPair:
        """Return a target with masks at two times, by `cutout_weight`, or a drawn one."""
        renderer = self._turn(rng, self._cutouts, self._rendered_targets)
        return self._cutouts.pair(rng) if renderer is None else _rendered_pair(renderer, rng)

    def cutout(self, rng: np.random.Generator) -> MaskedTarget:
        """Return one target with a mask, as `cutout_pair`."""
        renderer = self._turn(rng, self._cutouts, self._rendered_targets)
        return renderer.pair(rng)[0] if renderer is not None else self._cutouts.frame(rng)[0]

    def scene_target(self, rng: np.random.Generator) -> TargetPair:
        """Return one target, with or without a mask, by `cutout_weight`, or a drawn one."""
        renderer = self._turn(rng, self._scenes, self._rendered_targets)
        if renderer is not None:
            return _rendered_pair(renderer, rng)
        target, scene = self._scenes.frame(rng)
        return TargetPair(target, target, scene)

    def background(self, rng: np.random.Generator) -> Background:
        """Return an image of a data set, by `cutout_weight`, or a drawn one."""
        renderer = self._turn(rng, self._scenes, self._rendered_backgrounds)
        if renderer is not None:
            return Background(renderer.background(rng), None)
        target, scene = self._scenes.frame(rng)
        return Background(target.image_bgr, scene)

    def _turn(
        self, rng: np.random.Generator, pool: _Pool, probability: float
    ) -> TargetSource | None:
        """The renderer if it is its turn: always where there is nothing else."""
        if self._renderer is None or (pool and rng.random() >= probability):
            return None
        return self._renderer


class _Pool:
    """Data sets that are drawn in proportion to their weights."""

    def __init__(self, sources: Sequence[Source], weights: Sequence[float]) -> None:
        drawn = [(s, w) for s, w in zip(sources, weights, strict=True) if w > 0 and s.clips]
        self._sources = [source for source, _ in drawn]
        self._edges = np.cumsum([weight for _, weight in drawn])

    def __bool__(self) -> bool:
        return bool(self._sources)

    def _clip(self, rng: np.random.Generator) -> tuple[Source, Clip]:
        at = int(np.searchsorted(self._edges, rng.random() * self._edges[-1], side="right"))
        source = self._sources[at]
        return source, source.clips[int(rng.integers(len(source.clips)))]

    def frame(self, rng: np.random.Generator) -> tuple[MaskedTarget, tuple[str, str]]:
        """Any frame of any clip, and its scene."""
        for _ in range(MAX_DRAWS):
            source, clip = self._clip(rng)
            target = clip.frames[int(rng.integers(len(clip.frames)))]
            if target is not None:
                return target, _scene(source, clip)
        raise self._none_usable()

    def pair(self, rng: np.random.Generator) -> TargetPair:
        """Two frames of any clip, as far apart as the source's configuration says."""
        for _ in range(MAX_DRAWS):
            source, clip = self._clip(rng)
            first, second = _two_times(rng, len(clip.frames), source)
            exemplar = clip.frames[first]
            search = exemplar if second == first else clip.frames[second]
            if exemplar is not None and search is not None:
                return TargetPair(exemplar, search, _scene(source, clip))
        raise self._none_usable()

    def _none_usable(self) -> DatasetError:
        names = ", ".join(source.name for source in self._sources)
        return DatasetError(f"{MAX_DRAWS} draws from {names} gave no target that can be seen")


def _scene(source: Source, clip: Clip) -> tuple[str, str]:
    return source.name, clip.scene or clip.name


def _two_times(rng: np.random.Generator, count: int, source: Source) -> tuple[int, int]:
    first = int(rng.integers(count))
    if rng.random() < source.config.any_frame_probability:
        return first, int(rng.integers(count))
    reach = source.config.frame_range
    return first, int(rng.integers(max(first - reach, 0), min(first + reach, count - 1) + 1))


def _rendered_pair(renderer: TargetSource, rng: np.random.Generator) -> TargetPair:
    exemplar, search = renderer.pair(rng)
    return TargetPair(exemplar, search, None)
