"""One task in one child, from the client's side: hand it over, take the answer, hold the deadline, judge the end.

Knows the protocol of the warm process and no kinds. Everything that comes through the pipe is untrusted.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import msgspec

from service import errors, faults, plain, wire
from service.errors import (
    ErrorInfo,
    InputError,
    WorkerCancelled,
    WorkerCrashed,
    WorkerError,
    WorkerOutOfMemory,
    WorkerTimeout,
    WorkerUnavailable,
)
from service.frames import Received
from service.language import Message, msg
from service.sandbox import memory

_TICK = 0.05
"""Seconds between two looks at whether the task was called off."""
_BURIAL_SECONDS = 2.0
"""How long to wait for a killed child to be gone."""
_CHUNK = 1 << 20
_PACKET = 4096
_ERROR_BYTES = 1 << 20
"""Longest error, its words cut to size: it is kept with the job, and told again and again."""
_PIPE_BYTES = 1 << 20
"""What a child may be ahead of us: the most that the kernel gives without being asked by root."""


class ConnectionLost(Exception):
    """The warm process went away before it could say how the child ended."""


class Exchange:
    """A connection to a warm process, a pipe for the answer, and the child's handle once there is one.

    Leaving the context kills a child that has not ended.
    """

    def __init__(
        self,
        connection: socket.socket,
        cancelled: Callable[[], bool] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> None:
        self._connection = connection
        self._cancelled = cancelled
        self._progress = progress
        self._reading, self._writing = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._reading, False)
        self._kernel_kills = memory.kernel_kills()
        with contextlib.suppress(OSError):  # this user has too many large pipes already: it stays small
            fcntl.fcntl(self._reading, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._child: int | None = None
        self._ended: wire.Ended | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        os.close(self._reading)
        self._close_writing()
        if self._child is not None:
            if self._ended is None:
                _kill(self._child)
            os.close(self._child)

    def send(self, task: bytes, descriptors: Sequence[int]) -> None:
        """Hand over the task. ConnectionLost if nobody is there."""
        try:
            socket.send_fds(self._connection, [task], [*descriptors, self._writing])
        except OSError as error:
            raise ConnectionLost from error
        self._close_writing()

    def wait_for_child(self, seconds: float, hopeless: Callable[[], str | None]) -> None:
        """Until a child has the task. `hopeless` gives the reason why none ever will, or None.

        Raises ConnectionLost, WorkerCancelled, WorkerUnavailable.
        """
        until = time.monotonic() + seconds
        while not self._readable([self._connection.fileno()], min(until, time.monotonic() + 10 * _TICK)):
            if (reason := hopeless()) is not None:
                raise WorkerUnavailable(reason)
            if time.monotonic() > until:
                raise WorkerUnavailable(msg("No worker took the task in time."))
        try:
            data, handles, _, _ = socket.recv_fds(self._connection, _PACKET, 1, socket.MSG_CMSG_CLOEXEC)
        except OSError as error:
            raise ConnectionLost from error
        if data != wire.STARTED or not handles:
            raise ConnectionLost
        self._child = handles[0]
        faults.point("child.started")

    def collect(self, seconds: float, maximum: int) -> tuple[Received, wire.Ended]:
        """What the child wrote, at most `maximum` bytes, and how it ended, within `seconds`.

        Raises WorkerTimeout, WorkerCancelled, WorkerCrashed, LimitExceeded, ConnectionLost; the child is killed then.
        """
        until = time.monotonic() + seconds
        received = Received(maximum, self._progress)
        waiting = {self._reading, self._connection.fileno()}
        while waiting:
            ready = self._readable(waiting, until)
            if self._connection.fileno() in ready:
                self._ended = self._receive_end()
                waiting.discard(self._connection.fileno())
            late = time.monotonic() >= until
            if late and not (ready and self._ended):  # one that never stops writing is late as well
                raise WorkerTimeout(
                    msg("It took longer than {seconds} seconds and was stopped.", seconds=f"{seconds:g}")
                )
            if self._reading in ready and not self._read_into(received):
                waiting.discard(self._reading)
        if self._ended is None:
            raise ConnectionLost
        faults.point("answer.received")
        return received, self._ended

    @property
    def starved(self) -> bool:
        """Whether the kernel may have killed the child for want of memory."""
        now = memory.kernel_kills()
        return now is None or now != self._kernel_kills

    def _read_into(self, received: Received) -> bool:
        """Take what the pipe holds; False at its end."""
        try:
            data = os.read(self._reading, _CHUNK)
        except BlockingIOError:
            return True
        received.take(data)
        return bool(data)

    def _receive_end(self) -> wire.Ended:
        try:
            data = self._connection.recv(_PACKET)
        except OSError as error:
            raise ConnectionLost from error
        if not data:
            raise ConnectionLost
        return wire.decode_ended(data)

    def _readable(self, descriptors: Sequence[int] | set[int], until: float) -> list[int]:
        """Those that can be read, waiting for them no longer than `until`. WorkerCancelled if it was called off."""
        poll = select.poll()
        for descriptor in descriptors:
            poll.register(descriptor, select.POLLIN)
        while True:
            if self._cancelled is not None and self._cancelled():
                raise WorkerCancelled(msg("The analysis was called off."))
            left = max(0.0, until - time.monotonic())
            pause = left if self._cancelled is None else min(left, _TICK)
            ready = poll.poll(math.ceil(pause * 1000))
            if ready or pause == left:
                return [descriptor for descriptor, _ in ready]

    def _close_writing(self) -> None:
        if self._writing >= 0:
            os.close(self._writing)
            self._writing = -1


def _kill(child: int) -> None:
    """Kill by handle, never by number, and see it gone. Its group follows when the warm process reaps it."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(child, signal.SIGKILL)
    select.select([child], [], [], _BURIAL_SECONDS)


def judge(received: Received, ended: wire.Ended, *, starved: bool = True) -> wire.Answer:
    """The answer, if the child came to a good end and has one; else its error or how it died, raised.

    `starved`: whether the kernel may have killed it.
    """
    if ended.status < 0:
        raise _death(-ended.status, starved=starved)
    if ended.status >= wire.LAYER_FAILED:
        raise WorkerUnavailable(msg("A worker could not confine itself and has read nothing."))
    if ended.status > 0:
        raise WorkerCrashed(msg("The analysis stopped without an answer."), status=ended.status)
    answer = received.answer()
    if answer.error is not None:
        raise errors.from_info(_checked(answer.error))
    return answer


def _death(number: int, *, starved: bool) -> WorkerError | WorkerUnavailable:
    if number == signal.SIGKILL and not starved:  # nothing of ours killed it, nor did the kernel
        return WorkerUnavailable(msg("The process of the analysis was killed from outside."))
    if number == signal.SIGKILL:
        return WorkerOutOfMemory(msg("The analysis was stopped because the system ran out of memory."))
    if number == signal.SIGXCPU:
        return WorkerTimeout(msg("The analysis used more processor time than it may and was stopped."))
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = str(number)
    return WorkerCrashed(msg("The analysis crashed ({signal}).", signal=name), signal=name)


def _checked(untrusted_error: ErrorInfo) -> ErrorInfo:
    """The error as data of ours: a child may blame the input or itself, nobody else, and in bounded words.

    Whether it was too slow or was called off is for those to say who watched it.
    """
    kind = errors.BY_CODE.get(untrusted_error.code)
    if kind is None or not issubclass(kind, InputError | WorkerCrashed | WorkerOutOfMemory):
        raise WorkerCrashed(msg("The worker's answer was not understood."), reason="unknown error code")
    fields = {name: _bounded(value) for name, value in msgspec.structs.asdict(untrusted_error).items()}
    checked = msgspec.structs.replace(untrusted_error, **fields)
    if len(wire.encode(wire.Answer(error=checked))) > _ERROR_BYTES:
        raise WorkerCrashed(msg("The worker's answer was not understood."), reason="an endless error")
    return checked


def _bounded(untrusted: Any) -> Any:
    """As `plain.json_value`, for a sentence and what it is filled with too; decoding has bounded its depth."""
    if isinstance(untrusted, tuple):
        return tuple(_bounded(item) for item in untrusted[: plain.MAX_ITEMS])
    if not isinstance(untrusted, Message):
        return plain.json_value(untrusted)
    args = ((plain.text(name), _bounded(value)) for name, value in untrusted.args[: plain.MAX_ITEMS])
    return Message(plain.text(untrusted.id), args, untrusted.plural and plain.text(untrusted.plural))
