"""A queue in which everybody has their turn, however much one has put in; knows holders and things, no jobs."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """What each holder put in comes out in order; between holders, one thing of each in turn."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, deque[T]] = {}  # the first holder is the next
        self._size = 0
        self._changed = threading.Condition()

    def put(self, holder: Hashable, thing: T) -> None:
        """Behind what the holder has put in before."""
        with self._changed:
            self._waiting.setdefault(holder, deque()).append(thing)
            self._size += 1
            self._changed.notify()

    def get(self) -> T:
        """The next thing, waited for."""
        with self._changed:
            while not self._waiting:
                self._changed.wait()
            holder, things = next(iter(self._waiting.items()))
            del self._waiting[holder]
            thing = things.popleft()
            if things:
                self._waiting[holder] = things
            self._size -= 1
            return thing

    def __len__(self) -> int:
        return self._size
