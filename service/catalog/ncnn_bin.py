"""Where the arrays of ncnn's layers lie in the `.bin`, found by reading the flags between them; knows no layer.

A flag is four bytes, little-endian: 0 float32, 0x01306B47 float16, 0x01348B83 bfloat16, 0x000D4B38 int8, 0x0002C056
float32 again; any other value announces 256 float32 and an index of one byte per value. Source: ncnn's `modelbin.cpp`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from service.catalog.ncnn_weights import Array
from service.source import Source

_FLAG_BYTES = 4
_TABLE = 256
_FLOAT_BYTES = 4
_FORMS = {0: ("float32", 4), 0x0002C056: ("float32", 4), 0x01306B47: ("float16", 2), 0x01348B83: ("bfloat16", 2),
          0x000D4B38: ("int8", 1)}  # fmt: skip
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Placed:
    """One array of the `.bin`: its element type and bytes; `table` is where its 256 values lie, if it has them."""

    array: Array
    dtype: str
    offset: int
    length: int
    table: int | None = None

    @property
    def end(self) -> int:
        """Where the next array begins: four bytes are the smallest step."""
        return self.offset + (self.length + 3) // 4 * 4


@dataclass(frozen=True, slots=True)
class Placing:
    """The arrays that are there, in order; where they end; and how many would come after the end of the file."""

    placed: tuple[Placed, ...]
    end: int
    missing: int
    cut: Placed | None = None


class _Flags:
    """Four bytes here and there, read in blocks so that many small arrays cost few reads."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._block = b""
        self._start = 0

    def at(self, offset: int) -> int | None:
        """The flag at `offset`, None where the file ends before it does."""
        if offset + _FLAG_BYTES > self._source.size:
            return None
        inside = offset - self._start
        if inside < 0 or inside + _FLAG_BYTES > len(self._block):
            self._start, inside = offset, 0
            self._block = self._source.read_at(offset, min(_BLOCK, self._source.size - offset))
        flag: int = struct.unpack_from("<I", self._block, inside)[0]
        return flag


def place(arrays: Iterable[Array], source: Source) -> Placing:
    """The places of `arrays`, one after the other from the beginning of the file, as far as it goes."""
    flags, at = _Flags(source), 0
    placed: list[Placed] = []
    pending = list(arrays)
    for index, array in enumerate(pending):
        one = _place(array, at, flags)
        if one is None or one.offset + one.length > source.size:
            return Placing(tuple(placed), at, len(pending) - index, one)
        placed.append(one)
        at = one.end
    return Placing(tuple(placed), at, 0)


def _place(array: Array, at: int, flags: _Flags) -> Placed | None:
    if array.packed_as is not None:
        return Placed(array, array.packed_as, at, array.stored)
    if not array.flagged:
        return Placed(array, "float32", at, array.count * _FLOAT_BYTES)
    flag = flags.at(at)
    if flag is None:
        return None
    begin = at + _FLAG_BYTES
    if flag in _FORMS:
        dtype, width = _FORMS[flag]
        return Placed(array, dtype, begin, array.count * width)
    return Placed(array, "uint8", begin + _TABLE * _FLOAT_BYTES, array.count, table=begin)
