# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Answers to many calls at once, at a pace that their clients can take."""

from __future__ import annotations

import time

DEFAULT_SERVICE_DEPTH = 10
"""Answers that a client keeps unread by default; when more arrive, the oldest are lost."""


class ReplyPacer:
    """Lets a burst of answers through at once and spaces out those that follow.

    A bucket of tokens: each answer takes one, one comes back every `period_s`. Waiting holds up
    the caller for no longer than `period_s` an answer.
    """

    def __init__(self, *, burst: int = DEFAULT_SERVICE_DEPTH // 2, period_s: float = 0.01) -> None:
        self._burst = burst
        self._period_s = period_s
        self._tokens = float(burst)
        self._then_s = time.monotonic()

    def wait(self) -> None:
        """Take a token, waiting for it if none is left."""
        self._refill()
        if self._tokens < 1:
            time.sleep((1 - self._tokens) * self._period_s)
            self._refill()
        self._tokens -= 1

    def _refill(self) -> None:
        now_s = time.monotonic()
        earned = (now_s - self._then_s) / self._period_s
        self._tokens = min(self._tokens + earned, float(self._burst))
        self._then_s = now_s
