# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and the system's request to end, noted for a better moment."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE_SECONDS = 2.0
"""A second signal after this time stops at once. `torchrun` sends one more right after Ctrl-C."""
NOTICE = b"\nstopping after this step; once more to stop at once\n"


class Interruption:
    """Notes SIGINT and SIGTERM within its block, so that a run can stop between two steps.

    Signals can be noted in the main thread only; in others nothing changes.

    Attributes:
        requested: whether one has come.
    """

    def __init__(self) -> None:
        self.requested = False
        self._since = 0.0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:  # noqa: PYI034 - Self is of Python 3.11
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.requested:
            self.requested, self._since = True, now
            os.write(2, NOTICE)  # printing is not safe in the midst of printing
        elif now - self._since > PATIENCE_SECONDS:
            raise KeyboardInterrupt
