"""Sorted string tables: what is written is read, and each kind of damage gets its own error."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.config import Limits
from service.errors import InconsistentArchive, InputError, MalformedFile, TruncatedFile, UnsupportedFeature
from service.parsers.sstable import FOOTER, entries, first, is_table
from service.source import BytesSource, Meter
from tests.service.parsers.sstables import table

PAIRS = [(b"", b"header"), (b"layer/bias", b"1"), (b"layer/kernel", b"22"), (b"z", b"")]


def source(data: bytes) -> BytesSource:
    """`data` as a reader sees it."""
    return BytesSource(data, Meter(Limits()))


@given(
    st.dictionaries(st.binary(max_size=300), st.binary(max_size=300), min_size=1, max_size=40),
    st.integers(1, 10),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read(pairs, size, snappy):
    """Any keys and values, in any number of blocks, compressed or not, come back in order."""
    ordered = sorted(pairs.items())
    blocks = [ordered[at : at + size] for at in range(0, len(ordered), size)]
    read = source(table(blocks, snappy=snappy))
    assert list(entries(read)) == ordered
    assert first(read) == ordered[0]


def test_a_file_without_footer_is_cut():
    """A table whose end is missing says so; it is not an empty table."""
    data = table([PAIRS])
    assert is_table(source(data))
    with pytest.raises(TruncatedFile) as caught:
        list(entries(source(data[:-1])))
    assert caught.value.info.offset == len(data) - 1


def test_a_block_after_the_end_is_named_with_its_place():
    """A middle part that is missing moves the footer: the index is then after the end."""
    data = table([PAIRS])
    with pytest.raises(TruncatedFile, match="A block of the table lies at bytes"):
        list(entries(source(data[-FOOTER:])))


def test_keys_that_do_not_ascend_are_refused():
    """A key that occurs twice would be found differently by different programs."""
    with pytest.raises(InconsistentArchive, match="do not ascend"):
        list(entries(source(table([[*PAIRS[:2], PAIRS[1]]]))))


def test_an_unknown_compression_is_named():
    """Zstandard is method 2 in other writers; it is told, not guessed."""
    with pytest.raises(UnsupportedFeature, match="method 2"):
        list(entries(source(table([PAIRS], kind=2))))


def test_an_entry_longer_than_its_block_is_malformed():
    """Lengths are checked before they are used."""
    data = bytearray(table([[(b"a", b"b")]]))
    data[2] = 100
    with pytest.raises(MalformedFile, match="longer than its block"):
        list(entries(source(bytes(data))))


def test_no_mutation_gets_through_as_another_error():
    """Each byte changed in turn, and each length cut: entries or an InputError."""
    for snappy in (False, True):
        data = table([PAIRS[:2], PAIRS[2:]], snappy=snappy)
        mutants = [data[:at] for at in range(len(data))]
        mutants += [
            data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :] for at in range(len(data)) for bit in (1, 128, 255)
        ]
        for mutant in mutants:
            try:
                list(entries(source(mutant)))
            except InputError:
                continue
