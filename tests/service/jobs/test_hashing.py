"""SHA-256 beside an upload."""

from __future__ import annotations

import hashlib
import os
import threading

import pytest

from service.jobs.hashing import Follower, sha256_of


@pytest.fixture
def descriptor(tmp_path):
    opened = os.open(tmp_path / "growing", os.O_RDWR | os.O_CREAT)
    yield opened
    os.close(opened)


def test_it_follows_a_growing_file(descriptor):
    """The digest is that of all that was written, however it came."""
    follower, whole = Follower(descriptor), b""
    for number in range(20):
        data = bytes([number]) * (number * 50_000)
        os.write(descriptor, data)
        whole += data
        follower.advance(len(whole))
    follower.complete()
    assert follower.result(wait=True) == hashlib.sha256(whole).hexdigest() == sha256_of(descriptor)


def test_who_asks_later_is_told_whether_it_is_known_or_not(descriptor):
    """`then` calls at once when the digest is known, else when it becomes known."""
    told, done = [], threading.Event()
    follower = Follower(descriptor)
    follower.then(lambda digest: (told.append(digest), done.set()))
    assert follower.result(wait=False) is None
    follower.complete()
    assert done.wait(10)
    follower.then(told.append)
    assert told == [hashlib.sha256(b"").hexdigest()] * 2


def test_an_abandoned_upload_has_no_digest(descriptor):
    """And nobody is called."""
    follower = Follower(descriptor)
    follower.then(lambda _: pytest.fail("called"))
    follower.abandon()
    assert follower.result(wait=True) is None
