"""Snappy's raw block format, decompressed within a limit; knows nothing of what was compressed.

Source: https://github.com/google/snappy/blob/main/format_description.txt
"""

from __future__ import annotations

from service.errors import LimitExceeded, MalformedFile, TruncatedFile
from service.language import msg

_MAX_PREAMBLE = 5


def decompress(data: bytes, limit: int) -> bytes:
    """The content of one block.

    Raises:
        LimitExceeded: It says that it is longer than `limit` bytes; nothing is decompressed then.
        MalformedFile: A copy reaches before the beginning, or the content has another length than it says.
        TruncatedFile: The block ends within an element.
    """
    size, at = _preamble(data)
    if size > limit:
        raise LimitExceeded(
            "snappy_bytes", limit, msg("A compressed block unpacks to more than it may."), value=size, offset=0
        )
    result = bytearray()
    end = len(data)
    while at < end:
        kind = data[at] & 3
        at = _literal(data, at, result) if kind == 0 else _copy(data, at, kind, result)
        if len(result) > size:
            break
    if len(result) != size:
        raise MalformedFile(
            msg("A compressed block holds {n} bytes and says {size}.", n=len(result), size=size), offset=0
        )
    return bytes(result)


def _preamble(data: bytes) -> tuple[int, int]:
    """Length of the content, and where the elements begin."""
    value = 0
    for index in range(min(_MAX_PREAMBLE, len(data))):
        value |= (data[index] & 127) << (7 * index)
        if data[index] < 128:
            return value, index + 1
    raise TruncatedFile(msg("A compressed block ends within its length."), offset=0)


def _literal(data: bytes, at: int, result: bytearray) -> int:
    length, begin = data[at] >> 2, at + 1
    if length >= 60:
        width = length - 59
        length = int.from_bytes(data[begin : begin + width], "little")
        begin += width
    end = begin + length + 1
    if end > len(data):
        raise _cut(at)
    result += data[begin:end]
    return end


def _copy(data: bytes, at: int, kind: int, result: bytearray) -> int:
    """Append bytes that came before, which may overlap those being appended."""
    width = (0, 1, 2, 4)[kind]
    if at + 1 + width > len(data):
        raise _cut(at)
    back = int.from_bytes(data[at + 1 : at + 1 + width], "little")
    if kind == 1:
        length = ((data[at] >> 2) & 7) + 4
        back |= (data[at] >> 5) << 8
    else:
        length = (data[at] >> 2) + 1
    if not 0 < back <= len(result):
        raise MalformedFile(msg("A compressed block copies from before its beginning."), offset=at)
    piece = bytes(result[-back:][:length])
    result += (piece * (length // len(piece) + 1))[:length]
    return at + 1 + width


def _cut(at: int) -> TruncatedFile:
    return TruncatedFile(msg("A compressed block ends within an element."), offset=at)
