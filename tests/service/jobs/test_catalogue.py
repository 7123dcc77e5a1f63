"""Analyses added, found, listed and removed."""

from __future__ import annotations

import gzip
import time

import pytest

from service.errors import ErrorInfo, Overloaded
from service.jobs import catalogue, queue


def finish(database, job, body=b'{"model":1}'):
    queue.succeed(database, "me", job, body, {"format": "fake", "framework": "keras"})
    return catalogue.get(database, job.id)


def test_an_accepted_analysis_is_found_whole(database, blobs, add):
    """Everything that was put in comes out, and the content is kept."""
    added = add(b"content", name="a.pt")
    found = catalogue.get(database, added.id)
    assert found == added
    assert found.state == "queued"
    assert not found.final
    assert blobs.path(found.parts[0].blake3).read_bytes() == b"content"


def test_an_analysis_for_an_idle_owner_runs_from_the_start(database, add):
    """No second write is needed to claim it; and nobody else can."""
    added = add(owner="me")
    assert (added.state, added.attempts) == ("running", 1)
    assert queue.claim(database, "other") is None
    assert finish(database, added).state == "succeeded"


def test_the_same_content_is_answered_from_the_stored_report(database, add):
    """Under another name too; marked cached; finished at once."""
    first = finish(database, add(owner="me"))
    second = add(name="b.pt", owner="me")
    assert (second.state, second.cached, second.report_id) == ("succeeded", True, first.report_id)
    assert (second.format, second.framework) == ("fake", "keras")
    assert catalogue.get(database, second.id) == second


def test_another_version_of_the_service_reads_again(database, add):
    """The key holds the version."""
    finish(database, add(owner="me"))
    assert add(version="2").state == "queued"


def test_a_failure_is_not_answered_from_store(database, add):
    """The next try may have more memory, or a better reader."""
    job = add(owner="me")
    queue.fail(database, "me", job, ErrorInfo(code="malformed_file", detail="Broken."))
    assert add().state == "queued"


def test_a_twin_of_a_running_analysis_waits_for_it(database, add):
    """It is not run beside the first, and is finished with it."""
    first, second = add(owner="me"), add(owner="me")
    assert second.state == "queued"
    assert queue.claim(database, "me", second.id) is None
    finish(database, first)
    found = catalogue.get(database, second.id)
    assert (found.state, found.cached) == ("succeeded", True)


def test_a_full_queue_refuses_and_keeps_nothing(database, blobs, add):
    """Beyond the limit of waiting analyses nothing is stored."""
    add(b"one", max_queued=1)
    with pytest.raises(Overloaded):
        add(b"two", max_queued=1)
    assert len(list(blobs.stored())) == 1


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


def test_orphans_of_a_crash_are_removed(database, blobs, add):
    """A placed file without a row goes; one with a row stays."""
    kept = add(b"kept")
    stray = blobs.path("0" * 64)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"stray")
    assert catalogue.remove_orphans(database, blobs) == 1
    assert list(blobs.stored()) == [kept.parts[0].blake3]


def test_a_report_is_stored_as_gzip_of_its_bytes(database, add):
    """With its size and an entity tag of the content."""
    found = finish(database, add(owner="me"), b"x" * 1000)
    stored = catalogue.report(database, found.report_id)
    assert gzip.decompress(stored.body) == b"x" * 1000
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
    assert catalogue.lease() > time.monotonic()
