"""A job's life: claimed once, finished once, retried, taken again after a crash."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import update

from service.errors import ErrorInfo
from service.jobs import catalogue, queue
from service.jobs.tables import analyses
from service.language import msg

BROKEN = ErrorInfo(code="malformed_file", detail=msg("Broken: {n}.", n=3), member="m", offset=3)
FACTS = {"format": "f", "framework": "keras"}


@pytest.fixture
def age(database):
    """`age(job, lease_until=...)` sets columns as time or a crash would."""

    def do(job, **columns):
        with database.writing() as connection:
            connection.execute(update(analyses).where(analyses.c.id == job.id).values(**columns))

    return do


def test_of_many_who_claim_one_gets_it(database, add):
    """Eight threads, one job."""
    job = add()
    got: list = []
    threads = [threading.Thread(target=lambda: got.append(queue.claim(database, "me", job.id))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [item.id for item in got if item is not None] == [job.id]


def test_fresh_jobs_are_left_to_who_accepted_them_and_old_ones_to_anybody(database, add, age):
    """Without a name only what was left waiting is claimed, the oldest first."""
    first, second = add(b"1"), add(b"2")
    assert not queue.has_queued(database)
    assert queue.claim(database, "me") is None
    age(second, created_at=0.0)
    age(first, created_at=0.0)
    assert queue.has_queued(database)
    assert queue.claim(database, "me").id == first.id
    assert queue.claim(database, "me").id == second.id


def test_a_failure_keeps_where_it_broke_and_ends_its_twins(database, add):
    """The error comes back field by field; a waiting twin fails with it."""
    job, twin = add(owner="me"), add()
    assert set(queue.fail(database, "me", job, BROKEN)) == {job.id, twin.id}
    for item in (job, twin):
        found = catalogue.get(database, item.id)
        assert (found.state, found.error, found.final) == ("failed", BROKEN, True)
        assert found.finished_at >= found.created_at


def test_only_the_owner_of_this_attempt_may_finish(database, add):
    """A result of a deleted job, of another owner, or of an attempt that was taken over, is dropped."""
    job = add(owner="me")
    assert queue.succeed(database, "other", job, [b"{}"], FACTS) == []
    queue.put_back(database, "me", job, pause=0.0)
    again = queue.claim(database, "me", job.id)
    assert queue.succeed(database, "me", job, [b"{}"], FACTS) == []
    assert queue.succeed(database, "me", again, [b"{}"], FACTS) == [job.id]
    assert queue.fail(database, "me", again, BROKEN) == []
    assert catalogue.get(database, job.id).state == "succeeded"


def test_a_retry_waits_for_its_pause_and_counts_unless_told(database, add):
    """A pause in the future keeps it from being claimed."""
    job = add(owner="me")
    queue.put_back(database, "me", job, pause=100.0)
    assert queue.claim(database, "me", job.id) is None
    assert catalogue.get(database, job.id).attempts == 1
    other = add(b"other", owner="me")
    queue.put_back(database, "me", other, pause=0.0, counted=False)
    assert queue.claim(database, "me", other.id).attempts == 1


def test_an_expired_lease_is_taken_up_again(database, add, age):
    """By time, or because it lies further ahead than any lease reaches: from before a reboot."""
    for lease_until in (0.0, 1e12, None):
        job = add(repr(lease_until).encode(), owner="dead")
        age(job, lease_until=lease_until)
        assert queue.recover(database, attempts=3) == []
        assert queue.claim(database, "me", job.id).attempts == 2


def test_a_renewed_lease_is_left_alone(database, add, age):
    """A living owner keeps his job."""
    job = add(owner="me")
    age(job, lease_until=0.0)
    queue.renew(database, "me")
    queue.recover(database, attempts=3)
    assert queue.still_mine(database, "me") == {job.id}


def test_a_job_that_kills_the_service_each_time_fails_in_the_end(database, add, age):
    """After all its attempts it is failed, with a reason."""
    job = add(owner="dead")
    age(job, lease_until=0.0, attempts=3)
    assert queue.recover(database, attempts=3) == [job.id]
    found = catalogue.get(database, job.id)
    assert (found.state, found.error.code, found.error.extra) == ("failed", "worker_crashed", {"attempts": 3})
