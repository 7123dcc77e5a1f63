"""The constants of a graph: element type, shape and where the values lie, from a TensorProto; values are passed over.

Source: tensorflow/core/framework/tensor.proto.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from service.errors import InputError
from service.parsers.protobuf import BYTES, Field, message
from service.parsers.tensorflow_types import dtype_name, shape_of, short_number, written_shape
from service.source import Source
from service.tree import Shape

_CONTENT = 4
_FIXED = {5: 4, 6: 8, 9: 4, 12: 8}
"""Fields of values with a fixed number of bytes per stored number: float, double, complex64 and complex128 parts."""
_VALUES = frozenset({5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 17, 18})


_TEXT = 8
MAX_TEXTS = 64

VALUE = b"\n\x05value\x12"
"""How an attribute begins that holds a constant."""
_NUMBER = rb"([\x80-\xff]{0,4}[\x00-\x7f])"
_WRITTEN = re.compile(
    VALUE + _NUMBER + rb"B" + _NUMBER + rb"\x08([\x01-\x7f])\x12([\x00-\x7f])"
    rb"((?:\x12[\x02-\x0b]\x08[\x80-\xff]{0,9}[\x00-\x7f]|\x12\x00)*)([\x22\x2a\x32\x3a\x42\x52\x5a])" + _NUMBER,
    re.DOTALL,
)
"""Such an attribute up to its values, if these are one field: type, shape, then bytes or numbers."""


class Constant(NamedTuple):
    """One constant tensor.

    Attributes:
        content: Where its values lie as they are in memory, None where they are written another way.
        numbers: How many numbers are written out where `content` is None; the last one stands for all that follow.
        stored: Bytes that the values take in the file.
        texts: Where the values of a tensor of texts lie, the first `MAX_TEXTS` of them.
    """

    dtype: str | None
    shape: Shape | None
    content: Field | None
    numbers: int | None
    stored: int
    texts: tuple[Field, ...] = ()


def read_constant(source: Source, place: Field) -> Constant:
    """The tensor at `place`. Raises InputError."""
    dtype, shape, content, stored = 0, None, None, 0
    numbers: int | None = 0
    texts: list[Field] = []
    for part in message(source, place):
        if part.number == 1:
            dtype = part.value
        elif part.number == 2 and part.wire == BYTES:
            shape = shape_of(source, part)
        elif part.number == _CONTENT and part.wire == BYTES:
            content, stored = part, part.length
        elif part.number in _VALUES:
            stored += part.length
            numbers = _more(numbers, part)
            if part.number == _TEXT and part.wire == BYTES and len(texts) < MAX_TEXTS:
                texts.append(part)
    return Constant(dtype_name(dtype), shape if shape is not None else (), content, numbers, stored, tuple(texts))


def written_constant(data: bytes, at: int, length: int, base: int) -> Constant | None:
    """The constant in the attribute of `length` bytes at `data[at]`, which lies at `base + at` in the file.

    None where it is not written as TensorFlow writes one, or its beginning is not all in `data`.
    """
    found = _WRITTEN.match(data, at)
    if found is None or found[4][0] != len(found[5]):
        return None
    begin, stored = _after(data, found.start(7))
    end = at + length
    if begin + stored != end or sum(_after(data, found.start(1))) != end or sum(_after(data, found.start(2))) != end:
        return None
    try:
        shape = written_shape(found[5])
    except InputError:
        return None
    place = Field(found[6][0] >> 3, BYTES, 0, base + begin, stored)
    if place.number == _CONTENT:
        return Constant(dtype_name(found[3][0]), shape if shape is not None else (), place, 0, stored)
    texts = (place,) if place.number == _TEXT else ()
    return Constant(dtype_name(found[3][0]), shape if shape is not None else (), None, _more(0, place), stored, texts)


def _after(data: bytes, at: int) -> tuple[int, int]:
    """(what follows the number at `at`, the number)."""
    value, stop = short_number(data, at)
    return stop, value


def _more(numbers: int | None, part: Field) -> int | None:
    """How many numbers there are with those in `part`; None where only reading them would tell."""
    if numbers is None:
        return None
    if part.number == _TEXT or part.wire != BYTES:
        return numbers + 1
    size = _FIXED.get(part.number)
    return None if size is None else numbers + part.length // size
