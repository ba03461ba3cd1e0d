# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the node `world_simulator`."""

from __future__ import annotations

from dataclasses import dataclass

from siammask_ros.ros.parameter_table import Changes, ParameterTable, parameter
from siammask_ros.scenes.pinhole import Pinhole
from siammask_ros.scenes.world import DepthSensor

_FIXED = Changes.NEVER


@dataclass(frozen=True)
class SimulatorSettings(ParameterTable):
    """Every parameter of the node with its default, description and range."""

    seed: int = parameter(
        1, "Of textures and noise; the ways are the same.", changes=_FIXED, between=(0, 2**31)
    )
    rate: float = parameter(20.0, "Images a second.", changes=_FIXED, between=(1.0, 60.0))
    width: int = parameter(640, "Of the images, in pixels.", changes=_FIXED, between=(64, 4096))
    height: int = parameter(480, "Of the images, in pixels.", changes=_FIXED, between=(48, 4096))
    depth_encoding: str = parameter(
        "16UC1",
        "16UC1: millimetres, 0 where there is none; 32FC1: metres, NaN.",
        changes=_FIXED,
        choices=("16UC1", "32FC1"),
    )
    depth_noise: float = parameter(
        DepthSensor.noise,
        "Standard deviation of the depth, as a share of it.",
        changes=_FIXED,
        between=(0.0, 1.0),
    )
    depth_holes: float = parameter(
        DepthSensor.holes, "Share of pixels without depth.", changes=_FIXED, between=(0.0, 1.0)
    )

    @property
    def camera(self) -> Pinhole:
        """The pinhole: as wide a view whatever the size."""
        usual = Pinhole()
        return Pinhole(self.width, self.height, usual.focal_px * self.width / usual.width)
