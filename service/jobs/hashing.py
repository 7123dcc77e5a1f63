"""SHA-256 beside an upload: a thread that reads behind the writer, so that the slower hash is not in the way.

Registries publish SHA-256; without hardware support it is slower than receiving the bytes. The thread reads the file's
own descriptor (from the page cache) and needs no memory for what waits.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable

STEP = 1 << 20


class Follower:
    """Hashes a growing file up to where it has been written."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = os.dup(descriptor)
        self._changed = threading.Condition()
        self._written = 0
        self._complete = False
        self._abandoned = False
        self._digest: str | None = None
        self._done = threading.Event()
        self._then: Callable[[str], None] | None = None
        threading.Thread(target=self._run, name="sha256", daemon=True).start()

    @staticmethod
    def of(data: bytes | bytearray) -> str:
        """The same hash of bytes in memory."""
        return hashlib.sha256(data).hexdigest()

    def advance(self, written: int) -> None:
        """The file now holds `written` bytes."""
        with self._changed:
            self._written = written
            self._changed.notify()

    def complete(self) -> None:
        """No more will be written."""
        with self._changed:
            self._complete = True
            self._changed.notify()

    def abandon(self) -> None:
        """Nobody wants the result."""
        with self._changed:
            self._abandoned = True
            self._changed.notify()

    def result(self, *, wait: bool) -> str | None:
        """The hex digest once `complete`; None if it is not known (yet)."""
        if wait:
            self._done.wait()
        return self._digest

    def then(self, report: Callable[[str], None]) -> None:
        """Call `report` with the digest when it is known: at once if it is, else from the hashing thread."""
        with self._changed:
            if self._digest is None:
                self._then = report
                return
        report(self._digest)

    def _run(self) -> None:
        try:
            digest = self._follow()
        except OSError:
            digest = None
        finally:
            _let_go(self._descriptor)
        with self._changed:
            self._digest = digest
            then = self._then
        self._done.set()
        if digest is not None and then is not None:
            then(digest)

    def _follow(self) -> str | None:
        state = hashlib.sha256()
        position = 0
        while (available := self._wait_beyond(position)) is not None:
            if available == position:
                return state.hexdigest()
            data = os.pread(self._descriptor, min(STEP, available - position), position)
            state.update(data)
            position += len(data)
        return None

    def _wait_beyond(self, position: int) -> int | None:
        """How much is written once that is more than `position` or all there will be; None if abandoned."""
        with self._changed:
            self._changed.wait_for(lambda: self._abandoned or self._complete or self._written > position)
            return None if self._abandoned else self._written


def _let_go(descriptor: int) -> None:
    """Close the file, and give up its page cache: values are not read again soon, the next upload needs the memory."""
    with contextlib.suppress(OSError):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def sha256_of(descriptor: int) -> str:
    """Hex SHA-256 of a whole open file."""
    state = hashlib.sha256()
    position = 0
    while data := os.pread(descriptor, STEP, position):
        state.update(data)
        position += len(data)
    return state.hexdigest()
