"""Datasets of an HDF5 file as arrays: in the header, in one piece, in chunks through filters, or never written.

Knows how `service.parsers.hdf5_data` describes them; must not know what they belong to.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from typing import Any

import numpy as np

from service.errors import MalformedFile
from service.language import msg
from service.parsers.hdf5_chunks import ChunkIndex, index_of
from service.parsers.hdf5_data import DEFLATE, FLETCHER32, MAX_CHUNK_BYTES, SHUFFLE, Content, content_of
from service.parsers.hdf5_messages import Filter
from service.parsers.hdf5_pages import Pages
from service.source import BytesSource, Meter, Source, WindowSource
from service.values.base import BOX_BYTES, Index, Stored, ValuesUnavailable
from service.values.elements import Array, Element
from service.values.strided import strided

_CHECKSUM = 4


def dataset(pages: Pages, source: Source, header: int, element: Element) -> Stored:
    """The array of the dataset whose object header is at `header`; `source` is the file that `pages` are of.

    Raises:
        ValuesUnavailable: Stored outside the file, or in a way that is not read here.
        InputError: Broken.
    """
    content = content_of(pages, header)
    if content.unreadable is not None:
        raise ValuesUnavailable(content.unreadable)
    if content.type.size != element.code.itemsize:
        raise ValuesUnavailable(msg("Its numbers are not stored in the size that their type has."))
    big = not content.type.little
    if content.chunking is not None:
        return _chunked(pages, source.meter, content, element, big=big)
    if content.packed is not None:
        return strided(BytesSource(content.packed, source.meter), 0, content.shape, None, element, big=big)
    if content.address is None:
        return Unwritten(content.shape, element.code, _fill(content, element, big=big))
    inside = WindowSource(source, pages.start + content.address, content.size or 0)
    return strided(inside, 0, content.shape, None, element, big=big)


def _fill(content: Content, element: Element, *, big: bool) -> Array:
    """What stands where nothing was written, as an array of one code."""
    stored = element.code.newbyteorder(">") if big else element.code
    if not content.fill:
        return np.zeros(1, element.code)
    if len(content.fill) != element.code.itemsize:
        raise ValuesUnavailable(msg("What stands for values that were never written is not of their type."))
    return np.frombuffer(content.fill, stored).astype(element.code)


class Unwritten:
    """An array of which nothing was ever written: everywhere the fill value."""

    grain = None

    def __init__(self, shape: Index, code: np.dtype[Any], fill: Array) -> None:
        self.shape = shape
        self.code = code
        self._fill = fill

    def box(self, start: Index, stop: Index) -> Array:
        """See `Stored.box`."""
        return np.broadcast_to(self._fill[0], tuple(last - first for first, last in zip(start, stop, strict=True)))


def _chunked(pages: Pages, meter: Meter, content: Content, element: Element, *, big: bool) -> Stored:
    assert content.chunking is not None  # noqa: S101 - the caller has looked
    size = element.code.itemsize
    for step in content.chunking.chunk:
        size *= step
    if size > MAX_CHUNK_BYTES:
        raise ValuesUnavailable(
            msg("Its chunks of {size} bytes are larger than the {most} that are unpacked.", size=size,
                most=MAX_CHUNK_BYTES)
        )  # fmt: skip
    return Chunked(pages, meter, content, element, _fill(content, element, big=big))


class Chunked:
    """An array in chunks, each through the dataset's filters. Unpacked chunks are kept up to `BOX_BYTES`."""

    def __init__(self, pages: Pages, meter: Meter, content: Content, element: Element, fill: Array) -> None:
        assert content.chunking is not None  # noqa: S101 - made by `_chunked` only
        self.shape = content.shape
        self.code = element.code
        self.grain = content.chunking.chunk
        self._pages = pages
        self._meter = meter
        self._filters = content.filters
        self._stored = element.code if content.type.little else element.code.newbyteorder(">")
        self._fill = fill
        self._index: ChunkIndex = index_of(pages, content)
        self._kept: OrderedDict[Index, Array] = OrderedDict()

    def box(self, start: Index, stop: Index) -> Array:
        """See `Stored.box`."""
        found = np.full(tuple(last - first for first, last in zip(start, stop, strict=True)), self._fill[0])
        for place in self._places(start, stop):
            origin = tuple(index * step for index, step in zip(place, self.grain, strict=True))
            low = tuple(map(max, start, origin))
            high = tuple(map(min, stop, (first + step for first, step in zip(origin, self.grain, strict=True))))
            target = tuple(slice(a - b, c - b) for a, b, c in zip(low, start, high, strict=True))
            taken = tuple(slice(a - b, c - b) for a, b, c in zip(low, origin, high, strict=True))
            found[target] = self._chunk(place)[taken]
        return found

    def _places(self, start: Index, stop: Index) -> list[Index]:
        """Places in the grid that touch a box and hold a written chunk."""
        spans = [
            range(first // step, (last - 1) // step + 1)
            for first, last, step in zip(start, stop, self.grain, strict=True)
        ]
        return self._index.written(spans)

    def _chunk(self, place: Index) -> Array:
        if place in self._kept:
            self._kept.move_to_end(place)
            return self._kept[place]
        address, size, mask = self._index.place(place)
        data = self._undo(self._pages.read(address, size), mask, address)
        chunk = np.frombuffer(data, self._stored).astype(self.code, copy=False).reshape(self.grain)
        while self._kept and (len(self._kept) + 1) * chunk.nbytes > BOX_BYTES:
            self._kept.popitem(last=False)
        self._kept[place] = chunk
        return chunk

    def _undo(self, data: bytes, mask: int, address: int) -> bytes:
        """The chunk before its filters, of exactly the size that a chunk has."""
        whole = self.code.itemsize
        for step in self.grain:
            whole *= step
        for number, step_of in reversed(list(enumerate(self._filters))):
            if not mask >> number & 1:
                data = self._reverse(step_of, data, whole, address)
        if len(data) != whole:
            what = msg("A chunk unpacks to {size} bytes and should have {whole}.", size=len(data), whole=whole)
            raise MalformedFile(what, offset=address + self._pages.start)
        return data

    def _reverse(self, step: Filter, data: bytes, whole: int, address: int) -> bytes:
        if step.identifier == DEFLATE:
            return self._inflate(data, whole + _CHECKSUM + 1, address)
        if step.identifier == FLETCHER32:
            return data[:-_CHECKSUM]
        assert step.identifier == SHUFFLE  # noqa: S101 - `content_of` lets no other through
        return _unshuffle(data, step.values[0] if step.values else self.code.itemsize)

    def _inflate(self, data: bytes, most: int, address: int) -> bytes:
        try:
            found = zlib.decompressobj().decompress(data, most)
        except zlib.error as error:
            what = msg("A compressed chunk is broken ({error}).", error=str(error))
            raise MalformedFile(what, offset=address + self._pages.start) from None
        self._meter.add_inflated(len(found))
        return found


def _unshuffle(data: bytes, width: int) -> bytes:
    """Bytes that were sorted by their place in the element, put back together."""
    count = len(data) // width if width else 0
    if width < 2 or count < 2:
        return data
    codes = np.frombuffer(data, np.uint8, count * width).reshape(width, count)
    return codes.T.tobytes() + data[count * width :]
