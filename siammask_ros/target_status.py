# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The states of a target."""

from __future__ import annotations

from enum import IntEnum


class TargetStatus(IntEnum):
    """State of a target; the numbers are those of `siammask_msgs/RotatedBox`."""

    INITIALIZING = 0
    """Started, but no frame has been processed since."""
    TRACKING = 1
    UNCERTAIN = 2
    """Still followed, but the evidence is weak."""
    LOST = 3
    """Not followed any more, searched for."""
