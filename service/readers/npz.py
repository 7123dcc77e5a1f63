"""Archives of NumPy arrays (.npz): a zip with a .npy member per array; only the headers are read or inflated."""

from __future__ import annotations

from service.catalog.numpy_arrays import Arrays, Npy, add_array
from service.catalog.numpy_model import Contents, model_of
from service.errors import InputError, MalformedFile
from service.formats import Format, Upload
from service.language import msg
from service.parsers.npy import HEADER_BYTES, MAGIC, NpyHeader, inflated_head, read_npy
from service.parsers.zip import Member, ZipArchive, is_zip, open_zip
from service.plain import text
from service.readers.plain_pickle import broken_model, read_nested
from service.source import BytesSource, Source, WindowSource, head
from service.tree import Model, ModelInfo

FORMAT = Format(
    id="npz",
    framework="numpy",
    title=msg("NumPy archive (.npz)"),
    extensions=(".npz",),
    reads=msg(
        "Every array's name, type, shape and order, from its header, compressed or not; layers from the names; arrays "
        "in pickled objects, and their dangers."
    ),
    leaves=msg("The values, unless statistics or a comparison of values ask for them."),
    priority=34,
)

_SUFFIX = ".npy"
_STORED, _DEFLATED = 0, 8
_HEAD = 512
_NAME = slice(26, 28)
"""Where a zip's first local header has the length of its name."""


def accept(upload: Upload) -> bool:
    """A zip of .npy members and nothing else; or one too broken to open that begins with one."""
    source = upload.single
    if source is None or not is_zip(source):
        return False
    try:
        archive = open_zip(source)
        return bool(archive.names) and all(map(_is_array, archive.names)) and _starts_array(archive)
    except InputError:
        start = head(source, 1024)
        return start[30 : 30 + int.from_bytes(start[_NAME], "little")].endswith(_SUFFIX.encode())


def _is_array(name: str) -> bool:
    return name.endswith(_SUFFIX)


def _starts_array(archive: ZipArchive) -> bool:
    member = archive.members[archive.names[0]]
    return member.method not in (_STORED, _DEFLATED) or _head(archive, member, len(MAGIC)) == MAGIC


def read(upload: Upload) -> Model:
    """The model whose weights the arrays are, by their names.

    Raises:
        TruncatedFile: The archive's end is missing, or a member ends within its header.
        MalformedFile: A member is no array.
        InconsistentArchive: Two readers would see different contents.
        UnsupportedFeature: A compression, version or element type that is not known.
    """
    source = upload.single
    if source is None:
        raise MalformedFile(msg("A NumPy archive is a single file."))
    archive = open_zip(source)
    arrays = Arrays()
    for member in archive.members.values():
        _add(arrays, archive, member, upload)
    members = tuple(text(name, 500) for name in archive.names[:1000])
    info = ModelInfo(format=FORMAT.id, framework=FORMAT.framework, members=members)
    for made in arrays.pickles:
        if made.broken is not None:
            return broken_model(info, made)
    dangers = list(archive.anomalies)
    contents = Contents(arrays.stored, arrays.pickles, arrays.findings, dangers, arrays.notes, arrays.complete)
    return model_of(info, contents, upload.limits, read_nested(upload))


def _add(arrays: Arrays, archive: ZipArchive, member: Member, upload: Upload) -> None:
    name = text(member.name)
    try:
        header = _header(archive, member)
    except InputError as error:
        raise error.within(name) from None
    short = member.name.removesuffix(_SUFFIX)
    add_array(arrays, Npy(short, header, member.size, name, lambda: archive.open(member.name)), upload.limits)


def _header(archive: ZipArchive, member: Member) -> NpyHeader:
    if member.method != _DEFLATED:
        return read_npy(archive.open(member.name))
    start = _head(archive, member, _HEAD)
    needed = 12 + int.from_bytes(start[8:12] if start[6:7] != b"\x01" else start[8:10], "little")
    if _HEAD < needed <= HEADER_BYTES:
        start = _head(archive, member, needed)
    return read_npy(BytesSource(start, archive.source.meter))


def _head(archive: ZipArchive, member: Member, length: int) -> bytes:
    window: Source = WindowSource(archive.source, member.offset, member.compressed)
    if member.method == _DEFLATED:
        return inflated_head(window, min(length, member.size))
    return head(window, length)
