"""How one dataset's data are stored: in its header, in one piece or in chunks, through which filters, filled with what.

Knows sections IV.A.2.b to IV.A.2.l of the HDF5 File Format Specification 3.0. What points outside the file, or needs a
filter that is not ours, is named with the reason and never followed. Must not know what the numbers mean.
"""

from __future__ import annotations

import math
import struct

import msgspec

from service.errors import MalformedFile
from service.language import Message as Sentence
from service.language import msg
from service.parsers.hdf5_messages import (
    DATASPACE,
    DATATYPE,
    EXTERNAL_FILES,
    FILTERS,
    LAYOUT,
    SHARED,
    Filter,
    Message,
    filters_of,
    messages,
    place_of,
    shape_of,
)
from service.parsers.hdf5_pages import UNDEFINED, Pages
from service.parsers.hdf5_types import FIXED, FLOAT, ElementType, type_of

OLD_FILL, FILL = 0x04, 0x05
DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3
READ_FILTERS = frozenset({DEFLATE, SHUFFLE, FLETCHER32})
MAX_CHUNK_BYTES = 32 << 20
"""Largest chunk unpacked; h5py makes chunks of 1 MiB at most by itself."""

_IEEE = {
    2: bytes((0, 15)) + struct.pack("<HHBBBBI", 0, 16, 10, 5, 0, 10, 15),
    4: bytes((0, 31)) + struct.pack("<HHBBBBI", 0, 32, 23, 8, 0, 23, 127),
    8: bytes((0, 63)) + struct.pack("<HHBBBBI", 0, 64, 52, 11, 0, 52, 1023),
}
"""By size: the byte after the flags is the sign's place; then offset, precision, exponent, mantissa and bias."""


class Chunking(msgspec.Struct, frozen=True):
    """How chunks are found: sizes of one `chunk`, the kind of `index` and where it is; `extra` is the index's own.

    index: `btree1`, `single`, `implicit`, `fixed`, `extensible`, `btree2`; `extra` for a single filtered chunk is its
    stored size and filter mask.
    """

    chunk: tuple[int, ...]
    index: str
    address: int | None
    extra: tuple[int, ...] = ()


class Content(msgspec.Struct, frozen=True):
    """What a dataset's header says of its data.

    Attributes:
        shape: Sizes along each axis; `limit` the largest they may grow to, None where unlimited.
        type: The element, its numbers' byte order.
        packed: Data in the header itself.
        address, size: Where data in one piece lie, in bytes of the HDF5 file; None if never written.
        chunking: How chunks are found, None if the data are not chunked.
        filters: What each chunk went through.
        fill: One element, as stored, for what was never written; empty for zero.
        unreadable: Why the data are not read here, or None.
    """

    shape: tuple[int, ...]
    limit: tuple[int | None, ...]
    type: ElementType
    packed: bytes | None = None
    address: int | None = None
    size: int | None = None
    chunking: Chunking | None = None
    filters: tuple[Filter, ...] = ()
    fill: bytes = b""
    unreadable: Sentence | None = None


def content_of(pages: Pages, header: int) -> Content:
    """How the dataset whose object header is at `header` stores its data.

    Raises:
        MalformedFile: A message is broken.
        UnsupportedFeature: A layout that is not known.
    """
    found = {message.kind: message for message in messages(pages, header)}
    if not {LAYOUT, DATASPACE, DATATYPE} <= found.keys():
        raise pages.broken(msg("A dataset"), header)
    shape = shape_of(found[DATASPACE])
    kind = type_of(found[DATATYPE])
    reason = _outside(found) or _filtered(found) or (_element(found[DATATYPE], kind) if shape is not None else _EMPTY)
    sizes = tuple(size for size in shape or () if size is not None)
    content = Content(sizes, _limits(found[DATASPACE], sizes), kind, unreadable=reason)
    return content if reason is not None else _placed(found, content)


_EMPTY = msg("The dataset is empty: it has no shape.")


def _outside(found: dict[int, Message]) -> Sentence | None:
    if EXTERNAL_FILES in found:
        return msg("The dataset keeps its data in another file, which is never opened.")
    if place_of(found[LAYOUT]).layout == "virtual":
        return msg("The dataset takes its data from other files, which are never opened.")
    if any(found[kind].flags & SHARED for kind in (DATASPACE, DATATYPE, FILTERS, FILL) if kind in found):
        return msg("The dataset's description is shared with other objects of the file, which is not read.")
    return None


def _filtered(found: dict[int, Message]) -> Sentence | None:
    for step in filters_of(found[FILTERS]) if FILTERS in found else ():
        if step.identifier not in READ_FILTERS:
            return msg(
                "The dataset went through the filter {number}; only deflate, shuffle and fletcher32 are undone here.",
                number=str(step.identifier),
            )
    return None


def _element(message: Message, kind: ElementType) -> Sentence | None:
    """Why the elements are not plain numbers of a known layout, or None."""
    data = message.data
    if kind.kind == FLOAT and kind.name.startswith("float") and kind.size in _IEEE and data[1] & 0x40:
        return msg("The numbers are stored in an order of bytes that is not read.")
    if kind.kind == FLOAT and kind.name == f"float{8 * kind.size}" and not _is_ieee(data, kind.size):
        return msg("The floating-point numbers are stored in a form of their own.")
    if kind.kind == FIXED and data[8:12] != struct.pack("<HH", 0, 8 * kind.size):
        return msg("The whole numbers use only some of the bits that they are stored in.")
    return None


def _is_ieee(data: bytes, size: int) -> bool:
    return size in _IEEE and data[2:3] == _IEEE[size][1:2] and data[8:20] == _IEEE[size][2:]


def _limits(message: Message, shape: tuple[int, ...]) -> tuple[int | None, ...]:
    """The largest sizes, which stand behind the sizes where a flag says so."""
    data = message.data
    at = (8 if data[0] == 1 else 4) + 8 * len(shape)
    if not data[2] & 1 or len(data) < at + 8 * len(shape):
        return shape
    sizes: tuple[int, ...] = struct.unpack_from(f"<{len(shape)}Q", data, at)
    return tuple(None if size == UNDEFINED else size for size in sizes)


def _placed(found: dict[int, Message], content: Content) -> Content:
    layout = found[LAYOUT]
    place = place_of(layout)
    filters = filters_of(found[FILTERS]) if FILTERS in found else ()
    content = msgspec.structs.replace(content, fill=_fill(found), filters=filters)
    if place.layout == "chunked":
        return msgspec.structs.replace(content, chunking=_chunking(layout, len(content.shape)))
    if place.layout == "compact":
        return msgspec.structs.replace(content, packed=_compact(layout))
    size = math.prod(content.shape) * content.type.size if place.size is None else place.size
    return msgspec.structs.replace(content, address=place.address, size=size)


def _fill(found: dict[int, Message]) -> bytes:
    """The fill value of either message; empty where none is defined."""
    new, old = found.get(FILL), found.get(OLD_FILL)
    if new is None:
        return _sized(old.data, 0) if old is not None else b""
    data = new.data
    if data[:1] == b"\x03":
        return _sized(data, 2) if len(data) > 1 and data[1] & 0x20 else b""
    return _sized(data, 4) if len(data) > 3 and data[3] else b""


def _sized(data: bytes, at: int) -> bytes:
    length = int.from_bytes(data[at : at + 4], "little")
    return data[at + 4 : at + 4 + length]


def _compact(message: Message) -> bytes:
    data = message.data
    if data[0] in (1, 2):
        at = 8 + 4 * data[1]
        return _sized(data, at)
    size = int.from_bytes(data[2:4], "little")
    return data[4 : 4 + size]


def _chunking(message: Message, rank: int) -> Chunking:
    try:
        found = _new_chunking(message.data) if message.data[0] in (4, 5) else _old_chunking(message.data)
    except (IndexError, struct.error):
        found = None
    if found is None or len(found.chunk) != rank or not all(found.chunk):
        raise MalformedFile(
            msg("The chunks of a dataset are described in a way that cannot be."), offset=message.address
        )
    return found


def _old_chunking(data: bytes) -> Chunking:
    """Versions 1 to 3: a version 1 B-tree. The last size is that of an element."""
    if data[0] == 3:
        rank, at = data[2], 11
        (address,) = struct.unpack_from("<Q", data, 3)
    else:
        rank, at = data[1], 16
        (address,) = struct.unpack_from("<Q", data, 8)
    sizes = struct.unpack_from(f"<{rank}I", data, at)
    return Chunking(sizes[: rank - 1], "btree1", None if address == UNDEFINED else address)


_INDEXES = {1: ("single", 0), 2: ("implicit", 0), 3: ("fixed", 1), 4: ("extensible", 5), 5: ("btree2", 6)}
"""Index type -> its name and how many bytes of parameters stand before its address."""
_SINGLE_FILTERED = 0x02


def _new_chunking(data: bytes) -> Chunking | None:
    """Versions 4 and 5: sizes in as many bytes as they need, and one of five indexes."""
    flags, rank, width = data[2], data[3], data[4]
    sizes = tuple(int.from_bytes(data[5 + width * axis : 5 + width * (axis + 1)], "little") for axis in range(rank))
    at = 5 + width * rank
    if data[at] not in _INDEXES:
        return None
    name, skipped = _INDEXES[data[at]]
    at += 1
    extra: tuple[int, ...] = ()
    if name == "single" and flags & _SINGLE_FILTERED:
        extra, skipped = struct.unpack_from("<QI", data, at), 12
    (address,) = struct.unpack_from("<Q", data, at + skipped)
    return Chunking(sizes[: rank - 1], name, None if address == UNDEFINED else address, extra)
