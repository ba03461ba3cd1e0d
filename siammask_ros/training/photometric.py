# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Colour, blur and noise augmentation of uint8 BGR patches."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from siammask_ros.training.warp import Uint8Array

# Natural images vary most in brightness, then from blue to red, then from green to magenta:
# directions (rows, BGR, of length one) and standard deviations in grey levels. They are what the
# official code's matrix of colour offsets holds; it multiplies from the wrong side, which makes
# blue vary by 8.2 and red by 1.2.
_LIGHT_DIRECTIONS = np.array([[1, 1, 1], [-1, 0, 1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])
_LIGHT_SPREAD = np.array([8.2, 2.5, 1.2])
_INVERTED_SHARE = 0.15

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PhotometricConfig:
    """Light, colour, blur and noise of each patch.

    Octaves are as in SampleConfig, colours in grey levels of 0 to 255.

    Attributes:
        gain: contrast, octaves.
        channel_gain: of each colour channel, octaves.
        offset: standard deviation of the brightness.
        light_offset: how much brightness and tint vary as they do between natural images, from
            0 for not at all to 1 for as in the official code (some 5 levels a channel).
        gamma: exponent of the light, octaves.
        desaturate_probability: patches that lose part of their colour.
        hue_probability: patches whose hue turns.
        hue_degrees: standard deviation of the turn.
        blur_probability: patches that are blurred, as by motion or lack of focus; the official
            code blurs 0.03 of the search patches.
        max_blur_kernel: widest blur, pixels.
        noise_probability: patches with sensor noise.
        noise_sigma: its greatest standard deviation.
    """

    gain: float = 0.25
    channel_gain: float = 0.08
    offset: float = 16.0
    light_offset: float = 0.0
    gamma: float = 0.25
    desaturate_probability: float = 0.2
    hue_probability: float = 0.15
    hue_degrees: float = 20.0
    blur_probability: float = 0.2
    max_blur_kernel: int = 9
    noise_probability: float = 0.25
    noise_sigma: float = 6.0

    def __post_init__(self) -> None:
        for name in (f.name for f in dataclasses.fields(self)):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be at least 0, got {value}")
            if name.endswith("_probability") and value > 1:
                raise ValueError(f"{name} must be from 0 to 1, got {value}")
        if self.max_blur_kernel < 3:
            raise ValueError(f"max_blur_kernel must be at least 3, got {self.max_blur_kernel}")


def jitter_colors(
    patch: Uint8Array, rng: np.random.Generator, config: PhotometricConfig
) -> Uint8Array:
    """Return a copy of an HxWx3 uint8 BGR patch with other light, contrast and saturation."""
    levels = np.linspace(0.0, 1.0, 256)
    gamma = 2.0 ** rng.normal(0.0, config.gamma)
    gain = 2.0 ** rng.normal(0.0, config.gain)
    light = (rng.normal(0.0, _LIGHT_SPREAD) @ _LIGHT_DIRECTIONS) * config.light_offset  # BGR
    offset = rng.normal(0.0, config.offset) + light
    channel_gains = 2.0 ** rng.normal(0.0, config.channel_gain, 3)
    curve = 255.0 * gain * levels[:, None] ** gamma * channel_gains + offset  # 256x3
    table = np.clip(np.round(curve), 0, 255).astype(np.uint8).reshape(1, 256, 3)
    patch = np.asarray(cv2.LUT(patch, table), dtype=np.uint8)
    if rng.random() < config.desaturate_probability:
        amount = float(rng.uniform(0.3, 1.0))
        patch = np.asarray(cv2.addWeighted(grey(patch), amount, patch, 1.0 - amount, 0.0), np.uint8)
    if rng.random() < config.hue_probability:
        hsv = cv2.cvtColor(patch, cv2.COLOR_BGR2HSV)
        half_degrees = int(rng.normal(0.0, config.hue_degrees) / 2) % 180  # OpenCV hue unit
        hue = (hsv[..., 0].astype(np.int16) + half_degrees) % 180
        hsv[..., 0] = hue.astype(np.uint8)
        patch = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), dtype=np.uint8)
    return patch


def grey(patch: Uint8Array) -> Uint8Array:
    """Return an HxWx3 uint8 BGR patch without its colour."""
    brightness = cv2.cvtColor(patch, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.cvtColor(brightness, cv2.COLOR_GRAY2BGR), dtype=np.uint8)


def random_recoloring(rng: np.random.Generator) -> FloatArray:
    """Draw a 3x4 matrix for `recolor`: hues turn or are mirrored, sometimes light is inverted.

    Grey stays grey, and what had one colour has one.
    """
    angle = rng.uniform(0.0, 2.0 * np.pi)
    along = np.full((3, 3), 1.0 / 3.0)  # projects onto the grey axis
    across = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3.0)  # turns about it by 90
    turn = along + np.cos(angle) * (np.eye(3) - along) + np.sin(angle) * across
    mixed = turn[rng.permutation(3)]
    if rng.random() < _INVERTED_SHARE:
        return np.hstack([-mixed, np.full((3, 1), 255.0)])
    return np.hstack([mixed, np.zeros((3, 1))])


def recolor(patch: Uint8Array, matrix: FloatArray) -> Uint8Array:
    """Return an HxWx3 uint8 BGR patch with colours times a 3x4 matrix, cut off at 0 and 255."""
    return np.asarray(cv2.transform(patch, matrix), dtype=np.uint8)


def degrade(patch: Uint8Array, rng: np.random.Generator, config: PhotometricConfig) -> Uint8Array:
    """Return the patch with camera faults: motion or defocus blur, sensor noise."""
    if rng.random() < config.blur_probability:
        size = 2 * int(rng.integers(1, config.max_blur_kernel // 2 + 1)) + 1
        if rng.random() < 0.5:
            patch = np.asarray(cv2.GaussianBlur(patch, (size, size), 0), dtype=np.uint8)
        else:
            patch = np.asarray(cv2.filter2D(patch, -1, motion_kernel(rng, size)), dtype=np.uint8)
    if rng.random() < config.noise_probability:
        sigma = rng.uniform(0.0, config.noise_sigma)
        noise = rng.standard_normal(patch.shape, dtype=np.float32) * np.float32(sigma)
        patch = np.clip(patch + noise, 0, 255).astype(np.uint8)
    return patch


def motion_kernel(rng: np.random.Generator, size: int) -> npt.NDArray[np.float32]:
    """Return a size x size line kernel of random direction that sums to one."""
    angle = rng.uniform(0.0, np.pi)
    half = (size - 1) / 2
    tip = half * np.array([np.cos(angle), np.sin(angle)])
    kernel = np.zeros((size, size), np.float32)
    start, end = np.round(half - tip).astype(int), np.round(half + tip).astype(int)
    cv2.line(kernel, tuple(start.tolist()), tuple(end.tolist()), 1.0)
    kernel /= kernel.sum()
    return kernel
