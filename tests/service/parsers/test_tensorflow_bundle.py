"""Entries of a bundle's index: read at once where they stand as TensorFlow writes them, else field by field."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile
from service.parsers.tensorflow_bundle import read_index, read_string
from service.source import BytesSource, Meter
from tests.service.parsers.sstables import table, varint

HEADER = (b"", b"\x08\x01\x1a\x02\x08\x01")


def source(data: bytes) -> BytesSource:
    """`data` as a reader sees it."""
    return BytesSource(data, Meter(Limits()))


def entry(dtype: int, shape: tuple[int, ...], place: tuple[int, int, int], *, turned: bool) -> bytes:
    """A BundleEntryProto of `dtype`; `turned` around, as no writer does and every reader must understand."""
    dims = b"".join(b"\x12" + varint(len(varint(one)) + 1) + b"\x08" + varint(one) for one in shape)
    parts = [b"\x08" + varint(dtype), b"\x12" + varint(len(dims)) + dims]
    parts += [bytes([key]) + varint(value) for key, value in zip((0x18, 0x20, 0x28), place, strict=True)]
    return b"".join([*parts[::-1], b"\x35abcd"] if turned else [*parts, b"\x35abcd"])


@given(
    st.lists(st.integers(0, 1 << 40), max_size=5),
    st.tuples(st.integers(0, 300), st.integers(0, 1 << 45), st.integers(0, 1 << 45)),
    st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_both_ways_read_the_same(shape, place, turned):
    """Any shape and place, in either order of fields."""
    data = table([[HEADER, (b"a", entry(14, tuple(shape), place, turned=turned))]])
    stored = read_index(source(data), Limits()).tensors["a"]
    assert (stored.dtype, stored.shape) == ("bfloat16", tuple(shape))
    assert (stored.shard, stored.offset, stored.size) == place


def test_negative_places_are_refused():
    """An offset of -1 is no place."""
    with pytest.raises(MalformedFile, match="negative place"):
        read_index(source(table([[HEADER, (b"a", b"\x08\x01\x20" + b"\xff" * 9 + b"\x01")]])), Limits())


def test_keys_that_share_long_beginnings_are_bounded():
    """A small file can spell out gigabytes of names: it is refused before they are kept."""
    pairs = [HEADER, *((b"k" * 60_000 + varint(number + 128), b"") for number in range(3000))]
    pairs[1:] = sorted(set(pairs[1:]))
    with pytest.raises(LimitExceeded, match="too long"):
        read_index(source(table([pairs])), Limits())


def test_stored_strings():
    """A single string behind its length and checksum; none where it is cut or longer than it says."""
    stored = read_index(source(table([[HEADER, (b"s", entry(7, (), (0, 2, 8), turned=False))]])), Limits()).tensors["s"]
    assert read_string(source(b"--\x03CRC!abc"), stored, 100) == b"abc"
    assert read_string(source(b"--\x03CRC!ab"), stored, 100) is None
    assert read_string(source(b"--\x04CRC!abc"), stored, 100) is None
    assert read_string(source(b"--\x03CRC!abc"), stored, 4) is None


@pytest.mark.parametrize("key", [b"\x00broken", b"\x00a\x00\x01\x02\x80"])
def test_keys_that_name_nothing_are_refused(key):
    """Keys that begin as slices do and end early."""
    with pytest.raises(InputError):
        read_index(source(table([[HEADER, (key, entry(1, (2,), (0, 0, 8), turned=False))]])), Limits())
