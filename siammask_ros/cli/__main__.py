# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m siammask_ros.cli`, where the command is not on PATH."""

from siammask_ros.cli import main

main()
