# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the launch files have in common. It needs the package launch, which only they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from siammask_ros.ros.processes import profile_setting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Arguments = Sequence[tuple[str, str, str]]
    """Name, default, description."""


def description_of(
    arguments: Arguments, start: Callable[[LaunchContext], list[LaunchDescriptionEntity]]
) -> LaunchDescription:
    """Declare the arguments; `start` builds the rest when their values are known."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in arguments
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])


def values_of(context: LaunchContext, arguments: Arguments) -> dict[str, str]:
    """Return the values of the arguments by their names."""
    return {name: context.launch_configurations[name] for name, _, _ in arguments}


def transport_profile() -> list[SetEnvironmentVariable]:
    """Give images a transport that does not lose them, unless the user has chosen one."""
    return [SetEnvironmentVariable(*setting) for setting in profile_setting().items()]


def is_true(name: str, text: str) -> bool:
    """Read a switch.

    Raises:
        ValueError: it is neither true nor false.
    """
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{name}:={text}: must be true or false")
    return text.lower() == "true"
