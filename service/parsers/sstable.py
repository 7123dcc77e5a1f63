"""Sorted string tables as LevelDB and TensorFlow write them: ascending keys with values; knows no key and no value.

A footer leads to an index block, that to data blocks, whose keys share prefixes. Block checksums (CRC-32C) are not
checked: Python's library has none, and whatever is read is checked for its meaning anyway.

Source: https://github.com/google/leveldb/blob/main/doc/table_format.md
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from service.errors import InconsistentArchive, LimitExceeded, MalformedFile, TruncatedFile, UnsupportedFeature
from service.language import msg
from service.parsers.snappy import decompress
from service.source import Source

MAGIC = bytes.fromhex("57fb808b247547db")
FOOTER = 48
_TRAILER = 5
"""After each block: one byte for the compression and four for the checksum."""
_MAX_BLOCK = 64 << 20
_MAX_KEYS = 128 << 20
"""Bytes of all keys together: they share prefixes, so that a small file can spell out gigabytes."""
_MAX_VARINT = 10

Entry = tuple[bytes, bytes]


def is_table(source: Source) -> bool:
    """Whether the file ends in a table's magic number."""
    return source.size >= FOOTER and source.read_at(source.size - len(MAGIC), len(MAGIC)) == MAGIC


def first(source: Source) -> Entry | None:
    """The table's first entry, None if it has none; raises as `entries`."""
    return next(entries(source), None)


def entries(source: Source) -> Iterator[Entry]:
    """All keys and values, in order.

    Raises:
        TruncatedFile: No footer, or a block that ends after the file.
        MalformedFile: A block or entry that cannot be.
        InconsistentArchive: Keys that do not ascend: different programs would find different values.
        LimitExceeded: A block that is too large.
        UnsupportedFeature: A compression other than Snappy.
    """
    last: bytes | None = None
    room = _MAX_KEYS
    for begin, size in _blocks(source):
        for entry in _entries(_block(source, begin, size), begin):
            room -= len(entry[0])
            if room < 0:
                raise LimitExceeded("sstable_keys", _MAX_KEYS, msg("The keys of the table are too long."), offset=begin)
            if last is not None and entry[0] <= last:
                raise InconsistentArchive(
                    msg("The keys of the table do not ascend: one occurs twice or is out of order."), offset=begin
                )
            last = entry[0]
            yield entry


def _blocks(source: Source) -> list[tuple[int, int]]:
    """Offset and size of each data block."""
    if not is_table(source):
        raise TruncatedFile(msg("The table's footer is missing: the end of the file is not there."), offset=source.size)
    footer = source.read_at(source.size - FOOTER, FOOTER)
    at = source.size - FOOTER
    _, place = _handle(footer, 0, at)
    (begin, size), _ = _handle(footer, place, at)
    index = _block(source, begin, size)
    handles = [_handle(value, 0, begin)[0] for _, value in _entries(index, begin)]
    if any(one[0] + one[1] > two[0] for one, two in pairwise(handles)):
        raise InconsistentArchive(msg("Blocks of the table overlap or are out of order."), offset=begin)
    return handles


def _block(source: Source, begin: int, size: int) -> bytes:
    if begin + size + _TRAILER > source.size - FOOTER:
        raise TruncatedFile(
            msg("A block of the table lies at bytes {begin} to {end}, after the end of the data.", begin=begin,
                end=begin + size + _TRAILER),
            offset=begin,
        )  # fmt: skip
    if size > _MAX_BLOCK:
        raise LimitExceeded("sstable_block", _MAX_BLOCK, msg("A block of the table is too large."), value=size)
    data = source.read_at(begin, size + 1)
    if data[-1] == 0:
        return data[:-1]
    if data[-1] != 1:
        raise UnsupportedFeature(
            msg("A block of the table is compressed by method {method}, which is not read.", method=data[-1]),
            offset=begin + size,
        )
    content = decompress(data[:-1], _MAX_BLOCK)
    source.meter.add_inflated(len(content))
    return content


def _entries(block: bytes, begin: int) -> Iterator[Entry]:
    """Keys and values of one block; `begin` is where it lies, for errors."""
    end = len(block) - 4
    restarts = int.from_bytes(block[-4:], "little") if end >= 0 else 0
    end -= 4 * restarts
    if end < 0:
        raise MalformedFile(msg("A block of the table has no room for its entries."), offset=begin)
    at, key = 0, b""
    while at < end:
        shared, own, length = block[at], block[at + 1], block[at + 2]
        at += 3
        if (shared | own | length) > 127:
            shared, at = _varint(block, at - 3, begin)
            own, at = _varint(block, at, begin)
            length, at = _varint(block, at, begin)
        stop = at + own + length
        if shared > len(key) or stop > end:
            raise MalformedFile(msg("An entry of the table is longer than its block."), offset=begin)
        key = key[:shared] + block[at : at + own]
        yield key, block[at + own : stop]
        at = stop


def _handle(data: bytes, at: int, begin: int) -> tuple[tuple[int, int], int]:
    """A block's offset and size, and what follows."""
    offset, at = _varint(data, at, begin)
    size, at = _varint(data, at, begin)
    return (offset, size), at


def _varint(data: bytes, at: int, begin: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(data[at : at + _MAX_VARINT], 1):
        value |= (byte & 127) << (7 * index - 7)
        if byte < 128:
            return value, at + index
    raise MalformedFile(msg("A number in the table does not end."), offset=begin)
