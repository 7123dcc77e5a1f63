"""Rows as records: what cannot have been written is damage, and is told nobody."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import select

from service.errors import DatabaseDamaged, ReportDamaged, ServiceError
from service.jobs import catalogue, queue
from service.jobs.tables import analyses
from tests.torture import keeping_damage


def change(database, statement):
    """As a disk does that loses bits: behind the service's back."""
    with sqlite3.connect(database.file) as raw:
        raw.execute("PRAGMA foreign_keys = OFF")
        raw.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE analyses SET state = 'succeedeD'",
        "UPDATE analyses SET state = 'queued'",
        "UPDATE analyses SET report_id = NULL",
        "UPDATE analyses SET options = '{\"stats\":tru'",
        "UPDATE analyses SET error = '[]'",
        "UPDATE analyses SET created_at = 'x'",
        "UPDATE analyses SET name = CAST(x'ff' AS TEXT)",
        "UPDATE parts SET bytes = 'x'",
        "UPDATE parts SET blake3 = CAST(x'ff' AS TEXT)",
    ],
)
def test_a_row_that_nobody_wrote_so_is_damage(database, add, statement):
    """Told as that and noted: nothing more is promised until somebody has looked."""
    first = add(owner="me")
    queue.succeed(database, "me", first, [b"{}"], {})
    change(database, statement)
    with pytest.raises(DatabaseDamaged):
        catalogue.get(database, first.id)
    with pytest.raises(DatabaseDamaged):
        add(b"other")
    with pytest.raises(ServiceError):
        database.require_sound()


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("UPDATE reports SET body = CAST('{}' AS TEXT)", DatabaseDamaged),
        ("UPDATE reports SET hash = NULL, body = x'00'", ReportDamaged),
        ("UPDATE reports SET hash = NULL, body = x'1f8b'", ReportDamaged),
        ("UPDATE reports SET body = x'00'", ReportDamaged),
        ("UPDATE reports SET size = 'x'", DatabaseDamaged),
    ],
)
def test_a_report_that_nobody_stored_so_is_told_as_damaged(database, add, statement, error):
    """Never as a report."""
    first = add(owner="me")
    queue.succeed(database, "me", first, [b"{}"], {})
    report_id = catalogue.get(database, first.id).report_id
    change(database, statement)
    with pytest.raises(error):
        catalogue.report(database, report_id)


def test_a_report_that_two_different_jobs_name_is_told_to_neither(database, add):
    """One of them is led to the other's: which, nobody knows. Twins name the same."""
    first, second = (add(content, owner="me") for content in (b"first", b"second"))
    for job in (first, second):
        queue.succeed(database, "me", job, [b"{}"], {})
    twin = add(b"first")
    report_id = catalogue.get(database, first.id).report_id
    assert catalogue.get(database, twin.id).report_id == report_id
    assert catalogue.report(database, report_id).size == 2
    change(database, f"UPDATE analyses SET report_id = {report_id} WHERE id = '{second.id}'")  # noqa: S608
    with pytest.raises(DatabaseDamaged):
        catalogue.report(database, report_id)


def test_an_index_that_leads_to_another_row_is_damage(database, add, monkeypatch):
    """What comes back is not what was asked for."""
    first, second = add(b"first"), add(b"second")
    monkeypatch.setattr("service.jobs.rows._BY_ID", select(analyses).where(analyses.c.id == second.id))
    assert catalogue.get(database, second.id).id == second.id
    with pytest.raises(DatabaseDamaged):
        catalogue.get(database, first.id)


def test_of_damaged_databases_nothing_wrong_is_read(tmp_path):
    """Zeros and noise in one to ten places: each answer is right or a refusal, and no failure is a surprise."""
    expected = keeping_damage.make(tmp_path / "sound")
    right = refused = 0
    for seed in range(10):
        keeping_damage.harm(tmp_path / "sound", tmp_path / "harmed", seed)
        seen, bad = keeping_damage.read(tmp_path / "harmed", expected)
        assert bad == []
        right, refused = right + seen["right"], refused + seen["refused"]
    assert right > 0
    assert refused > 0
