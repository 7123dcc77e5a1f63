"""A gzip file's content as a `Source`; knows RFC 1952, not what is inside.

Read by checkpoints, so that nothing is held in memory; one member only, which is what every archiver writes.
"""

from __future__ import annotations

from service.errors import InconsistentArchive, MalformedFile, TruncatedFile, UnsupportedFeature
from service.language import msg
from service.parsers.inflate import BLOCK, INPUT_BYTES, InflatedSource
from service.source import Source, WindowSource, head

MAGIC = b"\x1f\x8b"
_DEFLATE = 8
_HEADER, _TRAILER = 10, 8
_EXTRA, _NAME, _COMMENT, _CHECKSUM, _RESERVED = 4, 8, 16, 2, 0xE0
_MOST_HEADER = 1 << 16
_OVERHEAD = 64
"""Bytes that DEFLATE adds to what cannot be packed, beside a thousandth."""
_RATIO = 1032
"""DEFLATE cannot pack more than this many bytes into one."""
_SEVERAL = msg("The compressed file holds more than its end states: several files in a row, or something else.")


def is_gzip(source: Source) -> bool:
    """Whether the content starts as gzip's does."""
    return head(source, len(MAGIC)) == MAGIC


def open_gzip(source: Source) -> Source:
    """The content.

    Raises:
        TruncatedFile: The header or the trailer is missing.
        MalformedFile: The header is not RFC 1952's, or the size in the trailer cannot be.
        UnsupportedFeature: A method other than deflate.
        LimitExceeded: It unpacks to more than one analysis may inflate.
    """
    start = _data_start(source)
    if source.size < start + _TRAILER:
        raise TruncatedFile(msg("The compressed file ends before its trailer."), offset=source.size)
    size = int.from_bytes(source.read_at(source.size - 4, 4), "little")
    compressed = source.size - start - _TRAILER
    if size > _RATIO * (compressed + 1):
        raise MalformedFile(
            msg("The compressed file's end is missing or damaged: it states {size} bytes of content.", size=size),
            offset=source.size - 4,
        )
    if compressed > size + size // 1000 + _OVERHEAD:
        raise InconsistentArchive(_SEVERAL, offset=source.size - 4)
    return _Member(WindowSource(source, start, compressed), size)


class _Member(InflatedSource):
    """The content, which ends where the file does: that is looked at when its last bytes are read."""

    def _next_block(self) -> bytes:
        data = super()._next_block()
        if self._state.block * BLOCK >= self.size:
            self._check_end()
        return data

    def _check_end(self) -> None:
        inflater, position = self._state.inflater.copy(), self._state.position
        while not inflater.eof:
            chunk = self._compressed.read_at(position, min(INPUT_BYTES, self._compressed.size - position))
            if not chunk:
                return
            if self._inflate(inflater, chunk, 1, position):
                raise InconsistentArchive(_SEVERAL, offset=position)
            position += len(chunk) - len(inflater.unconsumed_tail)
        if inflater.unused_data or position < self._compressed.size:
            raise InconsistentArchive(_SEVERAL, offset=position)


def _data_start(source: Source) -> int:
    start = head(source, _MOST_HEADER)
    if len(start) < _HEADER:
        raise TruncatedFile(msg("The compressed file ends within its header."), offset=len(start))
    method, flags = start[2], start[3]
    if method != _DEFLATE or flags & _RESERVED:
        raise UnsupportedFeature(msg("The file is compressed by method {method}; deflate is read.", method=method))
    at = _HEADER
    if flags & _EXTRA:
        at += 2 + int.from_bytes(start[at : at + 2], "little")
    for flag in (_NAME, _COMMENT):
        if flags & flag:
            at = start.find(b"\0", at) + 1 or len(start) + 1
    at += 2 if flags & _CHECKSUM else 0
    if at > len(start):
        raise MalformedFile(msg("The compressed file's header does not end."), offset=len(start))
    return at
