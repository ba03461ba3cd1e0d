# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Build networks by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from siammask_ros.network.backbones import RESNET50_STAGES, BottleneckBlock, CompactBackbone, ResNet
from siammask_ros.network.heads import AdjustLayer, CorrelationBranch, PredictionHead
from siammask_ros.network.refiners import CompactRefiner, SiamMaskRefiner
from siammask_ros.network.siammask import COARSE_SIZE, SiamMask

CLASSES = 2
BOX_COORDINATES = 4


def _build_compact(
    *,
    channels: Sequence[int] = (16, 32, 64),
    blocks: Sequence[int] = (1, 2, 3),
    width: int = 64,
    refiner_widths: Sequence[int] = (32, 16, 8),
    anchors: int = 5,
) -> SiamMask:
    """The small network of this package: refined masks only, trained from random weights."""
    return SiamMask(
        backbone=CompactBackbone(channels=channels, blocks=blocks),
        adjust=AdjustLayer(channels[-1], width),
        score_branch=CorrelationBranch(width, width),
        box_branch=CorrelationBranch(width, width),
        mask_branch=CorrelationBranch(width, width),
        score_head=PredictionHead(width, CLASSES * anchors),
        box_head=PredictionHead(width, BOX_COORDINATES * anchors),
        coarse_mask_head=None,
        refiner=CompactRefiner(
            response_channels=width, pyramid_channels=channels, widths=refiner_widths
        ),
        architecture="compact",
        default_preset="compact",
    )


def _build_resnet50(*, refine: bool, anchors: int = 5) -> SiamMask:
    """SiamMask of the paper: ResNet-50, coarse masks, and refinement if asked for."""
    width = 256
    return SiamMask(
        backbone=ResNet(stages=RESNET50_STAGES),
        adjust=AdjustLayer(RESNET50_STAGES[-1].channels * BottleneckBlock.EXPANSION, width),
        score_branch=CorrelationBranch(width, width),
        box_branch=CorrelationBranch(width, width),
        mask_branch=CorrelationBranch(width, width),
        score_head=PredictionHead(width, CLASSES * anchors),
        box_head=PredictionHead(width, BOX_COORDINATES * anchors),
        coarse_mask_head=PredictionHead(width, COARSE_SIZE * COARSE_SIZE),
        refiner=SiamMaskRefiner(response_channels=width) if refine else None,
        architecture="siammask_r50_refine" if refine else "siammask_r50_base",
        default_preset="davis" if refine else "base",
    )


_BUILDERS: dict[str, Callable[..., SiamMask]] = {
    "compact": _build_compact,
    "siammask_r50_refine": partial(_build_resnet50, refine=True),
    "siammask_r50_base": partial(_build_resnet50, refine=False),
}
ARCHITECTURES = tuple(_BUILDERS)


def build_network(name: str, **options: object) -> SiamMask:
    """Build a network with random weights, in training mode.

    Args:
        name: one of :data:`ARCHITECTURES`.
        options: sizes that the architecture leaves open; unknown ones are refused.

    Raises:
        ValueError: if the name or an option is unknown.
    """
    if name not in _BUILDERS:
        raise ValueError(f"unknown architecture {name!r}, known: {', '.join(ARCHITECTURES)}")
    try:
        network = _BUILDERS[name](**options)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from None
    network.options = dict(options)
    return network
