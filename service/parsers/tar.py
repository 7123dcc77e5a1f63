"""A tar archive's directory, read without extracting anything; knows ustar, GNU and pax headers, no member's meaning.

Only regular members can be opened. Links, devices and path-like names are listed as anomalies, never followed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from service.errors import InconsistentArchive, LimitExceeded, MalformedFile, TruncatedFile
from service.language import msg
from service.plain import text
from service.source import Source, WindowSource
from service.tree import Danger

BLOCK = 512
_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s6s2s32s32s8s8s155s12x")
_REGULAR = (b"0", b"\0", b"7")
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL, _PAX_SOLARIS = b"L", b"K", b"x", b"g", b"X"
_EXTENSIONS = (_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL, _PAX_SOLARIS)
_SPARSE, _HARD_LINK = b"S", b"1"
_EMPTY = (b"1", b"2", b"3", b"4", b"5", b"6")
"""Kinds without content, whatever size they state."""
_UNREAD = (b"D", b"M", b"N", b"V")
"""Kinds of GNU tar that are no files: dumped folders, volumes."""
_SPARSE_FLAG, _SPARSE_MORE, _SPARSE_BLOCKS = 482, 504, 1000
_BEHIND = 128 * 512
"""How far behind the end another archive is looked for."""
_MAX_EXTENSION = 1 << 20
"""Largest extended header (a long name, pax records) that is read."""
_OTHER_TYPES = {
    b"1": msg("The archive holds a hard link, which extracting would create."),
    b"2": msg("The archive holds a symbolic link, which extracting would create."),
    b"3": msg("The archive holds a character device, which extracting would create."),
    b"4": msg("The archive holds a block device, which extracting would create."),
    b"6": msg("The archive holds a named pipe, which extracting would create."),
    b"S": msg("The archive holds a sparse file, which extracting would create."),
}
_MAX_ANOMALIES = 100


@dataclass(frozen=True, slots=True)
class TarMember:
    """A regular file in the archive: `size` bytes from `offset`."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class _Header:
    name: str
    size: int
    type: bytes
    offset: int


class TarArchive:
    """The regular members of a tar file, and what is odd about the rest."""

    def __init__(self, source: Source, members: Mapping[str, TarMember], anomalies: tuple[Danger, ...]) -> None:
        self._source = source
        self.members: Mapping[str, TarMember] = MappingProxyType(dict(members))
        self.names = tuple(members)
        self.anomalies = anomalies

    def __contains__(self, name: object) -> bool:
        return name in self.members

    def open(self, name: str) -> Source:
        """Random access to a member's content."""
        member = self.members[name]
        return WindowSource(self._source, member.offset, member.size)


def is_tar(source: Source) -> bool:
    """Whether the content starts with a tar header whose checksum is right."""
    if source.size < BLOCK:
        return False
    block = source.read_at(0, BLOCK)
    return block[0] != 0 and _checksum_fits(block)


def open_tar(source: Source) -> TarArchive:
    """The archive's directory.

    Raises:
        TruncatedFile: A member or header reaches beyond the end of the file, or the end marker is missing.
        MalformedFile: A header's checksum or numbers are wrong.
        InconsistentArchive: Two members have one name.
        LimitExceeded: More entries than allowed.
    """
    members: dict[str, TarMember] = {}
    anomalies: list[Danger] = []
    for header in _entries(source):
        odd = _odd(header)
        if odd is not None and len(anomalies) < _MAX_ANOMALIES:
            anomalies.append(odd)
        if header.type not in _REGULAR:
            continue
        if header.name in members:
            raise InconsistentArchive(
                msg("Two members have the same name."), member=text(header.name), offset=header.offset
            )
        members[header.name] = TarMember(header.name, header.offset, header.size)
    return TarArchive(source, members, tuple(anomalies))


def _entries(source: Source) -> Iterator[_Header]:
    """Every entry with the long names and sizes that extended headers before it give."""
    offset, count = 0, 0
    override: dict[str, str] = {}
    while offset + BLOCK <= source.size:
        block = source.read_at(offset, BLOCK)
        if not block.strip(b"\0"):
            _check_behind(source, offset + BLOCK)
            return
        count += 1
        if count > source.meter.limits.archive_entries:
            raise LimitExceeded(
                "archive_entries", source.meter.limits.archive_entries, msg("The archive has too many entries.")
            )
        header = _parse(block, offset, override)
        if header.type == _SPARSE:
            header = replace(header, offset=_behind_map(source, block, header.offset))
        _check_reach(source, header)
        offset = header.offset + (header.size + BLOCK - 1) // BLOCK * BLOCK
        if header.type in _EXTENSIONS:
            override.update(_extension(source, header))
            continue
        override = {}
        yield header
    raise TruncatedFile(msg("The archive ends without its end marker."), offset=offset)


def _check_behind(source: Source, offset: int) -> None:
    """InconsistentArchive where another archive follows: some programs read on behind the end."""
    rest = source.read_at(offset, min(_BEHIND, source.size - offset) // BLOCK * BLOCK)
    for at in range(0, len(rest), BLOCK):
        block = rest[at : at + BLOCK]
        if block[0] and _checksum_fits(block):
            raise InconsistentArchive(
                msg("Behind the archive's end another one begins, which some programs read too."), offset=offset + at
            )


def _behind_map(source: Source, block: bytes, offset: int) -> int:
    """Where the content of a sparse file begins: behind blocks that go on with its map."""
    more = block[_SPARSE_FLAG]
    for _ in range(_SPARSE_BLOCKS):
        if not more or offset + BLOCK > source.size:
            break
        more = source.read_at(offset + _SPARSE_MORE, 1)[0]
        offset += BLOCK
    return offset


def _parse(block: bytes, offset: int, override: Mapping[str, str]) -> _Header:
    if not _checksum_fits(block):
        raise MalformedFile(msg("A tar header's checksum is wrong."), offset=offset)
    fields = _HEADER.unpack(block)
    name, size, kind, prefix = _text(fields[0]), _number(fields[4], offset), fields[7], _text(fields[15])
    if kind in _EXTENSIONS:
        return _Header(name, size, kind, offset + BLOCK)
    old = fields[9] != b"ustar\0"
    name = f"{prefix}/{name}" if prefix and not old else name
    size = _decimal(override["size"], offset) if "size" in override else size
    _check_kind(kind, size, offset, ambiguous=(old and prefix != "") or (kind == b"\0" and name.endswith("/")))
    name = override.get("path", name)
    if "sparse" in override:
        kind = _SPARSE
    return _Header(name, 0 if kind in _EMPTY else size, kind, offset + BLOCK)


def _check_kind(kind: bytes, size: int, offset: int, *, ambiguous: bool) -> None:
    """InconsistentArchive for an entry whose name, kind or size programs understand differently."""
    known = kind in _REGULAR or kind in _EMPTY or kind in _UNREAD or kind == _SPARSE
    if not known or (kind == _HARD_LINK and size) or (ambiguous and size):
        raise InconsistentArchive(
            msg("An entry is of a kind that programs understand differently: they would read other contents."),
            offset=offset,
        )


def _check_reach(source: Source, header: _Header) -> None:
    if header.offset + header.size > source.size:
        raise TruncatedFile(
            msg("The member needs {size} bytes, but only {n} follow.", size=header.size, n=source.size - header.offset),
            member=text(header.name), offset=header.offset,
        )  # fmt: skip


def _extension(source: Source, header: _Header) -> dict[str, str]:
    """What an extended header says of the next entry."""
    if header.size > _MAX_EXTENSION:
        raise LimitExceeded(
            "tar_extension_bytes", _MAX_EXTENSION, msg("An extended tar header is too long."), offset=header.offset
        )
    data = source.read_at(header.offset, header.size)
    if header.type == _LONG_NAME:
        return {"path": _text(data)}
    if header.type == _LONG_LINK:
        return {}
    found = dict(_pax_records(data, header.offset))
    if found and header.type == _PAX_GLOBAL:
        raise InconsistentArchive(
            msg("A header for all entries states one name or size for them, which programs treat differently."),
            offset=header.offset,
        )
    return found


def _pax_records(data: bytes, offset: int) -> Iterator[tuple[str, str]]:
    """`path`, `size` and `sparse` of records: length, space, key, `=`, value, newline."""
    position = 0
    while position < len(data) and data[position] != 0:
        space = data.find(b" ", position, position + 20)
        length = data[position:space] if space > 0 else b""
        if not length.isdigit() or int(length) <= space - position or position + int(length) > len(data):
            raise MalformedFile(msg("A pax record's length is wrong."), offset=offset + position)
        key, _, value = data[space + 1 : position + int(length) - 1].partition(b"=")
        if key in (b"path", b"size"):
            yield key.decode(), value.decode("utf-8", "replace")
        elif key.startswith(b"GNU.sparse."):
            yield "sparse", ""
        position += int(length)


def _checksum_fits(block: bytes) -> bool:
    recorded = block[148:156].strip(b" \0")
    total = sum(block) - sum(block[148:156]) + 8 * 0x20
    return recorded.isdigit() and all(digit in b"01234567" for digit in recorded) and int(recorded, 8) == total


def _number(field: bytes, offset: int) -> int:
    """A size: octal digits, or base 256 where the first bit is set."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if not digits:
        return 0
    if not digits.isdigit() or any(digit not in b"01234567" for digit in digits):
        raise MalformedFile(msg("A tar header's size is not a number."), offset=offset)
    return int(digits, 8)


def _decimal(value: str, offset: int) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 20:
        raise MalformedFile(msg("A pax size is not a number."), offset=offset)
    return int(value)


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")


def _odd(header: _Header) -> Danger | None:
    if header.type in _OTHER_TYPES:
        what = _OTHER_TYPES[header.type]
        return Danger(code="archive_link", severity="high", what=what, member=text(header.name), offset=header.offset)
    steps = header.name.replace("\\", "/").split("/")
    if ".." in steps or header.name.startswith(("/", "\\")) or header.name[1:2] == ":":
        what = msg("A member's name leads out of the folder it would be extracted to.")
        return Danger(
            code="archive_path_escape", severity="high", what=what, member=text(header.name), offset=header.offset
        )  # fmt: skip
    return None
