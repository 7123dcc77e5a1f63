"""A socket that holds its peer to a minimum speed; knows bytes and seconds, no HTTP.

gunicorn's threaded worker waits for ever on a client that sends nothing, or one byte now and then, and each such client
holds a thread. A plain socket timeout starts again with every byte; the pace is counted over a window instead. What a
client does not take at once is kept, for the accepting thread to send (`service.web.outbox`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import math
import socket
import struct
import termios
import time
from collections.abc import Callable
from typing import Any, Protocol

SEND_STEP = 1 << 16


class Stalled(ConnectionResetError):
    """The peer was slower than asked. A reset to whoever does not know it: the connection is of no further use."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the peer is too slow")


class Source(Protocol):
    """More of an answer: its pieces as they are wanted, and the word that no more are."""

    def more(self) -> bytes | None:
        """The next piece; None after the last."""

    def end(self) -> None:
        """All is sent, or nothing can be."""


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""RFC 9110, 15.2.1."""


def _nothing() -> None:
    """There is no request."""


class PacedSocket(socket.socket):
    """A connected socket whose `recv` and `sendall` raise Stalled once the peer falls behind the pace set last.

    With `keeps` set `sendall` never waits: what the peer does not take at once is in `unsent`, and what is to follow
    that comes from `source`; `send_more` sends it.
    """

    keeps = False
    source: Source | None = None
    end_after: Callable[[], None] = staticmethod(_nothing)
    """Has the answer that is about to be sent end the connection."""
    invites = False
    """The peer waits for a word before it sends the body: it gets it once somebody wants to read that."""

    _window = math.inf
    _least = 0.0
    _until: float | None = None  # the window begins with the first read: until then nobody waited for the peer
    _received = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.early = bytearray()
        """What has been received and not been asked for yet."""
        self.unsent = bytearray()
        """What is yet to be sent, before anything of `source`."""
        self._given = 0

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

    def take_early(self, size: int) -> bytes:
        """What the peer has sent, kept for `recv` to give; BlockingIOError if that is nothing. For one not blocking."""
        data = super().recv(size)
        self.early += data
        return data

    def recv(self, size: int, flags: int = 0) -> bytes:
        """As `socket.recv`, what came early first; Stalled where the window ends without enough."""
        if self.early:
            data = bytes(self.early[:size])
            del self.early[:size]
            return data
        if self.invites:
            self.invites = False
            super().sendall(CONTINUE)
        return self._recv_paced(size, flags)

    def _recv_paced(self, size: int, flags: int) -> bytes:
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
        """As `socket.sendall`, in pieces that each must leave within one window; or as `keeps` says."""
        if self.keeps and self.gettimeout() is None:
            self._send_or_keep(data)
            return
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

    def _send_or_keep(self, data: Any) -> None:
        with memoryview(data) as view:
            self.unsent += view if self.unsent else view[self._send_now(view) :]

    def _send_now(self, view: memoryview) -> int:
        """How much of it the peer took at once."""
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while sent < len(view):
                sent += self.send(view[sent : sent + SEND_STEP], socket.MSG_DONTWAIT)
        self._given += sent
        return sent

    def send_more(self, pieces: int) -> bool:
        """Send what the peer takes at once, `pieces` of `source` at most; True once nothing is left."""
        for _ in range(pieces):
            if not self.unsent:
                piece = self.source.more() if self.source is not None else None
                if piece is None:
                    self._end_source()
                    return True
                self.unsent += piece
            with memoryview(self.unsent) as view:
                sent = self._send_now(view)
            del self.unsent[:sent]
            if self.unsent:
                return False
        return False

    def taken(self) -> int:
        """Bytes that have arrived at the peer, of those given to `sendall` and `send_more` with `keeps` set.

        What lies in the kernel's buffer is not: that can be megabytes, which no slow peer takes in one window.
        """
        waiting = fcntl.ioctl(self, termios.TIOCOUTQ, struct.pack("i", 0))
        return self._given - int(struct.unpack("i", waiting)[0])

    def _end_source(self) -> None:
        source, self.source = self.source, None
        if source is not None:
            source.end()

    def close(self) -> None:
        """As `socket.close`; what was not sent is forgotten."""
        self.unsent.clear()
        self._end_source()
        super().close()
