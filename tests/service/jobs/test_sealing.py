"""Bytes for a child that nobody can change any more."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.jobs.sealing import sealed


def test_what_is_sealed_can_be_read_and_not_changed():
    """All chunks, in order; not even another descriptor of it can be written to."""
    with sealed(iter([b"one ", b"", b"two"])) as descriptor:
        assert os.pread(descriptor, 100, 0) == b"one two"
        for flags in (os.O_RDWR, os.O_WRONLY):
            again = os.open(f"/proc/self/fd/{descriptor}", flags)
            for change in (lambda it: os.write(it, b"x"), lambda it: os.ftruncate(it, 1)):
                with pytest.raises(PermissionError):
                    change(again)
            os.close(again)


def test_no_descriptor_is_left_open():
    """By success, or by an error while it is written or used."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    with sealed([b"x"]):
        pass
    with pytest.raises(KeyError), sealed([b"x"]):
        raise KeyError
    with pytest.raises(TypeError), sealed([None]):  # type: ignore[list-item]
        pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before
