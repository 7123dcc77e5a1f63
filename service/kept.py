"""Finished answers kept in memory, the least recently used forgotten first; knows bytes, not what they say."""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import nullcontext
from itertools import chain
from typing import Self

import msgspec

from service.pressed import press_all, unpress

CAPACITY = 64 << 20
"""Bytes kept by one web process."""
PACK_FROM = 64 << 10
"""Bytes from which an answer is kept pressed: a report of 100 MB shrinks eighty-fold in a thirtieth of a second."""
GZIP = 31
"""zlib's word for a gzip header and trailer around the deflated data; without a time, so that equal data stay equal."""
EFFORT = 1
ENTRY = 1024
"""Bytes that an entry takes beside its answer."""


class Body(msgspec.Struct, frozen=True):
    """An answer's bytes; pressed (`service.pressed`) if `packed`, and then `size` bytes themselves."""

    data: bytes
    packed: bool
    size: int = 0

    @classmethod
    def of(cls, pieces: Iterable[bytes]) -> Self:
        """All pieces one after the other, pressed on the way if they are many bytes."""
        rest, kept = iter(pieces), bytearray()
        for piece in rest:
            kept += piece
            if len(kept) > PACK_FROM:
                return cls._pressed(chain((bytes(kept),), rest))
        return cls(bytes(kept), packed=False)

    @classmethod
    def _pressed(cls, pieces: Iterable[bytes]) -> Self:
        size = 0

        def measured() -> Iterator[bytes]:
            nonlocal size
            for piece in pieces:
                size += len(piece)
                yield piece

        data = press_all(measured())
        return cls(data, packed=True, size=size)

    def plain(self) -> bytes:
        """As it was given."""
        return unpress(self.data, self.size) if self.packed else self.data

    def gzipped(self) -> bytes:
        """As gzip."""
        return zlib.compress(self.plain(), EFFORT, GZIP)


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
