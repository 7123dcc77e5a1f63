"""A job's life: claimed once, finished once, retried, taken again after a crash."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import select, update

from service.errors import ErrorInfo
from service.jobs import catalogue, queue
from service.jobs.tables import analyses, reports
from service.language import msg
from service.pressed import unpress
from tests.fakes import wait_for

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
    age(second, available_at=0.0)
    age(first, available_at=0.0)
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
    """A living owner keeps the jobs that he is at, and not those that he has lost sight of."""
    job = add(owner="me")
    other = add(b"other", owner="me")
    for each in (job, other):
        age(each, lease_until=0.0)
    queue.renew(database, "me", [job.id])
    queue.recover(database, attempts=3)
    assert queue.still_mine(database, "me") == {job.id}
    assert catalogue.get(database, other.id).state == "queued"


def test_a_job_that_kills_the_service_each_time_fails_in_the_end(database, add, age):
    """After all its attempts it is failed, with a reason."""
    job = add(owner="dead")
    age(job, lease_until=0.0, attempts=3)
    assert queue.recover(database, attempts=3) == [job.id]
    found = catalogue.get(database, job.id)
    assert (found.state, found.error.code, found.error.extra) == ("failed", "worker_crashed", {"attempts": 3})


def test_a_job_whose_processes_die_again_and_again_is_given_rest(database, add, age):
    """Longer each time, so that what kills the service leaves it time for others; the first death is nobody's fault."""
    pauses = []
    for attempts in (1, 2, 4, 50):
        job = add(b"%d" % attempts, owner="dead")
        age(job, lease_until=0.0, attempts=attempts)
        assert queue.recover(database, attempts=100) == []
        with database.reading() as connection:
            at = connection.execute(select(analyses.c.available_at).where(analyses.c.id == job.id)).scalar_one()
        pauses.append(round(at - time.monotonic()))
        assert (queue.claim(database, "me", job.id) is None) == (attempts > 1)
    assert pauses == [0, 5, 15, 60]


def test_a_dead_owner_s_jobs_are_taken_up_at_once(database, add):
    """His lease need not end first; a living one's is left alone."""
    dead, alive = add(b"1", owner="dead"), add(b"2", owner="alive")
    assert queue.recover(database, 3, lambda owner: owner == "dead") == []
    assert queue.claim(database, "me").id == dead.id
    assert queue.still_mine(database, "alive") == {alive.id}


def test_an_owner_who_ends_in_good_order_gives_all_back(database, add):
    """To be taken at once by anybody, and not counted as an attempt."""
    job = add(owner="me")
    queue.give_back(database, "me")
    assert queue.claim(database, "other").attempts == 1
    assert not queue.has_running(database, "me")
    assert queue.has_running(database, "other")
    assert queue.succeed(database, "me", job, [b"{}"], FACTS) == []


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_clock_that_jumps_neither_delays_nor_ends_anything(database, add, monkeypatch, jump):
    """Leases, pauses and what was left waiting go by a clock that nobody sets; nothing ends before it began."""
    running, left, retried = add(b"1", owner="me"), add(b"2"), add(b"3", owner="me")
    queue.put_back(database, "me", retried, pause=0.0)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + jump)
    assert queue.recover(database, attempts=3) == []
    assert queue.still_mine(database, "me") == {running.id}
    assert queue.claim(database, "me").id == retried.id
    wait_for(lambda: queue.has_queued(database))
    assert queue.claim(database, "me").id == left.id
    queue.succeed(database, "me", running, [b"{}"], FACTS)
    found = catalogue.get(database, running.id)
    assert found.finished_at >= found.created_at


def test_times_that_an_older_service_wrote_do_not_make_a_job_wait(database, add, age):
    """It told by the wall clock until when: further ahead than any pause."""
    job = add()
    age(job, available_at=time.time() + 3.0, attempts=1)
    assert queue.claim(database, "me").id == job.id


def test_a_job_that_two_processes_run_has_one_result(database, add, age):
    """A process that was stopped for longer than its lease comes back: what it brings is dropped, to the byte."""
    first = add(owner="slow")
    age(first, lease_until=0.0)
    queue.recover(database, attempts=3)
    second = queue.claim(database, "quick", first.id)
    assert queue.succeed(database, "quick", second, [b'{"by":"quick"}'], FACTS) == [first.id]
    assert queue.succeed(database, "slow", first, [b'{"by":"slow"}'], FACTS) == []
    assert queue.fail(database, "slow", first, BROKEN) == []
    queue.put_back(database, "slow", first, pause=0.0)
    with database.reading() as connection:
        assert connection.execute(select(reports.c.id)).all() == [(1,)]
    stored = catalogue.report(database, catalogue.get(database, first.id).report_id)
    assert unpress(stored.body, stored.size) == b'{"by":"quick"}'
