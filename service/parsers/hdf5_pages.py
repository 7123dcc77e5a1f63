"""An HDF5 file's bytes by address: paged, cached, checked, and the superblock that says where everything begins.

Knows pages and the superblock (HDF5 File Format Specification 3.0, section II); knows nothing of groups or datasets.
"""

from __future__ import annotations

import struct

from service.errors import MalformedFile, TruncatedFile, UnsupportedFeature
from service.language import Message, msg
from service.source import Source

SIGNATURE = b"\x89HDF\r\n\x1a\n"
SEARCHED_USER_BLOCKS = (0, 512, 1024, 2048, 4096)
"""Where the signature may stand: at 0 or at a power of two from 512 on."""
UNDEFINED = 0xFFFFFFFFFFFFFFFF
"""The address of what was never stored."""

PAGE = 1 << 14
"""Metadata is read in pieces of 8 to 2,000 bytes; a page holds what belongs together without touching weights."""
CACHED_PAGES = 512
"""8 MiB of pages are kept, then all are let go: metadata is read in one pass and seldom again."""

_SIZES_AT = {0: 13, 1: 13, 2: 9, 3: 9}
"""Where each superblock version says how long its addresses and lengths are."""
_OLD = struct.Struct("<4Q2Q")
_NEW = struct.Struct("<4Q")


class Pages:
    """Read-only bytes of the HDF5 file inside `source`; addresses count from its signature."""

    def __init__(self, source: Source, start: int) -> None:
        self._source = source
        self.start = start
        self.size = source.size - start
        self._pages: dict[int, bytes] = {}

    def read(self, address: int, length: int) -> bytes:
        """Exactly `length` bytes; MalformedFile if an address in the file leads outside of it."""
        if address < 0 or length < 0 or address + length > self.size:
            raise MalformedFile(
                msg(
                    "The HDF5 file refers to bytes {address} to {n}, and has {size}.",
                    address=address,
                    n=address + length,
                    size=self.size,
                ),
                offset=min(max(address, 0), self.size) + self.start,
            )
        first, last = address // PAGE, (address + length) // PAGE
        start = address - first * PAGE
        if first == last:
            return self._page(first)[start : start + length]
        if last - first > 3:  # a large block is read as it is and not kept
            return self._source.read_at(self.start + address, length)
        return b"".join(map(self._page, range(first, last + 1)))[start : start + length]

    def _page(self, index: int) -> bytes:
        page = self._pages.get(index)
        if page is None:
            if len(self._pages) >= CACHED_PAGES:
                self._pages.clear()
            at = index * PAGE
            page = self._pages[index] = self._source.read_at(self.start + at, min(PAGE, self.size - at))
        return page

    def broken(self, what: Message, address: int) -> MalformedFile:
        """The error for a broken structure at `address`."""
        return MalformedFile(msg("{what} in the HDF5 file is broken.", what=what), offset=address + self.start)


def find_hdf5(source: Source) -> int | None:
    """Offset of the HDF5 signature (a user block may stand before it), or None."""
    for start in SEARCHED_USER_BLOCKS:
        if start + len(SIGNATURE) <= source.size and source.read_at(start, len(SIGNATURE)) == SIGNATURE:
            return start
    return None


def open_pages(source: Source) -> tuple[Pages, int]:
    """The file's pages and the address of its root group.

    Raises:
        MalformedFile: No or a broken superblock. TruncatedFile: shorter than its superblock says.
        UnsupportedFeature: Addresses that are not 8 bytes long.
    """
    start = find_hdf5(source)
    if start is None:
        raise MalformedFile(msg("There is no HDF5 signature."), offset=0)
    pages = Pages(source, start)
    head = pages.read(0, min(112, pages.size))
    version = head[8] if len(head) > 8 else 255
    if version not in _SIZES_AT or len(head) < 48:
        raise pages.broken(msg("The superblock"), 8)
    if head[_SIZES_AT[version] : _SIZES_AT[version] + 2] != b"\x08\x08":
        raise UnsupportedFeature(msg("HDF5 files with addresses that are not 8 bytes long are not read."), offset=start)
    end, root = _old_root(pages, head, version) if version < 2 else _new_root(head)
    if end != UNDEFINED and end > pages.size + start:
        raise TruncatedFile(
            msg("The HDF5 file should have {end} bytes and has {size}.", end=end, size=source.size), offset=source.size
        )
    return pages, root


def _old_root(pages: Pages, head: bytes, version: int) -> tuple[int, int]:
    at = 24 if version == 0 else 28
    if len(head) < at + _OLD.size:
        raise pages.broken(msg("The superblock"), 8)
    _, _, end, _, _, root = _OLD.unpack_from(head, at)
    return end, root


def _new_root(head: bytes) -> tuple[int, int]:
    _, _, end, root = _NEW.unpack_from(head, 12)
    return end, root
