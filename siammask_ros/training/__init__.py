# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training: data, augmentation, labels, losses and the loop."""

from siammask_ros.training.config import TrainingConfig, load_training_config
from siammask_ros.training.loop import TrainingResult, train

__all__ = ["TrainingConfig", "TrainingResult", "load_training_config", "train"]
