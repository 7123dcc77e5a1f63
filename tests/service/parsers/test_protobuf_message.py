"""Small messages by field: the last occurrence counts, types are checked, limits hold, numbers are protobuf's."""

from __future__ import annotations

import struct

import pytest
from google.protobuf import wrappers_pb2
from hypothesis import given
from hypothesis import strategies as st

from service.errors import LimitExceeded, MalformedFile
from service.parsers.protobuf import fields
from service.parsers.protobuf_message import (
    Held,
    floats,
    grouped,
    integers,
    last,
    number,
    payload,
    payloads,
    real,
    string,
)
from tests.service.parsers.protobufs import held, source_of, varint, whole


def message(data: bytes, most: int = 100) -> Held:
    return grouped(fields(source_of(data)), most)


def test_of_a_field_that_occurs_again_the_last_counts() -> None:
    """As the standard says; all occurrences are kept in their order."""
    data = whole(1, 5) + held(2, "a") + whole(1, 7) + held(2, "bc")
    found = message(data)
    assert number(found, 1) == 7
    assert string(source_of(data), found, 2, 10) == "bc"
    assert [one.length for one in payloads(found, 2)] == [1, 2]
    assert last(found, 1) == found[1][1]


def test_what_is_not_there_has_its_default() -> None:
    """0, 0.0, an empty text, nothing."""
    source = source_of(b"")
    assert (number({}, 1), real({}, 1), string(source, {}, 1, 9), payload({}, 1), payloads({}, 1), last({}, 1)) == (
        0, 0.0, "", None, [], None,
    )  # fmt: skip
    assert (integers(source, {}, 1, 9), floats(source, {}, 1, 9)) == ((), ())


@pytest.mark.parametrize("take", [number, real])
def test_bytes_are_no_number(take: object) -> None:
    """The error says where they lie."""
    with pytest.raises(MalformedFile) as caught:
        take(message(whole(2, 1) + held(1, "x")), 1)  # type: ignore[operator]
    assert caught.value.info.offset == 4


@pytest.mark.parametrize("take", [payload, payloads])
def test_a_number_holds_no_bytes(take: object) -> None:
    """Nor is it passed over: whoever asks for a message gets one or an error."""
    with pytest.raises(MalformedFile) as caught:
        take(message(whole(1, 3)), 1)  # type: ignore[operator]
    assert caught.value.info.offset == 1


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20), st.booleans())
def test_repeated_numbers_packed_or_one_by_one(values: list[int], packed: bool) -> None:
    """Both are read, and are signed."""
    data = held(4, b"".join(map(varint, values))) if packed else b"".join(whole(4, value) for value in values)
    assert integers(source_of(data), message(data), 4, 20) == tuple(values)


@given(st.lists(st.floats(width=32, allow_nan=False), max_size=20), st.sampled_from([4, 8]), st.booleans())
def test_repeated_floats_packed_or_one_by_one(values: list[float], size: int, packed: bool) -> None:
    """Of four or eight bytes."""
    code, wire = ("f", 5) if size == 4 else ("d", 1)
    each = [struct.pack(f"<{code}", value) for value in values]
    data = held(4, b"".join(each)) if packed else b"".join(varint(4 << 3 | wire) + one for one in each)
    assert floats(source_of(data), message(data), 4, 20, size) == tuple(values)


def test_a_float_is_that_of_googles_library() -> None:
    """Of both sizes."""
    assert real(message(wrappers_pb2.FloatValue(value=0.1).SerializeToString()), 1) == struct.unpack(
        "<f", struct.pack("<f", 0.1)
    )[0]
    assert real(message(wrappers_pb2.DoubleValue(value=0.1).SerializeToString()), 1) == 0.1


def test_limits_hold() -> None:
    """Too many fields or whole numbers are refused; of too many floats the first are told."""
    with pytest.raises(LimitExceeded) as caught:
        message(whole(1, 1) * 5, most=4)
    assert caught.value.info.offset == 9
    many = held(4, b"\x01" * 30)
    with pytest.raises(LimitExceeded):
        integers(source_of(many), message(many), 4, 29)
    reals = held(4, struct.pack("<10f", *range(10)))
    assert floats(source_of(reals), message(reals), 4, 3) == (0.0, 1.0, 2.0)
    assert floats(source_of(held(4, bytes(7))), message(held(4, bytes(7))), 4, 3) == (0.0,)
