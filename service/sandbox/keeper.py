"""Keeps the warm process of one kind alive: starts it, hears that it is warm, replaces it when it dies.

Knows no tasks. The listening socket is made here and outlives the warm process: clients that come between two
lives wait in its queue, and where a kind is started on first need, a waiting client is that need.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from service import wire
from service.sandbox import state
from service.sandbox.state import KindState

_QUEUE = 128
"""Clients that may wait for one kind."""
_WARM_SECONDS = 120.0
"""Longest a warm process may take to get warm: importing TensorFlow on a busy machine takes many seconds."""
_STEADY_SECONDS = 10.0
"""A warm process that lived this long may be replaced at once, a shorter life after the first pause."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 10.0
"""Seconds; doubled for each life in a row that ended before it was warm."""
_HOPELESS_STARTS = 2
"""Starts in a row that failed, after which clients are not kept waiting for the next."""
_MESSAGE_BYTES = 1 << 16


class Keeper:
    """One kind: its socket for good, its warm process while it lives."""

    def __init__(self, kind: str, command: Sequence[str], runtime_dir: Path, *, at_once: bool) -> None:
        self.state = KindState(installed=True)
        self._kind = kind
        self._command = tuple(command)
        self._listener = _listen(runtime_dir, kind)
        self._at_once = at_once
        self._process: subprocess.Popen[bytes] | None = None
        self._handle = -1
        self._control: socket.socket | None = None
        self._started = 0.0
        self._failed_starts = 0
        self._due = 0.0

    def waits_for(self) -> dict[int, Callable[[], None]]:
        """Descriptor -> what to do when it becomes readable."""
        if self._process is None:
            idle = not self._at_once and time.monotonic() >= self._due
            return {self._listener.fileno(): self._start} if idle else {}
        known: dict[int, Callable[[], None]] = {self._handle: self._bury}
        if self._control is not None and not self.state.warm:
            known[self._control.fileno()] = self._hear
        return known

    def next_moment(self) -> float | None:
        """Monotonic time at which `look` has something to do, None if only an event can bring that."""
        if self._process is None:
            return self._due if self._at_once or self._due > time.monotonic() else None
        return None if self.state.warm else self._started + _WARM_SECONDS

    def look(self) -> None:
        """Start what is due, end what does not get warm."""
        now = time.monotonic()
        if self._process is None:
            if self._at_once and now >= self._due:
                self._start()
        elif not self.state.warm and now >= self._started + _WARM_SECONDS:
            self._process.kill()

    def release(self) -> None:
        """Let a warm process serve: what it says of itself has been looked at and published."""
        if self.state.warm:
            self._close_control()

    def stop(self) -> None:
        """End the warm process, and with it its children."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._listener.close()

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        inherited = (self._listener.fileno(), theirs.fileno())
        self._started = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [*self._command, "--listener", str(inherited[0]), "--control", str(inherited[1])],
            env={},
            pass_fds=inherited,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        theirs.close()
        ours.setblocking(False)
        self._control = ours
        self._handle = os.pidfd_open(self._process.pid)
        self._change(pid=self._process.pid)

    def _hear(self) -> None:
        """The warm process says that it is warm, or closes its end because it dies."""
        if self._control is None or self.state.warm:
            return
        try:
            data = self._control.recv(_MESSAGE_BYTES)
        except BlockingIOError:  # it ended without a word, and a child of its own has yet to follow it
            data = b""
        if not data:
            self._close_control()
            return
        said = wire.decode_warm(data)
        self._change(
            warm=True,
            framework_version=said.framework_version,
            layers=said.layers,
            probes=said.probes,
            landlock_abi=said.landlock_abi,
            problem=None,
            failing=False,
        )

    def _close_control(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None

    def _bury(self) -> None:
        if self._process is None:
            return
        status = self._process.wait()
        os.close(self._handle)
        self._hear()  # a refusal comes together with its end
        self._close_control()
        self._process = None
        self._plan_restart()
        self._change(
            warm=False,
            pid=None,
            restarts=self.state.restarts + 1,
            problem=_how_it_ended(self._kind, status),
            failing=self._failed_starts >= _HOPELESS_STARTS,
        )

    def _plan_restart(self) -> None:
        """At once after a first or a long life, else after a pause that grows while none gets warm."""
        now = time.monotonic()
        steady = now - self._started > _STEADY_SECONDS or not self.state.restarts
        self._failed_starts = 0 if self.state.warm else min(self._failed_starts + 1, 10)
        pause = _FIRST_PAUSE * 2**self._failed_starts
        self._due = now if self.state.warm and steady else now + min(pause, _LONGEST_PAUSE)

    def _change(self, **fields: object) -> None:
        self.state = msgspec.structs.replace(self.state, **fields)


def _listen(runtime_dir: Path, kind: str) -> socket.socket:
    """A fresh listening socket; the folder is ours alone, so nobody else can reach it."""
    state.socket_file(runtime_dir, kind).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with state.socket_address(runtime_dir, kind) as address:
        listener.bind(address)
    listener.listen(_QUEUE)
    listener.setblocking(False)
    return listener


def _how_it_ended(kind: str, status: int) -> str:
    how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
    return f"The warm process of kind {kind} ended with {how}."
