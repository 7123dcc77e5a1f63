"""A fixed number of places, of which no one holder can have more than a share; knows no requests."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Hashable


class Places:
    """At most `total` are held at once, and at most `each` by one holder, so that one cannot keep all others out."""

    def __init__(self, total: int, each: int) -> None:
        self._total = total
        self._each = each
        self._held: Counter[Hashable] = Counter()
        self._changed = threading.Condition()

    def take(self, holder: Hashable, patience: float = 0.0) -> bool:
        """One place for `holder`, waiting for it no longer than `patience` seconds; False if there was none."""
        until = time.monotonic() + patience
        with self._changed:
            while not self._has_room_for(holder):
                left = until - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return False
            self._held[holder] += 1
            return True

    def _has_room_for(self, holder: Hashable) -> bool:
        return self._held.total() < self._total and self._held[holder] < self._each

    def give_back(self, holder: Hashable) -> None:
        """The place that `holder` took."""
        with self._changed:
            self._held[holder] -= 1
            if not self._held[holder]:
                del self._held[holder]
            self._changed.notify_all()
