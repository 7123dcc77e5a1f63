"""Extensible arrays of HDF5, which list the chunks of a dataset that may grow along one axis; knows bytes, no chunks.

Section VII.C of the HDF5 File Format Specification 3.0: a header, an index block with the first elements, then data
blocks that double in size; those of later super blocks are listed in a block of their own, and come in pages.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from service.language import msg
from service.parsers.hdf5_pages import UNDEFINED, Pages

_MAX_ELEMENTS = 1 << 22
"""Most elements looked at: beyond it a dataset has more chunks than are read anyway."""
_PREFIX = 14
"""Signature, version, client and the header's address, at the start of every block but the header."""

Stretch = tuple[int, bytes]
"""Number of the first element, and the elements' bytes."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """The header: bytes of an element, how many the index block holds, and how data blocks grow.

    Super block `u` stands for `2^(u // 2)` data blocks of `smallest * 2^((u + 1) // 2)` elements each.
    """

    width: int
    in_index: int
    smallest: int
    pointers: int
    page: int
    offset_bytes: int
    supers: int
    used: int

    @property
    def direct(self) -> int:
        """How many super blocks have their data blocks listed in the index block."""
        return min(2 * (self.pointers.bit_length() - 1), self.supers)

    def blocks(self, number: int) -> tuple[int, int]:
        """How many data blocks the super block `number` stands for, and the elements of each."""
        return 1 << number // 2, self.smallest << (number + 1) // 2


def stretches(pages: Pages, address: int) -> tuple[int, Iterator[Stretch]]:
    """Bytes per element, and every stretch of elements that was written.

    Raises:
        MalformedFile: A block is not what it should be.
    """
    head = pages.read(address, 72)
    width, bits, in_index, smallest, pointers, page_bits = head[6:12]
    used, index = struct.unpack_from("<Q8xQ", head, 44)
    powers = smallest & (smallest - 1) == 0 and pointers & (pointers - 1) == 0
    sane = 8 <= width <= 64 and 0 < bits <= 64 and smallest and pointers and page_bits <= 30
    if head[:4] != b"EAHD" or not sane or not powers:
        raise pages.broken(msg("An extensible array"), address)
    supers = max(1 + bits - (smallest.bit_length() - 1), 0)
    shape = _Shape(
        width, in_index, smallest, pointers, 1 << page_bits, (bits + 7) // 8, supers, min(used, _MAX_ELEMENTS)
    )
    return width, iter(()) if index == UNDEFINED else _index_block(pages, index, shape)


def _index_block(pages: Pages, index: int, shape: _Shape) -> Iterator[Stretch]:
    _signed(pages, index, b"EAIB")
    at = index + _PREFIX
    yield 0, pages.read(at, shape.in_index * shape.width)
    at += shape.in_index * shape.width
    first = shape.in_index
    for number in range(shape.direct):
        count, elements = shape.blocks(number)
        for block in _addresses(pages, at, count):
            if first < shape.used:
                yield from _data_block(pages, block, shape, first, elements)
            first += elements
        at += 8 * count
    for number, block in enumerate(_addresses(pages, at, shape.supers - shape.direct), shape.direct):
        if first >= shape.used:
            return
        yield from _super_block(pages, block, shape, first, number)
        count, elements = shape.blocks(number)
        first += count * elements


def _super_block(pages: Pages, at: int, shape: _Shape, first: int, number: int) -> Iterator[Stretch]:
    if at == UNDEFINED:
        return
    _signed(pages, at, b"EASB")
    count, elements = shape.blocks(number)
    per_block = elements // shape.page if elements > shape.page else 0
    at += _PREFIX + shape.offset_bytes
    written = pages.read(at, count * ((per_block + 7) // 8))
    for place, block in enumerate(_addresses(pages, at + len(written), count)):
        if first < shape.used:
            yield from _data_block(pages, block, shape, first, elements, (written, place * per_block))
        first += elements


def _data_block(
    pages: Pages, at: int, shape: _Shape, first: int, elements: int, written: tuple[bytes, int] = (b"", 0)
) -> Iterator[Stretch]:
    """One block of elements, or pages of them; `written` has a bit for each page, from a bit of its own on."""
    if at == UNDEFINED:
        return
    _signed(pages, at, b"EADB")
    at += _PREFIX + shape.offset_bytes
    if elements <= shape.page:
        yield first, pages.read(at, elements * shape.width)
        return
    size = shape.page * shape.width
    for page in range(elements // shape.page):
        bit = written[1] + page
        if bit < 8 * len(written[0]) and written[0][bit // 8] & (0x80 >> bit % 8):
            yield first + page * shape.page, pages.read(at + 4 + page * (size + 4), size)


def _signed(pages: Pages, at: int, signature: bytes) -> None:
    if pages.read(at, 4) != signature:
        raise pages.broken(msg("An extensible array"), at)


def _addresses(pages: Pages, at: int, count: int) -> tuple[int, ...]:
    if count > _MAX_ELEMENTS:
        raise pages.broken(msg("An extensible array"), at)
    found: tuple[int, ...] = struct.unpack(f"<{count}Q", pages.read(at, 8 * count))
    return found
