"""Core ML's programs (MIL): functions, blocks, operations and values as the protobuf has them; knows no operation.

Arrays are not read: a value says where its bytes lie, in this file or in one of blob storage. `literal` reads the small
ones that are settings.

Source: mlmodel/format/MIL.proto of coremltools 9.0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from service.config import Limits
from service.errors import InputError, LimitExceeded
from service.language import msg
from service.parsers.protobuf import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    Field,
    fields,
    message,
    only_child,
    packed,
    pair,
    signed,
    text_of,
)
from service.parsers.protobuf_message import payload
from service.source import BytesSource, Meter, Source

DTYPES = {
    1: "bool", 2: "string", 10: "float16", 11: "float32", 12: "float64", 13: "bfloat16", 21: "int8", 22: "int16",
    23: "int32", 24: "int64", 25: "int4", 31: "uint8", 32: "uint16", 33: "uint32", 34: "uint64", 35: "uint4",
    36: "uint2", 37: "uint1", 38: "uint6", 39: "uint3", 40: "float8_e4m3fn", 41: "float8_e5m2",
}  # fmt: skip

_MAX_DEPTH = 32
_MAX_TEXT = 4096
_MAX_AXES = 256
_SHORT = 256
"""Longest type, in bytes, that is remembered."""
_FORMATS = {"float16": "e", "int8": "b", "int16": "h", "uint8": "B", "uint16": "H", "uint32": "I", "uint64": "Q"}
"""Element types that an immediate value keeps as bytes."""
_FLOATS, _INTS, _BOOLS, _STRINGS, _LONGS, _DOUBLES, _RAW = range(1, 8)
_NAMES = bytes((1 << 3 | BYTES, 1 << 3 | BYTES))
"""An argument that is one binding to one name."""
_TEXTS = bytes((_STRINGS << 3 | BYTES, 1 << 3 | BYTES))
"""A tensor that is one text."""


@dataclass(frozen=True, slots=True)
class Type:
    """Element type and sizes of a value; None where it is no tensor or not fixed."""

    dtype: str | None = None
    shape: tuple[int | None, ...] | None = None


@dataclass(frozen=True, slots=True)
class Value:
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


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. An operand is a name or a constant written in its place."""

    type: str
    inputs: dict[str, list[str | Value]]
    outputs: list[tuple[str, Type]]
    attributes: dict[str, Value]
    blocks: list[Field]
    offset: int


@dataclass(frozen=True, slots=True)
class Function:
    """One function: its inputs and the block that is meant by its opset."""

    name: str
    opset: str
    inputs: list[tuple[str, Type]]
    block: Field | None


def functions(source: Source, program: Field) -> Iterator[Function]:
    """The functions of a program, in their order."""
    for one in message(source, program):
        if one.number == 2:
            name, value = _entry(source, one)
            if value is not None:
                yield _function(source, name, value)


def _function(source: Source, name: str, field: Field) -> Function:
    inputs: list[tuple[str, Type]] = []
    blocks: dict[str, Field | None] = {}
    opset = ""
    for one in message(source, field):
        if one.number == 1:
            inputs.append(_named_type(source, one))
        elif one.number == 2:
            opset = text_of(source, one, _MAX_TEXT)
        elif one.number == 3:
            key, value = _entry(source, one)
            blocks[key] = value
    block = blocks.get(opset) or next(iter(blocks.values()), None)
    return Function(name, opset, inputs, block)


@dataclass(frozen=True, slots=True)
class Block:
    """Inputs and outputs of a block; its operations are read one by one with `operations`."""

    inputs: list[tuple[str, Type]]
    outputs: list[str]


def block(source: Source, field: Field) -> Block:
    """What goes in and out of a block."""
    inputs, outputs = [], []
    for one in message(source, field):
        if one.number == 1:
            inputs.append(_named_type(source, one))
        elif one.number == 2:
            outputs.append(text_of(source, one, _MAX_TEXT))
    return Block(inputs, outputs)


def operations(source: Source, field: Field) -> Iterator[Operation]:
    """The operations of a block, in their order."""
    for one in message(source, field):
        if one.number == 3:
            yield _operation(source, one)


def _operation(source: Source, field: Field) -> Operation:
    found = Operation("", {}, [], {}, [], field.offset)
    kind = ""
    for one in message(source, field):
        which = one.number
        if which == 1:
            kind = text_of(source, one, _MAX_TEXT)
        elif which == 2:
            key, argument = _entry(source, one)
            found.inputs[key] = _bindings(source, argument) if argument is not None else []
        elif which == 3:
            found.outputs.append(_named_type(source, one))
        elif which == 4:
            found.blocks.append(one)
        elif which == 5:
            key, at = _entry(source, one)
            if at is not None and (key != "name" or kind != "const"):
                found.attributes[key] = value(source, at)
    return Operation(kind, found.inputs, found.outputs, found.attributes, found.blocks, field.offset)


def _entry(source: Source, field: Field) -> tuple[str, Field | None]:
    """Key and value of one entry of a map."""
    known = pair(source, field)
    if known is not None:
        return known
    key, found = "", None
    for one in message(source, field):
        if one.number == 1:
            key = text_of(source, one, _MAX_TEXT)
        elif one.number == 2 and one.wire == BYTES:
            found = one
    return key, found


def _bindings(source: Source, argument: Field) -> list[str | Value]:
    found: list[str | Value] = []
    name = only_child(source, argument, _NAMES)
    if name is not None:
        return [text_of(source, name, _MAX_TEXT)]
    for one in message(source, argument):
        found.extend(
            text_of(source, bound, _MAX_TEXT) if bound.number == 1 else value(source, bound)
            for bound in message(source, one)
        )
    return found


def _named_type(source: Source, field: Field) -> tuple[str, Type]:
    known = pair(source, field)
    if known is not None:
        return known[0], _type(source, known[1])
    name, kind = "", Type()
    for one in message(source, field):
        if one.number == 1:
            name = text_of(source, one, _MAX_TEXT)
        elif one.number == 2:
            kind = _type(source, one)
    return name, kind


def _type(source: Source, field: Field) -> Type:
    """The type in `field`: a program has many values of few types, so each is read once."""
    if field.wire == BYTES and field.length <= _SHORT:
        try:
            return _known_type(source.read_at(field.offset, field.length))
        except InputError:
            pass  # read again where it lies, so that the error has its place
    return _read_type(source, field)


@lru_cache(maxsize=4096)
def _known_type(data: bytes) -> Type:
    return _read_type(BytesSource(data, Meter(Limits())), Field(0, BYTES, 0, 0, len(data)))


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
            kind = _type(source, one)
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
    single = only_child(source, one.tensor, _TEXTS) if one.type.shape == () else None
    if single is not None:
        return text_of(source, single, _MAX_TEXT)
    kept = next(message(source, one.tensor), None)
    if kept is None or kept.wire != BYTES or kept.length > 16 * limit + _MAX_TEXT:
        return None
    found = list(_elements(source, kept, one.type.dtype, limit))
    if len(found) > limit:
        return None
    scalar = one.type.shape == () and len(found) == 1
    return found[0] if scalar else found


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
