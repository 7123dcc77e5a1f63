"""Transactions, durability settings and what becomes of database failures."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
import time

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import OperationalError

from service.config import Settings
from service.errors import DatabaseDamaged, ServiceError, StorageFull
from service.jobs import database as module
from service.jobs.database import open_database
from service.jobs.tables import reports

ROW = {"body": b"", "size": 0, "etag": "e"}


def test_accepting_is_durable_and_readers_do_not_block_writers(database):
    """WAL with a synced log at each commit, foreign keys on."""
    with database.reading() as connection:
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragma == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_failed_transaction_leaves_nothing(database):
    """Any error rolls back."""
    with contextlib.suppress(KeyError), database.writing() as connection:
        connection.execute(insert(reports).values(**ROW))
        raise KeyError
    with database.reading() as connection:
        assert connection.execute(select(reports)).all() == []


def test_many_writers_in_threads_and_processes_all_succeed(settings, database):
    """Two connections of separate processes' making, eight threads, no lost write and no lock error."""
    other = open_database(settings)

    def write(target):
        for _ in range(25):
            with target.writing() as connection:
                connection.execute(insert(reports).values(**ROW))

    threads = [threading.Thread(target=write, args=(target,)) for target in (database, other) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as connection:
        assert len(connection.execute(select(reports.c.id)).all()) == 200
    other.close()


def locked(settings):
    """A stranger's connection that holds SQLite's lock."""
    stranger = sqlite3.connect(settings.data_dir / "weighbridge.db", isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    return stranger


@pytest.fixture
def hasty(monkeypatch):
    """Nobody waits for long."""
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(module, "PRAGMAS", ("PRAGMA busy_timeout = 200", *module.PRAGMAS[1:]))


@pytest.mark.usefixtures("hasty")
def test_a_database_that_is_locked_for_long_is_told_and_waited_for_no_longer(settings):
    """Writers give up in time, readers read on; and it goes on once it is free, without a restart."""
    database = open_database(settings)
    stranger = locked(settings)
    began = time.monotonic()
    with pytest.raises(ServiceError, match="did not answer"), database.writing():
        pass
    assert time.monotonic() - began < 5
    database.require_sound()
    stranger.execute("ROLLBACK")
    with database.writing() as connection:
        connection.execute(insert(reports).values(**ROW))
    database.close()


@pytest.mark.usefixtures("hasty")
def test_a_process_that_starts_while_a_stranger_writes_can_read(settings, database):
    """The schema is there already: nothing is to be written for that. Writing is refused in time, and then goes on."""
    with database.writing() as connection:
        connection.execute(insert(reports).values(**ROW))
    stranger = locked(settings)
    other = open_database(settings)
    with other.reading() as connection:
        assert len(connection.execute(select(reports)).all()) == 1
    with pytest.raises(ServiceError, match="did not answer"), other.writing():
        pass
    stranger.execute("ROLLBACK")
    with other.writing() as connection:
        connection.execute(insert(reports).values(**ROW))
    other.close()


@pytest.mark.usefixtures("hasty")
def test_a_process_starts_while_the_database_is_locked(settings):
    """A web worker that did not start would end the whole service; the schema is seen to when somebody asks."""
    stranger = sqlite3.connect(settings.data_dir / "weighbridge.db", isolation_level=None)
    stranger.execute("BEGIN EXCLUSIVE")
    database = open_database(settings)
    with pytest.raises(ServiceError, match="did not answer"), database.reading():
        pass
    stranger.execute("ROLLBACK")
    with database.reading() as connection:
        assert connection.execute(select(reports)).all() == []
    database.close()


@pytest.mark.parametrize("damage", ["overwritten", "truncated", "no database"])
def test_a_damaged_database_is_told_takes_nothing_more_and_is_not_made_worse(settings, database, damage):
    """Whether or not a query meets the place: the look through all of it does. Nothing is promised after that."""
    with database.writing() as connection:
        for number in range(200):
            connection.execute(insert(reports).values(body=b"%d" % number * 2000, size=1, etag="e"))
    database.close()
    file = settings.data_dir / "weighbridge.db"
    whole = file.read_bytes()
    damaged = {
        "overwritten": whole[:8192] + bytes(8192) + whole[16384:],
        "truncated": whole[: len(whole) // 3],
        "no database": b"x" * len(whole),
    }[damage]
    file.write_bytes(damaged)
    again = open_database(settings)
    with contextlib.suppress(DatabaseDamaged):
        again.check()
    with pytest.raises(DatabaseDamaged):
        again.require_sound()
    with pytest.raises(DatabaseDamaged), again.writing():
        pass
    again.close()
    assert file.read_bytes()[:4096] == damaged[:4096]


def test_a_file_that_was_exchanged_under_the_service_is_told(settings, database):
    """It works on what it had opened: what a person has put there is taken up with a restart."""
    database.require_sound()
    file = settings.data_dir / "weighbridge.db"
    file.rename(file.with_suffix(".old"))
    for use in (database.require_sound, database.reading().__enter__, database.writing().__enter__):
        with pytest.raises(ServiceError, match="replaced or removed"):
            use()
    assert not file.exists()


def test_what_was_only_in_the_log_is_lost_with_it_and_the_rest_is_whole(settings, database):
    """A log that a person deletes after a crash takes the last commits along; nothing half of them stays."""
    crashed = settings.data_dir / "crashed"
    crashed.mkdir()
    with database.writing() as connection:
        connection.execute(insert(reports).values(**ROW))
        connection.exec_driver_sql("SELECT 1")
    with sqlite3.connect(settings.data_dir / "weighbridge.db") as other:
        other.execute("PRAGMA wal_checkpoint(FULL)")
    with database.writing() as connection:
        connection.execute(insert(reports).values(**ROW))
    shutil.copy(settings.data_dir / "weighbridge.db", crashed / "weighbridge.db")  # and not the log
    again = open_database(Settings(data_dir=crashed))
    again.check()
    again.require_sound()
    with again.reading() as connection:
        assert len(connection.execute(select(reports)).all()) == 1
    again.close()


@pytest.mark.parametrize(
    ("kind", "error"),
    [("SQLITE_FULL", StorageFull), ("SQLITE_IOERR_WRITE", ServiceError), ("SQLITE_READONLY", ServiceError),
     ("SQLITE_CANTOPEN", ServiceError), ("SQLITE_BUSY", ServiceError), ("SQLITE_CORRUPT_VTAB", DatabaseDamaged),
     ("SQLITE_TOOBIG", DatabaseDamaged)],
)  # fmt: skip
def test_failures_of_the_database_are_the_service_s_not_bugs(database, kind, error):
    """By SQLite's own result codes; a mistake in a statement stays what it is, a table that is gone is damage."""
    failed = sqlite3.OperationalError("in SQLite's words")
    failed.sqlite_errorcode = getattr(sqlite3, kind)
    with pytest.raises(ServiceError) as caught, database.reading():
        raise OperationalError("", {}, failed)
    assert type(caught.value) is error
    with pytest.raises(OperationalError), database.reading() as connection:
        connection.exec_driver_sql("SELECT x FROM")
    with pytest.raises(DatabaseDamaged), database.reading() as connection:
        connection.exec_driver_sql("SELECT x FROM nowhere")


def test_only_sqlite_urls_are_taken(tmp_path):
    """Leases are on this machine's clock."""
    with pytest.raises(ValueError, match="sqlite"):
        open_database(Settings(data_dir=tmp_path, database_url="postgresql://x/y"))
