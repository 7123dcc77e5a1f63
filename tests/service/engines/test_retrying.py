"""What is tried again, for how long, and what counts."""

from __future__ import annotations

import time

import pytest

from service.engines import retrying
from service.engines.retrying import Again, Patience
from service.errors import (
    BY_CODE,
    DatabaseDamaged,
    FrameworkMissing,
    InputError,
    InputLost,
    Overloaded,
    RequestError,
    ServiceError,
    StorageFull,
    WorkerError,
    WorkerUnavailable,
)
from service.jobs.queue import RETRY_SECONDS
from service.jobs.records import Analysis

PASSING = (ServiceError, StorageFull, DatabaseDamaged, WorkerUnavailable, Overloaded)


def job(attempts=1):
    return Analysis(id="a", state="running", created_at=0.0, name="n", bytes=1, key="k", attempts=attempts)


@pytest.fixture
def clock(monkeypatch):
    """A monotonic clock that the test sets."""

    class Clock:
        now = 100.0

    made = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    return made


def error(kind):
    made = kind.__new__(kind)
    ServiceError.__init__(made, "It failed.")
    return made


@pytest.mark.parametrize("kind", sorted(BY_CODE.values(), key=lambda kind: kind.code), ids=lambda kind: kind.code)
def test_only_what_may_pass_is_waited_for(kind):
    """No fault of the content or of the request, nor what no waiting mends: a framework, a lost upload."""
    again = Patience(attempts=3).judge(job(), error(kind))
    assert (again is not None) == (kind in PASSING)
    if issubclass(kind, (InputError, RequestError, WorkerError, InputLost, FrameworkMissing)):
        assert again is None
    assert again is None or not again.counted


@pytest.mark.parametrize("kind", [WorkerUnavailable, Overloaded, StorageFull, ServiceError, DatabaseDamaged])
def test_the_service_is_waited_for_in_longer_and_longer_pauses_but_not_for_ever(clock, kind):
    """From the first time it failed this job; a job that was finished begins anew."""
    of_worker = kind in (WorkerUnavailable, Overloaded)
    patience = retrying.WORKER_PATIENCE if of_worker else retrying.STORAGE_PATIENCE
    longest = retrying.WORKER_PAUSE if of_worker else retrying.STORAGE_PAUSE
    kept = Patience(attempts=1)
    pauses = []
    while (again := kept.judge(job(), error(kind))) is not None:
        pauses.append(again.pause)
        clock.now += again.pause
    assert (pauses[0], max(pauses)) == (retrying.FIRST_PAUSE, longest)
    assert patience <= sum(pauses) < patience + longest
    kept.forget("a")
    assert kept.judge(job(), error(kind)) == Again(retrying.FIRST_PAUSE, counted=False)


def test_a_process_that_died_counts(clock):
    """Three attempts: a pause before the second and a longer one before the third, and then it is the job's end."""
    kept = Patience(attempts=3)
    died = WorkerUnavailable("It died.", deaths=1)
    found = [kept.judge(job(number), died) for number in (1, 2, 3)]
    assert found == [Again(RETRY_SECONDS[0], counted=True), Again(RETRY_SECONDS[1], counted=True), None]


def test_jobs_that_another_process_finished_are_forgotten(clock):
    """Their beginnings are not kept for ever."""
    kept = Patience(attempts=3)
    kept.judge(job(), error(WorkerUnavailable))
    clock.now += retrying.FORGOTTEN_SECONDS + 1
    kept.forget("b")
    assert kept._since == {}
