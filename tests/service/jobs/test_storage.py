"""What is kept, for how long, and what makes room."""

from __future__ import annotations

import threading
import time

import msgspec
import pytest
from sqlalchemy import update

from service.errors import StorageFull, UploadGone
from service.jobs import acceptance, catalogue, comparisons, marks, queue, storage
from service.jobs.acceptance import Terms
from service.jobs.blobs import Blobs, Incoming
from service.jobs.database import open_database
from service.jobs.idempotency import Once
from service.jobs.identifiers import new_id
from service.jobs.records import ComparisonJob, Options
from service.jobs.storage import Storage
from service.jobs.tables import analyses, idempotency_keys, uploads

STATS = Options(stats=True)
TERMS = Terms(max_queued=100)
HOUR = 3600.0


@pytest.fixture
def keeper(settings, database, blobs):
    """`keeper(keep_uploads_seconds=60.0)` is a storage with those settings."""

    def do(**changes):
        return Storage(msgspec.structs.replace(settings, min_free_disk_bytes=0, **changes), database, blobs)

    return do


@pytest.fixture
def older(database):
    """`older(seconds)` makes all that is kept so much older."""

    def do(seconds):
        with database.writing() as connection:
            connection.execute(update(uploads).values(used_at=uploads.c.used_at - seconds))
            connection.execute(update(analyses).values(kept_from=analyses.c.kept_from - seconds))
            connection.execute(update(idempotency_keys).values(kept_from=idempotency_keys.c.kept_from - seconds))

    return do


@pytest.fixture
def finish(database):
    def do(job, body=b'{"model":1}'):
        facts = {} if isinstance(job, ComparisonJob) else {"format": "fake", "framework": "keras"}
        queue.succeed(database, "me", job, [body], facts)
        return queue.get(database, job.id)

    return do


def test_an_upload_is_kept_for_its_time_after_its_last_use_and_its_report_for_longer(
    database, blobs, add, keeper, older, finish
):
    """A use is an upload, statistics, an end of a job; then it goes, and what needs it is refused clearly."""
    found = finish(add(owner="me"))
    older(HOUR - 60)
    child = acceptance.derive(database, blobs, found, STATS, Terms(max_queued=9, owner="me"))
    older(HOUR - 60)
    assert keeper().sweep().uploads == 0  # the job that reads it is not done
    finish(child)
    older(HOUR - 60)
    assert keeper().sweep().uploads == 0
    older(120)
    assert keeper().sweep().uploads == 1
    assert not list(blobs.stored())
    assert not list(blobs.temporary.iterdir())
    assert catalogue.report(database, found.report_id).size == 11
    other = msgspec.structs.replace(found, options=Options())
    with database.writing() as connection:
        connection.execute(analyses.delete().where(analyses.c.id == child.id))
    with pytest.raises(UploadGone):
        acceptance.derive(database, blobs, other, STATS, TERMS)
    assert add().cached
    assert len(list(blobs.stored())) == 1


def test_for_ever_is_for_ever(add, keeper, older, finish):
    """0 seconds, of uploads and of reports."""
    finish(add(owner="me"))
    older(1e9)
    swept = keeper(keep_uploads_seconds=0.0, keep_reports_seconds=0.0).sweep()
    assert (swept.uploads, swept.jobs) == (0, 0)


def test_what_a_comparison_of_values_waits_for_stays(database, blobs, add, keeper, older, finish):
    """However long it waits; and goes after it."""
    both = [finish(add(text, owner="me")) for text in (b"left", b"right")]
    new = ComparisonJob(
        id=new_id(), state="queued", created_at=time.time(), left_id=both[0].id, right_id=both[1].id, values=True
    )
    made, _ = acceptance.add_comparison(database, blobs, new, (), Terms(max_queued=9, owner="me"))
    older(2 * HOUR)
    assert keeper().sweep().uploads == 0
    finish(made)
    assert keeper().sweep().uploads == 0
    older(2 * HOUR)
    assert keeper().sweep().uploads == 2


def test_reports_analyses_and_comparisons_go_after_their_time_whatever_their_end(
    database, blobs, add, keeper, older, finish
):
    """With statistics made of them, and uploads that nobody needs any more; what is not finished stays."""
    left, right = (finish(add(text, owner="me")) for text in (b"left", b"right"))
    finish(acceptance.derive(database, blobs, left, STATS, Terms(max_queued=9, owner="me")), b'{"stats":1}')
    new = ComparisonJob(id=new_id(), state="queued", created_at=0.0, left_id=left.id, right_id=right.id)
    finish(acceptance.add_comparison(database, blobs, new, (), Terms(max_queued=9, owner="me"))[0], b'{"both":1}')
    waiting, cancelled = add(b"waiting"), add(b"cancelled")
    catalogue.remove(database, blobs, cancelled.id)
    older(29 * 24 * HOUR)
    assert keeper(keep_uploads_seconds=0.0).sweep().jobs == 0
    older(2 * 24 * HOUR)
    assert keeper(keep_uploads_seconds=0.0).sweep().jobs == 5
    assert catalogue.count_by_state(database) == {"queued": 1}
    assert list(blobs.stored()) == [waiting.parts[0].blake3]
    assert comparisons.get(database, new.id) is None
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM reports").scalar() == 0


def test_many_go_in_pieces_that_let_others_write_in_between(database, add, keeper, older, finish, monkeypatch):
    """All of them, however many there are."""
    monkeypatch.setattr(storage.uploads, "AT_ONCE", 3)
    for number in range(7):
        finish(add(b"%d" % number, owner="me"))
    older(31 * 24 * HOUR)
    swept = keeper().sweep()
    assert (swept.jobs, swept.uploads) == (7, 0)
    assert catalogue.count_by_state(database) == {}
    for number in range(7):
        finish(add(b"%d" % number, owner="me"))
    older(2 * HOUR)
    assert keeper().sweep().uploads == 7


def test_what_an_older_service_wrote_counts_from_now(database, blobs, add, keeper, older, finish):
    """Its rows do not say how old they are, nor does it know the table of uploads."""
    found = finish(add(owner="me"))
    with database.writing() as connection:
        connection.execute(update(analyses).values(kept_from=None))
        connection.execute(uploads.delete())
    keeping = keeper()
    keeping.sweep()
    assert list(blobs.stored()) == [found.parts[0].blake3]
    older(31 * 24 * HOUR)
    swept = keeping.sweep()
    assert (swept.jobs, list(blobs.stored())) == (1, [])


def test_orphans_of_a_crash_are_removed_and_what_is_needed_stays(blobs, add, keeper):
    """A placed file without a row goes, while the service runs."""
    kept = add(b"kept")
    stray = blobs.path("0" * 64)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"stray")
    assert keeper().sweep().orphans == 1
    assert list(blobs.stored()) == [kept.parts[0].blake3]


def test_dead_processes_leave_nothing(settings, blobs, keeper, add):
    """Their temporary files, and then their marks; of those that live and of those whose jobs are not taken up, all."""
    ended, busy = Blobs(settings.data_dir).mark, Blobs(settings.data_dir).mark
    folder = settings.data_dir / marks.FOLDER
    folder.mkdir(exist_ok=True)
    for mark in (ended, busy):
        (folder / mark.name).touch()
        (blobs.temporary / f"{mark.name}.x.part").write_bytes(b"x")
    add(owner=busy.name)
    with Incoming(blobs):
        assert keeper().sweep().temporary == 2
        assert {file.name for file in folder.iterdir()} == {busy.name, blobs.mark.name}


def test_old_keys_are_forgotten(database, add, keeper, older):
    """After the time that is set."""
    add(once=Once(name="k", seconds=10.0))
    assert keeper(idempotency_seconds=10.0).sweep().keys == 0
    older(11.0)
    assert keeper(idempotency_seconds=10.0).sweep().keys == 1


@pytest.fixture
def exact(monkeypatch):
    """Not a byte more is freed than is asked for."""
    monkeypatch.setattr(storage, "SLACK", 1 << 60)


@pytest.mark.usefixtures("exact")
def test_room_is_made_by_what_is_longest_unused(database, blobs, add, keeper, older, finish):
    """For as many bytes as are announced; else the limit is named, and nothing is taken away in vain."""
    for number in range(4):
        finish(add(bytes([number]) * 1000, owner="me"))
        older(1.0)
    with database.reading() as connection:
        base = database.used_bytes(connection)
    keeping = keeper(max_stored_bytes=base + 4500)
    keeping.require_room(400)
    assert len(list(blobs.stored())) == 4
    keeping.require_room(2000)
    assert {blobs.path(digest).read_bytes()[0] for digest in blobs.stored()} == {2, 3}
    with pytest.raises(StorageFull) as caught:
        keeping.require_room(4501)
    assert caught.value.info.extra["limit"] == "max_stored_bytes"
    assert len(list(blobs.stored())) == 2


def test_room_is_made_for_more_than_one(database, blobs, add, keeper, older, finish):
    """Else each upload would have to look for what may go."""
    for number in range(64):
        finish(add(bytes([number]) * 10_000, owner="me"))
    with database.reading() as connection:
        base = database.used_bytes(connection)
    keeper(max_stored_bytes=base + 640_000).require_room(1)
    assert 58 <= len(list(blobs.stored())) <= 62


def test_what_was_just_taken_in_counts_although_the_sum_is_older(database, blobs, add, keeper):
    """Between two sums uploads of this process are added; near the limit the sum is always taken."""
    with database.reading() as connection:
        base = database.used_bytes(connection)
    keeping = keeper(max_stored_bytes=2 * base)
    keeping.require_room(0)
    add(b"x" * base)
    keeping.note_stored(base)
    with pytest.raises(StorageFull):
        keeping.require_room(1)
    with database.writing() as connection:
        connection.execute(uploads.delete())
    keeping.require_room(base // 2)


def test_what_arrives_counts_as_stored(database, blobs, keeper):
    """Uploads that come together cannot each take the same room."""
    with database.reading() as connection:
        base = database.used_bytes(connection)
    with Incoming(blobs) as file:
        file.write(b"x" * 1000)
        with pytest.raises(StorageFull):
            keeper(max_stored_bytes=base + 1500).require_room(600)
    keeper(max_stored_bytes=base + 1500).require_room(600)


def test_a_disk_that_fills_up_is_made_room_on(blobs, add, keeper, finish, monkeypatch):
    """Whoever fills it: what nobody needs goes, and if that is not enough, uploads are refused."""
    finish(add(b"idle" * 1000, owner="me"))
    waiting = add(b"waiting")
    size = 4000
    monkeypatch.setattr(blobs, "free_bytes", lambda: 9000 if len(list(blobs.stored())) == 2 else 9000 + size)
    keeping = keeper()
    keeping.require_room(9000)
    assert len(list(blobs.stored())) == 2
    keeping.require_room(12000)
    assert list(blobs.stored()) == [waiting.parts[0].blake3]
    with pytest.raises(StorageFull) as caught:
        keeping.require_room(14000)
    assert caught.value.info.extra["limit"] == "min_free_disk_bytes"


def test_a_sweep_makes_room_before_anybody_asks(database, blobs, add, keeper, finish):
    """A quota that was lowered is kept to."""
    finish(add(b"idle" * 1000, owner="me"))
    keeper(max_stored_bytes=1).sweep()
    assert not list(blobs.stored())


def test_a_sweep_is_a_sign_of_life(keeper, database):
    """Any process can tell how long ago it was."""
    keeping = keeper()
    keeping.sweep()
    assert keeping.swept_ago() < 60.0
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE ages SET age = age - 1000")
    assert keeping.swept_ago() > 999.0


def test_deletion_never_crosses_an_upload_of_the_same_content(settings, add, finish):
    """Two processes, one that uploads and one that deletes, a hundred times: what was accepted last is there."""
    other = open_database(settings)
    mine = Blobs(settings.data_dir)
    failed = []

    def sweep():
        keeping = Storage(msgspec.structs.replace(settings, keep_uploads_seconds=1e-6), other, mine)
        for _ in range(100):
            keeping.sweep()

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    while sweeper.is_alive():
        job = add(b"the same")
        if not job.final and not mine.path(job.parts[0].blake3).exists():
            failed.append(job)
        if queue.claim(other, "me", job.id) is not None:
            mine_now = queue.get(other, job.id)
            if not mine.path(job.parts[0].blake3).exists():
                failed.append(job)
            queue.put_back(other, "me", mine_now, pause=0.0)
            catalogue.remove(other, mine, job.id)
            catalogue.remove(other, mine, job.id)
    sweeper.join()
    other.close()
    assert failed == []
