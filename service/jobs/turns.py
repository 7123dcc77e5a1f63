"""The right to write: one thread of one process at a time, in the order of asking, and not waited for for ever.

SQLite's own waiting sleeps and retries, and starves some for seconds under load; a file lock is first come, first
served, but knows no time limit. So a helper thread waits for it where another process has it. Knows no database.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Late(Exception):
    """The turn did not come in time."""


class Turns:
    """One process's turns at the lock file. Make it after a fork."""

    def __init__(self, lock_file: Path) -> None:
        self._file = lock_file
        self._threads = threading.Lock()
        self._descriptor = -1
        self._asking: _Asking | None = None

    @contextmanager
    def taken(self, seconds: float) -> Iterator[None]:
        """The turn, for the time of the context. Late if it does not come within `seconds`."""
        until = time.monotonic() + seconds
        if not self._threads.acquire(timeout=seconds):
            raise Late
        try:
            descriptor = self._lock(until)
            try:
                yield
            finally:
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def _lock(self, until: float) -> int:
        if self._descriptor < 0:
            self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        if self._asking is None or not self._asking.wanted_again():
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._asking = _Asking(self._descriptor)
            else:
                return self._descriptor
        if not self._asking.granted(until - time.monotonic()):
            raise Late
        self._asking = None
        return self._descriptor

    def close(self) -> None:
        """Give the file back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class _Asking:
    """A thread that waits for the lock. Who is late leaves it waiting, for the next one; unwanted, it lets go."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = os.dup(descriptor)  # the same lock; ours to close, whatever becomes of the other
        self._changed = threading.Condition()
        self._wanted = True
        self._has = False
        self._over = False
        threading.Thread(target=self._run, name="turn", daemon=True).start()

    def granted(self, seconds: float) -> bool:
        """Whether the lock is ours within `seconds`."""
        with self._changed:
            self._wanted = self._changed.wait_for(lambda: self._has, max(0.0, seconds))
            return self._has

    def wanted_again(self) -> bool:
        """Whether it can still be waited for: False once it came and nobody wanted it."""
        with self._changed:
            self._wanted = not self._over
            return self._wanted

    def _run(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        with self._changed:
            self._has = self._wanted
            self._over = not self._wanted
            if self._over:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self._changed.notify_all()
        os.close(self._descriptor)
