# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks without trained weights, for measuring what does not depend on them: time and memory."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from siammask_ros.benchmark.targets import rendered_images
from siammask_ros.network import SearchOutput, SiamMask, build_network
from siammask_ros.network.heads import PredictionHead

RANDOM_PREFIX = "random:"
"""Before a network's name it means: of random weights."""
_SEED = 0
_SCENES = 6
_EXEMPLAR_SIDE, _SEARCH_SIDE = 127, 255
_SCORE_SPREAD, _BOX_SPREAD, _MASK_SPREAD = 1.0, 0.2, 3.0
"""Standard deviations of logits, of box deltas, whose exponentials boxes are, and of masks."""


def random_network(name: str) -> SiamMask:
    """A network of random weights, always the same, whose numbers stay in a sensible range.

    Its batch norms know the statistics of rendered images; without that the activations of a deep
    network would grow until scores are all equal and boxes infinite.

    Raises:
        ValueError: there is no network of this name.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        network = build_network(name).eval()
        output = _settle_norms(network)
        _scale(network.score_head, output.score_logits, _SCORE_SPREAD)
        _scale(network.box_head, output.box_deltas, _BOX_SPREAD)
        _center_masks(network, output)
    return network


def _settle_norms(network: SiamMask) -> SearchOutput:
    """Give all batch norms the statistics of what passes through; returns what comes out then."""
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all passes
        norm.train()
    with torch.no_grad():
        exemplar_patch, search_patch = _patches(_EXEMPLAR_SIDE), _patches(_SEARCH_SIDE)
        network.search(search_patch, network.exemplar(exemplar_patch))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
    with torch.no_grad():
        return network.search(search_patch, network.exemplar(exemplar_patch))


def _scale(head: nn.Module | None, output: Tensor | None, spread: float) -> None:
    """Give what a head predicts this standard deviation."""
    if head is None or output is None:
        return
    factor = spread / float(output.std())
    for part in head.modules():
        if isinstance(part, PredictionHead):
            with torch.no_grad():
                for parameter in part.predict.parameters():
                    parameter.mul_(factor)


def _center_masks(network: SiamMask, output: SearchOutput) -> None:
    """Let about half of a refined mask be inside, and clearly so: the refiner has no norms."""
    if network.refiner is None:
        return
    last = [
        part
        for part in network.refiner.modules()
        if isinstance(part, nn.Conv2d) and part.out_channels == 1
    ][-1]
    assert last.bias is not None
    cells = torch.full((len(output.score_logits),), output.score_logits.shape[-1] // 2)
    with torch.no_grad():
        logits = network.mask_at(output, cells, cells)
        factor = _MASK_SPREAD / float(logits.std())
        last.weight.mul_(factor)
        last.bias.sub_(logits.median()).mul_(factor)


def _patches(side: int) -> Tensor:
    """(N, 3, side, side) float32 BGR of rendered images, each of another scene."""
    images = np.stack(
        [rendered_images((side, side), frames=1, seed=seed)[0] for seed in range(_SCENES)]
    )  # (N, side, side, 3)
    return torch.from_numpy(images).permute(0, 3, 1, 2).float()
