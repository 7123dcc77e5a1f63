"""What else lies in a file than the model that was read: a second format in the same bytes, and members nobody opened.

Knows what containers, pickles and programs begin with; must not know models. A program that opens the file as what it
also is, or loads a member that no reader here did, would run what is listed; here nothing is.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator

import msgspec

from service.catalog.pickle_nested import Budget, sequence, starts_pickle
from service.catalog.torch_dangers import believed
from service.errors import InputError
from service.formats import Upload
from service.language import Message, msg
from service.parsers.archives import is_archive, open_archive
from service.parsers.tar import is_tar
from service.parsers.zip import Member, ZipArchive, is_zip
from service.parsers.zip_directory import CENTRAL_SIGNATURE, END_SIGNATURE
from service.plain import text
from service.source import Source, WindowSource, head
from service.tree import Danger, Model

_HEAD = 64
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
"""Raw numbers of PyTorch's archives, which nothing loads as anything else."""
_NATIVE = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"MZ")
_PACKAGED = ".dist-info/RECORD"
"""What an archive has that is a Python package: its code is what it is for, and no loader of models looks in it."""
_LARGEST_PACKED = 64 << 20
"""A compressed archive within an archive is looked into up to this size: its directory is at its end."""
_MOST = 200
"""Most dangers listed of one file."""


def beside(upload: Upload, model: Model, *, packed: bool = False) -> list[Danger]:
    """Dangers of what the model's own reader does not look at, in each of its files.

    `packed`: the model is in an archive that was uploaded, which then is of no format of models itself.
    """
    read_as = "" if packed else model.info.format
    found: list[Danger] = []
    several = len(upload.parts) > 1
    for name, source in upload.parts.items():
        inside = [*_second_format(source, read_as), *_members_of(source, read_as)]
        found.extend(_within(danger, text(name)) if several else danger for danger in inside[:_MOST])
    known = {(danger.code, danger.member, danger.offset) for danger in model.security}
    return [danger for danger in found if (danger.code, danger.member, danger.offset) not in known]


def _within(danger: Danger, name: str) -> Danger:
    return msgspec.structs.replace(danger, member=name if danger.member is None else f"{name}!/{danger.member}")


# A second format in the same bytes


def _second_format(source: Source, read_as: str) -> Iterator[Danger]:
    """One danger for each other format that the bytes are too, and what is inside an archive at their end."""
    if is_zip(source):
        if is_tar(source):
            yield _polyglot(msg("The file is a tar archive too."), 0)
        if read_as in _HDF5_ITSELF:
            yield _polyglot(msg("The file is a zip archive too."), 0)
    else:
        yield from _appended(source, read_as)
    if read_as in _WITH_HDF5 or source.size < _HDF5_OFFSETS[0]:
        return
    for offset in _HDF5_OFFSETS:
        if offset + len(_HDF5) <= source.size and source.read_at(offset, len(_HDF5)) == _HDF5:
            yield _polyglot(msg("The file is an HDF5 file too."), offset)
            return


def _polyglot(what: Message, offset: int) -> Danger:
    also = msg("{what} Programs that look for that read other contents than are described here.", what=what)
    return Danger(code="polyglot", severity="medium", what=also, offset=offset)


def _appended(source: Source, read_as: str) -> Iterator[Danger]:
    """A zip archive that ends where the file does: many programs find an archive by its end."""
    found = _archive_at_end(source)
    if found is None:
        return
    if read_as not in _WITH_ARCHIVE:
        yield _polyglot(msg("The file ends as a zip archive does."), found)
    archive = WindowSource(source, found, source.size - found)
    yield from (_shifted(danger, found) for danger in _members_of(archive, ""))


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


# Members that nobody opened


def _members_of(source: Source, read_as: str, depth: int = 1) -> list[Danger]:
    """Dangers among the members of an archive, and of archives in it; none where it cannot be opened."""
    if not is_archive(source):
        return []
    found: list[Danger] = []
    try:
        archive = open_archive(source)
    except InputError:
        return []
    looked = _READ.get(read_as)
    is_package = looked is None and any(name.endswith(_PACKAGED) for name in archive.names)
    for name in archive.names:
        if len(found) >= _MOST:
            break
        if _STORAGE.match(name) or (looked is not None and looked.match(name)):
            continue
        start = _beginning(archive, name)
        if start.startswith(_NATIVE) and _is_program(start):
            found.append(_native(name, is_package=is_package))
        elif starts_pickle(start) or start.startswith((b"PK\x03\x04", b"\x1f\x8b")):
            found.extend(_inside(archive.open(name), text(name), depth))
    return found


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


def _is_program(start: bytes) -> bool:
    """Whether what begins as a program does is one: two letters alone are no proof."""
    return start[:2] != b"MZ" or (len(start) == _HEAD and int.from_bytes(start[60:64], "little") < 1 << 16)


def _native(name: str, *, is_package: bool) -> Danger:
    if is_package:
        what = msg("The archive is a Python package with compiled code, which runs when the package is imported.")
        return Danger(code="native_library", severity="medium", member=text(name), what=what)
    what = msg("The archive holds compiled code, which loading it would run.")
    return Danger(code="native_library", severity="high", member=text(name), what=what)


def _inside(member: Source, name: str, depth: int) -> Iterable[Danger]:
    """Grave dangers of a member that is a pickle or an archive; a broken one is nobody's to load."""
    try:
        if is_archive(member):
            if not isinstance(member, WindowSource) and member.size > _LARGEST_PACKED:
                return []
            inner = _members_of(member, "", depth - 1) if depth else []
            return [_within(danger, name) for danger in inner]
        budget = Budget()
        traces = sequence(member, 0, member.meter.limits, budget)
        return [one for trace in traces for one in believed(trace, name) if one.severity in ("critical", "high")]
    except InputError:
        return []
