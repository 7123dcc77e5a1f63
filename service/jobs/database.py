"""Connections and transactions of SQLite in WAL mode; knows no table's meaning.

Writers begin with BEGIN IMMEDIATE: they queue for the lock instead of failing half-way. `synchronous=FULL` makes each
commit durable, which is what accepting an analysis promises; it costs a fraction of a millisecond per commit.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from service.config import Settings
from service.errors import ServiceError, StorageFull
from service.jobs.tables import migrate
from service.language import msg

BUSY_MILLISECONDS = 30_000
PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA journal_size_limit = 67108864",
)


class Database:
    """One process's connections. Make it after a fork, never before."""

    def __init__(self, engine: Engine, lock_file: Path) -> None:
        self._engine = engine
        self._thread_turn = threading.Lock()
        self._process_turn = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection on one consistent snapshot. ServiceError if the database does not answer."""
        with _explained(), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that holds the write lock from its start; committed at the end, rolled back on error."""
        with self._turn(), _explained(), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Queue for writing. SQLite's own waiting sleeps and retries, and starves some for seconds under load."""
        with self._thread_turn:
            fcntl.flock(self._process_turn, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._process_turn, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()
        os.close(self._process_turn)


def open_database(settings: Settings) -> Database:
    """The database of this installation, with its schema brought up to date."""
    url = settings.database_url or f"sqlite:///{Path(settings.data_dir).absolute() / 'weighbridge.db'}"
    if not url.startswith("sqlite"):
        raise ValueError("WEIGHBRIDGE_DATABASE_URL must be an sqlite:/// URL: jobs are leased by this machine's clock.")
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=8,
        max_overflow=120,
        isolation_level=None,
        pool_timeout=30,
        connect_args={"check_same_thread": False},
    )
    event.listen(engine, "connect", _configure)
    database = Database(engine, Path(settings.data_dir) / "weighbridge.lock")
    with database.writing() as connection:
        migrate(connection)
    return database


def _configure(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    for pragma in PRAGMAS:
        connection.execute(pragma)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (OperationalError, PoolTimeout) as error:
        if "full" in str(error):
            raise StorageFull(msg("There is no room left to store this.")) from error
        raise ServiceError(msg("The service's database did not answer in time.")) from error
    except DatabaseError as error:
        if "malformed" in str(error) or "not a database" in str(error):
            raise ServiceError(msg("The service's database cannot be read.")) from error
        raise
