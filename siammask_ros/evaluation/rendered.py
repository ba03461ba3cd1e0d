# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered scenes as labelled sequences."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from siammask_ros.evaluation.protocol import LabelledFrame
from siammask_ros.scenes import SceneFrame, SceneOptions, render_sequence, scenario


@dataclass(frozen=True)
class RenderedSequence:
    """One target of a rendered sequence; rendered, whole, when the first frame is asked for.

    Attributes:
        name: for the report.
        seed: of the scene.
        frames: how many.
        size_wh: width and height in pixels.
        options: what happens in it.
        target_id: which target is followed.
    """

    name: str
    seed: int
    frames: int = 90
    size_wh: tuple[int, int] = (640, 360)
    options: SceneOptions = field(default_factory=SceneOptions)
    target_id: int = 1

    @classmethod
    def of_scenario(
        cls,
        scenario_name: str,
        seed: int,
        *,
        frames: int = 90,
        size_wh: tuple[int, int] = (640, 360),
    ) -> RenderedSequence:
        """The first target of a ready-made scenario."""
        name = f"{scenario_name}-{seed}"
        options = scenario(scenario_name, seed=seed, size_wh=size_wh)
        return cls(name, seed, frames, size_wh, options)

    def __len__(self) -> int:
        return self.frames

    def frame(self, index: int) -> LabelledFrame:
        """Image and visible mask of the target."""
        rendered = self._rendered[index]
        return LabelledFrame(rendered.image_bgr, rendered.masks[self.target_id])

    @cached_property
    def _rendered(self) -> list[SceneFrame]:
        return list(
            render_sequence(
                self.seed, frames=self.frames, size_wh=self.size_wh, options=self.options
            )
        )
