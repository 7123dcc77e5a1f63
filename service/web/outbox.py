"""Answers that their clients have yet to read: the accepting thread sends them, so that a slow reader holds no thread.

Knows sockets and the clock; no HTTP.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import structlog

from service.kept import PIECE

AT_ONCE = 4
"""Pieces that one client is sent before the others have their turn."""
MOST_HELD = 64 << 20
"""Bytes of answers that wait at once; beyond it whoever has been reading longest goes."""

log = structlog.get_logger("weighbridge.server")


class _Entry(msgspec.Struct):
    then: Callable[[], None]
    held: int
    until: float
    taken: int


class Outbox:
    """Connections with something to send, in the order in which their windows end.

    Each must take `least` bytes in each `window` of seconds, else it is `dropped`.
    """

    def __init__(
        self, poller: selectors.BaseSelector, least: float, window: float, dropped: Callable[[Any], None]
    ) -> None:
        self._poller = poller
        self._least = least
        self._window = window
        self._dropped = dropped
        self._entries: dict[Any, _Entry] = {}
        self._held = 0

    def __len__(self) -> int:
        return len(self._entries)

    def enter(self, conn: Any, then: Callable[[], None]) -> None:
        """Send what is to be sent, and then do that. Whoever has been here longest makes room if need be."""
        conn.sock.setblocking(False)
        held = len(conn.sock.unsent) + (PIECE if conn.sock.source is not None else 0)
        self._entries[conn] = _Entry(then, held, time.monotonic() + self._window, conn.sock.taken())
        self._held += held
        self._poller.register(conn.sock, selectors.EVENT_WRITE, partial(self._on_writable, conn))
        while self._held > MOST_HELD and len(self._entries) > 1:
            self.turn_out_oldest()

    def _on_writable(self, conn: Any, _sock: Any) -> None:
        if conn not in self._entries:  # turned out in the same round
            return
        try:
            sent = conn.sock.send_more(AT_ONCE)
        except OSError:
            self._turn_out(conn)
        except Exception:  # what is kept of the answer is damaged, say
            log.exception("answer_broke")
            self._turn_out(conn)
        else:
            if sent:
                self._leave(conn).then()

    def expire(self, now: float) -> None:
        """Turn out those who took too little in their window; the others begin a new one."""
        while self._entries:
            conn, entry = next(iter(self._entries.items()))
            if entry.until > now:
                return
            taken = conn.sock.taken()
            if taken - entry.taken < self._least:
                self._turn_out(conn)
            else:
                del self._entries[conn]
                self._entries[conn] = msgspec.structs.replace(entry, until=now + self._window, taken=taken)

    def turn_out_oldest(self) -> bool:
        """Turn out the one whose window ends first; False if there is none."""
        if not self._entries:
            return False
        self._turn_out(next(iter(self._entries)))
        return True

    def _turn_out(self, conn: Any) -> None:
        self._leave(conn)
        self._dropped(conn)

    def _leave(self, conn: Any) -> _Entry:
        entry = self._entries.pop(conn)
        self._held -= entry.held
        self._poller.unregister(conn.sock)
        return entry
