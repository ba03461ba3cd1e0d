# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a network sees while it tracks, by which its int8 numbers are scaled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from siammask_ros.backends.prepared import PreparedNetwork
from siammask_ros.network import extract_windows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from siammask_ros.crop import ImageBgr
    from siammask_ros.network import ExemplarKernels, SearchOutput, SiamMask

SCENES, FRAMES, SIZE_WH = 8, 6, (480, 270)
"""The rendered scenes that are tracked through: how many, how long, how large in pixels."""
FIRST_SEED = 9000
"""Of scenes that neither training nor tests render."""

Inputs = tuple["npt.NDArray[np.float32]", ...]
"""Of one run of a graph for one patch, in order."""


class Clip(NamedTuple):
    """A target and images to follow it through."""

    images_bgr: Iterable[ImageBgr]
    box_xywh: Sequence[float]
    """In the first image, pixels."""


class CalibrationInputs(NamedTuple):
    """What went into the graphs of a network."""

    search: list[Inputs]
    """Patch and kernels."""
    refine: list[Inputs]
    """Windows of the refiner; none without one."""


def calibration_inputs(network: SiamMask, clips: Iterable[Clip] | None = None) -> CalibrationInputs:
    """Track in float32 and keep what the graphs are given.

    Args:
        network: fused, in float32, on the CPU.
        clips: by default rendered scenes.
    """
    from siammask_ros.tracker import SiamMaskTracker  # noqa: PLC0415 - it knows of backends

    recorder = _Recorder(network)
    tracker = SiamMaskTracker(recorder)
    for clip in rendered_clips() if clips is None else clips:
        images = iter(clip.images_bgr)
        state = tracker.initialize(next(images), clip.box_xywh)
        for image_bgr in images:
            state, _ = tracker.track(image_bgr, state)
    return recorder.seen


def rendered_clips() -> Iterator[Clip]:
    """Rendered scenes, the same each time; those that begin without their target are left out."""
    from siammask_ros.scenes import render_sequence  # noqa: PLC0415 - needed once a network

    for seed in range(FIRST_SEED, FIRST_SEED + SCENES):
        frames = list(render_sequence(seed, frames=FRAMES, size_wh=SIZE_WH))
        box = frames[0].boxes[1]
        if box is not None:
            yield Clip([frame.image_bgr for frame in frames], box.xywh)


class _Recorder(PreparedNetwork):
    """The network, which keeps its inputs."""

    def __init__(self, network: SiamMask) -> None:
        super().__init__(network, backend="eager", precision="float32", threads=0)
        self.seen = CalibrationInputs([], [])

    def search(self, search_patch: Tensor, kernels: ExemplarKernels) -> SearchOutput:
        patch = self._placed(search_patch)
        self.seen.search.append(_arrays((patch, *filter(_is_there, kernels))))
        return super().search(patch, kernels)

    def mask_at(self, output: SearchOutput, rows: Tensor, columns: Tensor) -> Tensor:
        if self.has_refiner:
            windows = self.network.refiner_windows(output, rows, columns, cut=extract_windows)
            self.seen.refine.append(_arrays(windows))
        return super().mask_at(output, rows, columns)


def _is_there(kernels: Tensor | None) -> bool:
    return kernels is not None


def _arrays(tensors: Iterable[Any]) -> Inputs:
    """Copies that nothing changes afterwards."""
    return tuple(tensor.contiguous().numpy().copy() for tensor in tensors)
