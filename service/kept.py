"""Finished answers kept in memory, the least recently used forgotten first; knows bytes, not what they say."""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from contextlib import nullcontext
from typing import Self

import msgspec

CAPACITY = 64 << 20
"""Bytes kept by one web process."""
PACK_FROM = 64 << 10
"""Bytes from which an answer is kept compressed: a report of 150 MB shrinks 70-fold in a seventh of a second."""
GZIP = 31
"""zlib's word for a gzip header and trailer around the deflated data; without a time, so that equal data stay equal."""
EFFORT = 1
ENTRY = 1024
"""Bytes that an entry takes beside its answer."""


class Body(msgspec.Struct, frozen=True):
    """An answer's bytes; gzip if `packed`."""

    data: bytes
    packed: bool

    @classmethod
    def of(cls, pieces: Iterable[bytes]) -> Self:
        """All pieces one after the other, compressed on the way if they are many bytes."""
        kept, compressor = bytearray(), None
        for piece in pieces:
            if compressor is None and len(kept) + len(piece) > PACK_FROM:
                compressor = zlib.compressobj(EFFORT, zlib.DEFLATED, GZIP)
                kept = bytearray(compressor.compress(kept))
            kept += piece if compressor is None else compressor.compress(piece)
        if compressor is None:
            return cls(bytes(kept), packed=False)
        return cls(bytes(kept + compressor.flush()), packed=True)

    def plain(self) -> bytes:
        """As it was given."""
        return zlib.decompress(self.data, GZIP) if self.packed else self.data

    def gzipped(self) -> bytes:
        """As gzip."""
        return self.data if self.packed else zlib.compress(self.data, EFFORT, GZIP)


class Kept:
    """Answers by what was asked. Safe to use from several threads."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._size = 0
        self._bodies: OrderedDict[Hashable, Body] = OrderedDict()
        self._lock = threading.Lock()
        self._alone = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Iterable[bytes]], *, alone: bool = False) -> Body:
        """The answer to `key`, made if it is not kept; `alone`: while no other such is being made, to save memory."""
        found = self._find(key)
        if found is not None:
            return found
        with self._alone if alone else nullcontext():
            found = self._find(key)
            if found is None:
                found = Body.of(make())
                self._keep(key, found)
        return found

    def _find(self, key: Hashable) -> Body | None:
        with self._lock:
            found = self._bodies.get(key)
            if found is not None:
                self._bodies.move_to_end(key)
            return found

    def _keep(self, key: Hashable, body: Body) -> None:
        with self._lock:
            if key in self._bodies or len(body.data) > self._capacity:
                return
            self._bodies[key] = body
            self._size += len(body.data) + ENTRY
            while self._size > self._capacity:
                self._size -= len(self._bodies.popitem(last=False)[1].data) + ENTRY
