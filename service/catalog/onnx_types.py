"""Element types of ONNX tensors by their number: our name and the bits that one takes; knows no file."""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple


class Type(NamedTuple):
    """An element type. `bits` is 0 where elements have no fixed size."""

    name: str
    bits: int


TYPES = MappingProxyType(
    {
        1: Type("float32", 32), 2: Type("uint8", 8), 3: Type("int8", 8), 4: Type("uint16", 16), 5: Type("int16", 16),
        6: Type("int32", 32), 7: Type("int64", 64), 8: Type("string", 0), 9: Type("bool", 8), 10: Type("float16", 16),
        11: Type("float64", 64), 12: Type("uint32", 32), 13: Type("uint64", 64), 14: Type("complex64", 64),
        15: Type("complex128", 128), 16: Type("bfloat16", 16), 17: Type("float8_e4m3fn", 8),
        18: Type("float8_e4m3fnuz", 8), 19: Type("float8_e5m2", 8), 20: Type("float8_e5m2fnuz", 8),
        21: Type("uint4", 4), 22: Type("int4", 4), 23: Type("float4_e2m1fn", 4), 24: Type("float8_e8m0fnu", 8),
        25: Type("uint2", 2), 26: Type("int2", 2), 27: Type("float6_e2m3fn", 6), 28: Type("float6_e3m2fn", 6),
    }
)  # fmt: skip
"""https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, TensorProto.DataType"""


def name_of(number: int) -> str | None:
    """Our name of an element type; None for undefined and for numbers that are none."""
    found = TYPES.get(number)
    return None if found is None else found.name


def stored_bytes(number: int, count: int) -> int | None:
    """Bytes of `count` elements as raw data; None where their size is not fixed."""
    found = TYPES.get(number)
    return None if found is None or not found.bits else -(-count * found.bits // 8)
