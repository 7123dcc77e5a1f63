"""Counts that several processes share, as `limits` wants them."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys

import pytest
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from service.access import counters
from service.access.counters import SharedCounts


@pytest.fixture
def counts(tmp_path):
    made = SharedCounts(tmp_path / "quotas.db")
    yield made
    made.close()


@pytest.fixture
def clock(monkeypatch):
    """`clock(60)` lets a minute pass, for ours and for the storage of `limits` in memory."""
    now = [1_000_000.0]
    monkeypatch.setattr(counters.time, "time", lambda: now[0])

    def passes(seconds):
        now[0] += seconds

    return passes


STEPS = [(0, 3), (10, 1), (20, 2), (1, 1), (45, 3), (1, 1), (30, 1), (29, 4), (5, 5), (61, 5), (200, 6), (3, 2)]


def test_it_decides_as_the_storage_in_memory_does(counts, clock):
    """`limits`' own, asked the same at the same times: the same answers and the same standings."""
    ours, theirs = (SlidingWindowCounterRateLimiter(storage) for storage in (counts, MemoryStorage()))
    item = RateLimitItemPerMinute(5)
    seen = []
    for seconds, amount in STEPS:
        clock(seconds)
        seen.append(ours.hit(item, "ann", cost=amount))
        assert seen[-1] == theirs.hit(item, "ann", cost=amount)
        assert ours.test(item, "ann", cost=amount) == theirs.test(item, "ann", cost=amount)
        assert ours.get_window_stats(item, "ann").remaining == theirs.get_window_stats(item, "ann").remaining
    assert set(seen) == {True, False}


def test_two_names_do_not_share_a_count(counts):
    """Nor two limits of one name."""
    limiter = SlidingWindowCounterRateLimiter(counts)
    assert limiter.hit(RateLimitItemPerMinute(1), "ann")
    assert not limiter.hit(RateLimitItemPerMinute(1), "ann")
    assert limiter.hit(RateLimitItemPerMinute(1), "bob")
    assert limiter.hit(RateLimitItemPerMinute(2), "ann")


COUNTING = """
import sys
from pathlib import Path
from service.access.counters import SharedCounts
counts = SharedCounts(Path(sys.argv[1]))
print(sum(counts.acquire_sliding_window_entry("x", 150, 86400) for _ in range(100)))
"""


def test_processes_count_together(tmp_path):
    """Four at once, of which each would be allowed 100: no more than the limit, and no fewer."""
    command = [sys.executable, "-c", COUNTING, str(tmp_path / "quotas.db")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert sum(int(process.communicate(timeout=60)[0]) for process in running) == 150


def test_counts_outlast_the_process(counts, tmp_path):
    """A restart gives nobody a fresh quota."""
    counts.incr("x", 60, 5)
    counts.close()
    again = SharedCounts(tmp_path / "quotas.db")
    assert again.get("x") == 5
    again.close()


def test_ended_counts_are_swept(counts, clock, tmp_path):
    """The file does not grow with the number of those who ever asked."""
    for number in range(50):
        counts.incr(f"x{number}", 60)
    clock(61)
    assert counts.get("x1") == 0
    counts.incr("y", 60)
    with sqlite3.connect(tmp_path / "quotas.db") as raw:
        assert raw.execute("SELECT name FROM counts").fetchall() == [("y",)]


def test_the_rest_of_what_limits_asks_of_a_storage(counts, clock):
    """Simple counters, their end, forgetting one and all."""
    assert counts.check()
    assert [counts.incr("x", 60), counts.incr("x", 60, 4)] == [1, 5]
    assert counts.get_expiry("x") == 1_000_060.0
    assert counts.get_expiry("none") == 1_000_000.0
    counts.acquire_sliding_window_entry("w", 5, 60)
    assert counts.get_sliding_window("w", 60)[2] == 1
    counts.clear_sliding_window("w", 60)
    assert counts.get_sliding_window("w", 60)[2] == 0
    counts.clear("x")
    assert counts.get("x") == 0
    counts.incr("x", 60)
    assert counts.reset() == 1


def test_a_file_that_cannot_be_had_is_said(tmp_path):
    """`check` does not raise."""
    assert not SharedCounts(tmp_path / "absent" / "quotas.db").check()


def test_the_file_is_for_its_user_alone(counts, tmp_path):
    """As all that the service writes, under its umask."""
    before = os.umask(0o077)
    counts.incr("x", 60)
    os.umask(before)
    assert stat.S_IMODE((tmp_path / "quotas.db").stat().st_mode) == 0o600
