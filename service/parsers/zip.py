"""A zip archive's directory and members, read without trust; knows APPNOTE 6.3, not what the members mean.

Readers of zip files disagree on broken ones (of two concatenated archives Python reads the second, PyTorch the
first), so what could be understood in two ways is refused: overlaps, doubled names, local headers that
contradict the directory, data before the first entry. Sizes are only believed once the bytes are there.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from service.errors import (
    EncryptedFile,
    InconsistentArchive,
    LimitExceeded,
    MalformedFile,
    TruncatedFile,
    UnsupportedFeature,
)
from service.parsers.inflate import InflatedSource
from service.plain import text
from service.source import Source, WindowSource
from service.tree import Danger, Frozen

LOCAL_SIGNATURE = b"PK\x03\x04"
_CENTRAL_SIGNATURE = b"PK\x01\x02"
_END_SIGNATURE = b"PK\x05\x06"
_END64_SIGNATURE = b"PK\x06\x06"
_LOCATOR_SIGNATURE = b"PK\x06\x07"

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")

_END_REACH = _END.size + 0xFFFF
_MAX_DIRECTORY_BYTES = 64 << 20
_FLAG_ENCRYPTED = 0x2041
"""Bits 0 (traditional), 6 (strong) and 13 (directory) of the general purpose flags."""
_FLAG_DESCRIPTOR = 0x8
_FLAG_UTF8 = 0x800
_STORED, _DEFLATED = 0, 8
_UNIX_SYMLINK, _UNIX_TYPE_MASK = 0o120000, 0o170000


class Member(Frozen, frozen=True, kw_only=True):
    """One entry. `offset` is where its data starts in the archive; sizes in bytes."""

    name: str
    header: int
    offset: int
    compressed: int
    size: int
    method: int
    crc: int


class _Entry(Frozen, frozen=True, kw_only=True):
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


class ZipArchive:
    """A checked archive. `anomalies` lists what is odd but not ambiguous, growing as members are read."""

    def __init__(self, source: Source, members: Mapping[str, Member], anomalies: list[Danger]) -> None:
        self.source = source
        self.members: Mapping[str, Member] = MappingProxyType(dict(members))
        self.names = tuple(members)
        self._anomalies = anomalies

    def __contains__(self, name: object) -> bool:
        return name in self.members

    @property
    def anomalies(self) -> tuple[Danger, ...]:
        """Odd things seen so far: path-like names, links, gaps, wrong checksums."""
        return tuple(self._anomalies)

    def open(self, name: str) -> Source:
        """Random access to a member's content; UnsupportedFeature for a compression other than deflate."""
        member = self.members[name]
        window = WindowSource(self.source, member.offset, member.compressed)
        if member.method == _STORED:
            return window
        if member.method == _DEFLATED:
            return InflatedSource(window, member.size)
        raise UnsupportedFeature(
            f"The member is compressed by method {member.method}; stored and deflate are read.",
            member=text(name),
            hint="Repack the archive with stored or deflated members.",
        )

    def read(self, name: str, limit: int) -> bytes:
        """A whole member of at most `limit` bytes. A wrong checksum becomes an anomaly, not an error."""
        member = self.members[name]
        if member.size > limit:
            raise LimitExceeded(
                "member_bytes",
                limit,
                f"The member has {member.size} bytes; {limit} are read at most.",
                value=member.size,
                member=text(name),
            )
        data = self.open(name).read_at(0, member.size)
        if zlib.crc32(data) != member.crc:
            self._anomalies.append(
                Danger(
                    code="archive_checksum",
                    severity="medium",
                    member=text(name),
                    offset=member.offset,
                    what="The member's checksum is wrong: it was changed after the archive was written, or damaged.",
                )
            )
        return data


def is_zip(source: Source) -> bool:
    """Whether the content starts as a zip archive does."""
    return source.size >= len(LOCAL_SIGNATURE) and source.read_at(0, 4) in (LOCAL_SIGNATURE, _END_SIGNATURE)


def open_zip(source: Source) -> ZipArchive:
    """The archive's checked directory.

    Raises:
        TruncatedFile: The end of the archive, where its directory is, is missing.
        InconsistentArchive: Two readers would see different contents.
        EncryptedFile: A member is encrypted.
        LimitExceeded: More entries than allowed.
    """
    start, size, count = _locate_directory(source)
    anomalies: list[Danger] = []
    members: dict[str, Member] = {}
    for entry in _entries(source.read_at(start, size), count, start):
        if entry.name in members:
            raise InconsistentArchive("Two entries have the same name.", member=text(entry.name), offset=entry.header)
        members[entry.name] = _compare_local(source, entry, start)
        anomalies.extend(_odd_entry(entry))
    anomalies.extend(_check_spans(sorted(members.values(), key=lambda member: member.header), start))
    return ZipArchive(source, members, anomalies)


def _locate_directory(source: Source) -> tuple[int, int, int]:
    """Start, size and number of entries of the central directory."""
    reach = min(source.size, _END_REACH)
    tail = source.read_at(source.size - reach, reach)
    at = _find_end(tail)
    end = source.size - reach + at
    _, disk, start_disk, here, count, size, start, _ = _END.unpack_from(tail, at)
    boundary = end
    if end >= _LOCATOR.size and source.read_at(end - _LOCATOR.size, 4) == _LOCATOR_SIGNATURE:
        here, count, size, start, disk, start_disk, boundary = _read_end64(source, end - _LOCATOR.size)
    elif 0xFFFF in (here, count) or 0xFFFFFFFF in (size, start):
        raise MalformedFile("The archive's end record refers to a zip64 record that is not there.", offset=end)
    if disk or start_disk or here != count:
        raise UnsupportedFeature("The archive is split over several disks.", offset=end)
    if start + size != boundary:
        raise InconsistentArchive(
            "The directory is not where the end record says: something was put before, inside or after the archive.",
            offset=end,
        )
    _check_counts(source, count, size)
    return start, size, count


def _find_end(tail: bytes) -> int:
    """Where the end record starts in `tail`: the last one whose comment reaches the end of the file."""
    at = tail.rfind(_END_SIGNATURE)
    while at >= 0:
        if at + _END.size <= len(tail) and at + _END.size + _END.unpack_from(tail, at)[7] == len(tail):
            return at
        at = tail.rfind(_END_SIGNATURE, 0, at)
    raise TruncatedFile("The zip archive has no end record: its last part is missing, or something follows it.")


def _read_end64(source: Source, locator: int) -> tuple[int, int, int, int, int, int, int]:
    _, end_disk, at, _ = _LOCATOR.unpack(source.read_at(locator, _LOCATOR.size))
    if at + _END64.size > locator:
        raise MalformedFile("The zip64 end record lies outside the archive.", offset=locator)
    signature, length, _, _, disk, start_disk, here, count, size, start = _END64.unpack(source.read_at(at, _END64.size))
    if signature != _END64_SIGNATURE or at + length + 12 != locator:
        raise InconsistentArchive("The zip64 end record is not where its locator says.", offset=locator)
    return here, count, size, start, disk or end_disk, start_disk, at


def _check_counts(source: Source, count: int, size: int) -> None:
    allowed = source.meter.limits.archive_entries
    if count > allowed:
        raise LimitExceeded(
            "archive_entries", allowed, f"The archive has {count} entries; {allowed} are read at most.", value=count
        )
    if size > _MAX_DIRECTORY_BYTES or size < count * _CENTRAL.size:
        raise MalformedFile(f"The archive's directory cannot hold {count} entries in {size} bytes.")


def _entries(directory: bytes, count: int, start: int) -> Iterator[_Entry]:
    at = 0
    for _ in range(count):
        if directory[at : at + 4] != _CENTRAL_SIGNATURE or at + _CENTRAL.size > len(directory):
            raise MalformedFile("The archive's directory is broken.", offset=start + at)
        entry, at = _entry(directory, at, start)
        yield entry
    if at != len(directory):
        raise InconsistentArchive("The archive's directory holds more than its end record counts.", offset=start + at)


def _entry(directory: bytes, at: int, start: int) -> tuple[_Entry, int]:
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
        raise MalformedFile("A directory entry reaches past the directory's end.", offset=start + at)
    raw_name = directory[name_at:extra_at]
    size, compressed, header, disk = _widen(
        directory[extra_at : extra_at + extra_length], (size, compressed, header, disk), start + at
    )
    name = _decode_name(raw_name, flags)
    if flags & _FLAG_ENCRYPTED:
        raise EncryptedFile("The archive is encrypted.", member=text(name), offset=start + at)
    if disk:
        raise UnsupportedFeature("The archive is split over several disks.", member=text(name))
    entry = _Entry(
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
    wide = _extra_field(extra, 1)
    if wide is None:
        return fields
    values = iter(range(0, len(wide), 8))

    def take(narrow: int, full: int) -> int:
        if narrow != full:
            return narrow
        at = next(values, None)
        if at is None or at + 8 > len(wide):
            raise MalformedFile("An entry's zip64 sizes are missing.", offset=offset)
        return int(struct.unpack_from("<Q", wide, at)[0])

    size, compressed, header = take(size, 0xFFFFFFFF), take(compressed, 0xFFFFFFFF), take(header, 0xFFFFFFFF)
    return size, compressed, header, 0 if disk == 0xFFFF else disk


def _extra_field(extra: bytes, wanted: int) -> bytes | None:
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


def _compare_local(source: Source, entry: _Entry, directory: int) -> Member:
    """The member, once its local header says the same as the directory."""
    if entry.header + _LOCAL.size + len(entry.raw_name) > directory:
        raise MalformedFile("An entry lies outside the archive.", member=text(entry.name), offset=entry.header)
    header = source.read_at(entry.header, _LOCAL.size + len(entry.raw_name))
    signature, _, flags, method, _, _, crc, compressed, size, name_length, extra_length = _LOCAL.unpack_from(header)
    if signature != LOCAL_SIGNATURE:
        raise MalformedFile("No entry begins where the directory says.", member=text(entry.name), offset=entry.header)
    described = bool(flags & _FLAG_DESCRIPTOR)
    agrees = (
        name_length == len(entry.raw_name)
        and header[_LOCAL.size :] == entry.raw_name
        and method == entry.method
        and not (flags ^ entry.flags) & (_FLAG_ENCRYPTED | _FLAG_DESCRIPTOR)
        and _size_agrees(size, entry.size, described)
        and _size_agrees(compressed, entry.compressed, described)
        and _size_agrees(crc, entry.crc, described)
    )
    if not agrees:
        raise InconsistentArchive(
            "The entry's own header contradicts the archive's directory.", member=text(entry.name), offset=entry.header
        )
    offset = entry.header + _LOCAL.size + name_length + extra_length
    if offset + entry.compressed > directory or (entry.method == _STORED and entry.compressed != entry.size):
        raise InconsistentArchive(
            "The entry's sizes do not fit the archive.", member=text(entry.name), offset=entry.header
        )
    return Member(
        name=entry.name,
        header=entry.header,
        offset=offset,
        compressed=entry.compressed,
        size=entry.size,
        method=entry.method,
        crc=entry.crc,
    )


def _size_agrees(local: int, central: int, described: bool) -> bool:
    """A local value may be 0 before a data descriptor, and 2^32 - 1 where zip64 holds the true one."""
    return local in (central, 0xFFFFFFFF) or (described and local == 0)


def _check_spans(ordered: list[Member], directory: int) -> Iterator[Danger]:
    """Refuse overlapping entries; name gaps large enough to hide an entry."""
    reached = 0
    for member in ordered:
        if member.header < reached:
            raise InconsistentArchive(
                "Two entries share the same bytes.", member=text(member.name), offset=member.header
            )
        if reached == 0 and member.header:
            raise InconsistentArchive("Something was put before the archive's first entry.", offset=0)
        yield from _gap(reached, member.header)
        reached = member.offset + member.compressed
    yield from _gap(reached, directory)


def _gap(reached: int, following: int) -> Iterator[Danger]:
    if following - reached > _LOCAL.size:  # a data descriptor takes at most 24 bytes
        yield Danger(
            code="archive_gap",
            severity="low",
            offset=reached,
            detail=f"{following - reached} bytes",
            what="Bytes between the archive's entries belong to none of them.",
        )


def _odd_entry(entry: _Entry) -> Iterator[Danger]:
    name = entry.name
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or name.startswith(("/", "\\")) or name[1:2] == ":" or "\0" in name:
        yield Danger(
            code="archive_path_escape",
            severity="high",
            member=text(name),
            offset=entry.header,
            what="The entry's name would leave the folder that a careless program unpacks it into.",
            reference="CWE-22",
        )
    if entry.mode & _UNIX_TYPE_MASK == _UNIX_SYMLINK:
        yield Danger(
            code="archive_link",
            severity="high",
            member=text(name),
            offset=entry.header,
            what="The entry is a symbolic link, which a careless program would follow.",
            reference="CWE-59",
        )
