"""How far a child has come, told in front of its answer."""

from __future__ import annotations

import os

import pytest

from service import frames
from service.config import Limits
from service.errors import LimitExceeded
from service.worker import telling
from service.worker.telling import Teller, ToldMeter


def test_frames_are_few(monkeypatch):
    """However often progress is made, one is written in each pause; the first at once."""
    now = iter([10.0, 10.1, 10.19, 10.21, 10.3])
    monkeypatch.setattr(telling.time, "monotonic", lambda: next(now))
    reading, writing = os.pipe()
    tell = Teller(writing)
    for done in range(5):
        tell(done, 10)
    assert os.read(reading, 1000) == frames.progress(0, 10) + frames.progress(3, 10)
    os.close(reading)
    os.close(writing)


def test_nobody_who_listens_is_no_error():
    """The answer itself will meet that."""
    reading, writing = os.pipe()
    os.close(reading)
    Teller(writing)(1, 2)
    os.close(writing)


def test_looks_at_values_are_told_once_their_number_is_known():
    """And the limit on them holds as in any meter."""
    told = []
    meter = ToldMeter(Limits(), 10, lambda *share: told.append(share))
    meter.add_values(4)
    meter.total = 20
    meter.add_values(4)
    assert told == [(8, 20)]
    with pytest.raises(LimitExceeded):
        meter.add_values(4)
