"""How far a child has come, told to whoever waits for its answer; knows the answer's descriptor, no upload."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable

from service import frames
from service.config import Limits
from service.source import Meter

Tell = Callable[[int, int], None]
"""Takes how many bytes are done, and of how many."""

PAUSE_SECONDS = 0.2
"""Between two frames: a person looks, no program."""


def nobody(done: int, total: int) -> None:
    """Where nobody listens."""


class Teller:
    """A `Tell` that writes frames in front of the answer, a few a second."""

    def __init__(self, answer: int) -> None:
        self._answer = answer
        self._due = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Say so, unless that was done a moment ago."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + PAUSE_SECONDS
        with contextlib.suppress(OSError):  # nobody reads any more: the answer will meet the same
            os.write(self._answer, frames.progress(done, total))


class ToldMeter(Meter):
    """A meter that can tell of each look at values, once it is known that `total` bytes of them are to be expected."""

    def __init__(self, limits: Limits, most: int, tell: Tell) -> None:
        super().__init__(limits, most)
        self.total = 0
        self.tell = tell

    def add_values(self, length: int) -> None:
        """See `Meter.add_values`."""
        super().add_values(length)
        if self.total:
            self.tell(self.values, self.total)
