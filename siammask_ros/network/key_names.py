# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one table from the parameter names of published checkpoints to ours."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

Layout = Literal["official", "pysot"]
NORM_COUNTER = "num_batches_tracked"
"""Last part of the only names that may be absent: old files lack it and inference ignores it."""


class _Part(NamedTuple):
    """A part of the network: its prefix in each naming, and the layers inside (ours, theirs)."""

    ours: str
    official: str
    pysot: str
    layers: tuple[tuple[str, str], ...]


# "#" stands for a number that is equal on both sides.
_RESNET_LAYERS = (
    ("stem.conv", "conv1"),
    ("stem.norm", "bn1"),
    ("stages.#.#.reduce.conv", "layer#.#.conv1"),
    ("stages.#.#.reduce.norm", "layer#.#.bn1"),
    ("stages.#.#.spatial.conv", "layer#.#.conv2"),
    ("stages.#.#.spatial.norm", "layer#.#.bn2"),
    ("stages.#.#.expand.conv", "layer#.#.conv3"),
    ("stages.#.#.expand.norm", "layer#.#.bn3"),
    ("stages.#.#.shortcut.conv", "layer#.#.downsample.0"),
    ("stages.#.#.shortcut.norm", "layer#.#.downsample.1"),
)
_ADJUST_LAYERS = (("project.conv", "0"), ("project.norm", "1"))
_BRANCH_LAYERS = (
    ("exemplar_conv.conv", "conv_kernel.0"),
    ("exemplar_conv.norm", "conv_kernel.1"),
    ("search_conv.conv", "conv_search.0"),
    ("search_conv.norm", "conv_search.1"),
)
_HEAD_LAYERS = (("hidden.conv", "0"), ("hidden.norm", "1"), ("predict", "3"))
_REFINER_LAYERS = (
    ("grow", "deconv"),
    *(
        pair
        for level, theirs in enumerate("210")  # ours from coarse to fine, theirs from fine
        for pair in (
            (f"levels.{level}.lateral.first", f"v{theirs}.0"),
            (f"levels.{level}.lateral.second", f"v{theirs}.2"),
            (f"levels.{level}.running.first", f"h{theirs}.0"),
            (f"levels.{level}.running.second", f"h{theirs}.2"),
            (f"levels.{level}.narrow", f"post{level}"),
        )
    ),
)
_PARTS = (
    _Part("backbone", "features.features", "backbone", _RESNET_LAYERS),
    _Part("adjust", "features.downsample.downsample", "neck.downsample.downsample", _ADJUST_LAYERS),
    _Part("score_branch", "rpn_model.cls", "rpn_head.cls", _BRANCH_LAYERS),
    _Part("score_head", "rpn_model.cls.head", "rpn_head.cls.head", _HEAD_LAYERS),
    _Part("box_branch", "rpn_model.loc", "rpn_head.loc", _BRANCH_LAYERS),
    _Part("box_head", "rpn_model.loc.head", "rpn_head.loc.head", _HEAD_LAYERS),
    _Part("mask_branch", "mask_model.mask", "mask_head", _BRANCH_LAYERS),
    _Part("coarse_mask_head", "mask_model.mask.head", "mask_head.head", _HEAD_LAYERS),
    _Part("refiner", "refine_model", "refine_head", _REFINER_LAYERS),
)


def published_names(our_names: Iterable[str], layout: Layout) -> dict[str, str]:
    """Name in a published checkpoint -> our name, for all parameters and buffers of a network.

    Raises:
        ValueError: if the table does not know one of our names.
    """
    rules = [
        (re.compile(re.escape(f"{part.ours}.{ours}").replace("\\#", r"(\d+)") + r"\.(\w+)"), theirs)
        for part in _PARTS
        for ours, theirs in ((ours, f"{getattr(part, layout)}.{t}.#") for ours, t in part.layers)
    ]
    names: dict[str, str] = {}
    for our_name in our_names:
        for pattern, theirs in rules:
            if match := pattern.fullmatch(our_name):
                names[_numbered(theirs, match.groups())] = our_name
                break
        else:
            raise ValueError(f"{our_name!r} has no name in {layout} checkpoints")
    return names


def _numbered(pattern: str, values: Iterable[str]) -> str:
    """The pattern with one value for every "#"."""
    for value in values:
        pattern = pattern.replace("#", value, 1)
    return pattern


def detect_layout(names: Iterable[str]) -> Layout | Literal["siammask_ros"] | None:
    """Whose names these are, ours among them: those of most parts; None if nobody's."""
    roots = [name.split(".", 1)[0] for name in names]
    counts: dict[Layout | Literal["siammask_ros"], int] = {
        "official": sum(root in _roots("official") for root in roots),
        "pysot": sum(root in _roots("pysot") for root in roots),
        "siammask_ros": sum(root in _roots("ours") for root in roots),
    }
    likeliest = max(counts, key=lambda layout: counts[layout])
    return likeliest if counts[likeliest] else None


def refiner_prefix(layout: Layout) -> str:
    """What the names of the refiner's parameters begin with in a published checkpoint."""
    (part,) = (part for part in _PARTS if part.ours == "refiner")
    return f"{getattr(part, layout)}."


def _roots(naming: Layout | Literal["ours"]) -> set[str]:
    return {getattr(part, naming).split(".", 1)[0] for part in _PARTS}
