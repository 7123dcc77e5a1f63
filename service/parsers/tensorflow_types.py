"""TensorFlow's element types and shapes as its messages hold them; knows no file.

Sources: tensorflow/core/framework/types.proto, tensor_shape.proto.
"""

from __future__ import annotations

from functools import lru_cache

from service.config import Limits
from service.parsers.protobuf import BYTES, Field, message, signed
from service.source import BytesSource, Meter, Source
from service.tree import Shape

_DTYPES = (
    (1, "float32", 4), (2, "float64", 8), (3, "int32", 4), (4, "uint8", 1), (5, "int16", 2), (6, "int8", 1),
    (7, "string", 0), (8, "complex64", 8), (9, "int64", 8), (10, "bool", 1), (11, "int8", 1), (12, "uint8", 1),
    (13, "int32", 4), (14, "bfloat16", 2), (15, "int16", 2), (16, "uint16", 2), (17, "uint16", 2),
    (18, "complex128", 16), (19, "float16", 2), (20, "resource", 0), (21, "variant", 0), (22, "uint32", 4),
    (23, "uint64", 8), (24, "float8_e5m2", 1), (25, "float8_e4m3fn", 1), (26, "float8_e4m3fnuz", 1),
    (27, "float8_e4m3b11fnuz", 1), (28, "float8_e5m2fnuz", 1), (29, "int4", 1), (30, "uint4", 1), (31, "int2", 1),
    (32, "uint2", 1),
)  # fmt: skip
"""Number, spelling, bytes of one element (0 where they differ from element to element). 11 to 13, 15 and 16 are
quantised types: integers whose scale lies elsewhere."""

_NAMES = {number: name for number, name, _ in _DTYPES}
ITEM_BYTES = {name: size for _, name, size in _DTYPES if size}
_REFERENCE = 100
_MAX_RANK = 254
"""Of a tensor in TensorFlow."""


def dtype_name(number: int) -> str | None:
    """The element type that a DataType stands for, None if there is none; references as what they refer to."""
    return _NAMES.get(number - _REFERENCE if number > _REFERENCE else number)


def shape_of(source: Source, field: Field) -> Shape | None:
    """The sizes in a TensorShapeProto; None for one of unknown rank or more axes than a tensor has."""
    sizes: list[int | None] = []
    for part in message(source, field):
        if part.number == 3 and part.value:
            return None
        if part.number == 2 and part.wire == BYTES:
            sizes.append(_size(source, part))
            if len(sizes) > _MAX_RANK:
                return None
    return tuple(sizes)


@lru_cache(maxsize=1 << 16)
def written_shape(data: bytes) -> Shape | None:
    """The sizes in a TensorShapeProto's bytes; most tensors of a model share theirs with others. Raises InputError."""
    return shape_of(BytesSource(data, Meter(Limits())), Field(2, BYTES, 0, 0, len(data))) if data else ()


def short_number(data: bytes, at: int) -> tuple[int, int]:
    """The number of up to five bytes at `at`, and what follows it; IndexError where it is longer or cut."""
    value = 0
    for index in range(5):
        byte = data[at + index]
        value |= (byte & 127) << (7 * index)
        if byte < 128:
            return value, at + index + 1
    raise IndexError(at)


def _size(source: Source, dim: Field) -> int | None:
    """A size; None for -1, which stands for one that is not fixed."""
    size = 0
    for part in message(source, dim):
        if part.number == 1:
            size = signed(part.value)
    return size if size >= 0 else None
