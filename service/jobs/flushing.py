"""Writes a growing file through to the disk while it still grows; knows descriptors, not uploads.

Accepting an upload means that it is durable. Synced only at its end, half a gigabyte takes a quarter of a second in
which nothing else happens; synced behind the writer, only the last piece is left.
"""

from __future__ import annotations

import os
import threading

EVERY = 32 << 20
"""Bytes between two syncs: large enough that each is sequential, small enough that the last one is short."""


class Flusher:
    """A thread that syncs a file each time it has grown by `EVERY` bytes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = os.dup(descriptor)
        self._due = threading.Semaphore(0)
        self._asked = 0
        self._closed = False
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="flush", daemon=True)
        self._thread.start()

    def advance(self, written: int) -> None:
        """The file now holds `written` bytes."""
        if written - self._asked >= EVERY:
            self._asked = written
            self._due.release()

    def finish(self) -> None:
        """No more is to be synced here. OSError if a sync failed: the kernel tells each failure once only."""
        self.close()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """End the thread; what runs is waited for."""
        if not self._closed:
            self._closed = True
            self._due.release()
            self._thread.join()
            os.close(self._descriptor)

    def _run(self) -> None:
        while True:
            self._due.acquire()
            if self._closed or self._failure is not None:
                return
            try:
                os.fdatasync(self._descriptor)
            except OSError as failure:
                self._failure = failure
