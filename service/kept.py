"""Finished answers kept in memory, the least recently used forgotten first; knows bytes, not what they say."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import nullcontext
from itertools import chain
from typing import Self

import msgspec

from service.pressed import press, unpressed
from service.splicing import Pieces

CAPACITY = 64 << 20
"""Bytes kept by one web process."""
PACK_FROM = 64 << 10
"""Bytes from which an answer is kept pressed: a report of 100 MB shrinks eighty-fold in a thirtieth of a second."""
PIECE = 64 << 10
"""Most bytes of a piece of an answer: what each of those that are being sent takes beside its pressed form."""
ENTRY = 1024
"""Bytes that an entry takes beside its answer."""


class Body(msgspec.Struct, frozen=True):
    """An answer of `size` bytes; `data` are these bytes, pressed (`service.pressed`) if `packed`."""

    data: bytes
    packed: bool
    size: int

    @classmethod
    def of(cls, pieces: Iterable[bytes]) -> Self:
        """All pieces one after the other, pressed on the way if they are many bytes."""
        rest, kept = iter(pieces), bytearray()
        for piece in rest:
            kept += piece
            if len(kept) > PACK_FROM:
                return cls._pressed(chain((bytes(kept),), rest))
        return cls(bytes(kept), packed=False, size=len(kept))

    @classmethod
    def _pressed(cls, pieces: Iterable[bytes]) -> Self:
        size = 0

        def measured() -> Iterator[bytes]:
            nonlocal size
            for piece in pieces:
                size += len(piece)
                yield piece

        data = press(measured())
        return cls(data, packed=True, size=size)

    def pieces(self) -> Pieces:
        """As it was given, never whole in memory where it is large."""
        return Pieces(unpressed(self.data, PIECE) if self.packed else (self.data,), self.size)


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
