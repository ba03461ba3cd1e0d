# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training samples: an exemplar patch, a search patch, and what the network should say of it.

Three kinds are mixed. A *pair* takes both patches from two frames of one clip, or from one image
that is augmented twice; a *composite* pastes the target, cut out by its mask, onto other
backgrounds; a *negative* searches where the target is not: round another target, in another
background, in the background that the target was pasted onto, or elsewhere in its own image.
Pasted distractors and occluders may be added to each. A sample depends on nothing but the seed and
its number.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from siammask_ros.crop import context_side
from siammask_ros.training.draws import MAX_DRAWS, TargetDraws, TargetSource
from siammask_ros.training.photometric import (
    PhotometricConfig,
    degrade,
    grey,
    jitter_colors,
    random_recoloring,
    recolor,
)
from siammask_ros.training.sources import DatasetError, MaskedTarget, Source
from siammask_ros.training.warp import (
    Affine,
    SimilarityJitter,
    Uint8Array,
    bend,
    patch_warp,
    warp_antialiased,
)

Float32Array = npt.NDArray[np.float32]
_KINDS = ("pair", "composite", "negative")
_NEGATIVES = ("other_target", "vanished", "elsewhere", "background")
_HALF_COVERED = 127  # of 255
_COVERED_PROBABILITY = 0.5
"""Of vanished targets: those with another one in their place."""
_PLACES_TRIED = 8


@dataclass(frozen=True)
class SampleConfig:
    """Shape and mix of the samples.

    Probabilities and shares are in [0, 1], lengths in patch pixels, and an octave is a factor
    of 2: sizes vary by 2 to the power of a normal number with this standard deviation.

    Attributes:
        exemplar_size, search_size: sides of the square patches; official: 127 and 255, with 143
            to train the refiner.
        context_amount: margin round the target in its mean side, as in tracking.
        pair_share: samples of two frames of a clip, or of one image twice.
        composite_share: samples of a cut-out target on other backgrounds.
        negative_share: samples whose search patch lacks the target. The three add up to 1.
        other_target_probability: negatives that search round another target, of any source.
        vanished_probability: negatives whose target has vanished: it was pasted onto a background,
            which is searched without it, in half of them with another target in its place.
        elsewhere_probability: negatives that search a part of the target's own image where it is
            not. What these three leave of the negatives search in any other background.
        rendered_target_probability: cut-outs, and targets of negatives, that are drawn instead.
        rendered_background_probability: backgrounds that are drawn instead.
        exemplar_shift: the exemplar's greatest shift, uniform.
        exemplar_scale_octaves: variation of its scale.
        exemplar_stretch: width and height of the region that is cut out for it vary by up to
            this share, each for itself, uniform; official: 0.05.
        search_shift_sigma: standard deviation of the target's shift in the search patch.
        wide_shift_probability: samples where it is uniform instead.
        wide_shift: its greatest, uniform or not; official: always uniform, 64, or 8 to train
            the refiner.
        search_scale_octaves: variation of the target's scale in the search patch.
        search_stretch: as `exemplar_stretch`; official: 0.18.
        aspect_octaves: variation of width relative to height.
        shared_aspect_octaves: of both patches alike: a target of another shape.
        shared_angle_degrees: standard deviation of the rotation of both patches.
        relative_angle_degrees: of the rotation between them. Targets without a mask are not
            rotated.
        any_angle_probability: samples where both patches are turned by the same angle, any one.
        flip_probability: samples that are mirrored, both patches alike; official: 0.
        grey_probability: samples without colour, both patches alike; official: 0.25.
        recolor_probability: samples with other colours, both patches alike: hues turn or are
            mirrored, some are negatives of the image. Targets of other colours make others.
        bend_probability: targets of composites and of single images that are bent.
        bend_pixels: standard deviation of how far.
        distractor_probability: samples with other targets pasted into the search patch.
        max_distractors: how many at most.
        occluder_probability: samples with another target pasted over the target.
        min_visible_share: share of the target that an occluder leaves visible.
        min_target_side: targets that are narrower or lower in the search patch are redrawn.
        photometric: light, colour, blur and noise.
    """

    exemplar_size: int = 127
    search_size: int = 255
    context_amount: float = 0.5
    pair_share: float = 0.5
    composite_share: float = 0.35
    negative_share: float = 0.15
    other_target_probability: float = 0.5
    vanished_probability: float = 0.0
    elsewhere_probability: float = 0.0
    rendered_target_probability: float = 0.15
    rendered_background_probability: float = 0.2
    exemplar_shift: float = 4.0
    exemplar_scale_octaves: float = 0.1
    exemplar_stretch: float = 0.0
    search_shift_sigma: float = 20.0
    wide_shift_probability: float = 0.3
    wide_shift: float = 72.0
    search_scale_octaves: float = 0.25
    search_stretch: float = 0.0
    aspect_octaves: float = 0.12
    shared_aspect_octaves: float = 0.0
    shared_angle_degrees: float = 15.0
    relative_angle_degrees: float = 8.0
    any_angle_probability: float = 0.0
    flip_probability: float = 0.5
    grey_probability: float = 0.0
    recolor_probability: float = 0.0
    bend_probability: float = 0.4
    bend_pixels: float = 5.0
    distractor_probability: float = 0.45
    max_distractors: int = 3
    occluder_probability: float = 0.25
    min_visible_share: float = 0.35
    min_target_side: float = 10.0
    photometric: PhotometricConfig = field(default_factory=PhotometricConfig)

    def __post_init__(self) -> None:
        for name in (f.name for f in dataclasses.fields(self)):
            value = getattr(self, name)
            if name == "photometric":
                continue
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be at least 0, got {value}")
            if name.endswith(("_share", "_probability", "_stretch")) and value > 1:
                raise ValueError(f"{name} must be from 0 to 1, got {value}")
        shares = self.pair_share + self.composite_share + self.negative_share
        if not math.isclose(shares, 1.0, abs_tol=1e-6):
            raise ValueError(f"the shares of the samples must add up to 1, got {shares:.3g}")
        if sum(self._negatives) > 1:
            raise ValueError(
                "other_target_probability, vanished_probability and elsewhere_probability "
                f"must add up to 1 at most, got {sum(self._negatives):.3g}"
            )
        for name in ("exemplar_size", "search_size", "max_distractors"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if max(self.exemplar_stretch, self.search_stretch) == 1:
            raise ValueError("a stretch must be below 1")

    @property
    def _negatives(self) -> tuple[float, float, float]:
        """Shares of the kinds of negatives, but for those in other backgrounds."""
        return (
            self.other_target_probability,
            self.vanished_probability,
            self.elsewhere_probability,
        )

    def negative_kind(self, rng: np.random.Generator) -> str:
        """Draw one of "other_target", "vanished", "elsewhere" and "background"."""
        index = np.searchsorted(np.cumsum(self._negatives), rng.random(), side="right")
        return _NEGATIVES[int(index)]


@dataclass(frozen=True)
class Sample:
    """One training sample.

    Attributes:
        exemplar_patch: ExEx3 uint8 BGR, E = exemplar_size.
        search_patch: SxSx3 uint8 BGR, S = search_size.
        mask: SxS uint8 {0, 1}, the visible target in the search patch.
        box_xyxy: float32 (4,), corners of the target's box in the search patch; zeros if absent.
        is_positive: whether the target is in the search patch.
        has_mask: whether `mask` is one; False where it is the filled box of box-only data, or
            the target is not there.
        number: index of the sample. All random choices about it derive from seed and number.
    """

    exemplar_patch: Uint8Array
    search_patch: Uint8Array
    mask: Uint8Array
    box_xyxy: Float32Array
    is_positive: bool
    has_mask: bool
    number: int


class SampleBatch(NamedTuple):
    """Samples stacked into tensors."""

    exemplar_patches: torch.Tensor
    """(N, 3, E, E) uint8 BGR."""
    search_patches: torch.Tensor
    """(N, 3, S, S) uint8 BGR."""
    masks: torch.Tensor
    """(N, S, S) uint8 {0, 1}."""
    boxes_xyxy: torch.Tensor
    """(N, 4) float32, search-patch pixels."""
    is_positive: torch.Tensor
    """(N,) bool."""
    has_mask: torch.Tensor
    """(N,) bool."""
    number: torch.Tensor
    """(N,) int64."""


def collate(samples: Sequence[Sample]) -> SampleBatch:
    """Stack samples into tensors, channels first."""
    return SampleBatch(
        exemplar_patches=_channels_first(np.stack([s.exemplar_patch for s in samples])),
        search_patches=_channels_first(np.stack([s.search_patch for s in samples])),
        masks=torch.from_numpy(np.stack([s.mask for s in samples])),
        boxes_xyxy=torch.from_numpy(np.stack([s.box_xyxy for s in samples])),
        is_positive=torch.tensor([s.is_positive for s in samples]),
        has_mask=torch.tensor([s.has_mask for s in samples]),
        number=torch.tensor([s.number for s in samples], dtype=torch.int64),
    )


def _channels_first(patches: Uint8Array) -> torch.Tensor:
    return torch.from_numpy(patches).permute(0, 3, 1, 2)  # (N, 3, H, W), channels-last memory


class SampleDataset(Dataset[Sample]):
    """Samples by index from data sets, rendered targets or both, the same for the same seed.

    Without a data set that gives pairs, composites take their place.

    Raises:
        ValueError: there is no target, or no target with a mask though the configuration asks
            for composites, distractors or occluders, or no image for negatives.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        config: SampleConfig,
        *,
        seed: int,
        length: int,
        renderer: TargetSource | None = None,
    ) -> None:
        self._draws = TargetDraws(
            sources,
            renderer,
            rendered_targets=config.rendered_target_probability,
            rendered_backgrounds=config.rendered_background_probability,
        )
        self._check(config)
        self._config = config
        self._shares = np.cumsum([config.pair_share, config.composite_share, config.negative_share])
        self._seed = seed
        self._length = length

    def _check(self, config: SampleConfig) -> None:
        draws = self._draws
        if not (draws.has_pairs or draws.has_cutouts):
            raise ValueError("no clip with a target, and nothing that draws targets")
        pasted_shares = (
            config.composite_share,
            config.distractor_probability,
            config.occluder_probability,
            config.negative_share * config.vanished_probability,
        )
        pasted = max(*pasted_shares, float(not draws.has_pairs))
        if pasted > 0 and not draws.has_cutouts:
            raise ValueError(
                "composites, distractors, occluders and vanished targets need targets with masks: "
                "add a source, or set composite_share and their probabilities to 0"
            )
        if max(config.composite_share, config.negative_share) > 0 and not draws.has_scenes:
            raise ValueError("composites and negatives need a source with a cutout_weight above 0")

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng((self._seed, index))
        for _ in range(MAX_DRAWS):
            sample = self._draw(rng, index)
            if sample is not None:
                return sample
        raise DatasetError(f"{MAX_DRAWS} draws in a row gave no sample: are all targets tiny?")

    def _draw(self, rng: np.random.Generator, number: int) -> Sample | None:
        draw = rng.random() * self._shares[-1]
        kind = _KINDS[int(np.searchsorted(self._shares, draw, side="right"))]
        if kind == "negative":
            return self._negative_sample(rng, number)
        if kind == "pair" and self._draws.has_pairs:
            return self._pair_sample(rng, number)
        return self._composite_sample(rng, number)

    def _jitters(self, rng: np.random.Generator) -> tuple[SimilarityJitter, SimilarityJitter]:
        config = self._config
        flip = bool(rng.random() < config.flip_probability)
        angle = math.radians(rng.normal(0.0, config.shared_angle_degrees))
        if rng.random() < config.any_angle_probability:
            angle = rng.uniform(0.0, 2.0 * math.pi)
        if rng.random() < config.wide_shift_probability:
            shift = rng.uniform(-config.wide_shift, config.wide_shift, 2)
        else:
            shift = rng.normal(0.0, config.search_shift_sigma, 2)
            shift = np.clip(shift, -config.wide_shift, config.wide_shift)
        shape_octaves = config.aspect_octaves, config.shared_aspect_octaves
        exemplar_shift = rng.uniform(-config.exemplar_shift, config.exemplar_shift, 2)
        exemplar = SimilarityJitter(
            shift_xy=(float(exemplar_shift[0]), float(exemplar_shift[1])),
            scale=2.0 ** rng.normal(0.0, config.exemplar_scale_octaves),
            aspect=2.0 ** rng.normal(0.0, math.hypot(*shape_octaves)),
            angle=angle,
            flip=flip,
        )
        octaves = np.clip(rng.normal(0.0, config.search_scale_octaves), -0.8, 0.8)
        search = SimilarityJitter(
            shift_xy=(float(shift[0]), float(shift[1])),
            scale=2.0**octaves,
            aspect=exemplar.aspect * 2.0 ** rng.normal(0.0, config.aspect_octaves),
            angle=angle + math.radians(rng.normal(0.0, config.relative_angle_degrees)),
            flip=flip,
        )
        return (
            _stretched(rng, exemplar, config.exemplar_stretch),
            _stretched(rng, search, config.search_stretch),
        )

    def _cut(
        self,
        target: MaskedTarget,
        size: int,
        jitter: SimilarityJitter,
        *,
        center_xy: tuple[float, float] | None = None,
    ) -> tuple[Uint8Array, Uint8Array]:
        """Cut the patch round a target, or another place; return it and the target's mask."""
        warp = self._warp(target, size, jitter, center_xy=center_xy)
        image = target.image_bgr
        border = tuple(cv2.mean(image)[:3])
        patch = warp_antialiased(image, warp, (size, size), border)
        return patch, _warp_mask(target, warp, size)

    def _warp(
        self,
        target: MaskedTarget,
        size: int,
        jitter: SimilarityJitter,
        *,
        center_xy: tuple[float, float] | None = None,
    ) -> Affine:
        scale = self._config.exemplar_size / context_side(
            target.size_wh, self._config.context_amount
        )
        return patch_warp(center_xy or target.center_xy, scale, size, jitter)

    def _pair_sample(self, rng: np.random.Generator, number: int) -> Sample | None:
        exemplar, search, _ = self._draws.pair(rng)
        exemplar_jitter, search_jitter = self._jitters(rng)
        if not search.has_mask:  # the box round a turned or bent box would be too large
            exemplar_jitter = dataclasses.replace(exemplar_jitter, angle=0.0)
            search_jitter = dataclasses.replace(search_jitter, angle=0.0)
        exemplar_patch, _ = self._cut(exemplar, self._config.exemplar_size, exemplar_jitter)
        search_patch, mask = self._cut(search, self._config.search_size, search_jitter)
        may_bend = exemplar is search and search.has_mask
        if may_bend and rng.random() < self._config.bend_probability:
            search_patch, mask = self._bend(rng, search_patch, mask)
        search_patch, mask = self._clutter(rng, search_patch, mask)
        sample = Sample(
            exemplar_patch, search_patch, mask, _box(mask), True, search.has_mask, number
        )
        return self._finish(rng, sample)

    def _composite_sample(self, rng: np.random.Generator, number: int) -> Sample | None:
        exemplar, search, _ = self._draws.cutout_pair(rng)
        exemplar_jitter, search_jitter = self._jitters(rng)
        config = self._config
        exemplar_patch, search_patch = self._backgrounds(rng)
        exemplar_patch, _ = self._paste_target(
            rng, exemplar_patch, exemplar, config.exemplar_size, exemplar_jitter, bent=False
        )
        search_patch, _ = self._add_distractors(rng, search_patch, None)
        search_patch, mask = self._paste_target(
            rng,
            search_patch,
            search,
            config.search_size,
            search_jitter,
            bent=rng.random() < config.bend_probability,
        )
        search_patch, mask = self._add_occluder(rng, search_patch, mask)
        sample = Sample(exemplar_patch, search_patch, mask, _box(mask), True, True, number)
        return self._finish(rng, sample)

    def _negative_sample(self, rng: np.random.Generator, number: int) -> Sample | None:
        kind = self._config.negative_kind(rng)
        jitters = self._jitters(rng)
        patches: tuple[Uint8Array, Uint8Array] | None
        if kind == "vanished":
            patches = self._vanished(rng, *jitters)
        elif kind == "elsewhere":
            patches = self._elsewhere(rng, *jitters)
        else:
            patches = self._another_place(rng, *jitters, round_target=kind == "other_target")
        if patches is None:
            return None
        mask = np.zeros((self._config.search_size, self._config.search_size), np.uint8)
        return self._finish(rng, Sample(*patches, mask, _box(mask), False, False, number))

    def _another_place(
        self,
        rng: np.random.Generator,
        exemplar_jitter: SimilarityJitter,
        search_jitter: SimilarityJitter,
        *,
        round_target: bool,
    ) -> tuple[Uint8Array, Uint8Array] | None:
        """A target, and a search round another one or in a background, never of its own scene."""
        target, _, scene = self._draws.scene_target(rng)
        exemplar_patch, _ = self._cut(target, self._config.exemplar_size, exemplar_jitter)
        if round_target:
            other, _, other_scene = self._draws.scene_target(rng)
            if other_scene is not None and other_scene == scene:
                return None
            search_patch, _ = self._cut(other, self._config.search_size, search_jitter)
        else:
            _, search_patch = self._backgrounds(rng, avoid=scene)
            search_patch, _ = self._add_distractors(rng, search_patch, None)
        return exemplar_patch, search_patch

    def _vanished(
        self,
        rng: np.random.Generator,
        exemplar_jitter: SimilarityJitter,
        search_jitter: SimilarityJitter,
    ) -> tuple[Uint8Array, Uint8Array]:
        """A composite whose search patch shows no target, or another one where it would be."""
        target, _, scene = self._draws.cutout_pair(rng)
        exemplar_patch, search_patch = self._backgrounds(rng, avoid=scene)
        exemplar_patch, _ = self._paste_target(
            rng,
            exemplar_patch,
            target,
            self._config.exemplar_size,
            exemplar_jitter,
            bent=False,
        )
        search_patch, _ = self._add_distractors(rng, search_patch, None)
        if rng.random() < _COVERED_PROBABILITY:
            search_patch = self._paste_other(rng, search_patch, search_jitter.shift_xy)
        return exemplar_patch, search_patch

    def _elsewhere(
        self,
        rng: np.random.Generator,
        exemplar_jitter: SimilarityJitter,
        search_jitter: SimilarityJitter,
    ) -> tuple[Uint8Array, Uint8Array] | None:
        """A target, and a search in its own image that shows none of it."""
        target, _, _ = self._draws.scene_target(rng)
        exemplar_patch, _ = self._cut(target, self._config.exemplar_size, exemplar_jitter)
        height, width = target.image_bgr.shape[:2]
        for _ in range(_PLACES_TRIED):
            x, y = rng.uniform(0.0, 1.0, 2) * [width, height]
            search_patch, mask = self._cut(
                target, self._config.search_size, search_jitter, center_xy=(float(x), float(y))
            )
            if not mask.any():
                return exemplar_patch, search_patch
        return None  # it fills its image

    def _backgrounds(
        self, rng: np.random.Generator, *, avoid: tuple[str, str] | None = None
    ) -> tuple[Uint8Array, Uint8Array]:
        """Cut an exemplar-sized and a search-sized patch out of one image, at one scale.

        An image of the scene to avoid is turned upside down.
        """
        config = self._config
        image, scene = self._draws.background(rng)
        if avoid is not None and scene == avoid:
            image = np.ascontiguousarray(image[::-1])
        height, width = image.shape[:2]
        scale = 2.0 ** rng.uniform(-1.2, 0.8)
        border = tuple(cv2.mean(image)[:3])
        patches = []
        center = rng.uniform(0.15, 0.85, 2) * [width, height]
        angle = float(rng.normal(0.0, 0.2))
        flip = bool(rng.random() < 0.5)
        moved = rng.normal(0.0, 30.0, 2) if rng.random() < 0.7 else rng.uniform(-1, 1, 2) * width
        for size, point in ((config.exemplar_size, center + moved), (config.search_size, center)):
            jitter = SimilarityJitter(angle=angle, flip=flip)
            warp = patch_warp((float(point[0]), float(point[1])), scale, size, jitter)
            patches.append(warp_antialiased(image, warp, (size, size), border))
        return patches[0], patches[1]

    def _paste_target(
        self,
        rng: np.random.Generator,
        patch: Uint8Array,
        target: MaskedTarget,
        size: int,
        jitter: SimilarityJitter,
        *,
        bent: bool,
    ) -> tuple[Uint8Array, Uint8Array]:
        """Paste a cut-out with soft edges; return the patch and the cut-out's mask {0, 1}."""
        cutout, alpha = self._cutout_layer(target, size, jitter)
        if bent:
            cutout, alpha = _remap(rng, cutout, alpha, self._config.bend_pixels)
        cutout = jitter_colors(cutout, rng, self._config.photometric)
        return _blend(patch, cutout, alpha), (alpha > _HALF_COVERED).astype(np.uint8)

    def _cutout_layer(
        self, target: MaskedTarget, size: int, jitter: SimilarityJitter
    ) -> tuple[Uint8Array, Uint8Array]:
        warp = self._warp(target, size, jitter)
        in_crop = warp.copy()
        in_crop[:, 2] += warp[:, :2] @ np.asarray(target.origin_xy, dtype=np.float64)
        cutout = warp_antialiased(target.image_crop, in_crop, (size, size), (0.0, 0.0, 0.0))
        alpha = warp_antialiased(target.mask_crop, in_crop, (size, size), 0.0)
        return cutout, alpha

    def _bend(
        self, rng: np.random.Generator, patch: Uint8Array, mask: Uint8Array
    ) -> tuple[Uint8Array, Uint8Array]:
        patch, alpha = _remap(rng, patch, mask * np.uint8(255), self._config.bend_pixels)
        return patch, (alpha > _HALF_COVERED).astype(np.uint8)

    def _clutter(
        self, rng: np.random.Generator, patch: Uint8Array, mask: Uint8Array
    ) -> tuple[Uint8Array, Uint8Array]:
        patch, mask = self._add_distractors(rng, patch, mask)
        return self._add_occluder(rng, patch, mask)

    def _add_distractors(
        self, rng: np.random.Generator, patch: Uint8Array, keep: Uint8Array | None
    ) -> tuple[Uint8Array, Uint8Array]:
        """Paste other targets behind `keep` (the target's mask {0, 1}), which stays as it is."""
        none = np.zeros(patch.shape[:2], np.uint8) if keep is None else keep
        if rng.random() >= self._config.distractor_probability:
            return patch, none
        for _ in range(int(rng.integers(1, self._config.max_distractors + 1))):
            shift = rng.uniform(-0.5, 0.5, 2) * patch.shape[0]
            patch = self._paste_other(rng, patch, shift, hidden_by=keep)
        return patch, none

    def _add_occluder(
        self, rng: np.random.Generator, patch: Uint8Array, mask: Uint8Array
    ) -> tuple[Uint8Array, Uint8Array]:
        """Paste another target over the target; leave it when too little would stay visible."""
        if rng.random() >= self._config.occluder_probability or not mask.any():
            return patch, mask
        size = patch.shape[0]
        other = self._draws.cutout(rng)
        ys, xs = np.nonzero(mask)
        at = int(rng.integers(len(xs)))
        shift = np.array([xs[at], ys[at]]) - (size - 1) / 2 + rng.normal(0.0, 20.0, 2)
        jitter = self._loose_jitter(rng, shift)
        cutout, alpha = self._cutout_layer(other, size, jitter)
        visible = mask & (alpha <= _HALF_COVERED)
        if visible.sum() < self._config.min_visible_share * mask.sum():
            return patch, mask
        cutout = jitter_colors(cutout, rng, self._config.photometric)
        return _blend(patch, cutout, alpha), visible

    def _paste_other(
        self,
        rng: np.random.Generator,
        patch: Uint8Array,
        shift_xy: Sequence[float] | npt.NDArray[np.float64],
        *,
        hidden_by: Uint8Array | None = None,
    ) -> Uint8Array:
        """Paste another target, its centre shifted by pixels from the patch's centre."""
        other = self._draws.cutout(rng)
        jitter = self._loose_jitter(rng, shift_xy)
        cutout, alpha = self._cutout_layer(other, patch.shape[0], jitter)
        if hidden_by is not None:
            around = cv2.dilate(hidden_by, np.ones((3, 3), np.uint8))
            alpha = np.where(around > 0, 0, alpha).astype(np.uint8)
        cutout = jitter_colors(cutout, rng, self._config.photometric)
        return _blend(patch, cutout, alpha)

    @staticmethod
    def _loose_jitter(
        rng: np.random.Generator, shift: Sequence[float] | npt.NDArray[np.float64]
    ) -> SimilarityJitter:
        return SimilarityJitter(
            shift_xy=(float(shift[0]), float(shift[1])),
            scale=2.0 ** rng.normal(0.0, 0.4),
            aspect=2.0 ** rng.normal(0.0, 0.2),
            angle=float(rng.normal(0.0, 0.4)),
            flip=bool(rng.random() < 0.5),
        )

    def _finish(self, rng: np.random.Generator, sample: Sample) -> Sample | None:
        """Change light and colours; None where too little of the target is to be seen."""
        x0, y0, x1, y1 = sample.box_xyxy
        if sample.is_positive and min(x1 - x0, y1 - y0) < max(self._config.min_target_side, 1):
            return None
        patches = sample.exemplar_patch, sample.search_patch
        if rng.random() < self._config.grey_probability:
            patches = grey(patches[0]), grey(patches[1])
        if rng.random() < self._config.recolor_probability:
            matrix = random_recoloring(rng)
            patches = recolor(patches[0], matrix), recolor(patches[1], matrix)
        photometric = self._config.photometric
        exemplar_patch, search_patch = (
            degrade(jitter_colors(patch, rng, photometric), rng, photometric) for patch in patches
        )
        return dataclasses.replace(sample, exemplar_patch=exemplar_patch, search_patch=search_patch)


def _stretched(
    rng: np.random.Generator, jitter: SimilarityJitter, share: float
) -> SimilarityJitter:
    """The jitter of a region whose width and height vary by up to `share`, each for itself."""
    wider, higher = 1.0 + rng.uniform(-share, share, 2)  # what is cut grows, the target shrinks
    return dataclasses.replace(
        jitter,
        scale=jitter.scale / math.sqrt(wider * higher),
        aspect=jitter.aspect * higher / wider,
    )


def _box(mask: Uint8Array) -> Float32Array:
    """Corners (x0, y0, x1, y1) of the box round a mask, zeros where it is empty."""
    columns = np.flatnonzero(mask.any(axis=0))
    if columns.size == 0:
        return np.zeros(4, np.float32)
    rows = np.flatnonzero(mask.any(axis=1))
    # Corners are pixel edges: the last pixel's far side is one further.
    return np.array(
        [columns[0] - 0.5, rows[0] - 0.5, columns[-1] + 0.5, rows[-1] + 0.5], np.float32
    )


def _warp_mask(target: MaskedTarget, warp: Affine, size: int) -> Uint8Array:
    in_crop = warp.copy()
    in_crop[:, 2] += warp[:, :2] @ np.asarray(target.origin_xy, dtype=np.float64)
    warped = warp_antialiased(target.mask_crop, in_crop, (size, size), 0.0)
    return (warped > _HALF_COVERED).astype(np.uint8)


def _remap(
    rng: np.random.Generator, patch: Uint8Array, alpha: Uint8Array, pixels: float
) -> tuple[Uint8Array, Uint8Array]:
    map_x, map_y = bend(rng, patch.shape[0], pixels)
    moved = cv2.remap(patch, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    moved_alpha = cv2.remap(alpha, map_x, map_y, cv2.INTER_LINEAR)
    return np.asarray(moved, dtype=np.uint8), np.asarray(moved_alpha, dtype=np.uint8)


def _blend(patch: Uint8Array, cutout: Uint8Array, alpha: Uint8Array) -> Uint8Array:
    """Return `cutout` over `patch` by `alpha` 0..255, its rim softened inward."""
    columns = np.flatnonzero(alpha.any(axis=0))
    if columns.size == 0:
        return patch
    rows = np.flatnonzero(alpha.any(axis=1))
    region = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    # The annotated rim often holds a little of the old background: pull it in before softening.
    soft = cv2.blur(cv2.erode(alpha[region], np.ones((2, 2), np.uint8)), (3, 3))
    weight = soft.astype(np.float32)[..., None] / 255.0
    blended: Uint8Array = patch.copy()
    mixed = patch[region] + (cutout[region].astype(np.float32) - patch[region]) * weight
    blended[region] = np.round(mixed).astype(np.uint8)
    return blended
