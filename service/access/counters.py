"""Counts of the last minutes, hours and days that several processes share: a storage of `limits` over SQLite.

A file of its own beside the jobs' database: a count need not be durable to the last commit, and must never wait for the
job table's write lock, nor that for it. Knows names and numbers, not what is counted.
"""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from limits.storage import Storage
from limits.storage.base import SlidingWindowCounterSupport, TimestampedSlidingWindow

BUSY_SECONDS = 2.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, count INTEGER NOT NULL, ends REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS counts_by_end ON counts (ends);
"""


class SharedCounts(Storage, SlidingWindowCounterSupport, TimestampedSlidingWindow):
    """Counters by name, each with the time of its end, in one file for all processes of the installation.

    One connection for each process, made when it is first used: after any fork. Commits are not synced one by one:
    after a power cut the last seconds may be missing, never more.
    """

    STORAGE_SCHEME = None  # handed over, not looked up by an address

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    @property
    def base_exceptions(self) -> type[Exception]:
        """What goes wrong here."""
        return sqlite3.Error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """The connection, for this thread alone, in a transaction that no other process writes beside."""
        with self._lock:
            connection = self._connection or self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def _open(self) -> sqlite3.Connection:
        made = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        made.execute("PRAGMA journal_mode = WAL")
        made.execute("PRAGMA synchronous = NORMAL")
        made.executescript(SCHEMA)
        self._connection = made
        return made

    def close(self) -> None:
        """Close this process's connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to a counter that ends `expiry` seconds after its first count; what it is then."""
        with self._writing() as connection:
            return _add(connection, key, expiry, amount, time.time())

    def get(self, key: str) -> int:
        """A counter; 0 if there is none, or no more."""
        with self._writing() as connection:
            return _count(connection, key, time.time())

    def get_expiry(self, key: str) -> float:
        """When a counter ends; now if there is none."""
        with self._writing() as connection:
            row = connection.execute("SELECT ends FROM counts WHERE name = ?", (key,)).fetchone()
            return float(row[0]) if row else time.time()

    def check(self) -> bool:
        """Whether it can be read and written."""
        try:
            with self._writing():
                return True
        except sqlite3.Error:
            return False

    def reset(self) -> int:
        """Forget everything; how many counters that were."""
        with self._writing() as connection:
            return connection.execute("DELETE FROM counts").rowcount

    def clear(self, key: str) -> None:
        """Forget one counter."""
        with self._writing() as connection:
            connection.execute("DELETE FROM counts WHERE name = ?", (key,))

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount`, unless this and the weighted last window would then be more than `limit`."""
        now = time.time()
        with self._writing() as connection:
            before, before_ttl, current, _ = self._window(connection, key, expiry, now)
            if math.floor(before * before_ttl / expiry + current) + amount > limit:
                return False
            _add(connection, self.sliding_window_keys(key, expiry, now)[1], 2 * expiry, amount, now)
            return True

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """The last window's count and how long it still weighs, the current one's and how long it will be kept."""
        with self._lock:
            return self._window(self._connection or self._open(), key, expiry, time.time())

    def _window(
        self, connection: sqlite3.Connection, key: str, expiry: int, now: float
    ) -> tuple[int, float, int, float]:
        before, current = self.sliding_window_keys(key, expiry, now)
        left = (1 - (now / expiry) % 1) * expiry
        return _count(connection, before, now), left, _count(connection, current, now), left + expiry

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget both windows."""
        for name in self.sliding_window_keys(key, expiry, time.time()):
            self.clear(name)


def _count(connection: sqlite3.Connection, key: str, now: float) -> int:
    row = connection.execute("SELECT count FROM counts WHERE name = ? AND ends > ?", (key, now)).fetchone()
    return int(row[0]) if row else 0


def _add(connection: sqlite3.Connection, key: str, expiry: int, amount: int, now: float) -> int:
    """A new counter also sweeps those that have ended: the file stays as small as what is in use."""
    known = _count(connection, key, now)
    if known:
        connection.execute("UPDATE counts SET count = count + ? WHERE name = ?", (amount, key))
    else:
        connection.execute("DELETE FROM counts WHERE ends <= ?", (now,))
        connection.execute("INSERT OR REPLACE INTO counts VALUES (?, ?, ?)", (key, amount, now + expiry))
    return known + amount
