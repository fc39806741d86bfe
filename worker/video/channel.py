"""A bounded queue between two threads, in which either side's failure wakes the other at once."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class EndOfChannel(Exception):
    """The producer has closed the channel and everything in it was taken."""


class Channel(Generic[T]):
    """Holds at most `capacity` items.

    `put` waits for room, `get` for an item, both until `abort` at the latest.
    """

    def __init__(self, capacity: int) -> None:
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._changed = threading.Condition()
        self._closed = False
        self._failure: BaseException | None = None

    def put(self, item: T, timeout_s: float | None = None) -> None:
        """Hand over an item. Raises TimeoutError, or what `abort` was given."""
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._failure or len(self._items) < self._capacity, timeout_s
            ):
                raise TimeoutError

            self.raise_failure()
            self._items.append(item)
            self._changed.notify_all()

    def get(self, timeout_s: float | None = None) -> T:
        """Take the oldest item. Raises EndOfChannel, TimeoutError, or what `abort` was given."""
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._failure or self._items or self._closed, timeout_s
            ):
                raise TimeoutError

            self.raise_failure()
            if not self._items:
                raise EndOfChannel

            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """Say that no more items come; those inside can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abort(self, failure: BaseException) -> None:
        """Drop what is inside and raise `failure` in both threads.

        The first failure stays.
        """
        with self._changed:
            # The first one is the cause, the others are its consequences.
            self._failure = self._failure or failure
            # Frames are megabytes each: let go of them before the threads notice.
            self._items.clear()
            self._changed.notify_all()

    def raise_failure(self) -> None:
        """Raise what `abort` was given, if it was called."""
        if self._failure is not None:
            raise self._failure
