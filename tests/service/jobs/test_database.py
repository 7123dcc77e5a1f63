"""Transactions, durability settings and what becomes of database failures."""

from __future__ import annotations

import contextlib
import sqlite3
import threading

import pytest
from sqlalchemy import insert, select

from service.config import Settings
from service.errors import ServiceError, StorageFull
from service.jobs.database import open_database
from service.jobs.tables import SCHEMA, reports

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


def test_the_schema_is_versioned_and_a_newer_one_is_refused(settings, database):
    """Opening twice changes nothing; a database written by a newer service is left alone."""
    open_database(settings).close()
    with sqlite3.connect(settings.data_dir / "weighbridge.db") as raw:
        assert raw.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
        raw.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    with pytest.raises(RuntimeError, match="this version of the service knows"):
        open_database(settings)


def test_failures_of_the_database_are_the_service_s_not_bugs(database):
    """Full disks and everything operational have codes of their own."""
    from sqlalchemy.exc import OperationalError

    with pytest.raises(StorageFull), database.reading():
        raise OperationalError("", {}, Exception("database or disk is full"))
    with pytest.raises(ServiceError, match="did not answer"), database.reading():
        raise OperationalError("", {}, Exception("database is locked"))


def test_only_sqlite_urls_are_taken(tmp_path):
    """Leases are on this machine's clock."""
    with pytest.raises(ValueError, match="sqlite"):
        open_database(Settings(data_dir=tmp_path, database_url="postgresql://x/y"))
