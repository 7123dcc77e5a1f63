"""Jobs accepted: durable, answered at once where that is possible, refused whole where they cannot be."""

from __future__ import annotations

import contextlib
import time

import pytest
from sqlalchemy import update

from service import faults
from service.errors import (
    ErrorInfo,
    LeftGone,
    NotFinished,
    NotFound,
    Overloaded,
    QuotaExceeded,
    RightGone,
    ServiceError,
    StorageFull,
    UploadGone,
)
from service.jobs import acceptance, catalogue, queue
from service.jobs import blobs as blobs_module
from service.jobs.acceptance import Terms
from service.jobs.blobs import Incoming
from service.jobs.identifiers import new_id
from service.jobs.records import Analysis, ComparisonJob, Options, Part, result_key
from service.jobs.tables import analyses
from service.language import msg

STATS = Options(stats=True)
TERMS = Terms(max_queued=100)


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


def test_one_account_cannot_fill_the_queue(database, blobs, add):
    """Beyond its own limit it is refused, and the others are not; without keys there are no accounts, and no limit."""
    for content in (b"one", b"two"):
        add(content, account="ann", max_of_account=2)
    with pytest.raises(QuotaExceeded) as caught:
        add(b"three", account="ann", max_of_account=2)
    assert caught.value.info.extra["limit"] == "max_queued_jobs_per_account"
    assert caught.value.info.extra["retry_after"] > 0
    add(b"four", account="bob", max_of_account=2)
    for number in range(3):
        add(b"%d" % number, max_of_account=2)


def test_the_order_of_writes_survives_the_loss_of_power(database, blobs, monkeypatch):
    """File synced, then named; folders synced; only then the row committed: nobody is told of what may be gone."""
    done = []
    note = lambda name, action: lambda *given: (done.append(name), action(*given))[1]  # noqa: E731
    monkeypatch.setattr(blobs_module.os, "fsync", note("fsync", blobs_module.os.fsync))
    monkeypatch.setattr(blobs_module.Path, "replace", note("rename", blobs_module.Path.replace))
    monkeypatch.setattr(faults, "point", done.append)
    with Incoming(blobs) as file:
        file.write(b"content")
        file.finish()
        add_file(database, file)
    order = [name for name in done if name in ("fsync", "rename", "row.written", "row.committed")]
    assert order == ["fsync", "fsync", "rename", "fsync", "row.written", "row.committed"]


def add_file(database, *files, terms=TERMS):
    parts = tuple(
        Part(name=f"{number}", bytes=file.size, blake3=file.digest, sha256=file.sha256())
        for number, file in enumerate(files)
    )
    new = Analysis(
        id=new_id(), state="queued", created_at=time.time(), name="n", bytes=1, key=result_key(parts, "1"), parts=parts
    )
    return acceptance.add(database, new, files, terms)


@pytest.mark.parametrize("point", ["blob.open", "blob.write", "blob.written", "blob.fsynced", "blob.place"])
@pytest.mark.parametrize(("number", "error"), [("ENOSPC", StorageFull), ("EROFS", ServiceError), ("EIO", ServiceError)])
def test_a_disk_that_fails_at_any_write_leaves_nothing_behind(database, blobs, armed, point, number, error):
    """Neither a row nor a file; and the next try succeeds."""
    (armed / f"{point}.once").write_text(f"errno {number}")
    for attempt in range(2):
        with contextlib.ExitStack() as stack:
            if not attempt:
                stack.enter_context(pytest.raises(error))
            file = stack.enter_context(Incoming(blobs))
            file.write(b"content")
            file.finish()
            add_file(database, file)
        assert not list(blobs.temporary.iterdir())
        assert len(list(blobs.stored())) == attempt
    assert catalogue.count_by_state(database) == {"queued": 1}


def test_a_database_without_room_refuses_what_it_cannot_note(database, blobs, add):
    """SQLite's own word for it; what was placed is no row's, and is swept."""
    with database.writing() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    for number in range(100):
        try:
            add(b"content %d" % number, name="n" * 4000)
        except StorageFull:
            break
    else:
        pytest.fail("it never filled up")
    with database.writing() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    assert add(b"content 1").state == "queued"


def compare(database, blobs, left, right, *, values=False, terms=TERMS, sides=()):
    new = ComparisonJob(
        id=new_id(), state="queued", created_at=time.time(), left_id=left.id, right_id=right.id, values=values
    )
    return acceptance.add_comparison(database, blobs, new, sides, terms)


@pytest.mark.parametrize(("gone", "error"), [(0, LeftGone), (1, RightGone)])
def test_values_are_compared_only_of_uploads_that_are_there(database, blobs, add, gone, error):
    """A clear refusal at once, naming the side; the structure is compared without them."""
    both = [finish(database, add(text, owner="me")) for text in (b"left", b"right")]
    blobs.path(both[gone].parts[0].blake3).unlink()
    with pytest.raises(error, match="no longer stored"):
        compare(database, blobs, *both, values=True)
    assert compare(database, blobs, *both)[0].state == "queued"


def test_two_uploads_and_their_comparison_are_accepted_together(database, blobs):
    """All three or none: a queue that is too full for the last keeps none of them."""
    for maximum, expected in ((2, {}), (3, {"queued": 3})):
        with contextlib.ExitStack() as stack:
            sides = []
            for text in (b"left", b"right"):
                file = stack.enter_context(Incoming(blobs))
                file.write(text)
                file.finish()
                part = Part(name="a", bytes=file.size, blake3=file.digest)
                side = Analysis(
                    id=new_id(), state="queued", created_at=time.time(), name="a", bytes=4,
                    key=result_key((part,), "1"), parts=(part,),
                )  # fmt: skip
                sides.append((side, [file]))
            with contextlib.suppress(Overloaded):
                terms = Terms(max_queued=maximum)
                compare(database, blobs, sides[0][0], sides[1][0], terms=terms, sides=sides)
        assert catalogue.count_by_state(database) == expected
        assert len(list(blobs.stored())) == (2 if expected else 0)


def derive(database, blobs, parent, **terms):
    return acceptance.derive(database, blobs, parent, STATS, Terms(max_queued=100, **terms))


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
    blobs.path(parent.parts[0].blake3).unlink()
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
            past = analyses.c.kept_from - acceptance.FAILED_AGAIN_SECONDS - 1
            connection.execute(update(analyses).where(analyses.c.id == child.id).values(kept_from=past))
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
