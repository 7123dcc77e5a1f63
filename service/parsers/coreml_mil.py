"""Core ML's programs (MIL): functions, blocks and operations as the protobuf has them; knows no operation by name.

A program has very many operations that are written alike: they are read where they lie.

Source: mlmodel/format/MIL.proto of coremltools 9.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from service.parsers.coreml_values import At, Kept, Type, Value, met, type_of, value, written_value
from service.parsers.protobuf import BYTES, Field, message, read_number, text_of
from service.parsers.protobuf_spans import Spans, inner, no_payload, only_child, pair, read_text, spans
from service.source import Source

_MAX_TEXT = 4096
_KIND, _INPUT, _OUTPUT, _BLOCK, _ATTRIBUTE = 0x0A, 0x12, 0x1A, 0x22, 0x2A
"""Tags of an operation's fields."""
_NAME, _WHAT = 0x0A, 0x12
"""Tags of what is named."""
_PLAIN = 127
"""Longest payload whose length is one byte."""
_NAMES = bytes((1 << 3 | BYTES, 1 << 3 | BYTES))
"""An argument that is one binding to one name."""


class Operation(NamedTuple):
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


def functions(source: Source, program: Field) -> list[Function]:
    """The functions of a program, by name: they are in a map, which is written in any order."""
    found: dict[str, Field] = {}
    for one in message(source, program):
        if one.number == 2:
            name, value = _map_entry(source, one)
            if value is not None:
                found[name] = value
    return [_function(source, name, found[name]) for name in sorted(found)]


def _map_entry(source: Source, field: Field) -> tuple[str, Field | None]:
    """Key and value of one entry of a map that has few."""
    key, found = "", None
    for one in message(source, field):
        if one.number == 1:
            key = text_of(source, one, _MAX_TEXT)
        elif one.number == 2 and one.wire == BYTES:
            found = one
    return key, found


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
            key, value = _map_entry(source, one)
            blocks[key] = value
    block = blocks.get(opset) or (blocks[min(blocks)] if blocks else None)
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


def operations(source: Kept, field: Field) -> Iterator[Operation]:
    """The operations of a block, in their order."""
    texts: dict[bytes, str] = {}
    for one in message(source, field):
        if one.number == 3:
            yield _constant(source, one, texts) or _operation(source, one, texts)


def _operation(source: Kept, field: Field, texts: dict[bytes, str]) -> Operation:
    """`texts` are those that were met in short: names are written where they are made and where they are used."""
    held = spans(source, field)
    kind = ""
    inputs: dict[str, list[str | Value]] = {}
    outputs: list[tuple[str, Type]] = []
    attributes: dict[str, Value] = {}
    blocks: list[Field] = []
    for tag, begin, end in held.fields:
        if tag == _KIND:
            kind = read_text(source, held, begin, end, _MAX_TEXT)
        elif tag == _INPUT:
            key, at = _entry(source, held, begin, end, texts)
            inputs[key] = _bindings(source, at, texts) if at is not None else []
        elif tag == _OUTPUT:
            outputs.append(_output(source, held, begin, end, texts))
        elif tag == _BLOCK:
            blocks.append(_field(held, begin, end))
        elif tag == _ATTRIBUTE:
            key, at = _entry(source, held, begin, end, texts)
            if at is not None and (key != "name" or kind != "const"):
                attributes[key] = written_value(at, texts) or value(source, _field(*at))
        elif tag < _ATTRIBUTE:
            raise no_payload(held, tag, end)
    return tuple.__new__(Operation, (kind, inputs, outputs, attributes, blocks, field.offset))


def _constant(source: Kept, field: Field, texts: dict[bytes, str]) -> Operation | None:
    """A constant in a file, as two of three operations are, where it is written as usual; None for any other."""
    data, base = source.window(field.offset)
    at, stop = field.offset - base, field.offset - base + field.length
    if stop > len(data) or not data.startswith(_CONSTANT, at):
        return None
    output = at + len(_CONSTANT)
    attribute = output + 1 + data[output]
    known = pair(data, output + 1, attribute) if data[output] <= _PLAIN else None
    for _ in range(2):
        if known is None or attribute + 2 > stop or data[attribute] != _ATTRIBUTE:
            return None
        begin, size = attribute + 2, data[attribute + 1]
        if size > _PLAIN:
            size, begin = read_number(data, attribute + 1)
        attribute = begin + size
        if attribute == stop:
            held = pair(data, begin, stop)
            if held is None or held[0] != b"val":
                return None
            found = written_value((Spans(data, base, []), held[1], stop), texts)
            outputs = [(met(known[0], texts), _UNTOLD)]
            made: tuple[Any, ...] = ("const", _NOTHING, outputs, {"val": found}, [], field.offset)
            return tuple.__new__(Operation, made) if found is not None else None
        if not data.startswith(_CALLED, begin):
            return None
    return None


_CONSTANT, _CALLED = b"\x0a\x05const\x1a", b"\x0a\x04name\x12"
_NOTHING: dict[str, list[str | Value]] = {}
_UNTOLD = Type()
"""What a constant gives has the type of its value, so that it is read once."""


def _field(held: Spans, begin: int, end: int) -> Field:
    return tuple.__new__(Field, (_BLOCK >> 3, BYTES, 0, held.base + begin, end - begin))


def _entry(source: Kept, held: Spans, begin: int, end: int, texts: dict[bytes, str]) -> tuple[str, At | None]:
    """Key and value of one entry of a map."""
    known = pair(held.data, begin, end)
    if known is not None:
        key = texts.get(known[0])
        return met(known[0], texts) if key is None else key, (held, known[1], end)
    part = inner(source, held, begin, end)
    name, found = "", None
    for tag, first, last in part.fields:
        if tag == _NAME:
            name = read_text(source, part, first, last, _MAX_TEXT)
        elif tag == _WHAT:
            found = (part, first, last)
    return name, found


def _bindings(source: Kept, at: At, texts: dict[bytes, str]) -> list[str | Value]:
    held, begin, end = at
    first = only_child(held.data, begin, end, _NAMES)
    if first is not None:
        written = held.data[first:end]
        return [texts.get(written) or met(written, texts)]
    found: list[str | Value] = []
    for one in message(source, _field(*at)):
        found.extend(
            text_of(source, bound, _MAX_TEXT) if bound.number == 1 else value(source, bound)
            for bound in message(source, one)
        )
    return found


def _output(source: Kept, held: Spans, begin: int, end: int, texts: dict[bytes, str]) -> tuple[str, Type]:
    """A name with its type; where it is written as usual, at once."""
    known = pair(held.data, begin, end)
    if known is None:
        return _named_type(source, _field(held, begin, end))
    name = texts.get(known[0])
    return met(known[0], texts) if name is None else name, type_of(source, _field(held, known[1], end))


def _named_type(source: Source, field: Field) -> tuple[str, Type]:
    name, kind = "", Type()
    for one in message(source, field):
        if one.number == 1:
            name = text_of(source, one, _MAX_TEXT)
        elif one.number == 2:
            kind = type_of(source, one)
    return name, kind
