"""Protobuf's wire format: agrees with Google's own library on what it writes, skips payloads, places what is wrong."""

from __future__ import annotations

import contextlib

import pytest
from google.protobuf import struct_pb2, wrappers_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile, TruncatedFile
from service.parsers.protobuf import (
    Blocks,
    Field,
    Memory,
    bytes_of,
    fields,
    message,
    packed,
    said_once,
    signed,
    text_of,
)
from service.source import BytesSource, Meter


class Counting(BytesSource):
    """Bytes that are counted as if they were read from a file."""

    def read_at(self, offset: int, length: int) -> bytes:
        self.meter.add_read(length)
        return super().read_at(offset, length)


def source(data: bytes) -> Counting:
    return Counting(data, Meter(Limits()))


def found(data: bytes, *, tolerant: bool = False) -> list[Field]:
    return list(fields(source(data), tolerant=tolerant))


def payload(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(max_size=8), st.one_of(st.floats(allow_nan=False), st.text(max_size=700)), max_size=12))
def test_reads_what_googles_library_writes(values: dict[str, float | str]) -> None:
    """Every entry of a Struct message: key, kind and value, whether the message is small or goes over blocks."""
    written = struct_pb2.Struct()
    written.update(values)
    given_source = Blocks(source(written.SerializeToString()))
    read: dict[str, float | str] = {}
    for one in fields(given_source):
        key, value = message(given_source, one)
        inner = next(message(given_source, value))
        read[text_of(given_source, key, 4096)] = (
            wrappers_pb2.DoubleValue.FromString(b"\x09" + inner.value.to_bytes(8, "little")).value
            if inner.wire == 1
            else text_of(given_source, inner, 4096)
        )
    assert read == values


@given(st.integers(-(2**63), 2**63 - 1))
def test_numbers_of_any_size(value: int) -> None:
    """An int64 is written as an unsigned varint of up to ten bytes."""
    data = wrappers_pb2.Int64Value(value=value).SerializeToString()
    assert [signed(one.value) for one in found(data)] == ([value] if value else [])


def test_payloads_are_not_read() -> None:
    """Of a field of a megabyte only the block before it is read, and the field after it is found."""
    data = source(payload(1, b"x" * 1_000_000) + b"\x10\x05")
    assert list(fields(data)) == [Field(1, 2, 0, 4, 1_000_000), Field(2, 0, 5, 1_000_005, 1)]
    assert data.meter.read < 2000


def test_small_messages_side_by_side_share_reads() -> None:
    """A thousand messages of 20 bytes cost few reads of growing size, and little more than their own bytes."""
    data = b"".join(payload(5, payload(8, f"weight {index:06}".encode())) for index in range(1000))
    counted = source(data)
    blocks = Blocks(counted)
    names = [text_of(blocks, inner, 100) for one in fields(blocks) for inner in message(blocks, one)]
    assert names[0] == "weight 000000"
    assert len(set(names)) == 1000
    assert counted.meter.read < 2 * len(data)


def test_groups_are_passed_over() -> None:
    """Old groups, nested ones too, are skipped with all they hold; what stands beside them is told."""
    data = b"\x0b\x10\x01\x13\x08\x02\x14\x0c" + b"\x18\x07"
    assert [(one.number, one.value) for one in found(data)] == [(3, 7)]
    assert [(one.number, one.value) for one in found(data + payload(4, b"y" * 600))] == [(3, 7), (4, 0)]


@pytest.mark.parametrize("long", [False, True], ids=["small", "in blocks"])
@pytest.mark.parametrize(
    ("data", "offset"),
    {
        "field number 0": (b"\x00\x01", 0),
        "wire type 6": (b"\x08\x01\x0e\x01", 2),
        "wire type 7": (b"\x0f", 0),
        "an unopened group": (b"\x0c", 1),
        "another group's end": (b"\x0b\x14", 2),
        "a number of eleven bytes": (b"\x08" + b"\xff" * 10 + b"\x01", 1),
        "a tag beyond 32 bits": (b"\xff\xff\xff\xff\xff\x01\x01", 0),
    }.values(),
)
def test_broken_messages_are_named_with_their_place(data: bytes, offset: int, long: bool) -> None:
    """MalformedFile with the offset of the field, the same for messages read at once and in blocks."""
    before = payload(15, b"z" * 600) if long else b""
    with pytest.raises(MalformedFile) as caught:
        found(before + data + b"\x08\x01" * 3)
    assert caught.value.info.offset == len(before) + offset


@pytest.mark.parametrize("data", [b"\x0a\x05abc", b"\x08", b"\x08\x80", b"\x0d\x01\x02", b"\x0b\x08\x01", b"\x0a"])
def test_cut_messages(data: bytes) -> None:
    """A field that ends after its message is TruncatedFile; tolerantly, only a cut payload is told, as declared."""
    for whole in (data, payload(15, b"z" * 600) + data):
        with pytest.raises(TruncatedFile):
            found(whole)
        last = [one for one in found(whole, tolerant=True) if one.number != 15]
        assert [(one.number, one.length) for one in last] == ([(1, 5)] if data[1:2] == b"\x05" else [])


def test_a_message_cannot_reach_out_of_its_field() -> None:
    """A payload within the file but past its own message is cut, tolerantly too: only the file's end is forgiven."""
    data = source(payload(1, b"\x0a\x09ab") + b"\x10\x01" * 20)
    outer = next(fields(data))
    for tolerant in (False, True):
        with pytest.raises(TruncatedFile):
            list(message(data, outer, tolerant=tolerant))


def test_what_fields_hold_is_bounded() -> None:
    """Bytes and numbers beyond the limit are refused, a text is shortened, a number is no text."""
    data = source(payload(1, bytes(range(1, 11))) + b"\x10\x2a" + payload(3, b"caf\xc3\xa9\xff"))
    numbers, single, word = fields(data)
    assert packed(data, numbers, 10) == tuple(range(1, 11))
    assert packed(data, single, 1) == (42,)
    assert bytes_of(data, numbers, 10) == bytes(range(1, 11))
    assert text_of(data, word, 100) == "café\ufffd"
    assert text_of(data, word, 3) == "caf… (3 more bytes)"
    with pytest.raises(LimitExceeded):
        packed(data, numbers, 9)
    with pytest.raises(LimitExceeded):
        bytes_of(data, numbers, 9)
    with pytest.raises(MalformedFile):
        text_of(data, single, 9)


def test_packed_numbers_of_several_bytes() -> None:
    """Numbers of any length stand one after the other; a cut last one is an error."""
    data = source(payload(1, varint(300) + varint(2**63) + varint(5)) + payload(2, b"\x01\x80"))
    first, second = fields(data)
    assert packed(data, first, 3) == (300, 2**63, 5)
    with pytest.raises(TruncatedFile):
        packed(data, second, 3)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=700), st.booleans())
def test_nothing_but_input_errors(data: bytes, tolerant: bool) -> None:
    """Random bytes give fields within the file, or an InputError."""
    with contextlib.suppress(InputError):
        for one in found(data, tolerant=tolerant):
            assert tolerant or one.offset + one.length <= len(data)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 5), st.integers(0, 5))
def test_messages_held_whole_are_walked_as_those_read_in_blocks(data: bytes, before: int, after: int) -> None:
    """The same fields at the same places, or an error of the format in both, wherever the message lies in its file."""
    content = b"\x80" * before + data + b"\x08" * after
    answers: list[object] = []
    for given_source in (Memory(source(content)), Blocks(source(content))):
        try:
            answers.append(list(fields(given_source, before, len(data))))
        except InputError:
            answers.append("refused")
    assert answers[0] == answers[1]


def test_a_message_held_whole_does_not_reach_beyond_its_file() -> None:
    """A length that is too large is cut off, as everywhere."""
    for length in (8, 1 << 70):
        with pytest.raises(TruncatedFile):
            fields(Memory(source(payload(1, b"abc"))), 1, length)
    large = b"\x08\x01" * 50_000
    assert sum(1 for _ in fields(Memory(source(large)), 0, len(large))) == 50_000


def test_what_a_schema_has_once_is_refused_twice() -> None:
    """The place of the second is told; alone it is given back."""
    first, second = Field(7, 2, 0, 4, 8), Field(7, 2, 0, 20, 8)
    assert said_once(None, first) is first
    with pytest.raises(MalformedFile) as caught:
        said_once(first, second)
    assert caught.value.info.offset == 20
