# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and the system's request to end, noted for a better moment.

A signal handler that raises can raise anywhere: in a callback from C, at a fork or in a `__del__`,
where the exception is lost, or between two steps that belong together.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

    from typing_extensions import Self

NO_MEANING = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
"""The signals that are noted, with the handlers that Python starts with."""


class Interruption:
    """Notes SIGINT and SIGTERM within its block; one that comes later raises KeyboardInterrupt.

    A signal that is ignored or has a handler of the caller's is left alone. Signals can be noted in
    the main thread only; in others nothing changes.

    Args:
        notice: written to stderr when the first one comes.
        patience_s: how long after the first one more are still taken for the same, seconds.

    Attributes:
        requested: whether one has come.
    """

    def __init__(self, notice: str = "", *, patience_s: float = 0.0) -> None:
        self.requested = False
        self._notice, self._patience_s = notice, patience_s
        self._since = 0.0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number, handler in NO_MEANING.items():
                if signal.getsignal(number) == handler:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        while self._before:
            signal.signal(*self._before.popitem())

    def check(self) -> None:
        """Let it through, if one has come.

        Raises:
            KeyboardInterrupt: one has come.
        """
        if self.requested:
            raise KeyboardInterrupt

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.requested:
            self.requested, self._since = True, now
            if self._notice:
                os.write(2, f"\n{self._notice}\n".encode())  # printing may be going on already
        elif now - self._since > self._patience_s:
            raise KeyboardInterrupt
