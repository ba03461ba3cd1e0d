# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tracking step of SiamMask: crop, search, choose, mask, paste, smooth.

The rules, and the order in which they apply, are those of the official implementation
(foolwood/SiamMask) unless the configuration says otherwise. All networks of the family go the same
way; `siammask_ros.choice` tells what they differ in. With masks, the min-max box of one may take
the place of the choice (paper, section 3.3).
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from siammask_ros.choice import Choice, SearchRegion, choose, propose
from siammask_ros.crop import (
    ImageBgr,
    PaddingBgr,
    channel_mean,
    crop_square,
    round_half_even,
    validate_image_bgr,
)
from siammask_ros.geometry import BoolArray, Box, FloatArray, RotatedBox, box_iou, validate_box_xywh
from siammask_ros.masks import (
    FloatMask,
    ImageRegion,
    MaskOutline,
    MaskPlacement,
    outline_mask,
    place_mask_roi,
)
from siammask_ros.network import ExemplarKernels, SearchOutput, checked_device
from siammask_ros.presets import PRESETS
from siammask_ros.threads import in_threads
from siammask_ros.tracker_config import TrackerConfig
from siammask_ros.tracker_state import RunnerUp, TrackerState, TrackResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from siammask_ros.anchors import AnchorPosition
    from siammask_ros.step_clock import StepClock, StepPart


__all__ = [
    "PRESETS",
    "SiamMaskTracker",
    "TrackResult",
    "TrackerConfig",
    "TrackerState",
    "TrackingNetwork",
]

LARGEST_BATCH = 16
"""Patches in one forward pass, unless a tracker is told otherwise; more are taken in turn.

ResNet-50 with refinement takes 42 MB a patch besides its weights, so 16 of them 0.7 GB, and on a
CPU as long a patch with 8 as with 1 (0.27 s, one thread of a Xeon).
"""

MOST_THREADS = 8
"""Threads that crop and paste beside a GPU."""

_Target = TypeVar("_Target")


class TrackingNetwork(Protocol):
    """What the tracker needs of a network; `siammask_ros.network.SiamMask` has it."""

    def exemplar(self, exemplar_patch: Tensor) -> ExemplarKernels:
        """Kernels of (N, 3, 127, 127) float BGR 0..255 patches."""

    def search(self, search_patch: Tensor, kernels: ExemplarKernels) -> SearchOutput:
        """Responses of (N, 3, 255, 255) float BGR 0..255 patches."""

    def mask_at(self, output: SearchOutput, rows: Tensor, columns: Tensor) -> Tensor:
        """(N, M, M) mask logits of one response each."""


class _CoarseMaskNetwork(Protocol):
    """What `masks: coarse` needs besides."""

    def coarse_mask_at(
        self, mask_responses: Tensor | None, rows: Tensor, columns: Tensor
    ) -> Tensor:
        """(N, M, M) mask logits of one response each, without the refiner."""


class _FindingNetwork(Protocol):
    """What a network may offer instead of all but `exemplar`, see `siammask_ros.backends`."""

    def find(
        self,
        regions: Sequence[SearchRegion],
        config: TrackerConfig,
        mark: Callable[[StepPart], None],
    ) -> list[tuple[Choice, FloatMask | None]]:
        """The choice and mask window of each target."""


class _PlacedMask(NamedTuple):
    """A mask in the image."""

    roi: ImageRegion
    probability: FloatMask
    """In the region, (height, width) float32."""
    inside: BoolArray
    """Where it is above the threshold."""


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
        largest_batch: patches in one forward pass. More targets are taken in several passes, with
            the same results, so that their number does not decide how much memory is needed.
        crop_on_device: cut search patches out on the network's device: images go there whole. Worth
            it from some targets an image on; patches differ by one level in rounding.
        clock: told when the parts of a tracking step end. On a GPU the tracker then waits for each
            part, which costs a little.

    Raises:
        ValueError: the network is in training mode, it has no coarse masks and the settings want
            them, the device is absent, the largest batch is less than 1, or the network cannot
            crop.
    """

    def __init__(
        self,
        network: TrackingNetwork,
        config: TrackerConfig | None = None,
        *,
        device: str | torch.device | None = None,
        largest_batch: int = LARGEST_BATCH,
        crop_on_device: bool = False,
        clock: StepClock | None = None,
    ) -> None:
        if config is None:
            config = TrackerConfig.preset(getattr(network, "default_preset", "davis"))
        if config.masks == "coarse" and not getattr(network, "has_coarse_mask", False):
            name = getattr(network, "architecture", type(network).__name__)
            raise ValueError(f"masks is coarse, but {name} has no coarse masks")
        if isinstance(network, torch.nn.Module):
            norms = (part for part in network.modules() if isinstance(part, torch.nn.BatchNorm2d))
            if any(norm.training for norm in norms):  # tracking would change its statistics
                raise ValueError("the network is in training mode, call its eval() first")
            if device is not None:
                network.to(checked_device(device))
        if largest_batch < 1:
            raise ValueError(f"largest_batch must be at least 1, got {largest_batch}")
        self.network = network
        self.config = config
        self.largest_batch = largest_batch
        if crop_on_device and not hasattr(network, "find"):
            name = getattr(network, "backend", type(network).__name__)
            raise ValueError(f"{name} cannot crop on the device, backends of a GPU can")
        self.crops_on_device = crop_on_device
        self.clock = clock

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        device: torch.device | None = getattr(self.network, "device", None)
        if device is None and isinstance(self.network, torch.nn.Module):
            parameter = next(self.network.parameters(), None)
            device = None if parameter is None else parameter.device
        return torch.device("cpu") if device is None else device

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
        """Start on several targets in one forward pass; see `initialize` and `largest_batch`.

        All targets are checked before the network runs: one that is bad starts none.
        """
        checked = []
        for image_bgr, box_xywh in targets:
            image_size_wh = validate_image_bgr(image_bgr)
            checked.append((image_bgr, validate_box_xywh(box_xywh, image_size_wh)))
        paddings: dict[int, PaddingBgr] = {}  # targets of one image share its mean
        for image_bgr, _ in checked:
            if id(image_bgr) not in paddings:
                paddings[id(image_bgr)] = channel_mean(image_bgr)
        return [
            state
            for some in _portions(checked, self.largest_batch)
            for state in self._started(some, [paddings[id(image_bgr)] for image_bgr, _ in some])
        ]

    def _started(
        self, targets: Sequence[tuple[ImageBgr, Box]], paddings: Sequence[PaddingBgr]
    ) -> list[TrackerState]:
        """The states of targets of one forward pass."""
        centers = [self._initial_center(box) for _, box in targets]
        patches = []
        for (image_bgr, box), center_xy, padding in zip(targets, centers, paddings, strict=True):
            side = self._crop_side(self.config.context_side(box.size_wh))
            exemplar_size = self.config.exemplar_size
            patches.append(self._crop(image_bgr, center_xy, side, exemplar_size, padding))
        with torch.inference_mode():
            kernels = self.network.exemplar(self._to_tensor(patches))
        return [
            TrackerState(
                center_xy=center_xy,
                size_wh=box.size_wh,
                kernels=kernels.select(slice(index, index + 1)),
                padding_bgr=padding,
                image_size_wh=_size_wh(image_bgr),
            )
            for index, ((image_bgr, box), center_xy, padding) in enumerate(
                zip(targets, centers, paddings, strict=True)
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

        More than `largest_batch` take several passes, one after the other.

        Raises:
            ValueError: bad image.
            RuntimeError: the network's output is not finite (broken weights).
        """
        if self.clock is not None:
            self.clock.begin()
        sizes = [validate_image_bgr(image_bgr) for image_bgr, _ in targets]
        states = [
            state if state.image_size_wh == size_wh else self._moved_to_image(state, size_wh)
            for (_, state), size_wh in zip(targets, sizes, strict=True)
        ]
        wanted = [
            (image_bgr, state, scale)
            for (image_bgr, _), state in zip(targets, states, strict=True)
            for scale in self.config.search_scales
        ]
        threads = self._threads
        regions = in_threads(lambda each: self._search_region(*each), wanted, threads)
        self._mark("crop")
        scales = len(self.config.search_scales)  # the regions of a target stay together
        regions_a_pass = max(self.largest_batch // scales, 1) * scales
        found = [pair for some in _portions(regions, regions_a_pass) for pair in self._found(some)]
        finished = in_threads(lambda each: self._finish(*each), found, threads)
        self._mark("paste")
        return finished

    @property
    def _threads(self) -> int:
        """Threads that cut and paste: several beside a GPU, whose host has nothing else to do."""
        if self.device.type == "cpu":
            return 1
        return min(len(os.sched_getaffinity(0)), MOST_THREADS)

    def _mark(self, part: StepPart) -> None:
        """A part of the step ends here, after the device has done what it was given."""
        if self.clock is not None:
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            self.clock.mark(part)

    def _found(self, regions: Sequence[SearchRegion]) -> list[tuple[Choice, FloatMask | None]]:
        """The choice and mask window of each target, by one forward pass."""
        if hasattr(self.network, "find"):  # the network chooses itself, on its device
            return cast("_FindingNetwork", self.network).find(regions, self.config, self._mark)
        with torch.inference_mode():
            output = self._search(regions)
            choices = choose(propose(output, regions, self.config.anchors), regions, self.config)
            self._mark("choice")
            probabilities = self._mask_probabilities(output, choices)
            self._mark("mask")
            return list(zip(choices, probabilities, strict=True))

    def _search(self, regions: Sequence[SearchRegion]) -> SearchOutput:
        """Run the network on the patches of all targets."""
        kernels = [region.state.kernels for region in regions]
        batched = kernels[0] if len(kernels) == 1 else ExemplarKernels.concatenate(kernels)
        patches = self._to_tensor([region.patch for region in regions if region.patch is not None])
        self._mark("upload")
        output = self.network.search(patches, batched)
        self._mark("network")
        return output

    def _mask_probabilities(
        self, output: SearchOutput, choices: Sequence[Choice]
    ) -> Sequence[FloatMask | None]:
        """Mask windows (M, M) of the chosen responses, or None where none is predicted."""
        if self.config.masks == "none" or output.mask_responses is None:
            return [None] * len(choices)
        device = output.score_logits.device
        if len(choices) != len(output.score_logits):  # several scales: of the chosen only
            chosen = [choice.patch_index for choice in choices]
            output = output.select(torch.tensor(chosen, device=device))
        cells = torch.tensor([choice.position[1:] for choice in choices], device=device)
        rows, columns = cells[:, 0], cells[:, 1]
        if self.config.masks == "coarse":
            network = cast("_CoarseMaskNetwork", self.network)
            logits = network.coarse_mask_at(output.mask_responses, rows, columns)
        else:
            logits = self.network.mask_at(output, rows, columns)
        probabilities: FloatMask = torch.sigmoid(logits).float().cpu().numpy()  # (N, M, M)
        return list(probabilities)

    def patch_scale(self, state: TrackerState) -> float:
        """Image pixels a pixel of the next search patch; of several scales, the smallest."""
        config = self.config
        side = config.context_side(state.size_wh) * min(config.search_scales)
        return side / config.exemplar_size

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
        if self.device.type == "cpu":
            # Not by torch: it would wake its threads for that, and wait for them.
            tensor = torch.from_numpy(stacked.astype(np.float32))
        else:
            tensor = torch.from_numpy(stacked).to(self.device)
        if isinstance(self.network, torch.nn.Module):
            tensor = tensor.to(next((p.dtype for p in self.network.parameters()), torch.float32))
        else:
            tensor = tensor.float()
        return tensor.permute(0, 3, 1, 2)  # (N, 3, S, S)

    def _search_region(
        self, image_bgr: ImageBgr, state: TrackerState, scale: float = 1.0
    ) -> SearchRegion:
        config = self.config
        context_side = config.context_side(state.size_wh) * scale
        patch_per_image = config.exemplar_size / context_side
        margin = (config.search_size - config.exemplar_size) / 2 / patch_per_image
        side = self._crop_side(context_side + 2 * margin)
        patch = None
        if not self.crops_on_device:
            patch = self._crop(
                image_bgr, state.center_xy, side, config.search_size, state.padding_bgr
            )
        return SearchRegion(state, image_bgr, side, scale, patch_per_image, patch)

    def _finish(
        self, choice: Choice, mask_probability: FloatMask | None
    ) -> tuple[TrackerState, TrackResult]:
        """Paste the mask, fit its box, and update position and size."""
        config, image_size_wh = self.config, choice.region.image_size_wh
        mask, outline = None, None
        if mask_probability is not None:
            mask = self._placed_mask(choice, mask_probability)
            outline = outline_mask(
                mask.inside,
                offset_xy=mask.roi[:2],
                min_area=config.min_contour_area,
                fit=config.box_fit,
            )
        predicted = self._predict(choice)
        final = self._clamped(self._blend_mask_box(predicted, outline), image_size_wh)
        # The official code limits the box that it reports without masks, not one in their place.
        limits_fallback = config.clamp_before_fallback or mask is None
        fallback = final if limits_fallback else predicted
        mask = mask or _filled_box(final.box, image_size_wh)
        result = TrackResult(
            box=self._reported_box(final, outline),
            rotated_box=outline.rotated_box if outline else RotatedBox.from_box(fallback.box),
            has_mask_box=outline is not None,
            confidence=choice.score,
            mask_roi=mask.roi,
            probability_in_roi=mask.probability,
            mask_in_roi=mask.inside,
            image_size_wh=image_size_wh,
            anchor_index=choice.anchor_index,
            anchor_position=choice.position,
            runner_up=self._runner_up(choice),
        )
        new_state = replace(
            choice.region.state,
            center_xy=final.center_xy,
            size_wh=final.size_wh,
            image_size_wh=image_size_wh,
        )
        return new_state, result

    def _placed_mask(self, choice: Choice, mask_probability: FloatMask) -> _PlacedMask:
        """The mask window of a response, in the image."""
        region = choice.region
        placement = self._placement(region, choice.position, mask_probability.shape[0])
        roi, probability = place_mask_roi(
            mask_probability,
            placement,
            region.image_size_wh,
            border_value=self.config.mask_border_value,
        )
        np.maximum(probability, 0, out=probability)
        return _PlacedMask(roi, probability, probability > self.config.mask_threshold)

    def _placement(
        self, region: SearchRegion, position: AnchorPosition, mask_size: int
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
        center_x, center_y = region.state.center_xy
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

    def _predict(self, choice: Choice) -> _Estimate:
        """Position and smoothed size from the choice; the position is not smoothed."""
        found = _in_image(choice.box_in_search, choice.region)
        rate = choice.penalty * choice.score * self.config.size_smoothing
        (old_width, old_height), (width, height) = choice.region.state.size_wh, found.size_wh
        return _Estimate(
            found.center_xy,
            (old_width * (1 - rate) + width * rate, old_height * (1 - rate) + height * rate),
        )

    def _runner_up(self, choice: Choice) -> RunnerUp | None:
        """What else looked like the target."""
        if choice.alternative is None:
            return None
        found = _in_image(choice.alternative.box_in_search, choice.region)
        return RunnerUp(found.box, choice.alternative.score)

    def _reported_box(self, estimate: _Estimate, outline: MaskOutline | None) -> Box:
        """The result's axis-aligned box."""
        if self.config.reported_box == "mask" and outline and self._agree(estimate, outline):
            return outline.box
        return estimate.box

    def _agree(self, estimate: _Estimate, outline: MaskOutline) -> bool:
        """Whether the mask's box can be of the target that the estimate is of."""
        return box_iou(outline.box, estimate.box) >= self.config.mask_box_min_iou

    def _blend_mask_box(self, estimate: _Estimate, outline: MaskOutline | None) -> _Estimate:
        """Move the estimate part of the way to the mask's box, if that is plausible."""
        share = self.config.mask_box_blend
        if share == 0 or outline is None or not self._agree(estimate, outline):
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


def _portions(targets: Sequence[_Target], largest: int) -> Iterator[Sequence[_Target]]:
    """The targets in order, at most so many at a time."""
    for start in range(0, len(targets), largest):
        yield targets[start : start + largest]


def _filled_box(box: Box, image_size_wh: tuple[int, int]) -> _PlacedMask:
    """The mask of a target of which only the box is known."""
    left, top, width, height = box.xywh
    spans = []
    for start, side, limit in zip((left, top), (width, height), image_size_wh, strict=True):
        first = min(max(round(start), 0), limit)
        spans.append((first, min(max(round(start + side), first), limit) - first))
    (x, columns), (y, rows) = spans
    inside = np.ones((rows, columns), dtype=np.bool_)
    return _PlacedMask(ImageRegion(x, y, columns, rows), inside.astype(np.float32), inside)


def _in_image(box_in_search: FloatArray, region: SearchRegion) -> _Estimate:
    """Where a box of the search patch is in the image."""
    offset_x, offset_y, width, height = (
        float(number) / region.patch_per_image for number in box_in_search
    )
    center_x, center_y = region.state.center_xy
    return _Estimate((center_x + offset_x, center_y + offset_y), (width, height))


def _interpolate(
    first: tuple[float, float], second: tuple[float, float], share: float
) -> tuple[float, float]:
    return (
        first[0] + (second[0] - first[0]) * share,
        first[1] + (second[1] - first[1]) * share,
    )


def _size_wh(image_bgr: ImageBgr) -> tuple[int, int]:
    height, width = image_bgr.shape[:2]
    return width, height
