# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Random textures: a scalar pattern coloured by a palette, plus shading and grain."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from siammask_ros.scenes.arrays import Floats, ImageBgr, chance, check_size, log_uniform, uint8

if TYPE_CHECKING:
    from collections.abc import Callable

_BANK_SIDE = 512
# Amplitude falls as 1 / frequency^slope: from sandy to cloud-like (natural images lie near 1).
_BANK_SLOPES = (0.7, 1.1, 1.5, 2.0)
_BANK_SEED = 20161
_PALETTE_SIZE = 256
_HALF_SIZE_STEP = 0.6
# Hue centres (0 to 1) with widths and shares: earth and skin, greens, blues; the rest anything.
_HUES = ((0.08, 0.04, 0.38), (0.25, 0.07, 0.2), (0.58, 0.05, 0.17))

Levels = NDArray[np.uint8]
"""HxW palette indices."""


@lru_cache(maxsize=1)
def _noise_bank() -> tuple[NDArray[np.uint8], ...]:
    """Periodic fractal noise, one 512x512 uint8 field (mean 127.5) for each spectral slope."""
    rng = np.random.default_rng(_BANK_SEED)
    rows = np.fft.fftfreq(_BANK_SIDE)[:, None]
    columns = np.fft.rfftfreq(_BANK_SIDE)[None, :]
    frequency = np.maximum(np.hypot(rows, columns), 1.0 / _BANK_SIDE)
    fields = []
    for slope in _BANK_SLOPES:
        spectrum = np.fft.rfft2(rng.standard_normal((_BANK_SIDE, _BANK_SIDE))) / frequency**slope
        spectrum[0, 0] = 0.0
        field = np.fft.irfft2(spectrum, s=(_BANK_SIDE, _BANK_SIDE))
        # 2.5 standard deviations span the byte range.
        field *= 51.0 / field.std()
        fields.append(np.clip(np.rint(field + 127.5), 0, 255).astype(np.uint8))
    return tuple(fields)


def noise_field(
    rng: np.random.Generator, size_wh: tuple[int, int], *, zoom: tuple[float, float] = (0.5, 6.0)
) -> Levels:
    """Fractal noise, HxW uint8 around 127: a rotated, stretched piece of a periodic field.

    ``zoom`` bounds how much the field is enlarged: large is smooth.
    """
    bank = _noise_bank()
    field = bank[int(rng.integers(len(bank)))]
    angle = rng.uniform(0.0, 2.0 * np.pi)
    step = 1.0 / log_uniform(rng, *zoom)
    stretch = log_uniform(rng, 0.6, 1.7)
    start = rng.uniform(0.0, _BANK_SIDE, 2)
    # What is smooth is sampled at half size and enlarged; what is grainy needs no interpolation.
    halve = step < _HALF_SIZE_STEP
    size = (-(-size_wh[0] // 2), -(-size_wh[1] // 2)) if halve else size_wh
    step *= 2.0 if halve else 1.0
    cos, sin = np.cos(angle) * step, np.sin(angle) * step
    inverse = np.array(
        [[cos, -sin * stretch, start[0]], [sin, cos * stretch, start[1]]], dtype=np.float64
    )
    sampling = cv2.INTER_NEAREST if step > 1.0 else cv2.INTER_LINEAR
    flags = sampling | cv2.WARP_INVERSE_MAP
    sampled = uint8(cv2.warpAffine(field, inverse, size, flags=flags, borderMode=cv2.BORDER_WRAP))
    return uint8(cv2.resize(sampled, size_wh)) if halve else sampled


def white_noise(rng: np.random.Generator, size_wh: tuple[int, int], *, channels: int) -> Floats:
    """Unit normal noise, HxWxchannels float32: a random crop of one stored field."""
    width, height = size_wh
    tile = _white_bank()
    if max(size_wh) * 2 > tile.shape[0]:
        return rng.standard_normal((height, width, channels), dtype=np.float32)
    y, x = rng.integers(tile.shape[0] - height), rng.integers(tile.shape[1] - width)
    return tile[y : y + height, x : x + width, :channels]


@lru_cache(maxsize=1)
def _white_bank() -> Floats:
    rng = np.random.default_rng(_BANK_SEED + 1)
    side = 2 * _BANK_SIDE
    return rng.standard_normal((side, side, 3), dtype=np.float32)


def random_palette(rng: np.random.Generator, *, contrast: float | None = None) -> ImageBgr:
    """A 256x1x3 uint8 BGR table from 2 to 5 related colours, smooth or stepped.

    ``contrast`` (0 to 1) is the spread of brightness; drawn at random if None. The table ends
    where it begins in one case of two, so that patterns that wrap show no seam.
    """
    count = int(rng.integers(2, 6))
    spread = rng.beta(1.3, 1.5) if contrast is None else contrast
    middle = rng.uniform(0.2, 0.85)
    value = np.clip(middle + spread * rng.uniform(-0.5, 0.5, count), 0.06, 1.0)
    hue_spread = 0.03 if chance(rng, 0.6) else 0.25
    hue = (_random_hue(rng) + rng.normal(0.0, hue_spread, count)) % 1.0
    saturation = np.clip(rng.beta(1.1, 2.6) + rng.normal(0.0, 0.1, count), 0.0, 1.0)
    hsv = np.stack([hue * 180.0, saturation * 255.0, value * 255.0], axis=1).astype(np.uint8)
    colors = uint8(cv2.cvtColor(hsv[None], cv2.COLOR_HSV2BGR))[0].astype(np.float32)
    if chance(rng, 0.5):
        colors = np.concatenate([colors, colors[::-1]])
    stops = np.sort(rng.uniform(0.0, _PALETTE_SIZE - 1.0, len(colors)))
    grid = np.arange(_PALETTE_SIZE)
    if chance(rng, 0.3):
        table = colors[np.searchsorted(stops[1:], grid)]
    else:
        table = np.stack([np.interp(grid, stops, colors[:, c]) for c in range(3)], axis=1)
    return np.asarray(np.rint(table).astype(np.uint8)[:, None])


def _random_hue(rng: np.random.Generator) -> float:
    """A hue (0 to 1) as frequent as in photographs."""
    draw = rng.random()
    for center, width, share in _HUES:
        if draw < share:
            return float(rng.normal(center, width))
        draw -= share
    return float(rng.random())


def _coordinate(size_wh: tuple[int, int], angle: float) -> Floats:
    """Signed distance (px) of each pixel along a direction, HxW float32."""
    x = np.arange(size_wh[0], dtype=np.float32) * np.float32(np.cos(angle))
    y = np.arange(size_wh[1], dtype=np.float32) * np.float32(np.sin(angle))
    return np.asarray(x[None] + y[:, None])


def _wrap(field: NDArray[np.float32]) -> Levels:
    """Palette indices of a field in periods (1.0 = one turn through the palette)."""
    return (field * _PALETTE_SIZE).astype(np.int32).astype(np.uint8)


def _bend(rng: np.random.Generator, size_wh: tuple[int, int]) -> Floats:
    """A smooth disturbance, HxW float32, a fraction of a period or none."""
    strength = 0.0 if chance(rng, 0.3) else log_uniform(rng, 0.1, 2.5)
    field = noise_field(rng, size_wh, zoom=(2.0, 8.0)).astype(np.float32)
    return np.asarray(field * np.float32(strength / 255.0))


def _stripes(rng: np.random.Generator, size_wh: tuple[int, int]) -> Levels:
    period = log_uniform(rng, 0.06, 0.6) * max(size_wh)
    across = _coordinate(size_wh, rng.uniform(0.0, np.pi))
    return _wrap(across / np.float32(period) + _bend(rng, size_wh))


def _checks(rng: np.random.Generator, size_wh: tuple[int, int]) -> Levels:
    angle = rng.uniform(0.0, np.pi)
    period = log_uniform(rng, 0.08, 0.35) * max(size_wh)
    bend = _bend(rng, size_wh) if chance(rng, 0.4) else np.float32(0.0)
    first = np.floor(_coordinate(size_wh, angle) / np.float32(period) + bend)
    second = np.floor(
        _coordinate(size_wh, angle + np.pi / 2) / np.float32(period * log_uniform(rng, 0.4, 2.0))
    )
    # 0.37 and 0.61 are incommensurable with the palette: plaids and tiles, not only two colours.
    if chance(rng, 0.5):
        return _wrap((first + second) % 2 * np.float32(0.5))
    return _wrap(first * np.float32(0.37) + second * np.float32(0.61))


def _gradient(rng: np.random.Generator, size_wh: tuple[int, int]) -> Levels:
    width, height = size_wh
    if chance(rng, 0.5):
        ramp = _coordinate(size_wh, rng.uniform(0.0, 2 * np.pi)) / np.float32(max(size_wh))
    else:
        x = np.arange(width, dtype=np.float32) - np.float32(rng.uniform(0, width))
        y = np.arange(height, dtype=np.float32) - np.float32(rng.uniform(0, height))
        ramp = np.sqrt(x[None] ** 2 + y[:, None] ** 2) / np.float32(max(size_wh))
    low = ramp.min()
    span = max(float(ramp.max() - low), 1e-3)
    ramp = (ramp - low) / np.float32(span) + _bend(rng, size_wh) * np.float32(0.15)
    return np.asarray((np.clip(ramp, 0.0, 1.0) * (_PALETTE_SIZE - 1)).astype(np.uint8))


def _cells(rng: np.random.Generator, size_wh: tuple[int, int]) -> Levels:
    """Voronoi cells: one palette entry each, or the distance to the cell's point (spots)."""
    width, height = size_wh
    count = int(log_uniform(rng, 6, 250))
    seeds = np.full((height, width), 255, np.uint8)
    seeds[rng.integers(0, height, count), rng.integers(0, width, count)] = 0
    distance, labels = cv2.distanceTransformWithLabels(
        seeds, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    if chance(rng, 0.5):
        table = rng.integers(0, _PALETTE_SIZE, int(labels.max()) + 1).astype(np.uint8)
        return np.asarray(table[labels])
    typical = np.sqrt(width * height / count)
    scaled = np.asarray(distance, np.float32) * np.float32(255.0 / typical)
    return np.asarray(np.minimum(scaled, 255.0).astype(np.uint8))


def _drawing(rng: np.random.Generator, size_wh: tuple[int, int]) -> Levels:
    """Man-made clutter: boxes, discs, lines and letters over a plain or noisy ground."""
    width, height = size_wh
    plain = chance(rng, 0.5)
    ground = np.full((height, width), int(rng.integers(256)), np.uint8)
    levels = ground if plain else noise_field(rng, size_wh, zoom=(2.0, 8.0))
    for _ in range(int(rng.integers(4, 22))):
        _STROKES[int(rng.integers(len(_STROKES)))](rng, levels)
    return levels


def _stroke(rng: np.random.Generator, levels: Levels) -> tuple[tuple[int, int], int, int]:
    """Where a stroke begins, how large it is (px) and its level."""
    height, width = levels.shape
    start = (int(rng.integers(width)), int(rng.integers(height)))
    extent = max(2, int(min(height, width) * log_uniform(rng, 0.03, 0.4)))
    return start, extent, int(rng.integers(256))


def _thickness(rng: np.random.Generator, extent: int) -> int:
    """Filled (-1) in most cases, else a border."""
    return -1 if chance(rng, 0.7) else max(1, extent // 8)


def _rectangle(rng: np.random.Generator, levels: Levels) -> None:
    (x, y), extent, level = _stroke(rng, levels)
    end = (x + extent, y + max(2, int(extent * log_uniform(rng, 0.3, 3.0))))
    cv2.rectangle(levels, (x, y), end, level, _thickness(rng, extent), cv2.LINE_AA)


def _disc(rng: np.random.Generator, levels: Levels) -> None:
    start, extent, level = _stroke(rng, levels)
    cv2.circle(levels, start, extent // 2 + 1, level, _thickness(rng, extent), cv2.LINE_AA)


def _line(rng: np.random.Generator, levels: Levels) -> None:
    start, extent, level = _stroke(rng, levels)
    end, _, _ = _stroke(rng, levels)
    cv2.line(levels, start, end, level, max(1, extent // 10), cv2.LINE_AA)


def _letters(rng: np.random.Generator, levels: Levels) -> None:
    start, extent, level = _stroke(rng, levels)
    text = "".join(chr(code) for code in rng.integers(ord("0"), ord("Z") + 1, 4))
    weight = max(1, extent // 12)
    cv2.putText(levels, text, start, cv2.FONT_HERSHEY_SIMPLEX, extent / 22.0, level, weight)


_STROKES = (_rectangle, _disc, _line, _letters)


def _marble(rng: np.random.Generator, size_wh: tuple[int, int]) -> Levels:
    turns = np.float32(log_uniform(rng, 1.0, 5.0) / 255.0)
    return _wrap(noise_field(rng, size_wh, zoom=(1.0, 8.0)).astype(np.float32) * turns)


def _noise(rng: np.random.Generator, size_wh: tuple[int, int]) -> Levels:
    return noise_field(rng, size_wh)


_PATTERNS: tuple[tuple[float, Callable[[np.random.Generator, tuple[int, int]], Levels]], ...] = (
    (0.30, _noise),
    (0.10, _marble),
    (0.13, _stripes),
    (0.09, _checks),
    (0.14, _gradient),
    (0.12, _cells),
    (0.12, _drawing),
)


def random_texture(
    rng: np.random.Generator, size_wh: tuple[int, int], *, contrast: float | None = None
) -> ImageBgr:
    """A random texture: noise, marble, stripes, checks, gradient, cells or drawn clutter.

    Args:
        rng: source of all randomness.
        size_wh: width and height in pixels, each at least 2.
        contrast: brightness spread of the palette, 0 to 1; at random if None.

    Returns:
        HxWx3 uint8 BGR.

    """
    check_size("size_wh", size_wh, 2)
    shares = np.cumsum([share for share, _ in _PATTERNS])
    chosen = min(int(np.searchsorted(shares, rng.random() * shares[-1])), len(_PATTERNS) - 1)
    levels = _PATTERNS[chosen][1](rng, size_wh)
    palette = random_palette(rng, contrast=contrast)
    image = uint8(cv2.applyColorMap(levels, palette))
    if chance(rng, 0.75):
        image = add_relief(image, noise_field(rng, size_wh), amplitude=log_uniform(rng, 0.04, 0.5))
    return image


def add_relief(image: ImageBgr, field: Levels, *, amplitude: float) -> ImageBgr:
    """Brighten and darken by a field around 127: grain, dirt, soft shadows; new image."""
    offset = cv2.merge([field, field, field])
    return uint8(cv2.addWeighted(image, 1.0, offset, amplitude, -127.5 * amplitude))
