# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training samples: an exemplar patch, a search patch, and what the network should say of it.

Four kinds are mixed. A *video* pair takes both patches from two frames of one clip; an *image*
pair from one image, augmented twice; a *composite* pair pastes the target, cut out by its mask,
onto other backgrounds; a *negative* searches where the target is not. Pasted distractors and
occluders may be added to each. A sample depends on nothing but the seed and its index.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from siammask_ros.crop import context_side
from siammask_ros.training.photometric import PhotometricConfig, degrade, jitter_colors
from siammask_ros.training.sources import Clip, MaskedTarget
from siammask_ros.training.warp import (
    Affine,
    SimilarityJitter,
    Uint8Array,
    bend,
    patch_warp,
    warp_antialiased,
)

Float32Array = npt.NDArray[np.float32]
_KINDS = ("video", "image", "composite", "negative")
_HALF_COVERED = 127  # of 255


@dataclass(frozen=True)
class SampleConfig:
    """Shape and mix of the samples. Probabilities in [0, 1], patch lengths in pixels."""

    exemplar_size: int = 127
    search_size: int = 255
    context_amount: float = 0.5
    video_share: float = 0.35
    image_share: float = 0.15
    composite_share: float = 0.35
    negative_share: float = 0.15
    any_frame_probability: float = 0.5
    frame_range: int = 20
    rendered_target_probability: float = 0.15
    rendered_background_probability: float = 0.2
    exemplar_shift: float = 4.0
    exemplar_scale_octaves: float = 0.1
    search_shift_sigma: float = 20.0
    wide_shift_probability: float = 0.3
    wide_shift: float = 72.0
    search_scale_octaves: float = 0.25
    aspect_octaves: float = 0.12
    shared_angle_degrees: float = 15.0
    relative_angle_degrees: float = 8.0
    bend_probability: float = 0.4
    bend_pixels: float = 5.0
    distractor_probability: float = 0.45
    max_distractors: int = 3
    occluder_probability: float = 0.25
    min_visible_share: float = 0.35
    min_target_side: float = 10.0
    photometric: PhotometricConfig = field(default_factory=PhotometricConfig)


@dataclass(frozen=True)
class Sample:
    """One training sample.

    Attributes:
        exemplar_patch: 127x127x3 uint8 BGR.
        search_patch: 255x255x3 uint8 BGR.
        mask: 255x255 uint8 {0, 1}, the visible target in the search patch.
        box_xyxy: float32 (4,), corners of the target's box in the search patch; zeros if absent.
        is_positive: whether the target is in the search patch.
    """

    exemplar_patch: Uint8Array
    search_patch: Uint8Array
    mask: Uint8Array
    box_xyxy: Float32Array
    is_positive: bool


class SampleBatch(NamedTuple):
    """Samples stacked into tensors."""

    exemplar_patches: torch.Tensor
    """(N, 3, 127, 127) uint8 BGR."""
    search_patches: torch.Tensor
    """(N, 3, 255, 255) uint8 BGR."""
    masks: torch.Tensor
    """(N, 255, 255) uint8 {0, 1}."""
    boxes_xyxy: torch.Tensor
    """(N, 4) float32, search-patch pixels."""
    is_positive: torch.Tensor
    """(N,) bool."""


def collate(samples: Sequence[Sample]) -> SampleBatch:
    """Stack samples into tensors, channels first."""
    return SampleBatch(
        exemplar_patches=_channels_first(np.stack([s.exemplar_patch for s in samples])),
        search_patches=_channels_first(np.stack([s.search_patch for s in samples])),
        masks=torch.from_numpy(np.stack([s.mask for s in samples])),
        boxes_xyxy=torch.from_numpy(np.stack([s.box_xyxy for s in samples])),
        is_positive=torch.tensor([s.is_positive for s in samples]),
    )


def _channels_first(patches: Uint8Array) -> torch.Tensor:
    return torch.from_numpy(patches).permute(0, 3, 1, 2)  # (N, 3, H, W), channels-last memory


class TargetSource(Protocol):
    """Draws targets and backgrounds instead of reading them."""

    def pair(self, rng: np.random.Generator) -> tuple[MaskedTarget, MaskedTarget]:
        """Return a drawn target as it looks at two times."""

    def background(self, rng: np.random.Generator) -> Uint8Array:
        """Return a drawn HxWx3 uint8 BGR background."""


class SampleDataset(Dataset[Sample]):
    """Samples by index from clips, rendered targets or both, the same for the same seed.

    Raises:
        ValueError: there are neither clips with a target nor a renderer, or the shares of the
            kinds do not add up to 1.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        config: SampleConfig,
        *,
        seed: int,
        length: int,
        renderer: TargetSource | None = None,
    ) -> None:
        shares = [
            config.video_share,
            config.image_share,
            config.composite_share,
            config.negative_share,
        ]
        if not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
            raise ValueError(f"the four shares must add up to 1, got {sum(shares):.3g}")
        self._videos = [c for c in clips if c.is_video and len(c.frames) > 1]
        self._images = [c for c in clips if not c.is_video]
        self._clips = [c for c in clips if c.frames]
        if not self._clips and renderer is None:
            raise ValueError("no clip with a target, and nothing that draws targets")
        self._config = config
        self._shares = np.cumsum(shares)
        self._seed = seed
        self._length = length
        self._renderer = renderer

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng((self._seed, index))
        while True:
            sample = self._draw(rng)
            if sample is not None:
                return sample

    def _draw(self, rng: np.random.Generator) -> Sample | None:
        draw = rng.random() * self._shares[-1]
        kind = _KINDS[int(np.searchsorted(self._shares, draw, side="right"))]
        if kind == "video" and self._videos:
            exemplar, search = self._two_frames(rng, self._pick(rng, self._videos))
            return self._pair_sample(rng, exemplar, search)
        if kind == "image" and self._images:
            target = self._pick(rng, self._images).frames[0]
            return self._pair_sample(rng, target, target)
        if kind == "negative":
            return self._negative_sample(rng)
        return self._composite_sample(rng)

    @staticmethod
    def _pick(rng: np.random.Generator, clips: Sequence[Clip]) -> Clip:
        return clips[int(rng.integers(len(clips)))]

    def _pick_balanced(self, rng: np.random.Generator) -> Clip:
        """Pick a clip, videos and images with equal chance."""
        pools = [p for p in (self._videos, self._images) if p]
        return self._pick(rng, pools[int(rng.integers(len(pools)))]) if pools else self._clips[0]

    def _two_frames(
        self, rng: np.random.Generator, clip: Clip
    ) -> tuple[MaskedTarget, MaskedTarget]:
        count = len(clip.frames)
        first = int(rng.integers(count))
        if rng.random() < self._config.any_frame_probability:
            second = int(rng.integers(count))
        else:
            reach = self._config.frame_range
            second = int(rng.integers(max(first - reach, 0), min(first + reach, count - 1) + 1))
        return clip.frames[first], clip.frames[second]

    def _drawn(self, rng: np.random.Generator, probability: float) -> TargetSource | None:
        """The renderer if it is its turn: always where there are no clips."""
        if self._renderer is None or (self._clips and rng.random() >= probability):
            return None
        return self._renderer

    def _target_pair(self, rng: np.random.Generator) -> tuple[MaskedTarget, MaskedTarget]:
        renderer = self._drawn(rng, self._config.rendered_target_probability)
        if renderer is not None:
            return renderer.pair(rng)
        clip = self._pick_balanced(rng)
        return self._two_frames(rng, clip)

    def _jitters(self, rng: np.random.Generator) -> tuple[SimilarityJitter, SimilarityJitter]:
        config = self._config
        flip = bool(rng.random() < 0.5)
        angle = math.radians(rng.normal(0.0, config.shared_angle_degrees))
        if rng.random() < config.wide_shift_probability:
            shift = rng.uniform(-config.wide_shift, config.wide_shift, 2)
        else:
            shift = rng.normal(0.0, config.search_shift_sigma, 2)
            shift = np.clip(shift, -config.wide_shift, config.wide_shift)
        exemplar_shift = rng.uniform(-config.exemplar_shift, config.exemplar_shift, 2)
        exemplar = SimilarityJitter(
            shift_xy=(float(exemplar_shift[0]), float(exemplar_shift[1])),
            scale=2.0 ** rng.normal(0.0, config.exemplar_scale_octaves),
            aspect=2.0 ** rng.normal(0.0, config.aspect_octaves),
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
        return exemplar, search

    def _cut(
        self, target: MaskedTarget, size: int, jitter: SimilarityJitter
    ) -> tuple[Uint8Array, Uint8Array]:
        """Cut the patch round a target; return it and its mask {0, 1}."""
        warp = self._warp(target, size, jitter)
        image = target.image_bgr
        border = tuple(cv2.mean(image)[:3])
        patch = warp_antialiased(image, warp, (size, size), border)
        return patch, _warp_mask(target, warp, size)

    def _warp(self, target: MaskedTarget, size: int, jitter: SimilarityJitter) -> Affine:
        scale = self._config.exemplar_size / context_side(
            target.size_wh, self._config.context_amount
        )
        return patch_warp(target.center_xy, scale, size, jitter)

    def _pair_sample(
        self, rng: np.random.Generator, exemplar: MaskedTarget, search: MaskedTarget
    ) -> Sample | None:
        exemplar_jitter, search_jitter = self._jitters(rng)
        exemplar_patch, _ = self._cut(exemplar, self._config.exemplar_size, exemplar_jitter)
        search_patch, mask = self._cut(search, self._config.search_size, search_jitter)
        if exemplar is search and rng.random() < self._config.bend_probability:
            search_patch, mask = self._bend(rng, search_patch, mask)
        search_patch, mask = self._clutter(rng, search_patch, mask)
        return self._finish(rng, exemplar_patch, search_patch, mask, is_positive=True)

    def _composite_sample(self, rng: np.random.Generator) -> Sample | None:
        exemplar, search = self._target_pair(rng)
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
        return self._finish(rng, exemplar_patch, search_patch, mask, is_positive=True)

    def _negative_sample(self, rng: np.random.Generator) -> Sample | None:
        config = self._config
        exemplar_target, _ = self._target_pair(rng)
        exemplar_jitter, search_jitter = self._jitters(rng)
        exemplar_patch, _ = self._cut(exemplar_target, config.exemplar_size, exemplar_jitter)
        if rng.random() < 0.5:
            other, _ = self._target_pair(rng)
            if other.image_bgr is exemplar_target.image_bgr:
                return None
            search_patch, _ = self._cut(other, config.search_size, search_jitter)
        else:
            _, search_patch = self._backgrounds(rng, avoid=exemplar_target)
            search_patch, _ = self._add_distractors(rng, search_patch, None)
        mask = np.zeros((config.search_size, config.search_size), np.uint8)
        return self._finish(rng, exemplar_patch, search_patch, mask, is_positive=False)

    def _backgrounds(
        self, rng: np.random.Generator, *, avoid: MaskedTarget | None = None
    ) -> tuple[Uint8Array, Uint8Array]:
        """Cut an exemplar-sized and a search-sized patch out of one image, at one scale."""
        config = self._config
        image = self._background_image(rng)
        if avoid is not None and image is avoid.image_bgr:
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

    def _background_image(self, rng: np.random.Generator) -> Uint8Array:
        renderer = self._drawn(rng, self._config.rendered_background_probability)
        if renderer is not None:
            return renderer.background(rng)
        clip = self._pick_balanced(rng)
        return clip.frames[int(rng.integers(len(clip.frames)))].image_bgr

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
            patch = self._paste_other(rng, patch, hidden_by=keep)
        return patch, none

    def _add_occluder(
        self, rng: np.random.Generator, patch: Uint8Array, mask: Uint8Array
    ) -> tuple[Uint8Array, Uint8Array]:
        """Paste another target over the target; leave it when too little would stay visible."""
        if rng.random() >= self._config.occluder_probability or not mask.any():
            return patch, mask
        size = patch.shape[0]
        other, _ = self._target_pair(rng)
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
        self, rng: np.random.Generator, patch: Uint8Array, *, hidden_by: Uint8Array | None
    ) -> Uint8Array:
        other, _ = self._target_pair(rng)
        size = patch.shape[0]
        jitter = self._loose_jitter(rng, rng.uniform(-0.5, 0.5, 2) * size)
        cutout, alpha = self._cutout_layer(other, size, jitter)
        if hidden_by is not None:
            around = cv2.dilate(hidden_by, np.ones((3, 3), np.uint8))
            alpha = np.where(around > 0, 0, alpha).astype(np.uint8)
        cutout = jitter_colors(cutout, rng, self._config.photometric)
        return _blend(patch, cutout, alpha)

    @staticmethod
    def _loose_jitter(rng: np.random.Generator, shift: npt.NDArray[np.float64]) -> SimilarityJitter:
        return SimilarityJitter(
            shift_xy=(float(shift[0]), float(shift[1])),
            scale=2.0 ** rng.normal(0.0, 0.4),
            aspect=2.0 ** rng.normal(0.0, 0.2),
            angle=float(rng.normal(0.0, 0.4)),
            flip=bool(rng.random() < 0.5),
        )

    def _finish(
        self,
        rng: np.random.Generator,
        exemplar_patch: Uint8Array,
        search_patch: Uint8Array,
        mask: Uint8Array,
        *,
        is_positive: bool,
    ) -> Sample | None:
        box = np.zeros(4, np.float32)
        if is_positive:
            columns = np.flatnonzero(mask.any(axis=0))
            rows = np.flatnonzero(mask.any(axis=1))
            if min(columns.size, rows.size) < self._config.min_target_side:
                return None
            # Corners are pixel edges: the last pixel's far side is one further.
            box[:] = columns[0] - 0.5, rows[0] - 0.5, columns[-1] + 0.5, rows[-1] + 0.5
        photometric = self._config.photometric
        exemplar_patch = degrade(jitter_colors(exemplar_patch, rng, photometric), rng, photometric)
        search_patch = degrade(jitter_colors(search_patch, rng, photometric), rng, photometric)
        return Sample(exemplar_patch, search_patch, mask, box, is_positive)


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
