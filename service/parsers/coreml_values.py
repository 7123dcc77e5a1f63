"""The values of Core ML's programs (MIL): types and constants as the protobuf has them, and small ones read.

Arrays are not read: a value says where its bytes lie, in this file or in one of blob storage. `literal` reads the small
ones that are settings. Knows no operation.

Source: mlmodel/format/MIL.proto of coremltools 9.0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from service.errors import InputError, LimitExceeded
from service.language import msg
from service.parsers.protobuf import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    Blocks,
    Field,
    Memory,
    fields,
    message,
    packed,
    read_number,
    signed,
    text_of,
)
from service.parsers.protobuf_message import alone, once, payload
from service.parsers.protobuf_spans import Spans, only_child
from service.source import Source

Kept = Blocks | Memory
"""A file as programs are read from."""
At = tuple[Spans, int, int]
"""Where a message lies: what it is in, begin and end there."""

DTYPES = {
    1: "bool", 2: "string", 10: "float16", 11: "float32", 12: "float64", 13: "bfloat16", 21: "int8", 22: "int16",
    23: "int32", 24: "int64", 25: "int4", 31: "uint8", 32: "uint16", 33: "uint32", 34: "uint64", 35: "uint4",
    36: "uint2", 37: "uint1", 38: "uint6", 39: "uint3", 40: "float8_e4m3fn", 41: "float8_e5m2",
}  # fmt: skip

_MAX_DEPTH = 32
_MAX_TEXT = 4096
_MAX_AXES = 256
_FORMATS = {"float16": "e", "int8": "b", "int16": "h", "uint8": "B", "uint16": "H", "uint32": "I", "uint64": "Q"}
"""Element types that an immediate value keeps as bytes."""
_FLOATS, _INTS, _BOOLS, _STRINGS, _LONGS, _DOUBLES, _RAW = range(1, 8)
_NAME, _TYPE, _IMMEDIATE, _FILE, _OFFSET = 0x0A, 0x12, 0x1A, 0x2A, 0x10
"""Tags of a value's fields, and of those of a place in a file."""
_PLAIN = 127
"""Longest payload whose length is one byte."""
_LEAST = 8
"""Bytes of the shortest value."""
_TEXTS = bytes((_STRINGS << 3 | BYTES, 1 << 3 | BYTES))
"""A tensor that is one text."""


class Type(NamedTuple):
    """Element type and sizes of a value; None where it is no tensor or not fixed."""

    dtype: str | None = None
    shape: tuple[int | None, ...] | None = None


class Value(NamedTuple):
    """A constant: its type, and where it is.

    Attributes:
        tensor: The field of an immediate tensor.
        file: Name of the file of blob storage, else None.
        offset: Of the array's metadata in that file.
    """

    type: Type
    tensor: Field | None = None
    file: str | None = None
    offset: int = 0


def written_value(at: At, texts: dict[bytes, str]) -> Value | None:
    """A constant written as usual: its type, then where it is in a file, or a tensor; None for any other."""
    held, begin, end = at
    data = held.data
    if end > len(data) or end - begin < _LEAST or data[begin] != _TYPE or data[begin + 1] > _PLAIN:
        return None
    place = begin + 2 + data[begin + 1]
    if place + 4 > end or data[place + 1] != end - place - 2 or data[place + 2] != _NAME:
        return None
    file, tensor, offset = None, None, 0
    if data[place] == _FILE:
        last = place + 4 + data[place + 3]
        if last + 1 >= end or data[last] != _OFFSET:
            return None
        name = data[place + 4 : last]
        file = texts.get(name) or met(name, texts)
        offset, last = read_number(data, last + 1)
    else:
        last = place + 4 + data[place + 3] if data[place] == _IMMEDIATE else 0
        tensor = tuple.__new__(Field, (1, BYTES, 0, held.base + place + 4, end - place - 4))
    try:
        kind = _known_type(data[begin + 2 : place]) if last == end else None
    except InputError:
        return None
    return None if kind is None else tuple.__new__(Value, (kind, tensor, file, offset))


def met(written: bytes, texts: dict[bytes, str]) -> str:
    """A text that was met for the first time."""
    found = texts[written] = written.decode("utf-8", "replace")
    return found


def type_of(source: Source, field: Field) -> Type:
    """The type in `field`: a program has many values of few types, so each is read once."""
    return once(source, field, _known_type, _read_type)


@lru_cache(maxsize=4096)
def _known_type(data: bytes) -> Type:
    return _read_type(*alone(data))


def _read_type(source: Source, field: Field, depth: int = 0) -> Type:
    """A tensor's type; of a state that of what it holds; of lists and the like nothing."""
    if depth > _MAX_DEPTH:
        raise LimitExceeded("depth", _MAX_DEPTH, msg("A type is nested too deeply."), offset=field.offset)
    for one in message(source, field):
        if one.number == 1:
            return _tensor_type(source, one)
        if one.number == 5:
            inner = payload({held.number: [held] for held in message(source, one)}, 1)
            return Type() if inner is None else _read_type(source, inner, depth + 1)
    return Type()


def _tensor_type(source: Source, field: Field) -> Type:
    dtype, rank = 0, 0
    sizes: list[int | None] = []
    for one in message(source, field):
        if one.number == 1:
            dtype = one.value
        elif one.number == 2:
            rank = one.value
        elif one.number == 3 and len(sizes) < _MAX_AXES:
            sizes.append(_dimension(source, one))
    return Type(DTYPES.get(dtype), tuple(sizes) if signed(rank) >= len(sizes) else None)


def _dimension(source: Source, field: Field) -> int | None:
    for one in message(source, field):
        if one.number == 1:
            return next((size.value for size in message(source, one) if size.number == 1), 0)
    return None


def value(source: Source, field: Field) -> Value:
    """A constant's type and place."""
    kind, tensor, file, offset = Type(), None, None, 0
    for one in message(source, field):
        if one.number == 2:
            kind = type_of(source, one)
        elif one.number == 3:
            tensor = next((held for held in message(source, one) if held.number == 1 and held.wire == BYTES), None)
        elif one.number == 5:
            file = ""
            for held in message(source, one):
                if held.number == 1:
                    file = text_of(source, held, _MAX_TEXT)
                elif held.number == 2:
                    offset = held.value
    return Value(kind, tensor, file, offset)


def place(source: Source, one: Value) -> Field | None:
    """Where the elements of an immediate tensor lie in one piece, little-endian; None where they do not."""
    if one.tensor is None:
        return None
    kept = next(message(source, one.tensor), None)
    if kept is None or kept.wire != BYTES:
        return None
    if kept.number == _RAW:
        found = [held for held in message(source, kept) if held.number == 1]
    elif kept.number in (_FLOATS, _DOUBLES):
        found = list(message(source, kept))
    else:
        return None
    return found[0] if len(found) == 1 and found[0].wire == BYTES else None


def literal(source: Source, one: Value, limit: int) -> Any:
    """The value itself: a number, a text, or a list of them; None for one of more than `limit` elements."""
    if one.tensor is None:
        return None
    single = _text(source, one.tensor) if one.type.shape == () and isinstance(source, Blocks | Memory) else None
    if single is not None:
        return single
    kept = next(message(source, one.tensor), None)
    if kept is None or kept.wire != BYTES or kept.length > 16 * limit + _MAX_TEXT:
        return None
    found = list(_elements(source, kept, one.type.dtype, limit))
    if len(found) > limit:
        return None
    scalar = one.type.shape == () and len(found) == 1
    return found[0] if scalar else found


def _text(source: Kept, tensor: Field) -> str | None:
    """The one text that a tensor holds, where it is short and alone."""
    data, base = source.window(tensor.offset)
    end = tensor.offset - base + tensor.length
    first = only_child(data, tensor.offset - base, end, _TEXTS)
    return None if first is None else data[first:end].decode("utf-8", "replace")


def _elements(source: Source, kept: Field, dtype: str | None, limit: int) -> Iterator[Any]:
    for one in fields(source, kept.offset, kept.length):
        if kept.number == _STRINGS:
            yield text_of(source, one, _MAX_TEXT)
        elif kept.number in (_INTS, _BOOLS, _LONGS):
            values = packed(source, one, 16 * limit + _MAX_TEXT)
            yield from map(bool if kept.number == _BOOLS else signed, values)
        elif one.wire == BYTES:
            yield from _fixed(source, one, kept.number, dtype)
        elif one.wire in (FIXED32, FIXED64, VARINT):
            code = {FIXED32: "<f", FIXED64: "<d"}.get(one.wire)
            yield struct.unpack(code, one.value.to_bytes(one.length, "little"))[0] if code else one.value


def _fixed(source: Source, one: Field, kept: int, dtype: str | None) -> Iterator[Any]:
    code = {_FLOATS: "f", _DOUBLES: "d"}.get(kept) or _FORMATS.get(dtype or "")
    if code is not None:
        size = struct.calcsize(code)
        yield from struct.unpack(f"<{one.length // size}{code}", source.read_at(one.offset, one.length // size * size))
