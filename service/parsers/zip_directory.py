"""The end record and central directory of a zip archive (APPNOTE 6.3, sections 4.3.12 to 4.3.16); reads no member.

What it answers are the directory's claims; `service.parsers.zip` holds them against the members themselves.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Iterator

from service.errors import (
    EncryptedFile,
    InconsistentArchive,
    LimitExceeded,
    MalformedFile,
    TruncatedFile,
    UnsupportedFeature,
)
from service.language import msg
from service.plain import text
from service.source import Source
from service.tree import Frozen

CENTRAL_SIGNATURE = b"PK\x01\x02"
END_SIGNATURE = b"PK\x05\x06"
_END64_SIGNATURE = b"PK\x06\x06"
_LOCATOR_SIGNATURE = b"PK\x06\x07"

_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")

_END_REACH = _END.size + 0xFFFF
_MAX_DIRECTORY_BYTES = 64 << 20
FLAG_ENCRYPTED = 0x2041
"""Bits 0 (traditional), 6 (strong) and 13 (directory) of the general purpose flags."""
_FLAG_UTF8 = 0x800
_UNICODE_PATH = 0x7075
"""An extra field that some programs take an entry's name from."""
codecs.lookup("cp437")  # Python imports encodings on first need, and behind the wall that is too late


class Entry(Frozen, frozen=True, kw_only=True):
    """A central directory record, before its local header has been compared."""

    name: str
    raw_name: bytes
    flags: int
    method: int
    crc: int
    compressed: int
    size: int
    header: int
    mode: int


def locate_directory(source: Source) -> tuple[int, int, int]:
    """Start, size and number of entries of the central directory.

    Raises:
        TruncatedFile: No end record reaches the end of the file.
        InconsistentArchive: The records contradict one another.
        LimitExceeded: More entries than allowed.
    """
    reach = min(source.size, _END_REACH)
    tail = source.read_at(source.size - reach, reach)
    at = _find_end(tail, source.size)
    end = source.size - reach + at
    _, disk, start_disk, here, count, size, start, _ = _END.unpack_from(tail, at)
    boundary = end
    if end >= _LOCATOR.size and source.read_at(end - _LOCATOR.size, 4) == _LOCATOR_SIGNATURE:
        here, count, size, start, disk, start_disk, boundary = _read_end64(source, end - _LOCATOR.size)
    elif 0xFFFF in (here, count) or 0xFFFFFFFF in (size, start):
        raise MalformedFile(msg("The archive's end record refers to a zip64 record that is not there."), offset=end)
    if disk or start_disk or here != count:
        raise UnsupportedFeature(msg("The archive is split over several disks."), offset=end)
    if start + size != boundary:
        raise InconsistentArchive(
            msg(
                "The directory is not where the end record says: something was put before, inside or after the archive."
            ),
            offset=end,
        )
    _check_counts(source, count, size)
    return start, size, count


def _find_end(tail: bytes, size: int) -> int:
    """Where the end record starts in `tail`: the last one whose comment reaches the end of the file of `size` bytes."""
    at = tail.rfind(END_SIGNATURE)
    while at >= 0:
        if at + _END.size <= len(tail) and at + _END.size + _END.unpack_from(tail, at)[7] == len(tail):
            return at
        at = tail.rfind(END_SIGNATURE, 0, at)
    raise TruncatedFile(
        msg("The zip archive has no end record: its last part is missing, or something follows it."), offset=size
    )


def _read_end64(source: Source, locator: int) -> tuple[int, int, int, int, int, int, int]:
    _, end_disk, at, _ = _LOCATOR.unpack(source.read_at(locator, _LOCATOR.size))
    if at + _END64.size > locator:
        raise MalformedFile(msg("The zip64 end record lies outside the archive."), offset=locator)
    signature, length, _, _, disk, start_disk, here, count, size, start = _END64.unpack(source.read_at(at, _END64.size))
    if signature != _END64_SIGNATURE or at + length + 12 != locator:
        raise InconsistentArchive(msg("The zip64 end record is not where its locator says."), offset=locator)
    return here, count, size, start, disk or end_disk, start_disk, at


def _check_counts(source: Source, count: int, size: int) -> None:
    allowed = source.meter.limits.archive_entries
    if count > allowed:
        raise LimitExceeded(
            "archive_entries",
            allowed,
            msg("The archive has {count} entries; {allowed} are read at most.", count=count, allowed=allowed),
            value=count,
        )
    if size > _MAX_DIRECTORY_BYTES or size < count * _CENTRAL.size:
        raise MalformedFile(
            msg("The archive's directory cannot hold {count} entries in {size} bytes.", count=count, size=size)
        )


def entries(directory: bytes, count: int, start: int) -> Iterator[Entry]:
    """The `count` records of a directory that starts at `start` in the archive."""
    at = 0
    for _ in range(count):
        if directory[at : at + 4] != CENTRAL_SIGNATURE or at + _CENTRAL.size > len(directory):
            raise MalformedFile(msg("The archive's directory is broken."), offset=start + at)
        entry, at = _entry(directory, at, start)
        yield entry
    if at != len(directory):
        raise InconsistentArchive(
            msg("The archive's directory holds more than its end record counts."), offset=start + at
        )


def _entry(directory: bytes, at: int, start: int) -> tuple[Entry, int]:
    fields = _CENTRAL.unpack_from(directory, at)
    (
        _,
        _,
        _,
        flags,
        method,
        _,
        _,
        crc,
        compressed,
        size,
        name_length,
        extra_length,
        comment_length,
        disk,
        _,
        attributes,
        header,
    ) = fields
    name_at = at + _CENTRAL.size
    extra_at = name_at + name_length
    following = extra_at + extra_length + comment_length
    if following > len(directory):
        raise MalformedFile(msg("A directory entry reaches past the directory's end."), offset=start + at)
    raw_name = directory[name_at:extra_at]
    size, compressed, header, disk = _widen(
        directory[extra_at : extra_at + extra_length], (size, compressed, header, disk), start + at
    )
    name = _decode_name(raw_name, flags)
    other = extra_field(directory[extra_at : extra_at + extra_length], _UNICODE_PATH)
    if other is not None and raw_name.isascii() and other[5:] != raw_name:
        what = msg("An entry has two names, of which programs take one or the other.")
        raise InconsistentArchive(what, member=text(name), offset=start + at)
    if flags & FLAG_ENCRYPTED:
        raise EncryptedFile(msg("The archive is encrypted."), member=text(name), offset=start + at)
    if disk:
        raise UnsupportedFeature(msg("The archive is split over several disks."), member=text(name))
    entry = Entry(
        name=name,
        raw_name=raw_name,
        flags=flags,
        method=method,
        crc=crc,
        compressed=compressed,
        size=size,
        header=header,
        mode=attributes >> 16,
    )
    return entry, following


def _widen(extra: bytes, fields: tuple[int, int, int, int], offset: int) -> tuple[int, int, int, int]:
    """Size, compressed size, header offset and disk with their zip64 values (APPNOTE 4.5.3) where they overflowed."""
    size, compressed, header, disk = fields
    wide = extra_field(extra, 1)
    if wide is None:
        return fields
    values = iter(range(0, len(wide), 8))

    def take(narrow: int, full: int) -> int:
        if narrow != full:
            return narrow
        at = next(values, None)
        if at is None or at + 8 > len(wide):
            raise MalformedFile(msg("An entry's zip64 sizes are missing."), offset=offset)
        return int(struct.unpack_from("<Q", wide, at)[0])

    size, compressed, header = take(size, 0xFFFFFFFF), take(compressed, 0xFFFFFFFF), take(header, 0xFFFFFFFF)
    return size, compressed, header, 0 if disk == 0xFFFF else disk


def extra_field(extra: bytes, wanted: int) -> bytes | None:
    """The content of the first extra field of this kind (APPNOTE 4.5), None if there is none."""
    at = 0
    while at + 4 <= len(extra):
        tag, length = struct.unpack_from("<2H", extra, at)
        if tag == wanted:
            return extra[at + 4 : at + 4 + length]
        at += 4 + length
    return None


def _decode_name(raw: bytes, flags: int) -> str:
    encoding = "utf-8" if flags & _FLAG_UTF8 else "cp437"
    return raw.decode(encoding, errors="backslashreplace")
