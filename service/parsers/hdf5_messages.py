"""Object headers of an HDF5 file as lists of messages, and the messages that describe data: shape, type, place.

Knows sections IV.A of the HDF5 File Format Specification 3.0; must not know groups, attributes or models. Anything
unknown is named, not guessed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from service.errors import LimitExceeded, MalformedFile, UnsupportedFeature
from service.language import msg
from service.parsers.hdf5_pages import UNDEFINED, Pages
from service.tree import Shape

DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL_FILES, LAYOUT = 0x01, 0x02, 0x03, 0x06, 0x07, 0x08
FILTERS, ATTRIBUTE, CONTINUATION, SYMBOL_TABLE, ATTRIBUTE_INFO = 0x0B, 0x0C, 0x10, 0x11, 0x15

MAX_MESSAGES = 100_000
"""Most messages in one object header."""
MAX_HEADER = 64 << 20
"""Most bytes in all the blocks of one object header."""
MAX_RANK = 32
SHARED = 0x02
"""Flag of a message whose content lies elsewhere."""

_V1_MESSAGE = struct.Struct("<HHB3x")
_V2_MESSAGE = struct.Struct("<BHB")
_PAIR = struct.Struct("<QQ")


class Message(msgspec.Struct, frozen=True, gc=False):
    """One header message: its content, its flags, and where it stands."""

    kind: int
    flags: int
    data: bytes
    address: int


def messages(pages: Pages, address: int) -> list[Message]:
    """All messages of the object header at `address`, continuation blocks included, each block once."""
    head = pages.read(address, 16)
    if head[:4] == b"OHDR":
        return _collect(pages, *_second_version(pages, head, address))
    if head[0] != 1:
        raise pages.broken(msg("An object header"), address)
    size = int.from_bytes(head[8:12], "little")
    return _collect(pages, (address + 16, size), _V1_MESSAGE, 0)


def _second_version(pages: Pages, head: bytes, address: int) -> tuple[tuple[int, int], struct.Struct, int]:
    flags = head[5]
    if head[4] != 2:
        raise pages.broken(msg("An object header"), address)
    at = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    size = int.from_bytes(pages.read(at, width), "little")
    return (at + width, size), _V2_MESSAGE, 2 if flags & 0x04 else 0


def _collect(pages: Pages, block: tuple[int, int], header: struct.Struct, skipped: int) -> list[Message]:
    blocks, seen, total = [block], {block[0]}, 0
    found: list[Message] = []
    for start, size in blocks:  # grows as continuations are met
        total += size
        if total > MAX_HEADER or len(found) > MAX_MESSAGES:
            raise LimitExceeded("hdf5_header", MAX_HEADER, msg("An object header is too large."), offset=start)
        for message in _block(pages, start, size, header, skipped):
            if message.kind != CONTINUATION:
                found.append(message)
                continue
            if len(message.data) < _PAIR.size:
                raise pages.broken(msg("A continuation"), message.address)
            at, length = _PAIR.unpack_from(message.data)
            if header is _V2_MESSAGE:
                at, length = at + 4, length - 8  # OCHK before, a checksum after
            if at in seen or length < 0:
                raise pages.broken(msg("A continuation"), message.address)
            seen.add(at)
            blocks.append((at, length))
    return found


def _block(pages: Pages, start: int, size: int, header: struct.Struct, skipped: int) -> Iterator[Message]:
    data = pages.read(start, size)
    step, at = header.size + skipped, 0
    while at + step <= size:
        kind, length, flags = header.unpack_from(data, at)
        at += step
        if at + length > size:
            raise pages.broken(msg("A header message"), start + at)
        yield Message(kind, flags, data[at : at + length], start + at)
        at += length


def shape_of(message: Message) -> Shape | None:
    """Sizes from a dataspace message: () for a scalar, None for a null dataspace."""
    data = message.data
    if len(data) < 4 or data[0] not in (1, 2):
        raise MalformedFile(msg("A dataspace in the HDF5 file is broken."), offset=message.address)
    rank, at = data[1], 8 if data[0] == 1 else 4
    if data[0] == 2 and data[3] == 2:
        return None
    if rank > MAX_RANK or len(data) < at + 8 * rank:
        raise MalformedFile(msg("A dataspace in the HDF5 file is broken."), offset=message.address)
    sizes: tuple[int, ...] = struct.unpack_from(f"<{rank}Q", data, at)
    if any(size >= 1 << 63 for size in sizes):
        raise LimitExceeded(
            "dimension", (1 << 63) - 1, msg("An axis is longer than any array."), offset=message.address
        )
    return sizes


class Place(msgspec.Struct, frozen=True):
    """Where a dataset's data lie: `layout` compact, contiguous, chunked or virtual; address and size where known."""

    layout: str
    address: int | None
    size: int | None


_LAYOUTS = {0: "compact", 1: "contiguous", 2: "chunked", 3: "virtual"}


def place_of(message: Message) -> Place:
    """The place from a layout message of any version."""
    data = message.data
    try:
        return _old_place(data, message.address) if data[0] in (1, 2) else _new_place(data, message.address)
    except (IndexError, struct.error):
        raise MalformedFile(msg("A data layout in the HDF5 file is broken."), offset=message.address) from None


def _new_place(data: bytes, address: int) -> Place:
    layout = _LAYOUTS.get(data[1])
    if data[0] not in (3, 4, 5) or layout is None:
        raise UnsupportedFeature(msg("A dataset is laid out in a way that is not known here."), offset=address)
    if layout == "contiguous":
        start, size = _PAIR.unpack_from(data, 2)
        return Place(layout, None if start == UNDEFINED else start, 0 if start == UNDEFINED else size)
    if layout == "compact":
        return Place(layout, None, int.from_bytes(data[2:4], "little"))
    return Place(layout, None, None)


def _old_place(data: bytes, _address: int) -> Place:
    layout = _LAYOUTS.get(data[2], "chunked")
    if layout != "contiguous":
        return Place(layout, None, None)
    start = int.from_bytes(data[8:16], "little")
    return Place(layout, None if start == UNDEFINED else start, 0 if start == UNDEFINED else None)


_STANDARD_FILTERS = frozenset({1, 2, 3, 4, 5, 6, 32000})
"""deflate, shuffle, fletcher32, szip, nbit, scaleoffset, and the lzf that h5py brings."""


class Filter(msgspec.Struct, frozen=True):
    """One step of the pipeline that chunks went through when they were written, with its parameters."""

    identifier: int
    values: tuple[int, ...]


def filters_of(message: Message) -> tuple[Filter, ...]:
    """The pipeline, in the order in which it was applied when writing; MalformedFile if it is cut short."""
    data = message.data
    if len(data) < 2:
        raise MalformedFile(msg("A filter pipeline in the HDF5 file is broken."), offset=message.address)
    found: list[Filter] = []
    at = 8 if data[0] == 1 else 2
    for _ in range(data[1]):
        identifier = int.from_bytes(data[at : at + 2], "little")
        named = data[0] == 1 or identifier >= 256
        name = int.from_bytes(data[at + 2 : at + 4], "little") if named else 0
        count = int.from_bytes(data[at + (6 if named else 4) : at + (8 if named else 6)], "little")
        at += (8 if named else 6) + (-(-name // 8) * 8 if data[0] == 1 else name)
        if at + 4 * count > len(data):
            raise MalformedFile(msg("A filter pipeline in the HDF5 file is broken."), offset=message.address)
        found.append(Filter(identifier, struct.unpack_from(f"<{count}I", data, at)))
        at += 4 * count + (4 if data[0] == 1 and count % 2 else 0)
    return tuple(found)


def foreign_filter(message: Message) -> int | None:
    """The first filter of a pipeline that the HDF5 library does not bring itself."""
    identifiers = (step.identifier for step in filters_of(message))
    return next((identifier for identifier in identifiers if identifier not in _STANDARD_FILTERS), None)
