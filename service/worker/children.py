"""Children seen from the warm process: forked, handed a connection, killed, reaped; never reads what they read."""

from __future__ import annotations

import contextlib
import os
import signal
import socket

from service import wire
from service.worker import spare
from service.worker.confine import Plan
from service.worker.kit import Kit


class Child:
    """One forked child. It waits (`connection` None), then works for one client until it ends."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self.handle = os.pidfd_open(pid)
        self.connection: socket.socket | None = None
        self._channel = channel

    def hand_over(self, connection: socket.socket) -> None:
        """Give it a client. OSError if it is dead already, and then the connection may go to another."""
        socket.send_fds(self._channel, [b"c"], [connection.fileno()])
        self._channel.close()
        self.connection = connection

    def kill(self) -> None:
        """Kill it and all it may have started; it is reaped when its handle becomes readable."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.handle, signal.SIGKILL)
        self._kill_group()

    def reap(self) -> wire.Ended:
        """How it ended. Only for a child whose handle is readable; frees everything held for it."""
        self._kill_group()  # until it is waited for, its number cannot be another's
        _, status, usage = os.wait4(self.pid, 0)
        os.close(self.handle)
        self._channel.close()
        return wire.Ended(
            status=os.waitstatus_to_exitcode(status),
            peak_memory_bytes=usage.ru_maxrss * 1024,  # the kernel counts in KiB
        )

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def fork(plan: Plan, kit: Kit) -> Child:
    """A new child, waiting to be handed a connection. OSError if the system has no room for one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        pid = os.fork()
    except OSError:
        ours.close()
        theirs.close()
        raise
    if pid == 0:
        spare.live(theirs.fileno(), plan, kit)
    theirs.close()
    return Child(pid, ours)
