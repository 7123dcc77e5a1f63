"""Random access to a deflated stream by checkpoints; knows DEFLATE through zlib, not what holds the stream.

HDF5 inside a recompressed `.keras` is read at scattered places. Inflating it whole would cost its size in
memory; starting anew for each read would cost its size in time. A copy of the decompressor every few MiB
(about 45 KiB each) bounds both.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from typing import NamedTuple

from service.errors import LimitExceeded, MalformedFile, TruncatedFile
from service.language import msg
from service.source import Source, check_range

BLOCK = 1 << 18
CHECKPOINT_BLOCKS = 32
CACHED_BLOCKS = 16
INPUT_BYTES = 1 << 16
RATIO_FLOOR = 1 << 20
"""Below this many inflated bytes the expansion ratio is not judged: small repetitive texts compress well."""


class _State(NamedTuple):
    """Where inflating can go on: decompressor, position in the compressed bytes, next block."""

    inflater: zlib._Decompress
    position: int
    block: int


class InflatedSource:
    """The `size` bytes that `compressed` (raw DEFLATE) unpacks to, as a `Source`."""

    def __init__(self, compressed: Source, size: int) -> None:
        self.size = size
        self.meter = compressed.meter
        self._compressed = compressed
        self._check_ratio()
        self._state = _State(zlib.decompressobj(-zlib.MAX_WBITS), 0, 0)
        self._checkpoints = [_copy(self._state)]
        self._cache: OrderedDict[int, bytes] = OrderedDict()

    def read_at(self, offset: int, length: int) -> bytes:
        """See `Source.read_at`; MalformedFile where the stream is broken."""
        check_range(self.size, offset, length)
        if not length:
            return b""
        first, last = offset // BLOCK, (offset + length - 1) // BLOCK
        data = b"".join(self._block(index) for index in range(first, last + 1))
        start = offset - first * BLOCK
        if len(data) < start + length:
            raise TruncatedFile(msg("The compressed data ends before its declared size."), offset=offset)
        return data[start : start + length]

    def _check_ratio(self) -> None:
        allowed = self.meter.limits.expansion
        if self.size > RATIO_FLOOR and self.size > allowed * max(1, self._compressed.size):
            raise LimitExceeded(
                "expansion",
                allowed,
                msg(
                    "A compressed member claims to unpack to {n} times its size.",
                    n=self.size // max(1, self._compressed.size),
                ),
                value=self.size // max(1, self._compressed.size),
            )

    def _block(self, index: int) -> bytes:
        if index in self._cache:
            self._cache.move_to_end(index)
            return self._cache[index]
        if self._state.block > index or index // CHECKPOINT_BLOCKS > self._state.block // CHECKPOINT_BLOCKS:
            nearest = self._checkpoints[min(index // CHECKPOINT_BLOCKS, len(self._checkpoints) - 1)]
            if self._state.block > index or nearest.block > self._state.block:
                self._state = _copy(nearest)
        while self._state.block <= index:
            data = self._next_block()
        return data

    def _next_block(self) -> bytes:
        inflater, position, block = self._state
        wanted = min(BLOCK, self.size - block * BLOCK)
        pieces: list[bytes] = []
        while wanted > 0 and not inflater.eof:
            chunk = self._compressed.read_at(position, min(INPUT_BYTES, self._compressed.size - position))
            piece = self._inflate(inflater, chunk, wanted, position)
            position += len(chunk) - len(inflater.unconsumed_tail)
            if not piece and not chunk:
                break
            pieces.append(piece)
            wanted -= len(piece)
        return self._keep(_State(inflater, position, block + 1), b"".join(pieces))

    def _inflate(self, inflater: zlib._Decompress, chunk: bytes, wanted: int, position: int) -> bytes:
        try:
            piece = inflater.decompress(chunk, wanted)
        except zlib.error as error:
            raise MalformedFile(
                msg("The compressed data is broken ({error}).", error=str(error)), offset=position
            ) from None
        self.meter.add_inflated(len(piece))
        return piece

    def _keep(self, state: _State, data: bytes) -> bytes:
        self._state = state
        if state.block == len(self._checkpoints) * CHECKPOINT_BLOCKS:
            self._checkpoints.append(_copy(state))
        self._cache[state.block - 1] = data
        if len(self._cache) > CACHED_BLOCKS:
            self._cache.popitem(last=False)
        return data


def _copy(state: _State) -> _State:
    return _State(state.inflater.copy(), state.position, state.block)
