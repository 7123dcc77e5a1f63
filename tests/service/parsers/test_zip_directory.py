"""A zip archive's end record and directory: where they are, what they claim, and claims that cannot be."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile
from service.parsers.zip_directory import END_SIGNATURE, Entry, entries, extra_field, locate_directory
from service.source import BytesSource, Meter

_END = struct.Struct("<4s4H2IH")


def made(*names: str, comment: bytes = b"") -> bytes:
    """An archive of empty members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.comment = comment
        for name in names:
            file.writestr(name, b"")
    return out.getvalue()


def source(data: bytes, **limits: int) -> BytesSource:
    return BytesSource(data, Meter(Limits(**limits)))


@pytest.mark.parametrize("comment", [b"", b"a comment", b"x" * 60_000])
def test_the_directory_is_where_the_end_record_says(comment: bytes) -> None:
    """Behind any comment; entries are those of Python's own reader."""
    data = made("a.txt", "b/c.txt", "ü.txt", comment=comment)
    start, size, count = locate_directory(source(data))
    found = list(entries(data[start : start + size], count, start))
    with zipfile.ZipFile(io.BytesIO(data)) as theirs:
        assert [(one.name, one.header, one.size) for one in found] == [
            (one.filename, one.header_offset, one.file_size) for one in theirs.infolist()
        ]


def claimed(data: bytes) -> list[Entry]:
    """The entries of an archive's directory."""
    start, size, count = locate_directory(source(data))
    return list(entries(data[start : start + size], count, start))


@pytest.mark.parametrize("decoy", [END_SIGNATURE + b"decoy" * 10, _END.pack(END_SIGNATURE, 0, 0, 1, 1, 47, 31, 0)])
def test_a_comment_that_looks_as_the_record_does(decoy: bytes) -> None:
    """Readers take the first or the last of two: refused where both could be the record, else the comment is one."""
    data = made("a", "b", comment=decoy)
    if len(decoy) == _END.size:
        with pytest.raises(InputError):
            claimed(data)
    else:
        assert [one.name for one in claimed(data)] == ["a", "b"]


def ended(**changed: int) -> bytes:
    """The archive with other claims in its end record."""
    data = made("a", "b")
    keys = ("disk", "first", "here", "count", "size", "start", "comment")
    record = dict(zip(keys, _END.unpack(data[-22:])[1:], strict=True))
    return data[:-22] + _END.pack(END_SIGNATURE, *{**record, **changed}.values())


@pytest.mark.parametrize("changed", [
    {"count": 3}, {"count": 1}, {"here": 1}, {"size": 10}, {"start": 5}, {"disk": 1}, {"first": 1}, {"comment": 4},
    {"size": 0xFFFFFFF0}, {"start": 0xFFFFFFF0},
])  # fmt: skip
def test_claims_that_cannot_be_are_refused(changed: dict[str, int]) -> None:
    """Counts, sizes, places, disks and comments that are not so."""
    with pytest.raises(InputError):
        claimed(ended(**changed))


def test_too_many_entries_are_refused_unread() -> None:
    """By the count alone."""
    with pytest.raises(LimitExceeded):
        locate_directory(source(made(*map(str, range(20))), archive_entries=10))


def test_bytes_without_a_record_are_no_archive() -> None:
    """Whatever else is in them."""
    with pytest.raises(MalformedFile):
        locate_directory(source(b"PK\x03\x04" + bytes(100)))


def test_extra_fields_are_found_by_their_number() -> None:
    """The first of that number; one that is cut off ends the search."""
    fields = struct.pack("<HH2sHH3s", 7, 2, b"ab", 9, 3, b"xyz")
    assert (extra_field(fields, 7), extra_field(fields, 9), extra_field(fields, 8)) == (b"ab", b"xyz", None)
    assert extra_field(struct.pack("<HH", 7, 50), 7) in (None, b"")
