"""The flatbuffer grammar against the official writer, and against files that are broken on purpose."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile, TruncatedFile
from service.parsers.flatbuffer import Fields, Flatbuffer, Table, identifier
from service.source import BytesSource, Meter
from tests.service.parsers.flatbuffers_writer import write

EVERYTHING: dict[int, Any] = {
    0: ("i", -5), 1: "name", 2: ("q", [1, -2, 3]), 3: {0: ("B", 7)}, 5: [{0: "a"}, {0: "b"}, {}], 6: b"data" * 10,
    7: ["x", "y"], 9: ("d", 0.5),
}  # fmt: skip


def opened(data: bytes) -> Flatbuffer:
    return Flatbuffer(BytesSource(data, Meter(Limits())))


def root(data: bytes) -> Table:
    return opened(data).root()


def tables(table: Table, field: int) -> list[Table]:
    """The tables of a vector."""
    position = table.at(field)
    flat = table.buffer
    return [] if position is None else [flat.table_at(one) for one in flat.offsets(flat.follow(position), 50_000)]


def test_every_sort_of_field_is_read() -> None:
    """Scalars, strings, vectors of numbers and of tables, and inner tables."""
    table = root(write(EVERYTHING, b"TEST"))
    assert (table.scalar(0, "i"), table.text(1), table.numbers(2, "q", 9)) == (-5, "name", (1, -2, 3))
    inner = table.table(3)
    assert inner is not None
    assert inner.scalar(0, "B") == 7
    assert [one.text(0) for one in tables(table, 5)] == ["a", "b", None]
    assert table.scalar(9, "d") == 0.5


def test_what_is_left_out_has_its_default() -> None:
    """A field beyond the vtable or without an offset is the schema's default, None, or no elements."""
    table = root(write(EVERYTHING))
    assert (table.scalar(4, "i", 3), table.text(8), table.table(40), tables(table, 4)) == (3, None, None, [])
    assert (table.span(4), table.numbers(4, "i", 1)) == (None, None)


def test_data_is_told_by_its_place() -> None:
    """A vector of bytes is not read; its span is where they are."""
    data = write(EVERYTHING)
    span = root(data).span(6)
    assert span is not None
    assert data[span.offset : span.offset + span.length] == b"data" * 10


def test_a_record_is_the_same_fields_at_once() -> None:
    """Numbers with defaults, and offsets as the positions that they lead to."""
    flat = opened(write(EVERYTHING))
    number, name, left_out, default = flat.record(flat.follow(0), Fields("0:i", "1:o", "8:o", "4:i=11"))
    assert (number, flat.string(name), left_out, default) == (-5, "name", 0, 11)


def test_the_identifier_is_in_the_second_four_bytes() -> None:
    """As flatbuffers place it."""
    assert identifier(write({0: ("i", 1)}, b"TEST")) == b"TEST"


@given(st.lists(st.tuples(st.text(max_size=30), st.lists(st.integers(-(2**31), 2**31 - 1), max_size=9)), max_size=40))
@settings(max_examples=40, deadline=None)
def test_any_names_and_numbers_come_back(rows: list[tuple[str, list[int]]]) -> None:
    """As they were written, in order."""
    flat = opened(write({0: [{0: name, 3: ("i", numbers)} for name, numbers in rows]}))
    fields = Fields("0:o", "3:o")
    (vector,) = flat.record(flat.follow(0), Fields("0:o"))
    records = flat.records(vector, fields, 40)
    assert [(flat.string(name), list(flat.numbers(numbers, "i", 9))) for name, numbers in records] == rows
    assert [(one.text(0), list(one.numbers(3, "i", 9) or ())) for one in tables(flat.root(), 0)] == rows


def test_large_data_between_the_tables_is_not_read() -> None:
    """Of 200 tables with 20,000 bytes each, only what is around their descriptions."""
    data = write({0: [{0: bytes(20_000)} for _ in range(200)]})
    meter = Meter(Limits())

    class Counted(BytesSource):
        def read_at(self, offset: int, length: int) -> bytes:
            meter.add_read(length)
            return super().read_at(offset, length)

    found = tables(Flatbuffer(Counted(data, meter)).root(), 0)
    assert sum((one.span(0) or (0, 0))[1] for one in found) == 200 * 20_000
    assert meter.read < 800_000


def test_a_list_longer_than_asked_for_is_refused() -> None:
    """With the limit and the number in the error."""
    with pytest.raises(LimitExceeded) as caught:
        root(write({0: ("i", list(range(100)))})).numbers(0, "i", 99)
    assert (caught.value.info.extra["maximum"], caught.value.info.extra["value"]) == (99, 100)


def test_offsets_that_lead_out_are_a_truncation() -> None:
    """The root, a vector and a table that reach beyond the end say at which byte."""
    with pytest.raises(TruncatedFile) as caught:
        root(struct.pack("<I", 1000) + bytes(20))
    assert caught.value.info.offset == 0
    data = bytearray(write({0: ("i", [1, 2, 3])}))
    at = data.find(struct.pack("<Ii", 3, 1))
    data[at : at + 4] = struct.pack("<I", 1 << 30)
    with pytest.raises(TruncatedFile) as caught:
        root(bytes(data)).numbers(0, "i", 9)
    assert caught.value.info.offset == at


def test_a_table_without_a_description_is_malformed() -> None:
    """The offset of its vtable leads before the file, or to one of an odd length."""
    with pytest.raises(MalformedFile):
        root(struct.pack("<Ii", 4, 100) + bytes(20))
    with pytest.raises(MalformedFile):
        root(struct.pack("<IiHHHH", 4, -4, 5, 8, 4, 0))


def test_what_unfolds_to_more_than_the_file_is_refused() -> None:
    """A list of 50,000 entries that all lead to one table with such a list itself costs no 2.5 billion visits."""
    vtable = struct.pack("<HHH", 6, 8, 4)
    count = 50_000
    first = struct.pack("<I", 4 + len(vtable) + 2)
    body = bytearray(first + vtable + b"\0\0" + struct.pack("<iI", 8, 4) + struct.pack("<I", count))
    target = len(body) + 4 * count
    body += b"".join(struct.pack("<I", target - (len(body) + 4 * at)) for at in range(count))
    inner = len(body)
    body += struct.pack("<iI", inner - 4, 4) + struct.pack("<I", count)
    end = len(body) + 4 * count
    body += b"".join(struct.pack("<I", end - (len(body) + 4 * at)) for at in range(count))
    body += struct.pack("<iI", len(body) - 4, 4) + bytes(8)
    table = root(bytes(body))
    with pytest.raises(MalformedFile):
        _ = [tables(one, 0) for one in tables(table, 0)]


def test_damage_is_always_an_input_error() -> None:
    """Flipped bits and cut ends: everything that is asked of the file either answers or raises InputError."""
    data = write(EVERYTHING)
    draw = random.Random(3)  # noqa: S311 - a corpus, not a secret
    for _ in range(3000):
        broken = bytearray(data)
        for _ in range(draw.choice((1, 2, 4))):
            broken[draw.randrange(len(broken))] = draw.choice((0, 1, 4, 127, 128, 255))
        _ask(bytes(broken))
    for end in range(len(data)):
        _ask(data[:end])


def _ask(data: bytes) -> None:
    try:
        table = root(data)
        table.scalar(0, "i"), table.text(1), table.numbers(2, "q", 100), table.span(6)
        inner = table.table(3)
        if inner is not None:
            inner.scalar(0, "B")
        for one in tables(table, 5):
            one.text(0)
        flat = opened(data)
        flat.record(flat.follow(0), Fields("0:i", "1:o", "2:o", "9:d"))
    except InputError:
        pass
