# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Crops on the device are those of OpenCV, for any size and place of the region."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from random_network import randomized

from siammask_ros.backends.device_crop import DeviceCrops, crop_numbers, crop_squares
from siammask_ros.backends.device_launch import directly
from siammask_ros.backends.device_network import DeviceNetwork
from siammask_ros.choice import SearchRegion
from siammask_ros.crop import crop_square, round_half_even
from siammask_ros.network import ExemplarKernels, build_network, fuse_for_inference
from siammask_ros.tracker import SiamMaskTracker, TrackerConfig
from siammask_ros.tracker_state import TrackerState

OUT_SIZE = 255
PADDING = (100, 120, 7)
# Before OpenCV 5 warped images are sampled at whole 32nds of a pixel; noise is the worst case.
LARGEST_OF_AREA = 1 if int(cv2.__version__.split(".")[0]) >= 5 else 8


def noise(size_wh: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size_wh[::-1], 3), dtype=np.uint8)


def region_at(image: np.ndarray, center_xy: tuple[float, float], side: float) -> SearchRegion:
    size_wh = (image.shape[1], image.shape[0])
    kernels = ExemplarKernels(torch.empty(0), None, None)
    state = TrackerState(center_xy, (10.0, 10.0), kernels, PADDING, size_wh)
    return SearchRegion(state, image, side, 1.0, 1.0, None)


def expected_patch(region: SearchRegion, config: TrackerConfig) -> np.ndarray:
    patch, _ = crop_square(
        region.image_bgr,
        region.state.center_xy,
        region.side,
        OUT_SIZE,
        PADDING,
        rounding=config.crop_rounding,
        filter=config.crop_filter,
    )
    return patch


def random_regions(image: np.ndarray, config: TrackerConfig, count: int) -> list[SearchRegion]:
    """Inside, across the border and outside; of all sizes."""
    rng = np.random.default_rng(1)
    height, width = image.shape[:2]
    regions = []
    for _ in range(count):
        side = float(np.exp(rng.uniform(2, 7)))
        center = (float(rng.uniform(-80, width + 80)), float(rng.uniform(-80, height + 80)))
        is_whole = config.crop_filter == "bilinear"
        regions.append(region_at(image, center, round_half_even(side) if is_whole else side))
    regions.append(region_at(image, (-900.0, 40.0), 200))
    regions.append(region_at(image, (70.0, 50.0), OUT_SIZE))
    return regions


@pytest.mark.parametrize("preset", ["davis", "pysot", "compact"])
def test_patches_are_those_of_opencv(preset: str) -> None:
    config = TrackerConfig.preset(preset)
    image = noise((310, 170))
    regions = random_regions(image, config, 10)
    geometry = torch.from_numpy(crop_numbers(regions, config))
    patches = crop_squares(torch.from_numpy(image), geometry, OUT_SIZE).numpy()
    for patch, region in zip(patches, regions, strict=True):
        difference = np.abs(patch.astype(int) - expected_patch(region, config))
        assert difference.max() <= (LARGEST_OF_AREA if preset == "compact" else 1)
        assert difference.mean() < (0.2 if LARGEST_OF_AREA == 1 else 0.6)


def test_sums_that_do_not_fit_wrap_round() -> None:
    """White, and so large that its sum is more than 2**31."""
    image = np.full((2900, 2950, 3), 255, np.uint8)
    config = TrackerConfig.preset("compact")
    region = region_at(image, (2800.0, 2800.0), 600.0)
    geometry = torch.from_numpy(crop_numbers([region], config))
    (patch,) = crop_squares(torch.from_numpy(image), geometry, OUT_SIZE).numpy()
    difference = np.abs(patch.astype(int) - expected_patch(region, config))
    assert difference.max() <= LARGEST_OF_AREA
    assert {tuple(pixel) for pixel in patch[[0, -1], [0, -1]]} == {(255, 255, 255), PADDING}


def test_regions_of_several_images_keep_their_order() -> None:
    config = TrackerConfig.preset("davis")
    images = [noise((120, 90), 1), noise((120, 90), 2), noise((64, 200), 3)]
    order = [0, 1, 0, 2, 1, 0]
    regions = [
        region_at(images[which], (40.0 + 3 * number, 45.0), 60 + number)
        for number, which in enumerate(order)
    ]
    crops = DeviceCrops(torch.device("cpu"), directly)
    for _ in range(2):
        for region, patch in zip(regions, crops.cut(regions, config), strict=True):
            difference = np.abs(patch.numpy().astype(int) - expected_patch(region, config))
            assert difference.max() <= 1


def test_memory_does_not_grow_with_every_image_size() -> None:
    config = TrackerConfig.preset("davis", exemplar_size=8, search_size=16)
    crops = DeviceCrops(torch.device("cpu"), directly)
    for width in range(40, 140):
        (patch,) = crops.cut([region_at(noise((width, 50)), (20.0, 20.0), 30)], config)
        assert patch.shape == (16, 16, 3)
    assert len(crops._cuts) <= 32


@pytest.mark.parametrize("architecture", ["compact", "siammask_r50_refine"])
def test_targets_are_found_alike_with_crops_of_the_device(architecture: str) -> None:
    options: dict[str, Any] = {"compact": {"channels": (8, 8, 8), "blocks": (1, 1, 1)}}
    torch.manual_seed(5)
    network = build_network(architecture, **options.get(architecture, {"width_divisor": 16}))
    network = fuse_for_inference(randomized(network))
    device = DeviceNetwork(network, backend="x", precision="float32")
    plain, tracker = SiamMaskTracker(device), SiamMaskTracker(device, crop_on_device=True)
    image = cv2.GaussianBlur(noise((320, 240)), (0, 0), 4)
    boxes = [(50, 60, 40, 30), (200, 100, 60, 90), (5, 5, 20, 20)]
    states = plain.initialize_batch([(image, box) for box in boxes])
    moved = np.roll(image, (4, -6), axis=(0, 1))
    pairs = [(moved, states[0]), (image, states[1]), (moved, states[2])]
    expected, found = plain.track_batch(pairs), tracker.track_batch(pairs)
    for (_, one), (_, other) in zip(found, expected, strict=True):
        assert one.anchor_position == other.anchor_position
        assert one.confidence == pytest.approx(other.confidence, abs=0.01)
        np.testing.assert_allclose(one.mask_probability, other.mask_probability, atol=0.05)


def test_a_network_that_does_not_find_cannot_crop() -> None:
    network = build_network("compact", channels=(8, 8, 8), blocks=(1, 1, 1)).eval()
    with pytest.raises(ValueError, match="SiamMask cannot crop on the device"):
        SiamMaskTracker(network, crop_on_device=True)
