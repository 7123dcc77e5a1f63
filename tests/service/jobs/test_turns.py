"""The right to write: in order, across processes, and not waited for for ever."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time

import pytest

from service.jobs.turns import Late, Turns
from tests.fakes import wait_for


@pytest.fixture
def file(tmp_path):
    return tmp_path / "lock"


@pytest.fixture
def turns(file):
    made = Turns(file)
    yield made
    made.close()


@pytest.fixture
def stranger(file):
    """Another process's hold on the file."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield descriptor
    os.close(descriptor)


def free(file):
    """Whether nobody holds the file."""
    descriptor = os.open(file, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def test_one_at_a_time_and_then_the_next(turns, file):
    """Held during the context, free behind it, also where it ends in an error."""
    for _ in range(2):
        with contextlib.suppress(KeyError), turns.taken(1.0):
            assert not free(file)
            raise KeyError
        assert free(file)


def test_a_thread_that_comes_too_late_is_told(turns):
    """Another thread of the same process has the turn for longer."""
    with turns.taken(1.0), pytest.raises(Late), turns.taken(0.05):
        pass


@pytest.mark.usefixtures("stranger")
def test_a_process_that_comes_too_late_is_told(turns):
    """However often it tries; each time it waits for so long and no longer, with one thread that asks for all."""
    for _ in range(3):
        began = time.monotonic()
        with pytest.raises(Late), turns.taken(0.05):
            pass
        assert time.monotonic() - began < 2
    assert [thread.name for thread in threading.enumerate()].count("turn") == 1


def test_who_waits_gets_it_as_soon_as_it_is_free(turns, stranger, file):
    """And gives it back."""
    threading.Timer(0.1, fcntl.flock, (stranger, fcntl.LOCK_UN)).start()
    with turns.taken(10.0):
        assert not free(file)
    assert free(file)


def test_what_comes_when_nobody_wants_it_any_more_is_given_back(turns, stranger, file):
    """A turn that was asked for in vain must not keep the others out; and it can be had again."""
    with pytest.raises(Late), turns.taken(0.05):
        pass
    fcntl.flock(stranger, fcntl.LOCK_UN)
    wait_for(lambda: free(file))
    with turns.taken(1.0):
        assert not free(file)
    assert free(file)


def test_who_comes_after_one_that_gave_up_takes_over_his_place(turns, stranger, file):
    """It is still asked for: the next need not go to the end of the queue."""
    with pytest.raises(Late), turns.taken(0.05):
        pass
    threading.Timer(0.1, fcntl.flock, (stranger, fcntl.LOCK_UN)).start()
    with turns.taken(10.0):
        assert not free(file)
    assert free(file)


def test_many_threads_of_two_processes_never_hold_it_together(file):
    """Sixteen threads, counted while they are inside."""
    both = (Turns(file), Turns(file))
    inside, most = [], []

    def work(turns):
        for _ in range(10):
            with turns.taken(30.0):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work, args=(turns,)) for turns in both * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(most), max(most)) == (160, 1)
    for turns in both:
        turns.close()
