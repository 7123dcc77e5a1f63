"""Connections that no thread serves: their request is still arriving, or their client has yet to read the last answer.

The accepting thread watches them, so that a slow client costs a descriptor and a few kilobytes, and no thread. Knows
sockets and the clock; no HTTP beyond where a header ends.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from service.web.pace import PacedSocket

READ = 1 << 16
END_OF_HEADER = b"\r\n\r\n"
MOST_HEADER = 1 << 17
"""Bytes after which a header that has not ended is handed over all the same: gunicorn's own limits refuse it."""


class Room:
    """Connections being watched, in the order in which their time ends; `readable` and `expired` are told of them.

    All that enter are given the same number of seconds, or fewer than those before them at a moment when `hurry` caps
    what is left to all.
    """

    def __init__(
        self, poller: selectors.BaseSelector, readable: Callable[[Any], None], expired: Callable[[Any], None]
    ) -> None:
        self._poller = poller
        self._readable = readable
        self._expired = expired
        self._until: dict[Any, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def enter(self, conn: Any, until: float) -> None:
        """Watch a connection, no longer than `until` on the monotonic clock."""
        conn.sock.setblocking(False)
        self._until[conn] = until
        self._poller.register(conn.sock, selectors.EVENT_READ, partial(self._notice, conn))

    def leave(self, conn: Any) -> None:
        """Watch it no longer."""
        del self._until[conn]
        self._poller.unregister(conn.sock)

    def expire(self, now: float) -> None:
        """Turn out those whose time is up."""
        while self._until:
            conn, until = next(iter(self._until.items()))
            if until > now:
                return
            self.turn_out(conn)

    def turn_out_oldest(self) -> bool:
        """Turn out the one that has been here longest; False if there is none."""
        if not self._until:
            return False
        self.turn_out(next(iter(self._until)))
        return True

    def turn_out(self, conn: Any) -> None:
        """Watch it no longer, and tell that its time is up."""
        self.leave(conn)
        self._expired(conn)

    def hurry(self, until: float) -> None:
        """Nobody stays longer than `until`."""
        self._until = {conn: min(until, own) for conn, own in self._until.items()}

    def _notice(self, conn: Any, _sock: Any) -> None:
        if conn in self._until:  # else it was turned out by what another connection did in the same round
            self._readable(conn)


def header_is_here(sock: PacedSocket) -> bool:
    """Take in what has arrived without waiting for more; whether a whole header has, or nothing more can.

    Raises OSError as `socket.recv` does, but for "nothing there yet".
    """
    before = len(sock.early)
    try:
        data = sock.take_early(READ)
    except BlockingIOError:
        return END_OF_HEADER in sock.early
    return not data or len(sock.early) > MOST_HEADER or sock.early.find(END_OF_HEADER, max(0, before - 3)) >= 0


def has_come(client: socket.socket) -> bool:
    """Whether anything can be read of a client; its going away is nothing."""
    try:
        return bool(socket.socket.recv(client, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:
        return False
