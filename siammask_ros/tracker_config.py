# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the tracking step, and the published sets of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

import yaml

from siammask_ros.anchors import AnchorGrid
from siammask_ros.crop import CropFilter, Rounding, context_side
from siammask_ros.masks import BOX_FITS, OFFICIAL_BORDER_VALUE, BoxFit
from siammask_ros.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

InitialCenter = Literal["official", "pysot"]
MaskAlignment = Literal["official", "exact"]
MaskUse = Literal["best", "coarse", "none"]
ReportedBox = Literal["predicted", "mask"]

MASK_USES: tuple[MaskUse, ...] = get_args(MaskUse)


@dataclass(frozen=True)
class TrackerConfig:
    """Settings of the tracking step; the defaults are those of the `davis` preset.

    Attributes:
        exemplar_size: side of the exemplar patch in pixels.
        search_size: side of the search patch in pixels.
        context_amount: margin around the target, as a share of width plus height.
        anchors: the network's anchor grid.
        change_penalty: how strongly a change of size or shape lowers a score (official
            `penalty_k`).
        window_influence: weight in [0, 1] of the Hann window against the score.
        size_smoothing: share in [0, 1] of the new size that is taken over (official `lr`).
        mask_threshold: a pixel belongs to the mask above this probability, in [0, 1).
        min_contour_area: the mask's largest part gives the rotated box if its area in square
            pixels is larger than this; otherwise the axis-aligned box is used.
        box_fit: how the rotated box is fitted to the mask: `mbr` (official), `min_max`, `opt` or
            `opt_fast`; see `siammask_ros.masks.BoxFit`.
        min_target_side: smallest width and height of the tracked box in pixels.
        initial_center: centre of the first box: x + w/2 (`official`) or x + (w - 1)/2 (`pysot`).
        crop_rounding: rule for the crop's origin, `half_even` (official) or `half_up` (PySOT).
        crop_filter: `bilinear` is the official crop of whole pixels; `area` smooths when it
            shrinks, and is centred exactly.
        mask_alignment: `official` pastes masks with the official half-pixel shifts, `exact` where
            the patch's pixels lie.
        mask_border_value: value that the rim of the pasted mask fades towards; -1 (official) or 0.
        clamp_before_fallback: whether the axis-aligned box that replaces a missing rotated box
            is made after the position and size are limited to the image (PySOT) or before.
        masks: which masks are predicted: `best`, those of the refiner if the network has one;
            `coarse`, without it (the paper's "w/o R"); or `none`: the axis-aligned box is reported
            (SiamMask-box, SiamMask-2B-score).
        mask_box_blend: share in [0, 1] of the mask's min-max box in the next position and size.
            The official code uses none; two-branch networks, which predict no boxes, use it alone.
        mask_box_min_iou: the mask's box is blended in, or reported, only if it overlaps the
            predicted box at least so much.
        reported_box: the axis-aligned box of a result: `predicted`, by the box branch and what is
            smoothed and blended into it; or `mask`, the min-max box of the mask's largest part.
        scale_step: above 1, the target is also searched for in a region smaller and one larger by
            this factor, and the best is taken. For networks without boxes, which would not see a
            change of size without masks (SiamFC with three scales); a step costs three searches.
    """

    exemplar_size: int = 127
    search_size: int = 255
    context_amount: float = 0.5
    anchors: AnchorGrid = field(default_factory=AnchorGrid)
    change_penalty: float = 0.04
    window_influence: float = 0.4
    size_smoothing: float = 1.0
    mask_threshold: float = 0.35
    min_contour_area: float = 100.0
    box_fit: BoxFit = "mbr"
    min_target_side: float = 10.0
    initial_center: InitialCenter = "official"
    crop_rounding: Rounding = "half_even"
    crop_filter: CropFilter = "bilinear"
    mask_alignment: MaskAlignment = "official"
    mask_border_value: float = OFFICIAL_BORDER_VALUE
    clamp_before_fallback: bool = False
    masks: MaskUse = "best"
    mask_box_blend: float = 0.0
    mask_box_min_iou: float = 0.3
    reported_box: ReportedBox = "predicted"
    scale_step: float = 1.0

    def __post_init__(self) -> None:
        for name in ("window_influence", "size_smoothing", "mask_box_blend", "mask_box_min_iou"):
            self._require(name, "in [0, 1]", lambda value: 0 <= value <= 1)
        for name in ("change_penalty", "context_amount", "min_contour_area"):
            self._require(name, "finite and >= 0", lambda value: 0 <= value < math.inf)
        self._require("mask_threshold", "in [0, 1)", lambda value: 0 <= value < 1)
        self._require("min_target_side", "finite and > 0", lambda value: 0 < value < math.inf)
        self._require("mask_border_value", "<= 0", lambda value: value <= 0)
        self._require("exemplar_size", "at least 1", lambda value: value >= 1)
        self._require(
            "search_size", "larger than exemplar_size", lambda value: value > self.exemplar_size
        )
        self._require("scale_step", "finite and >= 1", lambda value: 1 <= value < math.inf)
        for name, choices in _CHOICES.items():
            self._require(name, f"one of {choices}", choices.__contains__)

    def _require(self, name: str, expected: str, accepts: Callable[[Any], bool]) -> None:
        value = getattr(self, name)
        if not accepts(value):
            raise ValueError(f"{name} must be {expected}, got {value!r}")

    @classmethod
    def preset(cls, name: str, /, **overrides: object) -> TrackerConfig:
        """Published settings.

        Args:
            name: `davis`, `vot`, `vot18`, `base` (official configurations of these names), `pysot`
                (PySOT's siammask_r50_l3), `siammask_pp` (SiamMask++), `compact` (the bundled small
                network), `box` (SiamMask-box), `two_branch` (SiamMask-2B) or `siamfc` (SiamFC and
                SiamMask-2B-score).
            overrides: single settings to change.

        Raises:
            ValueError: unknown name or setting, or a value out of range.
        """
        if name not in PRESETS:
            raise ValueError(f"unknown preset {name!r}, there are {', '.join(PRESETS)}")
        known = {entry.name for entry in fields(cls)}
        unknown = overrides.keys() - known
        if unknown:
            raise ValueError(
                f"unknown tracker settings: {', '.join(sorted(unknown))}; "
                f"there are {', '.join(sorted(known))}"
            )
        settings: dict[str, Any] = {**PRESETS[name], **overrides}
        return cls(**settings)

    @property
    def search_scales(self) -> tuple[float, ...]:
        """Sizes of the search regions of one target, relative to the usual one."""
        return (1.0,) if self.scale_step == 1 else (1 / self.scale_step, 1.0, self.scale_step)

    def context_side(self, size_wh: Sequence[float]) -> float:
        """Side in pixels of the square around a target of this size that the exemplar shows."""
        return context_side(size_wh, self.context_amount)


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Settings from `NAME=VALUE`, as overrides of `TrackerConfig.preset`; a value is read as YAML.

    Raises:
        ValueError: a text is something else, or names a setting twice or that is no plain value.
    """
    settings: dict[str, Any] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise ValueError(f"expected NAME=VALUE, such as masks=none, got {text!r}")
        if name in settings:
            raise ValueError(f"{name} is set twice")
        settings[name] = _plain_value(name, value)
    return settings


def _plain_value(name: str, text: str) -> str | bool | int | float:
    """A value as the type of its setting; of one that does not exist, as YAML has it."""
    default = getattr(TrackerConfig, name, None)
    if isinstance(default, str):
        return text
    if name == "anchors":
        raise ValueError("anchors cannot be set here: they belong to the network")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = None
    wants_bool = isinstance(default, bool)
    if not isinstance(value, bool if wants_bool else int | float) or (
        isinstance(value, bool) and not wants_bool
    ):
        kind = "true or false" if wants_bool else "a number"
        raise ValueError(f"{name} must be {kind}, got {text!r}")
    return value


_CHOICES: dict[str, tuple[str, ...]] = {
    "initial_center": get_args(InitialCenter),
    "crop_rounding": get_args(Rounding),
    "crop_filter": get_args(CropFilter),
    "mask_alignment": get_args(MaskAlignment),
    "masks": MASK_USES,
    "reported_box": get_args(ReportedBox),
    "box_fit": BOX_FITS,
}
