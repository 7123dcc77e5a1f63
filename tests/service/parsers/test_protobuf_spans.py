"""Messages as spans: what the walk finds, in every way of writing it, wherever the bytes lie."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.config import Limits
from service.errors import InputError, TruncatedFile
from service.parsers.protobuf import VARINT, Blocks, Field, Memory, fields
from service.parsers.protobuf_spans import Span, inner, no_payload, only_child, pair, read_text, scan, spans
from service.source import BytesSource, Meter
from tests.service.parsers.protobufs import held, varint, whole


class Counting(BytesSource):
    """Bytes that are counted as if they were read from a file."""

    def read_at(self, offset: int, length: int) -> bytes:
        self.meter.add_read(length)
        return super().read_at(offset, length)


def source(data: bytes) -> Counting:
    return Counting(data, Meter(Limits()))


def whole_of(data: bytes, offset: int = 0) -> Field:
    return Field(1, 2, 0, offset, len(data))


def walked(data: bytes, offset: int = 0, after: bytes = b"") -> list[Span]:
    """The fields as spans, as the walk finds them."""
    found = fields(Memory(source(bytes(offset) + data + after)), offset, len(data))
    return [
        (one.number << 3 | one.wire, one.value if one.wire == VARINT else one.offset, one.offset + one.length)
        for one in found
    ]


WRITTEN = st.lists(
    st.one_of(
        st.builds(held, st.integers(1, 3000), st.binary(max_size=300)),
        st.builds(whole, st.integers(1, 40), st.integers(0, 2**64 - 1)),
        st.integers(1, 40).map(lambda number: varint(number << 3 | 5) + b"four"),
        st.integers(1, 40).map(lambda number: varint(number << 3 | 1) + b"eight..."),
    ),
    max_size=12,
).map(b"".join)


@settings(max_examples=200, deadline=None)
@given(WRITTEN, st.integers(0, 600))
def test_spans_are_what_the_walk_finds(data: bytes, before: int) -> None:
    """Tags, values and places of every field, held whole or read in blocks, wherever the message lies in its file."""
    content = bytes(before) + data + b"\x08" * 30
    for kept in (Memory(source(content)), Blocks(source(content))):
        found = spans(kept, whole_of(data, before))
        assert [
            (tag, begin if tag & 7 == VARINT else begin + found.base, end + found.base)
            for tag, begin, end in found.fields
        ] == walked(data, before)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 5))
def test_what_is_wrong_is_told_as_the_walk_tells_it(data: bytes, after: int) -> None:
    """Random bytes give the fields of the walk, or its error with the same place."""
    answers: list[object] = []
    rest = b"\x08" * after
    for fast in (False, True):
        try:
            kept = Memory(source(data + rest))
            answers.append(spans(kept, whole_of(data)).fields if fast else walked(data, after=rest))
        except InputError as error:
            answers.append((type(error), error.info.offset))
    assert answers[0] == answers[1]


def test_a_message_beyond_its_file_is_cut() -> None:
    """A message that ends after the file; tolerantly what there is of it, with the declared end."""
    data = held(1, b"abc") + held(2, b"x" * 50)
    field, kept = Field(1, 2, 0, 0, len(data)), Memory(source(data[:-20]))
    with pytest.raises(TruncatedFile):
        spans(kept, field)
    assert [span[::2] for span in spans(kept, field, tolerant=True).fields] == [(10, 5), (18, len(data))]


def test_payloads_are_not_read() -> None:
    """A message whose last payload is a megabyte is found from the block that it begins in."""
    data = whole(1, 7) + held(9, b"x" * 1_000_000)
    counted = source(data)
    found = spans(Blocks(counted), whole_of(data))
    assert [tag for tag, _, _ in found.fields] == [0x08, 0x4A]
    assert found.fields[1][2] == len(data)
    assert counted.meter.read < 2000


def test_unusual_ways_of_writing_are_left_to_the_walk() -> None:
    """Groups, tags of three bytes, tags longer than they have to be: none of them is scanned."""
    odd = (b"\x0b\x0c", varint(5000 << 3) + b"\x01", b"\x88\x80\x00\x01", b"\x80\x00\x01", b"\x00\x01", b"\x0e\x01")
    for data in odd:
        assert scan(data, 0, len(data)) is None


def test_texts_wherever_they_lie() -> None:
    """From what is held, from the file where they go beyond it, and shortened."""
    data = held(1, "café") + held(2, b"z" * 3000)
    kept = Blocks(source(data))
    found = spans(kept, whole_of(data))
    first, second = found.fields
    assert read_text(kept, found, *first[1:], 100) == "café"
    assert read_text(kept, found, *second[1:], 4000) == "z" * 3000
    assert read_text(kept, found, *second[1:], 5) == "zzzzz… (2995 more bytes)"
    assert no_payload(found, 0x08, 3).info.offset == found.base + 3


def test_messages_within_messages() -> None:
    """Those in what is held are scanned where they lie; those beyond it are read."""
    data = held(1, held(3, "near")) + held(2, b"y" * 5000) + held(1, held(3, "far"))
    kept = Blocks(source(data))
    outer = spans(kept, whole_of(data))
    texts = []
    for tag, begin, end in outer.fields:
        if tag == 0x0A:
            part = inner(kept, outer, begin, end)
            texts.append(read_text(kept, part, *part.fields[0][1:], 100))
    assert texts == ["near", "far"]


@given(st.text(max_size=300), st.binary(max_size=20_000))
def test_pairs_are_what_the_walk_finds(name: str, value: bytes) -> None:
    """Text and bytes of an entry of a map; None where the message has anything else, or is not held whole."""
    expected = None if len(name.encode()) > 127 or len(value) > 16383 else (name.encode(), value)
    data = held(1, name) + held(2, value)
    found = pair(data, 0, len(data))
    assert (None if found is None else (found[0], data[found[1] :])) == expected
    assert pair(data[:-1], 0, len(data)) is None
    more = data + b"\x18\x01"
    assert pair(more, 0, len(more)) is None


@given(st.binary(max_size=12))
def test_pairs_of_anything(data: bytes) -> None:
    """Whatever the bytes are, the answer is a pair that lies within them, or none."""
    found = pair(data, 0, len(data))
    assert found is None or found[1] <= len(data)
    child = only_child(data, 0, len(data), b"\x0a\x0a")
    assert child is None or child <= len(data)


def test_the_only_child_of_only_children() -> None:
    """Below messages that hold one thing each, with the tags that are asked for; else none."""
    data = held(1, held(4, b"text"))
    assert only_child(data, 0, len(data), b"\x0a\x22") == 4
    assert only_child(data, 0, len(data), b"\x0a\x0a") is None
    assert only_child(data, 0, len(data), b"\x0a\x22\x0a") is None
    assert only_child(data[:-1], 0, len(data), b"\x0a\x22") is None
    two = held(1, b"a") + held(1, b"b")
    assert only_child(two, 0, len(two), b"\x0a") is None
    long = held(1, b"x" * 128)
    assert only_child(long, 0, len(long), b"\x0a") is None
