# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The SiamMask network: a pure function of its inputs, it remembers nothing between calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from siammask_ros.network.backbones import BackboneMaps
from siammask_ros.network.heads import Branch, Head
from siammask_ros.network.refiners import REFINED_SIZE, Refiner
from siammask_ros.network.windows import CutWindows, extract_windows

COARSE_SIZE = 63
"""Side of a coarse mask, predicted as one vector of 63 * 63 logits per response."""


class ExemplarKernels(NamedTuple):
    """What the network keeps of a target: the branches' correlation kernels.

    C is the branch's width, times the levels of SiamMask++, times the responses with up-channel
    correlation.
    """

    score: Tensor
    """(N, C, 5, 5) kernels of the score branch."""
    box: Tensor | None
    """(N, C, 5, 5) kernels of the box branch; None in a two-branch network."""
    mask: Tensor | None
    """(N, C, 5, 5) kernels of the mask branch; None in a network without masks."""

    def select(self, samples: slice) -> ExemplarKernels:
        """Kernels of some of the N samples."""
        return ExemplarKernels(
            score=self.score[samples],
            box=None if self.box is None else self.box[samples],
            mask=None if self.mask is None else self.mask[samples],
        )

    @staticmethod
    def concatenate(kernels: Sequence[ExemplarKernels]) -> ExemplarKernels:
        """One batch of several, all of one network."""
        boxes = [one.box for one in kernels if one.box is not None]
        masks = [one.mask for one in kernels if one.mask is not None]
        return ExemplarKernels(
            score=torch.cat([one.score for one in kernels]),
            box=torch.cat(boxes) if boxes else None,
            mask=torch.cat(masks) if masks else None,
        )


class SearchOutput(NamedTuple):
    """What the network finds in a search patch."""

    score_logits: Tensor
    """(N, 2 * A, 25, 25); channel = class * A + anchor, background first.

    In a two-branch network (N, 1, 25, 25): one logit a response, that the target is centred there.
    """
    box_deltas: Tensor | None
    """(N, 4 * A, 25, 25); channel = coordinate * A + anchor, order dx, dy, dw, dh.

    None in a two-branch network, which predicts no boxes.
    """
    mask_responses: Tensor | None
    """(N, C, 25, 25) responses of the mask branch, before its head; C as in its kernels.

    None in a network without masks.
    """
    pyramid: tuple[Tensor, ...]
    """Backbone maps of stride 2, 4, 8 for the refiner, finest first; empty without one."""

    def select(self, samples: Tensor) -> SearchOutput:
        """Outputs of some of the N samples; `samples` is (K,) int64."""
        return SearchOutput(
            score_logits=self.score_logits[samples],
            box_deltas=None if self.box_deltas is None else self.box_deltas[samples],
            mask_responses=None if self.mask_responses is None else self.mask_responses[samples],
            pyramid=tuple(level[samples] for level in self.pyramid),
        )


class SiamMask(nn.Module):
    """SiamMask of any backbone; its parts are given as modules.

    Args:
        backbone: patch -> BackboneMaps.
        adjust: the backbone's deep maps -> one feature map for the branches.
        score_branch, box_branch, mask_branch: correlation branches; without a box branch it is a
            two-branch network (SiamMask-2B, section 3.2). Without a mask branch it is SiamRPN, with
            neither SiamFC (table 7).
        score_head, box_head: responses -> 2 and 4 numbers per anchor; a two-branch network has one
            score a response and no box head.
        coarse_mask_head: responses -> 63 * 63 logits, or None.
        refiner: windows round given responses -> masks of 127x127 logits, or None.
        refines_coarse_masks: whether the refiner starts from the logits of the coarse mask
            (SiamMask++) instead of the response.
        architecture: name that :func:`build_network` knows it by.
        default_preset: name of the tracker preset that suits it.

    Raises:
        ValueError: if a mask branch has neither a coarse mask head nor a refiner, or one of these
            has no mask branch, or coarse masks shall be refined and one of the two is missing, or
            one of box branch and box head.
    """

    def __init__(
        self,
        *,
        backbone: nn.Module,
        adjust: nn.Module,
        score_branch: Branch,
        box_branch: Branch | None,
        mask_branch: Branch | None,
        score_head: Head,
        box_head: Head | None,
        coarse_mask_head: Head | None,
        refiner: Refiner | None,
        refines_coarse_masks: bool = False,
        architecture: str,
        default_preset: str,
    ) -> None:
        super().__init__()
        predicts_masks = coarse_mask_head is not None or refiner is not None
        if mask_branch is not None and not predicts_masks:
            raise ValueError(f"{architecture}: needs a coarse mask head or a refiner, got neither")
        if mask_branch is None and predicts_masks:
            raise ValueError(f"{architecture}: without a mask branch there are no masks")
        if refines_coarse_masks and (coarse_mask_head is None or refiner is None):
            raise ValueError(f"{architecture}: needs a coarse mask head and a refiner")
        if (box_branch is None) != (box_head is None):
            raise ValueError(f"{architecture}: needs a box branch and a box head, or neither")
        self.backbone = backbone
        self.adjust = adjust
        self.score_branch = score_branch
        self.box_branch = box_branch
        self.mask_branch = mask_branch
        self.score_head = score_head
        self.box_head = box_head
        self.coarse_mask_head = coarse_mask_head
        self.refiner = refiner
        self.refines_coarse_masks = refines_coarse_masks
        self.architecture = architecture
        self.default_preset = default_preset
        self.options: dict[str, object] = {}
        self.is_fused = False

    @property
    def has_boxes(self) -> bool:
        """Whether the network predicts boxes: three branches, not two."""
        return self.box_branch is not None

    @property
    def has_masks(self) -> bool:
        """Whether the network predicts masks, coarse or refined."""
        return self.mask_branch is not None

    @property
    def has_refiner(self) -> bool:
        """Whether masks are refined to 127x127."""
        return self.refiner is not None

    @property
    def has_coarse_mask(self) -> bool:
        """Whether the network can predict 63x63 masks."""
        return self.coarse_mask_head is not None

    @property
    def mask_size(self) -> int:
        """Side of the masks that :meth:`mask_at` returns: 127, 63, or 0 if there are none."""
        if not self.has_masks:
            return 0
        return REFINED_SIZE if self.has_refiner else COARSE_SIZE

    def features(self, patch: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Features of a patch.

        Args:
            patch: (N, 3, H, W) float BGR 0..255, H = W = 127 (exemplar) or 255 (search).

        Returns:
            The adjusted feature, (N, C, 7, 7) or (N, C, 31, 31), and the maps for the refiner;
            the levels of SiamMask++ lie side by side in the feature's channels.
        """
        maps: BackboneMaps = self.backbone(patch)
        return self.adjust(maps.deep), maps.pyramid

    def exemplar(self, exemplar_patch: Tensor) -> ExemplarKernels:
        """Kernels of the target in (N, 3, 127, 127) float BGR 0..255 patches."""
        feature, _ = self.features(exemplar_patch)
        return ExemplarKernels(
            score=self.score_branch.kernel(feature),
            box=None if self.box_branch is None else self.box_branch.kernel(feature),
            mask=None if self.mask_branch is None else self.mask_branch.kernel(feature),
        )

    def search(self, search_patch: Tensor, kernels: ExemplarKernels) -> SearchOutput:
        """Search (N, 3, 255, 255) float BGR 0..255 patches for the N targets of ``kernels``.

        Raises:
            ValueError: if the kernels are of a network without boxes or masks and this has them.
        """
        feature, pyramid = self.features(search_patch)
        return SearchOutput(
            score_logits=self.score_head(self.score_branch.respond(feature, kernels.score)),
            box_deltas=self._box_deltas(feature, kernels.box),
            mask_responses=self._mask_responses(feature, kernels.mask),
            pyramid=pyramid if self.has_refiner else (),
        )

    def coarse_masks(self, mask_responses: Tensor) -> Tensor:
        """All coarse masks: (N, C, 25, 25) -> (N, 63 * 63, 25, 25) logits, row major.

        Raises:
            ValueError: if the network has no coarse mask head.
        """
        logits: Tensor = self._coarse_head()(mask_responses)
        return logits

    def coarse_mask_at(
        self,
        mask_responses: Tensor | None,
        rows: Tensor,
        columns: Tensor,
        sample_index: Tensor | None = None,
    ) -> Tensor:
        """Coarse masks of K chosen responses only; arguments as :meth:`refined_mask_at`.

        Returns:
            (K, 63, 63) logits.

        Raises:
            ValueError: if the network has no coarse mask head, or K is not N and no index is given.
        """
        head = self._coarse_head()
        mask_responses = self._of_masks(mask_responses)
        samples = _sample_index(mask_responses, rows, sample_index)
        logits = head.at(mask_responses, samples, rows, columns)  # (K, 63 * 63)
        return logits.reshape(-1, COARSE_SIZE, COARSE_SIZE)

    def refined_mask_at(
        self,
        output: SearchOutput,
        rows: Tensor,
        columns: Tensor,
        sample_index: Tensor | None = None,
        *,
        cut: CutWindows = extract_windows,
    ) -> Tensor:
        """Refined masks of K chosen responses.

        Args:
            output: what :meth:`search` returned for N patches.
            rows, columns: (K,) int64, positions in the response map: 0..24, or 0..2 for 143
                pixel search patches.
            sample_index: (K,) int64, the sample of each; by default 0..N-1 with K = N.
            cut: how the refiner's windows are cut out.

        Returns:
            (K, 127, 127) logits.

        Raises:
            ValueError: if the network has no refiner, or K is not N and no index is given.
        """
        windows = self.refiner_windows(output, rows, columns, sample_index, cut=cut)
        assert self.refiner is not None
        logits: Tensor = self.refiner(*windows)
        return logits

    def refiner_windows(
        self,
        output: SearchOutput,
        rows: Tensor,
        columns: Tensor,
        sample_index: Tensor | None = None,
        *,
        cut: CutWindows = extract_windows,
    ) -> tuple[Tensor, ...]:
        """What the refiner takes of K chosen responses; see :meth:`refined_mask_at`."""
        if self.refiner is None:
            raise ValueError(f"{self.architecture} has no refiner")
        responses = self._of_masks(output.mask_responses)
        samples = _sample_index(responses, rows, sample_index)
        vectors = {}
        if self.refines_coarse_masks:
            vectors["vectors"] = self._coarse_head().at(responses, samples, rows, columns)
        return self.refiner.windows(
            responses, output.pyramid, samples, rows, columns, cut=cut, **vectors
        )

    def mask_at(
        self,
        output: SearchOutput,
        rows: Tensor,
        columns: Tensor,
        sample_index: Tensor | None = None,
        *,
        cut: CutWindows = extract_windows,
    ) -> Tensor:
        """Best masks the network has: (K, mask_size, mask_size) logits, refined if it can."""
        if self.has_refiner:
            return self.refined_mask_at(output, rows, columns, sample_index, cut=cut)
        return self.coarse_mask_at(output.mask_responses, rows, columns, sample_index)

    def _box_deltas(self, feature: Tensor, kernel: Tensor | None) -> Tensor | None:
        if self.box_branch is None or self.box_head is None:
            return None
        if kernel is None:
            raise ValueError(f"{self.architecture}: the kernels are of a two-branch network")
        deltas: Tensor = self.box_head(self.box_branch.respond(feature, kernel))
        return deltas

    def _mask_responses(self, feature: Tensor, kernel: Tensor | None) -> Tensor | None:
        if self.mask_branch is None:
            return None
        if kernel is None:
            raise ValueError(f"{self.architecture}: the kernels are of a network without masks")
        return self.mask_branch.respond(feature, kernel)

    def _of_masks(self, responses: Tensor | None) -> Tensor:
        if responses is None:
            raise ValueError(f"{self.architecture}: the responses are of a network without masks")
        return responses

    def _coarse_head(self) -> Head:
        if self.coarse_mask_head is None:
            raise ValueError(f"{self.architecture} has no coarse mask head")
        return self.coarse_mask_head


def _sample_index(responses: Tensor, rows: Tensor, sample_index: Tensor | None) -> Tensor:
    if sample_index is not None:
        return sample_index
    if rows.shape != responses.shape[:1]:
        raise ValueError(
            f"{rows.shape[0]} positions for {responses.shape[0]} samples: give sample_index"
        )
    return torch.arange(responses.shape[0], device=responses.device)
