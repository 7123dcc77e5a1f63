"""ONNX' nodes and their attributes read from protobuf; graphs and tensors within attributes stay fields.

A graph has very many nodes whose ends, the attributes, are written alike: each such end is read once. Knows field
numbers; knows no operator.

Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (IR version 14)
"""

from __future__ import annotations

import struct

from service.errors import LimitExceeded
from service.language import msg
from service.parsers.onnx_messages import Attribute, Attributes, Node, Value
from service.parsers.onnx_reading import MAX_CACHED, MAX_NUMBERS, End, Reading, is_cut
from service.parsers.protobuf import BYTES, FIXED32, Field, packed, signed
from service.parsers.protobuf_spans import Spans, spans

_MAX_INTS = 1_000_000
_MAX_END = 1024
"""Longest end of a node, from its first attribute on, that is remembered."""
_INPUT, _OUTPUT, _NAME, _OPERATOR, _ATTRIBUTE, _DOMAIN, _OVERLOAD = 0x0A, 0x12, 0x1A, 0x22, 0x2A, 0x3A, 0x42
"""Tags of a node's fields."""
_READ = frozenset({_INPUT, _OUTPUT, _NAME, _OPERATOR, _ATTRIBUTE, _DOMAIN, _OVERLOAD})
_AT_END = frozenset({_ATTRIBUTE, _DOMAIN, _OVERLOAD})
_NONE = Attributes(())


def node_of(reading: Reading, one: Field) -> Node:
    """The node in `one`; LimitExceeded for too many."""
    reading.nodes += 1
    if reading.nodes > reading.limits.layers:
        raise LimitExceeded("layers", reading.limits.layers, msg("The graphs have too many nodes."))
    held = spans(reading.source, one, tolerant=reading.tolerant)
    data, texts, size = held.data, reading.texts, reading.source.size - held.base
    here, stop = len(data), one.offset - held.base + one.length
    words = {_NAME: "", _OPERATOR: "", _DOMAIN: "", _OVERLOAD: ""}
    ends: dict[int, list[str]] = {_INPUT: [], _OUTPUT: []}
    attributes: list[Attribute] = []
    known: End | None = None
    for index, (tag, begin, end) in enumerate(held.fields):
        if tag not in _READ or end > size:
            continue
        if tag == _ATTRIBUTE:
            known = None if attributes else _end_of(reading, held, index, one.offset - held.base, stop)
            if known is not None:
                words |= known.words
                break
            attributes.append(_attribute(reading, held, begin, end))
            continue
        said = (texts.get(data[begin:end]) if end <= here else None) or reading.said(held, begin, end)
        if tag in words:
            words[tag] = said
        else:
            ends[tag].append(said)
    settings = known.attributes if known is not None else Attributes(tuple(attributes)) if attributes else _NONE
    name, op, domain, overload = words.values()
    return tuple.__new__(
        Node, (name, op, domain, overload, tuple(ends[_INPUT]), tuple(ends[_OUTPUT]), settings, one.offset)
    )


def _end_of(reading: Reading, held: Spans, first: int, begin: int, stop: int) -> End | None:
    """What a node says from its field `first` on, where those are attributes and a domain; None for anything else."""
    start = held.fields[first - 1][2] if first else begin
    written = held.data[start:stop] if stop - start <= _MAX_END and stop <= len(held.data) else b""
    known = reading.ends.get(written)
    rest = held.fields[first:] if known is None else ()
    if known is not None or not written or not all(tag in _AT_END for tag, _, _ in rest):
        return known
    attributes = tuple(_attribute(reading, held, begin, end) for tag, begin, end in rest if tag == _ATTRIBUTE)
    words = {tag: reading.said(held, begin, end) for tag, begin, end in rest if tag != _ATTRIBUTE}
    found = End(Attributes(attributes), words)
    if not any(one.tensors or one.graphs or one.sparse for one in attributes):
        reading.ends[written] = found
    return found


def _attribute(reading: Reading, held: Spans, begin: int, end: int) -> Attribute:
    """An attribute; equal ones that hold no tensor or graph are read once."""
    short = end - begin <= MAX_CACHED and end <= len(held.data)
    key = held.data[begin:end] if short else b""
    known = reading.attributes.get(key)
    if known is None:
        known = _read_attribute(reading, Field(5, BYTES, 0, held.base + begin, end - begin))
        if short and not known.tensors and not known.graphs and not known.sparse:
            reading.attributes[key] = known
    return known


def _read_attribute(reading: Reading, one: Field) -> Attribute:
    texts = {1: "", 21: ""}
    held: dict[int, list[Field]] = {5: [], 6: [], 22: []}
    single: Value = None
    numbers: list[int | float | str] = []
    count = 0
    several = {10: 5, 11: 6, 23: 22}
    for part in reading.inside(one):
        number = part.number
        if part.wire == BYTES and is_cut(reading, part) and number not in held and number not in several:
            continue
        if number in texts:
            texts[number] = reading.text(part)
        elif number in (2, 3, 4):
            single = _one(reading, part)
            count = 1
        elif number in (7, 8, 9):
            found = _several(reading, part)
            count += len(found)
            numbers.extend(found[: max(0, MAX_NUMBERS - len(numbers))])
        elif part.wire == BYTES and (number in held or number in several):
            held[several.get(number, number)].append(part)
    value = tuple(numbers) if numbers else single
    return Attribute(texts[1], value, count, tuple(held[5]), tuple(held[6]), tuple(held[22]), texts[21])


def _one(reading: Reading, part: Field) -> int | float | str:
    if part.wire == FIXED32:
        number: float = struct.unpack("<f", struct.pack("<I", part.value))[0]
        return number
    return reading.text(part) if part.wire == BYTES else signed(part.value)


def _several(reading: Reading, part: Field) -> tuple[int | float | str, ...]:
    """One occurrence of floats, ints or strings, written packed or one by one."""
    if part.number == 9 or part.wire != BYTES:
        return (_one(reading, part),)
    if part.number == 8:
        return tuple(map(signed, packed(reading.source, part, _MAX_INTS)))
    kept = min(part.length // 4, MAX_NUMBERS)
    return struct.unpack(f"<{kept}f", reading.source.read_at(part.offset, 4 * kept))
