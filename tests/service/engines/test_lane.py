"""The threads of one lane."""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

import pytest

from service.engines.lane import Running, Threads
from tests.fakes import wait_for


class Work(NamedTuple):
    """All that a lane knows of a job."""

    name: str
    account: str = ""


@pytest.fixture
def lane():
    """`lane(count)` gives threads that note what they serve and wait to be let go."""
    made = []

    def do(count):
        served, go = [], threading.Event()

        def serve(job, _lane):
            served.append(job and job.name)
            go.wait(10)

        threads = Threads("quick", count, serve)
        threads.start()
        made.append((threads, go))
        return threads, served, go

    yield do
    for threads, go in made:
        threads.stop()
        go.set()
        threads.join(time.monotonic() + 5)


def test_jobs_are_served_in_the_order_in_which_they_were_handed(lane):
    """One after the other where there is one thread, and it is busy meanwhile."""
    threads, served, go = lane(1)
    assert threads.idle() == 1
    for job in ("a", "b", "c"):
        threads.hand(Work(job))
    wait_for(lambda: served)
    assert threads.idle() <= 0
    go.set()
    wait_for(lambda: served == ["a", "b", "c"])
    wait_for(lambda: threads.idle() == 1)


def test_a_look_is_queued_once_and_takes_its_turn(lane):
    """However often it is asked for, between the jobs before and after it; again once it was taken."""
    threads, served, go = lane(1)
    threads.hand(Work("a"))
    wait_for(lambda: served)
    for _ in range(5):
        threads.wake()
    threads.hand(Work("b"))
    go.set()
    wait_for(lambda: served == ["a", None, "b"])
    threads.wake()
    wait_for(lambda: served == ["a", None, "b", None])


def test_accounts_take_turns(lane):
    """One that has handed over many keeps no other waiting for all of them."""
    threads, served, go = lane(1)
    threads.hand(Work("a", "ann"))
    wait_for(lambda: served)
    for name in ("b", "c", "d"):
        threads.hand(Work(name, "ann"))
    threads.hand(Work("e", "bob"))
    go.set()
    wait_for(lambda: served == ["a", "b", "e", "c", "d"])


def test_a_stopped_lane_serves_no_more(lane):
    """What was handed over stays in the table, for the next process."""
    threads, served, go = lane(1)
    threads.hand(Work("a"))
    wait_for(lambda: served)
    threads.hand(Work("b"))
    threads.stop()
    go.set()
    threads.join(time.monotonic() + 5)
    assert served == ["a"]


def test_progress_only_grows_and_is_news_once():
    """A child that reads something twice does not go back."""
    running = Running()
    assert not running.is_news
    running.progress(0.5)
    running.progress(0.25)
    assert (running.is_news, running.tell(), running.is_news) == (True, 0.5, False)
