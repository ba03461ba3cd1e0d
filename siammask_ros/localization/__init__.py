# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From masks, depth and calibration to where targets are in space, without ROS."""
