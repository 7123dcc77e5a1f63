"""The constants of a graph: element type, shape and where the values lie, from a TensorProto; values are passed over.

Source: tensorflow/core/framework/tensor.proto.
"""

from __future__ import annotations

from typing import NamedTuple

from service.parsers.protobuf import BYTES, Field, message
from service.parsers.tensorflow_types import dtype_name, shape_of
from service.source import Source
from service.tree import Shape

_CONTENT = 4
_FIXED = {5: 4, 6: 8, 9: 4, 12: 8}
"""Fields of values with a fixed number of bytes per stored number: float, double, complex64 and complex128 parts."""
_VALUES = frozenset({5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 17, 18})


class Constant(NamedTuple):
    """One constant tensor.

    Attributes:
        content: Where its values lie as they are in memory, None where they are written another way.
        numbers: How many numbers are written out where `content` is None; the last one stands for all that follow.
        stored: Bytes that the values take in the file.
    """

    dtype: str | None
    shape: Shape | None
    content: Field | None
    numbers: int | None
    stored: int


def read_constant(source: Source, place: Field) -> Constant:
    """The tensor at `place`. Raises InputError."""
    dtype, shape, content, stored = 0, None, None, 0
    numbers: int | None = 0
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
    return Constant(dtype_name(dtype), shape if shape is not None else (), content, numbers, stored)


def _more(numbers: int | None, part: Field) -> int | None:
    """How many numbers there are with those in `part`; None where only reading them would tell."""
    if numbers is None:
        return None
    if part.number == 8 or part.wire != BYTES:
        return numbers + 1
    size = _FIXED.get(part.number)
    return None if size is None else numbers + part.length // size
