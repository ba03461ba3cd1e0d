# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Calls of services on topics, so that requests can be recorded in a bag and replayed."""

from __future__ import annotations

from rclpy.clock import Clock
from rclpy.qos import QoSProfile
from rclpy.service import Service

from siammask_ros.ros.parameters import DISABLED

try:
    from rclpy.service_introspection import ServiceIntrospectionState
except ImportError:  # Humble
    ServiceIntrospectionState = None

EVENT_QOS = QoSProfile(depth=100)


def check_introspection(wish: str) -> None:
    """Make sure that calls can be published.

    Args:
        wish: parameter `service_introspection`: disabled, metadata or contents.

    Raises:
        ValueError: this ROS 2 does not do that.
    """
    if wish != DISABLED and ServiceIntrospectionState is None:
        raise ValueError(
            f"service_introspection is {wish}, which this ROS 2 does not offer: it begins with "
            "Jazzy"
        )


def introspect(service: Service, wish: str, clock: Clock) -> None:
    """Publish so much of each call of a service from now on; see `check_introspection`."""
    if ServiceIntrospectionState is not None:
        states = {
            DISABLED: ServiceIntrospectionState.OFF,
            "metadata": ServiceIntrospectionState.METADATA,
            "contents": ServiceIntrospectionState.CONTENTS,
        }
        service.configure_introspection(clock, EVENT_QOS, states[wish])
