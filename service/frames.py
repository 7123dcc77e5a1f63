"""What passes the pipe before an answer: how far a child has come, and the layers of a large model, a few at a time.

Both sides of the wall: the child sends layers as it finishes them, so that it never holds the JSON of them all, and the
parent checks them while the child makes the next. Knows bytes, layers and their JSON; no descriptors, no processes.

A frame begins with a mark that no JSON begins with, which is how the answer behind the last frame is told apart.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from itertools import islice

import msgspec

from service import decoding, wire
from service.errors import LimitExceeded
from service.language import msg
from service.tree import Layer

AT_ONCE = 256
"""Layers of one frame; a model of so many or fewer is told by its answer alone."""
TALK_BYTES = 1 << 20
"""Most that a child may tell of how far it has come: hours of it, at its own pace."""

_PROGRESS_MARK, _LAYERS_MARK = 1, 2
_PROGRESS = struct.Struct("=BQQ")
_LAYERS = struct.Struct("=BI")
_HIGHEST = 2**64 - 1


def progress(done: int, total: int) -> bytes:
    """A frame that a child may send before its answer, as often as it likes: `done` of `total` bytes."""
    return _PROGRESS.pack(_PROGRESS_MARK, min(done, _HIGHEST), min(total, _HIGHEST))


class Sender:
    """Sends the layers of a model that has many ahead of the answer; no more than `maximum` bytes of them."""

    def __init__(self, send: Callable[[bytes], None], maximum: int) -> None:
        self._send, self._maximum = send, maximum
        self._sent = 0
        self._encode = wire.layer_encoder()

    def deliver(self, layers: Iterable[Layer]) -> tuple[Layer, ...]:
        """Send them; those of a model that has few are given back instead. LimitExceeded beyond the maximum."""
        waiting = iter(layers)
        some = tuple(islice(waiting, AT_ONCE))
        following = tuple(islice(waiting, AT_ONCE))
        if not following:
            return some
        while some:
            self._deliver(some)
            some, following = following, tuple(islice(waiting, AT_ONCE))
        return ()

    def fits(self, size: int) -> bool:
        """Whether so many bytes may follow."""
        return self._sent + size <= self._maximum

    def _deliver(self, layers: tuple[Layer, ...]) -> None:
        data = self._encode(layers)
        if not self.fits(_LAYERS.size + len(data)):
            raise too_large(self._maximum)
        self._sent += _LAYERS.size + len(data)
        self._send(_LAYERS.pack(_LAYERS_MARK, len(data)))
        self._send(data)


def too_large(maximum: int, value: int | None = None) -> LimitExceeded:
    """More bytes than one answer may have."""
    return LimitExceeded("answer_bytes", maximum, msg("The description of this model is too large."), value=value)


class Received:
    """What a child has sent so far, untrusted: frames are taken off and checked, the rest is its answer."""

    def __init__(self, maximum: int, tell: Callable[[float], None] | None = None) -> None:
        self._maximum, self._tell = maximum, tell
        self._untrusted = bytearray()
        self._size = self._talked = self._weight = 0
        self._share: float | None = None
        self._checker = decoding.Checker()
        self._layers: list[bytes] = []

    def take(self, untrusted: bytes) -> None:
        """More of it. LimitExceeded for too many bytes or too much in them, WorkerCrashed for layers that are none."""
        self._untrusted += untrusted
        self._size += len(untrusted)
        while self._untrusted and self._frame():
            pass
        if self._size > self._maximum:
            raise too_large(self._maximum)
        if self._share is not None and self._tell is not None:
            self._tell(self._share)
        self._share = None

    def answer(self) -> wire.Answer:
        """The typed answer. WorkerCrashed if what came is none."""
        return wire.decode_answer(bytes(self._untrusted), self._layers, self._weight)

    def _frame(self) -> bool:
        """Take off the frame that the rest begins with; False where it begins with no whole one."""
        mark = self._untrusted[0]
        if mark == _PROGRESS_MARK and len(self._untrusted) >= _PROGRESS.size:
            self._hear()
            return True
        if mark != _LAYERS_MARK or len(self._untrusted) < _LAYERS.size:
            return False
        end = _LAYERS.size + _LAYERS.unpack_from(self._untrusted)[1]
        if end > self._maximum:  # none of ours announces more than it may send: what follows is not collected
            raise too_large(self._maximum, end)
        if len(self._untrusted) < end:
            return False
        with memoryview(self._untrusted) as view:
            untrusted_layers = bytes(view[_LAYERS.size : end])
        del self._untrusted[:end]
        self._check(untrusted_layers)
        return True

    def _hear(self) -> None:
        """What the child tells of how far it has come. LimitExceeded where it talks without end."""
        _, done, total = _PROGRESS.unpack_from(self._untrusted)
        del self._untrusted[: _PROGRESS.size]
        self._size -= _PROGRESS.size
        self._talked += _PROGRESS.size
        if self._talked > TALK_BYTES:
            raise LimitExceeded("progress_bytes", TALK_BYTES, msg("The worker did nothing but tell how far it was."))
        if total:
            self._share = min(done / total, 1.0)

    def _check(self, untrusted_layers: bytes) -> None:
        self._weight = wire.weighed(untrusted_layers, self._weight)
        try:
            self._layers.append(self._checker.checked(untrusted_layers))
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise wire.not_understood(str(error)[:200]) from None
