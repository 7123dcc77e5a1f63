"""Where each chunk of a dataset lies: the six indexes that HDF5 has had, read whole, once, and bounded.

Knows sections III.A.1 (version 1 B-tree), III.A.2 and appendix C (single chunk, implicit, fixed array, extensible
array, version 2 B-tree) of the HDF5 File Format Specification 3.0. Must not know filters or elements.
"""

from __future__ import annotations

import itertools
import math
import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from service.errors import LimitExceeded
from service.language import msg
from service.parsers.hdf5_data import MAX_CHUNK_BYTES, Content
from service.parsers.hdf5_dense import tree_records
from service.parsers.hdf5_extensible import stretches
from service.parsers.hdf5_pages import UNDEFINED, Pages

MAX_CHUNKS = 500_000
"""Most chunks of one dataset."""
_CHUNK_NODES = 1
_PLAIN_RECORD, _FILTERED_RECORD = 10, 11

Record = tuple[int, int, int, int]
"""Number of the chunk in the C-ordered grid, address, stored bytes, filter mask (a bit per filter left out)."""


class ChunkIndex:
    """The chunks of one dataset that were ever written, by their number in the grid of chunks."""

    def __init__(self, grid: tuple[int, ...], records: Iterator[Record]) -> None:
        self.grid = grid
        self._places: dict[int, int] = {}
        self._columns = array("Q")
        for number, address, size, mask in records:
            if len(self._places) >= MAX_CHUNKS:
                raise LimitExceeded("hdf5_chunks", MAX_CHUNKS, msg("A dataset has too many chunks."))
            self._places[number] = len(self._columns)
            self._columns.extend((address, size, mask))

        self._order = sorted(self._places)

    def place(self, place: tuple[int, ...]) -> tuple[int, int, int]:
        """Address, stored bytes and filter mask of a written chunk at `place` in the grid."""
        at = self._places[_number(place, self.grid)]
        return self._columns[at], self._columns[at + 1], self._columns[at + 2]

    def written(self, spans: Sequence[range]) -> list[tuple[int, ...]]:
        """Places within `spans` (one per axis of the grid) whose chunks were written."""
        if not self._order:
            return []
        first = _number(tuple(span.start for span in spans), self.grid)
        last = _number(tuple(span.stop - 1 for span in spans), self.grid)
        low, high = bisect_left(self._order, first), bisect_right(self._order, last)
        if math.prod(map(len, spans)) <= high - low:
            return [place for place in itertools.product(*spans) if _number(place, self.grid) in self._places]
        places = (_place(number, self.grid) for number in self._order[low:high])
        return [place for place in places if all(index in span for index, span in zip(place, spans, strict=True))]


def index_of(pages: Pages, content: Content) -> ChunkIndex:
    """The index of a chunked dataset.

    Raises:
        MalformedFile: A structure is broken, or a chunk lies outside the file or the grid.
        LimitExceeded: More chunks than `MAX_CHUNKS`.
    """
    chunking = content.chunking
    if chunking is None or chunking.address is None:
        return ChunkIndex((), iter(()))
    reading = _Reading(pages, content)
    found = {
        "btree1": reading.old_tree, "single": reading.single, "implicit": reading.implicit,
        "fixed": reading.fixed, "extensible": reading.extensible, "btree2": reading.new_tree,
    }[chunking.index]()  # fmt: skip
    return ChunkIndex(reading.grid, reading.checked(found))


def _number(place: tuple[int, ...], grid: tuple[int, ...]) -> int:
    number = 0
    for index, size in zip(place, grid, strict=True):
        number = number * size + index
    return number


class _Reading:
    """One index; `grid` counts chunks along each axis, `size` are the bytes of a chunk before filters."""

    def __init__(self, pages: Pages, content: Content) -> None:
        assert content.chunking is not None  # noqa: S101 - the caller has looked
        self._pages = pages
        self._content = content
        self.chunk = content.chunking.chunk
        self.at = content.chunking.address or 0
        self.extra = content.chunking.extra
        self.size = math.prod(self.chunk) * content.type.size
        self.grid = _grid(content.shape, self.chunk)
        limits = tuple(size if most is None else most for size, most in zip(content.shape, content.limit, strict=True))
        self.largest = _grid(limits, self.chunk)

    def checked(self, records: Iterator[Record]) -> Iterator[Record]:
        """Records whose chunks are in the file; those outside the grid (the dataset shrank) are left out."""
        whole = math.prod(self.grid)
        for record in records:
            number, address, size, _ = record
            if not 0 <= number < whole:
                continue
            if size > MAX_CHUNK_BYTES + 1024 or address + size > self._pages.size:
                raise self._pages.broken(msg("A chunk"), min(address, self._pages.size))
            yield record

    def _inside(self, place: tuple[int, ...]) -> int:
        """The number of a place in the grid, -1 outside of it."""
        if any(index >= size for index, size in zip(place, self.grid, strict=True)):
            return -1
        return _number(place, self.grid)

    def old_tree(self) -> Iterator[Record]:
        """A version 1 B-tree: keys (stored size, filter mask, offset along each axis and 0) between children."""
        key = struct.Struct(f"<II{len(self.chunk) + 1}Q")
        open_nodes, seen = [self.at], {self.at}
        while open_nodes:
            node = open_nodes.pop()
            head = self._pages.read(node, 24)
            kind, level, used = head[4], head[5], int.from_bytes(head[6:8], "little")
            if head[:4] != b"TREE" or kind != _CHUNK_NODES or len(seen) > 2 * MAX_CHUNKS:
                raise self._pages.broken(msg("A B-tree"), node)
            data = self._pages.read(node + 24, used * (key.size + 8))
            for at in range(0, len(data), key.size + 8):
                child = int.from_bytes(data[at + key.size : at + key.size + 8], "little")
                if level == 0:
                    size, mask, *offsets = key.unpack_from(data, at)
                    place = tuple(offset // step for offset, step in zip(offsets, self.chunk, strict=False))
                    yield self._inside(place), child, size, mask
                elif child in seen:
                    raise self._pages.broken(msg("A B-tree"), node)
                else:
                    seen.add(child)
                    open_nodes.append(child)

    def single(self) -> Iterator[Record]:
        """One chunk that is the whole dataset."""
        size, mask = self.extra or (self.size, 0)
        yield 0, self.at, size, mask

    def implicit(self) -> Iterator[Record]:
        """All chunks one after the other, unfiltered."""
        for number in range(min(math.prod(self.largest), MAX_CHUNKS + 1)):
            yield self._renumbered(number), self.at + number * self.size, self.size, 0

    def new_tree(self) -> Iterator[Record]:
        """A version 2 B-tree of records: address, (stored size, filter mask,) place in the grid."""
        rank = len(self.chunk)
        kind = self._pages.read(self.at, 6)[5]
        if kind not in (_PLAIN_RECORD, _FILTERED_RECORD):
            raise self._pages.broken(msg("A B-tree"), self.at)
        for record in tree_records(self._pages, self.at, kind):
            start = len(record) - 8 * rank
            if start < 8:
                raise self._pages.broken(msg("A B-tree"), self.at)
            place: tuple[int, ...] = struct.unpack_from(f"<{rank}Q", record, start)
            yield self._inside(place), *self._entry(record[:start])

    def _entry(self, data: bytes) -> tuple[int, int, int]:
        """Address, stored size and mask: an address alone where there are no filters."""
        address = int.from_bytes(data[:8], "little")
        if len(data) <= 8:
            return address, self.size, 0
        return address, int.from_bytes(data[8:-4], "little"), int.from_bytes(data[-4:], "little")

    def _entries(self, data: bytes, width: int, first: int, place: tuple[int, ...] = ()) -> Iterator[Record]:
        """The chunks of a stretch of an array, numbered from `first`; those never written are left out."""
        for at in range(0, len(data) - width + 1, width):
            address, size, mask = self._entry(data[at : at + width])
            if address != UNDEFINED:
                number = first + at // width
                yield self._swizzled(number, place) if place else self._renumbered(number), address, size, mask

    def _renumbered(self, number: int) -> int:
        """A number in the grid of the largest sizes, which arrays count by, as one in the grid of today's."""
        if self.largest == self.grid:
            return number
        return self._inside(_place(number, self.largest))

    def _swizzled(self, number: int, order: tuple[int, ...]) -> int:
        """An extensible array counts along its unlimited axis slowest; `order` lists the axes as it counts them."""
        found = _place(number, tuple(self.largest[axis] for axis in order))
        place = [0] * len(order)
        for axis, index in zip(order, found, strict=True):
            place[axis] = index
        return self._inside(tuple(place))

    def fixed(self) -> Iterator[Record]:
        """A fixed array: a header and one data block, in pages (each with a checksum) where it is large."""
        head = self._pages.read(self.at, 24)
        width, bits = head[6], head[7]
        count, block = struct.unpack_from("<QQ", head, 8)
        if head[:4] != b"FAHD" or width < 8 or count > MAX_CHUNKS or bits > 30:
            raise self._pages.broken(msg("A fixed array"), self.at)
        if block == UNDEFINED:
            return
        if self._pages.read(block, 4) != b"FADB":
            raise self._pages.broken(msg("A fixed array"), block)
        yield from self._paged(block + 14, width, 0, count, 1 << bits)

    def _paged(self, at: int, width: int, first: int, count: int, page: int) -> Iterator[Record]:
        if count <= page:
            yield from self._entries(self._pages.read(at, count * width), width, first)
            return
        pages = -(-count // page)
        used = self._pages.read(at, -(-pages // 8))
        at += len(used) + 4
        for number in range(pages):
            here = min(page, count - number * page)
            if used[number // 8] & (0x80 >> number % 8):
                data = self._pages.read(at, here * width)
                yield from self._entries(data, width, first + number * page)
            at += here * width + 4

    def extensible(self) -> Iterator[Record]:
        """An extensible array, which counts along the axis that may grow slowest."""
        free = next((axis for axis, most in enumerate(self._content.limit) if most is None), 0)
        order = (free, *(axis for axis in range(len(self.chunk)) if axis != free))
        width, found = stretches(self._pages, self.at)
        for first, data in found:
            yield from self._entries(data, width, first, order)


def _grid(shape: tuple[int, ...], chunk: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(-(-size // step) for size, step in zip(shape, chunk, strict=True))


def _place(number: int, grid: tuple[int, ...]) -> tuple[int, ...]:
    found: list[int] = []
    for size in reversed(grid[1:]):
        number, index = divmod(number, max(size, 1))
        found.append(index)
    return (number, *reversed(found))
