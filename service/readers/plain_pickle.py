"""Pickles and joblib files of NumPy arrays: scikit-learn's models, dictionaries of weights, models inside byte strings.

Nothing is unpickled: objects are inert stand-ins. Pickles that name PyTorch are another reader's.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from typing import NoReturn

import msgspec

from service.catalog.numpy_model import Contents, model_of
from service.catalog.numpy_objects import SIGNS
from service.catalog.numpy_pickles import Nested, Pickled, open_pickle
from service.catalog.torch_dangers import is_serious
from service.catalog.torch_report import build
from service.errors import InputError, LimitExceeded, MalformedFile, TruncatedFile, UnsupportedFeature
from service.formats import BuildRequest, Format, Upload
from service.language import msg
from service.parsers.inflate import RATIO_FLOOR, InflatedSource
from service.parsers.pickle_joblib import run_joblib
from service.parsers.pickle_types import Blob
from service.readers import keras_h5, keras_v3, torch_zip
from service.source import Source, WindowSource, head
from service.tree import Model, ModelInfo

FORMAT = Format(
    id="numpy_pickle",
    framework="numpy",
    title=msg("Pickle or joblib file of NumPy arrays"),
    extensions=(".pkl", ".pickle", ".joblib", ".gz", ".z"),
    reads=msg(
        "What loading it would run; every array by the way to it, the classes and settings of the objects around it; "
        "joblib's files, as they are and compressed by zlib or gzip; a Keras or PyTorch model in a byte string."
    ),
    leaves=msg("Files compressed by LZ4, bzip2 or LZMA; arrays that joblib before 0.10 kept in files of their own."),
    priority=890,
)

_BINARY = re.compile(rb"\x80[\x01-\x05]")
_TEXT = re.compile(rb"[(\]}cilpd]")
_ZLIB = (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")
_LZ4 = b"\x04\x22\x4d\x18"
_PROBE_BYTES = 4096
_PACKED_BYTES = 1 << 16
_PROBE_OPCODES = 3000
_PROBE_TEXTS = 50
_STEP = 1 << 20
_NUMERIC = frozenset({"numpy", "joblib", "sklearn", "scipy", "xgboost", "lightgbm", "catboost", "keras", "tensorflow"})
_READERS = (keras_v3, keras_h5, torch_zip)


def accept(upload: Upload) -> bool:
    """A pickle, also compressed, that names NumPy or what is built on it near its start, and not PyTorch."""
    source = upload.single
    if source is None:
        return False
    start = head(source, _PROBE_BYTES)
    if start.startswith((*_ZLIB, _LZ4)):
        return _is_packed(start)
    if not _BINARY.match(start) and not _TEXT.match(start):
        return False
    limits = msgspec.structs.replace(upload.limits, pickle_opcodes=_PROBE_OPCODES)
    trace = run_joblib(source, 0, limits)
    packages = {(use.module or "").partition(".")[0] for use in trace.uses.values()}
    if "torch" in packages:
        return False
    return not packages.isdisjoint(_NUMERIC) or any(_is_model(value, source) for _, value in trace.texts[:_PROBE_TEXTS])


def _is_packed(start: bytes) -> bool:
    """Whether what is compressed is a pickle that names NumPy; LZ4 keeps words as they are."""
    if not start.startswith(_LZ4):
        try:
            start = zlib.decompressobj().decompress(start, _PACKED_BYTES)
        except zlib.error:
            return False
        if not _BINARY.match(start):
            return False
    return any(name in start for name in (b"numpy", b"sklearn", b"joblib"))


def _is_model(value: bytes | str | Blob, source: Source) -> bool:
    """Whether a byte string begins as a model does."""
    if isinstance(value, Blob):
        return not value.is_text and source.read_at(value.offset, 8).startswith(SIGNS)
    return isinstance(value, bytes) and value.startswith(SIGNS)


def read(upload: Upload) -> Model:
    """What the pickle holds.

    Raises:
        MalformedFile: It is broken and would not have run anything of note before.
        TruncatedFile: It ends early.
        UnsupportedFeature: A compression that is not read.
    """
    source = upload.single
    if source is None:
        raise MalformedFile(msg("A pickle is a single file."))
    inner, packed = _unpacked(source)
    made = open_pickle(inner, 0, upload.limits, located=not packed)
    info = ModelInfo(
        format=FORMAT.id, framework=FORMAT.framework, tags={"compression": "zlib"} if packed else {}
    )
    if made.broken is not None:
        return broken_model(info, made)
    contents = Contents(made.found.arrays, [made], complete=not made.elsewhere)
    return model_of(info, contents, upload.limits, read_nested(upload))


def broken_model(info: ModelInfo, made: Pickled) -> Model:
    """What is said of a pickle that breaks off: its error, or what would have run before; raises InputError."""
    if made.broken is not None and not is_serious(made.dangers):
        raise made.broken
    return build(info, made.broken, made.dangers, _nothing)


def _nothing() -> NoReturn:
    raise MalformedFile(msg("The pickle cannot be described."))


def read_nested(upload: Upload) -> Callable[[Nested], Model | None]:
    """Reads a model in a byte string with the reader of its format; None where none reads it."""

    def read_one(nested: Nested) -> Model | None:
        inner = Upload({"model": nested.source}, upload.meter)
        for reader in _READERS:
            try:
                found: Model | BuildRequest | None = reader.read(inner) if reader.accept(inner) else None
            except InputError:
                found = None
            if isinstance(found, Model):
                return found
        return None

    return read_one


# Compression


def _unpacked(source: Source) -> tuple[Source, bool]:
    """The pickle, and whether it was compressed."""
    start = head(source, 4)
    if start == _LZ4:
        raise UnsupportedFeature(
            msg("The file is compressed by LZ4, which is not read."),
            offset=0,
            hint=msg("Unpack it and send the pickle, or save it again with joblib.dump(..., compress=('zlib', 3))."),
        )
    if not start.startswith(_ZLIB):
        return source, False
    window = WindowSource(source, 2, source.size - 2)
    return InflatedSource(window, _inflated_size(window)), True


def _inflated_size(window: Source) -> int:
    """How many bytes a stream unpacks to, found by unpacking it: zlib's format does not say."""
    inflater, size, position = zlib.decompressobj(-zlib.MAX_WBITS), 0, 0
    pending = b""
    while not inflater.eof:
        if not pending:
            pending = window.read_at(position, min(_STEP, window.size - position))
            position += len(pending)
            if not pending:
                raise TruncatedFile(msg("The compressed data ends early."), offset=window.size + 2)
        size += _count(inflater, pending, window, position)
        pending = inflater.unconsumed_tail
        allowed = window.meter.limits.expansion
        if size > RATIO_FLOOR and size > allowed * window.size:
            what = msg("The compressed data unpacks to more than {allowed} times its size.", allowed=allowed)
            raise LimitExceeded("expansion", allowed, what)
    return size


def _count(inflater: zlib._Decompress, data: bytes, window: Source, position: int) -> int:
    try:
        count = len(inflater.decompress(data, _STEP))
    except zlib.error as error:
        what = msg("The compressed data is broken ({error}).", error=str(error))
        raise MalformedFile(what, offset=position) from None
    window.meter.add_inflated(count)
    return count
