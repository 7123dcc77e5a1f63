"""Snappy blocks: literals and copies of every width, and what cannot be."""

from __future__ import annotations

import pytest

from service.errors import InputError, LimitExceeded, MalformedFile, TruncatedFile
from service.parsers.snappy import decompress
from tests.service.parsers.sstables import literal


@pytest.mark.parametrize("size", [0, 1, 60, 61, 70_000])
def test_literals(size):
    """One literal, of each way of writing its length."""
    data = bytes(range(256)) * 300
    assert decompress(literal(data[:size]), 1 << 20) == data[:size]


@pytest.mark.parametrize(
    ("block", "content"),
    [
        (b"\x08\x00a\x0d\x01", b"aaaaaaaa"),  # one byte of offset, 7 bytes that overlap themselves
        (b"\x09\x04ab\x1a\x02\x00", b"ababababa"),  # two bytes of offset, 7 bytes
        (b"\x06\x08abc\x0b\x03\x00\x00\x00", b"abcabc"),  # four bytes of offset
    ],
)
def test_copies(block, content):
    """Copies may overlap what they append."""
    assert decompress(block, 100) == content


@pytest.mark.parametrize(
    ("block", "error"),
    [
        (b"", TruncatedFile),
        (b"\xff\xff\xff\xff\xff\xff", TruncatedFile),
        (b"\x05\x10ab", TruncatedFile),
        (b"\x05\x00a\x0e\x01", TruncatedFile),
        (b"\x05\x00a\x0d\x02", MalformedFile),
        (b"\x05\x00a\x0d\x00", MalformedFile),
        (b"\x05\x00a", MalformedFile),
        (b"\x01\x04ab", MalformedFile),
        (b"\xff\xff\x7f", LimitExceeded),
    ],
)
def test_what_cannot_be(block, error):
    """Cut elements, copies from nowhere, contents of another length, and too long ones: each its own error."""
    with pytest.raises(error):
        decompress(block, 1000)


def test_no_block_of_three_bytes_gets_through_as_another_error():
    """Short blocks of many kinds: content or an InputError."""
    for number in range(0, 1 << 24, 4099):
        try:
            decompress(number.to_bytes(3, "little") + b"\x00a", 1000)
        except InputError:
            continue
