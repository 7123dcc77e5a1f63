"""What an HDF5 group holds: names and where their objects begin. Old groups (symbol tables) and new (link messages).

Knows sections III.A to III.D and IV.A.2.g of the specification; follows no link. Every node is met once.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import msgspec

from service.language import msg
from service.parsers.hdf5_dense import records
from service.parsers.hdf5_messages import LINK, LINK_INFO, SYMBOL_TABLE, Message
from service.parsers.hdf5_pages import UNDEFINED, Pages

HARD, SOFT, EXTERNAL, USER = "hard", "soft", "external", "user"
_TYPES = {0: HARD, 1: SOFT, 64: EXTERNAL}
_ENTRY = 40
_SOFT_CACHE = 2
NAME_INDEX = 5
"""Type of the version 2 B-tree that lists a group's links by name."""


class Link(msgspec.Struct, frozen=True, gc=False):
    """One name in a group: a hard link with the `address` of its object, or another kind with what it points to."""

    name: str
    kind: str
    address: int
    target: str = ""


def links(pages: Pages, found: list[Message], budget: int) -> list[Link]:
    """All links of a group from its header messages, by name; at most `budget` + 1 of them."""
    return sorted(islice(_all(pages, found), budget + 1), key=lambda link: link.name)


def external_name(pages: Pages, message: Message) -> str | None:
    """The first file an external storage message names."""
    heap = _local_heap(pages, int.from_bytes(message.data[8:16], "little"))
    return _text_at(heap, int.from_bytes(message.data[16:24], "little"))


def _all(pages: Pages, found: list[Message]) -> Iterator[Link]:
    for message in found:
        if message.kind == LINK:
            yield _link(pages, message.data, message.address)
        elif message.kind == SYMBOL_TABLE:
            yield from _symbols(pages, message)
        elif message.kind == LINK_INFO:
            yield from _dense(pages, message)


def is_group(found: list[Message]) -> bool:
    """Whether a header belongs to a group."""
    return any(message.kind in (SYMBOL_TABLE, LINK_INFO, LINK) for message in found)


def _symbols(pages: Pages, message: Message) -> Iterator[Link]:
    """Links of an old group: a B-tree of symbol nodes whose names lie in a local heap."""
    if len(message.data) < 16:
        raise pages.broken(msg("A symbol table"), message.address)
    tree, heap_address = (int.from_bytes(message.data[at : at + 8], "little") for at in (0, 8))
    heap = _local_heap(pages, heap_address)
    for node in _leaves(pages, tree):
        head = pages.read(node, 8)
        if head[:4] != b"SNOD":
            raise pages.broken(msg("A symbol node"), node)
        count = int.from_bytes(head[6:8], "little")
        entries = pages.read(node + 8, count * _ENTRY)
        for at in range(0, count * _ENTRY, _ENTRY):
            yield _symbol(pages, heap, entries[at : at + _ENTRY], node + 8 + at)


def _symbol(pages: Pages, heap: bytes, entry: bytes, address: int) -> Link:
    name = _text_at(heap, int.from_bytes(entry[:8], "little"))
    if name is None:
        raise pages.broken(msg("A name"), address)
    if int.from_bytes(entry[16:20], "little") == _SOFT_CACHE:
        target = _text_at(heap, int.from_bytes(entry[24:28], "little"))
        return Link(name, SOFT, 0, target or "")
    return Link(name, HARD, int.from_bytes(entry[8:16], "little"))


def _text_at(heap: bytes, at: int) -> str | None:
    end = heap.find(b"\x00", at) if at < len(heap) else -1
    return heap[at:end].decode("utf-8", errors="replace") if end >= 0 else None


def _local_heap(pages: Pages, address: int) -> bytes:
    head = pages.read(address, 32)
    if head[:4] != b"HEAP":
        raise pages.broken(msg("A local heap"), address)
    size, _, data = (int.from_bytes(head[at : at + 8], "little") for at in (8, 16, 24))
    return pages.read(data, size)


def _leaves(pages: Pages, root: int) -> Iterator[int]:
    """Addresses of a version 1 B-tree's symbol nodes, left to right."""
    open_nodes, seen = [root], {root}
    while open_nodes:
        node = open_nodes.pop()
        head = pages.read(node, 24)
        if head[:4] != b"TREE" or head[4] != 0:
            raise pages.broken(msg("A group's B-tree"), node)
        count = int.from_bytes(head[6:8], "little")
        body = pages.read(node + 24, 16 * count + 8)
        children = [int.from_bytes(body[at : at + 8], "little") for at in range(8, 16 * count + 8, 16)]
        if len(seen) + len(children) != len(seen.union(children)):
            raise pages.broken(msg("A group's B-tree"), node)
        seen.update(children)
        if head[5] == 0:
            yield from children
        else:
            open_nodes.extend(reversed(children))


def _dense(pages: Pages, message: Message) -> Iterator[Link]:
    """Links of a large new group: in a fractal heap, listed by a version 2 B-tree."""
    data = message.data
    at = 2 + (8 if data[1:2] and data[1] & 1 else 0)
    if len(data) < at + 16:
        raise pages.broken(msg("A link info message"), message.address)
    heap, tree = (int.from_bytes(data[place : place + 8], "little") for place in (at, at + 8))
    if heap != UNDEFINED:
        for record, address in records(pages, heap, tree, NAME_INDEX, 4):
            yield _link(pages, record, address)


def _link(pages: Pages, data: bytes, address: int) -> Link:
    flags = data[1] if len(data) > 1 else 0
    at = 2
    kind = data[at] if flags & 0x08 and len(data) > at else 0
    at += (1 if flags & 0x08 else 0) + (8 if flags & 0x04 else 0) + (1 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    length = int.from_bytes(data[at : at + width], "little")
    at += width
    if data[:1] != b"\x01" or at + length + 2 > len(data):
        raise pages.broken(msg("A link"), address)
    name = data[at : at + length].decode("utf-8", errors="replace")
    rest = data[at + length :]
    if kind == 0:
        if len(rest) < 8:
            raise pages.broken(msg("A link"), address)
        return Link(name, HARD, int.from_bytes(rest[:8], "little"))
    target = rest[2:].strip(b"\x00").replace(b"\x00", b":").decode("utf-8", errors="replace")
    return Link(name, _TYPES.get(kind, USER), 0, target)
