# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the launch files have in common. It needs the package launch, which only they need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from siammask_ros.ros.processes import profile_setting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Arguments = Sequence[tuple[str, str, str]]
    """Name, default, description."""

PACKAGE = "siammask_ros"
SHARE = Path(get_package_share_directory(PACKAGE))


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


def own_node(
    executable: str,
    name: str,
    config: str,
    values: Mapping[str, str],
    given: Mapping[str, object],
    remappings: Sequence[tuple[str, str]],
) -> Node:
    """Start a node of this package.

    Args:
        executable: what is run.
        name: of the node.
        config: its file of defaults in `config`.
        values: of the arguments params_file, namespace and log_level.
        given: parameters that win over the files.
        remappings: of topics.
    """
    files = [str(SHARE / "config" / config)]
    if values["params_file"]:
        files.append(values["params_file"])
    return Node(
        package=PACKAGE,
        executable=executable,
        name=name,
        namespace=values["namespace"],
        parameters=[*files, given],
        remappings=remappings,
        ros_arguments=["--log-level", values["log_level"]],
        output="screen",
        emulate_tty=True,
    )


def transport_actions() -> list[SetEnvironmentVariable]:
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
