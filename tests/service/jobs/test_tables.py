"""The schema: a database that an older version wrote becomes what a new one is made as."""

from __future__ import annotations

import itertools
import re
import sqlite3
from pathlib import Path

import pytest

from service.jobs import catalogue
from service.jobs.database import open_database
from service.jobs.records import Options
from service.jobs.tables import OLDEST, SCHEMA, STEPS, TooNewError

SCHEMA_1 = (Path(__file__).parent / "stored" / "schema_1.sql").read_text()
ROW = """
INSERT INTO analyses (id, state, created_at, name, bytes, key, request_id, cached, attempts, available_at)
VALUES ('01a', 'failed', 1.5, 'a.pt', 7, 'k', 'r', 0, 1, 0.0);
UPDATE analyses SET error = '{"code":"malformed_file","detail":"Broken."}';
INSERT INTO parts (analysis_id, position, name, bytes, blake3) VALUES ('01a', 0, 'a.pt', 7, 'b');
"""


@pytest.fixture
def old(settings):
    """A database of schema 1 with one analysis in it."""
    with sqlite3.connect(settings.data_dir / "weighbridge.db") as raw:
        raw.executescript(SCHEMA_1 + ROW)
    return settings


def described(settings):
    """Everything about tables, columns, foreign keys and indexes."""
    with sqlite3.connect(settings.data_dir / "weighbridge.db") as raw:
        names = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        facts = {name: sorted(column[1:] for column in raw.execute(f"PRAGMA table_info({name})")) for name in names}
        keys = {name: sorted(key[2:] for key in raw.execute(f"PRAGMA foreign_key_list({name})")) for name in names}
        indexes = sorted(
            (name, *(column[2] for column in raw.execute(f"PRAGMA index_info({name})")))
            for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        )
        return facts, keys, indexes, raw.execute("PRAGMA user_version").fetchone()


def test_an_old_database_becomes_like_a_new_one(old, tmp_path):
    """Column by column, with defaults, foreign keys and indexes."""
    (tmp_path / "new").mkdir()
    open_database(old).close()
    fresh = type(old)(data_dir=tmp_path / "new")
    open_database(fresh).close()
    assert described(old) == described(fresh)


def test_what_an_old_version_stored_is_still_understood(old):
    """Without options, in no lane of its own, and with its error as it was said."""
    database = open_database(old)
    found = catalogue.get(database, "01a")
    assert (found.state, found.options, found.progress, found.parent_id) == ("failed", Options(), None, None)
    assert (found.error.code, str(found.error.detail)) == ("malformed_file", "Broken.")
    assert [item.id for item in catalogue.page(database, limit=5, before=None, filters={})] == ["01a"]
    database.close()


def test_opening_twice_changes_nothing(old):
    """Steps are taken once."""
    open_database(old).close()
    before = described(old)
    open_database(old).close()
    assert described(old) == before


OLDER = """
INSERT INTO analyses (id, state, created_at, name, bytes, key, request_id, cached, attempts, available_at, work, lane,
    options) VALUES ('02b', 'queued', 2.5, 'b.pt', 7, 'k2', 'r', 0, 0, 1700000000.0, 'read', 'quick', '{}');
INSERT INTO parts (analysis_id, position, name, bytes, blake3) VALUES ('02b', 0, 'b.pt', 7, 'c');
UPDATE analyses SET state = 'running', owner = '1-a', attempts = attempts + 1, lease_until = 1.0 WHERE id = '02b';
INSERT INTO reports (body, size, etag) VALUES ('', 0, 'e');
UPDATE analyses SET state = 'succeeded', report_id = 1, finished_at = 3.0, owner = NULL WHERE id = '02b';
DELETE FROM analyses WHERE id = '02b';
"""
"""What a service of schema 2 says to its database."""
READ = """
SELECT id, state, created_at, finished_at, name, bytes, key, request_id, format, framework, cached, report_id, error,
    attempts, available_at, owner, lease_until, work, lane, options, progress, parent_id, left_id, right_id
FROM analyses
"""


def test_an_older_service_goes_on_working_on_a_newer_schema(settings, add):
    """Every statement of schema 2 still does what it did, and the service that made them may be started again."""
    added = add()
    with sqlite3.connect(settings.data_dir / "weighbridge.db") as raw:
        assert raw.execute("PRAGMA user_version").fetchone() == (2,)
        raw.executescript(OLDER)
        assert raw.execute(READ).fetchone()[0] == added.id


def test_a_schema_that_only_a_newer_service_knows_is_refused(settings, database):
    """What it only adds to is worked with and left as it is; beyond that it is said which version to start."""
    with sqlite3.connect(settings.data_dir / "weighbridge.db") as raw:
        raw.execute("UPDATE grown SET version = ?", (SCHEMA + 5,))
    open_database(settings).close()
    with sqlite3.connect(settings.data_dir / "weighbridge.db") as raw:
        assert raw.execute("SELECT version FROM grown").fetchone() == (SCHEMA + 5,)
        raw.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    with pytest.raises(TooNewError, match="Start the newer version"):
        open_database(settings)


def test_steps_only_add():
    """Else an older service that still runs would break: new columns have a default or may be empty."""
    for statement in itertools.chain(*STEPS[OLDEST - 1 :]):
        said = " ".join(statement.split())
        assert re.match(r"(CREATE (TABLE|INDEX)|INSERT INTO|ALTER TABLE \w+ ADD COLUMN) ", said), said
        if " ADD COLUMN " in said and "NOT NULL" in said:
            assert " DEFAULT " in said, said
