# SPDX-License-Identifier: Apache-2.0
"""A place for one frame: whoever is late finds the newest, never a queue of old ones."""

from __future__ import annotations

import enum
import threading
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Put(enum.Enum):
    """What became of an item and of the one before it."""

    PLACED = enum.auto()
    REPLACED = enum.auto()  # the one before was not taken, and is lost
    REFUSED = enum.auto()  # the slot is closed


class NewestSlot(Generic[Item]):
    """Hands the newest item from one thread to another."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: Item | None = None
        self._lost = 0
        self._closed = False

    @property
    def full(self) -> bool:
        """Whether an item waits to be taken."""
        return self._item is not None

    @property
    def closed(self) -> bool:
        """Whether it takes no more items."""
        return self._closed

    def put(self, item: Item) -> Put:
        """Leave an item, in place of one that was not taken; say what became of both."""
        with self._changed:
            if self._closed:
                return Put.REFUSED
            lost = self._forget()
            self._item = item
            self._changed.notify()
            return Put.REPLACED if lost else Put.PLACED

    def take(self) -> tuple[Item, int] | None:
        """Wait for an item and remove it.

        Returns:
            The item, and how many were lost since the one taken before; None once the slot is
            closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._item is not None)
            if self._item is None:
                return None
            taken = self._item, self._lost
            self._item, self._lost = None, 0
            return taken

    def clear(self) -> bool:
        """Forget the item that is waiting.

        Returns:
            Whether there was one.
        """
        with self._changed:
            return self._forget()

    def close(self) -> bool:
        """Forget the item that is waiting and wake the taker for good.

        Returns:
            Whether there was one; a second call does nothing.
        """
        with self._changed:
            self._closed = True
            lost = self._forget()
            self._changed.notify_all()
            return lost

    def _forget(self) -> bool:
        lost = self._item is not None
        self._lost += lost
        self._item = None
        return lost
