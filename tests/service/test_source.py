"""Views of an upload: exact reads or TruncatedFile, every byte counted, limits held."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.config import Limits
from service.errors import LimitExceeded, TruncatedFile
from service.source import BytesSource, FileSource, Meter, WindowSource, chunks, head

DATA = bytes(range(256)) * 4


@pytest.fixture
def source(tmp_path: Path) -> FileSource:
    path = tmp_path / "upload"
    path.write_bytes(DATA)
    return FileSource(os.open(path, os.O_RDONLY), Meter(Limits(read_bytes=2000)))


def test_reads_are_exact_and_counted(source: FileSource) -> None:
    """The bytes asked for come back, and the meter knows how many."""
    assert source.read_at(10, 20) == DATA[10:30]
    assert WindowSource(source, 100, 50).read_at(5, 10) == DATA[105:115]
    assert source.meter.read == 30


@pytest.mark.parametrize(("offset", "length"), [(-1, 2), (0, 1025), (1024, 1), (5, -1), (2**70, 1)])
def test_out_of_range_is_truncated(source: FileSource, offset: int, length: int) -> None:
    """No short reads: what is not there is an error that says so."""
    with pytest.raises(TruncatedFile):
        source.read_at(offset, length)


def test_a_window_cannot_leave_its_source(source: FileSource) -> None:
    """Neither when it is made nor when it is read."""
    with pytest.raises(TruncatedFile):
        WindowSource(source, 1000, 25)
    with pytest.raises(TruncatedFile):
        WindowSource(source, 0, 10).read_at(5, 6)


def test_the_read_limit_holds(source: FileSource) -> None:
    """A reader that wants values instead of headers is stopped."""
    source.read_at(0, 1024)
    with pytest.raises(LimitExceeded) as caught:
        source.read_at(0, 1000)
    assert caught.value.info.extra["limit"] == "read_bytes"


def test_head_and_chunks() -> None:
    """Convenience for short and whole reads."""
    source = BytesSource(DATA, Meter(Limits()))
    assert head(source, 5000) == DATA
    assert [len(piece) for piece in chunks(source, 1000)] == [1000, 24]
