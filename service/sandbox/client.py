"""Runs tasks behind the wall and says what stands there; the only module of this room that others need.

Knows where the sockets are, not who keeps the warm processes alive. Safe to use from many threads.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from service import tree, wire
from service.errors import FrameworkMissing, LimitExceeded, Overloaded, WorkerUnavailable
from service.language import msg
from service.sandbox import exchange, state
from service.sandbox.exchange import ConnectionLost, Exchange
from service.sandbox.kinds import KINDS, install_command
from service.sandbox.state import KindState
from service.tree import Frozen

_ATTEMPTS = 2
"""A task whose warm process died is run once again."""
_START_SECONDS = 120.0
"""Longest wait for a child to take the task: a framework started on first need gets warm in this time."""
_QUEUE_SECONDS = 5
"""Longest wait for room in a kind's queue."""


class Outcome(Frozen, frozen=True, kw_only=True):
    """An answer and what it cost: the child's largest resident set, and seconds from sending to its end."""

    answer: wire.Answer
    peak_memory_bytes: int
    seconds: float


class Sandbox:
    """The warm processes behind the sockets of one runtime folder."""

    def __init__(self, runtime_dir: Path) -> None:
        self._runtime_dir = runtime_dir

    def run(
        self,
        kind: str,
        task: wire.Task,
        descriptors: Sequence[int],
        *,
        cancelled: Callable[[], bool] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Outcome:
        """Run `task` in a confined child of `kind`, which gets `descriptors` (read-only files) and nothing else.

        Raises the error that the child answered (InputError), a WorkerError if it gave no answer, WorkerCancelled
        once `cancelled()` is true, FrameworkMissing, WorkerUnavailable or Overloaded. `cancelled` is asked about
        twenty times a second; `progress` hears what share of its values a child says to have read, 0 to 1.
        """
        self._require_installed(kind)
        _check_descriptors(task, descriptors)
        data = wire.encode(task)
        if len(data) > wire.TASK_BYTES:
            raise LimitExceeded("task_bytes", wire.TASK_BYTES, msg("The names of the files together are too long."))
        for _ in range(_ATTEMPTS):
            try:
                talk = Exchange(self._connect(kind), cancelled, progress)
                return self._attempt(kind, task, data, descriptors, talk)
            except ConnectionLost:
                continue
        raise WorkerUnavailable(
            msg("The warm process of kind {kind} died twice during this task.", kind=kind), deaths=_ATTEMPTS
        )

    def states(self) -> dict[str, KindState]:
        """Every kind and how it stands; all at rest where no supervisor lives."""
        return {**{kind: KindState() for kind in KINDS}, **state.read(self._runtime_dir)}

    def confinement(self, kind: str) -> tree.Confinement:
        """Which layers stand around the children of `kind`."""
        known = self.states()[kind]
        return tree.Confinement(confined=known.confined, layers=known.layers)

    def _attempt(self, kind: str, task: wire.Task, data: bytes, descriptors: Sequence[int], talk: Exchange) -> Outcome:
        start = time.monotonic()
        with talk:
            talk.send(data, descriptors)
            talk.wait_for_child(_START_SECONDS, lambda: self._hopeless(kind))
            received, ended = talk.collect(task.seconds, task.limits.answer_bytes)
        answer = exchange.judge(received, ended, starved=ended.status < 0 and talk.starved)
        return Outcome(answer=answer, peak_memory_bytes=ended.peak_memory_bytes, seconds=time.monotonic() - start)

    def _connect(self, kind: str) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _QUEUE_SECONDS, 0))
        try:
            with state.socket_address(self._runtime_dir, kind) as address:
                connection.connect(address)
        except BlockingIOError:
            connection.close()
            raise Overloaded(msg("Too many analyses wait for a worker.")) from None
        except OSError as error:
            connection.close()
            raise WorkerUnavailable(msg("The warm process of kind {kind} is not there.", kind=kind)) from error
        return connection

    def _hopeless(self, kind: str) -> str | None:
        """Why no child will come, or None while one may."""
        known = self.states()[kind]
        return known.problem if known.failing and known.pid is None else None

    def _require_installed(self, kind: str) -> None:
        known = state.read(self._runtime_dir).get(kind)
        if known is None:
            raise WorkerUnavailable(msg("The warm process of kind {kind} is not there.", kind=kind))
        if not known.installed:
            detail = msg("This needs the {kind} worker, which is not installed.", kind=kind)
            raise FrameworkMissing(detail, hint=msg("Install it with: {command}", command=install_command(kind)))


def _check_descriptors(task: wire.Task, descriptors: Sequence[int]) -> None:
    if len(descriptors) > wire.MAX_FILES:
        raise LimitExceeded("files", wire.MAX_FILES, msg("These are too many files."), value=len(descriptors))
    if len(descriptors) != task.descriptors:
        raise ValueError(f"{task.work} takes {task.descriptors} descriptors, not {len(descriptors)}")
    if any(fcntl.fcntl(item, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY for item in descriptors):
        raise ValueError("only files opened for reading may cross the wall")
