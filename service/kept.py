"""Finished answers kept in memory, the least recently used forgotten first; knows bytes, not what they say."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from contextlib import nullcontext
from typing import Self

import msgspec

from service.pressed import press, unpressed
from service.splicing import Pieces

CAPACITY = 64 << 20
"""Bytes kept by one web process."""
PACK_FROM = 64 << 10
"""Bytes from which an answer is kept pressed: a report of 100 MB shrinks eighty-fold in a thirtieth of a second."""
ENTRY = 1024
"""Bytes that an entry takes beside its answer."""


class Body(msgspec.Struct, frozen=True):
    """An answer of `size` bytes; `data` are these bytes, pressed (`service.pressed`) if `packed`.

    `made`: the pieces it was just made in, for who asked first; they are not kept.
    """

    data: bytes
    packed: bool
    size: int
    made: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, pieces: Iterable[bytes]) -> Self:
        """All pieces one after the other, pressed if they are many bytes."""
        made = tuple(pieces)
        size = sum(map(len, made))
        if size <= PACK_FROM:
            return cls(b"".join(made), packed=False, size=size)
        return cls(press(made), packed=True, size=size, made=made)

    def kept(self) -> Self:
        """Without the pieces that it was made in."""
        return msgspec.structs.replace(self, made=())

    def pieces(self) -> Pieces:
        """As it was given, in pieces of some length."""
        if self.made:
            return Pieces(self.made, self.size)
        return Pieces(unpressed(self.data) if self.packed else (self.data,), self.size)

    def plain(self) -> bytes:
        """As it was given."""
        return b"".join(self.pieces().parts)


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
                self._keep(key, found.kept())
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
