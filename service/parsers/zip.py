"""A zip archive's directory and members, read without trust; knows APPNOTE 6.3, not what the members mean.

Readers of zip files disagree on broken ones (of two concatenated archives Python reads the second, PyTorch the
first), so what could be understood in two ways is refused: overlaps, doubled names, local headers that
contradict the directory, data before the first entry. Sizes are only believed once the bytes are there.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from weakref import WeakKeyDictionary

from service.errors import InconsistentArchive, LimitExceeded, MalformedFile, UnsupportedFeature
from service.language import msg
from service.parsers.inflate import InflatedSource
from service.parsers.zip_directory import (
    CENTRAL_SIGNATURE,
    END_SIGNATURE,
    FLAG_ENCRYPTED,
    Entry,
    entries,
    extra_field,
    locate_directory,
)
from service.plain import text
from service.source import Source, WindowSource, head
from service.tree import Danger, Frozen

LOCAL_SIGNATURE = b"PK\x03\x04"
_LOCAL = struct.Struct("<4s5H3I2H")
_FLAG_DESCRIPTOR = 0x8
_DESCRIPTOR_SIGNATURE = b"PK\x07\x08"
_STORED, _DEFLATED = 0, 8
_SEARCHED = 1 << 20
"""Most bytes between two entries that are searched for a third."""
_MOST_PADDING = 3
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
    described: bool = False


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
            msg("The member is compressed by method {method}; stored and deflate are read.", method=member.method),
            member=text(name),
            hint=msg("Repack the archive with stored or deflated members."),
        )

    def read(self, name: str, limit: int) -> bytes:
        """A whole member of at most `limit` bytes. A wrong checksum becomes an anomaly, not an error."""
        member = self.members[name]
        if member.size > limit:
            raise LimitExceeded(
                "member_bytes",
                limit,
                msg("The member has {size} bytes; {limit} are read at most.", size=member.size, limit=limit),
                value=member.size,
                member=text(name),
            )
        data = self.open(name).read_at(0, member.size)
        if member.described:
            _compare_descriptor(self.source, member)
        if zlib.crc32(data) != member.crc:
            self._anomalies.append(
                Danger(
                    code="archive_checksum",
                    severity="medium",
                    member=text(name),
                    offset=member.offset,
                    what=msg(
                        "The member's checksum is wrong: it was changed after the archive was written, or damaged."
                    ),
                )
            )
        return data


def is_zip(source: Source) -> bool:
    """Whether the content starts as a zip archive does; MediaPipe's begin with a few zero bytes, to align members."""
    start = head(source, _MOST_PADDING + len(LOCAL_SIGNATURE))
    return start.startswith((LOCAL_SIGNATURE, END_SIGNATURE)) or start.lstrip(b"\0").startswith(LOCAL_SIGNATURE)


_opened: WeakKeyDictionary[Source, ZipArchive] = WeakKeyDictionary()
"""Every reader asked to accept an upload looks into the same archive; its directory is read once."""


def open_zip(source: Source) -> ZipArchive:
    """The archive's checked directory.

    Raises:
        TruncatedFile: The end of the archive, where its directory is, is missing.
        InconsistentArchive: Two readers would see different contents.
        EncryptedFile: A member is encrypted.
        LimitExceeded: More entries than allowed.
    """
    if source not in _opened:
        _opened[source] = _read_archive(source)
    return _opened[source]


def _read_archive(source: Source) -> ZipArchive:
    start, size, count = locate_directory(source)
    anomalies: list[Danger] = []
    members: dict[str, Member] = {}
    for entry in entries(source.read_at(start, size), count, start):
        if entry.name in members:
            raise InconsistentArchive(
                msg("Two entries have the same name."), member=text(entry.name), offset=entry.header
            )
        members[entry.name] = _compare_local(source, entry, start)
        anomalies.extend(_odd_entry(entry))
    if len({name.lower() for name in members}) < len(members):
        anomalies.append(_clash(members))
    ordered = sorted(members.values(), key=lambda member: member.header)
    anomalies.extend(_check_spans(source, ordered, start))
    return ZipArchive(source, members, anomalies)


def _clash(names: Iterable[str]) -> Danger:
    """Names that differ in case only: PyTorch, Windows and macOS take one for the other."""
    seen: set[str] = set()
    found = next(name for name in names if name.lower() in seen or seen.add(name.lower()))  # type: ignore[func-returns-value]
    what = msg("Two entries' names differ in upper and lower case only: some programs take one for the other.")
    return Danger(code="archive_case_clash", severity="medium", member=text(found), what=what)


def _compare_local(source: Source, entry: Entry, directory: int) -> Member:
    """The member, once its local header says the same as the directory."""
    if entry.header + _LOCAL.size + len(entry.raw_name) > directory:
        raise MalformedFile(msg("An entry lies outside the archive."), member=text(entry.name), offset=entry.header)
    header = source.read_at(entry.header, _LOCAL.size + len(entry.raw_name))
    signature, _, flags, method, _, _, crc, compressed, size, name_length, extra_length = _LOCAL.unpack_from(header)
    if signature != LOCAL_SIGNATURE:
        raise MalformedFile(
            msg("No entry begins where the directory says."), member=text(entry.name), offset=entry.header
        )
    described = bool(flags & _FLAG_DESCRIPTOR)
    if 0xFFFFFFFF in (size, compressed) and (size, compressed) != (entry.size, entry.compressed):
        size, compressed = _wide_local(source, entry, extra_length, (size, compressed))
    agrees = (
        name_length == len(entry.raw_name)
        and header[_LOCAL.size :] == entry.raw_name
        and method == entry.method
        and not (flags ^ entry.flags) & (FLAG_ENCRYPTED | _FLAG_DESCRIPTOR)
        and _size_agrees(size, entry.size, described)
        and _size_agrees(compressed, entry.compressed, described)
        and _size_agrees(crc, entry.crc, described)
    )
    if not agrees:
        raise InconsistentArchive(
            msg("The entry's own header contradicts the archive's directory."),
            member=text(entry.name),
            offset=entry.header,
        )
    offset = entry.header + _LOCAL.size + name_length + extra_length
    if offset + entry.compressed > directory or (entry.method == _STORED and entry.compressed != entry.size):
        raise InconsistentArchive(
            msg("The entry's sizes do not fit the archive."), member=text(entry.name), offset=entry.header
        )
    return Member(
        name=entry.name,
        header=entry.header,
        offset=offset,
        compressed=entry.compressed,
        size=entry.size,
        method=entry.method,
        crc=entry.crc,
        described=described and not size and entry.size > 0,
    )


def _size_agrees(local: int, central: int, described: bool) -> bool:
    """A local value may be 0 before a data descriptor."""
    return local == central or (described and local == 0)


def _wide_local(source: Source, entry: Entry, length: int, sizes: tuple[int, int]) -> tuple[int, int]:
    """Size and compressed size of a local header with their zip64 values, both of which it must give."""
    extra = source.read_at(entry.header + _LOCAL.size + len(entry.raw_name), length)
    wide = extra_field(extra, 1) or b""
    values = iter(struct.unpack_from(f"<{len(wide) // 8}Q", wide))
    size, compressed = (next(values, -1) if value == 0xFFFFFFFF else value for value in sizes)
    return size, compressed


def _compare_descriptor(source: Source, member: Member) -> None:
    """InconsistentArchive where the descriptor behind a member's data, all that some programs read, differs."""
    end = member.offset + member.compressed
    data = source.read_at(end, min(24, source.size - end))
    data = data[4:] if data.startswith(_DESCRIPTOR_SIGNATURE) else data
    narrow = struct.pack("<3I", member.crc, member.compressed & 0xFFFFFFFF, member.size & 0xFFFFFFFF)
    wide = struct.pack("<I2Q", member.crc, member.compressed, member.size)
    if not data.startswith((narrow, wide)):
        what = msg("What follows the entry's data contradicts the archive's directory.")
        raise InconsistentArchive(what, member=text(member.name), offset=end)


def _padding(source: Source, ordered: list[Member]) -> int:
    """Zero bytes before the first entry that only align it; what else stands there is no padding."""
    first = ordered[0].header if ordered else 0
    return first if first <= _MOST_PADDING and not source.read_at(0, first).strip(b"\0") else 0


def _check_spans(source: Source, ordered: list[Member], directory: int) -> Iterator[Danger]:
    """Refuse overlapping entries, and bytes between them that are entries too; name other gaps that could hold one."""
    reached = padding = _padding(source, ordered)
    for member in ordered:
        if member.header < reached:
            raise InconsistentArchive(
                msg("Two entries share the same bytes."), member=text(member.name), offset=member.header
            )
        if member is ordered[0] and member.header != padding:
            raise InconsistentArchive(msg("Something was put before the archive's first entry."), offset=0)
        yield from _gap(source, reached, member.header)
        reached = member.offset + member.compressed
    yield from _gap(source, reached, directory)


def _gap(source: Source, reached: int, following: int) -> Iterator[Danger]:
    length = following - reached
    if length <= _LOCAL.size:  # a data descriptor takes at most 24 bytes
        return
    searched = source.read_at(reached, min(length, _SEARCHED))
    if any(sign in searched for sign in (LOCAL_SIGNATURE, END_SIGNATURE, CENTRAL_SIGNATURE)):
        raise InconsistentArchive(
            msg("Between the archive's entries lies another that its directory does not name."), offset=reached
        )
    yield Danger(
        code="archive_gap",
        severity="low" if length <= _SEARCHED else "medium",
        offset=reached,
        detail=f"{length} bytes",
        what=msg("Bytes between the archive's entries belong to none of them."),
    )


def _odd_entry(entry: Entry) -> Iterator[Danger]:
    name = entry.name
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or name.startswith(("/", "\\")) or name[1:2] == ":" or "\0" in name:
        yield Danger(
            code="archive_path_escape",
            severity="high",
            member=text(name),
            offset=entry.header,
            what=msg("The entry's name would leave the folder that a careless program unpacks it into."),
            reference="CWE-22",
        )
    if entry.mode & _UNIX_TYPE_MASK == _UNIX_SYMLINK:
        yield Danger(
            code="archive_link",
            severity="high",
            member=text(name),
            offset=entry.header,
            what=msg("The entry is a symbolic link, which a careless program would follow."),
            reference="CWE-59",
        )
