"""ONNX' tensors read from protobuf: name, sizes, type, and where the values lie; they stay where they are.

Knows field numbers; knows not what a tensor is for.

Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (IR version 14)
"""

from __future__ import annotations

import re

from service.errors import LimitExceeded
from service.language import msg
from service.parsers.onnx_messages import Sparse, Tensor
from service.parsers.onnx_reading import MAX_NUMBERS, MAX_RANK, Reading, entry_of, keep
from service.parsers.protobuf import BYTES, VARINT, Field, packed, read_number, signed
from service.parsers.protobuf_spans import Spans, scan, spans

_DATA_FIELDS = frozenset({4, 5, 6, 7, 10, 11})
"""float_data, int32_data, string_data, int64_data, double_data, uint64_data."""
_SIZE, _SIZES, _TYPE, _NAME, _RAW, _ENTRY, _LOCATION = 0x08, 0x0A, 0x10, 0x42, 0x4A, 0x6A, 0x70
"""Tags of a tensor's fields."""
_WRITTEN = re.compile(rb"((?:\x08[\x80-\xff]{0,9}[\x00-\x7f]){0,64})\x10([\x00-\x7f])\x42([\x00-\x7f])")
"""How nearly every tensor begins: sizes, type and the length of its name, which is followed by raw data."""


def tensor_of(reading: Reading, one: Field) -> Tensor:
    """The tensor in `one`, without its values; LimitExceeded for too many tensors or axes."""
    reading.tensors += 1
    if reading.tensors > reading.limits.weights:
        raise LimitExceeded("weights", reading.limits.weights, msg("The file holds too many tensors."))
    return _written(reading, one) or _any(reading, one)


def _written(reading: Reading, one: Field) -> Tensor | None:
    """A tensor as writers write it: sizes, type, name and raw data, and nothing else; None for any other."""
    data, base = reading.source.window(one.offset)
    found = _WRITTEN.match(data, one.offset - base)
    if found is None or reading.tolerant:
        return None
    begin = found.end()
    end = begin + found[3][0]
    if end + _WORST > len(data) or data[end] != _RAW:
        return None
    size, at = read_number(data, end + 1, base)
    if base + at + size != one.offset + one.length or base + at + size > reading.source.size:
        return None
    name = reading.texts.get(data[begin:end]) or reading.said(Spans(data, base, []), begin, end)
    sizes = reading.sizes.get(found[1])
    if sizes is None:
        sizes = reading.sizes[found[1]] = tuple(signed(size) for _, size, _ in scan(found[1], 0, len(found[1])) or ())
    raw = tuple.__new__(Field, (9, BYTES, 0, base + at, size))
    return tuple.__new__(Tensor, (name, sizes, found[2][0], raw, (), 0, (), 0, one.offset))


_WORST = 12
"""Longest tag and number behind a name."""


def _any(reading: Reading, one: Field) -> Tensor:
    held = spans(reading.source, one, tolerant=reading.tolerant)
    last = one.offset - held.base
    name, typed_bytes = "", 0
    numbers = {_TYPE: 0, _LOCATION: 0}
    dims: list[int] = []
    raw: Field | None = None
    typed: list[Field] = []
    external: list[tuple[str, str]] = []
    for tag, begin, end in held.fields:
        if tag in (_SIZE, _SIZES):
            dims.extend((begin,) if tag == _SIZE else packed(reading.source, _bytes(held, begin, end), MAX_RANK))
        elif tag in numbers:
            numbers[tag] = begin
        elif tag == _NAME:
            name = _name(reading, held, begin, end)
        elif tag == _RAW:
            raw = _bytes(held, begin, end)
        elif tag >> 3 in _DATA_FIELDS:
            found = _typed(held, tag, begin, end, last)
            typed_bytes += found.length
            if len(typed) < MAX_NUMBERS:
                typed.append(found)
        elif tag == _ENTRY:
            keep(external, entry_of(reading, _bytes(held, begin, end)))
        last = end
    if len(dims) > MAX_RANK:
        raise _too_many_axes(len(dims), one.offset)
    return Tensor(
        name, tuple(map(signed, dims)), numbers[_TYPE], raw, tuple(typed), typed_bytes, tuple(external),
        numbers[_LOCATION], one.offset,
    )  # fmt: skip


def _bytes(held: Spans, begin: int, end: int) -> Field:
    return Field(_RAW >> 3, BYTES, 0, held.base + begin, end - begin)


def _name(reading: Reading, held: Spans, begin: int, end: int) -> str:
    if held.base + end > reading.source.size:
        return ""
    written = held.data[begin:end] if end <= len(held.data) else b""
    return reading.texts.get(written) or reading.said(held, begin, end)


def _typed(held: Spans, tag: int, begin: int, end: int, last: int) -> Field:
    """One field of a typed list, which follows what ends at `last`; a varint stands behind a tag of one byte."""
    if tag & 7 == VARINT:
        return Field(tag >> 3, VARINT, begin, held.base + last + 1, end - last - 1)
    return Field(tag >> 3, tag & 7, 0, held.base + begin, end - begin)


def _too_many_axes(axes: int, offset: int) -> LimitExceeded:
    return LimitExceeded("rank", MAX_RANK, msg("A tensor has {n} axes.", n=axes), value=axes, offset=offset)


def sparse_of(reading: Reading, one: Field) -> Sparse:
    """The sparse tensor in `one`."""
    held: dict[int, Tensor] = {}
    dims: tuple[int, ...] = ()
    for part in reading.inside(one):
        if part.number in (1, 2) and part.wire == BYTES:
            held[part.number] = tensor_of(reading, part)
        elif part.number == 3 and len(dims) < MAX_RANK:
            dims = (*dims, *map(signed, packed(reading.source, part, MAX_RANK)))
    return Sparse(held.get(1), held.get(2), dims)
