# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one table from the parameter names of published checkpoints to ours."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

Layout = Literal["official", "pysot", "siammask_pp"]
NORM_COUNTER = "num_batches_tracked"
"""Last part of the only names that may be absent: old files lack it and inference ignores it."""


class _Part(NamedTuple):
    """A part of the network: its prefix in our naming and in theirs, and the layers inside."""

    ours: str
    theirs: str
    layers: tuple[tuple[str, str], ...]
    """(our name, their name)."""


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


def _single_level(features: str, adjust: str, rpn: str, mask: str, refiner: str) -> list[_Part]:
    """Parts of SiamMask by the prefixes of those who call them alike inside."""
    return [
        _Part("backbone", features, _RESNET_LAYERS),
        _Part("adjust", adjust, _ADJUST_LAYERS),
        _Part("score_branch", f"{rpn}.cls", _BRANCH_LAYERS),
        _Part("score_head", f"{rpn}.cls.head", _HEAD_LAYERS),
        _Part("box_branch", f"{rpn}.loc", _BRANCH_LAYERS),
        _Part("box_head", f"{rpn}.loc.head", _HEAD_LAYERS),
        _Part("mask_branch", mask, _BRANCH_LAYERS),
        _Part("coarse_mask_head", f"{mask}.head", _HEAD_LAYERS),
        _Part("refiner", refiner, _REFINER_LAYERS),
    ]


def _several_levels() -> list[_Part]:
    """Parts of SiamMask++; its authors count adjust layers from 1 and heads by the stage's rank."""
    parts = [
        _Part("backbone", "features.features", _RESNET_LAYERS),
        _Part("refiner", "refine_model", _REFINER_LAYERS),
    ]
    branches = (
        ("score", "rpn_model.rpn", "rpn_pred_cls"),
        ("box", "rpn_model.rpn", "rpn_pred_loc"),
        ("mask", "mask_model.mask", "rpn_pred_mask"),
    )
    for level in range(3):
        name = f"features.downsample{level + 1}.downsample"
        parts.append(_Part(f"adjust.levels.{level}", name, _ADJUST_LAYERS))
        for branch, module, inner in branches:
            name = f"{module}{level + 2}.{inner}"
            head = "coarse_mask_head" if branch == "mask" else f"{branch}_head"
            parts += [
                _Part(f"{branch}_branch.levels.{level}", name, _BRANCH_LAYERS),
                _Part(f"{head}.levels.{level}", f"{name}.head", _HEAD_LAYERS),
            ]
    return parts


_PARTS: dict[Layout, list[_Part]] = {
    "official": _single_level(
        "features.features",
        "features.downsample.downsample",
        "rpn_model",
        "mask_model.mask",
        "refine_model",
    ),
    "pysot": _single_level(
        "backbone", "neck.downsample.downsample", "rpn_head", "mask_head", "refine_head"
    ),
    "siammask_pp": _several_levels(),
}
_SINGLE_NAMES: dict[Layout, dict[str, str]] = {
    "official": {},
    "pysot": {},
    "siammask_pp": {
        "score_head.level_weights": "rpn_model.cls_weight",
        "box_head.level_weights": "rpn_model.loc_weight",
        "coarse_mask_head.level_weights": "mask_model.mask_weight",
    },
}
"""Our name -> theirs, of parameters that are in no layer."""
_OURS = frozenset(part.ours.split(".", 1)[0] for part in _PARTS["official"])


_CLASSIFIER = ("fc.weight", "fc.bias")
_Rule = tuple[re.Pattern[str], str]
"""What matches a name, and the other name with "#" for each of its groups."""


def published_names(our_names: Iterable[str], layout: Layout) -> dict[str, str]:
    """Name in a published checkpoint -> our name, for all parameters and buffers of a network.

    Raises:
        ValueError: if the table does not know one of our names.
    """
    singles, rules = _SINGLE_NAMES[layout], _rules(_PARTS[layout])
    names: dict[str, str] = {}
    for our_name in our_names:
        theirs = singles.get(our_name) or _renamed(our_name, rules)
        if theirs is None:
            raise ValueError(f"{our_name!r} has no name in {layout} checkpoints")
        names[theirs] = our_name
    return names


def resnet_names(names: Iterable[str]) -> dict[str, str] | None:
    """Name in the bare state dict of a ResNet -> our name, or None if these are not one's names.

    A leading "features." is left out, as often as it is there, and so is the classifier.
    """
    ours = {}
    rules = [
        (_pattern(f"(?:features\\.)*{re.escape(theirs)}"), f"backbone.{ours}.#")
        for ours, theirs in _RESNET_LAYERS
    ]
    for name in names:
        if name in _CLASSIFIER:
            continue
        renamed = _renamed(name, rules)
        if renamed is None:
            return None
        ours[name] = renamed
    return ours or None


def _rules(parts: Iterable[_Part]) -> list[_Rule]:
    return [
        (_pattern(re.escape(f"{part.ours}.{ours}")), f"{part.theirs}.{theirs}.#")
        for part in parts
        for ours, theirs in part.layers
    ]


def _pattern(escaped: str) -> re.Pattern[str]:
    """Matches a layer's parameters; the numbers and the parameter's name are its groups."""
    return re.compile(escaped.replace("\\#", r"(\d+)") + r"\.(\w+)")


def _renamed(name: str, rules: Iterable[_Rule]) -> str | None:
    for pattern, target in rules:
        if match := pattern.fullmatch(name):
            return _numbered(target, match.groups())
    return None


def _numbered(pattern: str, values: Iterable[str]) -> str:
    """The pattern with one value for every "#"."""
    for value in values:
        pattern = pattern.replace("#", value, 1)
    return pattern


def detect_layout(names: Iterable[str]) -> Layout | Literal["siammask_ros"] | None:
    """Whose names these are, ours among them: those of most parts; None if nobody's."""
    names = list(names)
    roots = [name.split(".", 1)[0] for name in names]
    counts: dict[Layout | Literal["siammask_ros"], int] = {
        "official": sum(root in _roots("official") for root in roots),
        "pysot": sum(root in _roots("pysot") for root in roots),
        "siammask_ros": sum(root in _OURS for root in roots),
    }
    likeliest = max(counts, key=lambda layout: counts[layout])
    if not counts[likeliest]:
        return None
    if likeliest == "official" and any(name.startswith(_PLUS_PLUS_SIGNS) for name in names):
        return "siammask_pp"  # built upon the official code, with the same roots
    return likeliest


_PLUS_PLUS_SIGNS = ("features.downsample1.", "rpn_model.rpn", "mask_model.mask2.")


def refiner_prefix(layout: Layout) -> str:
    """What the names of the refiner's parameters begin with in a published checkpoint."""
    (part,) = (part for part in _PARTS[layout] if part.ours == "refiner")
    return f"{part.theirs}."


def _roots(layout: Layout) -> set[str]:
    return {part.theirs.split(".", 1)[0] for part in _PARTS[layout]}
