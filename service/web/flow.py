"""A large body that is made piece by piece while it is sent; knows sockets, neither HTTP nor what is sent."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Self

from service.web.pace import PacedSocket


class Flow:
    """The body of an answer as WSGI takes it.

    The thread that serves the request sends it as long as the client takes it at once. With the first piece that stays
    behind the flow passes to the socket, and the thread is free. `done` is called once: when all is sent or nothing can
    be, or when the flow is forgotten unsent.
    """

    def __init__(self, pieces: Iterator[bytes], done: Callable[[], None], sock: PacedSocket | None) -> None:
        self._pieces = pieces
        self._sock = sock
        self._passed_on = False
        self._end = weakref.finalize(self, done)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if self._sock is not None and self._sock.unsent and not self._passed_on:
            self._passed_on = True
            self._sock.source = self
        if self._passed_on:
            raise StopIteration
        return next(self._pieces)

    def close(self) -> None:
        """The thread needs it no longer."""
        if not self._passed_on:
            self.end()

    def more(self) -> bytes | None:
        """The next piece; None after the last."""
        return next(self._pieces, None)

    def end(self) -> None:
        """All is sent, or nothing can be."""
        self._end()
