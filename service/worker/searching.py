"""Finds the models in an upload: the upload itself, sets of its files, files alone, and members of archives.

Knows readers by what they offer and archives by their members; must not know any format. Nothing is extracted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from service.errors import InputError, UnknownFormat
from service.formats import HEAD_BYTES, Reader, Upload, looks_like
from service.language import Message, msg
from service.parsers.archives import is_archive, open_archive
from service.plain import text
from service.registry import identify
from service.source import HeadSource, Source, head
from service.tree import Danger

INSIDE = "!/"
"""Between an archive's name and its member's, where the archive is one of several files."""
MOST_FILES = 2_000
"""Most files, or sets of them, that readers are asked about one by one; archives of more are data sets, not models."""
MOST_NAMED = 20
SMALL = 1 << 18
"""A file alone of up to so many bytes is read once, whole."""


class Found(NamedTuple):
    """One model: its reader, its files, and the file or folder that it is in; `path` is empty for the whole upload."""

    reader: Reader
    upload: Upload
    path: str


@dataclass(slots=True)
class Search:
    """What an upload holds.

    Attributes:
        upload: The upload, its files' beginnings and directories read once.
        found: Its models, by path.
        unread: Files that no reader takes.
        dangers: What is odd about the archives that were opened.
    """

    upload: Upload
    found: list[Found] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    dangers: list[Danger] = field(default_factory=list)
    asked: int = 0


def search(upload: Upload, readers: Sequence[Reader]) -> Search:
    """The models in `upload`.

    Raises:
        UnknownFormat: There is none; says what the files look like instead.
        InputError: The upload is a broken archive.
    """
    upload.meter.given = sum(source.size for source in upload.parts.values())
    whole = SMALL if upload.single is not None else 0
    upload = Upload({name: _read_once(source, whole) for name, source in upload.parts.items()}, upload.meter)
    only = upload.single
    if only is not None:
        reader = next((reader for reader in readers if reader.accept(upload)), None)
        if reader is not None or not is_archive(only):
            return Search(upload, [Found(reader or identify(upload, tuple(readers)), upload, "")])
    found = Search(upload)
    _look_into(upload if only is None else _members(only, "", upload, found), readers, found, 0 if only is None else 1)
    if not found.found:
        raise _nothing(upload, found)
    found.found.sort(key=lambda one: one.path)
    return found


def _read_once(source: Source, small: int) -> Source:
    """A source whose beginning is read once however many readers look at it; all of it, where it is small."""
    return HeadSource(source, source.size if source.size <= small else HEAD_BYTES)


def _look_into(upload: Upload, readers: Sequence[Reader], search: Search, depth: int) -> None:
    """Add the models among some files: first those of several files, then each file by itself."""
    left = dict(upload.parts)
    taken: list[tuple[Reader, frozenset[str], frozenset[str]]] = []
    for reader, names in _sets(upload, readers):
        own = names & left.keys()  # models of one folder may share documents: a configuration, a checkpoint's state
        if own and search.asked < MOST_FILES and names <= upload.parts.keys():
            search.asked += 1
            taken.append((reader, names, own))
            for name in own:
                del left[name]
    paths = _paths(taken)
    search.found.extend(
        Found(reader, upload.only(names), path) for (reader, names, _), path in zip(taken, paths, strict=True)
    )
    for name, source in left.items():
        search.asked += 1
        single = Upload({name: source}, upload.meter)
        taker = None if search.asked > MOST_FILES else next((one for one in readers if one.accept(single)), None)
        if taker is not None:
            search.found.append(Found(taker, single, name))
        elif search.asked > MOST_FILES or depth >= upload.limits.archive_depth or not _opens(source):
            search.unread.append(name)
        else:
            _look_into(_members(source, f"{name}{INSIDE}", upload, search), readers, search, depth + 1)


def _sets(upload: Upload, readers: Sequence[Reader]) -> Iterator[tuple[Reader, frozenset[str]]]:
    for reader in readers:
        find = getattr(reader, "find", None)
        if find is not None:
            yield from ((reader, names) for names in find(upload))


def _opens(source: Source) -> bool:
    """Whether it is an archive whose directory can be read."""
    if not is_archive(source):
        return False
    try:
        open_archive(source)
    except InputError:
        return False
    return True


def _members(source: Source, prefix: str, upload: Upload, search: Search) -> Upload:
    archive = open_archive(source)
    search.dangers.extend(archive.anomalies)
    members: Mapping[str, Source] = {
        f"{prefix}{name}": _read_once(archive.open(name), 0) for name in archive.names if not name.endswith("/")
    }
    return Upload(members, upload.meter)


def _paths(taken: Sequence[tuple[Reader, frozenset[str], frozenset[str]]]) -> list[str]:
    """Where each set of files is: the folder that holds them all, or a file of its own where others are there too."""
    holders = Counter(chain.from_iterable(names for _, names, _ in taken))
    folders = [folder_of(own) for _, _, own in taken]
    several = Counter(folders)
    found = []
    for folder, (reader, _, own) in zip(folders, taken, strict=True):
        only = [name for name in own if holders[name] == 1] or own
        found.append(folder if folder and several[folder] == 1 else _main(only, reader))
    return found


def _main(names: Iterable[str], reader: Reader) -> str:
    """The file that a set is called by: with the first ending of its format that any has, not a document beside it."""
    endings = reader.FORMAT.extensions

    def place(name: str) -> tuple[int, int, str]:
        first = next((at for at, ending in enumerate(endings) if name.endswith(ending)), len(endings))
        return first, len(name), name

    return min(names, key=place)


def folder_of(names: Iterable[str]) -> str:
    """The folder that holds them all; empty where that has no name."""
    folders = [name.replace("\\", "/").split("/")[:-1] for name in names]
    common = folders[0]
    for steps in folders[1:]:
        same = next((at for at, (one, other) in enumerate(zip(common, steps, strict=False)) if one != other), None)
        common = common[: min(len(common), len(steps)) if same is None else same]
    return "/".join(common)


def _nothing(upload: Upload, search: Search) -> UnknownFormat:
    inside = upload.single is not None
    seen = {text(name, 200): looks_like(head(source, HEAD_BYTES)) for name, source in upload.parts.items()}
    detail = msg("These files together are no model that is read here.")
    if inside:
        detail = msg("This archive holds no model that is read here: it looks like {seen}.",
                     seen=Message(next(iter(seen.values()))))  # fmt: skip
    names = [text(name, 200) for name in search.unread[:MOST_NAMED]]
    return UnknownFormat(detail, looks_like=next(iter(seen.values())), files=seen, members=names)
