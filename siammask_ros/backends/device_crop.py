# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`siammask_ros.crop.crop_square` in torch: an image goes to the device once, for all its regions.

Both filters are one thing: the mean of blocks of pixels, sampled bilinearly. The means come from
the image's integral, whatever the block's size, so no shape depends on how large a target is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from siammask_ros.backends.device_memory import Upload
from siammask_ros.crop import round_half_even, round_half_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siammask_ros.backends.device_launch import Launch
    from siammask_ros.choice import SearchRegion
    from siammask_ros.crop import ImageBgr
    from siammask_ros.geometry import FloatArray
    from siammask_ros.tracker_config import TrackerConfig

_CHANNELS = 3
_MOST_SHAPES = 32
"""Sizes of images, and numbers of their regions, that are kept ready."""


class CropGeometry(NamedTuple):
    """Where the samples of a patch lie; cells are blocks of pixels."""

    origin_x: float
    """Image column of the first pixel of cell 0."""
    origin_y: float
    first_x: float
    """Place of patch column 0, in cells."""
    first_y: float
    step: float
    """Cells from one patch pixel to the next."""
    block: float
    """Side of a cell in image pixels."""
    last: float
    """The last cell that is sampled, others take its value; infinity: all are."""
    blue: float
    green: float
    red: float


CROP_NUMBERS = len(CropGeometry._fields)


def crop_numbers(regions: Sequence[SearchRegion], config: TrackerConfig) -> FloatArray:
    """Geometry of the crops of N search regions: (N, 10) float64."""
    of_filter = _area_geometry if config.crop_filter == "area" else _bilinear_geometry
    return np.array([of_filter(region, config) for region in regions], dtype=np.float64)


def _area_geometry(region: SearchRegion, config: TrackerConfig) -> CropGeometry:
    """As `crop_square` with the filter `area`."""
    scale = region.side / config.search_size
    block = 2 ** max(0, int(math.log2(scale))) if scale > 1 else 1
    half_patch = (config.search_size - 1) / 2
    origins, firsts = [], []
    for center in region.state.center_xy:
        first = center - half_patch * scale
        origin = math.floor(first) - block
        origins.append(origin)
        firsts.append((first - origin - (block - 1) / 2) / block)
    padding = region.state.padding_bgr
    (left, top), (first_x, first_y) = origins, firsts
    return CropGeometry(left, top, first_x, first_y, scale / block, block, math.inf, *padding)


def _bilinear_geometry(region: SearchRegion, config: TrackerConfig) -> CropGeometry:
    """As `crop_square` with the filter `bilinear`."""
    round_origin = round_half_even if config.crop_rounding == "half_even" else round_half_up
    left, top = (round_origin(center - (region.side + 1) / 2) for center in region.state.center_xy)
    scale = region.side / config.search_size
    first = (scale - 1) / 2  # the resize aligns the edges of the outer pixels, not their centres
    padding = region.state.padding_bgr
    return CropGeometry(left, top, first, first, scale, 1.0, region.side - 1, *padding)


class DeviceCrops:
    """Search patches of whole images, cut on the device.

    Args:
        device: where.
        launch: how the cut is run.
    """

    def __init__(self, device: torch.device, launch: Launch) -> None:
        self._device, self._launch = device, launch
        self._cuts: dict[tuple[int, ...], _Cut] = {}

    def cut(self, regions: Sequence[SearchRegion], config: TrackerConfig) -> list[Tensor]:
        """The patches of regions, each image sent once: (S, S, 3) uint8 each."""
        patches: dict[int, Tensor] = {}
        by_image: dict[int, list[int]] = {}
        for index, region in enumerate(regions):
            by_image.setdefault(id(region.image_bgr), []).append(index)
        for indices in by_image.values():
            geometry = crop_numbers([regions[index] for index in indices], config)
            image_bgr = regions[indices[0]].image_bgr
            cut = self._cut_for(image_bgr.shape[:2], len(indices), config.search_size)
            # Copied, as the next image of this size takes its place.
            patches.update(zip(indices, cut.run(image_bgr, geometry).clone(), strict=False))
        return [patches[index] for index in range(len(regions))]

    def _cut_for(self, image_hw: tuple[int, ...], count: int, out_size: int) -> _Cut:
        key = (*image_hw, 1 << (count - 1).bit_length(), out_size)
        cut = self._cuts.pop(key, None) or _Cut(key, self._device, self._launch)
        self._cuts[key] = cut  # the latest is the last
        if len(self._cuts) > _MOST_SHAPES:
            del self._cuts[next(iter(self._cuts))]
        return cut


class _Cut:
    """Crops of images of one size, in memory that stays in place."""

    def __init__(self, shape: tuple[int, ...], device: torch.device, launch: Launch) -> None:
        height, width, count, out_size = shape
        split = count * CROP_NUMBERS * np.dtype(np.float64).itemsize
        self._inputs = Upload(split + height * width * _CHANNELS, device)
        host = self._inputs.host
        self._geometry = host[:split].view(np.float64).reshape(count, CROP_NUMBERS)
        self._geometry[:] = 1.0  # of regions that are not there
        self._image = host[split:].reshape(height, width, _CHANNELS)
        self._inputs.send()
        image = self._inputs.device[split:].view(height, width, _CHANNELS)
        geometry = self._inputs.device[:split].view(torch.float64).view(count, CROP_NUMBERS)
        self._run = launch(lambda: crop_squares(image, geometry, out_size))

    def run(self, image_bgr: ImageBgr, geometry: FloatArray) -> Tensor:
        """(N or more, S, S, 3) uint8 patches, valid until the next run."""
        self._inputs.wait()
        self._geometry[: len(geometry)] = geometry
        np.copyto(self._image, image_bgr)
        self._inputs.send()
        return self._run()


def crop_squares(image_bgr: Tensor, geometry: Tensor, out_size: int) -> Tensor:
    """Cut N squares out of an image and resize them.

    Args:
        image_bgr: (H, W, 3) uint8.
        geometry: (N, 10) float64, see `crop_numbers`.
        out_size: side of the patches.

    Returns:
        (N, out_size, out_size, 3) uint8, within 1 of those of `crop_square`; of the filter `area`
        before OpenCV 5 within 6, as that samples at whole 32nds of a pixel.
    """
    integral = functional.pad(
        image_bgr.int().cumsum(0, dtype=torch.int32).cumsum(1, dtype=torch.int32),
        (0, 0, 1, 0, 1, 0),
    )  # (H + 1, W + 1, 3); sums of more than 2**31 wrap round, and their differences back
    block = geometry[:, 5:6]  # (N, 1)
    columns, weight_x = _samples(geometry[:, 0:1], geometry[:, 2:3], geometry, out_size)
    rows, weight_y = _samples(geometry[:, 1:2], geometry[:, 3:4], geometry, out_size)
    height, width = image_bgr.shape[:2]
    rows, columns = rows.clamp(0, height), columns.clamp(0, width)  # (N, S, 2 cells, 2 ends)
    corners = integral[rows[:, :, None, :, None, :, None], columns[:, None, :, None, :, None, :]]
    # (N, S, S, 2 rows, 2 columns, 2 tops and bottoms, 2 lefts and rights, 3)
    sums = (corners[..., 1, 1, :] - corners[..., 0, 1, :]) - (
        corners[..., 1, 0, :] - corners[..., 0, 0, :]
    )  # (N, S, S, 2, 2, 3) of what lies in the image
    heights, widths = rows[..., 1] - rows[..., 0], columns[..., 1] - columns[..., 0]
    inside = heights[:, :, None, :, None] * widths[:, None, :, None, :]  # (N, S, S, 2, 2) pixels
    area = (block * block).float()[:, :, None, None, None]
    padding = geometry[:, None, None, None, None, 7:10].float()
    means = (sums.float() + padding * (area - inside)[..., None]) / area[..., None]
    means = means.round()  # to whole levels, as OpenCV does before it samples
    across = torch.lerp(means[..., 0, :], means[..., 1, :], weight_x[:, None, :, None, None])
    sampled = torch.lerp(across[..., 0, :], across[..., 1, :], weight_y[:, :, None, None])
    return sampled.round().to(torch.uint8)


def _samples(
    origin: Tensor, first: Tensor, geometry: Tensor, out_size: int
) -> tuple[Tensor, Tensor]:
    """Along one axis: ends of the two cells of each sample, and the weight of the second.

    Returns:
        (N, S, 2 cells, 2) int64 first pixel and the one after the last; (N, S) float32.
    """
    step, block, last = geometry[:, 4:5], geometry[:, 5:6], geometry[:, 6:7]  # (N, 1)
    places = first + step * torch.arange(out_size, device=geometry.device)  # (N, S) in cells
    places = torch.where(last.isinf(), places, places.clamp(min=0).minimum(last))
    cells = places.floor()
    both = torch.stack([cells, torch.minimum(cells + 1, last)], dim=2)  # (N, S, 2)
    starts = origin[:, :, None] + both * block[:, :, None]
    ends = torch.stack([starts, starts + block[:, :, None]], dim=3)
    return ends.long(), (places - cells).float()
