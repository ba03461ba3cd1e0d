# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered video with exact masks, for tests, the demo and training (numpy and OpenCV only).

The 3D world of the robot that follows is in `world`, `follow_world` and what they use.
"""

from siammask_ros.scenes.compositing import paste, similarity, soft_mask
from siammask_ros.scenes.motion import Keyframe, KeyframePath
from siammask_ros.scenes.options import Actor, Role, SceneOptions
from siammask_ros.scenes.scenarios import (
    LIFE_SCENARIOS,
    SCENARIOS,
    Scenario,
    render_scenario,
    scenario,
)
from siammask_ros.scenes.sequence import Props, SceneFrame, render_sequence
from siammask_ros.scenes.shapes import random_shape_mask
from siammask_ros.scenes.sprites import (
    Sprite,
    cut_out,
    look_alike,
    random_backdrop,
    random_sprite,
)
from siammask_ros.scenes.textures import noise_field, random_palette, random_texture

__all__ = [
    "LIFE_SCENARIOS",
    "SCENARIOS",
    "Actor",
    "Keyframe",
    "KeyframePath",
    "Props",
    "Role",
    "Scenario",
    "SceneFrame",
    "SceneOptions",
    "Sprite",
    "cut_out",
    "look_alike",
    "noise_field",
    "paste",
    "random_backdrop",
    "random_palette",
    "random_shape_mask",
    "random_sprite",
    "random_texture",
    "render_scenario",
    "render_sequence",
    "scenario",
    "similarity",
    "soft_mask",
]
