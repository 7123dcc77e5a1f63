"""One message of Protocol Buffers as spans of the bytes that hold it: the fast way through very many small messages.

A field is a tuple of three numbers instead of an object that is read for. What is written in any other way than writers
do, and what is wrong, is left to `protobuf`, so that there is one grammar and one set of errors. Knows no schema.
"""

from __future__ import annotations

from typing import NamedTuple

from service.errors import MalformedFile
from service.language import msg
from service.parsers.protobuf import BYTES, VARINT, Blocks, Field, Memory, message, read_number, text_of

Span = tuple[int, int, int]
"""Tag, begin and end of a payload (or of 4 or 8 bytes) in the data; of a varint tag, value and end."""


class Spans(NamedTuple):
    """A message: bytes that hold it or its beginning, their offset in the file, and its fields in the order they stand.

    Places count from the beginning of `data`. A payload may go beyond it: it is read when it is asked for.
    """

    data: bytes
    base: int
    fields: list[Span]


def spans(source: Blocks | Memory, field: Field, *, tolerant: bool = False) -> Spans:
    """The message that `field` holds; raises as `protobuf.message`."""
    data, base = source.window(field.offset)
    begin = field.offset - base
    found = scan(data, begin, begin + field.length) if field.wire == BYTES and not tolerant else None
    if found is None or (base + begin + field.length > source.size):
        found = [
            (one.number << 3 | one.wire, one.value if one.wire == VARINT else one.offset - base,
             one.offset + one.length - base)
            for one in message(source, field, tolerant=tolerant)
        ]  # fmt: skip
    return Spans(data, base, found)


def inner(source: Blocks | Memory, held: Spans, begin: int, end: int) -> Spans:
    """The message that lies from `begin` to `end` of what is held."""
    found = scan(held.data, begin, end) if end <= len(held.data) else None
    if found is not None:
        return Spans(held.data, held.base, found)
    return spans(source, Field(0, BYTES, 0, held.base + begin, end - begin))


def scan(data: bytes, at: int, end: int) -> list[Span] | None:
    """The fields of the message from `at` to `end`, whose last payload may go beyond `data`.

    None where it is written in an unusual way (groups, tags of more than two bytes), or is wrong or cut.
    """
    found: list[Span] = []
    add = found.append
    try:
        while at < end:
            tag, value = data[at], data[at + 1]
            at += 2
            if tag > 127:
                tag = tag & 127 | value << 7 if value < 128 else 0
                value = data[at]
                at += 1
            if tag < _LEAST:
                return None
            wire = tag & 7
            if wire & 5:  # neither a number nor a payload
                size = _FIXED[wire]
                at -= 1
                data[at + size - 1]
                add((tag, at, at + size))
                at += size
                continue
            if value > 127:
                value, at = read_number(data, at - 1)
            if wire:
                add((tag, at, at + value))
                at += value
            else:
                add((tag, value, at))
    except (IndexError, KeyError, MalformedFile):
        return None
    return found if at == end else None


_FIXED = {1: 8, 5: 4}
"""Bytes of a value by its wire type."""
_LEAST = 8
"""The smallest tag: field number 1."""


def read_text(source: Blocks | Memory, held: Spans, begin: int, end: int, limit: int) -> str:
    """The text from `begin` to `end`; of a longer one than `limit` bytes the beginning, and how much is missing."""
    if end - begin <= limit and begin >= 0 and end <= len(held.data):
        return held.data[begin:end].decode("utf-8", "replace")
    return text_of(source, Field(0, BYTES, 0, held.base + begin, end - begin), limit)


def no_payload(held: Spans, tag: int, begin: int) -> MalformedFile:
    """The error about a field that should hold bytes; its place is at `begin` or just before."""
    return MalformedFile(
        msg("Field {number} holds a number where bytes are expected.", number=tag >> 3), offset=held.base + begin
    )


def pair(data: bytes, begin: int, end: int) -> tuple[bytes, int] | None:
    """What lies from `begin` to `end`, where that is a text as field 1 and bytes as field 2 and nothing else.

    An entry of a map, or a name with what it names: messages that there are very many of. The text, and where the bytes
    begin, which go on to `end`. None for any other, also of one written in another way or too long for this.
    """
    if end > len(data) or end - begin < _PAIR or data[begin] != _FIRST or data[begin + 1] > _PLAIN:
        return None
    tag = begin + 2 + data[begin + 1]
    if tag + 2 > end or data[tag] != _SECOND:
        return None
    at, length = tag + 2, data[tag + 1]
    if length > _PLAIN and at < end and data[at] <= _PLAIN:
        at, length = at + 1, length & _PLAIN | data[at] << 7
    return (data[begin + 2 : tag], at) if at + length == end else None


_PAIR = 4
"""Bytes of the shortest pair."""
_FIRST, _SECOND, _PLAIN = 0x0A, 0x12, 127


def only_child(data: bytes, begin: int, end: int, tags: bytes) -> int | None:
    """Where what lies below messages that hold nothing else begins, one in the other, whose tags are `tags`.

    It goes on to `end`. None where that is not so, or where it is longer than a byte can say.
    """
    if end > len(data):
        return None
    for tag in tags:
        begin += 2
        if not 0 <= end - begin <= _PLAIN or data[begin - 2] != tag or data[begin - 1] != end - begin:
            return None
    return begin
