"""Where arrays lie in a `.bin`: flags, the steps of four bytes, tables, and what is missing at the end."""

from __future__ import annotations

import struct

import pytest

from service.catalog.ncnn_bin import Placing, place
from service.catalog.ncnn_weights import Array
from service.config import Limits
from service.source import BytesSource, Meter

FLAGGED = Array("w", "kernel", (3, 5), flagged=True)
RAW = Array("b", "bias", (3,))
PACKED = Array("q", "kernel", (3, 5), bits=4)


def placed(data: bytes, *arrays: Array) -> Placing:
    return place(arrays, BytesSource(data, Meter(Limits())))


@pytest.mark.parametrize(("flag", "dtype", "length"), [
    (0, "float32", 60), (0x0002C056, "float32", 60), (0x01306B47, "float16", 30), (0x01348B83, "bfloat16", 30),
    (0x000D4B38, "int8", 15),
])  # fmt: skip
def test_a_flag_tells_how_an_array_is_stored(flag: int, dtype: str, length: int) -> None:
    """And the next array begins at the next multiple of four bytes."""
    step = -(-length // 4) * 4
    found = placed(struct.pack("<I", flag) + bytes(step + 12), FLAGGED, RAW)
    first, second = found.placed
    assert (first.dtype, first.offset, first.length, first.table) == (dtype, 4, length, None)
    assert (second.dtype, second.offset, second.length) == ("float32", 4 + step, 12)
    assert (found.end, found.missing, found.cut) == (4 + step + 12, 0, None)


def test_any_other_flag_is_a_table() -> None:
    """256 numbers, and then a byte for each value."""
    found = placed(struct.pack("<I", 77) + bytes(1024 + 16), FLAGGED)
    (only,) = found.placed
    assert (only.dtype, only.table, only.offset, only.length, found.end) == ("uint8", 4, 1028, 15, 1044)


def test_packed_and_raw_arrays_have_no_flag() -> None:
    """Nine bytes of three rows of five values of four bits, then three numbers."""
    found = placed(bytes(12 + 12), PACKED, RAW)
    assert [(one.dtype, one.offset, one.length) for one in found.placed] == [("int4", 0, 9), ("float32", 12, 12)]


@pytest.mark.parametrize(("size", "there", "missing", "cut"), [
    (80, 2, 0, None), (76, 2, 0, None), (75, 1, 1, (64, 12)), (64, 1, 1, (64, 12)), (63, 0, 2, (4, 60)),
    (4, 0, 2, (4, 60)), (3, 0, 2, None), (0, 0, 2, None),
])  # fmt: skip
def test_what_is_cut_is_counted(size: int, there: int, missing: int, cut: tuple[int, int] | None) -> None:
    """How many arrays are whole, how many are not, and the first of those where its flag is there."""
    found = placed(bytes(size), FLAGGED, RAW)
    assert (len(found.placed), found.missing) == (there, missing)
    assert (None if found.cut is None else (found.cut.offset, found.cut.length)) == cut


def test_flags_are_read_in_blocks() -> None:
    """A thousand small arrays cost few reads."""
    meter = Meter(Limits())
    reads = []

    class Counted(BytesSource):
        def read_at(self, offset: int, length: int) -> bytes:
            reads.append(length)
            return super().read_at(offset, length)

    found = place([Array("w", "kernel", (1,), flagged=True)] * 1000, Counted(bytes(8000), meter))
    assert (len(found.placed), found.end) == (1000, 8000)
    assert len(reads) < 20
