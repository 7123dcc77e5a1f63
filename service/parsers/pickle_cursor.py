"""Sequential, bounded reading of a pickle stream from a source; knows frames and lines, no opcode's meaning."""

from __future__ import annotations

from service.errors import LimitExceeded, MalformedFile, TruncatedFile
from service.language import msg
from service.source import Source

_CHUNK = 1 << 16
_UNPACKED_OPCODES = 500_000


class Cursor:
    """A moving window over a source. `position` is the offset of the next byte, `opcode_at` that of the last opcode.

    A frame (protocol 4) narrows the visible window, so an argument that crosses the frame's end, which
    different unpicklers read differently, costs nothing to notice and is recorded in `straddled`; `overrun` is where
    a frame announced more than follows, which some unpicklers read all the same.
    """

    __slots__ = (
        "_base",
        "_buffer",
        "_frame_end",
        "_line_limit",
        "_pos",
        "_source",
        "_visible",
        "opcode_at",
        "overrun",
        "straddled",
    )

    def __init__(self, source: Source, offset: int, line_limit: int) -> None:
        self._source = source
        self._line_limit = line_limit
        self._base = offset
        self._buffer = b""
        self._pos = 0
        self._visible = 0
        self._frame_end: int | None = None
        self.opcode_at = offset
        self.straddled: int | None = None
        self.overrun: int | None = None

    @property
    def position(self) -> int:
        """Absolute offset of the next byte."""
        return self._base + self._pos

    def allowed(self, most: int) -> int:
        """How many of `most` opcodes may be run: fewer of a pickle that was unpacked from a smaller upload."""
        given = self._source.meter.given
        return (
            most if given is None or self._source.size <= given else min(most, max(_UNPACKED_OPCODES, given * 3 // 2))
        )

    @property
    def remaining(self) -> int:
        """Bytes from here to the end of the source."""
        return self._source.size - self.position

    def opcode(self) -> int:
        """The next byte, where an opcode begins: a frame may properly end before it."""
        pos = self._pos
        if pos >= self._visible:
            if self._frame_end is not None and self.position >= self._frame_end:
                self._frame_end = None
            self._refill(1)
            pos = self._pos
        self.opcode_at = self._base + pos
        self._pos = pos + 1
        return self._buffer[pos]

    def byte(self) -> int:
        """The next byte, within an opcode's argument."""
        pos = self._pos
        if pos >= self._visible:
            return self.take(1)[0]
        self._pos = pos + 1
        return self._buffer[pos]

    def take(self, length: int) -> bytes:
        """Exactly `length` bytes; TruncatedFile if the source ends before."""
        end = self._pos + length
        if end > self._visible:
            self._refill(length)
            end = self._pos + length
        data = self._buffer[self._pos : end]
        self._pos = end
        return data

    def number(self, length: int) -> int:
        """An unsigned little-endian integer of `length` bytes."""
        pos = self._pos
        end = pos + length
        if end > self._visible:
            return int.from_bytes(self.take(length), "little")
        self._pos = end
        return int.from_bytes(self._buffer[pos:end], "little")

    def line(self) -> bytes:
        """Bytes up to a newline, which is swallowed."""
        found = self._buffer.find(b"\n", self._pos, self._visible)
        have = self._visible - self._pos
        while found < 0:
            if have > self._line_limit:
                raise LimitExceeded(
                    "pickle_argument_bytes",
                    self._line_limit,
                    msg("A line of the pickle never ends."),
                    offset=self.position,
                )
            if have >= self.remaining:
                raise TruncatedFile(msg("The pickle ends within a line."), offset=self.position)
            self._refill(min(self.remaining, max(2 * have, _CHUNK)))
            found = self._buffer.find(b"\n", self._pos + have, self._visible)
            have = self._visible - self._pos
        data = self._buffer[self._pos : found]
        self._pos = found + 1
        return data

    def skip(self, length: int) -> int:
        """Pass over `length` bytes without reading them; their offset."""
        start = self.position
        if length > self.remaining:
            raise TruncatedFile(
                msg(
                    "The pickle announces {length} bytes here, but only {remaining} follow.",
                    length=length,
                    remaining=self.remaining,
                ),
                offset=start,
            )
        if self._frame_end is not None and start + length > self._frame_end:
            self._leave_frame()
        self._pos += length
        if self._pos > len(self._buffer):
            self._base, self._buffer, self._pos, self._visible = start + length, b"", 0, 0
        return start

    def begin_frame(self, length: int) -> None:
        """Enter a frame of `length` bytes; one beyond the end is noted, and what is there of it is gone on with."""
        if length > self.remaining:
            self.overrun = self.position
            self._frame_end = None
            self._narrow()
            return
        if self._frame_end is not None and self.position != self._frame_end:
            self.straddled = self.position
        self._frame_end = self.position + length
        self._narrow()

    def _refill(self, length: int) -> None:
        """Make `length` bytes visible from here."""
        if self._frame_end is not None and self.position + length > self._frame_end:
            self._leave_frame()
        if self._pos + length > len(self._buffer):
            self._load(length)
        self._narrow()

    def _load(self, length: int) -> None:
        rest = self._buffer[self._pos :]
        self._base, self._pos, self._buffer = self.position, 0, rest
        wanted = max(length - len(rest), min(_CHUNK, self.remaining - len(rest)))
        if len(rest) + wanted > self.remaining:
            raise TruncatedFile(
                msg(
                    "The pickle needs {length} more bytes here, but only {remaining} follow.",
                    length=length,
                    remaining=self.remaining,
                ),
                offset=self.position,
            )
        self._buffer = rest + self._source.read_at(self._base + len(rest), wanted)

    def _leave_frame(self) -> None:
        self.straddled = self.position
        self._frame_end = None

    def _narrow(self) -> None:
        self._visible = len(self._buffer)
        if self._frame_end is not None:
            self._visible = min(self._visible, self._frame_end - self._base)


def check_length(length: int, limit: int, offset: int) -> None:
    """MalformedFile for a negative length, LimitExceeded for one above `limit`."""
    if length < 0:
        raise MalformedFile(msg("The pickle announces a negative length."), offset=offset)
    if length > limit:
        raise LimitExceeded(
            "pickle_argument_bytes",
            limit,
            msg("One pickle argument has {length} bytes.", length=length),
            value=length,
            offset=offset,
        )
