# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What lifecycle nodes have in common: transitions that fail cleanly, and a state to report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

FAULTS = (ValueError, OSError, RuntimeError, ImportError)
"""What a user can have caused: it is logged, and the transition fails. Others are bugs."""


class ManagedNode(LifecycleNode):
    """A lifecycle node that says what it is about by four methods, and can be closed in any state.

    Attributes:
        fault: why the last transition failed; empty if it did not.
        state_name: the lifecycle state.
    """

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.fault = ""
        self.state_name = "unconfigured"

    def configure(self) -> None:
        """Read the parameters, and make ready what they ask for.

        Raises:
            ValueError, OSError, RuntimeError, ImportError: that cannot be; what has been made
                is taken away by `clean_up`.
        """

    def activate(self) -> None:
        """Begin.

        Raises:
            ValueError, OSError, RuntimeError, ImportError: that cannot be; what has begun is ended
                by `deactivate`.
        """

    def deactivate(self) -> None:
        """End what `activate` began; may be called in any state."""

    def clean_up(self) -> None:
        """Take away what `configure` made; may be called in any state."""

    def close(self) -> None:
        """End, and leave the graph; may be called in any state."""
        self.deactivate()
        self.clean_up()

    # Transitions

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See `configure`."""
        if not self._succeeds("configure", self.configure, self.clean_up):
            return TransitionCallbackReturn.FAILURE
        self.state_name = "inactive"
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See `activate`."""
        result = super().on_activate(state)
        if not self._succeeds("activate", self.activate, self.deactivate):
            return TransitionCallbackReturn.FAILURE
        self.state_name = "active"
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See `deactivate`."""
        self.deactivate()
        self.state_name = "inactive"
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See `clean_up`."""
        self.clean_up()
        self.state_name = "unconfigured"
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop for good, from any state."""
        self.close()
        self.state_name = "finalized"
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """A transition failed unexpectedly: go back to unconfigured."""
        self.close()
        self.state_name = "unconfigured"
        return super().on_error(state)

    def _succeeds(self, what: str, do: Callable[[], None], undo: Callable[[], None]) -> bool:
        try:
            do()
        except FAULTS as error:
            self.fault = f"cannot {what}: {error}"
            self.get_logger().error(self.fault)
            undo()
            return False
        self.fault = ""
        return True
