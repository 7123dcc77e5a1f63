"""A socket that holds its peer to a minimum speed; knows bytes and seconds, no HTTP.

gunicorn's threaded worker waits for ever on a client that sends nothing, or one byte now and then, and each such client
holds a thread. A plain socket timeout starts again with every byte; the pace is counted over a window instead.
"""

from __future__ import annotations

import errno
import math
import socket
import time
from typing import Any

SEND_STEP = 1 << 16


class Stalled(ConnectionResetError):
    """The peer was slower than asked. A reset to whoever does not know it: the connection is of no further use."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the peer is too slow")


class PacedSocket(socket.socket):
    """A connected socket whose `recv` and `sendall` raise Stalled once the peer falls behind the pace set last."""

    _window = math.inf
    _least = 0.0
    _until: float | None = None  # the window begins with the first read: until then nobody waited for the peer
    _received = 0

    @classmethod
    def adopt(cls, plain: socket.socket) -> PacedSocket:
        """Take the connection over; `plain` is closed to its former owner."""
        if isinstance(plain, cls):
            return plain
        timeout = plain.gettimeout()
        paced = cls(fileno=plain.detach())
        paced.settimeout(timeout)
        return paced

    def expect(self, least: float, window: float) -> None:
        """From the next read on at least `least` bytes in each `window` of seconds; `inf` makes it a deadline."""
        self._least, self._window = least, window
        self._until = None

    def _begin(self) -> float:
        self._received = 0
        self._until = time.monotonic() + self._window
        return self._until

    def recv(self, size: int, flags: int = 0) -> bytes:
        """As `socket.recv`; Stalled where the window ends without enough."""
        if self.gettimeout() == 0 or self._window == math.inf:
            return super().recv(size, flags)
        while True:
            left = (self._until or self._begin()) - time.monotonic()
            if left > 0 and (data := self._recv_within(left, size, flags)) is not None:
                self._received += len(data)
                return data
            if self._received < self._least:
                raise Stalled
            self._begin()

    def _recv_within(self, seconds: float, size: int, flags: int) -> bytes | None:
        """What arrives within `seconds`, None if nothing does. A shorter timeout that somebody else set stays his."""
        theirs = self.gettimeout()
        if theirs is not None and theirs <= seconds:
            return super().recv(size, flags)
        self.settimeout(seconds)
        try:
            return super().recv(size, flags)
        except TimeoutError:
            return None
        finally:
            self.settimeout(theirs)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """As `socket.sendall`, in pieces that each must leave within one window."""
        if self.gettimeout() == 0 or self._window == math.inf:
            super().sendall(data, flags)
            return
        theirs = self.gettimeout()
        self.settimeout(self._window)
        try:
            for start in range(0, len(data), SEND_STEP):
                super().sendall(memoryview(data)[start : start + SEND_STEP], flags)
        except TimeoutError:
            raise Stalled from None
        finally:
            self.settimeout(theirs)
