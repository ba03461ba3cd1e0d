# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags of ROS 1 and ROS 2, read and written without ROS."""
