# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 side: everything that imports rclpy or messages is in here."""
