"""The engine of one process: runs, retries, cancels, takes up what others left."""

from __future__ import annotations

import functools

import pytest
from sqlalchemy import update

from service.jobs import catalogue, queue
from service.jobs.tables import analyses
from tests.fakes import wait_for
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


def test_a_worker_that_is_away_is_tried_again(parts, sandbox, accept, monkeypatch):
    """Twice away, then back: the third attempt succeeds."""
    monkeypatch.setattr(queue, "RETRY_SECONDS", (0.0, 0.0))
    sandbox.away = 2
    found = parts.engine.run(accept("away"), 20.0)
    assert (found.state, found.attempts) == ("succeeded", 3)


def test_a_worker_that_stays_away_fails_the_job_in_the_end(parts, sandbox, accept, monkeypatch):
    """After three attempts, with the reason."""
    monkeypatch.setattr(queue, "RETRY_SECONDS", (0.0, 0.0))
    sandbox.away = 100
    found = parts.engine.run(accept("away"), 20.0)
    assert (found.state, found.error.code, len(sandbox.runs)) == ("failed", "worker_unavailable", 3)


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


def test_an_upload_that_is_gone_fails_its_job_with_the_reason(parts, accept):
    """Its content was removed behind our back."""
    job = accept("model")
    parts.blobs.remove(job.parts[0].blake3)
    assert parts.engine.run(job, 10.0).error.code == "input_lost"
