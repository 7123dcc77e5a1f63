"""Syncing behind a writer: in steps, never after the end, and a failure is not lost."""

from __future__ import annotations

import errno
import os

import pytest

from service.jobs import flushing
from service.jobs.flushing import EVERY, Flusher
from tests.fakes import wait_for


@pytest.fixture
def descriptor(tmp_path):
    """A file to write to."""
    opened = os.open(tmp_path / "growing", os.O_CREAT | os.O_RDWR)
    yield opened
    os.close(opened)


def test_it_syncs_each_step_once(descriptor, monkeypatch):
    """Small advances add up; the writer's descriptor stays open."""
    synced = []
    monkeypatch.setattr(flushing.os, "fdatasync", synced.append)
    flusher = Flusher(descriptor)
    for written in (EVERY - 1, EVERY, EVERY + 1, 2 * EVERY):
        flusher.advance(written)
    wait_for(lambda: len(synced) == 2)
    flusher.finish()
    flusher.close()
    assert len(synced) == 2
    os.fstat(descriptor)


def test_a_failed_sync_is_told_at_the_end(descriptor, monkeypatch):
    """The kernel reports a failure once; it must not vanish in a thread."""

    def fail(_):
        raise OSError(errno.EIO, "broken disk")

    monkeypatch.setattr(flushing.os, "fdatasync", fail)
    flusher = Flusher(descriptor)
    flusher.advance(EVERY)
    wait_for(lambda: flusher._failure is not None)
    with pytest.raises(OSError, match="broken disk"):
        flusher.finish()
