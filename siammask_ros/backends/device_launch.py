# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ways to run the same operations on the same memory again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


class Launch(Protocol):
    """A way to run a step again and again: as it is (`directly`), or as a CUDA graph."""

    def __call__(self, step: Callable[[], Tensor], /) -> Callable[[], Tensor]:
        """Turn a step on buffers that stay in place into one that is quicker to start.

        What it returns lies in the same place each time, or is new each time.
        """


def directly(step: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Run the step as it is."""
    return step
