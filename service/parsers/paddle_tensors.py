"""PaddlePaddle's tensor streams: a head with sizes and element type, then raw little-endian values, one after another.

What `save_combine`, `save_vars` and `paddle.save(..., use_binary_format=True)` write. Values are passed over. Names are
not in the stream.

Source: paddle/phi/core/framework/dense_tensor_serialize.cc, dense_tensor_tostream.cc.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile, TruncatedFile, UnsupportedFeature
from service.language import msg
from service.parsers.protobuf import VARINT, fields
from service.parsers.protobuf_message import grouped, integers, number
from service.source import BytesSource, Meter, Source

DTYPES = {
    0: "bool", 1: "int16", 2: "int32", 3: "int64", 4: "float16", 5: "float32", 6: "float64", 19: "uint64", 20: "uint8",
    21: "int8", 22: "bfloat16", 23: "complex64", 24: "complex128", 32: "float8_e4m3fn", 33: "float8_e5m2", 36: "uint16",
    37: "uint32", 38: "uint64",
}  # fmt: skip
SIZES = {
    "bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8, "uint64": 8,
    "float8_e4m3fn": 1, "float8_e5m2": 1, "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8, "complex64": 8,
    "complex128": 16,
}  # fmt: skip

_HEAD = 128
"""Bytes read at once: what stands before the values of nearly every tensor."""
_PLAIN = struct.Struct("<IQIi")
"""Version, no levels of details, version, length of the description."""
_MAX_LEVELS = 64
_MAX_DESCRIPTION = 4096
_MAX_AXES = 256


class Stored(NamedTuple):
    """One tensor: element type, sizes, and where its head begins and its values lie, even past the end of the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    offset: int
    length: int

    @property
    def end(self) -> int:
        """The byte after its values."""
        return self.offset + self.length


def tensors(source: Source) -> Iterator[Stored]:
    """The tensors of a stream in their order; the last one may end past the file.

    Raises:
        MalformedFile: What stands there is no tensor.
        TruncatedFile: The file ends within a tensor's head.
    """
    at = 0
    while at < source.size:
        found = tensor(source, at)
        yield found
        at = found.end


def tensor(source: Source, at: int) -> Stored:
    """The tensor whose head is at `at`; raises as `tensors`."""
    head = _Head(source, at)
    known = head.plain()
    if known is not None:
        dtype, shape, length = known
        return Stored(dtype, shape, at, head.at, length)
    if head.number("<I", 4):
        raise MalformedFile(msg("No tensor begins here: its version is not 0."), offset=at)
    levels = head.number("<Q", 8)
    if levels > _MAX_LEVELS:
        raise MalformedFile(msg("A tensor has {levels} levels of details.", levels=levels), offset=at)
    for _ in range(levels):
        head.skip(head.number("<Q", 8))
    version_at = head.at
    if head.number("<I", 4):
        raise UnsupportedFeature(msg("The tensor is written in a version that is not known."), offset=version_at)
    length = head.number("<i", 4)
    if not 0 < length <= _MAX_DESCRIPTION:
        raise MalformedFile(msg("A tensor's description has {length} bytes.", length=length), offset=head.at)
    description_at = head.at
    dtype, shape = _description(source, head.take(length), description_at)
    return Stored(dtype, shape, at, head.at, math.prod(shape) * SIZES[dtype])


def looks_like_tensor(source: Source) -> bool:
    """Whether a tensor's head stands at the beginning: cheap, for a first look."""
    start = source.read_at(0, min(source.size, 32))
    if len(start) < 24 or start[:4] != bytes(4):
        return False
    levels = int.from_bytes(start[4:12], "little")
    if levels:
        return levels <= 8 and int.from_bytes(start[12:20], "little") % 8 == 0 and start[20:24] != bytes(4)
    length = int.from_bytes(start[16:20], "little")
    return start[12:16] == bytes(4) and 2 <= length <= 512 and start[20] == 0x08 and start[21] in DTYPES


class _Head:
    """Reads forward over a tensor's head, most of it in one read."""

    def __init__(self, source: Source, at: int) -> None:
        self._source = source
        self._start = self.at = at
        self._data = source.read_at(at, min(_HEAD, source.size - at))

    def plain(self) -> tuple[str, tuple[int, ...], int] | None:
        """Element type, sizes and bytes of a tensor whose head is like that of nearly all; None for any other."""
        if len(self._data) < _PLAIN.size:
            return None
        version, levels, inner, length = _PLAIN.unpack_from(self._data)
        if version or levels or inner or not 0 < length <= len(self._data) - _PLAIN.size:
            return None
        known = _known(self._data[_PLAIN.size : _PLAIN.size + length], self._source.meter.limits.elements)
        if known is not None:
            self.at += _PLAIN.size + length
        return known

    def take(self, length: int) -> bytes:
        """The next `length` bytes."""
        begin = self.at - self._start
        self.at += length
        if begin + length <= len(self._data):
            return self._data[begin : begin + length]
        return self._source.read_at(self.at - length, length)

    def skip(self, length: int) -> None:
        """Pass over bytes that are not wanted."""
        if self.at + length > self._source.size:
            raise TruncatedFile(msg("The file ends within the head of a tensor."), offset=self.at)
        self.at += length

    def number(self, code: str, length: int) -> int:
        """The next number."""
        return int(struct.unpack(code, self.take(length))[0])


@lru_cache(maxsize=4096)
def _known(data: bytes, most: int) -> tuple[str, tuple[int, ...], int] | None:
    """What a description says: a stream has many tensors of few kinds. None where it is broken.

    `most` is the limit of elements.
    """
    try:
        dtype, shape = _description(BytesSource(data, Meter(Limits(elements=most))), data, 0)
    except InputError:
        return None  # read again where it lies, so that the error has its place
    return dtype, shape, math.prod(shape) * SIZES[dtype]


def _description(source: Source, data: bytes, at: int) -> tuple[str, tuple[int, ...]]:
    inner = BytesSource(data, source.meter)
    held = grouped(fields(inner), _MAX_AXES + 8)
    dtype = DTYPES.get(number(held, 1))
    if dtype is None or 1 not in held:
        raise UnsupportedFeature(
            msg("The element type {number} of a tensor is not known.", number=number(held, 1)), offset=at
        )
    shape = integers(inner, held, 2, _MAX_AXES)
    if any(size < 0 for size in shape) or any(one.wire == VARINT and one.value >> 63 for one in held.get(2, [])):
        raise MalformedFile(msg("A stored tensor has a negative size."), offset=at)
    limits = source.meter.limits
    if math.prod(shape) > limits.elements:
        raise LimitExceeded("elements", limits.elements, msg("One weight has more elements than any model."), offset=at)
    return dtype, shape
