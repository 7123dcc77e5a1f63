"""The warm process: one thread that waits for clients, hands each to a confined child, and tells how it ended.

It never reads a byte of an upload, nor even of a task: the client's connection goes to the child unread. A client
that goes away has its child killed; a child that ends has its client told.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections import deque
from typing import NoReturn

from service import wire
from service.worker import children
from service.worker.children import Child
from service.worker.confine import Plan
from service.worker.kit import Kit

_MAX_WASTED = 20
"""Spares in a row that died unused: beyond it something is wrong here, and the supervisor should know."""
_SECONDS_WITHOUT_ROOM = 0.1
"""Pause after a failed fork."""
_QUIET_SECONDS = 0.005
"""While one spare is left the next is made in a quiet moment: a fork would delay the end of a short analysis."""


class Zygote:
    """Clients on one side, children on the other, and one `epoll` between them."""

    def __init__(self, listener: socket.socket, plan: Plan, kit: Kit, spares: int) -> None:
        self._listener = listener
        self._plan = plan
        self._kit = kit
        self._wanted = spares
        self._spares: deque[Child] = deque()
        self._children: dict[int, Child] = {}
        self._clients: dict[int, Child] = {}
        self._wasted = 0
        self._epoll = select.epoll()
        self._epoll.register(listener.fileno(), select.EPOLLIN)

    def serve(self) -> NoReturn:
        """Wait and serve until killed. One event at a time: handling one may reuse the number of the next."""
        while True:
            events = self._epoll.poll(self._patience(), 1)
            if events:
                self._handle(events[0][0])
            else:
                self._add_spare()

    def _patience(self) -> float | None:
        """How long to wait for an event before making another spare; None if there are enough."""
        if len(self._spares) >= self._wanted:
            return None
        return _QUIET_SECONDS if self._spares else 0.0

    def _handle(self, descriptor: int) -> None:
        if descriptor in self._children:
            self._bury(self._children.pop(descriptor))
        elif descriptor in self._clients:
            self._epoll.unregister(descriptor)  # hung up, and says so until it is closed
            self._clients.pop(descriptor).kill()
        else:
            self._accept()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        if _hung_up(connection):
            connection.close()
            return
        try:
            child = self._give(connection)
        except OSError:  # no room for a process: the client sees the connection end
            connection.close()
            time.sleep(_SECONDS_WITHOUT_ROOM)
            return
        self._clients[connection.fileno()] = child
        self._epoll.register(connection.fileno(), 0)  # a hang-up is always reported; the task is not ours to see
        with contextlib.suppress(OSError):
            socket.send_fds(connection, [wire.STARTED], [child.handle])

    def _give(self, connection: socket.socket) -> Child:
        """The child that has taken `connection`. OSError if there is none and none can be made."""
        while self._spares:
            child = self._spares.popleft()
            with contextlib.suppress(OSError):  # it died while it waited; its handle tells
                child.hand_over(connection)
                self._wasted = 0
                return child
        child = self._fork()
        child.hand_over(connection)
        return child

    def _add_spare(self) -> None:
        try:
            self._spares.append(self._fork())
        except OSError:
            time.sleep(_SECONDS_WITHOUT_ROOM)

    def _fork(self) -> Child:
        child = children.fork(self._plan, self._kit)
        self._children[child.handle] = child
        self._epoll.register(child.handle, select.EPOLLIN)
        return child

    def _bury(self, child: Child) -> None:
        self._epoll.unregister(child.handle)
        ended = child.reap()
        if child.connection is None:
            self._forget_spare(child)
            return
        if self._clients.pop(child.connection.fileno(), None):  # else it hung up, and is out of the epoll already
            self._epoll.unregister(child.connection.fileno())
        with contextlib.suppress(OSError):  # nobody waits for it any more
            child.connection.send(wire.encode(ended), socket.MSG_DONTWAIT)
        child.connection.close()

    def _forget_spare(self, child: Child) -> None:
        with contextlib.suppress(ValueError):
            self._spares.remove(child)
        self._wasted += 1
        if self._wasted > _MAX_WASTED:
            raise SystemExit("children die before they are given anything to do")


def _hung_up(connection: socket.socket) -> bool:
    """Whether the client went away while it waited in the queue."""
    poll = select.poll()
    poll.register(connection, 0)
    return bool(poll.poll(0))
