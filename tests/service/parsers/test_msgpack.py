"""MessagePack: every leaf where the library has it; counts, depths and ends are checked before they are believed."""

from __future__ import annotations

import struct
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile, TruncatedFile
from service.parsers.msgpack import Bytes, Cursor, Empty, Extension, leaves
from service.source import BytesSource, Meter

PLAIN = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=20)
    | st.binary(max_size=300) | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=70))
)  # fmt: skip
TREES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=8), inner, max_size=20)
)


def walked(data: bytes, depth: int = 100, most: int = 10_000) -> list[tuple[tuple[str, ...], Any]]:
    cursor = Cursor(BytesSource(data, Meter(Limits())))
    return list(leaves(cursor, max_depth=depth, max_leaves=most))


def expected(value: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        return [(path, value)]
    found = [leaf for key, inner in items for leaf in expected(inner, (*path, str(key)))]
    return found or [(path, Empty("map" if isinstance(value, dict) else "array"))]


def resolved(data: bytes, value: Any) -> Any:
    if isinstance(value, Bytes):
        return data[value.offset : value.offset + value.length]
    if isinstance(value, Extension):
        return msgpack.ExtType(value.code, data[value.offset : value.offset + value.length])
    return value


@given(TREES)
def test_leaves_are_those_of_the_library(tree: Any) -> None:
    """Keys, values, and the places of binaries and extensions, in the library's order."""
    data = msgpack.packb(tree)
    assert [(path, resolved(data, value)) for path, value in walked(data)] == expected(tree)


def refusal(data: bytes) -> TruncatedFile | None:
    try:
        walked(data)
    except TruncatedFile as error:
        return error
    return None


def test_every_cut_is_noticed() -> None:
    """A file that ends early, at whatever byte, is truncated at that byte, unless only a payload is cut."""
    data = msgpack.packb({"a": [1, 2.5, "text"], "b": {"c": msgpack.ExtType(1, b"x" * 20), "d": None}, "e": b"y" * 9})
    for end in range(len(data)):
        error = refusal(data[:end])
        assert (error.info.offset or 0) <= end if error else isinstance(walked(data[:end])[-1][1], Bytes), end


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\xc1", MalformedFile),
        (b"\x82\xa1a\x01\xa1a\x02", MalformedFile),
        (b"\x81\x90\x01", MalformedFile),
        (b"\x81\xa1\xff\x01", MalformedFile),
        (b"\xdf\xff\xff\xff\xff", TruncatedFile),
        (b"\xdd\x00\x0f\xff\xff\x01", TruncatedFile),
        (b"\x91" * 200 + b"\x01", LimitExceeded),
        (b"\xdd\x00\x01\x00\x00" + b"\xc0" * 70_000, LimitExceeded),
        (b"", TruncatedFile),
    ],
)
def test_what_cannot_be_is_refused(data: bytes, error: type[InputError]) -> None:
    """Bytes that begin nothing, doubled keys, counts beyond the file, depth and number."""
    with pytest.raises(error):
        walked(data)


def test_payloads_are_stepped_over() -> None:
    """A gigabyte announced costs a block, not a gigabyte."""
    data = b"\x81\xa1k\xc9" + struct.pack(">I", 1 << 30) + b"\x01" + b"x" * 10
    meter = Meter(Limits())
    assert walked(data)[0][1] == Extension(1, 9, 1 << 30)
    assert meter.read == 0
