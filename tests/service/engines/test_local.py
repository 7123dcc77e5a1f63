"""The engine of one process: runs, retries, cancels, takes up what others left."""

from __future__ import annotations

import errno
import functools
import os
import threading
import time

import pytest
from sqlalchemy import update

from service import faults
from service.engines import retrying
from service.errors import ServiceError, WorkerUnavailable
from service.jobs import catalogue, marks, queue
from service.jobs.tables import analyses
from tests.fakes import MODEL, FakeSandbox, _outcome, wait_for
from tests.service.engines.parts import accepted, running


@pytest.fixture
def parts(tmp_path, sandbox):
    """A database, a blob folder, and a running engine of two threads."""
    with running(tmp_path, sandbox) as made:
        yield made


@pytest.fixture
def accept(parts):
    """`accept("model")` adds an analysis of that text, for the engine to run at once if it can."""
    return functools.partial(accepted, parts)


def test_a_job_is_run_and_waited_for(parts, accept):
    """The answer comes with the wait."""
    found = parts.engine.run(accept("model"), 10.0)
    assert (found.state, found.format) == ("succeeded", "fake")


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("bad", "malformed_file"),
        ("unknown", "unknown_format"),
        ("crash", "worker_crashed"),
        ("break", "internal_error"),
    ],
)
def test_a_failing_job_is_failed_at_once_with_its_code(parts, sandbox, accept, word, code):
    """Errors of content are never tried again; a bug of ours says nothing of its inside."""
    found = parts.engine.run(accept(word), 10.0)
    assert (found.state, found.error.code) == ("failed", code)
    assert len(sandbox.runs) == 1
    assert "/secret" not in str(found.error.detail)


@pytest.fixture
def hasty(monkeypatch):
    """Nothing waits for long before it is tried again."""
    monkeypatch.setattr(retrying, "RETRY_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(retrying, "WORKER_PAUSE", 0.0)
    monkeypatch.setattr(retrying, "STORAGE_PAUSE", 0.0)


@pytest.mark.usefixtures("hasty")
def test_a_worker_that_is_away_is_waited_for(parts, sandbox, accept):
    """However often it is asked: that is no attempt of the job's."""
    sandbox.away = 2
    found = parts.engine.run(accept("away"), 20.0)
    assert (found.state, found.attempts, len(sandbox.runs)) == ("succeeded", 1, 3)


@pytest.mark.usefixtures("hasty")
def test_a_worker_that_stays_away_fails_the_job_in_the_end(parts, sandbox, accept, monkeypatch):
    """After its time, with the reason."""
    monkeypatch.setattr(retrying, "WORKER_PATIENCE", 0.2)
    sandbox.away = 1000
    found = parts.engine.run(accept("away"), 20.0)
    assert (found.state, found.error.code, len(sandbox.runs) > 1) == ("failed", "worker_unavailable", True)


@pytest.mark.usefixtures("hasty")
def test_a_job_during_which_processes_die_gets_its_attempts_and_no_more(parts, sandbox, accept, monkeypatch):
    """It may be what kills them; or somebody else kills them, and then the next attempt is well."""
    monkeypatch.setattr(FakeSandbox, "_dies", _dies, raising=False)
    sandbox.deaths = 2
    found = parts.engine.run(accept("dies 1"), 20.0)
    assert (found.state, found.attempts) == ("succeeded", 3)
    sandbox.deaths = 1000
    found = parts.engine.run(accept("dies 2"), 20.0)
    attempts = parts.settings.job_attempts
    assert (found.state, found.error.code, found.attempts) == ("failed", "worker_unavailable", attempts)


def _dies(sandbox, _cancelled):
    if sandbox.deaths:
        sandbox.deaths -= 1
        raise WorkerUnavailable("Somebody killed it.", deaths=1)
    return sandbox._model(None)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("point", ["job.claimed", "job.disturbed", "report.storing"])
@pytest.mark.parametrize("number", ["EMFILE", "ENOSPC", "EIO"])
def test_what_the_service_lacks_for_a_moment_fails_no_job(parts, accept, monkeypatch, point, number):
    """Descriptors or memory before it begins or in its middle, or room for its report at its end: it is run again."""
    short = {"job.claimed": 3, "job.disturbed": 3, "report.storing": 3}

    def pass_point(name):
        if name == point and short[name]:
            short[name] -= 1
            raise OSError(getattr(errno, number), os.strerror(getattr(errno, number)))

    monkeypatch.setattr(faults, "point", pass_point)
    monkeypatch.setattr(FakeSandbox, "_model", lambda *_: (pass_point("job.disturbed"), _outcome(model=MODEL))[1])
    found = parts.engine.run(accept("model"), 20.0)
    assert (found.state, found.attempts, short[point]) == ("succeeded", 1, 0)


@pytest.mark.parametrize("action", ["succeed", "fail", "put_back"])
def test_an_end_that_cannot_be_written_down_is_no_end(parts, sandbox, accept, monkeypatch, action):
    """The database does not answer for a moment, just then: the job is put back when it does, and is run again."""
    failing = {"left": 2}
    real = getattr(queue, action)

    def fail(*given, **named):
        if failing["left"]:
            failing["left"] -= 1
            raise ServiceError("The database did not answer.")
        return real(*given, **named)

    monkeypatch.setattr(queue, action, fail)
    sandbox.away = action == "put_back"
    word = {"succeed": "model", "fail": "bad", "put_back": "away"}[action]
    found = parts.engine.run(accept(word), 20.0)
    assert (found.state, failing["left"]) == ("failed" if action == "fail" else "succeeded", 0)


def test_a_wait_that_ends_first_gives_the_job_as_it_is(parts, accept):
    """And a wait of no time at all too."""
    job = accept("hang")
    assert parts.engine.run(job, 0.0).state == "running"
    assert parts.engine.wait(job.id, 0.05).state == "running"


def test_deleting_a_running_job_kills_its_child_and_wakes_who_waits(parts, sandbox, accept):
    """The sandbox is told; the waiter learns that it was cancelled."""
    job = accept("hang")
    parts.engine.run(job, 0.0)
    wait_for(lambda: sandbox.runs)
    catalogue.remove(parts.database, parts.blobs, job.id)
    parts.engine.cancel(job.id)
    assert parts.engine.wait(job.id, 10.0).state == "cancelled"
    wait_for(lambda: sandbox.cancelled)


def test_a_deletion_by_another_process_is_noticed(parts, sandbox, accept):
    """Nobody tells this engine; it looks."""
    job = accept("hang")
    parts.engine.run(job, 0.0)
    wait_for(lambda: sandbox.runs)
    catalogue.remove(parts.database, parts.blobs, job.id)
    wait_for(lambda: sandbox.cancelled)


def test_jobs_that_nobody_handed_over_are_found(parts, accept):
    """Accepted by a process that died before it ran them."""
    job = accept("model", owner=False)
    assert parts.engine.wait(job.id, 10.0).state == "succeeded"


def test_a_job_of_a_dead_process_is_run_again(parts, accept):
    """Its lease has expired."""
    job = accept("model", owner=False)
    with parts.database.writing() as connection:
        connection.execute(
            update(analyses)
            .where(analyses.c.id == job.id)
            .values(state="running", owner="dead", attempts=1, lease_until=0.0)
        )
    found = parts.engine.wait(job.id, 10.0)
    assert (found.state, found.attempts) == ("succeeded", 2)


def test_two_attempts_of_a_job_in_one_process_both_come_to_their_end(parts, sandbox, accept, monkeypatch):
    """We stood still for longer than a lease, the job was given away and came back to us: the later one counts."""
    ends = []
    monkeypatch.setattr(parts.engine, "_observe", lambda _work, state, *_: ends.append(state))
    job = accept("hang")
    parts.engine.run(job, 0.0)
    wait_for(lambda: len(sandbox.runs) == 1)
    monkeypatch.setattr(queue, "still_mine", lambda *_: {job.id})  # nobody looks in the moment between
    with parts.database.writing() as connection:
        given_away = {"state": "queued", "owner": None, "lease_until": None}
        connection.execute(update(analyses).where(analyses.c.id == job.id).values(**given_away))
    wait_for(lambda: len(sandbox.runs) == 2)
    sandbox.release.set()
    found = parts.engine.wait(job.id, 10.0)
    assert (found.state, found.attempts) == ("succeeded", 2)
    wait_for(lambda: len(ends) == 2)
    assert sorted(ends) == ["cancelled", "succeeded"]


def test_more_jobs_than_threads_all_end(parts, accept):
    """Twenty at once, two at a time."""
    jobs = [accept(f"model {number}") for number in range(20)]
    for job in jobs:
        parts.engine.run(job, 0.0)
    assert all(parts.engine.wait(job.id, 20.0).state == "succeeded" for job in jobs)


def test_the_same_content_at_once_runs_once(parts, sandbox, accept):
    """The second waits for the first and gets its answer."""
    first, second = accept("hang"), accept("hang")
    parts.engine.run(first, 0.0)
    parts.engine.run(second, 0.0)
    wait_for(lambda: sandbox.runs)
    sandbox.release.set()
    assert parts.engine.wait(first.id, 10.0).state == "succeeded"
    assert parts.engine.wait(second.id, 10.0).cached
    assert len(sandbox.runs) == 1


def test_stopping_puts_running_jobs_back(parts, sandbox, accept):
    """Not counted as an attempt: the next process runs it."""
    job = accept("hang")
    parts.engine.run(job, 0.0)
    wait_for(lambda: sandbox.runs)
    parts.engine.stop(0.0)
    found = catalogue.get(parts.database, job.id)
    assert (found.state, found.attempts) == ("queued", 0)
    assert not marks.is_known(parts.blobs.root.parent, parts.blobs.mark.name)


def test_stopping_puts_back_what_had_not_begun(parts, sandbox, accept):
    """Leased to this process from the start, and behind others in its threads' queue."""
    jobs = [accept(f"hang {number}") for number in range(2)]
    late = accept("model late")
    with parts.database.writing() as connection:
        mine = {"state": "running", "owner": parts.blobs.mark.name, "attempts": 1, "lease_until": time.monotonic() + 9}
        connection.execute(update(analyses).where(analyses.c.id == late.id).values(**mine))
    for job in (*jobs, catalogue.get(parts.database, late.id)):
        parts.engine.run(job, 0.0)
    wait_for(lambda: len(sandbox.runs) == 2)
    parts.engine.stop(0.0)
    assert catalogue.count_by_state(parts.database) == {"queued": 3}


def test_draining_lets_nobody_wait_and_takes_nothing_for_itself(parts, sandbox, accept):
    """Who waits is told how far it is; what is accepted now is left for the next process, unless there is time."""
    job = accept("hang")
    waiting = threading.Thread(target=parts.engine.run, args=(job, 60.0))
    waiting.start()
    wait_for(lambda: sandbox.runs)
    parts.engine.drain()
    waiting.join(10.0)
    assert not waiting.is_alive()
    assert parts.engine.ready_owner() is None
    assert parts.engine.wait(job.id, 60.0).state == "running"


def test_a_waiting_request_is_told_what_is_known_where_the_database_does_not_answer(parts, accept, monkeypatch):
    """It was accepted: that is what the answer says."""
    job = accept("hang")
    monkeypatch.setattr(queue, "get", lambda *_: (_ for _ in ()).throw(ServiceError("It did not answer.")))
    assert parts.engine.run(job, 10.0) == job


def test_a_dead_process_s_jobs_are_taken_up_without_waiting_for_their_leases(parts, accept):
    """By its mark, which nobody holds any more."""
    job = accept("model", owner=False)
    (parts.blobs.root.parent / marks.FOLDER / "1-dead").touch()
    with parts.database.writing() as connection:
        taken = {"state": "running", "owner": "1-dead", "attempts": 1, "lease_until": time.monotonic() + 9}
        connection.execute(update(analyses).where(analyses.c.id == job.id).values(**taken))
    assert parts.engine.wait(job.id, 5.0).state == "succeeded"


def test_an_upload_that_is_gone_fails_its_job_with_the_reason(parts, accept):
    """Its content was removed behind our back; so it is with a database that was restored without its uploads."""
    job = accept("model")
    parts.blobs.path(job.parts[0].blake3).unlink()
    assert parts.engine.run(job, 10.0).error.code == "input_lost"
