"""Dense storage of HDF5: many links or attributes of one object in a fractal heap, listed by a version 2 B-tree.

Knows sections III.A.2 and III.G of the HDF5 File Format Specification 3.0; must not know what the records mean.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from operator import itemgetter

import msgspec

from service.errors import UnsupportedFeature
from service.language import msg
from service.parsers.hdf5_pages import UNDEFINED, Pages

MAX_RECORDS = 1_000_000
MAX_DEPTH = 16


class _Heap(msgspec.Struct, frozen=True):
    """A fractal heap: its direct blocks as (offset in the heap, address, size), and how its identifiers are cut."""

    blocks: list[tuple[int, int, int]]
    offset_bytes: int
    length_bytes: int


def records(pages: Pages, heap_address: int, tree: int, kind: int, skipped: int) -> Iterator[tuple[bytes, int]]:
    """Every object a B-tree of type `kind` lists, with its address; `skipped` bytes stand before an identifier."""
    heap = _read_heap(pages, heap_address)
    for record in tree_records(pages, tree, kind):
        yield _object(pages, heap, record[skipped:], heap_address)


def _object(pages: Pages, heap: _Heap, identifier: bytes, address: int) -> tuple[bytes, int]:
    if not identifier or identifier[0] & 0x30:
        raise UnsupportedFeature(
            msg("Huge or tiny objects in an HDF5 heap are not read."), offset=address + pages.start
        )
    middle = 1 + heap.offset_bytes
    offset = int.from_bytes(identifier[1:middle], "little")
    length = int.from_bytes(identifier[middle : middle + heap.length_bytes], "little")
    index = bisect_right(heap.blocks, offset, key=itemgetter(0)) - 1
    if index < 0 or offset >= heap.blocks[index][0] + heap.blocks[index][2]:
        raise pages.broken(msg("A heap"), address)
    start, block, _ = heap.blocks[index]
    return pages.read(block + offset - start, length), block + offset - start


def _read_heap(pages: Pages, address: int) -> _Heap:
    head = pages.read(address, 142)
    if head[:4] != b"FRHP" or int.from_bytes(head[7:9], "little"):
        raise UnsupportedFeature(msg("A filtered or unknown HDF5 heap is not read."), offset=address + pages.start)
    largest_object = int.from_bytes(head[10:14], "little")
    width = int.from_bytes(head[110:112], "little")
    first, largest = (int.from_bytes(head[at : at + 8], "little") for at in (112, 120))
    bits, root = int.from_bytes(head[128:130], "little"), int.from_bytes(head[132:140], "little")
    rows = int.from_bytes(head[140:142], "little")
    if not (0 < width <= 1024 and 0 < first <= largest <= 1 << 32 and bits <= 64 and rows <= 64):
        raise pages.broken(msg("A heap"), address)
    offset_bytes = (bits + 7) // 8
    blocks = [] if root == UNDEFINED else list(_blocks(pages, root, rows, (width, first, largest), offset_bytes))
    length_bytes = (max(min(largest, largest_object), 1).bit_length() + 7) // 8
    return _Heap(blocks, offset_bytes, length_bytes)


def _blocks(
    pages: Pages, root: int, rows: int, sizes: tuple[int, int, int], offset_bytes: int
) -> Iterator[tuple[int, int, int]]:
    """The direct blocks of a heap, from its root: one block, or an indirect block of rows that double in size."""
    width, first, largest = sizes
    if rows == 0:
        yield 0, root, first
        return
    if pages.read(root, 4) != b"FHIB":
        raise pages.broken(msg("A heap"), root)
    table = pages.read(root + 13 + offset_bytes, 8 * width * rows)
    offset = 0
    for row in range(rows):
        size = first << max(row - 1, 0)
        for column in range(width):
            at = 8 * (row * width + column)
            child = int.from_bytes(table[at : at + 8], "little")
            if size > largest and child != UNDEFINED:
                raise UnsupportedFeature(msg("An HDF5 heap of this depth is not read."), offset=root + pages.start)
            if child != UNDEFINED:
                yield offset, child, size
            offset += size


def tree_records(pages: Pages, address: int, kind: int) -> Iterator[bytes]:
    """All records of a version 2 B-tree whose records are of type `kind`, node by node."""
    head = pages.read(address, 34)
    node_size, record_size = int.from_bytes(head[6:10], "little"), int.from_bytes(head[10:12], "little")
    depth, root = int.from_bytes(head[12:14], "little"), int.from_bytes(head[16:24], "little")
    count = int.from_bytes(head[24:26], "little")
    if head[:4] != b"BTHD" or head[5] != kind or depth > MAX_DEPTH or not 0 < record_size < node_size:
        raise pages.broken(msg("A B-tree"), address)
    widths = _child_widths(node_size, record_size, depth)
    open_nodes: list[tuple[int, int, int]] = [(root, count, depth)] if root != UNDEFINED else []
    seen, total = {root}, 0
    while open_nodes:
        node, held, level = open_nodes.pop()
        total += held
        if total > MAX_RECORDS:
            raise pages.broken(msg("A B-tree"), node)
        data = pages.read(node, node_size)
        if data[:4] != (b"BTIN" if level else b"BTLF") or 6 + held * record_size > node_size:
            raise pages.broken(msg("A B-tree"), node)
        yield from (data[6 + i * record_size : 6 + (i + 1) * record_size] for i in range(held))
        children = _children(data[6 + held * record_size :], held + 1, widths[level]) if level else []
        for child, child_held in children:
            if child in seen:
                raise pages.broken(msg("A B-tree"), node)
            seen.add(child)
            open_nodes.append((child, child_held, level - 1))


def _children(data: bytes, count: int, widths: tuple[int, int]) -> list[tuple[int, int]]:
    """(address, records held) of an internal node's children."""
    held, below = widths
    step = 8 + held + below
    return [
        (
            int.from_bytes(data[at : at + 8], "little"),
            int.from_bytes(data[at + 8 : at + 8 + held], "little"),
        )
        for at in range(0, count * step, step)
    ]


def _child_widths(node_size: int, record_size: int, depth: int) -> list[tuple[int, int]]:
    """Per level, how many bytes a child pointer uses for its own count and for the count below it."""
    most = (node_size - 10) // record_size
    held_bytes = _bytes_for(most)
    widths, below, total = [(0, 0)], 0, most
    for level in range(1, depth + 1):
        widths.append((held_bytes, below if level > 1 else 0))
        fanout = max(
            (node_size - 10 - (8 + held_bytes + widths[-1][1])) // (record_size + 8 + held_bytes + widths[-1][1]), 0
        )
        total = fanout + (fanout + 1) * total
        below = _bytes_for(total)
    return widths


def _bytes_for(number: int) -> int:
    return max((number.bit_length() + 7) // 8, 1)
