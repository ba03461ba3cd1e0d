# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Play a bag into the tracker, every frame in order, by the bag's own time.

ros2 launch siammask_ros replay.launch.py bag:=drive image:=/camera/image_raw rviz:=true
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import ModuleType

from launch.actions import (
    ExecuteProcess,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
    TimerAction,
)
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import load_python_launch_file_as_module
from launch_ros.actions import Node
from launch_ros.ros_adapters import get_ros_node

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from siammask_ros.ros.launch_files import SHARE, description_of, is_true, values_of

BAG_ARGUMENTS = (
    ("bag", "", "the bag: a folder or a file, as ros2 bag play takes it; must be given"),
    ("rate", "1.0", "how fast it is played, 1.0 as it was recorded"),
    ("start", "0.0", "seconds of the bag to leave out at its beginning"),
    ("loop", "false", "true: start again at the end"),
    ("topics", "", "topics that are played, separated by spaces; none: all in the bag"),
    ("clock", "100.0", "how often the time is published on /clock, in Hz"),
    ("delay", "3.0", "seconds that the player waits to be seen before the first message"),
)
"""Name, default, description."""

CHANGED_DEFAULTS = {"processing": "every_frame", "use_sim_time": "true"}
"""Of the tracker's arguments, which are all taken."""

POLL_PERIOD_S = 0.5
LAST_MESSAGES_MS = "10000"
"""How long the player stays for messages that are still on their way when the bag ends."""


def tracker_launch() -> ModuleType:
    """Return the launch file of the tracker."""
    loaded: ModuleType = load_python_launch_file_as_module(
        str(SHARE / "launch" / "tracker.launch.py")
    )
    return loaded


def arguments() -> list[tuple[str, str, str]]:
    """Return name, default and description of each argument."""
    own = list(BAG_ARGUMENTS)
    return own + [
        (name, CHANGED_DEFAULTS.get(name, default), text)
        for name, default, text in tracker_launch().ARGUMENTS
    ]


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the rest needs their values."""
    return description_of(arguments(), start)


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Start the tracker, and the player as soon as the tracker reads the images."""
    values = values_of(context, arguments())
    tracker_file = tracker_launch()
    player = ExecuteProcess(cmd=play_command(values), name="bag_player", output="screen")
    cameras = [name.strip() for name in values["cameras"].split(",") if name.strip()]
    topics = tracker_file.full_image_topics(values, cameras)
    if values["image_transport"] == "compressed":
        topics = [f"{topic}/compressed" for topic in topics]
    actions: list[LaunchDescriptionEntity] = tracker_file.start(context)
    tracker = next(action for action in actions if isinstance(action, Node))
    return [
        *actions,
        RegisterEventHandler(OnProcessExit(target_action=tracker, on_exit=end_with_tracker)),
        LogInfo(msg=f"the bag is played once the tracker reads {', '.join(topics)}"),
        OpaqueFunction(function=partial(play_when_read, topics, tracker_file.NODE_NAME, player)),
    ]


def end_with_tracker(_event: object, context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """End the player as well, unless all is ending already."""
    return [] if context.is_shutdown else [Shutdown(reason="the tracker is gone")]


def play_command(values: dict[str, str]) -> list[str]:
    """Return the command that plays the bag.

    Raises ValueError where an argument is not acceptable.
    """
    bag = Path(values["bag"]).expanduser()
    if not values["bag"]:
        raise ValueError("bag is missing: name the bag with bag:=PATH")
    if not bag.exists():
        raise ValueError(f"bag:={values['bag']}: there is no such file or folder")
    if bag.suffix == ".bag":
        raise ValueError(f"bag:={bag}: ros2 bag plays no ROS 1 bags; siammask replay reads them")
    command = ["ros2", "bag", "play", str(bag), "--wait-for-all-acked", LAST_MESSAGES_MS]
    for option, name, least in (
        ("--clock", "clock", 0.0),
        ("--rate", "rate", 0.0),
        ("--start-offset", "start", None),
        ("--delay", "delay", None),
    ):
        value = number(name, values[name], above=least)
        command += [option, str(value)] if value > 0 else []  # ros2 bag takes no --delay 0
    if is_true("loop", values["loop"]):
        command.append("--loop")
    topics = values["topics"].split()
    return command + (["--topics", *topics] if topics else [])


def number(name: str, text: str, *, above: float | None) -> float:
    """Read a number that is above a limit; without one it is not below zero."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name}:={text}: must be a number") from None
    if above is not None and not above < value < float("inf"):
        raise ValueError(f"{name}:={text}: must be above {above:g}")
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name}:={text}: must not be below 0")
    return value


def play_when_read(
    topics: list[str], node_name: str, player: ExecuteProcess, context: LaunchContext
) -> list[LaunchDescriptionEntity]:
    """Start the player, or look again later: what comes before the subscription is not seen."""
    graph = get_ros_node(context)
    readers = [
        {reader.node_name for reader in graph.get_subscriptions_info_by_topic(topic)}
        for topic in topics
    ]
    if all(node_name in names for names in readers):
        return [player]
    again = OpaqueFunction(function=partial(play_when_read, topics, node_name, player))
    return [TimerAction(period=POLL_PERIOD_S, actions=[again])]
