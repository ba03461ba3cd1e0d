# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The same work for several things at once, where threads run side by side (OpenCV, NumPy)."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_FEWEST = 4
"""Items from which on a thread's start costs less than it brings."""


def in_threads(
    function: Callable[[_Item], _Result], items: Sequence[_Item], threads: int
) -> list[_Result]:
    """Results in the order of the items; the first error of one is raised.

    Args:
        function: what to do with an item; must not depend on the others.
        items: any number.
        threads: how many may run; with one, or with few items, it is a plain loop.
    """
    if threads < 2 or len(items) < _FEWEST:
        return [function(item) for item in items]
    return list(_pool(threads).map(function, items))


@lru_cache(maxsize=2)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="siammask")


# A child process has the pools, but not their threads.
os.register_at_fork(after_in_child=_pool.cache_clear)
