"""Analyses added, found, listed and removed."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import update

from service.errors import ErrorInfo, NotFinished, NotFound, Overloaded, UploadGone
from service.jobs import catalogue, queue
from service.jobs.records import Options
from service.jobs.tables import analyses
from service.language import msg
from service.pressed import unpress

STATS = Options(stats=True)


def finish(database, job, body=b'{"model":1}'):
    queue.succeed(database, "me", job, [body], {"format": "fake", "framework": "keras"})
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
    queue.fail(database, "me", job, ErrorInfo(code="malformed_file", detail=msg("Broken.")))
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
    assert catalogue.lease() > time.monotonic()


def derive(database, blobs, parent, **arguments):
    return catalogue.derive(database, blobs, parent, STATS, **{"max_queued": 100, **arguments})


def test_statistics_of_a_finished_analysis_are_a_job_of_their_own(database, blobs, add):
    """With the same files and the options asked for; not listed; found by its name; made once."""
    parent = finish(database, add(owner="me"))
    child = derive(database, blobs, parent, owner="me")
    assert (child.state, child.options, child.parent_id, child.parts) == ("running", STATS, parent.id, parent.parts)
    assert child.progress is None
    assert catalogue.get(database, child.id).progress == 0.0
    assert derive(database, blobs, parent).id == child.id
    assert finish(database, child).state == "succeeded"
    assert derive(database, blobs, parent).report_id == catalogue.get(database, child.id).report_id
    assert [item.id for item in catalogue.page(database, limit=10, before=None, filters={})] == [parent.id]


def test_an_analysis_with_statistics_needs_no_other(database, blobs, add):
    """It is its own answer; and what it found answers for the same content analysed without."""
    measured = finish(database, add(owner="me", options=STATS))
    assert derive(database, blobs, measured) is measured
    plain = finish(database, add(owner="me"))
    assert plain.report_id != measured.report_id
    child = derive(database, blobs, plain)
    assert (child.state, child.cached, child.report_id) == ("succeeded", True, measured.report_id)


def test_statistics_go_with_their_analysis(database, blobs, add):
    """Row, report and content; a job that still runs loses its row, and so is called off."""
    for finished in (True, False):
        parent = finish(database, add(owner="me"))
        child = derive(database, blobs, parent, owner="me")
        if finished:
            finish(database, child, b'{"stats":1}')
        assert catalogue.remove(database, blobs, parent.id)
        assert catalogue.get(database, child.id) is None
        assert queue.still_mine(database, "me") == set()
        assert not list(blobs.stored())
        assert catalogue.count_by_state(database) == {}
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM reports").scalar() == 0


def test_statistics_need_a_finished_analysis_and_its_upload(database, blobs, add):
    """Each lack has its own error, and nothing is queued."""
    waiting = add(b"waiting")
    with pytest.raises(NotFinished):
        derive(database, blobs, waiting)
    parent = finish(database, add(owner="me"))
    blobs.remove(parent.parts[0].blake3)
    with pytest.raises(UploadGone):
        derive(database, blobs, parent)
    catalogue.remove(database, blobs, parent.id)
    with pytest.raises(NotFound):
        derive(database, blobs, parent)
    assert catalogue.count_by_state(database) == {"queued": 1}


def test_a_failure_of_the_upload_is_told_again_and_one_of_ours_for_a_while(database, blobs, add):
    """Asking again does not read a broken file again; a worker that was away is tried anew after a minute."""
    parent = finish(database, add(owner="me"))
    for code, again in (("malformed_file", False), ("worker_unavailable", True)):
        child = derive(database, blobs, parent, owner="me")
        queue.fail(database, "me", child, ErrorInfo(code=code, detail=msg("Broken.")))
        assert derive(database, blobs, parent).error.code == code
        with database.writing() as connection:
            past = time.time() - catalogue.FAILED_AGAIN_SECONDS - 1
            connection.execute(update(analyses).where(analyses.c.id == child.id).values(finished_at=past))
        assert (derive(database, blobs, parent).id != child.id) == again
        if not again:
            with database.writing() as connection:
                connection.execute(analyses.delete().where(analyses.c.id == child.id))


def test_statistics_that_were_called_off_are_made_anew(database, blobs, add):
    """Nobody asked for their end who asks for them now."""
    parent = finish(database, add(owner="me"))
    child = derive(database, blobs, parent)
    catalogue.remove(database, blobs, child.id)
    assert catalogue.get(database, child.id).state == "cancelled"
    again = derive(database, blobs, parent)
    assert (again.state, again.id != child.id) == ("queued", True)
    assert catalogue.get(database, child.id) is None
    assert blobs.path(parent.parts[0].blake3).exists()
