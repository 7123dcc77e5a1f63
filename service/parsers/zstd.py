"""A Zstandard file's content as a `Source`; knows frames through the zstandard library (RFC 8878), not what is inside.

The library's decompressor cannot be copied, so reading backwards beyond what is kept starts anew; every byte that it
makes is counted, and the limit on those ends whoever jumps about too much.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import IO, cast

import zstandard

from service.errors import LimitExceeded, MalformedFile
from service.language import msg
from service.source import Source, check_range, head

MAGIC = b"\x28\xb5\x2f\xfd"
BLOCK = 1 << 20
KEPT_BLOCKS = 96
INPUT_BYTES = 1 << 16
MAX_WINDOW = 1 << 27
"""Largest window, in bytes: what `zstd` itself unpacks without being asked."""


def is_zstd(source: Source) -> bool:
    """Whether the content starts with a Zstandard frame."""
    return head(source, len(MAGIC)) == MAGIC


class ZstdSource:
    """What `compressed` unpacks to. Made by going through it once: only then its size is known.

    A stream that is cut off ends where it is cut: whoever reads its content finds out.

    Raises (here and in `read_at`):
        MalformedFile: The stream is broken.
        LimitExceeded: It unpacks to more than one analysis may inflate, or by more than the allowed ratio.
    """

    def __init__(self, compressed: Source) -> None:
        self.meter = compressed.meter
        self._compressed = compressed
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._restart()
        self.size = self._measured()

    def read_at(self, offset: int, length: int) -> bytes:
        """See `Source.read_at`."""
        check_range(self.size, offset, length)
        if not length:
            return b""
        first, last = offset // BLOCK, (offset + length - 1) // BLOCK
        data = b"".join(self._block(index) for index in range(first, last + 1))
        return data[offset - first * BLOCK :][:length]

    def _restart(self) -> None:
        self._input = _Input(self._compressed)
        decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
        self._stream = decompressor.stream_reader(
            cast("IO[bytes]", self._input), read_size=INPUT_BYTES, read_across_frames=True
        )
        self._next = 0

    def _measured(self) -> int:
        size = 0
        most = max(BLOCK, self.meter.limits.expansion * max(1, self._compressed.size))
        while data := self._next_block():
            size += len(data)
            if size > most:
                raise LimitExceeded(
                    "expansion",
                    self.meter.limits.expansion,
                    msg(
                        "The compressed file unpacks to more than {times} times its size.",
                        times=self.meter.limits.expansion,
                    ),
                )
        return size

    def _block(self, index: int) -> bytes:
        if index in self._kept:
            self._kept.move_to_end(index)
            return self._kept[index]
        if index < self._next:
            self._restart()
        data = b""
        while self._next <= index:
            data = self._next_block()
        return data

    def _next_block(self) -> bytes:
        """The next BLOCK bytes, fewer at the end, none after it."""
        data = b""
        try:
            while len(data) < BLOCK and (piece := self._stream.read(BLOCK - len(data))):
                data += piece
        except zstandard.ZstdError as error:
            raise MalformedFile(
                msg("The compressed data is broken ({error}).", error=str(error)), offset=self._input.position
            ) from None
        self.meter.add_inflated(len(data))
        self._kept[self._next] = data
        self._next += 1
        if len(self._kept) > KEPT_BLOCKS:
            self._kept.popitem(last=False)
        return data


class _Input:
    """What the library reads from: the compressed bytes in order."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.position = 0

    def read(self, size: int) -> bytes:
        """At most `size` bytes."""
        data = self._source.read_at(self.position, min(size, self._source.size - self.position))
        self.position += len(data)
        return data
