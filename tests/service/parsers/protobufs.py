"""Protobuf messages written field by field, for what has no library to write it, or what none writes."""

from __future__ import annotations

from service.config import Limits
from service.parsers.protobuf import BYTES, Field
from service.source import BytesSource, Meter, Source


def varint(value: int) -> bytes:
    """A number of any size; negative ones as 64 bits."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def held(number: int, data: bytes | str) -> bytes:
    """A field that holds bytes, a text or a message."""
    data = data.encode() if isinstance(data, str) else data
    return varint(number << 3 | 2) + varint(len(data)) + data


def whole(number: int, value: int) -> bytes:
    """A field that is a whole number or a truth."""
    return varint(number << 3) + varint(value)


def entry(key: str, value: bytes) -> bytes:
    """One entry of a map from a text to a message."""
    return held(1, key) + held(2, value)


def source_of(data: bytes) -> Source:
    """Bytes as a file of their own."""
    return BytesSource(data, Meter(Limits()))


def all_of(data: bytes) -> Field:
    """A field that holds all of a file."""
    return Field(0, BYTES, 0, 0, len(data))
