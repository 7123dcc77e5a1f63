"""Arrays that lie in several pieces of a file, as one; knows how Flax describes a piece.

Flax writes an array of more than 2^30 bytes as a map of pieces of it, each an array with a description of its own. They
are found by these descriptions anew, and are one only if they hold just as many bytes of the type as the array has.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from service.catalog.flax_arrays import ARRAY, array_from
from service.errors import InputError
from service.language import msg
from service.parsers.msgpack import Cursor, Extension
from service.source import Source, WindowSource, check_range, head
from service.values.base import ValuesUnavailable

_MOST = 10_000


_FIRST = frozenset({*range(0x81, 0x90), 0xDE, 0xDF})
"""Bytes that begin a map of MessagePack which is not empty."""


def is_flax(source: Source) -> bool:
    """Whether a file begins as Flax' do: only there is a place longer than its array."""
    return head(source, 1)[:1] != b"" and head(source, 1)[0] in _FIRST


class JoinedSource:
    """Pieces of another source, one behind the other."""

    def __init__(self, source: Source, places: Sequence[tuple[int, int]]) -> None:
        """`places`: offset and length of each piece."""
        self._pieces = [WindowSource(source, *place) for place in places]
        self._starts = [0]
        for piece in self._pieces:
            self._starts.append(self._starts[-1] + piece.size)
        self.size = self._starts[-1]
        self.meter = source.meter

    def read_at(self, offset: int, length: int) -> bytes:
        """See `Source.read_at`."""
        check_range(self.size, offset, length)
        found, at, end = [], offset, offset + length
        while at < end:
            number = bisect_right(self._starts, at) - 1
            last = min(end, self._starts[number + 1])
            found.append(self._pieces[number].read_at(at - self._starts[number], last - at))
            at = last
        return found[0] if len(found) == 1 else b"".join(found)


def joined(source: Source, offset: int, length: int, size: int, dtype: str) -> JoinedSource:
    """The `size` bytes of an array of type `dtype` whose pieces are in `length` bytes from `offset`.

    Raises:
        ValuesUnavailable: These are no pieces, not of that type, or not of that many bytes.
    """
    places: list[tuple[int, int]] = []
    check_range(source.size, offset, length)
    cursor = Cursor(source, offset, offset + length)
    try:
        while True:
            piece = array_from(cursor, (), source.meter.limits)
            places.append((piece.location.offset or 0, piece.bytes) if piece.location is not None else (0, 0))
            if piece.dtype != dtype or len(places) > _MOST:
                raise _unlike()
            if cursor.at >= offset + length:
                break
            cursor.value()  # the number of the next piece
            following = cursor.value()
            if not isinstance(following, Extension) or following.code != ARRAY:
                raise _unlike()
            cursor.at = following.offset
    except InputError as error:
        raise _unlike() from error
    if sum(held for _, held in places) != size or cursor.at != offset + length:
        raise _unlike()
    return JoinedSource(source, [place for place in places if place[1]])


def _unlike() -> ValuesUnavailable:
    return ValuesUnavailable(msg("The pieces in which it should lie are not those of an array of its size and type."))
