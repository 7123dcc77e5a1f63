"""Writes sorted string tables for tests, with shared prefixes, several blocks and either compression."""

from __future__ import annotations

from collections.abc import Sequence

from service.parsers.sstable import MAGIC

Pairs = Sequence[tuple[bytes, bytes]]


def varint(value: int) -> bytes:
    """`value` as protobuf and LevelDB write it."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def block(pairs: Pairs, *, share: bool = True) -> bytes:
    """Entries and one restart point."""
    found, last = b"", b""
    for key, value in pairs:
        same = _shared(last, key) if share else 0
        found += varint(same) + varint(len(key) - same) + varint(len(value)) + key[same:] + value
        last = key
    return found + b"\x00\x00\x00\x00" + b"\x01\x00\x00\x00"


def _shared(last: bytes, key: bytes) -> int:
    """How many bytes two keys begin with alike."""
    low, high = 0, min(len(last), len(key))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if last[:middle] == key[:middle] else (low, middle - 1)
    return low


def literal(data: bytes) -> bytes:
    """`data` as a Snappy block of one literal."""
    if not data:
        return b"\x00"
    head = bytes([len(data) - 1 << 2]) if len(data) <= 60 else b"\xf8" + (len(data) - 1).to_bytes(3, "little")
    return varint(len(data)) + head + data


def table(blocks: Sequence[Pairs], *, snappy: bool = False, kind: int | None = None) -> bytes:
    """A whole table; `kind` is written as the compression where it should be a wrong one."""
    data, handles = b"", []
    for pairs in blocks:
        content = literal(block(pairs)) if snappy else block(pairs)
        handles.append((pairs[-1][0], varint(len(data)) + varint(len(content))))
        data += content + bytes([(1 if snappy else 0) if kind is None else kind]) + b"CRC!"
    index = block(handles)
    footer = varint(0) + varint(0) + varint(len(data)) + varint(len(index))
    return data + index + b"\x00CRC!" + footer.ljust(40, b"\x00") + MAGIC
