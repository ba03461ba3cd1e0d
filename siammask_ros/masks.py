# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Paste a predicted mask into the image, and fit a rotated box to it (SiamMask, sec. 3.2).

Boxes are fitted in four ways (`BoxFit`): min-max; the rectangle of smallest area (MBR); the best
trade between mask left out and background taken in, as the ground truth of VOT-2016 was made
(Opt: Vojir and Matas, Pixel-wise object segmentations for the VOT 2016 dataset, CTU-CMP-2017-01);
and a fast approximation of that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import cv2
import numpy as np
import numpy.typing as npt

from siammask_ros.geometry import BoolArray, Box, RotatedBox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FloatMask = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.intp]
Levels = npt.NDArray[np.uint8]

BoxFit = Literal["min_max", "mbr", "opt", "opt_fast"]
"""How a box is fitted to a mask.

- `min_max`: the axis-aligned box around it.
- `mbr`: the rectangle of smallest area around it.
- `opt`: the rectangle of smallest `opt_cost` within the limits of VOT-2016; slow.
- `opt_fast`: nearly the same, in less than a millisecond.
"""

BOX_FITS: tuple[BoxFit, ...] = get_args(BoxFit)

OUTSIDE_COST = 4.0
"""Background pixels in the box that weigh as much as one mask pixel outside (VOT-2016)."""

MAX_MASK_OUTSIDE = 0.1
"""Largest share of the mask outside the box, unless both limits cannot be kept (VOT-2016)."""

MAX_BACKGROUND_INSIDE = 0.4
"""Largest share of background in the box, unless both limits cannot be kept (VOT-2016)."""

OFFICIAL_BORDER_VALUE = -1.0
"""What the official code interpolates towards outside the mask window; PySOT uses 0."""


_ROUNDS_FROM_LEFT_EDGE = int(cv2.__version__.split(".", maxsplit=1)[0]) < 5
"""OpenCV 4 rounds the positions of columns to 1/1024 pixel, counted from the output's left edge."""


class ImageRegion(NamedTuple):
    """Whole pixels of an image: left, top, width, height. Empty when width or height is 0."""

    x: int
    y: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an image with."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)


@dataclass(frozen=True)
class MaskPlacement:
    """Where the pixels of a mask window lie in the image: image = origin + scale * mask.

    Attributes:
        origin_xy: image position of the centre of mask pixel (0, 0).
        scale_xy: image pixels per mask pixel.
    """

    origin_xy: tuple[float, float]
    scale_xy: tuple[float, float]

    @classmethod
    def official(
        cls,
        window_xy: tuple[float, float],
        window_side: float,
        mask_size: int,
        image_size_wh: tuple[int, int],
    ) -> MaskPlacement:
        """Placement as the official code and PySOT do it.

        They map an image of W pixels on W - 1, which shrinks the mask about the image's origin
        by (W - 1) / W, a pixel at most, and take a corner for the centre of the first pixel.

        Args:
            window_xy: top-left corner of the mask window in the image.
            window_side: its side in image pixels.
            mask_size: its side in mask pixels.
            image_size_wh: the image's width and height.
        """
        shrink_x, shrink_y = ((side - 1) / side for side in image_size_wh)
        pitch = window_side / mask_size
        return cls(
            (window_xy[0] * shrink_x, window_xy[1] * shrink_y), (pitch * shrink_x, pitch * shrink_y)
        )

    def region(self, mask_size: int, image_size_wh: tuple[int, int]) -> ImageRegion:
        """Image pixels less than one mask pixel away from the mask's pixel centres."""
        starts, sides = [], []
        for origin, scale, image_side in zip(
            self.origin_xy, self.scale_xy, image_size_wh, strict=True
        ):
            start = max(0, math.floor(origin - scale))
            stop = min(image_side, math.ceil(origin + mask_size * scale) + 1)
            starts.append(min(start, image_side))
            sides.append(max(0, stop - start))
        if 0 in sides:
            sides = [0, 0]
        return ImageRegion(starts[0], starts[1], sides[0], sides[1])


def place_mask_roi(
    mask_probability: FloatMask,
    placement: MaskPlacement,
    image_size_wh: tuple[int, int],
    *,
    border_value: float = OFFICIAL_BORDER_VALUE,
) -> tuple[ImageRegion, FloatMask]:
    """Enlarge a mask window to image pixels, only where it touches the image.

    Args:
        mask_probability: (M, M) float32, in [0, 1].
        placement: where it lies.
        image_size_wh: the image's width and height.
        border_value: value that the outermost mask pixels fade towards, over one mask pixel.

    Returns:
        The region that the window touches, and the values in it, (height, width) float32; the
        values everywhere else are `border_value`.
    """
    region = placement.region(mask_probability.shape[0], image_size_wh)
    if region.width == 0:
        return region, np.zeros((0, 0), dtype=np.float32)
    left = 0 if _ROUNDS_FROM_LEFT_EDGE else region.x  # the same pixels as in a full-frame paste
    mask_to_region = np.array(
        [
            [placement.scale_xy[0], 0, placement.origin_xy[0] - left],
            [0, placement.scale_xy[1], placement.origin_xy[1] - region.y],
        ]
    )
    placed = cv2.warpAffine(
        mask_probability,
        mask_to_region,
        (region.x - left + region.width, region.height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=border_value,
    )
    return region, np.ascontiguousarray(placed[:, region.x - left :], dtype=np.float32)


@dataclass(frozen=True)
class MaskOutline:
    """Boxes around the largest connected part of a mask.

    Attributes:
        rotated_box: rectangle fitted to it, theta in [-pi/4, pi/4).
        box: axis-aligned min-max box, a single pixel being 1 wide.
        area: area inside the outline through pixel centres, holes included.
    """

    rotated_box: RotatedBox
    box: Box
    area: float


def outline_mask(
    mask: BoolArray,
    *,
    offset_xy: Sequence[int] = (0, 0),
    min_area: float = 0.0,
    fit: BoxFit = "mbr",
) -> MaskOutline | None:
    """Fit boxes to the largest connected part of a mask.

    Args:
        mask: (H, W) bool, C-contiguous.
        offset_xy: position of the mask's first pixel in the image, added to the results.
        min_area: the part must be larger than this, in square pixels.
        fit: how the rotated box is fitted.

    Returns:
        The boxes in image pixels, or None when no part is large enough.
    """
    if mask.size == 0:
        return None
    left, top = int(offset_xy[0]), int(offset_xy[1])
    contours = _outer_contours(mask, (left, top))
    if not contours:
        return None
    areas = [cv2.contourArea(contour) for contour in contours]
    largest = int(np.argmax(areas))
    if areas[largest] <= min_area:
        return None
    extent = cv2.boundingRect(contours[largest])
    box = Box(*(float(number) for number in extent))
    if fit == "mbr":
        rotated_box = _smallest_rectangle(contours[largest])
    else:
        part = ImageRegion(extent[0] - left, extent[1] - top, *extent[2:])
        pixels = np.ascontiguousarray(mask[part.slices])
        if len(contours) > 1:  # leave out what else is there
            filled = np.zeros(pixels.shape, np.uint8)
            cv2.drawContours(
                filled, contours, largest, 1, cv2.FILLED, offset=(-extent[0], -extent[1])
            )
            pixels &= filled.view(np.bool_)
        rotated_box = fit_box(pixels, fit, offset_xy=extent[:2]) or RotatedBox.from_box(box)
    return MaskOutline(rotated_box, box, float(areas[largest]))


def fit_box(
    mask: BoolArray, fit: BoxFit = "mbr", *, offset_xy: Sequence[int] = (0, 0)
) -> RotatedBox | None:
    """Fit a rectangle to all True pixels of a mask (SiamMask, sec. 3.2 and table 1).

    `min_max` is the box of `Box.from_mask`, `mbr` passes through the centres of the outermost
    pixels (as the official code), `opt` and `opt_fast` take pixels for squares about their centres.

    Args:
        mask: (H, W) bool.
        fit: how.
        offset_xy: position of the mask's first pixel in the image, added to the result.

    Returns:
        The rectangle in image pixels, theta in [-pi/4, pi/4); None if no pixel is True.

    Raises:
        ValueError: there is no such fit.
    """
    if fit not in BOX_FITS:
        raise ValueError(f"unknown box fit {fit!r}, there are {', '.join(BOX_FITS)}")
    extent = Box.from_mask(mask)
    if extent is None:
        return None
    region = ImageRegion(*(int(number) for number in extent.xywh))
    part = np.ascontiguousarray(mask[region.slices])
    if fit == "min_max":
        fitted = RotatedBox.from_box(Box(0.0, 0.0, *extent.size_wh))
    elif fit == "mbr":
        fitted = _fit_smallest(part)
    elif fit == "opt":
        fitted = _fit_opt(part)
    else:
        fitted = _fit_opt_fast(part)
    return _moved(fitted, (region.x + offset_xy[0], region.y + offset_xy[1]))


def mask_area_in_box(mask: BoolArray, box: RotatedBox) -> float:
    """Area of a mask inside a rectangle, in square pixels, sampled twice a pixel, less if large.

    Args:
        mask: (H, W) bool; its pixels are squares about their centres.
        box: the rectangle, in pixels of the mask.
    """
    return _area_in_box(_levels(mask), box)


def mask_box_overlap(mask: BoolArray, box: RotatedBox) -> float:
    """Intersection over union of a mask and a rectangle, in [0, 1]; 0 where both are empty."""
    inside = mask_area_in_box(mask, box)
    union = float(np.count_nonzero(mask)) + box.area - inside
    return inside / union if union > 0 else 0.0


def opt_cost(mask: BoolArray, box: RotatedBox) -> float:
    """What `opt` makes small: `OUTSIDE_COST` * mask outside the box + background inside.

    Both in square pixels. The published code counts pixel centres, and none outside of the image;
    here the box is charged for its part outside of the image too.
    """
    return _balance(float(np.count_nonzero(mask)), mask_area_in_box(mask, box), box.area).cost


# --- Fits to a mask that is cut to its True pixels


def _outer_contours(mask: BoolArray, offset_xy: tuple[int, int]) -> Sequence[npt.NDArray[np.int32]]:
    contours, _ = cv2.findContours(
        mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=offset_xy
    )
    return contours  # type: ignore[return-value]  # OpenCV says less than it gives


def _smallest_rectangle(points: npt.NDArray[np.int32]) -> RotatedBox:
    return RotatedBox.from_corners(cv2.boxPoints(cv2.minAreaRect(points))).upright()


def _fit_smallest(mask: BoolArray) -> RotatedBox:
    return _smallest_rectangle(np.concatenate(_outer_contours(mask, (0, 0))))


class _Balance(NamedTuple):
    """What a box leaves out and takes in, in square pixels and as shares."""

    cost: float
    excess: float
    """By how much the worse of the two limits is exceeded, as a share; 0 or less: both are kept."""


def _balance(
    mask_area: float, inside: float, box_area: float, outside_cost: float = OUTSIDE_COST
) -> _Balance:
    outside, background = mask_area - inside, box_area - inside
    return _Balance(
        outside_cost * outside + background,
        max(
            outside / max(mask_area, 1.0) - MAX_MASK_OUTSIDE,
            background / max(box_area, 1.0) - MAX_BACKGROUND_INSIDE,
        ),
    )


_LEVEL = 255
"""Level of a mask pixel where a mask is sampled between pixels."""

_OPT_ANGLES = 30
_OPT_CELLS = 40
_OPT_FIRST_STEP = 1 / 16
"""First step of the descent, as a share of the box's longer side."""
_OPT_LAST_STEP = 0.25
"""Its last, in pixels."""
_STRICTER_COSTS = (2 * OUTSIDE_COST, 4 * OUTSIDE_COST)
_LAXER_COSTS = (OUTSIDE_COST / 2, OUTSIDE_COST / 4)
"""Other costs of mask outside, for boxes that keep more mask, or less background."""
_LIMIT_TOLERANCE = 1e-3
_SAMPLES_PER_PIXEL = 2
_LEAST_SAMPLES, _MOST_SAMPLES = 16, 320
"""Of a box's side, when its share of the mask is measured."""


def _fit_opt(mask: BoolArray) -> RotatedBox:
    """The rectangle of least cost that keeps both limits; the least cost of all if none does.

    As published, from several first rectangles the best is searched; to the published two (min-max
    and MBR) come the best of all rectangles on a coarse grid, at many angles, so that the search
    does not end in a local minimum. It goes by steps down to a quarter of a pixel.
    """
    height, width = mask.shape
    levels, area = _levels(mask), float(np.count_nonzero(mask))
    angles = _angles(_OPT_ANGLES)
    frame = _Frame(((width - 1) / 2, (height - 1) / 2), (math.hypot(width, height),) * 2, angles)
    cells = frame.cells(levels, (1.0, 1.0), _OPT_CELLS)

    def cost(box: RotatedBox) -> float:
        return _balance(area, _area_in_box(levels, box), box.area).cost

    def limited_cost(box: RotatedBox) -> float:  # any excess costs more than all that can be won
        balance = _balance(area, _area_in_box(levels, box), box.area)
        return balance.cost + 1000 * area * max(balance.excess, 0.0)

    starts = [
        RotatedBox.from_box(Box(-0.5, -0.5, width, height)),
        _grown(_fit_smallest(mask), 1.0),
        frame.box(_best_rectangle(cells, OUTSIDE_COST), _OPT_CELLS),
    ]
    free = min((_descend(cost, start) for start in starts), key=cost)
    if _balance(area, _area_in_box(levels, free), free.area).excess <= 0:
        return free.upright()
    starts += [free]
    starts += [
        frame.box(_best_rectangle(cells, outside_cost), _OPT_CELLS)
        for outside_cost in (*_STRICTER_COSTS, *_LAXER_COSTS)
    ]
    kept = min((_descend(limited_cost, start) for start in starts), key=limited_cost)
    excess = _balance(area, _area_in_box(levels, kept), kept.area).excess
    return (kept if excess <= _LIMIT_TOLERANCE else free).upright()


def _descend(cost: Callable[[RotatedBox], float], start: RotatedBox) -> RotatedBox:
    """Move one side, or turn, as long as it lowers the cost; then by half the step, and so on."""
    box, least = start, cost(start)
    step = max(start.size_wh) * _OPT_FIRST_STEP
    while step >= _OPT_LAST_STEP:
        improved = False
        for side in (*_SIDES, None):
            for move in (step, -step):
                tried = _turned(box, move) if side is None else _with_side(box, side, move)
                if min(tried.size_wh) < 1 or (tried_cost := cost(tried)) >= least:
                    continue
                box, least, improved = tried, tried_cost, True
                break
        if not improved:
            step /= 2
    return box


_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1))
"""Outward directions of a box's sides in its own frame."""


def _with_side(box: RotatedBox, side: tuple[int, int], outward: float) -> RotatedBox:
    """The box with one side moved outward by some pixels; a negative size is made 0."""
    shift = outward / 2
    width, height = box.size_wh
    size_wh = (max(width + abs(side[0]) * outward, 0), max(height + abs(side[1]) * outward, 0))
    center_xy = _from_frame(box.center_xy, box.theta, side[0] * shift, side[1] * shift)
    return RotatedBox(center_xy, size_wh, box.theta)


def _turned(box: RotatedBox, arc: float) -> RotatedBox:
    """The box turned so that the ends of its longer axis move by some pixels."""
    return RotatedBox(box.center_xy, box.size_wh, box.theta + 2 * arc / max(box.size_wh))


_FAST_ANGLES = 18
_FAST_CELLS = 32
_FAST_TURNS = (-1 / 3, 0.0, 1 / 3)
"""Angles of the second look, as shares of the step between those of the first."""
_FAST_FINE_CELLS = 64
_FAST_MARGIN = 1.15
"""Side of the region of the second look, relative to the first look's box."""
_FAST_LONG_SIDE, _FAST_SHORT_SIDE = 64, 16
"""A mask is made smaller until one of its sides is this many pixels."""
_FAST_ROUNDS = 2
_FAST_THIN = 4
"""A box is thin if a side is less than so many of the first look's cells."""


def _fit_opt_fast(mask: BoolArray) -> RotatedBox:
    """Approximation of `_fit_opt`, in a time that hardly depends on the size of the mask.

    At a fixed angle, the cost falls by `OUTSIDE_COST` for each mask pixel in the box and rises by
    1 for each background pixel, so the best columns for given rows, and rows for given columns,
    are the run of the largest sum. They are found in turn at many angles at once, on a coarse
    grid; then around the best of these on a finer one.
    """
    height, width = mask.shape
    shrink = max(1.0, min(max(mask.shape) / _FAST_LONG_SIDE, min(mask.shape) / _FAST_SHORT_SIDE))
    small_wh = (round(width / shrink), round(height / shrink))
    small: Levels = np.asarray(
        cv2.resize(_levels(mask), small_wh, interpolation=cv2.INTER_AREA), np.uint8
    )
    scale_xy = (small_wh[0] / width, small_wh[1] / height)
    center_xy = ((width - 1) / 2, (height - 1) / 2)
    side = math.hypot(width, height)
    frame = _Frame(center_xy, (side, side), _angles(_FAST_ANGLES))
    cells = frame.cells(small, scale_xy, _FAST_CELLS)
    first = frame.box(_alternate(cells, OUTSIDE_COST), _FAST_CELLS)
    if min(first.size_wh) == 0:  # sparse everywhere: nothing pays
        return _fit_smallest(mask)

    pitch = side / _FAST_CELLS
    turns = np.array(_FAST_TURNS) * (math.pi / 2 / _FAST_ANGLES)
    width, height = (length * _FAST_MARGIN + 2 * pitch for length in first.size_wh)
    frame = _Frame(first.center_xy, (width, height), first.theta + turns)
    cells = frame.cells(small, scale_xy, _FAST_FINE_CELLS)
    area = float(np.count_nonzero(mask))
    found = _within_limits(frame, cells, area, first)
    if min(found.size_wh) < _FAST_THIN * pitch:  # the angles are too few for it
        levels = _levels(mask)
        boxes = (found, _grown(_fit_smallest(mask), 1.0))
        found = min(boxes, key=lambda box: _balance(area, _area_in_box(levels, box), box.area).cost)
    return found.upright()


def _within_limits(frame: _Frame, cells: FloatMask, area: float, first: RotatedBox) -> RotatedBox:
    """The box of least cost; where it breaks a limit, that of another cost which keeps both."""
    unit = frame.size_xy[0] * frame.size_xy[1] / cells[0].size
    choice = _alternate(cells, OUTSIDE_COST)
    free = frame.box(choice, _FAST_FINE_CELLS)
    if min(free.size_wh) == 0:
        return first
    if _balance(area, choice.inside(cells) * unit, free.area).excess <= 0:
        return free
    outside = area - choice.inside(cells) * unit
    for outside_cost in _STRICTER_COSTS if outside > MAX_MASK_OUTSIDE * area else _LAXER_COSTS:
        choice = _alternate(cells, outside_cost)
        box = frame.box(choice, _FAST_FINE_CELLS)
        if _balance(area, choice.inside(cells) * unit, box.area).excess <= 0:
            return box
    return free


# --- Rectangles on grids of cells


class _Cells(NamedTuple):
    """A rectangle of whole cells in one of several turned grids; `stop` is the cell after."""

    turn: int
    left: int
    right: int
    top: int
    bottom: int

    def inside(self, cells: FloatMask) -> float:
        """Mask inside, in cells."""
        return float(cells[self.turn, self.top : self.bottom, self.left : self.right].sum())


@dataclass(frozen=True)
class _Frame:
    """The same region, turned about its centre by several angles.

    Attributes:
        center_xy: its centre in the mask.
        size_xy: its sides in pixels.
        thetas: the angles (A,).
    """

    center_xy: tuple[float, float]
    size_xy: tuple[float, float]
    thetas: npt.NDArray[np.float64]

    def cells(self, levels: Levels, scale_xy: tuple[float, float], count: int) -> FloatMask:
        """Share of mask in count x count cells at each angle, (A, count, count) in [0, 1].

        Args:
            levels: the mask as levels, perhaps made smaller.
            scale_xy: its size relative to the mask's.
            count: cells a side.
        """
        across, down = _unit_grid(count)
        width, height = self.size_xy
        cosine = np.cos(self.thetas).astype(np.float32)[:, None, None]
        sine = np.sin(self.thetas).astype(np.float32)[:, None, None]
        x = across * (cosine * width) - down * (sine * height) + (self.center_xy[0] + 0.5)
        y = across * (sine * width) + down * (cosine * height) + (self.center_xy[1] + 0.5)
        sampled = cv2.remap(
            levels,
            (x * scale_xy[0] - 0.5).reshape(-1, count).astype(np.float32, copy=False),
            (y * scale_xy[1] - 0.5).reshape(-1, count).astype(np.float32, copy=False),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=0,
        )
        shares: FloatMask = sampled.reshape(-1, count, count) * np.float32(1 / _LEVEL)
        return shares

    def box(self, chosen: _Cells, count: int) -> RotatedBox:
        """The rectangle of the chosen cells, in pixels of the mask."""
        pitch_x, pitch_y = self.size_xy[0] / count, self.size_xy[1] / count
        theta = float(self.thetas[chosen.turn])
        across = ((chosen.left + chosen.right) / 2 - count / 2) * pitch_x
        down = ((chosen.top + chosen.bottom) / 2 - count / 2) * pitch_y
        size_wh = (
            (chosen.right - chosen.left) * pitch_x,
            (chosen.bottom - chosen.top) * pitch_y,
        )
        return RotatedBox(_from_frame(self.center_xy, theta, across, down), size_wh, theta)


@lru_cache(maxsize=8)
def _angles(count: int) -> npt.NDArray[np.float64]:
    """Angles over a quarter turn: those of all rectangles, whichever side is the width."""
    return np.linspace(-math.pi / 4, math.pi / 4, count, endpoint=False, dtype=np.float64)


@lru_cache(maxsize=8)
def _unit_grid(count: int) -> tuple[FloatMask, FloatMask]:
    """Centres of cells across (1, 1, count) and down (1, count, 1), in -0.5 to 0.5."""
    centers = ((np.arange(count, dtype=np.float32) + 0.5) / count - 0.5).astype(np.float32)
    return centers[None, None, :], centers[None, :, None]


def _alternate(cells: FloatMask, outside_cost: float) -> _Cells:
    """Best columns for given rows, best rows for these columns, and again; the best angle's."""
    count = cells.shape[1]
    index = np.arange(count)
    rows = (cells.max(axis=2) > 0).astype(np.float32)  # (A, count)
    for _ in range(_FAST_ROUNDS):
        gain = (1 + outside_cost) * np.matmul(rows[:, None, :], cells)[:, 0]
        left, right, _ = _best_run(gain - rows.sum(axis=1, keepdims=True))
        columns = ((index >= left[:, None]) & (index < right[:, None])).astype(np.float32)
        gain = (1 + outside_cost) * np.matmul(cells, columns[:, :, None])[:, :, 0]
        top, bottom, gains = _best_run(gain - columns.sum(axis=1, keepdims=True))
        rows = ((index >= top[:, None]) & (index < bottom[:, None])).astype(np.float32)
    turn = int(gains.argmax())
    return _Cells(turn, int(left[turn]), int(right[turn]), int(top[turn]), int(bottom[turn]))


def _best_rectangle(cells: FloatMask, outside_cost: float) -> _Cells:
    """The best of all rectangles at all angles (A, count, count): every pair of rows is tried."""
    count = cells.shape[1]
    top, bottom = np.triu_indices(count + 1, 1)
    best, best_gain = _Cells(0, 0, count, 0, count), -math.inf
    for turn, gains in enumerate((1 + outside_cost) * cells - 1):
        above = np.zeros((count + 1, count), np.float32)
        np.cumsum(gains, axis=0, out=above[1:])
        left, right, gain = _best_run(above[bottom] - above[top])
        pair = int(gain.argmax())
        if gain[pair] > best_gain and right[pair] > left[pair]:
            best_gain = float(gain[pair])
            best = _Cells(
                turn, int(left[pair]), int(right[pair]), int(top[pair]), int(bottom[pair])
            )
    return best


def _best_run(gains: FloatMask) -> tuple[IntArray, IntArray, FloatMask]:
    """Start, stop and sum of the run of the largest sum in each row (N, M); empty if none is > 0.

    Kadane's algorithm: the largest difference of a prefix sum and the least one before it.
    """
    sums = np.zeros((gains.shape[0], gains.shape[1] + 1), np.float32)
    np.cumsum(gains, axis=1, out=sums[:, 1:])
    least = np.minimum.accumulate(sums, axis=1)
    risen = sums - least
    stop = risen.argmax(axis=1)
    row = np.arange(len(stop))
    start = (sums <= least[row, stop][:, None]).argmax(axis=1)
    return start, stop, risen[row, stop]


# --- Boxes and levels


def _levels(mask: BoolArray) -> Levels:
    levels: Levels = mask.view(np.uint8) * np.uint8(_LEVEL)
    return levels


def _area_in_box(levels: Levels, box: RotatedBox) -> float:
    """Area of a mask, given as levels, inside a box, in square pixels."""
    width, height = box.size_wh
    if min(width, height) <= 0:
        return 0.0
    across, down = (
        min(max(math.ceil(_SAMPLES_PER_PIXEL * side), _LEAST_SAMPLES), _MOST_SAMPLES)
        for side in box.size_wh
    )
    cosine, sine = math.cos(box.theta), math.sin(box.theta)
    pitch_x, pitch_y = width / across, height / down
    first_xy = _from_frame(box.center_xy, box.theta, (pitch_x - width) / 2, (pitch_y - height) / 2)
    to_mask = np.array(
        [
            [cosine * pitch_x, -sine * pitch_y, first_xy[0]],
            [sine * pitch_x, cosine * pitch_y, first_xy[1]],
        ]
    )
    sampled = cv2.warpAffine(
        levels, to_mask, (across, down), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    )
    return float(sampled.mean()) / _LEVEL * width * height


def _from_frame(
    center_xy: tuple[float, float], theta: float, across: float, down: float
) -> tuple[float, float]:
    """The point that lies so far along the axes of a box about `center_xy`."""
    cosine, sine = math.cos(theta), math.sin(theta)
    return (
        center_xy[0] + cosine * across - sine * down,
        center_xy[1] + sine * across + cosine * down,
    )


def _grown(box: RotatedBox, margin: float) -> RotatedBox:
    width, height = box.size_wh
    return RotatedBox(box.center_xy, (width + margin, height + margin), box.theta)


def _moved(box: RotatedBox, by_xy: tuple[int, int]) -> RotatedBox:
    center_xy = (box.center_xy[0] + by_xy[0], box.center_xy[1] + by_xy[1])
    return RotatedBox(center_xy, box.size_wh, box.theta)
