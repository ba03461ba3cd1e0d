# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Build networks by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal, NamedTuple

from siammask_ros.network.backbones import (
    RESNET50_ALL_STAGES,
    RESNET50_STAGES,
    AlexNet,
    BottleneckBlock,
    CompactBackbone,
    ResNet,
    ResNetStage,
)
from siammask_ros.network.heads import (
    AdjustLayer,
    CorrelationBranch,
    LayerwiseAdjust,
    LayerwiseBranch,
    LayerwiseHead,
    PredictionHead,
)
from siammask_ros.network.refiners import SIAMMASK_LEVELS, CompactRefiner, SiamMaskRefiner
from siammask_ros.network.siammask import COARSE_SIZE, SiamMask

CLASSES = 2
BOX_COORDINATES = 4
SIMILARITIES = 1
"""Scores a response in a two-branch network (table 10)."""
TWO_BRANCH_PRESET = "two_branch"
"""Settings of a tracker that takes its box from the mask, as the paper does without box branch."""
SCORE_PRESET = "siamfc"
"""Settings of a tracker that has nothing but the score."""
BOX_PRESET = "box"
"""Settings of a tracker that reports its box and leaves the mask alone."""
PLUS_PLUS_PRESET = "siammask_pp"
"""Settings of SiamMask++."""
BRANCH_WIDTH = 256
"""Channels of the adjusted features and of the branches (appendix A)."""
LEAST_REFINER_WIDTH = 4
"""That of the paper's last step. It has ReLUs without batch norm: fewer channels may all be off."""
PLUS_PLUS_LAYERS = (3, 4, 5)
"""Layers of the ResNet that SiamMask++ fuses: conv3, conv4 and conv5; conv2 is stage 1."""
RESNEXT_GROUPS, RESNEXT_INNER_WIDTH = 32, 2
"""ResNeXt-50 32x4d: 32 groups of 4 channels in the first stage, which has 64 * 2 of them."""


def _build_compact(
    *,
    channels: Sequence[int] = (16, 32, 96),
    blocks: Sequence[int] = (1, 2, 3),
    width: int = 96,
    refiner_widths: Sequence[int] = (48, 24, 12),
    anchors: int = 5,
    two_branch: bool = False,
) -> SiamMask:
    """The small network of this package: refined masks only, trained from random weights."""
    score_branch, box_branch, mask_branch = _branches(width, two_branch=two_branch)
    score_head, box_head = _score_and_box_heads(width, anchors, two_branch=two_branch)
    return SiamMask(
        backbone=CompactBackbone(channels=channels, blocks=blocks),
        adjust=AdjustLayer(channels[-1], width),
        score_branch=score_branch,
        box_branch=box_branch,
        mask_branch=mask_branch,
        score_head=score_head,
        box_head=box_head,
        coarse_mask_head=None,
        refiner=CompactRefiner(
            response_channels=width, pyramid_channels=channels, widths=refiner_widths
        ),
        architecture="compact",
        default_preset=TWO_BRANCH_PRESET if two_branch else "compact",
    )


BackboneName = Literal["resnet50", "alexnet"]
MaskHeads = Literal["none", "coarse", "refined"]


def _build_resnet50(*, refine: bool, anchors: int = 5, width_divisor: int = 1) -> SiamMask:
    """SiamMask of the paper: ResNet-50, coarse masks, and refinement if asked for."""
    return _one_level_network(
        backbone="resnet50",
        masks="refined" if refine else "coarse",
        two_branch=False,
        anchors=anchors,
        width_divisor=width_divisor,
        architecture="siammask_r50_refine" if refine else "siammask_r50_base",
        default_preset="davis" if refine else "base",
    )


def _build_two_branch(*, refine: bool, width_divisor: int = 1) -> SiamMask:
    """SiamMask-2B of the paper: one score a response, no anchors and no boxes (table 10)."""
    return _one_level_network(
        backbone="resnet50",
        masks="refined" if refine else "coarse",
        two_branch=True,
        anchors=0,
        width_divisor=width_divisor,
        architecture="siammask_2b_r50_refine" if refine else "siammask_2b_r50_base",
        default_preset=TWO_BRANCH_PRESET,
    )


def _build_siamrpn(*, backbone: BackboneName, anchors: int = 5, width_divisor: int = 1) -> SiamMask:
    """SiamRPN as table 7 compares it: the three branches without that of the mask."""
    return _one_level_network(
        backbone=backbone,
        masks="none",
        two_branch=False,
        anchors=anchors,
        width_divisor=width_divisor,
        architecture=f"siamrpn_{_SHORT_NAMES[backbone]}",
        default_preset="base",
    )


def _build_siamfc(*, backbone: BackboneName, width_divisor: int = 1) -> SiamMask:
    """SiamFC as table 7 compares it: the score branch of the two-branch network alone."""
    return _one_level_network(
        backbone=backbone,
        masks="none",
        two_branch=True,
        anchors=0,
        width_divisor=width_divisor,
        architecture=f"siamfc_{_SHORT_NAMES[backbone]}",
        default_preset=SCORE_PRESET,
    )


_SHORT_NAMES: dict[BackboneName, str] = {"resnet50": "r50", "alexnet": "alexnet"}


def _one_level_network(
    *,
    backbone: BackboneName,
    masks: MaskHeads,
    two_branch: bool,
    anchors: int,
    width_divisor: int,
    architecture: str,
    default_preset: str,
) -> SiamMask:
    """Every network of the paper: one backbone map, branches of 256 channels."""
    features, channels = _backbone(backbone, width_divisor)
    width = BRANCH_WIDTH // width_divisor
    score_branch, box_branch, mask_branch = _branches(width, two_branch=two_branch)
    score_head, box_head = _score_and_box_heads(width, anchors, two_branch=two_branch)
    has_masks = masks != "none"
    return SiamMask(
        backbone=features,
        adjust=AdjustLayer(channels, width),
        score_branch=score_branch,
        box_branch=box_branch,
        mask_branch=mask_branch if has_masks else None,
        score_head=score_head,
        box_head=box_head,
        coarse_mask_head=PredictionHead(width, COARSE_SIZE * COARSE_SIZE) if has_masks else None,
        refiner=_refiner(width, width_divisor) if masks == "refined" else None,
        architecture=architecture,
        default_preset=default_preset,
    )


def _backbone(name: BackboneName, width_divisor: int) -> tuple[ResNet | AlexNet, int]:
    """A backbone and the channels of its deep map."""
    stages = _thinned(RESNET50_STAGES, width_divisor)
    if name == "alexnet":
        widths = [max(width // width_divisor, 1) for width in AlexNet.WIDTHS]
        return AlexNet(widths=widths), widths[-1]
    stem_channels = ResNet.STEM_CHANNELS // width_divisor
    channels = stages[-1].channels * BottleneckBlock.EXPANSION
    return ResNet(stages=stages, stem_channels=stem_channels), channels


def _build_plus_plus(
    *,
    refine: bool,
    backbone: Literal["resnet50", "resnext50"] = "resnet50",
    correlation: Literal["depthwise", "up_channel"] = "depthwise",
    layers: Sequence[int] = PLUS_PLUS_LAYERS,
    anchors: int = 5,
    width_divisor: int = 1,
) -> SiamMask:
    """SiamMask++: conv3, conv4 and conv5 have branches of their own, whose outputs are fused.

    With `refine` the refiner starts from the fused coarse mask. Up-channel correlation is that of
    scores and boxes; masks need a response vector and keep depth-wise correlation. Fewer `layers`
    are those of its ablation; the backbone ends with the last of them.
    """
    _require_one_of("backbone", backbone, ("resnet50", "resnext50"))
    _require_one_of("correlation", correlation, ("depthwise", "up_channel"))
    deep_stages = _stages_of(layers)
    stages = _thinned(RESNET50_ALL_STAGES[: deep_stages[-1]], width_divisor)
    width = BRANCH_WIDTH // width_divisor
    is_resnext = backbone == "resnext50"

    def branch_and_head(outputs: int, up_channels: int | None) -> Layerwise:
        responses = up_channels or width
        return (
            LayerwiseBranch(
                CorrelationBranch(width, width, up_channels=up_channels) for _ in deep_stages
            ),
            LayerwiseHead(PredictionHead(responses, outputs) for _ in deep_stages),
        )

    scores, coordinates = CLASSES * anchors, BOX_COORDINATES * anchors
    goes_up = correlation == "up_channel"
    score_branch, score_head = branch_and_head(scores, scores if goes_up else None)
    box_branch, box_head = branch_and_head(coordinates, coordinates if goes_up else None)
    mask_branch, coarse_mask_head = branch_and_head(COARSE_SIZE * COARSE_SIZE, None)
    return SiamMask(
        backbone=ResNet(
            stages=stages,
            deep_stages=deep_stages,
            stem_channels=ResNet.STEM_CHANNELS // width_divisor,
            groups=max(RESNEXT_GROUPS // width_divisor, 1) if is_resnext else 1,
            inner_width=RESNEXT_INNER_WIDTH if is_resnext else 1,
        ),
        adjust=LayerwiseAdjust(
            [stages[n - 1].channels * BottleneckBlock.EXPANSION for n in deep_stages], width
        ),
        score_branch=score_branch,
        box_branch=box_branch,
        mask_branch=mask_branch,
        score_head=score_head,
        box_head=box_head,
        coarse_mask_head=coarse_mask_head,
        refiner=_refiner(COARSE_SIZE * COARSE_SIZE, width_divisor) if refine else None,
        refines_coarse_masks=refine,
        architecture="siammask_pp_r50_re" if refine else "siammask_pp_r50_bi",
        default_preset=PLUS_PLUS_PRESET,
    )


def _stages_of(layers: Sequence[int]) -> tuple[int, ...]:
    """Stages of the ResNet that these layers (conv3 to conv5) are."""
    chosen = tuple(layers)
    if not chosen or chosen != tuple(n for n in PLUS_PLUS_LAYERS if n in chosen):
        raise ValueError(f"layers must be some of {PLUS_PLUS_LAYERS} in order, got {chosen}")
    return tuple(layer - 1 for layer in chosen)


Layerwise = tuple[LayerwiseBranch, LayerwiseHead]


def _branches(
    width: int, *, two_branch: bool
) -> tuple[CorrelationBranch, CorrelationBranch | None, CorrelationBranch]:
    """Branches of scores, boxes and masks."""
    return (
        CorrelationBranch(width, width),
        None if two_branch else CorrelationBranch(width, width),
        CorrelationBranch(width, width),
    )


def _score_and_box_heads(
    width: int, anchors: int, *, two_branch: bool
) -> tuple[PredictionHead, PredictionHead | None]:
    if two_branch:
        return PredictionHead(width, SIMILARITIES), None
    return (
        PredictionHead(width, CLASSES * anchors),
        PredictionHead(width, BOX_COORDINATES * anchors),
    )


def _refiner(vector_channels: int, width_divisor: int) -> SiamMaskRefiner:
    """The paper's refiner with its widths divided."""

    def divided(width: int) -> int:
        return min(max(width // width_divisor, LEAST_REFINER_WIDTH), width)

    levels = []
    for level in SIAMMASK_LEVELS:
        backbone, hidden, out = level.lateral
        levels.append(
            level._replace(
                lateral=(backbone // width_divisor, divided(hidden), divided(out)),
                running=divided(level.running),
                out_channels=divided(level.out_channels),
            )
        )
    return SiamMaskRefiner(vector_channels=vector_channels, levels=levels)


def _thinned(stages: Sequence[ResNetStage], width_divisor: int) -> list[ResNetStage]:
    """The stages with fewer channels: the same network but for its widths, quick to run in tests.

    Raises:
        ValueError: if the stem's width is no multiple of the divisor.
    """
    if width_divisor < 1 or ResNet.STEM_CHANNELS % width_divisor:
        raise ValueError(f"width_divisor must divide {ResNet.STEM_CHANNELS}, got {width_divisor}")
    return [stage._replace(channels=stage.channels // width_divisor) for stage in stages]


def _require_one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")


_BUILDERS: dict[str, Callable[..., SiamMask]] = {
    "compact": _build_compact,
    "siammask_r50_refine": partial(_build_resnet50, refine=True),
    "siammask_r50_base": partial(_build_resnet50, refine=False),
    "siammask_2b_r50_refine": partial(_build_two_branch, refine=True),
    "siammask_2b_r50_base": partial(_build_two_branch, refine=False),
    "siamrpn_r50": partial(_build_siamrpn, backbone="resnet50"),
    "siamrpn_alexnet": partial(_build_siamrpn, backbone="alexnet"),
    "siamfc_r50": partial(_build_siamfc, backbone="resnet50"),
    "siamfc_alexnet": partial(_build_siamfc, backbone="alexnet"),
    "siammask_pp_r50_bi": partial(_build_plus_plus, refine=False),
    "siammask_pp_r50_re": partial(_build_plus_plus, refine=True),
}
ARCHITECTURES = tuple(_BUILDERS)
"""Names that a checkpoint's network can have; options tell the rest."""


class Variant(NamedTuple):
    """A system of the papers that is another one's network, but for options or the preset."""

    architecture: str
    """One of :data:`ARCHITECTURES`."""
    options: Mapping[str, object] = {}
    """What the network is built with."""
    default_preset: str | None = None
    """Settings that its tracker takes; None: those of the architecture."""


VARIANTS: dict[str, Variant] = {
    "siammask_r50_box": Variant("siammask_r50_refine", default_preset=BOX_PRESET),
    "siammask_2b_r50_score": Variant("siammask_2b_r50_refine", default_preset=SCORE_PRESET),
    "siammask_pp_r50_bi_up": Variant("siammask_pp_r50_bi", {"correlation": "up_channel"}),
    "siammask_pp_r50_re_up": Variant("siammask_pp_r50_re", {"correlation": "up_channel"}),
    "siammask_pp_rx50_bi": Variant("siammask_pp_r50_bi", {"backbone": "resnext50"}),
    "siammask_pp_rx50_re": Variant("siammask_pp_r50_re", {"backbone": "resnext50"}),
}
"""Names of :func:`build_network` besides the architectures."""

NETWORKS = (*ARCHITECTURES, *VARIANTS)
"""All names that :func:`build_network` knows."""


def build_network(name: str, **options: object) -> SiamMask:
    """Build a network with random weights, in training mode.

    Args:
        name: one of :data:`NETWORKS`.
        options: sizes that the network leaves open; unknown ones are refused.

    Raises:
        ValueError: if the name or an option is unknown.
    """
    if name not in NETWORKS:
        raise ValueError(f"unknown network {name!r}, known: {', '.join(NETWORKS)}")
    variant = VARIANTS.get(name, Variant(name))
    options = {**variant.options, **options}
    try:
        network = _BUILDERS[variant.architecture](**options)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from None
    network.options = options
    network.default_preset = variant.default_preset or network.default_preset
    return network
