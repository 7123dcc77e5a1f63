"""WeightParams of Core ML's neural networks: one array as floats, half floats or quantised bytes, never read.

Knows the message and how many bytes it has; the shape is the layer's to know.

Source: mlmodel/format/NeuralNetwork.proto of coremltools (WeightParams, QuantizationParams).
"""

from __future__ import annotations

from typing import NamedTuple

from service.parsers.protobuf import BYTES, FIXED32, Blocks, Field, Memory, message, read_number
from service.parsers.protobuf_message import Held, grouped, number, payload
from service.source import Source

_FLOATS, _HALVES, _RAW, _INT8, _QUANTIZATION, _UPDATABLE = 1, 2, 30, 31, 40, 50
_LINEAR, _TABLE = 101, 102
_MAX_FIELDS = 1 << 20
"""Floats need not be packed: then each is a field of its own."""


class WeightParams(NamedTuple):
    """One array as stored.

    Attributes:
        dtype: `float32`, `float16`, `int8`, or `uint8` for quantised values of `bits` bits.
        values: Elements that are stored; of packed bits None, as the last byte may be only partly used.
        bytes: Of the values.
        offset: Of the values in the file; None where they do not lie in one piece.
        bits: Per quantised value, 0 if not quantised.
        scales, biases: Values of the linear quantisation: one, or one per output channel.
        table: Values of the look-up table.
        extras: Offset of scales, biases and table in the file, where they lie in one piece.
        updatable: Whether training on the device may change it.
    """

    dtype: str
    values: int | None
    bytes: int
    offset: int | None
    bits: int = 0
    scales: int = 0
    biases: int = 0
    table: int = 0
    extras: tuple[int | None, int | None, int | None] = (None, None, None)
    updatable: bool = False


def weight_params(source: Source, field: Field) -> WeightParams | None:
    """The array in `field`; None if it is empty."""
    plain = _plain(source, field) if isinstance(source, Blocks | Memory) else None
    if plain is not None:
        return plain
    held = grouped(message(source, field), _MAX_FIELDS)
    updatable = bool(number(held, _UPDATABLE))
    quantized, raw = payload(held, _QUANTIZATION), payload(held, _RAW)
    if raw is not None and raw.length and quantized is not None:
        return _quantized(source, raw, quantized, updatable)
    length, offset = _values(held, _FLOATS)
    if length:
        return WeightParams("float32", length // 4, length, offset, updatable=updatable)
    for which, dtype, size in ((_HALVES, "float16", 2), (_INT8, "int8", 1), (_RAW, "uint8", 1)):
        found = payload(held, which)
        if found is not None and found.length:
            return WeightParams(dtype, found.length // size, found.length, found.offset, updatable=updatable)
    return None


def _plain(source: Blocks | Memory, field: Field) -> WeightParams | None:
    """An array that is nothing but floats or half floats in one piece; None for any other."""
    data, base = source.window(field.offset)
    at, stop = field.offset - base, field.offset - base + field.length
    if field.length < _LEAST or at + _LEAST > len(data) or data[at] not in _PLAIN:
        return None
    size, begin = read_number(data, at + 1, base)
    if not size or begin + size != stop or base + stop > source.size:
        return None
    dtype, width = _PLAIN[data[at]]
    return WeightParams(dtype, size // width, size, base + begin)


_LEAST = 12
"""Longest tag and number before the values."""
_PLAIN = {_FLOATS << 3 | BYTES: ("float32", 4), _HALVES << 3 | BYTES: ("float16", 2)}


def _quantized(source: Source, raw: Field, quantized: Field, updatable: bool) -> WeightParams:
    held = grouped(message(source, quantized), _MAX_FIELDS)
    bits = number(held, 1) or 8
    linear, table = payload(held, _LINEAR), payload(held, _TABLE)
    inner = grouped(message(source, linear), _MAX_FIELDS) if linear is not None else {}
    scales, scales_at = _values(inner, 1)
    biases, biases_at = _values(inner, 2)
    values, values_at = _values(grouped(message(source, table), _MAX_FIELDS), 1) if table is not None else (0, None)
    return WeightParams(
        dtype="uint8", values=raw.length if bits == 8 else None, bytes=raw.length, offset=raw.offset, bits=bits,
        scales=scales // 4, biases=biases // 4, table=values // 4, extras=(scales_at, biases_at, values_at),
        updatable=updatable,
    )  # fmt: skip


def _values(held: Held, which: int) -> tuple[int, int | None]:
    """Bytes of a repeated float, and where they lie if in one piece."""
    found = held.get(which, [])
    length = sum(field.length for field in found if field.wire in (BYTES, FIXED32))
    one = len(found) == 1 and found[0].wire == BYTES
    return length, found[0].offset if one else None
