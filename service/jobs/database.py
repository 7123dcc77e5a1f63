"""Connections and transactions of SQLite in WAL mode; knows no table's meaning.

Writers take turns (`service.jobs.turns`) and begin with BEGIN IMMEDIATE: they queue for the lock instead of failing
half-way. `synchronous=FULL` makes each commit durable, which is what accepting an analysis promises; it costs a
fraction of a millisecond per commit. Nothing is waited for without end: who comes too late is told so.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from service import faults
from service.config import Settings
from service.errors import DatabaseDamaged, ServiceError
from service.jobs import ages, explaining
from service.jobs.tables import is_current, migrate
from service.jobs.turns import Late, Turns
from service.language import msg

PATIENCE_SECONDS = 20.0
"""Longest wait for the turn to write, and then for SQLite's own lock, which only a stranger holds."""
PRAGMAS = (
    f"PRAGMA busy_timeout = {int(PATIENCE_SECONDS * 1000)}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA journal_size_limit = 67108864",
)

log = structlog.get_logger("weighbridge.database")


class Database:
    """One process's connections. Make it after a fork, never before."""

    def __init__(self, engine: Engine, file: Path, lock_file: Path) -> None:
        self.file = file
        self._engine = engine
        self._turns = Turns(lock_file)
        self._preparing = threading.Lock()
        self._prepared = False
        self._identity: tuple[int, int] | None = None
        self._damaged = False

    def prepare(self) -> None:
        """Bring the schema up to date, once. ServiceError if that cannot be done now; it is tried again when asked."""
        if self._prepared:
            return
        if not self._preparing.acquire(timeout=PATIENCE_SECONDS):
            raise explaining.late()
        try:
            self._prepare()
        finally:
            self._preparing.release()

    def _prepare(self) -> None:
        if self._prepared:
            return
        if not self._is_current():
            with self._transaction() as connection:
                migrate(connection)
                ages.settle(connection)
        self._identity = self._found()
        self._prepared = True

    def _is_current(self) -> bool:
        """Whether nothing is to be written first: then it can be read even while a stranger has the write lock."""
        try:
            with self._snapshot() as connection:
                return is_current(connection) and ages.is_settled(connection)
        except ServiceError:  # who writes to it is told what is wrong
            return False

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection on one consistent snapshot. ServiceError if the database does not answer."""
        self.prepare()
        self._require_in_place()
        with self._snapshot() as connection:
            yield connection

    @contextmanager
    def _snapshot(self) -> Iterator[Connection]:
        with self._explained(), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that holds the write lock from its start; committed at the end, rolled back on error."""
        self.prepare()
        self._require_in_place()
        if self._damaged:  # what would be promised with a row might not be there tomorrow
            raise DatabaseDamaged(msg("The service's database is damaged."))
        with self._transaction() as connection:
            yield connection

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._turn(), self._explained(), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
                faults.point("row.written")
                connection.commit()
            except BaseException:
                connection.rollback()
                raise
            faults.point("row.committed")

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self._turns.taken(PATIENCE_SECONDS))
            except Late:
                raise explaining.late() from None
            except OSError as error:
                raise _unwritable(error) from error
            yield

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, PoolTimeout) as error:
            known = explaining.explained(error)
            if known is None:
                raise
            if isinstance(known, DatabaseDamaged):
                self._note_damage(str(error.__cause__))
            raise known from error
        except UnicodeDecodeError as error:  # even what SQLite says of it holds pieces of the damage
            self._note_damage(str(error))
            raise DatabaseDamaged(msg("The service's database is damaged.")) from error
        except DatabaseDamaged as error:
            self._note_damage(str(error.__cause__ or error))
            raise

    def _note_damage(self, reason: str) -> None:
        if not self._damaged:
            log.error("database_damaged", reason=reason)
        self._damaged = True

    def check(self) -> None:
        """Read all of the database, and take note if it is damaged. ServiceError if it cannot be read at all."""
        with self.reading() as connection:
            said = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        if said != "ok":
            self._note_damage(said)

    def require_sound(self) -> None:
        """That it answers and is not known to be damaged; ServiceError if not."""
        with self.reading() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
        if self._damaged:
            raise DatabaseDamaged(msg("The service's database is damaged."))

    def _require_in_place(self) -> None:
        """What is written to a file that was removed is lost, and a file in its place knows nothing of what was."""
        if self._found() != self._identity:
            raise ServiceError(msg("The file of the service's database was replaced or removed while it was in use."))

    def used_bytes(self, connection: Connection) -> int:
        """What the database holds, without the room that deleted rows have left in its file."""
        pages, free, size = (
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _found(self) -> tuple[int, int] | None:
        try:
            found = self.file.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()
        self._turns.close()


def _unwritable(error: OSError) -> ServiceError:
    return ServiceError(msg("The service cannot write to its disk: {reason}.", reason=error.strerror or str(error)))


def open_database(settings: Settings) -> Database:
    """The database of this installation, with its schema brought up to date, at once or as soon as it answers."""
    default = f"sqlite:///{Path(settings.data_dir).absolute() / 'weighbridge.db'}"
    url = make_url(settings.database_url or default)
    if url.get_backend_name() != "sqlite":
        raise ValueError("WEIGHBRIDGE_DATABASE_URL must be an sqlite:/// URL: jobs are leased by this machine's clock.")
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=8,
        max_overflow=120,
        isolation_level=None,
        pool_timeout=PATIENCE_SECONDS,
        connect_args={"check_same_thread": False},
    )
    event.listen(engine, "connect", _configure)
    database = Database(engine, Path(url.database or ""), Path(settings.data_dir) / "weighbridge.lock")
    try:
        database.prepare()
    except ServiceError as error:
        log.error("database_not_ready", reason=str(error))  # noqa: TRY400 - it is expected, and tried again
    return database


def _configure(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    for pragma in PRAGMAS:
        connection.execute(pragma)
