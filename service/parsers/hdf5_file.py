"""A source as the file object HDF5 reads through: paged, cached, and honest about why a read failed.

Knows page sizes and the order of HDF5's small reads; knows nothing of groups, datasets or models.
"""

from __future__ import annotations

import io

from service.errors import InputError
from service.source import Source

PAGE = 1 << 14
"""HDF5 reads metadata in pieces of 8 to 2,000 bytes; a page holds what belongs together without touching weights."""
CACHED_PAGES = 512
"""8 MiB of pages are kept, then all are let go: metadata is read in one pass and seldom again."""


class PagedFile(io.RawIOBase):
    """Read-only binary file over `source`, from `start`. `failure` keeps the error that a callback met."""

    def __init__(self, source: Source, start: int = 0) -> None:
        super().__init__()
        self._source = source
        self._start = start
        self._size = source.size - start
        self._position = 0
        self._pages: dict[int, bytes] = {}
        self.failure: InputError | None = None

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position; HDF5 asks for the end to learn the size."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """Current position."""
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill `buffer` as far as the file reaches; an InputError is kept in `failure` and raised again."""
        length = max(0, min(len(buffer), self._size - self._position))
        try:
            buffer[:length] = self._bytes(self._position, length)
        except InputError as error:
            self.failure = error
            raise
        self._position += length
        return length

    def _bytes(self, position: int, length: int) -> bytes:
        first, last = position // PAGE, (position + max(length, 1) - 1) // PAGE
        start = position - first * PAGE
        if first == last:
            return self._page(first)[start : start + length]
        if last - first > 3:  # a large block is read as it is and not kept
            return self._source.read_at(self._start + position, length)
        whole = b"".join(self._page(index) for index in range(first, last + 1))
        return whole[start : start + length]

    def _page(self, index: int) -> bytes:
        page = self._pages.get(index)
        if page is None:
            if len(self._pages) >= CACHED_PAGES:
                self._pages.clear()
            at = index * PAGE
            page = self._pages[index] = self._source.read_at(self._start + at, min(PAGE, self._size - at))
        return page
