"""Bounded, counted, read-only views of the upload; every byte a reader sees passes here. Knows no format.

A `Source` answers `read_at(offset, length)` exactly or raises `TruncatedFile`. Reads are counted in a `Meter`
that all views of one upload share, so that `provenance.bytes_read` is true and a limit cannot be forgotten.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Protocol

from service.config import Limits
from service.errors import LimitExceeded, TruncatedFile
from service.language import msg


class Meter:
    """Counts what is read and inflated on behalf of one analysis, and holds it to the limits.

    `most` is the number of bytes that may be read, and of those of values that may be looked at; without it the limit
    for reading structure, `read_bytes`, holds. `given` is the size of the upload, once it is known: what unpacks to
    more is held to less.
    """

    def __init__(self, limits: Limits, most: int | None = None) -> None:
        self.limits = limits
        self.most = limits.read_bytes if most is None else most
        self.read = 0
        self.inflated = 0
        self.values = 0
        self.given: int | None = None

    def add_read(self, length: int) -> None:
        """Count `length` bytes read from the upload."""
        self.read += length
        if self.read > self.most:
            raise LimitExceeded(
                "read_bytes",
                self.most,
                msg("Describing this file would take reading more of it than one analysis may."),
            )

    def add_values(self, length: int) -> None:
        """Count `length` bytes of values looked at: more than is read where few stored values stand for many.

        What would be too much is not counted, so that smaller weights after it are still looked at.
        """
        if self.values + length > self.most:
            raise LimitExceeded(
                "values_bytes", self.most, msg("These are more bytes of values than one analysis may look at.")
            )
        self.values += length

    def add_inflated(self, length: int) -> None:
        """Count `length` bytes produced by decompression."""
        self.inflated += length
        if self.inflated > self.limits.inflated_bytes:
            raise LimitExceeded(
                "inflated_bytes",
                self.limits.inflated_bytes,
                msg("The compressed members unpack to more than one analysis may inflate."),
            )


class Source(Protocol):
    """Random access to `size` bytes that do not change."""

    @property
    def size(self) -> int:
        """Length in bytes."""
        ...

    @property
    def meter(self) -> Meter:
        """Where this view counts its reads."""
        ...

    def read_at(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`; TruncatedFile if they are not all there."""
        ...


class FileSource:
    """An upload through its open descriptor; the path is never used."""

    def __init__(self, descriptor: int, meter: Meter) -> None:
        self._descriptor = descriptor
        self.size = os.lseek(descriptor, 0, os.SEEK_END)  # a sealed child may not ask for more; reads name their place
        self.meter = meter

    def read_at(self, offset: int, length: int) -> bytes:
        """See `Source.read_at`."""
        check_range(self.size, offset, length)
        self.meter.add_read(length)
        data = os.pread(self._descriptor, length, offset)
        while len(data) < length:  # pread may return less than asked, and never more than 2 GiB
            more = os.pread(self._descriptor, length - len(data), offset + len(data))
            if not more:
                raise TruncatedFile(msg("The file became shorter while it was read."), offset=offset + len(data))
            data += more
        return data


class BytesSource:
    """Bytes already in memory (a small inflated member, a test)."""

    def __init__(self, data: bytes, meter: Meter) -> None:
        self._data = data
        self.size = len(data)
        self.meter = meter

    def read_at(self, offset: int, length: int) -> bytes:
        """See `Source.read_at`. Not counted: whoever made the bytes has counted them."""
        check_range(self.size, offset, length)
        return self._data[offset : offset + length]


class HeadSource:
    """Another source whose first bytes are read once, however many readers ask what they are."""

    def __init__(self, inner: Source, length: int) -> None:
        self._inner = inner
        self._length = min(length, inner.size)
        self._head: bytes | None = None
        self.size = inner.size
        self.meter = inner.meter

    def read_at(self, offset: int, length: int) -> bytes:
        """See `Source.read_at`."""
        if offset < 0 or length < 0 or offset + length > self._length:
            return self._inner.read_at(offset, length)
        if self._head is None:
            self._head = self._inner.read_at(0, self._length)
        return self._head[offset : offset + length]


class WindowSource:
    """`length` bytes of another source, from `start`."""

    def __init__(self, inner: Source, start: int, length: int) -> None:
        check_range(inner.size, start, length)
        self._inner = inner
        self.start = start
        self.size = length
        self.meter = inner.meter

    def read_at(self, offset: int, length: int) -> bytes:
        """See `Source.read_at`; error offsets are relative to the window."""
        check_range(self.size, offset, length)
        return self._inner.read_at(self.start + offset, length)


def check_range(size: int, offset: int, length: int) -> None:
    """TruncatedFile unless `offset`..`offset + length` lies within `size` bytes."""
    if offset < 0 or length < 0 or offset + length > size:
        raise TruncatedFile(
            msg(
                "Bytes {offset} to {n} are needed, but there are only {size}.",
                offset=offset,
                n=offset + length,
                size=size,
            ),
            offset=offset,
        )


def head(source: Source, length: int) -> bytes:
    """The first `length` bytes, or all of a shorter source."""
    return source.read_at(0, min(length, source.size))


def chunks(source: Source, size: int = 1 << 16) -> Iterator[bytes]:
    """The whole source in pieces of at most `size` bytes."""
    for offset in range(0, source.size, size):
        yield source.read_at(offset, min(size, source.size - offset))
