# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `siammask`. Exit status 0, 1 (it failed: one line says why), 2 (wrong usage)."""

from siammask_ros.cli.app import app, main
from siammask_ros.cli.common import EXIT_FAILED, EXIT_INTERRUPTED

__all__ = ["EXIT_FAILED", "EXIT_INTERRUPTED", "app", "main"]
