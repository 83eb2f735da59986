"""Bounded queues between threads: a live stream drops what is oldest, a file waits."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

__all__ = ["BoundedQueue", "oldest"]

Item = TypeVar("Item")


def oldest(items: Sequence[Item]) -> Item:
    """What is missed least where newer things replace older ones."""
    return items[0]


class BoundedQueue(Generic[Item]):
    """A queue of at most `capacity` items. Any number of threads may put and get."""

    def __init__(
        self, capacity: int, waits: bool, victim: Callable[[Sequence[Item]], Item] = oldest
    ) -> None:
        """
        Args:
            capacity: most items that wait.
            waits: `put` waits for room; otherwise an item is dropped.
            victim: chooses the one to drop.
        """
        self._capacity = capacity
        self._waits = waits
        self._victim = victim
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> Item | None:
        """Queue an item; returns the one that was dropped for it. Nothing once it is closed."""
        dropped = None
        with self._changed:
            if self._waits:
                self._changed.wait_for(lambda: len(self._items) < self._capacity or self._closed)
            if self._closed:
                return None
            if len(self._items) >= self._capacity:
                dropped = self._victim(self._items)
                self._items.remove(dropped)
            self._items.append(item)
            self._changed.notify_all()
        return dropped

    def get(self) -> Item | None:
        """The oldest item; None once it is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed)
            item = self._items.popleft() if self._items else None
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """Nothing more is taken: `get` gives what is left, then None."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
