"""What else lies in an upload than the model that was read: a second format in the same bytes, files nobody opened.

Knows what containers begin with and whom to ask about a file; must not know models. A program that opens the upload as
what it also is, or loads a file or member that no reader here did, would run what is listed; here nothing is.
"""

from __future__ import annotations

import contextlib
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from service.catalog.listing import listed
from service.catalog.pickle_nested import Budget
from service.errors import InputError, LimitExceeded, UnsupportedFeature
from service.formats import Upload
from service.language import Message, msg
from service.parsers.archives import CONTENT, is_archive, open_archive
from service.parsers.tar import is_tar
from service.parsers.zip import Member, ZipArchive, is_zip
from service.parsers.zip_directory import CENTRAL_SIGNATURE, END_SIGNATURE
from service.plain import text
from service.source import Source, WindowSource, head
from service.tree import Danger, Model
from service.worker import beside_code, beside_configs, beside_pickles

_HEAD = beside_code.HEAD
_PACKED_HEAD = 1024
_END_BYTES, _COMMENT_BYTES = 22, 0xFFFF
_HDF5 = b"\x89HDF\r\n\x1a\n"
_HDF5_OFFSETS = tuple(512 << step for step in range(12))
"""Where HDF5 looks for its signature, as far as anybody puts it."""
_WITH_ARCHIVE = frozenset({"tflite"})
"""Formats whose own tools put a zip archive of label files behind the model."""
_HDF5_ITSELF = frozenset({"keras_h5", "keras_weights_h5"})
_WITH_HDF5 = _HDF5_ITSELF | {"keras_v3"}
"""Formats that are HDF5 files, or hold one as it is."""
_READ = {
    "torch_zip": re.compile(r"(?:[^/]+/)?data\.pkl\Z"),
    "torchscript": re.compile(r"(?:[^/]+/)?(?:data|constants|bytecode|attributes|traced_inputs)\.pkl\Z"),
    "torch_tar": re.compile(r"(?:pickle|storages|tensors)\Z"),
    "npz": re.compile(r".*\.npy\Z", re.DOTALL),
}
"""Members that the reader of a format looks into itself."""
_STORAGE = re.compile(r"(?:[^/]+/)?(?:\.?data|constants|tensors)/\d+\Z")
"""Raw numbers of PyTorch's archives, which nothing loads as anything else: a pickle there is data of a tensor."""
_TORCH = re.compile(r"(?:[^/]+/)?(?:(?:data|constants)\.pkl|pickle)\Z")
"""What tells PyTorch's archives."""
_SCRIPT = re.compile(r"(?:[^/]+/)?code/.*\.py\Z", re.DOTALL)
"""Methods of TorchScript, in archives that have constants: its reader tells of them."""
_PACKAGED = ".dist-info/RECORD"
"""What an archive has that is a Python package: its code is what it is for, and no loader of models looks in it."""
_ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
_ARCHIVE_ENDINGS = (".tar", ".nemo", ".zip", ".mar")
_LARGEST_PACKED = 64 << 20
"""A compressed archive within an archive is looked into up to this size: its directory is at its end."""
_MOST = 200
"""Most grave dangers listed of one file, and most others."""


@dataclass(slots=True)
class _Search:
    """What one upload's files are looked at with: what may still be spent, on pickles and on documents."""

    pickles: Budget
    configs: beside_configs.Configs

    def left(self) -> Iterator[Danger]:
        """That something was left unsearched."""
        if self.pickles.cut:
            yield beside_pickles.unsearched()
        if self.configs.cut:
            yield beside_configs.unsearched()


@dataclass(frozen=True, slots=True)
class _Files:
    """Files that lie together: an upload's, or an archive's.

    Attributes:
        names: Of those that are to be looked at.
        all: Of all.
        begin: The first bytes of one.
        open: All of one.
        holder: What they lie in: a `folder`, an `archive`, or a Python `package`.
        depth: How many archives within one another may still be opened.
    """

    names: Sequence[str]
    all: Collection[str]
    begin: Callable[[str], bytes]
    open: Callable[[str], Source]
    holder: str
    depth: int


def beside(upload: Upload, model: Model, *, packed: bool = False) -> list[Danger]:
    """Dangers of what the model's own reader does not look at, in each of its files.

    `packed`: the model is in an archive that was uploaded, which then is of no format of models itself.
    """
    read_as = "" if packed else model.info.format
    given = sum(source.size for source in upload.parts.values())
    search = _Search(beside_pickles.budget_of(given), beside_configs.configs_of(given))
    several = len(upload.parts) > 1
    found: list[Danger] = []
    for name, source in upload.parts.items():
        inside = [*_second_format(source, read_as, search), *_members_of(source, read_as, search)]
        found.extend(_within(danger, text(name)) if several else danger for danger in listed(inside, _MOST))
    if several:
        found.extend(listed(_among(_parts(upload), search), _MOST))
    found.extend(search.left())
    known = {(danger.code, danger.member, danger.offset) for danger in model.security}
    return [danger for danger in found if (danger.code, danger.member, danger.offset) not in known]


def _parts(upload: Upload) -> _Files:
    """The files of an upload of several; the archives among them are looked into by themselves."""
    names = [name for name, source in upload.parts.items() if not (is_archive(source) and _opens(source))]

    def begin(name: str) -> bytes:
        return head(upload.parts[name], _HEAD)

    return _Files(names, names, begin, upload.parts.__getitem__, "folder", 0)


def _within(danger: Danger, name: str) -> Danger:
    return msgspec.structs.replace(danger, member=name if danger.member is None else f"{name}!/{danger.member}")


# A second format in the same bytes


def _second_format(source: Source, read_as: str, search: _Search) -> Iterator[Danger]:
    """One danger for each other format that the bytes are too, and what is inside an archive at their end."""
    if is_zip(source):
        if is_tar(source):
            yield _polyglot(msg("The file is a tar archive too."), 0)
        if read_as in _HDF5_ITSELF:
            yield _polyglot(msg("The file is a zip archive too."), 0)
    else:
        yield from _appended(source, read_as, search)
    if read_as in _WITH_HDF5 or source.size < _HDF5_OFFSETS[0]:
        return
    for offset in _HDF5_OFFSETS:
        if offset + len(_HDF5) <= source.size and source.read_at(offset, len(_HDF5)) == _HDF5:
            yield _polyglot(msg("The file is an HDF5 file too."), offset)
            return


def _polyglot(what: Message, offset: int) -> Danger:
    also = msg("{what} Programs that look for that read other contents than are described here.", what=what)
    return Danger(code="polyglot", severity="medium", what=also, offset=offset)


def _appended(source: Source, read_as: str, search: _Search) -> Iterator[Danger]:
    """A zip archive that ends where the file does: many programs find an archive by its end."""
    found = _archive_at_end(source)
    if found is None:
        return
    if read_as not in _WITH_ARCHIVE:
        yield _polyglot(msg("The file ends as a zip archive does."), found)
    archive = WindowSource(source, found, source.size - found)
    yield from (_shifted(danger, found) for danger in _members_of(archive, "", search))


def _archive_at_end(source: Source) -> int | None:
    """Where the archive begins whose end record ends the file; None if there is none."""
    reach = min(source.size, _END_BYTES + _COMMENT_BYTES)
    tail = source.read_at(source.size - reach, reach)
    at = tail.rfind(END_SIGNATURE)
    while at >= 0:
        if at + _END_BYTES + int.from_bytes(tail[at + 20 : at + 22], "little") == len(tail):
            size = int.from_bytes(tail[at + 12 : at + 16], "little")
            start = int.from_bytes(tail[at + 16 : at + 20], "little")
            directory = source.size - reach + at - size
            if size and start <= directory and source.read_at(directory, 4) == CENTRAL_SIGNATURE:
                return directory - start
        at = tail.rfind(END_SIGNATURE, 0, at)
    return None


def _shifted(danger: Danger, by: int) -> Danger:
    if danger.member or danger.offset is None:
        return danger
    return msgspec.structs.replace(danger, offset=danger.offset + by)


# Files and members that nobody opened


def _members_of(source: Source, read_as: str, search: _Search, depth: int = 1) -> list[Danger]:
    """Dangers among the members of an archive, and of archives in it; none where it cannot be opened."""
    if not (is_archive(source) and _opens(source)):
        return []
    archive = open_archive(source)
    looked = _READ.get(read_as)
    is_package = looked is None and any(name.endswith(_PACKAGED) for name in archive.names)
    passed = _passed(archive.names, looked)
    files = _Files([name for name in archive.names if not any(one.match(name) for one in passed)], archive.names,
                   lambda name: _beginning(archive, name), archive.open, "package" if is_package else "archive",
                   depth)  # fmt: skip
    return list(listed(_among(files, search), _MOST))


def _passed(names: Collection[str], looked: re.Pattern[str] | None) -> list[re.Pattern[str]]:
    """Which members are not looked at: its reader did, or nothing loads them as what is looked for."""
    passed = [] if looked is None else [looked]
    if any(_TORCH.match(name) for name in names):
        passed.append(_STORAGE)
    if any(name.endswith("constants.pkl") for name in names):
        passed.append(_SCRIPT)
    return passed


def _among(files: _Files, search: _Search) -> Iterator[Danger]:
    """Dangers of files that lie together; of Python's source when all documents were asked what they name."""
    sources = []
    for name in files.names:
        if beside_code.is_source(name):
            sources.append(name)
        with contextlib.suppress(InputError):  # nobody can load what is broken, and the model is not
            yield from _of_file(files, name, search)
    if files.holder != "package":
        served = any(beside_configs.is_served(name) for name in files.all)
        yield from beside_code.sources(sources, search.configs.modules, served=served)


def _of_file(files: _Files, name: str, search: _Search) -> list[Danger]:
    start = files.begin(name)
    if beside_code.is_native(start):
        return [beside_code.native(name, files.holder)]
    if beside_code.is_bytecode(name, start):
        return [] if files.holder == "package" else [beside_code.bytecode(name)]
    archived = start.startswith(_ARCHIVES) or name.lower().endswith(_ARCHIVE_ENDINGS)
    config, pickled = beside_configs.is_config(name), beside_pickles.may_be_pickle(name, start)
    if not (archived or config or pickled):
        return []
    try:
        source = files.open(name)
        if is_archive(source) and _opens(source):
            return _inner(source, name, files.depth, search)
    except UnsupportedFeature:
        return [beside_pickles.closed(name)] if beside_pickles.is_named(name) else []
    except LimitExceeded:
        search.pickles.cut = search.pickles.cut or beside_pickles.is_likely(name, start)
        return []
    found = beside_configs.in_config(source, name, search.configs) if config else []
    return found + (beside_pickles.in_file(source, name, search.pickles) if pickled else [])


def _opens(source: Source) -> bool:
    """Whether an archive can be opened; one compressed file that cannot may still be unpacked by other programs."""
    try:
        archive = open_archive(source)
        if archive.names == (CONTENT,):
            head(archive.open(CONTENT), _HEAD)
    except InputError:
        return False
    return True


def _inner(source: Source, name: str, depth: int, search: _Search) -> list[Danger]:
    if not depth or (not isinstance(source, WindowSource) and source.size > _LARGEST_PACKED):
        return []
    return [_within(danger, text(name)) for danger in _members_of(source, "", search, depth - 1)]


def _beginning(archive: object, name: str) -> bytes:
    """The first bytes of a member; of a deflated one without unpacking more than that."""
    try:
        if not isinstance(archive, ZipArchive):
            return head(archive.open(name), _HEAD)  # type: ignore[attr-defined]
        return _zip_beginning(archive, archive.members[name])
    except (InputError, zlib.error):
        return b""


def _zip_beginning(archive: ZipArchive, member: Member) -> bytes:
    packed = archive.source.read_at(member.offset, min(member.compressed, _PACKED_HEAD if member.method else _HEAD))
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, _HEAD) if member.method else packed
