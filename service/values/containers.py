"""Members of an upload by the names that a report's locations give them; knows archives and nesting, no format.

A location's `member` is a name in an archive, or a file of the upload; `a!/b` is `b` in the archive that `a` is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from service.formats import Upload
from service.language import msg
from service.parsers.archives import is_archive, open_archive
from service.plain import text
from service.source import Source
from service.values.base import ValuesUnavailable

_NESTED = "!/"
_BIG = b"big"
_STORAGE = re.compile(r"(?:(.+)/)?(?:data|constants)/")
"""The archive's folder before where its storages are."""


class Container:
    """The files of one upload, and what is in them; each archive's directory is read once."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self._names: dict[int, Mapping[str, str]] = {}
        self._opened: dict[str | None, Source] = {}
        self._archives: dict[tuple[int, str], Source] = {}
        self._orders: dict[str, bool] = {}

    def open(self, member: str | None) -> Source:
        """A member's bytes, inflated where needed; the only file for None.

        Raises:
            ValuesUnavailable: There is no such member, or two that a report calls the same.
            InputError: The archive is broken, or the member unpacks to more than it may.
        """
        if member not in self._opened:
            self._opened.clear()  # one member's inflated blocks and checkpoints at a time
            self._opened[member] = self._find(member)
        return self._opened[member]

    def is_big_endian(self, member: str | None) -> bool:
        """Whether the archive around a storage says that numbers have their most significant byte first.

        PyTorch writes `<prefix>/byteorder` beside `<prefix>/data/<key>` and `<prefix>/constants/<key>`.
        """
        found = _STORAGE.match(member or "")
        if found is None:
            return False
        name = f"{found[1]}/byteorder" if found[1] else "byteorder"
        if name not in self._orders:
            self._orders[name] = self._small(name).strip() == _BIG
        return self._orders[name]

    def _small(self, name: str) -> bytes:
        try:
            source = self._find(name)
        except ValuesUnavailable:
            return b""
        return source.read_at(0, min(source.size, 64))

    def _find(self, member: str | None) -> Source:
        source = self._upload.single
        if member is None:
            if source is None:
                raise _missing(None)
            return source
        return self._part(member) if source is None else self._inside(source, member)

    def _part(self, member: str) -> Source:
        """A file of the upload by its name below their common folder, or what is in an archive among them."""
        outer, nested, inner = member.partition(_NESTED)
        if nested:
            return self._inside(self._part(outer), inner)
        names = {text(name.replace("\\", "/").removeprefix("./")): name for name in self._upload.parts}
        found = [name for name in names if name == member or name.endswith(f"/{member}")]
        if not found:
            raise _missing(member)
        return self._upload.parts[names[min(found, key=len)]]

    def _inside(self, source: Source, member: str) -> Source:
        names = self._members(source)
        if member in names:
            return open_archive(source).open(names[member])
        outer, nested, inner = member.partition(_NESTED)
        if not nested or outer not in names:
            raise _missing(member)
        key = (id(source), outer)  # kept with what it names, so that no other source gets its identity
        if key not in self._archives:
            self._archives[key] = open_archive(source).open(names[outer])
        return self._inside(self._archives[key], inner)

    def _members(self, source: Source) -> Mapping[str, str]:
        """Names as reports give them -> names in the archive; those that would be ambiguous are left out."""
        if not is_archive(source):
            return {}
        names = open_archive(source).names
        key = id(source)
        if key not in self._names:
            shown: dict[str, str] = {}
            doubled: set[str] = set()
            for name in names:
                (doubled.add(text(name)) if text(name) in shown else shown.__setitem__(text(name), name))
            self._names[key] = {name: full for name, full in shown.items() if name not in doubled}
        return self._names[key]


def _missing(member: str | None) -> ValuesUnavailable:
    if member is None:
        return ValuesUnavailable(msg("The upload has several files, and it is not told which holds the values."))
    return ValuesUnavailable(msg("The upload has no member {member}.", member=text(member, 200)))
