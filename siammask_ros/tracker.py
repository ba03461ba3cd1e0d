# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tracking step of SiamMask: crop, search, decode, penalise, choose, mask, paste, smooth.

The rules, and the order in which they apply, are those of the official implementation
(foolwood/SiamMask) unless the configuration says otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from siammask_ros.anchors import AnchorPosition, foreground_probability
from siammask_ros.crop import (
    ImageBgr,
    PaddingBgr,
    channel_mean,
    crop_square,
    round_half_even,
    validate_image_bgr,
)
from siammask_ros.geometry import (
    BoolArray,
    Box,
    FloatArray,
    RotatedBox,
    box_iou,
    validate_box_xywh,
)
from siammask_ros.masks import (
    FloatMask,
    ImageRegion,
    MaskOutline,
    MaskPlacement,
    outline_mask,
    place_mask_roi,
)
from siammask_ros.network import ExemplarKernels, SearchOutput, checked_device
from siammask_ros.tracker_config import PRESETS, TrackerConfig

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = [
    "PRESETS",
    "SiamMaskTracker",
    "TrackResult",
    "TrackerConfig",
    "TrackerState",
    "TrackingNetwork",
]


class TrackingNetwork(Protocol):
    """What the tracker needs of a network; `siammask_ros.network.SiamMask` has it."""

    def exemplar(self, exemplar_patch: Tensor) -> ExemplarKernels:
        """Kernels of (N, 3, 127, 127) float BGR 0..255 patches."""

    def search(self, search_patch: Tensor, kernels: ExemplarKernels) -> SearchOutput:
        """Responses of (N, 3, 255, 255) float BGR 0..255 patches."""

    def mask_at(self, output: SearchOutput, rows: Tensor, columns: Tensor) -> Tensor:
        """(N, M, M) mask logits of one response each."""


@dataclass(frozen=True, eq=False)
class TrackerState:
    """All the tracker knows about one target. Use `dataclasses.replace` to move it.

    Attributes:
        center_xy: centre of the target in image pixels.
        size_wh: its width and height in pixels.
        kernels: the network's kernels of the target, batch size 1.
        padding_bgr: colour of pixels outside the image, from the first frame.
        image_size_wh: size of the last image seen.
    """

    center_xy: tuple[float, float]
    size_wh: tuple[float, float]
    kernels: ExemplarKernels
    padding_bgr: PaddingBgr
    image_size_wh: tuple[int, int]

    def __post_init__(self) -> None:
        numbers = (*self.center_xy, *self.size_wh)
        if not all(map(math.isfinite, numbers)) or min(self.size_wh) <= 0:
            raise ValueError(
                "target must have a finite centre and a positive size, got "
                f"center_xy={self.center_xy}, size_wh={self.size_wh}"
            )

    @property
    def box(self) -> Box:
        """The axis-aligned box of the target."""
        return Box.from_center(self.center_xy, self.size_wh)


@dataclass(frozen=True, eq=False)
class TrackResult:
    """Where a target is in one frame.

    Attributes:
        box: axis-aligned box, smoothed, centre and size limited to the image.
        rotated_box: smallest rectangle around the mask's largest part, theta in [-pi/4, pi/4);
            or the axis-aligned box if the mask is too small.
        has_mask_box: whether `rotated_box` comes from the mask.
        confidence: foreground probability of the chosen anchor, in [0, 1].
        mask_roi: the part of the image that the mask window touches.
        probability_in_roi: mask probability there, (height, width) float32, in [0, 1].
        mask_in_roi: mask there, (height, width) bool: probability above the threshold.
        image_size_wh: width and height of the image.
        anchor_index: flat index of the chosen anchor.
        anchor_position: the same as (anchor, row, column).
    """

    box: Box
    rotated_box: RotatedBox
    has_mask_box: bool
    confidence: float
    mask_roi: ImageRegion
    probability_in_roi: FloatMask
    mask_in_roi: BoolArray
    image_size_wh: tuple[int, int]
    anchor_index: int
    anchor_position: AnchorPosition

    @property
    def box_xywh(self) -> tuple[float, float, float, float]:
        """Axis-aligned box: left, top, width, height in pixels."""
        return self.box.xywh

    @property
    def corners(self) -> npt.NDArray[np.float64]:
        """Corners of the rotated box (4, 2): top left in its own frame first, clockwise."""
        return self.rotated_box.corners

    @property
    def response_rc(self) -> tuple[int, int]:
        """Row and column of the chosen response."""
        return self.anchor_position.row, self.anchor_position.column

    @cached_property
    def mask(self) -> BoolArray:
        """(H, W) bool over the whole image, made on first use."""
        mask = np.zeros(self.image_size_wh[::-1], dtype=np.bool_)
        mask[self.mask_roi.slices] = self.mask_in_roi
        return mask

    @cached_property
    def mask_probability(self) -> FloatMask:
        """(H, W) float32 over the whole image, 0 outside the window, made on first use."""
        probability = np.zeros(self.image_size_wh[::-1], dtype=np.float32)
        probability[self.mask_roi.slices] = self.probability_in_roi
        return probability

    @cached_property
    def mask_area(self) -> int:
        """Number of mask pixels."""
        return int(np.count_nonzero(self.mask_in_roi))


class _SearchRegion(NamedTuple):
    """One target's search region in its image."""

    image_size_wh: tuple[int, int]
    side: float
    """Side of the region in image pixels, rounded as the crop needs it."""
    patch_per_image: float
    """Patch pixels per image pixel, not rounded; boxes are decoded with it."""
    patch: ImageBgr


class _Choice(NamedTuple):
    """The winning anchor."""

    anchor_index: int
    position: AnchorPosition
    box_in_search: FloatArray
    """Centre x, y relative to the patch centre, width, height, in patch pixels, float64."""
    score: float
    penalty: float


class _Estimate(NamedTuple):
    """A target's position and size; kept apart so that rounding ties stay exact."""

    center_xy: tuple[float, float]
    size_wh: tuple[float, float]

    @property
    def box(self) -> Box:
        return Box.from_center(self.center_xy, self.size_wh)


class SiamMaskTracker:
    """Follows targets with a SiamMask network. Holds no target: states go in and come out.

    Args:
        network: the network, in eval mode.
        config: settings; by default the preset that the network names.
        device: where to run; moves the network there. By default where the network is.

    Raises:
        ValueError: the network is in training mode, it has no box branch, or the device is absent.
    """

    def __init__(
        self,
        network: TrackingNetwork,
        config: TrackerConfig | None = None,
        *,
        device: str | torch.device | None = None,
    ) -> None:
        if not getattr(network, "has_boxes", True):
            name = getattr(network, "architecture", type(network).__name__)
            raise ValueError(f"{name} is a two-branch network: without boxes it cannot track")
        if config is None:
            config = TrackerConfig.preset(getattr(network, "default_preset", "davis"))
        if isinstance(network, torch.nn.Module):
            norms = (part for part in network.modules() if isinstance(part, torch.nn.BatchNorm2d))
            if any(norm.training for norm in norms):  # tracking would change its statistics
                raise ValueError("the network is in training mode, call its eval() first")
            if device is not None:
                network.to(checked_device(device))
        self.network = network
        self.config = config

    def initialize(self, image_bgr: ImageBgr, box_xywh: Sequence[float]) -> TrackerState:
        """Start on a target.

        Args:
            image_bgr: (H, W, 3) uint8.
            box_xywh: left, top, width, height in pixels; may stick out of the image.

        Raises:
            ValueError: bad image or box (`validate_image_bgr`, `validate_box_xywh`).
        """
        return self.initialize_batch([(image_bgr, box_xywh)])[0]

    def initialize_batch(
        self, targets: Sequence[tuple[ImageBgr, Sequence[float]]]
    ) -> list[TrackerState]:
        """Start on several targets in one forward pass; see `initialize`.

        All targets are checked before the network runs: one that is bad starts none.
        """
        if not targets:
            return []
        checked = []
        for image_bgr, box_xywh in targets:
            image_size_wh = validate_image_bgr(image_bgr)
            checked.append((image_bgr, validate_box_xywh(box_xywh, image_size_wh), image_size_wh))
        paddings: dict[int, PaddingBgr] = {}  # targets of one image share its mean
        patches, centers = [], []
        for image_bgr, box, _ in checked:
            if id(image_bgr) not in paddings:
                paddings[id(image_bgr)] = channel_mean(image_bgr)
            centers.append(self._initial_center(box))
            side = self._crop_side(self.config.context_side(box.size_wh))
            patches.append(
                self._crop(
                    image_bgr,
                    centers[-1],
                    side,
                    self.config.exemplar_size,
                    paddings[id(image_bgr)],
                )
            )
        with torch.inference_mode():
            kernels = self.network.exemplar(self._to_tensor(patches))
        return [
            TrackerState(
                center_xy=center_xy,
                size_wh=box.size_wh,
                kernels=kernels.select(slice(index, index + 1)),
                padding_bgr=paddings[id(image_bgr)],
                image_size_wh=image_size_wh,
            )
            for index, (center_xy, (image_bgr, box, image_size_wh)) in enumerate(
                zip(centers, checked, strict=True)
            )
        ]

    def track(self, image_bgr: ImageBgr, state: TrackerState) -> tuple[TrackerState, TrackResult]:
        """Find a target in the next image.

        An image of another size than before is accepted: position and size keep their pixel
        values and are limited to the new image.

        Raises:
            ValueError: bad image (`validate_image_bgr`).
        """
        return self.track_batch([(image_bgr, state)])[0]

    def track_batch(
        self, targets: Sequence[tuple[ImageBgr, TrackerState]]
    ) -> list[tuple[TrackerState, TrackResult]]:
        """Find several targets, of one or several images, in one forward pass; see `track`.

        Raises:
            ValueError: bad image.
            RuntimeError: the network's output is not finite (broken weights).
        """
        if not targets:
            return []
        sizes = [validate_image_bgr(image_bgr) for image_bgr, _ in targets]
        states = [
            state if state.image_size_wh == size_wh else self._moved_to_image(state, size_wh)
            for (_, state), size_wh in zip(targets, sizes, strict=True)
        ]
        regions = [
            self._search_region(image_bgr, state)
            for (image_bgr, _), state in zip(targets, states, strict=True)
        ]
        kernels = [state.kernels for state in states]
        batched = kernels[0] if len(kernels) == 1 else ExemplarKernels.concatenate(kernels)
        with torch.inference_mode():
            output = self.network.search(
                self._to_tensor([region.patch for region in regions]), batched
            )
            if output.box_deltas is None:  # refused when the tracker was made, unless wrapped
                raise ValueError("the network predicts no boxes")
            scores = foreground_probability(_to_numpy(output.score_logits))  # (N, A * 25 * 25)
            boxes = self.config.anchors.decode(_to_numpy(output.box_deltas))  # (N, 4, A * 25 * 25)
            choices = [
                self._choose(scores[index], boxes[index], state, regions[index])
                for index, state in enumerate(states)
            ]
            cells = torch.tensor(
                [choice.position[1:] for choice in choices], device=output.mask_responses.device
            )
            mask_logits = self.network.mask_at(output, cells[:, 0], cells[:, 1])
            probabilities = torch.sigmoid(mask_logits).float().cpu().numpy()  # (N, M, M)
        return [
            self._finish(state, region, choice, probability)
            for state, region, choice, probability in zip(
                states, regions, choices, probabilities, strict=True
            )
        ]

    def _initial_center(self, box: Box) -> tuple[float, float]:
        if self.config.initial_center == "official":
            return box.center_xy
        return box.x + (box.width - 1) / 2, box.y + (box.height - 1) / 2

    def _crop_side(self, side: float) -> float:
        """The official crop takes whole pixels; always rounded half to even, in PySOT too."""
        return round_half_even(side) if self.config.crop_filter == "bilinear" else side

    def _crop(
        self,
        image_bgr: ImageBgr,
        center_xy: tuple[float, float],
        side: float,
        out_size: int,
        padding_bgr: PaddingBgr,
    ) -> ImageBgr:
        patch, _ = crop_square(
            image_bgr,
            center_xy,
            side,
            out_size,
            padding_bgr,
            rounding=self.config.crop_rounding,
            filter=self.config.crop_filter,
        )
        return patch

    def _to_tensor(self, patches: Sequence[ImageBgr]) -> Tensor:
        """(N, 3, S, S) on the network's device and in its dtype, channels last in memory."""
        stacked = patches[0][None] if len(patches) == 1 else np.stack(patches)
        reference = None
        if isinstance(self.network, torch.nn.Module):
            reference = next(self.network.parameters(), None)
        tensor = torch.from_numpy(stacked)
        if reference is None:
            tensor = tensor.float()
        else:
            tensor = tensor.to(reference.device).to(reference.dtype)
        return tensor.permute(0, 3, 1, 2)  # (N, 3, S, S)

    def _search_region(self, image_bgr: ImageBgr, state: TrackerState) -> _SearchRegion:
        config = self.config
        context_side = config.context_side(state.size_wh)
        patch_per_image = config.exemplar_size / context_side
        margin = (config.search_size - config.exemplar_size) / 2 / patch_per_image
        side = self._crop_side(context_side + 2 * margin)
        patch = self._crop(image_bgr, state.center_xy, side, config.search_size, state.padding_bgr)
        return _SearchRegion(_size_wh(image_bgr), side, patch_per_image, patch)

    def _choose(
        self, scores: FloatArray, boxes: FloatArray, state: TrackerState, region: _SearchRegion
    ) -> _Choice:
        """The anchor with the highest penalised score, the first of equals."""
        target_width, target_height = np.array(state.size_wh) * region.patch_per_image
        widths, heights = boxes[2], boxes[3]
        with np.errstate(all="ignore"):  # an absurd prediction may overflow; it cannot win
            size_change = _change(
                _padded_size(widths, heights) / _padded_size(target_width, target_height)
            )
            ratio_change = _change((target_width / target_height) / (widths / heights))
            penalties = np.exp(-(ratio_change * size_change - 1) * self.config.change_penalty)
            influence = self.config.window_influence
            penalized_scores = (
                penalties * scores * (1 - influence) + self.config.anchors.window * influence
            )
        usable = np.isfinite(penalized_scores) & np.isfinite(boxes).all(axis=0)
        if not usable.any():
            raise RuntimeError("the network predicted no finite box and score")
        index = int(np.argmax(np.where(usable, penalized_scores, -np.inf)))
        return _Choice(
            index,
            self.config.anchors.position(index),
            boxes[:, index],
            float(scores[index]),
            float(penalties[index]),
        )

    def _finish(
        self,
        state: TrackerState,
        region: _SearchRegion,
        choice: _Choice,
        mask_probability: FloatMask,
    ) -> tuple[TrackerState, TrackResult]:
        """Paste the mask, fit its box, and update position and size."""
        config = self.config
        placement = self._placement(state, region, choice.position, mask_probability.shape[0])
        mask_roi, probability_in_roi = place_mask_roi(
            mask_probability, placement, region.image_size_wh, border_value=config.mask_border_value
        )
        np.maximum(probability_in_roi, 0, out=probability_in_roi)
        mask_in_roi = probability_in_roi > config.mask_threshold
        outline = outline_mask(
            mask_in_roi, offset_xy=mask_roi[:2], min_area=config.min_contour_area
        )
        predicted = self._predict(state, region, choice)
        final = self._clamped(self._blend_mask_box(predicted, outline), region.image_size_wh)
        fallback = final if config.clamp_before_fallback else predicted
        result = TrackResult(
            box=final.box,
            rotated_box=outline.rotated_box if outline else RotatedBox.from_box(fallback.box),
            has_mask_box=outline is not None,
            confidence=choice.score,
            mask_roi=mask_roi,
            probability_in_roi=probability_in_roi,
            mask_in_roi=mask_in_roi,
            image_size_wh=region.image_size_wh,
            anchor_index=choice.anchor_index,
            anchor_position=choice.position,
        )
        new_state = replace(
            state,
            center_xy=final.center_xy,
            size_wh=final.size_wh,
            image_size_wh=region.image_size_wh,
        )
        return new_state, result

    def _placement(
        self,
        state: TrackerState,
        region: _SearchRegion,
        position: AnchorPosition,
        mask_size: int,
    ) -> MaskPlacement:
        """Where the mask window of a response lies in the image."""
        config = self.config
        pitch = region.side / config.search_size  # image pixels per patch pixel
        margin = (config.search_size - config.exemplar_size) / 2
        middle = config.anchors.size // 2
        window_x, window_y = (
            (cell - middle) * config.anchors.stride + margin
            for cell in (position.column, position.row)
        )  # of its first pixel, in patch pixels
        center_x, center_y = state.center_xy
        if config.mask_alignment == "official":
            corner_x, corner_y = center_x - region.side / 2, center_y - region.side / 2
            return MaskPlacement.official(
                (corner_x + window_x * pitch, corner_y + window_y * pitch),
                config.exemplar_size * pitch,
                mask_size,
                region.image_size_wh,
            )
        patch_center = (config.search_size - 1) / 2
        mask_pitch = pitch * (config.exemplar_size - 1) / (mask_size - 1)
        return MaskPlacement(
            (
                center_x + (window_x - patch_center) * pitch,
                center_y + (window_y - patch_center) * pitch,
            ),
            (mask_pitch, mask_pitch),
        )

    def _predict(self, state: TrackerState, region: _SearchRegion, choice: _Choice) -> _Estimate:
        """Position and smoothed size from the box branch; the position is not smoothed."""
        offset_x, offset_y, width, height = (
            float(number) / region.patch_per_image for number in choice.box_in_search
        )
        rate = choice.penalty * choice.score * self.config.size_smoothing
        old_width, old_height = state.size_wh
        return _Estimate(
            (state.center_xy[0] + offset_x, state.center_xy[1] + offset_y),
            (old_width * (1 - rate) + width * rate, old_height * (1 - rate) + height * rate),
        )

    def _blend_mask_box(self, estimate: _Estimate, outline: MaskOutline | None) -> _Estimate:
        """Move the estimate part of the way to the mask's box, if that is plausible."""
        share = self.config.mask_box_blend
        if share == 0 or outline is None:
            return estimate
        if box_iou(outline.box, estimate.box) < self.config.mask_box_min_iou:
            return estimate
        return _Estimate(
            _interpolate(estimate.center_xy, outline.box.center_xy, share),
            _interpolate(estimate.size_wh, outline.box.size_wh, share),
        )

    def _clamped(self, estimate: _Estimate, image_size_wh: tuple[int, int]) -> _Estimate:
        """Centre inside the image, size between `min_target_side` and the image's."""
        (center_x, center_y), (width, height) = estimate
        image_width, image_height = image_size_wh
        smallest = self.config.min_target_side
        return _Estimate(
            (max(0.0, min(image_width, center_x)), max(0.0, min(image_height, center_y))),
            (max(smallest, min(image_width, width)), max(smallest, min(image_height, height))),
        )

    def _moved_to_image(self, state: TrackerState, image_size_wh: tuple[int, int]) -> TrackerState:
        """The same pixels in an image of another size."""
        center_xy, size_wh = self._clamped(_Estimate(state.center_xy, state.size_wh), image_size_wh)
        return replace(state, center_xy=center_xy, size_wh=size_wh, image_size_wh=image_size_wh)


def _change(ratio: FloatArray) -> FloatArray:
    """How far a ratio is from 1, either way: max(r, 1/r)."""
    return np.maximum(ratio, 1 / ratio)


def _padded_size(widths: FloatArray, heights: FloatArray) -> FloatArray:
    """Side of the square around a box with context (a half of width plus height)."""
    padding = (widths + heights) / 2
    side: FloatArray = np.sqrt((widths + padding) * (heights + padding))
    return side


def _interpolate(
    first: tuple[float, float], second: tuple[float, float], share: float
) -> tuple[float, float]:
    return (
        first[0] + (second[0] - first[0]) * share,
        first[1] + (second[1] - first[1]) * share,
    )


def _to_numpy(tensor: Tensor) -> FloatArray:
    """On the CPU in float64, so that ranking does not depend on the network's precision."""
    array: FloatArray = tensor.cpu().double().numpy()  # some devices have no float64
    return array


def _size_wh(image_bgr: ImageBgr) -> tuple[int, int]:
    height, width = image_bgr.shape[:2]
    return width, height
