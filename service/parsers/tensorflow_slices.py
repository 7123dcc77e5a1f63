"""The names and extents of slices of partitioned variables as TensorFlow writes them in keys and messages.

Knows TensorFlow's order-preserving code of numbers and strings; must not know tables.
Sources: tensorflow/core/util/saved_tensor_slice_util.cc, tensorflow/core/lib/strings/ordered_code.cc,
tensor_slice.proto.
"""

from __future__ import annotations

from service.parsers.protobuf import BYTES, Field, message, signed
from service.source import Source
from service.tree import Shape

Extent = tuple[int, int | None]
"""Start and length along one axis; length None for the whole axis."""

_END = b"\x00\x01"
_ESCAPES = ((b"\x00\xff", b"\x00"), (b"\xff\x00", b"\xff"))
_MAX_RANK = 254
_FULL = -1


def is_slice_key(key: bytes) -> bool:
    """Whether a table's key names a slice, not a tensor: names do not begin with a null byte."""
    return key[:1] == b"\x00" and len(key) > 1


def read_key(key: bytes) -> tuple[str, tuple[Extent, ...]] | None:
    """Name and extents of the slice that `key` stands for, None if it is no such key."""
    end = key.find(_END, 1)
    if end < 0:
        return None
    name = key[1:end]
    for written, meant in _ESCAPES:
        name = name.replace(written, meant)
    rank, at = _unsigned(key, end + 2)
    extents: list[Extent] = []
    for _ in range(min(rank, _MAX_RANK)):
        start, at = _signed(key, at)
        length, at = _signed(key, at)
        extents.append((start, None if length == _FULL else length))
    return (name.decode("utf-8", "replace"), tuple(extents)) if at == len(key) else None


def extents_of(source: Source, field: Field) -> tuple[Extent, ...]:
    """The extents in a TensorSliceProto."""
    found: list[Extent] = []
    for part in message(source, field):
        if part.number == 1 and part.wire == BYTES and len(found) < _MAX_RANK:
            start, length = 0, None
            for number in message(source, part):
                if number.number == 1:
                    start = signed(number.value)
                elif number.number == 2:
                    length = signed(number.value)
            found.append((start, length))
    return tuple(found)


def sizes(extents: tuple[Extent, ...], whole: Shape | None) -> Shape | None:
    """The shape of a slice of a tensor of shape `whole`, None if they do not fit."""
    if whole is None or len(extents) != len(whole):
        return None
    return tuple(axis if length is None else length for (_, length), axis in zip(extents, whole, strict=True))


def _unsigned(data: bytes, at: int) -> tuple[int, int]:
    """A number: one byte that says how many follow, then these, the highest first."""
    length = data[at] if at < len(data) else 0
    return int.from_bytes(data[at + 1 : at + 1 + length], "big"), at + 1 + length


def _signed(data: bytes, at: int) -> tuple[int, int]:
    """A number whose leading ones say how many bytes it has; all bits are turned over in a negative one."""
    if at >= len(data):
        return 0, len(data) + 1
    negative = not data[at] & 0x80
    bits = data[at : at + 10]
    value = int.from_bytes(bytes(255 - byte for byte in bits) if negative else bits, "big")
    width = 8 * len(bits)
    ones = next((count for count in range(min(11, width)) if not value >> (width - 1 - count) & 1), 10)
    length = max(ones, 1)
    found = (value >> (width - 8 * length)) & ((1 << (7 * length)) - 1) if length <= len(bits) else 0
    found &= (1 << max(7 * length - 1, 0)) - 1
    return (~found if negative else found), at + length
