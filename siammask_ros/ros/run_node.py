# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run a lifecycle node as a process of its own."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any, Protocol

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn


class RunnableNode(Protocol):
    """A lifecycle node with parameter `autostart` that can be closed in any state."""

    get_parameter: Callable[[str], Any]
    trigger_configure: Callable[[], TransitionCallbackReturn]
    trigger_activate: Callable[[], TransitionCallbackReturn]
    destroy_node: Callable[[], None]

    def close(self) -> None:
        """Stop, and leave the graph."""


def run_node(make: Callable[[], Any], name: str) -> int:
    """Run a node until it is interrupted, after `rclpy.init`.

    Args:
        make: makes the node, a `RunnableNode`.
        name: for the log, if it cannot be made.

    Returns:
        The exit status: 1 if the node's parameters are not acceptable.
    """
    try:
        node: RunnableNode = make()
    except ParameterException as error:
        rclpy.logging.get_logger(name).fatal(f"parameter not acceptable: {error}")
        rclpy.try_shutdown()
        return 1
    # One thread is enough: no callback waits for long.
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if node.get_parameter("autostart").value:
            start(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.close()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the interpreter ends in a moment
    return 0


def start(node: RunnableNode) -> None:
    """Configure and activate, as parameter `autostart` asks for."""
    if node.trigger_configure() == TransitionCallbackReturn.SUCCESS:
        node.trigger_activate()


def interrupt_once() -> None:
    """Make the first SIGINT the only one: a terminal and launch both send it.

    The second would interrupt the closing. To be called before `rclpy.init`, whose own handler
    wakes the executor and then calls this one.
    """
    interrupted = False

    def interrupt(_number: int, _frame: object) -> None:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
