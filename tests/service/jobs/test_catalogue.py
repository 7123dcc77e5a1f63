"""Analyses found, listed and removed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from sqlalchemy import update

from service.errors import NotFound, ReportDamaged
from service.jobs import catalogue, queue
from service.jobs.tables import reports
from service.pressed import unpress


def finish(database, job, body=b'{"model":1}'):
    queue.succeed(database, "me", job, [body], {"format": "fake", "framework": "keras"})
    return catalogue.get(database, job.id)


def test_pages_are_newest_first_and_filtered(database, add):
    """By state, name, format and the hash of a file; the cursor continues where the page ended."""
    made = [add(f"content {number}".encode(), name=f"{number}.pt") for number in range(5)]
    finish(database, queue.claim(database, "me", made[2].id))
    everything = catalogue.page(database, limit=10, before=None, filters={})
    assert [item.id for item in everything] == [item.id for item in reversed(made)]
    assert catalogue.page(database, limit=2, before=made[3].id, filters={}) == everything[2:4]
    for filters in ({"state": "succeeded"}, {"name": "2.pt"}, {"format": "fake"}, {"sha256": made[2].parts[0].sha256}):
        assert [item.id for item in catalogue.page(database, limit=10, before=None, filters=filters)] == [made[2].id]


def test_removing_takes_the_upload_and_the_report_unless_another_needs_them(database, blobs, add):
    """Content and report go with the last analysis that names them."""
    first = finish(database, add(owner="me"))
    second = add()
    digest = first.parts[0].blake3
    assert catalogue.remove(database, blobs, first.id)
    assert blobs.path(digest).exists()
    assert catalogue.report(database, second.report_id).size == 11
    assert catalogue.remove(database, blobs, second.id)
    assert not blobs.path(digest).exists()
    assert not catalogue.remove(database, blobs, second.id)
    assert catalogue.count_by_state(database) == {}


def test_an_analysis_goes_even_if_its_files_cannot(database, blobs, add, monkeypatch):
    """A disk that takes no change keeps them until the next sweep; nobody can ask for them any more."""
    found = finish(database, add(owner="me"))

    def refused(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "rename", refused)
    assert catalogue.remove(database, blobs, found.id)
    assert catalogue.get(database, found.id) is None
    assert list(blobs.stored()) == [found.parts[0].blake3]


def test_a_report_is_stored_pressed(database, add):
    """With its size and an entity tag of the content."""
    found = finish(database, add(owner="me"), b"x" * 1000)
    stored = catalogue.report(database, found.report_id)
    assert unpress(stored.body, stored.size) == b"x" * 1000
    assert stored.size == 1000
    assert len(stored.body) < 100


def test_a_forgotten_sha256_is_found_by_age(database, add):
    """Only files that lack it, and only after the time in which somebody may still be computing it."""
    add(b"known")
    missing = add(b"missing", sha256=False)
    assert catalogue.without_sha256(database, older_than=60) is None
    found = catalogue.without_sha256(database, older_than=-1)
    assert found is not None
    assert found.blake3 == missing.parts[0].blake3


def test_counting_by_state(database, add):
    """For the metrics."""
    add(b"1", owner="me")
    add(b"2")
    add(b"3")
    assert catalogue.count_by_state(database) == {"running": 1, "queued": 2}


def test_a_report_that_the_disk_has_changed_is_never_served(database, add):
    """Whoever asked fails with that, all that shared it too; and the same content is then read again."""
    first = finish(database, add(owner="me"), b"x" * 1000)
    second = add()
    with database.writing() as connection:
        body = bytearray(connection.execute(reports.select()).mappings().one()["body"])
        body[len(body) // 2] ^= 1
        connection.execute(update(reports).values(body=bytes(body)))
    with pytest.raises(ReportDamaged):
        catalogue.report(database, first.report_id)
    for job in (first, second):
        found = catalogue.get(database, job.id)
        assert (found.state, found.error.code, found.report_id) == ("failed", "report_damaged", None)
    assert add(owner="me").state == "running"


def test_a_report_that_was_deleted_while_it_was_asked_for_is_not_found(database, blobs, add):
    """No bug of ours, though its number was good a moment ago."""
    found = finish(database, add(owner="me"))
    catalogue.remove(database, blobs, found.id)
    with pytest.raises(NotFound):
        catalogue.report(database, found.report_id)
