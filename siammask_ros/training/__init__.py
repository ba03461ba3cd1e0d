# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training: data, augmentation, labels, losses and the loop.

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from siammask_ros.lazy import names_of

if TYPE_CHECKING:
    from siammask_ros.training.config import TrainingConfig, load_training_config
    from siammask_ros.training.loop import TrainingResult, train
    from siammask_ros.training.report import check

__all__ = ["TrainingConfig", "TrainingResult", "check", "load_training_config", "train"]

_HOMES = {
    "TrainingConfig": "siammask_ros.training.config",
    "TrainingResult": "siammask_ros.training.loop",
    "check": "siammask_ros.training.report",
    "load_training_config": "siammask_ros.training.config",
    "train": "siammask_ros.training.loop",
}
__getattr__ = names_of(__name__, _HOMES)
