"""PyTorch's zip files (torch.save since 1.6): `data.pkl` and a member per storage; never reads a storage's bytes."""

from __future__ import annotations

import re

from service.catalog.torch_dangers import dangers_of, trailing
from service.catalog.torch_model import Description, describe_saved
from service.catalog.torch_report import build
from service.catalog.torch_storage import Storage, persistent
from service.catalog.torch_weights import Place, Weigher
from service.errors import InputError, MalformedFile
from service.formats import Format, Upload
from service.language import msg
from service.parsers.pickle_opcodes import run
from service.parsers.zip import ZipArchive, is_zip, open_zip
from service.plain import text
from service.source import BytesSource, Source, head
from service.tree import Danger, Model, ModelInfo

FORMAT = Format(
    id="torch_zip",
    framework="torch",
    title=msg("PyTorch file (torch.save, 1.6 and later)"),
    extensions=(".pt", ".pth", ".bin", ".ckpt", ".pkl"),
    reads=msg("state_dicts, training checkpoints and whole pickled modules: layers, weights, who learns, ties, config"),
    leaves=msg(
        "the weights' values, unless statistics or a comparison of values ask for them; shapes of activations, which "
        "such a file does not hold"
    ),
    priority=50,
)

_PICKLE = re.compile(r"(?:[^/]+/)?data\.pkl\Z")
_FIRST_ENTRY = re.compile(
    rb"[^/]+/(?:data\.pkl|\.format_version|\.storage_alignment|byteorder|version|data/\d+|\.data/)"
)
_MAX_PICKLE = 64 << 20
"""A pickle up to this size is read at once and its checksum compared; a larger one is read in pieces."""
_MAX_SMALL = 256
_MAX_MEMBERS = 1000


def accept(upload: Upload) -> bool:
    """A zip with one `data.pkl` and no TorchScript in it; or one too broken to open whose first entry is PyTorch's."""
    source = upload.single
    if source is None or not is_zip(source):
        return False
    try:
        archive = open_zip(source)
    except InputError:
        return bool(_FIRST_ENTRY.match(head(source, 1024)[30:]))
    prefix = _prefix(archive)
    return prefix is not None and f"{prefix}constants.pkl" not in archive


def read(upload: Upload) -> Model:
    """The model inside.

    Raises:
        MalformedFile: The pickle is broken, or describes tensors that cannot be.
        TruncatedFile: The archive's end is missing.
    """
    source = upload.single
    if source is None:
        raise MalformedFile(msg("A PyTorch file is a single file."))
    archive = open_zip(source)
    prefix = _prefix(archive)
    if prefix is None:
        raise MalformedFile(msg("The archive holds no data.pkl."))
    member = f"{prefix}data.pkl"
    pickle = _open(archive, member)
    limits = upload.limits
    trace = run(pickle, 0, limits, persistent)
    dangers = [*archive.anomalies, *dangers_of(trace, pickle, limits, member)]
    if trace.broken is None:
        dangers.extend(trailing(pickle, trace.end, limits, member))
    else:
        trace.broken.within(member)
    weigher = Weigher(lambda storage: _locate(archive, prefix, storage), limits)

    def describe() -> tuple[Description, list[Danger]]:
        return describe_saved(trace.value, weigher, limits), weigher.dangers

    return build(_info(archive, prefix), trace.broken, dangers, describe)


def _prefix(archive: ZipArchive) -> str | None:
    """`<name>/` before data.pkl, None unless there is exactly one."""
    found = [name for name in archive.names if _PICKLE.match(name)]
    return found[0].removesuffix("data.pkl") if len(found) == 1 else None


def _open(archive: ZipArchive, member: str) -> Source:
    if archive.members[member].size > _MAX_PICKLE:
        return archive.open(member)
    return BytesSource(archive.read(member, _MAX_PICKLE), archive.source.meter)


def _locate(archive: ZipArchive, prefix: str, storage: Storage) -> Place | None:
    member = archive.members.get(f"{prefix}data/{storage.key}")
    return None if member is None else Place(text(member.name), 0, member.size)


def _info(archive: ZipArchive, prefix: str) -> ModelInfo:
    order = _small(archive, f"{prefix}byteorder")
    return ModelInfo(
        format=FORMAT.id,
        framework=FORMAT.framework,
        format_version=_small(archive, f"{prefix}version"),
        members=tuple(text(name, 500) for name in archive.names[:_MAX_MEMBERS]),
        tags={"byteorder": order} if order else {},
    )


def _small(archive: ZipArchive, member: str) -> str | None:
    """A short text member, None if it is not there or not short."""
    if member not in archive or archive.members[member].size > _MAX_SMALL:
        return None
    return text(archive.read(member, _MAX_SMALL).decode("utf-8", "replace").strip()) or None
