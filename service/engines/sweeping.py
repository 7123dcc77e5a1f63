"""A thread that sweeps: of all processes of an installation, one at a time. Knows when, not what."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from service.config import Settings
from service.jobs.database import Database
from service.jobs.storage import Storage

LONGEST, SHORTEST = 30.0, 0.5
"""Seconds between two sweeps; in between, a tenth of the shortest time for which anything is kept."""

log = structlog.get_logger("weighbridge.storage")


class Sweeper:
    """Sweeps for as long as it runs, whenever no other process does."""

    def __init__(self, settings: Settings, database: Database, storage: Storage) -> None:
        self._pause = pause(settings)
        self._lock_file = Path(settings.data_dir) / "sweeping.lock"
        self._database = database
        self._storage = storage
        self._descriptor = -1
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        """Begin: with a look at the whole database."""
        self._thread.start()

    def stop(self, patience: float) -> None:
        """End; a sweep that runs is waited for, `patience` seconds at most."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(patience)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _run(self) -> None:
        self._try(self._database.check)
        self._try(self._sweep)
        while not self._stopping.wait(self._pause):
            self._try(self._sweep)

    def _try(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception:  # a disk or a database that does not answer; readiness says so
            log.exception("sweeping_failed")

    def _sweep(self) -> None:
        if not self._is_ours():
            return
        swept = self._storage.sweep()
        found = {name: number for name, number in msgspec.structs.asdict(swept).items() if number}
        if found:
            log.info("swept", **found)

    def _is_ours(self) -> bool:
        """Whether this process is the one that sweeps; it stays so until its end."""
        if self._descriptor >= 0:
            return True
        descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True


def pause(settings: Settings) -> float:
    """Seconds between two sweeps."""
    kept = (settings.keep_uploads_seconds, settings.keep_reports_seconds, settings.idempotency_seconds)
    return max(SHORTEST, min([LONGEST, *(seconds / 10 for seconds in kept if seconds)]))
