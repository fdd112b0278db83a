# SPDX-License-Identifier: Apache-2.0
"""A place for one frame: whoever is late finds the newest, never a queue of old ones."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Item = TypeVar("Item")


class NewestSlot(Generic[Item]):
    """Hands the newest item from one thread to another."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: Item | None = None
        self._replaced = 0
        self._closed = False

    def put(self, item: Item) -> bool:
        """Leave an item, in place of one that was not taken.

        Returns:
            True when an item was lost by that: the older one, or this one if the slot is closed.
        """
        with self._changed:
            if self._closed:
                return True
            replaced = self._item is not None
            self._replaced += replaced
            self._item = item
            self._changed.notify()
            return replaced

    def take(self) -> tuple[Item, int] | None:
        """Wait for an item and remove it.

        Returns:
            The item, and how many were replaced since the one taken before; None once the slot is
            closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._item is not None)
            if self._item is None:
                return None
            taken = self._item, self._replaced
            self._item, self._replaced = None, 0
            return taken

    def clear(self) -> None:
        """Forget the item that is waiting, if any."""
        with self._changed:
            self._item = None

    def close(self) -> None:
        """Wake the taker for good; a second call does nothing."""
        with self._changed:
            self._closed, self._item = True, None
            self._changed.notify_all()
