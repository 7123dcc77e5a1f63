"""One small message of Protocol Buffers held whole, its fields by number; knows no schema.

For messages that describe things: `grouped` keeps every field of one message, so it is for those of bounded length, and
payloads are still read only when asked for.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import TypeVar

from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile
from service.language import msg
from service.parsers.protobuf import BYTES, FIXED32, FIXED64, VARINT, Field, bytes_of, packed, signed, text_of
from service.source import BytesSource, Meter, Source

T = TypeVar("T")
SHORT = 256
"""Longest message, in bytes, that is remembered."""
Held = dict[int, list[Field]]
"""The fields of one message by number, in the order they stand."""


def grouped(walk: Iterable[Field], most: int) -> Held:
    """The fields by number; LimitExceeded if there are more than `most`."""
    held: Held = {}
    for count, field in enumerate(walk):
        if count >= most:
            raise LimitExceeded(
                "protobuf_fields", most, msg("A message has more fields than it may."), offset=field.offset
            )
        held.setdefault(field.number, []).append(field)
    return held


def once(source: Source, where: Field, known: Callable[[bytes], T], read: Callable[[Source, Field], T]) -> T:
    """What `read` makes of a message that occurs many times over: from `known`, which remembers, where it is short."""
    if where.wire == BYTES and where.length <= SHORT:
        try:
            return known(source.read_at(where.offset, where.length))
        except InputError:
            pass  # read again where it lies, so that the error has its place
    return read(source, where)


def alone(data: bytes) -> tuple[Source, Field]:
    """A message that is all of `data`, and where it stands."""
    return BytesSource(data, Meter(Limits())), Field(0, BYTES, 0, 0, len(data))


def last(held: Held, which: int) -> Field | None:
    """The last occurrence of a field, which is the one that counts; None if it is not there."""
    found = held.get(which)
    return found[-1] if found else None


def payload(held: Held, which: int) -> Field | None:
    """As `last`, of a field that must hold bytes; MalformedFile if it holds a number."""
    field = last(held, which)
    if field is not None and field.wire != BYTES:
        raise _wrong_wire(field)
    return field


def payloads(held: Held, which: int) -> list[Field]:
    """All occurrences of a field that must hold bytes; MalformedFile if one holds a number."""
    found = held.get(which, [])
    for field in found:
        if field.wire != BYTES:
            raise _wrong_wire(field)
    return found


def number(held: Held, which: int) -> int:
    """A whole number that is never negative; 0 if it is not there."""
    field = last(held, which)
    if field is None:
        return 0
    if field.wire != VARINT:
        raise _wrong_wire(field)
    return field.value


def real(held: Held, which: int) -> float:
    """A float or double; 0.0 if it is not there."""
    field = last(held, which)
    if field is None:
        return 0.0
    return float_of(field)


def float_of(field: Field) -> float:
    """The value of a fixed32 or fixed64 field as a floating-point number."""
    if field.wire == FIXED32:
        return float(struct.unpack("<f", struct.pack("<I", field.value))[0])
    if field.wire == FIXED64:
        return float(struct.unpack("<d", struct.pack("<Q", field.value))[0])
    raise _wrong_wire(field)


def string(source: Source, held: Held, which: int, limit: int) -> str:
    """A text, shortened to `limit` bytes; empty if it is not there."""
    field = last(held, which)
    return "" if field is None else text_of(source, field, limit)


def integers(source: Source, held: Held, which: int, limit: int) -> tuple[int, ...]:
    """A repeated whole number, signed; LimitExceeded if there are more than `limit`."""
    found: list[int] = []
    for field in held.get(which, []):
        found.extend(signed(value) for value in packed(source, field, limit))
        if len(found) > limit:
            raise LimitExceeded(
                "protobuf_field", limit, msg("Field {number} is longer than it may be.", number=which),
                value=len(found), offset=field.offset,
            )  # fmt: skip
    return tuple(found)


def floats(source: Source, held: Held, which: int, limit: int, size: int = 4) -> tuple[float, ...]:
    """A repeated float (`size` 4) or double (8), at most the first `limit` values."""
    found: list[float] = []
    for field in held.get(which, []):
        room = limit - len(found)
        if room <= 0:
            break
        if field.wire != BYTES:
            found.append(float_of(field))
            continue
        data = bytes_of(source, field._replace(length=min(field.length, room * size) // size * size), limit * size)
        found.extend(struct.unpack(f"<{len(data) // size}{'f' if size == 4 else 'd'}", data))
    return tuple(found)


def _wrong_wire(field: Field) -> MalformedFile:
    return MalformedFile(
        msg("Field {number} is not of the type that its place in the format asks for.", number=field.number),
        offset=field.offset,
    )
