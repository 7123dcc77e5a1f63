"""WeightParams of Core ML's networks as coremltools' protobufs have them: kinds of values, quantisation, places."""

from __future__ import annotations

import struct

import pytest

from service.parsers.coreml_weights import WeightParams, weight_params
from tests.service.parsers.protobufs import all_of, held, source_of, varint, whole

FLOATS = struct.pack("<3f", 1, 2, 3)


def read(data: bytes) -> WeightParams | None:
    return weight_params(source_of(data), all_of(data))


@pytest.mark.parametrize(
    ("data", "dtype", "count", "size", "offset"),
    [
        (held(1, FLOATS), "float32", 3, 12, 2),
        (held(2, bytes(6)), "float16", 3, 6, 2),
        (held(31, bytes(5)), "int8", 5, 5, 3),
        (held(30, bytes(5)), "uint8", 5, 5, 3),
        (b"".join(varint(1 << 3 | 5) + struct.pack("<f", one) for one in (1, 2)), "float32", 2, 8, None),
        (held(1, FLOATS) + held(1, FLOATS), "float32", 6, 24, None),
    ],
)
def test_kinds_of_values(data: bytes, dtype: str, count: int, size: int, offset: int | None) -> None:
    """Floats, halves, bytes; the place only where all lie in one piece, packed."""
    found = read(data)
    assert found is not None
    assert (found.dtype, found.values, found.bytes, found.offset) == (dtype, count, size, offset)
    assert (found.bits, found.updatable) == (0, False)


@pytest.mark.parametrize("data", [b"", held(1, b""), held(30, b"") + held(40, whole(1, 8)), whole(50, 1)])
def test_without_values_there_is_no_array(data: bytes) -> None:
    """A layer may have the message and nothing in it, as one without a bias has."""
    assert read(data) is None


def test_linear_quantisation() -> None:
    """Codes of 8 bits are elements; of fewer only their bytes are known. Scales and offsets have their places."""
    linear = held(101, held(1, FLOATS) + held(2, FLOATS[:4]))
    whole_bytes = read(held(30, bytes(6)) + held(40, whole(1, 8) + linear))
    assert whole_bytes is not None
    assert (whole_bytes.values, whole_bytes.bits, whole_bytes.scales, whole_bytes.biases) == (6, 8, 3, 1)
    start = 9 + 3 + 2 + 3
    assert whole_bytes.extras == (start + 2, start + 2 + 12 + 2, None)
    packed = read(held(30, bytes(6)) + held(40, whole(1, 4) + linear))
    assert packed is not None
    assert (packed.values, packed.bytes, packed.bits, packed.offset) == (None, 6, 4, 2 + 1)


def test_a_table_of_values() -> None:
    """Codes into a table: its size and place; the number of bits is 8 where it is left out."""
    found = read(held(30, bytes(6)) + held(40, held(102, held(1, FLOATS))) + whole(50, 1))
    assert found is not None
    assert (found.bits, found.table, found.scales, found.updatable) == (8, 3, 0, True)
    assert found.extras[2] == 9 + 3 + 3 + 2
