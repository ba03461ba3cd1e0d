# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Items made in a thread of their own, a few ahead of whoever takes them."""

from __future__ import annotations

import queue
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Item = TypeVar("Item")

POLL_S = 0.1
"""How long the thread waits for room before it looks whether it is still wanted."""


class _End:
    """What comes after the last item: nothing, or the error that ended them."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


@contextmanager
def read_ahead(items: Iterable[Item], depth: int) -> Iterator[Iterator[Item]]:
    """Iterate in another thread while the block runs, at most `depth` items ahead.

    Yields:
        The items in their order. What the iteration raises is raised where its item would come.
    """
    reader = _Reader(items, depth)
    try:
        yield reader.taken()
    finally:
        reader.stop()


class _Reader(Generic[Item]):
    def __init__(self, items: Iterable[Item], depth: int) -> None:
        self._items = items
        self._queue: queue.Queue[Item | _End] = queue.Queue(maxsize=depth)
        self._is_wanted = threading.Event()
        self._is_wanted.set()
        self._thread = threading.Thread(target=self._run, name="siammask_read_ahead", daemon=True)
        self._thread.start()

    def taken(self) -> Iterator[Item]:
        while True:
            item = self._queue.get()
            if not isinstance(item, _End):
                yield item
                continue
            if item.error is not None:
                raise item.error
            return

    def stop(self) -> None:
        """End the thread."""
        self._is_wanted.clear()
        self._thread.join()

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._items:
                if not self._put(item):
                    break
        except BaseException as raised:  # noqa: BLE001 - raised again where the items are taken
            error = raised
        self._put(_End(error))

    def _put(self, item: Item | _End) -> bool:
        """Hand an item over; False when nobody wants any."""
        while self._is_wanted.is_set():
            try:
                self._queue.put(item, timeout=POLL_S)
            except queue.Full:
                continue
            return True
        return False
