"""Archives of any kind as named members: zip, tar, either compressed; one compressed file is an archive of one.

Knows which container is which; must not know what a member means. Nothing is ever extracted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from weakref import WeakKeyDictionary

from service.parsers.gzip import is_gzip, open_gzip
from service.parsers.tar import is_tar, open_tar
from service.parsers.zip import is_zip, open_zip
from service.parsers.zstd import ZstdSource, is_zstd
from service.source import Source
from service.tree import Danger

CONTENT = "content"
"""What the only member of a compressed single file is called: the name beside it is not trusted."""


class Archive(Protocol):
    """Members by name."""

    @property
    def names(self) -> tuple[str, ...]:
        """In the archive's order."""
        ...

    @property
    def anomalies(self) -> tuple[Danger, ...]:
        """What is odd about it: links, names that lead elsewhere."""
        ...

    def open(self, name: str) -> Source:
        """A member's bytes."""
        ...


class _Lone:
    """A compressed file that is no tar: an archive with one member."""

    names = (CONTENT,)
    anomalies: tuple[Danger, ...] = ()

    def __init__(self, source: Source) -> None:
        self._source = source

    def open(self, _name: str) -> Source:
        return self._source


_opened: WeakKeyDictionary[Source, Archive] = WeakKeyDictionary()
"""An archive is asked for by whoever looks for models and by whoever reads values: its directory is read once."""

_COMPRESSED: tuple[tuple[Callable[[Source], bool], Callable[[Source], Source]], ...] = (
    (is_gzip, open_gzip),
    (is_zstd, ZstdSource),
)


def is_archive(source: Source) -> bool:
    """Whether the content starts as one of these does."""
    return is_zip(source) or is_tar(source) or any(accepts(source) for accepts, _ in _COMPRESSED)


def open_archive(source: Source) -> Archive:
    """The archive's members. Raises InputError where it is broken, encrypted or beyond a limit."""
    if source not in _opened:
        _opened[source] = _open(source)
    return _opened[source]


def _open(source: Source) -> Archive:
    for accepts, inflated in _COMPRESSED:
        if accepts(source):
            content = inflated(source)
            return open_tar(content) if is_tar(content) else _Lone(content)
    return open_zip(source) if is_zip(source) else open_tar(source)
